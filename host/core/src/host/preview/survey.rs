//! How things stand before a change and after it, and what is said of the difference. It runs on the thread that writes, so it
//! looks at a bounded number of connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::connections::visible;
use crate::credentials::{Credentials, Footing, Hindrance};
use crate::model::actor::{Actor, Permission};
use crate::model::connection::{Connection, Visibility};
use crate::model::flow::Flow;
use crate::model::id::ConnectionId;
use crate::model::view::{Affected, AffectedFlow, AffectedUser, Effect, Preview, Unnamed, WhatIf};
use crate::store::{Reader, StoreError};
use crate::users::everybody;

/// So many connections are looked at.
const LOOKED_AT: usize = 2_000;
/// So many are named.
const NAMED: usize = 200;
/// So many flows of each connection are named.
const FLOWS: usize = 50;

/// What may be affected.
pub(super) enum Scope {
    /// One connection, by its own change.
    Connection(ConnectionId),
    /// Those that take their OAuth client from this identity provider.
    Provider(String),
    /// Those that go by a named credential that this name is a part of.
    Credential(String),
    /// Users, and all that go by a named credential: the rights of their owners count.
    People,
    /// No connection that is there.
    Nothing,
}

/// To whom it is told.
pub(super) struct Told {
    actor: Actor,
    /// Whoever asks about one connection may see that one.
    own: bool,
    /// What follows whatever is found.
    note: Option<String>,
}

impl Told {
    pub(super) fn to(actor: &Actor, what: &WhatIf) -> Self {
        let own = matches!(
            what,
            WhatIf::EditConnection { .. } | WhatIf::EnableConnection { .. } | WhatIf::DeleteConnection { .. }
        );
        let note = match what {
            WhatIf::EnableConnector { name, enabled: false } => {
                Some(format!("no new connections could be made with {name}; those that are there would go on"))
            }
            WhatIf::EnableConnector { name, enabled: true } => {
                Some(format!("new connections could be made with {name}"))
            }
            _ => None,
        };
        Self { actor: actor.clone(), own, note }
    }

    /// Whether this actor may know of a connection by name.
    fn may_see(&self, connection: &Connection) -> bool {
        visible(&self.actor, connection) && (self.own || self.actor.may(Permission::ViewConnections))
    }
}

/// How things stand at one moment.
pub(super) struct Survey {
    now: Timestamp,
    connections: BTreeMap<ConnectionId, Fact>,
    /// Whether these are all that may be affected.
    complete: bool,
    people: Option<People>,
}

/// A connection, and what it leans on.
struct Fact {
    connection: Arc<Connection>,
    footing: Footing,
}

/// What users hold.
struct People {
    permissions: BTreeMap<String, BTreeSet<Permission>>,
    /// How many tokens of each.
    tokens: BTreeMap<String, u64>,
    /// Webhooks that are switched on.
    webhooks: BTreeSet<String>,
}

impl Survey {
    pub(super) fn of(reader: &Reader<'_>, scope: &Scope, now: Timestamp) -> Result<Self, StoreError> {
        // One more tells whether that was all.
        let most = LOOKED_AT + 1;
        let mut ids = match scope {
            Scope::Connection(id) => vec![*id],
            Scope::Provider(name) => reader.connections_by_provider(name, most)?,
            Scope::Credential(name) => {
                let mut ids = Vec::new();
                for named in reader.named_credentials()? {
                    let principals = reader.principals_of(&named.external_credential)?;
                    let leans = named.name == *name
                        || named.external_credential == *name
                        || principals.iter().any(|principal| principal.name == *name);
                    if leans {
                        ids.extend(reader.connections_by_named(&named.name, most.saturating_sub(ids.len()))?);
                    }
                }
                ids
            }
            Scope::People => {
                let mut ids = Vec::new();
                for named in reader.named_credentials()? {
                    ids.extend(reader.connections_by_named(&named.name, most.saturating_sub(ids.len()))?);
                }
                ids
            }
            Scope::Nothing => Vec::new(),
        };
        let complete = ids.len() <= LOOKED_AT;
        ids.truncate(LOOKED_AT);
        let mut connections = BTreeMap::new();
        for id in ids {
            if let Some(fact) = Fact::of(reader, id, now)? {
                connections.insert(id, fact);
            }
        }
        let people = if matches!(scope, Scope::People) { Some(People::of(reader)?) } else { None };
        Ok(Self { now, connections, complete, people })
    }

