//! Accounts at OpenID providers, and whom they sign in. An account signs in the one user that it is bound to: by hand, by the
//! provider's own id of it, or beforehand by its name, which is heard once. A name may pass to somebody else; a subject never
//! does, so it is what counts from the first sign-in on.

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

use super::oidc::{Account, Provider, Unfinished};
use super::{Users, done, named, permissions_of, user_view};
use crate::model::actor::{Actor, HOST, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::error::{Error, FieldProblem};
use crate::model::secret::Secret;
use crate::model::user::{self, By, Identity};
use crate::model::view::{AccountOf, IdentityView, SignInOffer, SignInReport, UserView};
use crate::store::{Reader, StoreError};

const ISSUER: usize = 500;
const SUBJECT: usize = 255;
const ACCOUNT: usize = 254;

/// What a session that began by an account is known by. Whoever keeps one can ask whom the account signs in.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKey {
    issuer: String,
    subject: String,
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccountKey")
    }
}

/// A sign-in by an account that waits for a person.
#[derive(Debug)]
pub struct BegunSignIn {
    /// Where the person is sent.
    pub url: Url,
    /// What the provider sends back: the callback of this sign-in has it.
    pub state: String,
    /// What the browser that began is known again by. It stays with that browser.
    pub proof: Secret,
}

/// What became of a sign-in by an account.
#[derive(Debug)]
pub enum Arrival {
    /// Somebody is there.
    SignedIn {
        /// What a session is kept by.
        key: AccountKey,
        /// Who it is.
        actor: Actor,
    },
    /// The account is bound to no user: only whoever holds `manage-setup` can change that.
    Unknown {
        /// The provider.
        issuer: String,
        /// The provider's own id of the account.
        subject: String,
        /// What the account is called, where the provider told.
        account: Option<String>,
    },
    /// The user is disabled, or holds no permission.
    MayDoNothing {
        /// Its name.
        user: String,
    },
}

/// What an account is told by, checked.
struct Told {
    issuer: String,
    subject: Option<String>,
    account: Option<String>,
}

impl Told {
    fn by(&self) -> By<'_> {
        match (&self.subject, &self.account) {
            (Some(subject), _) => By::Subject(subject),
            (None, account) => By::Account(account.as_deref().unwrap_or_default()),
        }
    }

    fn shown(&self) -> &str {
        self.subject.as_deref().or(self.account.as_deref()).unwrap_or_default()
    }
}

/// Bindings.
impl Users {
    /// Binds an account to a user. One that is bound to it already stays so.
    pub(crate) async fn bind(&self, actor: &Actor, given: &str, account: AccountOf) -> Result<UserView, Error> {
        let mut problems = Vec::new();
        let told = self.told(account, &mut problems);
        let name = named(user::user_name(given), &mut problems);
        let (Some(told), Some(name), true) = (told, name, problems.is_empty()) else {
            return Err(Error::Invalid { problems });
        };
        let (who, now) = (actor.name().to_owned(), self.outside.now());
        self.store
            .write(move |writer| {
                let mut user = writer.user(&name)?.ok_or_else(|| Error::not_found("user", &name))?;
                let field = if told.subject.is_some() { "subject" } else { "account" };
                match writer.identity(&told.issuer, told.by())? {
                    Some(bound) if bound.user != name => {
                        let words = format!("is bound to `{}` already; unbind it there first", bound.user);
                        return Err(Error::field(field, words));
                    }
                    Some(_) => {}
                    None => {
                        let Told { issuer, subject, account } = told;
                        let bound = Identity { user: name, issuer, subject, account, bound_at: now, bound_by: who };
                        writer.put_identity(&bound)?;
                        user.version = writer.next_version()?;
                        writer.put_user(&user)?;
                        let event = done(now, &bound.bound_by, AuditAction::UserBind, &bound.user);
                        writer.audit(&event.with_fields(vec![field.to_owned()]).at_issuer(&bound.issuer))?;
                    }
                }
                Ok(user_view(writer, user)?)
            })
            .await
    }

