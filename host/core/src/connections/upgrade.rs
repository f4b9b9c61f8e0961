//! Moving connections from one version of their connector to another, and saying first what that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::Obtaining;
use super::{Connections, form, named, visible};
use crate::catalog::differences;
use crate::credentials::Pinned;
use crate::model::actor::{Actor, Permission};
use crate::model::connection::{ChangeKind, Connection, Visibility};
use crate::model::connector::Installed;
use crate::model::error::Error;
use crate::model::event::{ConnectorUpgraded, EventData, Telling};
use crate::model::id::ConnectionId;
use crate::model::view::{AffectedFlow, ConnectorKey, Upgrade, UpgradeReport, UpgradeRow};

const MOST: usize = 1_000_000;

impl Connections {
    pub(crate) async fn upgrade(
        &self,
        actor: &Actor,
        key: &ConnectorKey,
        ask: Upgrade,
    ) -> Result<UpgradeReport, Error> {
        let target = self.catalog.view(&ConnectorKey { name: key.name.clone(), version: ask.to.clone() })?;
        let target = Arc::new(target.installed);
        let to = target.reference.version.clone();
        let mut report = UpgradeReport {
            to: to.clone(),
            origins_added: Vec::new(),
            origins_removed: Vec::new(),
            fields_added: Vec::new(),
            fields_removed: Vec::new(),
            protocols_removed: Vec::new(),
            connections: Vec::new(),
        };
        let moving = self.moving(key, &target)?;
        for connection in &moving {
            let changes = differences(&self.installed(connection)?.descriptor, &target.descriptor);
            for (all, some) in [
                (&mut report.origins_added, changes.origins_added),
                (&mut report.origins_removed, changes.origins_removed),
                (&mut report.fields_added, changes.fields_added),
                (&mut report.fields_removed, changes.fields_removed),
                (&mut report.protocols_removed, changes.protocols_removed),
            ] {
                all.extend(some);
                all.sort();
                all.dedup();
            }
        }
        if !report.origins_added.is_empty() && !ask.accept && !ask.dry_run {
            return Err(Error::Refused {
                rule: "origins-widened",
                message: format!(
                    "{} {to} asks to send requests to more places than before: {}",
                    key.name,
                    report.origins_added.join(", ")
                ),
                hint: Some("look at them with --dry-run; if they are right, upgrade with --accept".into()),
            });
        }
        let shared = |connection: &&Connection| connection.visibility == Visibility::Shared;
        let shared: BTreeSet<_> = moving.iter().filter(shared).map(|connection| connection.id).collect();
        for connection in moving {
            let (id, name, from) = (connection.id, shown(actor, &connection), connection.connector.version.clone());
            // One that can't be moved does not hide what became of the others.
            let row = self.move_one(actor, connection, &target, &ask).await;
            let row = row.unwrap_or_else(|error| UpgradeRow {
                id,
                name,
                from,
                moved: false,
                attention: vec![error.to_string()],
                flows: Vec::new(),
            });
            report.connections.push(UpgradeRow { flows: self.leaning(actor, id)?, ..row });
        }
        self.tell_upgraded(actor, &target, &report, &shared).await?;
        Ok(report)
    }

    /// What was moved is on the disk one by one, each with an event of its own; this one says that it is over. Everybody reads
    /// it, so it tells nothing of private ones.
    async fn tell_upgraded(
        &self,
        actor: &Actor,
        target: &Installed,
        report: &UpgradeReport,
        shared: &BTreeSet<ConnectionId>,
    ) -> Result<(), Error> {
        let rows = || report.connections.iter().filter(|row| shared.contains(&row.id));
        let count = |moved: bool| rows().filter(|row| row.moved == moved).count() as u64;
        if count(true) == 0 {
            return Ok(());
        }
        let (name, digest) = (target.reference.name.clone(), target.reference.digest.clone());
        let (moved, attention, version) = (count(true), count(false), report.to.clone());
        let data = EventData::ConnectorUpgraded(ConnectorUpgraded { name, version, digest, moved, attention });
        let telling = Telling::new(self.outside.now(), actor.name(), data);
        self.store.write(move |writer| Ok(writer.tell(telling)?)).await
    }

    /// The flows that lean on a connection, where the actor may see flows.
    fn leaning(&self, actor: &Actor, id: ConnectionId) -> Result<Vec<AffectedFlow>, Error> {
        if !actor.may(Permission::ViewConnections) {
            return Ok(Vec::new());
        }
        let flows = self.store.read(|reader| reader.flows_using(id))?.into_iter();
        Ok(flows.map(|flow| AffectedFlow { id: flow.id, name: flow.name, status: flow.status }).collect())
    }

