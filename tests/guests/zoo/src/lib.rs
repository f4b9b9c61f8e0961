//! A zoo: each name is one attack. Those of `describe` are chosen by the component, in which the name stands behind
//! `DESCRIBE:`; those of `authenticate` and `test` by the setting `attack`.
//!
//! What came of an attack that did not end the call is in `discovered`, under `outcome`.

mod describing;
mod reaching;
mod sending;

use std::hint::black_box;

use guest_kit::http::Request;
use guest_kit::{
    Authentication, Connection, Derivation, Derived, Descriptor, Failure, FailureKind, Field, FieldKind, Guest,
    Placement, Report, failure, field, nothing, parameter, place, report, setting,
};
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::Fields;
use wasip2::io::poll::{Pollable, poll};
use wasip2::random::random;

struct Zoo;

impl Guest for Zoo {
    const NAME: &str = "zoo";

    fn describe() -> Descriptor {
        let mut described = guest_kit::descriptor(Self::NAME);
        described.settings.extend([
            Field { default: Some("none".into()), ..field("attack", FieldKind::Text) },
            // A path of this machine, or whatever an attack needs.
            field("aim", FieldKind::Text),
            field("sub", FieldKind::Text),
        ]);
        described.origins.push("https://{sub}.zoo.example".into());
        describing::attack(described)
    }

    fn authenticate(connection: Connection) -> Result<Authentication, Failure> {
        match setting(&connection, "attack") {
            "authenticate-loop" => spin(),
            "authenticate-memory" => hold_memory(),
            "authenticate-stack" => dig_for_ever(),
            "authenticate-sleep" => sleep_for_ever(),
            "authenticate-flood" => talk_for_ever(),
            "authenticate-huge-plan" => Ok(place(header(&"a".repeat(20 << 20)))),
            "authenticate-recursive" => {
                let again = Derived { name: "again".into(), value: Derivation::Base64("{again}".into()) };
                Ok(Authentication { derived: vec![again], ..place(header("{again}")) })
            }
            "authenticate-many-placements" => {
                Ok(Authentication { placements: vec![header("a"); 10_000], ..nothing() })
            }
            // What a person wrote, as if it were the connector's own template.
            "authenticate-template" => Ok(place(header(setting(&connection, "aim")))),
            "authenticate-network" => {
                let url = setting(&connection, "url");
                let said = Request::new("GET", &format!("{url}/at-authenticate")).send();
                Err(failure(FailureKind::Other, format!("without a network: {}", said.err().unwrap_or_default())))
            }
            _ => Ok(match connection.protocol.as_str() {
                "token" => place(Placement::Header(parameter("Authorization", "Bearer {token}"))),
                _ => nothing(),
            }),
        }
    }

    fn test(connection: Connection) -> Result<Report, Failure> {
        Ok(Report { discovered: run(&connection)?, ..report("the attack is over") })
    }
}

fn header(value: &str) -> Placement {
    Placement::Header(parameter("X-Note", value))
}

type Facts = Vec<(String, String)>;

fn one(outcome: String) -> Result<Facts, Failure> {
    Ok(vec![("outcome".into(), outcome)])
}

