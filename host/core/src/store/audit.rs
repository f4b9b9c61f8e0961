//! The audit's chain: appended to in the very transaction of what it records, read by pages, checked as a whole.
//!
//! Where the chain ends stands apart from its records, and what is appended continues that: where the newest records are taken
//! out of the table, the next one does not close the gap.

use std::ops::Bound;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::codec::{self, List};
use super::error::StoreError;
use super::notes::Note;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::audit::{
    self, AuditChain, AuditEvent, AuditFilter, AuditKind, AuditLink, AuditObject, AuditRecord, AuditReport,
};
use crate::model::id::ConnectionId;
use crate::model::view::Page;

const HEAD: &str = "audit-head";
const ANCHOR: &str = "audit-anchor";

/// How many records one page may look at where few of them are asked for. It then ends early, and says where to go on.
const LOOKED_AT: usize = 100_000;

/// How many records more than were appended are dropped by one commit, where there are too many.
const STEP: u64 = 256;

/// How long records are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// The newest so many.
    pub(crate) records: u64,
    /// Those younger than this.
    pub(crate) days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { records: 1_000_000, days: 365 }
    }
}

/// What a commit appends to the chain. It waits for the end of the commit: all at once costs much less than one by one.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// Where the chain ends with it.
    now: Option<AuditLink>,
    records: Vec<Record>,
    /// The same without what the job under way appended.
    kept: Option<AuditLink>,
    kept_records: usize,
    latest: Timestamp,
}

#[derive(Debug)]
struct Record {
    seq: u64,
    enveloped: Vec<u8>,
    connection: Option<ConnectionId>,
}

impl Appended {
    /// Says whether the job under way appended anything.
    pub(super) fn keep(&mut self) -> bool {
        let grew = self.records.len() > self.kept_records;
        self.kept.clone_from(&self.now);
        self.kept_records = self.records.len();
        grew
    }

    pub(super) fn undo(&mut self) {
        self.now.clone_from(&self.kept);
        self.records.truncate(self.kept_records);
    }
}

