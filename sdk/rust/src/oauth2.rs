//! OAuth 2.0 as services speak it, each grant in a line and their quirks in a line each.
//!
//! The client is the fields `client-id` and `client-secret`; [`Protocol::oauth2`](crate::Protocol::oauth2) and
//! [`Protocol::client_credentials`](crate::Protocol::client_credentials) ask for them. Every text is a template.
//!
//! ```
//! use turnbuckle_sdk::{Capture, oauth2};
//!
//! // Salesforce: tells no lifetime, and where the organisation lives.
//! oauth2::authorization_code("{login}/services/oauth2/authorize", "{login}/services/oauth2/token")
//!     .scope("api refresh_token")
//!     .capture(Capture::body("instance-url", "/instance_url").visible())
//!     .revocation("{login}/services/oauth2/revoke")
//!     .lifetime(7200)
//!     .build();
//!
//! // Google: a refresh token only where it is asked for.
//! oauth2::authorization_code("https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token")
//!     .scope("https://www.googleapis.com/auth/spreadsheets")
//!     .authorization_parameter("access_type", "offline")
//!     .authorization_parameter("prompt", "consent")
//!     .build();
//!
//! // Slack: a user's token lies deeper.
//! oauth2::authorization_code("https://slack.com/oauth/v2/authorize", "https://slack.com/api/oauth.v2.access")
//!     .authorization_parameter("user_scope", "search:read")
//!     .access_token_at("/authed_user/access_token")
//!     .build();
//!
//! oauth2::client_credentials("https://{tenant}.example.com/oauth/token").scope("{scope}").build();
//! ```

mod browser;
mod client;
mod unattended;

pub use browser::{Browser, authorization_code};
pub use unattended::{Unattended, client_credentials, jwt_bearer};

use crate::authentication::parameter;
use crate::{Assertion, Authentication, Body, Capture, Grant, Parameter, Placement, Request};
use client::Client;

/// A grant in the making; `S` is what signing in takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "build it"]
pub struct Flow<S> {
    sign_in: S,
    token_url: String,
    client: Client,
    token_parameters: Vec<Parameter>,
    /// The assertion that is itself the grant.
    assertion: Option<Assertion>,
    captures: Vec<Capture>,
    token_captures: Vec<Capture>,
    then: Vec<Request>,
    revocation: Option<String>,
    lifetime_seconds: Option<u32>,
    grant_placements: Vec<Placement>,
    placements: Vec<Placement>,
}

impl<S> Flow<S> {
    fn new(sign_in: S, token_url: impl Into<String>, client: Client) -> Self {
        Self {
            sign_in,
            token_url: token_url.into(),
            client,
            token_parameters: Vec::new(),
            assertion: None,
            captures: Vec::new(),
            token_captures: Vec::new(),
            then: Vec::new(),
            revocation: None,
            lifetime_seconds: None,
            grant_placements: Vec::new(),
            placements: Vec::new(),
        }
    }

    /// The client proves itself by basic authentication (RFC 6749 section 2.3.1).
    pub fn client_in_header(mut self) -> Self {
        self.client = Client::Header;
        self
    }

    /// The client proves itself by `client_id` and `client_secret` in the form.
    pub fn client_in_body(mut self) -> Self {
        self.client = Client::Body;
        self
    }

    /// The client has no secret and says only who it is.
    pub fn public_client(mut self) -> Self {
        self.client = Client::Public;
        self
    }

    /// The client proves itself by a signed assertion (RFC 7523 section 2.2). Issuer and subject are the client and the
    /// audience is the token URL, where it says nothing else.
    ///
    /// ```
    /// # use turnbuckle_sdk::{Algorithm, Assertion, oauth2};
    /// oauth2::client_credentials("https://login.example.com/token")
    ///     .client_assertion(Assertion::new(Algorithm::Rs256, "{private-key}").key_id("{key-id}"))
    ///     .build();
    /// ```
    pub fn client_assertion(mut self, assertion: Assertion) -> Self {
        self.client = Client::Assertion(assertion);
        self
    }

