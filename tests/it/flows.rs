//! Flows lean on connections, and each sees how its connections stand.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::upstream::Reply;

use crate::scene::{Scene, TOKEN, wrong_fields};

fn put(scene: &Scene, id: &str, name: &str, uses: &Value) -> Value {
    let flow = json!({
        "name": name, "version": "7", "status": "active", "owner": "ada",
        "url": format!("https://flows.example/{id}"), "uses": uses,
    });
    scene.api.send(Method::PUT, &format!("/flows/{id}"), &flow).ended(200).json()
}

#[test]
fn a_verdict_reaches_the_row_of_every_flow_that_uses_the_connection() {
    let scene = Scene::http();
    scene.connected("Orders");
    put(&scene, "nightly", "Nightly", &json!([{"connection": "Orders", "used-as": "action", "step": "read"}]));
    put(&scene, "hourly", "Hourly", &json!([{"connection": "Orders", "used-as": "trigger", "step": "start"}]));
    let rows = || {
        let rows = scene.api.get("/connections/Orders/flows").ended(200).json();
        let rows = rows.as_array().unwrap().clone();
        rows.iter().map(|row| (row["id"].clone(), row["used-as"].clone(), row["progress"].clone())).collect::<Vec<_>>()
    };
    let expected = |progress: &str| {
        [("hourly", "trigger"), ("nightly", "action")].map(|(id, used)| (json!(id), json!(used), json!(progress)))
    };
    assert_eq!(rows(), expected("not-tested"));
    scene.api.post("/connections/Orders/test", &json!({})).ended(200);
    assert_eq!(rows(), expected("passed"));
    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    scene.api.post("/connections/Orders/test", &json!({})).ended(200);
    assert_eq!(rows(), expected("failed"));

    let row = &scene.api.get("/connections/Orders/flows").json()[1];
    assert_eq!(row["name"], "Nightly");
    assert_eq!(row["version"], "7");
    assert_eq!(row["status"], "active");
    assert_eq!(row["owner"], "ada");
    assert_eq!(row["url"], "https://flows.example/nightly");
    assert_eq!(row["step"], "read");
    let tested = scene.api.get("/connections/Orders").json()["verdict"]["at"].clone();
    assert_eq!(row["last-tested"], tested);
    assert_eq!(scene.api.get("/connections/Orders").json()["flows"], 2);
}

#[test]
fn a_row_says_testing_while_the_service_takes_its_time() {
    let scene = Scene::http();
    scene.connected("Orders");
    put(&scene, "nightly", "Nightly", &json!([{"connection": "Orders", "used-as": "action"}]));
    let mut gate = scene.upstream.hold("GET", "/me", |_| Reply::status(200));
    let api = scene.server.api();
    let testing = std::thread::spawn(move || api.post("/connections/Orders/test", &json!({})).ended(200).json());
    gate.wait_for(1);
    assert_eq!(scene.api.get("/connections/Orders/flows").json()[0]["progress"], "testing");
    gate.open();
    assert_eq!(testing.join().unwrap()["status"], "active");
    assert_eq!(scene.api.get("/connections/Orders/flows").json()[0]["progress"], "passed");
}

#[test]
fn a_credential_that_was_replaced_shows_in_the_row_of_every_flow() {
    let scene = Scene::http();
    scene.api.post("/connections", &scene.bearer("Orders", "not-the-token")).ended(201);
    put(&scene, "nightly", "Nightly", &json!([{"connection": "Orders", "used-as": "action", "step": "read"}]));
    let tested = scene.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    let row = || scene.api.get("/connections/Orders/flows").ended(200).json()[0].clone();
    let failed = row();
    assert_eq!((&failed["progress"], &failed["last-tested"]), (&json!("failed"), &tested["verdict"]["at"]));

    let refused =
        scene.api.post("/connections/Orders/reconnect", &json!({"secrets": {"token": "wrong-again"}})).ended(200);
    assert_eq!(refused.json()["replaced"], false);
    assert_eq!(row(), failed, "a trial that replaced nothing says nothing about the connection");

    let replaced = scene.api.post("/connections/Orders/reconnect", &json!({"secrets": {"token": TOKEN}})).ended(200);
    let replaced = replaced.json();
    assert_eq!((&replaced["replaced"], &replaced["connection"]["status"]), (&json!(true), &json!("active")));
    let passed = row();
    assert_eq!((&passed["progress"], &passed["last-tested"]), (&json!("passed"), &replaced["verdict"]["at"]));
    assert_ne!(passed["last-tested"], failed["last-tested"]);
}

#[test]
fn opening_a_flow_tests_its_connections_and_tells_which_will_not_work() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.api.post("/connections", &scene.bearer("Invoices", "not-the-token")).ended(201);
    let uses = json!([
        {"connection": "Orders", "used-as": "action", "step": "read"},
        {"connection": "Invoices", "used-as": "action", "step": "write"},
    ]);
    put(&scene, "nightly", "Nightly", &uses);
    scene.upstream.forget();
    let report = scene.api.post("/flows/nightly/open", &json!({})).ended(200).json();
    assert_eq!(scene.upstream.arrived().len(), 2, "both were tested");
    let alerts: Vec<_> =
        report["alerts"].as_array().unwrap().iter().map(|alert| (&alert["name"], &alert["status"])).collect();
    assert_eq!(alerts, [(&json!("Invoices"), &json!("needs-reconnect"))], "{report:#}");
    let progress: Vec<_> =
        report["flow"]["uses"].as_array().unwrap().iter().map(|one| (&one["step"], &one["progress"])).collect();
    assert_eq!(progress, [(&json!("read"), &json!("passed")), (&json!("write"), &json!("failed"))]);
}

