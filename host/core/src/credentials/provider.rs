//! OAuth clients that the operator registered, each for one protocol of one connector and for no other.

use std::collections::BTreeMap;

use super::seal::Shelf;
use super::{Credentials, Footing, Hindrance, Pinned};
use crate::model::actor::Actor;
use crate::model::audit::{AuditAction, AuditEvent, AuditKind, AuditObject};
use crate::model::connection::{Connection, Visibility};
use crate::model::credential::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
use crate::model::descriptor::{Descriptor, FieldKind, Protocol, SignIn};
use crate::model::error::{Error, FieldProblem, User};
use crate::model::field;
use crate::model::id::{ConnectorName, kebab};
use crate::model::secret::Secret;
use crate::model::view::{IdentityProviderView, PutIdentityProvider};
use crate::store::{Reader, StoreError};
use jiff::Timestamp;

/// The fields that an identity provider fills in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub(crate) id: Option<String>,
    pub(crate) secret: Option<Secret>,
}

impl Credentials {
    /// Adds one, or changes it. A blank secret keeps the stored one.
    pub(crate) async fn put_provider(
        &self,
        actor: &Actor,
        name: &str,
        mut put: PutIdentityProvider,
    ) -> Result<IdentityProviderView, Error> {
        let mut problems = Vec::new();
        if let Err(problem) = kebab(name) {
            problems.push(FieldProblem::new("name", problem));
        }
        let connector = put.connector.parse::<ConnectorName>();
        match &connector {
            Ok(connector) => self.judge_protocol(connector, &put.protocol, &mut put.settings, &mut problems)?,
            Err(error) => problems.push(FieldProblem::new("connector", error.to_string())),
        }
        let label = put.label.clone().unwrap_or_else(|| name.to_owned());
        for (field, text, most) in [("label", &label, 80), ("client-id", &put.client_id, 1_000)] {
            let length = text.trim().chars().count();
            if length == 0 || length > most || text.chars().any(char::is_control) {
                problems.push(FieldProblem::new(field, format!("must be one line of 1 to {most} characters")));
            }
        }
        let (true, Ok(connector)) = (problems.is_empty(), connector) else { return Err(Error::Invalid { problems }) };
        let (credentials, name, owner, now) =
            (self.clone(), name.to_owned(), actor.name().to_owned(), self.outside.now());
        let given = put.client_secret.filter(|secret| !secret.is_empty());
        let mut fields: Vec<_> = put.settings.keys().cloned().collect();
        fields.push(CLIENT_ID.to_owned());
        fields.extend(given.is_some().then(|| CLIENT_SECRET.to_owned()));
        let kept = self
            .store
            .write(move |writer| {
                let old = writer.identity_provider(&name)?;
                put.expected.met("identity provider", &name, old.as_ref().map(|old| old.version))?;
                if let Some(old) = &old
                    && (old.connector != connector || old.protocol != put.protocol)
                {
                    return Err(Error::field(
                        "connector",
                        format!("`{name}` serves `{}` by `{}`; a client is never shared", old.connector, old.protocol),
                    ));
                }
                let client_secret = match given {
                    Some(secret) => {
                        let secrets = BTreeMap::from([(CLIENT_SECRET.to_owned(), secret)]);
                        credentials.seal_on(Shelf::IdentityProviders, &name, &secrets).remove(CLIENT_SECRET)
                    }
                    None => old.and_then(|old| old.client_secret),
                };
                let provider = IdentityProvider {
                    name,
                    label,
                    connector,
                    protocol: put.protocol,
                    client_id: put.client_id.trim().to_owned(),
                    client_secret,
                    settings: put.settings,
                    version: writer.next_version()?,
                    owner,
                    updated_at: now,
                };
                writer.put_identity_provider(&provider)?;
                let object = AuditObject::named(AuditKind::IdentityProvider, &provider.name);
                let event = AuditEvent::new(now, &provider.owner, AuditAction::IdentityProviderPut, object);
                writer.audit(&event.with_fields(fields))?;
                Ok(provider)
            })
            .await?;
        // What was opened with the old secret is of no use any more.
        self.kept.lock().expect("no holder of this lock panics").clear();
        Ok(view(kept))
    }

