//! Connections: records, their indexes, their history, and pages through them.

use std::ops::Bound;
use std::sync::Arc;

use semver::Version;

use super::codec::{self, List};
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Entries, Entry, Reader, Writer};
use crate::model::connection::{Change, Connection, Status, Visibility};
use crate::model::id::{ConnectionId, ConnectorName};
use crate::model::view::{ConnectionOrder, Page};

/// A page is never longer than this, whatever was asked.
const LONGEST_PAGE: usize = 1_000;

/// One page looks at no more entries than this; then it gives a cursor, be it with no items at all.
const LONGEST_SCAN: usize = 10_000;

/// The history of a connection tells of so many of its newest versions; the audit tells of what was before.
const KEPT_CHANGES: u64 = 1_000;

/// So many lines go with each new one at most, where a file of an older binary has too many.
const DROPPED_CHANGES: usize = 16;

/// How many entries to step over before a new search from the root is cheaper.
const SHORT_GAP: usize = 4;

/// Which connections. Everything given must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionQuery {
    pub(crate) connector: Option<ConnectorName>,
    pub(crate) status: Option<Status>,
    pub(crate) owner: Option<String>,
    /// Whoever asks: private connections of others are passed over, as if they were not there. Nobody in particular where none.
    pub(crate) seen_by: Option<String>,
    /// A part of the name, whatever the case.
    pub(crate) text: Option<String>,
    pub(crate) order: ConnectionOrder,
    /// Where the page before ended.
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

fn seen(connection: &Connection, query: &ConnectionQuery) -> bool {
    let others = query.seen_by.as_ref().is_some_and(|asks| *asks != connection.owner);
    !(others && connection.visibility == Visibility::Private)
}

/// Nobody asks for an empty page, and nobody gets an endless one.
pub(super) fn page_size(limit: usize) -> usize {
    limit.clamp(1, LONGEST_PAGE)
}

