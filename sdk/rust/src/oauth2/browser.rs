//! A person agrees in a browser (RFC 6749 section 4.1).

use super::Flow;
use super::client::Client;
use crate::authentication::parameter;
use crate::{Authentication, Authorization, Capture, Grant, Parameter, Request};

/// A person agrees at the first address; the second one gives tokens. Renewed by refresh token. The protocol signs in
/// [`SignIn::Browser`](crate::SignIn::Browser).
///
/// ```
/// # use turnbuckle_sdk::oauth2;
/// oauth2::authorization_code("https://example.com/authorize", "https://example.com/token").scope("read write").build();
/// ```
pub fn authorization_code(authorize_url: impl Into<String>, token_url: impl Into<String>) -> Flow<Browser> {
    let browser = Browser {
        authorize_url: authorize_url.into(),
        pkce: true,
        parameters: vec![parameter("client_id", "{client-id}")],
        captures: Vec::new(),
        refresh: Refresh::AtTokenUrl,
        refresh_parameters: Vec::new(),
    };
    Flow::new(browser, token_url, Client::Header)
}

/// Signing in takes a person in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    authorize_url: String,
    pkce: bool,
    parameters: Vec<Parameter>,
    captures: Vec<Capture>,
    refresh: Refresh,
    refresh_parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Refresh {
    AtTokenUrl,
    At(String),
    Never,
}

impl Flow<Browser> {
    /// What is asked for, as the service separates it.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.authorization_parameter("scope", scope)
    }

    /// A further parameter of the address where a person agrees, such as `prompt`. One of the host's own is replaced, or
    /// removed by an empty value.
    pub fn authorization_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sign_in.parameters.push(parameter(name, value));
        self
    }

    /// Sends no challenge (RFC 7636): for services that break on it.
    pub fn without_pkce(mut self) -> Self {
        self.sign_in.pkce = false;
        self
    }

    /// Keeps a parameter with which the browser comes back.
    ///
    /// ```
    /// # use turnbuckle_sdk::{Capture, oauth2};
    /// oauth2::authorization_code("https://example.com/authorize", "https://example.com/token")
    ///     .callback_capture(Capture::callback("realm-id", "realmId").visible())
    ///     .build();
    /// ```
    pub fn callback_capture(mut self, capture: Capture) -> Self {
        self.sign_in.captures.push(capture);
        self
    }

    /// Where tokens are refreshed, if not where they were first given.
    pub fn refresh_url(mut self, url: impl Into<String>) -> Self {
        self.sign_in.refresh = Refresh::At(url.into());
        self
    }

    /// A further parameter of the refresh request.
    pub fn refresh_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sign_in.refresh_parameters.push(parameter(name, value));
        self
    }

    /// The service gives no refresh token: when the token no longer works, a person reconnects.
    pub fn without_refresh(mut self) -> Self {
        self.sign_in.refresh = Refresh::Never;
        self
    }

    /// As the contract writes it.
    pub fn build(self) -> Authentication {
        let code = ("grant_type", "authorization_code");
        let mut token = vec![code, ("code", "{code}"), ("redirect_uri", "{redirect-uri}")];
        if self.sign_in.pkce {
            token.push(("code_verifier", "{code-verifier}"));
        }
        let (refresh, tokens): (_, &[_]) = match &self.sign_in.refresh {
            Refresh::AtTokenUrl => (vec![self.refresh_request(&self.token_url)], &["refresh-token", "access-token"]),
            Refresh::At(url) => (vec![self.refresh_request(url)], &["refresh-token", "access-token"]),
            Refresh::Never => (Vec::new(), &["access-token"]),
        };
        let grant = Grant {
            token: vec![self.token_request(&token)],
            refresh,
            revocation: self.revocations(tokens),
            authorization: Some(Authorization {
                url: self.sign_in.authorize_url.clone(),
                pkce: self.sign_in.pkce,
                parameters: self.sign_in.parameters.clone(),
                captures: self.sign_in.captures.clone(),
            }),
            ..Grant::default()
        };
        self.finish(grant)
    }

    fn refresh_request(&self, url: &str) -> Request {
        let standard = [parameter("grant_type", "refresh_token"), parameter("refresh_token", "{refresh-token}")];
        let parameters = standard.into_iter().chain(self.sign_in.refresh_parameters.iter().cloned());
        Request { captures: self.captures.clone(), ..self.request(url, parameters) }
    }
}
