//! Where long computing goes on: threads of a lower priority than those that everybody waits for.
//!
//! A guest that computes is interrupted at every tick, but until then the thread is its own; a few such guests, and every
//! other call waits for its turn. So a call begins where it was asked for, and whatever is not done after its first slice goes
//! on here, where it takes what the others leave.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::clock::Clock;

/// So much is computed before a call moves.
const SLICE: Duration = Duration::from_millis(5);
/// What a guest that computes long, and whoever compiles one, gives way by.
const NICE: i32 = 5;

/// The threads; there are none until something is long.
#[derive(Default)]
pub(super) struct Lane {
    threads: OnceLock<Option<Runtime>>,
}

impl Lane {
    /// Does the work: its first slice here, the rest on threads of this lane. `long` says that the work before it was long, so
    /// this one begins there, and it is told how this one was.
    pub(super) async fn run<T, F>(&self, clock: &Clock, long: &AtomicBool, work: F) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let mut work = Box::pin(work);
        if !long.load(Ordering::Relaxed) {
            let done = std::future::poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if clock.total() >= SLICE => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            if let Some(done) = done.await {
                return done;
            }
        }
        let Some(threads) = self.threads.get_or_init(threads) else { return work.await };
        // What it spawns belongs to the threads that serve everybody: a connection that it opens is used by others later.
        let home = tokio::runtime::Handle::current();
        let mut moved = JoinSet::new();
        moved.spawn_on(
            async move {
                std::future::poll_fn(|context| {
                    let _home = home.enter();
                    work.as_mut().poll(context)
                })
                .await
            },
            threads.handle(),
        );
        // A caller that goes away takes the set along, which ends the work.
        let done = moved.join_next().await.expect("there is one task");
        long.store(clock.total() >= SLICE, Ordering::Relaxed);
        match done {
            Ok(done) => done,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The lane ends with the host alone; nobody waits for this call then.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // A host may be dropped where nothing may block.
        if let Some(Some(threads)) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

fn threads() -> Option<Runtime> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name("turnbuckle-lane")
        .on_thread_start(give_way)
        .build();
    threads.inspect_err(|error| tracing::warn!(%error, "no threads for long computing: it goes on among all else")).ok()
}

/// Lowers the priority of the calling thread, and of what it starts, below what it was.
pub(super) fn give_way() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a thread keeps the priority of all others");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::clock::computed;
    use super::*;

    /// No priority is lower.
    const LOWEST: i32 = 19;

    fn here() -> (String, i32) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        (name, rustix::process::getpriority_process(None).unwrap())
    }

    /// Computes for a slice, lets others have their turn, and says where it was before and where it went on.
    async fn long_work() -> [(String, i32); 3] {
        let before = here();
        let begun = computed();
        while Duration::from_nanos(computed() - begun) <= SLICE {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
        let spawned = tokio::spawn(async { here() }).await.unwrap();
        [before, here(), spawned]
    }

    async fn done<T: Send + 'static>(
        lane: &Lane,
        long: &AtomicBool,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let clock = Arc::new(Clock::new());
        let metered = {
            let clock = clock.clone();
            async move { clock.metered(work).await }
        };
        lane.run(&clock, long, metered).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_long_goes_on_in_the_lane_and_what_it_spawns_stays_at_home() {
        let (lane, long) = (Lane::default(), AtomicBool::new(false));
        let [before, after, spawned] = done(&lane, &long, long_work()).await;
        assert_ne!(before.0, "turnbuckle-lane");
        assert_eq!(after, ("turnbuckle-lane".to_owned(), (before.1 + NICE).min(LOWEST)));
        assert_ne!(spawned.0, "turnbuckle-lane");
        assert!(long.load(Ordering::Relaxed));
        // The next one begins there; a short one is believed to be followed by short ones.
        let place = done(&lane, &long, async { here().0 }).await;
        assert_eq!(place, "turnbuckle-lane");
        assert!(!long.load(Ordering::Relaxed));
        assert_ne!(done(&lane, &long, async { here().0 }).await, "turnbuckle-lane");
    }

    #[tokio::test]
    async fn a_panic_in_the_lane_is_the_callers() {
        let (lane, long) = (Lane::default(), AtomicBool::new(true));
        let caller = tokio::spawn(async move {
            done(&lane, &long, async { assert!(std::hint::black_box(false), "it broke") }).await;
        });
        assert!(caller.await.unwrap_err().is_panic());
    }
}