impl Reader<'_> {
    pub(crate) fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.record(Table::Connections, id.as_bytes())
    }

    /// The same, for reading only: one in use is parsed once.
    pub(crate) fn shared_connection(&self, id: ConnectionId) -> Result<Option<Arc<Connection>>, StoreError> {
        let (table, key) = (Table::Connections, id.as_bytes());
        self.get_with(table, key, |bytes| self.known.connections.of(table, key, bytes))
    }

    /// Whoever has this name, whatever its case.
    pub(crate) fn connection_id_by_name(&self, name: &str) -> Result<Option<ConnectionId>, StoreError> {
        let index = Table::ConnectionsByName;
        self.get_with(index, codec::name(name).as_bytes(), |bytes| codec::id(index, bytes))
    }

    /// Whoever has this id or this name, for reading only.
    pub(crate) fn connection_by_key(&self, key: &str) -> Result<Option<Arc<Connection>>, StoreError> {
        let id = match key.parse() {
            Ok(id) => Some(id),
            Err(_not_an_id) => self.connection_id_by_name(key)?,
        };
        id.map_or(Ok(None), |id| self.shared_connection(id))
    }

    /// A page of connections, by lower-case name.
    ///
    /// Each filter has an index in the order of names, and the search leaps from one to the other, so the rarest of them sets
    /// the pace whichever it is. Only `text` looks at every name that the others leave. In the order of need, one status after
    /// the other is searched so.
    pub(crate) fn connections(&self, query: &ConnectionQuery) -> Result<Page<Connection>, StoreError> {
        let mut scan = Scan { items: Vec::new(), size: page_size(query.limit), scanned: 0 };
        let next = match query.order {
            ConnectionOrder::Name | ConnectionOrder::NameDescending => {
                let (way, list) = match query.order {
                    ConnectionOrder::NameDescending => (Way::Back, List::ConnectionsDescending),
                    ConnectionOrder::Name | ConnectionOrder::Need => (Way::Forth, List::Connections),
                };
                let start = query.after.as_ref().map(|cursor| codec::parse_cursor(list, cursor)).transpose()?;
                self.scan(query, way, start.as_deref(), &mut scan)?.map(|name| codec::cursor(list, &name))
            }
            ConnectionOrder::Need => {
                let list = List::ConnectionsByNeed;
                let start = query.after.as_ref().map(|cursor| codec::parse_cursor(list, cursor)).transpose()?;
                let start = start.as_deref().map(of_need).transpose()?;
                self.scan_by_need(query, start, &mut scan)?
                    .map(|(place, name)| codec::cursor(list, &format!("{place}{name}")))
            }
        };
        Ok(Page { items: scan.items, next })
    }

    fn scan_by_need(
        &self,
        query: &ConnectionQuery,
        start: Option<(usize, &str)>,
        scan: &mut Scan,
    ) -> Result<Option<(usize, String)>, StoreError> {
        let begin = start.map_or(0, |(place, _)| place);
        for (place, status) in Status::BY_NEED.into_iter().enumerate().skip(begin) {
            if query.status.is_some_and(|wanted| wanted != status) {
                continue;
            }
            let of_one = ConnectionQuery { status: Some(status), ..query.clone() };
            let from = start.filter(|(begin, _)| *begin == place).map(|(_, name)| name);
            if let Some(name) = self.scan(&of_one, Way::Forth, from, scan)? {
                return Ok(Some((place, name)));
            }
        }
        Ok(None)
    }

    /// Adds what fits from a name on. Gives the name where the next page begins, if there is one.
    fn scan(
        &self,
        query: &ConnectionQuery,
        way: Way,
        start: Option<&str>,
        scan: &mut Scan,
    ) -> Result<Option<String>, StoreError> {
        let text = query.text.as_deref().map(codec::name);
        let mut search = Search::begin(self, query, way, start)?;
        while let Some((name, together)) = search.meet()? {
            // A cursor holds a name, so it is never that of a connection which is passed over.
            if scan.scanned >= LONGEST_SCAN && self.names_a_seen_one(&name, query)? {
                return Ok(Some(name));
            }
            scan.scanned += 1;
            if !together {
                continue;
            }
            if text.as_ref().is_none_or(|text| name.contains(text.as_str())) {
                let dangling = StoreError::Dangling { index: search.index().name() };
                let connection = self.connection(search.id()?)?.ok_or(dangling)?;
                if seen(&connection, query) {
                    if scan.items.len() == scan.size {
                        return Ok(Some(name));
                    }
                    scan.items.push(connection);
                }
            }
            search.step()?;
        }
        Ok(None)
    }

    fn names_a_seen_one(&self, name: &str, query: &ConnectionQuery) -> Result<bool, StoreError> {
        let Some(id) = self.connection_id_by_name(name)? else { return Ok(true) };
        Ok(self.shared_connection(id)?.is_none_or(|connection| seen(&connection, query)))
    }

    /// Connections pinned to a connector, or to one version of it, up to `limit`.
    pub(crate) fn connections_of(
        &self,
        name: &ConnectorName,
        version: Option<&Version>,
        limit: usize,
    ) -> Result<Vec<ConnectionId>, StoreError> {
        let index = Table::ConnectionsByVersion;
        let prefix = match version {
            Some(version) => codec::connector_version(name, version),
            None => codec::connector(name),
        };
        let mut entries = self.prefixed(index, &prefix, b"")?;
        let mut ids = Vec::new();
        while ids.len() < limit
            && let Some(entry) = entries.next()?
        {
            ids.push(codec::id(index, entry.value())?);
        }
        Ok(ids)
    }

    /// How many connections are pinned to any version of a connector. Walks them.
    pub(crate) fn count_connections_of(&self, name: &ConnectorName) -> Result<u64, StoreError> {
        let mut entries = self.prefixed(Table::ConnectionsByVersion, &codec::connector(name), b"")?;
        let mut count = 0;
        while entries.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    pub(crate) fn count_connections(&self) -> Result<u64, StoreError> {
        self.len(Table::Connections)
    }

    /// How many connections, of one connector where one is named, are private to others than this one. Walks the private ones.
    pub(crate) fn count_hidden(&self, asks: &str, connector: Option<&ConnectorName>) -> Result<u64, StoreError> {
        let (prefix, own) = (connector.map(codec::connector).unwrap_or_default(), codec::owner(asks));
        let mut entries = self.prefixed(Table::ConnectionsPrivate, &prefix, b"")?;
        let mut count = 0;
        while let Some(entry) = entries.next()? {
            let owner = entry.key().split_inclusive(|byte| *byte == 0).next().map_or(0, <[u8]>::len);
            count += u64::from(!entry.key()[owner..].starts_with(&own));
        }
        Ok(count)
    }

    /// Connections in the order of their ids, which is the order in which they were made: for work that walks all of them
    /// in pieces.
    pub(crate) fn connections_after(
        &self,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Vec<Connection>, StoreError> {
        let from = match &after {
            Some(id) => Bound::Excluded(&id.as_bytes()[..]),
            None => Bound::Unbounded,
        };
        let mut entries = self.range(Table::Connections, from, Bound::Unbounded)?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(entry) = entries.next()?
        {
            found.push(codec::decode(Table::Connections, entry.value())?);
        }
        Ok(found)
    }

    /// What was done to a connection, newest first, before this version. `next`, as a number, is the next page's `before`.
    pub(crate) fn history(
        &self,
        id: ConnectionId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Change>, StoreError> {
        let first = codec::change(id, 0);
        let last = codec::change(id, before.unwrap_or(u64::MAX));
        let end = if before.is_some() { Bound::Excluded(&last[..]) } else { Bound::Included(&last[..]) };
        let mut page = Page::<Change> { items: Vec::new(), next: None };
        if before == Some(0) {
            return Ok(page);
        }
        let mut entries = self.range(Table::History, Bound::Included(&first), end)?;
        while let Some(entry) = entries.next_back()? {
            if page.items.len() == page_size(limit) {
                page.next = page.items.last().map(|change| change.version.to_string());
                break;
            }
            page.items.push(codec::decode(Table::History, entry.value())?);
        }
        Ok(page)
    }
}

impl Writer<'_> {
    /// Adds or replaces a connection, and its place in every index with it. Refuses a name that another one has.
    pub(crate) fn put_connection(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if let Some(by) = self.connection_id_by_name(&connection.name)?
            && by != connection.id
        {
            return Err(StoreError::NameTaken { by });
        }
        let record = codec::encode(Table::Connections, connection)?;
        let before = self.connection(connection.id)?;
        self.recount(before.as_ref(), Some(connection))?;
        let before = before.map(|before| places(&before));
        let after = places(connection);
        for (table, key) in before.iter().flatten().filter(|place| !after.contains(place)) {
            self.remove(*table, key)?;
        }
        for (table, key) in after.iter().filter(|place| !before.iter().flatten().any(|old| old == *place)) {
            self.insert(*table, key, connection.id.as_bytes())?;
        }
        self.insert(Table::Connections, connection.id.as_bytes(), &record)?;
        self.replan(connection)
    }

    /// Removes a connection, its places in the indexes, what was obtained for it, and its history. Says whether it was there. That no flow uses it is the
    /// caller's to check, in the same job.
    pub(crate) fn delete_connection(&mut self, id: ConnectionId) -> Result<bool, StoreError> {
        let Some(before) = self.connection(id)? else { return Ok(false) };
        self.recount(Some(&before), None)?;
        self.unplan(id)?;
        for (table, key) in places(&before) {
            self.remove(table, &key)?;
        }
        let mut lines = Vec::new();
        let mut entries = self.prefixed(Table::History, id.as_bytes(), b"")?;
        while let Some(entry) = entries.next()? {
            lines.push(entry.key().to_vec());
        }
        drop(entries);
        for line in lines {
            self.remove(Table::History, &line)?;
        }
        self.remove(Table::Credentials, id.as_bytes())?;
        self.remove_pending_of(id)?;
        self.remove(Table::Connections, id.as_bytes())
    }

    /// Adds a line to the history of a connection, and drops those that are too old.
    pub(crate) fn append_change(&mut self, id: ConnectionId, change: &Change) -> Result<(), StoreError> {
        let key = codec::change(id, change.version);
        if self.get_with(Table::History, &key, |_| Ok(()))?.is_some() {
            return Err(StoreError::ChangeExists { id, version: change.version });
        }
        self.insert_record(Table::History, &key, change)?;
        let Some(last) = change.version.checked_sub(KEPT_CHANGES) else { return Ok(()) };
        let (from, to) = (codec::change(id, 0), codec::change(id, last));
        let mut entries = self.range(Table::History, Bound::Included(&from), Bound::Included(&to))?;
        let mut old = Vec::new();
        while old.len() < DROPPED_CHANGES
            && let Some(entry) = entries.next()?
        {
            old.push(entry.key().to_vec());
        }
        drop(entries);
        old.iter().try_for_each(|line| self.remove(Table::History, line).map(drop))
    }
}

/// Where a connection stands in the indexes. Each entry's value is its id.
pub(super) fn places(connection: &Connection) -> Vec<(Table, Vec<u8>)> {
    let name = codec::name(&connection.name);
    let name = name.as_bytes();
    let pinned = &connection.connector;
    let mut places = vec![
        (Table::ConnectionsByName, name.to_vec()),
        (Table::ConnectionsByConnector, codec::joined(&[&codec::connector(&pinned.name), name])),
        (
            Table::ConnectionsByVersion,
            codec::joined(&[&codec::connector_version(&pinned.name, &pinned.version), connection.id.as_bytes()]),
        ),
        (Table::ConnectionsByStatus, codec::joined(&[&codec::status(connection.status()), name])),
        (Table::ConnectionsByOwner, codec::joined(&[&codec::owner(&connection.owner), name])),
    ];
    if connection.visibility == Visibility::Private {
        let owner = codec::owner(&connection.owner);
        let key = codec::joined(&[&codec::connector(&pinned.name), &owner, connection.id.as_bytes()]);
        places.push((Table::ConnectionsPrivate, key));
        places.push((Table::ConnectionsOwnedPrivately, codec::joined(&[&owner, name])));
    }
    let by_id = |name: &String| codec::joined(&[name.as_bytes(), b"\0", connection.id.as_bytes()]);
    places.extend(connection.identity_provider.as_ref().map(|name| (Table::ConnectionsByProvider, by_id(name))));
    places.extend(connection.named_credential.as_ref().map(|name| (Table::ConnectionsByNamed, by_id(name))));
    places
}

/// What one page has so far.
struct Scan {
    items: Vec<Connection>,
    size: usize,
    scanned: usize,
}

/// In which direction names are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
}

