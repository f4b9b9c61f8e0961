//! One authenticated request on loopback, by this host and by what others offer for the same job, turn by turn in one run:
//! `cargo bench --workspace --bench peers`. It installs what it compares with from PyPI, once.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::disallowed_types, reason = "measures a bare client too")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::runtime::Runtime;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, Host};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::{components, installed, tree};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");
const TOKEN: &str = "a-token-of-the-usual-length-0123456789abcd";
const ROUNDS: usize = 5;
/// Calls of a kind in each round.
const CALLS: usize = 200;

fn main() {
    let upstream = Upstream::start();
    upstream.remember_nothing();
    upstream.on("GET", "/me", |arrived| {
        let good = arrived.header("authorization") == format!("Bearer {TOKEN}");
        if good { Reply::json(200, &json!({"login": "ada"})) } else { Reply::status(401) }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("a runtime");
    let ours = Ours::open(&runtime, folder.path(), &upstream.origin());
    let mut extism = Extism::start(&upstream.origin());
    let airbyte = Airbyte::ready(folder.path(), &upstream.origin());
    let mut rows = [
        Row::of("reqwest alone, connection kept alive", "the caller's own code"),
        Row::of("turnbuckle: send", "no connector code runs"),
        Row::of("turnbuckle: test, guest call and request", "a fresh sandbox, which never sees the secret"),
        Row::of("turnbuckle: test, with its verdict on disk", "the same"),
        Row::of("Extism, one instance kept", "the plug-in is given the secret; state stays between calls"),
        Row::of("Extism, an instance for each", "the plug-in is given the secret"),
        Row::of("Airbyte low-code source, `check`", "a process for each, which is given the secret"),
    ];
    for _ in 0..ROUNDS {
        let turns = [
            ours.bare(&runtime),
            ours.send(&runtime),
            ours.test(&runtime),
            ours.test_on_disk(&runtime),
            extism.median("warm"),
            extism.median("fresh"),
            airbyte.check(),
        ];
        for (row, took) in rows.iter_mut().zip(turns) {
            row.rounds.push(took);
        }
    }
    let floor = rows[0].median();
    println!("{:<44} {:>12} {:>10}  how", "one authenticated GET on loopback", "median", "ratio");
    for row in &mut rows {
        let took = row.median();
        let micros = took.as_secs_f64() * 1e6;
        println!("{:<44} {micros:>9.0} µs {:>8.1} ×  {}", row.name, took.as_secs_f64() / floor.as_secs_f64(), row.how);
    }
}

struct Row {
    name: &'static str,
    how: &'static str,
    rounds: Vec<Duration>,
}

impl Row {
    fn of(name: &'static str, how: &'static str) -> Self {
        Self { name, how, rounds: Vec::new() }
    }

    fn median(&mut self) -> Duration {
        median(&mut self.rounds)
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// This host, and a bare client beside it.
struct Ours {
    host: Host,
    actor: Actor,
    client: reqwest::Client,
    url: String,
}

impl Ours {
    fn open(runtime: &Runtime, data: &Path, origin: &str) -> Self {
        let mut config = Config::default();
        config.egress.allow = vec![origin.to_owned()];
        let builder = Host::builder(data.join("data")).config(config).compiler(Compiler::Worker(BINARY.into()));
        let (actor, component) = (Actor::administrator("root"), components::read(BINARY, "http"));
        let new = json!({
            "name": "Peer", "connector": "http", "protocol": "bearer",
            "settings": {"url": origin, "test-path": "/me"}, "secrets": {"token": TOKEN},
        });
        let host = runtime.block_on(async {
            let host = builder.open().await.expect("the host opens");
            host.install_connector(&actor, component).await.expect("it installs");
            host.create_connection(&actor, serde_json::from_value(new).expect("a connection"))
                .await
                .expect("it is made");
            host
        });
        Self { host, actor, client: reqwest::Client::new(), url: format!("{origin}/me") }
    }

    fn bare(&self, runtime: &Runtime) -> Duration {
        runtime.block_on(calls(async || {
            let began = Instant::now();
            let request = self.client.get(&self.url).bearer_auth(TOKEN);
            let answer = request.send().await.expect("an answer").error_for_status().expect("it is let in");
            answer.bytes().await.expect("a whole answer");
            began.elapsed()
        }))
    }

    fn send(&self, runtime: &Runtime) -> Duration {
        runtime.block_on(calls(async || {
            let began = Instant::now();
            let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
            let request = http::Request::get("/me").body(body).expect("a request");
            let answer = self.host.send(&self.actor, "Peer", request).await.expect("an answer");
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.expect("a whole answer");
            began.elapsed()
        }))
    }

    async fn tested(&self) -> Duration {
        let view = self.host.test_connection(&self.actor, "Peer").await.expect("a verdict");
        let verdict = view.verdict.expect("a verdict");
        assert!(verdict.passed(), "{verdict:?}");
        Duration::from_micros(verdict.microseconds)
    }

    fn test(&self, runtime: &Runtime) -> Duration {
        runtime.block_on(calls(async || self.tested().await))
    }

    fn test_on_disk(&self, runtime: &Runtime) -> Duration {
        runtime.block_on(calls(async || {
            let began = Instant::now();
            self.tested().await;
            began.elapsed()
        }))
    }
}

async fn calls(each: impl AsyncFn() -> Duration) -> Duration {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        times.push(each().await);
    }
    median(&mut times)
}

/// Extism as its Python package brings it, compiled ahead.
struct Extism {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Extism {
    fn start(origin: &str) -> Self {
        let python = installed::python("extism", "extism==1.1.1").join("python");
        let peers = tree::top().join("tests/peers");
        let mut child = Command::new(python)
            .args([peers.join("extism_get.py"), peers.join("extism.wat")])
            .args([format!("{origin}/me"), TOKEN.to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (asks, says) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
        Self { child, asks, says: BufReader::new(says) }
    }

    fn median(&mut self, kind: &str) -> Duration {
        writeln!(self.asks, "{kind} {CALLS}").expect("it listens");
        self.asks.flush().expect("it listens");
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it says");
        Duration::from_nanos(line.trim().parse().expect("nanoseconds"))
    }
}

impl Drop for Extism {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A source of Airbyte's low-code kit.
struct Airbyte {
    command: PathBuf,
    config: PathBuf,
}

impl Airbyte {
    fn ready(folder: &Path, origin: &str) -> Self {
        let command = installed::python("airbyte", "airbyte-cdk==7.39.1").join("source-declarative-manifest");
        let config = folder.join("airbyte.json");
        fs::write(&config, json!({"url": origin, "token": TOKEN}).to_string()).expect("a file");
        Self { command, config }
    }

    fn check(&self) -> Duration {
        let began = Instant::now();
        let output = Command::new(&self.command)
            .args(["check", "--config"])
            .arg(&self.config)
            .arg("--manifest-path")
            .arg(tree::top().join("tests/peers/airbyte.yaml"))
            .output()
            .expect("it starts");
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("SUCCEEDED"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        took
    }
}
