//! The audit: one record for every change, sign-in, refusal and use of a secret, each bound to the one before it.
//!
//! A record is one line of JSON, and that very line is what is stored, hashed and exported. Its last member is
//! `"hash":"<64 hexadecimal digits>"`: the SHA-256 of everything that stands before `,"hash":"` on the line. Its last but one is
//! `prev`, the hash of the record before it. So a program in any language checks a chain by cutting 75 bytes off each line.
//!
//! What that proves: whoever noted a [`AuditLink`] once can tell, at any later time, whether anything up to it was altered, put
//! in or taken out. What it does not: somebody who may write the store can make a new chain from the first record on, and only
//! a link that was noted elsewhere tells.

mod chain;
mod deed;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::connection::{ChangeKind, Connection};
use super::connector::{ConnectorRef, Installed};
use super::error::Error;
use super::named::NATIVE;
use super::origin::Origin;
use super::verdict::{Exchange, Outcome};

pub(crate) use chain::link;
pub use chain::{AuditBreak, AuditChain, AuditLink, AuditProblem, AuditRecord, AuditReport, InvalidLink};
pub(crate) use deed::{Deed, Done, LastDeed};

/// The longest text of a caller that a record keeps.
const TEXT: usize = 200;

macro_rules! actions {
    // A token tree: as a `literal` it would come to the derived description in a wrapping that hides the name from it.
    ($($(#[$doc:meta])* $variant:ident = $name:tt,)*) => {
        /// What was done, or was to be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum AuditAction {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl AuditAction {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as everywhere on the outside: the kind of thing, a point, and the deed.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

actions! {
    /// Installed.
    ConnectorInstall = "connector.install",
    /// Judged, and not kept.
    ConnectorCheck = "connector.check",
    /// Asked again what it says of itself.
    ConnectorVerify = "connector.verify",
    /// New connections may be made with it.
    ConnectorEnable = "connector.enable",
    /// No new connections may be made with it.
    ConnectorDisable = "connector.disable",
    /// Put under "Get started".
    ConnectorFeature = "connector.feature",
    /// Taken away from there.
    ConnectorUnfeature = "connector.unfeature",
    /// Its connections were to be moved to another version; each that was has a record of its own.
    ConnectorUpgrade = "connector.upgrade",
    /// Removed.
    ConnectorRemove = "connector.remove",
    /// Looked at.
    ConnectorView = "connector.view",
    /// Made.
    ConnectionCreate = "connection.create",
    /// Changed.
    ConnectionEdit = "connection.edit",
    /// Its secrets were used for a test.
    ConnectionTest = "connection.test",
    /// A new credential was tried.
    ConnectionReconnect = "connection.reconnect",
    /// Switched on.
    ConnectionEnable = "connection.enable",
    /// Switched off.
    ConnectionDisable = "connection.disable",
    /// Deleted.
    ConnectionDelete = "connection.delete",
    /// Moved to another version of its connector.
    ConnectionUpgrade = "connection.upgrade",
    /// Given to another owner.
    ConnectionTransfer = "connection.transfer",
    /// Its secrets were used for a request.
    ConnectionSend = "connection.send",
    /// A sign-in by a browser began.
    ConnectionAuthorize = "connection.authorize",
    /// A person came back from a browser.
    ConnectionSignIn = "connection.sign-in",
    /// Its secrets were used to obtain a credential.
    ConnectionObtain = "connection.obtain",
    /// Its credential was renewed.
    ConnectionRenew = "connection.renew",
    /// Its credential was taken back at its service.
    ConnectionRevoke = "connection.revoke",
    /// Looked at.
    ConnectionView = "connection.view",
    /// Registered or changed.
    FlowPut = "flow.put",
    /// Opened by a person.
    FlowOpen = "flow.open",
    /// A use was added.
    FlowSelect = "flow.select",
    /// A use was taken away.
    FlowDeselect = "flow.deselect",
    /// Forgotten.
    FlowRemove = "flow.remove",
    /// Looked at.
    FlowView = "flow.view",
    /// Registered or changed.
    IdentityProviderPut = "identity-provider.put",
    /// Removed.
    IdentityProviderRemove = "identity-provider.remove",
    /// Looked at.
    IdentityProviderView = "identity-provider.view",
    /// Set up or changed.
    ExternalCredentialPut = "external-credential.put",
    /// Removed.
    ExternalCredentialRemove = "external-credential.remove",
    /// Looked at.
    ExternalCredentialView = "external-credential.view",
    /// Set up or changed.
    PrincipalPut = "principal.put",
    /// Removed, with what it held.
    PrincipalRemove = "principal.remove",
    /// Looked at.
    PrincipalView = "principal.view",
    /// It was given what it signs in with, or a sign-in by a browser began.
    PrincipalAuthorize = "principal.authorize",
    /// A person came back from a browser.
    PrincipalSignIn = "principal.sign-in",
    /// Its secrets were used to obtain a credential.
    PrincipalObtain = "principal.obtain",
    /// Its credential was renewed.
    PrincipalRenew = "principal.renew",
    /// Its credential was taken back at its service.
    PrincipalRevoke = "principal.revoke",
    /// Set up or changed.
    NamedCredentialPut = "named-credential.put",
    /// Removed.
    NamedCredentialRemove = "named-credential.remove",
    /// Looked at.
    NamedCredentialView = "named-credential.view",
    /// Added or changed.
    UserPut = "user.put",
    /// Removed, and its tokens with it.
    UserRemove = "user.remove",
    /// An account at an OpenID provider was bound to it.
    UserBind = "user.bind",
    /// An account was taken from it.
    UserUnbind = "user.unbind",
    /// Looked at.
    UserView = "user.view",
    /// Added or changed.
    PermissionSetPut = "permission-set.put",
    /// Removed.
    PermissionSetRemove = "permission-set.remove",
    /// Looked at.
    PermissionSetView = "permission-set.view",
    /// Made.
    TokenCreate = "token.create",
    /// Taken back.
    TokenRevoke = "token.revoke",
    /// Looked at.
    TokenView = "token.view",
    /// Events were read.
    EventView = "event.view",
    /// Added or changed.
    WebhookPut = "webhook.put",
    /// Removed, and what waits for it.
    WebhookRemove = "webhook.remove",
    /// It got a new secret.
    WebhookRotateSecret = "webhook.rotate-secret",
    /// Deliveries are tried again.
    WebhookReplay = "webhook.replay",
    /// Switched off by the host: the endpoint says that it is gone.
    WebhookDisable = "webhook.disable",
    /// Events were dropped before they could be delivered to it.
    WebhookOverflow = "webhook.overflow",
    /// Looked at.
    WebhookView = "webhook.view",
    /// A new master key.
    HostRotateKey = "host.rotate-key",
    /// Checks that nobody asks for were paused.
    HostPauseHealth = "host.pause-health",
    /// They go on.
    HostResumeHealth = "host.resume-health",
    /// The store was copied.
    HostBackup = "host.backup",
    /// What is set up was read out, without secrets.
    HostExport = "host.export",
    /// What was set up elsewhere was to be made; each thing that was has a record of its own.
    HostImport = "host.import",
    /// A browser was let in to the console.
    HostSignIn = "host.sign-in",
    /// Looked at.
    HostView = "host.view",
    /// The audit was read.
    AuditView = "audit.view",
    /// More happened at once than could be kept: so many records are missing here.
    AuditGap = "audit.gap",
}

impl AuditAction {
    /// The kind of thing that it is done to.
    pub fn kind(self) -> AuditKind {
        match self.name().split_once('.').map(|(kind, _)| kind) {
            Some("connector") => AuditKind::Connector,
            Some("connection") => AuditKind::Connection,
            Some("flow") => AuditKind::Flow,
            Some("identity-provider") => AuditKind::IdentityProvider,
            Some("external-credential") => AuditKind::ExternalCredential,
            Some("principal") => AuditKind::Principal,
            Some("named-credential") => AuditKind::NamedCredential,
            Some("user") => AuditKind::User,
            Some("permission-set") => AuditKind::PermissionSet,
            Some("token") => AuditKind::Token,
            Some("event") => AuditKind::Event,
            Some("webhook") => AuditKind::Webhook,
            Some(_) | None => AuditKind::Host,
        }
    }
}

impl AuditAction {
    /// What the same deed is called where a principal does it.
    fn of_a_principal(self) -> Self {
        match self {
            Self::ConnectionAuthorize => Self::PrincipalAuthorize,
            Self::ConnectionSignIn => Self::PrincipalSignIn,
            Self::ConnectionObtain => Self::PrincipalObtain,
            Self::ConnectionRenew => Self::PrincipalRenew,
            Self::ConnectionRevoke => Self::PrincipalRevoke,
            other => other,
        }
    }
}

impl FromStr for AuditAction {
    type Err = UnknownAction;
    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().find(|action| action.name() == text).copied().ok_or(UnknownAction)
    }
}

impl From<ChangeKind> for AuditAction {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Created => Self::ConnectionCreate,
            ChangeKind::Edited => Self::ConnectionEdit,
            ChangeKind::Authorized => Self::ConnectionSignIn,
            ChangeKind::Reconnected => Self::ConnectionReconnect,
            ChangeKind::Enabled => Self::ConnectionEnable,
            ChangeKind::Disabled => Self::ConnectionDisable,
            ChangeKind::Upgraded => Self::ConnectionUpgrade,
            ChangeKind::Transferred => Self::ConnectionTransfer,
        }
    }
}

/// No action has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no action of the audit")]
pub struct UnknownAction;

/// The kind of thing that something was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// An installed connector.
    Connector,
    /// A connection.
    Connection,
    /// A flow.
    Flow,
    /// An OAuth client of the operator.
    IdentityProvider,
    /// How a service is signed in to.
    ExternalCredential,
    /// Who signs in to it.
    Principal,
    /// Where requests go, and by which credential.
    NamedCredential,
    /// Somebody who works with this host.
    User,
    /// What users may do.
    PermissionSet,
    /// What stands for a user.
    Token,
    /// What happened, as it is told.
    Event,
    /// An endpoint that events are delivered to.
    Webhook,
    /// The host itself.
    Host,
}