impl Way {
    /// Whether one name comes before another on it.
    fn before(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Forth => one < other,
            Self::Back => one > other,
        }
    }
}

/// The place of a status in the order of need, and a name: as a cursor holds them.
fn of_need(cursor: &str) -> Result<(usize, &str), StoreError> {
    let (place, name) = cursor.split_at_checked(1).ok_or(StoreError::BadCursor)?;
    let place = place.parse().map_err(|_not_a_digit| StoreError::BadCursor)?;
    if place < Status::BY_NEED.len() { Ok((place, name)) } else { Err(StoreError::BadCursor) }
}

/// A walk through one or several indexes at once, in the order of names, that stops where all of them agree.
struct Search<'r, 't> {
    // Never empty.
    arms: Vec<Arm<'r, 't>>,
    way: Way,
}

impl<'r, 't> Search<'r, 't> {
    fn begin(
        reader: &'r Reader<'t>,
        query: &ConnectionQuery,
        way: Way,
        start: Option<&str>,
    ) -> Result<Self, StoreError> {
        let mut filters = Vec::new();
        if let Some(owner) = &query.owner {
            filters.push((Table::ConnectionsByOwner, codec::owner(owner)));
        }
        if let Some(connector) = &query.connector {
            filters.push((Table::ConnectionsByConnector, codec::connector(connector)));
        }
        if let Some(status) = query.status {
            filters.push((Table::ConnectionsByStatus, codec::status(status).to_vec()));
        }
        if filters.is_empty() {
            filters.push((Table::ConnectionsByName, Vec::new()));
        }
        let start = start.map(str::as_bytes);
        let arms: Result<Vec<_>, _> =
            filters.into_iter().map(|(index, prefix)| Arm::open(reader, index, prefix, way, start)).collect();
        Ok(Self { arms: arms?, way })
    }