    /// Takes an account from a user. Its sessions end with their next request.
    pub(crate) async fn unbind(&self, actor: &Actor, given: &str, account: AccountOf) -> Result<(), Error> {
        let name = self.get(given)?.name;
        let mut problems = Vec::new();
        let Some(told) = self.told(account, &mut problems) else { return Err(Error::Invalid { problems }) };
        let event = done(self.outside.now(), actor.name(), AuditAction::UserUnbind, &name).at_issuer(&told.issuer);
        self.store
            .write(move |writer| {
                let bound = writer.identity(&told.issuer, told.by())?;
                if bound.is_none_or(|bound| bound.user != name) {
                    return Err(Error::not_found("account of this user", told.shown()));
                }
                writer.remove_identity(&told.issuer, told.by())?;
                if let Some(mut user) = writer.user(&name)? {
                    user.version = writer.next_version()?;
                    writer.put_user(&user)?;
                }
                Ok(writer.audit(&event)?)
            })
            .await
    }

    fn told(&self, account: AccountOf, problems: &mut Vec<FieldProblem>) -> Option<Told> {
        let before = problems.len();
        let mut wrong = |field: &str, words: &str| problems.push(FieldProblem::new(field, words));
        let own = || self.provider.as_ref().map(|provider| provider.settings.issuer.clone());
        let issuer = account.issuer.filter(|issuer| !issuer.is_empty()).or_else(own).unwrap_or_default();
        let shape = |url: Url| matches!(url.scheme(), "https" | "http") && url.has_host() && url.query().is_none();
        if issuer.is_empty() {
            wrong("issuer", "is required where no provider is set up: the issuer URL, as the provider writes it");
        } else if issuer.len() > ISSUER || issuer.contains(char::is_control) || !Url::parse(&issuer).is_ok_and(shape) {
            wrong("issuer", "must be the provider's issuer URL, as in https://login.example.com");
        }
        let subject = account.subject.filter(|subject| !subject.is_empty());
        let name = account.account.map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty());
        match (&subject, &name) {
            (None, None) => wrong("subject", "is required: the provider's id of the account, or its name as `account`"),
            (Some(_), Some(_)) => wrong("account", "is told besides a subject; an account is bound by one of them"),
            (Some(subject), None)
                if subject.len() > SUBJECT || !subject.bytes().all(|byte| (0x20..0x7f).contains(&byte)) =>
            {
                wrong("subject", "must be 1 to 255 printable ASCII characters");
            }
            (None, Some(name)) if name.chars().count() > ACCOUNT || name.contains(char::is_control) => {
                wrong("account", "must be one line of 1 to 254 characters");
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        (problems.len() == before).then_some(Told { issuer, subject, account: name })
    }
}

/// Signing in.
impl Users {
    /// What a sign-in page offers.
    pub(crate) fn offer(&self) -> Option<SignInOffer> {
        let settings = &self.provider.as_ref()?.settings;
        Some(SignInOffer { label: settings.label.clone(), issuer: settings.issuer.clone() })
    }

    fn provider(&self) -> Result<&Provider, Error> {
        self.provider.as_deref().ok_or_else(|| Error::Refused {
            rule: "no-provider",
            message: "no OpenID provider is set up here".into(),
            hint: Some("set [sign-in.oidc] in turnbuckle.toml, and start the server again".into()),
        })
    }

    /// Begins a sign-in by an account.
    pub(crate) async fn begin_sign_in(&self, base: &Url) -> Result<BegunSignIn, Error> {
        let begun = self.provider()?.begin(base).await?;
        Ok(BegunSignIn { url: begun.url, state: begun.state, proof: begun.proof })
    }

    /// Finishes it: whom the account signs in.
    pub(crate) async fn finish_sign_in(
        &self,
        base: &Url,
        parameters: &[(String, String)],
        proof: Option<Secret>,
    ) -> Result<Arrival, Error> {
        let provider = self.provider()?;
        let account = match provider.finish(base, parameters, proof).await {
            Ok(account) => account,
            Err(Unfinished::Foreign(error)) => return Err(error),
            Err(Unfinished::Own(error)) => {
                self.store.note(self.at_the_door(AuditObject::host()).ended(&error));
                return Err(error);
            }
        };
        let issuer = provider.settings.issuer.clone();
        let who = format!("{issuer} {}", account.subject);
        let Some(bound) = self.bound(&issuer, &account).await? else {
            let object = AuditObject::with_id(AuditAction::UserBind.kind(), who, account.name.as_deref().unwrap_or(""));
            self.store.note(self.at_the_door(object).refused("unknown-account"));
            return Ok(Arrival::Unknown { issuer, subject: account.subject, account: account.name });
        };
        let key = AccountKey { issuer, subject: account.subject };
        match self.of_account(&key)? {
            Some(actor) if Permission::ALL.into_iter().any(|permission| actor.may(permission)) => {
                Ok(Arrival::SignedIn { key, actor })
            }
            Some(_) | None => {
                let object = AuditObject::with_id(AuditAction::UserBind.kind(), who, &bound.user);
                self.store.note(self.at_the_door(object).refused("may-do-nothing"));
                Ok(Arrival::MayDoNothing { user: bound.user })
            }
        }
    }

