//! Deliveries: each endpoint has a task of its own, which posts one event after the other in their order, so a slow one delays
//! nobody else.
//!
//! An endpoint's place in the sequence, and everything that waits for another attempt, stand in the store; what is only in
//! memory is a shortcut to it. A place may be written a moment after an event was delivered: a process that is killed in
//! between delivers the event again, by the same id. A delivery that fails waits on its own and holds nobody up, so events may
//! arrive out of order then; their numbers say how they belong. As many may wait as [`MOST_PENDING`]; then the endpoint takes
//! nothing new until one of them is done, and what the outbox drops meanwhile is counted as missed, and told.
//!
//! Time is the host's clock, looked at every moment while something waits: a clock that is turned needs no timer to be told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::webhooks::of;
use super::{Parts, sign};
use crate::egress::{Egress, Message};
use crate::model::actor::Permission;
use crate::model::audit::AuditAction;
use crate::model::error::Error;
use crate::model::event::Event;
use crate::model::outside::Outside;
use crate::model::secret::Secret;
use crate::model::webhook::{CURRENT, Delivery, PREVIOUS, Progress, Webhook};
use crate::store::{Deliveries, EventQuery, Followed, Writer};
use crate::users;

/// When a delivery that failed is tried again; then it is given up.
const DELAYS: [i64; 7] = [5, 30, 120, 600, 3_600, 14_400, 43_200];
/// No endpoint may ask for a longer pause than the longest of these.
const LONGEST_PAUSE: u64 = 43_200;
/// A message is small, and an endpoint ought to answer before it works.
const WITHIN: Duration = Duration::from_secs(20);
/// So many deliveries of one endpoint wait for another attempt.
pub(super) const MOST_PENDING: usize = 1_000;
/// So many that were given up are kept.
const MOST_DEAD: usize = 1_000;
/// Events that are read at once.
const CHUNK: usize = 16;
/// How long a place may stay unwritten while events go on being delivered.
const UNSAVED: Duration = Duration::from_secs(1);
/// As many events that it does not want may be looked at again after a start.
const PASSED: u64 = 64;
/// How often the clock is looked at while something waits for its time.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// Who does what nobody asked for.
const HOST: &str = "host";

/// One endpoint at work.
pub(super) struct Endpoint {
    parts: Weak<Parts>,
    egress: Egress,
    outside: Outside,
    told: watch::Receiver<u64>,
    changed: watch::Receiver<u64>,
    webhook: Webhook,
    progress: Progress,
    /// Whether what the store says is to be read first.
    stale: bool,
    /// Since when `progress` is ahead of the store.
    unsaved: Option<Instant>,
    /// The place that the store knows.
    saved: u64,
    /// When each delivery that waits is due.
    pending: BTreeMap<u64, Timestamp>,
    /// Events that were read, and up to where.
    fresh: VecDeque<Event>,
    read: u64,
}

/// What an attempt came to.
enum Outcome {
    Delivered,
    /// The endpoint says that it is gone for good.
    Gone,
    Failed {
        problem: String,
        retry_after: Option<u64>,
    },
}

/// What becomes of a delivery that failed.
enum Fate {
    Waits,
    Dead,
    Gone,
}

/// Whether there is more to do.
enum Step {
    Went,
    Idle,
    Over,
}

impl Endpoint {
    pub(super) fn new(open: &Parts, parts: &Weak<Parts>, webhook: Webhook) -> Self {
        Self {
            parts: parts.clone(),
            egress: open.egress.clone(),
            outside: open.outside.clone(),
            told: open.store.told(),
            changed: open.changed.subscribe(),
            webhook,
            progress: Progress::default(),
            stale: true,
            unsaved: None,
            saved: 0,
            pending: BTreeMap::new(),
            fresh: VecDeque::new(),
            read: 0,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.step().await {
                Ok(Step::Went) => {}
                Ok(Step::Idle) => {
                    if !self.wait(false).await {
                        return;
                    }
                }
                Ok(Step::Over) => return self.egress.close(&self.pool_key()),
                Err(error) => {
                    if self.parts.strong_count() == 0 {
                        return;
                    }
                    tracing::error!(%error, webhook = self.webhook.name, "an event can't be delivered");
                    // What was not written did not happen: rather once more than not at all. And whatever is wrong with the
                    // host, it is not mended by asking at once.
                    (self.stale, self.unsaved) = (true, None);
                    if !self.wait(true).await {
                        return;
                    }
                }
            }
        }
    }

    /// Whose sockets its messages go by.
    fn pool_key(&self) -> String {
        format!("webhook {}", self.webhook.name)
    }