    /// Brings every arm up to the one that is ahead. Gives the name where that one stands and whether all of them stand there:
    /// no name before it can be in all of them. Nothing where one of them is at its end.
    fn meet(&mut self) -> Result<Option<(String, bool)>, StoreError> {
        let mut ahead: Option<&[u8]> = None;
        for arm in &self.arms {
            let Some(name) = arm.name() else { return Ok(None) };
            if ahead.is_none_or(|ahead| self.way.before(ahead, name)) {
                ahead = Some(name);
            }
        }
        let name = String::from_utf8(ahead.unwrap_or_default().to_vec())
            .map_err(|error| StoreError::Record { table: self.index().name(), source: Some(Box::new(error)) })?;
        let mut together = true;
        for arm in &mut self.arms {
            arm.seek(name.as_bytes())?;
            match arm.name() {
                Some(found) => together &= found == name.as_bytes(),
                None => return Ok(None),
            }
        }
        Ok(Some((name, together)))
    }

    /// Goes on from where all of them stand.
    fn step(&mut self) -> Result<(), StoreError> {
        self.arms.iter_mut().try_for_each(|arm| arm.advance())
    }

    /// The connection where the arms stand.
    fn id(&self) -> Result<ConnectionId, StoreError> {
        let bytes = self.arms[0].head.as_ref().map(Entry::value).unwrap_or_default();
        codec::id(self.index(), bytes)
    }

