//! What is set up, as a text that people keep and compare: everything but secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::actor::Permission;
use crate::model::connection::Visibility;
use crate::model::named::{HeaderTemplate, PrincipalKind};
use crate::model::secret::Secret;
use crate::model::view::AccountOf;

/// Everything that is set up, or a part of it. It names the secrets that there are, and holds none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Definitions {
    /// `turnbuckle-definitions-1`.
    pub format: String,
    /// Installed connectors. The components themselves are not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connectors: Vec<ConnectorDefinition>,
    /// OAuth clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_providers: Vec<IdentityProviderDefinition>,
    /// How services are signed in to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_credentials: Vec<ExternalCredentialDefinition>,
    /// Who signs in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<PrincipalDefinition>,
    /// Where requests go, and by which credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_credentials: Vec<NamedCredentialDefinition>,
    /// What users may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permission_sets: Vec<PermissionSetDefinition>,
    /// Who works with the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserDefinition>,
    /// Connections, those that whoever asked may see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<ConnectionDefinition>,
}

/// One version of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConnectorDefinition {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The component itself; another one of that version is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether new connections may be made with it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it stands under "Get started".
    #[serde(default)]
    pub featured: bool,
}

/// An OAuth client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IdentityProviderDefinition {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The one connector that may use it.
    pub connector: String,
    /// The protocol that it serves.
    pub protocol: String,
    /// The client at the service.
    pub client_id: String,
    /// Names of its secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Fields that it fills in besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// How a service is signed in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExternalCredentialDefinition {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How it signs in.
    pub protocol: String,
    /// Names of its secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Values that are not secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Of custom headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderTemplate>,
}

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrincipalDefinition {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it signs in to.
    pub external_credential: String,
    /// Whose identity it is.
    #[serde(default)]
    pub kind: PrincipalKind,
    /// Names of the secrets that it holds; of one per user those are each user's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What it signs in with that is not secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// Where requests go, and by which credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NamedCredentialDefinition {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where its connections send their requests.
    pub url: String,
    /// What it stands on.
    pub external_credential: String,
    /// Whether its connections may use it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Permissions that are given together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PermissionSetDefinition {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it lets its users do.
    pub permissions: BTreeSet<Permission>,
    /// The principals that it opens.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub principals: BTreeSet<String>,
}

/// Who works with the host. Tokens are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UserDefinition {
    /// The name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether anything may be done at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The permission sets held.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub permission_sets: BTreeSet<String>,
    /// The accounts at OpenID providers that sign it in. An import adds those that are missing, and takes none away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<AccountOf>,
}

/// A connection. Whoever imports it owns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConnectionDefinition {
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The connector.
    pub connector: String,
    /// Its version; the newest enabled one where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_version: Option<String>,
    /// The protocol; none by a named credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The operator's OAuth client that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The named credential that it goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_credential: Option<String>,
    /// Who may see it.
    #[serde(default)]
    pub visibility: Visibility,
    /// Whether a person left it switched on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Names of the secret fields that have a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Values of fields that are not secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// Definitions that are to be there.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Import {
    /// What is to be there. What is not in it stays as it is, a setting of something that is in it too; a blank one goes.
    pub definitions: Definitions,
    /// Secrets of what is made, each by `kind/name/field`, such as `connection/Orders/token`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// Only say what would happen. Values are judged when they are set, so that may still refuse one.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an import does with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ImportAction {
    /// It is not there yet.
    Create,
    /// It differs.
    Change,
    /// It is as it is to be.
    Keep,
    /// It can't be made so.
    Blocked,
}

impl ImportAction {
    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Keep => "keep",
            Self::Blocked => "blocked",
        }
    }
}

/// One thing of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportRow {
    /// The kind of thing.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is to be done, or was.
    pub action: ImportAction,
    /// What differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Why it is blocked, or what else there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ImportReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Each thing, in the order of the work.
    pub rows: Vec<ImportRow>,
}
