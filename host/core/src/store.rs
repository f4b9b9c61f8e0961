//! Where everything is kept: one file, changed by one thread, read by anyone.
//!
//! - *Acknowledged means durable.* [`Store::write`] answers when the change is on the disk. Changes that arrive while another
//!   commit is under way share the next one.
//! - *A job happens whole or not at all.* One that fails or panics is undone and takes nobody else with it.
//! - *Reading never waits for writing.* [`Store::read`] sees one moment. It is synchronous and short: a point read of cached
//!   pages takes microseconds, as long as a small allocation-heavy function, so async code calls it in place. Walks through
//!   many records, and [`Store::backup`], belong on a thread that may block.
//! - *Lists go by cursor.* A cursor is the key of the first entry not shown, so a page costs the same wherever it begins, and
//!   entries that come and go elsewhere move nothing.
//!
//! Secrets arrive here sealed. The engine (redb) shows in no signature.

mod audit;
mod codec;
mod committer;
mod connections;
mod connectors;
mod credentials;
mod engine;
mod error;
mod events;
mod file;
mod flows;
mod health;
mod known;
mod named;
mod notes;
mod rehearsal;
mod schema;
mod tables;
mod transaction;
mod users;
mod versions;
mod webhooks;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use crate::model::audit::AuditEvent;
use crate::model::connection::Connection;
use crate::model::measure;
use crate::model::schedule::Schedule;

pub(crate) use audit::Retention;
pub(crate) use connections::ConnectionQuery;
pub(crate) use error::StoreError;
pub(crate) use events::{EventQuery, EventsKept, Followed};
pub(crate) use health::Upcoming;
pub(crate) use notes::{Lasting, Noting};
pub(crate) use transaction::{Reader, Writer};
pub(crate) use users::TokenHash;
pub(crate) use webhooks::Deliveries;

use committer::{Job, Message, Prepared};
use engine::Engine;
use known::Known;
use notes::{Note, Notes};
use rehearsal::Rehearsal;
use schema::Schema;

/// A handle to the open store. Clones share it; it is closed when the last one is dropped, which waits for the commit under
/// way.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
    /// Of a handle whose changes are taken back.
    rehearsal: Option<Rehearsal>,
}

struct Inner {
    path: PathBuf,
    engine: Arc<Engine>,
    known: Arc<Known>,
    notes: Arc<Notes>,
    /// Jobs that were handed over and not begun.
    waiting: Arc<AtomicUsize>,
    told: watch::Receiver<u64>,
    shown: Arc<watch::Sender<u64>>,
    // Both are taken when the store is closed, never before.
    jobs: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How much of the file may be kept in memory.
    pub(crate) cache_bytes: usize,
    /// How long the audit is kept.
    pub(crate) retention: Retention,
    /// When the host looks at a connection unasked.
    pub(crate) schedule: Schedule,
    /// How long events are kept.
    pub(crate) events: EventsKept,
}

/// Events are for those who follow, not for the record: the audit is.
pub(crate) const EVENTS: EventsKept = EventsKept { records: 100_000, renewals: 20_000, days: 7 };

impl Default for Options {
    fn default() -> Self {
        let (retention, schedule) = (Retention::default(), Schedule::default());
        Self { cache_bytes: 32 * 1024 * 1024, retention, schedule, events: EVENTS }
    }
}

