//! What a request is sent with: a permit, made of fields and of what was obtained, and how long it may be used.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::grant::{Obtained, nothing_brought};
use super::named::is_holder;
use super::pace::is_held;
use super::renew::is_passing;
use super::seal::Shelf;
use super::{Credentials, Pinned, Unusable};
use crate::egress::Permit;
use crate::model::audit::{AuditAction, LastDeed};
use crate::model::authentication::{Authentication, Grant};
use crate::model::connection::Connection;
use crate::model::connector::Installed;
use crate::model::credential::{Credential, Ended};
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::secret::Secret;
use crate::model::verdict::{Failure, FailureKind};

/// A credential is renewed this long before it runs out, where it lasts that long; a short one a tenth of its life before.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// A connection's credential, ready to be attached.
#[derive(Debug)]
pub(crate) struct Usable {
    /// The connector version that it was made with: a request need not look it up again.
    pub(crate) installed: Arc<Installed>,
    pub(crate) permit: Arc<Permit>,
    /// Captures that the connector reads as settings.
    pub(crate) visible: BTreeMap<String, String>,
    /// Which token it is: zero where there is none, for the fields are the credential.
    pub(crate) generation: u64,
    version: u64,
    renew_at: Option<Timestamp>,
    /// Whether a rejected credential can be exchanged for a new one without a person.
    pub(crate) renewable: bool,
    /// Of a connection by a named credential: who signs in for it, and the setup that it was made under.
    by: Option<(ConnectionId, u64)>,
    /// What the record of the last request says.
    pub(crate) last_send: LastDeed,
}

/// What a reconnect tries before anything of it is stored.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) usable: Usable,
    pub(crate) obtained: Option<Obtained>,
}

impl Usable {
    /// Whether it still serves this version of its connection.
    pub(super) fn is_for(&self, version: u64, setup: u64, now: Timestamp) -> bool {
        self.version == version
            && self.by.is_none_or(|(_, made_under)| made_under == setup)
            && self.renew_at.is_none_or(|at| now < at)
            && self.permit.valid_until().is_none_or(|until| now < until)
    }

    pub(super) fn weight(&self) -> usize {
        self.permit.weight()
    }

    pub(super) fn goes_by(&self, holder: ConnectionId) -> bool {
        self.by.is_some_and(|(by, _)| by == holder)
    }

    /// For a connection by a named credential, under this setup.
    pub(super) fn by_name(
        pinned: Pinned<'_>,
        permit: Permit,
        visible: BTreeMap<String, String>,
        (holder, credential): (&Connection, Option<&Credential>),
        setup: u64,
    ) -> Self {
        Self {
            installed: Arc::clone(pinned.installed),
            permit: Arc::new(permit),
            visible,
            generation: credential.map_or(0, |credential| credential.generation),
            version: pinned.connection.version,
            renew_at: credential.and_then(|credential| renew_at(holder.id, credential)),
            renewable: renewable(&holder.authentication.grant),
            by: Some((holder.id, setup)),
            last_send: LastDeed::default(),
        }
    }
}

impl Credentials {
    /// What this connection is used with: made ready, obtained or renewed where that is due.
    pub(crate) async fn usable(&self, pinned: Pinned<'_>) -> Result<Arc<Usable>, Unusable> {
        let connection = pinned.connection;
        if let Some(usable) = self.kept(connection) {
            return Ok(usable);
        }
        if let Some(named) = &connection.named_credential {
            return self.usable_by_name(pinned, named).await;
        }
        let credential = self.current(pinned).await?;
        let secrets = self.unseal(connection.id, &connection.secrets)?;
        let usable = Arc::new(self.ready(pinned, &secrets, credential.as_ref())?);
        self.keep(connection.id, &usable);
        Ok(usable)
    }

