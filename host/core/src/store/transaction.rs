//! One view of the data, and one way to change it. The nouns (`connections`, `connectors`, `flows`) are built on these.

use std::cell::OnceCell;
use std::ops::{Bound, Deref};

use redb::{
    AccessGuard, CursorError, Range, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata as _,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::Appended;
use super::codec;
use super::error::StoreError;
use super::events::Told;
use super::known::Known;
use super::tables::{Bytes, Table};
use crate::model::schedule::Schedule;

/// A view of the data that does not change while it is held, except by the [`Writer`] that holds it.
pub(crate) struct Reader<'t> {
    source: Source<'t>,
    pub(super) known: &'t Known,
}

// Tables are opened when first needed: most reads touch one or two, and most commits a handful.
enum Source<'t> {
    Snapshot(Box<Snapshot>),
    Batch(Box<Batch<'t>>),
}

struct Snapshot {
    transaction: ReadTransaction,
    tables: [OnceCell<ReadOnlyTable<Bytes, Bytes>>; Table::ALL.len()],
}

struct Batch<'t> {
    transaction: &'t WriteTransaction,
    tables: [OnceCell<redb::Table<'t, Bytes, Bytes>>; Table::ALL.len()],
}

impl Snapshot {
    fn table(&self, table: Table) -> Result<&ReadOnlyTable<Bytes, Bytes>, StoreError> {
        let place = &self.tables[table as usize];
        if let Some(open) = place.get() {
            return Ok(open);
        }
        let open = self.transaction.open_table(table.definition()).map_err(StoreError::engine)?;
        Ok(place.get_or_init(|| open))
    }
}

impl<'t> Batch<'t> {
    fn table(&self, table: Table) -> Result<&redb::Table<'t, Bytes, Bytes>, StoreError> {
        let place = &self.tables[table as usize];
        if let Some(open) = place.get() {
            return Ok(open);
        }
        let open = self.transaction.open_table(table.definition()).map_err(StoreError::engine)?;
        Ok(place.get_or_init(|| open))
    }

    fn table_mut(&mut self, table: Table) -> Result<&mut redb::Table<'t, Bytes, Bytes>, StoreError> {
        self.table(table)?;
        Ok(self.tables[table as usize].get_mut().expect("it was opened just now"))
    }
}

impl<'t> Reader<'t> {
    /// What is committed at the moment of this transaction.
    pub(super) fn of(transaction: ReadTransaction, known: &'t Known) -> Self {
        let snapshot = Snapshot { transaction, tables: std::array::from_fn(|_| OnceCell::new()) };
        Self { source: Source::Snapshot(Box::new(snapshot)), known }
    }

    /// What this key stands for, handed over without a copy.
    pub(super) fn get_with<T>(
        &self,
        table: Table,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let found = match &self.source {
            Source::Snapshot(snapshot) => ReadableTable::get(snapshot.table(table)?, key),
            Source::Batch(batch) => batch.table(table)?.get(key),
        };
        found.map_err(StoreError::engine)?.map(|value| read(value.value())).transpose()
    }

    /// The record under this key.
    pub(super) fn record<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get_with(table, key, |bytes| codec::decode(table, bytes))
    }

    /// The entries between two keys, in order.
    pub(super) fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Entries<'_>, StoreError> {
        let between = (from, to);
        let range = match &self.source {
            Source::Snapshot(snapshot) => ReadableTable::range::<&[u8]>(snapshot.table(table)?, between),
            Source::Batch(batch) => batch.table(table)?.range::<&[u8]>(between),
        };
        Ok(Entries { range: range.map_err(StoreError::engine)? })
    }

    /// The entries whose key begins so, from `start` (the rest of a key) on.
    pub(super) fn prefixed(&self, table: Table, prefix: &[u8], start: &[u8]) -> Result<Entries<'_>, StoreError> {
        let from = codec::joined(&[prefix, start]);
        match after_prefix(prefix) {
            Some(end) => self.range(table, Bound::Included(&from), Bound::Excluded(&end)),
            None => self.range(table, Bound::Included(&from), Bound::Unbounded),
        }
    }

    /// The same, up to `end` (the rest of a key), that one included; all of them where none is given.
    pub(super) fn prefixed_to(
        &self,
        table: Table,
        prefix: &[u8],
        end: Option<&[u8]>,
    ) -> Result<Entries<'_>, StoreError> {
        match end {
            None => self.prefixed(table, prefix, b""),
            Some(end) => {
                let to = codec::joined(&[prefix, end]);
                self.range(table, Bound::Included(prefix), Bound::Included(&to))
            }
        }
    }

    pub(super) fn len(&self, table: Table) -> Result<u64, StoreError> {
        match &self.source {
            Source::Snapshot(snapshot) => snapshot.table(table)?.len(),
            Source::Batch(batch) => batch.table(table)?.len(),
        }
        .map_err(StoreError::engine)
    }
}

/// The first key that does not begin so.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Entries of one table, in the order of their keys.
pub(super) struct Entries<'r> {
    range: Range<'r, Bytes, Bytes>,
}

