//! Which version of the tables a file has, and how an older one becomes a newer one.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableError, TableHandle as _,
    WriteTransaction,
};

use super::audit::connection_of;
use super::codec;
use super::connections::places;
use super::error::StoreError;
use super::health::counted_place;
use super::known::Known;
use super::tables::Table;
use super::transaction::Writer;
use crate::model::audit::AuditRecord;
use crate::model::schedule::Schedule;

const KEY: &[u8] = b"version";
/// Connections that are planned for between two looks at what could be undone.
const AT_ONCE: usize = 1_000;
/// What follows from the records of connections, and came after them.
const DERIVED: [Table; 4] = [
    Table::ConnectionsPrivate,
    Table::ConnectionsCounted,
    Table::ConnectionsOwnedPrivately,
    Table::ConnectionsByProvider,
];

/// One step from a version to the next, in the transaction of all of them.
pub(super) type Migration = fn(&WriteTransaction) -> Result<(), StoreError>;

/// What this binary understands: version 1, and one version more for each migration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// The step from version `n` stands at `n - 1`.
    pub(super) migrations: &'static [Migration],
}

/// The schema of this binary.
pub(super) const CURRENT: Schema = Schema { migrations: &[] };

impl Schema {
    pub(super) fn version(self) -> u32 {
        1 + u32::try_from(self.migrations.len()).expect("migrations are written by hand")
    }

    /// The version of a file, if this binary can deal with it.
    pub(super) fn check(self, path: &Path, transaction: &ReadTransaction) -> Result<u32, StoreError> {
        let corrupt = |problem| StoreError::Corrupt { path: path.to_owned(), problem, source: None };
        let table = match transaction.open_table(Table::Schema.definition()) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Err(corrupt("it is a database of something else")),
            Err(error) => {
                return Err(StoreError::Corrupt {
                    path: path.to_owned(),
                    problem: "its schema table is damaged",
                    source: Some(Box::new(error)),
                });
            }
        };
        let value = table.get(KEY).map_err(StoreError::engine)?;
        let found = value.and_then(|value| std::str::from_utf8(value.value()).ok()?.parse::<u32>().ok());
        match found {
            Some(found) if found > self.version() => {
                Err(StoreError::Newer { path: path.to_owned(), found, supported: self.version() })
            }
            Some(found) if found > 0 => Ok(found),
            Some(_) | None => Err(corrupt("its schema version is missing")),
        }
    }

    /// Makes every table, for a new file, or what an older one lacks.
    pub(super) fn create(self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let there = transaction.list_tables().map_err(StoreError::engine)?;
        let there: Vec<_> = there.map(|table| table.name().to_owned()).collect();
        let has = |table: Table| there.iter().any(|name| name == table.name());
        for table in Table::ALL {
            transaction.open_table(table.definition()).map_err(StoreError::engine)?;
        }
        let lacking: Vec<_> = DERIVED.into_iter().filter(|table| !has(*table)).collect();
        if !lacking.is_empty() {
            fill_derived(transaction, &lacking)?;
        }
        if !has(Table::AuditByConnection) {
            fill_activity(transaction)?;
        }
        if !has(Table::UpkeepDue) {
            fill_upkeep(transaction)?;
        }
        if !has(Table::EventsRefreshed) {
            let known = Known::default();
            let mut writer = Writer::of(transaction, &known, Schedule::default());
            writer.find_renewals()?;
            writer.plan_older_holders()?;
        }
        self.stamp(transaction)
    }

    /// Makes the tables that a file of this very version lacks: it was made before they were thought of.
    pub(super) fn complete(self, database: &Database) -> Result<(), StoreError> {
        let snapshot = database.begin_read().map_err(StoreError::engine)?;
        let there = snapshot.list_tables().map_err(StoreError::engine)?;
        let names: Vec<_> = there.map(|table| table.name().to_owned()).collect();
        if Table::ALL.iter().all(|table| names.iter().any(|name| name == table.name())) {
            return Ok(());
        }
        let mut transaction = database.begin_write().map_err(StoreError::engine)?;
        transaction.set_two_phase_commit(true);
        self.create(&transaction)?;
        transaction.commit().map_err(StoreError::engine)
    }

    /// Takes the steps from `found` to the newest version, all or none.
    pub(super) fn migrate(self, database: &Database, found: u32) -> Result<(), StoreError> {
        let done = usize::try_from(found).map_or(usize::MAX, |found| found - 1);
        let mut transaction = database.begin_write().map_err(StoreError::engine)?;
        transaction.set_two_phase_commit(true);
        for step in self.migrations.iter().skip(done) {
            step(&transaction)?;
        }
        self.create(&transaction)?;
        transaction.commit().map_err(StoreError::engine)
    }

    /// The version of an open file.
    pub(super) fn check_open(self, path: &Path, database: &Database) -> Result<u32, StoreError> {
        self.check(path, &database.begin_read().map_err(StoreError::engine)?)
    }

    fn stamp(self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let mut table = transaction.open_table(Table::Schema.definition()).map_err(StoreError::engine)?;
        table.insert(KEY, self.version().to_string().as_bytes()).map_err(StoreError::engine)?;
        Ok(())
    }
}

