//! Requests. The host attaches the credential; a redirect is an answer like any other.

mod date;
mod error;
mod response;
#[cfg(target_family = "wasm")]
mod wasi;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub use error::Error;
pub use response::Response;

/// RFC 3986 section 2.3: what need not be encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A GET request.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// A HEAD request.
pub fn head(url: impl Into<String>) -> Request {
    Request::new("HEAD", url)
}

/// A POST request.
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

/// A PUT request.
pub fn put(url: impl Into<String>) -> Request {
    Request::new("PUT", url)
}

/// A PATCH request.
pub fn patch(url: impl Into<String>) -> Request {
    Request::new("PATCH", url)
}

/// A DELETE request.
pub fn delete(url: impl Into<String>) -> Request {
    Request::new("DELETE", url)
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

    /// Adds a header. One that a placement of the connection writes is the host's: it refuses such a request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a query parameter, encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.push(if self.url.contains('?') { '&' } else { '?' });
        self.url.extend(utf8_percent_encode(name, UNRESERVED));
        self.url.push('=');
        self.url.extend(utf8_percent_encode(value, UNRESERVED));
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

    /// Sends it, and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// Where no answer came. It turns into a [`Failure`](crate::Failure) of the right kind by `?`.
    pub fn send(self) -> Result<Response, Error> {
        #[cfg(target_family = "wasm")]
        return wasi::send(&self);
        #[cfg(not(target_family = "wasm"))]
        crate::testing::answer(self)
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
    fn a_json_body_says_what_it_is() {
        let request = post("https://a.example/x").json(&serde_json::json!({"a": 1}));
        assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(request.body, br#"{"a":1}"#);
    }
}
