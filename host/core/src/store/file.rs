//! The file: how it comes to be, how it is opened, copied, and told from what is none of ours.
//!
//! A file appears under its name only when it is whole: it is made under a temporary name, synced, and then renamed. What a
//! crash leaves of that is removed by the next one who opens the store, who by then holds its lock.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError,
};
use redb::{TableDefinition, TableHandle as _};
use tempfile::TempPath;

use super::engine::{Engine, Medium};
use super::error::{StoreError, is_full};
use super::schema::Schema;
use super::tables::{Bytes, Table};

/// A copy is read once and in order: a cache gains it nothing.
const COPY_CACHE: usize = 4 * 1024 * 1024;

/// Opens the store, or makes it. Nobody else can open it until the database is dropped.
pub(super) fn open(path: &Path, cache_bytes: usize, schema: Schema) -> Result<Engine, StoreError> {
    if !exists(path)? {
        create(path, schema)?;
    }
    probe(path, schema)?;
    let medium = Medium::file(path, cache_bytes);
    let database = medium.open()?;
    remove_leftovers(path)?;
    let found = schema.check_open(path, &database)?;
    if found < schema.version() {
        let mut kept = path.as_os_str().to_owned();
        kept.push(format!(".v{found}.bak"));
        let kept = PathBuf::from(kept);
        // A copy of the same version from an attempt that did not get through is replaced.
        let moment = database.begin_read().map_err(StoreError::engine)?;
        copy(&moment, &leftover_prefix(path), &kept, std::iter::empty())?
            .persist(&kept)
            .map_err(|failed| file("rename", &kept)(failed.error))?;
        sync_directory(&kept)?;
        schema.migrate(&database, found)?;
    } else {
        schema.complete(&database)?;
    }
    Ok(Engine::new(medium, database))
}

/// Copies one moment into a new file, and components with it.
pub(super) fn backup(
    moment: &ReadTransaction,
    to: &Path,
    components: impl Iterator<Item = (String, PathBuf)>,
) -> Result<(), StoreError> {
    if exists(to)? {
        return Err(StoreError::Exists { path: to.to_owned() });
    }
    let copy = copy(moment, &leftover_prefix(to), to, components)?;
    copy.persist_noclobber(to).map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists { path: to.to_owned() },
        _ => file("rename", to)(failed.error),
    })?;
    sync_directory(to)
}

fn create(path: &Path, schema: Schema) -> Result<(), StoreError> {
    match make(path, schema) {
        // Another one was faster, and may have taken ours for a leftover while we made it. Theirs is as good.
        Err(_) if exists(path)? => Ok(()),
        made => made,
    }
}

fn make(path: &Path, schema: Schema) -> Result<(), StoreError> {
    let temporary = temporary(path, &leftover_prefix(path))?;
    let database = guarded(&temporary, || Builder::new().set_cache_size(COPY_CACHE).create(&temporary))?;
    let mut transaction = database.begin_write().map_err(StoreError::engine)?;
    transaction.set_two_phase_commit(true);
    schema.create(&transaction)?;
    transaction.commit().map_err(StoreError::engine)?;
    finish(database, &temporary)?;
    temporary.persist_noclobber(path).map_err(|failed| file("rename", path)(failed.error))?;
    sync_directory(path)
}

/// Looks at a file without changing it, so that what cannot be opened is left as it is. A file that was not closed cannot be
/// looked at in this way: opening it repairs it first.
fn probe(path: &Path, schema: Schema) -> Result<(), StoreError> {
    let opened = guarded(path, || match Builder::new().set_cache_size(COPY_CACHE).open_read_only(path) {
        Err(DatabaseError::RepairAborted) => Ok(None),
        other => other.map(Some),
    })?;
    if let Some(database) = opened {
        schema.check(path, &database.begin_read().map_err(StoreError::engine)?)?;
    }
    Ok(())
}