impl Store {
    /// Opens the store in this file, or makes it. Where this fails, an existing file is left as it was.
    pub(crate) fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        Self::open_as(path, options, schema::CURRENT)
    }

    fn open_as(path: &Path, options: Options, schema: Schema) -> Result<Self, StoreError> {
        Self::over(file::open(path, options.cache_bytes, schema)?, path, options)
    }

    /// Begins to work on a database that was opened.
    fn over(engine: Engine, path: &Path, options: Options) -> Result<Self, StoreError> {
        let engine = Arc::new(engine);
        let (known, notes) = (Arc::new(Known::default()), Arc::new(Notes::default()));
        let queue = Arc::new(AtomicUsize::new(0));
        let (jobs, waiting) = mpsc::channel();
        let (tell, told) = watch::channel(Reader::of(engine.snapshot()?, &known).events_head()?);
        let shown = Arc::new(watch::Sender::new(0));
        let thread = std::thread::Builder::new()
            .name("turnbuckle-store".to_owned())
            .spawn({
                let (engine, known, notes) = (Arc::clone(&engine), Arc::clone(&known), Arc::clone(&notes));
                let (queue, shown) = (Arc::clone(&queue), Arc::clone(&shown));
                let Options { retention, schedule, events, cache_bytes: _ } = options;
                let parts =
                    committer::Parts { engine, known, notes, queue, told: tell, shown, retention, schedule, events };
                move || committer::Committer::new(parts).run(&waiting)
            })
            .map_err(|source| StoreError::File { doing: "start the writer of", path: path.to_owned(), source })?;
        let inner = Inner {
            path: path.to_owned(),
            engine,
            known,
            notes,
            waiting: queue,
            told,
            shown,
            jobs: Some(jobs),
            thread: Some(thread),
        };
        Ok(Self { inner: Arc::new(inner), rehearsal: None })
    }

    /// Reads from one snapshot. Keep it short: while it is held, what is replaced cannot be freed.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let outcome = self.inner.engine.snapshot().and_then(|moment| read(&Reader::of(moment, &self.inner.known)));
        if outcome.is_err() && self.inner.engine.ails() {
            // It is opened anew by the one who writes, between two commits.
            if let Some(jobs) = &self.inner.jobs {
                drop(jobs.send(Message::Ails));
            }
            return outcome.map_err(|error| self.inner.engine.fault().unwrap_or(error));
        }
        outcome
    }

    /// The connection of this id or name, for reading only. One in use is found without opening the file.
    pub(crate) fn connection(&self, key: &str) -> Result<Option<Arc<Connection>>, StoreError> {
        // Counted before anybody is answered: what was read since then is of no older state, and what is there at the same
        // count is what was read.
        let moment = *self.inner.shown.borrow();
        if let Some(found) = self.inner.known.found.of(key, moment) {
            return Ok(Some(found));
        }
        let found = self.read(|reader| reader.connection_by_key(key))?;
        if let Some(found) = &found {
            self.inner.known.found.keep(key, moment, found);
        }
        Ok(found)
    }

    /// Grows with every change of what decides who may use which credential. What was made of a state is of that state as long
    /// as this is what it was before that was read.
    pub(crate) fn setup(&self) -> u64 {
        self.inner.known.setup.load(Ordering::Acquire)
    }

    /// Changes something, durably. The job sees the newest state, and nobody else writes while it runs; it runs on the
    /// writer's thread and must not wait for anything. Its changes are kept where it answers `Ok`.
    ///
    /// Once this was polled the job runs, whether or not somebody still waits for its answer.
    pub(crate) async fn write<T, E>(
        &self,
        change: impl FnOnce(&mut Writer<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(rehearsal) = &self.rehearsal else { return self.hand_over(change).await };
        let Some(before) = rehearsal.take() else { return Err(StoreError::Rehearsed.into()) };
        self.hand_over(move |writer| {
            let after = before(writer)?;
            change(writer)?;
            after(writer)?;
            // What fails is undone.
            Err(StoreError::Rehearsed.into())
        })
        .await
    }

    async fn hand_over<T, E>(
        &self,
        change: impl FnOnce(&mut Writer<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            let result = writer.map_err(E::from).and_then(change);
            let keep = result.is_ok();
            let answer = Box::new(move |committed: Result<(), StoreError>| {
                // What a job found on a disk that failed says less than that it failed.
                let result = committed.map_err(E::from).and(result);
                // Nobody waits any more: what happened, happened all the same.
                drop(sender.send(result));
            });
            Prepared { keep, answer }
        });
        let jobs = self.inner.jobs.as_ref().ok_or(StoreError::Closed)?;
        self.inner.waiting.fetch_add(1, Ordering::Relaxed);
        jobs.send(Message::Job(job)).map_err(|_gone| StoreError::Closed)?;
        // Only a panic drops a job without an answer.
        receiver.await.map_err(|_dropped| StoreError::Panicked)?
    }

    /// Puts down what happened, for the audit, and does not wait: it is on the disk a moment later, and no later than what the
    /// same caller writes next. A power cut in that moment takes it away; so does a queue that is full, and the audit says so.
    pub(crate) fn note(&self, event: AuditEvent) {
        self.put_down(event.into());
    }

    fn put_down(&self, note: Note) {
        if self.rehearsal.is_none()
            && self.inner.notes.add(note)
            && let Some(jobs) = &self.inner.jobs
        {
            // Where the writer is gone, there is nobody to keep anything.
            drop(jobs.send(Message::Noted));
        }
    }

    /// Puts down something that is under way when it ends, however it ends.
    pub(crate) fn noting<T: Lasting>(&self, under_way: T) -> Noting<'_, T> {
        Noting::new(self, under_way)
    }

    /// Waits until everything that was noted before is on the disk.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        self.write(|_nothing_more| Ok(())).await
    }

    /// Tells the recorder what waits for a commit.
    pub(crate) fn measure(&self) {
        measure::store_queue(self.inner.waiting.load(Ordering::Relaxed), self.inner.notes.len());
    }

    /// The number of the newest event that is on the disk. It is told after each commit with events, and closed with the store;
    /// it does not keep the store open.
    pub(crate) fn told(&self) -> watch::Receiver<u64> {
        self.inner.told.clone()
    }

    /// Grows, from 0 on, with everything that may change what pages show. Closed with the store; it does not keep it open.
    pub(crate) fn shown(&self) -> watch::Receiver<u64> {
        self.inner.shown.subscribe()
    }

    /// Tells the same of something that is not in the store: what is under way.
    pub(crate) fn stir(&self) {
        self.inner.shown.send_modify(|count| *count += 1);
    }

    /// Copies the store as it is at this moment into a new file, while it is in use, and these components with it, each by its
    /// digest. Takes as long as reading all of it.
    pub(crate) fn backup(
        &self,
        to: &Path,
        components: impl Iterator<Item = (String, PathBuf)>,
    ) -> Result<(), StoreError> {
        file::backup(&self.inner.engine.snapshot()?, to, components)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let Some(thread) = self.thread.take() else { return };
        // The last handle may have been held by a job: that thread cannot wait for itself, and ends on its own.
        if thread.thread().id() != std::thread::current().id() {
            // A panic of the thread was reported when it happened, and there is nobody to hand it to here.
            drop(thread.join());
        }
    }
}
