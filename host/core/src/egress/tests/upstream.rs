//! A server on loopback that a test scripts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::{Body, Call, Config, Egress, EgressError, Limits, Permit, Timeouts, Values};
use crate::model::authentication::{Authentication, Parameter, Placement};
use crate::model::outside::Outside;
use crate::model::secret::Secret;

pub(super) const SECRET: &str = "sk_test/51+Hx=&é";

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What reached the server.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<Vec<Seen>>>,
    // Stops the server when the test ends.
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub(super) async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let (answer, mut tasks) = (Arc::new(answer), JoinSet::new());
        let (counter, log) = (Arc::clone(&connections), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else { return };
                counter.fetch_add(1, Ordering::SeqCst);
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                        let seen = Seen {
                            line: format!("{} {}", parts.method, parts.uri),
                            headers: parts.headers,
                            body: String::from_utf8_lossy(&body).into_owned(),
                        };
                        log.lock().unwrap().push(seen.clone());
                        Ok::<_, Infallible>(answer(&seen))
                    }
                });
                open.spawn(async move {
                    // A client that goes away in the middle is what some tests are about.
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(socket), service)
                            .await,
                    );
                });
            }
        });
        Self { address, connections, seen, _tasks: tasks }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(super) fn text(body: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(body.into()).boxed_unsync())
}

/// An egress that may reach these.
pub(super) fn open(allow: &[&str]) -> Egress {
    let entries = allow.iter().map(|entry| entry.parse().unwrap()).collect();
    Egress::new(Config {
        allow: super::super::AllowList::new(entries),
        user_agent: "turnbuckle".into(),
        ..Config::default()
    })
    .unwrap()
}

pub(super) fn call() -> Arc<Call> {
    call_with(Limits::default())
}

pub(super) fn call_with(limits: Limits) -> Arc<Call> {
    Arc::new(Call::new(limits, Duration::from_secs(30)))
}

pub(super) fn parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}

pub(super) fn permit(origin: &str, placements: Vec<Placement>) -> Arc<Permit> {
    let plan = Authentication { placements, ..Authentication::default() };
    let values = Values::new().secret("token", Secret::new(SECRET)).public("user", "ada");
    Arc::new(Permit::resolve("one".into(), &[origin.to_owned()], &plan, &values, &Outside::system()).unwrap())
}

pub(super) fn bearer(origin: &str) -> Arc<Permit> {
    permit(origin, vec![Placement::Header(parameter("authorization", "Bearer {token}"))])
}

pub(super) fn body(content: &str) -> Body {
    Full::new(Bytes::copy_from_slice(content.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

pub(super) fn get(url: &str) -> Request<Body> {
    Request::get(url).body(body("")).unwrap()
}

pub(super) async fn read(response: Response<Body>) -> Result<String, EgressError> {
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec()).unwrap())
}

pub(super) async fn send(
    egress: &Egress,
    permit: &Arc<Permit>,
    request: Request<Body>,
) -> Result<Response<Body>, EgressError> {
    egress.send(permit, &call(), request, Timeouts::default()).await
}
