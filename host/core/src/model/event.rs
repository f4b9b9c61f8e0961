//! Events: what happened to connectors, connections and flows, for programs that want to follow it.
//!
//! An event is written in the transaction of its change and has the next number of one sequence. It names things and says how
//! they stand now: no secret, no setting, nothing that a service answered.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::connection::{ChangeKind, Connection, Status, Visibility};
use super::connector::{ConnectorRef, Installed};
use super::flow::Flow;
use super::id::{ConnectionId, ConnectorName, Digest, FlowId};
use super::verdict::Outcome;

/// A place in the sequence of events: behind the event of this number. As text it is that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventCursor(pub(crate) u64);

impl EventCursor {
    /// Before every event.
    pub const BEGINNING: Self = Self(0);
}

impl fmt::Display for EventCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for EventCursor {
    type Err = NoCursor;
    fn from_str(text: &str) -> Result<Self, NoCursor> {
        text.parse().map(Self).map_err(|_not_a_number| NoCursor)
    }
}

/// This text is no place in the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the number of an event, as an answer before gave it")]
pub struct NoCursor;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// Its place in the sequence, which is also the cursor behind it. Numbers grow; those of events that are not for you are
    /// left out.
    pub seq: u64,
    /// Known again by this wherever it is delivered, and however often.
    #[serde(default)]
    pub id: String,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub timestamp: Timestamp,
    /// By whom.
    pub actor: String,
    /// What.
    #[serde(flatten)]
    pub data: EventData,
}

impl Event {
    /// Its type.
    pub fn kind(&self) -> EventType {
        self.data.kind()
    }

    /// The place behind it.
    pub fn cursor(&self) -> EventCursor {
        EventCursor(self.seq)
    }
}

macro_rules! events {
    // A token tree: as a `literal` it would come to the derived description in a wrapping that hides the name from it.
    ($($(#[$doc:meta])* $variant:ident($facts:ty) = $name:tt,)*) => {
        /// What happened, with the facts of its type.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(tag = "type", content = "data")]
        pub enum EventData {
            $($(#[$doc])* #[serde(rename = $name)] $variant($facts),)*
        }

        /// The types of events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl EventData {
            /// Its type.
            pub fn kind(&self) -> EventType {
                match self { $(Self::$variant(_) => EventType::$variant,)* }
            }
        }

        impl EventType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as everywhere on the outside: the kind of thing, a point, and what happened to it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

events! {
    /// Made. `status` is `inactive` here: its first test is told apart.
    ConnectionCreated(ConnectionFacts) = "connection.created",
    /// Edited, authorized, reconnected, enabled, disabled, upgraded or transferred; `status` is how it stands since.
    ConnectionChanged(ConnectionChanged) = "connection.changed",
    /// A test, or a reconnect, changed its status or the kind of its failure. Tests that say what the one before said are not
    /// told.
    ConnectionVerdictChanged(VerdictChanged) = "connection.verdict-changed",
    /// Its credential was rejected, expired or revoked: somebody has to reconnect it.
    ConnectionNeedsReconnect(NeedsReconnect) = "connection.needs-reconnect",
    /// Its credential was renewed without anybody's help.
    ConnectionRefreshed(Refreshed) = "connection.refreshed",
    /// Deleted; the facts are the last ones.
    ConnectionDeleted(ConnectionFacts) = "connection.deleted",
    /// A use of a connection by a flow began to fail, or recovered.
    FlowAlert(FlowAlert) = "flow.alert",
    /// A version of a connector was installed.
    ConnectorInstalled(ConnectorInstalled) = "connector.installed",
    /// Connections were moved to another version of their connector; each has an event of its own besides.
    ConnectorUpgraded(ConnectorUpgraded) = "connector.upgraded",
    /// A version of a connector was removed.
    ConnectorRemoved(ConnectorRef) = "connector.removed",
}

impl FromStr for EventType {
    type Err = UnknownEventType;
    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        Self::ALL.iter().find(|kind| kind.name() == text).copied().ok_or(UnknownEventType)
    }
}

/// No event is of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no type of events")]
pub struct UnknownEventType;

/// A connection, as it stands behind an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ConnectionFacts {
    /// Its id, for life.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Its connector.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connector: ConnectorName,
    /// The version of its connector.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connector_version: Version,
    /// Whose it is.
    pub owner: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// How it stands.
    pub status: Status,
}

impl ConnectionFacts {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            connection: connection.id,
            name: connection.name.clone(),
            version: connection.version,
            connector: connection.connector.name.clone(),
            connector_version: connection.connector.version.clone(),
            owner: connection.owner.clone(),
            visibility: connection.visibility,
            status: connection.status(),
        }
    }
}

/// What a saved change did to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ConnectionChanged {
    /// The connection since.
    #[serde(flatten)]
    pub connection: ConnectionFacts,
    /// What was done.
    pub change: ChangeKind,
    /// Names of the fields that it touched, never values.
    pub fields: Vec<String>,
}