    fn moving(&self, key: &ConnectorKey, target: &Installed) -> Result<Vec<Connection>, Error> {
        let found = self.store.read(|reader| {
            let ids = reader.connections_of(&key.name, key.version.as_ref(), MOST)?;
            ids.into_iter().map(|id| reader.connection(id)).collect::<Result<Vec<_>, _>>()
        })?;
        let other = |connection: &Connection| connection.connector.version != target.reference.version;
        Ok(found.into_iter().flatten().filter(other).collect())
    }

    /// Moves one connection where nothing is missing; otherwise says what is, and leaves it where it is.
    async fn move_one(
        &self,
        actor: &Actor,
        old: Connection,
        target: &Arc<Installed>,
        ask: &Upgrade,
    ) -> Result<UpgradeRow, Error> {
        let name = shown(actor, &old);
        let row = |moved, attention| UpgradeRow {
            id: old.id,
            name,
            from: old.connector.version.clone(),
            moved,
            attention,
            flows: Vec::new(),
        };
        let descriptor = &target.descriptor;
        let mut problems = Vec::new();
        if old.named_credential.is_some() {
            return self.move_by_name(actor, old, target, ask).await;
        }
        let protocol = match form::protocol(descriptor, Some(&old.protocol)) {
            Ok(protocol) => protocol,
            Err(problem) => return Ok(row(false, vec![problem.to_string()])),
        };
        let mut settings = old.settings.clone();
        settings.retain(|name, _| descriptor.fields(protocol).any(|field| field.name == *name));
        let stored = |name: &str| old.secrets.contains_key(name);
        let provider = self.credentials.provider_used(&old)?;
        let known = form::Known { stored: &stored, provider: provider.as_ref() };
        let filled = form::fill(descriptor, protocol, &settings, &Default::default(), &known, &mut problems);
        if !problems.is_empty() {
            return Ok(row(false, problems.iter().map(ToString::to_string).collect()));
        }
        let mut new = old.clone();
        new.connector = target.reference.clone();
        new.settings = filled.settings;
        new.secrets.retain(|name, _| descriptor.fields(protocol).any(|field| field.name == *name));
        new.authentication = match self.credentials.plan(target, protocol, &new.settings).await {
            Ok(plan) => plan,
            Err(error @ (Error::Invalid { .. } | Error::Refused { .. })) => {
                return Ok(row(false, vec![error.to_string()]));
            }
            Err(error) => return Err(error),
        };
        let secrets = self.credentials.unseal(old.id, &new.secrets)?;
        let pinned = Pinned { connection: &new, installed: target, actor: actor.name() };
        let usable = match self.credentials.with(pinned, &new.authentication, &secrets, None) {
            Ok(usable) => usable,
            Err(error) => return Ok(row(false, vec![error.to_string()])),
        };
        // The templates may be the same, and a default or a choice lead elsewhere all the same.
        let before = super::origins(&*self.installed(&old)?, &old, &BTreeMap::new());
        let added: Vec<_> =
            usable.permit.origins().iter().map(ToString::to_string).filter(|origin| !before.contains(origin)).collect();
        if !added.is_empty() && !ask.accept {
            let words = format!("its requests would go to {} besides; accept that with --accept", added.join(", "));
            return Ok(row(false, vec![words]));
        }
        if ask.dry_run {
            return Ok(row(false, Vec::new()));
        }
        self.save_moved(actor, new).await?;
        Ok(row(true, Vec::new()))
    }

    /// One by a named credential goes where that says, whatever the connector asks for.
    async fn move_by_name(
        &self,
        actor: &Actor,
        old: Connection,
        target: &Installed,
        ask: &Upgrade,
    ) -> Result<UpgradeRow, Error> {
        let mut row = UpgradeRow {
            id: old.id,
            name: shown(actor, &old),
            from: old.connector.version.clone(),
            moved: false,
            attention: Vec::new(),
            flows: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut settings = old.settings.clone();
        settings.retain(|name, _| target.descriptor.settings.iter().any(|field| field.name == *name));
        let settings = named::fill(&target.descriptor, &settings, &BTreeMap::new(), &mut problems);
        row.attention = problems.iter().map(ToString::to_string).collect();
        if problems.is_empty() && !ask.dry_run {
            self.save_moved(actor, Connection { connector: target.reference.clone(), settings, ..old }).await?;
            row.moved = true;
        }
        Ok(row)
    }

    async fn save_moved(&self, actor: &Actor, moved: Connection) -> Result<(), Error> {
        let based_on = moved.version;
        // What the last test said, it said of other code.
        let new = Connection { verdict: None, ..moved };
        let fields = vec!["connector".into()];
        let saved = self.save(actor, new, based_on, ChangeKind::Upgraded, fields, Obtaining::Keep).await?;
        if saved.enabled && saved.complete {
            self.test_stored(actor, saved).await?;
        }
        Ok(())
    }
}

/// Its name; its id where the actor may not know of it.
fn shown(actor: &Actor, connection: &Connection) -> String {
    if visible(actor, connection) { connection.name.clone() } else { connection.id.to_string() }
}
