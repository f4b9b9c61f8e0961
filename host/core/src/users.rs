//! Who may do what: permission sets, the users that hold them, and the tokens and accounts that stand for users.
//!
//! What a token opens is worked out anew for each request, so a changed permission set, a disabled user and a revoked token
//! take effect at the next one. Whoever holds `manage-setup` is an administrator: it gives everything else.

mod identities;
pub(crate) mod oidc;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::error::{self, Error, FieldProblem};
use crate::model::outside::Outside;
use crate::model::secret::Secret;
use crate::model::user::{self, PermissionSet, Token, User};
use crate::model::view::{
    CreatedToken, IdentityView, NewToken, PutPermissionSet, PutUser, TokenView, UserView, Whoami,
};
use crate::store::{Reader, Store, StoreError, TokenHash, Writer};

pub use identities::{AccountKey, Arrival, BegunSignIn};

/// Every token begins so: whoever looks for leaked ones knows it at sight.
const PREFIX: &str = "tb_";
/// For how many days a token works, where nothing is said, and at most.
const DAYS: (u32, u32) = (90, 3_650);
/// How much stands in the way of a removal is told up to here.
const TOLD: usize = 20;
const LABEL: usize = 80;

/// What the first start makes.
const FIRST_SET: &str = "administrators";
const FIRST_USER: &str = "administrator";
const FIRST_TOKEN: &str = "first-start";

/// What a token is known by: its hash. Whoever keeps one can ask whom the token stands for, and can't use it as the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKey(TokenHash);

impl TokenKey {
    /// None for a text that is no token of any host.
    pub fn of(text: &str) -> Option<Self> {
        text.starts_with(PREFIX).then(|| Self(Sha256::digest(text).into()))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey")
    }
}

/// The users of a host. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Users {
    pub(crate) store: Store,
    pub(crate) outside: Outside,
    /// Whose accounts sign people in; none where the operator set none up.
    pub(crate) provider: Option<Arc<oidc::Provider>>,
}

/// Permission sets.
impl Users {
    /// Adds one, or changes it.
    pub(crate) async fn put_set(
        &self,
        actor: &Actor,
        given: &str,
        put: PutPermissionSet,
    ) -> Result<PermissionSet, Error> {
        let mut problems = Vec::new();
        let name = named(user::name(given), &mut problems);
        label(put.label.as_deref(), &mut problems);
        let (Some(name), true) = (name, problems.is_empty()) else { return Err(Error::Invalid { problems }) };
        let (who, now) = (actor.name().to_owned(), self.outside.now());
        self.store
            .write(move |writer| {
                let old = writer.permission_set(&name)?;
                put.expected.met("permission set", &name, old.as_ref().map(|old| old.version))?;
                let old_permissions = old.as_ref().map(|old| old.permissions.clone());
                let permissions = put.permissions.or(old_permissions);
                let permissions = permissions.ok_or_else(|| Error::field("permissions", "is required"))?;
                for principal in put.principals.iter().flatten() {
                    if writer.principal(principal)?.is_none() {
                        let words = format!("there is no principal `{principal}`");
                        problems.push(FieldProblem::new("principals", words));
                    }
                }
                if !problems.is_empty() {
                    return Err(Error::Invalid { problems });
                }
                let (old_label, old_principals) = old.map(|old| (old.label, old.principals)).unzip();
                let set = PermissionSet {
                    label: put.label.or(old_label).unwrap_or_else(|| name.clone()),
                    name,
                    permissions,
                    principals: put.principals.or(old_principals).unwrap_or_default(),
                    version: writer.next_version()?,
                    updated_at: now,
                    updated_by: who,
                };
                administered(writer, |writer| writer.put_permission_set(&set))?;
                let event = done(now, &set.updated_by, AuditAction::PermissionSetPut, &set.name);
                writer.audit(&event)?;
                Ok(set)
            })
            .await
    }

    /// All of them, by name.
    pub(crate) fn sets(&self) -> Result<Vec<PermissionSet>, Error> {
        Ok(self.store.read(|reader| reader.permission_sets())?)
    }

    /// One of them.
    pub(crate) fn set(&self, given: &str) -> Result<PermissionSet, Error> {
        let missing = || Error::not_found("permission set", given);
        let name = user::name(given).map_err(|_no_name_of_any| missing())?;
        self.store.read(|reader| reader.permission_set(&name))?.ok_or_else(missing)
    }

