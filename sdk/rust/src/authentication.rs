//! Where a credential goes. Every value is a template that the host expands.

pub use crate::bindings::turnbuckle::connector::types::Placement;
use crate::{Authentication, Basic, Derivation, Derived, Grant, Parameter};

impl Authentication {
    /// Nothing is attached, and nothing need be obtained: the fields are the credential.
    pub fn new() -> Self {
        Self { derived: Vec::new(), grant: Grant::default(), placements: Vec::new() }
    }

    /// Attaches this to every request.
    #[must_use]
    pub fn place(mut self, placement: Placement) -> Self {
        self.placements.push(placement);
        self
    }

    /// A value that the host computes: the base64 of a template, as `{name}`.
    #[must_use]
    pub fn base64(mut self, name: impl Into<String>, template: impl Into<String>) -> Self {
        self.derived.push(Derived { name: name.into(), value: Derivation::Base64(template.into()) });
        self
    }
}

impl Default for Authentication {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated, and its neighbours have no default")]
impl Default for Grant {
    fn default() -> Self {
        Self {
            prepare: Vec::new(),
            authorization: None,
            token: Vec::new(),
            refresh: Vec::new(),
            revocation: Vec::new(),
            lifetime_seconds: None,
        }
    }
}

fn parameter(name: impl Into<String>, value: impl Into<String>) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}

fn basic(username: impl Into<String>, password: impl Into<String>) -> Basic {
    Basic { username: username.into(), password: password.into() }
}

impl Placement {
    /// A header, such as `Authorization: Bearer {token}`.
    pub fn header(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Header(parameter(name, value))
    }

    /// A query parameter.
    pub fn query(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Query(parameter(name, value))
    }

    /// A cookie.
    pub fn cookie(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Cookie(parameter(name, value))
    }

    /// What the host puts before the path of every request: `/bot{bot-token}`.
    pub fn path_prefix(template: impl Into<String>) -> Self {
        Self::PathPrefix(template.into())
    }

    /// A form field, or a JSON Pointer into a JSON body.
    pub fn body(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Body(parameter(name, value))
    }

    /// Basic authentication (RFC 7617).
    pub fn basic_auth(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic(basic(username, password))
    }

    /// Digest authentication (RFC 7616).
    pub fn digest_auth(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Digest(basic(username, password))
    }
}
