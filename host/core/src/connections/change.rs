//! What a person does to a connection: create, edit, reconnect, enable, delete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use semver::Version;

use super::{Connections, form, name_taken, named, need, probe};
use crate::credentials::{Obtained, Pinned, Staged, Unusable};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::connection::{Change, ChangeKind, Connection};
use crate::model::connector::Installed;
use crate::model::credential::CLIENT_ID;
use crate::model::descriptor::{FieldKind, SignIn};
use crate::model::error::{Error, FieldProblem, User};
use crate::model::event::Telling;
use crate::model::id::ConnectionId;
use crate::model::secret::Secret;
use crate::model::verdict::Verdict;
use crate::model::view::{EditConnection, NewConnection, Reconnect};
use crate::store::Noting;

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
        if let Some(named) = new.named_credential.as_deref().filter(|named| !named.is_empty()) {
            let begun = named::Begun { name, description, problems };
            return self.create_by_name(actor, &installed, &new, named, begun).await;
        }
        let protocol = match form::protocol(descriptor, new.protocol.as_deref()) {
            Ok(protocol) => protocol,
            Err(problem) => {
                problems.push(problem);
                return Err(Error::Invalid { problems });
            }
        };
        let own_client = new.settings.get(CLIENT_ID).is_some_and(|id| !id.trim().is_empty());
        let named = new.identity_provider.as_deref();
        let provider = match self.credentials.provider_for(&installed.reference.name, protocol, named, own_client) {
            Ok(provider) => provider,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let known = form::Known { stored: &|_| false, provider: provider.as_ref() };
        let filled = form::fill(descriptor, protocol, &new.settings, &new.secrets, &known, &mut problems);
        let imported = new.tokens.map(|tokens| form::tokens(protocol, tokens, &mut problems));
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let authentication = self.credentials.plan(&installed, protocol, &filled.settings).await?;
        let id = self.outside.connection_id();
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
            identity_provider: provider.map(|provider| provider.name),
            named_credential: None,
            vouched: false,
            once_used: false,
            complete: imported.is_some() || protocol.sign_in != SignIn::Browser,
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
        // Made ready once before anything is kept: an origin that does not come out right is a field error, not a failed test.
        let pinned = Pinned { connection: &connection, installed: &installed, actor: actor.name() };
        let usable = self.credentials.with(pinned, &connection.authentication, &filled.secrets, imported.as_ref())?;
        let origins = usable.permit.origins().iter().map(ToString::to_string).collect();
        self.store_new(actor, connection, origins, imported).await
    }

    /// Keeps a new connection, and tests it.
    pub(super) async fn store_new(
        &self,
        actor: &Actor,
        connection: Connection,
        origins: Vec<String>,
        imported: Option<Obtained>,
    ) -> Result<ConnectionId, Error> {
        let (id, now) = (connection.id, connection.created_at);
        let fields: Vec<_> = connection.settings.keys().chain(connection.secrets.keys()).cloned().collect();
        let event =
            AuditEvent::of(now, actor.name(), AuditAction::ConnectionCreate, &connection).with_fields(fields.clone());
        let event = AuditEvent { origins, ..event };
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
                if let Some(named) = &stored.named_credential
                    && writer.named_credential(named)?.is_none()
                {
                    return Err(Error::not_found("named credential", named));
                }
                writer.put_connection(&stored)?;
                writer.append_change(stored.id, &change)?;
                writer.audit(&event)?;
                writer.tell(Telling::created(now, &change.actor, &stored))?;
                if let Some(imported) = &imported {
                    writer.put_credential(stored.id, &credentials.sealed(stored.id, 1, imported))?;
                }
                Ok(())
            })
            .await?;
        // One that waits for a person has nothing to test yet. That a test could not be made does not undo what is stored: it
        // is answered as what it is, not tested.
        if connection.complete
            && let Err(error) = self.test_stored(actor, connection).await
        {
            tracing::warn!(connection = %id, %error, "a new connection could not be tested");
        }
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
        if new.visibility != old.visibility && old.owner != actor.name() {
            problems.push(FieldProblem::new("visibility", format!("only its owner, `{}`, may change it", old.owner)));
        }
        if let Some(named) = &old.named_credential {
            named::judge_edit(&old, named, &edit)?;
            if !problems.is_empty() {
                return Err(Error::Invalid { problems });
            }
            let saved = match touched(&old, &new, &BTreeMap::new()) {
                fields if fields.is_empty() => old,
                fields => self.save(actor, new, old.version, ChangeKind::Edited, fields, Obtaining::Keep).await?,
            };
            self.retest(actor, &saved).await?;
            return Ok(saved.id);
        }
        let protocol = match form::protocol(descriptor, Some(edit.protocol.as_deref().unwrap_or(&old.protocol))) {
            Ok(protocol) => protocol,
            Err(problem) => {
                problems.push(problem);
                return Err(Error::Invalid { problems });
            }
        };
        let provider = self.credentials.provider_used(&old)?.filter(|_| protocol.name == old.protocol);
        let provided = |name: &str| provider.as_ref().is_some_and(|provider| provider.settings.contains_key(name));
        let mut settings = old.settings.clone();
        settings.retain(|name, _| descriptor.fields(protocol).any(|field| field.name == *name) && !provided(name));
        settings.extend(edit.settings.iter().map(|(name, value)| (name.clone(), value.clone())));
        let stored = |name: &str| old.secrets.contains_key(name);
        let known = form::Known { stored: &stored, provider: provider.as_ref() };
        let filled = form::fill(descriptor, protocol, &settings, &edit.secrets, &known, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let mut secrets = self.credentials.unseal(old.id, &old.secrets)?;
        secrets.retain(|name, _| descriptor.fields(protocol).any(|f| f.name == *name && f.kind == FieldKind::Secret));
        let kept: Vec<String> = secrets.keys().filter(|name| !filled.secrets.contains_key(*name)).cloned().collect();
        secrets.extend(filled.secrets.clone());
        new.protocol.clone_from(&protocol.name);
        new.settings = filled.settings;
        new.identity_provider = provider.map(|provider| provider.name);
        new.authentication = self.credentials.plan(&installed, protocol, &new.settings).await?;
        let pinned = Pinned { connection: &new, installed: &installed, actor: actor.name() };
        let usable = self.credentials.with(pinned, &new.authentication, &secrets, None)?;
        self.same_origins(actor, &old, &installed, usable.permit.origins(), &kept)?;
        if !filled.secrets.is_empty() || kept.len() != old.secrets.len() {
            new.secrets = self.credentials.seal(old.id, &secrets);
            new.credential_at = self.outside.now();
        }
        let fields = touched(&old, &new, &filled.secrets);
        if fields.is_empty() {
            self.retest(actor, &old).await?;
            return Ok(old.id);
        }
        // What the last test said was said of other settings, unless only words for people changed.
        if fields.iter().any(|field| !matches!(field.as_str(), "name" | "description" | "visibility")) {
            new.verdict = None;
        }
        // What was obtained with other fields, in another way or for another client is of no use to this one.
        let (before, after) = (&old.authentication.grant, &new.authentication.grant);
        let grant_fields = fields.iter().any(|field| new.authentication.grant_names().contains(field));
        let again = before != after || old.protocol != new.protocol || (!after.is_empty() && grant_fields);
        if again {
            new.complete = protocol.sign_in != SignIn::Browser;
        }
        let credential = if again { Obtaining::Forget } else { Obtaining::Keep };
        let saved = self.save(actor, new, old.version, ChangeKind::Edited, fields, credential).await?;
        self.retest(actor, &saved).await?;
        Ok(saved.id)
    }

    /// A stored secret was given for the places that it goes to now. Whoever sends it elsewhere has to know it.
    fn same_origins(
        &self,
        actor: &Actor,
        old: &Connection,
        installed: &Arc<Installed>,
        origins: &[crate::model::origin::Origin],
        kept: &[String],
    ) -> Result<(), Error> {
        if kept.is_empty() {
            return Ok(());
        }
        let pinned = Pinned { connection: old, installed, actor: actor.name() };
        let secrets = self.credentials.unseal(old.id, &old.secrets)?;
        let before = self.credentials.with(pinned, &old.authentication, &secrets, None)?;
        let before = before.permit.origins();
        let Some(new) = origins.iter().find(|origin| !before.contains(origin)) else { return Ok(()) };
        let words = format!("give it again: it was given for another address, and would be sent to {new} now");
        Err(Error::Invalid { problems: kept.iter().map(|name| FieldProblem::new(name, &words)).collect() })
    }

    /// Tries new secrets beside the stored ones; only a pass, by the same account, replaces them.
    pub(crate) async fn reconnect(
        &self,
        actor: &Actor,
        key: &str,
        new: Reconnect,
    ) -> Result<(ConnectionId, bool, Verdict), Error> {
        need(actor, Permission::ManageConnections)?;
        let old = self.find(actor, key)?;
        if let Some(named) = &old.named_credential {
            return Err(named::no_reconnect(named));
        }
        if !old.enabled {
            return Err(super::disabled(&old));
        }
        let installed = self.installed(&old)?;
        let descriptor = &installed.descriptor;
        let protocol = form::protocol(descriptor, Some(&old.protocol))
            .map_err(|problem| Error::Invalid { problems: vec![problem] })?;
        if let Some(tokens) = new.tokens {
            let mut problems = Vec::new();
            let imported = form::tokens(protocol, tokens, &mut problems);
            if !problems.is_empty() {
                return Err(Error::Invalid { problems });
            }
            let plan = self.credentials.plan(&installed, protocol, &old.settings).await?;
            let pinned = Pinned { connection: &old, installed: &installed, actor: actor.name() };
            let secrets = self.credentials.unseal(old.id, &old.secrets)?;
            let usable = self.credentials.with(pinned, &plan, &secrets, Some(&imported))?;
            let staged = Staged { usable, obtained: Some(imported) };
            let trial = Connection { authentication: plan, complete: true, ..old.clone() };
            return self.replace(actor, &old, trial, staged, new.accept_account, vec!["tokens".into()]).await;
        }
        if protocol.sign_in == SignIn::Browser {
            return Err(Error::Refused {
                rule: "browser",
                message: format!("the protocol `{}` signs in by a browser", protocol.name),
                hint: Some(
                    "authorize the connection again; its old credential stays in use until the new one passed".into(),
                ),
            });
        }
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
        let provider = self.credentials.provider_used(&old)?;
        let known = form::Known { stored: &stored, provider: provider.as_ref() };
        let filled = form::fill(descriptor, protocol, &old.settings, &new.secrets, &known, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let mut secrets = self.credentials.unseal(old.id, &old.secrets)?;
        secrets.extend(filled.secrets.clone());
        let mut trial = old.clone();
        trial.authentication = self.credentials.plan(&installed, protocol, &old.settings).await?;
        let pinned = Pinned { connection: &trial, installed: &installed, actor: actor.name() };
        let staged = match self.credentials.stage(pinned, &trial.authentication, &secrets).await {
            Ok(staged) => staged,
            Err(Unusable::Failed(failure)) => {
                let probed = probe::failed(failure, self.outside.now(), Duration::ZERO);
                self.trying(actor, &old).ended(|event| tried(event, &probed.verdict));
                return Ok((old.id, false, probed.verdict));
            }
            Err(Unusable::Error(error)) => return Err(error),
        };
        trial.secrets = self.credentials.seal(old.id, &secrets);
        let fields = filled.secrets.keys().cloned().collect();
        self.replace(actor, &old, trial, staged, new.accept_account, fields).await
    }

    /// Tests a new credential beside the old one. Only where it passes, and belongs to the same account, it takes its place.
    pub(super) async fn replace(
        &self,
        actor: &Actor,
        old: &Connection,
        mut trial: Connection,
        staged: Staged,
        accept_account: bool,
        fields: Vec<String>,
    ) -> Result<(ConnectionId, bool, Verdict), Error> {
        let Staged { usable, obtained } = staged;
        let trying = self.trying(actor, old);
        let mut probed = self.probe_with(&trial, &usable).await;
        let other = match (&old.account, probed.report.as_ref().map(|report| &report.account)) {
            (Some(before), Some(Some(now))) if before.id != now.id => Some((before, format!("`{}`", now.label))),
            (Some(before), Some(None)) => Some((before, "an account that the service does not name".to_owned())),
            (Some(_), Some(Some(_)) | None) | (None, _) => None,
        };
        if let Some((before, now)) = other
            && !accept_account
        {
            probed.verdict.message =
                format!("the new credential works, and belongs to {now}; the connection belongs to `{}`", before.label);
            probed.verdict.hint = Some("accept the other account, or take a credential of the same one".into());
            trying.ended(|event| event.asked(&probed.verdict.exchanges).failed("another-account"));
            return Ok((old.id, false, probed.verdict));
        }
        if !probed.verdict.passed() {
            trying.ended(|event| tried(event, &probed.verdict));
            return Ok((old.id, false, probed.verdict));
        }
        let verdict = probed.verdict;
        trial.credential_at = self.outside.now();
        trial.verdict = Some(verdict.clone());
        if let Some(report) = probed.report {
            trial.account = report.account;
            trial.discovered = report.discovered;
        }
        // The same account's consent carries the new credential too: to take it back would take both.
        let revoking = if accept_account { self.revoking(actor, old)? } else { None };
        let credential = obtained.map_or(Obtaining::Keep, Obtaining::Put);
        let saved = self.save(actor, trial, old.version, ChangeKind::Reconnected, fields, credential).await?;
        trying.recorded();
        self.revoke_later(revoking);
        Ok((saved.id, true, verdict))
    }

    /// The record of a new credential that is tried.
    fn trying(&self, actor: &Actor, connection: &Connection) -> Noting<'_> {
        let (now, action) = (self.outside.now(), AuditAction::ConnectionReconnect);
        self.store.noting(AuditEvent::of(now, actor.name(), action, connection))
    }

    pub(crate) async fn enable(&self, actor: &Actor, key: &str, enabled: bool) -> Result<ConnectionId, Error> {
        need(actor, Permission::ManageConnections)?;
        let old = self.find(actor, key)?;
        if old.enabled == enabled {
            return Ok(old.id);
        }
        let kind = if enabled { ChangeKind::Enabled } else { ChangeKind::Disabled };
        let version = old.version;
        let new = Connection { enabled, ..old };
        let saved = self.save(actor, new, version, kind, Vec::new(), Obtaining::Keep).await?;
        if !enabled {
            self.egress.close(&saved.id.to_string());
        }
        Ok(saved.id)
    }

    pub(crate) async fn delete(&self, actor: &Actor, key: &str) -> Result<(), Error> {
        need(actor, Permission::ManageConnections)?;
        let connection = self.find(actor, key)?;
        let revoking = self.revoking(actor, &connection)?;
        let event = AuditEvent::of(self.outside.now(), actor.name(), AuditAction::ConnectionDelete, &connection);
        let (id, name) = (connection.id, connection.name);
        self.store
            .write(move |writer| {
                let flows = writer.flows_using(id)?;
                if !flows.is_empty() {
                    let users =
                        flows.into_iter().map(|flow| User { kind: "flow".into(), id: flow.id.into(), name: flow.name });
                    return Err(Error::InUse { kind: "connection", name, users: users.collect() });
                }
                if let Some(last) = writer.connection(id)? {
                    writer.delete_connection(id)?;
                    writer.audit(&event)?;
                    writer.tell(Telling::deleted(event.at, &event.actor, &last))?;
                }
                Ok(())
            })
            .await?;
        self.credentials.forget(id);
        self.egress.close(&id.to_string());
        self.revoke_later(revoking);
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
        credential: Obtaining,
    ) -> Result<Connection, Error> {
        let now = self.outside.now();
        new.version = based_on + 1;
        new.updated_at = now;
        let event = AuditEvent::of(now, actor.name(), kind.into(), &new).with_fields(fields.clone());
        let event = match (kind, &new.verdict) {
            (ChangeKind::Reconnected, Some(verdict)) => event.asked(&verdict.exchanges),
            _ => event,
        };
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
                    super::tell_flows(writer, &new, verdict, &change.actor)?;
                }
                writer.put_connection(&new)?;
                writer.append_change(new.id, &change)?;
                writer.audit(&event)?;
                for telling in Telling::changed(now, &change.actor, (&current, &new), kind, change.fields.clone()) {
                    writer.tell(telling)?;
                }
                match &credential {
                    Obtaining::Keep => {}
                    Obtaining::Forget => {
                        writer.remove_credential(new.id)?;
                    }
                    Obtaining::Put(obtained) => {
                        let generation = writer.credential(new.id)?.map_or(0, |old| old.generation) + 1;
                        writer.put_credential(new.id, &credentials.sealed(new.id, generation, obtained))?;
                    }
                }
                Ok(())
            })
            .await?;
        self.credentials.forget(saved.id);
        Ok(saved)
    }

    /// After a change: what is switched off stays untested, and so does what was only rehearsed.
    async fn retest(&self, actor: &Actor, connection: &Connection) -> Result<(), Error> {
        match connection.enabled && connection.complete && !self.store.is_rehearsing() {
            true => self.test_stored(actor, connection.clone()).await,
            false => Ok(()),
        }
    }

    /// The connector version that a new connection is made with. The inner error is the field's problem.
    fn usable(&self, given: &str, version: Option<&Version>) -> Result<Arc<Installed>, Result<FieldProblem, Error>> {
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
        let right = |installed: &&Arc<Installed>| wanted.is_none_or(|wanted| *wanted == installed.reference.version);
        let candidates: Vec<_> = versions.iter().filter(right).collect();
        match (candidates.iter().find(|installed| installed.enabled), candidates.is_empty(), wanted) {
            (Some(installed), _, _) => Ok(Arc::clone(installed)),
            (None, true, Some(wanted)) => {
                let field = if version.is_some() { "connector-version" } else { "connector" };
                Err(Ok(FieldProblem::new(field, format!("version {wanted} of `{name}` is not installed"))))
            }
            (None, _, _) => Err(problem(format!("`{name}` is disabled: no new connections are made with it"))),
        }
    }
}

fn tried(event: AuditEvent, verdict: &Verdict) -> AuditEvent {
    event.asked(&verdict.exchanges).judged(&verdict.outcome)
}

/// What a change does to what was obtained.
pub(super) enum Obtaining {
    Keep,
    Forget,
    Put(Obtained),
}

pub(super) fn stale(current: &Connection, given: u64) -> Result<(), Error> {
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
    let found = reader.connection_by_key(key)?.filter(|connection| super::visible(actor, connection));
    Ok(found.map(Arc::unwrap_or_clone))
}
