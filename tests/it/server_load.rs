//! Callers who hold on to the server: many that say nothing, some that say it slowly, some that do not listen. Whoever has
//! something to ask is answered all the while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use turnbuckle_tests::api::Api;
use turnbuckle_tests::raw::{Left, Raw, authority, statuses};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Serving, World};

use crate::console::{csrf, link};
use crate::scene::{BINARY, Scene, left_out};

/// Callers that say nothing.
const IDLE: usize = 10_000;
/// Files that a test and a server need besides.
const BESIDES: u64 = 1_000;

/// Whether this machine lets a process hold as many sockets; says so where not.
fn many_sockets(test: &str) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if most < IDLE as u64 + BESIDES {
        left_out(
            test,
            &format!("{IDLE} sockets take a hard limit of {} open files, and it is {most}", IDLE as u64 + BESIDES),
        );
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    true
}

fn world(lines: &str) -> World {
    let world = World::new(BINARY);
    world.configure(&format!("[limits]\n{lines}\n"));
    world
}

/// Somebody who asks is answered, and not after everybody else.
fn serves(server: &Serving, when: &str) -> Duration {
    let begun = Instant::now();
    let answer = Api::new(&server.url, None).attempt(Method::GET, "/healthz", &[], Bytes::new());
    let answer = answer.unwrap_or_else(|| panic!("nobody answers {when}"));
    assert_eq!(answer.ended(200).text(), "ok\n", "{when}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{when}, an answer took {took:?}");
    took
}

/// How many sockets a process has open.
fn open_files(server: &Serving) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[test]
fn ten_thousand_that_say_nothing_keep_nobody_from_being_answered() {
    const TEST: &str = "ten_thousand_that_say_nothing_keep_nobody_from_being_answered";
    if !many_sockets(TEST) {
        return;
    }
    let world = World::new(BINARY);
    let server = world.serve();
    serves(&server, "before");
    let mut idle = Vec::new();
    for count in 1..=IDLE {
        let mut raw = Raw::to(&server.url);
        // Half of them begin a request, and leave it at that.
        if count % 2 == 0 {
            raw.say("GET /healthz HTTP/1.1\r\nHost: ");
        }
        idle.push(raw);
        if count % 1_000 == 0 {
            serves(&server, &format!("beside {count} that say nothing"));
            let open = open_files(&server);
            assert!(open < 2_000, "{open} files are open for {count} callers");
        }
    }
    // Those that had to give way were told so by an orderly end.
    let left: Vec<_> = idle.iter().filter_map(Raw::has_left).collect();
    assert!(left.len() >= IDLE - 2_000, "{} gave way", left.len());
    let closed = left.iter().filter(|left| **left == Left::Closed).count();
    assert!(closed >= IDLE / 2 - 2_000, "{closed} of {}", left.len());
    // One that is in the middle of its work does not.
    let api = server.api();
    api.get("/audit/verify").ended(200);
    drop(idle);
    serves(&server, "afterwards");
    let printed = server.stop();
    assert!(!printed.contains("panicked"), "{printed}");
}

#[test]
fn where_the_operator_wants_it_so_ten_thousand_stay() {
    const TEST: &str = "where_the_operator_wants_it_so_ten_thousand_stay";
    if !many_sockets(TEST) {
        return;
    }
    let world = world("callers = 10100\ncaller-seconds = 600");
    let server = world.serve();
    let mut idle: Vec<_> = (0..IDLE).map(|_| Raw::to(&server.url)).collect();
    serves(&server, "beside all of them");
    assert!(idle.iter().all(|raw| raw.has_left().is_none()), "nobody had to go");
    // Each of them can still ask.
    let own = authority(&server.url).to_owned();
    for raw in idle.iter_mut().step_by(500) {
        raw.say(format!("GET /readyz HTTP/1.1\r\nHost: {own}\r\n\r\n"));
        assert_eq!(statuses(&raw.answer()), [200]);
    }
}

#[test]
fn a_server_whose_places_are_all_at_work_says_so_at_once() {
    let scene = Upstream::start();
    let mut gate = scene.hold("GET", "/slow", |_| Reply::status(200));
    scene.on("GET", "/me", |_| Reply::status(200));
    let world = World::new(BINARY);
    world.configure(&format!("[egress]\nallow = [{:?}]\n[limits]\ncallers = 4\n", scene.origin()));
    let server = world.serve();
    let api = server.api();
    crate::scene::install(&api, "http");
    let new = json!({
        "name": "Orders", "connector": "http", "protocol": "none",
        "settings": {"url": scene.origin(), "test-path": "/me"},
    });
    api.post("/connections", &new).ended(201);
    let own = authority(&server.url).to_owned();
    let mut working: Vec<_> = (0..4)
        .map(|_| {
            let mut raw = Raw::to(&server.url);
            raw.say(format!(
                "GET /api/v1/connections/Orders/send?url=/slow HTTP/1.1\r\nHost: {own}\r\nAuthorization: Bearer {}\r\n\r\n",
                server.token
            ));
            raw
        })
        .collect();
    gate.wait_for(4);
    let (said, left) = Raw::to(&server.url).rest();
    assert_eq!((statuses(&said), left), (vec![503], Left::Closed), "{said}");
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/problem+json") && head.contains("retry-after: 1"), "{head}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(503), &json!("busy")), "{problem:#}");
    gate.open();
    for raw in &mut working {
        assert_eq!(statuses(&raw.answer()), [200], "what was under way came to its end");
    }
    // They rest now, so somebody else takes the place of the one that rests longest.
    serves(&server, "after the work");
}