impl Reader<'_> {
    /// Where the chain ends.
    pub(crate) fn audit_head(&self) -> Result<AuditLink, StoreError> {
        self.audit_link(HEAD)
    }

    /// What the oldest record that is kept continues.
    pub(crate) fn audit_anchor(&self) -> Result<AuditLink, StoreError> {
        self.audit_link(ANCHOR)
    }

    fn audit_link(&self, key: &str) -> Result<AuditLink, StoreError> {
        Ok(self.record(Table::Meta, key.as_bytes())?.unwrap_or_else(AuditLink::origin))
    }

    /// The records that are asked for, newest first.
    pub(crate) fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Page<AuditRecord>, StoreError> {
        let last = match &filter.cursor {
            Some(cursor) => {
                let text = codec::parse_cursor(List::Audit, cursor)?;
                text.parse().map_err(|_not_a_number| StoreError::BadCursor)?
            }
            None => u64::MAX,
        };
        let mut page = Page { items: Vec::new(), next: None };
        let mut entries = self.range(Table::Audit, Bound::Unbounded, Bound::Included(&last.to_be_bytes()))?;
        let mut looked_at = 0;
        while let Some(entry) = entries.next_back()? {
            let record: AuditRecord = codec::decode(Table::Audit, entry.value())?;
            let wanted = filter.takes(&record.event);
            if looked_at == LOOKED_AT || (wanted && page.items.len() == limit) {
                page.next = Some(codec::cursor(List::Audit, &record.seq.to_string()));
                break;
            }
            looked_at += 1;
            if wanted {
                page.items.push(record);
            }
        }
        Ok(page)
    }

    /// What was done to one connection and with it, newest first, before this place. `next`, as a number, is the next page's
    /// `before`.
    pub(crate) fn audit_of(
        &self,
        id: ConnectionId,
        before: Option<u64>,
        limit: usize,
        wanted: impl Fn(&AuditEvent) -> bool,
    ) -> Result<Page<AuditRecord>, StoreError> {
        let (first, last) = (codec::done_to(id, 0), codec::done_to(id, before.unwrap_or(u64::MAX)));
        let mut page = Page::<AuditRecord> { items: Vec::new(), next: None };
        if before == Some(0) {
            return Ok(page);
        }
        let mut entries = self.range(Table::AuditByConnection, Bound::Included(&first), Bound::Excluded(&last))?;
        let (mut looked_at, mut last) = (0, u64::MAX);
        while let Some(entry) = entries.next_back()? {
            let seq = entry.key().get(id.as_bytes().len()..).unwrap_or_default();
            // A record that was taken out of the chain leaves its place in the index; `audit verify` tells of it.
            let record = self.record::<AuditRecord>(Table::Audit, seq)?.filter(|record| wanted(&record.event));
            if looked_at == LOOKED_AT || (record.is_some() && page.items.len() == limit) {
                page.next = Some(last.to_string());
                break;
            }
            looked_at += 1;
            last = place(seq)?;
            page.items.extend(record);
        }
        Ok(page)
    }

    /// Lines of the chain behind this place, as they are stored, up to so many. Each has its line end.
    pub(crate) fn audit_lines(&self, after: u64, most: usize) -> Result<(Vec<u8>, u64), StoreError> {
        let mut entries = self.range(Table::Audit, Bound::Excluded(&after.to_be_bytes()), Bound::Unbounded)?;
        let (mut lines, mut last) = (Vec::new(), after);
        for _ in 0..most {
            let Some(entry) = entries.next()? else { break };
            lines.extend_from_slice(line(entry.value())?);
            lines.push(b'\n');
            last = place(entry.key())?;
        }
        Ok((lines, last))
    }

    /// Checks every record that is kept.
    pub(crate) fn verify_audit(&self, known: Option<AuditLink>) -> Result<AuditReport, StoreError> {
        let (after, head) = (self.audit_anchor()?, self.audit_head()?);
        let mut chain = match AuditChain::after(after.clone(), known) {
            Ok(chain) => chain,
            Err(broken) => {
                return Ok(AuditReport { whole: false, records: 0, head: after.clone(), after, broken: Some(broken) });
            }
        };
        let mut entries = self.range(Table::Audit, Bound::Unbounded, Bound::Unbounded)?;
        while let Some(entry) = entries.next()? {
            // A damaged envelope is a damaged record.
            if let Err(broken) = chain.take(entry.value().split_first().map_or(b"", |(_, line)| line)) {
                return Ok(chain.report(Err(broken)));
            }
        }
        let ended = chain.end(&head);
        Ok(chain.report(ended))
    }
}

