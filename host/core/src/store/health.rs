//! What the host does unasked, in the order of time, moved in the very job that stores the verdict or the change it follows
//! from; how many connections stand how; and what each place was asked today.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::connection::{Connection, Status};
use crate::model::id::ConnectionId;
use crate::model::schedule::{Due, Plan, Upkeep, back_off, later};

const COUNTS: &str = "connections-by-status";
/// Rows of days that are over, cleared away by one write.
const CLEARED: usize = 1_000;

/// Something whose time comes, as the index tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upcoming {
    pub(crate) at: Timestamp,
    pub(crate) what: Upkeep,
    pub(crate) id: ConnectionId,
    pub(crate) lane: String,
    pub(crate) private_to: Option<String>,
    /// Its place: a page goes on behind it.
    pub(crate) place: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    lane: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_to: Option<String>,
}

impl Reader<'_> {
    /// What is due at this moment, oldest first, behind a place where one is given.
    pub(crate) fn due(&self, now: Timestamp, behind: Option<&[u8]>, most: usize) -> Result<Vec<Upcoming>, StoreError> {
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let end = codec::moment(later(now, jiff::SignedDuration::from_millis(1)));
        self.upcoming(from, Bound::Excluded(&end), most)
    }

    /// What is due first after this moment.
    pub(crate) fn next_due(&self, now: Timestamp, most: usize) -> Result<Vec<Upcoming>, StoreError> {
        let from = codec::moment(later(now, jiff::SignedDuration::from_millis(1)));
        self.upcoming(Bound::Included(&from), Bound::Unbounded, most)
    }

    fn upcoming(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, most: usize) -> Result<Vec<Upcoming>, StoreError> {
        let table = Table::UpkeepDue;
        let mut found = Vec::new();
        // Where a page went on behind the last one there is, the range would be turned around.
        if let (Bound::Excluded(from), Bound::Excluded(to)) = (from, to)
            && from >= to
        {
            return Ok(found);
        }
        let mut entries = self.range(table, from, to)?;
        while found.len() < most
            && let Some(entry) = entries.next()?
        {
            let (at, what, id) = codec::due_parts(table, entry.key())?;
            let Shown { lane, private_to } = codec::decode(table, entry.value())?;
            found.push(Upcoming { at, what, id, lane, private_to, place: entry.key().to_vec() });
        }
        Ok(found)
    }

    /// What is planned for a connection.
    pub(crate) fn plan(&self, id: ConnectionId) -> Result<Plan, StoreError> {
        Ok(self.record(Table::Upkeep, id.as_bytes())?.unwrap_or_default())
    }

    /// How many connections stand how, whoever may see them.
    pub(crate) fn count_by_status(&self) -> Result<BTreeMap<Status, u64>, StoreError> {
        Ok(self.record(Table::Meta, COUNTS.as_bytes())?.unwrap_or_default())
    }

    /// The same of connections that are private to others than this one. Walks the private ones.
    pub(crate) fn count_hidden_by_status(&self, asks: &str) -> Result<BTreeMap<Status, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        let mut entries = self.prefixed(Table::ConnectionsPrivate, b"", b"")?;
        while let Some(entry) = entries.next()? {
            let id = codec::id(Table::ConnectionsPrivate, entry.value())?;
            if let Some(connection) = self.shared_connection(id)?.filter(|connection| connection.owner != asks) {
                *counts.entry(connection.status()).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// How often the host asked this place on its own on this day.
    pub(crate) fn spent(&self, day: i64, lane: &str) -> Result<u64, StoreError> {
        Ok(self.record(Table::UpkeepSpent, &codec::spent(day, lane))?.unwrap_or_default())
    }
}

impl Writer<'_> {
    /// Plans anew after a connection, its verdict or its credential changed. What did not change keeps its time.
    pub(super) fn replan(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let credential = self.credential(connection.id)?;
        let old = self.plan(connection.id)?;
        let new = self.schedule.plan(&old, connection, credential.as_ref());
        self.put_plan(connection.id, &old, &new)
    }

    /// Plans anew after what was obtained for a connection changed.
    pub(super) fn replan_by_id(&mut self, id: ConnectionId) -> Result<(), StoreError> {
        match self.connection(id)? {
            Some(connection) => self.replan(&connection),
            None => Ok(()),
        }
    }

    /// Nothing is planned any more.
    pub(super) fn unplan(&mut self, id: ConnectionId) -> Result<(), StoreError> {
        let old = self.plan(id)?;
        self.put_plan(id, &old, &Plan::default())
    }

    /// Puts something off that is still due: not before `until` where one is given, longer each time where none is.
    pub(crate) fn put_off(
        &mut self,
        id: ConnectionId,
        what: Upkeep,
        now: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let old = self.plan(id)?;
        let mut new = old.clone();
        let Some(due) = new.due_mut(what).as_mut().filter(|due| due.at <= now) else { return Ok(()) };
        match until {
            Some(until) => due.at = until.max(later(now, jiff::SignedDuration::from_secs(1))),
            None => {
                due.tries = due.tries.saturating_add(1);
                due.at = later(now, back_off(due.tries));
            }
        }
        self.put_plan(id, &old, &new)
    }

    fn put_plan(&mut self, id: ConnectionId, old: &Plan, new: &Plan) -> Result<(), StoreError> {
        if old == new {
            return Ok(());
        }
        for what in Upkeep::ALL {
            let (before, after) = (old.due(what), new.due(what));
            if before == after {
                continue;
            }
            if let Some(Due { at, .. }) = before {
                self.remove(Table::UpkeepDue, &codec::due(*at, what, id))?;
            }
            if let Some(Due { at, lane, private_to, .. }) = after {
                let shown = Shown { lane: lane.clone(), private_to: private_to.clone() };
                self.insert_record(Table::UpkeepDue, &codec::due(*at, what, id), &shown)?;
            }
        }
        if new.is_empty() {
            self.remove(Table::Upkeep, id.as_bytes())?;
            return Ok(());
        }
        self.insert_record(Table::Upkeep, id.as_bytes(), new)
    }

    /// Counts a connection where it stands now, and no longer where it stood.
    pub(super) fn recount(&mut self, before: Option<Status>, after: Option<Status>) -> Result<(), StoreError> {
        if before == after {
            return Ok(());
        }
        let mut counts = self.count_by_status()?;
        if let Some(count) = before.and_then(|status| counts.get_mut(&status)) {
            *count = count.saturating_sub(1);
        }
        if let Some(status) = after {
            *counts.entry(status).or_default() += 1;
        }
        self.insert_record(Table::Meta, COUNTS.as_bytes(), &counts)
    }

    /// Writes how often places were asked on this day, and clears away what days before it left.
    pub(crate) fn spend(&mut self, day: i64, spent: &[(String, u64)]) -> Result<(), StoreError> {
        let mut over = Vec::new();
        let mut entries = self.range(Table::UpkeepSpent, Bound::Unbounded, Bound::Excluded(&codec::spent(day, "")))?;
        while over.len() < CLEARED
            && let Some(entry) = entries.next()?
        {
            over.push(entry.key().to_vec());
        }
        drop(entries);
        for key in over {
            self.remove(Table::UpkeepSpent, &key)?;
        }
        for (lane, count) in spent {
            self.insert_record(Table::UpkeepSpent, &codec::spent(day, lane), count)?;
        }
        Ok(())
    }

    /// Plans for connections behind this one that an older store holds, and counts them. Gives the last of them.
    pub(super) fn plan_older(
        &mut self,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let connections = self.connections_after(after, limit)?;
        for connection in &connections {
            self.replan(connection)?;
            self.recount(None, Some(connection.status()))?;
        }
        Ok(connections.last().map(|connection| connection.id))
    }
}
