//! A connection's life: made, changed, tried anew, switched off, deleted.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::scene::{Scene, TOKEN, wrong_fields};

#[test]
fn a_new_connection_is_stored_tested_and_active() {
    let scene = Scene::http();
    let answer = scene.api.post("/connections", &scene.bearer("Orders", TOKEN)).ended(201);
    let made = answer.json();
    assert_eq!(made["status"], "active", "{made:#}");
    assert_eq!(made["verdict"]["outcome"], "passed");
    assert_eq!(made["secrets"], json!(["token"]), "names, never values");
    assert_eq!(made["origins"], json!([scene.upstream.origin()]));
    assert_eq!(made["version"], 1);
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(answer.header("location"), format!("/api/v1/connections/{}", made["id"].as_str().unwrap()));

    let exchanges = made["verdict"]["exchanges"].as_array().unwrap();
    let sent: Vec<_> = exchanges.iter().map(|sent| (&sent["method"], &sent["path"], &sent["status"])).collect();
    assert_eq!(sent, [(&json!("GET"), &json!("/me"), &json!(200))]);
    assert_eq!(scene.upstream.arrived()[0].header("authorization"), format!("Bearer {TOKEN}"));

    for key in [made["id"].as_str().unwrap(), "Orders", "orders"] {
        assert_eq!(scene.api.get(&format!("/connections/{key}")).ended(200).json(), made, "by {key}");
    }
}

#[test]
fn a_wrong_secret_is_stored_and_needs_reconnect() {
    let scene = Scene::http();
    let made = scene.api.post("/connections", &scene.bearer("Orders", "not-the-token")).ended(201).json();
    assert_eq!(made["status"], "needs-reconnect");
    assert_eq!(made["verdict"]["outcome"], "failed");
    assert_eq!(made["verdict"]["kind"], "unauthorized");
    assert_eq!(scene.api.get("/connections").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn what_the_service_answers_becomes_the_status() {
    let scene = Scene::http();
    scene.connected("Orders");
    for (answer, status, kind) in [
        (Reply::status(401), "needs-reconnect", "unauthorized"),
        (Reply::status(403), "inactive", "forbidden"),
        (Reply::status(429).header("retry-after", "7"), "degraded", "rate-limited"),
        (Reply::status(503), "degraded", "unavailable"),
    ] {
        scene.upstream.on("GET", "/me", move |_| answer.clone());
        let tested = scene.api.post("/connections/Orders/test", &json!({})).ended(200).json();
        assert_eq!((&tested["status"], &tested["verdict"]["kind"]), (&json!(status), &json!(kind)), "{tested:#}");
    }
    assert_eq!(scene.api.get("/connections/Orders").json()["version"], 1, "a verdict is not a change");
}

#[test]
fn a_service_that_is_not_there_leaves_the_connection_degraded() {
    let mut scene = Scene::http();
    scene.connected("Orders");
    scene.upstream = turnbuckle_tests::upstream::Upstream::start();
    let tested = scene.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!((&tested["status"], &tested["verdict"]["kind"]), (&json!("degraded"), &json!("unavailable")));
}

#[test]
fn all_wrong_fields_are_reported_together_and_nothing_is_stored() {
    let scene = Scene::http();
    let wrong = json!({
        "name": "   ",
        "description": "x".repeat(1001),
        "connector": "http",
        "protocol": "bearer",
        "settings": {"url": "ftp://example.com", "expected-status": "abc", "colour": "red"},
        "secrets": {},
    });
    let problem = scene.api.post("/connections", &wrong).ended(422).json();
    let mut fields = wrong_fields(&problem);
    fields.sort_unstable();
    assert_eq!(fields, ["colour", "description", "expected-status", "name", "token", "url"], "{problem:#}");
    assert_eq!(scene.api.get("/connections").json(), json!({"items": [], "next": null}));
    assert_eq!(scene.upstream.arrived().len(), 0, "nothing was sent");
}

#[test]
fn a_url_is_scheme_domain_and_port_and_nothing_else() {
    let scene = Scene::http();
    let origin = scene.upstream.origin();
    let host = scene.upstream.address();
    for (url, words) in [
        (format!("http://user:pass@{host}"), "user information"),
        (format!("http://@{host}"), "user information"),
        (format!("{origin}/api"), "a path"),
        (format!("{origin}?q=1"), "a query"),
        (format!("{origin}#top"), "a fragment"),
        (format!("ftp://{host}"), "http"),
        ("javascript:alert(1)".to_owned(), "http"),
        ("example.com".to_owned(), "URL"),
        (String::new(), ""),
    ] {
        let mut new = scene.bearer("Orders", TOKEN);
        new["settings"]["url"] = json!(url);
        let problem = scene.api.post("/connections", &new).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["url"], "{url}: {problem:#}");
        let message = problem["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{url}: {message}");
        assert!(!message.contains("pass@"), "what may be a password is not repeated: {message}");
    }
    assert_eq!(scene.api.get("/connections").json()["items"], json!([]));
}

#[test]
fn a_name_belongs_to_one_connection_whatever_its_case() {
    let scene = Scene::http();
    scene.connected("Orders");
    let problem = scene.api.post("/connections", &scene.bearer("oRDERS", TOKEN)).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["name"]);

    scene.connected("Invoices");
    let problem =
        scene.api.send(Method::PATCH, "/connections/Invoices", &json!({"version": 1, "name": "ORDERS"})).ended(422);
    assert_eq!(wrong_fields(&problem.json()), ["name"]);
    let renamed =
        scene.api.send(Method::PATCH, "/connections/Invoices", &json!({"version": 1, "name": "INVOICES"})).ended(200);
    assert_eq!(renamed.json()["name"], "INVOICES", "its own name in another case");
}

