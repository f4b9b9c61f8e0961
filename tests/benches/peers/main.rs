//! One authenticated request on loopback, by this host and by what others offer for the same job, turn by turn in one run:
//! `cargo bench --workspace --bench peers`. It installs what it compares with from PyPI and npm, once, which takes minutes.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::disallowed_types, reason = "measures a bare client too")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, Host};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::peer::Peer;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::{components, installed, tree};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");
const TOKEN: &str = "a-token-of-the-usual-length-0123456789abcd";
const ROUNDS: usize = 5;
/// Calls of a kind in each round.
const CALLS: usize = 200;
/// Of one that takes a thousand times as long.
const SLOW_CALLS: usize = 10;
/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_mins(3);

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
    let n8n = N8n::start(&upstream);
    let mut rows = vec![
        Row::of("reqwest alone, connection kept alive", "the caller's own code"),
        Row::of("turnbuckle: send", "no connector code runs"),
        Row::of("turnbuckle: test, guest call and request", "a fresh sandbox, which never sees the secret"),
        Row::of("turnbuckle: test, with its verdict on disk", "the same"),
        Row::of("Extism, one instance kept", "the plug-in is given the secret; state stays between calls"),
        Row::of("Extism, an instance for each", "the plug-in is given the secret"),
        Row::of("Airbyte low-code source, `check`", "a process for each, which is given the secret"),
    ];
    match n8n {
        Some(_) => rows.push(Row::of("n8n, a credential's test", "the server's own process is given the secret")),
        None => println!("n8n can't be installed here, and is left out"),
    }
    for _ in 0..ROUNDS {
        let mut turns = vec![
            ours.bare(&runtime),
            ours.send(&runtime),
            ours.test(&runtime),
            ours.test_on_disk(&runtime),
            extism.median("warm"),
            extism.median("fresh"),
            airbyte.check(),
        ];
        turns.extend(n8n.iter().map(N8n::test));
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

/// n8n, which tests a credential by a workflow of its own that holds one request.
struct N8n {
    api: Api,
    cookie: String,
    asks: Value,
    _server: Peer,
    _home: TempDir,
}

impl N8n {
    fn start(upstream: &Upstream) -> Option<Self> {
        // Two of its parts that no registry has for this compiler or at all, in the versions that one has.
        let modules = installed::node_project(
            "n8n",
            &json!({
                "private": true, "dependencies": {"n8n": "1.123.81"},
                "overrides": {"xlsx": "0.18.5", "isolated-vm": "5.0.4"},
            }),
        )?;
        upstream.on("GET", "/user", |arrived| {
            let good = arrived.header("authorization") == format!("token {TOKEN}");
            if good { Reply::json(200, &json!({"login": "ada"})) } else { Reply::status(401) }
        });
        let home = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut command = Command::new(modules.join(".bin/n8n"));
        command.arg("start").env("N8N_USER_FOLDER", home.path()).env("N8N_PORT", port.to_string());
        command.env("N8N_LISTEN_ADDRESS", "127.0.0.1").env("EXTERNAL_FRONTEND_HOOKS_URLS", "");
        // It calls nobody but this service.
        for off in
            ["DIAGNOSTICS", "VERSION_NOTIFICATIONS", "TEMPLATES", "PERSONALIZATION", "RUNNERS", "LICENSE_AUTO_RENEW"]
        {
            command.env(format!("N8N_{off}_ENABLED"), "false");
        }
        let server = Peer::start(&mut command, "Editor is now accessible", PATIENCE);
        let api = Api::of_peer(&format!("http://127.0.0.1:{port}"));
        let owner = json!({"email": "ada@example.com", "firstName": "Ada", "lastName": "L", "password": "Passw0rd1"});
        let owned = asked(&api, "", "/rest/owner/setup", &owner);
        let cookie = owned.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let data = json!({"server": upstream.origin(), "user": "ada", "accessToken": TOKEN});
        let mut credential = json!({"name": "Peer", "type": "githubApi", "data": data});
        let made = asked(&api, &cookie, "/rest/credentials", &credential).json();
        credential["id"] = made["data"]["id"].clone();
        Some(Self { api, cookie, asks: json!({"credentials": credential}), _server: server, _home: home })
    }

    fn test(&self) -> Duration {
        let once = |_| {
            let began = Instant::now();
            let said = asked(&self.api, &self.cookie, "/rest/credentials/test", &self.asks).json();
            assert_eq!(said["data"]["status"], "OK", "{said}");
            began.elapsed()
        };
        median(&mut (0..SLOW_CALLS).map(once).collect::<Vec<_>>())
    }
}

fn asked(api: &Api, cookie: &str, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("cookie", cookie)];
    api.raw(Method::POST, path, &headers, body.to_string().into()).ended(200)
}
