//! A change that is asked about before it is made, and what it would do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    EditConnection, PutExternalCredential, PutIdentityProvider, PutNamedCredential, PutPermissionSet, PutPrincipal,
    PutUser,
};
use crate::model::actor::Permission;
use crate::model::connection::Status;
use crate::model::flow::FlowStatus;
use crate::model::id::{ConnectionId, FlowId};

/// A change that is not to be made, only to be told about. Names and keys are those that the change itself takes.
///
/// An upgrade of a connector tells the same by [`Upgrade::dry_run`](super::Upgrade::dry_run).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WhatIf {
    /// [`Host::edit_connection`](crate::Host::edit_connection), without its test.
    EditConnection {
        /// Its id or name.
        key: String,
        /// What would change.
        edit: EditConnection,
    },
    /// [`Host::enable_connection`](crate::Host::enable_connection).
    EnableConnection {
        /// Its id or name.
        key: String,
        /// Whether it would be switched on.
        enabled: bool,
    },
    /// [`Host::delete_connection`](crate::Host::delete_connection).
    DeleteConnection {
        /// Its id or name.
        key: String,
    },
    /// [`Host::enable_connector`](crate::Host::enable_connector).
    EnableConnector {
        /// `github`, or `github@1.2.0`.
        name: String,
        /// Whether new connections could be made with it.
        enabled: bool,
    },
    /// [`Host::remove_connector`](crate::Host::remove_connector).
    RemoveConnector {
        /// `github`, or `github@1.2.0`.
        name: String,
    },
    /// [`Host::put_permission_set`](crate::Host::put_permission_set).
    PutPermissionSet {
        /// Its name.
        name: String,
        /// What would change.
        put: PutPermissionSet,
    },
    /// [`Host::remove_permission_set`](crate::Host::remove_permission_set).
    RemovePermissionSet {
        /// Its name.
        name: String,
    },
    /// [`Host::put_user`](crate::Host::put_user).
    PutUser {
        /// The user's name.
        name: String,
        /// What would change.
        put: PutUser,
    },
    /// [`Host::remove_user`](crate::Host::remove_user).
    RemoveUser {
        /// The user's name.
        name: String,
    },
    /// [`Host::put_identity_provider`](crate::Host::put_identity_provider).
    PutIdentityProvider {
        /// Its name.
        name: String,
        /// What would change.
        put: PutIdentityProvider,
    },
    /// [`Host::remove_identity_provider`](crate::Host::remove_identity_provider).
    RemoveIdentityProvider {
        /// Its name.
        name: String,
    },
    /// [`Host::put_external_credential`](crate::Host::put_external_credential).
    PutExternalCredential {
        /// Its name.
        name: String,
        /// What would change.
        put: PutExternalCredential,
    },
    /// [`Host::remove_external_credential`](crate::Host::remove_external_credential).
    RemoveExternalCredential {
        /// Its name.
        name: String,
    },
    /// [`Host::put_principal`](crate::Host::put_principal), without signing in.
    PutPrincipal {
        /// Its name.
        name: String,
        /// What would change.
        put: PutPrincipal,
    },
    /// [`Host::remove_principal`](crate::Host::remove_principal).
    RemovePrincipal {
        /// Its name.
        name: String,
    },
    /// [`Host::put_named_credential`](crate::Host::put_named_credential), without signing in.
    PutNamedCredential {
        /// Its name.
        name: String,
        /// What would change.
        put: Box<PutNamedCredential>,
    },
    /// [`Host::remove_named_credential`](crate::Host::remove_named_credential).
    RemoveNamedCredential {
        /// Its name.
        name: String,
    },
}

/// What a change would do, of which nothing was done. One that would be refused has no preview but its refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Preview {
    /// The connections that would be affected, those that would break first.
    pub connections: Vec<Affected>,
    /// Users who could do more or less than before; told to those who look after users.
    pub users: Vec<AffectedUser>,
    /// What else would follow, each a sentence.
    pub notes: Vec<String>,
    /// What would be affected and is not named: it is private to others, there is no permission to see it, or there is too much.
    pub unnamed: Unnamed,
    /// Whether everything was looked at that may be affected: only so many connections are.
    pub complete: bool,
}

/// How many would be affected besides those that are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Unnamed {
    /// Connections.
    pub connections: u64,
    /// Of these, how many would break.
    pub breaking: u64,
    /// Flows.
    pub flows: u64,
}

/// A connection that would be affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Affected {
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ConnectionId,
    /// Its name at present.
    pub name: String,
    /// How it stands at present.
    pub status: Status,
    /// What would become of it.
    pub effect: Effect,
    /// Whether what leans on it would break.
    pub breaks: bool,
    /// Why, or what of it would change: a sentence.
    pub reason: String,
    /// The flows that lean on it.
    pub flows: Vec<AffectedFlow>,
}

/// What would become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// It would be gone.
    Deleted,
    /// It would be switched off.
    Disabled,
    /// It would stop working until a person does something.
    Stops,
    /// Its owner would have no right any more to what it goes by.
    LosesRight,
    /// It would be changed, and tested anew.
    Tested,
    /// It would go on in another way, and not be tested.
    Changed,
    /// It would be switched on.
    Enabled,
    /// What stands in its way would be gone.
    Resumes,
}

impl Effect {
    /// Whether what leans on the connection would break.
    pub fn breaks(self) -> bool {
        match self {
            Self::Deleted | Self::Disabled | Self::Stops | Self::LosesRight => true,
            Self::Tested | Self::Changed | Self::Enabled | Self::Resumes => false,
        }
    }

    /// As it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Disabled => "disabled",
            Self::Stops => "stops",
            Self::LosesRight => "loses-right",
            Self::Tested => "tested",
            Self::Changed => "changed",
            Self::Enabled => "enabled",
            Self::Resumes => "resumes",
        }
    }
}

/// A flow that leans on a connection that would be affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AffectedFlow {
    /// The embedder's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: FlowId,
    /// What a person reads.
    pub name: String,
    /// How it stands with its embedder.
    pub status: FlowStatus,
}

/// A user who could do more or less than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AffectedUser {
    /// The user's name.
    pub name: String,
    /// What could be done besides.
    pub gains: BTreeSet<Permission>,
    /// What could be done no more.
    pub loses: BTreeSet<Permission>,
}
