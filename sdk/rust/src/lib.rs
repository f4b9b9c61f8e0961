//! Write a Turnbuckle connector.
//!
//! A connector says three things: what it is ([`Connector::describe`]), how its requests authenticate
//! ([`Connector::authenticate`]), and whether a connection works ([`Connector::test`]). It never holds a secret: where a
//! token goes is a template such as `Bearer {token}`, which only the host expands, on the way out.
//!
//! ```
//! use turnbuckle_sdk::{Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, http};
//!
//! struct Example;
//!
//! impl Connector for Example {
//!     fn describe() -> Descriptor {
//!         Descriptor::new("example", "1.0.0", "Example")
//!             .publisher("Example Inc.")
//!             .summary("Things and their parts")
//!             .protocol(Protocol::new("token", "API token").field(Field::secret("token", "Token").required()))
//!             .origin("https://api.example.com")
//!     }
//!
//!     fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
//!         Ok(Authentication::new().place(Placement::header("Authorization", "Bearer {token}")))
//!     }
//!
//!     fn test(_connection: &Connection) -> Result<Report, Failure> {
//!         let me = http::get("https://api.example.com/me").send()?.error_for_status()?;
//!         Ok(Report::new(format!("Signed in as {}", me.text_at("/name").unwrap_or_default())))
//!     }
//! }
//!
//! turnbuckle_sdk::export!(Example);
//! ```
//!
//! Where a credential is more than a field, a line says how it is obtained: [`oauth2::authorization_code`],
//! [`oauth2::client_credentials`], [`jwt_bearer`], [`session`]; and how it signs: [`Placement::oauth1`],
//! [`Placement::aws_sigv4`]. What these write are records of the contract, so an unusual service only needs another field
//! of one. A service that tells failure in a 200 takes a [`Classifier`], one that signs in its own way a [`Signer`].
//!
//! `cargo test` runs the connector natively against a [`testing::Script`]; `turnbuckle connector build` makes the component.

#![warn(missing_docs)]

mod assertion;
mod authentication;
mod classifier;
mod descriptor;
mod export;
mod failure;
pub mod http;
pub mod keys;
pub mod oauth2;
mod placement;
mod request;
mod session;
pub mod signer;
mod template;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[doc(hidden)]
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "generated from the contract"
)]
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    reason = "generated from the contract"
)]
#[allow(
    clippy::str_to_string,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "generated from the contract"
)]
pub mod bindings;

pub use assertion::Assertion;
pub use bindings::turnbuckle::connector::types::{
    Account, Algorithm, Authentication, Authorization, Basic, Body, Capture, Certificate, Choice, Connection,
    Derivation, Derived, Descriptor, Encoding, Failure, FailureKind, Field, FieldKind, Grant, Jwt, Lifecycle, Oauth1,
    Oauth1Signature, Parameter, Placement, Protocol, Report, Request, SignIn, Sigv4, Source,
};
pub use classifier::Classifier;
#[doc(hidden)]
pub use export::{classify, log_panics};
pub use oauth2::jwt_bearer;
/// JSON, for bodies and for scripted answers.
pub use serde_json as json;
pub use session::{Session, session};
pub use signer::Signer;

/// What every connector is.
pub trait Connector {
    /// What it says of itself. Pure: there is no network, and the host keeps the answer.
    fn describe() -> Descriptor;

    /// How requests of this connection authenticate. There is no network here either.
    ///
    /// # Errors
    /// Where the settings do not fit together; name the field with [`Failure::field`].
    fn authenticate(connection: &Connection) -> Result<Authentication, Failure>;

    /// Sends at least one request that only valid credentials can pass.
    ///
    /// # Errors
    /// Why the connection does not work, in words for the person who made it.
    fn test(connection: &Connection) -> Result<Report, Failure>;
}

impl Connection {
    /// The value of a field that is not secret; none where it was left empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that is required or has a default; empty where there is none after all.
    pub fn setting(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

impl Report {
    /// The test passed; one line says so to a person.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), account: None, discovered: Vec::new() }
    }

    /// Whose credential it is: an id that never changes, and what people call it.
    #[must_use]
    pub fn account(mut self, id: impl Into<String>, label: impl Into<String>) -> Self {
        self.account = Some(Account { id: id.into(), label: label.into() });
        self
    }

    /// A further fact, such as the scopes of a token.
    #[must_use]
    pub fn discovered(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.discovered.push((name.into(), value.into()));
        self
    }
}
