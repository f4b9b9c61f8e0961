//! How the host keeps connections alive, and what was done with one of them, for those who look after it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::audit::{AuditAction, AuditOutcome, AuditRecord};
use crate::model::id::ConnectionId;

/// Something that was done to a connection or with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Activity {
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Who; `host` of what nobody asked for.
    pub actor: String,
    /// What.
    pub action: AuditAction,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The kind of failure, or what stood against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status that the service answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where its requests went: origins, never a path.
    pub origins: Vec<String>,
    /// How long it took, of what asks a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microseconds: Option<u64>,
}

/// Which of it to list. Everything left out does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ActivityFilter {
    /// This action, such as `connection.send`.
    #[serde(default)]
    pub action: Option<String>,
    /// That ended so.
    #[serde(default)]
    pub outcome: Option<AuditOutcome>,
    /// What the page before gave as `next`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many, 1 to 200; 50 where none is given.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl From<AuditRecord> for Activity {
    fn from(record: AuditRecord) -> Self {
        let event = record.event;
        Self {
            at: event.at,
            actor: event.actor,
            action: event.action,
            outcome: event.outcome,
            reason: event.reason,
            status: event.status,
            origins: event.origins,
            microseconds: event.microseconds,
        }
    }
}

/// Whether checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// What is due is done.
    Running,
    /// Somebody paused it; what is due waits.
    Paused,
    /// The operator switched it off, or integrations as a whole, or no server runs.
    Off,
}

impl HealthState {
    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Off => "off",
        }
    }
}

/// Why what is due for one place waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Holding {
    /// It gets so many a minute.
    Rate,
    /// It got what it gets in a day.
    DailyBudget,
    /// It said that it was asked too often.
    Resting,
}

impl Holding {
    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::DailyBudget => "daily-budget",
            Self::Resting => "resting",
        }
    }
}

/// What waits for one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Waiting {
    /// The origin; where none was ever reached, the connector.
    pub origin: String,
    /// How much.
    pub waiting: u64,
    /// Why, where it is more than its turn that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Holding>,
    /// Until when, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
    /// How often the host asked it unasked today; days begin at midnight UTC.
    #[serde(default)]
    pub asked_today: u64,
}

/// How much the host may do unasked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// Checks and renewals at the same time.
    pub at_once: u64,
    /// To one origin in a minute.
    pub per_origin_per_minute: u64,
    /// To one origin in a day.
    pub per_origin_daily: u64,
}

/// A credential that is renewed before it runs out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct RenewalAhead {
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connection: ConnectionId,
    /// Its name.
    pub name: String,
    /// When it is renewed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
}

/// Connections by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ByStatus {
    /// The last test passed.
    pub active: u64,
    /// The last test failed for a cause that may pass.
    pub degraded: u64,
    /// A person must give a new credential.
    pub needs_reconnect: u64,
    /// A person must do something else.
    pub inactive: u64,
    /// Switched off.
    pub disabled: u64,
}

/// What became of checks and renewals since the host was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that did not.
    pub failed: u64,
    /// Credentials that were renewed ahead of their end.
    pub renewed: u64,
    /// Renewals that did not work.
    pub not_renewed: u64,
}

/// What became of them in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct HourTally {
    /// When the hour began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub from: Timestamp,
    /// What was done in it.
    pub done: Tally,
}

/// How connections are kept alive. Private connections of others are in no number of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct HealthReport {
    /// Whether checks are made.
    pub state: HealthState,
    /// Why not, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Connections by how they stand.
    pub connections: ByStatus,
    /// Checks and renewals whose time has come.
    pub due: u64,
    /// Of these, those that are under way.
    pub under_way: u64,
    /// Of these, those that wait: for their turn, or for a limit.
    pub waiting: u64,
    /// More are due than were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub and_more: bool,
    /// What waits, by where it goes; the most first.
    pub origins: Vec<Waiting>,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next: Option<Timestamp>,
    /// The next renewals, soonest first: the first few of those that are planned soon.
    #[serde(default)]
    pub renewals: Vec<RenewalAhead>,
    /// What bounds all of it.
    #[serde(default)]
    pub budget: Budget,
    /// What was done since the host was opened.
    pub done: Tally,
    /// The same by the hour: the last 24 hours, oldest first, the one that is running last.
    #[serde(default)]
    pub hours: Vec<HourTally>,
    /// How often something broke off by a fault of this program since then. It is put off, and the log says more.
    #[serde(default)]
    pub faults: u64,
}
