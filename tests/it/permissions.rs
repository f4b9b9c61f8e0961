//! Every operation of the API against every permission. An operation that is not in the table fails the test.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle::Permission::{
    self, ManageConnections, ManageConnectors, ManageFlows, ManageSetup, UseConnections, ViewAudit, ViewConnections,
};
use turnbuckle_tests::api::{Answer, Api};

use crate::scene::{BINARY, Scene};

/// What is sent.
enum Sent {
    Nothing,
    Json(Value),
    Component,
}
use Sent::{Component, Json, Nothing};

/// One operation: its name in the description, any one of the permissions that open it, something that is there, and a body.
type Row = (&'static str, &'static [Permission], &'static str, Sent);

/// Stands for what is there, and for what is not.
const THERE: [(&str, &str); 11] = [
    ("connections", "Orders"),
    ("connectors", "http"),
    ("flows", "nightly"),
    ("identity-providers", "any"),
    ("external-credentials", "legacy"),
    ("principals", "legacy"),
    ("named-credentials", "legacy"),
    ("permission-sets", "plain"),
    ("users", "zoe"),
    ("tokens", "spare"),
    ("webhooks", "hook"),
];
const NOWHERE: &str = "nowhere";

fn table(scene: &Scene) -> Vec<Row> {
    let use_of = json!({"connection": NOWHERE, "used-as": "action"});
    let provider = json!({"connector": NOWHERE, "protocol": "oauth2", "client-id": "c"});
    let copy = json!({"path": scene.world.work().join("copy.redb")});
    let account = json!({"issuer": "https://login.example.com", "subject": "248289761001"});
    let anyone: &[Permission] = &[];
    let mut rows = vec![
        ("connectors.list", &[ViewConnections][..], "", Nothing),
        ("connectors.install", &[ManageConnectors], "", Component),
        ("connectors.check", &[ManageConnectors], "", Component),
        ("connectors.show", &[ViewConnections], "", Nothing),
        ("connectors.change", &[ManageConnectors], "", Json(json!({"enabled": true}))),
        ("connectors.remove", &[ManageConnectors], "", Nothing),
        ("connectors.upgrade", &[ManageConnectors], "", Json(json!({"dry-run": true}))),
        ("connectors.verify", &[ManageConnectors], "", Nothing),
        ("connectors.icon", &[ViewConnections], "", Nothing),
        ("connections.list", &[ViewConnections], "", Nothing),
        ("connections.create", &[ManageConnections], "", Json(json!({"name": "x", "connector": NOWHERE}))),
        ("connections.show", &[ViewConnections], "", Nothing),
        ("connections.edit", &[ManageConnections], "", Json(json!({"version": 1}))),
        ("connections.delete", &[ManageConnections], "", Nothing),
        ("connections.test", &[UseConnections], "", Nothing),
        ("connections.reconnect", &[ManageConnections], "", Json(json!({}))),
        ("connections.enable", &[ManageConnections], "", Nothing),
        ("connections.disable", &[ManageConnections], "", Nothing),
        ("connections.authorize", &[ManageConnections], "", Json(json!({}))),
        ("connections.complete-authorization", &[ManageConnections], "", Json(json!({"receipt": "r"}))),
        ("connections.transfer", &[ManageConnections, ManageSetup], "", Json(json!({"to": "zoe"}))),
        ("connections.flows", &[ViewConnections], "", Nothing),
        ("connections.activity", &[ViewConnections], "", Nothing),
        ("connections.history", &[ViewConnections], "", Nothing),
        ("flows.list", &[ViewConnections], "", Nothing),
        ("flows.show", &[ViewConnections], "", Nothing),
        ("flows.put", &[ManageFlows], "", Json(json!({"name": "N", "status": "draft", "uses": [use_of]}))),
        ("flows.remove", &[ManageFlows], "", Nothing),
        ("flows.open", &[UseConnections], "", Nothing),
        ("flows.select", &[ManageFlows], "", Json(use_of)),
        ("flows.deselect", &[ManageFlows], "?connection=nowhere", Nothing),
        ("setup.list-identity-providers", &[ViewConnections], "", Nothing),
        ("setup.show-identity-provider", &[ViewConnections], "", Nothing),
        ("setup.put-identity-provider", &[ManageSetup], "", Json(provider)),
        ("setup.remove-identity-provider", &[ManageSetup], "", Nothing),
        ("setup.list-credential-protocols", &[ViewConnections], "", Nothing),
        ("setup.list-external-credentials", &[ManageSetup], "", Nothing),
        ("setup.show-external-credential", &[ManageSetup], "", Nothing),
        ("setup.put-external-credential", &[ManageSetup], "", Json(json!({"protocol": "none"}))),
        ("setup.remove-external-credential", &[ManageSetup], "", Nothing),
        ("setup.list-principals", &[ViewConnections], "", Nothing),
        ("setup.show-principal", &[ViewConnections], "", Nothing),
        ("setup.put-principal", &[ManageSetup], "", Json(json!({}))),
        ("setup.authorize-principal", &[ManageConnections], "", Json(json!({}))),
        ("setup.remove-principal", &[ManageSetup], "", Nothing),
        ("setup.list-named-credentials", &[ViewConnections], "", Nothing),
        ("setup.show-named-credential", &[ViewConnections], "", Nothing),
        ("setup.put-named-credential", &[ManageSetup], "", Json(json!({"url": "nowhere"}))),
        ("setup.remove-named-credential", &[ManageSetup], "", Nothing),
        ("setup.list-permission-sets", &[ManageSetup], "", Nothing),
        ("setup.show-permission-set", &[ManageSetup], "", Nothing),
        ("setup.put-permission-set", &[ManageSetup], "", Json(json!({"permissions": []}))),
        ("setup.remove-permission-set", &[ManageSetup], "", Nothing),
        ("setup.list-users", &[ManageSetup], "", Nothing),
        ("setup.show-user", &[ManageSetup], "", Nothing),
        ("setup.put-user", &[ManageSetup], "", Json(json!({}))),
        ("setup.remove-user", &[ManageSetup], "", Nothing),
        ("setup.bind-account", &[ManageSetup], "", Json(account)),
        ("setup.unbind-account", &[ManageSetup], "?issuer=https://login.example.com&subject=248289761001", Nothing),
        ("setup.list-tokens", &[ManageSetup], "", Nothing),
        ("setup.create-token", &[ManageSetup], "", Json(json!({"name": "x", "user": NOWHERE}))),
        ("setup.show-token", &[ManageSetup], "", Nothing),
        ("setup.revoke-token", &[ManageSetup], "", Nothing),
        ("events.list", &[ViewConnections], "", Nothing),
        ("setup.list-webhooks", &[ManageSetup], "", Nothing),
        ("setup.show-webhook", &[ManageSetup], "", Nothing),
        ("setup.put-webhook", &[ManageSetup], "", Json(json!({"enabled": false}))),
        ("setup.remove-webhook", &[ManageSetup], "", Nothing),
        ("setup.rotate-webhook-secret", &[ManageSetup], "", Json(json!({}))),
        ("setup.list-webhook-deliveries", &[ManageSetup], "", Nothing),
        ("setup.replay-webhook", &[ManageSetup], "", Json(json!({}))),
        ("whoami", anyone, "", Nothing),
        ("audit.list", &[ViewAudit], "", Nothing),
        ("audit.verify", &[ViewAudit], "", Nothing),
        ("audit.export", &[ViewAudit], "", Nothing),
        ("health.report", &[ViewConnections], "", Nothing),
        ("health.pause", &[ManageSetup], "", Nothing),
        ("health.resume", &[ManageSetup], "", Nothing),
        ("host.report", &[ViewConnections], "", Nothing),
        ("host.backup", &[ManageSetup], "", Json(copy)),
        ("host.rotate-key", &[ManageSetup], "", Nothing),
        ("host.check-sign-in", &[ManageSetup], "", Nothing),
        ("host.export-definitions", &[ViewConnections], "", Nothing),
        (
            "host.import-definitions",
            &[ViewConnections],
            "",
            Json(json!({"definitions": {"format": "turnbuckle-definitions-1"}})),
        ),
        ("host.console-link", anyone, "", Nothing),
    ];
    for name in ["get", "head", "post", "put", "patch", "delete", "options"] {
        let name: &str = Box::leak(format!("connections.send-{name}").into_boxed_str());
        rows.push((name, &[UseConnections], "?url=/me", Nothing));
    }
    rows
}

/// Each operation of the description with its row.
struct Operations {
    all: Vec<(Method, String, Row)>,
}

impl Operations {
    fn of(scene: &Scene) -> Self {
        let document = scene.api.raw(Method::GET, "/api/openapi.json", &[], Bytes::new()).ended(200).json();
        let mut rows: BTreeMap<_, _> = table(scene).into_iter().map(|row| (row.0, row)).collect();
        let (mut all, mut missing) = (Vec::new(), Vec::new());
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let Some(id) = operation["operationId"].as_str() else { continue };
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                match rows.remove(id) {
                    Some(row) => all.push((method, path.clone(), row)),
                    None => missing.push(format!("{method} {path} ({id})")),
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new(), "these operations stand in no row of the table");
        assert_eq!(rows.into_keys().collect::<Vec<_>>(), Vec::<&str>::new(), "these rows are of no operation");
        Self { all }
    }
}

fn call(api: &Api, method: &Method, path: &str, row: &Row, named: Option<&str>) -> Answer {
    let there = THERE.into_iter().find(|(noun, _)| path.contains(&format!("/{noun}/"))).map_or("", |(_, name)| name);
    let name = named.unwrap_or(there);
    let path = ["{key}", "{name}", "{id}"].into_iter().fold(path.to_owned(), |path, part| path.replace(part, name));
    let path = format!("{path}{}", row.2);
    match &row.3 {
        Nothing => api.raw(method.clone(), &path, &[], Bytes::new()),
        Json(body) => {
            api.raw(method.clone(), &path, &[("content-type", "application/json")], Bytes::from(body.to_string()))
        }
        Component => {
            api.raw(method.clone(), &path, &[("content-type", "application/wasm")], Bytes::from_static(b"none"))
        }
    }
}

/// Somebody with these permissions, and nothing else.
fn somebody(scene: &Scene, name: &str, permissions: impl IntoIterator<Item = Permission>) -> Api {
    let permissions: Vec<_> = permissions.into_iter().map(Permission::name).collect();
    let put = |path: String, body: Value| scene.api.send(Method::PUT, &path, &body).ended(200);
    put(format!("/setup/permission-sets/{name}"), json!({"permissions": permissions}));
    put(format!("/setup/users/{name}"), json!({"permission-sets": [name]}));
    let made = scene.api.post("/setup/tokens", &json!({"name": name, "user": name})).ended(201).json();
    Api::new(&scene.server.url, made["token"].as_str())
}

/// A scene in which all of [`THERE`] is there.
fn filled() -> Scene {
    let scene = Scene::http();
    scene.connected("Orders");
    let put = |path: &str, body: &Value, status| scene.api.send(Method::PUT, path, body).ended(status);
    put("/flows/nightly", &json!({"name": "Nightly", "status": "draft"}), 200);
    put("/setup/permission-sets/plain", &json!({"permissions": []}), 200);
    let credential = json!({"url": "https://legacy.example.com", "credential": {"protocol": "none"}});
    put("/setup/named-credentials/legacy", &credential, 200);
    put("/setup/users/zoe", &json!({}), 200);
    put("/webhooks/hook", &json!({"url": scene.upstream.origin()}), 201);
    scene.api.post("/setup/tokens", &json!({"name": "spare", "user": "zoe"})).ended(201);
    scene
}

#[test]
fn every_operation_takes_its_permission_and_no_other() {
    let scene = filled();
    let operations = Operations::of(&scene);
    for permission in Permission::ALL {
        let alone = somebody(&scene, permission.name(), [permission]);
        let others = Permission::ALL.into_iter().filter(|other| *other != permission);
        let without = somebody(&scene, &format!("without-{}", permission.name()), others);
        for (method, path, row) in &operations.all {
            let (id, opened_by) = (row.0, row.1);
            for (api, opened) in [
                (&alone, opened_by.is_empty() || opened_by.contains(&permission)),
                (&without, opened_by != [permission]),
            ] {
                let words = format!("{id} by {}", permission.name());
                if opened {
                    // What is there stays there for those who come after.
                    let answer = call(api, method, path, row, Some(NOWHERE));
                    assert!(![401, 403].contains(&answer.status.as_u16()), "{words}: {}", answer.text());
                    continue;
                }
                let there = call(api, method, path, row, None);
                let nowhere = call(api, method, path, row, Some(NOWHERE));
                assert_eq!(there.status, 403, "{words}: {}", there.text());
                assert_eq!((nowhere.status, &nowhere.body), (there.status, &there.body), "{words} tells what is there");
                if *method != Method::HEAD {
                    let detail = format!("this takes the permission `{}`", opened_by[0].name());
                    assert_eq!(there.json()["detail"], detail, "{words}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_answered_without_a_token() {
    let scene = filled();
    let nobody = Api::new(&scene.server.url, None);
    let forged = Api::new(&scene.server.url, Some("tb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    for (method, path, row) in &Operations::of(&scene).all {
        for api in [&nobody, &forged] {
            for named in [None, Some(NOWHERE)] {
                let answer = call(api, method, path, row, named);
                assert_eq!(answer.status, 401, "{}: {}", row.0, answer.text());
            }
        }
    }
}

#[test]
fn integrations_that_are_switched_off_answer_setup_and_health_alone() {
    let mut scene = filled();
    scene.world.configure("[integrations]\nenabled = false\n");
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    let operations = Operations::of(&scene);
    for (method, path, row) in &operations.all {
        let id = row.0;
        let answer = call(&scene.api, method, path, row, Some(NOWHERE));
        let goes_on = ["setup.", "host.", "health.", "audit.", "whoami"].iter().any(|part| id.starts_with(part));
        if goes_on {
            assert!(!answer.text().contains("integrations-disabled"), "{id}: {}", answer.text());
        } else {
            assert_eq!(answer.status, 409, "{id}: {}", answer.text());
            if *method != Method::HEAD {
                let problem = answer.json();
                assert_eq!(problem["type"], "/problems/integrations-disabled", "{id}");
                assert!(problem["hint"].as_str().unwrap().contains("turnbuckle.toml"), "{problem:#}");
            }
        }
    }
    for path in ["/healthz", "/readyz", "/api/openapi.json"] {
        scene.api.raw(Method::GET, path, &[], Bytes::new()).ended(200);
    }
    let page = scene.api.raw(Method::GET, "/oauth/callback/any?state=s&code=c", &[], Bytes::new());
    assert_eq!((page.status.as_u16(), page.text().contains("switched off")), (409, true), "{}", page.text());
    // The command says the same, with a server and without one.
    scene.world.run(&["connection", "list"]).ended(5).says("switched off");
    scene.world.run(&["whoami"]).done();
    let Scene { server, world, .. } = scene;
    server.stop();
    world.run(&["connector", "list"]).ended(5).says("switched off");
    world.run(&["setup", "user", "list"]).done();
}

#[test]
fn the_switch_may_come_from_the_environment() {
    let mut world = turnbuckle_tests::world::World::new(BINARY);
    world.set("TURNBUCKLE_INTEGRATIONS_ENABLED", "false");
    world.run(&["flow", "list"]).ended(5).says("switched off");
    world.set("TURNBUCKLE_INTEGRATIONS_ENABLED", "perhaps");
    world.run(&["flow", "list"]).ended(2).says("must be true or false");
}
