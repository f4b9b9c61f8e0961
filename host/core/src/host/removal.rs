//! What stands in the way of a removal, told before anybody tries.

use super::Host;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::AuditAction;
use crate::model::error::{Error, User};

/// Something that is set up once for everybody, and that other things lean on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// An OAuth client, which connections use.
    IdentityProvider,
    /// Which users hold.
    PermissionSet,
    /// Whose private connections would be nobody's.
    User,
    /// Which principals and named credentials stand on.
    ExternalCredential,
    /// Which permission sets open, and connections go by.
    Principal,
    /// Which connections go by.
    NamedCredential,
}

impl Host {
    /// What leans on this, and would have it kept.
    pub fn leaning_on(&self, actor: &Actor, kind: Setup, name: &str) -> Result<Vec<User>, Error> {
        let action = match kind {
            Setup::IdentityProvider => AuditAction::IdentityProviderView,
            Setup::PermissionSet => AuditAction::PermissionSetView,
            Setup::User => AuditAction::UserView,
            Setup::ExternalCredential => AuditAction::ExternalCredentialView,
            Setup::Principal => AuditAction::PrincipalView,
            Setup::NamedCredential => AuditAction::NamedCredentialView,
        };
        let call = self.call(actor, action, name)?;
        call.need(Permission::ManageSetup)?;
        let (credentials, users) = (&self.inner.credentials, &self.inner.users);
        call.told(match kind {
            Setup::IdentityProvider => credentials.leaning_on_provider(actor, name),
            Setup::PermissionSet => users.leaning_on_set(name),
            Setup::User => users.leaning_on_user(name),
            Setup::ExternalCredential => credentials.leaning_on_external(name),
            Setup::Principal => credentials.leaning_on_principal(actor, name),
            Setup::NamedCredential => credentials.leaning_on_named(actor, name),
        })
    }
}
