//! Hostile connectors: each attack ends within its budget, in words that name it, and nobody else notices.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::wire::Wire;
use turnbuckle_tests::world::{Serving, World};
use turnbuckle_tests::zoo::{ATTACKS, Aim, Attack, Stage, connect, describing, service};
use turnbuckle_tests::{leaks, tree};

use crate::scene::{BINARY, TOKEN, install, known_in, offer, wrong_fields};

/// A server with the zoo in it, a service that is as hostile, and a connection of somebody who has nothing to do with it.
///
/// Whatever it says, prints or writes is searched for the secret, as in every test.
struct Cage {
    // Dropped in this order: who asks ends before who answers.
    server: Serving,
    api: Api,
    world: World,
    hostile: Wire,
    good: Upstream,
}

impl Cage {
    fn new() -> Self {
        let (hostile, good) = (service::start(), Upstream::start());
        good.on("GET", "/me", |_| Reply::json(200, &json!({"login": "ada"})));
        let world = World::new(BINARY);
        world.configure(&Aim::Other.configuration(&[hostile.origin(), good.origin()]));
        let server = world.serve();
        let api = server.api();
        let cage = Self { server, api, world, hostile, good };
        install(&cage.api, "http");
        let victim = json!({
            "name": "Victim", "connector": "http", "protocol": "bearer",
            "settings": {"url": cage.good.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
        });
        let made = cage.api.post("/connections", &victim).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
        cage
    }

    fn with_zoo() -> Self {
        let cage = Self::new();
        install(&cage.api, "zoo");
        cage
    }

    /// The same, as its operator begins it again with the budgets for these attacks.
    fn set_for(self, aim: Aim) -> Self {
        let Self { server, api, world, hostile, good } = self;
        drop(api);
        ended_well(server);
        world.configure(&aim.configuration(&[hostile.origin(), good.origin()]));
        let server = world.serve();
        let api = server.api();
        Self { server, api, world, hostile, good }
    }

    /// What came of an attack by a connection of the zoo that passed its test, as the guest told it.
    fn outcome(&self, attack: &str, settings: &Value) -> Value {
        let mut all = json!({ "attack": attack });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let name = format!("{attack} {settings}").chars().take(80).collect::<String>();
        let made = connect(&self.api, &name, &self.hostile.origin(), &all, TOKEN).ended(201).json();
        assert_eq!(made["verdict"]["outcome"], "passed", "{attack}: {made:#}");
        made["discovered"]["outcome"].clone()
    }

    /// Somebody else's work, which goes on as if there were nobody besides.
    fn victim(&self) -> impl Fn() + Sync + use<> {
        let api = Mutex::new(self.server.api());
        move || {
            let api = api.lock().unwrap();
            let tested = api.post("/connections/Victim/test", &json!({})).ended(200).json();
            assert_eq!(tested["status"], "active", "{tested:#}");
            api.get("/connections/Victim/send?url=/me").ended(200);
        }
    }
}

fn ended_well(server: Serving) {
    let printed = server.stop();
    assert!(!printed.contains("panicked"), "{printed}");
}

/// Does this until it is told to stop, once at least, and once more afterwards.
fn meanwhile<T>(victim: impl Fn() + Sync, attack: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            victim();
            while !over.load(Ordering::Relaxed) {
                victim();
            }
            victim();
        });
        let came = attack();
        over.store(true, Ordering::Relaxed);
        working.join().unwrap();
        came
    })
}