#[test]
fn selecting_a_connection_adds_the_use_and_tests_it() {
    let scene = Scene::http();
    scene.connected("Orders");
    put(&scene, "nightly", "Nightly", &json!([]));
    scene.upstream.forget();
    let chosen = json!({"connection": "Orders", "used-as": "action", "step": "read"});
    let report = scene.api.post("/flows/nightly/uses", &chosen).ended(200).json();
    assert_eq!(scene.upstream.arrived().len(), 1);
    assert_eq!(report["flow"]["uses"][0]["progress"], "passed");
    assert_eq!(report["alerts"], json!([]));

    let freed =
        scene.api.send(Method::DELETE, "/flows/nightly/uses?connection=Orders&step=read", &Value::Null).ended(200);
    assert_eq!(freed.json()["uses"], json!([]));
    scene.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
}

#[test]
fn a_flow_can_be_put_again_without_losing_its_uses() {
    let scene = Scene::http();
    scene.connected("Orders");
    put(&scene, "nightly", "Nightly", &json!([{"connection": "Orders", "used-as": "action", "step": "read"}]));
    let renamed = json!({"name": "Every night", "status": "inactive"});
    let flow = scene.api.send(Method::PUT, "/flows/nightly", &renamed).ended(200).json();
    assert_eq!((&flow["name"], &flow["status"]), (&json!("Every night"), &json!("inactive")));
    assert_eq!(flow["uses"].as_array().unwrap().len(), 1, "left out: as they are");

    let none = json!({"name": "Every night", "status": "inactive", "uses": []});
    let flow = scene.api.send(Method::PUT, "/flows/nightly", &none).ended(200).json();
    assert_eq!(flow["uses"], json!([]));
    scene.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
}

#[test]
fn a_flow_that_names_a_missing_connection_is_not_stored() {
    let scene = Scene::http();
    scene.connected("Orders");
    let flow = json!({
        "name": "Nightly", "status": "draft",
        "uses": [{"connection": "Orders", "used-as": "action"}, {"connection": "Nowhere", "used-as": "action"}],
    });
    let problem = scene.api.send(Method::PUT, "/flows/nightly", &flow).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["uses[1].connection"], "{problem:#}");
    scene.api.get("/flows/nightly").ended(404);
    assert_eq!(scene.api.get("/connections/Orders").json()["flows"], 0);
}

#[test]
fn no_flow_takes_a_step_within_a_path_for_its_id() {
    let scene = Scene::http();
    let flow = json!({"name": "Nightly", "status": "draft"});
    for id in ["%2e", "%2e%2e"] {
        let problem = scene.api.send(Method::PUT, &format!("/flows/{id}"), &flow).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["id"], "{problem:#}");
    }
    assert_eq!(scene.api.get("/flows").ended(200).json()["items"], json!([]));
    scene.api.send(Method::PUT, "/flows/..nightly", &flow).ended(200);
}

#[test]
fn the_command_takes_no_step_within_a_path_for_a_name() {
    let scene = Scene::http();
    scene.connected("Orders");
    for command in [
        &["flow", "put", "..", "--name", "Nightly", "--status", "draft"][..],
        &["flow", "remove", "."],
        &["connection", "show", ".."],
        &["connection", "delete", ""],
    ] {
        let run = scene.world.run(command).ended(2);
        assert!(run.err.contains("no name"), "{command:?}: {}", run.err);
    }
}

#[test]
fn flows_are_listed_by_id_and_forgotten_when_asked() {
    let scene = Scene::http();
    for id in ["c", "a", "b"] {
        put(&scene, id, id, &json!([]));
    }
    let page = scene.api.get("/flows?limit=2").ended(200).json();
    let ids: Vec<_> = page["items"].as_array().unwrap().iter().map(|flow| flow["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b"]);
    let rest = scene.api.get(&format!("/flows?limit=2&cursor={}", page["next"].as_str().unwrap())).ended(200).json();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!("c"), &Value::Null));
    scene.api.send(Method::DELETE, "/flows/b", &Value::Null).ended(204);
    scene.api.get("/flows/b").ended(404);
    scene.api.send(Method::DELETE, "/flows/b", &Value::Null).ended(404);
}

#[test]
fn what_a_test_finds_while_a_flow_is_put_is_not_lost() {
    let scene = Scene::http();
    scene.connected("Orders");
    let uses = json!([{"connection": "Orders", "used-as": "action", "step": "read"}]);
    put(&scene, "nightly", "Nightly", &uses);
    scene.api.post("/connections/Orders/test", &json!({})).ended(200);
    let again = put(&scene, "nightly", "Nightly", &uses);
    assert_eq!(again["uses"][0]["progress"], "passed", "the same use keeps its row");
    assert_eq!(scene.upstream.arrived().last().unwrap().header("authorization"), format!("Bearer {TOKEN}"));
}
