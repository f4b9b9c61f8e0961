//! Endpoints for events, as an operator sets them up.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::delivery::MOST_PENDING;
use super::{Outbox, sign};
use crate::model::actor::Actor;
use crate::model::audit::{AuditAction, AuditEvent, AuditKind, AuditObject};
use crate::model::error::{Error, FieldProblem};
use crate::model::event::{EventCursor, EventTypes};
use crate::model::id::kebab;
use crate::model::origin::Origin;
use crate::model::view::{
    DeliveryFilter, DeliveryState, DeliveryView, Page, PutWebhook, Replay, Replayed, RotateSecret, SavedWebhook,
    WebhookView,
};
use crate::model::webhook::{CURRENT, Delivery, PREVIOUS, Progress, Webhook};
use crate::store::{Deliveries, Reader, StoreError, Writer};

/// Each has a task of its own, and every event is posted to all of them.
const MOST: usize = 50;
const LONGEST_URL: usize = 2_000;
const OVERLAP_HOURS: u32 = 24;
const LONGEST_OVERLAP: u32 = 168;
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;

impl Outbox {
    /// Adds an endpoint, or changes it. A new one begins with the next event that happens.
    pub(crate) async fn put_webhook(&self, actor: &Actor, name: &str, put: PutWebhook) -> Result<SavedWebhook, Error> {
        let mut problems = Vec::new();
        if let Err(problem) = kebab(name) {
            problems.push(FieldProblem::new("name", problem));
        }
        let url = put.url.as_deref().and_then(|text| self.url(text, &mut problems));
        let types = put.types.as_ref().map(|types| EventTypes::parse(types.iter().map(String::as_str)));
        let types = types.transpose().unwrap_or_else(|words| {
            problems.push(FieldProblem::new("types", words));
            None
        });
        if put.url.is_none() && self.store.read(|reader| reader.webhook(name))?.is_none() {
            problems.push(FieldProblem::new("url", "a new webhook needs one: https://<domain>/<path>"));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let (name, who, now) = (name.to_owned(), actor.name().to_owned(), self.outside.now());
        let (secret, credentials) = (sign::fresh(&self.outside), self.credentials.clone());
        let (saved, secret) = self
            .store
            .write(move |writer| {
                let old = writer.webhook(&name)?;
                let new = old.is_none();
                put.expected.met("webhook", &name, old.as_ref().map(|old| old.version))?;
                let mut webhook = match old {
                    Some(old) => old,
                    None => {
                        if writer.webhooks()?.len() >= MOST {
                            return Err(Error::field("name", format!("a host has at most {MOST} webhooks")));
                        }
                        let Some(url) = url.clone() else { return Err(Error::not_found("webhook", &name)) };
                        let place = writer.events_head()?;
                        writer.put_webhook_progress(&name, &Progress { place, ..Progress::default() })?;
                        let secrets = BTreeMap::from([(CURRENT.to_owned(), secret.clone())]);
                        Webhook {
                            secrets: credentials.seal_webhook(&name, &secrets),
                            name,
                            url,
                            types: EventTypes::default(),
                            enabled: true,
                            disabled_for: None,
                            version: 0,
                            owner: who.clone(),
                            previous_until: None,
                            created_at: now,
                            updated_at: now,
                        }
                    }
                };
                let mut fields = Vec::new();
                let mut touched = |field: &str, given: bool| fields.extend(given.then(|| field.to_owned()));
                touched("url", url.is_some());
                touched("types", types.is_some());
                touched("enabled", put.enabled.is_some());
                webhook.url = url.unwrap_or(webhook.url);
                webhook.types = types.unwrap_or(webhook.types);
                if let Some(enabled) = put.enabled {
                    webhook.enabled = enabled;
                    webhook.disabled_for = None;
                }
                // It gets what its owner may see, and must not get more because somebody else turned it elsewhere.
                webhook.owner = who;
                webhook.version = writer.next_version()?;
                webhook.updated_at = now;
                writer.put_webhook(&webhook)?;
                writer.audit(&of(now, &webhook.owner, AuditAction::WebhookPut, &webhook).with_fields(fields))?;
                Ok((webhook, new.then_some(secret)))
            })
            .await?;
        self.changed();
        Ok(SavedWebhook { view: self.view(saved)?, secret })
    }

    /// Where a message could go, judged by the same policy as each message.
    fn url(&self, text: &str, problems: &mut Vec<FieldProblem>) -> Option<Url> {
        let mut problem = |words: String| {
            problems.push(FieldProblem::new("url", words));
            None
        };
        let url = match Url::parse(text.trim()) {
            Ok(url) if text.len() <= LONGEST_URL => url,
            Ok(_) => return problem(format!("must have at most {LONGEST_URL} characters")),
            Err(error) => return problem(format!("must be https://<domain>/<path>: {error}")),
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return problem("must hold neither a user nor a fragment; a message is known by its signature".into());
        }
        match self.egress.judge(&url, &self.outside) {
            Ok(()) => Some(url),
            Err(denied) => problem(match &denied.allow_hint {
                Some(hint) => format!("{denied}; {hint}"),
                None => denied.to_string(),
            }),
        }
    }

    /// All of them, by name.
    pub(crate) fn webhooks(&self) -> Result<Vec<WebhookView>, Error> {
        let views: Result<Vec<_>, StoreError> = self
            .store
            .read(|reader| Ok(reader.webhooks()?.into_iter().map(|found| viewed(reader, found)).collect()))?;
        Ok(views?.into_iter().map(|view| self.with_fault(view)).collect())
    }

    /// One of them.
    pub(crate) fn webhook(&self, name: &str) -> Result<WebhookView, Error> {
        let found = self.store.read(|reader| reader.webhook(name))?;
        self.view(found.ok_or_else(|| missing(name))?)
    }

    fn view(&self, webhook: Webhook) -> Result<WebhookView, Error> {
        Ok(self.with_fault(self.store.read(|reader| viewed(reader, webhook))?))
    }

    fn with_fault(&self, view: WebhookView) -> WebhookView {
        WebhookView { fault: self.fault_words(&view.name), ..view }
    }

    /// Removes one, and all that waits for it.
    pub(crate) async fn remove_webhook(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let (name, who, now) = (name.to_owned(), actor.name().to_owned(), self.outside.now());
        self.store
            .write(move |writer| {
                let webhook = writer.webhook(&name)?.ok_or_else(|| missing(&name))?;
                writer.remove_webhook(&name)?;
                Ok::<_, Error>(writer.audit(&of(now, &who, AuditAction::WebhookRemove, &webhook))?)
            })
            .await?;
        self.changed();
        Ok(())
    }

    /// Gives it a new secret; the old one signs besides for a while, so that receivers can change over.
    pub(crate) async fn rotate_webhook(
        &self,
        actor: &Actor,
        name: &str,
        rotate: RotateSecret,
    ) -> Result<SavedWebhook, Error> {
        let hours = rotate.overlap_hours.unwrap_or(OVERLAP_HOURS);
        if hours > LONGEST_OVERLAP {
            return Err(Error::field("overlap-hours", format!("must be 0 to {LONGEST_OVERLAP}")));
        }
        let (name, who, now) = (name.to_owned(), actor.name().to_owned(), self.outside.now());
        let until = now.checked_add(SignedDuration::from_hours(hours.into()));
        let until = until.map_err(|error| Error::field("overlap-hours", error.to_string()))?;
        let (secret, credentials) = (sign::fresh(&self.outside), self.credentials.clone());
        let (saved, secret) = self
            .store
            .write(move |writer| {
                let mut webhook = writer.webhook(&name)?.ok_or_else(|| missing(&name))?;
                let mut secrets = credentials.unseal_webhook(&name, &webhook.secrets)?;
                secrets.remove(PREVIOUS);
                if let (Some(old), true) = (secrets.insert(CURRENT.to_owned(), secret.clone()), hours > 0) {
                    secrets.insert(PREVIOUS.to_owned(), old);
                }
                webhook.secrets = credentials.seal_webhook(&name, &secrets);
                webhook.previous_until = (hours > 0).then_some(until);
                webhook.updated_at = now;
                writer.put_webhook(&webhook)?;
                writer.audit(&of(now, &who, AuditAction::WebhookRotateSecret, &webhook))?;
                Ok::<_, Error>((webhook, secret))
            })
            .await?;
        self.changed();
        Ok(SavedWebhook { view: self.view(saved)?, secret: Some(secret) })
    }

    /// Deliveries that did not succeed, by the order of their events.
    pub(crate) fn webhook_deliveries(&self, name: &str, filter: &DeliveryFilter) -> Result<Page<DeliveryView>, Error> {
        let limit = filter.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Error::field("limit", format!("must be 1 to {LONGEST_PAGE}")));
        }
        let after = match &filter.cursor {
            Some(text) => {
                text.parse().map_err(|_not_a_number| Error::field("cursor", "is not a cursor of this list"))?
            }
            None => 0,
        };
        let state = filter.state.unwrap_or(DeliveryState::Dead);
        let list = match state {
            DeliveryState::Pending => Deliveries::Pending,
            DeliveryState::Dead => Deliveries::Dead,
        };
        let found = self.store.read(|reader| {
            let there = reader.webhook(name)?.is_some();
            Ok(if there { Some(reader.deliveries(list, name, after, limit + 1)?) } else { None })
        })?;
        let mut found = found.ok_or_else(|| missing(name))?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.event.seq.to_string());
        let shown = |delivery: Delivery| {
            let Delivery { event, attempts, since, last, next, problem } = delivery;
            // What it says may be for its owner alone.
            let kind = event.kind();
            DeliveryView { seq: event.seq, id: event.id, kind, state, attempts, since, last, next, problem }
        };
        Ok(Page { items: found.into_iter().map(shown).collect(), next })
    }

    /// Tries one delivery, or everything that was given up, again at once.
    pub(crate) async fn replay_webhook(&self, actor: &Actor, name: &str, replay: Replay) -> Result<Replayed, Error> {
        let (name, who, now) = (name.to_owned(), actor.name().to_owned(), self.outside.now());
        let replayed = self
            .store
            .write(move |writer| {
                let webhook = writer.webhook(&name)?.ok_or_else(|| missing(&name))?;
                let room = MOST_PENDING.saturating_sub(writer.count_deliveries(Deliveries::Pending, &name)?);
                let waits = |seq| Ok::<_, Error>(writer.delivery(Deliveries::Pending, &name, seq)?.is_some());
                if let Some(seq) = replay.seq
                    && room == 0
                    && !waits(seq)?
                {
                    return Err(Error::Refused {
                        rule: "too-many-pending",
                        message: format!("{MOST_PENDING} deliveries wait already"),
                        hint: Some("replay it when the endpoint took some of them".into()),
                    });
                }
                let chosen = match replay.seq {
                    Some(seq) => vec![one(writer, &webhook, seq, now)?],
                    None => writer.deliveries(Deliveries::Dead, &name, 0, room)?,
                };
                for delivery in &chosen {
                    let again = Delivery { attempts: 0, next: Some(now), ..delivery.clone() };
                    writer.remove_delivery(Deliveries::Dead, &name, again.event.seq)?;
                    writer.put_delivery(Deliveries::Pending, &name, &again)?;
                }
                writer.audit(&of(now, &who, AuditAction::WebhookReplay, &webhook))?;
                let left = writer.count_deliveries(Deliveries::Dead, &name)? as u64;
                Ok::<_, Error>(Replayed { replayed: chosen.len() as u64, left })
            })
            .await?;
        self.changed();
        Ok(replayed)
    }

    fn changed(&self) {
        self.parts.changed.send_modify(|version| *version += 1);
    }
}

