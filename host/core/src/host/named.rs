//! Named credentials, the external credentials that they stand on, and principals.

use url::Url;

use super::Host;
use crate::connections::upstream;
use crate::credentials::protocols;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::AuditAction;
use crate::model::error::Error;
use crate::model::view::{
    AuthorizePrincipal, AuthorizedPrincipal, CredentialProtocol, ExternalCredentialView, NamedCredentialView,
    PrincipalView, PutExternalCredential, PutNamedCredential, PutPrincipal,
};

/// External credentials: how a service is signed in to, whoever does it.
impl Host {
    /// Ways to sign in that the host knows by itself, for forms.
    pub fn credential_protocols(&self, actor: &Actor) -> Result<Vec<CredentialProtocol>, Error> {
        self.call(actor, AuditAction::ExternalCredentialView, "")?.need(Permission::ViewConnections)?;
        Ok(protocols())
    }
    /// Sets one up, or changes it.
    pub async fn put_external_credential(
        &self,
        actor: &Actor,
        name: &str,
        put: PutExternalCredential,
    ) -> Result<ExternalCredentialView, Error> {
        let call = self.call(actor, AuditAction::ExternalCredentialPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.put_external(actor, name, put).await)
    }
    /// All of them, by name.
    pub fn external_credentials(&self, actor: &Actor) -> Result<Vec<ExternalCredentialView>, Error> {
        let call = self.call(actor, AuditAction::ExternalCredentialView, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.externals())
    }
    /// One of them.
    pub fn external_credential(&self, actor: &Actor, name: &str) -> Result<ExternalCredentialView, Error> {
        let call = self.call(actor, AuditAction::ExternalCredentialView, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.external(name))
    }
    /// Removes one that nothing stands on.
    pub async fn remove_external_credential(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::ExternalCredentialRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.remove_external(actor, name).await)
    }
}

/// Principals: who signs in. Those are seen that are open to the actor.
impl Host {
    /// Sets one up, or changes it; what it can obtain without a person is obtained at once.
    pub async fn put_principal(&self, actor: &Actor, name: &str, put: PutPrincipal) -> Result<PrincipalView, Error> {
        let call = self.call(actor, AuditAction::PrincipalPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.put_principal(actor, name, put).await)
    }
    /// Those that are open to the actor, by name.
    pub fn principals(&self, actor: &Actor) -> Result<Vec<PrincipalView>, Error> {
        let call = self.call(actor, AuditAction::PrincipalView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.credentials.principals(actor))
    }
    /// One of them.
    pub fn principal(&self, actor: &Actor, name: &str) -> Result<PrincipalView, Error> {
        let call = self.call(actor, AuditAction::PrincipalView, name)?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.credentials.principal(actor, name))
    }
    /// Takes what somebody signs in with as this principal, and signs in. Where a person has to agree in a browser, the answer
    /// says where; `base` is where this host is reached. One that everybody shares takes `manage-setup` besides; of one per user
    /// everybody authorizes an own one.
    pub async fn authorize_principal(
        &self,
        actor: &Actor,
        name: &str,
        base: Option<&Url>,
        authorize: AuthorizePrincipal,
    ) -> Result<AuthorizedPrincipal, Error> {
        let call = self.call(actor, AuditAction::PrincipalAuthorize, name)?;
        call.need(Permission::ManageConnections)?;
        let begun = self.inner.credentials.authorize_principal(actor, name, base, authorize).await;
        let authorization = call.told(begun.map_err(upstream))?;
        Ok(AuthorizedPrincipal { principal: self.inner.credentials.principal(actor, name)?, authorization })
    }
    /// Removes one that no permission set opens and no connection goes by, with what it holds.
    pub async fn remove_principal(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::PrincipalRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.remove_principal(actor, name).await)
    }
}

/// Named credentials: where requests go, and what they prove themselves with.
impl Host {
    /// Sets one up, or changes it; with an external credential and a principal of the same name where these are given.
    pub async fn put_named_credential(
        &self,
        actor: &Actor,
        name: &str,
        put: PutNamedCredential,
    ) -> Result<NamedCredentialView, Error> {
        let call = self.call(actor, AuditAction::NamedCredentialPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.put_named(actor, name, put).await)
    }
    /// All of them, by name.
    pub fn named_credentials(&self, actor: &Actor) -> Result<Vec<NamedCredentialView>, Error> {
        let call = self.call(actor, AuditAction::NamedCredentialView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.credentials.nameds(actor))
    }
    /// One of them.
    pub fn named_credential(&self, actor: &Actor, name: &str) -> Result<NamedCredentialView, Error> {
        let call = self.call(actor, AuditAction::NamedCredentialView, name)?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.credentials.named(actor, name))
    }
    /// Removes one that no connection uses. What it stands on stays.
    pub async fn remove_named_credential(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::NamedCredentialRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.remove_named(actor, name).await)
    }
}
