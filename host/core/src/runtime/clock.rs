//! How long a guest computes: what its thread computes while it is polled. Waiting for a service is not computing, and neither is
//! waiting for a processor that others have: a busy machine leaves a guest its whole budget.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The clock of one call. It is read from within the call and by whoever polls it, never by both at once.
#[derive(Debug)]
pub(super) struct Clock {
    /// Nanoseconds of all polls that ended.
    spent: AtomicU64,
    /// When the poll under way began.
    since: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { spent: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// Begins anew, for the next piece of work.
    pub(super) fn reset(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// Does the work, and counts the time that it is polled.
    pub(super) async fn metered<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            // A poll begins and ends on one thread, and whoever asks meanwhile is on it.
            let begun = computed();
            self.since.store(begun, Ordering::Relaxed);
            let polled = work.as_mut().poll(context);
            self.spent.fetch_add(computed() - begun, Ordering::Relaxed);
            polled
        })
        .await
    }

    /// Asked from within a poll only.
    pub(super) fn spent(&self) -> Duration {
        let under_way = computed().saturating_sub(self.since.load(Ordering::Relaxed));
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + under_way)
    }

    /// Asked between polls.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }
}

/// Nanoseconds that this thread has computed.
pub(super) fn computed() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
