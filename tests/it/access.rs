//! Who may talk to the server, and from where.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;

use crate::scene::world;

#[test]
fn nothing_is_told_without_a_good_token() {
    let world = world();
    let server = world.serve();
    let mut near = server.token.clone();
    near.replace_range(0..1, if near.starts_with('A') { "B" } else { "A" });
    for token in [None, Some(""), Some("wrong"), Some(near.as_str())] {
        let api = Api::new(&server.url, token);
        for path in ["/host", "/connections", "/connectors"] {
            let answer = api.get(path);
            assert_eq!(answer.status, 401, "{path} with {token:?}: {}", answer.text());
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        assert_eq!(api.send(Method::POST, "/host/rotate-key", &json!({})).status, 401);
        for path in ["/healthz", "/readyz"] {
            assert_eq!(api.raw(Method::GET, path, &[], Bytes::new()).status, 200, "{path}");
        }
    }
    server.api().get("/host").ended(200);
}

#[test]
fn a_name_that_is_not_the_servers_gets_nothing() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    for host in ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", "169.254.169.254"] {
        for path in ["/api/v1/host", "/healthz", "/api/openapi.json", "/nowhere"] {
            let answer = api.raw(Method::GET, path, &[("host", host)], Bytes::new());
            assert_eq!(answer.status, 421, "{host}{path}: {}", answer.text());
        }
    }
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        assert_eq!(api.raw(Method::GET, "/api/v1/host", &[("host", &host)], Bytes::new()).status, 200, "{host}");
    }
}

#[test]
fn a_page_of_another_origin_changes_nothing_even_with_the_token() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    let flow = Bytes::from(json!({"name": "Nightly", "status": "draft"}).to_string());
    let put = |name: &str, value: &str| {
        let headers = [("content-type", "application/json"), (name, value)];
        api.call(Method::PUT, "/flows/nightly", &headers, flow.clone())
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = put(name, value);
        assert_eq!(answer.status, 403, "{name}: {value}: {}", answer.text());
    }
    api.get("/flows/nightly").ended(404);
    put("origin", &server.url).ended(200);
    put("sec-fetch-site", "same-origin").ended(200);
    let form = api.call(Method::PUT, "/flows/nightly", &[("content-type", "text/plain")], flow.clone());
    assert_eq!(form.status, 415, "what a form of another page can send is no JSON");
}

#[test]
fn a_problem_says_what_where_and_what_to_do() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    let answer = api.get("/connections/Nowhere").ended(404);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(404), &json!("not-found")));
    assert_eq!(problem["detail"], "there is no connection `Nowhere`");
    let unknown = api.post("/connections", &json!({"name": "a", "connector": "b", "colour": "red"})).ended(422).json();
    assert!(unknown["detail"].as_str().unwrap().contains("colour"), "{unknown:#}");
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::DELETE, "/connections", 405),
        (Method::GET, "/connections?limit=many", 422),
        (Method::GET, "/connections?color=red", 422),
    ] {
        let answer = api.call(method.clone(), path, &[], Bytes::new());
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
    }
}

#[test]
fn the_description_of_the_api_names_every_route() {
    let world = world();
    let server = world.serve();
    let document = server.api().raw(Method::GET, "/api/openapi.json", &[], Bytes::new()).ended(200).json();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/connectors",
        "/connectors/check",
        "/connectors/{name}",
        "/connectors/{name}/upgrade",
        "/connectors/{name}/icon",
        "/connections",
        "/connections/{key}",
        "/connections/{key}/test",
        "/connections/{key}/reconnect",
        "/connections/{key}/enable",
        "/connections/{key}/disable",
        "/connections/{key}/flows",
        "/connections/{key}/history",
        "/flows",
        "/flows/{id}",
        "/flows/{id}/open",
        "/flows/{id}/uses",
        "/audit",
        "/audit/verify",
        "/audit/export",
        "/host",
        "/host/backup",
        "/host/rotate-key",
    ] {
        assert!(paths.contains_key(&format!("/api/v1{path}")), "{path} is missing: {:?}", paths.keys());
    }
    let schemas = &document["components"]["schemas"];
    assert_ne!(schemas["ConnectionView"], Value::Null);
}

#[test]
fn a_stopped_server_takes_its_file_with_it() {
    let world = world();
    let server = world.serve();
    let file = world.data().join("server.json");
    assert!(file.exists());
    server.api().get("/host").ended(200);
    let printed = server.stop();
    assert!(!file.exists(), "{printed}");
}
