//! Permits of connections in use: those used last, as long as their scanners do not weigh too much together.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::Usable;
use crate::model::id::ConnectionId;

/// So many, so that a request costs neither a decryption nor a new scanner.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");
/// What their scanners may weigh together: a long secret has many forms.
const MOST_BYTES: usize = 64 << 20;

/// By connection.
pub(super) struct Kept {
    permits: LruCache<ConnectionId, Arc<Usable>>,
    weight: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { permits: LruCache::new(MOST), weight: 0 }
    }
}

impl Kept {
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&Arc<Usable>> {
        self.permits.get(&id)
    }

    /// Makes room by letting go of those that rested longest.
    pub(super) fn put(&mut self, id: ConnectionId, usable: Arc<Usable>) {
        self.weight += usable.weight();
        // What it had, or what there is no place for any more.
        let gone = self.permits.push(id, usable);
        self.weight -= gone.map_or(0, |(_, usable)| usable.weight());
        while self.weight > MOST_BYTES && self.permits.len() > 1 {
            self.weight -= self.permits.pop_lru().map_or(0, |(_, usable)| usable.weight());
        }
    }

    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.weight -= self.permits.pop(&id).map_or(0, |usable| usable.weight());
    }

    /// Those of connections that go by this holder.
    pub(super) fn forget_by(&mut self, holder: ConnectionId) {
        let by = self.permits.iter().filter(|(_, usable)| usable.goes_by(holder)).map(|(id, _)| *id);
        for id in by.collect::<Vec<_>>() {
            self.forget(id);
        }
    }

    pub(super) fn clear(&mut self) {
        self.permits.clear();
        self.weight = 0;
    }
}
