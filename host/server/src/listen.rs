//! A listening server, and the file by which the command finds it.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tower::ServiceExt as _;
use turnbuckle::{Actor, Host};
use url::Url;

use crate::access::Access;
use crate::console::Who;
use crate::metrics;
use crate::problem::Problem;
use crate::routes::events::Streams;
use crate::routes::router;
use crate::sockets::{Arriving, Heard, Leaving, Place, Sockets};

/// Who works on the data directory itself.
const ADMINISTRATOR: &str = "administrator";
const CALLERS: u32 = 1024;
const PATIENCE: Duration = Duration::from_secs(15);
const END_WITHIN: Duration = Duration::from_secs(10);
/// What was said to somebody who has to go needs a moment to arrive.
const GO_WITHIN: Duration = Duration::from_secs(1);
/// So many are told at the same time that all are at work; more are not told anything.
static TURNED_AWAY: Semaphore = Semaphore::const_new(64);

/// Where a server listens.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// The address; port 0 takes any free one.
    pub address: SocketAddr,
    /// Where `server.json` is written.
    pub data: PathBuf,
    /// Further names by which it may be addressed.
    pub hosts: Vec<String>,
    /// Where browsers reach it, where that is not where it listens: behind a proxy, say.
    pub public_url: Option<Url>,
    /// Whether what is counted can be read without a token, where it listens on loopback.
    pub open_metrics: bool,
    /// How many callers have a socket at the same time: 1,024.
    pub callers: Option<u32>,
    /// How long one is waited for: 15 s.
    pub patience: Option<Duration>,
}

/// Why it does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Somebody else is there.
    #[error("{address} is in use by another program")]
    PortInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address can't be listened on.
    #[error("{address} can't be listened on: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// `server.json` can't be written.
    #[error("{} can't be written: {source}", .path.display())]
    RuntimeFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a command must know to talk to the server of a data directory.
#[derive(Clone, Serialize, Deserialize)]
pub struct RuntimeFile {
    /// Where it listens.
    pub url: String,
    /// A token for this run of the server.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

impl std::fmt::Debug for RuntimeFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RuntimeFile").field("url", &self.url).field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl RuntimeFile {
    /// Where it stands.
    pub fn path(data: &Path) -> PathBuf {
        data.join("server.json")
    }

