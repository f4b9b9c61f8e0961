//! Events and webhooks, for people.

use comfy_table::Cell;
use serde::Deserialize;
use turnbuckle::{
    AlertState, DeliveryView, Event, EventData, EventPage, EventType, Page, Secret, Standing, WebhookView,
};

use super::{Facts, Rows, cell, line, time, yes_no};

/// A webhook that was put, as the API tells it: with its secret where that is new.
#[derive(Debug, Deserialize)]
pub(crate) struct Saved {
    #[serde(default)]
    secret: Option<Secret>,
    #[serde(flatten)]
    view: WebhookView,
}

impl Saved {
    /// Whether there is a secret that is told this once.
    pub(crate) fn is_new(&self) -> bool {
        self.secret.is_some()
    }
}

pub(crate) fn page(page: &EventPage) -> String {
    if page.items.is_empty() {
        return "No event that fits is kept.".into();
    }
    let mut rows = Rows::new(&["event", "when", "who", "what", "to what", "details"]);
    for event in &page.items {
        rows.row([
            Cell::new(event.seq),
            cell(time(event.timestamp)),
            cell(&event.actor),
            cell(event.kind().name()),
            cell(subject(&event.data)),
            cell(details(&event.data)),
        ]);
    }
    rows.text()
}

/// One event on one line, for a list that has no end.
pub(crate) fn line_of(event: &Event) -> String {
    let words = [
        event.seq.to_string(),
        time(event.timestamp),
        event.actor.clone(),
        event.kind().name().to_owned(),
        subject(&event.data),
        details(&event.data),
    ];
    line(words.join("  ").trim_end())
}

fn subject(data: &EventData) -> String {
    match data {
        EventData::ConnectionCreated(facts) | EventData::ConnectionDeleted(facts) => facts.name.clone(),
        EventData::ConnectionChanged(changed) => changed.connection.name.clone(),
        EventData::ConnectionVerdictChanged(changed) => changed.connection.name.clone(),
        EventData::ConnectionNeedsReconnect(lost) => lost.connection.name.clone(),
        EventData::ConnectionRefreshed(refreshed) => refreshed.connection.name.clone(),
        EventData::FlowAlert(alert) => alert.name.clone(),
        EventData::ConnectorInstalled(installed) => {
            format!("{} {}", installed.connector.name, installed.connector.version)
        }
        EventData::ConnectorUpgraded(upgraded) => format!("{} {}", upgraded.name, upgraded.version),
        EventData::ConnectorRemoved(removed) => format!("{} {}", removed.name, removed.version),
    }
}

fn details(data: &EventData) -> String {
    match data {
        EventData::ConnectionCreated(facts) => format!("by {}", facts.connector),
        EventData::ConnectionChanged(changed) => {
            let what = match serde_json::to_value(changed.change) {
                Ok(serde_json::Value::String(what)) => what,
                Ok(_) | Err(_) => String::new(),
            };
            if changed.fields.is_empty() { what } else { format!("{what}: {}", changed.fields.join(", ")) }
        }
        EventData::ConnectionVerdictChanged(changed) => {
            format!("{} → {}", standing(&changed.before), standing(&changed.after))
        }
        EventData::ConnectionNeedsReconnect(lost) => lost.failure.clone().unwrap_or_default(),
        EventData::ConnectionRefreshed(refreshed) => {
            refreshed.expires_at.map(|at| format!("until {}", time(at))).unwrap_or_default()
        }
        EventData::FlowAlert(alert) => {
            let state = match alert.state {
                AlertState::Failing => "began to fail",
                AlertState::Recovered => "works again",
            };
            match &alert.failure {
                Some(failure) => format!("{state} ({failure}), by connection {}", alert.connection),
                None => format!("{state}, by connection {}", alert.connection),
            }
        }
        EventData::ConnectorInstalled(installed) => {
            installed.before.as_ref().map(|before| format!("besides {before}")).unwrap_or_default()
        }
        EventData::ConnectorUpgraded(upgraded) => {
            format!("{} moved, {} to look after", upgraded.moved, upgraded.attention)
        }
        EventData::ConnectionDeleted(_) | EventData::ConnectorRemoved(_) => String::new(),
    }
}

fn standing(standing: &Standing) -> String {
    match &standing.failure {
        Some(failure) => format!("{} ({failure})", standing.status.name()),
        None => standing.status.name().to_owned(),
    }
}

pub(crate) fn saved(saved: &Saved) -> String {
    match &saved.secret {
        Some(secret) => {
            let mut facts = Facts::new();
            facts.text("Secret", secret.expose());
            format!("{}\n{}", facts.into_text(), webhook(&saved.view))
        }
        None => webhook(&saved.view),
    }
}