/// Every attack of a stage, one after the other, while somebody else's connection is tested and used.
fn each_attack_ends_as_it_must(stage: Stage) {
    let mut cage = if matches!(stage, Stage::Authenticate | Stage::Test) { Cage::with_zoo() } else { Cage::new() };
    let mut wrong = Vec::new();
    for aim in Aim::ALL {
        let attacks: Vec<_> = of(stage).filter(|attack| attack.aim == aim).collect();
        if attacks.is_empty() {
            continue;
        }
        cage = cage.set_for(aim);
        let victim = cage.victim();
        for attack in attacks {
            let component = attack.component(Path::new(BINARY));
            let answer = meanwhile(&victim, || {
                attack.run(&cage.api, component.as_deref(), &cage.hostile.origin(), TOKEN, attack.name)
            });
            // A guest may tell what it saw backwards, so that nothing is taken out of what it says.
            let backwards: String = answer.text().chars().rev().collect();
            leaks::none_in(attack.name, backwards.as_bytes());
            match attack.judge(&answer) {
                Ok(_as_it_must) => attack.tidy(&cage.api, attack.name),
                Err(otherwise) => wrong.push(otherwise),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    ended_well(cage.server);
}

fn of(stage: Stage) -> impl Iterator<Item = &'static Attack> {
    ATTACKS.iter().filter(move |attack| attack.stage == stage)
}

#[test]
fn a_component_that_attacks_whoever_compiles_or_starts_it_is_refused_in_words() {
    each_attack_ends_as_it_must(Stage::Install);
}

#[test]
fn a_connector_that_attacks_while_it_is_described_gains_nothing() {
    each_attack_ends_as_it_must(Stage::Describe);
}

#[test]
fn a_connector_that_attacks_while_it_is_asked_for_its_plan_gains_nothing() {
    each_attack_ends_as_it_must(Stage::Authenticate);
}

#[test]
fn a_connector_that_attacks_while_it_tests_fails_alone() {
    each_attack_ends_as_it_must(Stage::Test);
}

/// The connector wakes up as the service's time is over, and says what it makes of that: too late.
#[test]
fn a_test_that_outlasts_its_time_says_so_whatever_the_connector_says_of_it() {
    let hostile = service::start();
    let world = World::new(BINARY);
    world.configure(&format!("[egress]\nallow = [{:?}]\n[limits]\ntest-seconds = 2\n", hostile.origin()));
    let server = world.serve();
    install(&server.api(), "zoo");
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (api, hostile) = (server.api(), &hostile);
            scope.spawn(move || {
                let drip = json!({"attack": "ask", "path": "/answer/drip"});
                let made = connect(&api, &format!("Drip {number}"), &hostile.origin(), &drip, TOKEN).ended(201).json();
                let verdict = &made["verdict"];
                assert_eq!(verdict["kind"], "timeout", "{made:#}");
                assert_eq!(verdict["message"], "the connector did not answer within 2000 ms", "{made:#}");
                // Which of the two timers was first may be told; on a busy machine the head may be late, too.
                let why = verdict["exchanges"][0]["error"].as_str().unwrap();
                let cut_off = why.starts_with("the call ended before the answer ");
                assert!(cut_off || why.ends_with(" ms for the rest of the call"), "{made:#}");
            });
        }
    });
    ended_well(server);
}

#[test]
fn no_attack_of_the_zoo_is_left_out() {
    let zoo = "tests/guests/zoo/src";
    for (source, behind, stage, prefix, elsewhere) in [
        ("tests/src/zoo/by_hand.rs".to_owned(), "match name", Stage::Install, "", &[][..]),
        (format!("{zoo}/describing.rs"), "match std::str::from_utf8", Stage::Describe, "", &["describe-by-clock"]),
        (
            format!("{zoo}/lib.rs"),
            "match setting(&connection, \"attack\")",
            Stage::Authenticate,
            "",
            &["authenticate-template"],
        ),
        (format!("{zoo}/lib.rs"), "match setting(connection, \"attack\")", Stage::Test, "", &["ask"]),
        ("tests/src/zoo/service.rs".to_owned(), "match how", Stage::Test, "echo-", &[]),
        ("tests/src/zoo/service.rs".to_owned(), "match what", Stage::Test, "answer-", &[]),
    ] {
        let of_the_services =
            |name: &str| stage == Stage::Test && (name.starts_with("echo-") || name.starts_with("answer-"));
        let there = |name: &&str| if prefix.is_empty() { !of_the_services(name) } else { name.starts_with(prefix) };
        let names = of(stage).map(|attack| attack.name).filter(there);
        let mut tried: Vec<_> = names.chain(elsewhere.iter().copied()).map(str::to_owned).collect();
        let mut known: Vec<_> = known_in(&source, behind).iter().map(|name| format!("{prefix}{name}")).collect();
        tried.sort_unstable();
        known.sort_unstable();
        assert_eq!(tried, known, "{source}");
    }
}

/// The file of a component that is installed, and that of its compiled code.
fn kept(data: &Path, digest: &str) -> [PathBuf; 2] {
    let mut compiled = None;
    tree::files(&data.join("compiled"), &mut |path| {
        if path.file_name().is_some_and(|name| name == format!("{digest}.cwasm").as_str()) {
            compiled = Some(path.to_owned());
        }
    });
    [data.join(format!("connectors/{digest}.wasm")), compiled.unwrap()]
}

