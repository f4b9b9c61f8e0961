//! Connections are kept alive while nobody looks: each is tested from time to time, and each credential is renewed before it
//! runs out.
//!
//! What is due stands in the store in the order of time, moved by the very job that stores a verdict, a change or a credential;
//! nothing here walks all connections. A round takes what is due, oldest first, as far as the limits of each place let it:
//! a million connections to one service must never become an attack on it. What does not fit stays where it is, and what goes
//! elsewhere is looked for behind it.

mod limits;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::connections::Connections;
use crate::credentials::{Pace, held, is_held};
use crate::model::actor::Actor;
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::connection::Status;
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::measure;
use crate::model::outside::Outside;
use crate::model::schedule::{Upkeep, later, share};
use crate::model::verdict::{FailureKind, Outcome};
use crate::model::view::{Budget, ByStatus, HealthReport, HealthState, HourTally, RenewalAhead, Tally, Waiting};
use crate::store::{Reader, Store, StoreError, Upcoming};
use limits::Limits;

/// Where the store keeps who paused it.
const PAUSED: &str = "health-paused";
/// How much of what is due one round looks at, first from the oldest on, then once more from where it looked last.
const LOOKED_AT: usize = 5_000;
/// A report counts no more than this.
const COUNTED: usize = 10_000;
/// Places that a report names.
const NAMED: usize = 20;
/// Renewals that a report names.
const AHEAD: usize = 10;
/// Hours that a report tells apart.
const HOURS: i64 = 24;
const HOUR: i64 = 60 * 60;
/// What became due while no host ran is spread: for each, so much longer, up to the longest.
const SPREAD: SignedDuration = SignedDuration::from_secs(2);
const LONGEST_SPREAD: SignedDuration = SignedDuration::from_hours(1);
/// A host that was away for less was not away.
const AWAY: SignedDuration = SignedDuration::from_mins(1);

/// What an operator may set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    /// Checks and renewals at the same time.
    pub(crate) concurrency: usize,
    /// Of one place.
    pub(crate) per_minute: NonZeroU32,
    pub(crate) daily: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let per_minute = NonZeroU32::new(120).expect("120 is not zero");
        Self { enabled: true, concurrency: 16, per_minute, daily: 100_000 }
    }
}

/// The upkeep of all connections. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    store: Store,
    connections: Connections,
    outside: Outside,
    settings: Settings,
    state: Arc<Mutex<State>>,
    /// One round at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Something ended or was resumed: there may be more to do.
    stirred: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    under_way: HashMap<(ConnectionId, Upkeep), String>,
    /// How many run it: none where no server does.
    running: usize,
    away: Option<Away>,
    /// Where the second look goes on.
    reached: Option<Vec<u8>>,
    /// By who alone may know of them; nobody in particular for what is shared.
    done: Done,
    /// The same of the last hours, by their number since 1970.
    hours: BTreeMap<i64, Done>,
    /// Of this program.
    faults: u64,
}

type Done = HashMap<Option<String>, Tally>;

/// What was overdue when this host was opened.
#[derive(Debug, Clone, Copy)]
struct Away {
    back_at: Timestamp,
    spread: SignedDuration,
}

impl Away {
    /// When something is due that may have become due while nobody was there.
    fn due_at(self, due: &Upcoming) -> Timestamp {
        match due.at < later(self.back_at, -AWAY) {
            true => later(self.back_at, share(due.id, self.back_at, self.spread)),
            false => due.at,
        }
    }
}

/// Counts one who runs it, until it is dropped. It keeps no store open.
struct Running(Arc<Mutex<State>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }
}

/// Takes something out of what is under way when it ends, however it ends.
struct UnderWay {
    health: Health,
    what: (ConnectionId, Upkeep),
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.health.lock().under_way.remove(&self.what);
        self.health.stirred.notify_one();
    }
}

impl Health {
    pub(crate) fn new(store: Store, connections: Connections, outside: Outside, settings: Settings) -> Self {
        let state = State {
            limits: Limits::new(settings.per_minute, settings.daily, &outside),
            under_way: HashMap::new(),
            running: 0,
            away: None,
            reached: None,
            done: HashMap::new(),
            hours: BTreeMap::new(),
            faults: 0,
        };
        Self {
            store,
            connections,
            outside,
            settings,
            state: Arc::new(Mutex::new(state)),
            turn: Arc::default(),
            stirred: Arc::default(),
        }
    }

    /// A fault of a moment must not end all upkeep: what it left half done is a count.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells that there may be more to do.
    pub(crate) fn stirred(&self) -> Arc<Notify> {
        self.stirred.clone()
    }

    /// Counts somebody who runs it, until what is given is dropped.
    pub(crate) fn running(&self) -> impl Drop + Send + use<> {
        self.lock().running += 1;
        Running(self.state.clone())
    }

