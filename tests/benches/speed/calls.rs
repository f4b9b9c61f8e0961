//! Calls of a guest, and requests.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use turnbuckle::{Actor, Host, NewConnection, Verdict};
use turnbuckle_tests::components;
use turnbuckle_tests::host::{self, TOKEN, root};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::figures::{Figures, time};
use crate::{BINARY, bare};

const AT_ONCE: u64 = 16;

/// A host whose connections may reach this origin.
pub(crate) async fn open(data: &Path, origin: &str) -> Host {
    host::open(BINARY, data, origin).await
}

/// A connection by bearer token.
pub(crate) fn new(name: &str, origin: &str) -> NewConnection {
    host::bearer("http", name, origin)
}

/// A service that answers like a small API.
pub(crate) fn service() -> Upstream {
    let upstream = Upstream::start();
    upstream.remember_nothing();
    upstream.on("GET", "/me", |_| {
        Reply::json(200, &json!({"id": 583_231, "login": "ada", "name": "Ada", "plan": {"name": "pro", "seats": 12}}))
    });
    upstream
}

/// Connections whose credential is a token that was obtained, and one whose requests are signed.
async fn connect_others(host: &Host, actor: &Actor, origin: &str) {
    let token = json!({
        "name": "Token", "connector": "http", "protocol": "oauth2-client-credentials",
        "settings": {"url": origin, "test-path": "/me", "authorization-server": origin, "client-id": "bench"},
        "secrets": {"client-secret": TOKEN},
    });
    let signed = json!({
        "name": "Signed", "connector": "echo", "protocol": "aws-sigv4",
        "settings": {"url": origin, "path": "/me", "username": "AKIDEXAMPLE"}, "secrets": {"password": TOKEN},
    });
    for new in [token, signed] {
        let new = serde_json::from_value::<NewConnection>(new).expect("a connection");
        host.create_connection(actor, new).await.expect("it is made");
    }
}

async fn tested(host: &Host, actor: &Actor) -> Verdict {
    let view = host.test_connection(actor, "Bench").await.expect("a verdict");
    let verdict = view.verdict.expect("a verdict");
    assert!(verdict.passed(), "{verdict:?}");
    verdict
}

/// What every measured call needs.
struct Scene {
    wasm: bare::Wasm,
    http: bare::Http,
    host: Host,
    actor: Actor,
    url: String,
    uri: http::Uri,
    body: Bytes,
}

impl Scene {
    async fn get(&self) -> usize {
        self.http.get(&self.url, TOKEN).await
    }

    async fn send(&self, through: &str, method: http::Method, body: &Bytes) -> usize {
        let body = Full::new(body.clone()).map_err(|never| match never {}).boxed_unsync();
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let answer = self.host.send(&self.actor, through, request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a whole answer").to_bytes().len()
    }

    async fn send_get(&self, through: &str) -> usize {
        self.send(through, http::Method::GET, &Bytes::new()).await
    }

    async fn send_put(&self, through: &str) -> usize {
        self.send(through, http::Method::PUT, &self.body).await
    }
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// One call after the other by a task, as a server's are; each says how long it took.
fn in_turn<F>(group: &mut Group<'_>, runtime: &Runtime, scene: &Arc<Scene>, name: &str, each: fn(Arc<Scene>) -> F)
where
    F: Future<Output = Duration> + Send + 'static,
{
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let scene = scene.clone();
            let task = runtime.spawn(async move {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    took += each(scene.clone()).await;
                }
                took
            });
            runtime.block_on(task).expect("the task ends")
        });
    });
}

/// Calls by several tasks at once, as a server's requests come.
fn at_once<F>(group: &mut Group<'_>, runtime: &Runtime, scene: &Arc<Scene>, name: &str, each: fn(Arc<Scene>) -> F)
where
    F: Future<Output = usize> + Send + 'static,
{
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let began = Instant::now();
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for task in 0..AT_ONCE {
                    let (scene, share) = (scene.clone(), times / AT_ONCE + u64::from(task < times % AT_ONCE));
                    tasks.spawn(async move {
                        for _ in 0..share {
                            assert_ne!(each(scene.clone()).await, 0);
                        }
                    });
                }
                tasks.join_all().await;
            });
            began.elapsed()
        });
    });
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let began = Instant::now();
    std::hint::black_box(work.await);
    began.elapsed()
}

