//! Failures in words, each of the kind that tells a person what to do.

use crate::{Failure, FailureKind};

impl Failure {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The credential was rejected, has expired or was revoked: reconnect.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unauthorized, message)
    }

    /// The credential is good and may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Forbidden, message)
    }

    /// Something is set up wrongly, and no single field is to blame.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Misconfigured(None), message)
    }

    /// This field is wrong.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Misconfigured(Some(name.into())), message)
    }

    /// Too many requests; try again after so many seconds, where the service says.
    pub fn rate_limited(retry_after: Option<u32>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::RateLimited(retry_after), message)
    }

    /// The service could not be reached, or is down.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// Anything else.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Other, message)
    }

    /// The same kind of failure in other words.
    #[must_use]
    pub fn because(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }
}
