//! How principals and named credentials stand, who may use them, and what a connection is sent with that goes by one.
//!
//! The rights are those of the connection's owner, looked up anew whenever a permit is made: a permission set that is taken
//! away takes effect at the next request, whoever makes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::holder::Signing;
use super::{looks_after, user};
use crate::credentials::{Credentials, Pinned, Unusable, Usable, native};
use crate::egress::Permit;
use crate::model::actor::{Actor, Permission};
use crate::model::connection::Connection;
use crate::model::credential::{Credential, REFRESH_TOKEN};
use crate::model::descriptor::{FieldKind, SignIn};
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::named::{ExternalCredential, Holder, NamedCredential, Principal, PrincipalKind};
use crate::model::secret::Sealed;
use crate::model::verdict::{Failure, FailureKind};
use crate::model::view::{CredentialProtocol, MissingPermission, NamedCredentialView, PrincipalView};
use crate::store::{Reader, StoreError};

/// How a principal stands, for everybody or for one user.
pub(super) struct State {
    pub(super) external: ExternalCredential,
    pub(super) holder: Option<Holder>,
    pub(super) credential: Option<Credential>,
    pub(super) configured: bool,
    pub(super) authenticated: bool,
    pub(super) problem: Option<String>,
}

pub(super) fn protocol(external: &ExternalCredential) -> Result<CredentialProtocol, Error> {
    native::protocol(&external.protocol).map_err(|problem| Error::Invalid { problems: vec![problem] })
}

/// Nothing where what it signs in to is gone.
pub(super) fn state_of(
    reader: &Reader<'_>,
    principal: &Principal,
    user: Option<&str>,
    now: Timestamp,
) -> Result<Option<State>, StoreError> {
    let Some(external) = reader.external_credential(&principal.external_credential)? else { return Ok(None) };
    let Ok(protocol) = protocol(&external) else { return Ok(None) };
    let holder = reader.holder_of(&principal.name, user)?;
    let credential = holder.as_ref().map_or(Ok(None), |holder| reader.credential(holder.id))?;
    let parameters = native::parameters(&protocol, &external.headers);
    let lacking: Vec<_> = parameters
        .iter()
        .filter(|field| field.required)
        .filter(|field| match (&field.kind, &holder) {
            (FieldKind::Secret, Some(holder)) => !holder.secrets.contains_key(&field.name),
            (_, Some(holder)) => !holder.settings.contains_key(&field.name),
            (_, None) => true,
        })
        .map(|field| field.name.as_str())
        .collect();
    let configured = lacking.is_empty();
    let ended = credential.as_ref().is_some_and(|credential| credential.ended.is_some());
    let expired = credential.as_ref().is_some_and(|credential| {
        !credential.secrets.contains_key(REFRESH_TOKEN) && credential.expires_at.is_some_and(|at| at <= now)
    });
    let failed = holder.as_ref().and_then(|holder| holder.problem.clone());
    let (authenticated, problem) = match protocol.sign_in {
        _ if !configured => (false, Some(format!("it is not configured: {} is missing", lacking.join(", ")))),
        SignIn::None => (true, None),
        _ if ended => (false, Some("the service no longer takes what it obtained".to_owned())),
        SignIn::Unattended => (failed.is_none(), failed.map(|failed| format!("{failed}; {}", again(&principal.name)))),
        SignIn::Browser if credential.is_none() => (false, Some("nobody has signed in yet".to_owned())),
        SignIn::Browser if expired => (false, Some("what it obtained has expired, and can't be renewed".to_owned())),
        SignIn::Browser => (true, None),
    };
    Ok(Some(State { external, holder, credential, configured, authenticated, problem }))
}

/// What to do about one that was rejected.
fn again(principal: &str) -> String {
    format!(
        "correct what it signs in with (turnbuckle setup principal put {principal}), \
         or try the same again (turnbuckle setup principal authorize {principal})"
    )
}

