//! What principals sign in with: given, obtained, renewed and used by the very machinery of connections.
//!
//! To that machinery a holder is a connection of the host's own: it has an id, fields and a plan, and what it obtains stands
//! under its id. It is in no list, and no guest ever sees it.

use std::sync::Arc;

use std::collections::BTreeMap;

use url::Url;

use super::states::{self, State};
use super::{fill, later, looks_after, sheet};
use crate::credentials::renew::is_passing;
use crate::credentials::seal::Shelf;
use crate::credentials::{Begin, Credentials, Finish, Pinned, Return, Unusable, native};
use crate::model::actor::{Actor, HOST, Permission};
use crate::model::audit::AuditAction;
use crate::model::authentication::Authentication;
use crate::model::connection::{Connection, Visibility};
use crate::model::connector::{ConnectorRef, Installed, Surface};
use crate::model::credential::{CLIENT_SECRET, Purpose};
use crate::model::descriptor::SignIn;
use crate::model::error::Error;
use crate::model::id::{ConnectionId, Digest};
use crate::model::named::{AUTHORIZATION_URL, EXTERNAL, ExternalCredential, Holder, NATIVE, Principal, PrincipalKind};
use crate::model::origin::Origin;
use crate::model::secret::Secret;
use crate::model::verdict::{Outcome, Verdict};
use crate::model::view::{Authorization, AuthorizePrincipal};
use crate::store::Writer;

/// A holder as the machinery of connections takes it.
#[derive(Debug, Clone)]
pub(in crate::credentials) struct Signing {
    pub(in crate::credentials) connection: Connection,
    pub(in crate::credentials) installed: Arc<Installed>,
}

impl Signing {
    pub(in crate::credentials) fn pinned<'a>(&'a self, actor: &'a str) -> Pinned<'a> {
        Pinned { connection: &self.connection, installed: &self.installed, actor }
    }
}

/// Whether this connection stands for a principal.
pub(in crate::credentials) fn is_holder(connection: &Connection) -> bool {
    connection.connector.name.as_str() == NATIVE
}

/// The last part of the redirect URI of those who sign in to an external credential by a browser.
pub(super) fn callback(external: &ExternalCredential) -> Option<String> {
    let url: Url = external.settings.get(AUTHORIZATION_URL)?.parse().ok()?;
    Some(provider(&external.name, Origin::of(&url).as_ref()))
}

/// No identity provider and no connector can have it, for it holds a point; it names the service, as those of connections do.
pub(in crate::credentials) fn provider(external: &str, service: Option<&Origin>) -> String {
    let own = format!("{EXTERNAL}.{external}");
    match service {
        Some(service) if service.scheme() == "https" && service.port() == 443 => format!("{own}.{}", service.host()),
        Some(service) => format!("{own}.{}:{}", service.host(), service.port()),
        None => own,
    }
}

impl Credentials {
    /// Makes a holder ready to sign in.
    pub(super) fn signing(
        &self,
        external: &ExternalCredential,
        principal: &Principal,
        holder: &Holder,
    ) -> Result<Signing, Error> {
        let protocol = states::protocol(external)?;
        let mut fields = protocol.settings.clone();
        fields.extend(native::parameters(&protocol, &external.headers));
        let (descriptor, _) = sheet(&external.label, &protocol, fields, native::origins(&external.settings));
        let given = |name: &str| holder.settings.contains_key(name) || holder.secrets.contains_key(name);
        let mut settings = external.settings.clone();
        settings.extend(holder.settings.clone());
        let reference = ConnectorRef {
            name: NATIVE.parse().map_err(|error| Error::internal("naming a principal")(Box::new(error)))?,
            version: semver::Version::new(0, 0, 0),
            digest: Digest::of(b""),
        };
        let connection = Connection {
            id: holder.id,
            // Whatever changes in either of them makes another version.
            version: later(external.updated_at, holder.updated_at),
            name: principal.name.clone(),
            description: String::new(),
            connector: reference.clone(),
            protocol: external.protocol.clone(),
            authentication: native::plan(&external.protocol, &settings, &external.headers, given),
            settings,
            secrets: holder.secrets.clone(),
            // Whose OAuth client it goes by.
            identity_provider: Some(external.name.clone()),
            named_credential: None,
            vouched: false,
            once_used: false,
            complete: true,
            enabled: true,
            verdict: None,
            account: None,
            discovered: BTreeMap::new(),
            owner: holder.user.clone().unwrap_or_else(|| principal.owner.clone()),
            visibility: Visibility::Private,
            created_at: holder.updated_at,
            updated_at: holder.updated_at,
            credential_at: holder.updated_at,
        };
        let installed = Installed {
            reference,
            descriptor,
            surface: Surface::default(),
            size: 0,
            enabled: true,
            featured: false,
            installed_at: holder.updated_at,
            installed_by: principal.owner.clone(),
        };
        Ok(Signing { connection, installed: Arc::new(installed) })
    }