/// How a connection stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// Its status.
    pub status: Status,
    /// The kind of failure of its last test, where that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Standing {
    pub(crate) fn of(connection: &Connection) -> Self {
        let failure = connection.verdict.as_ref().and_then(|verdict| match &verdict.outcome {
            Outcome::Passed => None,
            Outcome::Failed(kind) => Some(kind.name().to_owned()),
        });
        Self { status: connection.status(), failure }
    }
}

/// A verdict unlike the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct VerdictChanged {
    /// The connection since.
    #[serde(flatten)]
    pub connection: ConnectionFacts,
    /// How it stood.
    pub before: Standing,
    /// How it stands.
    pub after: Standing,
}

/// A connection that somebody has to reconnect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct NeedsReconnect {
    /// The connection.
    #[serde(flatten)]
    pub connection: ConnectionFacts,
    /// What became of its credential: `unauthorized`, `expired`, `revoked` or `unknown-rotation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A credential that was renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Refreshed {
    /// The connection.
    #[serde(flatten)]
    pub connection: ConnectionFacts,
    /// Until when the new credential is good, where the service says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
}

/// What became of a flow's use of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    /// It began to fail.
    Failing,
    /// It works again.
    Recovered,
}

/// A flow whose use of a connection began to fail, or recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FlowAlert {
    /// The embedder's id of the flow.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub flow: FlowId,
    /// Its name.
    pub name: String,
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connection: ConnectionId,
    /// The steps that use it.
    pub steps: Vec<String>,
    /// What became of it.
    pub state: AlertState,
    /// The kind of failure. Why a private connection fails is told to its owner alone, by the connection's own event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// An installed version of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ConnectorInstalled {
    /// Which.
    #[serde(flatten)]
    pub connector: ConnectorRef,
    /// The newest version that was installed before, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub before: Option<Version>,
}

/// Connections that were moved to another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ConnectorUpgraded {
    /// The connector.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: ConnectorName,
    /// The version that they have now.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub version: Version,
    /// Its component.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
    /// How many were moved, of those that everybody may see; a private one is told to its owner alone, by its own event.
    pub moved: u64,
    /// How many of these could not be moved as they are.
    pub attention: u64,
}

/// An event that is about to be written.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) data: EventData,
}

impl Telling {
    pub(crate) fn new(at: Timestamp, actor: &str, data: EventData) -> Self {
        Self { at, actor: actor.to_owned(), data }
    }

    pub(crate) fn created(at: Timestamp, actor: &str, connection: &Connection) -> Self {
        Self::new(at, actor, EventData::ConnectionCreated(ConnectionFacts::of(connection)))
    }

    pub(crate) fn deleted(at: Timestamp, actor: &str, connection: &Connection) -> Self {
        Self::new(at, actor, EventData::ConnectionDeleted(ConnectionFacts::of(connection)))
    }

    pub(crate) fn refreshed(
        at: Timestamp,
        actor: &str,
        connection: &Connection,
        expires_at: Option<Timestamp>,
    ) -> Self {
        let refreshed = Refreshed { connection: ConnectionFacts::of(connection), expires_at };
        Self::new(at, actor, EventData::ConnectionRefreshed(refreshed))
    }

    /// A saved change and, where it brought a verdict of its own, what that changed.
    pub(crate) fn changed(
        at: Timestamp,
        actor: &str,
        (before, after): (&Connection, &Connection),
        change: ChangeKind,
        fields: Vec<String>,
    ) -> Vec<Self> {
        let changed = ConnectionChanged { connection: ConnectionFacts::of(after), change, fields };
        let mut all = vec![Self::new(at, actor, EventData::ConnectionChanged(changed))];
        if change == ChangeKind::Reconnected {
            all.extend(Self::judged(at, actor, before, after));
        } else {
            all.extend(Self::lost(at, actor, before, after));
        }
        all
    }

    /// What a verdict changed; nothing where it says what the one before said.
    pub(crate) fn judged(at: Timestamp, actor: &str, before: &Connection, after: &Connection) -> Vec<Self> {
        let (was, is) = (Standing::of(before), Standing::of(after));
        if was == is {
            return Vec::new();
        }
        let changed = VerdictChanged { connection: ConnectionFacts::of(after), before: was, after: is };
        let mut all = vec![Self::new(at, actor, EventData::ConnectionVerdictChanged(changed))];
        all.extend(Self::lost(at, actor, before, after));
        all
    }