    /// What was obtained for it: now, where there is none yet, and anew where it is due. Nothing where the fields are the
    /// credential.
    pub(super) async fn current(&self, pinned: Pinned<'_>) -> Result<Option<Credential>, Unusable> {
        let connection = pinned.connection;
        if connection.authentication.grant.is_empty() {
            return Ok(None);
        }
        let mut credential = self.store.read(|reader| reader.credential(connection.id)).map_err(Error::from)?;
        let now = self.outside.now();
        let due = match &credential {
            None if connection.authentication.grant.authorization.is_some() => return Err(unauthorized(connection)),
            None => true,
            Some(known) => {
                if let Some(ended) = known.ended {
                    return Err(Unusable::Failed(over(ended)));
                }
                renew_at(connection.id, known).is_some_and(|at| at <= now)
            }
        };
        if due {
            let seen = credential.as_ref().map_or(0, |known| known.generation);
            match self.renew_of(pinned, seen).await {
                Ok(()) => {
                    credential = self.store.read(|reader| reader.credential(connection.id)).map_err(Error::from)?;
                }
                // What is still good is used as long as it lasts, where the trouble may pass by itself.
                Err(Unusable::Failed(failure))
                    if is_passing(&failure.kind)
                        && credential.as_ref().is_some_and(|known| known.expires_at.is_some_and(|at| now < at)) =>
                {
                    tracing::warn!(connection = %connection.id, failure = failure.message, "not renewed ahead of its expiry");
                }
                Err(Unusable::Error(error))
                    if is_held(&error)
                        && credential.as_ref().is_some_and(|known| known.expires_at.is_some_and(|at| now < at)) => {}
                Err(other) => return Err(other),
            }
        }
        credential.map(Some).ok_or_else(|| unauthorized(connection))
    }

    /// From what is stored.
    fn ready(
        &self,
        pinned: Pinned<'_>,
        secrets: &BTreeMap<String, Secret>,
        credential: Option<&Credential>,
    ) -> Result<Usable, Error> {
        let connection = pinned.connection;
        let Some(credential) = credential else {
            return self.with(pinned, &connection.authentication, secrets, None);
        };
        let obtained = self.open(connection.id, credential)?;
        let usable = self.with(pinned, &connection.authentication, secrets, Some(&obtained))?;
        Ok(Usable { generation: credential.generation, renew_at: renew_at(connection.id, credential), ..usable })
    }

    /// From values that need not be stored yet.
    pub(crate) fn with(
        &self,
        pinned: Pinned<'_>,
        plan: &Authentication,
        secrets: &BTreeMap<String, Secret>,
        obtained: Option<&Obtained>,
    ) -> Result<Usable, Error> {
        let Pinned { connection, installed, .. } = pinned;
        let mut values = self.field_values(pinned, secrets)?;
        let mut visible = BTreeMap::new();
        if let Some(obtained) = obtained {
            values = obtained.added_to(values);
            visible.clone_from(&obtained.visible);
        }
        let origins = &installed.descriptor.origins;
        let mut permit = Permit::resolve(connection.id.to_string(), origins, plan, &values, &self.outside)?;
        if permit.needs_signer() {
            let digest = installed.reference.digest.clone();
            if !self.runtime.signs(&digest) {
                return Err(Error::Refused {
                    rule: "no-signer",
                    message: "its requests are to be signed by the connector, which exports no `signer`".into(),
                    hint: Some("this is a fault of the connector: tell its publisher".into()),
                });
            }
            let signer = self.runtime.signer(digest, super::guest(connection, &visible));
            permit = permit.with_signer(signer);
        }
        let installed = Arc::clone(installed);
        Ok(Usable {
            installed,
            permit: Arc::new(permit),
            visible,
            generation: 0,
            version: connection.version,
            renew_at: None,
            renewable: renewable(&plan.grant),
            by: None,
            last_send: LastDeed::default(),
        })
    }

