//! A scripted host, so that `cargo test` runs a connector natively, without WebAssembly and without a network.

use std::cell::RefCell;
use std::collections::VecDeque;

use serde_json::Value;

use crate::http::{Error, Request, Response};
use crate::{Authentication, Connection, Placement};

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
struct Running {
    expected: VecDeque<(String, String, Result<Response, Error>)>,
    seen: Vec<Request>,
}

/// Requests that are expected, in order, and how each is answered.
#[derive(Debug, Default)]
#[must_use = "a script does nothing until it runs something"]
pub struct Script {
    expected: VecDeque<(String, String, Result<Response, Error>)>,
}

impl Script {
    /// Nothing is expected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects a request and answers it.
    pub fn on(mut self, method: &str, url: &str, answer: Response) -> Self {
        self.expected.push_back((method.to_owned(), url.to_owned(), Ok(answer)));
        self
    }

    /// Expects a request that gets no answer.
    pub fn fail(mut self, method: &str, url: &str, error: Error) -> Self {
        self.expected.push_back((method.to_owned(), url.to_owned(), Err(error)));
        self
    }

    /// Runs something that sends exactly these requests, and gives its answer and the requests as they were sent.
    ///
    /// # Panics
    /// Where it sends anything else, or not everything.
    pub fn run<T>(self, run: impl FnOnce() -> T) -> (T, Vec<Request>) {
        let running = Running { expected: self.expected, seen: Vec::new() };
        RUNNING.with_borrow_mut(|slot| *slot = Some(running));
        let value = run();
        let running = RUNNING.take().expect("the script was put there above");
        let left: Vec<_> = running.expected.iter().map(|(method, url, _)| format!("{method} {url}")).collect();
        assert!(left.is_empty(), "expected but never sent: {}", left.join(", "));
        (value, running.seen)
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
    /// The same answer with one header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }
}

/// A connection as the host would hand it over.
pub fn connection(protocol: &str, settings: &[(&str, &str)]) -> Connection {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Connection { protocol: protocol.to_owned(), settings }
}

/// Placements in a line each, to compare with.
pub fn placements(authentication: &Authentication) -> Vec<String> {
    authentication
        .placements
        .iter()
        .map(|placement| match placement {
            Placement::Header(header) => format!("header {}: {}", header.name, header.value),
            Placement::Query(query) => format!("query {}={}", query.name, query.value),
            Placement::Cookie(cookie) => format!("cookie {}={}", cookie.name, cookie.value),
            Placement::PathPrefix(prefix) => format!("path-prefix {prefix}"),
            Placement::Body(body) => format!("body {}={}", body.name, body.value),
            Placement::Basic(basic) => format!("basic {}:{}", basic.username, basic.password),
            Placement::Digest(digest) => format!("digest {}:{}", digest.username, digest.password),
            Placement::Oauth1(_) => "oauth1".to_owned(),
            Placement::AwsSigv4(_) => "aws-sigv4".to_owned(),
            Placement::ClientCertificate(_) => "client-certificate".to_owned(),
            Placement::Signed => "signed".to_owned(),
        })
        .collect()
}

pub(crate) fn answer(request: Request) -> Result<Response, Error> {
    RUNNING.with_borrow_mut(|running| {
        let running = running.as_mut().expect("a request outside of Script::run");
        let sent = format!("{} {}", request.method, request.url);
        running.seen.push(request);
        let (method, url, answer) = running.expected.pop_front().unwrap_or_else(|| panic!("{sent} was not expected"));
        assert_eq!(sent, format!("{method} {url}"), "another request was expected");
        answer
    })
}