    fn judge_protocol(
        &self,
        connector: &ConnectorName,
        protocol: &str,
        settings: &mut BTreeMap<String, String>,
        problems: &mut Vec<FieldProblem>,
    ) -> Result<(), Error> {
        let versions = self.store.read(|reader| reader.connector_versions(connector))?;
        let Some(newest) = versions.first() else {
            problems.push(FieldProblem::new("connector", format!("no connector named `{connector}` is installed")));
            return Ok(());
        };
        let takes_client = |protocol: &&Protocol| {
            protocol.sign_in != SignIn::None && protocol.fields.iter().any(|f| f.name == CLIENT_ID)
        };
        let offered: Vec<_> = newest.descriptor.protocols.iter().filter(takes_client).collect();
        let chosen = offered.iter().find(|offered| offered.name == protocol);
        if let Some(chosen) = chosen {
            judge_settings(&newest.descriptor, chosen, settings, problems);
        } else {
            let names: Vec<_> = offered.iter().map(|protocol| protocol.name.as_str()).collect();
            let words = match names.as_slice() {
                [] => format!("`{connector}` has no protocol with an OAuth client"),
                names => {
                    format!("`{connector}` has no such protocol with an OAuth client; it has {}", names.join(", "))
                }
            };
            problems.push(FieldProblem::new("protocol", words));
        }
        Ok(())
    }

    /// All of them, by name.
    pub(crate) fn providers(&self) -> Result<Vec<IdentityProviderView>, Error> {
        Ok(self.store.read(|reader| reader.identity_providers())?.into_iter().map(view).collect())
    }

    /// One of them.
    pub(crate) fn provider(&self, name: &str) -> Result<IdentityProviderView, Error> {
        let found = self.store.read(|reader| reader.identity_provider(name))?;
        found.map(view).ok_or_else(|| Error::not_found("identity provider", name))
    }

    /// Removes one that no connection uses.
    pub(crate) async fn remove_provider(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let (name, who, now) = (name.to_owned(), actor.name().to_owned(), self.outside.now());
        self.store
            .write(move |writer| {
                if writer.identity_provider(&name)?.is_none() {
                    return Err(Error::not_found("identity provider", &name));
                }
                let users = connections_with(writer, &name, &who)?;
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "identity provider", name, users });
                }
                writer.remove_identity_provider(&name)?;
                let object = AuditObject::named(AuditKind::IdentityProvider, &name);
                writer.audit(&AuditEvent::new(now, &who, AuditAction::IdentityProviderRemove, object))?;
                Ok(())
            })
            .await
    }

    /// Connections with the client of one, as this actor may know of them.
    pub(crate) fn leaning_on_provider(&self, actor: &Actor, name: &str) -> Result<Vec<User>, Error> {
        let found = self.store.read(|reader| {
            let provider = reader.identity_provider(name)?;
            provider.map(|provider| connections_with(reader, &provider.name, actor.name())).transpose()
        })?;
        found.ok_or_else(|| Error::not_found("identity provider", name))
    }

    /// The one that a new connection takes its client from: the one that is named, else the only one there is, unless the
    /// connection brings a client of its own.
    pub(crate) fn provider_for(
        &self,
        connector: &ConnectorName,
        protocol: &Protocol,
        named: Option<&str>,
        own_client: bool,
    ) -> Result<Option<IdentityProvider>, FieldProblem> {
        let problem = |words: String| FieldProblem::new("identity-provider", words);
        let unreadable = |error: crate::store::StoreError| problem(error.to_string());
        if let Some(name) = named.filter(|name| !name.is_empty()) {
            let found = self.store.read(|reader| reader.identity_provider(name)).map_err(unreadable)?;
            let Some(found) = found else { return Err(problem(format!("there is no identity provider `{name}`"))) };
            if found.connector != *connector || found.protocol != protocol.name {
                return Err(problem(format!("`{name}` serves `{}` by `{}` only", found.connector, found.protocol)));
            }
            return Ok(Some(found));
        }
        if own_client || !protocol.fields.iter().any(|field| field.name == CLIENT_ID) {
            return Ok(None);
        }
        let all = self.store.read(|reader| reader.identity_providers()).map_err(unreadable)?;
        let mut fitting = all.into_iter().filter(|p| p.connector == *connector && p.protocol == protocol.name);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(Some(only)),
            (Some(first), Some(second)) => {
                Err(problem(format!("there are several: choose one, `{}` or `{}`", first.name, second.name)))
            }
            (None, _) => Ok(None),
        }
    }

    /// The identity provider that a connection uses.
    pub(crate) fn provider_used(&self, connection: &Connection) -> Result<Option<IdentityProvider>, Error> {
        let Some(name) = &connection.identity_provider else { return Ok(None) };
        let found = self.store.read(|reader| reader.identity_provider(name))?;
        found.map(Some).ok_or_else(|| Error::not_found("identity provider", name))
    }

    /// What a connection leans on that others set up, at this moment.
    pub(crate) fn footing(reader: &Reader<'_>, connection: &Connection, now: Timestamp) -> Result<Footing, StoreError> {
        if let Some(named) = &connection.named_credential {
            return Self::named_footing(reader, connection, named, now);
        }
        let Some(name) = &connection.identity_provider else { return Ok(Footing::default()) };
        let Some(provider) = reader.identity_provider(name)? else {
            let words = format!("there is no identity provider `{name}`");
            return Ok(Footing { hindrance: Some(Hindrance::Unfit(words)), ..Footing::default() });
        };
        let installed = reader.connector(&connection.connector.name, &connection.connector.version)?;
        let pinned = installed.as_ref().map(|installed| Pinned { connection, installed, actor: &connection.owner });
        let unlike = pinned.and_then(|pinned| same_service(&provider, pinned).err());
        Ok(Footing {
            client: Some((provider.client_id, provider.client_secret, provider.settings)),
            hindrance: unlike.map(|error| Hindrance::Unfit(error.to_string())),
            ..Footing::default()
        })
    }

    /// Id and secret of the client that a connection uses, where an identity provider supplies them.
    pub(super) fn client(&self, pinned: Pinned<'_>) -> Result<Client, Error> {
        let connection = pinned.connection;
        let Some(provider) = self.provider_used(connection)? else { return Ok(Client::default()) };
        let name = &provider.name;
        // A client is never shared between connectors, however its record came to be named.
        if provider.connector != connection.connector.name || provider.protocol != connection.protocol {
            return Err(Error::Refused {
                rule: "identity-provider",
                message: format!("the identity provider `{name}` serves another connector or protocol"),
                hint: Some("edit the connection and choose another one".into()),
            });
        }
        same_service(&provider, pinned)?;
        let secret = match &provider.client_secret {
            Some(sealed) => {
                let sealed = BTreeMap::from([(CLIENT_SECRET.to_owned(), sealed.clone())]);
                self.unseal_from(Shelf::IdentityProviders, name, &sealed)?.remove(CLIENT_SECRET)
            }
            None => None,
        };
        Ok(Client { id: Some(provider.client_id), secret })
    }
}