    /// One delivery that is due, and one that is new: neither keeps the other waiting.
    async fn step(&mut self) -> Result<Step, Error> {
        if (self.stale || self.changed.has_changed().unwrap_or(false)) && !self.load().await? {
            return Ok(Step::Over);
        }
        let now = self.outside.now();
        let due = self.pending.iter().find(|(_, next)| **next <= now).map(|(seq, _)| *seq);
        let mut step = Step::Idle;
        // What was taken while its owner might see it waits as long as that is not so.
        if let Some(seq) = due
            && !self.barred()?
        {
            step = Step::Went;
            self.again(seq).await?;
        }
        if self.webhook.enabled
            && self.pending.len() < MOST_PENDING
            && let Some(event) = self.next_event().await?
        {
            step = Step::Went;
            let now = self.outside.now();
            let (since, last, problem) = (now, now, String::new());
            self.attempt(Delivery { event, attempts: 0, since, last, next: None, problem }).await?;
        }
        if !self.webhook.enabled {
            return Ok(Step::Over);
        }
        if self.unsaved.is_some_and(|since| matches!(step, Step::Idle) || since.elapsed() >= UNSAVED) {
            self.save(|_, _| Ok(())).await?;
        }
        Ok(step)
    }

    /// Reads what people changed. Says whether there is still something to deliver to.
    async fn load(&mut self) -> Result<bool, Error> {
        if self.unsaved.is_some() {
            self.save(|_, _| Ok(())).await?;
        }
        self.changed.borrow_and_update();
        let name = self.webhook.name.clone();
        let found = self.open()?.store.read(|reader| {
            let Some(webhook) = reader.webhook(&name)? else { return Ok(None) };
            let pending = reader.deliveries(Deliveries::Pending, &name, 0, MOST_PENDING + 1)?;
            Ok(Some((webhook, reader.webhook_progress(&name)?, pending)))
        })?;
        let Some((webhook, progress, pending)) = found.filter(|(webhook, ..)| webhook.enabled) else {
            return Ok(false);
        };
        self.pending =
            pending.into_iter().map(|one| (one.event.seq, one.next.unwrap_or(Timestamp::UNIX_EPOCH))).collect();
        self.read = progress.place;
        self.fresh.clear();
        (self.saved, self.stale) = (progress.place, false);
        (self.webhook, self.progress) = (webhook, progress);
        Ok(true)
    }

    /// The next event that it wants, in their order.
    async fn next_event(&mut self) -> Result<Option<Event>, Error> {
        // A webhook tells no more than its owner may see, and nothing while that is nothing.
        if self.read < *self.told.borrow_and_update() && self.barred()? {
            return Ok(None);
        }
        while self.fresh.is_empty() && self.read < *self.told.borrow_and_update() {
            let (seen_by, types) = (&self.webhook.owner, &self.webhook.types);
            let query = EventQuery { after: self.read, seen_by, types, connection: None, limit: CHUNK };
            match self.open()?.store.read(|reader| reader.events(query))? {
                Followed::Events { events, reached } => {
                    self.fresh.extend(events);
                    self.read = reached;
                    if self.fresh.is_empty() {
                        self.passed(reached);
                    }
                }
                Followed::Passed { oldest } => self.missed(oldest).await?,
                // The store was put back to an older state.
                Followed::Ahead { newest } => {
                    self.read = newest;
                    self.progress.place = newest;
                    self.unsaved.get_or_insert_with(Instant::now);
                }
            }
        }
        Ok(self.fresh.pop_front())
    }

    /// Whether its owner is a user of this host who may see nothing now.
    fn barred(&self) -> Result<bool, Error> {
        let owner = users::standing(&self.open()?.store, &self.webhook.owner)?;
        Ok(owner.is_some_and(|owner| !owner.may(Permission::ViewConnections)))
    }

    /// Goes on with the oldest event that is kept, and says how many are gone.
    async fn missed(&mut self, oldest: u64) -> Result<(), Error> {
        let gone = (oldest - 1).saturating_sub(self.read);
        self.read = oldest - 1;
        self.progress.missed += gone;
        self.moved(self.read);
        let event = of(self.outside.now(), HOST, AuditAction::WebhookOverflow, &self.webhook);
        let event = event.failed(format!("{gone} events were dropped for their age before they could be delivered"));
        tracing::warn!(webhook = self.webhook.name, gone, "events were dropped before they could be delivered");
        self.save(move |writer, _| Ok(writer.audit(&event)?)).await
    }