    /// Removes one that no user holds.
    pub(crate) async fn remove_set(&self, actor: &Actor, given: &str) -> Result<(), Error> {
        let name = self.set(given)?.name;
        let event = done(self.outside.now(), actor.name(), AuditAction::PermissionSetRemove, &name);
        self.store
            .write(move |writer| {
                let users = holders(writer, &name)?;
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "permission set", name, users });
                }
                match writer.remove_permission_set(&name)? {
                    true => Ok(writer.audit(&event)?),
                    false => Err(Error::not_found("permission set", name)),
                }
            })
            .await
    }
}

/// Users.
impl Users {
    /// Adds one, or changes it.
    pub(crate) async fn put(&self, actor: &Actor, given: &str, put: PutUser) -> Result<UserView, Error> {
        let mut problems = Vec::new();
        let name = named(user::user_name(given), &mut problems);
        label(put.label.as_deref(), &mut problems);
        let sets = put.permission_sets.map(|sets| {
            let known = |given: &String| named_as("permission-sets", user::name(given), &mut problems);
            sets.iter().filter_map(known).collect::<BTreeSet<_>>()
        });
        let (Some(name), true) = (name, problems.is_empty()) else { return Err(Error::Invalid { problems }) };
        let (who, now) = (actor.name().to_owned(), self.outside.now());
        self.store
            .write(move |writer| {
                for set in sets.iter().flatten() {
                    if writer.permission_set(set)?.is_none() {
                        problems
                            .push(FieldProblem::new("permission-sets", format!("there is no permission set `{set}`")));
                    }
                }
                if !problems.is_empty() {
                    return Err(Error::Invalid { problems });
                }
                let old = writer.user(&name)?;
                put.expected.met("user", &name, old.as_ref().map(|old| old.version))?;
                let mut user = old.unwrap_or_else(|| User {
                    label: name.clone(),
                    name,
                    enabled: true,
                    permission_sets: BTreeSet::new(),
                    version: 0,
                    created_at: now,
                    updated_at: now,
                    updated_by: String::new(),
                });
                user.label = put.label.unwrap_or(user.label);
                user.enabled = put.enabled.unwrap_or(user.enabled);
                user.permission_sets = sets.unwrap_or(user.permission_sets);
                user.version = writer.next_version()?;
                user.updated_at = now;
                user.updated_by = who;
                administered(writer, |writer| writer.put_user(&user))?;
                writer.audit(&done(now, &user.updated_by, AuditAction::UserPut, &user.name))?;
                Ok(user_view(writer, user)?)
            })
            .await
    }

    /// All of them, by name.
    pub(crate) fn list(&self) -> Result<Vec<UserView>, Error> {
        Ok(self.store.read(|reader| {
            let mut accounts = identities::by_user(reader)?;
            let users = reader.users()?.into_iter();
            let view = |user: User| {
                let bound = accounts.remove(&user.name).unwrap_or_default();
                view(reader, user, bound)
            };
            users.map(view).collect()
        })?)
    }

    /// One of them.
    pub(crate) fn get(&self, given: &str) -> Result<UserView, Error> {
        let missing = || Error::not_found("user", given);
        let name = user::user_name(given).map_err(|_no_name_of_any| missing())?;
        let found = self.store.read(|reader| reader.user(&name)?.map(|user| user_view(reader, user)).transpose())?;
        found.ok_or_else(missing)
    }