    /// A further parameter of the token request, such as `audience`.
    pub fn token_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.token_parameters.push(parameter(name, value));
        self
    }

    /// Keeps something of each answer that brings a token.
    pub fn capture(mut self, capture: Capture) -> Self {
        self.captures.push(capture);
        self
    }

    /// Keeps something of the first answer, which a refresh does not repeat.
    pub fn token_capture(mut self, capture: Capture) -> Self {
        self.token_captures.push(capture);
        self
    }

    /// Where the first answer holds the access token, if not at `/access_token`. For a service that answers each refresh
    /// in the same way, [`capture`](Self::capture) it.
    pub fn access_token_at(self, pointer: impl Into<String>) -> Self {
        self.token_capture(Capture::body("access-token", pointer))
    }

    /// A request after the token's, which may use `{access-token}`: to find out which site the token is for, say.
    pub fn then(mut self, request: Request) -> Self {
        self.then.push(request);
        self
    }

    /// Where tokens are revoked (RFC 7009) when the connection is deleted or reconnected.
    pub fn revocation(mut self, url: impl Into<String>) -> Self {
        self.revocation = Some(url.into());
        self
    }

    /// How long a token lasts, where no answer tells.
    pub fn lifetime(mut self, seconds: u32) -> Self {
        self.lifetime_seconds = Some(seconds);
        self
    }

    /// Attaches this to the requests for tokens: a header that the service insists on, the client's certificate.
    pub fn grant_placement(mut self, placement: impl Into<Placement>) -> Self {
        self.grant_placements.push(placement.into());
        self
    }

    /// Attaches this to every request through the connection, instead of `Authorization: Bearer {access-token}`.
    pub fn place(mut self, placement: impl Into<Placement>) -> Self {
        self.placements.push(placement.into());
        self
    }

    /// A request to one of the server's endpoints, with the client's part.
    fn request(&self, url: &str, parameters: impl IntoIterator<Item = Parameter>) -> Request {
        let parameters = parameters.into_iter().chain(self.client.parameters()).collect();
        let placements = [Placement::header("Accept", "application/json")]
            .into_iter()
            .chain(self.client.placement())
            .chain(self.grant_placements.iter().cloned())
            .collect();
        Request { placements, body: Body::Form(parameters), ..Request::post(url) }
    }

    fn token_request(&self, grant: &[(&str, &str)]) -> Request {
        let grant = grant.iter().map(|(name, value)| parameter(*name, *value));
        let captures = self.captures.iter().chain(&self.token_captures).cloned().collect();
        Request { captures, ..self.request(&self.token_url, grant.chain(self.token_parameters.iter().cloned())) }
    }

    /// The hints let a server find it at once (RFC 7009 section 2.1).
    fn revocations(&self, tokens: &[&str]) -> Vec<Request> {
        let revoke = |url: &String| {
            let request = |token: &&str| {
                let hint = token.replace('-', "_");
                let parameters = [parameter("token", format!("{{{token}}}")), parameter("token_type_hint", hint)];
                self.request(url, parameters)
            };
            tokens.iter().map(request).collect()
        };
        self.revocation.as_ref().map(revoke).unwrap_or_default()
    }

    fn finish(self, mut grant: Grant) -> Authentication {
        let mut authentication = Authentication::new();
        if let Some(assertion) = self.assertion {
            authentication = authentication.jwt("assertion", assertion.or_claims([("aud", self.token_url.as_str())]));
        }
        if let Some(assertion) = self.client.assertion(&self.token_url) {
            authentication = authentication.jwt(client::ASSERTION, assertion);
        }
        grant.token.extend(self.then);
        grant.lifetime_seconds = self.lifetime_seconds;
        authentication.grant = grant;
        authentication.placements = self.placements;
        if authentication.placements.is_empty() {
            authentication = authentication.place(Placement::header("Authorization", "Bearer {access-token}"));
        }
        authentication
    }
}

#[cfg(test)]
mod tests;
