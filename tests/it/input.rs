//! What arrives wrong is refused without being repeated: it may be a secret in the wrong place.

use serde_json::{Value, json};
use turnbuckle_tests::leaks;

use crate::scene::{Scene, TOKEN, by_guest, wrong_fields};

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

#[test]
fn a_value_of_the_wrong_kind_is_told_at_its_field_with_all_others() {
    let scene = Scene::with(&["fields"]);
    let secret = format!("{TOKEN}\0");
    let settings = json!({
        "verify": "yes", "region": "moon", "pages": "1.5", "code": "abcd", "note": "two\nlines", "remark": "a".repeat(65_537),
    });
    let wrong = by_guest(&scene, "Wrong", "fields", "pair", &settings, &json!({"key": secret, "token": TOKEN}));
    assert_eq!(leaks::in_bytes(&wrong.body, TOKEN), Vec::<&str>::new(), "{}", wrong.text());
    let problem = wrong.ended(422).json();
    let said: Vec<_> = problem["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["field"].as_str().unwrap(), problem["message"].as_str().unwrap()))
        .collect();
    let expected = [
        ("verify", "must be `true` or `false`"),
        ("region", "must be one of eu, us"),
        ("pages", "must be a whole number"),
        ("code", "does not have the form that is expected, such as ABC"),
        ("note", "must be one line without control characters"),
        ("remark", "has 65537 bytes; at most 65536 are allowed"),
        ("key", "must not contain NUL"),
    ];
    assert_eq!(said, expected);
    assert_eq!(scene.api.get("/connections").ended(200).json()["items"], json!([]));

    let right = json!({
        "verify": "true", "region": "eu", "pages": "-3", "code": "ABC", "note": "one line", "remark": "a".repeat(65_536),
    });
    scene.upstream.echo("/");
    let made = by_guest(&scene, "Right", "fields", "pair", &right, &json!({"key": TOKEN, "token": TOKEN})).ended(201);
    assert_eq!(made.json()["status"], "active");
}

#[test]
fn a_secret_that_can_not_stand_in_a_header_is_told_at_its_field() {
    let scene = Scene::with(&["fields"]);
    for (name, ending) in [("cr", "\r"), ("lf", "\nX-Injected: 1"), ("escape", "\u{1b}[31m"), ("delete", "\u{7f}")] {
        let secrets = json!({"key": TOKEN, "token": format!("{TOKEN}{ending}x")});
        let wrong = by_guest(&scene, name, "fields", "pair", &json!({}), &secrets);
        assert_eq!(leaks::in_bytes(&wrong.body, TOKEN), Vec::<&str>::new(), "{name}: {}", wrong.text());
        let problem = wrong.ended(422).json();
        assert_eq!(wrong_fields(&problem), ["token"], "{name}: {problem:#}");
    }
    assert_eq!(scene.api.get("/connections").ended(200).json()["items"], Value::Array(vec![]));
    assert_eq!(scene.upstream.arrived().len(), 0);
}

#[test]
fn the_description_of_the_api_says_of_each_parameter_where_it_stands() {
    let world = crate::scene::world();
    let server = world.serve();
    let document = server.api().raw(http::Method::GET, "/api/openapi.json", &[], bytes::Bytes::new()).ended(200).json();
    let mut wrong = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                if (parameter["in"] == "path") != path.contains(&format!("{{{name}}}")) {
                    wrong.push(format!("{method} {path}: {name} in {}", parameter["in"]));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
