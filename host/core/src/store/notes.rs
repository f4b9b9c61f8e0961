//! What happened without changing anything, on its way into the audit: nobody waits for it, and it rides in the next commit.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::Store;
use crate::model::actor::HOST;
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};

/// More do not wait: a disk that stands still must not fill the memory.
const MOST: usize = 16_384;
/// So many are not left waiting for the end of the usual time.
const MANY: usize = 4_096;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    events: Vec<AuditEvent>,
    lost: u64,
}

impl Notes {
    /// Says whether the writer has to hear of it: of the first one, and where there are many.
    pub(super) fn add(&self, event: AuditEvent) -> bool {
        let mut waiting = self.lock();
        if waiting.events.len() >= MOST {
            waiting.lost += 1;
            return false;
        }
        waiting.events.push(event);
        matches!(waiting.events.len(), 1 | MANY)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().events.is_empty()
    }

    pub(super) fn are_many(&self) -> bool {
        self.lock().events.len() >= MANY
    }

    /// All that wait. Where some were lost, the last one says how many.
    pub(super) fn take(&self) -> Vec<AuditEvent> {
        let Waiting { mut events, lost } = std::mem::take(&mut *self.lock());
        if lost > 0
            && let Some(last) = events.last()
        {
            let gap = AuditEvent::new(last.at, HOST, AuditAction::AuditGap, AuditObject::host());
            events.push(gap.failed(format!("{lost} records could not be kept")));
        }
        events
    }

    /// Puts back what could not be committed, before what came since.
    pub(super) fn put_back(&self, mut events: Vec<AuditEvent>) {
        let mut waiting = self.lock();
        events.append(&mut waiting.events);
        waiting.events = events;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder of this lock panics")
    }
}

/// Something that is under way. It is put down when it ends or, where whoever waits for it goes away, as cut off.
#[derive(Debug)]
pub(crate) struct Noting {
    store: Store,
    event: Option<AuditEvent>,
    begun: Instant,
}

impl Noting {
    pub(super) fn new(store: Store, event: AuditEvent) -> Self {
        Self { store, event: Some(event), begun: Instant::now() }
    }

    /// It ended, so.
    pub(crate) fn ended(mut self, how: impl FnOnce(AuditEvent) -> AuditEvent) {
        if let Some(event) = self.event.take() {
            let took = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.store.note(how(event).took(took));
        }
    }

    /// It is recorded elsewhere, with what it changed.
    pub(crate) fn recorded(mut self) {
        self.event = None;
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.store.note(event.failed("cut-off"));
        }
    }
}
