//! What a change would do. It is not worked out anew: the change itself is rehearsed, so that a preview is never of anything but
//! of what would happen.

mod survey;

use tokio::sync::oneshot;

use super::{Host, connector_key};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::AuditAction;
use crate::model::connector::Installed;
use crate::model::error::Error;
use crate::model::view::{Preview, WhatIf};
use crate::store::Store;
use crate::users::Users;
use survey::{Scope, Survey, Told};

impl Host {
    /// What a change would do: which connections would be affected and how, and which flows lean on them. Nothing is changed,
    /// recorded or told to anybody, nothing leaves the machine, and a change that would be refused is refused in the same words.
    /// It takes the permission that the change takes; only the lack of that is put down in the audit.
    pub async fn preview(&self, actor: &Actor, what: WhatIf) -> Result<Preview, Error> {
        let (action, permission, key) = asked(&what);
        let call = self.call(actor, action, key)?;
        call.need(permission)?;
        call.rehearsed();
        let scope = self.scope(actor, &what)?;
        let told = Told::to(actor, &what);
        let (now, unchanged) = (self.inner.outside.now(), unchanged(&what));
        let (store, mut seen) = self.inner.store.rehearsing(
            move |reader| Survey::of(reader, &scope, now),
            move |reader, before: Survey| before.compared(reader, &told),
        );
        match (self.rehearse(actor, what, store).await, seen.try_recv()) {
            (_, Ok(preview)) => Ok(preview),
            (Err(error), Err(oneshot::error::TryRecvError::Empty | oneshot::error::TryRecvError::Closed)) => Err(error),
            // It would change nothing.
            (Ok(()), Err(oneshot::error::TryRecvError::Empty | oneshot::error::TryRecvError::Closed)) => {
                Ok(Preview { notes: vec![unchanged.to_owned()], complete: true, ..Preview::default() })
            }
        }
    }

    /// Where to look for what would be affected.
    fn scope(&self, actor: &Actor, what: &WhatIf) -> Result<Scope, Error> {
        Ok(match what {
            WhatIf::EditConnection { key, .. }
            | WhatIf::EnableConnection { key, .. }
            | WhatIf::DeleteConnection { key } => Scope::Connection(self.inner.connections.find(actor, key)?.id),
            WhatIf::EnableConnector { .. } | WhatIf::RemoveConnector { .. } => Scope::Nothing,
            WhatIf::PutPermissionSet { .. }
            | WhatIf::RemovePermissionSet { .. }
            | WhatIf::PutUser { .. }
            | WhatIf::RemoveUser { .. } => Scope::People,
            WhatIf::PutIdentityProvider { name, .. } | WhatIf::RemoveIdentityProvider { name } => {
                Scope::Provider(name.clone())
            }
            WhatIf::PutExternalCredential { name, .. }
            | WhatIf::RemoveExternalCredential { name }
            | WhatIf::PutPrincipal { name, .. }
            | WhatIf::RemovePrincipal { name }
            | WhatIf::PutNamedCredential { name, .. }
            | WhatIf::RemoveNamedCredential { name } => Scope::Credential(name.trim().to_lowercase()),
        })
    }

    /// Makes the change over a store that takes it back.
    async fn rehearse(&self, actor: &Actor, what: WhatIf, store: Store) -> Result<(), Error> {
        let inner = &self.inner;
        let users = Users { store: store.clone(), ..inner.users.clone() };
        let (catalog, credentials) = (inner.catalog.over(store.clone()), inner.credentials.over(store.clone()));
        let connections = inner.connections.over(store);
        match what {
            WhatIf::EditConnection { key, edit } => drop(connections.edit(actor, &key, edit).await?),
            WhatIf::EnableConnection { key, enabled } => drop(connections.enable(actor, &key, enabled).await?),
            WhatIf::DeleteConnection { key } => connections.delete(actor, &key).await?,
            WhatIf::EnableConnector { name, enabled } => {
                let action = if enabled { AuditAction::ConnectorEnable } else { AuditAction::ConnectorDisable };
                let change = move |installed: &mut Installed| installed.enabled = enabled;
                drop(catalog.change(actor, action, &connector_key(&name)?, change).await?);
            }
            WhatIf::RemoveConnector { name } => catalog.remove(actor, &connector_key(&name)?).await?,
            WhatIf::PutPermissionSet { name, put } => drop(users.put_set(actor, &name, put).await?),
            WhatIf::RemovePermissionSet { name } => users.remove_set(actor, &name).await?,
            WhatIf::PutUser { name, put } => drop(users.put(actor, &name, put).await?),
            WhatIf::RemoveUser { name } => users.remove(actor, &name).await?,
            WhatIf::PutIdentityProvider { name, put } => drop(credentials.put_provider(actor, &name, put).await?),
            WhatIf::RemoveIdentityProvider { name } => credentials.remove_provider(actor, &name).await?,
            WhatIf::PutExternalCredential { name, put } => drop(credentials.put_external(actor, &name, put).await?),
            WhatIf::RemoveExternalCredential { name } => credentials.remove_external(actor, &name).await?,
            WhatIf::PutPrincipal { name, put } => drop(credentials.put_principal(actor, &name, put).await?),
            WhatIf::RemovePrincipal { name } => credentials.remove_principal(actor, &name).await?,
            WhatIf::PutNamedCredential { name, put } => drop(credentials.put_named(actor, &name, *put).await?),
            WhatIf::RemoveNamedCredential { name } => credentials.remove_named(actor, &name).await?,
        }
        Ok(())
    }
}

