//! Requests to addresses that no connector may reach, in a network of its own from which nothing can leave.
//!
//! The thread of such a test leaves the machine's network; what it starts lives in the new one. Private and metadata addresses
//! stand on its loopback device, names are its own, and a canary listens on all of them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::thread::UnshareFlags;
use serde_json::json;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, Error, Host};
use turnbuckle_tests::components;
use turnbuckle_tests::names::Names;

use crate::scene::{BINARY, left_out};

/// How long a canary waits for a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the loopback device of the new network answers for besides itself. The last two of each family are public.
const ADDRESSES: &[&str] = &[
    "169.254.169.254/32",
    "100.100.100.200/32",
    "10.66.0.1/32",
    "172.16.0.9/32",
    "192.168.7.7/32",
    "100.64.0.1/32",
    "198.18.0.1/32",
    "192.0.2.1/32",
    "fd00::1/128",
    "fd00:ec2::254/128",
    "fec0::1/128",
    "64:ff9b::7f00:1/128",
    "64:ff9b::a9fe:a9fe/128",
    "2002:7f00:1::/128",
    "2001:db8::1/128",
    "93.184.216.34/32",
    "2606:4700::1/128",
];

/// Names that resolve there and nowhere else.
const HOSTS: &str = "127.0.0.1 localhost\n\
    169.254.169.254 metadata.example\n\
    127.0.0.1 loop.example\n\
    10.66.0.1 inside.example\n\
    fd00::1 six.example\n\
    93.184.216.34 public.example\n\
    93.184.216.34 mixed.example\n\
    10.66.0.1 mixed.example\n\
    2606:4700::1 mixed-six.example\n\
    127.0.0.1 mixed-six.example\n";

/// Hosts of URLs behind which stands no public address.
const FORBIDDEN: &[&str] = &[
    // Each range as people write it.
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "169.254.169.254",
    "100.100.100.200",
    "10.66.0.1",
    "172.16.0.9",
    "192.168.7.7",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    // Other spellings of loopback and metadata.
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "127.0.0.1.",
    // IPv6, and IPv4 inside of it.
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fd00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[2001:db8::1]",
    // Names.
    "localhost",
    "metadata.example",
    "loop.example",
    "inside.example",
    "six.example",
    // One good address does not carry a bad one.
    "mixed.example",
    "mixed-six.example",
];

/// Accepts on port 80 and 443 of every address, and remembers where it was called.
#[derive(Clone, Default)]
pub(crate) struct Canary {
    seen: Arc<Mutex<Vec<SocketAddr>>>,
    service: Arc<OnceLock<Service>>,
}

/// Says at which address somebody asked, and what.
type Answering = dyn Fn(SocketAddr, &str) -> String + Send + Sync;

/// What a canary answers; one without hangs up.
pub(crate) struct Service {
    /// By which it answers on port 443.
    pub(crate) tls: Arc<rustls::ServerConfig>,
    /// To a request's head, whole; a whole answer.
    pub(crate) answer: Box<Answering>,
}

impl Canary {
    fn start() -> Self {
        let canary = Self::default();
        for port in [80, 443] {
            let listener = TcpListener::bind(("::", port)).unwrap();
            let canary = canary.clone();
            // It ends with the process; nothing else lives in its network then.
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let Ok(at) = stream.local_addr() else { continue };
                    canary.seen.lock().unwrap().push(at);
                    if canary.service.get().is_some() {
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        let canary = canary.clone();
                        thread::spawn(move || canary.serve(at, stream));
                    }
                }
            });
        }
        canary
    }

    /// Answers from now on.
    pub(crate) fn answer(&self, service: Service) {
        assert!(self.service.set(service).is_ok(), "it answers once and for all");
    }

    fn serve(&self, at: SocketAddr, stream: impl Read + Write) {
        let service = self.service.get().unwrap();
        match at.port() {
            443 => {
                let session = rustls::ServerConnection::new(Arc::clone(&service.tls)).unwrap();
                reply(rustls::StreamOwned::new(session, stream), |head| (service.answer)(at, head));
            }
            _ => reply(stream, |head| (service.answer)(at, head)),
        }
    }

    /// Where it was called since the last time.
    pub(crate) fn taken(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Reads one request's head and answers it. Whoever speaks otherwise gets nothing.
fn reply(mut stream: impl Read + Write, answer: impl Fn(&str) -> String) {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 << 10 {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    // Whoever asked may be gone.
    drop(stream.write_all(answer(&String::from_utf8_lossy(&head)).as_bytes()));
    drop(stream.flush());
}

/// Runs a test in a thread of a network and with names of its own.
pub(crate) fn in_own_network(test: &'static str, body: impl FnOnce(Canary) + Send + 'static) {
    alone(test, |folder| {
        bind(folder, "/etc/hosts", HOSTS);
        for address in ADDRESSES {
            sh(&format!("ip address add {address} dev lo"));
        }
        body(Canary::start());
    });
}

/// As [`in_own_network`], but every address there is stands on its loopback device, and names are what its name server says.
pub(crate) fn in_own_internet(test: &'static str, body: impl FnOnce(Canary, Names) + Send + 'static) {
    alone(test, |folder| {
        bind(folder, "/etc/hosts", "127.0.0.1 localhost\n");
        bind(folder, "/etc/resolv.conf", "nameserver 127.0.0.1\n");
        bind(folder, "/etc/nsswitch.conf", "hosts: files dns\n");
        sh("ip route add local 0.0.0.0/0 dev lo");
        sh("ip -6 route add local ::/0 dev lo");
        body(Canary::start(), Names::start());
    });
}

fn alone(test: &'static str, body: impl FnOnce(&Path) + Send + 'static) {
    let outcome = thread::spawn(move || {
        #[expect(
            deprecated,
            reason = "its replacement is unsafe for the sake of file descriptors, which are not unshared"
        )]
        let left = rustix::thread::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS);
        if let Err(error) = left {
            return left_out(test, &format!("a network of its own takes root ({error})"));
        }
        let folder = tempfile::tempdir().unwrap();
        sh("mount --make-rprivate /");
        sh("ip link set lo up");
        body(folder.path());
    })
    .join();
    if let Err(panicked) = outcome {
        std::panic::resume_unwind(panicked);
    }
}

