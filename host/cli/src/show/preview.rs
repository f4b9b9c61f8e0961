//! What a change would do, as people read it.

use comfy_table::{Cell, Color};
use turnbuckle::{Affected, AffectedFlow, Effect, Permission, Preview};

use super::flows::flow_status;
use super::{Rows, cell, count, line, status};

pub(crate) fn preview(preview: &Preview) -> String {
    let mut parts = Vec::new();
    if !preview.connections.is_empty() {
        let mut rows = Rows::new(&["connection", "status", "would", "why", "flows"]);
        for row in &preview.connections {
            let flows: Vec<_> = row.flows.iter().map(flow).collect();
            rows.row([cell(&row.name), status(row.status), would(row), cell(&row.reason), cell(flows.join(", "))]);
        }
        parts.push(rows.text());
    }
    if !preview.users.is_empty() {
        let mut rows = Rows::new(&["user", "would lose", "would gain"]);
        for user in &preview.users {
            let names = |all: &mut dyn Iterator<Item = &Permission>| {
                all.map(|permission| permission.name()).collect::<Vec<_>>().join(", ")
            };
            rows.row([cell(&user.name), cell(names(&mut user.loses.iter())), cell(names(&mut user.gains.iter()))]);
        }
        parts.push(rows.text());
    }
    let notes: Vec<_> = preview.notes.iter().map(|note| format!("Note: {}.", line(note))).collect();
    if !notes.is_empty() {
        parts.push(notes.join("\n"));
    }
    parts.push(sum(preview));
    parts.join("\n\n")
}

/// `Nightly (active)`
fn flow(flow: &AffectedFlow) -> String {
    format!("{} ({})", line(&flow.name), flow_status(flow.status))
}

fn would(row: &Affected) -> Cell {
    let words = match row.effect {
        Effect::Deleted => "be deleted",
        Effect::Disabled => "be disabled",
        Effect::Stops => "stop working",
        Effect::LosesRight => "lose its right",
        Effect::Tested => "be tested anew",
        Effect::Changed => "change",
        Effect::Enabled => "be enabled",
        Effect::Resumes => "work again",
        // A server may know more of them than this command.
        other => other.name(),
    };
    Cell::new(words).fg(if row.breaks { Color::Red } else { Color::Reset })
}

/// What would break, in one line.
fn sum(preview: &Preview) -> String {
    let breaking = preview.connections.iter().filter(|row| row.breaks);
    let mut flows: Vec<_> = breaking.clone().flat_map(|row| &row.flows).map(|flow| &flow.id).collect();
    flows.sort();
    flows.dedup();
    let connections = breaking.count() as u64 + preview.unnamed.breaking;
    let mut text = match (connections, flows.len() as u64) {
        (0, _) => "No connection would break, and no flow.".to_owned(),
        (some, 0) => format!("{} would break; no flow that is named here leans on it.", count(some, "connection")),
        (some, flows) => {
            let with = if some == 1 { "it" } else { "them" };
            format!("{} would break, and {} with {with}.", count(some, "connection"), count(flows, "flow"))
        }
    };
    let unnamed = preview.unnamed;
    let besides =
        [(unnamed.connections, "connection"), (unnamed.flows, "flow")].into_iter().filter(|(some, _)| *some > 0);
    let besides: Vec<_> = besides.map(|(some, noun)| count(some, noun)).collect();
    if !besides.is_empty() {
        text.push_str(&format!(" Affected besides, and not named here: {}.", besides.join(" and ")));
    }
    if !preview.complete {
        text.push_str(" There are more connections than were looked at.");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_preview_says_what_breaks_and_why() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let said: Preview = serde_json::from_value(json!({
            "connections": [{
                "id": id, "name": "Shop", "status": "active", "effect": "disabled", "breaks": true,
                "reason": "tests and requests of it would be refused",
                "flows": [{"id": "nightly", "name": "Nightly sync", "status": "active"}],
            }],
            "users": [{"name": "bob", "gains": [], "loses": ["use-connections"]}],
            "notes": ["a token of bob would be gone"],
            "unnamed": {"connections": 2, "breaking": 1, "flows": 0},
            "complete": true,
        }))
        .unwrap();
        insta::assert_snapshot!(preview(&said), @r"
        CONNECTION  STATUS    WOULD        WHY                                        FLOWS
        Shop        ● active  be disabled  tests and requests of it would be refused  Nightly sync (active)

        USER  WOULD LOSE       WOULD GAIN
        bob   use-connections

        Note: a token of bob would be gone.

        2 connections would break, and 1 flow with them. Affected besides, and not named here: 2 connections.
        ");
        assert_eq!(
            preview(&Preview { complete: true, ..Preview::default() }),
            "No connection would break, and no flow."
        );
    }
}
