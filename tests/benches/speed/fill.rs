//! A store with very many connections: copies of one that was really made, written into the file while no host has it open.
#![expect(clippy::disallowed_types, reason = "writes the file itself: a million creates would take an hour")]

use std::path::Path;

use redb::{ReadableDatabase as _, ReadableTable as _, TableHandle as _};

type Bytes = &'static [u8];

/// The name of the copy with this number. Numbers are spread so that neighbours by name were not made one after the other.
pub(crate) fn name(number: u32) -> String {
    format!("Copy {:08x}", number.wrapping_mul(0x9e37_79b1))
}

/// Copies the connection of this id and name, in every table where it stands.
pub(crate) fn copies(file: &Path, id: &str, template: &str, count: u32) {
    let database = redb::Database::open(file).expect("the store opens");
    let old_id = uuid::Uuid::parse_str(id).expect("an id");
    let rows = rows(&database, &[old_id.as_bytes(), id.as_bytes(), template.to_lowercase().as_bytes()]);
    let transaction = database.begin_write().expect("a transaction");
    for (table, rows) in rows {
        let mut table = transaction.open_table(redb::TableDefinition::<Bytes, Bytes>::new(&table)).expect("a table");
        let mut copies = Vec::with_capacity(rows.len() * count as usize);
        for number in 0..count {
            let new_id = uuid::Uuid::from_u128(old_id.as_u128() + 1 + u128::from(number));
            let name = name(number);
            let copy = |bytes: &[u8]| {
                let bytes = replace(bytes, old_id.as_bytes(), new_id.as_bytes());
                let bytes = replace(&bytes, id.as_bytes(), new_id.to_string().as_bytes());
                let bytes = replace(&bytes, template.as_bytes(), name.as_bytes());
                replace(&bytes, template.to_lowercase().as_bytes(), name.to_lowercase().as_bytes())
            };
            copies.extend(rows.iter().map(|(key, value)| (copy(key), copy(value))));
        }
        // In order, pages fill up one after the other.
        copies.sort();
        for (key, value) in copies {
            table.insert(key.as_slice(), value.as_slice()).expect("a row");
        }
    }
    transaction.commit().expect("a commit");
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Every row that speaks of it, table by table.
fn rows(database: &redb::Database, marks: &[&[u8]]) -> Vec<(String, Rows)> {
    let transaction = database.begin_read().expect("a snapshot");
    let names: Vec<_> = transaction.list_tables().expect("its tables").map(|table| table.name().to_owned()).collect();
    let mut found = Vec::new();
    for name in names {
        let table = transaction.open_table(redb::TableDefinition::<Bytes, Bytes>::new(&name)).expect("a table");
        let mut rows = Vec::new();
        for entry in table.iter().expect("its rows") {
            let (key, value) = entry.expect("a row");
            let has = |bytes: &[u8]| marks.iter().any(|mark| position(bytes, mark).is_some());
            if has(key.value()) || has(value.value()) {
                rows.push((key.value().to_vec(), value.value().to_vec()));
            }
        }
        found.push((name, rows));
    }
    found
}

fn position(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = position(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    out
}
