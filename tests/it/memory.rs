//! What is in memory stays there: no guest finds a secret in its own, and a crash writes nothing of the host's to disk.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Serving, World};

use crate::scene::{BINARY, Scene, TOKEN, by_guest, install, left_out};

/// The guest turns these bits back while it compares.
const MASK: u8 = 0x55;

fn masked(needle: &[u8]) -> String {
    hex::encode(needle.iter().map(|byte| byte ^ MASK).collect::<Vec<_>>())
}

#[test]
fn a_guest_that_searches_all_of_its_memory_finds_no_spelling_of_the_secret_that_was_sent_for_it() {
    let scene = Scene::with(&["ransack"]);
    scene.upstream.echo("/echo");
    let spellings = leaks::spellings(TOKEN);
    // What does stand there: the search can find something.
    let there = [scene.upstream.origin().into_bytes(), b"[redacted]".to_vec()];
    let needles: Vec<_> =
        spellings.iter().map(|(_, spelled)| spelled).chain(&there).map(|needle| masked(needle)).collect();
    let settings = json!({"path": "/echo", "needles": needles.join(",")});
    let made = by_guest(&scene, "Ransacked", "ransack", "token", &settings, &json!({"token": TOKEN})).ended(201).json();
    let sent = scene.upstream.arrived().iter().any(|arrived| arrived.header("authorization").contains(TOKEN));
    assert!(sent, "the service got it, and sent it back");
    let found = |at: usize| made["discovered"][at.to_string()].as_str().unwrap().parse::<usize>().unwrap();
    assert!(found(spellings.len()) > 0 && found(spellings.len() + 1) > 0, "{made:#}");
    assert!(made["discovered"]["searched"].as_str().unwrap().parse::<usize>().unwrap() >= 1 << 20, "{made:#}");
    for (at, (name, _)) in spellings.iter().enumerate() {
        assert_eq!(found(at), 0, "{name}: {made:#}");
    }
}

/// The same command, allowed to leave a core dump where it works.
fn dumping(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "ulimit -c $(ulimit -H -c); exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().expect("every command of a world has one"));
    shell.stdin(Stdio::null());
    shell
}

#[test]
fn a_server_that_crashes_leaves_no_core_dump() {
    let upstream = Upstream::start();
    upstream.on("GET", "/me", |_| Reply::status(200));
    let world = World::allowing(BINARY, &[upstream.origin()]);
    // A program that crashes here does leave one, so that it would be seen.
    let mut control = Command::new("/bin/sh");
    control.args(["-c", "kill -ABRT $$"]).current_dir(world.work());
    let control = dumping(&control).status().unwrap();
    assert_eq!(control.signal(), Some(Signal::ABORT.as_raw()));
    if !control.core_dumped() {
        return left_out("a_server_that_crashes_leaves_no_core_dump", "core dumps are switched off on this machine");
    }
    let server = Serving::start(dumping(&world.command(&["serve", "--listen", "127.0.0.1:0"])), &world.data());
    let api = server.api();
    install(&api, "http");
    let new = json!({
        "name": "Orders", "connector": "http", "protocol": "bearer",
        "settings": {"url": upstream.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
    });
    api.post("/connections", &new).ended(201);
    api.get("/connections/Orders/send?url=/me").ended(200);
    let status = server.abort();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status:?}");
    assert!(!status.core_dumped(), "its memory was written to disk");
}
