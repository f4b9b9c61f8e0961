//! Hostile connectors, each attack beside what it cost everybody else: `cargo bench -p turnbuckle-tests --bench zoo`.
//!
//! A word after `--` runs the attacks with that word in their names only. Each attack is repeated, by several at once where
//! it needs no installing, while somebody else's connection is tested; the same tests, measured just before, are what it is
//! compared with. One line that is not as it must be makes the whole run fail.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use turnbuckle_tests::api::Api;
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::wire::Wire;
use turnbuckle_tests::world::{Serving, World};
use turnbuckle_tests::zoo::{self, ATTACKS, Attack, Stage, service};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");
const TOKEN: &str = "canary-7f3a91c2d4/+e5=b6";
/// Tests of the other connection for one percentile.
const SAMPLES: usize = 400;
/// Who attacks at once by connections.
const ATTACKERS: usize = 4;
/// What an attack may do to the slowest hundredth of everybody else's calls.
const TARGET: f64 = 2.0;

fn main() -> ExitCode {
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let cage = Cage::open();
    println!(
        "{:<28} {:<12} {:>8} {:>9} {:>9} {:>9} {:>7}  ended",
        "attack", "stage", "time", "memory", "p99", "without", "ratio"
    );
    let lines: Vec<_> =
        ATTACKS.iter().filter(|attack| attack.name.contains(&word)).map(|attack| cage.measure(attack)).collect();
    let within = lines.iter().filter(|line| line.ratio <= TARGET).count();
    let worst = lines.iter().map(|line| line.ratio).fold(0.0, f64::max);
    println!(
        "\n{} attacks; {within} leave the others' p99 within {TARGET} × of what it is without them, the worst is {worst:.2} ×",
        lines.len()
    );
    if lines.iter().all(|line| line.as_it_must) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Line {
    ratio: f64,
    as_it_must: bool,
}

/// A server, a service that is as hostile as the connectors, and somebody who has nothing to do with them.
struct Cage {
    // Dropped in this order: who asks ends before who answers.
    server: Serving,
    _world: World,
    hostile: Wire,
    _good: Upstream,
}

/// What several attackers and the other's client saw of one attack.
struct Seen {
    /// How long each attack took.
    times: Vec<Duration>,
    ended: Result<String, String>,
}

impl Cage {
    fn open() -> Self {
        let (hostile, good) = (service::start(), Upstream::start());
        good.remember_nothing();
        good.on("GET", "/me", |_| Reply::json(200, &json!({"login": "ada"})));
        let world = World::new(BINARY);
        world.configure(&zoo::configuration(&[hostile.origin(), good.origin()]));
        let server = world.serve();
        let api = server.api();
        install(&api, "http");
        let victim = json!({
            "name": "Victim", "connector": "http", "protocol": "bearer",
            "settings": {"url": good.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
        });
        api.post("/connections", &victim).ended(201);
        Self { server, _world: world, hostile, _good: good }
    }

    fn measure(&self, attack: &Attack) -> Line {
        let component = attack.component(Path::new(BINARY));
        let api = self.server.api();
        let by_connection = matches!(attack.stage, Stage::Authenticate | Stage::Test);
        // Attacks of earlier stages would be another component of the same name.
        if by_connection && api.get("/connectors/zoo").status == 404 {
            install(&api, "zoo");
        }
        self.tests(SAMPLES / 4);
        let without = self.tests(SAMPLES);
        let before = memory(self.server.pid(), "VmRSS:");
        forget_the_peak(self.server.pid());
        let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        let attackers = if by_connection { ATTACKERS } else { 1 };
        let (seen, with) = thread::scope(|scope| {
            let attacking: Vec<_> = (0..attackers)
                .map(|number| {
                    let (over, rounds, component) = (&over, &rounds, component.as_deref());
                    scope.spawn(move || self.attack(attack, number, component, over, rounds))
                })
                .collect();
            let mut with = Vec::new();
            // As long as it takes until each attack has come to its end once.
            while with.len() < SAMPLES || rounds.load(Ordering::Relaxed) < attackers {
                with.extend(self.tests(20));
            }
            over.store(true, Ordering::Relaxed);
            (attacking.into_iter().map(|thread| thread.join().expect("an attacker")).collect::<Vec<_>>(), with)
        });
        let peak = memory(self.server.pid(), "VmHWM:").saturating_sub(before);
        let slowest = seen.iter().flat_map(|seen| &seen.times).max().copied().unwrap_or_default();
        let wrong = seen.iter().find_map(|seen| seen.ended.as_ref().err());
        let told = wrong.or_else(|| seen.first().and_then(|seen| seen.ended.as_ref().ok()));
        let (with, without) = (p99(with), p99(without));
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!(
            "{:<28} {:<12} {:>6.2} s {:>5} MiB {:>6.1} ms {:>6.1} ms {:>5.2} ×  {}{}",
            attack.name,
            attack.stage.name(),
            slowest.as_secs_f64(),
            peak >> 20,
            with.as_secs_f64() * 1e3,
            without.as_secs_f64() * 1e3,
            ratio,
            if wrong.is_some() { "NOT AS IT MUST: " } else { "" },
            told.map_or("", String::as_str).chars().take(100).collect::<String>().replace('\n', " ")
        );
        Line { ratio, as_it_must: wrong.is_none() }
    }

    /// Attacks again and again until it is told to stop.
    fn attack(
        &self,
        attack: &Attack,
        number: usize,
        component: Option<&[u8]>,
        over: &AtomicBool,
        rounds: &AtomicUsize,
    ) -> Seen {
        let api = self.server.api();
        let name = format!("{}-{number}", attack.name);
        let mut seen = Seen { times: Vec::new(), ended: Err("it never ended".to_owned()) };
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let answer = attack.run(&api, component, &self.hostile.origin(), TOKEN, &name);
            seen.times.push(begun.elapsed());
            seen.ended = attack.judge(&answer);
            rounds.fetch_add(1, Ordering::Relaxed);
            if seen.ended.is_err() {
                break;
            }
            attack.tidy(&api, &name);
        }
        seen
    }

    /// How long so many tests of the other connection take.
    fn tests(&self, count: usize) -> Vec<Duration> {
        let api = self.server.api();
        let test = |_number| {
            let begun = Instant::now();
            let tested = api.post("/connections/Victim/test", &json!({}));
            let took = begun.elapsed();
            assert_eq!(tested.ended(200).json()["status"], "active", "somebody else's connection works");
            took
        };
        (0..count).map(test).collect()
    }
}

fn install(api: &Api, name: &str) {
    let kind = [("content-type", "application/wasm")];
    api.call(http::Method::POST, "/connectors", &kind, components::read(BINARY, name)).ended(201);
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99).div_ceil(100) - 1]
}

/// Bytes, by the kernel's own account of a process.
fn memory(process: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = status.lines().find_map(|text| text.strip_prefix(line)).expect("a figure");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

fn forget_the_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("a process of one's own");
}
