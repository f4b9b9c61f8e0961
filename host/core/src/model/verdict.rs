//! What a test said, and what was sent for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::origin::Origin;

/// Why a guest or the host says that something did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum FailureKind {
    /// The credential was rejected.
    Unauthorized,
    /// The credential has expired, and nothing is there to renew it with.
    Expired,
    /// The service revoked the credential: somebody took the consent back, or its refresh token ran out.
    Revoked,
    /// A renewal was cut off after it was sent, and the service no longer knows the refresh token that is stored. Nobody took
    /// anything back; a new sign-in is needed all the same.
    UnknownRotation,
    /// The credential is good and may not do this.
    Forbidden,
    /// The credential is good, and was granted less than this takes.
    InsufficientScope,
    /// The service does not know the OAuth client, or does not let it do this.
    MisconfiguredClient,
    /// A field, or the host's configuration, is wrong.
    Misconfigured {
        /// The field, where one is to blame.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
    },
    /// Too many requests.
    RateLimited {
        /// After how many seconds to try again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The service could not be reached or is down.
    Unavailable,
    /// It took longer than it may.
    Timeout,
    /// It used more than it may.
    Budget,
    /// The connector itself failed.
    ConnectorFault,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// The word that every face shows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::UnknownRotation => "unknown-rotation",
            Self::Forbidden => "forbidden",
            Self::InsufficientScope => "insufficient-scope",
            Self::MisconfiguredClient => "misconfigured-client",
            Self::Misconfigured { .. } => "misconfigured",
            Self::RateLimited { .. } => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Budget => "budget",
            Self::ConnectorFault => "connector-fault",
            Self::Other => "other",
        }
    }
}

/// A failure in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// What sort of failure.
    #[serde(flatten)]
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
}

/// Whose credential it is, as the service says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// Stable.
    pub id: String,
    /// For people.
    pub label: String,
}

/// What a passed test tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// One line for people.
    pub message: String,
    /// Whose credential it is.
    pub account: Option<Account>,
    /// Further facts.
    pub discovered: BTreeMap<String, String>,
}

/// One request that left the machine, or that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Exchange {
    /// HTTP method.
    pub method: String,
    /// Where to; none where the URL had no usable one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub origin: Option<Origin>,
    /// As the guest wrote it, without query.
    pub path: String,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why nothing came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes of body sent.
    pub sent: u64,
    /// Bytes of body received.
    pub received: u64,
    /// Microseconds until the answer's head, or until it failed.
    pub microseconds: u64,
    /// Whether a secret came back and was taken out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

/// Whether the last test passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// It did.
    Passed,
    /// It did not, because.
    Failed(FailureKind),
}

impl Outcome {
    /// The word that every face shows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(kind) => kind.name(),
        }
    }
}

/// The outcome of a test, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// Passed, or the kind of failure.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When the test ended.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// How long it took, from the call of the connector to its answer.
    pub microseconds: u64,
    /// What was sent.
    pub exchanges: Vec<Exchange>,
    /// The connector's own last words, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Verdict {
    /// Whether the test passed.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }
}