    /// How a connection, or a principal, authenticates with these settings.
    pub(in crate::credentials) async fn plan_of(
        &self,
        pinned: Pinned<'_>,
        settings: &BTreeMap<String, String>,
    ) -> Result<Authentication, Error> {
        if is_holder(pinned.connection) {
            return Ok(pinned.connection.authentication.clone());
        }
        let protocol = pinned.installed.descriptor.protocol(&pinned.connection.protocol);
        let protocol = protocol.ok_or_else(|| Error::not_found("protocol", &pinned.connection.protocol))?;
        self.plan(pinned.installed, protocol, settings).await
    }

    /// The secret of the OAuth client that a principal signs in by.
    pub(in crate::credentials) fn holders_client(&self, holder: &Connection) -> Result<Option<Secret>, Error> {
        let Some(name) = &holder.identity_provider else { return Ok(None) };
        let Some(external) = self.store.read(|reader| reader.external_credential(name))? else { return Ok(None) };
        Ok(self.unseal_from(Shelf::ExternalCredentials, name, &external.secrets)?.remove(CLIENT_SECRET))
    }

    /// Keeps what somebody signs in with. Gives it, and the names of what was given.
    pub(super) fn set_holder(
        &self,
        writer: &mut Writer<'_>,
        external: &ExternalCredential,
        principal: &Principal,
        user: Option<&str>,
        (settings, secrets): (BTreeMap<String, String>, &BTreeMap<String, Secret>),
    ) -> Result<(Holder, Vec<String>), Error> {
        let old = writer.holder_of(&principal.name, user)?;
        let given: Vec<_> = settings.keys().chain(secrets.keys()).cloned().collect();
        let mut holder = old.unwrap_or_else(|| Holder {
            id: self.outside.connection_id(),
            principal: principal.name.clone(),
            user: user.map(str::to_owned),
            settings: BTreeMap::new(),
            secrets: BTreeMap::new(),
            problem: None,
            updated_at: self.outside.now(),
        });
        if given.is_empty() {
            writer.put_holder(&holder)?;
            return Ok((holder, given));
        }
        let protocol = states::protocol(external)?;
        let parameters = native::parameters(&protocol, &external.headers);
        let mut problems = Vec::new();
        let mut values = holder.settings.clone();
        values.extend(settings);
        let stored = |name: &str| holder.secrets.contains_key(name);
        let filled = fill("A principal", &protocol, &parameters, (values, secrets), &stored, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let mut secrets = self.unseal(holder.id, &holder.secrets)?;
        let fresh = unlike(filled.secrets, &secrets);
        if holder.settings != filled.settings || !fresh.is_empty() {
            secrets.retain(|name, _| parameters.iter().any(|field| field.name == *name));
            secrets.extend(fresh);
            holder.settings = filled.settings;
            holder = self.put_anew(writer, holder, &secrets)?;
        }
        Ok((holder, given))
    }

    /// Keeps it under another id. What was obtained for it, and sign-ins and renewals that are under way, belong to what it was
    /// before: they find nothing to be kept with.
    pub(super) fn put_anew(
        &self,
        writer: &mut Writer<'_>,
        old: Holder,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Holder, Error> {
        writer.remove_holder(&old)?;
        let id = self.outside.connection_id();
        let holder =
            Holder { id, secrets: self.seal(id, secrets), problem: None, updated_at: self.outside.now(), ..old };
        writer.put_holder(&holder)?;
        Ok(holder)
    }

    /// Signs in, where that takes no person and nothing is there from before, and keeps what came of it.
    pub(super) async fn obtain_lacking(&self, actor: &Actor, principal: &Principal) -> Result<(), Error> {
        let id = self.store.read(|reader| Ok(reader.holder_of(&principal.name, None)?.map(|holder| holder.id)))?;
        let there = id.map_or(Ok(None), |id| self.store.read(|reader| reader.credential(id)))?;
        match there.is_some_and(|credential| credential.ended.is_none()) {
            true => Ok(()),
            false => self.obtain_unattended(actor, principal).await,
        }
    }

    /// Signs in, where that takes no person, and keeps what came of it.
    pub(super) async fn obtain_unattended(&self, actor: &Actor, principal: &Principal) -> Result<(), Error> {
        let (user, now) = ((principal.kind == PrincipalKind::PerUser).then(|| actor.name()), self.outside.now());
        let Some(state) = self.store.read(|reader| states::state_of(reader, principal, user, now))? else {
            return Ok(());
        };
        let State { external, holder, credential, configured, .. } = state;
        let unattended = states::protocol(&external)?.sign_in == SignIn::Unattended;
        let (true, true, Some(holder)) = (configured, unattended, holder) else { return Ok(()) };
        let signing = self.signing(&external, principal, &holder)?;
        let seen = credential.as_ref().map_or(0, |credential| credential.generation);
        match self.renew_of(signing.pinned(actor.name()), seen).await {
            Ok(()) => Ok(()),
            // What was obtained before is still good, as far as anybody knows.
            Err(Unusable::Failed(failure)) if is_passing(&failure.kind) && credential.is_some() => Ok(()),
            Err(Unusable::Failed(failure)) => self.rejected(holder.id, failure.message).await,
            Err(Unusable::Error(error)) => Err(error),
        }
    }

    /// Keeps why somebody could not sign in as a principal. A sign-in that works takes it away.
    pub(in crate::credentials) async fn rejected(&self, id: ConnectionId, problem: String) -> Result<(), Error> {
        self.store
            .write(move |writer| {
                let holder = writer.holder(id)?.filter(|holder| holder.problem.as_ref() != Some(&problem));
                if let Some(holder) = holder {
                    writer.put_holder(&Holder { problem: Some(problem), ..holder })?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// Renews what was obtained for a principal and is due, whoever uses it or nobody. Nothing where it is gone, or somebody did
    /// it meanwhile.
    pub(crate) async fn renew_principal_ahead(&self, id: ConnectionId) -> Result<Option<Outcome>, Error> {
        let now = self.outside.now();
        let found = self.store.read(|reader| {
            let Some(holder) = reader.holder(id)? else { return Ok(None) };
            let Some(principal) = reader.principal(&holder.principal)? else { return Ok(None) };
            let Some(external) = reader.external_credential(&principal.external_credential)? else { return Ok(None) };
            let due = reader.plan(id)?.renewal.is_some_and(|due| due.at <= now);
            Ok::<_, crate::store::StoreError>(
                reader
                    .credential(id)?
                    .filter(|_| due)
                    .map(|credential| (external, principal, holder, credential.generation)),
            )
        })?;
        let Some((external, principal, holder, seen)) = found else { return Ok(None) };
        let signing = self.signing(&external, &principal, &holder)?;
        match self.renew_of(signing.pinned(HOST), seen).await {
            Ok(()) => Ok(Some(Outcome::Passed)),
            Err(Unusable::Failed(failure)) => Ok(Some(Outcome::Failed(failure.kind))),
            Err(Unusable::Error(error)) => Err(error),
        }
    }

    /// Takes what somebody signs in with as this principal, and signs in or begins to.
    pub(crate) async fn authorize_principal(
        &self,
        actor: &Actor,
        name: &str,
        base: Option<&Url>,
        authorize: AuthorizePrincipal,
    ) -> Result<Option<Authorization>, Unusable> {
        let principal = self.principal_for(actor, name)?;
        let user = match principal.kind {
            PrincipalKind::Named if looks_after(actor) => None,
            PrincipalKind::Named => return Err(Error::Forbidden { permission: Permission::ManageSetup }.into()),
            PrincipalKind::PerUser => Some(actor.name().to_owned()),
        };
        let AuthorizePrincipal { settings, secrets, loopback_port } = authorize;
        let (credentials, who, given) = (self.clone(), actor.clone(), principal.clone());
        let (external, holder) = self
            .store
            .write(move |writer| {
                // It may have been removed, and be another one by now.
                if writer.principal(&given.name)?.as_ref() != Some(&given) {
                    return Err(Error::not_found("principal", &given.name));
                }
                let external = writer.external_credential(&given.external_credential)?;
                let external =
                    external.ok_or_else(|| Error::not_found("external credential", &given.external_credential))?;
                let (holder, fields) =
                    credentials.set_holder(writer, &external, &given, user.as_deref(), (settings, &secrets))?;
                // What everybody shares is changed by it.
                if given.kind == PrincipalKind::Named && !fields.is_empty() {
                    let version = writer.next_version()?;
                    writer.put_principal(&Principal { version, ..given.clone() })?;
                }
                let event = credentials.done(&who, AuditAction::PrincipalAuthorize, &given.name);
                writer.audit(&event.with_fields(fields))?;
                Ok::<_, Error>((external, holder))
            })
            .await?;
        let signing = self.signing(&external, &principal, &holder)?;
        if signing.connection.authentication.grant.authorization.is_none() {
            self.obtain_unattended(actor, &principal).await?;
            return Ok(None);
        }
        let Some(base) = base else { return Err(not_reachable().into()) };
        let back = match loopback_port {
            Some(0) => return Err(Error::field("loopback-port", "must be a port from 1 to 65535").into()),
            Some(port) => Return::Loopback(port),
            None => Return::Cookie,
        };
        let begin = Begin { base, back, purpose: Purpose::Connect };
        let begun = self.begin(actor, signing.pinned(actor.name()), begin).await?;
        Ok(Some(Authorization {
            url: begun.url.to_string(),
            redirect_uri: begun.redirect_uri,
            expires_at: begun.expires_at,
            cookie: begun.cookie,
        }))
    }

    /// The principal that a sign-in is for, where it is for one.
    pub(crate) fn principal_of(&self, finish: &Finish) -> Result<Option<String>, Error> {
        let found = self.store.read(|reader| reader.holder(finish.pending.connection))?;
        Ok(found.map(|holder| holder.principal))
    }

    /// Ends a sign-in of a principal: what came is in use from then on.
    pub(crate) async fn finish_principal(
        &self,
        actor: &Actor,
        name: &str,
        finish: Finish,
    ) -> Result<Verdict, Unusable> {
        let principal = self.principal_for(actor, name)?;
        let id = finish.pending.connection;
        let missing = || Error::not_found("principal", name);
        let found = self.store.read(|reader| {
            let external = reader.external_credential(&principal.external_credential)?;
            Ok::<_, crate::store::StoreError>(external.zip(reader.holder(id)?))
        });
        let (external, holder) = found.map_err(Error::from)?.ok_or_else(missing)?;
        let own = match principal.kind {
            PrincipalKind::Named => looks_after(actor),
            PrincipalKind::PerUser => holder.user.as_deref() == Some(actor.name()),
        };
        if !own {
            return Err(missing().into());
        }
        let signing = self.signing(&external, &principal, &holder)?;
        let obtained = self.exchange(signing.pinned(actor.name()), &finish).await?;
        let credentials = self.clone();
        let event = self.done(actor, AuditAction::PrincipalSignIn, &principal.name);
        self.store
            .write(move |writer| {
                let Some(mut holder) = writer.holder(id)? else {
                    return Err(Error::not_found("principal", &signing.connection.name));
                };
                let generation = writer.credential(id)?.map_or(0, |old| old.generation) + 1;
                writer.put_credential(id, &credentials.sealed(id, generation, &obtained))?;
                holder.problem = None;
                writer.put_holder(&holder)?;
                Ok(writer.audit(&event)?)
            })
            .await?;
        Ok(Verdict {
            outcome: Outcome::Passed,
            message: format!("The principal `{}` is signed in.", principal.name),
            hint: None,
            at: self.outside.now(),
            microseconds: 0,
            exchanges: Vec::new(),
            log: None,
        })
    }

    /// Forgets the permits of connections that go by this holder.
    pub(in crate::credentials) fn forget_by(&self, holder: ConnectionId) {
        self.kept.lock().expect("no holder of this lock panics").forget_by(holder);
    }
}

/// Secrets that are others than those that are stored: who gives the same again changes nothing.
pub(super) fn unlike(given: BTreeMap<String, Secret>, stored: &BTreeMap<String, Secret>) -> BTreeMap<String, Secret> {
    let same = |name: &str, secret: &Secret| stored.get(name).is_some_and(|stored| stored.expose() == secret.expose());
    given.into_iter().filter(|(name, secret)| !same(name, secret)).collect()
}

fn not_reachable() -> Error {
    Error::Refused {
        rule: "not-reachable",
        message: "nobody listens for the browser that comes back".into(),
        hint: Some("start a server: `turnbuckle serve`".into()),
    }
}
