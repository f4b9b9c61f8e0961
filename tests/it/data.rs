//! A data directory that is damaged, locked, newer, or of another key: clear words, and nothing lost.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Ran, World};

use crate::scene::{BINARY, Scene, TOKEN, world};

const STORE: &str = "turnbuckle.redb";

/// A world with one connection in it and no server.
fn filled() -> (World, Upstream) {
    let scene = Scene::http();
    scene.connected("Orders");
    let Scene { server, world, upstream, .. } = scene;
    server.stop();
    (world, upstream)
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is() {
    let (world, _upstream) = filled();
    let path = world.data().join(STORE);
    let good = fs::read(&path).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let mut scribbled = good.clone();
    scribbled[..512].fill(0xAA);
    for (what, damaged) in [("cut", cut), ("scribbled", scribbled), ("text", b"not a database".to_vec())] {
        fs::write(&path, &damaged).unwrap();
        let ran = world.run(&["connection", "list"]);
        assert_eq!(ran.code, 1, "{what}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(STORE), "{what}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
        assert!(fs::read(&path).unwrap() == damaged, "{what}: the file was changed");
    }
    fs::write(&path, &good).unwrap();
    let listed = world.json(&["connection", "list"]);
    assert_eq!(listed["items"][0]["name"], "Orders");
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_as_it_is() {
    let (world, _upstream) = filled();
    let path = world.data().join(STORE);
    {
        #[expect(clippy::disallowed_types, reason = "a newer program is played here")]
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let schema = redb::TableDefinition::<&[u8], &[u8]>::new("schema");
        transaction.open_table(schema).unwrap().insert(b"version".as_slice(), b"4000".as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    let newer = fs::read(&path).unwrap();
    world.run(&["connection", "list"]).ended(1).says("4000");
    assert!(fs::read(&path).unwrap() == newer, "the file was changed");
}

#[test]
fn a_lost_master_key_is_an_error_and_never_a_new_key() {
    let (world, _upstream) = filled();
    let key = world.data().join("master.key");
    let good = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    world.run(&["connection", "list"]).ended(1).says("master.key");
    assert!(!key.exists(), "a new key would hide that the old one is lost");

    let other = filled().0;
    fs::copy(other.data().join("master.key"), &key).unwrap();
    world.run(&["connection", "list"]).ended(1).says("key");
    fs::write(&key, good).unwrap();
    assert_eq!(world.json(&["connection", "list"])["items"][0]["name"], "Orders");
}

#[test]
fn a_wrong_master_key_from_the_environment_is_told() {
    let mut world = world();
    world.set("TURNBUCKLE_MASTER_KEY", "c2hvcnQ=");
    world.run(&["connection", "list"]).ended(1).says("TURNBUCKLE_MASTER_KEY");
    assert!(!world.data().join("master.key").exists());
}

/// A world whose operator looks after the master key, with one connection in it, and the key's file.
fn kept_by_the_operator() -> (World, PathBuf, Upstream) {
    let upstream = Upstream::start();
    let world = World::new(BINARY);
    let key = world.file("operator.key", format!("{}\n", BASE64_STANDARD.encode([7; 32])));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let lines =
        ["[egress]", &format!("allow = [{:?}]", upstream.origin()), "[vault]", &format!("key-file = {key:?}"), ""];
    world.configure(&lines.join("\n"));
    world.run(&["connector", "install", components::path(BINARY, "http").to_str().unwrap()]).done();
    upstream.on("GET", "/", |arrived| {
        Reply::status(if arrived.header("authorization") == format!("Bearer {TOKEN}") { 200 } else { 401 })
    });
    let url = format!("url={}", upstream.origin());
    let mut create = vec!["connection", "create", "--connector", "http", "--name", "Orders", "--protocol", "bearer"];
    create.extend(["--set", &url, "--secret", "token=-"]);
    world.run_with(TOKEN, &create).done();
    (world, key, upstream)
}

#[test]
fn a_key_file_of_the_operators_is_used_and_no_other_key_is_made() {
    let (world, key, _upstream) = kept_by_the_operator();
    world.run(&["connection", "test", "Orders"]).done();
    assert!(!world.data().join("master.key").exists(), "there is one key, and it is the operator's");
    assert_eq!(fs::read_to_string(key).unwrap(), format!("{}\n", BASE64_STANDARD.encode([7; 32])));
}

#[test]
fn a_key_file_that_is_missing_wrong_or_open_to_others_is_told_and_nothing_is_overwritten() {
    let (world, key, _upstream) = kept_by_the_operator();
    let good = fs::read(&key).unwrap();
    let shown = key.to_str().unwrap();
    let sound = |what: &str, ran: &Ran| {
        assert!(ran.err.contains("hint:") && !ran.err.contains("panicked"), "{what}: {}", ran.err);
        assert!(!ran.err.contains(&BASE64_STANDARD.encode([7; 32])), "{what}: the key itself is not shown");
        assert!(!world.data().join("master.key").exists(), "{what}: no other key is made");
    };

    fs::remove_file(&key).unwrap();
    let ran = world.run(&["connection", "list"]).ended(1).says(&format!("the master key file {shown} is missing"));
    sound("missing", &ran);
    assert!(!key.exists(), "a new key would hide that the old one is lost");

    let other = format!("{}\n", BASE64_STANDARD.encode([8; 32])).into_bytes();
    for (what, content, words) in [
        ("another", other, format!("which {shown} does not hold")),
        ("text", b"swordfish\n".to_vec(), format!("the master key in {shown} is not 32 bytes in base64")),
        ("empty", vec![], format!("the master key in {shown} is not 32 bytes in base64")),
    ] {
        fs::write(&key, &content).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let ran = world.run(&["connection", "list"]).ended(1).says(&words);
        sound(what, &ran);
        assert_eq!(fs::read(&key).unwrap(), content, "{what}");
    }

    fs::write(&key, &good).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let words = format!("the master key file {shown} can be read by others: its mode is 644");
    sound("exposed", &world.run(&["connection", "list"]).ended(1).says(&words));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o644, "it is the operator's to change");

    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    world.run(&["connection", "test", "Orders"]).done();
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let world = world();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = world.run(&["serve", "--listen", &address]);
    let ran = ran.ended(5).says(&address).says("hint:");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    assert!(!world.data().join("server.json").exists(), "no trace of a server that never was");
}

#[test]
fn a_command_beside_a_server_goes_through_it() {
    let scene = Scene::http();
    scene.connected("Orders");
    let listed = scene.world.json(&["connection", "list"]);
    assert_eq!(listed["items"][0]["name"], "Orders");
    let through = scene.world.json(&["connection", "show", "orders"]);
    assert_eq!(through, scene.api.get("/connections/Orders").json());
}

#[test]
fn two_servers_do_not_share_a_data_directory() {
    let scene = Scene::http();
    scene.connected("Orders");
    let second = scene.world.run(&["serve", "--listen", "127.0.0.1:0"]).ended(5);
    second.says(&scene.server.url).says("hint:");
    assert_eq!(scene.api.get("/connections/Orders").ended(200).json()["name"], "Orders", "the first one lives on");
}

#[test]
fn a_server_that_was_killed_leaves_nothing_in_the_way() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Scene { server, world, upstream, .. } = scene;
    server.kill();
    assert!(world.data().join("server.json").exists(), "nobody was there to remove it");
    let listed = world.json(&["connection", "list"]);
    assert_eq!(listed["items"][0]["name"], "Orders");
    let server = world.serve();
    let tested = server.api().post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["status"], "active");
    assert!(upstream.arrived().len() >= 2);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let scene = Scene::http();
    for at in 0..10 {
        scene.connected(&format!("Orders {at}"));
    }
    let Scene { server, world, .. } = scene;
    server.kill();
    assert_eq!(world.json(&["connection", "list"])["items"].as_array().unwrap().len(), 10);
}

#[test]
fn the_key_and_the_token_are_for_the_owner_alone() {
    let world = world();
    let _server = world.serve();
    for name in ["master.key", "server.json", STORE] {
        let mode = fs::metadata(world.data().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(world.data()).unwrap().permissions().mode() & 0o077, 0, "the directory itself");
}

#[test]
fn a_backup_of_a_running_host_can_be_restored() {
    let scene = Scene::http();
    scene.connected("Orders");
    let copy = scene.world.work().join("copy.redb");
    scene.world.run(&["backup", copy.to_str().unwrap()]).done();
    scene.connected("Invoices");
    let key = scene.world.data().join("master.key");
    let restored = World::new(BINARY);
    restored.run(&["restore", copy.to_str().unwrap(), "--key", key.to_str().unwrap()]).done();
    let listed = restored.json(&["connection", "list"]);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, [json!("Orders")]);
}

#[test]
fn a_restored_backup_works_on_another_machine() {
    let scene = Scene::http();
    scene.connected("Orders");
    let copy = scene.world.work().join("copy");
    scene.world.run(&["backup", copy.to_str().unwrap()]).done();
    let Scene { server, world, upstream, .. } = scene;
    server.stop();
    upstream.forget();

    let mut restored = World::new(BINARY);
    restored.set("TURNBUCKLE_EGRESS_ALLOW", &upstream.origin());
    let key = world.data().join("master.key");
    restored.run(&["restore", copy.to_str().unwrap(), "--key", key.to_str().unwrap()]).done();
    restored.run(&["connection", "test", "Orders"]).done();
    assert_eq!(upstream.arrived()[0].header("authorization"), format!("Bearer {TOKEN}"));
}

#[test]
fn a_backup_put_back_over_a_directory_works_and_keeps_what_was_there() {
    let scene = Scene::http();
    scene.connected("Orders");
    let copy = scene.world.work().join("copy");
    scene.world.run(&["backup", copy.to_str().unwrap()]).done();
    scene.connected("Invoices");
    let Scene { server, mut world, upstream, .. } = scene;
    world.run(&["restore", copy.to_str().unwrap(), "--force"]).ended(5).says(&server.url).says("hint:");
    server.stop();
    upstream.forget();

    world.run(&["restore", copy.to_str().unwrap()]).ended(5).says("is not empty").says("--force");
    world.run(&["restore", copy.to_str().unwrap(), "--force"]).done();
    world.set("TURNBUCKLE_EGRESS_ALLOW", &upstream.origin());
    let listed = world.json(&["connection", "list"]);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, [json!("Orders")], "as it was when the backup was made");
    world.run(&["connection", "test", "Orders"]).done();
    assert_eq!(upstream.arrived()[0].header("authorization"), format!("Bearer {TOKEN}"));

    let mut before = world.bare(&["--data"]);
    before.arg(world.data().with_extension("bak")).args(["--output", "json", "connection", "list"]);
    let kept = Ran::of(&mut before, "").done().json();
    let names: Vec<_> = kept["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, [json!("Invoices"), json!("Orders")], "what was there is kept beside");
}

#[test]
fn a_rotated_key_opens_what_the_old_one_sealed() {
    let scene = Scene::http();
    scene.connected("Orders");
    let before = scene.api.get("/host").ended(200).json();
    let rotation = scene.api.post("/host/rotate-key", &json!({})).ended(200).json();
    assert_eq!(rotation["resealed"], 1, "{rotation:#}");
    let after = scene.api.get("/host").ended(200).json();
    assert_ne!(before["master-key"], after["master-key"]);
    assert_eq!(after["master-key"], rotation["key"]);
    let Scene { server, world, upstream, .. } = scene;
    server.stop();
    upstream.forget();
    let server = world.serve();
    let tested = server.api().post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["status"], "active", "{tested:#}");
    assert_eq!(upstream.arrived()[0].header("authorization"), format!("Bearer {TOKEN}"));
}

#[test]
fn an_unknown_key_of_the_configuration_names_the_nearest_known_one() {
    let world = world();
    world.configure("[egress]\nalow = []\n");
    world.run(&["connection", "list"]).ended(2).says("egress.alow").says("allow");
}
