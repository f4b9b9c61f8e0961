#![doc = include_str!("../ARCHITECTURE.md")]
#![cfg_attr(doc, allow(rustdoc::private_intra_doc_links, reason = "the map names modules that only its readers see"))]

mod host;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub mod config;
mod events;
mod flows;
mod health;

mod connections;

mod credentials;

mod users;

mod catalog;

#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the home of the sandbox, and of its clock")]
mod runtime;

#[expect(clippy::disallowed_types, reason = "the only way out")]
mod egress;

#[expect(clippy::disallowed_types, reason = "the home of the database")]
mod store;

mod model;

pub use connections::Body;
pub use credentials::sign_in_cookie;
pub use events::{Changes, Delivering, Events};
#[cfg(feature = "otlp")]
pub use host::Telemetry;
pub use host::{Builder, CallbackAnswer, Host, Setup, verify_audit_export};
pub use model::actor::{Actor, Permission};
pub use model::audit::{
    AuditAction, AuditBreak, AuditChain, AuditEvent, AuditFilter, AuditKind, AuditLink, AuditObject, AuditOutcome,
    AuditProblem, AuditRecord, AuditReport, InvalidLink, UnknownAction,
};
pub use model::connection::{Change, ChangeKind, Status, Visibility};
pub use model::connector::{ConnectorRef, Installed, Surface};
pub use model::descriptor::{Choice, Descriptor, Field, FieldKind, Lifecycle, Protocol, SignIn};
pub use model::error::{Error, FieldProblem, User};
pub use model::event::{
    AlertState, ConnectionChanged, ConnectionFacts, ConnectorInstalled, ConnectorUpgraded, Event, EventCursor,
    EventData, EventType, FlowAlert, NeedsReconnect, NoCursor, Refreshed, Standing, UnknownEventType, VerdictChanged,
};
pub use model::expected::Expected;
pub use model::flow::{Flow, FlowStatus, Progress, Use, UsedAs};
pub use model::id::{ConnectionId, ConnectorName, Digest, FlowId, InvalidName};
pub use model::measure::{DURATIONS as MEASURED_DURATIONS, SIZES as MEASURED_SIZES, describe as describe_metrics};
pub use model::named::{HeaderTemplate, PrincipalKind};
pub use model::origin::{Origin, OriginError};
pub use model::outside::Outside;
pub use model::secret::Secret;
pub use model::user::PermissionSet;
pub use model::verdict::{Account, Exchange, Failure, FailureKind, Outcome, Verdict};
pub use model::view::{
    AccountOf, Activity, ActivityFilter, Affected, AffectedFlow, AffectedUser, Alert, Authorization, Authorize,
    AuthorizePrincipal, AuthorizedPrincipal, Budget, ByStatus, CheckReport, ConnectionDefinition, ConnectionFilter,
    ConnectionOrder, ConnectionView, ConnectorDefinition, ConnectorFilter, ConnectorView, Cookie, CreatedToken,
    CredentialProtocol, CredentialView, Definitions, DeliveryFilter, DeliveryState, DeliveryView, EditConnection,
    Effect, EventFilter, EventPage, ExternalCredentialDefinition, ExternalCredentialView, FlowReport, FlowRow,
    HealthReport, HealthState, Holding, HostReport, HourTally, IdentityProviderDefinition, IdentityProviderView,
    IdentityView, Import, ImportAction, ImportReport, ImportRow, InstallReport, MissingPermission,
    NamedCredentialDefinition, NamedCredentialView, NewConnection, NewToken, Page, PermissionSetDefinition, Preview,
    PrincipalDefinition, PrincipalView, PutCredential, PutExternalCredential, PutFlow, PutIdentityProvider,
    PutNamedCredential, PutPermissionSet, PutPrincipal, PutUse, PutUser, PutWebhook, Reconnect, Reconnected,
    RenewalAhead, Replay, Replayed, RotateSecret, Rotation, SavedWebhook, SignInOffer, SignInReport, SignedIn, Tally,
    TokenView, Tokens, Transfer, Transferred, Unnamed, Upgrade, UpgradeReport, UpgradeRow, UserDefinition, UserView,
    Waiting, WebhookView, WhatIf, Whoami,
};
pub use runtime::{Compiler, compile_worker};
pub use users::{AccountKey, Arrival, BegunSignIn, TokenKey};
