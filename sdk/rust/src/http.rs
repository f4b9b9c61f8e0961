//! Requests. The host attaches the credential; a redirect is an answer like any other.

#[cfg(target_family = "wasm")]
mod wasi;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::Failure;

/// RFC 3986 section 2.3: what need not be encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A GET request.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A POST request.
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

/// A request in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// With the query.
    pub url: String,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// Empty where there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request by any method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a query parameter, encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url.extend(utf8_percent_encode(name, QUERY));
        self.url.push('=');
        self.url.extend(utf8_percent_encode(value, QUERY));
        self
    }

    /// A body as it is.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends it, and waits for the whole answer.
    ///
    /// # Errors
    /// Where no answer came. The host's own record of the test says more than a connector may know.
    pub fn send(self) -> Result<Response, Error> {
        #[cfg(target_family = "wasm")]
        return wasi::send(&self);
        #[cfg(not(target_family = "wasm"))]
        crate::testing::answer(self)
    }
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The host refused it; what the host says of it stands in the verdict.
    Denied(String),
    /// The service could not be reached.
    Unreachable(String),
    /// The request or the answer is not one.
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(words) => write!(formatter, "the host refused the request: {words}"),
            Self::Unreachable(words) => write!(formatter, "the service could not be reached: {words}"),
            Self::Broken(words) => write!(formatter, "the request failed: {words}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Denied(_) => Self::misconfigured(error.to_string()),
            Error::Unreachable(_) => Self::unavailable(error.to_string()),
            Error::Broken(_) => Self::other(error.to_string()),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The text or number at a JSON Pointer (RFC 6901).
    pub fn text_at(&self, pointer: &str) -> Option<String> {
        match self.value().pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The body as a type.
    ///
    /// # Errors
    /// Where it is not one: the service is not what it was taken for.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::other(format!("the service answered {} with something else than expected: {error}", self.status))
        })
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Seconds to wait, where the service says so in numbers.
    pub fn retry_after(&self) -> Option<u32> {
        self.header("retry-after")?.trim().parse().ok()
    }

    /// The answer, where the status is 2xx.
    ///
    /// # Errors
    /// The failure that the status stands for.
    pub fn error_for_status(self) -> Result<Self, Failure> {
        if self.is_success() { Ok(self) } else { Err(self.failure(None)) }
    }

    /// The failure that the status stands for, with the service's own words where there are any.
    pub fn failure(&self, words: Option<&str>) -> Failure {
        let said = words.map(|words| format!(": {words}")).unwrap_or_default();
        let message = format!("the service answered {}{said}", self.status);
        match self.status {
            401 => Failure::unauthorized(message),
            403 if self.retry_after().is_some() => Failure::rate_limited(self.retry_after(), message),
            403 => Failure::forbidden(message),
            429 => Failure::rate_limited(self.retry_after(), message),
            408 | 500..=599 => Failure::unavailable(message),
            _ => Failure::other(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_and_joined() {
        let request = get("https://a.example/x").query("q", "a b&c=ü").query("n", "1");
        assert_eq!(request.url, "https://a.example/x?q=a%20b%26c%3D%C3%BC&n=1");
    }

    #[test]
    fn each_status_is_the_failure_it_stands_for() {
        let answer = |status, headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Response { status, headers, body: Vec::new() }.error_for_status().unwrap_err()
        };
        assert_eq!(answer(401, &[]), Failure::unauthorized("the service answered 401"));
        assert_eq!(answer(403, &[]), Failure::forbidden("the service answered 403"));
        assert_eq!(answer(403, &[("Retry-After", "60")]), Failure::rate_limited(Some(60), "the service answered 403"));
        assert_eq!(answer(429, &[]), Failure::rate_limited(None, "the service answered 429"));
        assert_eq!(answer(503, &[]), Failure::unavailable("the service answered 503"));
        assert_eq!(answer(404, &[]), Failure::other("the service answered 404"));
    }
}
