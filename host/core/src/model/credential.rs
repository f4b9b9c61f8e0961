//! What was obtained for a connection by a sign-in, and sign-ins that wait for a person.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authentication::Authentication;
use super::id::{ConnectionId, ConnectorName};
use super::origin::Origin;
use super::secret::Sealed;

/// Names that are captured unasked (RFC 6749 section 5.1), and what the host makes of them.
pub(crate) const ACCESS_TOKEN: &str = "access-token";
pub(crate) const REFRESH_TOKEN: &str = "refresh-token";
pub(crate) const EXPIRES_IN: &str = "expires-in";
pub(crate) const EXPIRES_AT: &str = "expires-at";
pub(crate) const CODE: &str = "code";
/// Fields that an identity provider supplies.
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const CLIENT_SECRET: &str = "client-secret";

/// What a grant obtained. It is kept apart from its connection, so that no change of the connection, made on what was read a
/// moment ago, can put an older token back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Credential {
    /// Grows with each new token: whoever saw another one looks again.
    pub(crate) generation: u64,
    /// Captures that are secret, tokens among them.
    pub(crate) secrets: BTreeMap<String, Sealed>,
    /// Captures that the connector reads as settings.
    pub(crate) visible: BTreeMap<String, String>,
    /// Where it was obtained, unless it was brought along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Origin>,
    /// When it was obtained.
    pub(crate) obtained_at: Timestamp,
    /// When it expires, as far as anybody said.
    pub(crate) expires_at: Option<Timestamp>,
    /// Written before a renewal is sent and taken away with its answer. Where it stays, nobody knows which refresh token the
    /// service holds for good.
    pub(crate) renewing_since: Option<Timestamp>,
    /// Why it cannot be renewed any more.
    pub(crate) ended: Option<Ended>,
}

/// Why a credential is beyond renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    /// The service said so.
    Revoked,
    /// A renewal was cut off between the service's answer and the disk, and the old refresh token is no longer good.
    UnknownRotation,
}

/// An OAuth client at a service, for one protocol of one connector. It belongs to the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct IdentityProvider {
    /// Kebab-case; the last part of its redirect URI.
    pub(crate) name: String,
    /// For people.
    pub(crate) label: String,
    /// The one connector that may use it.
    pub(crate) connector: ConnectorName,
    /// The protocol that it serves.
    pub(crate) protocol: String,
    /// RFC 6749 section 2.2.
    pub(crate) client_id: String,
    /// RFC 6749 section 2.3.1; none for a public client.
    pub(crate) client_secret: Option<Sealed>,
    /// Fields that it fills in besides, its endpoints among them: which service this is a client of.
    pub(crate) settings: BTreeMap<String, String>,
    /// Grows with each change.
    #[serde(default)]
    pub(crate) version: u64,
    /// Who set it up.
    pub(crate) owner: String,
    /// When it was last changed.
    pub(crate) updated_at: Timestamp,
}

/// A sign-in that waits for a person in a browser. It stands under the hash of its `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Pending {
    /// Whose credential it is to be.
    pub(crate) connection: ConnectionId,
    /// The version that it began on: a connection that changed meanwhile begins again.
    pub(crate) version: u64,
    /// Whether a good credential stays in use until the new one passed.
    pub(crate) purpose: Purpose,
    /// Last part of the redirect URI; a callback at another one is somebody else's.
    pub(crate) provider: String,
    /// Sent to the service, and again with the code.
    pub(crate) redirect_uri: String,
    /// The origin that the person was sent to.
    pub(crate) sent_to: String,
    /// Who began, and alone may finish.
    pub(crate) actor: String,
    /// What only the browser or the command that began can show.
    pub(crate) binding: Binding,
    /// After this it is void.
    pub(crate) expires_at: Timestamp,
    /// How the connection authenticates.
    pub(crate) plan: Authentication,
    /// The code verifier, what `prepare` captured and, once the callback came, its code.
    pub(crate) secrets: BTreeMap<String, Sealed>,
    /// What `prepare` and the callback captured for everyone to see.
    pub(crate) visible: BTreeMap<String, String>,
}

/// What a sign-in is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// The connection has no credential yet.
    Connect,
    /// It has one, which stays in use until the new one passed its test.
    Reconnect {
        /// Also where the new one belongs to another account.
        accept_account: bool,
    },
}

/// How a callback is known to come from where the sign-in began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Binding {
    /// The browser that began holds a cookie of this hash.
    Cookie(String),
    /// The command that began listens on this port of loopback. The browser is sent there with a receipt, so only a browser
    /// on that very machine can hand it over.
    Loopback(u16),
    /// The callback came, and whoever shows the receipt of this hash may finish.
    Receipt(String),
}
