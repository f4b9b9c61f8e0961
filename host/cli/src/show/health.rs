//! How connections are kept alive, for people.

use comfy_table::{Cell, Color};
use turnbuckle::{Activity, HealthReport, HealthState, Page};

use super::audit::ended;
use super::{Facts, Rows, cell, count, line, time};

pub(crate) fn report(report: &HealthReport) -> String {
    let mut facts = Facts::new();
    let color = match report.state {
        HealthState::Running => Color::Green,
        HealthState::Paused => Color::Yellow,
        HealthState::Off => Color::Grey,
    };
    let words = match report.reason.as_ref() {
        Some(reason) => format!("{}: {}", report.state.name(), line(reason)),
        None => report.state.name().to_owned(),
    };
    facts.fact("Checks", Cell::new(words).fg(color));
    let by = &report.connections;
    facts.text("Active", &by.active.to_string());
    facts.text("Degraded", &by.degraded.to_string());
    facts.fact("Needs reconnect", warned(by.needs_reconnect));
    facts.text("Inactive", &by.inactive.to_string());
    facts.text("Disabled", &by.disabled.to_string());
    let more = if report.and_more { " or more" } else { "" };
    let (due, under_way, waiting) = (report.due, report.under_way, report.waiting);
    facts.text("Due", &format!("{due}{more}: {under_way} under way, {waiting} waiting"));
    facts.some("Next", report.next.map(time).as_deref());
    let done = &report.done;
    let budget = &report.budget;
    facts.text(
        "Budget",
        &format!(
            "{} at once; to one origin {} a minute, {} a day",
            budget.at_once, budget.per_origin_per_minute, budget.per_origin_daily
        ),
    );
    facts.text("Checked", &format!("{} passed, {} failed", done.passed, done.failed));
    facts.text("Renewed", &format!("{}, {} could not be", done.renewed, done.not_renewed));
    if report.faults > 0 {
        let words = format!("{}, by faults of this program: see its log", count(report.faults, "time"));
        facts.fact("Broke off", Cell::new(words).fg(Color::Yellow));
    }
    let mut text = facts.into_text();
    if !report.origins.is_empty() {
        let mut rows = Rows::new(&["waiting", "for", "held by", "until", "asked today"]);
        for waiting in &report.origins {
            rows.row([
                Cell::new(waiting.waiting),
                cell(&waiting.origin),
                cell(waiting.held_by.map_or("its turn", |held_by| held_by.name())),
                cell(waiting.until.map(time).unwrap_or_default()),
                Cell::new(waiting.asked_today),
            ]);
        }
        text.push_str("\n\n");
        text.push_str(&rows.text());
    }
    if !report.renewals.is_empty() {
        let mut rows = Rows::new(&["renewed next", "at"]);
        for ahead in &report.renewals {
            rows.row([cell(&ahead.name), cell(time(ahead.at))]);
        }
        text.push_str("\n\n");
        text.push_str(&rows.text());
    }
    text
}

pub(crate) fn activity(page: &Page<Activity>) -> String {
    if page.items.is_empty() {
        return "Nothing was done with it yet.".into();
    }
    let mut rows = Rows::new(&["when", "who", "what", "how it ended", "took", "where"]);
    for done in &page.items {
        let what = done.action.name().trim_start_matches("connection.");
        rows.row([
            cell(time(done.at)),
            cell(&done.actor),
            cell(what),
            ended(done.outcome, done.status, done.reason.as_deref()),
            cell(done.microseconds.map(|took| format!("{} ms", took.div_ceil(1_000))).unwrap_or_default()),
            cell(done.origins.join(", ")),
        ]);
    }
    rows.text()
}

/// Somebody must act.
fn warned(count: u64) -> Cell {
    let cell = Cell::new(count);
    if count > 0 { cell.fg(Color::Yellow) } else { cell }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_says_what_waits_and_why() {
        let report: HealthReport = serde_json::from_value(json!({
            "state": "paused", "reason": "by ada",
            "connections": {"active": 40, "degraded": 2, "needs-reconnect": 1, "inactive": 0, "disabled": 3},
            "due": 12, "under-way": 2, "waiting": 10, "next": "2026-05-04T03:02:01Z",
            "origins": [
                {"origin": "https://api.example.com", "waiting": 9, "held-by": "daily-budget", "until": "2026-05-05T00:00:00Z", "asked-today": 1000},
                {"origin": "https://example.org", "waiting": 1},
            ],
            "renewals": [{"connection": "0196a1b2-0000-7000-8000-000000000001", "name": "CRM", "at": "2026-05-04T03:10:00Z"}],
            "budget": {"at-once": 16, "per-origin-per-minute": 120, "per-origin-daily": 1000},
            "done": {"passed": 7, "failed": 1, "renewed": 5, "not-renewed": 0},
        }))
        .unwrap();
        let lines: Vec<_> = super::report(&report)
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(
            lines,
            [
                "Checks paused: by ada",
                "Active 40",
                "Degraded 2",
                "Needs reconnect 1",
                "Inactive 0",
                "Disabled 3",
                "Due 12: 2 under way, 10 waiting",
                "Next 2026-05-04 03:02:01 UTC",
                "Budget 16 at once; to one origin 120 a minute, 1000 a day",
                "Checked 7 passed, 1 failed",
                "Renewed 5, 0 could not be",
                "WAITING FOR HELD BY UNTIL ASKED TODAY",
                "9 https://api.example.com daily-budget 2026-05-05 00:00:00 UTC 1000",
                "1 https://example.org its turn 0",
                "RENEWED NEXT AT",
                "CRM 2026-05-04 03:10:00 UTC",
            ]
        );
    }
}
