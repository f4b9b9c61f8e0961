//! The open database. Once its disk failed in anything, the engine answers nothing more from it: what was half done in memory
//! is not to be trusted. It is then closed and opened anew, which goes back to what is on the disk for certain, so a disk that is
//! full, or was away for a moment, takes no restart.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use redb::backends::FileBackend;
use redb::{
    BackendError, Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageBackend,
    StorageError, WriteTransaction,
};
use rustix::fs::Advice;

use super::error::StoreError;
use super::file;

/// What the bytes are on: a file, or what a test has in its place.
type Backend = Box<dyn StorageBackend>;

/// How the database is opened, the first time and again.
pub(super) struct Medium {
    path: PathBuf,
    cache_bytes: usize,
    fault: Fault,
    backend: Box<dyn Fn() -> io::Result<Backend> + Send + Sync>,
}

impl Medium {
    /// A file that is there.
    pub(super) fn file(path: &Path, cache_bytes: usize) -> Self {
        let open = {
            let path = path.to_owned();
            move || -> io::Result<Backend> {
                let file = OpenOptions::new().read(true).write(true).open(&path)?;
                let backend = FileBackend::new(file).map_err(io::Error::other)?;
                Ok(Box::new(backend))
            }
        };
        Self::of(path, cache_bytes, open)
    }

    pub(super) fn of(
        path: &Path,
        cache_bytes: usize,
        backend: impl Fn() -> io::Result<Backend> + Send + Sync + 'static,
    ) -> Self {
        Self { path: path.to_owned(), cache_bytes, fault: Fault::default(), backend: Box::new(backend) }
    }

    /// Opens it, and repairs what was not closed.
    pub(super) fn open(&self) -> Result<Database, StoreError> {
        file::guarded(&self.path, || {
            let inner = (self.backend)().map_err(|error| DatabaseError::Storage(StorageError::Io(error)))?;
            let watched = Watched { inner, fault: self.fault.clone() };
            Builder::new().set_cache_size(self.cache_bytes).create_with_backend(watched)
        })
    }
}

/// The handle of the store on its database.
pub(super) struct Engine {
    medium: Medium,
    // Nothing where it could not be opened again yet.
    database: RwLock<Option<Database>>,
}

impl Engine {
    /// Goes on with what was opened.
    pub(super) fn new(medium: Medium, database: Database) -> Self {
        Self { medium, database: RwLock::new(Some(database)) }
    }

    /// One moment of the data.
    pub(super) fn snapshot(&self) -> Result<ReadTransaction, StoreError> {
        self.with(|database| database.begin_read().map_err(StoreError::engine))
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.with(|database| database.begin_write().map_err(StoreError::engine))
    }

    fn with<T>(&self, begin: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database.read().expect("no holder of this lock panics");
        begin(database.as_ref().ok_or(StoreError::Interrupted)?)
    }

    /// What the disk failed in since the database was opened.
    pub(super) fn fault(&self) -> Option<StoreError> {
        let source = self.medium.fault.lock().clone()?;
        Some(StoreError::Disk { path: Some(self.medium.path.clone()), source })
    }

    /// Whether it has to be opened anew.
    pub(super) fn ails(&self) -> bool {
        self.medium.fault.lock().is_some() || self.database.read().expect("no holder of this lock panics").is_none()
    }

    /// Opens it anew. Whoever reads meanwhile waits; who reads from before is told to do it again.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().expect("no holder of this lock panics");
        // Closing may find once more what failed, and has nobody to tell.
        drop(catch_unwind(AssertUnwindSafe(|| drop(database.take()))));
        forget_cached(&self.medium.path);
        *self.medium.fault.lock() = None;
        *database = Some(self.medium.open()?);
        Ok(())
    }
}

/// After a failed sync the system may hold pages for clean that never reached the disk. What is read next is to come from there.
fn forget_cached(path: &Path) {
    if let Ok(file) = File::open(path) {
        // Where the system does not want to, what it has is all there is.
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).ok();
    }
}

/// The first thing that failed.
#[derive(Debug, Clone, Default)]
struct Fault(Arc<Mutex<Option<Arc<io::Error>>>>);

impl Fault {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<io::Error>>> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Remembers a failure and hands on one like it.
    fn noted<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        outcome.map_err(|error| {
            let handed_on = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.lock().get_or_insert_with(|| Arc::new(error));
            handed_on
        })
    }
}

/// Sees every failure of what the bytes are on: the engine tells the first caller alone what it was.
struct Watched {
    inner: Backend,
    fault: Fault,
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.fault.noted(self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fault.noted(self.inner.read(offset, out))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.fault.noted(self.inner.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fault.noted(self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fault.noted(self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
