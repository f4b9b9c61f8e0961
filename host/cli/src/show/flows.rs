//! Flows, as people read them.

use comfy_table::{Cell, Color};
use turnbuckle::{Alert, Flow, FlowReport, FlowStatus, Page, Progress, UsedAs};

use super::{Facts, Rows, cell, line, status, time};

pub(crate) fn flow_status(status: FlowStatus) -> &'static str {
    match status {
        FlowStatus::Draft => "draft",
        FlowStatus::Active => "active",
        FlowStatus::Inactive => "inactive",
        FlowStatus::Archived => "archived",
    }
}

pub(crate) fn used_as(used_as: UsedAs) -> &'static str {
    match used_as {
        UsedAs::Action => "action",
        UsedAs::Trigger => "trigger",
    }
}

pub(crate) fn progress(progress: Progress) -> Cell {
    match progress {
        Progress::NotTested => Cell::new("not tested"),
        Progress::Testing => Cell::new("testing").fg(Color::Cyan),
        Progress::Passed => Cell::new("passed").fg(Color::Green),
        Progress::Failed => Cell::new("failed").fg(Color::Red),
    }
}

pub(crate) fn list(page: &Page<Flow>) -> String {
    if page.items.is_empty() {
        return "No flow is registered.\n\nRegister one:\n  \
                turnbuckle flow put nightly-sync --name \"Nightly sync\" --action STEP=CONNECTION"
            .into();
    }
    let mut rows = Rows::new(&["id", "name", "version", "status", "owner", "uses"]);
    for flow in &page.items {
        rows.row([
            cell(flow.id.as_str()),
            cell(&flow.name),
            cell(&flow.version),
            cell(flow_status(flow.status)),
            cell(&flow.owner),
            Cell::new(flow.uses.len()),
        ]);
    }
    rows.text()
}

pub(crate) fn one(flow: &Flow) -> String {
    let mut facts = Facts::new();
    facts.text("Id", flow.id.as_str());
    facts.text("Name", &flow.name);
    facts.some("Version", Some(&flow.version));
    facts.text("Status", flow_status(flow.status));
    facts.text("Owner", &flow.owner);
    facts.some("URL", flow.url.as_deref());
    let mut text = facts.into_text();
    if flow.uses.is_empty() {
        text.push_str("\n\nIt uses no connection.");
        return text;
    }
    let mut rows = Rows::new(&["step", "used as", "connection", "last tested", "progress"]);
    for each in &flow.uses {
        rows.row([
            cell(&each.step),
            cell(used_as(each.used_as)),
            cell(each.connection.to_string()),
            cell(each.last_tested.map_or_else(|| "never".to_owned(), time)),
            progress(each.progress),
        ]);
    }
    text.push_str(&format!("\n\n{}", rows.text()));
    text
}

pub(crate) fn report(report: &FlowReport) -> String {
    let mut text = one(&report.flow);
    if report.alerts.is_empty() {
        text.push_str("\n\nAll its connections work.");
        return text;
    }
    let mut rows = Rows::new(&["connection", "status", "what to do"]);
    for alert in &report.alerts {
        rows.row([cell(&alert.name), status(alert.status), cell(&alert.message)]);
    }
    text.push_str(&format!("\n\n{}", rows.text()));
    text
}

/// One line about connections that will not work.
pub(crate) fn alerts(alerts: &[Alert]) -> String {
    let names: Vec<_> = alerts.iter().map(|alert| format!("`{}`", line(&alert.name))).collect();
    format!("of its connections, {} will not work", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_ends_with_what_will_not_work() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let opened: FlowReport = serde_json::from_value(json!({
            "flow": {
                "id": "nightly", "name": "Nightly sync", "version": "3", "status": "active", "owner": "operator",
                "url": null, "uses": [{
                    "connection": id, "used-as": "action", "step": "fetch",
                    "last-tested": "2026-05-04T03:02:01Z", "progress": "failed"
                }]
            },
            "alerts": [{"connection": id, "name": "Shop", "status": "degraded", "message": "it can't be reached"}]
        }))
        .unwrap();
        insta::assert_snapshot!(report(&opened), @r"
        Id             nightly
        Name           Nightly sync
        Version        3
        Status         active
        Owner          operator

        STEP   USED AS  CONNECTION                            LAST TESTED              PROGRESS
        fetch  action   01890a5d-ac96-774b-bcce-b302099a8057  2026-05-04 03:02:01 UTC  failed

        CONNECTION  STATUS      WHAT TO DO
        Shop        ◐ degraded  it can't be reached
        ");
        assert_eq!(alerts(&opened.alerts), "of its connections, `Shop` will not work");
    }
}