    /// Begins what is due and fits the limits. Each is a task of its own: one that hangs stops no other.
    pub(crate) async fn begin(&self, tasks: &mut JoinSet<()>) -> Result<(), Error> {
        if !self.settings.enabled || self.paused_by()?.is_some() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let health = self.clone();
        let picked = tokio::task::spawn_blocking(move || health.store.read(|reader| health.pick(reader))).await;
        let picked = picked.map_err(|panicked| Error::internal("looking what is due")(Box::new(panicked)))??;
        if picked.is_empty() {
            return Ok(());
        }
        let begun: Vec<_> =
            picked.iter().map(|due| UnderWay { health: self.clone(), what: (due.id, due.what) }).collect();
        // Counted before anything leaves, so that a host which is started again and again keeps to it too.
        let (day, spent) = self.lock().limits.spent(picked.iter().map(|due| due.lane.clone()));
        self.store.write(move |writer| writer.spend(day, &spent).map_err(Error::from)).await?;
        for (due, under_way) in picked.into_iter().zip(begun) {
            let health = self.clone();
            tasks.spawn(async move {
                let _under_way = under_way;
                health.look_after_whatever(due).await;
            });
        }
        Ok(())
    }

    /// What is due and may be done now, oldest first. It counts as under way from here on.
    fn pick(&self, reader: &Reader<'_>) -> Result<Vec<Upcoming>, StoreError> {
        let now = self.outside.now();
        let mut state = self.lock();
        let away = match state.away {
            Some(away) => away,
            None => {
                let overdue = reader.due(later(now, -AWAY), None, COUNTED)?.len();
                let spread = (SPREAD * i32::try_from(overdue).unwrap_or(i32::MAX)).min(LONGEST_SPREAD);
                *state.away.insert(Away { back_at: now, spread })
            }
        };
        let mut free = self.settings.concurrency.saturating_sub(state.under_way.len());
        let (mut picked, mut held) = (Vec::new(), BTreeSet::new());
        let per_lane = (self.settings.concurrency / 2).max(1);
        if free == 0 {
            return Ok(picked);
        }
        let oldest = reader.due(now, None, LOOKED_AT)?;
        let all = oldest.len() < LOOKED_AT;
        let end = oldest.last().map(|last| last.place.clone());
        let mut waiting = BTreeSet::new();
        let mut consider = |state: &mut State, due: Upcoming, free: &mut usize| -> Result<(), StoreError> {
            let known = state.under_way.contains_key(&(due.id, due.what));
            // One service that hangs must leave room for the others.
            let busy = state.under_way.values().filter(|lane| **lane == due.lane).count();
            if busy >= per_lane {
                held.insert(due.lane);
                return Ok(());
            }
            if known || *free == 0 || held.contains(&due.lane) || away.due_at(&due) > now {
                return Ok(());
            }
            match state.limits.take(&due.lane, now, |day| reader.spent(day, &due.lane))? {
                Err(_why) => {
                    held.insert(due.lane);
                }
                Ok(()) => {
                    *free -= 1;
                    state.under_way.insert((due.id, due.what), due.lane.clone());
                    picked.push(due);
                }
            }
            Ok(())
        };
        for due in oldest {
            waiting.insert(due.lane.clone());
            consider(&mut state, due, &mut free)?;
        }
        if all || free == 0 {
            return Ok(picked);
        }
        // Behind so many, something may be due that goes elsewhere. What goes where older ones wait keeps waiting behind them.
        let from = state.reached.take().filter(|place| Some(place) > end.as_ref()).or(end);
        let further = reader.due(now, from.as_deref(), LOOKED_AT)?;
        state.reached = further.last().filter(|_| further.len() == LOOKED_AT).map(|last| last.place.clone());
        for due in further {
            if !waiting.contains(&due.lane) {
                consider(&mut state, due, &mut free)?;
            }
        }
        Ok(picked)
    }

    /// What breaks off by a fault of this program is put off like what fails, and counted: it would come up again at once.
    async fn look_after_whatever(&self, due: Upcoming) {
        let (id, what, begun) = (due.id, due.what, self.outside.now());
        if AssertUnwindSafe(self.look_after(due)).catch_unwind().await.is_ok() {
            return;
        }
        self.broke_off();
        tracing::error!(connection = %id, what = what.name(), "broke off by a fault of this program; put off");
        if let Err(error) = self.store.write(move |writer| writer.put_off(id, what, begun, None)).await {
            tracing::warn!(connection = %id, %error, "could not be put off");
        }
    }

    /// Counts a fault of this program.
    pub(crate) fn broke_off(&self) {
        self.lock().faults += 1;
    }

