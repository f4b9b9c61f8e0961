//! Credentials that an operator sets up once, for connections that others make on them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::ConnectionId;
use super::secret::Sealed;

/// The protocol of every connection by a named credential. No connector may offer one of this name.
pub(crate) const PROTOCOL: &str = "named-credential";
/// What stands where a connector would, for the sign-ins of a principal. No connector may have this name.
pub(crate) const NATIVE: &str = "named-credential";

/// What redirect URIs of principals begin with. No connector may have this name.
pub(crate) const EXTERNAL: &str = "external-credential";

/// The field that says where a person signs in.
pub(crate) const AUTHORIZATION_URL: &str = "authorization-url";

/// How a service is signed in to, whoever does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ExternalCredential {
    pub(crate) name: String,
    /// For people.
    pub(crate) label: String,
    /// One of those that the host knows by itself.
    pub(crate) protocol: String,
    /// Values of the protocol's fields that are not secret.
    pub(crate) settings: BTreeMap<String, String>,
    /// Of custom headers: what is sent, in templates over what a principal holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<HeaderTemplate>,
    /// Where it was accepted to send what its principals hold.
    #[serde(default)]
    pub(crate) addresses: BTreeSet<String>,
    /// An OAuth client's secret: it belongs to the operator, whoever signs in by it.
    pub(crate) secrets: BTreeMap<String, Sealed>,
    /// Grows with each change.
    #[serde(default)]
    pub(crate) version: u64,
    /// Who set it up.
    pub(crate) owner: String,
    pub(crate) updated_at: Timestamp,
}

impl ExternalCredential {
    /// Whether signing in takes a person in a browser.
    pub(crate) fn takes_a_person(&self) -> bool {
        self.settings.contains_key(AUTHORIZATION_URL)
    }
}

/// A request header whose value is a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HeaderTemplate {
    /// Such as `Authorization`.
    pub name: String,
    /// Such as `Token {api-key}`: what stands in braces is a secret of the principal; `{{` and `}}` are literal braces.
    pub value: String,
}

/// Whose identity a principal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// One that everybody shares who may use it.
    #[default]
    Named,
    /// Each user signs in with an own one.
    PerUser,
}

impl PrincipalKind {
    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::PerUser => "per-user",
        }
    }
}

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Principal {
    pub(crate) name: String,
    /// For people.
    pub(crate) label: String,
    pub(crate) external_credential: String,
    pub(crate) kind: PrincipalKind,
    /// Grows with each change.
    #[serde(default)]
    pub(crate) version: u64,
    /// Who set it up.
    pub(crate) owner: String,
    pub(crate) updated_at: Timestamp,
}

/// What a principal signs in with: its own, or one user's. What a sign-in obtained stands under the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Holder {
    /// No connection's.
    pub(crate) id: ConnectionId,
    pub(crate) principal: String,
    /// Whose it is, of a principal that each user has for itself.
    pub(crate) user: Option<String>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, Sealed>,
    /// Why the last sign-in without a person came to nothing.
    pub(crate) problem: Option<String>,
    pub(crate) updated_at: Timestamp,
}

/// Where requests go, and what they prove themselves with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct NamedCredential {
    pub(crate) name: String,
    /// For people.
    pub(crate) label: String,
    /// The one origin of its connections.
    pub(crate) url: String,
    pub(crate) external_credential: String,
    /// The operator's switch.
    pub(crate) enabled: bool,
    /// Grows with each change.
    #[serde(default)]
    pub(crate) version: u64,
    /// Who set it up.
    pub(crate) owner: String,
    pub(crate) updated_at: Timestamp,
}
