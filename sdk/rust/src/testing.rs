//! A scripted host, so that `cargo test` runs a connector natively, without WebAssembly and without a network.
//!
//! ```
//! use turnbuckle_sdk::http::{Error, get};
//! use turnbuckle_sdk::json::json;
//! use turnbuckle_sdk::testing::Script;
//!
//! let script = Script::new()
//!     .expect(get("https://api.example.com/me"))
//!     .reply(200, json!({"name": "Ada"}))
//!     .expect(get("https://api.example.com/parts").header("accept", "text/plain"))
//!     .fail(Error::Unreachable("no connection".into()));
//! let (name, sent) = script.run(|| {
//!     let me = get("https://api.example.com/me").send().unwrap();
//!     get("https://api.example.com/parts").header("Accept", "text/plain").send().unwrap_err();
//!     me.text_at("/name")
//! });
//! assert_eq!(name.as_deref(), Some("Ada"));
//! assert_eq!(sent.len(), 2);
//! ```

pub(crate) mod keys;
mod lines;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::http::{Error, Request, Response};
use crate::{Connection, signer};
pub use lines::{authentication, placements};

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
struct Running {
    steps: VecDeque<Step>,
    secrets: BTreeMap<String, String>,
    sent: Vec<Request>,
}

#[derive(Debug)]
struct Step {
    expected: Request,
    answer: Result<Response, Error>,
}

/// Requests that are expected, in order, and how each is answered; the secrets that a signer's keys stand for.
#[derive(Debug, Default)]
#[must_use = "a script does nothing until it runs something"]
pub struct Script {
    steps: VecDeque<Step>,
    secrets: BTreeMap<String, String>,
}

/// A request that is expected and has no answer yet.
#[derive(Debug)]
#[must_use = "say how the request is answered"]
pub struct Expectation {
    script: Script,
    expected: Request,
}

impl Script {
    /// Nothing is expected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this request next: this method and URL, at least these headers, and this body where there is one.
    pub fn expect(self, request: Request) -> Expectation {
        Expectation { script: self, expected: request }
    }

    /// What `{name}` stands for where a signer opens a key; its HMACs are the real ones.
    ///
    /// ```
    /// use turnbuckle_sdk::testing::Script;
    /// use turnbuckle_sdk::{Encoding, keys};
    ///
    /// let script = Script::new().secret("signing-key", "hunter2");
    /// let (mac, _) = script.run(|| keys::open("{signing-key}", Encoding::Text).unwrap().mac(keys::Hash::Sha256, b"x"));
    /// assert_eq!(mac.len(), 32);
    /// ```
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// Runs something that sends exactly these requests, and gives its answer and the requests as they were sent.
    ///
    /// # Panics
    /// Where it sends anything else, or not everything.
    pub fn run<T>(self, run: impl FnOnce() -> T) -> (T, Vec<Request>) {
        RUNNING.set(Some(Running { steps: self.steps, secrets: self.secrets, sent: Vec::new() }));
        let value = run();
        let running = RUNNING.take().expect("the script was put there above");
        let left: Vec<_> = running.steps.iter().map(|step| line(&step.expected)).collect();
        assert!(left.is_empty(), "expected but never sent: {}", left.join(", "));
        (value, running.sent)
    }
}

impl Expectation {
    /// Answers with a JSON body.
    #[expect(clippy::needless_pass_by_value, reason = "`json!(..)` reads best where it is the argument")]
    pub fn reply(self, status: u16, body: Value) -> Script {
        self.answer(json(status, &body))
    }

    /// Answers with this, made by [`json`] or [`text`].
    pub fn answer(self, answer: Response) -> Script {
        self.end(Ok(answer))
    }

    /// No answer comes.
    pub fn fail(self, error: Error) -> Script {
        self.end(Err(error))
    }

    fn end(mut self, answer: Result<Response, Error>) -> Script {
        self.script.steps.push_back(Step { expected: self.expected, answer });
        self.script
    }
}

/// An answer with a JSON body.
pub fn json(status: u16, body: &Value) -> Response {
    text(status, &body.to_string()).with("content-type", "application/json")
}

/// An answer with a text.
pub fn text(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.as_bytes().to_owned() }
}

impl Response {
    /// The same answer with one header more, for scripts.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A connection as the host would hand it over.
pub fn connection(protocol: &str, settings: &[(&str, &str)]) -> Connection {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Connection { protocol: protocol.to_owned(), settings }
}

/// A request as a signer would see it: without what is secret, with the hash of its body.
pub fn unsigned(request: Request, timestamp: u64) -> signer::Request {
    let body_sha256 = Sha256::digest(&request.body).to_vec();
    signer::Request { method: request.method, url: request.url, headers: request.headers, body_sha256, timestamp }
}

/// What `send` does natively.
pub(crate) fn answer(request: Request) -> Result<Response, Error> {
    RUNNING.with_borrow_mut(|running| {
        let running = running.as_mut().unwrap_or_else(|| panic!("{} was sent outside of Script::run", line(&request)));
        let Some(Step { expected, answer }) = running.steps.pop_front() else {
            panic!("{} was not expected", line(&request));
        };
        assert_eq!(line(&request), line(&expected), "another request was expected");
        for (name, value) in &expected.headers {
            let sent = request.headers.iter().any(|(known, sent)| known.eq_ignore_ascii_case(name) && sent == value);
            assert!(sent, "{} lacks the header {name}: {value}", line(&request));
        }
        if !expected.body.is_empty() {
            let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
            assert_eq!(text(&request.body), text(&expected.body), "another body was expected of {}", line(&request));
        }
        running.sent.push(request);
        answer
    })
}

fn line(request: &Request) -> String {
    format!("{} {}", request.method, request.url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{get, post};

    const URL: &str = "https://a.example/";

    fn one() -> Script {
        Script::new().expect(get(URL)).reply(200, serde_json::json!({}))
    }

    #[test]
    fn requests_are_recorded_as_they_were_sent() {
        let (status, sent) = one().run(|| get(URL).header("x-a", "1").send().unwrap().status);
        assert_eq!(status, 200);
        assert_eq!(sent, [get(URL).header("x-a", "1")]);
    }

    #[test]
    #[should_panic(expected = "expected but never sent: GET https://a.example/")]
    fn a_request_that_never_comes_fails_the_test() {
        one().run(|| ());
    }

    #[test]
    #[should_panic(expected = "POST https://a.example/ was not expected")]
    fn a_request_too_many_fails_the_test() {
        one().run(|| [get(URL).send().is_ok(), post(URL).send().is_ok()]);
    }

    #[test]
    #[should_panic(expected = "another request was expected")]
    fn another_request_fails_the_test() {
        drop(one().run(|| post(URL).send()));
    }

    #[test]
    #[should_panic(expected = "GET https://a.example/ lacks the header accept: text/plain")]
    fn a_header_that_is_missing_fails_the_test() {
        let script = Script::new().expect(get(URL).header("accept", "text/plain")).reply(200, serde_json::json!({}));
        drop(script.run(|| get(URL).send()));
    }

    #[test]
    #[should_panic(expected = "GET https://a.example/ was sent outside of Script::run")]
    fn a_request_without_a_script_fails_the_test() {
        drop(get(URL).send());
    }
}
