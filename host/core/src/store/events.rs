//! The outbox: events in their sequence, written in the transaction of what they tell, read from any place on.
//!
//! The newest event always stays, so the key of the last one is where the sequence ends: no count has to be kept beside it.
//!
//! Renewals are told in such numbers, where many connections have short tokens, that they would push everything else out. So
//! they have a bound of their own, and where one is dropped before its time there is a gap as where an event is not for the
//! reader: what is told of the others is whole from the place on that is kept.

use std::ops::Bound;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::connection::Visibility;
use crate::model::event::{Event, EventType, EventTypes, Telling};
use crate::model::id::ConnectionId;

/// How many events one read looks at where few of them are asked for.
const LOOKED_AT: usize = 512;

/// How many events more than were told are dropped by one commit, where there are too many.
const STEP: u64 = 256;

/// Up to where everything was dropped.
const PASSED: &str = "events-passed";

/// How long events are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventsKept {
    /// The newest so many, renewals aside.
    pub(crate) records: u64,
    /// The newest so many renewals, and none that is older than one of the others that was dropped.
    pub(crate) renewals: u64,
    /// Those younger than this.
    pub(crate) days: u32,
}

/// What the jobs of one commit told, including what was undone: an upper bound is good enough for what it is used for.
#[derive(Debug, Default)]
pub(super) struct Told {
    count: u64,
    latest: Timestamp,
}

/// Which events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventQuery<'a> {
    /// Behind this place.
    pub(crate) after: u64,
    /// Whoever asks: what is private to others is passed over.
    pub(crate) seen_by: &'a str,
    pub(crate) types: &'a EventTypes,
    /// About this one alone.
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) limit: usize,
}

/// What was found behind a place.
#[derive(Debug)]
pub(crate) enum Followed {
    /// Events, and the place up to which everything was looked at.
    Events { events: Vec<Event>, reached: u64 },
    /// Events behind the place are no longer kept; this is the oldest that is.
    Passed { oldest: u64 },
    /// The sequence ends before the place.
    Ahead { newest: u64 },
}

impl Reader<'_> {
    /// The number of the newest event; 0 before the first.
    pub(crate) fn events_head(&self) -> Result<u64, StoreError> {
        let mut entries = self.range(Table::Events, Bound::Unbounded, Bound::Unbounded)?;
        entries.next_back()?.map_or(Ok(0), |entry| place(entry.key()))
    }

    /// The place from which on nothing is lacking, but renewals.
    pub(crate) fn events_begin(&self) -> Result<u64, StoreError> {
        if let Some(passed) = self.record(Table::Meta, PASSED.as_bytes())? {
            return Ok(passed);
        }
        let mut entries = self.range(Table::Events, Bound::Unbounded, Bound::Unbounded)?;
        entries.next()?.map_or(Ok(0), |entry| place(entry.key()).map(|oldest| oldest.saturating_sub(1)))
    }

    /// The events behind a place, oldest first. Looks at a bounded number of them.
    pub(crate) fn events(&self, query: EventQuery<'_>) -> Result<Followed, StoreError> {
        let begin = self.events_begin()?;
        if query.after < begin {
            return Ok(Followed::Passed { oldest: begin + 1 });
        }
        let newest = self.events_head()?;
        if query.after > newest {
            return Ok(Followed::Ahead { newest });
        }
        let (mut events, mut reached) = (Vec::new(), query.after);
        let mut entries = self.range(Table::Events, Bound::Excluded(&query.after.to_be_bytes()), Bound::Unbounded)?;
        for _ in 0..LOOKED_AT {
            if events.len() >= query.limit {
                break;
            }
            let Some(entry) = entries.next()? else { break };
            reached = place(entry.key())?;
            events.extend(self.seen(entry.value(), &query)?);
        }
        Ok(Followed::Events { events, reached })
    }

    /// One event, where this one may see it.
    pub(crate) fn event(&self, seq: u64, seen_by: &str) -> Result<Option<Event>, StoreError> {
        let types = EventTypes::default();
        let query = EventQuery { after: seq, seen_by, types: &types, connection: None, limit: 1 };
        let found = self.get_with(Table::Events, &seq.to_be_bytes(), |bytes| self.seen(bytes, &query))?;
        Ok(found.flatten())
    }

    fn seen(&self, bytes: &[u8], query: &EventQuery<'_>) -> Result<Option<Event>, StoreError> {
        let mut event: Event = codec::decode(Table::Events, bytes)?;
        if !query.types.takes(event.kind()) {
            return Ok(None);
        }
        let about = event.data.connection();
        if query.connection.is_some() && about != query.connection {
            return Ok(None);
        }
        if !self.event_is_for(&event, query.seen_by)? {
            return Ok(None);
        }
        event.id = id_of(bytes);
        Ok(Some(event))
    }

    /// Whether this one may see it. A connection that became private since is as private as one that always was; an alert names
    /// it by its id alone.
    pub(crate) fn event_is_for(&self, event: &Event, who: &str) -> Result<bool, StoreError> {
        if event.data.only_for().is_some_and(|only| only != who) {
            return Ok(false);
        }
        let Some(id) = event.data.connection().filter(|_| !event.data.names_only_ids()) else { return Ok(true) };
        let connection = self.shared_connection(id)?;
        Ok(connection.is_none_or(|now| now.visibility == Visibility::Shared || now.owner == who))
    }
}

