//! The tables. All of them map bytes to bytes: what the bytes mean is the codec's business, and a copy of the file needs to
//! know neither.

use redb::TableDefinition;

pub(super) type Bytes = &'static [u8];

/// A table of the file. Its name is part of the file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// `version` → the schema's version as decimal text.
    Schema,
    /// Text → text.
    Meta,
    /// Connector name, NUL, version, NUL → installed connector.
    Connectors,
    /// Id → connection.
    Connections,
    /// Lower-case name → id.
    ConnectionsByName,
    /// Connector name, NUL, lower-case name → id.
    ConnectionsByConnector,
    /// Connector name, NUL, version, NUL, id → id.
    ConnectionsByVersion,
    /// Status byte, lower-case name → id.
    ConnectionsByStatus,
    /// Length of the owner, owner, lower-case name → id.
    ConnectionsByOwner,
    /// Connector name, NUL, length of the owner, owner, id → id, of private ones alone.
    ConnectionsPrivate,
    /// Id, version → change.
    History,
    /// Flow id → flow.
    Flows,
    /// Connection id, flow id → nothing.
    FlowsByConnection,
    /// Digest → component. Filled in a backup alone, and emptied when that is opened: otherwise components are files.
    Components,
    /// Connection id → what a sign-in obtained.
    Credentials,
    /// Name → OAuth client.
    IdentityProviders,
    /// Hash of a state or a receipt → sign-in that waits.
    Pending,
    /// Name → permission set.
    PermissionSets,
    /// Name → user.
    Users,
    /// Hash of a token's text → token.
    Tokens,
    /// Place in the chain → record of the audit.
    Audit,
    /// Name → external credential.
    ExternalCredentials,
    /// Name → principal.
    Principals,
    /// Id → what a principal holds.
    Holders,
    /// Name of the principal, NUL, user or nothing → id.
    HoldersByPrincipal,
    /// Name → named credential.
    NamedCredentials,
    /// Name of the named credential, NUL, id → id of a connection.
    ConnectionsByNamed,
    /// Connection id, place in the chain → nothing, of records of what was done to connections or with them.
    AuditByConnection,
    /// Connection id → what the host does to it unasked, and when.
    Upkeep,
    /// Moment, kind byte, connection id → where its requests go, and who may know of it.
    UpkeepDue,
    /// Day, place → how often the host asked it unasked.
    UpkeepSpent,
    /// Place in the sequence → event.
    Events,
    /// Name → endpoint for events.
    Webhooks,
    /// Name of an endpoint → how far it is in the sequence.
    WebhookProgress,
    /// Name of an endpoint, NUL, place in the sequence → delivery that waits for another attempt.
    WebhookPending,
    /// Name of an endpoint, NUL, place in the sequence → delivery that was given up.
    WebhookDead,
    /// Who alone may see them or nobody in particular, status byte → how many connections.
    ConnectionsCounted,
    /// Length of the owner, owner, lower-case name → id, of private ones alone.
    ConnectionsOwnedPrivately,
    /// Name of the identity provider, NUL, id → id of a connection.
    ConnectionsByProvider,
    /// Place in the sequence → nothing, of events that tell a renewal.
    EventsRefreshed,
    /// Issuer, NUL, `s` and a subject or `a` and the name of an account → whose account it is.
    Identities,
}

impl Table {
    pub(super) const ALL: [Self; 41] = [
        Self::Schema,
        Self::Meta,
        Self::Connectors,
        Self::Connections,
        Self::ConnectionsByName,
        Self::ConnectionsByConnector,
        Self::ConnectionsByVersion,
        Self::ConnectionsByStatus,
        Self::ConnectionsByOwner,
        Self::ConnectionsPrivate,
        Self::History,
        Self::Flows,
        Self::FlowsByConnection,
        Self::Components,
        Self::Credentials,
        Self::IdentityProviders,
        Self::Pending,
        Self::PermissionSets,
        Self::Users,
        Self::Tokens,
        Self::Audit,
        Self::ExternalCredentials,
        Self::Principals,
        Self::Holders,
        Self::HoldersByPrincipal,
        Self::NamedCredentials,
        Self::ConnectionsByNamed,
        Self::AuditByConnection,
        Self::Upkeep,
        Self::UpkeepDue,
        Self::UpkeepSpent,
        Self::Events,
        Self::Webhooks,
        Self::WebhookProgress,
        Self::WebhookPending,
        Self::WebhookDead,
        Self::ConnectionsCounted,
        Self::ConnectionsOwnedPrivately,
        Self::ConnectionsByProvider,
        Self::EventsRefreshed,
        Self::Identities,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Meta => "meta",
            Self::Connectors => "connectors",
            Self::Connections => "connections",
            Self::ConnectionsByName => "connections-by-name",
            Self::ConnectionsByConnector => "connections-by-connector",
            Self::ConnectionsByVersion => "connections-by-version",
            Self::ConnectionsByStatus => "connections-by-status",
            Self::ConnectionsByOwner => "connections-by-owner",
            Self::ConnectionsPrivate => "connections-private",
            Self::History => "history",
            Self::Flows => "flows",
            Self::FlowsByConnection => "flows-by-connection",
            Self::Components => "components",
            Self::Credentials => "credentials",
            Self::IdentityProviders => "identity-providers",
            Self::Pending => "pending",
            Self::PermissionSets => "permission-sets",
            Self::Users => "users",
            Self::Tokens => "tokens",
            Self::Audit => "audit",
            Self::ExternalCredentials => "external-credentials",
            Self::Principals => "principals",
            Self::Holders => "holders",
            Self::HoldersByPrincipal => "holders-by-principal",
            Self::NamedCredentials => "named-credentials",
            Self::ConnectionsByNamed => "connections-by-named",
            Self::AuditByConnection => "audit-by-connection",
            Self::Upkeep => "upkeep",
            Self::UpkeepDue => "upkeep-due",
            Self::UpkeepSpent => "upkeep-spent",
            Self::Events => "events",
            Self::Webhooks => "webhooks",
            Self::WebhookProgress => "webhook-progress",
            Self::WebhookPending => "webhook-pending",
            Self::WebhookDead => "webhook-dead",
            Self::ConnectionsCounted => "connections-counted",
            Self::ConnectionsOwnedPrivately => "connections-owned-privately",
            Self::ConnectionsByProvider => "connections-by-provider",
            Self::EventsRefreshed => "events-refreshed",
            Self::Identities => "identities",
        }
    }

    /// Whether what stands in it decides who may use which credential.
    pub(super) fn is_setup(self) -> bool {
        matches!(
            self,
            Self::ExternalCredentials
                | Self::Principals
                | Self::Holders
                | Self::NamedCredentials
                | Self::PermissionSets
                | Self::Users
        )
    }

    /// Whether what stands in it is what pages show of connections, connectors, flows and upkeep. The head of the audit stands
    /// among the facts about the store, and moves with everything.
    pub(super) fn is_shown(self) -> bool {
        self.is_setup()
            || matches!(
                self,
                Self::Connectors
                    | Self::Connections
                    | Self::Flows
                    | Self::Credentials
                    | Self::Upkeep
                    | Self::UpkeepSpent
                    | Self::Webhooks
                    | Self::WebhookPending
                    | Self::WebhookDead
            )
    }

    pub(super) fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn every_table_stands_at_its_own_place() {
        for (place, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, place, "{}", table.name());
        }
    }
}
