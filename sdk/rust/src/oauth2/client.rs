//! How a client proves itself to the server.

use crate::authentication::parameter;
use crate::{Assertion, Parameter, Placement};

pub(super) const ASSERTION: &str = "client-assertion";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Client {
    Header,
    Body,
    Public,
    Assertion(Assertion),
    /// The grant says who asks.
    Unnamed,
}

impl Client {
    pub(super) fn placement(&self) -> Option<Placement> {
        match self {
            Self::Header => Some(Placement::basic_auth("{client-id}", "{client-secret}")),
            Self::Body | Self::Public | Self::Assertion(_) | Self::Unnamed => None,
        }
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let id = parameter("client_id", "{client-id}");
        match self {
            Self::Header | Self::Unnamed => Vec::new(),
            Self::Public => vec![id],
            Self::Body => vec![id, parameter("client_secret", "{client-secret}")],
            // The id is optional beside an assertion (RFC 7521 section 4.2), but some servers insist on it.
            Self::Assertion(_) => vec![
                id,
                parameter("client_assertion_type", ASSERTION_TYPE),
                parameter("client_assertion", format!("{{{ASSERTION}}}")),
            ],
        }
    }

    pub(super) fn assertion(self, token_url: &str) -> Option<Assertion> {
        match self {
            Self::Assertion(assertion) => {
                Some(assertion.or_claims([("iss", "{client-id}"), ("sub", "{client-id}"), ("aud", token_url)]))
            }
            Self::Header | Self::Body | Self::Public | Self::Unnamed => None,
        }
    }
}
