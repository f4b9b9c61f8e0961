//! Opening, looking up, paging, and changes that last.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use criterion::Criterion;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::runtime::Runtime;
use turnbuckle::{ConnectionFilter, Host, PutFlow};
use turnbuckle_tests::components;
use turnbuckle_tests::host::root;

use crate::calls::{new, open, service};
use crate::figures::{Figures, time};
use crate::{BINARY, bare, fill};

const CONNECTORS: usize = 100;
const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
const LOOKS: u32 = 5_000;
const WRITERS: usize = 64;

pub(crate) fn measure(runtime: &Runtime, criterion: &mut Criterion, figures: &mut Figures) {
    if wanted("open") {
        runtime.block_on(opening(figures));
    }
    if wanted("page") {
        runtime.block_on(looking(figures));
    }
    creating(runtime, criterion, figures);
}

/// Criterion filters what it runs; this does the same for what is measured otherwise.
pub(crate) fn wanted(name: &str) -> bool {
    let words: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}

/// A hundred connectors that differ in their names.
async fn opening(figures: &mut Figures) {
    let folder = tempfile::tempdir().expect("a folder");
    let component = tokio::task::spawn_blocking(|| components::read(BINARY, "narrow")).await.expect("it is built");
    let host = open(folder.path(), "http://127.0.0.1:9").await;
    let actor = root();
    let installs = (0..CONNECTORS).map(|at| {
        let renamed = renamed(&component, b"upgradable", format!("bench-c{at:03}").as_bytes());
        host.install_connector(&actor, renamed.into())
    });
    let installed: Vec<_> = futures_util::stream::iter(installs).buffer_unordered(2).collect().await;
    assert!(installed.iter().all(|report| report.as_ref().is_ok_and(|report| report.new)), "{installed:?}");
    drop(host);
    let compiled = written(&folder.path().join("compiled"));
    let mut times = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let host = open(folder.path(), "http://127.0.0.1:9").await;
        times.push(began.elapsed());
        host.verify_connector(&actor, "bench-c042").await.expect("it starts");
    }
    assert_eq!(written(&folder.path().join("compiled")), compiled, "nothing is compiled again");
    let took = percentile(&mut times, 50);
    let shown = time(took.as_secs_f64() * 1e9);
    figures.line(
        "open a host with 100 connectors",
        shown,
        String::new(),
        String::new(),
        "≤ 50 ms",
        took.as_millis() <= 50,
    );
}

/// The same length, so that no offset in the component changes.
fn renamed(component: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = component.to_vec();
    for at in 0..bytes.len().saturating_sub(old.len()) {
        if bytes[at..].starts_with(old) {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
    }
    bytes
}

fn written(folder: &Path) -> Vec<(std::path::PathBuf, SystemTime)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.path().is_dir() {
            files.extend(written(&entry.path()));
        } else {
            files.push((entry.path(), entry.metadata().and_then(|known| known.modified()).expect("a time")));
        }
    }
    files.sort();
    files
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Looks among a thousand and among a million.
async fn looking(figures: &mut Figures) {
    let mut few = looks(FEW).await;
    let mut many = looks(MANY).await;
    let whats = [
        ("get, among 1,000", "get, among 1,000,000"),
        ("page of 50, among 1,000", "page of 50, among 1,000,000"),
        ("page of 50 by connector and status, among 1,000", "page of 50 by connector and status, among 1,000,000"),
    ];
    for ((little, much), (few, many)) in whats.into_iter().zip(few.iter_mut().zip(&mut many)) {
        figures.shown(little, format!("p99 {}", time(percentile(few, 99).as_secs_f64() * 1e9)));
        let slowest = percentile(many, 99);
        let shown = format!("p99 {}", time(slowest.as_secs_f64() * 1e9));
        figures.line(much, shown, String::new(), String::new(), "p99 ≤ 1 ms", slowest.as_millis() < 1);
    }
}

