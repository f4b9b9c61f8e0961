//! The tasks of endpoints: begun, looked after, and begun again where one ended by a fault of this program.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::delivery::{Endpoint, LOOK};
use super::{Outbox, Parts};
use crate::model::schedule::later;

/// The first pause of an endpoint whose task ended by a fault; each one after it is twice as long, up to the longest.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// Webhooks are delivered as long as this is kept.
#[derive(Debug)]
#[must_use = "deliveries end when it is dropped"]
pub struct Delivering {
    task: Option<(JoinHandle<()>, Weak<Parts>)>,
}

impl Drop for Delivering {
    fn drop(&mut self) {
        let Some((task, parts)) = self.task.take() else { return };
        task.abort();
        if let Some(parts) = parts.upgrade() {
            parts.delivering.store(false, Ordering::Release);
        }
    }
}

impl Delivering {
    /// Delivers nothing.
    pub(crate) fn nothing() -> Self {
        Self { task: None }
    }
}

/// An endpoint whose task ended by a fault of this program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// In a row: without as long a time between them as the longest pause.
    times: u32,
    at: Timestamp,
    /// When it is begun again.
    next: Timestamp,
}

impl Fault {
    fn after(before: Option<Self>, now: Timestamp) -> Self {
        let before = before.filter(|before| later(before.next, LONGEST_PAUSE) > now);
        let times = before.map_or(0, |before| before.times) + 1;
        let pause = (FIRST_PAUSE * 2_i32.pow((times - 1).min(20))).min(LONGEST_PAUSE);
        Self { times, at: now, next: later(now, pause) }
    }

    /// As people are told.
    pub(super) fn words(self) -> String {
        let Self { times, at, next } = self;
        let often = if times == 1 { String::new() } else { format!(", {times} times in a row") };
        format!("its deliveries broke off at {at} by a fault of this program{often}; they begin again at {next}")
    }
}

impl Outbox {
    /// Begins to deliver, unless somebody does already.
    pub(crate) fn deliver(&self) -> Delivering {
        if self.parts.delivering.swap(true, Ordering::AcqRel) {
            return Delivering::nothing();
        }
        let parts = Arc::downgrade(&self.parts);
        Delivering { task: Some((tokio::spawn(run(parts.clone())), parts)) }
    }
}

/// Gives each endpoint that is enabled its task. None of them keeps the store open while it waits: a host that is dropped
/// is closed.
async fn run(parts: Weak<Parts>) {
    let Some(mut changed) = parts.upgrade().map(|parts| parts.changed.subscribe()) else { return };
    let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
    loop {
        changed.borrow_and_update();
        let Some(open) = parts.upgrade() else { return };
        let resting = begin(&open, &parts, &mut tasks, &mut names);
        drop(open);
        let woken = async {
            tokio::select! {
                changed = changed.changed() => changed.is_ok(),
                Some(ended) = tasks.join_next_with_id() => {
                    match ended {
                        Ok((id, ())) => drop(names.remove(&id)),
                        Err(error) => broke(&parts, names.remove(&error.id()), &error),
                    }
                    true
                }
            }
        };
        let goes_on = match resting {
            true => tokio::time::timeout(LOOK, woken).await.unwrap_or(true),
            false => woken.await,
        };
        if !goes_on {
            return;
        }
    }
}

/// Begins the tasks that are not there. Says whether one of them has to wait.
fn begin(
    open: &Arc<Parts>,
    parts: &Weak<Parts>,
    tasks: &mut JoinSet<()>,
    names: &mut HashMap<tokio::task::Id, String>,
) -> bool {
    let webhooks = match open.store.read(|reader| reader.webhooks()) {
        Ok(webhooks) => webhooks,
        Err(error) => {
            tracing::error!(%error, "webhooks can't be read");
            return false;
        }
    };
    let mut resting = false;
    for webhook in webhooks.into_iter().filter(|webhook| webhook.enabled) {
        if names.values().any(|name| *name == webhook.name) {
            continue;
        }
        if open.fault_of(&webhook.name).is_some_and(|fault| open.outside.now() < fault.next) {
            resting = true;
            continue;
        }
        let name = webhook.name.clone();
        names.insert(tasks.spawn(Endpoint::new(open, parts, webhook).run()).id(), name);
    }
    resting
}

/// What panicked once may do so again, so it is not begun again at once.
fn broke(parts: &Weak<Parts>, name: Option<String>, error: &JoinError) {
    let (Some(open), Some(name)) = (parts.upgrade(), name) else { return };
    let fault = Fault::after(open.fault_of(&name), open.outside.now());
    tracing::error!(%error, webhook = name, again = %fault.next, "deliveries broke off by a fault of this program");
    open.faults.lock().expect("no holder of this lock panics").insert(name, fault);
}

impl Parts {
    fn fault_of(&self, name: &str) -> Option<Fault> {
        self.faults.lock().expect("no holder of this lock panics").get(name).copied()
    }

    /// What broke an endpoint's deliveries off lately, for people.
    pub(super) fn fault_words(&self, name: &str) -> Option<String> {
        let lately = |fault: &Fault| self.outside.now() < later(fault.next, LONGEST_PAUSE);
        self.fault_of(name).filter(lately).map(Fault::words)
    }
}

/// By the name of the endpoint.
pub(super) type Faults = BTreeMap<String, Fault>;