#[test]
fn a_connector_reaches_nothing_of_another_ones() {
    let cage = Cage::with_zoo();
    let digest = cage.api.get("/connectors/http").ended(200).json()["digest"].as_str().map(str::to_owned);
    let files = kept(&cage.world.data(), &digest.unwrap());
    let before = files.each_ref().map(|path| fs::read(path).unwrap());
    for path in &files {
        let (path, folder) = (path.to_str().unwrap(), path.parent().unwrap().to_str().unwrap());
        for (attack, aim) in [
            ("read-file", path.to_owned()),
            ("write-file", path.to_owned()),
            ("list-folder", folder.to_owned()),
            ("read-file", format!("../../..{path}")),
            ("read-file", format!("/proc/self/root{path}")),
            ("write-file", format!("{folder}/new.cwasm")),
        ] {
            let outcome = cage.outcome(attack, &json!({ "aim": aim }));
            assert!(outcome.as_str().unwrap().starts_with("Err("), "{attack} {aim}: {outcome}");
        }
    }
    for aim in [".", "/"] {
        let outcome = cage.outcome("list-folder", &json!({ "aim": aim }));
        assert!(outcome.as_str().unwrap().starts_with("Err("), "{aim}: {outcome}");
    }
    assert_eq!(files.map(|path| fs::read(path).unwrap()), before, "nobody wrote there");
    // Nor by the way in which components use each other.
    let import = wat::parse_str("(component (import \"turnbuckle:connector/connector@0.1.0\" (instance)))").unwrap();
    let problem = offer(&cage.api, import).ended(422).json();
    let message = problem["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("which this host does not offer to connectors"), "{message}");
    ended_well(cage.server);
}

#[test]
fn a_connector_that_says_something_else_each_time_is_found_out() {
    let cage = Cage::new();
    offer(&cage.api, describing(Path::new(BINARY), "describe-by-clock")).ended(201);
    let problem = cage.api.post("/connectors/zoo/verify", &json!({})).ended(409).json();
    assert_eq!(problem["code"], "descriptor-changed", "{problem:#}");
}

#[test]
fn equal_components_that_are_offered_at_once_are_answered_alike() {
    let cage = Cage::new();
    let offered = |component: Vec<u8>| {
        std::thread::scope(|scope| {
            let offering: Vec<_> = (0..4)
                .map(|_| {
                    let (api, component) = (cage.server.api(), component.clone());
                    scope.spawn(move || offer(&api, component))
                })
                .collect();
            offering.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        })
    };
    for answer in offered(describing(Path::new(BINARY), "icon-script")) {
        assert_eq!(wrong_fields(&answer.ended(422).json()), ["descriptor.icon-svg"]);
    }
    let mut good: Vec<_> =
        offered(describing(Path::new(BINARY), "none")).iter().map(|answer| answer.status.as_u16()).collect();
    good.sort_unstable();
    assert_eq!(good, [200, 200, 200, 201], "one of them is the first");
}

/// Values for one part of a name that would make it another's.
const PARTS: &[&str] = &[
    "evil.com#",
    "evil.com/",
    "evil.com?",
    "evil.com\\",
    "evil.com:443",
    "evil.com:443/",
    "user@evil.com",
    "@evil.com",
    "evil.com@",
    "evil.com/@",
    "evil.com%2f",
    "evil.com%23",
    "%65vil",
    "evil.com\u{3002}x",
    "evil\u{ff0e}com\u{ff0f}",
    "evil\u{ff61}com",
    "evil\u{2024}com",
    "\u{435}vil",
    "ev\u{131}l",
    "xn--/evil",
    "evil.",
    ".evil",
    "evil..com",
    "-evil",
    "evil-",
    "evil com",
    "evil\tcom",
    "evil\ncom",
    "evil\r\nHost: x",
    "evil\0",
    "127.0.0.1",
    "[::1]",
    "[::1]:80/",
    "fe80::1%25lo",
    "{token}",
    "{{url}}",
    "*",
    "..",
    "\u{202e}live",
    "\u{200b}evil",
    "\u{ad}evil",
];

#[test]
fn no_part_of_a_name_that_a_person_types_moves_an_origin() {
    let cage = Cage::with_zoo();
    for part in PARTS {
        let answer = connect(&cage.api, "Moved", &cage.hostile.origin(), &json!({ "sub": part }), TOKEN);
        let problem = answer.ended(422).json();
        assert_eq!(wrong_fields(&problem), ["sub"], "{part:?}: {problem:#}");
        let message = problem["problems"][0]["message"].as_str().unwrap();
        assert!(!message.is_empty(), "{part:?}");
    }
    let longest = "a".repeat(63);
    for part in ["acme", "a", "x1-2", "xn--bcher-kva", longest.as_str()] {
        let made = connect(&cage.api, part, &cage.hostile.origin(), &json!({ "sub": part }), TOKEN).ended(201).json();
        let origins = made["origins"].as_array().unwrap();
        assert!(origins.contains(&json!(format!("https://{part}.zoo.example"))), "{part}: {made:#}");
    }
}

/// Whole URLs that look like another, or like one that nobody may reach. `{}` is a port where somebody listens.
const URLS: &[&str] = &[
    "http://127.0.0.1:{}",
    "http://2130706433:{}",
    "http://0x7f000001:{}",
    "http://0x7f.1:{}",
    "http://0177.0.0.1:{}",
    "http://0177.0.0.01:{}",
    "http://127.1:{}",
    "http://127.0.1:{}",
    "http://0:{}",
    "http://0.0.0.0:{}",
    "http://127.0.0.1.:{}",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:{}",
    "http://127\u{3002}0\u{3002}0\u{3002}1:{}",
    "http://\u{2460}27.0.0.1:{}",
    "http://[::1]:{}",
    "http://[::ffff:127.0.0.1]:{}",
    "http://[::ffff:7f00:1]:{}",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{}",
    "http://[::127.0.0.1]:{}",
    "http://[64:ff9b::7f00:1]:{}",
    "http://[::1%25lo]:{}",
    "http://[fe80::1%25lo]:{}",
    "http://[fe80::1%lo]:{}",
    "http://localhost:{}",
    "http://LOCALHOST.:{}",
    "http://loc\u{ad}alhost:{}",
    "https://127.0.0.1:{}",
    "https://localhost:{}",
    "http://{token}.example:{}",
    "http://*.example:{}",
    "http://allowed.example@127.0.0.1:{}",
    "http://allowed.example:80@127.0.0.1:{}",
    "http://127.0.0.1:{}#allowed.example",
    "http://127.0.0.1:{}?allowed.example",
    "http://127.0.0.1:{}/allowed.example",
    "http://127.0.0.1:{}\\allowed.example",
    "http:\\\\127.0.0.1:{}",
    "http:127.0.0.1:{}",
    "//127.0.0.1:{}",
    "http:///127.0.0.1:{}",
    " http://127.0.0.1:{}",
    "ht\ntp://127.0.0.1:{}",
    "http://127.0.0.1:0{}",
    "http://127.0.0.1:{}{}",
    "gopher://127.0.0.1:{}",
    "file:///etc/passwd",
];

#[test]
fn no_spelling_of_a_url_reaches_what_the_operator_did_not_open() {
    let (cage, canary) = (Cage::with_zoo(), Upstream::start());
    let port = canary.address().port().to_string();
    for url in URLS {
        let url = url.replace("{}", &port);
        let settings = json!({"url": url, "attack": "ask", "path": "/"});
        let answer = connect(&cage.api, "Moved", "", &settings, TOKEN);
        match answer.status.as_u16() {
            422 => assert_eq!(wrong_fields(&answer.json()), ["url"], "{url}: {}", answer.text()),
            _ => {
                let made = answer.ended(201).json();
                let verdict = &made["verdict"];
                assert_eq!(verdict["outcome"], "failed", "{url}: {made:#}");
                let message = verdict["message"].as_str().unwrap();
                assert!(message.contains("denied by the") || message.contains("no trusted"), "{url}: {made:#}");
                let shown = made["origins"].to_string();
                assert!(shown.is_ascii() && !shown.contains("allowed.example"), "{url} is shown as {shown}");
                cage.api.call(Method::DELETE, "/connections/Moved", &[], Bytes::new()).ended(204);
            }
        }
    }
    assert_eq!(canary.arrived().len(), 0, "nobody was reached");
    ended_well(cage.server);
}

#[test]
fn a_template_that_a_person_or_a_guest_brings_along_is_text() {
    let cage = Cage::with_zoo();
    let good = cage.good.origin();
    cage.good.on("*", "*", |arrived| {
        // Only the credential's own header may hold it.
        let rest = arrived.whole().replace(arrived.header("authorization"), "");
        Reply::status(if rest.contains(TOKEN) { 500 } else { 200 }).body(rest)
    });
    for path in ["/{token}", "/?note={token}", "/{{token}}", "/%7Btoken%7D"] {
        let settings = json!({"url": good, "attack": "ask", "path": path});
        let made = connect(&cage.api, path, "", &settings, TOKEN).ended(201).json();
        assert_eq!(made["verdict"]["outcome"], "passed", "{path}: {made:#}");
    }
    // A plan made of what a person typed: whatever it expands to goes to the service alone, or nothing is made.
    for (aim, code) in [("{{token}", "plan"), ("{elsewhere}", "plan"), ("{", "plan"), ("a\r\nX-Injected: 1", "invalid")]
    {
        let settings = json!({"url": good, "attack": "authenticate-template", "aim": aim});
        let problem = connect(&cage.api, "Plan", "", &settings, TOKEN).json();
        assert_eq!(problem["code"], code, "{aim:?}: {problem:#}");
    }
    for arrived in cage.good.arrived() {
        assert_eq!(arrived.header("x-injected"), "");
        assert!(!arrived.path.contains(TOKEN) && !arrived.query.contains(TOKEN), "{}", arrived.whole());
    }
    ended_well(cage.server);
}
