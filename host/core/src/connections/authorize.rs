//! A person agrees in a browser: begun here, finished by the callback or by the command that began, and taken back at the end.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::change::Obtaining;
use super::{Connections, named, need, probe};
use crate::credentials::{Begin, Callback, Finish, Opened, Pinned, Return, Staged, Unusable};
use crate::model::actor::{Actor, Permission};
use crate::model::connection::{ChangeKind, Connection};
use crate::model::connector::Installed;
use crate::model::credential::Purpose;
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::verdict::{Failure, Verdict};
use crate::model::view::{Authorization, Authorize};
use crate::users;

/// What a sign-in came to.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) who: SignedIn,
    /// Whether the new credential is in use.
    pub(crate) replaced: bool,
    pub(crate) verdict: Verdict,
}

/// Who signed in.
#[derive(Debug)]
pub(crate) enum SignedIn {
    Connection(ConnectionId),
    Principal(String),
}

/// What the browser is told.
#[derive(Debug)]
pub(crate) enum Returned {
    Signed(Box<Signed>),
    GoOn(Url),
}

impl Connections {
    /// Begins a sign-in; `base` is where this host is reached.
    pub(crate) async fn authorize(
        &self,
        actor: &Actor,
        key: &str,
        base: &Url,
        authorize: Authorize,
    ) -> Result<Authorization, Error> {
        need(actor, Permission::ManageConnections)?;
        let connection = self.find(actor, key)?;
        if let Some(named) = &connection.named_credential {
            return Err(named::no_reconnect(named));
        }
        if !connection.enabled {
            return Err(super::disabled(&connection));
        }
        let installed = self.installed(&connection)?;
        let back = match authorize.loopback_port {
            Some(0) => return Err(Error::field("loopback-port", "must be a port from 1 to 65535")),
            Some(port) => Return::Loopback(port),
            None => Return::Cookie,
        };
        let accept_account = authorize.accept_account;
        let purpose = match connection.complete || authorize.reconnect {
            true => Purpose::Reconnect { accept_account },
            false => Purpose::Connect,
        };
        let pinned = Pinned { connection: &connection, installed: &installed, actor: actor.name() };
        let begun = self.credentials.begin(actor, pinned, Begin { base, back, purpose }).await;
        let begun = begun.map_err(upstream)?;
        Ok(Authorization {
            url: begun.url.to_string(),
            redirect_uri: begun.redirect_uri,
            expires_at: begun.expires_at,
            cookie: begun.cookie,
        })
    }

