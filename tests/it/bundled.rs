//! The bundled connectors, each with the answers of its service.

use serde_json::json;
use turnbuckle_tests::upstream::Reply;

use crate::scene::Scene;

#[test]
fn a_credential_of_another_account_takes_a_word() {
    let scene = Scene::with(&["github"]);
    scene.upstream.on("GET", "/api/v3/user", |arrived| match arrived.header("authorization") {
        "Bearer ghp_of_ada" => Reply::json(200, &json!({"login": "ada", "id": 1})),
        "Bearer ghp_of_bob" => Reply::json(200, &json!({"login": "bob", "id": 2})),
        _ => Reply::status(401),
    });
    let new = json!({
        "name": "Code", "connector": "github", "protocol": "token",
        "settings": {"url": scene.upstream.origin()}, "secrets": {"token": "ghp_of_ada"},
    });
    let made = scene.api.post("/connections", &new).ended(201).json();
    assert_eq!((&made["status"], &made["account"]["label"]), (&json!("active"), &json!("ada")), "{made:#}");

    let mut other = json!({"secrets": {"token": "ghp_of_bob"}});
    let refused = scene.api.post("/connections/Code/reconnect", &other).ended(200).json();
    assert_eq!((&refused["replaced"], &refused["connection"]["account"]["label"]), (&json!(false), &json!("ada")));
    other["accept-account"] = json!(true);
    let taken = scene.api.post("/connections/Code/reconnect", &other).ended(200).json();
    assert_eq!((&taken["replaced"], &taken["connection"]["account"]["label"]), (&json!(true), &json!("bob")));
}