    /// Removes one, and its tokens. Refused while private connections are its own: nobody could reach them any more.
    pub(crate) async fn remove(&self, actor: &Actor, given: &str) -> Result<(), Error> {
        let name = self.get(given)?.name;
        let event = done(self.outside.now(), actor.name(), AuditAction::UserRemove, &name);
        self.store
            .write(move |writer| {
                let users = owned(writer, &name)?;
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "user", users, name });
                }
                match administered(writer, |writer| writer.remove_user(&name))? {
                    true => Ok(writer.audit(&event)?),
                    false => Err(Error::not_found("user", name)),
                }
            })
            .await
    }

    /// Users that hold a permission set.
    pub(crate) fn leaning_on_set(&self, given: &str) -> Result<Vec<error::User>, Error> {
        let name = self.set(given)?.name;
        Ok(self.store.read(|reader| holders(reader, &name))?)
    }

    /// What would be nobody's without this user.
    pub(crate) fn leaning_on_user(&self, given: &str) -> Result<Vec<error::User>, Error> {
        let name = self.get(given)?.name;
        Ok(self.store.read(|reader| owned(reader, &name))?)
    }

    /// What this actor is.
    pub(crate) fn whoami(&self, actor: &Actor) -> Result<Whoami, Error> {
        let user = self.store.read(|reader| reader.user(actor.name()))?;
        Ok(Whoami {
            name: actor.name().to_owned(),
            permissions: Permission::ALL.into_iter().filter(|permission| actor.may(*permission)).collect(),
            permission_sets: user.map(|user| user.permission_sets).unwrap_or_default(),
        })
    }
}

/// Tokens.
impl Users {
    /// Makes one. Its text is in the answer and nowhere else.
    pub(crate) async fn create_token(&self, actor: &Actor, new: NewToken) -> Result<CreatedToken, Error> {
        let mut problems = Vec::new();
        let name = named(user::name(&new.name), &mut problems);
        let user = named_as("user", user::user_name(&new.user), &mut problems);
        let (default, most) = DAYS;
        let days = new.days.unwrap_or(default);
        if !(1..=most).contains(&days) {
            problems.push(FieldProblem::new("days", format!("must be 1 to {most}")));
        }
        let (Some(name), Some(user), true) = (name, user, problems.is_empty()) else {
            return Err(Error::Invalid { problems });
        };
        let now = self.outside.now();
        let expires_at = now.checked_add(SignedDuration::from_hours(24 * i64::from(days))).ok();
        let (text, hash) = self.fresh();
        let (created_by, scope) = (actor.name().to_owned(), new.permissions);
        let view = self
            .store
            .write(move |writer| {
                if writer.tokens()?.iter().any(|(_, token)| token.name == name) {
                    problems.push(FieldProblem::new("name", format!("another token is named `{name}` already")));
                }
                match writer.user(&user)? {
                    None => problems.push(FieldProblem::new("user", format!("there is no user `{user}`"))),
                    Some(user) => {
                        let held = permissions_of(writer, &user)?;
                        for beyond in scope.iter().flatten().filter(|permission| !held.contains(permission)) {
                            let words = format!("`{}` does not have `{}`", user.name, beyond.name());
                            problems.push(FieldProblem::new("permissions", words));
                        }
                    }
                }
                if !problems.is_empty() {
                    return Err(Error::Invalid { problems });
                }
                let token = Token { name, user, scope, created_at: now, created_by, expires_at };
                writer.put_token(&hash, &token)?;
                writer.audit(&done(now, &token.created_by, AuditAction::TokenCreate, &token.name))?;
                Ok(token_view(writer, token, now)?)
            })
            .await?;
        Ok(CreatedToken { token: text, view })
    }