impl Writer<'_> {
    /// Tells an event, which stays or goes with everything else that this job does.
    pub(crate) fn tell(&mut self, telling: Telling) -> Result<(), StoreError> {
        let Telling { at, actor, data } = telling;
        let seq = self.events_head()? + 1;
        let event = Event { seq, id: String::new(), timestamp: at, actor, data };
        self.insert_record(Table::Events, &seq.to_be_bytes(), &event)?;
        if event.kind() == EventType::ConnectionRefreshed {
            self.insert(Table::EventsRefreshed, &seq.to_be_bytes(), b"")?;
        }
        self.told.count += 1;
        self.told.latest = self.told.latest.max(at);
        Ok(())
    }

    /// Drops what is too old, once for all jobs of a commit, and says where the sequence ends; nothing where it did not grow.
    pub(super) fn seal_events(&mut self, kept: EventsKept) -> Result<Option<u64>, StoreError> {
        if self.told.count == 0 {
            return Ok(None);
        }
        let newest = self.events_head()?;
        let most = 2 * self.told.count + STEP;
        self.drop_oldest(kept, newest, most)?;
        self.drop_renewals(kept, newest, most)?;
        self.keep();
        Ok(Some(newest))
    }

    /// From the oldest on, whatever it is.
    fn drop_oldest(&mut self, kept: EventsKept, newest: u64, most: u64) -> Result<(), StoreError> {
        let oldest = self.told.latest.checked_sub(SignedDuration::from_hours(24 * i64::from(kept.days))).ok();
        let mut surplus = (self.len(Table::Events)? - self.len(Table::EventsRefreshed)?).saturating_sub(kept.records);
        let mut dropped = Vec::new();
        let mut entries = self.range(Table::Events, Bound::Unbounded, Bound::Unbounded)?;
        while (dropped.len() as u64) < most
            && let Some(entry) = entries.next()?
        {
            let seq = place(entry.key())?;
            let aged = || -> Result<bool, StoreError> {
                let event: Event = codec::decode(Table::Events, entry.value())?;
                Ok(oldest.is_some_and(|oldest| event.timestamp < oldest))
            };
            if seq >= newest || !(surplus > 0 || aged()?) {
                break;
            }
            let renewal = self.get_with(Table::EventsRefreshed, entry.key(), |_nothing| Ok(()))?.is_some();
            surplus = surplus.saturating_sub(u64::from(!renewal));
            dropped.push(seq);
        }
        drop(entries);
        if let Some(last) = dropped.last() {
            self.insert_record(Table::Meta, PASSED.as_bytes(), last)?;
        }
        dropped.into_iter().try_for_each(|seq| self.drop_event(seq))
    }

    /// Those that are too many, from between the others.
    fn drop_renewals(&mut self, kept: EventsKept, newest: u64, most: u64) -> Result<(), StoreError> {
        let surplus = self.len(Table::EventsRefreshed)?.saturating_sub(kept.renewals).min(most);
        if surplus == 0 {
            return Ok(());
        }
        // Before the first of them goes: from here on the oldest event does not say it.
        let begin = self.events_begin()?;
        self.insert_record(Table::Meta, PASSED.as_bytes(), &begin)?;
        let mut dropped = Vec::new();
        let mut entries = self.range(Table::EventsRefreshed, Bound::Unbounded, Bound::Unbounded)?;
        while (dropped.len() as u64) < surplus
            && let Some(entry) = entries.next()?
        {
            dropped.push(place(entry.key())?);
        }
        drop(entries);
        dropped.into_iter().filter(|seq| *seq < newest).try_for_each(|seq| self.drop_event(seq))
    }

    fn drop_event(&mut self, seq: u64) -> Result<(), StoreError> {
        self.remove(Table::EventsRefreshed, &seq.to_be_bytes())?;
        self.remove(Table::Events, &seq.to_be_bytes())?;
        Ok(())
    }

    /// Finds the renewals among the events of an older store.
    pub(super) fn find_renewals(&mut self) -> Result<(), StoreError> {
        let mut found = Vec::new();
        let mut entries = self.range(Table::Events, Bound::Unbounded, Bound::Unbounded)?;
        while let Some(entry) = entries.next()? {
            let event: Event = codec::decode(Table::Events, entry.value())?;
            if event.kind() == EventType::ConnectionRefreshed {
                found.push(event.seq);
            }
        }
        drop(entries);
        found.into_iter().try_for_each(|seq| self.insert(Table::EventsRefreshed, &seq.to_be_bytes(), b""))
    }
}

/// The same for one event however often it is read, and another one for every other event, those of a store that was put back
/// to an older state included.
fn id_of(bytes: &[u8]) -> String {
    format!("evt_{}", hex::encode(&Sha256::digest(bytes)[..16]))
}

pub(super) fn place(key: &[u8]) -> Result<u64, StoreError> {
    let damaged = |_not_a_place| StoreError::Record { table: Table::Events.name(), source: None };
    key.try_into().map(u64::from_be_bytes).map_err(damaged)
}