pub(crate) fn measure(runtime: &Runtime, criterion: &mut Criterion, figures: &mut Figures) {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = service();
    let (component, echo) = (components::read(BINARY, "http"), components::read(BINARY, "echo"));
    upstream.on("POST", "/token", |_| Reply::json(200, &json!({"access_token": TOKEN, "expires_in": 36_000})));
    upstream.on("PUT", "/me", |_| Reply::json(200, &json!({"id": 583_231})));
    let (host, actor) = (runtime.block_on(open(folder.path(), &upstream.origin())), root());
    runtime.block_on(async {
        host.install_connector(&actor, component.clone()).await.expect("it installs");
        host.install_connector(&actor, echo).await.expect("it installs");
        connect_others(&host, &actor, &upstream.origin()).await;
        host.create_connection(&actor, new("Bench", &upstream.origin())).await.expect("it is made");
    });
    let url = format!("{}/me", upstream.origin());
    let (wasm, http, uri) = (bare::Wasm::load(&component), bare::Http::new(), url.parse().expect("a URL"));
    let scene = Arc::new(Scene { wasm, http, host, actor, url, uri, body: Bytes::from(vec![7; 1024]) });

    let mut group = criterion.benchmark_group("describe");
    in_turn(&mut group, runtime, &scene, "wasmtime", |scene| async move { timed(scene.wasm.describe()).await });
    in_turn(&mut group, runtime, &scene, "host", |scene| async move {
        timed(async { scene.host.verify_connector(&scene.actor, "http").await.expect("it describes") }).await
    });
    group.finish();

    let mut group = criterion.benchmark_group("test");
    in_turn(&mut group, runtime, &scene, "reqwest", |scene| async move { timed(scene.get()).await });
    // Each test here follows the commit of the one before, in which the machine rested; this is one request after that.
    in_turn(&mut group, runtime, &scene, "reqwest-after-commit", |scene| async move {
        tested(&scene.host, &scene.actor).await;
        timed(scene.get()).await
    });
    in_turn(&mut group, runtime, &scene, "host", |scene| async move {
        Duration::from_micros(tested(&scene.host, &scene.actor).await.microseconds)
    });
    in_turn(&mut group, runtime, &scene, "host-request", |scene| async move {
        let exchanges = tested(&scene.host, &scene.actor).await.exchanges;
        Duration::from_micros(exchanges.iter().map(|exchange| exchange.microseconds).sum())
    });
    in_turn(&mut group, runtime, &scene, "host-with-commit", |scene| async move {
        timed(tested(&scene.host, &scene.actor)).await
    });
    group.finish();

    let mut group = criterion.benchmark_group("send");
    at_once(&mut group, runtime, &scene, "reqwest", |scene| async move { scene.get().await });
    at_once(&mut group, runtime, &scene, "host", |scene| async move { scene.send_get("Bench").await });
    at_once(&mut group, runtime, &scene, "host-by-token", |scene| async move { scene.send_get("Token").await });
    at_once(&mut group, runtime, &scene, "host-put", |scene| async move { scene.send_put("Bench").await });
    at_once(&mut group, runtime, &scene, "host-put-signed", |scene| async move { scene.send_put("Signed").await });
    group.finish();
    report(figures);
}

fn report(figures: &mut Figures) {
    let pair =
        |figures: &Figures, group, ours, floor| Some((figures.median(group, ours)?, figures.median(group, floor)?));
    if let Some((ours, floor)) = pair(figures, "describe", "host", "wasmtime") {
        figures.at_most("describe, fresh sandbox / wasmtime alone", ours, floor, 1.5, "≤ 1.5 ×");
    }
    if let Some((ours, floor)) = pair(figures, "test", "host", "reqwest") {
        figures.at_most("test: guest call and its request / reqwest alone", ours, floor, 1.3, "≤ 1.3 ×");
    }
    if let Some((ours, floor)) = pair(figures, "test", "host", "reqwest-after-commit") {
        figures.at_most("test: the same / reqwest alone after the same pause", ours, floor, 1.3, "≤ 1.3 ×");
    }
    if let Some(request) = figures.median("test", "host-request") {
        figures.shown("test: of that, its request until the answer's head", time(request));
    }
    if let Some((whole, ours)) = pair(figures, "test", "host-with-commit", "host") {
        figures.shown("test: the verdict's commit, besides", time(whole - ours));
    }
    if let Some((ours, floor)) = pair(figures, "send", "host", "reqwest") {
        figures.at_least("send, 16 at once / reqwest alone", ours, floor, 0.9, "≥ 0.9 ×");
    }
    if let Some((ours, floor)) = pair(figures, "send", "host-by-token", "host") {
        figures.at_least("send by an OAuth token / by a static one", ours, floor, 0.95, "≥ 0.95 ×");
    }
    if let Some((signed, plain)) = pair(figures, "send", "host-put-signed", "host-put") {
        figures.shown("send of 1 KiB: signing it by AWS SigV4, besides", time((signed - plain).max(0.0)));
    }
}
