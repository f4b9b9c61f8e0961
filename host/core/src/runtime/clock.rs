//! How long a guest computes: the time in which it is polled. Waiting for a service is not computing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The clock of one call. It is read from within the call and by whoever polls it, never by both at once.
#[derive(Debug)]
pub(super) struct Clock {
    base: Instant,
    /// Nanoseconds of all polls that ended.
    spent: AtomicU64,
    /// When the poll under way began.
    since: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), spent: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// Begins anew, for the next piece of work.
    pub(super) fn reset(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// Does the work, and counts the time that it is polled.
    pub(super) async fn metered<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            let begun = self.now();
            self.since.store(begun, Ordering::Relaxed);
            let polled = work.as_mut().poll(context);
            self.spent.fetch_add(self.now() - begun, Ordering::Relaxed);
            polled
        })
        .await
    }

    /// Asked from within a poll only.
    pub(super) fn spent(&self) -> Duration {
        let under_way = self.now().saturating_sub(self.since.load(Ordering::Relaxed));
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + under_way)
    }

    /// Asked between polls.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
