//! That something changed, for faces that show how things stand: they look again, at what their person may see.

use tokio::sync::watch;

/// Wakes whenever something may have changed of what connections, connectors, flows and upkeep show. It says not what, and
/// several changes may be told as one; it does not keep the data directory open.
#[derive(Debug, Clone)]
pub struct Changes {
    told: watch::Receiver<u64>,
}

impl Changes {
    pub(super) fn new(told: watch::Receiver<u64>) -> Self {
        Self { told }
    }

    /// How often something changed since the host was opened.
    pub fn count(&self) -> u64 {
        *self.told.borrow()
    }

    /// Waits until that is another number than this one, and gives it; nothing once the host is closed.
    pub async fn since(&mut self, count: u64) -> Option<u64> {
        self.told.wait_for(|now| *now != count).await.ok().map(|now| *now)
    }
}
