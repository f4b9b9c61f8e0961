//! Signing in, as faces send it and get it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::expected::Expected;
use super::super::id::ConnectorName;
use super::super::secret::Secret;

/// Tokens that were obtained elsewhere and are brought along.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tokens {
    /// By name: `access-token`, `refresh-token`, and what else the protocol captures in secret.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// What the protocol captures for everyone to see, such as `instance-url`.
    #[serde(default)]
    pub visible: BTreeMap<String, String>,
    /// When the access token expires, where that is known.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
}

/// How a person comes back who authorizes a connection.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Authorize {
    /// The port of 127.0.0.1 on which whoever asks waits for the browser, on the browser's own machine. Without it the
    /// answer sets a cookie, and the browser that holds it has to be the one that authorizes.
    #[serde(default)]
    pub loopback_port: Option<u16>,
    /// Keep the old credential in use until the new one has passed its test.
    #[serde(default)]
    pub reconnect: bool,
    /// Take the new credential although it belongs to another account.
    #[serde(default)]
    pub accept_account: bool,
}

/// A sign-in that waits for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Authorization {
    /// Where the person agrees.
    pub url: String,
    /// What has to be registered at the service.
    pub redirect_uri: String,
    /// Until when.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
    /// The cookie that the browser is known again by.
    #[serde(skip)]
    pub cookie: Option<Cookie>,
}

/// What proves that a browser is the one that began.
#[derive(Debug, Clone)]
pub struct Cookie {
    /// Its name, which is no other sign-in's.
    pub name: String,
    /// What it holds.
    pub value: Secret,
}

/// An OAuth client to be registered with the host.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutIdentityProvider {
    /// For people; the name where nothing is given.
    #[serde(default)]
    pub label: Option<String>,
    /// The one connector that may use it.
    pub connector: String,
    /// The protocol that it serves.
    pub protocol: String,
    /// The client at the service.
    pub client_id: String,
    /// Its secret; a blank one keeps the stored one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub client_secret: Option<Secret>,
    /// Fields that it fills in besides. One that says where the service is must be among them, unless its default is meant.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// An OAuth client as people see it: no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct IdentityProviderView {
    /// Its name.
    pub name: String,
    /// For people.
    pub label: String,
    /// The one connector that may use it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connector: ConnectorName,
    /// The protocol that it serves.
    pub protocol: String,
    /// The client at the service.
    pub client_id: String,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// Fields that it fills in besides.
    pub settings: BTreeMap<String, String>,
    /// The path of its redirect URI, which is no other's.
    pub callback: String,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// Who set it up.
    pub owner: String,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

/// What is known of a credential that was obtained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct CredentialView {
    /// Names of the tokens and other secrets.
    pub secrets: Vec<String>,
    /// What everyone may see.
    pub visible: BTreeMap<String, String>,
    /// When it was obtained.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub obtained_at: Timestamp,
    /// When it expires, where that is known.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
}
