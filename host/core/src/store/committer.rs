//! One thread writes. Jobs that wait while it commits go into the next commit together, so the cost of making changes durable
//! is shared by however many there are. What was only noted goes along with them or, where nobody changes anything, a moment
//! later.

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::audit::Retention;
use super::engine::Engine;
use super::error::StoreError;
use super::events::EventsKept;
use super::known::Known;
use super::notes::{Note, Notes};
use super::transaction::{Reader, Writer};
use crate::model::measure;
use crate::model::schedule::Schedule;

/// Prepares a change. It gets the reason instead where there is no writer to be had.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Writer<'_>, StoreError>) -> Prepared + Send>;

/// What the writer hears.
pub(super) enum Message {
    Job(Job),
    /// Something was noted.
    Noted,
    /// Somebody found that the disk failed.
    Ails,
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

/// The longest that it waits where the disk refuses it each time.
const REFUSED: Duration = Duration::from_secs(30);

/// A disk that fails is left alone for so many times as long as it took to open the store anew: that reads all of it.
const REST: u32 = 10;

/// What opens anew faster than this needs no rest.
const QUICK: Duration = Duration::from_millis(50);

/// What the thread works with.
pub(super) struct Parts {
    pub(super) engine: Arc<Engine>,
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

/// The thread.
pub(super) struct Committer {
    parts: Parts,
    /// How long what was noted waits for the next attempt.
    patience: Duration,
    /// Where the audit ended before the last commit.
    before: Cell<Option<u64>>,
    /// Whether the last commit could not be kept. It is said once, however long that lasts.
    failing: bool,
    /// Why the disk is left alone, and until when.
    resting: Option<(Arc<StoreError>, Instant)>,
}

impl Deref for Committer {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Committer {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts, patience: NOTED, before: Cell::new(None), failing: false, resting: None }
    }

    /// Runs until every sender of jobs is gone.
    pub(super) fn run(mut self, jobs: &Receiver<Message>) {
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
                Ok(Message::Ails) => drop(self.mend()),
                Err(RecvTimeoutError::Timeout) => {
                    self.commit(Vec::new());
                    due = self.due();
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.resting = None;
                    self.commit(Vec::new());
                    if !self.notes.is_empty() {
                        tracing::error!(
                            records = self.notes.len(),
                            "records of the audit are lost: the disk does not take them"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// When what waits is to be committed.
    fn due(&self) -> Option<Instant> {
        if self.notes.is_empty() { None } else { Some(Instant::now() + self.patience) }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        let noted = self.notes.take();
        if batch.is_empty() && noted.is_empty() {
            return;
        }
        self.queue.fetch_sub(batch.len(), Ordering::Relaxed);
        self.before.set(None);
        let (jobs, begun) = (batch.len(), Instant::now());
        let mut answers = Vec::with_capacity(jobs);
        let ready = self.mend().map_err(StoreError::Commit);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transact(ready, batch, &noted, &mut answers)))
            .unwrap_or_else(|_panic| Err(StoreError::Panicked));
        // What failed first says more than all that failed for it. What was kept is kept, whatever failed for others.
        let outcome = match (outcome, self.engine.fault()) {
            (Err(_) | Ok(Changed(false)), Some(fault)) => Err(fault),
            (outcome, _) => outcome,
        };
        match outcome {
            Ok(Changed(false)) => {}
            Ok(Changed(true)) => measure::commit(true, jobs, begun.elapsed()),
            Err(_) => measure::commit(false, jobs, begun.elapsed()),
        }
        let kept = matches!(outcome, Ok(Changed(true)));
        let failure = outcome.err().map(Arc::new);
        match &failure {
            Some(error) => self.refused(error, noted),
            None => self.patience = NOTED,
        }
        if kept && std::mem::take(&mut self.failing) {
            tracing::info!("changes are kept again");
        }
        for answer in answers {
            answer(match &failure {
                None => Ok(()),
                Some(cause) => Err(StoreError::Commit(Arc::clone(cause))),
            });
        }
    }

    /// Nothing of a commit was kept.
    fn refused(&mut self, error: &Arc<StoreError>, noted: Vec<Note>) {
        if !std::mem::replace(&mut self.failing, true) {
            let cause = error.root();
            tracing::warn!(error = %cause, "changes cannot be kept, and the audit waits");
        }
        // Before anybody is answered: whoever hears of a failure finds a store that goes on.
        let recorded = self.mend().is_ok() && self.is_there();
        if !recorded && !noted.is_empty() {
            self.patience = (2 * self.patience).min(REFUSED);
            self.notes.put_back(noted);
        }
    }

    /// Whether the last commit is on the disk though it failed: then what was noted is not recorded a second time.
    fn is_there(&self) -> bool {
        let head = self.engine.snapshot().and_then(|moment| Reader::of(moment, &self.known).audit_head());
        matches!((head, self.before.get()), (Ok(head), Some(before)) if head.seq > before)
    }

    /// Opens the database anew where its disk failed, unless that was tried a moment ago. Says why it cannot go on.
    fn mend(&mut self) -> Result<(), Arc<StoreError>> {
        if let Some((why, until)) = &self.resting {
            if Instant::now() < *until {
                return Err(Arc::clone(why));
            }
            self.resting = None;
        }
        if !self.engine.ails() {
            return Ok(());
        }
        let begun = Instant::now();
        let why = self.engine.fault();
        let opened = self.engine.reopen();
        let took = begun.elapsed();
        // What could not be kept may be there all the same.
        self.known.setup.fetch_add(1, Ordering::AcqRel);
        self.shown.send_modify(|count| *count += 1);
        let moment = self.engine.snapshot();
        if let Ok(head) = moment.and_then(|moment| Reader::of(moment, &self.known).events_head()) {
            self.told.send_replace(head);
        }
        let failed = opened.is_err();
        let Some(why) = opened.err().or(why).map(Arc::new) else { return Ok(()) };
        if !self.failing {
            tracing::warn!(error = %why, opened = !failed, "the disk of the store failed");
        }
        if failed || took > QUICK {
            self.resting = Some((Arc::clone(&why), Instant::now() + took * REST));
        }
        if failed { Err(why) } else { Ok(()) }
    }

    fn transact(
        &self,
        ready: Result<(), StoreError>,
        batch: Vec<Job>,
        noted: &[Note],
        answers: &mut Vec<Answer>,
    ) -> Result<Changed, StoreError> {
        let mut batch = batch.into_iter();
        let begun = ready.and_then(|()| self.prepare_and_commit(&mut batch, noted, answers));
        match begun {
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
        noted: &[Note],
        answers: &mut Vec<Answer>,
    ) -> Result<Changed, StoreError> {
        let mut transaction = self.engine.begin_write()?;
        transaction.set_two_phase_commit(true);
        let (mut changed, setup, shown, mut told);
        {
            let mut writer = Writer::of(&transaction, &self.known, self.schedule);
            self.before.set(Some(writer.audit_head()?.seq));
            // Whoever noted something before a change has its record before that of the change.
            noted.iter().try_for_each(|note| writer.audit_note(note))?;
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
            // Whoever commits these finds it out.
            Some(Message::Ails) => {}
            None => break,
        }
    }
    batch
}
