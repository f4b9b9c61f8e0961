//! What a person does to a connection: create, edit, reconnect, enable, delete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use std::time::Instant;

use semver::Version;

use super::{Connections, find, form, name_taken, need, probe};
use crate::credentials;
use crate::egress::Call;
use crate::model::actor::{Actor, Permission};
use crate::model::connection::{Change, ChangeKind, Connection};
use crate::model::connector::Installed;
use crate::model::descriptor::FieldKind;
use crate::model::error::{Error, FieldProblem, User};
use crate::model::id::ConnectionId;
use crate::model::secret::Secret;
use crate::model::view::{EditConnection, NewConnection, Reconnect};

impl Connections {
    pub(crate) async fn create(&self, actor: &Actor, new: NewConnection) -> Result<ConnectionId, Error> {
        need(actor, Permission::ManageConnections)?;
        let mut problems = Vec::new();
        let name = form::name(&new.name, &mut problems);
        let description = form::description(&new.description, &mut problems);
        if self.store.read(|reader| reader.connection_id_by_name(&name))?.is_some() {
            problems.push(name_taken(&name));
        }
        let installed = match self.usable(&new.connector, new.connector_version.as_ref()) {
            Ok(installed) => installed,
            Err(problem) => {
                problems.push(problem?);
                return Err(Error::Invalid { problems });
            }
        };
        let descriptor = &installed.descriptor;
        let protocol = match form::protocol(descriptor, new.protocol.as_deref()) {
            Ok(protocol) => protocol,
            Err(problem) => {
                problems.push(problem);
                return Err(Error::Invalid { problems });
            }
        };
        let filled = form::fill(descriptor, protocol, &new.settings, &new.secrets, &|_| false, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let authentication = self.plan(&installed, protocol, &filled.settings).await?;
        let id = self.outside.connection_id();
        // Resolved once before anything is kept: an origin that does not come out right is a field error, not a failed test.
        credentials::resolve(id, descriptor, &protocol.name, &authentication, &filled.settings, &filled.secrets)?;
        let now = self.outside.now();
        let connection = Connection {
            id,
            version: 1,
            name,
            description,
            connector: installed.reference.clone(),
            protocol: protocol.name.clone(),
            secrets: self.credentials.seal(id, &filled.secrets),
            settings: filled.settings,
            authentication,
            complete: true,
            enabled: true,
            verdict: None,
            account: None,
            discovered: BTreeMap::new(),
            owner: actor.name().to_owned(),
            visibility: new.visibility,
            created_at: now,
            updated_at: now,
            credential_at: now,
        };
        let fields = connection.settings.keys().chain(connection.secrets.keys()).cloned().collect();
        let change = Change { version: 1, kind: ChangeKind::Created, actor: actor.name().to_owned(), at: now, fields };
        let mut stored = connection.clone();
        let credentials = self.credentials.clone();
        self.store
            .write(move |writer| {
                credentials.freshen(&mut stored)?;
                if writer.connection_id_by_name(&stored.name)?.is_some() {
                    return Err(Error::Invalid { problems: vec![name_taken(&stored.name)] });
                }
                let reference = &stored.connector;
                if writer.connector(&reference.name, &reference.version)?.is_none() {
                    return Err(Error::not_found("connector", format!("{}@{}", reference.name, reference.version)));
                }
                writer.put_connection(&stored)?;
                writer.append_change(stored.id, &change)?;
                Ok(())
            })
            .await?;
        self.test_stored(connection).await?;
        Ok(id)
    }

    pub(crate) async fn edit(&self, actor: &Actor, key: &str, edit: EditConnection) -> Result<ConnectionId, Error> {
        need(actor, Permission::ManageConnections)?;
        let old = self.find(actor, key)?;
        stale(&old, edit.version)?;
        let installed = self.installed(&old)?;
        let descriptor = &installed.descriptor;
        let mut problems = Vec::new();
        let mut new = old.clone();
        if let Some(name) = &edit.name {
            new.name = form::name(name, &mut problems);
            let holder = self.store.read(|reader| reader.connection_id_by_name(&new.name))?;
            if holder.is_some_and(|holder| holder != old.id) {
                problems.push(name_taken(&new.name));
            }
        }
        if let Some(description) = &edit.description {
            new.description = form::description(description, &mut problems);
        }
        new.visibility = edit.visibility.unwrap_or(old.visibility);
        let protocol = match form::protocol(descriptor, Some(edit.protocol.as_deref().unwrap_or(&old.protocol))) {
            Ok(protocol) => protocol,
            Err(problem) => {
                problems.push(problem);
                return Err(Error::Invalid { problems });
            }
        };
        let mut settings = old.settings.clone();
        settings.retain(|name, _| descriptor.fields(protocol).any(|field| field.name == *name));
        settings.extend(edit.settings.iter().map(|(name, value)| (name.clone(), value.clone())));
        let stored = |name: &str| old.secrets.contains_key(name);
        let filled = form::fill(descriptor, protocol, &settings, &edit.secrets, &stored, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let mut secrets = self.credentials.unseal(old.id, &old.secrets)?;
        secrets.retain(|name, _| descriptor.fields(protocol).any(|f| f.name == *name && f.kind == FieldKind::Secret));
        let kept: Vec<String> = secrets.keys().filter(|name| !filled.secrets.contains_key(*name)).cloned().collect();
        secrets.extend(filled.secrets.clone());
        new.protocol.clone_from(&protocol.name);
        new.settings = filled.settings;
        new.authentication = self.plan(&installed, protocol, &new.settings).await?;
        let permit =
            credentials::resolve(old.id, descriptor, &protocol.name, &new.authentication, &new.settings, &secrets)?;
        self.same_origins(&old, &installed, permit.origins(), &kept)?;
        if !filled.secrets.is_empty() || kept.len() != old.secrets.len() {
            new.secrets = self.credentials.seal(old.id, &secrets);
            new.credential_at = self.outside.now();
        }
        let fields = touched(&old, &new, &filled.secrets);
        if fields.is_empty() {
            self.retest(&old).await?;
            return Ok(old.id);
        }
        // What the last test said was said of other settings, unless only words for people changed.
        if fields.iter().any(|field| !matches!(field.as_str(), "name" | "description" | "visibility")) {
            new.verdict = None;
        }
        let saved = self.save(actor, new, old.version, ChangeKind::Edited, fields).await?;
        self.retest(&saved).await?;
        Ok(saved.id)
    }

    /// A stored secret was given for the places that it goes to now. Whoever sends it elsewhere has to know it.
    fn same_origins(
        &self,
        old: &Connection,
        installed: &Installed,
        origins: &[crate::model::origin::Origin],
        kept: &[String],
    ) -> Result<(), Error> {
        if kept.is_empty() {
            return Ok(());
        }
        let before = self.credentials.permit(old, &installed.descriptor)?;
        let Some(new) = origins.iter().find(|origin| !before.origins().contains(origin)) else { return Ok(()) };
        let words = format!("give it again: it was given for another address, and would be sent to {new} now");
        Err(Error::Invalid { problems: kept.iter().map(|name| FieldProblem::new(name, &words)).collect() })
    }

    /// Tries new secrets beside the stored ones; only a pass, by the same account, replaces them.
    pub(crate) async fn reconnect(
        &self,
        actor: &Actor,
        key: &str,
        new: Reconnect,
    ) -> Result<(ConnectionId, bool, crate::model::verdict::Verdict), Error> {
        need(actor, Permission::ManageConnections)?;
        let old = self.find(actor, key)?;
        if !old.enabled {
            return Err(super::disabled(&old));
        }
        let installed = self.installed(&old)?;
        let descriptor = &installed.descriptor;
        let protocol = form::protocol(descriptor, Some(&old.protocol))
            .map_err(|problem| Error::Invalid { problems: vec![problem] })?;
        if !descriptor.fields(protocol).any(|field| field.kind == FieldKind::Secret) {
            return Err(Error::Refused {
                rule: "nothing-to-reconnect",
                message: format!("the protocol `{}` has no credential to renew", protocol.name),
                hint: Some("edit the connection instead".into()),
            });
        }
        let mut problems = Vec::new();
        if new.secrets.values().all(Secret::is_empty) {
            let names: Vec<_> =
                descriptor.fields(protocol).filter(|f| f.kind == FieldKind::Secret).map(|f| f.name.as_str()).collect();
            problems.push(FieldProblem::new(names.join(", "), "give a new value"));
        }
        let stored = |name: &str| old.secrets.contains_key(name);
        let filled = form::fill(descriptor, protocol, &old.settings, &new.secrets, &stored, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let mut secrets = self.credentials.unseal(old.id, &old.secrets)?;
        secrets.extend(filled.secrets.clone());
        let mut trial = old.clone();
        trial.authentication = self.plan(&installed, protocol, &old.settings).await?;
        let permit =
            credentials::resolve(old.id, descriptor, &protocol.name, &trial.authentication, &old.settings, &secrets)?;
        let call = Arc::new(Call::new(self.egress.limits().clone(), Instant::now() + self.test_wall));
        let now = || self.outside.now();
        let mut probed = probe::probe(&self.runtime, &trial, Arc::new(permit), call, now).await;
        let other = match (&old.account, probed.report.as_ref().map(|report| &report.account)) {
            (Some(before), Some(Some(now))) if before.id != now.id => Some((before, format!("`{}`", now.label))),
            (Some(before), Some(None)) => Some((before, "an account that the service does not name".to_owned())),
            (Some(_), Some(Some(_)) | None) | (None, _) => None,
        };
        if let Some((before, now)) = other
            && !new.accept_account
        {
            probed.verdict.message =
                format!("the new credential works, and belongs to {now}; the connection belongs to `{}`", before.label);
            probed.verdict.hint = Some("accept the other account, or take a credential of the same one".into());
            return Ok((old.id, false, probed.verdict));
        }
        if !probed.verdict.passed() {
            return Ok((old.id, false, probed.verdict));
        }
        let verdict = probed.verdict;
        trial.secrets = self.credentials.seal(old.id, &secrets);
        trial.credential_at = self.outside.now();
        trial.verdict = Some(verdict.clone());
        if let Some(report) = probed.report {
            trial.account = report.account;
            trial.discovered = report.discovered;
        }
        let fields = filled.secrets.keys().cloned().collect();
        let saved = self.save(actor, trial, old.version, ChangeKind::Reconnected, fields).await?;
        Ok((saved.id, true, verdict))
    }

    pub(crate) async fn enable(&self, actor: &Actor, key: &str, enabled: bool) -> Result<ConnectionId, Error> {
        need(actor, Permission::ManageConnections)?;
        let old = self.find(actor, key)?;
        if old.enabled == enabled {
            return Ok(old.id);
        }
        let kind = if enabled { ChangeKind::Enabled } else { ChangeKind::Disabled };
        let version = old.version;
        let saved = self.save(actor, Connection { enabled, ..old }, version, kind, Vec::new()).await?;
        Ok(saved.id)
    }

    pub(crate) async fn delete(&self, actor: &Actor, key: &str) -> Result<(), Error> {
        need(actor, Permission::ManageConnections)?;
        let (id, name) = self.find(actor, key).map(|connection| (connection.id, connection.name))?;
        self.store
            .write(move |writer| {
                let flows = writer.flows_using(id)?;
                if !flows.is_empty() {
                    let users =
                        flows.into_iter().map(|flow| User { kind: "flow".into(), id: flow.id.into(), name: flow.name });
                    return Err(Error::InUse { kind: "connection", name, users: users.collect() });
                }
                writer.delete_connection(id)?;
                Ok(())
            })
            .await?;
        self.credentials.forget(id);
        Ok(())
    }

    /// Saves the next version, unless somebody else did meanwhile.
    pub(super) async fn save(
        &self,
        actor: &Actor,
        mut new: Connection,
        based_on: u64,
        kind: ChangeKind,
        fields: Vec<String>,
    ) -> Result<Connection, Error> {
        let now = self.outside.now();
        new.version = based_on + 1;
        new.updated_at = now;
        let change = Change { version: new.version, kind, actor: actor.name().to_owned(), at: now, fields };
        let saved = new.clone();
        let credentials = self.credentials.clone();
        self.store
            .write(move |writer| {
                let current =
                    writer.connection(new.id)?.ok_or_else(|| Error::not_found("connection", new.id.to_string()))?;
                stale(&current, based_on)?;
                let pinned = &new.connector;
                if writer.connector(&pinned.name, &pinned.version)?.is_none() {
                    return Err(Error::not_found("connector", format!("{}@{}", pinned.name, pinned.version)));
                }
                credentials.freshen(&mut new)?;
                if writer.connection_id_by_name(&new.name)?.is_some_and(|holder| holder != new.id) {
                    return Err(Error::Invalid { problems: vec![name_taken(&new.name)] });
                }
                // Only a reconnect brings a verdict of its own; after every other change the test that follows tells them.
                if let (ChangeKind::Reconnected, Some(verdict)) = (kind, &new.verdict) {
                    super::tell_flows(writer, new.id, verdict)?;
                }
                writer.put_connection(&new)?;
                writer.append_change(new.id, &change)?;
                Ok(())
            })
            .await?;
        Ok(saved)
    }

    /// After a change: what is switched off stays untested.
    async fn retest(&self, connection: &Connection) -> Result<(), Error> {
        if connection.enabled { self.test_stored(connection.clone()).await } else { Ok(()) }
    }

    /// The connector version that a new connection is made with. The inner error is the field's problem.
    fn usable(&self, given: &str, version: Option<&Version>) -> Result<Installed, Result<FieldProblem, Error>> {
        let problem = |words: String| Ok(FieldProblem::new("connector", words));
        let (name, tagged) = match given.split_once('@') {
            Some((name, tag)) => {
                let tag = Version::parse(tag).map_err(|error| problem(format!("`{tag}` is not a version: {error}")))?;
                (name, Some(tag))
            }
            None => (given, None),
        };
        let wanted = version.or(tagged.as_ref());
        let name = name.parse().map_err(|error| problem(format!("{error}")))?;
        let versions = self.store.read(|reader| reader.connector_versions(&name)).map_err(|error| Err(error.into()))?;
        if versions.is_empty() {
            return Err(problem(format!("no connector named `{name}` is installed")));
        }
        let right = |installed: &&Installed| wanted.is_none_or(|wanted| *wanted == installed.reference.version);
        let candidates: Vec<_> = versions.iter().filter(right).collect();
        match (candidates.iter().find(|installed| installed.enabled), candidates.is_empty(), wanted) {
            (Some(installed), _, _) => Ok((*installed).clone()),
            (None, true, Some(wanted)) => {
                let field = if version.is_some() { "connector-version" } else { "connector" };
                Err(Ok(FieldProblem::new(field, format!("version {wanted} of `{name}` is not installed"))))
            }
            (None, _, _) => Err(problem(format!("`{name}` is disabled: no new connections are made with it"))),
        }
    }
}

fn stale(current: &Connection, given: u64) -> Result<(), Error> {
    if current.version == given {
        Ok(())
    } else {
        Err(Error::Stale { kind: "connection", given, current: current.version })
    }
}

/// Names of what a change touches, for the history.
fn touched(old: &Connection, new: &Connection, secrets: &BTreeMap<String, Secret>) -> Vec<String> {
    let mut fields = BTreeSet::new();
    let whole = [
        ("name", old.name != new.name),
        ("description", old.description != new.description),
        ("visibility", old.visibility != new.visibility),
        ("protocol", old.protocol != new.protocol),
    ];
    fields.extend(whole.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()));
    let names: BTreeSet<_> = old.settings.keys().chain(new.settings.keys()).collect();
    fields.extend(names.into_iter().filter(|name| old.settings.get(*name) != new.settings.get(*name)).cloned());
    fields.extend(secrets.keys().cloned());
    fields.extend(old.secrets.keys().filter(|name| !new.secrets.contains_key(*name)).cloned());
    fields.into_iter().collect()
}

/// Used by flows to name the connection that is meant.
pub(crate) fn find_visible(
    reader: &crate::store::Reader<'_>,
    actor: &Actor,
    key: &str,
) -> Result<Option<Connection>, crate::store::StoreError> {
    Ok(find(reader, key)?.filter(|connection| super::visible(actor, connection)))
}