    /// All of them, by name.
    pub(crate) fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        let now = self.outside.now();
        Ok(self.store.read(|reader| {
            let mut found: Vec<_> = reader.tokens()?.into_iter().map(|(_, token)| token).collect();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.into_iter().map(|token| token_view(reader, token, now)).collect()
        })?)
    }

    /// One of them.
    pub(crate) fn token(&self, given: &str) -> Result<TokenView, Error> {
        let found = self.tokens()?.into_iter().find(|token| user::name(given).is_ok_and(|name| name == token.name));
        found.ok_or_else(|| Error::not_found("token", given))
    }

    /// Takes one back: it opens nothing from the next request on. An answer that is under way goes on to its end.
    pub(crate) async fn revoke_token(&self, actor: &Actor, given: &str) -> Result<(), Error> {
        let name = self.token(given)?.name;
        let event = done(self.outside.now(), actor.name(), AuditAction::TokenRevoke, &name);
        self.store
            .write(move |writer| match writer.remove_token(&name)? {
                true => Ok(writer.audit(&event)?),
                false => Err(Error::not_found("token", name)),
            })
            .await
    }

    /// Whom a token stands for at this moment; nobody where it is unknown, expired, or its user is disabled.
    ///
    /// It is looked up by its hash, so how long that takes says nothing about any token's text.
    pub(crate) fn authenticate(&self, key: &TokenKey) -> Result<Option<Actor>, Error> {
        let now = self.outside.now();
        Ok(self.store.read(|reader| {
            let Some(token) = reader.token(&key.0)? else { return Ok(None) };
            let Some(user) = reader.user(&token.user)?.filter(|user| user.enabled) else { return Ok(None) };
            let expired = token.expires_at.is_some_and(|at| at <= now);
            let opened = opened(reader, &token, now)?;
            Ok((!expired).then(|| Actor::new(user.name, opened)))
        })?)
    }

    /// The administrator of a host that has none, and a token that stands for it and never expires. None where there is an
    /// administrator already.
    pub(crate) async fn first_administrator(&self) -> Result<Option<CreatedToken>, Error> {
        if !self.store.read(administrators)?.is_empty() {
            return Ok(None);
        }
        let ((text, hash), now) = (self.fresh(), self.outside.now());
        let view = self
            .store
            .write(move |writer| {
                if !administrators(writer)?.is_empty() {
                    return Ok::<_, Error>(None);
                }
                let set = free(FIRST_SET, |name| Ok(writer.permission_set(name)?.is_some()))?;
                let name = free(FIRST_USER, |name| Ok(writer.user(name)?.is_some()))?;
                let token = free(FIRST_TOKEN, |name| Ok(writer.tokens()?.iter().any(|(_, token)| token.name == name)))?;
                let version = writer.next_version()?;
                writer.put_permission_set(&PermissionSet {
                    name: set.clone(),
                    label: "Administrators".into(),
                    permissions: Permission::ALL.into(),
                    principals: BTreeSet::new(),
                    version,
                    updated_at: now,
                    updated_by: name.clone(),
                })?;
                let version = writer.next_version()?;
                writer.put_user(&User {
                    name: name.clone(),
                    label: "Administrator".into(),
                    enabled: true,
                    permission_sets: BTreeSet::from([set.clone()]),
                    version,
                    created_at: now,
                    updated_at: now,
                    updated_by: name.clone(),
                })?;
                let token = Token {
                    name: token,
                    user: name.clone(),
                    scope: None,
                    created_at: now,
                    created_by: name,
                    expires_at: None,
                };
                writer.put_token(&hash, &token)?;
                for (action, object) in [
                    (AuditAction::PermissionSetPut, &set),
                    (AuditAction::UserPut, &token.user),
                    (AuditAction::TokenCreate, &token.name),
                ] {
                    writer.audit(&done(now, &token.created_by, action, object))?;
                }
                Ok(Some(token_view(writer, token, now)?))
            })
            .await?;
        Ok(view.map(|view| CreatedToken { token: text, view }))
    }

    /// 256 random bits as text, and the hash under which they are known.
    fn fresh(&self) -> (Secret, TokenHash) {
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.outside.random::<32>()));
        let hash = Sha256::digest(&text).into();
        (Secret::new(text), hash)
    }
}

/// What the audit is told of a change.
fn done(at: Timestamp, actor: &str, action: AuditAction, name: &str) -> AuditEvent {
    AuditEvent::new(at, actor, action, AuditObject::named(action.kind(), name))
}

/// What a user of this name may do now. None where there is none: an embedder has actors of its own.
pub(crate) fn standing(store: &Store, name: &str) -> Result<Option<Actor>, Error> {
    Ok(store.read(|reader| match reader.user(name)? {
        Some(user) => Ok(Some(Actor::new(name, permissions_of(reader, &user)?))),
        None => Ok(None),
    })?)
}

/// What each user may do.
pub(crate) fn everybody(reader: &Reader<'_>) -> Result<BTreeMap<String, BTreeSet<Permission>>, StoreError> {
    let may = |user: User| Ok((user.name.clone(), permissions_of(reader, &user)?));
    reader.users()?.into_iter().map(may).collect()
}

/// What a user may do: nothing where it is disabled.
fn permissions_of(reader: &Reader<'_>, user: &User) -> Result<BTreeSet<Permission>, StoreError> {
    let mut held = BTreeSet::new();
    if user.enabled {
        for set in &user.permission_sets {
            held.extend(reader.permission_set(set)?.into_iter().flat_map(|set| set.permissions));
        }
    }
    Ok(held)
}