fn fill_activity(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let audit = transaction.open_table(Table::Audit.definition()).map_err(StoreError::engine)?;
    let mut index = transaction.open_table(Table::AuditByConnection.definition()).map_err(StoreError::engine)?;
    for entry in audit.iter().map_err(StoreError::engine)? {
        let (key, record) = entry.map_err(StoreError::engine)?;
        // One that is damaged is for a check of the chain to find, and keeps nobody from opening the store.
        let Ok(record) = codec::decode::<AuditRecord>(Table::Audit, record.value()) else { continue };
        if let (Some(id), Ok(seq)) = (connection_of(&record.event.object), key.value().try_into()) {
            let place = codec::done_to(id, u64::from_be_bytes(seq));
            index.insert(place.as_slice(), &b""[..]).map_err(StoreError::engine)?;
        }
    }
    Ok(())
}

/// Plans by the usual intervals: an operator's own ones hold from the next check on.
fn fill_upkeep(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let known = Known::default();
    let mut writer = Writer::of(transaction, &known, Schedule::default());
    let mut after = None;
    while let Some(last) = writer.plan_older(after, AT_ONCE)? {
        writer.keep();
        after = Some(last);
    }
    Ok(())
}

/// Puts every connection to where it stands in these tables.
fn fill_derived(transaction: &WriteTransaction, lacking: &[Table]) -> Result<(), StoreError> {
    let opened = |table: Table| transaction.open_table(table.definition()).map_err(StoreError::engine);
    let connections = opened(Table::Connections)?;
    let mut indexes: Vec<_> =
        lacking.iter().map(|table| Ok((*table, opened(*table)?))).collect::<Result<_, StoreError>>()?;
    let mut counts = BTreeMap::<_, u64>::new();
    for entry in connections.iter().map_err(StoreError::engine)? {
        let (id, record) = entry.map_err(StoreError::engine)?;
        let connection = codec::decode(Table::Connections, record.value())?;
        *counts.entry(counted_place(&connection)).or_default() += 1;
        let places = places(&connection);
        for (table, index) in &mut indexes {
            for (_, key) in places.iter().filter(|(of, _)| of == table) {
                index.insert(key.as_slice(), id.value()).map_err(StoreError::engine)?;
            }
        }
    }
    for (table, index) in indexes.iter_mut().filter(|(table, _)| *table == Table::ConnectionsCounted) {
        for (place, count) in &counts {
            let count = codec::encode(*table, count)?;
            index.insert(place.as_slice(), count.as_slice()).map_err(StoreError::engine)?;
        }
    }
    Ok(())
}