    /// A browser came back.
    pub(crate) async fn callback(
        &self,
        provider: &str,
        parameters: &[(String, String)],
        cookie: Option<&str>,
    ) -> Result<Returned, Error> {
        match self.credentials.callback(provider, parameters, cookie).await.map_err(upstream)? {
            Callback::GoOn(url) => Ok(Returned::GoOn(url)),
            Callback::Finish(finish) => {
                // The cookie proved who it is; the record says by which name.
                let name = finish.pending.actor.clone();
                let actor = users::standing(&self.store, &name)?.unwrap_or_else(|| Actor::administrator(&name));
                let id = finish.pending.connection;
                let signed = match need(&actor, Permission::ManageConnections) {
                    Ok(()) => self.finish(&actor, *finish).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &signed {
                    self.credentials.note_not_signed_in(&name, id, &Unusable::Error(error.told()))?;
                }
                Ok(Returned::Signed(Box::new(signed?)))
            }
        }
    }

    /// The command that began brings the receipt that its browser was given.
    pub(crate) async fn complete(&self, actor: &Actor, receipt: &str) -> Result<Signed, Error> {
        need(actor, Permission::ManageConnections)?;
        let finish = self.credentials.receipt(actor, receipt).await?;
        self.finish(actor, finish).await
    }

    async fn finish(&self, actor: &Actor, finish: Finish) -> Result<Signed, Error> {
        if let Some(principal) = self.credentials.principal_of(&finish)? {
            let id = finish.pending.connection;
            let verdict = match self.credentials.finish_principal(actor, &principal, finish).await {
                Ok(verdict) => verdict,
                Err(Unusable::Error(error)) => return Err(error),
                Err(Unusable::Failed(failure)) => {
                    let unusable = Unusable::Failed(failure.clone());
                    self.credentials.note_not_signed_in(actor.name(), id, &unusable)?;
                    probe::failed(failure, self.outside.now(), Duration::ZERO).verdict
                }
            };
            return Ok(Signed { who: SignedIn::Principal(principal), replaced: verdict.passed(), verdict });
        }
        let id = finish.pending.connection;
        let found = self.store.read(|reader| reader.connection(id))?.filter(|found| super::visible(actor, found));
        let connection = found.ok_or_else(|| Error::not_found("connection", id.to_string()))?;
        let installed = self.installed(&connection)?;
        let pinned = Pinned { connection: &connection, installed: &installed, actor: actor.name() };
        let obtained = match self.credentials.exchange(pinned, &finish).await {
            Ok(obtained) => obtained,
            Err(Unusable::Failed(failure)) => {
                let unusable = Unusable::Failed(failure.clone());
                self.credentials.note_not_signed_in(actor.name(), id, &unusable)?;
                return Ok(self.not_signed(&connection, failure));
            }
            Err(Unusable::Error(error)) => return Err(error),
        };
        let plan = finish.pending.plan;
        match finish.pending.purpose {
            Purpose::Reconnect { accept_account } => {
                let trial = Connection { authentication: plan, complete: true, ..connection.clone() };
                let secrets = self.credentials.unseal(id, &connection.secrets)?;
                let pinned = Pinned { connection: &trial, installed: &installed, actor: actor.name() };
                let usable = self.credentials.with(pinned, &trial.authentication, &secrets, Some(&obtained))?;
                let staged = Staged { usable, obtained: Some(obtained) };
                let fields = vec!["authorization".to_owned()];
                let (connection, replaced, verdict) =
                    self.replace(actor, &connection, trial, staged, accept_account, fields).await?;
                Ok(Signed { who: SignedIn::Connection(connection), replaced, verdict })
            }
            Purpose::Connect => {
                let mut new = Connection { authentication: plan, complete: true, ..connection.clone() };
                new.credential_at = self.outside.now();
                let fields = vec!["authorization".to_owned()];
                let credential = Obtaining::Put(obtained);
                let saved =
                    self.save(actor, new, connection.version, ChangeKind::Authorized, fields, credential).await?;
                self.test_stored(actor, saved).await?;
                let tested = self.store.read(|reader| reader.connection(id))?;
                let tested = tested.ok_or_else(|| Error::not_found("connection", id.to_string()))?;
                match tested.verdict {
                    Some(verdict) => Ok(Signed { who: SignedIn::Connection(id), replaced: true, verdict }),
                    None => Err(Error::Refused {
                        rule: "changed-meanwhile",
                        message: format!("the connection `{}` was changed while it was tested", tested.name),
                        hint: Some("test it again".into()),
                    }),
                }
            }
        }
    }

    fn not_signed(&self, connection: &Connection, failure: Failure) -> Signed {
        let probed = probe::failed(failure, self.outside.now(), Duration::ZERO);
        Signed { who: SignedIn::Connection(connection.id), replaced: false, verdict: probed.verdict }
    }

    /// What it takes to take a connection's credential back at its service, read while it is still there. Nothing where the
    /// connector says no way, or where another connection lives by the same consent: many services revoke all of it at once.
    pub(super) fn revoking(&self, actor: &Actor, connection: &Connection) -> Result<Option<Revoking>, Error> {
        if connection.authentication.grant.revocation.is_empty() {
            return Ok(None);
        }
        let shared = self.store.read(|reader| {
            let Some(account) = &connection.account else { return Ok(false) };
            for id in reader.connections_of(&connection.connector.name, None, SIBLINGS)? {
                let same = |other: &Connection| other.account.as_ref().is_some_and(|other| other.id == account.id);
                if id != connection.id && reader.connection(id)?.as_ref().is_some_and(same) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        let installed = self.installed(connection)?;
        let pinned = Pinned { connection, installed: &installed, actor: actor.name() };
        let opened = if shared { None } else { self.credentials.opened(pinned)? };
        Ok(opened.map(|opened| Revoking {
            actor: actor.name().to_owned(),
            connection: connection.clone(),
            installed,
            opened,
        }))
    }

    /// Nobody waits for it: that it fails stops neither a delete nor a reconnect.
    pub(super) fn revoke_later(&self, revoking: Option<Revoking>) {
        let Some(Revoking { actor, connection, installed, opened }) = revoking else { return };
        let (credentials, egress) = (self.credentials.clone(), self.egress.clone());
        tokio::spawn(async move {
            let pinned = Pinned { connection: &connection, installed: &installed, actor: &actor };
            credentials.revoke(pinned, opened).await;
            // It may have been the last that is ever asked for this connection.
            egress.close(&connection.id.to_string());
        });
    }
}

/// How many connections are looked at for one that lives by the same consent.
const SIBLINGS: usize = 1_000;

/// A credential that is to be taken back.
pub(super) struct Revoking {
    actor: String,
    connection: Connection,
    installed: Arc<Installed>,
    opened: Opened,
}

/// A failure of a sign-in, where a person waits for an answer and there is no verdict to write.
pub(crate) fn upstream(unusable: Unusable) -> Error {
    match unusable {
        Unusable::Error(error) => error,
        Unusable::Failed(failure) => Error::Upstream {
            rule: failure.kind.name(),
            hint: probe::hint(&failure.kind),
            message: failure.message,
            denied: false,
        },
    }
}
