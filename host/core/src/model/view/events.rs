//! Events and their endpoints, as faces send and see them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::event::{Event, EventCursor, EventType};
use crate::model::expected::Expected;
use crate::model::secret::Secret;

/// Which events. Everything left out does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EventFilter {
    /// Of these types, such as `connection.created`, or `connection` for every event of that kind of thing; several are
    /// separated by commas.
    #[serde(default, rename = "type")]
    pub types: Option<String>,
    /// About the connection of this id or name. Events of one that was deleted are found by its id.
    #[serde(default)]
    pub connection: Option<String>,
    /// Behind the event of this number. A page begins with the oldest event that is kept where nothing is said, a stream with
    /// the next one that happens.
    #[serde(default, deserialize_with = "cursor")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<u64>))]
    pub after: Option<EventCursor>,
    /// At most so many on a page, up to 500: 50.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A query holds text, whatever it stands for.
fn cursor<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<EventCursor>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// A page of events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct EventPage {
    /// The events.
    pub items: Vec<Event>,
    /// Where to go on: the next page, or a stream, begins behind it. It is there on the last page too.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub next: EventCursor,
    /// Whether there is more behind it already.
    pub more: bool,
}

/// An endpoint that is made, or what changes of it. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutWebhook {
    /// Where events are posted to, by https; http is for origins that the operator opened. A new one has to say it.
    #[serde(default)]
    pub url: Option<String>,
    /// Which events, such as `connection.created`, or `connection` for every event of that kind of thing; an empty list, and a
    /// new one that says nothing, means all.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// Whether anything is delivered; yes at first. What happens while it is off is delivered afterwards, as far as it is kept.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// An endpoint as people see it: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct WebhookView {
    /// Its name.
    pub name: String,
    /// Where events are posted to.
    pub url: String,
    /// Which events; all of them where none is named.
    pub types: Vec<EventType>,
    /// Whether anything is delivered.
    pub enabled: bool,
    /// Why it was switched off, where no person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_for: Option<String>,
    /// What broke its deliveries off lately, where that was a fault of this program, and when they begin again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// Who put it last: it gets the events that this user may see.
    pub owner: String,
    /// Until when the secret before signs besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub previous_secret_until: Option<Timestamp>,
    /// Every event up to this one was delivered, waits for another attempt, or was given up.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub place: EventCursor,
    /// How many events there are behind that place.
    pub behind: u64,
    /// How many deliveries wait for another attempt.
    pub pending: u64,
    /// How many were given up, and can be replayed.
    pub dead: u64,
    /// How many were delivered.
    pub delivered: u64,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub delivered_at: Option<Timestamp>,
    /// How many events were lost to it: dropped for their age before they could be tried, or from a list of given-up ones that
    /// was full.
    pub missed: u64,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

/// An endpoint that was put, with its secret where that is new. It is told this once.
#[derive(Debug, Clone)]
pub struct SavedWebhook {
    /// The endpoint.
    pub view: WebhookView,
    /// `whsec_` and the base64 of 32 random bytes.
    pub secret: Option<Secret>,
}

/// How a secret is replaced.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RotateSecret {
    /// For how many hours the old one signs besides, up to 168: 24.
    #[serde(default)]
    pub overlap_hours: Option<u32>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It waits for another attempt.
    Pending,
    /// It was given up.
    Dead,
}

/// Which deliveries of an endpoint to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeliveryFilter {
    /// Those that stand so; those that were given up where nothing is said.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", param(inline))]
    pub state: Option<DeliveryState>,
    /// What the page before gave as `next`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many, up to 200: 50.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A delivery that did not succeed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct DeliveryView {
    /// The number of the event.
    pub seq: u64,
    /// Its id, which is the `webhook-id` of every attempt.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    /// When it was last tried.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub last: Timestamp,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next: Option<Timestamp>,
    /// What the last attempt came to.
    pub problem: String,
}

/// What to deliver again.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Replay {
    /// The event of this number, given up or not, as long as it is kept; everything that was given up where nothing is said.
    #[serde(default)]
    pub seq: Option<u64>,
}

/// What is delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Replayed {
    /// How many deliveries are tried again now.
    pub replayed: u64,
    /// How many stay given up, for as many wait as may.
    pub left: u64,
}
