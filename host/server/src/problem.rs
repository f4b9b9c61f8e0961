//! What went wrong, as RFC 9457 says it. The one border between the host's errors and HTTP.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use turnbuckle::{Error, FieldProblem, User};
use utoipa::ToSchema;

/// A problem, boxed so that the good answers beside it stay small.
#[derive(Debug)]
pub(crate) struct Problem(Box<Words>);

/// A problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Words {
    /// What sort of problem, as a reference relative to this server.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What happened, for people.
    detail: String,
    /// A short name of the problem, for programs.
    code: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Each wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<FieldProblem>,
    /// What stands in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
    /// The version that is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Words {
            kind: format!("/problems/{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            code: code.to_owned(),
            hint: None,
            problems: Vec::new(),
            users: Vec::new(),
            current: None,
        }))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Input that is wrong in one place.
    pub(crate) fn input(field: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Invalid { problems: vec![FieldProblem { field: field.into(), message: message.into() }] }.into()
    }

    /// All places are taken, as a whole answer: there is nobody yet who could be asked for one.
    pub(crate) fn busy() -> String {
        let busy = "every place of this server is at work";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", busy)
            .hint("try again in a moment; `callers` under [limits] of turnbuckle.toml says how many places there are");
        let body = serde_json::to_string(&problem.0).unwrap_or_default();
        let status = StatusCode::SERVICE_UNAVAILABLE;
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nretry-after: 1\r\n\
             cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    /// The request did not arrive in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the request did not arrive in time")
            .hint("`caller-seconds` under [limits] of turnbuckle.toml says how long somebody is waited for")
    }

    pub(crate) fn unauthorized(given: bool) -> Self {
        let detail = if given { "the token is not known here" } else { "a token is needed" };
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).hint(
            "send `Authorization: Bearer TOKEN`; `turnbuckle setup token create` makes one, and a running server keeps one of its own in server.json of its data directory",
        )
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut problem = Self::new(status(&error), error.code(), error.to_string());
        problem.0.hint = error.hint().map(str::to_owned);
        if problem.0.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        }
        match error {
            Error::Invalid { problems } => problem.0.problems = problems,
            Error::InUse { users, .. } => problem.0.users = users,
            Error::Stale { current, .. } => problem.0.current = Some(current),
            _ => {}
        }
        problem
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Stale { .. } | Error::Exists { .. } => StatusCode::PRECONDITION_FAILED,
        Error::Refused { rule: "events-passed", .. } => StatusCode::GONE,
        Error::InUse { .. } | Error::Refused { .. } => StatusCode::CONFLICT,
        Error::Forbidden { .. } => StatusCode::FORBIDDEN,
        Error::Upstream { denied: true, .. } => StatusCode::FORBIDDEN,
        Error::Upstream { rule: "timeout", .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::Upstream { .. } => StatusCode::BAD_GATEWAY,
        Error::Data { rule: "file-exists", .. } => StatusCode::CONFLICT,
        Error::Data { rule: "disk-full", .. } => StatusCode::INSUFFICIENT_STORAGE,
        Error::Data { rule: "disk-failed", .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Data { .. } | Error::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        // The host's errors may grow; what this server does not know yet is its own fault.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.0.status;
        let mut response = (status, axum::Json(self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
