//! Time and chance, passed in so that a test can hold them still.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::id::ConnectionId;

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Where the host gets the time and randomness from.
#[derive(Clone)]
pub struct Outside {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    fill: Arc<Fill>,
}

impl Outside {
    /// A clock and a source of randomness of the caller's.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        fill: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), fill: Arc::new(fill) }
    }

    /// This machine's clock and randomness.
    #[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
    pub fn system() -> Self {
        Self::new(Timestamp::now, |bytes| {
            getrandom::fill(bytes).expect("an operating system without randomness can't keep secrets");
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.fill)(&mut bytes);
        bytes
    }

    pub(crate) fn connection_id(&self) -> ConnectionId {
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        ConnectionId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &self.random()).into_uuid())
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outside")
    }
}
