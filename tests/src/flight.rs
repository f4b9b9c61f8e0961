//! Very many tests in flight on a service that holds its answers back, in a process that does nothing else, so that what each
//! of them takes in memory can be told.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use turnbuckle::{Actor, ConnectionView, Host, Verdict};

use crate::host::{bearer, open, root};
use crate::memory::Memory;
use crate::upstream::{Reply, Upstream};

const DATA: &str = "TURNBUCKLE_FLIGHT_DATA";
const ORDERS: &str = "TURNBUCKLE_FLIGHT_ORDERS";

/// How long all requests together may take to arrive.
const PATIENCE: Duration = Duration::from_mins(1);
/// Calls of which the median is taken.
const CALLS: usize = 21;

/// What flies.
#[derive(Debug, Clone)]
pub struct Flight<'a> {
    /// The binary that compiles.
    pub binary: &'a str,
    /// What the connector calls itself. It has the settings and the protocol of [`bearer`].
    pub connector: &'a str,
    /// Its component.
    pub component: Bytes,
    /// How many tests are in flight at once.
    pub tests: usize,
}

/// What the process is told.
#[derive(Serialize, Deserialize)]
struct Orders {
    origin: String,
    connector: String,
    tests: usize,
}

/// Memory of the process that does it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Weights {
    /// The host is open, and no code of a connector is loaded.
    pub open: Memory,
    /// The connector was asked to describe itself once.
    pub loaded: Memory,
    /// All tests wait for their answers.
    pub flying: Memory,
}

/// Medians of single calls, afterwards.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Times {
    /// One `describe` in a fresh sandbox.
    pub describe: Duration,
    /// The guest call of one test, and its request.
    pub test: Duration,
}

/// What was seen.
#[derive(Debug, Clone, Copy)]
pub struct Flown {
    /// How long it took to install, nearly all of it to compile.
    pub install: Duration,
    /// Memory.
    pub weights: Weights,
    /// Times.
    pub times: Times,
}

impl Flight<'_> {
    /// Lets it fly, by a second process of this program, which comes to [`child`].
    pub fn fly(&self) -> Flown {
        let folder = tempfile::tempdir().expect("a folder");
        let upstream = Upstream::start();
        upstream.remember_nothing();
        let answer = || Reply::json(200, &json!({"login": "ada"}));
        upstream.on("GET", "/me", move |_| answer());
        let install = self.prepare(folder.path(), &upstream.origin());
        let mut gate = upstream.hold("GET", "/me", move |_| answer());
        let mut process = self.start(folder.path(), &upstream);
        if !gate.comes(self.tests, PATIENCE) {
            drop(process.child.kill());
            drop(process.child.wait());
            panic!("not all {} tests by {} sent their requests within {PATIENCE:?}", self.tests, self.connector);
        }
        process.asks.write_all(b"measure\n").expect("it listens");
        let weights = process.says();
        gate.open();
        let times = process.says();
        assert!(process.child.wait().expect("it ends").success());
        Flown { install, weights, times }
    }

    fn prepare(&self, data: &Path, origin: &str) -> Duration {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let (host, actor) = (open(self.binary, data, origin).await, root());
            let began = Instant::now();
            host.install_connector(&actor, self.component.clone()).await.expect("it installs");
            let took = began.elapsed();
            let new = |at| bearer(self.connector, &name(at), origin);
            let made = join_all((0..self.tests).map(|at| host.create_connection(&actor, new(at)))).await;
            assert!(made.iter().all(|made| made.as_ref().is_ok_and(passed)), "{made:?}");
            took
        })
    }

    fn start(&self, data: &Path, upstream: &Upstream) -> Process {
        let orders = Orders { origin: upstream.origin(), connector: self.connector.to_owned(), tests: self.tests };
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .env(DATA, data)
            .env(ORDERS, serde_json::to_string(&orders).expect("plain data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (asks, out) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
        Process { child, asks, lines: BufReader::new(out).lines() }
    }
}

struct Process {
    child: Child,
    asks: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn says<T: DeserializeOwned + Debug>(&mut self) -> T {
        let line = self.lines.next().expect("it says").expect("it is text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

fn name(at: usize) -> String {
    format!("Slow {at}")
}

fn passed(view: &ConnectionView) -> bool {
    view.verdict.as_ref().is_some_and(Verdict::passed)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark tells its child by the environment what it is")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether this process was started to let tests fly.
pub fn is_child() -> bool {
    variable(DATA).is_some()
}

/// Begins all tests, says how much memory there is when it is told that all of them wait, and how long calls take when they are
/// done.
pub fn child(binary: &str) {
    let data = PathBuf::from(variable(DATA).expect("data"));
    let orders: Orders = serde_json::from_str(&variable(ORDERS).expect("orders")).expect("what `start` wrote");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (host, actor) = (open(binary, &data, &orders.origin).await, root());
        let empty = Memory::own();
        // What is loaded once for all of them is loaded before.
        host.verify_connector(&actor, &orders.connector).await.expect("it starts");
        let loaded = Memory::own();
        let names: Vec<_> = (0..orders.tests).map(name).collect();
        let tests = join_all(names.iter().map(|name| host.test_connection(&actor, name)));
        let told = tokio::task::spawn_blocking(move || {
            std::io::stdin().lock().read_line(&mut String::new()).expect("it is told");
            say(&Weights { open: empty, loaded, flying: Memory::own() });
        });
        let (verdicts, told) = tokio::join!(tests, told);
        told.expect("it was measured");
        assert!(verdicts.iter().all(|view| view.as_ref().is_ok_and(passed)), "{verdicts:?}");
        say(&times(&host, &actor, &orders.connector).await);
    });
}

async fn times(host: &Host, actor: &Actor, connector: &str) -> Times {
    let (mut describes, mut tests) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let began = Instant::now();
        host.verify_connector(actor, connector).await.expect("it describes");
        describes.push(began.elapsed());
        let view = host.test_connection(actor, &name(0)).await.expect("a verdict");
        let verdict = view.verdict.expect("a verdict");
        assert!(verdict.passed(), "{verdict:?}");
        tests.push(Duration::from_micros(verdict.microseconds));
    }
    describes.sort_unstable();
    tests.sort_unstable();
    Times { describe: describes[CALLS / 2], test: tests[CALLS / 2] }
}

fn say(what: &impl Serialize) {
    let line = serde_json::to_string(what).expect("plain data");
    writeln!(std::io::stdout(), "{line}").expect("somebody reads");
}
