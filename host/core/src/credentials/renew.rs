//! Renewal: one at a time for each credential, on the disk before anybody hears of it, and honest about what a crash leaves.
//!
//! A service may rotate its refresh tokens: with the answer the old one is void. So a mark is written before the request
//! leaves and taken away together with the answer. Where a process ends in between, the mark stays, and a refresh token that
//! is refused then was not revoked by anybody: its successor was lost.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tracing::Instrument as _;

use super::grant::{Broke, Obtained, names_refresh_token};
use super::usable::over;
use super::{Credentials, Pinned, Unusable, answer};
use crate::model::audit::AuditAction;
use crate::model::connection::Connection;
use crate::model::connector::Installed;
use crate::model::credential::{Ended, REFRESH_TOKEN};
use crate::model::error::Error;
use crate::model::event::Telling;
use crate::model::id::ConnectionId;
use crate::model::measure;
use crate::model::named::Holder;
use crate::model::verdict::{Failure, FailureKind};

pub(super) type Running = Shared<BoxFuture<'static, Result<(), Arc<Unusable>>>>;

/// Whether a failure may pass by itself.
pub(super) fn is_passing(kind: &FailureKind) -> bool {
    match kind {
        FailureKind::RateLimited { .. } | FailureKind::Unavailable | FailureKind::Timeout | FailureKind::Budget => true,
        FailureKind::Unauthorized
        | FailureKind::Expired
        | FailureKind::Revoked
        | FailureKind::UnknownRotation
        | FailureKind::Forbidden
        | FailureKind::InsufficientScope
        | FailureKind::MisconfiguredClient
        | FailureKind::Misconfigured { .. }
        | FailureKind::ConnectorFault
        | FailureKind::Other => false,
    }
}

/// Takes a renewal out of those under way when it ends, however it ends.
struct UnderWay {
    credentials: Credentials,
    id: ConnectionId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let ended = self.credentials.renewing.lock().expect("no holder of this lock panics").remove(&self.id);
        drop(ended);
    }
}

impl Credentials {
    /// Renews a credential that was seen in this generation, or waits for whoever does. Where another one is stored by then,
    /// nothing is sent. What a connection goes by may be a principal's.
    pub(crate) async fn renew(&self, pinned: Pinned<'_>, seen: u64) -> Result<(), Unusable> {
        match &pinned.connection.named_credential {
            Some(named) => {
                let (_, signing) = self.signing_for(pinned.connection, named)?;
                self.renew_of(signing.pinned(pinned.actor), seen).await
            }
            None => self.renew_of(pinned, seen).await,
        }
    }

    pub(super) async fn renew_of(&self, pinned: Pinned<'_>, seen: u64) -> Result<(), Unusable> {
        self.leave(pinned, seen).await?;
        let run = {
            let mut renewing = self.renewing.lock().expect("no holder of this lock panics");
            match renewing.get(&pinned.connection.id) {
                Some(run) => run.clone(),
                None => {
                    let (connection, installed) = (pinned.connection.clone(), pinned.installed.clone());
                    let run =
                        self.clone().renewing(connection, installed, pinned.actor.to_owned(), seen).boxed().shared();
                    renewing.insert(pinned.connection.id, run.clone());
                    run
                }
            }
        };
        run.await.map_err(|unusable| told(&unusable))
    }

    /// In a task of its own: a caller that goes away must not cut a renewal off between its answer and the disk.
    async fn renewing(
        self,
        connection: Connection,
        installed: Arc<Installed>,
        actor: String,
        seen: u64,
    ) -> Result<(), Arc<Unusable>> {
        let span = tracing::debug_span!("renewal", connection = %connection.id, failed = tracing::field::Empty);
        let renewing = async move {
            let _under_way = UnderWay { credentials: self.clone(), id: connection.id };
            let pinned = Pinned { connection: &connection, installed: &installed, actor: &actor };
            let renewed = self.renew_now(pinned, seen).await;
            let outcome = match &renewed {
                Ok(true) => "renewed",
                Ok(false) => "renewed-meanwhile",
                Err(Unusable::Failed(failure)) => failure.kind.name(),
                Err(Unusable::Error(error)) => error.code(),
            };
            measure::renewal(outcome);
            if renewed.is_err() {
                tracing::Span::current().record("failed", outcome);
            }
            renewed.map(drop)
        };
        match tokio::spawn(renewing.instrument(span)).await {
            Ok(outcome) => outcome.map_err(Arc::new),
            Err(panicked) => {
                Err(Arc::new(Unusable::Error(Error::internal("renewing the credential")(Box::new(panicked)))))
            }
        }
    }