    fn index(&self) -> Table {
        self.arms[0].index
    }
}

/// One index, narrowed to one value of its filter.
struct Arm<'r, 't> {
    reader: &'r Reader<'t>,
    index: Table,
    prefix: Vec<u8>,
    way: Way,
    entries: Entries<'r>,
    head: Option<Entry<'r>>,
}

impl<'r, 't> Arm<'r, 't> {
    fn open(
        reader: &'r Reader<'t>,
        index: Table,
        prefix: Vec<u8>,
        way: Way,
        start: Option<&[u8]>,
    ) -> Result<Self, StoreError> {
        let entries = from(reader, index, &prefix, way, start)?;
        let mut arm = Self { reader, index, prefix, way, entries, head: None };
        arm.advance()?;
        Ok(arm)
    }

    fn name(&self) -> Option<&[u8]> {
        self.head.as_ref().map(|entry| &entry.key()[self.prefix.len()..])
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.head = match self.way {
            Way::Forth => self.entries.next()?,
            Way::Back => self.entries.next_back()?,
        };
        Ok(())
    }

    /// Goes to the first name that is not before this one.
    fn seek(&mut self, target: &[u8]) -> Result<(), StoreError> {
        let way = self.way;
        for _ in 0..SHORT_GAP {
            if self.name().is_none_or(|name| !way.before(name, target)) {
                return Ok(());
            }
            self.advance()?;
        }
        if self.name().is_some_and(|name| way.before(name, target)) {
            self.entries = from(self.reader, self.index, &self.prefix, way, Some(target))?;
            self.advance()?;
        }
        Ok(())
    }
}

/// The entries of an index below a prefix, from a name on; from the first one of the way where none is given.
fn from<'r>(
    reader: &'r Reader<'_>,
    index: Table,
    prefix: &[u8],
    way: Way,
    start: Option<&[u8]>,
) -> Result<Entries<'r>, StoreError> {
    match way {
        Way::Forth => reader.prefixed(index, prefix, start.unwrap_or_default()),
        Way::Back => reader.prefixed_to(index, prefix, start),
    }
}