fn run(connection: &Connection) -> Result<Facts, Failure> {
    let (url, aim) = (setting(connection, "url"), setting(connection, "aim"));
    match setting(connection, "attack") {
        // Time.
        "loop" => spin(),
        "loop-in-host-calls" => loop {
            black_box(monotonic_clock::now());
        },
        "loop-over-memory" => fill_for_ever(),
        "stack" => dig_for_ever(),
        "sleep" => sleep_for_ever(),
        "poll-many" => poll_many(),
        "wake-storm" => loop {
            monotonic_clock::subscribe_duration(1).block();
        },
        "flood" => talk_for_ever(),
        // Growth.
        "memory" => hold_memory(),
        "handles" => hold(Fields::new),
        "pollables" => hold(|| monotonic_clock::subscribe_duration(u64::MAX)),
        "random" => one(format!("{} bytes", random::get_random_bytes(u64::MAX).len())),
        // Answers.
        "huge-message" => Err(failure(FailureKind::Other, "a".repeat(20 << 20))),
        "huge-list" => Ok((0..300_000).map(|number| (format!("fact-{number}"), "a".repeat(20))).collect()),
        "wrong-text" => Err(failure(FailureKind::Other, not_text())),
        // Requests.
        "ten-thousand-requests" => one(sending::many(url)),
        "endless-upload" => sending::upload(url, false).and_then(one),
        "deaf-upload" => sending::upload(url, true).and_then(one),
        "ignored-answers" => one(sending::ignore(url)),
        "huge-read" => sending::read(url).and_then(one),
        "huge-write" => sending::write(url).and_then(one),
        "smuggle-crlf" => one(sending::smuggle(url, |home| home.header("X-Note", "a\r\nX-Injected: 1"))),
        "smuggle-crlf-in-name" => one(sending::smuggle(url, |home| home.header("X-Note: a\r\nX-Injected", "1"))),
        "smuggle-lengths" => {
            one(sending::smuggle(url, |home| home.header("Content-Length", "0").header("Content-Length", "5")))
        }
        "smuggle-short-length" => one(sending::smuggle(url, |home| Request {
            method: "POST".into(),
            body: b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            ..home.header("Content-Length", "5")
        })),
        "smuggle-transfer-encoding" => one(sending::smuggle(url, |home| home.header("Transfer-Encoding", "chunked"))),
        "smuggle-host" => one(sending::smuggle(url, |home| home.header("Host", "attacker.example"))),
        "smuggle-connection" => one(sending::smuggle(url, |home| home.header("Connection", "authorization"))),
        "smuggle-upgrade" => one(sending::smuggle(url, |home| home.header("Upgrade", "websocket"))),
        "smuggle-absolute-form" => {
            one(sending::smuggle(url, |home| Request { path: "http://attacker.example/".into(), ..home }))
        }
        "smuggle-request-line" => {
            one(sending::smuggle(url, |home| Request { path: "/ HTTP/1.1\r\nX-Injected: 1\r\n\r\n".into(), ..home }))
        }
        "smuggle-method" => one(sending::smuggle(url, |home| Request {
            method: "GET / HTTP/1.1\r\nX-Injected: 1\r\n\r\nGET".into(),
            ..home
        })),
        // Asks for a path, and looks at all of the answer.
        "ask" => sending::ask(&format!("{url}{}", setting(connection, "path"))).and_then(one),
        // What is on this machine.
        "read-file" => one(format!("{:?}", std::fs::read(aim).map(|bytes| bytes.len()))),
        "write-file" => one(format!("{:?}", std::fs::write(aim, "gotcha"))),
        "list-folder" => one(format!("{:?}", std::fs::read_dir(aim).map(Iterator::count))),
        "connect" => one(format!("{:?}", reaching::connect())),
        "listen" => one(format!("{:?}", reaching::listen())),
        "resolve" => one(format!("{:?}", reaching::resolve())),
        "environment" => one(format!("{} {}", std::env::vars().count(), std::env::args().count())),
        _ => one("nothing was tried".into()),
    }
}

fn spin() -> ! {
    loop {
        black_box(0);
    }
}

/// Bulk operations run as one instruction.
fn fill_for_ever() -> ! {
    let mut taken = vec![0_u8; 32 << 20];
    let mut byte = 0_u8;
    loop {
        byte = byte.wrapping_add(1);
        black_box(&mut taken).fill(byte);
    }
}

fn dig_for_ever() -> ! {
    #[expect(unconditional_recursion, reason = "this is the attack")]
    fn dig(depth: u64) -> u64 {
        let here = black_box([depth; 4]);
        dig(here[0] + 1) + here[3]
    }
    black_box(dig(0));
    spin()
}

fn sleep_for_ever() -> ! {
    loop {
        monotonic_clock::subscribe_duration(u64::MAX).block();
    }
}

fn poll_many() -> ! {
    let never: Vec<_> = (0..2_000).map(|_| monotonic_clock::subscribe_duration(u64::MAX)).collect();
    let now = monotonic_clock::subscribe_duration(0);
    let all: Vec<&Pollable> = never.iter().chain([&now]).collect();
    loop {
        black_box(poll(&all));
    }
}

fn talk_for_ever() -> ! {
    let line = "\u{1b}[2J\u{202e}la".repeat(400);
    loop {
        println!("{line}");
        eprintln!("{line}");
    }
}

fn hold_memory() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
        black_box(&taken);
    }
}

fn hold<T>(make: impl Fn() -> T) -> ! {
    let mut held = Vec::new();
    loop {
        held.push(make());
        black_box(held.len());
    }
}

/// Bytes that are no text, though the type says so.
fn not_text() -> String {
    // SAFETY: none; nothing in this guest reads it, and the host must not believe it.
    unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe, 0xc0, 0x80]) }
}

guest_kit::guest!(Zoo);
