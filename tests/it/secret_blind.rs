//! Neither a connector, nor a caller, nor a file, nor a log ever holds a secret.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::Reply;

use crate::scene::{Scene, TOKEN};

const SEND: &str = "/connections/Orders/send?url=/echo";

#[test]
fn an_upstream_that_echoes_shows_the_redaction_and_never_the_secret() {
    let scene = Scene::http();
    scene.upstream.echo("/echo");
    scene.connected("Orders");
    let answer = scene.api.call(Method::POST, SEND, &[], Bytes::from_static(b"hello")).ended(200);
    assert!(answer.text().contains("hello"), "{}", answer.text());
    assert!(answer.text().contains("authorization: "), "the header did arrive there: {}", answer.text());
    assert_eq!(leaks::in_bytes(&answer.body, TOKEN), Vec::<&str>::new(), "{}", answer.text());
    for (name, value) in &answer.headers {
        assert_eq!(leaks::in_bytes(value.as_bytes(), TOKEN), Vec::<&str>::new(), "{name}");
    }
    assert!(answer.text().contains("[redacted]"), "{}", answer.text());
}

#[test]
fn every_spelling_of_a_secret_is_taken_out_of_an_answer() {
    let scene = Scene::http();
    scene.connected("Orders");
    let spellings = leaks::spellings(TOKEN);
    for (name, spelled) in spellings {
        // What is written as UTF-16 is another text; it is looked for in files only.
        if name == "utf-16" {
            continue;
        }
        let body = [b"before ".as_slice(), &spelled, b" after"].concat();
        scene.upstream.on("GET", "/spelled", move |_| Reply::status(200).body(body.clone()));
        let answer = scene.api.get("/connections/Orders/send?url=/spelled").ended(200);
        assert_eq!(leaks::in_bytes(&answer.body, TOKEN), Vec::<&str>::new(), "{name}: {}", answer.text());
        assert!(answer.text().starts_with("before ") && answer.text().ends_with(" after"), "{name}: {}", answer.text());
    }
}

#[test]
fn a_secret_inside_a_compressed_answer_is_found_too() {
    let scene = Scene::http();
    scene.connected("Orders");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(format!("you sent {TOKEN}, thank you").as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    scene
        .upstream
        .on("GET", "/packed", move |_| Reply::status(200).header("content-encoding", "gzip").body(packed.clone()));
    let answer = scene.api.get("/connections/Orders/send?url=/packed").ended(200);
    assert_eq!(answer.text(), "you sent [redacted], thank you");
    assert_eq!(answer.header("content-encoding"), "");
}

#[test]
fn a_service_is_asked_for_plain_answers() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.forget();
    scene.api.get("/connections/Orders/send?url=/me").ended(200);
    assert_eq!(scene.upstream.arrived()[0].header("accept-encoding"), "identity");
}

#[test]
fn a_secret_stands_in_no_file_no_log_no_answer_and_no_error() {
    let second = "canary-second-0f1e2d3c4b5a";
    let scene = Scene::http();
    scene.upstream.echo("/echo");
    let mut answers = Vec::new();
    let mut keep = |answer: turnbuckle_tests::api::Answer| answers.push(answer);
    keep(scene.api.post("/connections", &scene.bearer("Orders", TOKEN)));
    // Refused for another field, so it is nowhere.
    let mut wrong = scene.bearer("Orders", second);
    wrong["settings"]["url"] = json!("ftp://x");
    keep(scene.api.post("/connections", &wrong));
    // Not JSON where it should be: the parser must not quote what it read.
    let broken = Bytes::from(format!("{{\"secrets\": {{\"token\": \"{second}\"}}, \"name\": 1}}"));
    keep(scene.api.call(Method::POST, "/connections", &[("content-type", "application/json")], broken));
    keep(scene.api.call(Method::POST, SEND, &[], Bytes::new()));
    keep(scene.api.post("/connections/Orders/reconnect", &json!({"secrets": {"token": second}})));
    scene.upstream.on("GET", "/me", |arrived| {
        Reply::status(400).body(format!("bad credential: {}", arrived.header("authorization")))
    });
    keep(scene.api.post("/connections/Orders/test", &json!({})));
    keep(scene.api.send(Method::PATCH, "/connections/Orders", &json!({"version": 1, "secrets": {"token": second}})));
    keep(scene.api.get("/connections/Orders"));
    keep(scene.api.get("/connections/Orders/history"));
    keep(scene.api.post("/host/backup", &json!({"path": scene.world.work().join("copy.redb")})));

    let Scene { server, world, upstream, .. } = scene;
    assert!(upstream.arrived().iter().any(|arrived| arrived.header("authorization").contains(TOKEN)), "it was used");
    let printed = server.stop();
    for secret in [TOKEN, second] {
        for answer in &answers {
            assert_eq!(leaks::in_bytes(&answer.body, secret), Vec::<&str>::new(), "{}", answer.text());
        }
        assert_eq!(leaks::in_bytes(printed.as_bytes(), secret), Vec::<&str>::new(), "{printed}");
        assert_eq!(leaks::in_folder(&world.data(), secret), Vec::<String>::new());
        assert_eq!(leaks::in_folder(&world.work(), secret), Vec::<String>::new());
    }
}

#[test]
fn a_secret_field_can_not_be_given_as_a_setting() {
    let scene = Scene::http();
    let mut new = scene.bearer("Orders", TOKEN);
    new["settings"]["token"] = json!(TOKEN);
    new["secrets"] = json!({});
    let problem = scene.api.post("/connections", &new).ended(422).json();
    assert!(problem["problems"].as_array().unwrap().iter().all(|problem| problem["field"] == "token"), "{problem:#}");
    assert!(!problem.to_string().contains(TOKEN));
    assert_eq!(scene.api.get("/connections").json()["items"], Value::Array(Vec::new()));
}
