//! How connections are kept alive: how they stand, what is due and what it waits for, what comes next.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Budget, HealthReport, HealthState, HourTally, Permission, Status, Tally, WebhookView};

use super::answer::{Failed, page, segment, to};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::integrations::{Attention, attention};
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

/// How many connections that need somebody are named.
const NAMED: usize = 20;
/// The bar and the plot are drawn on grids of these sizes, and stretched.
const WIDE: u64 = 1_000;
const HIGH: u64 = 48;

/// One status: how many, where its part of the bar is, and where its connections are listed.
struct Share {
    mark: Mark,
    count: u64,
    path: String,
    from: u64,
    wide: u64,
}

/// One hour of the plot: what passed stands above the line, and what failed on top of it.
struct Hour {
    from: usize,
    good: u64,
    good_from: u64,
    bad: u64,
    bad_from: u64,
    words: String,
}

struct Held {
    origin: String,
    waiting: u64,
    why: &'static str,
    until: Option<Moment>,
    asked: u64,
}

struct Ahead {
    name: String,
    path: String,
    at: Moment,
}

struct Webhook {
    path: String,
    name: String,
    status: Mark,
    why: String,
    behind: u64,
    pending: u64,
    dead: u64,
    missed: u64,
    delivered: Option<Moment>,
}

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    frame: Frame,
    state: Mark,
    reason: String,
    /// What somebody who may switch it can do now.
    verb: Option<&'static str>,
    attention: Vec<Attention>,
    waiting: String,
    shares: Vec<Share>,
    all: u64,
    due: String,
    next: Option<Moment>,
    done: Tally,
    budget: Budget,
    hours: Vec<Hour>,
    /// Whether anything was checked in these hours.
    plotted: bool,
    held: Vec<Held>,
    renewals: Vec<Ahead>,
    /// Of those who may look after them.
    webhooks: Option<Vec<Webhook>>,
}

pub(crate) async fn show(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
    let (host, actor, now) = (&console.host, &entered.actor, console.host.now());
    let report = host.health(actor)?;
    let (attention, waiting) = attention(&console, &entered, NAMED)?;
    let manages = entered.may(Permission::ManageSetup);
    let webhooks = if manages { Some(host.webhooks(actor)?) } else { None };
    let held = report.origins.iter().map(|waiting| Held {
        origin: waiting.origin.clone(),
        waiting: waiting.waiting,
        why: match (waiting.held_by, report.state) {
            (Some(why), _) => words::holding(why),
            (None, HealthState::Running) => "Its turn comes",
            (None, HealthState::Paused | HealthState::Off) => "Nothing is checked now",
        },
        until: waiting.until.map(|at| words::moment(at, now)),
        asked: waiting.asked_today,
    });
    let held = held.collect();
    let renewals = report.renewals.iter().map(|ahead| Ahead {
        name: ahead.name.clone(),
        path: format!("/connections/{}", ahead.connection),
        at: words::moment(ahead.at, now),
    });
    let renewals = renewals.collect();
    let shares = shares(&report);
    let hours = hours(&report.hours);
    Ok(page(
        StatusCode::OK,
        &HealthPage {
            frame: Frame::new(&entered, Area::Health, Area::Health.name()),
            state: words::upkeep(report.state),
            verb: match report.state {
                HealthState::Running if manages => Some("Pause"),
                HealthState::Paused if manages => Some("Resume"),
                HealthState::Running | HealthState::Paused | HealthState::Off => None,
            },
            attention,
            waiting,
            all: shares.iter().map(|share| share.count).sum(),
            shares,
            due: due(&report),
            next: report.next.map(|at| words::moment(at, now)),
            done: report.done,
            budget: report.budget,
            plotted: report.hours.iter().any(|hour| hour.done.passed + hour.done.failed > 0),
            hours,
            held,
            renewals,
            webhooks: webhooks.map(|all| all.into_iter().map(|one| webhook(one, now)).collect()),
            reason: report.reason.unwrap_or_default(),
        },
    ))
}

/// Pauses what nobody asks for, or lets it go on.
pub(crate) async fn switch(
    State(console): State<Console>,
    entered: Entered,
    posted: Posted,
) -> Result<Response, Failed> {
    let (host, actor) = (&console.host, &entered.actor);
    match posted.get("do") {
        "pause" => {
            host.pause_health(actor).await?;
            let words = "What is due waits until somebody resumes it, even where the server is started again. \
                         Credentials may run out meanwhile.";
            entered.tell("warn", "Checks are paused", words);
        }
        "resume" => {
            host.resume_health(actor).await?;
            entered.tell(
                "good",
                "Checks go on",
                "What became due meanwhile is done first, as fast as its budget lets it.",
            );
        }
        _ => return Err(Failed::form("The form does not say whether to pause or to resume.")),
    }
    Ok(to(Area::Health.path()))
}

fn due(report: &HealthReport) -> String {
    let more = if report.and_more { " or more" } else { "" };
    match (report.due, report.under_way, report.waiting) {
        (0, ..) => "Nothing".to_owned(),
        (due, under_way, waiting) => format!("{due}{more}: {under_way} under way, {waiting} waiting"),
    }
}

/// The statuses in the order of how much they need somebody, and their parts of one bar.
fn shares(report: &HealthReport) -> Vec<Share> {
    let by = &report.connections;
    let counts = [
        (Status::NeedsReconnect, by.needs_reconnect),
        (Status::Inactive, by.inactive),
        (Status::Degraded, by.degraded),
        (Status::Active, by.active),
        (Status::Disabled, by.disabled),
    ];
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let mut before = 0;
    let share = |(status, count): (Status, u64)| {
        // Rounded at both ends, so that the parts meet.
        let (from, end) = (before * WIDE / all.max(1), (before + count) * WIDE / all.max(1));
        before += count;
        let path = format!("/integrations?status={}", status.name());
        Share { mark: words::status(status), count, path, from, wide: end - from }
    };
    counts.into_iter().map(share).collect()
}

fn hours(hours: &[HourTally]) -> Vec<Hour> {
    let most = hours.iter().map(|hour| hour.done.passed + hour.done.failed).max().unwrap_or(0).max(1);
    let hour = |(place, hour): (usize, &HourTally)| {
        let Tally { passed, failed, .. } = hour.done;
        // However few they are among many, they are seen.
        let high = |count: u64| if count == 0 { 0 } else { (count * HIGH / most).max(2) };
        let (good, bad) = (high(passed), high(failed));
        Hour {
            from: place,
            good,
            good_from: HIGH.saturating_sub(good),
            bad,
            bad_from: HIGH.saturating_sub(good + bad),
            words: format!("{}: {passed} passed, {failed} failed", hour.from.strftime("%H:%M UTC")),
        }
    };
    hours.iter().enumerate().map(hour).collect()
}

fn webhook(view: WebhookView, now: jiff::Timestamp) -> Webhook {
    Webhook {
        path: format!("/setup/webhooks/{}", segment(&view.name)),
        name: view.name,
        status: words::switch(view.enabled),
        why: view.disabled_for.unwrap_or_default(),
        behind: view.behind,
        pending: view.pending,
        dead: view.dead,
        missed: view.missed,
        delivered: view.delivered_at.map(|at| words::moment(at, now)),
    }
}
