//! Named credentials and what they stand on, as faces send and see them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ConnectionView;
use super::sign_in::Authorization;
use crate::model::descriptor::{Field, SignIn};
use crate::model::expected::Expected;
use crate::model::named::{HeaderTemplate, PrincipalKind};
use crate::model::secret::Secret;
use crate::model::verdict::Verdict;

/// A way to sign in that the host knows by itself, whatever the connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct CredentialProtocol {
    /// Its name.
    pub name: String,
    /// What a person reads.
    pub label: String,
    /// A sentence of help.
    pub help: String,
    /// What signing in takes.
    pub sign_in: SignIn,
    /// What an external credential is asked.
    pub settings: Vec<Field>,
    /// What each principal is asked. Of custom headers these are the names in the headers' templates.
    pub parameters: Vec<Field>,
}

/// An external credential that is set up, or what changes of it. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutExternalCredential {
    /// For people; the name at first.
    #[serde(default)]
    pub label: Option<String>,
    /// How it signs in; a new one has to say it, and it stays.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Values of the protocol's fields; an empty one takes the value away.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Of custom headers: all of them.
    #[serde(default)]
    pub headers: Option<Vec<HeaderTemplate>>,
    /// An OAuth client's secret; a blank one keeps the stored one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// An external credential as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ExternalCredentialView {
    /// Its name.
    pub name: String,
    /// For people.
    pub label: String,
    /// How it signs in.
    pub protocol: String,
    /// What signing in takes.
    pub sign_in: SignIn,
    /// Values that are not secret.
    pub settings: BTreeMap<String, String>,
    /// Of custom headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderTemplate>,
    /// Names of the secrets that have a value.
    pub secrets: Vec<String>,
    /// What each principal is asked.
    pub parameters: Vec<Field>,
    /// Its principals.
    pub principals: Vec<String>,
    /// Named credentials that stand on it.
    pub named_credentials: Vec<String>,
    /// Where a person in a browser comes back to, where it takes one: below the server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// Who set it up.
    pub owner: String,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

/// A principal that is set up, or what changes of it. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutPrincipal {
    /// For people; the name at first.
    #[serde(default)]
    pub label: Option<String>,
    /// What it signs in to; the one of the same name where none is given. It stays.
    #[serde(default)]
    pub external_credential: Option<String>,
    /// Whose identity it is; everybody's where nothing is given. It stays.
    #[serde(default)]
    pub kind: Option<PrincipalKind>,
    /// What it signs in with that is not secret. Of a principal per user each user gives that.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What it signs in with that is secret; a blank one keeps the stored one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// What somebody signs in with as a principal.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuthorizePrincipal {
    /// What is not secret.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What is; a blank one keeps the stored one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// The port of 127.0.0.1 on which whoever asks waits for the browser, as for a connection.
    #[serde(default)]
    pub loopback_port: Option<u16>,
}

/// How far an authorization of a principal came.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorizedPrincipal {
    /// The principal as it is now.
    pub principal: PrincipalView,
    /// Where a person has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
}

/// A principal as people see it. Of one per user, `configured` and `authenticated` speak of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PrincipalView {
    /// Its name.
    pub name: String,
    /// For people.
    pub label: String,
    /// What it signs in to.
    pub external_credential: String,
    /// Whose identity it is.
    pub kind: PrincipalKind,
    /// What signing in takes.
    pub sign_in: SignIn,
    /// What it is asked.
    pub parameters: Vec<Field>,
    /// Whether everything is there that it signs in with.
    pub configured: bool,
    /// Whether it is signed in, as far as that takes anything.
    pub authenticated: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What it signs in with that is not secret.
    pub settings: BTreeMap<String, String>,
    /// Names of the secrets that it holds.
    pub secrets: Vec<String>,
    /// When what it obtained expires, where that is known. The host renews it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// Of one per user: who has one, for those who look after the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Permission sets that open it, for those who look after the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permission_sets: Vec<String>,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// Who set it up.
    pub owner: String,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

/// A named credential that is set up, or what changes of it. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutNamedCredential {
    /// For people; the name at first.
    #[serde(default)]
    pub label: Option<String>,
    /// Where its connections send their requests: `https://<domain>`. A new one has to say it.
    #[serde(default)]
    pub url: Option<String>,
    /// What it stands on; the one of the same name where none is given.
    #[serde(default)]
    pub external_credential: Option<String>,
    /// Whether its connections may use it; yes at first.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Send what is stored to another address than the one that it was given for.
    #[serde(default)]
    pub accept: bool,
    /// Makes an external credential and a principal of the same name with it, or changes these.
    #[serde(default)]
    pub credential: Option<PutCredential>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// An external credential and its one principal, both of the name of the named credential.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutCredential {
    /// How it signs in; a new one has to say it.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Whose identity the principal is.
    #[serde(default)]
    pub kind: Option<PrincipalKind>,
    /// Of custom headers: all of them.
    #[serde(default)]
    pub headers: Option<Vec<HeaderTemplate>>,
    /// Fields of the one and parameters of the other that are not secret.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Those that are.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
}

/// A named credential as people see it. Three facts are kept apart: whether all is there that signing in takes, whether it is
/// signed in, and whether it is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct NamedCredentialView {
    /// Its name.
    pub name: String,
    /// For people.
    pub label: String,
    /// Where its connections send their requests.
    pub url: String,
    /// What it stands on.
    pub external_credential: String,
    /// How that signs in.
    pub protocol: String,
    /// Whose identity its one principal is; none where there is not exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PrincipalKind>,
    /// The names of its principals, for those who look after the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// Whether everything is there that its one principal signs in with; of one per user, for whoever asks.
    pub configured: bool,
    /// Whether that is signed in.
    pub authenticated: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Why no connection can be made on it now, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What departs from convention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// Who set it up.
    pub owner: String,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

/// What a sign-in by a browser came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedIn {
    /// Whether the new credential is in use.
    pub replaced: bool,
    /// What its test, or the service, said.
    pub verdict: Verdict,
    /// The connection whose credential it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionView>,
    /// The principal that signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalView>,
}

/// The right that a connection lacks, for those who may give it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MissingPermission {
    /// The owner of the connection.
    pub user: String,
    /// What none of that user's permission sets opens.
    pub principal: String,
}