#[test]
fn somebody_who_speaks_too_slowly_is_not_waited_for() {
    let world = world("caller-seconds = 1");
    let server = world.serve();
    let own = authority(&server.url).to_owned();
    let api = server.api();
    let mut desk = turnbuckle_tests::browser::Browser::new();
    desk.get(&link(&api)).ended(303);
    let page = desk.get(&format!("{}/integrations", server.url)).ended(200).text();
    let (csrf, cookie) = (csrf(&page), desk.cookies(&server.url));
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let json = "Content-Type: application/json\r\n";
    for (what, said, expected) in [
        ("nothing at all", String::new(), vec![]),
        ("half a line", "GET /heal".to_owned(), vec![]),
        ("half a head", format!("GET /healthz HTTP/1.1\r\nHost: {own}\r\nX-Slow: "), vec![]),
        (
            "half of some JSON",
            format!(
                "PUT /api/v1/flows/x HTTP/1.1\r\nHost: {own}\r\n{token}{json}Content-Length: 100\r\n\r\n{{\"name\":"
            ),
            vec![408],
        ),
        (
            "half of some chunks",
            format!(
                "PUT /api/v1/flows/x HTTP/1.1\r\nHost: {own}\r\n{token}{json}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"na"
            ),
            vec![408],
        ),
        (
            "half a component",
            format!(
                "POST /api/v1/connectors HTTP/1.1\r\nHost: {own}\r\n{token}Content-Type: application/wasm\r\nContent-Length: 1000\r\n\r\n\0asm"
            ),
            vec![408],
        ),
        (
            "half a sign-in",
            format!(
                "POST /sign-in HTTP/1.1\r\nHost: {own}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken="
            ),
            vec![400, 408],
        ),
        (
            "half a form",
            format!(
                "POST /integrations HTTP/1.1\r\nHost: {own}\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf={csrf}"
            ),
            vec![400, 408],
        ),
    ] {
        let begun = Instant::now();
        let mut raw = Raw::to(&server.url);
        raw.say(&said);
        let (answer, left) = raw.rest();
        let took = begun.elapsed();
        assert_ne!(left, Left::Stayed, "{what}");
        let status = statuses(&answer);
        assert!(
            status.is_empty() && expected.is_empty() || status.len() == 1 && expected.contains(&status[0]),
            "{what}: {answer}"
        );
        assert!(took < Duration::from_secs(15), "{what} was waited for {took:?}");
    }
    serves(&server, "after all of them");
}

#[test]
fn somebody_who_sends_a_byte_now_and_then_is_not_waited_for() {
    let world = world("caller-seconds = 1");
    let server = world.serve();
    let own = authority(&server.url).to_owned();
    let mut raw = Raw::to(&server.url);
    raw.say(format!(
        "PUT /api/v1/flows/x HTTP/1.1\r\nHost: {own}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100000\r\n\r\n",
        server.token
    ));
    let begun = Instant::now();
    // Each byte comes well within the time, all of them never would.
    while raw.left_within(Duration::from_millis(200)).is_none() && begun.elapsed() < Duration::from_secs(30) {
        raw.say(" ");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    serves(&server, "afterwards");
}

#[test]
fn somebody_who_does_not_take_the_answer_is_not_waited_for() {
    let scene = Scene::http();
    scene.connected("Orders");
    drop(scene.server);
    scene
        .world
        .configure(&format!("[egress]\nallow = [{:?}]\n[limits]\ncaller-seconds = 1\n", scene.upstream.origin()));
    let server = scene.world.serve();
    let body = Bytes::from(vec![b'x'; 15 << 20]);
    let large = Arc::new(body);
    scene.upstream.on("GET", "/large", move |_| Reply::status(200).body((*large).clone()));
    let own = authority(&server.url).to_owned();
    let before = open_files(&server);
    let deaf: Vec<_> = (0..20)
        .map(|_| {
            let mut raw = Raw::to(&server.url);
            raw.say(format!(
                "GET /api/v1/connections/Orders/send?url=/large HTTP/1.1\r\nHost: {own}\r\nAuthorization: Bearer {}\r\n\r\n",
                server.token
            ));
            raw
        })
        .collect();
    let begun = Instant::now();
    let wait = |so: &dyn Fn(usize) -> bool| {
        while !so(open_files(&server)) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} files are open, {before} before",
                open_files(&server)
            );
            serves(&server, "beside those that do not listen");
        }
    };
    wait(&|open| open >= before + 20);
    wait(&|open| open <= before + 10);
    drop(deaf);
}

#[test]
fn a_server_with_all_its_places_taken_ends_when_it_is_told_to() {
    let world = world("callers = 4\ncaller-seconds = 600");
    let server = world.serve();
    let idle: Vec<_> = (0..12).map(|_| Raw::to(&server.url)).collect();
    serves(&server, "beside twelve");
    let begun = Instant::now();
    let printed = server.stop();
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}: {printed}", begun.elapsed());
    drop(idle);
}
