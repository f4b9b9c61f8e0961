//! A client of the HTTP API that does what it is told, wrong things too.

mod follow;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::leaks;

pub use follow::{Followed, Sent};

/// A client for one server.
#[derive(Debug)]
pub struct Api {
    base: String,
    token: Option<String>,
    runtime: Runtime,
    /// What is said here is searched for secrets.
    watched: bool,
}

impl Api {
    /// A client for the server at this URL, with or without a token.
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { base: base.trim_end_matches('/').to_owned(), token: token.map(str::to_owned), runtime, watched: true }
    }

    /// A client for a program of the tests, which may know what it likes.
    pub fn of_peer(base: &str) -> Self {
        Self { watched: false, ..Self::new(base, None) }
    }

    /// Asks for a path below `/api/v1`.
    pub fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], Bytes::new())
    }

    /// Sends JSON to a path below `/api/v1`.
    pub fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.call(method, path, &[("content-type", "application/json")], Bytes::from(body.to_string()))
    }

    /// Posts JSON to a path below `/api/v1`.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body)
    }

    /// Calls a path below `/api/v1` with these headers besides the token.
    pub fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        self.raw(method, &format!("/api/v1{path}"), headers, body)
    }

    /// Calls a path of the server as it is.
    pub fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        self.attempt(method, path, headers, body).expect("the server answers")
    }

    /// As [`Api::raw`]. None where nobody is there, or goes away before the answer's end.
    pub fn attempt(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Option<Answer> {
        self.runtime.block_on(self.asked(self.request(method, path, headers, body)))
    }

    /// Asks for all these paths below `/api/v1` at the same time. None for each that was not answered to its end.
    pub fn together<S: AsRef<str>>(&self, paths: &[S]) -> Vec<Option<Answer>> {
        let request = |path: &S| self.request(Method::GET, &format!("/api/v1{}", path.as_ref()), &[], Bytes::new());
        let all = paths.iter().map(|path| self.asked(request(path)));
        self.runtime.block_on(futures_util::future::join_all(all))
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(body)).expect("a request")
    }

    /// The whole answer, on a socket of its own.
    async fn asked(&self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let (head, body) = client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        if self.watched {
            leaks::none_in("an answer", &body);
            for (name, value) in &head.headers {
                leaks::none_in(name.as_str(), value.as_bytes());
            }
        }
        Some(Answer { status: head.status, headers: head.headers, body })
    }
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Expects this status.
    #[track_caller]
    pub fn ended(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// One header as text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