/// What the change is called, what it takes, and what it is done to.
fn asked(what: &WhatIf) -> (AuditAction, Permission, &str) {
    use {AuditAction as Action, Permission as Needs};
    match what {
        WhatIf::EditConnection { key, .. } => (Action::ConnectionEdit, Needs::ManageConnections, key),
        WhatIf::EnableConnection { key, enabled: true } => (Action::ConnectionEnable, Needs::ManageConnections, key),
        WhatIf::EnableConnection { key, enabled: false } => (Action::ConnectionDisable, Needs::ManageConnections, key),
        WhatIf::DeleteConnection { key } => (Action::ConnectionDelete, Needs::ManageConnections, key),
        WhatIf::EnableConnector { name, enabled: true } => (Action::ConnectorEnable, Needs::ManageConnectors, name),
        WhatIf::EnableConnector { name, enabled: false } => (Action::ConnectorDisable, Needs::ManageConnectors, name),
        WhatIf::RemoveConnector { name } => (Action::ConnectorRemove, Needs::ManageConnectors, name),
        WhatIf::PutPermissionSet { name, .. } => (Action::PermissionSetPut, Needs::ManageSetup, name),
        WhatIf::RemovePermissionSet { name } => (Action::PermissionSetRemove, Needs::ManageSetup, name),
        WhatIf::PutUser { name, .. } => (Action::UserPut, Needs::ManageSetup, name),
        WhatIf::RemoveUser { name } => (Action::UserRemove, Needs::ManageSetup, name),
        WhatIf::PutIdentityProvider { name, .. } => (Action::IdentityProviderPut, Needs::ManageSetup, name),
        WhatIf::RemoveIdentityProvider { name } => (Action::IdentityProviderRemove, Needs::ManageSetup, name),
        WhatIf::PutExternalCredential { name, .. } => (Action::ExternalCredentialPut, Needs::ManageSetup, name),
        WhatIf::RemoveExternalCredential { name } => (Action::ExternalCredentialRemove, Needs::ManageSetup, name),
        WhatIf::PutPrincipal { name, .. } => (Action::PrincipalPut, Needs::ManageSetup, name),
        WhatIf::RemovePrincipal { name } => (Action::PrincipalRemove, Needs::ManageSetup, name),
        WhatIf::PutNamedCredential { name, .. } => (Action::NamedCredentialPut, Needs::ManageSetup, name),
        WhatIf::RemoveNamedCredential { name } => (Action::NamedCredentialRemove, Needs::ManageSetup, name),
    }
}

/// What is said where a change would write nothing.
fn unchanged(what: &WhatIf) -> &'static str {
    match what {
        WhatIf::EditConnection { .. } => {
            "nothing of the connection would change; it would be tested, if it is switched on"
        }
        WhatIf::EnableConnection { enabled: true, .. } => "the connection is switched on already",
        WhatIf::EnableConnection { enabled: false, .. } => "the connection is switched off already",
        WhatIf::DeleteConnection { .. }
        | WhatIf::EnableConnector { .. }
        | WhatIf::RemoveConnector { .. }
        | WhatIf::PutPermissionSet { .. }
        | WhatIf::RemovePermissionSet { .. }
        | WhatIf::PutUser { .. }
        | WhatIf::RemoveUser { .. }
        | WhatIf::PutIdentityProvider { .. }
        | WhatIf::RemoveIdentityProvider { .. }
        | WhatIf::PutExternalCredential { .. }
        | WhatIf::RemoveExternalCredential { .. }
        | WhatIf::PutPrincipal { .. }
        | WhatIf::RemovePrincipal { .. }
        | WhatIf::PutNamedCredential { .. }
        | WhatIf::RemoveNamedCredential { .. } => "nothing would change",
    }
}
