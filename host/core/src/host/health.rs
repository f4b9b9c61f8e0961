//! Connections that stay alive by themselves.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::{Host, Inner};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditKind};
use crate::model::error::Error;
use crate::model::view::{Activity, ActivityFilter, HealthReport, Page};

const PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;
/// How often to look whether something is due. One look is one read of the first entry of an index.
const PACE: Duration = Duration::from_secs(1);
/// However often that broke off by a fault of this program.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What was done with a connection.
impl Host {
    /// What was done to it and with it, newest first, by whomever: as far back as the audit goes. Everything that was done before
    /// the call is there. Where little is wanted among much, a page may end early; `next` says where to go on.
    pub async fn connection_activity(
        &self,
        actor: &Actor,
        key: &str,
        filter: &ActivityFilter,
    ) -> Result<Page<Activity>, Error> {
        self.call(actor, AuditAction::ConnectionView, key)?.need(Permission::ViewConnections)?;
        let id = self.inner.connections.find(actor, key)?.id;
        let limit = filter.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Error::field("limit", format!("must be 1 to {LONGEST_PAGE}")));
        }
        let action = match filter.action.as_deref() {
            Some(name) => {
                let mut known = AuditAction::ALL.iter().filter(|action| action.kind() == AuditKind::Connection);
                let found = known.find(|action| action.name() == name).copied();
                let unknown =
                    || Error::field("action", "is none that is done to connections, such as `connection.send`");
                Some(found.ok_or_else(unknown)?)
            }
            None => None,
        };
        let before = filter.cursor.as_deref().map(str::parse).transpose();
        let before = before
            .map_err(|_not_a_number| Error::field("cursor", "is not a cursor of this list; take `next` of a page"))?;
        self.settle_audit().await?;
        let wanted = |event: &AuditEvent| {
            action.is_none_or(|wanted| wanted == event.action)
                && filter.outcome.is_none_or(|wanted| wanted == event.outcome)
        };
        let page = self.inner.store.read(|reader| reader.audit_of(id, before, limit, wanted))?;
        Ok(Page { items: page.items.into_iter().map(Activity::from).collect(), next: page.next })
    }
}

/// Checks that nobody asks for.
impl Host {
    /// How connections are kept alive, and how they stand.
    pub fn health(&self, actor: &Actor) -> Result<HealthReport, Error> {
        let call = self.call(actor, AuditAction::HostView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.health.report(actor, self.inner.integrations))
    }
    /// Pauses it, until somebody resumes it: a host that is started again stays paused.
    pub async fn pause_health(&self, actor: &Actor) -> Result<HealthReport, Error> {
        self.set_paused(actor, AuditAction::HostPauseHealth, true).await
    }
    /// Lets it go on.
    pub async fn resume_health(&self, actor: &Actor) -> Result<HealthReport, Error> {
        self.set_paused(actor, AuditAction::HostResumeHealth, false).await
    }
    async fn set_paused(&self, actor: &Actor, action: AuditAction, paused: bool) -> Result<HealthReport, Error> {
        let call = self.call(actor, action, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.health.pause(actor, paused).await)?;
        call.told(self.inner.health.report(actor, self.inner.integrations))
    }

    /// Tests connections and renews credentials as they become due, for as long as it is polled and somebody else holds the
    /// host. A server does it; without one, nothing runs by itself. What is under way when it is dropped is left alone.
    pub fn run_health(&self) -> impl Future<Output = ()> + Send + use<> {
        let weak = Arc::downgrade(&self.inner);
        let (running, stirred) = (self.inner.health.running(), self.inner.health.stirred());
        async move {
            let _running = running;
            let (mut tasks, mut faults) = (JoinSet::new(), 0);
            while let Some(inner) = weak.upgrade() {
                let begun = AssertUnwindSafe(begin(&inner, &mut tasks)).catch_unwind().await;
                faults = if begun.is_ok() { 0 } else { faults + 1 };
                let pause = PACE.saturating_mul(2_u32.saturating_pow(faults)).min(LONGEST_PAUSE);
                if begun.is_err() {
                    inner.health.broke_off();
                    tracing::error!(?pause, "looking what is due broke off by a fault of this program; done again");
                }
                drop(inner);
                while tasks.try_join_next().is_some() {}
                // Either way it is time to look again; after a fault not earlier.
                let stirred =
                    async { if faults == 0 { stirred.notified().await } else { std::future::pending().await } };
                drop(tokio::time::timeout(pause, stirred).await);
            }
        }
    }

    /// Brings gauges up to date, for whoever is about to read what the recorder holds. Numbers of
    /// work are of all connections, those of how they stand of those that everybody may see.
    pub fn measure(&self) -> Result<(), Error> {
        self.inner.store.measure();
        self.inner.health.measure()
    }

    /// Does what is due now and fits the limits, and waits for its end: for an embedder with a clock of its own.
    pub async fn health_round(&self) {
        let mut tasks = JoinSet::new();
        begin(&self.inner, &mut tasks).await;
        tasks.join_all().await;
    }
}

async fn begin(inner: &Inner, tasks: &mut JoinSet<()>) {
    if inner.integrations
        && let Err(error) = inner.health.begin(tasks).await
    {
        tracing::warn!(%error, "nothing could be done unasked");
    }
}