#[test]
fn unknown_connectors_and_protocols_are_told_by_field() {
    let scene = Scene::http();
    for (field, value) in [("connector", "nowhere"), ("protocol", "telepathy")] {
        let mut new = scene.bearer("Orders", TOKEN);
        new[field] = json!(value);
        let problem = scene.api.post("/connections", &new).ended(422).json();
        assert_eq!(wrong_fields(&problem), [field], "{problem:#}");
    }
}

#[test]
fn an_edit_keeps_blank_secrets_is_tested_and_makes_a_version() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.on("GET", "/health", |arrived| {
        Reply::status(if arrived.header("authorization") == format!("Bearer {TOKEN}") { 200 } else { 401 })
    });
    let edit = json!({
        "version": 1, "description": "All orders", "settings": {"test-path": "/health"}, "secrets": {"token": ""},
    });
    let answer = scene.api.send(Method::PATCH, "/connections/Orders", &edit).ended(200);
    let edited = answer.json();
    assert_eq!((&edited["version"], &edited["status"]), (&json!(2), &json!("active")), "{edited:#}");
    assert_eq!(answer.header("etag"), "\"2\"");
    assert_eq!(edited["settings"]["test-path"], "/health");
    assert_eq!(scene.upstream.arrived().last().unwrap().path, "/health");

    let history = scene.api.get("/connections/Orders/history").ended(200).json();
    let lines: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["version"].as_u64().unwrap(), change["kind"].as_str().unwrap(), change["fields"].clone()))
        .collect();
    assert_eq!(lines[0], (2, "edited", json!(["description", "test-path"])));
    assert_eq!((lines[1].0, lines[1].1), (1, "created"));
    assert!(!history.to_string().contains("All orders"), "which fields, never values");
}

#[test]
fn an_edit_that_breaks_the_connection_is_saved_and_says_so() {
    let scene = Scene::http();
    scene.connected("Orders");
    let edit = json!({"version": 1, "secrets": {"token": "no-longer-good"}});
    let edited = scene.api.send(Method::PATCH, "/connections/Orders", &edit).ended(200).json();
    assert_eq!((&edited["version"], &edited["status"]), (&json!(2), &json!("needs-reconnect")));
}

