//! Several change one thing of setup: nobody overrules what they have not seen.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};

use crate::scene::{Scene, TOKEN, wrong_fields};
use crate::users::{delete, put};

fn put_if(api: &Api, path: &str, conditions: &[(&str, &str)], body: &Value) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend_from_slice(conditions);
    api.call(Method::PUT, path, &headers, Bytes::from(body.to_string()))
}

/// Each kind: where one of it is, how it is made, and what changes of it.
fn kinds(scene: &Scene) -> Vec<(&'static str, Value, Value)> {
    let url = scene.upstream.origin();
    let client = json!({
        "connector": "http", "protocol": "oauth2", "client-id": "app",
        "settings": {"authorization-server": "https://login.example.com"},
    });
    let mut renamed = client.clone();
    renamed["label"] = json!("Renamed");
    let label = || json!({"label": "Renamed"});
    vec![
        ("/setup/permission-sets/crew", json!({"permissions": ["view-connections"]}), label()),
        ("/setup/users/ada", json!({}), label()),
        ("/setup/identity-providers/login", client, renamed),
        ("/setup/external-credentials/shop", json!({"protocol": "basic"}), label()),
        ("/setup/principals/shop", json!({"settings": {"username": "robot"}, "secrets": {"password": TOKEN}}), label()),
        ("/setup/named-credentials/shop", json!({"url": url}), label()),
        ("/webhooks/hook", json!({"url": format!("{url}/hook")}), json!({"types": ["flow"]})),
    ]
}

#[test]
fn of_two_who_change_the_same_the_second_is_told_and_changes_nothing() {
    let scene = Scene::http();
    for (path, made, change) in kinds(&scene) {
        let first = put_if(&scene.api, path, &[("if-none-match", "*")], &made);
        assert!(first.status.is_success(), "{path}: {}", first.text());
        let seen = scene.api.get(path).ended(200);
        let tag = seen.header("etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", seen.json()["version"]), "{path}");
        assert_eq!(first.header("etag"), tag, "{path}: whoever puts it need not ask again");

        // One is first, and the other saw what was before.
        let newer = put_if(&scene.api, path, &[("if-match", &tag)], &change).ended(200);
        assert_ne!(newer.header("etag"), tag, "{path}");
        let late = put_if(&scene.api, path, &[("if-match", &tag)], &made).ended(412).json();
        assert_eq!(late["code"], "stale", "{path}: {late:#}");
        assert_eq!(late["current"], newer.json()["version"], "{path}");
        let added = put_if(&scene.api, path, &[("if-none-match", "*")], &made).ended(412).json();
        assert_eq!(added["code"], "exists", "{path}: {added:#}");
        assert!(added["hint"].as_str().unwrap().contains("another name"), "{added:#}");
        let now = scene.api.get(path).ended(200);
        assert_eq!(now.header("etag"), newer.header("etag"), "{path}: nothing was changed");

        // Whoever looked again may, and so may whoever does not care.
        let tag = now.header("etag").to_owned();
        put_if(&scene.api, path, &[("if-match", &tag)], &change).ended(200);
        put_if(&scene.api, path, &[("if-match", "*")], &change).ended(200);
        put(&scene.api, path, &change).ended(200);
    }
}

#[test]
fn what_is_removed_and_made_anew_is_not_taken_for_what_it_was() {
    let scene = Scene::http();
    let (path, set) = ("/setup/permission-sets/crew", json!({"permissions": ["view-connections"]}));
    let before = put(&scene.api, path, &set).ended(200).header("etag").to_owned();
    delete(&scene.api, path).ended(204);
    let gone = put_if(&scene.api, path, &[("if-match", &before)], &set).ended(404).json();
    assert!(gone["detail"].as_str().unwrap().contains("no permission set `crew`"), "{gone:#}");
    put_if(&scene.api, path, &[("if-match", "*")], &set).ended(404);
    scene.api.get(path).ended(404);
    put(&scene.api, path, &json!({"permissions": ["view-audit"]})).ended(200);
    put_if(&scene.api, path, &[("if-match", &before)], &set).ended(412);
    assert_eq!(scene.api.get(path).json()["permissions"], json!(["view-audit"]));
}

#[test]
fn a_condition_that_cannot_be_read_is_named() {
    let scene = Scene::http();
    let (path, set) = ("/setup/permission-sets/crew", json!({"permissions": []}));
    for (conditions, field) in [
        (&[("if-match", "new")][..], "If-Match"),
        (&[("if-match", "\"1\", \"2\"")], "If-Match"),
        (&[("if-none-match", "\"1\"")], "If-None-Match"),
        (&[("if-match", "\"1\""), ("if-none-match", "*")], "If-None-Match"),
    ] {
        let wrong = put_if(&scene.api, path, conditions, &set).ended(422).json();
        assert_eq!(wrong_fields(&wrong), [field], "{wrong:#}");
    }
    scene.api.get(path).ended(404);
}

#[test]
fn a_named_credential_that_is_added_changes_nothing_of_what_has_its_name() {
    let scene = Scene::http();
    let external = json!({"protocol": "basic", "label": "Mine"});
    put(&scene.api, "/setup/external-credentials/shop", &external).ended(200);
    let credential = json!({"protocol": "basic", "settings": {"username": "x"}, "secrets": {"password": "y"}});
    let body = json!({"url": scene.upstream.origin(), "label": "Theirs", "credential": credential});
    let refused = put_if(&scene.api, "/setup/named-credentials/shop", &[("if-none-match", "*")], &body).ended(412);
    assert!(refused.json()["detail"].as_str().unwrap().contains("external credential `shop`"), "{}", refused.text());
    assert_eq!(scene.api.get("/setup/external-credentials/shop").json()["label"], "Mine");
    scene.api.get("/setup/principals/shop").ended(404);
}
