//! People who sign in by accounts at the operator's OpenID provider.

use url::Url;

use super::Host;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::AuditAction;
use crate::model::error::Error;
use crate::model::secret::Secret;
use crate::model::view::{AccountOf, SignInOffer, SignInReport, UserView};
use crate::users::{AccountKey, Arrival, BegunSignIn};

/// Accounts of users.
impl Host {
    /// Binds an account at an OpenID provider to a user: whoever signs in with it is that user.
    pub async fn bind_account(&self, actor: &Actor, user: &str, account: AccountOf) -> Result<UserView, Error> {
        let call = self.call(actor, AuditAction::UserBind, user)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.bind(actor, user, account).await)
    }
    /// Takes an account from a user: it signs nobody in any more, and who signed in with it is out at the next request.
    pub async fn unbind_account(&self, actor: &Actor, user: &str, account: AccountOf) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::UserUnbind, user)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.unbind(actor, user, account).await)
    }
}

/// Signing in, for a face that keeps sessions. Nobody is known yet, so none of it takes an actor.
impl Host {
    /// By which provider people may sign in; none where the operator set none up.
    pub fn sign_in_offer(&self) -> Option<SignInOffer> {
        self.inner.users.offer()
    }
    /// Begins a sign-in. `base` is where this host is reached; the browser comes back to `/sign-in/oidc/callback` below it, and
    /// has to bring the proof that it was given.
    pub async fn begin_sign_in(&self, base: &Url) -> Result<BegunSignIn, Error> {
        self.inner.users.begin_sign_in(base).await
    }
    /// Finishes a sign-in with what the browser brought back: the parameters of the callback, and its proof.
    pub async fn finish_sign_in(
        &self,
        base: &Url,
        parameters: &[(String, String)],
        proof: Option<Secret>,
    ) -> Result<Arrival, Error> {
        self.inner.users.finish_sign_in(base, parameters, proof).await
    }
    /// Whom an account signs in at this moment. Ask at each request: bindings and permissions change.
    pub fn authenticate_account(&self, key: &AccountKey) -> Option<Actor> {
        // Nobody gets in while it can't be said who it is.
        self.inner.users.of_account(key).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an account could not be looked up");
            None
        })
    }
    /// Asks the provider what it says of itself and for its keys, as a sign-in would.
    pub async fn check_sign_in(&self, actor: &Actor, base: Option<&Url>) -> Result<SignInReport, Error> {
        let call = self.call(actor, AuditAction::HostView, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.users.check_sign_in(base).await)
    }
}
