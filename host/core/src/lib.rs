#![doc = include_str!("../ARCHITECTURE.md")]
#![cfg_attr(doc, allow(rustdoc::private_intra_doc_links, reason = "the map names modules that only its readers see"))]

mod host;

pub mod config;
mod flows;

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
pub use host::{Builder, CallbackAnswer, Host, verify_audit_export};
pub use model::actor::{Actor, Permission};
pub use model::audit::{
    AuditAction, AuditBreak, AuditChain, AuditEvent, AuditFilter, AuditKind, AuditLink, AuditObject, AuditOutcome,
    AuditProblem, AuditRecord, AuditReport, InvalidLink, UnknownAction,
};
pub use model::connection::{Change, ChangeKind, Status, Visibility};
pub use model::connector::{ConnectorRef, Installed, Surface};
pub use model::descriptor::{Choice, Descriptor, Field, FieldKind, Lifecycle, Protocol, SignIn};
pub use model::error::{Error, FieldProblem, User};
pub use model::flow::{Flow, FlowStatus, Progress, Use, UsedAs};
pub use model::id::{ConnectionId, ConnectorName, Digest, FlowId, InvalidName};
pub use model::origin::{Origin, OriginError};
pub use model::outside::Outside;
pub use model::secret::Secret;
pub use model::user::PermissionSet;
pub use model::verdict::{Account, Exchange, Failure, FailureKind, Outcome, Verdict};
pub use model::view::{
    Alert, Authorization, Authorize, CheckReport, ConnectionFilter, ConnectionView, ConnectorFilter, ConnectorView,
    Cookie, CreatedToken, CredentialView, EditConnection, FlowReport, FlowRow, HostReport, IdentityProviderView,
    InstallReport, NewConnection, NewToken, Page, PutFlow, PutIdentityProvider, PutPermissionSet, PutUse, PutUser,
    Reconnect, Reconnected, Rotation, TokenView, Tokens, Transferred, Upgrade, UpgradeReport, UpgradeRow, UserView,
    Whoami,
};
pub use runtime::{Compiler, compile_worker};
pub use users::TokenKey;
