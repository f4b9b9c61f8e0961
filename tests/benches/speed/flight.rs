//! Memory of very many tests in flight, in a process that does nothing else.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::BINARY;
use crate::calls::{new, open, root};
use crate::figures::Figures;
use crate::records::wanted;

const TESTS: usize = 1_000;
const DATA: &str = "TURNBUCKLE_BENCH_DATA";
const ORIGIN: &str = "TURNBUCKLE_BENCH_ORIGIN";

pub(crate) fn measure(figures: &mut Figures) {
    if !wanted("flight") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::start();
    upstream.on("GET", "/me", |_| Reply::status(200));
    prepare(folder.path(), &upstream);
    upstream.forget();
    let mut gate = upstream.hold("GET", "/me", |_| Reply::status(200));
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(DATA, folder.path())
        .env(ORIGIN, upstream.origin())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    gate.wait_for(TESTS);
    child.stdin.take().expect("it is piped").write_all(b"measure\n").expect("it listens");
    let said = lines.next().expect("it says").expect("it is text");
    gate.open();
    assert_eq!(lines.next().expect("it says").expect("it is text"), "all passed");
    assert!(child.wait().expect("it ends").success());
    let each = said.parse::<f64>().expect("bytes") / TESTS as f64 / 1024.0;
    figures.line(
        "memory of each of 1,000 tests in flight",
        format!("{each:.0} KiB"),
        String::new(),
        String::new(),
        "≤ 256 KiB",
        each <= 256.0,
    );
}

fn prepare(data: &Path, upstream: &Upstream) {
    let component = components::read(BINARY, "http");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (host, actor, origin) = (open(data, &upstream.origin()).await, root(), upstream.origin());
        host.install_connector(&actor, component).await.expect("it installs");
        let made = (0..TESTS).map(|at| host.create_connection(&actor, new(&format!("Slow {at}"), &origin)));
        assert!(join_all(made).await.iter().all(Result::is_ok));
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark tells its child by the environment what it is")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn is_child() -> bool {
    variable(DATA).is_some()
}

/// Begins all tests, says how much memory came to be resident when it is told that all of them wait, and ends with them.
pub(crate) fn child() {
    let (data, origin) = (PathBuf::from(variable(DATA).expect("data")), variable(ORIGIN).expect("an origin"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (host, actor) = (open(&data, &origin).await, root());
        // What is loaded once for all of them is loaded before.
        host.verify_connector(&actor, "http").await.expect("it starts");
        let before = resident();
        let names: Vec<_> = (0..TESTS).map(|at| format!("Slow {at}")).collect();
        let tests = join_all(names.iter().map(|name| host.test_connection(&actor, name)));
        let told = tokio::task::spawn_blocking(move || {
            std::io::stdin().lock().read_line(&mut String::new()).expect("it is told");
            println!("{}", resident().saturating_sub(before));
        });
        let (verdicts, told) = tokio::join!(tests, told);
        told.expect("it was measured");
        let passed = |view: &turnbuckle::ConnectionView| view.verdict.as_ref().is_some_and(turnbuckle::Verdict::passed);
        assert!(verdicts.iter().all(|view| view.as_ref().is_ok_and(passed)));
        println!("all passed");
    });
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}
