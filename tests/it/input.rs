//! What arrives wrong is refused without being repeated: it may be a secret in the wrong place.

use serde_json::json;
use turnbuckle_tests::leaks;

use crate::scene::{Scene, TOKEN, wrong_fields};

#[test]
fn a_body_that_does_not_fit_is_refused_without_repeating_it() {
    let scene = Scene::http();
    for wrong in [
        json!({"name": "x", "connector": "http", "secrets": TOKEN}),
        json!({"name": "x", "connector": "http", "secrets": [TOKEN]}),
        json!({"name": "x", "connector": "http", "secrets": {"token": [TOKEN]}}),
        json!({"name": "x", "connector": "http", "secrets": {"token": 8_675_309_424_242_u64}}),
        json!({"name": "x", "connector": "http", "visibility": TOKEN}),
    ] {
        let answer = scene.api.post("/connections", &wrong).ended(422);
        assert!(!answer.text().contains("8675309424242"), "{}", answer.text());
        assert_eq!(leaks::in_bytes(&answer.body, TOKEN), Vec::<&str>::new(), "{}", answer.text());
    }
}

#[test]
fn a_version_that_is_not_installed_is_told_by_its_field() {
    let scene = Scene::http();
    let mut new = scene.bearer("Orders", TOKEN);
    new["connector-version"] = json!("99.0.0");
    let problem = scene.api.post("/connections", &new).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["connector-version"], "{problem:#}");
}

#[test]
fn the_description_of_the_api_has_the_route_that_sends() {
    let world = crate::scene::world();
    let server = world.serve();
    let api = server.api();
    let document = api.raw(http::Method::GET, "/api/openapi.json", &[], bytes::Bytes::new()).ended(200).json();
    assert!(document["paths"]["/api/v1/connections/{key}/send"].is_object(), "{:?}", document["paths"]);
}
