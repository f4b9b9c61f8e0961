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
use crate::model::connection::{Connection, Status, Visibility};
use crate::model::id::ConnectionId;
use crate::model::named::Holder;
use crate::model::schedule::{Due, Plan, Upkeep, back_off, later, plan_of_holder};

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

    /// How many connections stand how: of those that everybody may see and, for somebody, of its own private ones.
    pub(crate) fn count_by_status(&self, asks: Option<&str>) -> Result<BTreeMap<Status, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for of in [Some(None), asks.map(Some)].into_iter().flatten() {
            for status in Status::ALL {
                *counts.entry(status).or_default() += self.counted(of, status)?;
            }
        }
        Ok(counts)
    }

    fn counted(&self, private_to: Option<&str>, status: Status) -> Result<u64, StoreError> {
        Ok(self.record(Table::ConnectionsCounted, &count_place(private_to, status))?.unwrap_or_default())
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
            None => match self.holder(id)? {
                Some(holder) => self.replan_holder(&holder),
                None => Ok(()),
            },
        }
    }

    /// Plans anew after what a principal holds changed, or what was obtained for it. That is known to whose it is, or to whoever
    /// set the principal up.
    pub(super) fn replan_holder(&mut self, holder: &Holder) -> Result<(), StoreError> {
        let Some(principal) = self.principal(&holder.principal)? else { return self.unplan(holder.id) };
        let external = self.external_credential(&principal.external_credential)?;
        let alone = external.is_some_and(|external| !external.takes_a_person());
        let of = holder.user.as_ref().unwrap_or(&principal.owner);
        let (old, credential) = (self.plan(holder.id)?, self.credential(holder.id)?);
        let new = plan_of_holder(&old, holder, alone, of, credential.as_ref());
        self.put_plan(holder.id, &old, &new)
    }

    /// Plans for principals that an older store holds.
    pub(super) fn plan_older_holders(&mut self) -> Result<(), StoreError> {
        self.holders()?.iter().try_for_each(|holder| self.replan_holder(holder))
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
    pub(super) fn recount(
        &mut self,
        before: Option<&Connection>,
        after: Option<&Connection>,
    ) -> Result<(), StoreError> {
        let (before, after) = (before.map(counted_at), after.map(counted_at));
        if before == after {
            return Ok(());
        }
        if let Some((of, status)) = before {
            let left = self.counted(of, status)?.saturating_sub(1);
            let place = count_place(of, status);
            // Owners come and go: what counts nothing takes no room.
            match left {
                0 => drop(self.remove(Table::ConnectionsCounted, &place)?),
                left => self.insert_record(Table::ConnectionsCounted, &place, &left)?,
            }
        }
        if let Some((of, status)) = after {
            let count = self.counted(of, status)? + 1;
            self.insert_record(Table::ConnectionsCounted, &count_place(of, status), &count)?;
        }
        Ok(())
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

    /// Plans for connections behind this one that an older store holds. Gives the last of them.
    pub(super) fn plan_older(
        &mut self,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let connections = self.connections_after(after, limit)?;
        for connection in &connections {
            self.replan(connection)?;
        }
        Ok(connections.last().map(|connection| connection.id))
    }
}

/// Where a connection is counted.
fn counted_at(connection: &Connection) -> (Option<&str>, Status) {
    let private = connection.visibility == Visibility::Private;
    (private.then_some(connection.owner.as_str()), connection.status())
}

fn count_place(private_to: Option<&str>, status: Status) -> Vec<u8> {
    codec::joined(&[&codec::counted(private_to), &codec::status(status)])
}

/// The place of a connection in the counts.
pub(super) fn counted_place(connection: &Connection) -> Vec<u8> {
    let (of, status) = counted_at(connection);
    count_place(of, status)
}