/// Whether the owner of a connection may use a principal.
fn opens(reader: &Reader<'_>, connection: &Connection, principal: &str) -> Result<bool, StoreError> {
    match reader.user(&connection.owner)? {
        Some(_) => user_opens(reader, &connection.owner, principal),
        None => Ok(connection.vouched),
    }
}

fn user_opens(reader: &Reader<'_>, user: &str, principal: &str) -> Result<bool, StoreError> {
    let Some(user) = reader.user(user)?.filter(|user| user.enabled) else { return Ok(false) };
    for set in &user.permission_sets {
        if reader
            .permission_set(set)?
            .is_some_and(|set| set.permissions.contains(&Permission::ManageSetup) || set.principals.contains(principal))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A named credential with the one principal behind it.
struct Chosen {
    named: NamedCredential,
    principal: Principal,
}

/// Why there is no such thing to go by: the reason, and what to do.
struct Unfit(String);

fn chosen(reader: &Reader<'_>, name: &str) -> Result<Result<Chosen, Unfit>, StoreError> {
    let Some(named) = reader.named_credential(name)? else {
        return Ok(Err(Unfit(format!("there is no named credential `{name}`"))));
    };
    if !named.enabled {
        return Ok(Err(Unfit(format!("the named credential `{name}` is disabled"))));
    }
    let mut principals = reader.principals_of(&named.external_credential)?.into_iter();
    Ok(match (principals.next(), principals.len()) {
        (Some(principal), 0) => Ok(Chosen { named, principal }),
        (None, _) => Err(Unfit(format!("the named credential `{name}` has no principal; it takes exactly one"))),
        (Some(_), more) => {
            Err(Unfit(format!("the named credential `{name}` has {} principals; it takes exactly one", more + 1)))
        }
    })
}

fn holder_user<'a>(principal: &Principal, user: &'a str) -> Option<&'a str> {
    (principal.kind == PrincipalKind::PerUser).then_some(user)
}

/// What a new connection by a named credential begins with.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) named_credential: String,
    pub(crate) url: String,
    /// Whether the actor, who is no user of this host, has the right to it.
    pub(crate) vouched: bool,
}

/// What a connection leans on that others set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Footing {
    /// Where a named credential sends its requests.
    pub(crate) url: Option<String>,
    /// Who signs in for it.
    pub(crate) holder: Option<ConnectionId>,
    /// The OAuth client of its identity provider: id, secret, and what it fills in.
    pub(crate) client: Option<(String, Option<Sealed>, BTreeMap<String, String>)>,
    /// What stands in its way.
    pub(crate) hindrance: Option<Hindrance>,
}

/// Why a connection does not work, whatever its service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// Its owner may not use what it goes by.
    Right(MissingPermission),
    /// What it leans on can't be used.
    Unfit(String),
}

/// Connections by a named credential.
impl Credentials {
    /// What a connection by this named credential leans on at this moment. Finds what a permit would find, and opens nothing.
    pub(in crate::credentials) fn named_footing(
        reader: &Reader<'_>,
        connection: &Connection,
        name: &str,
        now: Timestamp,
    ) -> Result<Footing, StoreError> {
        let unfit = |words| Footing { hindrance: Some(Hindrance::Unfit(words)), ..Footing::default() };
        let Chosen { named, principal } = match chosen(reader, name)? {
            Ok(chosen) => chosen,
            Err(Unfit(words)) => return Ok(unfit(words)),
        };
        let Some(state) = state_of(reader, &principal, holder_user(&principal, &connection.owner), now)? else {
            return Ok(unfit(format!("what the named credential `{name}` stands on is gone")));
        };
        let right = match opens(reader, connection, &principal.name)? {
            true => None,
            false => {
                let (user, principal) = (connection.owner.clone(), principal.name);
                Some(Hindrance::Right(MissingPermission { user, principal }))
            }
        };
        let signed_out = state.problem.filter(|_| !state.authenticated);
        let words = |problem| format!("the named credential `{name}` can't be used: {problem}");
        Ok(Footing {
            url: Some(named.url),
            holder: state.holder.map(|holder| holder.id),
            client: None,
            hindrance: right.or(signed_out.map(|problem| Hindrance::Unfit(words(problem)))),
        })
    }