    /// The host's own record of somebody who came by a provider.
    fn at_the_door(&self, object: AuditObject) -> AuditEvent {
        let issuer = self.provider.as_ref().map_or("", |provider| &provider.settings.issuer);
        AuditEvent::new(self.outside.now(), HOST, AuditAction::HostSignIn, object).at_issuer(issuer)
    }

    /// Whose account it is. A binding by its name becomes one by its subject.
    async fn bound(&self, issuer: &str, account: &Account) -> Result<Option<Identity>, Error> {
        let subject = account.subject.clone();
        let found = self.store.read(|reader| reader.identity(issuer, By::Subject(&subject)))?;
        if let Some(found) = found.filter(|found| account.name.is_none() || found.account == account.name) {
            return Ok(Some(found));
        }
        let (issuer, name, owned, now) = (issuer.to_owned(), account.name.clone(), account.owned, self.outside.now());
        self.store
            .write(move |writer| {
                if let Some(mut found) = writer.identity(&issuer, By::Subject(&subject))? {
                    found.account = name;
                    writer.put_identity(&found)?;
                    return Ok(Some(found));
                }
                let lower = name.as_ref().filter(|_| owned).map(|name| name.to_lowercase());
                let Some(waiting) = lower else { return Ok(None) };
                let Some(mut found) = writer.identity(&issuer, By::Account(&waiting))? else { return Ok(None) };
                writer.remove_identity(&issuer, By::Account(&waiting))?;
                (found.subject, found.account) = (Some(subject), name);
                writer.put_identity(&found)?;
                let event = done(now, HOST, AuditAction::UserBind, &found.user);
                writer.audit(&event.with_fields(vec!["subject".to_owned()]).at_issuer(&issuer))?;
                Ok::<_, Error>(Some(found))
            })
            .await
    }

    /// Whom an account signs in at this moment, and what that user may do; nobody where it is bound to none.
    pub(crate) fn of_account(&self, key: &AccountKey) -> Result<Option<Actor>, Error> {
        Ok(self.store.read(|reader| {
            let Some(bound) = reader.identity(&key.issuer, By::Subject(&key.subject))? else { return Ok(None) };
            let Some(user) = reader.user(&bound.user)? else { return Ok(None) };
            let held = permissions_of(reader, &user)?;
            Ok(Some(Actor::new(user.name, held)))
        })?)
    }

    /// Looks at the provider as a sign-in would.
    pub(crate) async fn check_sign_in(&self, base: Option<&Url>) -> Result<SignInReport, Error> {
        let Some(provider) = &self.provider else { return Ok(SignInReport::default()) };
        let (metadata, keys) = provider.look().await?;
        let (authorization_endpoint, algorithms) = metadata.shown();
        Ok(SignInReport {
            issuer: Some(provider.settings.issuer.clone()),
            authorization_endpoint: Some(authorization_endpoint),
            redirect_uri: base.map(|base| super::oidc::redirect_uri(base).into()),
            algorithms,
            keys,
        })
    }
}

/// The accounts of every user, by its name.
pub(super) fn by_user(reader: &Reader<'_>) -> Result<BTreeMap<String, Vec<IdentityView>>, StoreError> {
    let mut found: BTreeMap<String, Vec<IdentityView>> = BTreeMap::new();
    for Identity { user, issuer, subject, account, bound_at, bound_by } in reader.identities()? {
        found.entry(user).or_default().push(IdentityView { issuer, subject, account, bound_at, bound_by });
    }
    Ok(found)
}
