//! Hostile connectors, each attack beside what it cost everybody else: `cargo bench --workspace --bench zoo`.
//!
//! A word after `--` runs the attacks with that word in their names only. Each attack is repeated, by several at once where
//! it needs no installing, while somebody else's connection is tested; the same tests, measured just before, are what that is
//! compared with. An attack that does not end as it must makes the whole run fail.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::json;
use turnbuckle_tests::api::Api;
use turnbuckle_tests::components;
use turnbuckle_tests::leaks::TOKEN;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::wire::Wire;
use turnbuckle_tests::world::{Serving, World};
use turnbuckle_tests::zoo::{ATTACKS, Aim, Attack, Stage, service};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");
/// Tests of the other connection for one percentile.
const SAMPLES: usize = 200;
/// So many of them are measured anew before each attack; those of the attacks before it make up the rest.
const ANEW: usize = 40;
/// Who attacks at once by connections.
const ATTACKERS: usize = 4;
/// What an attack may do to the slowest hundredth of everybody else's calls.
const TARGET: f64 = 2.0;

fn main() -> ExitCode {
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!(
        "{:<28} {:<12} {:>8} {:>9} {:>9} {:>9} {:>7}  contained",
        "attack", "stage", "time", "memory", "before", "during", "ratio"
    );
    let world = World::new(BINARY);
    let lines: Vec<_> = Aim::ALL.iter().flat_map(|aim| measure_all(*aim, &word, &world)).collect();
    let within = lines.iter().filter(|line| line.ratio <= TARGET).count();
    let worst = lines.iter().map(|line| line.ratio).fold(0.0, f64::max);
    println!(
        "\n{} attacks; {within} leave the p99 of others within {TARGET} × of what it was before, the worst is {worst:.2} ×",
        lines.len()
    );
    if lines.iter().all(|line| line.as_it_must) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The attacks of one kind with that word in their names, on a server with the budgets for them.
fn measure_all(aim: Aim, word: &str, world: &World) -> Vec<Line> {
    let attacks: Vec<_> = ATTACKS.iter().filter(|attack| attack.aim == aim && attack.name.contains(word)).collect();
    if attacks.is_empty() {
        return Vec::new();
    }
    let mut cage = Cage::open(aim, world);
    attacks.iter().map(|attack| cage.measure(attack)).collect()
}

struct Line {
    ratio: f64,
    as_it_must: bool,
}

/// A server, a service that is as hostile as the connectors, and somebody who has nothing to do with them.
struct Cage {
    // Dropped in this order: who asks ends before who answers.
    server: Serving,
    hostile: Wire,
    _good: Upstream,
    /// How long tests of the other connection took lately while nobody attacked.
    quiet: Vec<Duration>,
}

/// What several attackers and the other's client saw of one attack.
struct Seen {
    /// How long each attack took.
    times: Vec<Duration>,
    ended: Result<String, String>,
}

impl Cage {
    fn open(aim: Aim, world: &World) -> Self {
        let (hostile, good) = (service::start(), Upstream::start());
        good.remember_nothing();
        good.on("GET", "/me", |_| Reply::json(200, &json!({"login": "ada"})));
        let origins = [hostile.origin(), good.origin()];
        // What is installed before the attacks takes as long as it takes.
        world.configure(&Aim::Other.configuration(&origins));
        let server = world.serve();
        let api = server.api();
        for name in ["http", "zoo"] {
            if api.get(&format!("/connectors/{name}")).status == 404 {
                install(&api, name);
            }
        }
        drop(api.call(Method::DELETE, "/connections/Victim", &[], Bytes::new()));
        let victim = json!({
            "name": "Victim", "connector": "http", "protocol": "bearer",
            "settings": {"url": good.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
        });
        api.post("/connections", &victim).ended(201);
        drop(api);
        drop(server.stop());
        world.configure(&aim.configuration(&origins));
        let server = world.serve();
        let cage = Self { server, hostile, _good: good, quiet: Vec::new() };
        cage.tests(SAMPLES);
        let quiet = cage.tests(2 * SAMPLES);
        Self { quiet, ..cage }
    }

    fn measure(&mut self, attack: &Attack) -> Line {
        let component = attack.component(Path::new(BINARY));
        let by_connection = matches!(attack.stage, Stage::Authenticate | Stage::Test);
        self.have_the_zoo(by_connection);
        self.quiet.drain(..ANEW);
        let anew = self.tests(ANEW);
        self.quiet.extend(anew);
        let resident = memory(self.server.pid(), "VmRSS:");
        let forgotten = forget_the_peak(self.server.pid());
        let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        let attackers = if by_connection { ATTACKERS } else { 1 };
        let (seen, during) = thread::scope(|scope| {
            let cage = &*self;
            let attacking: Vec<_> = (0..attackers)
                .map(|number| {
                    let (over, rounds, component) = (&over, &rounds, component.as_deref());
                    scope.spawn(move || cage.attack(attack, number, component, over, rounds))
                })
                .collect();
            let mut during = Vec::new();
            // As long as it takes until each attack has come to its end once.
            while during.len() < SAMPLES || rounds.load(Ordering::Relaxed) < attackers {
                during.extend(cage.tests(20));
            }
            over.store(true, Ordering::Relaxed);
            (attacking.into_iter().map(|thread| thread.join().expect("an attacker")).collect::<Vec<_>>(), during)
        });
        let peak = memory(self.server.pid(), "VmHWM:").saturating_sub(resident);
        let grown = if forgotten { format!("{} MiB", peak >> 20) } else { "?".to_owned() };
        let slowest = seen.iter().flat_map(|seen| &seen.times).max().copied().unwrap_or_default();
        let wrong = seen.iter().find_map(|seen| seen.ended.as_ref().err());
        let told = wrong.or_else(|| seen.first().and_then(|seen| seen.ended.as_ref().ok()));
        let (before, during) = (p99(self.quiet.clone()), p99(during));
        let ratio = during.as_secs_f64() / before.as_secs_f64();
        println!(
            "{:<28} {:<12} {:>6.2} s {:>9} {:>6.1} ms {:>6.1} ms {:>5.2} ×  {}{}",
            attack.name,
            attack.stage.name(),
            slowest.as_secs_f64(),
            grown,
            before.as_secs_f64() * 1e3,
            during.as_secs_f64() * 1e3,
            ratio,
            if wrong.is_some() { "NOT AS IT MUST: " } else { "" },
            told.map_or("", String::as_str).chars().take(100).collect::<String>().replace('\n', " ")
        );
        Line { ratio, as_it_must: wrong.is_none() }
    }

    /// Attacks of earlier stages are another component of the same name.
    fn have_the_zoo(&self, wanted: bool) {
        let api = self.server.api();
        match (wanted, api.get("/connectors/zoo").status == 200) {
            (true, false) => install(&api, "zoo"),
            (false, true) => {
                api.call(Method::DELETE, "/connectors/zoo", &[], Bytes::new()).ended(204);
            }
            (true, true) | (false, false) => {}
        }
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
    api.call(Method::POST, "/connectors", &kind, components::read(BINARY, name)).ended(201);
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

/// Says whether it could: a process that nobody may look into lets only an administrator.
fn forget_the_peak(process: u32) -> bool {
    fs::write(format!("/proc/{process}/clear_refs"), "5").is_ok()
}