    /// Whether a connection can be made on this named credential now. That the actor may not use its principal is no hindrance:
    /// the test says so. The inner error is the field's problem.
    pub(crate) fn endpoint(&self, actor: &Actor, given: &str) -> Result<Result<Endpoint, String>, Error> {
        let now = self.outside.now();
        let name = given.trim().to_lowercase();
        let found = self.store.read(|reader| {
            let Chosen { named, principal } = match chosen(reader, &name)? {
                Ok(chosen) => chosen,
                Err(Unfit(words)) => return Ok::<_, StoreError>(Err(words)),
            };
            let known = reader.user(actor.name())?.is_some();
            let may = match known {
                true => user_opens(reader, actor.name(), &principal.name)?,
                false => actor.opens(&principal.name),
            };
            // Nobody can have signed in as a principal that is closed to them.
            if may || principal.kind == PrincipalKind::Named {
                let state = state_of(reader, &principal, holder_user(&principal, actor.name()), now)?;
                if let Some(words) = state.filter(|state| !state.authenticated).map(|_| match principal.kind {
                    PrincipalKind::Named => format!("the named credential `{name}` is not authenticated"),
                    PrincipalKind::PerUser => format!(
                        "sign in as its principal first: turnbuckle setup principal authorize {}",
                        principal.name
                    ),
                }) {
                    return Ok(Err(words));
                }
            }
            Ok(Ok(Endpoint { named_credential: named.name, url: named.url, vouched: !known && may }))
        })?;
        Ok(found)
    }

    /// The one origin of a connection by a named credential.
    pub(crate) fn url_of(reader: &Reader<'_>, named: &str) -> Result<Option<String>, StoreError> {
        Ok(reader.named_credential(named)?.map(|named| named.url))
    }

    /// The right that a connection's owner lacks, if any.
    pub(crate) fn missing(
        reader: &Reader<'_>,
        connection: &Connection,
    ) -> Result<Option<MissingPermission>, StoreError> {
        let Some(name) = &connection.named_credential else { return Ok(None) };
        let Ok(Chosen { principal, .. }) = chosen(reader, name)? else { return Ok(None) };
        let open = opens(reader, connection, &principal.name)?;
        Ok((!open).then(|| MissingPermission { user: connection.owner.clone(), principal: principal.name }))
    }

    /// What a connection by a named credential is used with.
    pub(in crate::credentials) async fn usable_by_name(
        &self,
        pinned: Pinned<'_>,
        name: &str,
    ) -> Result<Arc<Usable>, Unusable> {
        // Read before what it vouches for: a change in between makes this permit one of yesterday.
        let setup = self.store.setup();
        let connection = pinned.connection;
        let (url, signing) = self.signing_for(connection, name)?;
        let holder = signing.pinned(pinned.actor);
        let credential = self.current(holder).await?;
        let secrets = self.unseal(signing.connection.id, &signing.connection.secrets)?;
        let mut values = self.field_values(holder, &secrets)?;
        if let Some(credential) = &credential {
            values = self.open(signing.connection.id, credential)?.added_to(values);
        }
        let plan = &signing.connection.authentication;
        let permit =
            Permit::resolve(connection.id.to_string(), std::slice::from_ref(&url), plan, &values, &self.outside);
        let permit = permit.map_err(Error::from)?;
        let descriptor = &pinned.installed.descriptor;
        let visible: BTreeMap<_, _> = descriptor.endpoint().map(|field| (field.to_owned(), url)).into_iter().collect();
        let usable = Usable::by_name(pinned, permit, visible, (&signing.connection, credential.as_ref()), setup);
        let usable = Arc::new(usable);
        self.keep(connection.id, &usable);
        Ok(usable)
    }