#[test]
fn an_edit_with_wrong_fields_saves_nothing() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let edit = json!({"version": 1, "name": "", "settings": {"url": "http://a/b"}});
    let problem = scene.api.send(Method::PATCH, "/connections/Orders", &edit).ended(422).json();
    let mut fields = wrong_fields(&problem);
    fields.sort_unstable();
    assert_eq!(fields, ["name", "url"]);
    assert_eq!(scene.api.get("/connections/Orders").json(), made);
}

#[test]
fn a_change_made_on_an_older_version_is_refused_with_the_current_one() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.api.send(Method::PATCH, "/connections/Orders", &json!({"version": 1, "description": "a"})).ended(200);
    let stale = scene.api.send(Method::PATCH, "/connections/Orders", &json!({"version": 1, "description": "b"}));
    let problem = stale.ended(412).json();
    assert_eq!((&problem["code"], &problem["current"]), (&json!("stale"), &json!(2)));

    let body = bytes::Bytes::from(json!({"description": "c"}).to_string());
    let headers = |etag| [("content-type", "application/json"), ("if-match", etag)];
    scene.api.call(Method::PATCH, "/connections/Orders", &headers("\"1\""), body.clone()).ended(412);
    let saved = scene.api.call(Method::PATCH, "/connections/Orders", &headers("\"2\""), body).ended(200).json();
    assert_eq!((&saved["description"], &saved["version"]), (&json!("c"), &json!(3)));
}

#[test]
fn only_a_credential_that_passes_replaces_the_old_one() {
    let scene = Scene::http();
    let before = scene.connected("Orders");
    let wrong = json!({"secrets": {"token": "not-the-token"}});
    let refused = scene.api.post("/connections/Orders/reconnect", &wrong).ended(200).json();
    assert_eq!((&refused["replaced"], &refused["verdict"]["kind"]), (&json!(false), &json!("unauthorized")));
    assert_eq!(refused["connection"]["version"], before["version"]);
    let tested = scene.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["status"], "active", "the old credential is still there");

    let next = "another-token-of-the-same-service";
    scene.upstream.on("GET", "/me", move |arrived| {
        Reply::status(if arrived.header("authorization") == format!("Bearer {next}") { 200 } else { 401 })
    });
    let replaced =
        scene.api.post("/connections/Orders/reconnect", &json!({"secrets": {"token": next}})).ended(200).json();
    assert_eq!((&replaced["replaced"], &replaced["connection"]["status"]), (&json!(true), &json!("active")));
    assert_eq!(replaced["connection"]["id"], before["id"]);
    let history = scene.api.get("/connections/Orders/history").json();
    assert_eq!(history["items"][0]["kind"], "reconnected");
}

#[test]
fn a_connection_that_is_switched_off_neither_tests_nor_sends() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.forget();
    let off = scene.api.post("/connections/Orders/disable", &json!({})).ended(200).json();
    assert_eq!((&off["status"], &off["enabled"]), (&json!("disabled"), &json!(false)));
    for (method, path) in
        [(Method::POST, "/connections/Orders/test"), (Method::GET, "/connections/Orders/send?url=/me")]
    {
        let problem = scene.api.send(method, path, &Value::Null).ended(409).json();
        assert_eq!(problem["code"], "disabled", "{path}: {problem:#}");
    }
    assert_eq!(scene.upstream.arrived().len(), 0);
    let on = scene.api.post("/connections/Orders/enable", &json!({})).ended(200).json();
    assert_eq!(on["status"], "active");
}

