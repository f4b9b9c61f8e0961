//! Amazon S3, as `moto` plays it with every signature verified.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::leaks;
use turnbuckle_tests::moto::{Key, Moto};
use turnbuckle_tests::world::{Serving, World};

use crate::scene::{BINARY, install, left_out, peers};

/// A store, a server whose connections may reach it, and the key of a user who may do these actions.
fn stage(test: &str, actions: &str) -> Option<(Serving, World, Moto, Key)> {
    let Some((moto, key)) = Moto::start(&peers(), actions) else {
        left_out(test, "moto[server] in ~/.cache/turnbuckle-peers/moto");
        return None;
    };
    let world = World::allowing(BINARY, &[moto.origin()]);
    let server = world.serve();
    install(&server.api(), "aws-s3");
    Some((server, world, moto, key))
}

fn new(name: &str, moto: &Moto, id: &str, secret: &str) -> Value {
    json!({
        "name": name, "connector": "aws-s3", "protocol": "access-key",
        "settings": {"region": "us-east-1", "endpoint": moto.origin(), "access-key-id": id},
        "secrets": {"secret-access-key": secret},
    })
}

/// A path as `send` takes it.
fn through(path: &str) -> String {
    let encoded: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/connections/Store/send?url={encoded}")
}

#[test]
fn a_good_key_passes_and_a_wrong_one_is_told_from_an_unknown_one() {
    let Some((server, world, moto, key)) = stage("S3 keys", "s3:*") else { return };
    let api = server.api();
    let made = api.post("/connections", &new("Store", &moto, &key.id, &key.secret)).ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    let wrong: String = key.secret.chars().rev().collect();
    for (name, id, secret, words) in [
        ("Wrong", key.id.as_str(), wrong.as_str(), "SignatureDoesNotMatch"),
        ("Unknown", "AKIAIOSFODNN7EXAMPLE", key.secret.as_str(), "InvalidAccessKeyId"),
    ] {
        let made = api.post("/connections", &new(name, &moto, id, secret)).ended(201).json();
        assert_eq!((&made["status"], &made["verdict"]["kind"]), (&json!("needs-reconnect"), &json!("unauthorized")));
        assert!(made["verdict"]["message"].as_str().unwrap().contains(words), "{name}: {made:#}");
    }
    let refused = api.post("/connections/Store/reconnect", &json!({"secrets": {"secret-access-key": wrong}}));
    assert_eq!(refused.ended(200).json()["replaced"], false);
    assert_eq!(api.post("/connections/Store/test", &json!({})).ended(200).json()["status"], "active");

    let printed = server.stop();
    for secret in [&key.secret, &wrong] {
        assert_eq!(leaks::in_folder(&world.data(), secret), Vec::<String>::new());
        assert_eq!(leaks::in_bytes(printed.as_bytes(), secret), Vec::<&str>::new(), "{printed}");
    }
}

#[test]
fn a_key_that_may_not_list_buckets_is_good_and_not_allowed_to() {
    let Some((server, _world, moto, key)) = stage("S3 policies", "s3:GetObject") else { return };
    let made = server.api().post("/connections", &new("Store", &moto, &key.id, &key.secret)).ended(201).json();
    assert_eq!((&made["status"], &made["verdict"]["kind"]), (&json!("inactive"), &json!("forbidden")), "{made:#}");
}

#[test]
fn objects_of_any_name_and_content_go_there_and_come_back() {
    let Some((server, _world, moto, key)) = stage("S3 objects", "s3:*") else { return };
    let api = server.api();
    assert_eq!(
        api.post("/connections", &new("Store", &moto, &key.id, &key.secret)).ended(201).json()["status"],
        "active"
    );
    api.call(Method::PUT, &through("/invoices"), &[], Bytes::new()).ended(200);
    let listed = api.get(&through("/")).ended(200).text();
    assert!(listed.contains("<Name>invoices</Name>"), "{listed}");

    let bodies = [Bytes::new(), Bytes::from_static(b"plain"), Bytes::from((0..=255).collect::<Vec<u8>>())];
    let keys = [
        "plain.txt",
        "a%20b/%C3%BC%3F",
        "2026-11-24T10%3A00%3A00Z",
        "tilde~dash-dot.under_score",
        "plus%2Band%26and%3D",
        "bang!star%2Aparens%28%29quote%27",
        "percent%25twice%2525",
        "deep/er/and/deeper",
        "%E2%98%83",
    ];
    for (at, key) in keys.iter().enumerate() {
        let body = &bodies[at % bodies.len()];
        let path = through(&format!("/invoices/{key}"));
        let headers = [("content-type", "application/octet-stream")];
        let put = api.call(Method::PUT, &path, &headers, body.clone());
        assert_eq!(put.status, 200, "{key}: {}", put.text());
        let got = api.get(&path);
        assert_eq!((got.status.as_u16(), &got.body), (200, body), "{key}: {}", got.text());
    }
    let listed = api.get(&through("/invoices?list-type=2&prefix=a%20b%2F&delimiter=%2F")).ended(200).text();
    assert!(listed.contains("<Key>a b/ü?</Key>") && listed.contains("<KeyCount>1</KeyCount>"), "{listed}");
    // The second parameter has no value, and an order that is not the alphabet's.
    api.get(&through("/invoices?versioning&a=%20+b")).ended(200);
    api.call(Method::DELETE, &through("/invoices/plain.txt"), &[], Bytes::new()).ended(204);
    api.get(&through("/invoices/plain.txt")).ended(404);
}