    /// Where a connection's requests go, and who signs in for it.
    pub(in crate::credentials) fn signing_for(
        &self,
        connection: &Connection,
        name: &str,
    ) -> Result<(String, Signing), Unusable> {
        let failed = |kind, message| Unusable::Failed(Failure { kind, message });
        let misconfigured = |message| failed(FailureKind::Misconfigured { field: None }, message);
        let (owner, now) = (connection.owner.as_str(), self.outside.now());
        let found = self.store.read(|reader| {
            let Chosen { named, principal } = match chosen(reader, name)? {
                Ok(chosen) => chosen,
                Err(Unfit(words)) => return Ok::<_, StoreError>(Err(misconfigured(words))),
            };
            if !opens(reader, connection, &principal.name)? {
                let words = format!("`{owner}`, who owns the connection, may not use the named credential `{name}`");
                return Ok(Err(failed(FailureKind::Forbidden, words)));
            }
            let Some(state) = state_of(reader, &principal, holder_user(&principal, owner), now)? else {
                return Ok(Err(misconfigured(format!("what the named credential `{name}` stands on is gone"))));
            };
            if let (false, Some(problem)) = (state.configured, &state.problem) {
                return Ok(Err(misconfigured(format!("the named credential `{name}` can't be used: {problem}"))));
            }
            Ok(Ok((named.url, state.external, principal, state.holder)))
        });
        let (url, external, principal, holder) = found.map_err(Error::from)??;
        let holder = holder.unwrap_or_else(|| Holder {
            // Nothing is held where nothing is asked for.
            id: connection.id,
            principal: principal.name.clone(),
            user: None,
            settings: BTreeMap::new(),
            secrets: BTreeMap::new(),
            problem: None,
            updated_at: external.updated_at,
        });
        Ok((url, self.signing(&external, &principal, &holder)?))
    }
}

/// Looked at.
impl Credentials {
    /// Principals that the actor may know of: all of them, or those that are open to it.
    pub(crate) fn principals(&self, actor: &Actor) -> Result<Vec<PrincipalView>, Error> {
        let now = self.outside.now();
        Ok(self.store.read(|reader| {
            let mut views = Vec::new();
            for principal in reader.principals()? {
                if may_know(reader, actor, &principal)? {
                    views.push(principal_view(reader, actor, principal, now)?);
                }
            }
            Ok::<_, StoreError>(views)
        })?)
    }

    /// One of them.
    pub(crate) fn principal(&self, actor: &Actor, name: &str) -> Result<PrincipalView, Error> {
        let now = self.outside.now();
        let principal = self.principal_for(actor, name)?;
        Ok(self.store.read(|reader| principal_view(reader, actor, principal, now))?)
    }

    /// The record, for whoever may know of it.
    pub(super) fn principal_for(&self, actor: &Actor, name: &str) -> Result<Principal, Error> {
        let missing = || Error::not_found("principal", name);
        let key = user::name(name).map_err(|_no_name_of_any| missing())?;
        let found = self.store.read(|reader| match reader.principal(&key)? {
            Some(principal) if may_know(reader, actor, &principal)? => Ok::<_, StoreError>(Some(principal)),
            Some(_) | None => Ok(None),
        })?;
        found.ok_or_else(missing)
    }

    /// Named credentials, by name.
    pub(crate) fn nameds(&self, actor: &Actor) -> Result<Vec<NamedCredentialView>, Error> {
        let now = self.outside.now();
        Ok(self.store.read(|reader| {
            reader
                .named_credentials()?
                .into_iter()
                .map(|named| named_view(reader, actor, named, now))
                .collect::<Result<_, StoreError>>()
        })?)
    }

    /// One of them.
    pub(crate) fn named(&self, actor: &Actor, name: &str) -> Result<NamedCredentialView, Error> {
        let now = self.outside.now();
        let missing = || Error::not_found("named credential", name);
        let key = user::name(name).map_err(|_no_name_of_any| missing())?;
        let found = self.store.read(|reader| {
            let found = reader.named_credential(&key)?;
            found.map(|named| named_view(reader, actor, named, now)).transpose()
        })?;
        found.ok_or_else(missing)
    }
}

