//! Records that were read before. A record is parsed once for as long as its bytes stay the same, so nothing has to be told
//! when it changes: what is found is compared with what was parsed. What a key leads to is not even looked for, as long as
//! nothing that pages show was changed.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use lru::LruCache;
use serde::de::DeserializeOwned;

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use crate::model::connection::Connection;
use crate::model::connector::Installed;

const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");
const CONNECTORS: NonZeroUsize = NonZeroUsize::new(128).expect("128 is not zero");

/// What is known of two tables.
pub(super) struct Known {
    pub(super) connections: Parsed<Connection>,
    pub(super) found: Found,
    pub(super) connectors: Parsed<Installed>,
    /// How often that changed which says who may use which credential.
    pub(super) setup: AtomicU64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            connections: Parsed::new(CONNECTIONS),
            found: Found(Mutex::new(LruCache::new(CONNECTIONS))),
            connectors: Parsed::new(CONNECTORS),
            setup: AtomicU64::new(0),
        }
    }
}

/// Records of one table, by key: the bytes that were parsed, and what they say.
pub(super) struct Parsed<T> {
    records: Mutex<LruCache<Box<[u8]>, Record<T>>>,
}

struct Record<T> {
    bytes: Box<[u8]>,
    parsed: Arc<T>,
}

impl<T: DeserializeOwned> Parsed<T> {
    fn new(most: NonZeroUsize) -> Self {
        Self { records: Mutex::new(LruCache::new(most)) }
    }

    /// What these bytes, found under this key, say.
    pub(super) fn of(&self, table: Table, key: &[u8], bytes: &[u8]) -> Result<Arc<T>, StoreError> {
        if let Some(record) = self.lock().get(key).filter(|record| *record.bytes == *bytes) {
            return Ok(Arc::clone(&record.parsed));
        }
        let parsed = Arc::new(codec::decode(table, bytes)?);
        self.lock().put(key.into(), Record { bytes: bytes.into(), parsed: Arc::clone(&parsed) });
        Ok(parsed)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Box<[u8]>, Record<T>>> {
        self.records.lock().expect("no holder of this lock panics")
    }
}

/// Connections by what they were asked for with, and the moment at which that led to them.
pub(super) struct Found(Mutex<ByKey>);

type ByKey = LruCache<Box<str>, (u64, Arc<Connection>)>;

impl Found {
    /// What was found at this very moment.
    pub(super) fn of(&self, key: &str, moment: u64) -> Option<Arc<Connection>> {
        let mut found = self.lock();
        found.get(key).filter(|(at, _)| *at == moment).map(|(_, connection)| Arc::clone(connection))
    }

    pub(super) fn keep(&self, key: &str, moment: u64, connection: &Arc<Connection>) {
        self.lock().put(key.into(), (moment, Arc::clone(connection)));
    }

    fn lock(&self) -> MutexGuard<'_, ByKey> {
        self.0.lock().expect("no holder of this lock panics")
    }
}
