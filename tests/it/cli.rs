//! The command: what scripts and people lean on.

use std::fs;

use serde_json::{Value, json};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Ran, World};
use turnbuckle_tests::{components, leaks};

use crate::scene::{BINARY, TOKEN, world};

/// A world with the `http` connector and a service that takes [`TOKEN`], without a server.
fn prepared() -> (World, Upstream) {
    let upstream = Upstream::start();
    upstream.on("GET", "/me", |arrived| {
        Reply::status(if arrived.header("authorization") == format!("Bearer {TOKEN}") { 200 } else { 401 })
    });
    let world = World::allowing(BINARY, &[upstream.origin()]);
    world.run(&["connector", "install", components::path(BINARY, "http").to_str().unwrap()]).done();
    (world, upstream)
}

fn create(world: &World, upstream: &Upstream, name: &str, secret: &str, input: &str) -> Ran {
    let url = format!("url={}", upstream.origin());
    world.run_with(
        input,
        &[
            "--output",
            "json",
            "connection",
            "create",
            "--connector",
            "http",
            "--name",
            name,
            "--protocol",
            "bearer",
            "--set",
            &url,
            "--set",
            "test-path=/me",
            "--secret",
            secret,
        ],
    )
}

#[test]
fn each_way_of_ending_has_its_exit_code() {
    let (world, upstream) = prepared();
    create(&world, &upstream, "Orders", "token=-", TOKEN).done();
    create(&world, &upstream, "Wrong", "token=-", "not-the-token").ended(3);
    for (code, arguments) in [
        (0, vec!["connection", "list"]),
        (0, vec!["connection", "test", "Orders"]),
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (2, vec!["conection", "list"]),
        (2, vec!["connection", "create", "--connector", "http", "--name", "X", "--set", "url=ftp://x"]),
        (2, vec!["connection", "list", "--status", "splendid"]),
        (2, vec!["connection", "edit", "Orders", "--set", "url=http://a/b"]),
        (3, vec!["connection", "test", "Wrong"]),
        (4, vec!["connection", "show", "Nowhere"]),
        (4, vec!["connector", "show", "nowhere"]),
        (4, vec!["flow", "show", "nowhere"]),
        (5, vec!["connector", "remove", "http"]),
        (6, vec!["--server", "http://127.0.0.1:9", "--token", "x", "connection", "list"]),
    ] {
        let ran = world.run(&arguments);
        assert_eq!(ran.code, code, "{arguments:?}\n{}\n{}", ran.out, ran.err);
        assert!(!ran.err.contains("panicked"), "{arguments:?}: {}", ran.err);
    }
    world.run(&["flow", "put", "nightly", "--name", "Nightly", "--action", "read=Orders"]).done();
    world.run(&["connection", "delete", "Orders"]).ended(5).says("Nightly").says("hint:");
    world.run(&["flow", "remove", "nightly"]).done();
    world.run(&["connection", "delete", "Orders"]).done();
}