    /// What is said where things would stand as this reader sees them.
    pub(super) fn compared(self, reader: &Reader<'_>, told: &Told) -> Result<Preview, StoreError> {
        let mut found = Vec::new();
        for (id, before) in self.connections {
            let after = Fact::of(reader, id, self.now)?;
            if let Some((effect, reason)) = effect(reader, &before, after.as_ref())? {
                found.push((effect, reason, before.connection));
            }
        }
        found.sort_by(|(effect, _, one), (other, _, another)| (effect, &one.name).cmp(&(other, &another.name)));
        let mut preview =
            Preview { notes: told.note.iter().cloned().collect(), complete: self.complete, ..Preview::default() };
        let (mut named, mut unnamed) = (BTreeSet::new(), BTreeSet::new());
        for (effect, reason, connection) in found {
            let flows = reader.flows_using(connection.id)?;
            if preview.connections.len() < NAMED && told.may_see(&connection) {
                let shown = if told.actor.may(Permission::ViewConnections) { flows.len().min(FLOWS) } else { 0 };
                named.extend(flows[..shown].iter().map(|flow| flow.id.clone()));
                unnamed.extend(flows[shown..].iter().map(|flow| flow.id.clone()));
                preview.connections.push(affected(&connection, effect, reason, &flows[..shown]));
            } else {
                preview.unnamed.connections += 1;
                preview.unnamed.breaking += u64::from(effect.breaks());
                unnamed.extend(flows.into_iter().map(|flow| flow.id));
            }
        }
        let flows = unnamed.difference(&named).count() as u64;
        preview.unnamed = Unnamed { flows, ..preview.unnamed };
        if let Some(before) = self.people {
            before.compared(&People::of(reader)?, &mut preview);
        }
        Ok(preview)
    }
}

fn affected(connection: &Connection, effect: Effect, reason: String, flows: &[Flow]) -> Affected {
    let flow = |flow: &Flow| AffectedFlow { id: flow.id.clone(), name: flow.name.clone(), status: flow.status };
    Affected {
        id: connection.id,
        name: connection.name.clone(),
        status: connection.status(),
        effect,
        breaks: effect.breaks(),
        reason,
        flows: flows.iter().map(flow).collect(),
    }
}

impl Fact {
    fn of(reader: &Reader<'_>, id: ConnectionId, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let Some(connection) = reader.shared_connection(id)? else { return Ok(None) };
        let footing = Credentials::footing(reader, &connection, now)?;
        Ok(Some(Self { connection, footing }))
    }
}

/// What would become of a connection, and why; nothing where it would stay as it is.
fn effect(reader: &Reader<'_>, before: &Fact, after: Option<&Fact>) -> Result<Option<(Effect, String)>, StoreError> {
    let Some(after) = after else {
        return Ok(Some((Effect::Deleted, "it would be gone, with its credential and its history".to_owned())));
    };
    let (old, new) = (&before.connection, &after.connection);
    Ok(match (old.enabled, new.enabled) {
        (true, false) => Some((Effect::Disabled, "tests and requests of it would be refused".to_owned())),
        (false, true) => Some((Effect::Enabled, "it could be tested and used again".to_owned())),
        // As an edit; what is switched off breaks nothing.
        (false, false) => (old.version != new.version)
            .then(|| changed(reader, old, new))
            .transpose()?
            .map(|words| (Effect::Changed, words)),
        (true, true) => match (&before.footing.hindrance, &after.footing.hindrance) {
            (None, Some(hindrance)) => Some(hindered(hindrance)),
            (Some(hindrance), None) => {
                Some((Effect::Resumes, format!("this would stand in its way no more: {}", hindered(hindrance).1)))
            }
            (Some(_), Some(_)) | (None, None) if old.version != new.version => {
                let words = changed(reader, old, new)?;
                Some(match (old.complete, new.complete) {
                    (true, false) => {
                        (Effect::Stops, format!("{words}; a person would have to authorize it again in a browser"))
                    }
                    (false, false) => (Effect::Changed, words),
                    (_, true) => (Effect::Tested, words),
                })
            }
            (None, None) => moved(&before.footing, &after.footing).map(|words| (Effect::Changed, words)),
            // It did not work before.
            (Some(_), Some(_)) => None,
        },
    })
}