    /// Reads it; none where no server runs, or one ended without cleaning up in the middle of writing it.
    pub fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(data)).ok()?).ok()
    }

    fn write(&self, data: &Path) -> std::io::Result<()> {
        let beside = data.join("server.json.new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        serde_json::to_writer(&mut file, self)?;
        file.flush()?;
        fs::rename(beside, Self::path(data))
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    host: Host,
    access: Access,
    router: Router,
    file: RuntimeFile,
    data: PathBuf,
    sockets: Sockets,
    patience: Duration,
}

impl Server {
    /// Listens, and writes `server.json`.
    ///
    /// # Errors
    /// Where the address is taken, or the file can't be written.
    pub async fn bind(host: Host, options: ListenOptions) -> Result<Self, ServeError> {
        let address = options.address;
        let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => ServeError::PortInUse { address },
            _ => ServeError::Address { address, source },
        })?;
        let bound = listener.local_addr().map_err(|source| ServeError::Address { address, source })?;
        let token = Access::new_token();
        let mut access = Access::new().token(&token, Actor::administrator(ADMINISTRATOR)).host(bound.to_string());
        let port = bound.port();
        for name in ["localhost", "127.0.0.1", "[::1]"] {
            if bound.ip().is_loopback() || bound.ip().is_unspecified() {
                access = access.host(format!("{name}:{port}"));
            }
        }
        for name in &options.hosts {
            access = access.host(name.clone()).host(format!("{name}:{port}"));
        }
        if options.open_metrics {
            match bound.ip().is_loopback() {
                true => access = access.open_metrics(),
                false => tracing::warn!("others on the network reach this server, so /metrics takes a token"),
            }
        }
        let shown = if bound.ip().is_unspecified() { format!("localhost:{port}") } else { bound.to_string() };
        let file = RuntimeFile { url: format!("http://{shown}"), token, pid: std::process::id() };
        if let Some(url) = &options.public_url
            && let Some(host) = url.host_str()
        {
            access = match url.port() {
                Some(port) => access.host(format!("{host}:{port}")),
                None => access.host(host),
            };
        }
        if let Some(url) = options.public_url.or_else(|| Url::parse(&file.url).ok()) {
            access = access.at(url);
        }
        file.write(&options.data)
            .map_err(|source| ServeError::RuntimeFile { path: RuntimeFile::path(&options.data), source })?;
        let router = router(host.clone(), access.clone());
        let sockets = Sockets::new(options.callers.unwrap_or(CALLERS) as usize);
        let patience = options.patience.unwrap_or(PATIENCE);
        Ok(Self { listener, router, host, access, file, data: options.data, sockets, patience })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.file.url
    }

    /// The token of this run.
    pub fn token(&self) -> &str {
        &self.file.token
    }

    /// A link that signs a browser in as the administrator who started this server, once.
    pub fn link(&self) -> String {
        let who = Who::Own(Actor::administrator(ADMINISTRATOR)).followed(&self.host);
        let code = self.access.sessions().link(who, ADMINISTRATOR, Instant::now()).code;
        let base = self.access.reached_at().map_or(self.file.url.as_str(), Url::as_str);
        format!("{}/sign-in?code={code}", base.trim_end_matches('/'))
    }

    /// Answers until `shutdown` is done, lets what is under way come to its end, and takes `server.json` away.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, host, router, data, sockets, patience, .. } = self;
        let (ending, ends) = watch::channel(false);
        let router = router.layer(Extension(Streams::new(ends.clone())));
        let delivering = host.deliver_webhooks();
        let health = tokio::spawn(host.run_health());
        let counting = tokio::spawn(metrics::run());
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _peer)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Most often this process has as many files open as it may.
                    sockets.make_room();
                    tokio::select! {
                        () = &mut shutdown => break,
                        _waited = tokio::time::timeout(GO_WITHIN, sockets.one_left()) => continue,
                    }
                }
            };
            match sockets.take() {
                Some((place, told)) => {
                    let caller = Caller { place, told, ends: ends.clone(), patience };
                    tokio::spawn(caller.attend(stream, router.clone()));
                }
                None => turn_away(stream),
            }
        }
        drop(listener);
        health.abort();
        counting.abort();
        ending.send_replace(true);
        if tokio::time::timeout(END_WITHIN, sockets.all_left()).await.is_err() {
            tracing::warn!("some requests did not come to their end in time");
        }
        drop(delivering);
        if let Err(error) = host.settle_audit().await {
            tracing::warn!(%error, "the last records of the audit are not kept");
        }
        if let Err(error) = fs::remove_file(RuntimeFile::path(&data)) {
            tracing::warn!(%error, "server.json stays behind");
        }
    }
}

/// Somebody with a socket.
struct Caller {
    place: Arc<Place>,
    /// Their place is another's now.
    told: oneshot::Receiver<()>,
    /// The server ends.
    ends: watch::Receiver<bool>,
    patience: Duration,
}

impl Caller {
    /// Answers until one of both goes.
    async fn attend<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S, router: Router) {
        let Self { place, told, mut ends, patience } = self;
        let _held = Arc::clone(&place);
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (router, place) = (router.clone(), Arc::clone(&place));
            place.works();
            async move {
                let request = request.map(|body| Body::new(Arriving::new(body, Arc::clone(&place), patience)));
                let answer = router.oneshot(request).await;
                // From here on nothing is waited for but that the answer is taken, which has a limit of its own.
                place.works();
                answer.map(|answer| answer.map(|body| Leaving { body, place }))
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(patience).max_headers(100);
        let mut connection = pin!(http.serve_connection(TokioIo::new(Heard::new(stream, patience)), service));
        let within = tokio::select! {
            done = connection.as_mut() => return said(done),
            _told = told => GO_WITHIN,
            _ended = ends.wait_for(|ends| *ends) => END_WITHIN,
        };
        // What is under way comes to its end, and who only rests goes at once.
        connection.as_mut().graceful_shutdown();
        if let Ok(done) = tokio::time::timeout(within, connection).await {
            said(done);
        }
    }
}

fn said(done: hyper::Result<()>) {
    if let Err(error) = done {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Says that there is no place, and takes what is said meanwhile: an end in the middle of it would be heard instead of the answer.
fn turn_away(mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let Ok(place) = TURNED_AWAY.try_acquire() else { return };
    let answer = Problem::busy();
    tokio::spawn(async move {
        let telling = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            let mut dropped = [0; 1024];
            while stream.read(&mut dropped).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(GO_WITHIN, telling).await {
            tracing::debug!(%error, "a caller went before it was told that there is no place");
        }
        drop(place);
    });
}