fn may_know(reader: &Reader<'_>, actor: &Actor, principal: &Principal) -> Result<bool, StoreError> {
    Ok(looks_after(actor)
        || match reader.user(actor.name())? {
            Some(_) => user_opens(reader, actor.name(), &principal.name)?,
            None => actor.opens(&principal.name),
        })
}

fn principal_view(
    reader: &Reader<'_>,
    actor: &Actor,
    principal: Principal,
    now: Timestamp,
) -> Result<PrincipalView, StoreError> {
    let state = state_of(reader, &principal, holder_user(&principal, actor.name()), now)?;
    let (mut users, mut permission_sets) = (Vec::new(), Vec::new());
    if looks_after(actor) {
        users.extend(reader.holders_of(&principal.name)?.into_iter().filter_map(|holder| holder.user));
        let sets = reader.permission_sets()?.into_iter().filter(|set| set.principals.contains(&principal.name));
        permission_sets.extend(sets.map(|set| set.name));
    }
    let (configured, authenticated) = state.as_ref().map_or((false, false), |s| (s.configured, s.authenticated));
    let asked = state.as_ref().and_then(|state| {
        let protocol = protocol(&state.external).ok()?;
        Some((protocol.sign_in, native::parameters(&protocol, &state.external.headers)))
    });
    let (sign_in, parameters) = asked.unwrap_or((SignIn::None, Vec::new()));
    let (settings, secrets) =
        state.as_ref().and_then(|state| state.holder.clone()).map(|holder| (holder.settings, holder.secrets)).unzip();
    Ok(PrincipalView {
        sign_in,
        parameters,
        configured,
        authenticated,
        problem: state.as_ref().and_then(|state| state.problem.clone()),
        settings: settings.unwrap_or_default(),
        secrets: secrets.unwrap_or_default().into_keys().collect(),
        expires_at: state.and_then(|state| state.credential?.expires_at),
        users,
        permission_sets,
        name: principal.name,
        label: principal.label,
        external_credential: principal.external_credential,
        kind: principal.kind,
        version: principal.version,
        owner: principal.owner,
        updated_at: principal.updated_at,
    })
}

fn named_view(
    reader: &Reader<'_>,
    actor: &Actor,
    named: NamedCredential,
    now: Timestamp,
) -> Result<NamedCredentialView, StoreError> {
    let external = reader.external_credential(&named.external_credential)?;
    let principals = reader.principals_of(&named.external_credential)?;
    let only = match principals.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let state = match only {
        Some(only) => state_of(reader, only, holder_user(only, actor.name()), now)?,
        None => None,
    };
    let (configured, authenticated) = state.as_ref().map_or((false, false), |s| (s.configured, s.authenticated));
    // What is behind it is told to those who may know of it.
    let known = match only {
        Some(only) => may_know(reader, actor, only)?,
        None => looks_after(actor),
    };
    let problem = match chosen(reader, &named.name)? {
        Err(Unfit(words)) => Some(words),
        Ok(Chosen { principal, .. }) if !authenticated => Some(match state.and_then(|state| state.problem) {
            Some(problem) if known => format!("its principal `{}` is not authenticated: {problem}", principal.name),
            Some(_) | None => "it is not authenticated".to_owned(),
        }),
        Ok(_) => None,
    };
    let mut warnings = Vec::new();
    if named.external_credential != named.name {
        warnings.push(format!(
            "it stands on the external credential `{}`; by convention both have one name",
            named.external_credential
        ));
    }
    if let Some(only) = only.filter(|only| only.name != named.external_credential && known) {
        warnings.push(format!("its principal is named `{}`; by convention all have one name", only.name));
    }
    Ok(NamedCredentialView {
        protocol: external.map(|external| external.protocol).unwrap_or_default(),
        kind: only.map(|only| only.kind),
        principals: if looks_after(actor) { principals.iter().map(|p| p.name.clone()).collect() } else { Vec::new() },
        configured,
        authenticated,
        problem,
        warnings,
        name: named.name,
        label: named.label,
        url: named.url,
        external_credential: named.external_credential,
        enabled: named.enabled,
        version: named.version,
        owner: named.owner,
        updated_at: named.updated_at,
    })
}