/// What a token opens: what it is limited to, as far as its user has it.
fn opened(reader: &Reader<'_>, token: &Token, now: Timestamp) -> Result<BTreeSet<Permission>, StoreError> {
    let user = reader.user(&token.user)?.filter(|_| token.expires_at.is_none_or(|at| at > now));
    let Some(user) = user else { return Ok(BTreeSet::new()) };
    let mut opened = permissions_of(reader, &user)?;
    if let Some(scope) = &token.scope {
        opened.retain(|permission| scope.contains(permission));
    }
    Ok(opened)
}

fn administrators(reader: &Reader<'_>) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for user in reader.users()? {
        if permissions_of(reader, &user)?.contains(&Permission::ManageSetup) {
            found.push(user.name);
        }
    }
    Ok(found)
}

/// Makes a change, unless it would take the last administrator away.
fn administered<T>(
    writer: &mut Writer<'_>,
    change: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError>,
) -> Result<T, Error> {
    let before = administrators(writer)?;
    let changed = change(writer)?;
    if !before.is_empty() && administrators(writer)?.is_empty() {
        return Err(Error::Refused {
            rule: "last-administrator",
            message: format!("nobody but `{}` holds `{}`", before.join("`, `"), Permission::ManageSetup.name()),
            hint: Some("give it to somebody else first".into()),
        });
    }
    Ok(changed)
}

/// The first of `name`, `name-2`, `name-3` … that nobody has.
fn free(name: &str, taken: impl Fn(&str) -> Result<bool, StoreError>) -> Result<String, StoreError> {
    let mut candidate = name.to_owned();
    for number in 2_u32.. {
        if !taken(&candidate)? {
            break;
        }
        candidate = format!("{name}-{number}");
    }
    Ok(candidate)
}

fn named(name: Result<String, &'static str>, problems: &mut Vec<FieldProblem>) -> Option<String> {
    named_as("name", name, problems)
}

fn named_as(field: &str, name: Result<String, &'static str>, problems: &mut Vec<FieldProblem>) -> Option<String> {
    name.map_err(|words| problems.push(FieldProblem::new(field, words))).ok()
}

fn label(given: Option<&str>, problems: &mut Vec<FieldProblem>) {
    let Some(label) = given else { return };
    let length = label.chars().count();
    if label.trim().is_empty() || length > LABEL || label.chars().any(char::is_control) {
        problems.push(FieldProblem::new("label", format!("must be one line of 1 to {LABEL} characters")));
    }
}

fn holders(reader: &Reader<'_>, set: &str) -> Result<Vec<error::User>, StoreError> {
    let holders = reader.users()?.into_iter().filter(|user| user.permission_sets.contains(set));
    Ok(holders.take(TOLD).map(|user| in_the_way("user", &user.name, &user.name)).collect())
}

fn owned(reader: &Reader<'_>, user: &str) -> Result<Vec<error::User>, StoreError> {
    let private = reader.private_connections_of(user, TOLD)?;
    Ok(private.iter().map(|(id, name)| in_the_way("connection", &id.to_string(), name)).collect())
}

fn in_the_way(kind: &str, id: &str, name: &str) -> error::User {
    error::User { kind: kind.into(), id: id.into(), name: name.into() }
}

fn user_view(reader: &Reader<'_>, user: User) -> Result<UserView, StoreError> {
    let bound = identities::by_user(reader)?.remove(&user.name).unwrap_or_default();
    view(reader, user, bound)
}

fn view(reader: &Reader<'_>, user: User, identities: Vec<IdentityView>) -> Result<UserView, StoreError> {
    Ok(UserView {
        permissions: permissions_of(reader, &user)?,
        identities,
        name: user.name,
        label: user.label,
        enabled: user.enabled,
        permission_sets: user.permission_sets,
        version: user.version,
        created_at: user.created_at,
        updated_at: user.updated_at,
        updated_by: user.updated_by,
    })
}

fn token_view(reader: &Reader<'_>, token: Token, now: Timestamp) -> Result<TokenView, StoreError> {
    Ok(TokenView {
        permissions: opened(reader, &token, now)?,
        name: token.name,
        user: token.user,
        scope: token.scope,
        created_at: token.created_at,
        created_by: token.created_by,
        expires_at: token.expires_at,
    })
}