/// Puts a text in the place of a file, for this thread and what it starts.
fn bind(folder: &Path, file: &str, text: &str) {
    let own = folder.join(file.replace('/', "_"));
    fs::write(&own, text).unwrap();
    sh(&format!("mount --bind {} {file}", own.display()));
}

pub(crate) fn sh(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    // One thread: whatever it starts inherits its network.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn host(data: &Path, allow: &[&str]) -> Host {
    let mut config = Config::default();
    config.egress.allow = allow.iter().map(|&entry| entry.to_owned()).collect();
    let host = Host::builder(data).config(config).compiler(Compiler::Worker(BINARY.into())).open().await.unwrap();
    host.install_connector(&actor(), components::read(BINARY, "http")).await.unwrap();
    host
}

fn actor() -> Actor {
    Actor::administrator("tests")
}

/// What came of a connection to this origin: the fields that are wrong, or what the request met.
async fn meet(host: &Host, origin: &str) -> Result<(String, bool), Vec<String>> {
    let new = json!({
        "name": origin.chars().take(80).collect::<String>(), "connector": "http", "protocol": "bearer",
        "settings": {"url": origin}, "secrets": {"token": "canary-in-the-network"},
    });
    match host.create_connection(&actor(), serde_json::from_value(new).unwrap()).await {
        Ok(made) => {
            let verdict = made.verdict.unwrap();
            let passed = verdict.passed();
            let errors = verdict.exchanges.into_iter().filter_map(|exchange| exchange.error);
            let said: Vec<_> = errors.chain([verdict.message]).collect();
            Ok((said.join("; "), passed))
        }
        Err(Error::Invalid { problems }) => Err(problems.into_iter().map(|problem| problem.field).collect()),
        Err(other) => panic!("{origin}: {other}"),
    }
}

#[test]
fn no_spelling_of_a_private_address_is_dialled() {
    components::path(BINARY, "http");
    in_own_network("no_spelling_of_a_private_address_is_dialled", |canary| {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let host = host(folder.path(), &[]).await;
            for scheme in ["https", "http"] {
                for forbidden in FORBIDDEN {
                    let origin = format!("{scheme}://{forbidden}");
                    match meet(&host, &origin).await {
                        Err(fields) => assert_eq!(fields, ["url"], "{origin}"),
                        Ok((error, passed)) => {
                            assert!(!passed, "{origin} passed");
                            // Some spellings are no host at all to the connector's own client.
                            let refused = ["address rule", "scheme rule", "host is not one"];
                            assert!(refused.iter().any(|words| error.contains(words)), "{origin}: {error}");
                        }
                    }
                    assert_eq!(canary.taken(), Vec::<SocketAddr>::new(), "{origin} was dialled");
                }
            }
            // The canary does see what is dialled: an address of the public internet is.
            for (origin, address) in [
                ("https://public.example", "[::ffff:93.184.216.34]:443"),
                ("https://93.184.216.34", "[::ffff:93.184.216.34]:443"),
                ("https://[2606:4700::1]", "[2606:4700::1]:443"),
            ] {
                let (error, passed) = meet(&host, origin).await.unwrap();
                let refused = error.contains(" rule: ");
                assert!(!passed && !refused, "{origin}: {error}");
                assert!(canary.taken().contains(&address.parse().unwrap()), "{origin}");
            }
        });
    });
}

#[test]
fn an_operator_opens_a_network_and_no_more_than_that() {
    components::path(BINARY, "http");
    in_own_network("an_operator_opens_a_network_and_no_more_than_that", |canary| {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let host = host(folder.path(), &["10.66.0.0/16"]).await;
            for origin in ["http://10.66.0.1", "http://inside.example"] {
                meet(&host, origin).await.unwrap();
                let taken = canary.taken();
                assert!(!taken.is_empty(), "{origin} is open");
                assert!(taken.iter().all(|at| *at == "[::ffff:10.66.0.1]:80".parse().unwrap()), "{origin}: {taken:?}");
            }
            for origin in [
                "http://mixed.example",
                "http://metadata.example",
                "http://loop.example",
                "http://192.168.7.7",
                "http://public.example",
            ] {
                let (error, _) = meet(&host, origin).await.unwrap();
                assert!(error.contains(" rule: "), "{origin}: {error}");
                assert_eq!(canary.taken(), Vec::<SocketAddr>::new(), "{origin} was dialled");
            }
        });
    });
}