    /// Says whether this very renewal brought the credential that is stored then.
    async fn renew_now(&self, pinned: Pinned<'_>, seen: u64) -> Result<bool, Unusable> {
        let connection = pinned.connection;
        let id = connection.id;
        let stored = self.store.read(|reader| reader.credential(id)).map_err(Error::from)?;
        if stored.as_ref().map_or(0, |stored| stored.generation) != seen {
            return Ok(false);
        }
        let before = match &stored {
            Some(stored) => self.open(id, stored)?,
            None => Obtained::default(),
        };
        let mut settings = connection.settings.clone();
        settings.extend(before.visible.clone());
        let plan = self.plan_of(pinned, &settings).await?;
        let grant = &plan.grant;
        let unattended = grant.authorization.is_none();
        let can_refresh = stored.is_some()
            && !grant.refresh.is_empty()
            && (before.secrets.contains_key(REFRESH_TOKEN) || !names_refresh_token(&grant.refresh));
        let requests = match (can_refresh, unattended) {
            (true, _) => &grant.refresh,
            (false, true) => &grant.token,
            (false, false) => {
                let why =
                    if grant.refresh.is_empty() { "this service renews nothing" } else { "there is no refresh token" };
                let message = format!("the access token has expired, and {why}");
                return Err(Unusable::Failed(Failure { kind: FailureKind::Expired, message }));
            }
        };
        // Whatever stands in the way of asking is found before the mark says that something was asked.
        let secrets = self.unseal(id, &connection.secrets)?;
        let base = self.field_values(pinned, &secrets)?;
        let was_in_doubt = stored.as_ref().is_some_and(|stored| stored.renewing_since.is_some());
        if can_refresh && !was_in_doubt && !self.mark(id, seen, true).await? {
            return Ok(false);
        }
        // A sign-in from the beginning owes nothing to what was there before.
        let from = if can_refresh { before.clone() } else { Obtained::default() };
        let outcome = self
            .run(pinned, AuditAction::ConnectionRenew, &plan, requests, &base, Obtained { expires_at: None, ..from })
            .await;
        let renewed = match outcome {
            Ok(brought) => self.complete(&plan, brought)?,
            Err(broke) => {
                return match self.not_renewed(id, seen, can_refresh, was_in_doubt, broke).await? {
                    Some(unusable) => Err(unusable),
                    None => Ok(false),
                };
            }
        };
        let credentials = self.clone();
        let (now, who) = (self.outside.now(), pinned.actor.to_owned());
        let kept = self
            .store
            .write(move |writer| {
                // A connection that was deleted, or reconnected meanwhile, keeps what it has.
                let current = writer.credential(id)?.map_or(0, |current| current.generation);
                let (connection, holder) = (writer.connection(id)?, writer.holder(id)?);
                if current != seen || (connection.is_none() && holder.is_none()) {
                    return Ok::<_, Error>(false);
                }
                if let Some(holder) = holder.filter(|holder| holder.problem.is_some()) {
                    writer.put_holder(&Holder { problem: None, ..holder })?;
                }
                // Of a principal only the audit tells: whose it is, is not for everybody.
                if let Some(connection) = connection {
                    writer.tell(Telling::refreshed(now, &who, &connection, renewed.expires_at))?;
                }
                writer.put_credential(id, &credentials.sealed(id, seen + 1, &renewed))?;
                Ok(true)
            })
            .await?;
        self.forget(id);
        tracing::debug!(connection = %id, kept, "renewed");
        Ok(kept)
    }

    /// Writes the mark, or takes it away. Says whether the credential is still the one that was seen.
    async fn mark(&self, id: ConnectionId, seen: u64, on: bool) -> Result<bool, Error> {
        let now = self.outside.now();
        self.store
            .write(move |writer| {
                let Some(mut credential) = writer.credential(id)?.filter(|credential| credential.generation == seen)
                else {
                    return Ok(false);
                };
                credential.renewing_since = on.then_some(now);
                writer.put_credential(id, &credential)?;
                Ok(true)
            })
            .await
    }

    /// What a renewal that failed leaves behind, and what to say of it; nothing where somebody else renewed it meanwhile.
    async fn not_renewed(
        &self,
        id: ConnectionId,
        seen: u64,
        refreshing: bool,
        was_in_doubt: bool,
        broke: Broke,
    ) -> Result<Option<Unusable>, Error> {
        if !refreshing {
            // What an unattended sign-in calls a grant is its own key or password.
            let failure = match answer::is_invalid_grant(&broke.failure) {
                true => Failure { kind: FailureKind::Unauthorized, ..broke.failure },
                false => broke.failure,
            };
            let unusable = Unusable::from(Broke { failure, ..broke });
            if let Unusable::Failed(failure) = &unusable
                && !is_passing(&failure.kind)
            {
                // A connection has its verdict for it.
                self.rejected(id, failure.message.clone()).await?;
            }
            return Ok(Some(unusable));
        }
        if answer::is_invalid_grant(&broke.failure) {
            let ended = if was_in_doubt { Ended::UnknownRotation } else { Ended::Revoked };
            let stays = self
                .store
                .write(move |writer| {
                    let Some(mut credential) = writer.credential(id)?.filter(|known| known.generation == seen) else {
                        return Ok::<_, Error>(false);
                    };
                    credential.renewing_since = None;
                    credential.ended = Some(ended);
                    writer.put_credential(id, &credential)?;
                    Ok(true)
                })
                .await?;
            self.forget(id);
            if !stays {
                return Ok(None);
            }
            let failure = over(ended);
            let message = format!("{} ({})", failure.message, broke.failure.message);
            return Ok(Some(Unusable::Failed(Failure { message, ..failure })));
        }
        if !broke.in_doubt && !was_in_doubt {
            self.mark(id, seen, false).await?;
        }
        Ok(Some(broke.into()))
    }
}

/// An outcome that several wait for, for one of them.
fn told(unusable: &Unusable) -> Unusable {
    match unusable {
        Unusable::Failed(failure) => Unusable::Failed(failure.clone()),
        Unusable::Error(error) => Unusable::Error(error.told()),
    }
}
