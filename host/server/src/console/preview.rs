//! What a change would do, on the page on which it is about to be made.

use turnbuckle::{Affected, Effect, Permission, Preview};

use super::answer::sentence;
use super::words;

/// The button by which a form is asked about rather than sent.
pub(crate) const ASKED: &str = "preview";

/// A preview in words.
pub(crate) struct Told {
    pub(crate) headline: String,
    /// Whether something would break.
    pub(crate) breaks: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) users: Vec<User>,
    pub(crate) notes: Vec<String>,
    /// Whether secrets were typed, which no page holds.
    pub(crate) secrets: bool,
}

/// A connection that would be affected.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) would: &'static str,
    pub(crate) reason: String,
    /// Each with how it stands.
    pub(crate) flows: Vec<(String, &'static str)>,
}

/// A user who could do more or less.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) loses: Vec<&'static str>,
    pub(crate) gains: Vec<&'static str>,
}

impl Told {
    pub(crate) fn of(preview: Preview) -> Self {
        let breaking = preview.connections.iter().filter(|row| row.breaks).count() as u64 + preview.unnamed.breaking;
        let headline = match breaking {
            0 => "No connection would break".to_owned(),
            1 => "1 connection would break".to_owned(),
            more => format!("{more} connections would break"),
        };
        let mut notes: Vec<_> = preview.notes.iter().map(|note| sentence(note)).collect();
        let unnamed = preview.unnamed;
        if unnamed.connections > 0 || unnamed.flows > 0 {
            let counted = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
            notes.push(format!(
                "Affected besides, and not named here: {} and {}.",
                counted(unnamed.connections, "connection"),
                counted(unnamed.flows, "flow")
            ));
        }
        if !preview.complete {
            notes.push("There are more connections than were looked at.".to_owned());
        }
        let labels = |all: &mut dyn Iterator<Item = Permission>| all.map(words::permission).collect::<Vec<_>>();
        let users = preview.users.into_iter().map(|user| User {
            loses: labels(&mut user.loses.into_iter()),
            gains: labels(&mut user.gains.into_iter()),
            name: user.name,
        });
        Self {
            headline,
            breaks: breaking > 0,
            users: users.collect(),
            rows: preview.connections.into_iter().map(row).collect(),
            notes,
            secrets: false,
        }
    }

    /// The same for a form in which secrets were typed.
    pub(crate) fn with_secrets(self, secrets: bool) -> Self {
        Self { secrets, ..self }
    }
}

fn row(affected: Affected) -> Row {
    let flow = |flow: turnbuckle::AffectedFlow| (flow.name, words::flow_status(flow.status).word);
    Row {
        path: format!("/connections/{}", affected.id),
        name: affected.name,
        would: match affected.effect {
            Effect::Deleted => "would be deleted",
            Effect::Disabled => "would be disabled",
            Effect::Stops => "would stop working",
            Effect::LosesRight => "would lose its right",
            Effect::Tested => "would be tested anew",
            Effect::Changed => "would change",
            Effect::Enabled => "would be enabled",
            Effect::Resumes => "would work again",
            // The host may know more of them than this page.
            _ => "would be affected",
        },
        reason: sentence(&affected.reason),
        flows: affected.flows.into_iter().map(flow).collect(),
    }
}