pub(crate) fn webhook(view: &WebhookView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &view.name);
    facts.text("URL", &view.url);
    facts.text("Events", &types(&view.types));
    facts.text("Enabled", &enabled(view));
    facts.text("Sees as", &view.owner);
    if let Some(until) = view.previous_secret_until {
        facts.text("Old secret", &format!("signs besides until {}", time(until)));
    }
    let last = view.delivered_at.map(|at| format!(", the last one {}", time(at))).unwrap_or_default();
    facts.text("Delivered", &format!("{}{last}", view.delivered));
    facts.text("Waiting", &view.pending.to_string());
    facts.text("Given up", &view.dead.to_string());
    if view.missed > 0 {
        facts.text("Missed", &format!("{}: dropped before they could be delivered", view.missed));
    }
    facts.text("Place", &format!("behind event {}; {} since", view.place, view.behind));
    facts.text("Changed", &time(view.updated_at));
    facts.into_text()
}

pub(crate) fn webhooks(views: &[WebhookView]) -> String {
    if views.is_empty() {
        return "There is no webhook. One gets events posted as they happen: `turnbuckle setup webhook put NAME --url URL`."
            .into();
    }
    let mut rows = Rows::new(&["name", "url", "events", "enabled", "waiting", "given up", "missed"]);
    for view in views {
        rows.row([
            cell(&view.name),
            cell(&view.url),
            cell(types(&view.types)),
            cell(enabled(view)),
            Cell::new(view.pending),
            Cell::new(view.dead),
            Cell::new(view.missed),
        ]);
    }
    rows.text()
}

pub(crate) fn deliveries(page: &Page<DeliveryView>) -> String {
    if page.items.is_empty() {
        return "There is none.".into();
    }
    let mut rows = Rows::new(&["event", "what", "attempts", "first", "last", "next", "problem"]);
    for delivery in &page.items {
        rows.row([
            Cell::new(delivery.seq),
            cell(delivery.kind.name()),
            Cell::new(delivery.attempts),
            cell(time(delivery.since)),
            cell(time(delivery.last)),
            cell(delivery.next.map(time).unwrap_or_default()),
            cell(&delivery.problem),
        ]);
    }
    rows.text()
}

fn types(types: &[EventType]) -> String {
    match types {
        [] => "all".into(),
        some => some.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "),
    }
}

fn enabled(view: &WebhookView) -> String {
    match &view.disabled_for {
        Some(why) => format!("no: {why}"),
        None => match &view.fault {
            Some(fault) => format!("{}: {fault}", yes_no(view.enabled)),
            None => yes_no(view.enabled).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_says_what_happened_to_what() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let facts = json!({
            "connection": id, "name": "Orders", "version": 2, "connector": "http", "connector-version": "1.0.0",
            "owner": "ada", "visibility": "shared", "status": "needs-reconnect",
        });
        let with = |more: serde_json::Value| {
            let mut all = facts.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let event = |seq: u64, kind: &str, data: serde_json::Value| json!({"seq": seq, "id": "evt_1", "timestamp": "2026-05-04T03:02:01Z", "actor": "ada", "type": kind, "data": data});
        let all: EventPage = serde_json::from_value(json!({"items": [
            event(1, "connection.changed", with(json!({"change": "edited", "fields": ["name", "url"]}))),
            event(2, "connection.verdict-changed", with(json!({
                "before": {"status": "active"}, "after": {"status": "needs-reconnect", "failure": "unauthorized"},
            }))),
            event(3, "flow.alert", json!({
                "flow": "f", "name": "Nightly", "connection": id, "steps": [], "state": "failing", "failure": "unauthorized",
            })),
        ], "next": 3, "more": false}))
        .unwrap();
        insta::assert_snapshot!(page(&all), @r"
        EVENT  WHEN                     WHO  WHAT                        TO WHAT  DETAILS
        1      2026-05-04 03:02:01 UTC  ada  connection.changed          Orders   edited: name, url
        2      2026-05-04 03:02:01 UTC  ada  connection.verdict-changed  Orders   active → needs-reconnect (unauthorized)
        3      2026-05-04 03:02:01 UTC  ada  flow.alert                  Nightly  began to fail (unauthorized), by connection 01890a5d-ac96-774b-bcce-b302099a8057
        ");
        let line = "1  2026-05-04 03:02:01 UTC  ada  connection.changed  Orders  edited: name, url";
        assert_eq!(line_of(&all.items[0]), line);
    }
}
