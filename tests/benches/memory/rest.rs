//! A server that rests: with nothing, with the bundled connectors, with guests in other languages besides.

use std::time::Instant;

use serde_json::{Map, Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::foreign::Foreign;
use turnbuckle_tests::host::TOKEN;
use turnbuckle_tests::memory::Memory;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::World;
use turnbuckle_tests::{components, tree};

use crate::BINARY;
use crate::table::{Table, time};

const CREDENTIAL: &str = "legacy";

pub(crate) fn weigh(table: &mut Table, foreign: &[Foreign]) {
    let upstream = Upstream::start();
    upstream.remember_nothing();
    upstream.on("*", "*", |_| Reply::json(200, &json!({"login": "ada"})));
    let world = World::allowing(BINARY, &[upstream.origin()]);
    let mut server = world.serve();
    table.row("serve: no connector".to_owned(), rested(&server.api(), server.pid()), String::new());
    let count = connect_bundled(&world, &server.api(), &upstream.origin());
    let what = format!("serve: {count} connectors installed, a connection each");
    table.row(what, rested(&server.api(), server.pid()), "each tested once".to_owned());
    server.restart(&world);
    table.row("serve: the same, started anew".to_owned(), rested(&server.api(), server.pid()), String::new());
    for guest in foreign {
        let began = Instant::now();
        world.run(&["connector".as_ref(), "install".as_ref(), guest.path.as_os_str()]).done();
        let took = began.elapsed();
        let new = json!({
            "name": guest.language, "connector": guest.connector, "protocol": "bearer",
            "settings": {"url": upstream.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
        });
        let made = server.api().post("/connections", &new).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
        table.row(
            format!("serve: and a guest in {}", guest.language),
            rested(&server.api(), server.pid()),
            format!("installed in {}, a connection tested", time(took)),
        );
    }
}

/// What a server has that was asked for a page, so that no row stands out because it was never asked anything.
fn rested(api: &Api, process: u32) -> Memory {
    api.get("/connectors").ended(200);
    Memory::of(process)
}

/// Installs every bundled connector and makes a connection with it, by a credential of this service's: what a test sends to a
/// vendor is refused before it leaves, so that no network is needed. Some tests pass and some do not.
fn connect_bundled(world: &World, api: &Api, origin: &str) -> usize {
    let credential = json!({"protocol": "basic", "settings": {"username": "robot"}, "secrets": {"password": TOKEN}});
    let put = json!({"url": origin, "credential": credential});
    let path = format!("/setup/named-credentials/{CREDENTIAL}");
    api.send(http::Method::PUT, &path, &put).ended(200);
    let folders = tree::folders(&tree::top().join("connectors"));
    for folder in &folders {
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a folder has a name");
        let component = components::path(BINARY, name);
        world.run(&["connector".as_ref(), "install".as_ref(), component.as_os_str()]).done();
        let connector = api.get(&format!("/connectors/{name}")).ended(200).json();
        let new = json!({
            "name": name, "connector": name, "named-credential": CREDENTIAL,
            "settings": needed(&connector["descriptor"]["settings"]),
        });
        let made = api.post("/connections", &new).ended(201).json();
        assert!(made["verdict"].is_object(), "it was tested: {made:#}");
    }
    folders.len()
}

/// A value for each field that must have one, as the connector shows it for an example. The address is the credential's.
fn needed(settings: &Value) -> Map<String, Value> {
    let fields = settings.as_array().expect("a list of fields").iter();
    fields
        .filter(|field| field["required"] == true && field["default"].is_null() && field["kind"] != "url")
        .map(|field| (field["name"].as_str().expect("a name").to_owned(), field["placeholder"].clone()))
        .collect()
}
