//! What faces send to the host and get from it, where that differs from what is kept.

mod definitions;
mod events;
mod health;
mod named;
mod preview;
mod sign_in;
mod users;

use std::collections::BTreeMap;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::connection::{Connection, Status, Visibility};
use super::connector::{ConnectorRef, Installed, Surface};
use super::credential::Credential;
use super::descriptor::Descriptor;
use super::flow::{Flow, FlowStatus, Progress, UsedAs};
use super::id::{ConnectionId, ConnectorName, FlowId};
use super::secret::Secret;
use super::verdict::{Account, Verdict};

pub use definitions::{
    ConnectionDefinition, ConnectorDefinition, Definitions, ExternalCredentialDefinition, IdentityProviderDefinition,
    Import, ImportAction, ImportReport, ImportRow, NamedCredentialDefinition, PermissionSetDefinition,
    PrincipalDefinition, UserDefinition,
};
pub use events::{
    DeliveryFilter, DeliveryState, DeliveryView, EventFilter, EventPage, PutWebhook, Replay, Replayed, RotateSecret,
    SavedWebhook, WebhookView,
};
pub use health::{
    Activity, ActivityFilter, Budget, ByStatus, HealthReport, HealthState, Holding, HourTally, RenewalAhead, Tally,
    Waiting,
};
pub use named::{
    AuthorizePrincipal, AuthorizedPrincipal, CredentialProtocol, ExternalCredentialView, MissingPermission,
    NamedCredentialView, PrincipalView, PutCredential, PutExternalCredential, PutNamedCredential, PutPrincipal,
    SignedIn,
};
pub use preview::{Affected, AffectedFlow, AffectedUser, Effect, Preview, Unnamed, WhatIf};
pub use sign_in::{
    Authorization, Authorize, Cookie, CredentialView, IdentityProviderView, PutIdentityProvider, Tokens,
};
pub use users::{
    AccountOf, CreatedToken, IdentityView, NewToken, PutPermissionSet, PutUser, SignInOffer, SignInReport, TokenView,
    Transfer, Transferred, UserView, Whoami,
};

/// A part of a list, and where the next part begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// The cursor of the next part; none where this is the last.
    pub next: Option<String>,
}

/// What a new connection is made of.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NewConnection {
    /// Unique, whatever the case; at most 80 characters.
    pub name: String,
    /// Free text, at most 1,000 characters.
    #[serde(default)]
    pub description: String,
    /// The connector's name.
    pub connector: String,
    /// Its version; the newest enabled one where none is given.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub connector_version: Option<Version>,
    /// The protocol; may be left out where the connector offers one only.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Fields that are not secret.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Secret fields.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// The operator's OAuth client; the only one for this protocol where none is named and none is given with the fields.
    #[serde(default)]
    pub identity_provider: Option<String>,
    /// Made on this named credential, in place of a protocol with its fields: where requests go and what they carry is that
    /// one's. Of the connector's own settings those are given that are neither secret nor its address.
    #[serde(default)]
    pub named_credential: Option<String>,
    /// Tokens that were obtained elsewhere: nobody has to sign in then.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// Who may see it.
    #[serde(default)]
    pub visibility: Visibility,
}

/// A change of a connection. What is left out stays; a blank secret keeps the stored one.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EditConnection {
    /// The version that the change was made on.
    pub version: u64,
    /// A new name.
    #[serde(default)]
    pub name: Option<String>,
    /// A new description.
    #[serde(default)]
    pub description: Option<String>,
    /// Another protocol of the same connector.
    #[serde(default)]
    pub protocol: Option<String>,
    /// New values; an empty one takes the value away.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// New secrets.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// Who may see it.
    #[serde(default)]
    pub visibility: Option<Visibility>,
}

/// A new credential for a connection.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reconnect {
    /// New secrets.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub secrets: BTreeMap<String, Secret>,
    /// Tokens that were obtained elsewhere.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// Take the new credential although it belongs to another account.
    #[serde(default)]
    pub accept_account: bool,
}

/// What became of a reconnect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reconnected {
    /// Whether the new credential replaced the old one.
    pub replaced: bool,
    /// What the test of the new credential said.
    pub verdict: Verdict,
    /// The connection as it is now.
    pub connection: ConnectionView,
}

