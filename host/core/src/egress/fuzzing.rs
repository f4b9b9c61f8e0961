//! Egress as fuzz targets see it: what a request would dial, and what is left of an answer.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use url::Url;

use super::redact::{self, REDACTED};
use super::{AllowList, Body, Call, Config, Egress, Permit, Timeouts, expand, plan};
use crate::model::authentication::Authentication;
use crate::model::descriptor::SignIn;
use crate::model::origin::Origin;
use crate::model::outside::Outside;
use crate::model::secret::Secret;

thread_local! {
    static DIALLED: RefCell<Option<Dialled>> = const { RefCell::new(None) };
    static ANSWER: RefCell<Answer> = RefCell::new(Answer::default());
}

/// What decides where a value may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Choice,
    Url,
    Secret,
}

/// What names in templates stand for.
#[derive(Debug, Clone)]
pub struct Values(super::Values);

impl Values {
    pub fn new<'a>(given: impl Iterator<Item = (Kind, &'a str, &'a str)>) -> Self {
        Self(given.fold(super::Values::new(), |values, (kind, name, value)| match kind {
            Kind::Text => values.public(name, value),
            Kind::Choice => values.choice(name, value),
            Kind::Url => values.url(name, value),
            Kind::Secret => values.secret(name, Secret::new(value)),
        }))
    }
}

/// A request as the client is given it.
#[derive(Debug, Clone)]
pub struct Dialled {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// None where it is still being written.
    pub body: Option<Vec<u8>>,
}

/// What the service is to answer, its body in these pieces.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub headers: HeaderMap,
    pub pieces: Vec<Vec<u8>>,
}

/// Stands where a client stands, and dials nothing.
pub(super) struct Wire;

impl Wire {
    pub(super) fn instead_of(_client: reqwest::Client) -> Self {
        Self
    }

    pub(super) async fn execute(&self, request: reqwest::Request) -> reqwest::Result<reqwest::Response> {
        let (method, url, headers) = (request.method().clone(), request.url().clone(), request.headers().clone());
        let body = request.body().and_then(reqwest::Body::as_bytes).map(<[u8]>::to_vec);
        DIALLED.set(Some(Dialled { method, url, headers, body }));
        let Answer { headers, pieces } = ANSWER.take();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let mut response = Response::new(reqwest::Body::wrap_stream(pieces));
        *response.status_mut() = StatusCode::OK;
        *response.headers_mut() = headers;
        Ok(response.into())
    }
}

/// A connection's way out.
#[derive(Debug)]
pub struct Way {
    egress: Egress,
    permit: Arc<Permit>,
}

/// With what the operator opened, and without: setting one up reads the system's certificates, so there are these two.
fn egress(opened: bool) -> Egress {
    static OPENED: OnceLock<Egress> = OnceLock::new();
    static CLOSED: OnceLock<Egress> = OnceLock::new();
    let set_up = |allow: &[&str]| {
        let entries = allow.iter().map(|entry| entry.parse().expect("entries of this file are good")).collect();
        Egress::new(Config { allow: AllowList::new(entries), ..Config::default() }).expect("the system has a TLS")
    };
    match opened {
        true => OPENED.get_or_init(|| set_up(&Way::OPENED)).clone(),
        false => CLOSED.get_or_init(|| set_up(&[])).clone(),
    }
}

