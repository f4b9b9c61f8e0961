//! What each call costs in instructions, as callgrind counts them:
//! `cargo bench --workspace --features turnbuckle-tests/callgrind --bench instructions`.
//!
//! A count says nothing of time, and hardly changes on a machine that is busy. Each call runs in a process that does nothing
//! else, a few times and many times; what the difference comes to for one call is shown. Services are in another process.
//! Requests are counted without the commit that writes down in passing what was sent: how many share one goes by the time.
//! What a guest does is not counted: there is no room under valgrind for the pool that its memories come from. A word after
//! `--` counts the calls with that word in their names only. Needs `valgrind`.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::disallowed_types, reason = "counts a bare client too")]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::runtime::Runtime;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, ConnectionFilter, Host, PutFlow};
use turnbuckle_tests::components;
use turnbuckle_tests::host::{TOKEN, bearer, root};
use turnbuckle_tests::peer::program;
use turnbuckle_tests::upstream::{Reply, Upstream};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");
const ORDERS: &str = "TURNBUCKLE_INSTRUCTIONS_ORDERS";
/// What is called first, and whatever is made by the first calls alone.
const FEW: u64 = 20;
const MANY: u64 = 220;
/// Two pages of them.
const CONNECTIONS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Call {
    Prepare,
    Reqwest,
    Send,
    Get,
    Page,
    Create,
}

impl Call {
    fn is_request(self) -> bool {
        matches!(self, Self::Reqwest | Self::Send)
    }
}

const CALLS: [(&str, Call); 5] = [
    ("send by reqwest alone", Call::Reqwest),
    ("send", Call::Send),
    ("get a connection", Call::Get),
    ("page of 50 connections", Call::Page),
    ("durable create of a flow", Call::Create),
];

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Orders {
    call: Call,
    times: u64,
    data: std::path::PathBuf,
    component: std::path::PathBuf,
    origin: String,
}

fn main() {
    if let Some(orders) = orders() {
        return obey(&orders);
    }
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let Some(valgrind) = program("valgrind") else {
        println!("valgrind is not on this machine; nothing is counted");
        return;
    };
    if cfg!(not(feature = "callgrind")) {
        println!("add `--features turnbuckle-tests/callgrind`: without it this ends under valgrind");
        return;
    }
    let upstream = Upstream::start();
    upstream.remember_nothing();
    upstream.on("GET", "/me", |_| {
        Reply::json(200, &json!({"id": 583_231, "login": "ada", "name": "Ada", "plan": {"name": "pro", "seats": 12}}))
    });
    let folder = tempfile::tempdir().expect("a folder");
    let orders = Orders {
        call: Call::Prepare,
        times: 0,
        data: folder.path().join("data"),
        component: components::path(BINARY, "http"),
        origin: upstream.origin(),
    };
    obey(&orders);
    // Compiled code is for one kind of processor, and callgrind plays another.
    count(&valgrind, &Orders { call: Call::Send, times: 1, ..orders.clone() });
    println!("{:<40} {:>14}", "one call", "instructions");
    for (name, call) in CALLS.iter().filter(|(name, _)| name.contains(&word)) {
        let of = |times| count(&valgrind, &Orders { call: *call, times, ..orders.clone() });
        println!("{name:<40} {:>14}", of(MANY).saturating_sub(of(FEW)) / (MANY - FEW));
    }
}

/// Instructions of a process that obeys: of all threads, or of the one that sends.
fn count(valgrind: &Path, orders: &Orders) -> u64 {
    let within: &[&str] = if orders.call.is_request() { &["--toggle-collect=instructions::asking*"] } else { &[] };
    let output = Command::new(valgrind)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(within)
        .arg(std::env::current_exe().expect("this program"))
        .env(ORDERS, serde_json::to_string(orders).expect("plain data"))
        .output()
        .expect("valgrind starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{orders:?}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or_else(|| panic!("no count: {said}"))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark tells its child by the environment what it is")]
fn orders() -> Option<Orders> {
    Some(serde_json::from_str(&std::env::var(ORDERS).ok()?).expect("what `count` wrote"))
}

fn obey(orders: &Orders) {
    let mut builder = match orders.call.is_request() {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
    if orders.call == Call::Reqwest {
        return asking(&runtime, bare(orders));
    }
    let (host, actor) = runtime.block_on(async {
        let mut config = Config::default();
        config.egress.allow = vec![orders.origin.clone()];
        let builder = Host::builder(&orders.data).config(config).compiler(Compiler::InProcess);
        (builder.open().await.expect("the host opens"), root())
    });
    let work = async {
        for at in 0..orders.times {
            once(&host, &actor, orders.call, at).await;
        }
    };
    match orders.call {
        Call::Prepare => runtime.block_on(prepare(&host, &actor, orders)),
        request if request.is_request() => asking(&runtime, work),
        _ => runtime.block_on(work),
    }
}

/// All that the sender's thread does, the client's own tasks among it. `count` knows it by its name.
#[inline(never)]
fn asking(runtime: &Runtime, work: impl Future<Output = ()>) {
    runtime.block_on(work);
}

async fn bare(orders: &Orders) {
    let client = reqwest::Client::new();
    for _ in 0..orders.times {
        let request = client.get(format!("{}/me", orders.origin)).bearer_auth(TOKEN);
        let answer = request.send().await.expect("an answer").error_for_status().expect("it is let in");
        answer.bytes().await.expect("a whole answer");
    }
}

async fn prepare(host: &Host, actor: &Actor, orders: &Orders) {
    let component = std::fs::read(&orders.component).expect("the component");
    host.install_connector(actor, component.into()).await.expect("it installs");
    for at in 0..CONNECTIONS {
        host.create_connection(actor, bearer("http", &name(at), &orders.origin)).await.expect("it is made");
    }
}

fn name(at: usize) -> String {
    format!("Counted {at:03}")
}

async fn once(host: &Host, actor: &Actor, call: Call, at: u64) {
    match call {
        Call::Prepare | Call::Reqwest => unreachable!("they are not repeated"),
        Call::Send => {
            let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
            let request = http::Request::get("/me").body(body).expect("a request");
            let answer = host.send(actor, &name(0), request).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.expect("a whole answer");
        }
        Call::Get => {
            let at = usize::try_from(at).expect("a small number") % CONNECTIONS;
            host.connection(actor, &name(at)).expect("it is there");
        }
        Call::Page => {
            let page = host.connections(actor, &ConnectionFilter::default()).expect("a page");
            assert_eq!(page.items.len(), 50);
        }
        Call::Create => {
            let flow = serde_json::from_value::<PutFlow>(json!({"name": "Nightly", "status": "active"}));
            host.put_flow(actor, &format!("f{}-{at}", std::process::id()), flow.expect("a flow"))
                .await
                .expect("it is kept");
        }
    }
}