    /// Signs in with values that are not stored, beside the stored credential, which stays as it is.
    pub(crate) async fn stage(
        &self,
        pinned: Pinned<'_>,
        plan: &Authentication,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Staged, Unusable> {
        let obtained = match plan.grant.is_empty() {
            true => None,
            false => {
                let base = self.field_values(pinned, secrets)?;
                let obtained = self
                    .run(pinned, AuditAction::ConnectionObtain, plan, &plan.grant.token, &base, Obtained::default())
                    .await?;
                Some(self.complete(plan, obtained)?)
            }
        };
        let usable = self.with(pinned, plan, secrets, obtained.as_ref())?;
        Ok(Staged { usable, obtained })
    }

    /// What a grant brought, with a lifetime, where nothing is lacking.
    pub(super) fn complete(&self, plan: &Authentication, obtained: Obtained) -> Result<Obtained, Unusable> {
        if let Some(name) = Self::lacking(plan, &obtained) {
            return Err(Unusable::Failed(nothing_brought(plan.grant.token.last(), &name)));
        }
        Ok(Obtained { expires_at: self.expiry(plan, &obtained), ..obtained })
    }

    pub(super) fn open(&self, id: ConnectionId, credential: &Credential) -> Result<Obtained, Error> {
        let secrets = self.unseal_from(Shelf::Credentials, &id.to_string(), &credential.secrets)?;
        Ok(Obtained::imported(secrets, credential.visible.clone(), credential.expires_at))
    }

    /// Seals what was obtained. Called on the writer's thread, where no rotation of the master key runs in between.
    pub(crate) fn sealed(&self, id: ConnectionId, generation: u64, obtained: &Obtained) -> Credential {
        Credential {
            generation,
            secrets: self.seal_on(Shelf::Credentials, &id.to_string(), &obtained.secrets),
            visible: obtained.visible.clone(),
            from: obtained.from.clone(),
            obtained_at: self.outside.now(),
            expires_at: obtained.expires_at,
            renewing_since: None,
            ended: None,
        }
    }
}

/// Whether a rejected credential can be exchanged for a new one without a person.
fn renewable(grant: &Grant) -> bool {
    !grant.is_empty() && (grant.authorization.is_none() || !grant.refresh.is_empty())
}

/// When to renew: a while before the end, and not everybody at the same moment.
fn renew_at(id: ConnectionId, credential: &Credential) -> Option<Timestamp> {
    let expires_at = credential.expires_at?;
    let lifetime = expires_at.duration_since(credential.obtained_at);
    let ahead = AHEAD.min(lifetime / 10);
    let mut hasher = DefaultHasher::new();
    (id, credential.generation).hash(&mut hasher);
    // Up to as long again.
    let jitter = ahead * i32::try_from(hasher.finish() % 1000).unwrap_or(0) / 1000;
    expires_at.checked_sub(ahead + jitter).ok()
}

/// Nobody has agreed yet.
fn unauthorized(connection: &Connection) -> Unusable {
    if is_holder(connection) {
        // Everybody who sees the connection reads this; who signs in for it is not for all of them.
        let message = "nobody has signed in for it yet".to_owned();
        return Unusable::Failed(Failure { kind: FailureKind::Misconfigured { field: None }, message });
    }
    Unusable::Error(Error::Refused {
        rule: "not-authorized",
        message: format!("the connection `{}` waits for a person to authorize it in a browser", connection.name),
        hint: Some(format!("turnbuckle connection authorize '{}'", connection.name)),
    })
}

pub(super) fn over(ended: Ended) -> Failure {
    match ended {
        Ended::Revoked => Failure {
            kind: FailureKind::Revoked,
            message: "the service no longer takes the stored refresh token: it was revoked, or ran out".into(),
        },
        Ended::UnknownRotation => Failure {
            kind: FailureKind::UnknownRotation,
            message: "a renewal was cut off before its answer was stored, and the service no longer takes the refresh token from before it".into(),
        },
    }
}