impl Way {
    /// What the operator opened, where anything is.
    pub const OPENED: [&'static str; 3] = ["http://127.0.0.1:5000", "http://intranet.example", "10.1.0.0/16"];

    /// Of a connection with these origins, a plan as it is stored, and these values.
    pub fn new(opened: bool, origins: &[String], plan: &str, values: &Values) -> Result<Self, String> {
        let plan: Authentication = serde_json::from_str(plan).map_err(|error| error.to_string())?;
        let permit = Permit::resolve("fuzzing".into(), origins, &plan, &values.0, &Outside::system());
        Ok(Self { egress: egress(opened), permit: Arc::new(permit.map_err(|error| error.to_string())?) })
    }

    /// What this request would dial, and the answer as its reader sees it.
    pub async fn send(
        &self,
        request: Request<Vec<u8>>,
        answer: Answer,
    ) -> Result<(Dialled, HeaderMap, Vec<u8>), String> {
        DIALLED.set(None);
        ANSWER.set(answer);
        let body = |bytes: Vec<u8>| -> Body {
            Full::new(Bytes::from(bytes)).map_err(|never: std::convert::Infallible| match never {}).boxed_unsync()
        };
        let call = Arc::new(Call::new(self.egress.limits().clone(), Duration::from_secs(60)));
        let answered = self.egress.send(&self.permit, &call, request.map(body), Timeouts::default()).await;
        let Some(dialled) = DIALLED.take() else {
            return Err(answered.err().map_or_else(|| "answered without a request".into(), |error| error.to_string()));
        };
        let (parts, body) = answered.map_err(|error| error.to_string())?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes().to_vec();
        Ok((dialled, parts.headers, body))
    }
}

/// What is wrong with a plan as it is stored; none where it is no plan at all.
pub fn check(plan: &str, origins: &[String], public: &[String], secret: &[String]) -> Option<Vec<String>> {
    let plan: Authentication = serde_json::from_str(plan).ok()?;
    let problems = plan::check_plan(&plan, origins, public, secret, SignIn::None);
    Some(problems.iter().map(ToString::to_string).collect())
}

/// A template that stands as a whole.
pub fn whole(template: &str, values: &Values) -> Result<Option<String>, String> {
    told(expand::whole(template, &values.0, "here"))
}

/// A template of a path.
pub fn path(template: &str, values: &Values) -> Result<Option<String>, String> {
    told(expand::path(template, &values.0, "here"))
}

/// A template of JSON.
pub fn json(template: &str, values: &Values) -> Result<Option<String>, String> {
    told(expand::json(template, &values.0, "here"))
}

/// Whether a template stands for a JSON object.
pub fn is_json_object(template: &str) -> bool {
    expand::is_json_object(template)
}

/// A template of a URL.
pub fn url(template: &str, values: &Values) -> Result<String, String> {
    told(expand::url(template, &values.0, "here").map(Some)).map(Option::unwrap_or_default)
}

/// The origins of one connection.
pub fn origins(templates: &[String], values: &Values) -> Result<Vec<Origin>, String> {
    expand::expand_origins(templates, &values.0).map_err(|error| error.to_string())
}

fn told(expanded: Result<Option<expand::Expanded>, super::PermitError>) -> Result<Option<String>, String> {
    expanded.map(|done| done.map(|done| done.render("uuid").to_string())).map_err(|error| error.to_string())
}

/// What takes secrets out; by an automaton, or by one finder for each form.
pub struct Redactor(redact::Redactor);

impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Redactor")
    }
}

impl Redactor {
    /// What stands in a secret's place.
    pub const REDACTED: &'static [u8] = REDACTED;

    pub fn new(secrets: &[&str]) -> Option<Self> {
        redact::Redactor::seasoned(secrets.iter().copied()).map(Self)
    }

    pub fn once(secrets: &[&str]) -> Option<Self> {
        redact::Redactor::once(secrets.iter().copied()).map(Self)
    }

    pub fn finds(&self, text: &[u8]) -> bool {
        self.0.finds(text)
    }

    pub fn whole(&self, text: &[u8]) -> Vec<u8> {
        self.0.replace(text).0
    }

    pub fn pieces<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut stream = self.0.stream();
        let mut clean = Vec::new();
        for piece in pieces {
            clean.extend_from_slice(&stream.push(&Bytes::copy_from_slice(piece)));
        }
        clean.extend_from_slice(&stream.finish());
        clean
    }
}
