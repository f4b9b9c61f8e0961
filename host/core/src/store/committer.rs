//! One thread writes. Jobs that wait while it commits go into the next commit together, so the cost of making changes durable
//! is shared by however many there are. What was only noted goes along with them or, where nobody changes anything, a moment
//! later.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redb::Database;
use tokio::sync::watch;

use super::audit::Retention;
use super::error::StoreError;
use super::events::EventsKept;
use super::known::Known;
use super::notes::Notes;
use super::transaction::Writer;
use crate::model::audit::AuditEvent;
use crate::model::measure;
use crate::model::schedule::Schedule;

/// Prepares a change. It gets the reason instead where there is no writer to be had.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Writer<'_>, StoreError>) -> Prepared + Send>;

/// What the writer hears.
pub(super) enum Message {
    Job(Job),
    /// Something was noted.
    Noted,
}

/// What a job left behind.
pub(super) struct Prepared {
    /// Whether its changes are to be kept.
    pub(super) keep: bool,
    /// To be called when it is known whether they are durable.
    pub(super) answer: Box<dyn FnOnce(Result<(), StoreError>)>,
}

/// A commit with more jobs gains little, and whoever came first waits for all of them.
const LARGEST_BATCH: usize = 256;

/// How long to wait for each of those who were there last time. Much less than a commit takes.
const PATIENCE: Duration = Duration::from_micros(100);

/// How long what was noted may wait for a commit. One every so often costs nobody anything.
const NOTED: Duration = Duration::from_millis(100);

/// What the thread works with.
pub(super) struct Committer {
    pub(super) database: Arc<Database>,
    pub(super) known: Arc<Known>,
    pub(super) notes: Arc<Notes>,
    /// Jobs that were handed over and not begun.
    pub(super) queue: Arc<AtomicUsize>,
    pub(super) schedule: Schedule,
    /// Where the sequence of events ends on the disk.
    pub(super) told: watch::Sender<u64>,
    /// Grows with every commit that changes what pages show.
    pub(super) shown: Arc<watch::Sender<u64>>,
    pub(super) retention: Retention,
    pub(super) events: EventsKept,
}

impl Committer {
    /// Runs until every sender of jobs is gone.
    pub(super) fn run(&self, jobs: &Receiver<Message>) {
        let mut expected = 1;
        let mut due: Option<Instant> = None;
        loop {
            let message = match due {
                Some(due) => jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => jobs.recv().map_err(|_gone| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Job(first)) => {
                    let batch = gather(first, jobs, expected);
                    expected = batch.len();
                    self.commit(batch);
                    due = self.due();
                }
                Ok(Message::Noted) if self.notes.are_many() => {
                    self.commit(Vec::new());
                    due = self.due();
                }
                Ok(Message::Noted) => due = due.or_else(|| self.due()),
                Err(RecvTimeoutError::Timeout) => {
                    self.commit(Vec::new());
                    due = self.due();
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.commit(Vec::new());
                    return;
                }
            }
        }
    }

    /// When what waits is to be committed.
    fn due(&self) -> Option<Instant> {
        if self.notes.is_empty() { None } else { Some(Instant::now() + NOTED) }
    }

    fn commit(&self, batch: Vec<Job>) {
        let noted = self.notes.take();
        if batch.is_empty() && noted.is_empty() {
            return;
        }
        self.queue.fetch_sub(batch.len(), Ordering::Relaxed);
        let (jobs, begun) = (batch.len(), Instant::now());
        let mut answers = Vec::with_capacity(jobs);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transact(batch, &noted, &mut answers)))
            .unwrap_or_else(|_panic| Err(StoreError::Panicked));
        match outcome {
            Ok(Changed(false)) => {}
            Ok(Changed(true)) => measure::commit(true, jobs, begun.elapsed()),
            Err(_) => measure::commit(false, jobs, begun.elapsed()),
        }
        let failure = outcome.err().map(Arc::new);
        if let Some(error) = &failure
            && !noted.is_empty()
        {
            tracing::warn!(%error, "the audit waits");
            self.notes.put_back(noted);
        }
        for answer in answers {
            answer(match &failure {
                None => Ok(()),
                Some(cause) => Err(StoreError::Commit(Arc::clone(cause))),
            });
        }
    }

    fn transact(
        &self,
        batch: Vec<Job>,
        noted: &[AuditEvent],
        answers: &mut Vec<Answer>,
    ) -> Result<Changed, StoreError> {
        let mut batch = batch.into_iter();
        match self.prepare_and_commit(&mut batch, noted, answers) {
            Ok(changed) => Ok(changed),
            Err(error) => {
                // Those that did not get their turn share the fate of those that did.
                let cause = Arc::new(error);
                for job in batch {
                    answers.push(job(Err(StoreError::Commit(Arc::clone(&cause)))).answer);
                }
                Err(StoreError::Commit(cause))
            }
        }
    }

    fn prepare_and_commit(
        &self,
        batch: &mut impl Iterator<Item = Job>,
        noted: &[AuditEvent],
        answers: &mut Vec<Answer>,
    ) -> Result<Changed, StoreError> {
        let mut transaction = self.database.begin_write().map_err(StoreError::engine)?;
        transaction.set_two_phase_commit(true);
        let (mut changed, setup, shown, mut told);
        {
            let mut writer = Writer::open(&transaction, &self.known, self.schedule)?;
            // Whoever noted something before a change has its record before that of the change.
            noted.iter().try_for_each(|event| writer.audit(event))?;
            changed = writer.keep();
            told = None;
            for job in batch {
                // A panic drops the job's end of the answer, which tells its caller.
                match catch_unwind(AssertUnwindSafe(|| job(Ok(&mut writer)))) {
                    Ok(Prepared { keep: true, answer }) => {
                        changed |= writer.keep();
                        answers.push(answer);
                    }
                    Ok(Prepared { keep: false, answer }) => {
                        answers.push(answer);
                        writer.undo()?;
                    }
                    Err(_panic) => writer.undo()?,
                }
            }
            if changed {
                writer.seal_audit(self.retention)?;
                told = writer.seal_events(self.events)?;
            }
            setup = writer.setup;
            shown = writer.shown;
        }
        if changed {
            transaction.commit().map_err(StoreError::engine)?;
            // Before anybody is answered: whoever hears of a change finds nothing that was made before it.
            if setup {
                self.known.setup.fetch_add(1, Ordering::AcqRel);
            }
            if let Some(newest) = told {
                self.told.send_replace(newest);
            }
            if shown {
                self.shown.send_modify(|count| *count += 1);
            }
        } else {
            transaction.abort().map_err(StoreError::engine)?;
        }
        Ok(Changed(changed))
    }
}

/// Whether a commit had anything to keep.
#[derive(Debug, Clone, Copy)]
struct Changed(bool);

type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

/// Takes what waits. Writers that were just answered come back a moment later, one by one; without a little patience every
/// other commit would hold but the fastest of them. A lone writer never waits.
fn gather(first: Job, jobs: &Receiver<Message>, expected: usize) -> Vec<Job> {
    let mut batch = vec![first];
    while batch.len() < LARGEST_BATCH {
        let next = match jobs.try_recv() {
            Ok(message) => Some(message),
            Err(_none_yet) if batch.len() < expected => jobs.recv_timeout(PATIENCE).ok(),
            Err(_none_yet) => None,
        };
        match next {
            Some(Message::Job(job)) => batch.push(job),
            // It is committed with these.
            Some(Message::Noted) => {}
            None => break,
        }
    }
    batch
}
