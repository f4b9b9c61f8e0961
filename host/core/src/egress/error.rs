//! Why a request did not leave, or why its answer did not come back.
//!
//! No text here ever holds a query string, an attached value or anything that an upstream wrote after it had seen one.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use rustls::AlertDescription;

use crate::model::template::TemplateError;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EgressError {
    /// The policy refused it; nothing was sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It wanted more than one call may have.
    #[error("the limit on {limit}, {value}, is used up")]
    Budget { limit: &'static str, value: u64 },
    /// The name has no address.
    #[error("the name {host} could not be resolved: {reason}")]
    Dns { host: String, reason: String },
    /// Nobody answers there.
    #[error("no connection to {origin}: {reason}")]
    Connect { origin: String, reason: String },
    /// The server could not prove who it is.
    #[error("no trusted connection to {origin}: {reason}")]
    Tls { origin: String, reason: String },
    /// It took too long.
    #[error("{origin} took longer than {} for {phase}", seconds(*.after))]
    Timeout { origin: String, phase: Phase, after: Duration },
    /// The request's own body failed or was not as long as announced.
    #[error("the request's body {problem}")]
    RequestBody { problem: &'static str },
    /// A placement and the request do not fit together.
    #[error("the credential cannot be attached: {problem}")]
    Attach {
        /// The host's own words, or those of a connector's signer, which no guest is told.
        problem: Cow<'static, str>,
    },
    /// What came back is not HTTP, or broke off.
    #[error("the answer of {origin} {problem}")]
    Response { origin: String, problem: &'static str },
}

impl EgressError {
    pub(super) fn attach(problem: impl Into<Cow<'static, str>>) -> Self {
        Self::Attach { problem: problem.into() }
    }

    /// What kind of failure it is.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Budget { .. } => "budget",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::RequestBody { .. } => "request-body",
            Self::Attach { .. } => "attach",
            Self::Response { .. } => "response",
        }
    }

    /// What a guest is told. The words of a signer stay with the host: they could carry what it computed.
    pub(crate) fn for_guest(&self) -> String {
        match self {
            Self::Attach { problem: Cow::Owned(_) } => "the request could not be signed".to_owned(),
            other => other.to_string(),
        }
    }

    /// The first error of this kind in a chain of causes: the resolver and request bodies report through layers that only
    /// know boxed errors.
    pub(super) fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            // An I/O error's source is its content's source: the content itself is asked for by another name.
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(content) => Some(content),
                None => error.source(),
            };
        }
        None
    }
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Name, TCP and TLS.
    Connect,
    /// Until the answer's head.
    FirstByte,
    /// A pause within the answer's body.
    BetweenBytes,
    /// The whole call.
    Call,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connect => "a connection",
            Self::FirstByte => "the first byte of its answer",
            Self::BetweenBytes => "the next bytes of its answer",
            Self::Call => "the rest of the call",
        })
    }
}

/// A refusal: which rule, for what, and what the operator would have to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The rule.
    pub(crate) rule: Rule,
    /// The origin that was asked for, never more of the URL.
    pub(crate) target: String,
    /// What is wrong with it.
    pub(crate) detail: String,
    /// What would open it, where the operator can.
    pub(crate) allow_hint: Option<String>,
}

impl Denied {
    pub(super) fn new(rule: Rule, target: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self { rule, target: target.to_string(), detail: detail.into(), allow_hint: None }
    }

    /// Says which entry of the operator's list would open it.
    pub(super) fn opened_by(mut self, entry: impl fmt::Display) -> Self {
        self.allow_hint = Some(format!("add \"{entry}\" to allow in [egress] of turnbuckle.toml"));
        self
    }
}

impl std::error::Error for Denied {}

impl fmt::Display for Denied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "request to {} denied by the {} rule: {}", self.target, self.rule, self.detail)?;
        match &self.allow_hint {
            Some(hint) => write!(formatter, "; to open it, the operator can {hint}"),
            None => Ok(()),
        }
    }
}

/// The rules of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// TRACE, CONNECT and unknown methods.
    Method,
    /// Not a URL that can be dialled.
    Url,
    /// `user:password@`.
    UserInfo,
    /// Port 0.
    Port,
    /// Neither https nor an http origin that the operator opened.
    Scheme,
    /// Not one of the connection's origins.
    Origin,
    /// The address is none of the public internet.
    Address,
    /// A header that only the host writes.
    Header,
    /// A header, parameter or field that a placement writes.
    Owned,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Method => "method",
            Self::Url => "url",
            Self::UserInfo => "user-information",
            Self::Port => "port",
            Self::Scheme => "scheme",
            Self::Origin => "origin",
            Self::Address => "address",
            Self::Header => "header",
            Self::Owned => "owned-by-the-credential",
        })
    }
}

/// Why a connection's origins or placements could not be made ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PermitError {
    /// A template that does not parse.
    #[error("{place} is no template")]
    Template {
        place: String,
        #[source]
        source: TemplateError,
    },
    /// A value that may not stand where the template puts it.
    #[error("the value of `{name}` does not fit {place}: {problem}")]
    Value { name: String, place: String, problem: &'static str },
    /// An origin that is none once its values stand in it.
    #[error("the origin `{template}` {problem}")]
    Origin { template: String, problem: String },
    /// The connector's own text is at fault.
    #[error("{place} {problem}")]
    Plan { place: String, problem: &'static str },
}

impl PermitError {
    /// The field whose value is to blame, where one is.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::Value { name, .. } => Some(name),
            Self::Template { .. } | Self::Origin { .. } | Self::Plan { .. } => None,
        }
    }
}

/// Why egress could not be set up at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressSetupError {
    /// The operator's certificate file.
    #[error("root certificate file {index} holds no usable certificate")]
    Root { index: usize },
    /// The TLS library refused its own parameters.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
}

/// Why a connection did not come about.
pub(super) enum Connecting {
    Tcp(String),
    Tls(String),
}

/// Reads it out of a client's error. Nothing was sent yet, so nothing secret can have come back.
pub(super) fn connecting(error: &(dyn std::error::Error + 'static)) -> Connecting {
    const SHOWN: usize = 200;
    let mut reason = "it could not be opened".to_owned();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Connecting::Tls(words(tls).chars().take(SHOWN).collect());
        }
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => {
                reason = io.to_string().chars().take(SHOWN).collect();
                io.get_ref().map(|content| content as &(dyn std::error::Error + 'static))
            }
            None => error.source(),
        };
    }
    Connecting::Tcp(reason)
}

/// Since TLS 1.3 a client learns that its certificate is missing or unwelcome only when it reads the answer.
pub(super) fn refused_certificate(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    match connecting(error) {
        Connecting::Tls(reason) => Some(reason),
        Connecting::Tcp(_) => None,
    }
}

fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate, and the connection has none".to_owned()
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied),
        ) => format!("the server refuses the client certificate ({alert:?})"),
        other => other.to_string(),
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
