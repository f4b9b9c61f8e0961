//! The audit as callers see it, and the one place where a refused call is recorded.

use std::io::{self, BufRead};
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::Host;
use crate::connections::need;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{
    AuditAction, AuditBreak, AuditChain, AuditEvent, AuditFilter, AuditKind, AuditLink, AuditObject, AuditOutcome,
    AuditRecord, AuditReport, is_refusal,
};
use crate::model::error::Error;
use crate::model::measure;
use crate::model::view::Page;
use crate::store::{Reader, StoreError};

const PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;
/// Lines that an export reads at once.
const CHUNK: usize = 500;
/// Names the format of an export; another one has another name.
const FORMAT: &str = "turnbuckle-audit-1";

/// The first line of an export.
#[derive(Debug, Serialize, Deserialize)]
struct Beginning {
    format: String,
    /// What the first record continues.
    after: AuditLink,
}

/// The last line of an export: without it, it is cut off.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    records: u64,
    head: AuditLink,
}

/// A call of somebody, until it is known how it ends.
#[derive(Debug)]
pub(super) struct Call<'a> {
    host: &'a Host,
    actor: &'a Actor,
    action: AuditAction,
    key: &'a str,
    /// How it ended, as far as is known: done, failed, refused.
    ended: AtomicU8,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let outcome = match self.ended.load(Ordering::Relaxed) {
            REHEARSED => return,
            DONE => AuditOutcome::Done,
            FAILED => AuditOutcome::Failed,
            _ => AuditOutcome::Refused,
        };
        measure::call(self.action.name(), outcome.name());
    }
}

const DONE: u8 = 0;
const FAILED: u8 = 1;
const REFUSED: u8 = 2;
const REHEARSED: u8 = 3;

impl Host {
    /// A call that does this to the thing of this name or id. Where integrations are switched off, nothing is done with what
    /// they are made of.
    pub(super) fn call<'a>(&'a self, actor: &'a Actor, action: AuditAction, key: &'a str) -> Result<Call<'a>, Error> {
        let call = Call { host: self, actor, action, key, ended: AtomicU8::new(DONE) };
        call.told(match action.kind() {
            AuditKind::Connector | AuditKind::Connection | AuditKind::Flow | AuditKind::Event => self.integrations(),
            AuditKind::IdentityProvider
            | AuditKind::ExternalCredential
            | AuditKind::Principal
            | AuditKind::NamedCredential
            | AuditKind::User
            | AuditKind::PermissionSet
            | AuditKind::Token
            | AuditKind::Webhook
            | AuditKind::Host => Ok(()),
        })?;
        Ok(call)
    }
}

impl Call<'_> {
    /// Goes on only for whom this permission is held by.
    pub(super) fn need(&self, permission: Permission) -> Result<(), Error> {
        self.told(need(self.actor, permission))
    }

    /// It was not made, only asked about: it counts for nothing.
    pub(super) fn rehearsed(self) {
        self.ended.store(REHEARSED, Ordering::Relaxed);
    }

    /// How it ended. A refusal is put down here and nowhere else; what was done is recorded where it is done. Requests are
    /// recorded with their answer, so one that the policy refused is there already.
    pub(super) fn told<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        match &outcome {
            Ok(_) => {}
            Err(error) => {
                let refused = is_refusal(error);
                self.ended.store(if refused { REFUSED } else { FAILED }, Ordering::Relaxed);
                if refused {
                    measure::refusal(match error {
                        Error::Forbidden { .. } => "permission",
                        other => other.code(),
                    });
                }
                if refused && !matches!(error, Error::Upstream { .. }) {
                    self.refused(error);
                }
            }
        }
        outcome
    }

    fn refused(&self, error: &Error) {
        let inner = &self.host.inner;
        let (now, who) = (inner.outside.now(), self.actor.name());
        // Whether the actor may know of a private connection makes no difference to those who may read the audit.
        let connection = match self.action.kind() {
            AuditKind::Connection => inner.store.connection(self.key).ok().flatten(),
            AuditKind::Connector
            | AuditKind::Flow
            | AuditKind::IdentityProvider
            | AuditKind::ExternalCredential
            | AuditKind::Principal
            | AuditKind::NamedCredential
            | AuditKind::User
            | AuditKind::PermissionSet
            | AuditKind::Token
            | AuditKind::Event
            | AuditKind::Webhook
            | AuditKind::Host => None,
        };
        let event = match connection {
            Some(connection) => AuditEvent::of(now, who, self.action, &connection),
            None => AuditEvent::new(now, who, self.action, AuditObject::named(self.action.kind(), self.key)),
        };
        inner.store.note(event.ended(error));
    }
}

