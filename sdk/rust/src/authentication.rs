//! How a connection authenticates: computed values, how the credential is obtained, where it goes.

use crate::{Assertion, Authentication, Derivation, Derived, Grant, Parameter, Placement};

impl Authentication {
    /// Nothing is attached, and nothing need be obtained: the fields are the credential.
    pub fn new() -> Self {
        Self { derived: Vec::new(), grant: Grant::default(), placements: Vec::new() }
    }

    /// Attaches this to every request.
    #[must_use]
    pub fn place(mut self, placement: impl Into<Placement>) -> Self {
        self.placements.push(placement.into());
        self
    }

    /// A value that the host computes: the base64 of a template, as `{name}`.
    #[must_use]
    pub fn base64(self, name: impl Into<String>, template: impl Into<String>) -> Self {
        self.derive(name, Derivation::Base64(template.into()))
    }

    /// A token that the host signs, as `{name}`: for services that take it as the credential.
    ///
    /// ```
    /// # use turnbuckle_sdk::{Algorithm, Assertion, Authentication, Placement};
    /// let token = Assertion::new(Algorithm::Es256, "{private-key}").key_id("{key-id}").issuer("{issuer-id}");
    /// Authentication::new().jwt("token", token).place(Placement::header("Authorization", "Bearer {token}"));
    /// ```
    #[must_use]
    pub fn jwt(self, name: impl Into<String>, token: Assertion) -> Self {
        self.derive(name, Derivation::Jwt(token.build()))
    }

    fn derive(mut self, name: impl Into<String>, value: Derivation) -> Self {
        self.derived.push(Derived { name: name.into(), value });
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

pub(crate) fn parameter(name: impl Into<String>, value: impl Into<String>) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}