    /// A connection that somebody has to reconnect since.
    fn lost(at: Timestamp, actor: &str, before: &Connection, after: &Connection) -> Option<Self> {
        let is = |connection: &Connection| connection.status() == Status::NeedsReconnect;
        (is(after) && !is(before)).then(|| {
            let failure = Standing::of(after).failure;
            let data = NeedsReconnect { connection: ConnectionFacts::of(after), failure };
            Self::new(at, actor, EventData::ConnectionNeedsReconnect(data))
        })
    }

    pub(crate) fn alert(
        at: Timestamp,
        actor: &str,
        connection: &Connection,
        flow: &Flow,
        (state, outcome): (AlertState, &Outcome),
    ) -> Self {
        let uses = flow.uses.iter().filter(|used| used.connection == connection.id);
        let failure = match outcome {
            Outcome::Failed(kind) if connection.visibility == Visibility::Shared => Some(kind.name().to_owned()),
            Outcome::Failed(_) | Outcome::Passed => None,
        };
        let data = FlowAlert {
            flow: flow.id.clone(),
            name: flow.name.clone(),
            connection: connection.id,
            steps: uses.map(|used| used.step.clone()).collect(),
            state,
            failure,
        };
        Self::new(at, actor, EventData::FlowAlert(data))
    }

    pub(crate) fn installed(installed: &Installed, before: Option<Version>) -> Self {
        let data = ConnectorInstalled { connector: installed.reference.clone(), before };
        Self::new(installed.installed_at, &installed.installed_by, EventData::ConnectorInstalled(data))
    }
}

impl EventData {
    /// The connection that it is about.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::FlowAlert(alert) => Some(alert.connection),
            others => others.facts().map(|facts| facts.connection),
        }
    }

    fn facts(&self) -> Option<&ConnectionFacts> {
        match self {
            Self::ConnectionCreated(facts) | Self::ConnectionDeleted(facts) => Some(facts),
            Self::ConnectionChanged(changed) => Some(&changed.connection),
            Self::ConnectionVerdictChanged(changed) => Some(&changed.connection),
            Self::ConnectionNeedsReconnect(lost) => Some(&lost.connection),
            Self::ConnectionRefreshed(refreshed) => Some(&refreshed.connection),
            Self::FlowAlert(_)
            | Self::ConnectorInstalled(_)
            | Self::ConnectorUpgraded(_)
            | Self::ConnectorRemoved(_) => None,
        }
    }

    /// Its only reader, where it is of a connection that was private then.
    pub(crate) fn only_for(&self) -> Option<&str> {
        self.facts().filter(|facts| facts.visibility == Visibility::Private).map(|facts| facts.owner.as_str())
    }
}

impl EventData {
    /// Whether it says nothing of its connection but which it is.
    pub(crate) fn names_only_ids(&self) -> bool {
        matches!(self, Self::FlowAlert(FlowAlert { failure: None, .. }))
    }
}

/// Which types of events. Nothing said means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct EventTypes(pub(crate) Vec<EventType>);

impl EventTypes {
    pub(crate) fn takes(&self, kind: EventType) -> bool {
        self.0.is_empty() || self.0.contains(&kind)
    }

    /// Reads `connection.created`, or `connection` for every event of that kind of thing.
    pub(crate) fn parse<'a>(given: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut types = Vec::new();
        for text in given.into_iter().map(str::trim).filter(|text| !text.is_empty()) {
            let of_kind = |kind: &&EventType| kind.name().split_once('.').is_some_and(|(thing, _)| thing == text);
            match text.parse() {
                Ok(kind) => types.push(kind),
                Err(UnknownEventType) => {
                    let before = types.len();
                    types.extend(EventType::ALL.iter().filter(of_kind).copied());
                    if types.len() == before {
                        let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.name()).collect();
                        return Err(format!("`{text}` is no type of events; there are {}", known.join(", ")));
                    }
                }
            }
        }
        types.sort();
        types.dedup();
        Ok(Self(types))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_said_one_by_one_or_by_their_kind() {
        let names = |given: &[&str]| {
            EventTypes::parse(given.iter().copied())
                .map(|types| types.0.into_iter().map(EventType::name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["flow.alert", "flow.alert"]), Ok(vec!["flow.alert"]));
        assert_eq!(names(&["connector"]), Ok(vec!["connector.installed", "connector.upgraded", "connector.removed"]));
        assert_eq!(names(&[]), Ok(vec![]));
        let words = names(&["conection"]).unwrap_err();
        assert!(words.starts_with("`conection` is no type of events; there are connection.created, "), "{words}");
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let text = r#"{"seq":7,"id":"evt_1","timestamp":"2026-05-04T03:02:01Z","actor":"ada","type":"flow.alert","data":{"flow":"nightly","name":"Nightly","connection":"01890a5d-ac96-774b-bcce-b302099a8057","steps":["one"],"state":"failing","failure":"unauthorized"}}"#;
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!(event.kind(), EventType::FlowAlert);
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}
