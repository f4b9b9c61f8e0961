//! The host signs in alone, and does so again when a token has expired.

use super::Flow;
use super::client::Client;
use crate::{Assertion, Authentication, Grant};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The client itself is whose access it is (RFC 6749 section 4.4). The protocol signs in
/// [`SignIn::Unattended`](crate::SignIn::Unattended).
///
/// ```
/// # use turnbuckle_sdk::oauth2;
/// oauth2::client_credentials("https://example.com/token").client_in_body().token_parameter("audience", "{url}").build();
/// ```
pub fn client_credentials(token_url: impl Into<String>) -> Flow<Unattended> {
    let token = vec![("grant_type", "client_credentials")];
    Flow::new(Unattended { token }, token_url, Client::Header)
}

/// A signed assertion is the grant (RFC 7523 section 2.1); its audience is the token URL where it says nothing else. The
/// client goes unnamed until told otherwise. The protocol signs in [`SignIn::Unattended`](crate::SignIn::Unattended).
///
/// ```
/// use turnbuckle_sdk::{Algorithm, Assertion, jwt_bearer};
///
/// let account = Assertion::new(Algorithm::Rs256, "{private-key}")
///     .issuer("{client-email}")
///     .claim("scope", "https://www.googleapis.com/auth/spreadsheets")
///     .lifetime(3600);
/// jwt_bearer("https://oauth2.googleapis.com/token", account).build();
/// ```
pub fn jwt_bearer(token_url: impl Into<String>, assertion: Assertion) -> Flow<Unattended> {
    let token = vec![("grant_type", JWT_BEARER), ("assertion", "{assertion}")];
    Flow { assertion: Some(assertion), ..Flow::new(Unattended { token }, token_url, Client::Unnamed) }
}

/// Signing in takes nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unattended {
    token: Vec<(&'static str, &'static str)>,
}

impl Flow<Unattended> {
    /// What is asked for, as the service separates it.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.token_parameter("scope", scope)
    }

    /// As the contract writes it.
    pub fn build(self) -> Authentication {
        let revocation = self.revocations(&["access-token"]);
        let grant = Grant { token: vec![self.token_request(&self.sign_in.token)], revocation, ..Grant::default() };
        self.finish(grant)
    }
}