impl AuditKind {
    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Connection => "connection",
            Self::Flow => "flow",
            Self::IdentityProvider => "identity-provider",
            Self::ExternalCredential => "external-credential",
            Self::Principal => "principal",
            Self::NamedCredential => "named-credential",
            Self::User => "user",
            Self::PermissionSet => "permission-set",
            Self::Token => "token",
            Self::Event => "event",
            Self::Webhook => "webhook",
            Self::Host => "host",
        }
    }
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditObject {
    /// The kind of thing.
    pub kind: AuditKind,
    /// Its id, where it has one that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name at that time or, of what was refused, as the caller wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl AuditObject {
    pub(crate) fn named(kind: AuditKind, name: &str) -> Self {
        Self { kind, id: None, name: name.chars().take(TEXT).collect() }
    }

    pub(crate) fn host() -> Self {
        Self::named(AuditKind::Host, "")
    }

    pub(crate) fn with_id(kind: AuditKind, id: impl fmt::Display, name: &str) -> Self {
        Self { id: Some(id.to_string()), ..Self::named(kind, name) }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was done; a test passed; a service answered.
    Done,
    /// It was tried and did not work.
    Failed,
    /// A permission or a rule stood against it.
    Refused,
}

impl AuditOutcome {
    /// The word that every face shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What happened. It names things, and never holds a value of a secret, a path or a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: AuditAction,
    /// To what.
    pub object: AuditObject,
    /// The connector version in question, with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<ConnectorRef>,
    /// Where requests went, or were to go; of an install, where the connector asks to send them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Names of the fields that were changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The status that a service answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The kind of failure, or the rule or permission that stood against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, of what asks a service: until its answer began, or until a test ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microseconds: Option<u64>,
}

impl AuditEvent {
    /// Something that was done.
    pub(crate) fn new(at: Timestamp, actor: &str, action: AuditAction, object: AuditObject) -> Self {
        Self {
            at,
            actor: actor.to_owned(),
            action,
            object,
            connector: None,
            origins: Vec::new(),
            fields: Vec::new(),
            outcome: AuditOutcome::Done,
            status: None,
            reason: None,
            microseconds: None,
        }
    }

    /// Something that was done to a connection, or with it.
    pub(crate) fn of(at: Timestamp, actor: &str, action: AuditAction, connection: &Connection) -> Self {
        // A principal signs in by the very machinery of connections.
        if connection.connector.name.as_str() == NATIVE {
            let object = AuditObject::with_id(AuditKind::Principal, connection.id, &connection.name);
            return Self::new(at, actor, action.of_a_principal(), object);
        }
        let object = AuditObject::with_id(AuditKind::Connection, connection.id, &connection.name);
        Self { connector: Some(connection.connector.clone()), ..Self::new(at, actor, action, object) }
    }

    /// Something that was done to one version of a connector.
    pub(crate) fn of_connector(at: Timestamp, actor: &str, action: AuditAction, installed: &Installed) -> Self {
        let object = AuditObject::named(AuditKind::Connector, installed.reference.name.as_str());
        Self { connector: Some(installed.reference.clone()), ..Self::new(at, actor, action, object) }
    }

    pub(crate) fn with_fields(self, fields: Vec<String>) -> Self {
        Self { fields, ..self }
    }

    pub(crate) fn failed(self, reason: impl Into<String>) -> Self {
        Self { outcome: AuditOutcome::Failed, reason: Some(reason.into()), ..self }
    }

    /// A rule stood against it.
    pub(crate) fn refused(self, rule: &str) -> Self {
        Self { outcome: AuditOutcome::Refused, reason: Some(rule.to_owned()), ..self }
    }

    /// It has to do with accounts of this OpenID provider.
    pub(crate) fn at_issuer(self, issuer: &str) -> Self {
        let origin = Url::parse(issuer).ok().as_ref().and_then(Origin::of);
        Self { origins: origin.iter().map(ToString::to_string).collect(), ..self }
    }

    pub(crate) fn took(self, microseconds: u64) -> Self {
        Self { microseconds: Some(microseconds), ..self }
    }

    /// As a verdict says.
    pub(crate) fn judged(self, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed => self,
            Outcome::Failed(kind) => self.failed(kind.name()),
        }
    }

    /// Where these requests went, each origin once.
    pub(crate) fn asked(mut self, exchanges: &[Exchange]) -> Self {
        for origin in exchanges.iter().filter_map(|exchange| exchange.origin.as_ref()).map(ToString::to_string) {
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
        self
    }

    /// As an error says: what stood against it was a refusal, everything else a failure.
    pub(crate) fn ended(self, error: &Error) -> Self {
        let (outcome, reason) = ending(error);
        Self { outcome, reason: Some(reason.to_owned()), ..self }
    }
}

/// How what failed so ended, and the word for why.
fn ending(error: &Error) -> (AuditOutcome, &'static str) {
    let outcome = if is_refusal(error) { AuditOutcome::Refused } else { AuditOutcome::Failed };
    let reason = match error {
        Error::Forbidden { permission } => permission.name(),
        other => other.code(),
    };
    (outcome, reason)
}

/// Whether a permission or a rule of this host stood against what was asked.
pub(crate) fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Forbidden { .. } | Error::Refused { .. } | Error::InUse { .. } => true,
        Error::Upstream { denied, .. } => *denied,
        Error::Invalid { .. }
        | Error::NotFound { .. }
        | Error::Stale { .. }
        | Error::Exists { .. }
        | Error::Data { .. }
        | Error::Internal { .. } => false,
    }
}