/// A connection as people see it: no secret, the status derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ConnectionView {
    /// Stays for life.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ConnectionId,
    /// Grows with every saved change.
    pub version: u64,
    /// Unique, whatever the case.
    pub name: String,
    /// Free text.
    pub description: String,
    /// How it stands.
    pub status: Status,
    /// The connector version that it is pinned to.
    pub connector: ConnectorRef,
    /// The protocol by which it authenticates.
    pub protocol: String,
    /// Values of fields that are not secret.
    pub settings: BTreeMap<String, String>,
    /// Names of the secret fields that have a value.
    pub secrets: Vec<String>,
    /// The operator's OAuth client that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The named credential that it goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_credential: Option<String>,
    /// The right that its owner lacks to that, for those who may give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_permission: Option<MissingPermission>,
    /// Whether everything is there that a sign-in takes. Otherwise a person has to authorize it.
    pub complete: bool,
    /// What a sign-in obtained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialView>,
    /// Where its requests may go.
    pub origins: Vec<String>,
    /// Whether a person left it switched on.
    pub enabled: bool,
    /// The last test.
    pub verdict: Option<Verdict>,
    /// Whose credential it is.
    pub account: Option<Account>,
    /// Facts from the last passed test.
    pub discovered: BTreeMap<String, String>,
    /// Who made it.
    pub owner: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// When its secrets were last set.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub credential_at: Timestamp,
    /// How many flows lean on it.
    pub flows: u64,
    /// Whether one leaned on it before and does no longer: whoever deletes it should know what it was for.
    #[serde(default)]
    pub once_used: bool,
}

impl ConnectionView {
    pub(crate) fn of(connection: Connection, credential: Option<Credential>, origins: Vec<String>, flows: u64) -> Self {
        Self {
            status: connection.status(),
            id: connection.id,
            version: connection.version,
            name: connection.name,
            description: connection.description,
            connector: connection.connector,
            protocol: connection.protocol,
            settings: connection.settings,
            secrets: connection.secrets.into_keys().collect(),
            identity_provider: connection.identity_provider,
            named_credential: connection.named_credential,
            missing_permission: None,
            complete: connection.complete,
            credential: credential.map(|credential| CredentialView {
                secrets: credential.secrets.into_keys().collect(),
                visible: credential.visible,
                obtained_at: credential.obtained_at,
                expires_at: credential.expires_at,
            }),
            origins,
            enabled: connection.enabled,
            verdict: connection.verdict,
            account: connection.account,
            discovered: connection.discovered,
            owner: connection.owner,
            visibility: connection.visibility,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
            credential_at: connection.credential_at,
            flows,
            once_used: connection.once_used,
        }
    }
}

/// The order of a list of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionOrder {
    /// By name, whatever the case.
    #[default]
    Name,
    /// By name, from the end.
    NameDescending,
    /// Those that need a person first, those that need nothing last; by name where that is the same.
    Need,
}

impl ConnectionOrder {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Name, Self::NameDescending, Self::Need];

    /// The word for it on every face.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NameDescending => "name-descending",
            Self::Need => "need",
        }
    }
}

/// Which connections to list. Everything left out does not filter.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConnectionFilter {
    /// Of this connector.
    #[serde(default)]
    pub connector: Option<String>,
    /// That stand so.
    #[serde(default)]
    pub status: Option<Status>,
    /// Of this owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// With this text in the name.
    #[serde(default)]
    pub text: Option<String>,
    /// In this order; by name where none is given.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", param(inline))]
    pub sort: Option<ConnectionOrder>,
    /// From this cursor on, which is one of the same order.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many, 1 to 200; 50 where none is given.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Which connectors to list.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConnectorFilter {
    /// With this text in name, label, publisher or summary.
    #[serde(default)]
    pub text: Option<String>,
    /// In this category.
    #[serde(default)]
    pub category: Option<String>,
    /// Only those under "Get started", or only the others.
    #[serde(default)]
    pub featured: Option<bool>,
}

/// A connector as the catalog shows it: one version in full, the others by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectorView {
    /// The newest version, or the one that was asked for.
    #[serde(flatten)]
    pub installed: Installed,
    /// All installed versions, newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub versions: Vec<Version>,
    /// How many connections are pinned to any of them.
    pub connections: u64,
}