/// The audit: a chain of records that only grows. [`AuditRecord`] says what a record is, [`verify_audit_export`] what an export
/// is made of.
impl Host {
    /// A page of the audit, newest first. Where few records are wanted among many, a page may end early; `next` says where to
    /// go on.
    pub async fn audit(&self, actor: &Actor, filter: &AuditFilter) -> Result<Page<AuditRecord>, Error> {
        self.call(actor, AuditAction::AuditView, "")?.need(Permission::ViewAudit)?;
        let limit = filter.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Error::field("limit", format!("must be 1 to {LONGEST_PAGE}")));
        }
        if let Some(action) = filter.action.as_deref()
            && !AuditAction::ALL.iter().any(|known| {
                known.name() == action || known.name().split_once('.').is_some_and(|(kind, _)| kind == action)
            })
        {
            let names: Vec<_> = AuditAction::ALL.iter().map(|action| action.name()).collect();
            return Err(Error::field("action", format!("there is no such action; there are {}", names.join(", "))));
        }
        let filter = filter.clone();
        self.read_audit(move |reader| reader.audit(&filter, limit)).await
    }

    /// Checks every record that is kept. Where a link is known from elsewhere, the chain must hold it: a chain that was made
    /// anew as a whole is found by that alone.
    pub async fn verify_audit(&self, actor: &Actor, known: Option<AuditLink>) -> Result<AuditReport, Error> {
        self.call(actor, AuditAction::AuditView, "")?.need(Permission::ViewAudit)?;
        let asked = known.clone();
        let report = self.read_audit(move |reader| reader.verify_audit(known)).await?;
        reaches(&report, asked.as_ref())?;
        Ok(report)
    }

    /// The whole chain, as JSON lines that another program can check: see [`verify_audit_export`].
    pub async fn export_audit(&self, actor: &Actor) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        self.call(actor, AuditAction::AuditView, "")?.need(Permission::ViewAudit)?;
        let (after, head) = self.read_audit(|reader| Ok((reader.audit_anchor()?, reader.audit_head()?))).await?;
        let records = head.seq - after.seq.min(head.seq);
        let first = line(&Beginning { format: FORMAT.to_owned(), after: after.clone() });
        let last = line(&End { records, head: head.clone() });
        let host = self.clone();
        let lines = stream::try_unfold(after.seq, move |after| {
            let (host, end) = (host.clone(), head.seq);
            async move {
                let most = usize::try_from(end.saturating_sub(after)).unwrap_or(CHUNK).min(CHUNK);
                if most == 0 {
                    return Ok(None);
                }
                let read = move |reader: &Reader<'_>| Ok((reader.audit_lines(after, most)?, reader.audit_anchor()?));
                let ((lines, last), kept) = host.on_its_own(read).await?;
                if kept.seq > after {
                    return Err(moved_on());
                }
                // Where records are not there for a worse reason, the lines say so.
                Ok(if last == after { None } else { Some((Bytes::from(lines), last)) })
            }
        });
        let whole = stream::iter([first]).chain(lines).chain(stream::iter([last]));
        Ok(whole.boxed())
    }

    /// Waits until everything that happened before is in the audit. Uses of secrets are put down without waiting for the disk;
    /// whoever ends a process calls this first.
    pub async fn settle_audit(&self) -> Result<(), Error> {
        self.inner.store.settle().await.map_err(Error::from)
    }

    /// What happened until now is there to be read.
    async fn read_audit<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        self.settle_audit().await?;
        self.on_its_own(read).await
    }

    /// On a thread that may take its time.
    async fn on_its_own<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.inner.store.clone();
        let read = tokio::task::spawn_blocking(move || store.read(read)).await;
        read.map_err(|panicked| Error::internal("reading the audit")(Box::new(panicked)))?.map_err(Error::from)
    }
}

