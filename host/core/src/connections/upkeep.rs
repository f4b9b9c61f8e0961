//! What the host does to a connection unasked, by the very paths that a person's test and a flow's request take.

use jiff::Timestamp;

use super::Connections;
use crate::credentials::{Pinned, Unusable};
use crate::model::actor::{Actor, HOST};
use crate::model::connection::{Connection, Status};
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::schedule::{Upkeep, later, share};
use crate::model::verdict::{FailureKind, Outcome};

/// How many connections are remembered by the requests that went well through them.
pub(super) const PROVEN: std::num::NonZeroUsize = std::num::NonZeroUsize::new(16_384).expect("16384 is not zero");

/// When a request last went well through a version of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof {
    version: u64,
    at: Timestamp,
}

impl Connections {
    /// A request went well: its credential works, so a check of it can wait. Nothing is written.
    pub(super) fn prove(&self, connection: &Connection, status: http::StatusCode) {
        if status.is_success() {
            let proof = Proof { version: connection.version, at: self.outside.now() };
            self.proven.lock().expect("no holder of this lock panics").put(connection.id, proof);
        }
    }

    /// When a request last proved what the last test said.
    fn proof(&self, connection: &Connection) -> Option<Timestamp> {
        let proof = self.proven.lock().expect("no holder of this lock panics").get(&connection.id).copied()?;
        let judged = connection.verdict.as_ref()?.at;
        (proof.version == connection.version && proof.at > judged).then_some(proof.at)
    }

    /// Tests a connection whose time has come. Nothing where it is gone, or needs no test any more.
    pub(crate) async fn check(&self, id: ConnectionId) -> Result<Option<Outcome>, Error> {
        let Some(connection) = self.store.read(|reader| reader.connection(id))? else { return Ok(None) };
        let by_name = connection.named_credential.is_some() && connection.status() != Status::Disabled;
        if !by_name && !matches!(connection.status(), Status::Active | Status::Degraded) {
            return Ok(None);
        }
        if connection.status() == Status::Active
            && let Some(at) = self.proof(&connection)
        {
            let (now, interval) = (self.outside.now(), self.interval);
            let until = later(at, interval * 9 / 10 + share(id, at, interval / 5));
            if until > now {
                self.store.write(move |writer| writer.put_off(id, Upkeep::Check, now, Some(until))).await?;
                return Ok(None);
            }
        }
        self.test_stored(&Actor::new(HOST, []), connection).await?;
        let tested = self.store.read(|reader| reader.connection(id))?;
        Ok(tested.and_then(|connection| connection.verdict).map(|verdict| verdict.outcome))
    }

    /// Renews a credential whose time has come, a connection's or a principal's, whoever uses it or nobody. Nothing where
    /// somebody did it meanwhile.
    pub(crate) async fn renew_ahead(&self, id: ConnectionId) -> Result<Option<Outcome>, Error> {
        let now = self.outside.now();
        let (connection, credential, plan) =
            self.store.read(|reader| Ok((reader.connection(id)?, reader.credential(id)?, reader.plan(id)?)))?;
        let Some(connection) = connection else { return self.credentials.renew_principal_ahead(id).await };
        let Some(credential) = credential else { return Ok(None) };
        if plan.renewal.is_none_or(|due| due.at > now) {
            return Ok(None);
        }
        let installed = self.installed(&connection)?;
        self.catalog.prepare(&connection.connector).await?;
        let pinned = Pinned { connection: &connection, installed: &installed, actor: HOST };
        match self.credentials.renew(pinned, credential.generation).await {
            Ok(()) => Ok(Some(Outcome::Passed)),
            Err(Unusable::Failed(failure)) => {
                let kind = failure.kind.clone();
                // That it is over for good is told to the flows now. Anything else leaves the verdict as it is: the credential
                // that is there is still good, and the next test says how it stands.
                if matches!(
                    kind,
                    FailureKind::Unauthorized
                        | FailureKind::Expired
                        | FailureKind::Revoked
                        | FailureKind::UnknownRotation
                ) {
                    self.unusable(pinned, Unusable::Failed(failure)).await?;
                }
                Ok(Some(Outcome::Failed(kind)))
            }
            Err(Unusable::Error(error)) => Err(error),
        }
    }
}
