//! Hostile connectors, each attack beside what it cost everybody else: `cargo bench --workspace --bench zoo`.
//!
//! A word after `--` runs the attacks with that word in their names only. Each attack is repeated, by several at once where
//! it needs no installing, while somebody else's connection is tested. That is compared with the same tests beside as many
//! honest callers who do the same, and with those that were measured while nobody did anything else. An attack that does not
//! end as it must makes the whole run fail.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
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
        "{:<28} {:<12} {:>8} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}  contained",
        "attack", "stage", "time", "memory", "quiet", "honest", "attacked", "/ quiet", "/ honest"
    );
    let world = World::new(BINARY);
    let lines: Vec<_> = Aim::ALL.iter().flat_map(|aim| measure_all(*aim, &word, &world)).collect();
    println!("\n{} attacks, and the p99 of others meanwhile:", lines.len());
    for (what, ratio) in
        [("while all is quiet", Line::by_quiet as fn(&Line) -> f64), ("beside honest callers", Line::by_honest)]
    {
        let within = lines.iter().filter(|line| ratio(line) <= TARGET).count();
        let worst = lines.iter().map(ratio).fold(0.0, f64::max);
        println!("{within:>4} within {TARGET} × of what it is {what}; the worst is {worst:.2} ×");
    }
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
    quiet: Duration,
    honest: Duration,
    attacked: Duration,
    as_it_must: bool,
}

impl Line {
    fn by_quiet(&self) -> f64 {
        self.attacked.as_secs_f64() / self.quiet.as_secs_f64()
    }

    fn by_honest(&self) -> f64 {
        self.attacked.as_secs_f64() / self.honest.as_secs_f64()
    }
}

/// A server, a service that is as hostile as the connectors, and somebody who has nothing to do with them.
struct Cage {
    // Dropped in this order: who asks ends before who answers.
    server: Serving,
    hostile: Wire,
    good: Upstream,
    /// How long tests of the other connection took lately while nobody attacked.
    quiet: Vec<Duration>,
    /// Their slowest hundredth beside one honest installer, and beside several who make connections.
    honest: [Option<Duration>; 2],
}

/// What several attackers and the other's client saw of one attack.
struct Seen {
    /// How long each attack took.
    times: Vec<Duration>,
    ended: Result<String, String>,
}

impl Cage {
    fn open(aim: Aim, world: &World) -> Self {
        let (hostile, good) = (elsewhere(service::start), Upstream::start());
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
        api.post("/connections", &connection("Victim", &good.origin())).ended(201);
        drop(api);
        drop(server.stop());
        world.configure(&aim.configuration(&origins));
        let server = world.serve();
        let cage = Self { server, hostile, good, quiet: Vec::new(), honest: [None; 2] };
        cage.tests(SAMPLES);
        let quiet = cage.tests(2 * SAMPLES);
        Self { quiet, ..cage }
    }

    fn measure(&mut self, attack: &Attack) -> Line {
        let component = attack.component(Path::new(BINARY));
        let by_connection = matches!(attack.stage, Stage::Authenticate | Stage::Test);
        self.have_the_zoo(by_connection);
        let honest = self.honest(by_connection);
        self.quiet.drain(..ANEW);
        let anew = self.tests(ANEW);
        self.quiet.extend(anew);
        let resident = memory(self.server.pid(), "VmRSS:");
        let forgotten = forget_the_peak(self.server.pid());
        let attackers = if by_connection { ATTACKERS } else { 1 };
        let (seen, during) = self
            .beside(attackers, &|number, over, rounds| self.attack(attack, number, component.as_deref(), over, rounds));
        let peak = memory(self.server.pid(), "VmHWM:").saturating_sub(resident);
        let grown = if forgotten { format!("{} MiB", peak >> 20) } else { "?".to_owned() };
        let slowest = seen.iter().flat_map(|seen| &seen.times).max().copied().unwrap_or_default();
        let wrong = seen.iter().find_map(|seen| seen.ended.as_ref().err());
        let told = wrong.or_else(|| seen.first().and_then(|seen| seen.ended.as_ref().ok()));
        let line = Line { quiet: p99(self.quiet.clone()), honest, attacked: p99(during), as_it_must: wrong.is_none() };
        let shown = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        println!(
            "{:<28} {:<12} {:>6.2} s {:>9} {:>8} {:>8} {:>8} {:>6.2} × {:>6.2} ×  {}{}",
            attack.name,
            attack.stage.name(),
            slowest.as_secs_f64(),
            grown,
            shown(line.quiet),
            shown(line.honest),
            shown(line.attacked),
            line.by_quiet(),
            line.by_honest(),
            if wrong.is_some() { "NOT AS IT MUST: " } else { "" },
            told.map_or("", String::as_str).chars().take(100).collect::<String>().replace('\n', " ")
        );
        line
    }

    /// What several callers do again and again while the other connection is tested: what each of them gives back, and how
    /// long the tests took. They go on at least until each caller has come to its end once.
    fn beside<T: Send>(
        &self,
        callers: usize,
        call: &(dyn Fn(usize, &AtomicBool, &AtomicUsize) -> T + Sync),
    ) -> (Vec<T>, Vec<Duration>) {
        let (over, rounds) = (&AtomicBool::new(false), &AtomicUsize::new(0));
        thread::scope(|scope| {
            let calling: Vec<_> = (0..callers).map(|number| scope.spawn(move || call(number, over, rounds))).collect();
            let mut during = Vec::new();
            while during.len() < SAMPLES || rounds.load(Ordering::Relaxed) < callers {
                during.extend(self.tests(20));
            }
            over.store(true, Ordering::Relaxed);
            (calling.into_iter().map(|thread| thread.join().expect("a caller")).collect(), during)
        })
    }

    /// The slowest hundredth beside as many honest callers who do the same.
    fn honest(&mut self, by_connection: bool) -> Duration {
        let place = usize::from(by_connection);
        if let Some(known) = self.honest[place] {
            return known;
        }
        let callers = if by_connection { ATTACKERS } else { 1 };
        let (_, during) = self.beside(callers, &|number, over, rounds| {
            let api = self.server.api();
            while !over.load(Ordering::Relaxed) {
                let path = match by_connection {
                    true => {
                        let name = format!("Honest-{number}");
                        api.post("/connections", &connection(&name, &self.good.origin())).ended(201);
                        format!("/connections/{name}")
                    }
                    false => {
                        install(&api, "echo");
                        "/connectors/echo".to_owned()
                    }
                };
                api.call(Method::DELETE, &path, &[], Bytes::new()).ended(204);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        *self.honest[place].insert(p99(during))
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

/// On a machine of its own, as far as that can be had here: what it computes takes only what the host leaves.
fn elsewhere<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    let niced = || {
        rustix::process::nice(19).expect("anybody may give way");
        start()
    };
    // Threads begin with the priority of who began them.
    thread::scope(|scope| scope.spawn(niced).join().expect("it starts"))
}

fn connection(name: &str, origin: &str) -> Value {
    json!({
        "name": name, "connector": "http", "protocol": "bearer",
        "settings": {"url": origin, "test-path": "/me"}, "secrets": {"token": TOKEN},
    })
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