async fn looks(count: u32) -> [Vec<Duration>; 3] {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = service();
    let actor = root();
    let made = {
        let host = open(folder.path(), &upstream.origin()).await;
        let component = tokio::task::spawn_blocking(|| components::read(BINARY, "http")).await.expect("it is built");
        host.install_connector(&actor, component).await.expect("it installs");
        host.create_connection(&actor, new("Template", &upstream.origin())).await.expect("it is made")
    };
    fill::copies(&folder.path().join("turnbuckle.redb"), &made.id.to_string(), "Template", count);
    let host = open(folder.path(), &upstream.origin()).await;
    assert_eq!(host.report(&actor).expect("a report").connections, u64::from(count) + 1);
    let mut gets = Vec::new();
    for look in 0..LOOKS {
        let name = fill::name(look.wrapping_mul(7_919) % count);
        let began = Instant::now();
        let found = host.connection(&actor, &name).expect("it is there");
        gets.push(began.elapsed());
        assert_eq!(found.name, name);
    }
    let all = ConnectionFilter::default();
    let some = ConnectionFilter {
        connector: Some("http".into()),
        status: Some(turnbuckle::Status::Active),
        ..ConnectionFilter::default()
    };
    [gets, pages(&host, all), pages(&host, some)]
}

fn pages(host: &Host, mut filter: ConnectionFilter) -> Vec<Duration> {
    let actor = root();
    let mut times = Vec::new();
    for _ in 0..LOOKS / 5 {
        let began = Instant::now();
        let page = host.connections(&actor, &filter).expect("a page");
        times.push(began.elapsed());
        assert!(page.items.len() == 50 || page.next.is_none());
        filter.cursor = page.next;
    }
    times
}

/// Changes that are on the disk when they are answered.
fn creating(runtime: &Runtime, criterion: &mut Criterion, figures: &mut Figures) {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = service();
    let (host, actor) = (runtime.block_on(open(&folder.path().join("data"), &upstream.origin())), root());
    let component = components::read(BINARY, "http");
    runtime.block_on(host.install_connector(&actor, component)).expect("it installs");
    let mut commits = bare::Commits::create(&folder.path().join("bare.redb"));
    let flow = || serde_json::from_value::<PutFlow>(json!({"name": "Nightly", "status": "active"})).expect("a flow");
    let number = std::sync::atomic::AtomicU64::new(0);
    let next = || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);

    let mut group = criterion.benchmark_group("create");
    group.sample_size(20);
    group.bench_function("redb-one-at-a-time", |bencher| bencher.iter(|| commits.commit(false)));
    group.bench_function("redb-in-two-phases", |bencher| bencher.iter(|| commits.commit(true)));
    group.bench_function("flow-one-at-a-time", |bencher| {
        bencher
            .to_async(runtime)
            .iter(|| async { host.put_flow(&actor, &format!("f{}", next()), flow()).await.map(drop) });
    });
    group.bench_function("flow-64-writers", |bencher| {
        bencher.to_async(runtime).iter_custom(|times| {
            by_writers(times, || async {
                drop(host.put_flow(&actor, &format!("f{}", next()), flow()).await.expect("kept"))
            })
        });
    });
    group.bench_function("connection-64-writers", |bencher| {
        bencher.to_async(runtime).iter_custom(|times| {
            by_writers(times, || async {
                let new = new(&format!("Orders {}", next()), &upstream.origin());
                drop(host.create_connection(&actor, new).await.expect("kept"));
            })
        });
    });
    group.finish();

    let of = |figures: &Figures, function| figures.median("create", function);
    if let (Some(ours), Some(floor)) = (of(figures, "flow-64-writers"), of(figures, "redb-one-at-a-time")) {
        figures.at_least("durable creates of flows, 64 writers / redb one at a time", ours, floor, 20.0, "≥ 20 ×");
    }
    if let (Some(ours), Some(floor)) = (of(figures, "flow-64-writers"), of(figures, "redb-in-two-phases")) {
        figures.at_least(
            "the same / redb one at a time by the same commit, in two phases",
            ours,
            floor,
            20.0,
            "≥ 20 ×",
        );
    }
    if let (Some(ours), Some(floor)) = (of(figures, "connection-64-writers"), of(figures, "redb-one-at-a-time")) {
        let what = "creates of connections, planned, tested and kept, 64 writers";
        let shown = (format!("{:.0}/s", 1e9 / ours), format!("{:.0}/s", 1e9 / floor), format!("{:.2} ×", floor / ours));
        figures.line(what, shown.0, shown.1, shown.2, "", true);
    }
    if let Some(ours) = of(figures, "flow-one-at-a-time") {
        figures.shown("durable create of a flow, one at a time", time(ours));
    }
}

async fn by_writers<F: Future<Output = ()>>(times: u64, each: impl Fn() -> F) -> Duration {
    let began = Instant::now();
    futures_util::stream::iter(0..times).map(|_| each()).buffer_unordered(WRITERS).count().await;
    began.elapsed()
}
