//! How much of what is due may go to one place now: so many a minute, so many a day, and nothing while it asks for rest.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};

use crate::model::outside::Outside;
use crate::model::schedule::later;
use crate::model::view::Holding;

/// A place that asks for rest without saying how long gets so much.
const REST: u32 = 60;
const LONGEST_REST: u32 = 24 * 60 * 60;
/// So many places are remembered before those that rest no more are forgotten.
const REMEMBERED: usize = 10_000;

type Rate = RateLimiter<String, HashMapStateStore<String>, Ticking, NoOpMiddleware<Nanos>>;

/// The host's clock, for the limiter.
#[derive(Debug, Clone)]
struct Ticking {
    outside: Outside,
    from: Timestamp,
}

impl Clock for Ticking {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let passed = self.outside.now().duration_since(self.from).as_nanos();
        Nanos::new(u64::try_from(passed).unwrap_or(0))
    }
}

/// What each place was asked, and may be asked still.
pub(super) struct Limits {
    rate: Rate,
    daily: u64,
    day: i64,
    spent: HashMap<String, u64>,
    resting: HashMap<String, Timestamp>,
}

impl fmt::Debug for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Limits").field("daily", &self.daily).finish_non_exhaustive()
    }
}

impl Limits {
    pub(super) fn new(per_minute: NonZeroU32, daily: u64, outside: &Outside) -> Self {
        // Not all of a minute's at once.
        let burst = NonZeroU32::new(per_minute.get().div_ceil(10)).unwrap_or(NonZeroU32::MIN);
        let clock = Ticking { outside: outside.clone(), from: outside.now() };
        let rate = RateLimiter::hashmap_with_clock(Quota::per_minute(per_minute).allow_burst(burst), clock);
        Self { rate, daily, day: 0, spent: HashMap::new(), resting: HashMap::new() }
    }

    /// Takes one request to this place, or says why it has to wait. `stored` says what it was asked today before this host
    /// was opened.
    pub(super) fn take<E>(
        &mut self,
        lane: &String,
        now: Timestamp,
        stored: impl FnOnce(i64) -> Result<u64, E>,
    ) -> Result<Result<(), Holding>, E> {
        let today = day(now);
        if self.day != today {
            self.day = today;
            self.spent.clear();
        }
        if self.resting.get(lane).is_some_and(|until| now < *until) {
            return Ok(Err(Holding::Resting));
        }
        let spent = match self.spent.get(lane) {
            Some(spent) => *spent,
            None => stored(today)?,
        };
        if spent >= self.daily {
            return Ok(Err(Holding::DailyBudget));
        }
        if self.rate.check_key(lane).is_err() {
            return Ok(Err(Holding::Rate));
        }
        self.spent.insert(lane.clone(), spent + 1);
        Ok(Ok(()))
    }

    /// What these places were asked today.
    pub(super) fn spent(&self, lanes: impl Iterator<Item = String>) -> (i64, Vec<(String, u64)>) {
        let mut spent: Vec<_> =
            lanes.filter_map(|lane| self.spent.get(&lane).map(|count| (lane.clone(), *count))).collect();
        spent.sort();
        spent.dedup();
        (self.day, spent)
    }

    /// The place said that it was asked too often.
    pub(super) fn rest(&mut self, lane: &str, now: Timestamp, seconds: Option<u32>) {
        let seconds = seconds.unwrap_or(REST).min(LONGEST_REST);
        self.resting.insert(lane.to_owned(), later(now, SignedDuration::from_secs(seconds.into())));
        if self.resting.len() > REMEMBERED {
            self.resting.retain(|_, until| now < *until);
            self.rate.retain_recent();
        }
    }

    /// Why a place has to wait, and until when where that is known; nothing where it need not.
    pub(super) fn holding(&self, lane: &str, now: Timestamp) -> Option<(Holding, Option<Timestamp>)> {
        if let Some(until) = self.resting.get(lane).filter(|until| now < **until) {
            return Some((Holding::Resting, Some(*until)));
        }
        if self.day == day(now) && self.spent.get(lane).is_some_and(|spent| *spent >= self.daily) {
            let tomorrow = Timestamp::from_second((day(now) + 1) * DAY).ok();
            return Some((Holding::DailyBudget, tomorrow));
        }
        None
    }
}

const DAY: i64 = 24 * 60 * 60;

/// Days begin at midnight UTC.
pub(super) fn day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(DAY)
}
