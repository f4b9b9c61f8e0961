//! Connections move to another version of their connector, and what that changes is told first.

use serde_json::{Value, json};
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::Reply;

use crate::scene::{BINARY, Scene, TOKEN, by_guest, offer};

const UPGRADE: &str = "/connectors/upgradable/upgrade";

/// Connections of version 1.0.0 by each of its protocols, and version 2.0.0 beside it.
pub(crate) fn widened() -> Scene {
    let scene = Scene::with(&["narrow"]);
    scene.upstream.on("GET", "/", |_arrived| Reply::status(200));
    for (name, protocol, secrets) in [
        ("Open", "none", json!({})),
        ("Retired", "retired", json!({"key": TOKEN})),
        ("Token", "token", json!({"token": TOKEN})),
    ] {
        let made = by_guest(&scene, name, "upgradable", protocol, &json!({}), &secrets).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
    }
    let report = offer(&scene.api, components::read(BINARY, "wide")).ended(201).json();
    assert_eq!(report["widened"], json!(["https://telemetry.example.net"]), "{report:#}");
    scene
}

/// Name, version, settings and last verdict of each connection: all that an upgrade may change.
fn standing(scene: &Scene) -> Vec<Value> {
    let page = scene.api.get("/connections").ended(200).json();
    let shown = |item: &Value| {
        json!([item["name"], item["connector"]["version"], item["version"], item["settings"], item["verdict"]["at"]])
    };
    page["items"].as_array().unwrap().iter().map(shown).collect()
}

/// Name, whether it was moved, and what stands in the way.
fn rows(report: &Value) -> Vec<(String, bool, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |row: &Value| {
        let attention = row["attention"].as_array().unwrap().iter().map(text).collect();
        (text(&row["name"]), row["moved"].as_bool().unwrap(), attention)
    };
    let mut rows: Vec<_> = report["connections"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

/// The rows, where the one that can be moved stands so.
fn expected(moved: bool, attention: &[&str]) -> Vec<(String, bool, Vec<String>)> {
    vec![
        ("Open".to_owned(), moved, attention.iter().map(|words| (*words).to_owned()).collect()),
        (
            "Retired".to_owned(),
            false,
            vec!["protocol: upgradable offers no protocol `retired`; it offers none, token".to_owned()],
        ),
        ("Token".to_owned(), false, vec!["tenant: tenant is required".to_owned()]),
    ]
}

#[test]
fn a_version_that_asks_for_more_moves_nothing_without_a_word() {
    let scene = widened();
    let before = standing(&scene);
    let problem = scene.api.post(UPGRADE, &json!({})).ended(409).json();
    assert_eq!(problem["code"], "origins-widened", "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains("https://telemetry.example.net"), "{problem:#}");
    assert!(problem["hint"].as_str().unwrap().contains("--accept"), "{problem:#}");
    assert_eq!(standing(&scene), before);
}

#[test]
fn what_an_upgrade_would_change_is_shown_without_doing_it() {
    let scene = widened();
    let before = standing(&scene);
    let mut report = scene.api.post(UPGRADE, &json!({"dry-run": true})).ended(200).json();
    let accept = "its requests would go to https://telemetry.example.net besides; accept that with --accept";
    assert_eq!(rows(&report), expected(false, &[accept]), "{report:#}");
    let accepted = scene.api.post(UPGRADE, &json!({"dry-run": true, "accept": true})).ended(200).json();
    assert_eq!(rows(&accepted), expected(false, &[]), "{accepted:#}");
    report.as_object_mut().unwrap().remove("connections");
    let changes = json!({
        "to": "2.0.0",
        "origins-added": ["https://telemetry.example.net"],
        "origins-removed": [],
        "fields-added": ["region", "token.tenant"],
        "fields-removed": ["retired.key"],
        "protocols-removed": ["retired"],
    });
    assert_eq!(report, changes);
    assert_eq!(standing(&scene), before);
}

#[test]
fn an_accepted_upgrade_moves_what_it_can_and_leaves_the_rest_where_it_works() {
    let scene = widened();
    let report = scene.api.post(UPGRADE, &json!({"accept": true})).ended(200).json();
    assert_eq!(rows(&report), expected(true, &[]), "{report:#}");
    let shown = |name: &str| scene.api.get(&format!("/connections/{name}")).ended(200).json();
    let open = shown("Open");
    assert_eq!((&open["connector"]["version"], &open["version"]), (&json!("2.0.0"), &json!(2)), "{open:#}");
    assert_eq!(open["settings"]["region"], "eu", "a new field has its default");
    assert_eq!(open["origins"], json!([scene.upstream.origin(), "https://telemetry.example.net"]));
    assert_eq!(open["status"], "active", "it was tested as it is now");
    let history = scene.api.get("/connections/Open/history").ended(200).json();
    assert_eq!(history["items"][0]["kind"], "upgraded");
    for name in ["Retired", "Token"] {
        let stayed = shown(name);
        assert_eq!((&stayed["connector"]["version"], &stayed["version"]), (&json!("1.0.0"), &json!(1)), "{stayed:#}");
        let tested = scene.api.post(&format!("/connections/{name}/test"), &json!({})).ended(200).json();
        assert_eq!(tested["status"], "active", "{tested:#}");
    }
}
