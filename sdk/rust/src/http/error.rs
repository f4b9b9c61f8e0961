//! Why no answer came, in the four ways that a person can do something about.

use std::fmt;

use crate::Failure;

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The host refused the request. The rule, and what an operator would have to allow, stand in the host's verdict.
    Denied(String),
    /// The service could not be reached: no address, no connection, no trust in its certificate.
    Unreachable(String),
    /// The service took too long.
    TimedOut(String),
    /// What was sent or what came back is not HTTP, or is larger than the host allows.
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, words) = match self {
            Self::Denied(words) => ("the host denied the request", words),
            Self::Unreachable(words) => ("the service could not be reached", words),
            Self::TimedOut(words) => ("the service took too long", words),
            Self::Broken(words) => ("the request failed", words),
        };
        formatter.write_str(what)?;
        formatter.write_str(": ")?;
        formatter.write_str(words)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Denied(_) => Self::misconfigured(message),
            Error::Unreachable(_) | Error::TimedOut(_) => Self::unavailable(message),
            Error::Broken(_) => Self::other(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_a_failure_that_says_what_to_do() {
        assert_eq!(
            Failure::from(Error::Denied("not there".into())),
            Failure::misconfigured("the host denied the request: not there")
        );
        assert_eq!(
            Failure::from(Error::Unreachable("no connection".into())),
            Failure::unavailable("the service could not be reached: no connection")
        );
        assert_eq!(
            Failure::from(Error::TimedOut("no answer".into())),
            Failure::unavailable("the service took too long: no answer")
        );
        assert_eq!(Failure::from(Error::Broken("cut".into())), Failure::other("the request failed: cut"));
    }
}
