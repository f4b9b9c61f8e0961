//! One thread writes. Jobs that wait while it commits go into the next commit together, so the cost of making changes durable
//! is shared by however many there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use redb::Database;

use super::error::StoreError;
use super::known::Known;
use super::transaction::Writer;

/// Prepares a change. It gets the reason instead where there is no writer to be had.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Writer<'_>, StoreError>) -> Prepared + Send>;

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

/// Runs until every sender of jobs is gone.
pub(super) fn run(database: &Database, known: &Known, jobs: &Receiver<Job>) {
    let mut expected = 1;
    while let Ok(first) = jobs.recv() {
        let batch = gather(first, jobs, expected);
        expected = batch.len();
        commit(database, known, batch);
    }
}

/// Takes what waits. Writers that were just answered come back a moment later, one by one; without a little patience every
/// other commit would hold but the fastest of them. A lone writer never waits.
fn gather(first: Job, jobs: &Receiver<Job>, expected: usize) -> Vec<Job> {
    let mut batch = vec![first];
    while batch.len() < LARGEST_BATCH {
        let next = match jobs.try_recv() {
            Ok(job) => Some(job),
            Err(_none_yet) if batch.len() < expected => jobs.recv_timeout(PATIENCE).ok(),
            Err(_none_yet) => None,
        };
        match next {
            Some(job) => batch.push(job),
            None => break,
        }
    }
    batch
}

fn commit(database: &Database, known: &Known, batch: Vec<Job>) {
    let mut answers = Vec::with_capacity(batch.len());
    let outcome = catch_unwind(AssertUnwindSafe(|| transact(database, known, batch, &mut answers)))
        .unwrap_or_else(|_panic| Err(StoreError::Panicked));
    let failure = outcome.err().map(Arc::new);
    for answer in answers {
        answer(match &failure {
            None => Ok(()),
            Some(cause) => Err(StoreError::Commit(Arc::clone(cause))),
        });
    }
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

fn transact(database: &Database, known: &Known, batch: Vec<Job>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
    let mut batch = batch.into_iter();
    let outcome = prepare_and_commit(database, known, &mut batch, answers);
    if let Err(error) = outcome {
        // Those that did not get their turn share the fate of those that did.
        let cause = Arc::new(error);
        for job in batch {
            answers.push(job(Err(StoreError::Commit(Arc::clone(&cause)))).answer);
        }
        return Err(StoreError::Commit(cause));
    }
    Ok(())
}

fn prepare_and_commit(
    database: &Database,
    known: &Known,
    batch: &mut impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(StoreError::engine)?;
    transaction.set_two_phase_commit(true);
    let mut changed = false;
    {
        let mut writer = Writer::open(&transaction, known)?;
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
    }
    if changed {
        transaction.commit().map_err(StoreError::engine)
    } else {
        transaction.abort().map_err(StoreError::engine)
    }
}
