//! Who works with a host: users, what they may do, and the tokens by which they are known.

use super::Host;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::error::Error;
use crate::model::id::ConnectorName;
use crate::model::user::PermissionSet;
use crate::model::view::{
    ConnectorView, CreatedToken, NewToken, PutPermissionSet, PutUser, TokenView, Transfer, Transferred, UserView,
    Whoami,
};
use crate::users::TokenKey;

/// The switch of the whole.
impl Host {
    /// Refuses where the operator switched integrations off: what every call to do with connectors, connections and flows asks
    /// first.
    pub(super) fn integrations(&self) -> Result<(), Error> {
        if self.inner.integrations {
            return Ok(());
        }
        Err(Error::Refused {
            rule: "integrations-disabled",
            message: "integrations are switched off on this host".into(),
            hint: Some("set `enabled = true` under `[integrations]` in turnbuckle.toml, and start it again".into()),
        })
    }
}

/// What others keep to themselves.
impl Host {
    /// Counts only what the actor may see.
    pub(super) fn count_seen(&self, actor: &Actor, views: &mut [ConnectorView]) -> Result<(), Error> {
        for view in views {
            let hidden = self.hidden(actor, Some(&view.installed.reference.name))?;
            view.connections = view.connections.saturating_sub(hidden);
        }
        Ok(())
    }
    /// How many connections are not there for this actor. Whoever looks after connectors or the host has to know of all of them:
    /// they stand in the way of a removal.
    pub(super) fn hidden(&self, actor: &Actor, connector: Option<&ConnectorName>) -> Result<u64, Error> {
        if actor.may(Permission::ManageConnectors) || actor.may(Permission::ManageSetup) {
            return Ok(0);
        }
        Ok(self.inner.store.read(|reader| reader.count_hidden(actor.name(), connector))?)
    }
}

/// Permission sets.
impl Host {
    /// Adds a permission set, or changes it. Its users may do what it says from their next request on.
    pub async fn put_permission_set(
        &self,
        actor: &Actor,
        name: &str,
        put: PutPermissionSet,
    ) -> Result<PermissionSet, Error> {
        let call = self.call(actor, AuditAction::PermissionSetPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.put_set(actor, name, put).await)
    }
    /// All of them, by name.
    pub fn permission_sets(&self, actor: &Actor) -> Result<Vec<PermissionSet>, Error> {
        let call = self.call(actor, AuditAction::PermissionSetView, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.sets())
    }
    /// One of them.
    pub fn permission_set(&self, actor: &Actor, name: &str) -> Result<PermissionSet, Error> {
        let call = self.call(actor, AuditAction::PermissionSetView, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.set(name))
    }
    /// Removes one that no user holds.
    pub async fn remove_permission_set(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::PermissionSetRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.remove_set(actor, name).await)
    }
}

/// Users. Their names are kept in lower case.
impl Host {
    /// Adds a user, or changes one. The last one that holds `manage-setup` keeps it.
    pub async fn put_user(&self, actor: &Actor, name: &str, put: PutUser) -> Result<UserView, Error> {
        let call = self.call(actor, AuditAction::UserPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.put(actor, name, put).await)
    }
    /// All of them, by name.
    pub fn users(&self, actor: &Actor) -> Result<Vec<UserView>, Error> {
        let call = self.call(actor, AuditAction::UserView, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.list())
    }
    /// One of them.
    pub fn user(&self, actor: &Actor, name: &str) -> Result<UserView, Error> {
        let call = self.call(actor, AuditAction::UserView, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.get(name))
    }
    /// Removes a user and its tokens; refused while it owns private connections.
    pub async fn remove_user(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::UserRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.remove(actor, name).await)
    }
    /// Makes another user the owner of a connection: by its owner, or by whoever holds `manage-setup`, who may know of private
    /// ones too.
    pub async fn transfer_connection(
        &self,
        actor: &Actor,
        key: &str,
        transfer: Transfer,
    ) -> Result<Transferred, Error> {
        let call = self.call(actor, AuditAction::ConnectionTransfer, key)?;
        call.told(self.inner.connections.transfer(actor, key, transfer).await)
    }
}

/// Tokens.
impl Host {
    /// Makes a token. Its text is in the answer and nowhere else.
    pub async fn create_token(&self, actor: &Actor, new: NewToken) -> Result<CreatedToken, Error> {
        let name = new.name.clone();
        let call = self.call(actor, AuditAction::TokenCreate, &name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.create_token(actor, new).await)
    }
    /// All of them, by name.
    pub fn tokens(&self, actor: &Actor) -> Result<Vec<TokenView>, Error> {
        let call = self.call(actor, AuditAction::TokenView, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.tokens())
    }
    /// One of them.
    pub fn token(&self, actor: &Actor, name: &str) -> Result<TokenView, Error> {
        let call = self.call(actor, AuditAction::TokenView, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.token(name))
    }
    /// Takes a token back: it opens nothing from the next request on. An answer that is under way goes on to its end.
    pub async fn revoke_token(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::TokenRevoke, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.revoke_token(actor, name).await)
    }
    /// Whom a token stands for at this moment. Ask at each request: permissions change.
    pub fn authenticate(&self, token: &str) -> Option<Actor> {
        self.authenticate_key(&TokenKey::of(token)?)
    }
    /// As [`Host::authenticate`], for a face that knows a token by its key alone: a session in a browser, say.
    pub fn authenticate_key(&self, key: &TokenKey) -> Option<Actor> {
        // Nobody gets in while it can't be said who it is.
        self.inner.users.authenticate(key).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a token could not be looked up");
            None
        })
    }
    /// What the user of this name may do at this moment, which is nothing where it is disabled; none where there is no such user.
    pub fn standing(&self, name: &str) -> Result<Option<Actor>, Error> {
        crate::users::standing(&self.inner.store, name)
    }
    /// Puts down that this actor was let in: for a face that keeps sessions.
    pub fn note_sign_in(&self, actor: &Actor) {
        let object = AuditObject::host();
        let event = AuditEvent::new(self.inner.outside.now(), actor.name(), AuditAction::HostSignIn, object);
        self.inner.store.note(event);
    }
    /// What this actor is. Everybody may ask that of itself.
    pub fn whoami(&self, actor: &Actor) -> Result<Whoami, Error> {
        self.inner.users.whoami(actor)
    }
    /// Makes an administrator where the host has none, with a token that is told here and never again. For whoever starts a
    /// server; an embedder that has users of its own needs no administrator.
    pub async fn first_administrator(&self) -> Result<Option<CreatedToken>, Error> {
        self.inner.users.first_administrator().await
    }
}