impl Writer<'_> {
    /// Appends a record, which stays or goes with everything else that this job does. No table has it before the commit ends.
    pub(crate) fn audit(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        self.continue_audit(event.at, &event.object, |head| head.continued(event))
    }

    /// The same of what was noted.
    pub(super) fn audit_note(&mut self, note: &Note) -> Result<(), StoreError> {
        match note {
            Note::Event(event) => self.audit(event),
            Note::Done(done) => self.continue_audit(done.at, done.object(), |head| head.continued_by(done)),
        }
    }

    fn continue_audit(
        &mut self,
        at: Timestamp,
        object: &AuditObject,
        line: impl FnOnce(&AuditLink) -> Result<(Vec<u8>, AuditLink), serde_json::Error>,
    ) -> Result<(), StoreError> {
        let head = match self.audit.now.take() {
            Some(head) => head,
            None => self.audit_head()?,
        };
        let unwritable = |error| StoreError::Record { table: Table::Audit.name(), source: Some(Box::new(error)) };
        let (line, next) = line(&head).map_err(unwritable)?;
        let connection = connection_of(object);
        self.audit.records.push(Record { seq: next.seq, enveloped: codec::enveloped(&line), connection });
        self.audit.now = Some(next);
        self.audit.latest = self.audit.latest.max(at);
        Ok(())
    }

    /// Writes what was appended and where the chain ends, once for all jobs of a commit, and drops what is too old.
    pub(super) fn seal_audit(&mut self, retention: Retention) -> Result<(), StoreError> {
        let Some(head) = self.audit.kept.clone() else { return Ok(()) };
        let before = self.audit_head()?;
        let records = std::mem::take(&mut self.audit.records);
        self.append(
            Table::Audit,
            records.iter().map(|record| (record.seq.to_be_bytes(), record.enveloped.as_slice())),
        )?;
        let mut done: Vec<_> = records.iter().filter_map(|record| Some((record.connection?, record.seq))).collect();
        done.sort_unstable();
        for with_one in done.chunk_by(|one, next| one.0 == next.0) {
            self.append(Table::AuditByConnection, with_one.iter().map(|(id, seq)| (codec::done_to(*id, *seq), b"")))?;
        }
        self.insert_record(Table::Meta, HEAD.as_bytes(), &head)?;
        let most = 2 * (head.seq - before.seq) + STEP;
        let oldest = self.audit.latest.checked_sub(SignedDuration::from_hours(24 * i64::from(retention.days)));
        let dropped = self.too_old(&head, most, retention.records, oldest.ok())?;
        if let Some((last, _)) = dropped.last() {
            self.insert_record(Table::Meta, ANCHOR.as_bytes(), last)?;
        }
        for (link, connection) in &dropped {
            self.remove(Table::Audit, &link.seq.to_be_bytes())?;
            if let Some(id) = connection {
                self.remove(Table::AuditByConnection, &codec::done_to(*id, link.seq))?;
            }
        }
        self.keep();
        Ok(())
    }

    /// The oldest records that are dropped now, up to so many. One that is damaged stops it: it stays for a check to find, and
    /// stands in nobody's way.
    fn too_old(
        &self,
        head: &AuditLink,
        most: u64,
        keep: u64,
        oldest: Option<Timestamp>,
    ) -> Result<Vec<(AuditLink, Option<ConnectionId>)>, StoreError> {
        let mut dropped = Vec::new();
        let mut entries = self.range(Table::Audit, Bound::Unbounded, Bound::Unbounded)?;
        while (dropped.len() as u64) < most
            && let Some(entry) = entries.next()?
        {
            let Some((link, at, connection)) = dated(entry.key(), entry.value()) else {
                tracing::warn!("a record of the audit is damaged, so none is dropped: run `turnbuckle audit verify`");
                break;
            };
            let surplus = head.seq.saturating_sub(link.seq) >= keep;
            let aged = oldest.is_some_and(|oldest| at < oldest);
            // The newest stays, whatever its age: the chain goes on from it.
            if link.seq >= head.seq || !(surplus || aged) {
                break;
            }
            dropped.push((link, connection));
        }
        Ok(dropped)
    }
}

/// Which connection something was done to, or with.
pub(super) fn connection_of(object: &AuditObject) -> Option<ConnectionId> {
    match object.kind {
        AuditKind::Connection => object.id.as_deref()?.parse().ok(),
        AuditKind::Connector
        | AuditKind::Flow
        | AuditKind::IdentityProvider
        | AuditKind::ExternalCredential
        | AuditKind::Principal
        | AuditKind::NamedCredential
        | AuditKind::Event
        | AuditKind::Webhook
        | AuditKind::User
        | AuditKind::PermissionSet
        | AuditKind::Token
        | AuditKind::Host => None,
    }
}

/// The link of a record, when it was made, and which connection it is of; nothing where it is damaged.
fn dated(key: &[u8], value: &[u8]) -> Option<(AuditLink, Timestamp, Option<ConnectionId>)> {
    #[derive(Deserialize)]
    struct When {
        at: Timestamp,
        object: AuditObject,
    }
    let When { at, object } = codec::decode(Table::Audit, value).ok()?;
    Some((audit::link(place(key).ok()?, line(value).ok()?)?, at, connection_of(&object)))
}

fn place(key: &[u8]) -> Result<u64, StoreError> {
    let damaged = |_not_a_place| StoreError::Record { table: Table::Audit.name(), source: None };
    key.try_into().map(u64::from_be_bytes).map_err(damaged)
}

/// What stands in the envelope.
fn line(value: &[u8]) -> Result<&[u8], StoreError> {
    codec::opened(Table::Audit, value)
}
