//! Endpoints that events are delivered to, and the deliveries that wait for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::event::{Event, EventTypes};
use super::secret::Sealed;

/// The secret in use.
pub(crate) const CURRENT: &str = "current";
/// The one before, which signs besides as long as it is being replaced.
pub(crate) const PREVIOUS: &str = "previous";

/// An endpoint, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Webhook {
    pub name: String,
    pub url: Url,
    /// Which events; all of them where none is named.
    pub types: EventTypes,
    pub enabled: bool,
    /// Why it was switched off, where no person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_for: Option<String>,
    /// Who put it last. It gets what this user may see.
    pub owner: String,
    /// Grows with each change.
    #[serde(default)]
    pub version: u64,
    pub secrets: BTreeMap<String, Sealed>,
    /// Until when the previous secret signs besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// How far an endpoint is in the sequence of events, kept apart from what people set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Progress {
    /// Every event up to this one was delivered, waits for another attempt, or was given up.
    pub place: u64,
    /// How many were delivered.
    pub delivered: u64,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// How many were dropped for their age before they could be tried, or from a list of given-up ones that was full.
    pub missed: u64,
}

/// A delivery that waits for another attempt, or that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Delivery {
    pub event: Event,
    pub attempts: u32,
    /// When it was first tried.
    pub since: Timestamp,
    /// When it was last tried, or given up.
    pub last: Timestamp,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// What the last attempt came to.
    pub problem: String,
}
