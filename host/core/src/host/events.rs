//! Events as callers follow them, and the endpoints that they are delivered to.

use super::Host;
use crate::events::{Changes, Delivering, Events};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::AuditAction;
use crate::model::error::Error;
use crate::model::event::EventCursor;
use crate::model::view::{
    DeliveryFilter, DeliveryView, EventFilter, EventPage, Page, PutWebhook, Replay, Replayed, RotateSecret,
    SavedWebhook, WebhookView,
};

/// Events. What the actor may not see is passed over.
impl Host {
    /// Events behind a cursor or, without one, from now on, as they happen. None is lost between two of them, however slow its
    /// reader is; where the reader is so slow that events are no longer kept, it ends with an error that names the oldest one.
    /// It keeps the data directory open as long as it is there.
    pub fn events(&self, actor: &Actor, after: Option<EventCursor>) -> Result<Events, Error> {
        self.filtered_events(actor, &EventFilter { after, ..EventFilter::default() })
    }
    /// The same, of some types or about one connection alone.
    pub fn filtered_events(&self, actor: &Actor, filter: &EventFilter) -> Result<Events, Error> {
        let call = self.call(actor, AuditAction::EventView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.outbox.follow(actor, filter, filter.after))
    }
    /// Wakes whoever shows how things stand, whenever that may have changed.
    pub fn changes(&self, actor: &Actor) -> Result<Changes, Error> {
        let call = self.call(actor, AuditAction::EventView, "")?;
        call.need(Permission::ViewConnections)?;
        Ok(self.inner.outbox.changes())
    }
    /// A page of the events that are kept, oldest first.
    pub fn event_page(&self, actor: &Actor, filter: &EventFilter) -> Result<EventPage, Error> {
        let call = self.call(actor, AuditAction::EventView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.outbox.page(actor, filter))
    }
}

/// Webhooks: endpoints that events are posted to, signed as the Standard Webhooks specification says.
impl Host {
    /// Begins to deliver to all of them, as long as the answer is kept. For whoever serves; a command that is over in a moment
    /// delivers nothing. Where somebody delivers already, nothing more is done.
    pub fn deliver_webhooks(&self) -> Delivering {
        if self.inner.integrations { self.inner.outbox.deliver() } else { Delivering::nothing() }
    }
    /// Adds an endpoint, with a secret that is told here and never again, or changes one.
    pub async fn put_webhook(&self, actor: &Actor, name: &str, put: PutWebhook) -> Result<SavedWebhook, Error> {
        let call = self.call(actor, AuditAction::WebhookPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.put_webhook(actor, name, put).await)
    }
    /// All of them, by name.
    pub fn webhooks(&self, actor: &Actor) -> Result<Vec<WebhookView>, Error> {
        let call = self.call(actor, AuditAction::WebhookView, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.webhooks())
    }
    /// One of them.
    pub fn webhook(&self, actor: &Actor, name: &str) -> Result<WebhookView, Error> {
        let call = self.call(actor, AuditAction::WebhookView, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.webhook(name))
    }
    /// Removes one, and all that waits for it.
    pub async fn remove_webhook(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::WebhookRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.remove_webhook(actor, name).await)
    }
    /// Gives one a new secret, which is told here and never again; the old one signs besides for a while.
    pub async fn rotate_webhook_secret(
        &self,
        actor: &Actor,
        name: &str,
        rotate: RotateSecret,
    ) -> Result<SavedWebhook, Error> {
        let call = self.call(actor, AuditAction::WebhookRotateSecret, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.rotate_webhook(actor, name, rotate).await)
    }
    /// Deliveries that wait for another attempt, or that were given up.
    pub fn webhook_deliveries(
        &self,
        actor: &Actor,
        name: &str,
        filter: &DeliveryFilter,
    ) -> Result<Page<DeliveryView>, Error> {
        let call = self.call(actor, AuditAction::WebhookView, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.webhook_deliveries(name, filter))
    }
    /// Delivers one event, or everything that was given up, again.
    pub async fn replay_webhook(&self, actor: &Actor, name: &str, replay: Replay) -> Result<Replayed, Error> {
        let call = self.call(actor, AuditAction::WebhookReplay, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.outbox.replay_webhook(actor, name, replay).await)
    }
}