fn hindered(hindrance: &Hindrance) -> (Effect, String) {
    match hindrance {
        Hindrance::Right(missing) => (
            Effect::LosesRight,
            format!("no permission set of its owner `{}` opens the principal `{}`", missing.user, missing.principal),
        ),
        Hindrance::Unfit(words) => (Effect::Stops, words.clone()),
    }
}

/// What an edit changes, as the history would say it.
fn changed(reader: &Reader<'_>, old: &Connection, new: &Connection) -> Result<String, StoreError> {
    let change = reader.history(new.id, None, 1)?.items.into_iter().next();
    let fields = change.map(|change| change.fields).unwrap_or_default();
    let words = format!("this would change: {}", fields.join(", "));
    Ok(match (old.visibility, new.visibility) {
        (Visibility::Shared, Visibility::Private) => {
            format!("{words}; nobody but its owner `{}` would see it", new.owner)
        }
        (Visibility::Private, Visibility::Shared) => format!("{words}; everybody with the permission would see it"),
        (Visibility::Shared, Visibility::Shared) | (Visibility::Private, Visibility::Private) => words,
    })
}

/// What is another one of what others set up for it.
fn moved(before: &Footing, after: &Footing) -> Option<String> {
    let mut words = Vec::new();
    if let Some(url) = after.url.as_ref().filter(|_| before.url != after.url) {
        words.push(format!("its requests would go to {url}"));
    }
    if before.holder != after.holder {
        words.push("it would be signed in anew, with what its principal holds then".to_owned());
    }
    if before.client != after.client {
        words.push("it would sign in and renew by the changed OAuth client".to_owned());
    }
    (!words.is_empty()).then(|| words.join("; "))
}

impl People {
    fn of(reader: &Reader<'_>) -> Result<Self, StoreError> {
        let mut tokens = BTreeMap::new();
        for (_, token) in reader.tokens()? {
            *tokens.entry(token.user).or_default() += 1;
        }
        let webhooks = reader.webhooks()?.into_iter().filter(|webhook| webhook.enabled);
        let webhooks = webhooks.map(|webhook| webhook.name).collect();
        Ok(Self { permissions: everybody(reader)?, tokens, webhooks })
    }

    fn compared(&self, after: &Self, preview: &mut Preview) {
        let nothing = BTreeSet::new();
        let names: BTreeSet<_> = self.permissions.keys().chain(after.permissions.keys()).collect();
        for name in names {
            let had = self.permissions.get(name).unwrap_or(&nothing);
            let has = after.permissions.get(name).unwrap_or(&nothing);
            let (gains, loses) = (has.difference(had).copied().collect(), had.difference(has).copied().collect());
            if had != has {
                preview.users.push(AffectedUser { name: name.clone(), gains, loses });
            }
        }
        for (user, count) in &self.tokens {
            let left = after.tokens.get(user).copied().unwrap_or_default();
            match count - left {
                0 => {}
                1 => preview.notes.push(format!("a token of {user} would be gone")),
                gone => preview.notes.push(format!("{gone} tokens of {user} would be gone")),
            }
        }
        for webhook in self.webhooks.difference(&after.webhooks) {
            preview.notes.push(format!("the webhook {webhook} would be switched off"));
        }
    }
}