    async fn look_after(&self, due: Upcoming) {
        let Upcoming { id, what, lane, private_to, .. } = due;
        let outcome = match what {
            Upkeep::Check => self.connections.paced(self.pace()).check(id).await,
            Upkeep::Renewal => self.connections.renew_ahead(id).await,
        };
        let now = self.outside.now();
        match outcome {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                measure::upkeep(what, outcome.name());
                let mut state = self.lock();
                let hour = hour(now);
                state.hours.retain(|known, _| hour - known < HOURS);
                count(state.hours.entry(hour).or_default().entry(private_to.clone()).or_default(), what, &outcome);
                count(state.done.entry(private_to).or_default(), what, &outcome);
                if let Outcome::Failed(FailureKind::RateLimited { retry_after }) = outcome {
                    state.limits.rest(&lane, now, retry_after);
                }
            }
            Err(error) if is_held(&error) => {
                measure::upkeep(what, error.code());
                tracing::debug!(connection = %id, %error, "put off");
            }
            Err(error) => {
                measure::upkeep(what, error.code());
                tracing::warn!(connection = %id, %error, what = what.name(), "could not be made unasked; put off");
            }
        }
        // Whatever it came to, it must not come up again at once.
        let stays =
            self.store.read(|reader| reader.plan(id)).map(|plan| plan.due(what).is_some_and(|due| due.at <= now));
        let put_off = match stays {
            Ok(false) => Ok(()),
            Ok(true) => self.store.write(move |writer| writer.put_off(id, what, now, None)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = put_off {
            tracing::warn!(connection = %id, %error, "could not be put off");
        }
    }

    /// Gives leave for what a check turns out to need at another place than its own.
    fn pace(&self) -> Pace {
        let health = self.clone();
        Pace::new(move |place| {
            let health = health.clone();
            async move { health.admit(place).await }.boxed()
        })
    }

    async fn admit(&self, place: String) -> Result<(), Error> {
        let now = self.outside.now();
        let taken = self.store.read(|reader| {
            let mut state = self.lock();
            let taken = state.limits.take(&place, now, |day| reader.spent(day, &place))?;
            Ok(taken.map(|()| state.limits.spent(std::iter::once(place.clone()))))
        })?;
        let (day, spent) = taken.map_err(|why| held(&place, why.name()))?;
        self.store.write(move |writer| writer.spend(day, &spent).map_err(Error::from)).await
    }

    fn paused_by(&self) -> Result<Option<String>, Error> {
        Ok(self.store.read(|reader| reader.meta(PAUSED))?.filter(|by| !by.is_empty()))
    }

    /// Pauses it, or lets it go on, whatever host runs next on this store.
    pub(crate) async fn pause(&self, actor: &Actor, paused: bool) -> Result<(), Error> {
        let action = if paused { AuditAction::HostPauseHealth } else { AuditAction::HostResumeHealth };
        let event = AuditEvent::new(self.outside.now(), actor.name(), action, AuditObject::host());
        let by = if paused { actor.name().to_owned() } else { String::new() };
        self.store
            .write(move |writer| {
                let before = writer.meta(PAUSED)?.unwrap_or_default();
                if before.is_empty() == by.is_empty() {
                    return Ok(());
                }
                writer.set_meta(PAUSED, &by)?;
                writer.audit(&event).map_err(Error::from)
            })
            .await?;
        self.stirred.notify_one();
        Ok(())
    }

    /// Tells the recorder how much waits, and how those connections stand that everybody may see.
    pub(crate) fn measure(&self) -> Result<(), Error> {
        let now = self.outside.now();
        let (due, counts) =
            self.store.read(|reader| Ok((reader.due(now, None, COUNTED)?.len(), reader.count_by_status(None)?)))?;
        let under_way = self.lock().under_way.len();
        measure::upkeep_waiting(due.saturating_sub(under_way), under_way);
        for status in Status::ALL {
            measure::connections(status, counts.get(&status).copied().unwrap_or_default());
        }
        Ok(())
    }

    /// How it stands, for somebody from whom `hidden` connections are kept.
    pub(crate) fn report(&self, actor: &Actor, integrations: bool) -> Result<HealthReport, Error> {
        let now = self.outside.now();
        let (due, next, renewals, connections) = self.store.read(|reader| {
            let counts = reader.count_by_status(Some(actor.name()))?;
            let next = reader.next_due(now, COUNTED)?;
            let renewals = ahead(reader, actor, &next)?;
            Ok((reader.due(now, None, COUNTED)?, next, renewals, by_status(&counts)))
        })?;
        let seen = |private_to: &Option<String>| private_to.as_ref().is_none_or(|owner| owner == actor.name());
        let and_more = due.len() == COUNTED;
        let state = self.lock();
        let (mut under_way, mut all) = (0, 0);
        let mut lanes = BTreeMap::<String, u64>::new();
        for due in due.into_iter().filter(|due| seen(&due.private_to)) {
            all += 1;
            if state.under_way.contains_key(&(due.id, due.what)) {
                under_way += 1;
            } else {
                *lanes.entry(due.lane).or_default() += 1;
            }
        }
        let mut origins: Vec<_> = lanes
            .into_iter()
            .map(|(origin, waiting)| {
                let (held_by, until) =
                    state.limits.holding(&origin, now).map_or((None, None), |(why, until)| (Some(why), until));
                Waiting { origin, waiting, held_by, until, asked_today: 0 }
            })
            .collect();
        origins.sort_by(|left, right| right.waiting.cmp(&left.waiting).then_with(|| left.origin.cmp(&right.origin)));
        origins.truncate(NAMED);
        let done = sum(&state.done, seen);
        let hours = (hour(now) - HOURS + 1..=hour(now)).filter_map(|hour| {
            let from = Timestamp::from_second(hour * HOUR).ok()?;
            Some(HourTally { from, done: state.hours.get(&hour).map(|done| sum(done, seen)).unwrap_or_default() })
        });
        let hours = hours.collect();
        let (running, faults) = (state.running > 0, state.faults);
        drop(state);
        let today = limits::day(now);
        self.store.read(|reader| {
            origins.iter_mut().try_for_each(|waiting| {
                waiting.asked_today = reader.spent(today, &waiting.origin)?;
                Ok(())
            })
        })?;
        let (state, reason) = self.state_of(integrations, running)?;
        let next = next.into_iter().find(|due| seen(&due.private_to)).map(|due| due.at);
        Ok(HealthReport {
            state,
            reason,
            connections,
            due: all,
            under_way,
            waiting: all - under_way,
            and_more,
            origins,
            next,
            renewals,
            budget: Budget {
                at_once: self.settings.concurrency as u64,
                per_origin_per_minute: self.settings.per_minute.get().into(),
                per_origin_daily: self.settings.daily,
            },
            done,
            hours,
            faults,
        })
    }

    fn state_of(&self, integrations: bool, running: bool) -> Result<(HealthState, Option<String>), Error> {
        let off = |words: &str| (HealthState::Off, Some(words.to_owned()));
        Ok(match (integrations, self.settings.enabled, self.paused_by()?, running) {
            (false, ..) => off("integrations are switched off"),
            (true, false, ..) => off("`health.enabled` is false in turnbuckle.toml"),
            (true, true, Some(by), _) => (HealthState::Paused, Some(format!("by {by}"))),
            (true, true, None, false) => off("no server runs"),
            (true, true, None, true) => (HealthState::Running, None),
        })
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR)
}

fn count(tally: &mut Tally, what: Upkeep, outcome: &Outcome) {
    let counted = match (what, outcome) {
        (Upkeep::Check, Outcome::Passed) => &mut tally.passed,
        (Upkeep::Check, Outcome::Failed(_)) => &mut tally.failed,
        (Upkeep::Renewal, Outcome::Passed) => &mut tally.renewed,
        (Upkeep::Renewal, Outcome::Failed(_)) => &mut tally.not_renewed,
    };
    *counted += 1;
}

fn sum(done: &Done, seen: impl Fn(&Option<String>) -> bool) -> Tally {
    let mut all = Tally::default();
    for (_, tally) in done.iter().filter(|(private_to, _)| seen(private_to)) {
        all.passed += tally.passed;
        all.failed += tally.failed;
        all.renewed += tally.renewed;
        all.not_renewed += tally.not_renewed;
    }
    all
}

/// The next renewals that this one may know of.
fn ahead(reader: &Reader<'_>, actor: &Actor, next: &[Upcoming]) -> Result<Vec<RenewalAhead>, StoreError> {
    let seen = |due: &&Upcoming| due.private_to.as_ref().is_none_or(|owner| owner == actor.name());
    let mut renewals = Vec::new();
    for due in next.iter().filter(|due| due.what == Upkeep::Renewal).filter(seen).take(AHEAD) {
        if let Some(connection) = reader.shared_connection(due.id)? {
            renewals.push(RenewalAhead { connection: due.id, name: connection.name.clone(), at: due.at });
        }
    }
    Ok(renewals)
}

fn by_status(counts: &BTreeMap<Status, u64>) -> ByStatus {
    let count = |status| counts.get(&status).copied().unwrap_or_default();
    ByStatus {
        active: count(Status::Active),
        degraded: count(Status::Degraded),
        needs_reconnect: count(Status::NeedsReconnect),
        inactive: count(Status::Inactive),
        disabled: count(Status::Disabled),
    }
}