#[test]
fn whatever_is_deleted_or_switched_off_keeps_no_socket_to_its_service() {
    let scene = Scene::http();
    // A socket that rests is kept for half a minute: it would outlive this.
    let soon = std::time::Duration::from_secs(15);
    for name in ["Orders", "Invoices", "Parcels"] {
        scene.connected(name);
    }
    assert!(scene.upstream.comes_to(3, soon), "each has its own, and keeps it");
    scene.api.post("/connections/Orders/disable", &json!({})).ended(200);
    assert!(scene.upstream.comes_to(2, soon), "that of what is switched off is closed");
    scene.api.send(Method::DELETE, "/connections/Invoices", &Value::Null).ended(204);
    assert!(scene.upstream.comes_to(1, soon), "that of what is deleted is closed");

    scene.api.post("/connections/Orders/enable", &json!({})).ended(200);
    for name in ["Orders", "Parcels"] {
        scene.api.post(&format!("/connections/{name}/test"), &json!({})).ended(200);
    }
    assert!(scene.upstream.comes_to(2, soon), "the third went on by its own, and the first began anew");
}

#[test]
fn what_a_flow_uses_is_not_deleted() {
    let scene = Scene::http();
    scene.connected("Orders");
    let flow = json!({
        "name": "Nightly", "status": "active", "uses": [{"connection": "Orders", "used-as": "action", "step": "read"}],
    });
    scene.api.send(Method::PUT, "/flows/nightly", &flow).ended(200);
    let problem = scene.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(409).json();
    assert_eq!(problem["code"], "in-use");
    assert_eq!(problem["users"], json!([{"kind": "flow", "id": "nightly", "name": "Nightly"}]));
    scene.api.get("/connections/Orders").ended(200);

    scene.api.send(Method::DELETE, "/flows/nightly", &Value::Null).ended(204);
    scene.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
    let problem = scene.api.get("/connections/Orders").ended(404).json();
    assert_eq!(problem["code"], "not-found");
    scene.connected("Orders");
}

#[test]
fn a_connector_with_connections_is_not_removed_and_a_disabled_one_takes_no_new_ones() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let problem = scene.api.send(Method::DELETE, "/connectors/http", &Value::Null).ended(409).json();
    assert_eq!(problem["users"], json!([{"kind": "connection", "id": made["id"], "name": "Orders"}]));

    scene.api.send(Method::PATCH, "/connectors/http", &json!({"enabled": false})).ended(200);
    let problem = scene.api.post("/connections", &scene.bearer("Invoices", TOKEN)).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["connector"]);
    let tested = scene.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["status"], "active", "what is there goes on");
}

#[test]
fn pages_follow_each_other_by_cursor_in_the_order_of_names() {
    let scene = Scene::http();
    for name in ["delta", "Alpha", "charlie", "Bravo", "echo"] {
        scene.connected(name);
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = scene.api.get(&format!("/connections?limit=2{cursor}")).ended(200).json();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["Alpha", "Bravo", "charlie", "delta", "echo"]);

    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    scene.api.post("/connections/delta/test", &json!({})).ended(200);
    let found = |query: &str| {
        let page = scene.api.get(&format!("/connections?{query}")).ended(200).json();
        page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("status=needs-reconnect"), [json!("delta")]);
    assert_eq!(found("text=LPH"), [json!("Alpha")]);
    assert_eq!(found("connector=github"), Vec::<Value>::new());
}

#[test]
fn a_list_says_of_each_connection_where_its_requests_go_as_its_own_page_does() {
    let elsewhere = Upstream::start();
    let scene = Scene::opened(&["http"], &[&elsewhere]);
    let (here, there) = (scene.upstream.origin(), elsewhere.origin());
    for (name, url) in [("a", &here), ("b", &here), ("c", &there), ("d", &there), ("e", &here)] {
        let mut new = scene.bearer(name, TOKEN);
        new["settings"]["url"] = json!(url);
        scene.api.post("/connections", &new).ended(201);
    }
    let page = scene.api.get("/connections").ended(200).json();
    let listed = page["items"].as_array().unwrap();
    let origins: Vec<_> = listed.iter().map(|item| item["origins"][0].as_str().unwrap()).collect();
    assert_eq!(origins, [&here, &here, &there, &there, &here]);
    for item in listed {
        assert_eq!(*item, scene.api.get(&format!("/connections/{}", item["name"].as_str().unwrap())).json());
    }
}