#[test]
fn data_goes_to_standard_output_and_all_else_to_standard_error() {
    let (world, upstream) = prepared();
    let made = create(&world, &upstream, "Orders", "token=-", TOKEN).done().json();
    assert_eq!(made["name"], "Orders");
    let failed = create(&world, &upstream, "Wrong", "token=-", "not-the-token").ended(3);
    assert_eq!(failed.json()["status"], "needs-reconnect", "a script reads what became of it");
    assert_ne!(failed.err, "");

    let missing = world.run(&["--output", "json", "connection", "show", "Nowhere"]).ended(4);
    assert_eq!(missing.out, "");
    let table = world.run(&["connection", "list"]).done();
    assert!(table.out.contains("Orders") && table.out.contains("needs-reconnect"), "{}", table.out);
    assert!(!table.out.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn secrets_come_from_files_variables_and_standard_input_and_never_from_the_command_line() {
    let (mut world, upstream) = prepared();
    let file = world.file("token", format!("{TOKEN}\n"));
    world.set("SERVICE_TOKEN", TOKEN);
    create(&world, &upstream, "By file", &format!("token=@{}", file.display()), "").done();
    create(&world, &upstream, "By variable", "token=env:SERVICE_TOKEN", "").done();
    create(&world, &upstream, "By input", "token=-", TOKEN).done();
    let literal = create(&world, &upstream, "Literal", &format!("token={TOKEN}"), "").ended(2).says("hint:");
    assert!(!literal.err.contains(TOKEN), "what may be a real secret is not repeated: {}", literal.err);
    create(&world, &upstream, "Missing", "token=@/nowhere", "").ended(2).says("/nowhere");
    create(&world, &upstream, "Unset", "token=env:NOT_SET", "").ended(2).says("NOT_SET");
    let listed = world.json(&["connection", "list"]);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, [json!("By file"), json!("By input"), json!("By variable")]);
    fs::remove_file(file).unwrap();
    assert_eq!(leaks::in_folder(&world.data(), TOKEN), Vec::<String>::new());
}

#[test]
fn a_connection_is_edited_reconnected_and_used_by_command() {
    let (world, upstream) = prepared();
    create(&world, &upstream, "Orders", "token=-", TOKEN).done();
    world.run(&["connection", "edit", "Orders", "--description", "All of them"]).done();
    world.run(&["connection", "edit", "Orders", "--version", "1", "--description", "stale"]).ended(5).says("version");
    world.run_with("wrong", &["connection", "reconnect", "Orders", "--secret", "token=-"]).ended(3);
    world.run_with(TOKEN, &["connection", "reconnect", "Orders", "--secret", "token=-"]).done();
    world.run(&["connection", "disable", "Orders"]).done();
    world.run(&["connection", "test", "Orders"]).ended(5);
    world.run(&["connection", "enable", "Orders"]).done();

    upstream.on("PUT", "/items", |arrived| Reply::status(200).body(arrived.body.clone()));
    let sent = world.run(&["connection", "send", "Orders", "PUT", "/items", "--body", "{}", "-H", "x-trace: 1"]).done();
    assert_eq!(sent.out, "{}");
    let arrived = upstream.arrived();
    assert_eq!(arrived.last().unwrap().header("x-trace"), "1");
    let history = world.json(&["connection", "history", "Orders"]);
    let kinds: Vec<_> = history["items"].as_array().unwrap().iter().map(|change| change["kind"].clone()).collect();
    let expected = ["enabled", "disabled", "reconnected", "edited", "created"].map(Value::from);
    assert_eq!(kinds, expected);
}

#[test]
fn a_path_that_does_not_begin_with_a_slash_is_refused_before_anything_is_sent() {
    let (world, upstream) = prepared();
    create(&world, &upstream, "Orders", "token=-", TOKEN).done();
    upstream.forget();
    for path in ["zen", "zen/more", "?zen"] {
        let ran = world.run(&["connection", "send", "Orders", path]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{path}: {}", ran.err);
        assert!(ran.err.contains("`/`"), "{path}: it says how a path begins: {}", ran.err);
    }
    assert_eq!(upstream.arrived().len(), 0);
    upstream.on("GET", "/zen", |_arrived| Reply::status(200).body("Keep it logically awesome."));
    assert_eq!(world.run(&["connection", "send", "Orders", "/zen"]).done().out, "Keep it logically awesome.");
}

#[test]
fn a_connection_that_is_switched_off_can_be_edited_and_is_not_tested() {
    let (world, upstream) = prepared();
    create(&world, &upstream, "Orders", "token=-", TOKEN).done();
    world.run(&["connection", "disable", "Orders"]).done();
    upstream.forget();
    let edited = world.json(&["connection", "edit", "Orders", "--set", "test-path=/elsewhere"]);
    assert_eq!((&edited["status"], &edited["verdict"]), (&json!("disabled"), &Value::Null), "{edited:#}");
    assert_eq!(edited["settings"]["test-path"], "/elsewhere");
    world.run(&["connection", "edit", "Orders", "--description", "Off for now"]).done();
    assert_eq!(upstream.arrived().len(), 0);
}

#[test]
fn help_names_every_command_and_hides_no_secret_default() {
    let mut world = world();
    world.set("TURNBUCKLE_TOKEN", TOKEN);
    let help = world.run(&["--help"]).done();
    for verb in ["demo", "up", "serve", "doctor", "backup", "restore", "rotate-key", "connector", "connection", "flow"]
    {
        assert!(help.out.contains(verb), "{verb}: {}", help.out);
    }
    assert!(!help.out.contains(TOKEN), "{}", help.out);
    for (noun, verbs) in [
        ("connector", "new build check install list show enable disable feature upgrade remove"),
        ("connection", "create list show edit test reconnect enable disable delete flows history send"),
        ("flow", "put list show open select remove"),
        ("audit", "list verify export"),
    ] {
        let help = world.run(&[noun, "--help"]).done();
        for verb in verbs.split(' ') {
            assert!(help.out.contains(verb), "{noun} {verb}: {}", help.out);
        }
    }
}

#[test]
fn the_command_does_the_same_with_and_without_a_server() {
    let (world, upstream) = prepared();
    create(&world, &upstream, "Orders", "token=-", TOKEN).done();
    let alone = world.json(&["connection", "show", "Orders"]);
    let connectors = world.json(&["connector", "show", "http"]);
    let server = world.serve();
    assert_eq!(world.json(&["connection", "show", "Orders"]), alone);
    assert_eq!(world.json(&["connector", "show", "http"]), connectors);
    world.run(&["connection", "test", "Orders"]).done();
    let elsewhere = World::new(BINARY);
    let mut command = elsewhere.bare(&["--server", &server.url, "--output", "json", "connection", "show", "Orders"]);
    let told = Ran::of(command.env("TURNBUCKLE_TOKEN", &server.token), "").done().json();
    assert_eq!(told["id"], alone["id"]);
    let mut command = elsewhere.bare(&["--server", &server.url, "connection", "list"]);
    Ran::of(command.env("TURNBUCKLE_TOKEN", "not-the-token"), "").ended(5);
    assert!(!elsewhere.data().exists());
}

#[test]
fn a_doctor_finds_nothing_wrong_with_a_healthy_host() {
    let (world, _upstream) = prepared();
    world.run(&["doctor"]).done();
}
