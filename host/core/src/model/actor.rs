//! Who asks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What an actor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// See connections, without secrets.
    ViewConnections,
    /// Create, edit, reconnect, enable, delete.
    ManageConnections,
    /// Test and send.
    UseConnections,
    /// Register flows and their uses.
    ManageFlows,
    /// Install, upgrade, enable, feature, remove.
    ManageConnectors,
    /// Named credentials, users, permission sets.
    ManageSetup,
    /// Read the audit.
    ViewAudit,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ViewConnections,
        Self::ManageConnections,
        Self::UseConnections,
        Self::ManageFlows,
        Self::ManageConnectors,
        Self::ManageSetup,
        Self::ViewAudit,
    ];

    /// The name, as everywhere on the outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::ViewConnections => "view-connections",
            Self::ManageConnections => "manage-connections",
            Self::UseConnections => "use-connections",
            Self::ManageFlows => "manage-flows",
            Self::ManageConnectors => "manage-connectors",
            Self::ManageSetup => "manage-setup",
            Self::ViewAudit => "view-audit",
        }
    }
}

/// Who does what nobody asked for. No user has this name.
pub(crate) const HOST: &str = "host";

/// Who asks: every public call of the host takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    permissions: BTreeSet<Permission>,
    principals: BTreeSet<String>,
}

impl Actor {
    /// Somebody with these permissions.
    pub fn new(name: impl Into<String>, permissions: impl IntoIterator<Item = Permission>) -> Self {
        let permissions = permissions.into_iter().collect();
        Self { name: name.into(), permissions, principals: BTreeSet::new() }
    }

    /// The same, to whom these principals are open. For an embedder whose actors are no users of the host: what a user may use
    /// is what its permission sets open.
    /// The right of such an actor is that of the moment in which it made a connection, and stays with that.
    #[must_use]
    pub fn opening(self, principals: impl IntoIterator<Item = String>) -> Self {
        Self { principals: principals.into_iter().collect(), ..self }
    }

    /// Somebody who may do everything.
    pub fn administrator(name: impl Into<String>) -> Self {
        Self::new(name, Permission::ALL)
    }

    /// The name that owners and histories show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this principal was opened to it by hand, or every one is.
    pub(crate) fn opens(&self, principal: &str) -> bool {
        self.may(Permission::ManageSetup) || self.principals.contains(principal)
    }

    /// Whether this permission is held.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}