fn moved_on() -> Error {
    Error::Refused {
        rule: "audit-moved-on",
        message: "records were dropped for their age while they were being exported".into(),
        hint: Some("export it again".into()),
    }
}

fn line(value: &impl Serialize) -> Result<Bytes, Error> {
    let mut line = serde_json::to_vec(value).map_err(|error| Error::internal("writing the audit")(Box::new(error)))?;
    line.push(b'\n');
    Ok(line.into())
}

/// Whether a link that is known from elsewhere can be found in a chain at all.
fn reaches(report: &AuditReport, known: Option<&AuditLink>) -> Result<(), Error> {
    match known {
        Some(known) if known.seq < report.after.seq => Err(Error::field(
            "known",
            format!("record {} is no longer kept: the chain begins behind record {}", known.seq, report.after.seq),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Checks an export, without a host.
///
/// An export is lines of JSON. The first is `{"format":"turnbuckle-audit-1","after":{"seq":…,"hash":"…"}}`: what the first
/// record continues, which is 64 zeros at 0 unless older records were dropped. Then come the records, each on a line that
/// ends in `,"hash":"<64 hexadecimal digits>"}`: the SHA-256 of the bytes of the line before that ending. `seq` grows by one
/// from record to record, and `prev` is the hash of the record before. The last line is
/// `{"records":…,"head":{"seq":…,"hash":"…"}}`: how many there are, and where the chain ends.
///
/// # Errors
/// Where it can't be read, does not begin as an export does, or `known` is not within it.
pub fn verify_audit_export(export: impl BufRead, known: Option<AuditLink>) -> io::Result<Result<AuditReport, Error>> {
    let no_export = || Error::field("file", "is no export of the audit: its first line does not say so");
    let mut lines = export.split(b'\n');
    let first = lines.next().transpose()?.unwrap_or_default();
    let after = match serde_json::from_slice::<Beginning>(&first) {
        Ok(Beginning { format, after }) if format == FORMAT => after,
        Ok(Beginning { format, .. }) if format.starts_with("turnbuckle-audit-") => {
            return Ok(Err(Error::field("file", format!("has the format `{format}`; this program knows `{FORMAT}`"))));
        }
        Ok(_) | Err(_) => return Ok(Err(no_export())),
    };
    let asked = known.clone();
    let mut chain = match AuditChain::after(after.clone(), known) {
        Ok(chain) => chain,
        Err(broken) => {
            let head = after.clone();
            return Ok(Ok(AuditReport { whole: false, records: 0, after, head, broken: Some(broken) }));
        }
    };
    let outcome = walk(&mut chain, lines)?;
    let report = chain.report(outcome);
    Ok(reaches(&report, asked.as_ref()).map(|()| report))
}

fn walk(
    chain: &mut AuditChain,
    mut lines: impl Iterator<Item = io::Result<Vec<u8>>>,
) -> io::Result<Result<(), AuditBreak>> {
    while let Some(line) = lines.next().transpose()? {
        if let Ok(End { records, head }) = serde_json::from_slice::<End>(&line) {
            return Ok(match lines.next().transpose()? {
                None => chain.end(&head).and_then(|()| chain.count(records)),
                Some(_) => Err(chain.surplus()),
            });
        }
        if let Err(broken) = chain.take(&line) {
            return Ok(Err(broken));
        }
    }
    Ok(Err(chain.cut_off()))
}