/// What an install did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct InstallReport {
    /// What is installed now.
    pub connector: Installed,
    /// False where this very component was there already.
    pub new: bool,
    /// Where it asks to send requests.
    pub asks_for: Vec<String>,
    /// What its next older version does not ask for.
    pub widened: Vec<String>,
}

/// What `check` found: everything that an install does, but nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckReport {
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// What it imports and exports.
    pub surface: Surface,
    /// The component itself.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Moving connections from one version of a connector to another.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Upgrade {
    /// The version to move to; the newest where none is given.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub to: Option<Version>,
    /// Accept that requests may go to more origins than before.
    #[serde(default)]
    pub accept: bool,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an upgrade changes for one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpgradeRow {
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// The version it is pinned to before.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub from: Version,
    /// Whether it was moved.
    pub moved: bool,
    /// Why it would need attention, or was not moved.
    pub attention: Vec<String>,
    /// The flows that lean on it, for whoever may see flows.
    #[serde(default)]
    pub flows: Vec<AffectedFlow>,
}

/// What an upgrade does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct UpgradeReport {
    /// The version that connections move to.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub to: Version,
    /// Origins that the new version asks for besides.
    pub origins_added: Vec<String>,
    /// Origins that it no longer asks for.
    pub origins_removed: Vec<String>,
    /// New fields, as `protocol.field` or `field`.
    pub fields_added: Vec<String>,
    /// Fields that are gone.
    pub fields_removed: Vec<String>,
    /// Protocols that are gone.
    pub protocols_removed: Vec<String>,
    /// Each connection.
    pub connections: Vec<UpgradeRow>,
}

/// A flow as the embedder registers it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutFlow {
    /// What a person reads.
    pub name: String,
    /// The embedder's version.
    #[serde(default)]
    pub version: String,
    /// How it stands.
    pub status: FlowStatus,
    /// Whose it is; the actor where none is given.
    #[serde(default)]
    pub owner: Option<String>,
    /// Where a person opens it.
    #[serde(default)]
    pub url: Option<String>,
    /// What it leans on; where left out, its uses stay as they are.
    #[serde(default)]
    pub uses: Option<Vec<PutUse>>,
}

/// A use as the embedder names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutUse {
    /// Id or name of the connection.
    pub connection: String,
    /// Action or trigger.
    pub used_as: UsedAs,
    /// The embedder's name of the step.
    #[serde(default)]
    pub step: String,
}

/// A row of "Flows using connection".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FlowRow {
    /// The flow.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: FlowId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it stands.
    pub status: FlowStatus,
    /// Whose it is.
    pub owner: String,
    /// Where a person opens it.
    pub url: Option<String>,
    /// Action or trigger.
    pub used_as: UsedAs,
    /// The step.
    pub step: String,
    /// When the connection was last tested.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_tested: Option<Timestamp>,
    /// How that went.
    pub progress: Progress,
}

/// A connection of an opened flow that will not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alert {
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connection: ConnectionId,
    /// Its name; its id where the actor may not see it.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What opening a flow, or selecting a connection for it, found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowReport {
    /// The flow as it is now.
    pub flow: Flow,
    /// Connections that will not work.
    pub alerts: Vec<Alert>,
}

/// How a host stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct HostReport {
    /// Version of this program.
    pub version: String,
    /// The data directory.
    pub data: String,
    /// Installed connector versions.
    pub connectors: u64,
    /// Connections.
    pub connections: u64,
    /// Whether instances come from a pool, or memory is too scarce for one.
    pub pooling: bool,
    /// Id of the master key in use.
    pub master_key: String,
    /// Where that key comes from.
    pub master_key_source: String,
    /// What `egress.allow` opens.
    pub egress_allow: Vec<String>,
}

/// What became of a rotation of the master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Rotation {
    /// Id of the key in use now.
    pub key: String,
    /// Connections whose secrets were sealed anew.
    pub resealed: u64,
}

/// Which version of a connector is asked for, as in `github` or `github@1.2.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectorKey {
    /// The connector.
    pub name: ConnectorName,
    /// The version; the newest where none is given.
    pub version: Option<Version>,
}
