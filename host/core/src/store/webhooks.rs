//! Endpoints for events, how far each is, and what waits for it. Both lists of an endpoint are bounded by who fills them.

use std::ops::Bound;

use super::codec;
use super::error::StoreError;
use super::events::place;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::webhook::{Delivery, Progress, Webhook};

/// One of the two lists of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deliveries {
    /// Wait for another attempt.
    Pending,
    /// Were given up.
    Dead,
}

impl Deliveries {
    fn table(self) -> Table {
        match self {
            Self::Pending => Table::WebhookPending,
            Self::Dead => Table::WebhookDead,
        }
    }
}

impl Reader<'_> {
    /// One endpoint.
    pub(crate) fn webhook(&self, name: &str) -> Result<Option<Webhook>, StoreError> {
        self.record(Table::Webhooks, name.as_bytes())
    }

    /// All of them, by name. There are as many as an operator set up.
    pub(crate) fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let mut found = Vec::new();
        let mut entries = self.prefixed(Table::Webhooks, b"", b"")?;
        while let Some(entry) = entries.next()? {
            found.push(codec::decode(Table::Webhooks, entry.value())?);
        }
        Ok(found)
    }

    /// How far an endpoint is.
    pub(crate) fn webhook_progress(&self, name: &str) -> Result<Progress, StoreError> {
        Ok(self.record(Table::WebhookProgress, name.as_bytes())?.unwrap_or_default())
    }

    /// One delivery.
    pub(crate) fn delivery(&self, list: Deliveries, name: &str, seq: u64) -> Result<Option<Delivery>, StoreError> {
        self.record(list.table(), &key(name, seq))
    }

    /// Deliveries of an endpoint behind this place, in their order.
    pub(crate) fn deliveries(
        &self,
        list: Deliveries,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let (from, to) = (key(name, after), key(name, u64::MAX));
        let mut entries = self.range(list.table(), Bound::Excluded(&from), Bound::Included(&to))?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(entry) = entries.next()?
        {
            found.push(codec::decode(list.table(), entry.value())?);
        }
        Ok(found)
    }

    /// How many there are. Walks them.
    pub(crate) fn count_deliveries(&self, list: Deliveries, name: &str) -> Result<usize, StoreError> {
        let mut entries = self.prefixed(list.table(), &key(name, 0)[..name.len() + 1], b"")?;
        let mut count = 0;
        while entries.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// The oldest delivery of a list.
    pub(crate) fn first_delivery(&self, list: Deliveries, name: &str) -> Result<Option<u64>, StoreError> {
        let mut entries = self.prefixed(list.table(), &key(name, 0)[..name.len() + 1], b"")?;
        entries.next()?.map(|entry| place(&entry.key()[name.len() + 1..])).transpose()
    }
}

impl Writer<'_> {
    /// Adds or replaces an endpoint.
    pub(crate) fn put_webhook(&mut self, webhook: &Webhook) -> Result<(), StoreError> {
        self.insert_record(Table::Webhooks, webhook.name.as_bytes(), webhook)
    }

    /// Says how far an endpoint is.
    pub(crate) fn put_webhook_progress(&mut self, name: &str, progress: &Progress) -> Result<(), StoreError> {
        self.insert_record(Table::WebhookProgress, name.as_bytes(), progress)
    }

    /// Removes an endpoint and all that waits for it. Says whether it was there.
    pub(crate) fn remove_webhook(&mut self, name: &str) -> Result<bool, StoreError> {
        for list in [Deliveries::Pending, Deliveries::Dead] {
            let mut keys = Vec::new();
            let mut entries = self.prefixed(list.table(), &key(name, 0)[..name.len() + 1], b"")?;
            while let Some(entry) = entries.next()? {
                keys.push(entry.key().to_vec());
            }
            drop(entries);
            for key in keys {
                self.remove(list.table(), &key)?;
            }
        }
        self.remove(Table::WebhookProgress, name.as_bytes())?;
        self.remove(Table::Webhooks, name.as_bytes())
    }

    /// Adds or replaces a delivery.
    pub(crate) fn put_delivery(&mut self, list: Deliveries, name: &str, delivery: &Delivery) -> Result<(), StoreError> {
        self.insert_record(list.table(), &key(name, delivery.event.seq), delivery)
    }

    /// Says whether it was there.
    pub(crate) fn remove_delivery(&mut self, list: Deliveries, name: &str, seq: u64) -> Result<bool, StoreError> {
        self.remove(list.table(), &key(name, seq))
    }
}

/// Names are kebab-case, so none is the beginning of another once it is closed by a NUL.
fn key(name: &str, seq: u64) -> Vec<u8> {
    codec::joined(&[name.as_bytes(), b"\0", &seq.to_be_bytes()])
}