/// The delivery of one event: given up, or waiting, or one that succeeded, as long as the event is kept.
fn one(writer: &Writer<'_>, webhook: &Webhook, seq: u64, now: Timestamp) -> Result<Delivery, Error> {
    for list in [Deliveries::Dead, Deliveries::Pending] {
        if let Some(found) = writer.delivery(list, &webhook.name, seq)? {
            return Ok(found);
        }
    }
    let event = writer.event(seq, &webhook.owner)?.ok_or_else(|| Error::not_found("event", seq.to_string()))?;
    Ok(Delivery { event, attempts: 0, since: now, last: now, next: None, problem: "replayed".into() })
}

fn viewed(reader: &Reader<'_>, webhook: Webhook) -> Result<WebhookView, StoreError> {
    let progress = reader.webhook_progress(&webhook.name)?;
    let count = |list| Ok::<_, StoreError>(reader.count_deliveries(list, &webhook.name)? as u64);
    Ok(WebhookView {
        place: EventCursor(progress.place),
        behind: reader.events_head()?.saturating_sub(progress.place),
        pending: count(Deliveries::Pending)?,
        dead: count(Deliveries::Dead)?,
        delivered: progress.delivered,
        delivered_at: progress.delivered_at,
        missed: progress.missed,
        name: webhook.name,
        url: webhook.url.into(),
        types: webhook.types.0,
        enabled: webhook.enabled,
        disabled_for: webhook.disabled_for,
        fault: None,
        version: webhook.version,
        owner: webhook.owner,
        previous_secret_until: webhook.previous_until,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
    })
}

/// What the audit is told: the origin, for a path may be a secret of the receiver's.
pub(super) fn of(at: Timestamp, actor: &str, action: AuditAction, webhook: &Webhook) -> AuditEvent {
    let object = AuditObject::named(AuditKind::Webhook, &webhook.name);
    let origins = Origin::of(&webhook.url).iter().map(ToString::to_string).collect();
    AuditEvent { origins, ..AuditEvent::new(at, actor, action, object) }
}

fn missing(name: &str) -> Error {
    Error::not_found("webhook", name)
}