/// Which records to list. Everything left out does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuditFilter {
    /// By this actor.
    #[serde(default)]
    pub actor: Option<String>,
    /// This action, such as `connection.send`, or every action on a kind of thing, such as `connection`.
    #[serde(default)]
    pub action: Option<String>,
    /// To the thing of this id or name.
    #[serde(default)]
    pub object: Option<String>,
    /// Not before this moment.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>, format = DateTime))]
    pub since: Option<Timestamp>,
    /// Before this moment.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
    /// That ended so.
    #[serde(default)]
    pub outcome: Option<AuditOutcome>,
    /// From this cursor on.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many, 1 to 200; 50 where none is given.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl AuditFilter {
    /// Whether a record is one of those that are asked for.
    pub(crate) fn takes(&self, event: &AuditEvent) -> bool {
        let action = event.action.name();
        let of_kind = |wanted: &str| action.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'));
        let object = |wanted: &str| {
            event.object.id.as_deref() == Some(wanted) || event.object.name.to_lowercase() == wanted.to_lowercase()
        };
        self.outcome.is_none_or(|wanted| wanted == event.outcome)
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
            && self.actor.as_ref().is_none_or(|wanted| *wanted == event.actor)
            && self.action.as_deref().is_none_or(|wanted| wanted == action || of_kind(wanted))
            && self.object.as_deref().is_none_or(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name_and_no_name_is_taken_twice() {
        for action in AuditAction::ALL {
            assert_eq!(action.name().parse(), Ok(*action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
        }
    }
}
