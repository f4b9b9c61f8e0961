//! What happened without changing anything, on its way into the audit: nobody waits for it, and it rides in the next commit.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::Store;
use crate::model::actor::HOST;
use crate::model::audit::{AuditAction, AuditEvent, AuditObject, Done};

/// More do not wait: a disk that stands still must not fill the memory.
const MOST: usize = 16_384;
/// So many are not left waiting for the end of the usual time.
const MANY: usize = 4_096;

/// How something ended whose caller went away.
const CUT_OFF: &str = "cut-off";

/// One of them.
#[derive(Debug)]
pub(crate) enum Note {
    Event(Box<AuditEvent>),
    Done(Done),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    notes: Vec<Note>,
    lost: u64,
}

impl Notes {
    /// Says whether the writer has to hear of it: of the first one, and where there are many.
    pub(super) fn add(&self, note: Note) -> bool {
        let mut waiting = self.lock();
        if waiting.notes.len() >= MOST {
            waiting.lost += 1;
            return false;
        }
        waiting.notes.push(note);
        matches!(waiting.notes.len(), 1 | MANY)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().notes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().notes.is_empty()
    }

    pub(super) fn are_many(&self) -> bool {
        self.lock().notes.len() >= MANY
    }

    /// All that wait. Where some were lost, the last one says how many.
    pub(super) fn take(&self) -> Vec<Note> {
        let (mut notes, lost) = {
            let mut waiting = self.lock();
            // As many are expected next time: a list that grows anew each time moves its notes each time.
            let room = Vec::with_capacity(waiting.notes.len());
            (std::mem::replace(&mut waiting.notes, room), std::mem::take(&mut waiting.lost))
        };
        if lost > 0
            && let Some(last) = notes.last()
        {
            let at = match last {
                Note::Event(event) => event.at,
                Note::Done(done) => done.at,
            };
            let gap = AuditEvent::new(at, HOST, AuditAction::AuditGap, AuditObject::host());
            notes.push(gap.failed(format!("{lost} records could not be kept")).into());
        }
        notes
    }

    /// Puts back what could not be committed, before what came since.
    pub(super) fn put_back(&self, mut notes: Vec<Note>) {
        let mut waiting = self.lock();
        notes.append(&mut waiting.notes);
        waiting.notes = notes;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder of this lock panics")
    }
}

impl From<AuditEvent> for Note {
    fn from(event: AuditEvent) -> Self {
        Self::Event(Box::new(event))
    }
}

impl From<Done> for Note {
    fn from(done: Done) -> Self {
        Self::Done(done)
    }
}

/// What can be under way.
pub(crate) trait Lasting: Into<Note> {
    fn took(self, microseconds: u64) -> Self;
    fn cut_off(self) -> Self;
}

impl Lasting for AuditEvent {
    fn took(self, microseconds: u64) -> Self {
        self.took(microseconds)
    }

    fn cut_off(self) -> Self {
        self.failed(CUT_OFF)
    }
}

impl Lasting for Done {
    fn took(self, microseconds: u64) -> Self {
        self.took(microseconds)
    }

    fn cut_off(self) -> Self {
        self.failed(CUT_OFF)
    }
}

/// Something that is under way. It is put down when it ends or, where whoever waits for it goes away, as cut off.
#[derive(Debug)]
pub(crate) struct Noting<'a, T: Lasting = AuditEvent> {
    store: &'a Store,
    under_way: Option<T>,
    begun: Instant,
}

impl<'a, T: Lasting> Noting<'a, T> {
    pub(super) fn new(store: &'a Store, under_way: T) -> Self {
        Self { store, under_way: Some(under_way), begun: Instant::now() }
    }

    /// It ended, so.
    pub(crate) fn ended(mut self, how: impl FnOnce(T) -> T) {
        if let Some(under_way) = self.under_way.take() {
            let took = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.store.put_down(how(under_way).took(took).into());
        }
    }

    /// It is recorded elsewhere, with what it changed.
    pub(crate) fn recorded(mut self) {
        self.under_way = None;
    }
}

impl<T: Lasting> Drop for Noting<'_, T> {
    fn drop(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            self.store.put_down(under_way.cut_off().into());
        }
    }
}