impl<'r> Entries<'r> {
    pub(super) fn next(&mut self) -> Result<Option<Entry<'r>>, StoreError> {
        self.range.next().transpose().map(|entry| entry.map(Entry)).map_err(StoreError::engine)
    }

    pub(super) fn next_back(&mut self) -> Result<Option<Entry<'r>>, StoreError> {
        self.range.next_back().transpose().map(|entry| entry.map(Entry)).map_err(StoreError::engine)
    }
}

/// A key and its value, where they lie.
pub(super) struct Entry<'r>((AccessGuard<'r, Bytes>, AccessGuard<'r, Bytes>));

impl Entry<'_> {
    pub(super) fn key(&self) -> &[u8] {
        self.0.0.value()
    }

    pub(super) fn value(&self) -> &[u8] {
        self.0.1.value()
    }
}

/// A [`Reader`] of the newest state, its own changes included, that can change it.
///
/// Changes of one job are kept or undone together. Undoing restores what each changed key held before, so the other jobs of
/// the same commit are not touched and nothing has to run twice.
pub(crate) struct Writer<'t> {
    reader: Reader<'t>,
    undo: Vec<Undo>,
    pub(super) audit: Appended,
    /// Whether anything was touched that says who may use what.
    pub(super) setup: bool,
    /// Whether anything was touched that pages show.
    pub(super) shown: bool,
    pub(super) schedule: Schedule,
    pub(super) told: Told,
}

struct Undo {
    table: Table,
    key: Vec<u8>,
    before: Option<Vec<u8>>,
}

impl<'t> Deref for Writer<'t> {
    type Target = Reader<'t>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl<'t> Writer<'t> {
    /// For all the jobs of a commit.
    pub(super) fn of(transaction: &'t WriteTransaction, known: &'t Known, schedule: Schedule) -> Self {
        let tables = std::array::from_fn(|_| OnceCell::new());
        let reader = Reader { source: Source::Batch(Box::new(Batch { transaction, tables })), known };
        let (audit, told) = (Appended::default(), Told::default());
        Self { reader, undo: Vec::new(), audit, setup: false, shown: false, schedule, told }
    }

    pub(super) fn insert(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let before = self.table(table)?.insert(key, value).map_err(StoreError::engine)?;
        let before = before.map(|before| before.value().to_vec());
        self.undo.push(Undo { table, key: key.to_vec(), before });
        self.setup |= table.is_setup();
        self.shown |= table.is_shown();
        Ok(())
    }

    pub(super) fn insert_record<T: Serialize>(
        &mut self,
        table: Table,
        key: &[u8],
        record: &T,
    ) -> Result<(), StoreError> {
        let bytes = codec::encode(table, record)?;
        self.insert(table, key, &bytes)
    }

    /// Puts these behind what stands before the first of them, in their order: one search and full pages instead of a search
    /// and half a page for each. What some entry that is there already does not let in so is put in by itself. Belongs to no
    /// job, and is not undone.
    pub(super) fn append<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        table: Table,
        entries: impl Iterator<Item = (K, V)>,
    ) -> Result<(), StoreError> {
        let mut entries = entries.peekable();
        let Some((first, _)) = entries.peek() else { return Ok(()) };
        let place = self.table(table)?;
        let mut cursor = place.upper_bound_mut(Bound::Excluded(first.as_ref())).map_err(StoreError::engine)?;
        let mut out_of_place = Vec::new();
        for (key, value) in entries {
            match cursor.insert_before(key.as_ref(), value.as_ref()) {
                Ok(()) => {}
                Err(CursorError::UnorderedKey) => out_of_place.push((key, value)),
                Err(error) => return Err(StoreError::engine(error)),
            }
        }
        cursor.close().map_err(StoreError::engine)?;
        for (key, value) in out_of_place {
            place.insert(key.as_ref(), value.as_ref()).map_err(StoreError::engine)?;
        }
        Ok(())
    }

    /// Says whether there was something to remove.
    pub(super) fn remove(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let before = self.table(table)?.remove(key).map_err(StoreError::engine)?;
        let Some(before) = before.map(|before| before.value().to_vec()) else { return Ok(false) };
        self.undo.push(Undo { table, key: key.to_vec(), before: Some(before) });
        self.setup |= table.is_setup();
        self.shown |= table.is_shown();
        Ok(true)
    }

    /// Keeps what was changed since the last job. Says whether that is anything.
    pub(super) fn keep(&mut self) -> bool {
        let recorded = self.audit.keep();
        let changed = recorded || !self.undo.is_empty();
        self.undo.clear();
        changed
    }

    /// Takes back what was changed since the last job.
    pub(super) fn undo(&mut self) -> Result<(), StoreError> {
        self.audit.undo();
        while let Some(Undo { table, key, before }) = self.undo.pop() {
            let table = self.table(table)?;
            match before {
                Some(before) => table.insert(key.as_slice(), before.as_slice()),
                None => table.remove(key.as_slice()),
            }
            .map_err(StoreError::engine)?;
        }
        Ok(())
    }

    fn table(&mut self, table: Table) -> Result<&mut redb::Table<'t, Bytes, Bytes>, StoreError> {
        match &mut self.reader.source {
            Source::Batch(batch) => batch.table_mut(table),
            Source::Snapshot(_) => unreachable!("a writer is made of a batch only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }
}
