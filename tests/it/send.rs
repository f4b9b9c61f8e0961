//! Requests through a connection, for a person or a flow.

use bytes::Bytes;
use http::Method;
use serde_json::json;
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::scene::{Scene, TOKEN};

#[test]
fn a_request_travels_whole_with_the_credential_attached() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.forget();
    scene.upstream.on("POST", "/orders", |arrived| {
        Reply::status(201).header("x-kind", "order").header("content-type", "text/plain").body(arrived.body.clone())
    });
    let answer = scene.api.call(
        Method::POST,
        "/connections/Orders/send?url=/orders%3Fdry%3Dyes",
        &[("content-type", "application/json"), ("turnbuckle-header-x-trace", "7"), ("x-not-forwarded", "1")],
        Bytes::from_static(b"{\"item\": 1}"),
    );
    let answer = answer.ended(201);
    assert_eq!(answer.text(), "{\"item\": 1}");
    assert_eq!((answer.header("x-kind"), answer.header("turnbuckle-send")), ("order", "upstream"));

    let arrived = &scene.upstream.arrived()[0];
    assert_eq!((arrived.path.as_str(), arrived.query.as_str()), ("/orders", "dry=yes"));
    assert_eq!(arrived.header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!((arrived.header("content-type"), arrived.header("x-trace")), ("application/json", "7"));
    assert_eq!(arrived.header("x-not-forwarded"), "");
    assert_eq!(arrived.text(), "{\"item\": 1}");
}

#[test]
fn what_the_service_refuses_is_the_services_answer_and_no_problem_of_ours() {
    let scene = Scene::http();
    scene.connected("Orders");
    for status in [400, 401, 404, 409, 500, 503] {
        scene.upstream.on("GET", "/gone", move |_| Reply::status(status).body("as the service says"));
        let answer = scene.api.get("/connections/Orders/send?url=/gone").ended(status);
        assert_eq!((answer.text().as_str(), answer.header("turnbuckle-send")), ("as the service says", "upstream"));
    }
}

#[test]
fn an_answer_can_neither_set_cookies_nor_run_in_the_callers_page() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.on("GET", "/page", |_| {
        Reply::status(200)
            .header("set-cookie", "session=stolen")
            .header("content-type", "text/html")
            .body("<script>1</script>")
    });
    let answer = scene.api.get("/connections/Orders/send?url=/page").ended(200);
    assert_eq!(answer.header("set-cookie"), "");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("content-security-policy").contains("sandbox"), "{:?}", answer.headers);
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let scene = Scene::http();
    scene.connected("Orders");
    let elsewhere = Upstream::start();
    let target = format!("{}/steal", elsewhere.origin());
    scene.upstream.on("GET", "/moved", move |_| Reply::status(302).header("location", &target));
    let answer = scene.api.get("/connections/Orders/send?url=/moved").ended(302);
    assert_eq!(answer.header("location"), format!("{}/steal", elsewhere.origin()));
    assert_eq!(elsewhere.arrived().len(), 0);
}

#[test]
fn a_request_stays_within_the_connections_origins() {
    let elsewhere = Upstream::start();
    let scene = Scene::opened(&["http"], &[&elsewhere]);
    scene.connected("Orders");
    scene.upstream.forget();
    let port = elsewhere.address().port();
    let own = scene.upstream.address();
    for url in [
        format!("{}/me", elsewhere.origin()),
        format!("http://localhost:{port}/me"),
        format!("https://{own}/me"),
        format!("http://{own}@127.0.0.1:{port}/me"),
        format!("http://user@{own}/me"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://example.com/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let path = format!("/connections/Orders/send?url={}", encode(&url));
        let problem = scene.api.get(&path);
        assert!(matches!(problem.status.as_u16(), 403 | 422), "{url}: {} {}", problem.status, problem.text());
        assert_eq!(problem.header("turnbuckle-send"), "", "{url}: a problem of ours");
    }
    assert_eq!((elsewhere.arrived().len(), scene.upstream.arrived().len()), (0, 0));
    scene.api.get(&format!("/connections/Orders/send?url={}", encode(&format!("http://{own}/me")))).ended(200);
}

#[test]
fn a_header_that_the_credential_owns_is_not_the_callers_to_write() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.forget();
    for name in ["authorization", "Authorization", "host", "connection", "transfer-encoding", "proxy-authorization"] {
        let header = format!("turnbuckle-header-{name}");
        let answer = scene.api.call(Method::GET, "/connections/Orders/send?url=/me", &[(&header, "x")], Bytes::new());
        assert_eq!(answer.status, 403, "{name}: {}", answer.text());
    }
    assert_eq!(scene.upstream.arrived().len(), 0);
}

#[test]
fn what_the_operator_did_not_open_is_refused_with_the_rule_and_the_way_out() {
    let scene = Scene::http();
    scene.connected("Orders");
    let origin = scene.upstream.origin();
    let Scene { server, world, upstream, .. } = scene;
    server.stop();
    upstream.forget();
    world.allow::<&str>(&[]);
    let server = world.serve();
    let problem = server.api().get("/connections/Orders/send?url=/me").ended(403).json();
    assert_eq!(problem["code"], "denied", "{problem:#}");
    let hint = problem["hint"].as_str().unwrap();
    assert!(hint.contains(&origin) && hint.contains("[egress]"), "{hint}");
    let tested = server.api().post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["verdict"]["outcome"], "failed");
    assert!(tested["verdict"].to_string().contains(&origin), "{tested:#}");
    assert_eq!(upstream.arrived().len(), 0);
}

#[test]
fn a_large_answer_streams_through_unchanged() {
    let scene = Scene::http();
    scene.connected("Orders");
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = large.clone();
    scene.upstream.on("GET", "/large", move |_| Reply::status(200).body(sent.clone()));
    let answer = scene.api.get("/connections/Orders/send?url=/large").ended(200);
    assert_eq!(answer.body.len(), large.len());
    assert!(answer.body == large, "every byte as it was");
}

#[test]
fn each_method_arrives_as_it_was_sent_and_no_other_does() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.upstream.on("*", "/any", |arrived| Reply::status(200).header("x-method", &arrived.method));
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
    {
        let answer = scene.api.call(method.clone(), "/connections/Orders/send?url=/any", &[], Bytes::new());
        assert_eq!((answer.status.as_u16(), answer.header("x-method")), (200, method.as_str()), "{}", answer.text());
    }
    scene.upstream.forget();
    for method in [Method::TRACE, Method::from_bytes(b"QUERY").unwrap()] {
        let answer = scene.api.call(method, "/connections/Orders/send?url=/any", &[], Bytes::new());
        let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allowed));
    }
    assert_eq!(scene.upstream.arrived().len(), 0);
}

#[test]
fn two_connections_to_one_service_share_no_socket() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.connected("Invoices");
    scene.upstream.forget();
    for _ in 0..3 {
        for name in ["Orders", "Invoices"] {
            let path = format!("/connections/{name}/send?url=/me%3Fby={name}");
            scene.api.get(&path).ended(200);
        }
    }
    let sockets = |name: &str| {
        let mut sockets: Vec<_> = scene
            .upstream
            .arrived()
            .iter()
            .filter(|arrived| arrived.query == format!("by={name}"))
            .map(|arrived| arrived.socket)
            .collect();
        sockets.sort();
        sockets.dedup();
        sockets
    };
    let (orders, invoices) = (sockets("Orders"), sockets("Invoices"));
    assert!(orders.iter().all(|socket| !invoices.contains(socket)), "{orders:?} {invoices:?}");
}

fn encode(url: &str) -> String {
    url.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
