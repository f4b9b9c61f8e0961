//! A connection, as the store keeps it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authentication::Authentication;
use super::connector::ConnectorRef;
use super::id::ConnectionId;
use super::secret::Sealed;
use super::verdict::{Account, FailureKind, Outcome, Verdict};

/// Who may see and use a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Everyone with the permission.
    #[default]
    Shared,
    /// Its owner.
    Private,
}

/// How a connection stands: derived from three facts, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A person switched it off.
    Disabled,
    /// Never passed a test, or may not, or is set up wrongly.
    Inactive,
    /// The last test passed.
    Active,
    /// The last test failed for a cause that may pass by itself.
    Degraded,
    /// The credential was rejected, expired or revoked.
    NeedsReconnect,
}

impl Status {
    pub(crate) const ALL: [Self; 5] =
        [Self::Disabled, Self::Inactive, Self::Active, Self::Degraded, Self::NeedsReconnect];

    /// The same, those that need a person first: what only a person mends, what may pass by itself, what works, what is off.
    pub const BY_NEED: [Self; 5] = [Self::NeedsReconnect, Self::Inactive, Self::Degraded, Self::Active, Self::Disabled];

    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::NeedsReconnect => "needs-reconnect",
        }
    }

    /// Three facts make a status: is it enabled, is the credential complete, what did the last test say.
    pub fn derive(enabled: bool, complete: bool, verdict: Option<&Outcome>) -> Self {
        match (enabled, complete, verdict) {
            (false, _, _) => Self::Disabled,
            (true, false, _) | (true, true, None) => Self::Inactive,
            (true, true, Some(Outcome::Passed)) => Self::Active,
            (true, true, Some(Outcome::Failed(kind))) => match kind {
                FailureKind::Unauthorized
                | FailureKind::Expired
                | FailureKind::Revoked
                | FailureKind::UnknownRotation => Self::NeedsReconnect,
                FailureKind::RateLimited { .. }
                | FailureKind::Unavailable
                | FailureKind::Timeout
                | FailureKind::Budget => Self::Degraded,
                FailureKind::Forbidden
                | FailureKind::InsufficientScope
                | FailureKind::MisconfiguredClient
                | FailureKind::Misconfigured { .. }
                | FailureKind::ConnectorFault
                | FailureKind::Other => Self::Inactive,
            },
        }
    }
}

/// A named, versioned use of one connector version with settings and a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all of them hold together")]
pub(crate) struct Connection {
    /// Stays for life.
    pub id: ConnectionId,
    /// Grows by one with every saved change; a verdict is not a change.
    pub version: u64,
    /// Unique, whatever the case.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The connector version that it is pinned to.
    pub connector: ConnectorRef,
    /// The protocol by which it authenticates.
    pub protocol: String,
    /// Values of fields that are not secret, defaults included.
    pub settings: BTreeMap<String, String>,
    /// Values of secret fields.
    pub secrets: BTreeMap<String, Sealed>,
    /// The plan that the connector answered for these settings.
    pub authentication: Authentication,
    /// The OAuth client that its protocol uses, where an operator supplies it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The named credential that it is made on: where its requests go and what they carry is that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_credential: Option<String>,
    /// Whether an embedder's actor that is no user of this host, and so has no permission sets, made it with the right to that
    /// credential.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vouched: bool,
    /// Whether a flow that used it was taken away, or took its use away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once_used: bool,
    /// Whether everything that a sign-in takes is there: every required secret and, where a person has to agree, that too.
    pub complete: bool,
    /// A person's switch.
    pub enabled: bool,
    /// The last test.
    pub verdict: Option<Verdict>,
    /// Whose credential it is, from the last passed test.
    pub account: Option<Account>,
    /// Facts from the last passed test.
    pub discovered: BTreeMap<String, String>,
    /// Who made it.
    pub owner: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When its secrets were last set.
    pub credential_at: Timestamp,
}

impl Connection {
    /// How it stands.
    pub(crate) fn status(&self) -> Status {
        Status::derive(self.enabled, self.complete, self.verdict.as_ref().map(|verdict| &verdict.outcome))
    }
}

/// What a saved change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// Settings, name, description or secrets.
    Edited,
    /// A person agreed in a browser.
    Authorized,
    /// A new credential on the same connection.
    Reconnected,
    /// Switched on.
    Enabled,
    /// Switched off.
    Disabled,
    /// Moved to another connector version.
    Upgraded,
    /// It has another owner.
    Transferred,
}

/// One line of a connection's history: who, when, which fields, never values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The version that it made.
    pub version: u64,
    /// What it did.
    pub kind: ChangeKind,
    /// Who.
    pub actor: String,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Names of the fields that it touched.
    pub fields: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_facts_make_a_status() {
        let failed = |kind| Some(Outcome::Failed(kind));
        for (enabled, complete, outcome, status) in [
            (false, true, Some(Outcome::Passed), Status::Disabled),
            (true, true, None, Status::Inactive),
            (true, false, Some(Outcome::Passed), Status::Inactive),
            (true, true, Some(Outcome::Passed), Status::Active),
            (true, true, failed(FailureKind::Unauthorized), Status::NeedsReconnect),
            (true, true, failed(FailureKind::Forbidden), Status::Inactive),
            (true, true, failed(FailureKind::Misconfigured { field: None }), Status::Inactive),
            (true, true, failed(FailureKind::RateLimited { retry_after: None }), Status::Degraded),
            (true, true, failed(FailureKind::Unavailable), Status::Degraded),
            (true, true, failed(FailureKind::Timeout), Status::Degraded),
            (true, true, failed(FailureKind::Budget), Status::Degraded),
        ] {
            assert_eq!(Status::derive(enabled, complete, outcome.as_ref()), status, "{enabled} {complete} {outcome:?}");
        }
    }
}