    /// Tries a delivery again that failed before.
    async fn again(&mut self, seq: u64) -> Result<(), Error> {
        let (name, owner) = (&self.webhook.name, &self.webhook.owner);
        let found = self.open()?.store.read(|reader| {
            let Some(found) = reader.delivery(Deliveries::Pending, name, seq)? else { return Ok(None) };
            Ok(reader.event_is_for(&found.event, owner)?.then_some(found))
        })?;
        if let Some(delivery) = found {
            return self.attempt(delivery).await;
        }
        // Somebody took it away, or it is not for whoever owns the endpoint now.
        self.pending.remove(&seq);
        self.save(move |writer, name| {
            writer.remove_delivery(Deliveries::Pending, name, seq)?;
            Ok(())
        })
        .await
    }

    async fn attempt(&mut self, mut delivery: Delivery) -> Result<(), Error> {
        let (seq, waited) = (delivery.event.seq, self.pending.contains_key(&delivery.event.seq));
        let outcome = self.post(&delivery.event).await?;
        let now = self.outside.now();
        delivery.attempts += 1;
        delivery.last = now;
        // One that is tried again, or replayed from further on, says nothing of those between.
        if !waited {
            self.moved(seq);
        }
        let (problem, retry_after, gone) = match outcome {
            Outcome::Delivered => {
                self.progress.delivered += 1;
                self.progress.delivered_at = Some(now);
                self.pending.remove(&seq);
                if waited {
                    let gone = move |writer: &mut Writer<'_>, name: &str| {
                        writer.remove_delivery(Deliveries::Pending, name, seq)?;
                        Ok(())
                    };
                    self.save(gone).await?;
                }
                return Ok(());
            }
            Outcome::Gone => ("the endpoint answered 410: it is gone".to_owned(), None, true),
            Outcome::Failed { problem, retry_after } => (problem, retry_after, false),
        };
        tracing::info!(
            webhook = self.webhook.name,
            event = seq,
            attempts = delivery.attempts,
            problem,
            "not delivered"
        );
        delivery.problem = problem;
        delivery.next = if gone { None } else { self.next(delivery.attempts, now, retry_after) };
        let fate = match (gone, delivery.next) {
            (true, _) => Fate::Gone,
            (false, Some(_)) => Fate::Waits,
            (false, None) => Fate::Dead,
        };
        match delivery.next {
            Some(next) => drop(self.pending.insert(seq, next)),
            None => drop(self.pending.remove(&seq)),
        }
        if gone {
            self.webhook.enabled = false;
        } else if delivery.next.is_none() && self.dead_is_full()? {
            self.progress.missed += 1;
        }
        let webhook = self.webhook.clone();
        self.save(move |writer, _| keep(writer, &webhook, &delivery, &fate, now)).await
    }

    /// When a delivery that failed so often is tried again. Everybody's next attempt is a little earlier or later, so that an
    /// endpoint that comes back is not met by all of them at once.
    fn next(&self, attempts: u32, now: Timestamp, retry_after: Option<u64>) -> Option<Timestamp> {
        let delay = *DELAYS.get(usize::try_from(attempts).ok()?.checked_sub(1)?)?;
        let chance = i64::from(u16::from_be_bytes(self.outside.random::<2>()));
        let spread = delay * 1_000 * 8 / 10 + delay * 1_000 * 4 / 10 * chance / i64::from(u16::MAX);
        let asked = retry_after.map_or(0, |seconds| i64::try_from(seconds.min(LONGEST_PAUSE)).unwrap_or(0) * 1_000);
        now.checked_add(SignedDuration::from_millis(spread.max(asked))).ok()
    }

    fn dead_is_full(&self) -> Result<bool, Error> {
        let name = &self.webhook.name;
        Ok(self.open()?.store.read(|reader| reader.count_deliveries(Deliveries::Dead, name))? >= MOST_DEAD)
    }

    /// Posts one event.
    async fn post(&self, event: &Event) -> Result<Outcome, Error> {
        let now = self.outside.now();
        let body = serde_json::to_vec(event).map_err(|error| Error::internal("writing an event")(Box::new(error)))?;
        let signature = sign::signatures(&self.secrets(now)?, &event.id, now, &body)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", now.as_second().to_string()),
            ("webhook-signature", signature),
        ] {
            let value = HeaderValue::try_from(value);
            let value = value.map_err(|error| Error::internal("writing an event")(Box::new(error)))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let pool_key = self.pool_key();
        let url = &self.webhook.url;
        let message = Message { pool_key: &pool_key, url, headers, body: Bytes::from(body), within: WITHIN };
        Ok(match self.egress.post(message, &self.outside).await {
            Ok(posted) if posted.status.is_success() => Outcome::Delivered,
            Ok(posted) if posted.status == StatusCode::GONE => Outcome::Gone,
            Ok(posted) => {
                let followed = if posted.status.is_redirection() { "; redirects are not followed" } else { "" };
                let problem = format!("the endpoint answered {}{followed}", posted.status.as_u16());
                Outcome::Failed { problem, retry_after: posted.retry_after }
            }
            Err(error) => Outcome::Failed { problem: error.to_string(), retry_after: None },
        })
    }

    /// The secrets that sign at this moment, read anew: a rotation of the master key seals them again at any time.
    fn secrets(&self, now: Timestamp) -> Result<Vec<Secret>, Error> {
        let open = self.open()?;
        let name = &self.webhook.name;
        let sealed = open.store.read(|reader| reader.webhook(name))?.unwrap_or_else(|| self.webhook.clone());
        let mut secrets = open.credentials.unseal_webhook(name, &sealed.secrets)?;
        let current = secrets.remove(CURRENT);
        let previous = secrets.remove(PREVIOUS).filter(|_| sealed.previous_until.is_some_and(|until| until > now));
        Ok(current.into_iter().chain(previous).collect())
    }

    /// Everything up to here is done with, unless something before it is still to be tried for the first time.
    fn moved(&mut self, seq: u64) {
        let place = if self.fresh.is_empty() { self.read.max(seq) } else { seq };
        if place > self.progress.place {
            self.progress.place = place;
        }
        self.unsaved.get_or_insert_with(Instant::now);
    }

    /// Events that it does not want are not worth a commit of their own.
    fn passed(&mut self, reached: u64) {
        self.progress.place = self.progress.place.max(reached);
        if self.progress.place - self.saved.min(self.progress.place) >= PASSED {
            self.unsaved.get_or_insert_with(Instant::now);
        }
    }

    /// Writes how far it is, together with something else. An endpoint that was removed meanwhile leaves nothing behind.
    async fn save(
        &mut self,
        besides: impl FnOnce(&mut Writer<'_>, &str) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (name, made, progress) = (self.webhook.name.clone(), self.webhook.created_at, self.progress.clone());
        let open = self.open()?;
        open.store
            .write(move |writer| {
                if writer.webhook(&name)?.is_some_and(|there| there.created_at == made) {
                    writer.put_webhook_progress(&name, &progress)?;
                    besides(writer, &name)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        (self.unsaved, self.saved) = (None, self.progress.place);
        Ok(())
    }

    /// Waits for an event, a change, or the time of what is pending. Says whether the host is still there.
    async fn wait(&mut self, resting: bool) -> bool {
        let now = self.outside.now();
        let due = self.pending.values().min().map(|next| next.duration_since(now).unsigned_abs().min(LOOK));
        let within = if resting { Some(UNSAVED) } else { due };
        // Where as many wait as may, nothing new is taken.
        let takes = self.pending.len() < MOST_PENDING && !resting;
        let (told, changed) = (&mut self.told, &mut self.changed);
        let stale = &mut self.stale;
        let woken = async {
            tokio::select! {
                told = told.changed(), if takes => told.is_ok(),
                changed = changed.changed() => {
                    *stale = true;
                    changed.is_ok()
                }
            }
        };
        match within {
            Some(within) => tokio::time::timeout(within, woken).await.unwrap_or(true),
            None => woken.await,
        }
    }

    fn open(&self) -> Result<Arc<Parts>, Error> {
        self.parts.upgrade().ok_or_else(|| Error::Refused {
            rule: "closed",
            message: "the host is closed".into(),
            hint: None,
        })
    }
}

/// Keeps a delivery that failed.
fn keep(
    writer: &mut Writer<'_>,
    webhook: &Webhook,
    delivery: &Delivery,
    fate: &Fate,
    now: Timestamp,
) -> Result<(), Error> {
    let (name, seq) = (webhook.name.as_str(), delivery.event.seq);
    if let Fate::Waits = fate {
        return Ok(writer.put_delivery(Deliveries::Pending, name, delivery)?);
    }
    writer.remove_delivery(Deliveries::Pending, name, seq)?;
    if writer.count_deliveries(Deliveries::Dead, name)? >= MOST_DEAD
        && let Some(oldest) = writer.first_delivery(Deliveries::Dead, name)?
    {
        writer.remove_delivery(Deliveries::Dead, name, oldest)?;
    }
    writer.put_delivery(Deliveries::Dead, name, delivery)?;
    // A person who changed it meanwhile meant another one.
    if let (Fate::Gone, Some(mut there)) = (fate, writer.webhook(name)?)
        && there.updated_at == webhook.updated_at
    {
        there.enabled = false;
        there.version = writer.next_version()?;
        there.disabled_for = Some(delivery.problem.clone());
        writer.put_webhook(&there)?;
        writer.audit(&of(now, HOST, AuditAction::WebhookDisable, &there).failed("410"))?;
    }
    Ok(())
}