fn connections_with(reader: &Reader<'_>, provider: &str, who: &str) -> Result<Vec<User>, StoreError> {
    let mut users = Vec::new();
    for id in reader.connections_by_provider(provider, 20)? {
        let Some(connection) = reader.connection(id)? else { continue };
        let hidden = connection.visibility == Visibility::Private && connection.owner != who;
        let shown = if hidden { id.to_string() } else { connection.name };
        users.push(User { kind: "connection".into(), id: id.to_string(), name: shown });
    }
    Ok(users)
}

/// Fields that an identity provider fills in are the protocol's, hold what such fields may hold, and are no secrets.
fn judge_settings(
    descriptor: &Descriptor,
    protocol: &Protocol,
    settings: &mut BTreeMap<String, String>,
    problems: &mut Vec<FieldProblem>,
) {
    for (name, value) in settings {
        let field = descriptor.fields(protocol).find(|field| field.name == *name && field.name != CLIENT_ID);
        match field.filter(|field| field.kind != FieldKind::Secret) {
            Some(field) => match field::check(field, value.trim()) {
                Ok(()) => *value = field::normal(field, value.trim()),
                Err(words) => problems.push(FieldProblem::new(name.as_str(), words)),
            },
            None => {
                let words = format!("{} by `{}` has no such field to fill in", descriptor.label, protocol.name);
                problems.push(FieldProblem::new(name.as_str(), words));
            }
        }
    }
}

/// A client's secret, and codes that were made out to it, go only to the service that it is registered at: where a
/// connection's settings choose the service, its identity provider must say the same.
fn same_service(provider: &IdentityProvider, pinned: Pinned<'_>) -> Result<(), Error> {
    let Pinned { connection, installed, .. } = pinned;
    let Some(protocol) = installed.descriptor.protocol(&connection.protocol) else { return Ok(()) };
    let endpoints = connection.authentication.endpoint_names();
    for field in installed.descriptor.fields(protocol) {
        let name = field.name.as_str();
        let said = match provider.settings.get(name) {
            Some(said) => Some(said),
            None if field.kind == FieldKind::Url && endpoints.contains(name) => field.default.as_ref(),
            None => continue,
        };
        let own = connection.settings.get(name);
        if said == own {
            continue;
        }
        let provider = &provider.name;
        return Err(Error::field(
            name,
            match (said, own) {
                (Some(said), _) => format!("the identity provider `{provider}` fills it in, as `{said}`"),
                (None, Some(own)) => format!(
                    "the identity provider `{provider}` does not say where its service is: put it again with `{name}` set to `{own}`"
                ),
                (None, None) => format!("the identity provider `{provider}` does not say where its service is"),
            },
        ));
    }
    Ok(())
}

fn view(provider: IdentityProvider) -> IdentityProviderView {
    IdentityProviderView {
        callback: format!("/oauth/callback/{}", provider.name),
        name: provider.name,
        label: provider.label,
        connector: provider.connector,
        protocol: provider.protocol,
        client_id: provider.client_id,
        has_secret: provider.client_secret.is_some(),
        settings: provider.settings,
        version: provider.version,
        owner: provider.owner,
        updated_at: provider.updated_at,
    }
}
