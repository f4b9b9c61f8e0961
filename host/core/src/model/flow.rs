//! An automation of the embedder, and its uses of connections.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{ConnectionId, FlowId};

/// How a flow stands with its embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FlowStatus {
    /// Being made.
    Draft,
    /// Running.
    Active,
    /// Stopped.
    Inactive,
    /// Kept for the record.
    Archived,
}

/// What a flow does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UsedAs {
    /// A step that acts.
    Action,
    /// What starts it.
    Trigger,
}

/// How the last test of a connection went, as its flows' rows show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Not since the use was added.
    #[default]
    NotTested,
    /// At this moment.
    Testing,
    /// It passed.
    Passed,
    /// It did not.
    Failed,
}

/// One use of a connection by a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Use {
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connection: ConnectionId,
    /// Action or trigger.
    pub used_as: UsedAs,
    /// The embedder's name of the step.
    pub step: String,
    /// When the connection was last tested.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_tested: Option<Timestamp>,
    /// How that went.
    #[serde(default)]
    pub progress: Progress,
}

/// A flow, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Flow {
    /// The embedder's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: FlowId,
    /// What a person reads.
    pub name: String,
    /// The embedder's version.
    pub version: String,
    /// How it stands.
    pub status: FlowStatus,
    /// Whose it is.
    pub owner: String,
    /// Where a person opens it.
    pub url: Option<String>,
    /// What it leans on.
    pub uses: Vec<Use>,
}
