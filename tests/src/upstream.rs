//! A service on loopback that answers as a test says and remembers what it was asked.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// What arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without `?`.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The socket that it came by: equal for requests on one connection.
    pub socket: SocketAddr,
}

impl Arrived {
    /// One header as text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// An answer with everything that arrived, headers and body, in headers and body.
    pub fn echo(&self) -> Reply {
        let mut reply = Reply::status(200).header("content-type", "text/plain");
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::try_from(value.as_bytes()) {
                let name = HeaderName::try_from(format!("x-echo-{name}")).expect("a header's name");
                reply.headers.append(name, value);
            }
        }
        reply.body(self.whole())
    }

    /// The request as it reads: its first line, its headers, its body.
    pub fn whole(&self) -> String {
        let mut whole = format!("{} {}?{}\n", self.method, self.path, self.query);
        for (name, value) in &self.headers {
            whole.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        whole.push('\n');
        whole.push_str(&self.text());
        whole
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// An empty answer.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::status(status).header("content-type", "application/json").body(body.to_string())
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        self.headers.append(name, HeaderValue::try_from(value).expect("a header's value"));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

type Answering = Box<dyn FnMut(&Arrived) -> Reply + Send>;

struct Route {
    method: &'static str,
    path: String,
    answer: Answering,
    /// Requests wait while this says true.
    held: watch::Receiver<bool>,
    arrived: watch::Sender<usize>,
}

#[derive(Default)]
struct Script {
    routes: Vec<Route>,
    arrived: Vec<Arrived>,
    /// Nothing of what arrives is kept.
    forgetful: bool,
}

/// The service. It ends when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    /// How many are open.
    sockets: watch::Receiver<usize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::start()
    }
}

impl Upstream {
    /// Begins on a free port of 127.0.0.1; what no route answers gets 404.
    pub fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let serving = Arc::clone(&script);
        let (open, sockets) = watch::channel(0);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
                tokio::select! {
                    () = serve(listener, serving, open) => {}
                    _dropped = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the service begins");
        Self { address, script, sockets, stop: Some(stop), thread: Some(thread) }
    }

    /// Its origin, as in `http://127.0.0.1:1234`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers this method and path (`*`: any) so from now on; the newest route that fits wins.
    pub fn on(&self, method: &'static str, path: &str, answer: impl FnMut(&Arrived) -> Reply + Send + 'static) {
        let (_never, held) = watch::channel(false);
        self.route(method, path, Box::new(answer), held);
    }

    /// As [`Upstream::on`], but each answer waits until the gate is opened.
    pub fn hold(
        &self,
        method: &'static str,
        path: &str,
        answer: impl FnMut(&Arrived) -> Reply + Send + 'static,
    ) -> Gate {
        let (gate, held) = watch::channel(true);
        let arrived = self.route(method, path, Box::new(answer), held);
        Gate { gate, arrived }
    }

    /// Answers with everything that arrived, headers and body, in headers and body.
    pub fn echo(&self, path: &str) {
        self.on("*", path, Arrived::echo);
    }

    /// Everything that arrived so far, oldest first.
    pub fn arrived(&self) -> Vec<Arrived> {
        lock(&self.script).arrived.clone()
    }

    /// Keeps nothing from now on: what measures speed must not measure how a list of requests grows.
    pub fn remember_nothing(&self) {
        lock(&self.script).forgetful = true;
    }

    /// Forgets what arrived so far.
    pub fn forget(&self) {
        lock(&self.script).arrived.clear();
    }

    /// Waits until so many sockets are open to it, for so long and no longer: says whether it came to that.
    pub fn comes_to(&self, sockets: usize, patience: Duration) -> bool {
        let mut open = self.sockets.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let reached = open.wait_for(|open| *open == sockets);
        let came = runtime.block_on(async { tokio::time::timeout(patience, reached).await });
        came.is_ok_and(|open| open.is_ok())
    }

    fn route(
        &self,
        method: &'static str,
        path: &str,
        answer: Answering,
        held: watch::Receiver<bool>,
    ) -> watch::Receiver<usize> {
        let (arrived, seen) = watch::channel(0);
        lock(&self.script).routes.push(Route { method, path: path.to_owned(), answer, held, arrived });
        seen
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Holds the answers of one route back.
#[derive(Debug)]
pub struct Gate {
    gate: watch::Sender<bool>,
    arrived: watch::Receiver<usize>,
}

impl Gate {
    /// Blocks until so many requests have arrived at the route.
    pub fn wait_for(&mut self, requests: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.arrived.wait_for(|seen| *seen >= requests)).expect("the service runs");
    }

    /// As [`Gate::wait_for`], for so long and no longer: says whether they came.
    pub fn comes(&mut self, requests: usize, patience: Duration) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let all = self.arrived.wait_for(|seen| *seen >= requests);
        let came = runtime.block_on(async { tokio::time::timeout(patience, all).await });
        came.is_ok_and(|seen| seen.is_ok())
    }

    /// Lets every held answer go, and those to come.
    pub fn open(&self) {
        self.gate.send_replace(false);
    }
}

/// A closure that panics in a test must not hide the test's own failure behind a poisoned lock.
fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>, open: watch::Sender<usize>) {
    loop {
        let Ok((stream, socket)) = listener.accept().await else { continue };
        let (script, open) = (Arc::clone(&script), open.clone());
        open.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let script = Arc::clone(&script);
                async move { Ok::<_, Infallible>(answer(&script, request, socket).await) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            // A client that goes away is none of the service's business.
            drop(server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await);
            open.send_modify(|open| *open -= 1);
        });
    }
}

async fn answer(script: &Mutex<Script>, request: http::Request<Incoming>, socket: SocketAddr) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let arrived = Arrived {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        socket,
    };
    let mut held = None;
    let reply = {
        let mut script = lock(script);
        if !script.forgetful {
            script.arrived.push(arrived.clone());
        }
        let fits = |route: &&mut Route| {
            (route.method == "*" || route.method == arrived.method) && (route.path == "*" || route.path == arrived.path)
        };
        script.routes.iter_mut().rev().find(fits).map_or_else(
            || Reply::status(404),
            |route| {
                route.arrived.send_modify(|seen| *seen += 1);
                held = Some(route.held.clone());
                (route.answer)(&arrived)
            },
        )
    };
    if let Some(mut held) = held {
        // A gate that is gone holds nothing.
        drop(held.wait_for(|held| !held).await);
    }
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}