/// Copies every table as it is, whatever version it has.
fn copy(
    moment: &ReadTransaction,
    prefix: &OsString,
    to: &Path,
    components: impl Iterator<Item = (String, PathBuf)>,
) -> Result<TempPath, StoreError> {
    let temporary = temporary(to, prefix)?;
    let target = guarded(&temporary, || Builder::new().set_cache_size(COPY_CACHE).create(&temporary))?;
    copy_tables(moment, &target)?;
    for (digest, path) in components {
        let component = std::fs::read(&path).map_err(file("read", &path))?;
        let transaction = target.begin_write().map_err(StoreError::engine)?;
        transaction
            .open_table(Table::Components.definition())
            .map_err(StoreError::engine)?
            .insert(digest.as_bytes(), component.as_slice())
            .map_err(StoreError::engine)?;
        transaction.commit().map_err(StoreError::engine)?;
    }
    finish(target, &temporary)?;
    Ok(temporary)
}

fn copy_tables(from: &ReadTransaction, to: &Database) -> Result<(), StoreError> {
    let mut transaction = to.begin_write().map_err(StoreError::engine)?;
    transaction.set_two_phase_commit(true);
    for handle in from.list_tables().map_err(StoreError::engine)? {
        let definition = TableDefinition::<Bytes, Bytes>::new(handle.name());
        let source = from.open_table(definition).map_err(StoreError::engine)?;
        let mut target = transaction.open_table(definition).map_err(StoreError::engine)?;
        for entry in source.iter().map_err(StoreError::engine)? {
            let (key, value) = entry.map_err(StoreError::engine)?;
            target.insert(key.value(), value.value()).map_err(StoreError::engine)?;
        }
    }
    transaction.commit().map_err(StoreError::engine)
}

/// Closes a new file and waits until it is on the disk.
fn finish(database: Database, path: &Path) -> Result<(), StoreError> {
    database.close().map_err(StoreError::engine)?;
    File::open(path).and_then(|written| written.sync_all()).map_err(file("sync", path))
}

/// A name that only its owner may read, in the directory where the file is to be.
fn temporary(path: &Path, prefix: &OsString) -> Result<TempPath, StoreError> {
    let named = tempfile::Builder::new().prefix(prefix).tempfile_in(directory(path)).map_err(file("create", path))?;
    Ok(named.into_temp_path())
}

fn remove_leftovers(path: &Path) -> Result<(), StoreError> {
    let prefix = leftover_prefix(path);
    let directory = directory(path);
    for entry in std::fs::read_dir(directory).map_err(file("list", directory))? {
        let entry = entry.map_err(file("list", directory))?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            match std::fs::remove_file(entry.path()) {
                // Its maker may have removed it meanwhile.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(file("remove", &entry.path())(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

fn leftover_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".new-");
    prefix
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// A rename is durable when the directory is.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = directory(path);
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(file("sync", directory))
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(file("look at", path))
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { doing, path, source }
}

/// The engine trusts a file that was closed cleanly and may panic where it was damaged since: that is the file's fault too.
pub(super) fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| refused(path, error)),
        Err(_panic) => Err(StoreError::Corrupt { path: path.to_owned(), problem: "it is damaged", source: None }),
    }
}

fn refused(path: &Path, error: DatabaseError) -> StoreError {
    let problem = match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            return StoreError::InUse { path: path.to_owned() };
        }
        DatabaseError::Storage(StorageError::Io(source)) if is_full(&source) => {
            return StoreError::Disk { path: Some(path.to_owned()), source: Arc::new(source) };
        }
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
            if source.kind() != io::ErrorKind::UnexpectedEof {
                return file("open", path)(source);
            }
            return StoreError::Corrupt {
                path: path.to_owned(),
                problem: "it ends too early",
                source: Some(Box::new(source)),
            };
        }
        DatabaseError::Storage(StorageError::Io(_)) => "it is not a store",
        DatabaseError::Storage(StorageError::Corrupted(_)) => "it is damaged",
        DatabaseError::UpgradeRequired(_) => "its file format is too old",
        _ => "the engine refused it",
    };
    StoreError::Corrupt { path: path.to_owned(), problem, source: Some(Box::new(error)) }
}
