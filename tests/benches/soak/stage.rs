//! A host whose day passes in twelve minutes, with everything on that runs by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, Delivering, Host, Outside};
use turnbuckle_tests::components;

use crate::BINARY;

/// How much faster than a real clock this one runs.
const PACE: i32 = 120;

/// What the load works on.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) actor: Actor,
    pub(crate) origin: Arc<str>,
}

impl Stage {
    /// Opens it. What is kept for long is kept for little, so that its bounds are reached in the first minutes.
    pub(crate) async fn open(data: &Path, origin: &str) -> Self {
        let mut config = Config::default();
        config.egress.allow = vec![origin.to_owned()];
        config.audit.keep_records = Some(20_000);
        config.events.keep_records = Some(5_000);
        config.health.per_origin_per_minute = Some(100_000);
        config.health.daily_budget = Some(10_000_000);
        let (began, noon) = (Instant::now(), Timestamp::from_second(1_777_032_000).expect("a moment"));
        let now = move || {
            let real = SignedDuration::try_from(began.elapsed()).expect("less than centuries");
            noon + real * PACE
        };
        let fill = |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(16) {
                chunk.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..chunk.len()]);
            }
        };
        let builder = Host::builder(data).config(config).outside(Outside::new(now, fill));
        let host = builder.compiler(Compiler::Worker(BINARY.into())).open().await.expect("the host opens");
        let stage = Self { host, actor: Actor::administrator("root"), origin: origin.into() };
        for name in ["http", "echo"] {
            let component =
                tokio::task::spawn_blocking(move || components::read(BINARY, name)).await.expect("it is built");
            stage.host.install_connector(&stage.actor, component).await.expect("it installs");
        }
        stage
    }

    /// Health and webhooks, as a server runs them.
    pub(crate) fn keep_alive(&self) -> Upkeep {
        Upkeep { health: tokio::spawn(self.host.run_health()), _webhooks: self.host.deliver_webhooks() }
    }
}

/// What runs by itself, until it is stopped.
pub(crate) struct Upkeep {
    health: JoinHandle<()>,
    _webhooks: Delivering,
}

impl Upkeep {
    pub(crate) fn stop(self) {
        self.health.abort();
    }
}
