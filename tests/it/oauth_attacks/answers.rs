//! What a token endpoint may answer instead of a token: the failing link is named, and nothing is stored.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use turnbuckle_tests::browser::Browser;
use turnbuckle_tests::leaks::{self, STOLEN};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::oauth_attacks::{ACCESS, Begun, Ring};
use crate::scene::{Scene, by_guest};

/// A code comes back to a connection with this service as its authorization server; gives the page at the end.
fn exchanged(ring: &Ring, name: &str) -> String {
    let mut begun = ring.begun(name);
    let callback = begun.callback();
    begun.browser.get(&callback).text()
}

fn tokens(more: &Value) -> Value {
    let mut tokens = json!({"access_token": STOLEN, "token_type": "Bearer"});
    tokens.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tokens
}

/// Each answer that is none, and words that the person reads.
fn answers(ring: &Ring) -> Vec<(&'static str, Reply, &'static str)> {
    let text =
        |status, media: &str, body: &str| Reply::status(status).header("content-type", media).body(body.to_owned());
    let json = |body: Value| Reply::json(200, &body);
    let away = format!("{}/token", ring.evil.origin());
    let nothing = "there is no `access_token` in it";
    vec![
        ("a page", text(200, "text/html", "<h1>Welcome</h1>"), "a page for people"),
        ("a page of an error", text(500, "text/html", "<h1>Oops</h1>"), "answered 500"),
        ("nothing", Reply::status(204), nothing),
        ("an empty 200", Reply::status(200), nothing),
        ("JSON that is cut off", text(200, "application/json", "{\"access_token\": \"abc"), nothing),
        ("a list", json(json!([{"access_token": STOLEN}])), nothing),
        ("a number", json(json!(7)), nothing),
        ("an object without a token", json(json!({"token_type": "Bearer"})), nothing),
        ("a token that is null", json(json!({"access_token": null})), nothing),
        ("a token that is empty", json(json!({"access_token": ""})), nothing),
        ("a token that is an object", json(json!({"access_token": {"value": STOLEN}})), nothing),
        ("a token that is a list", json(json!({"access_token": [STOLEN]})), nothing),
        ("JSON as deep as a well", text(200, "application/json", &"[".repeat(100_000)), nothing),
        ("words", text(200, "text/plain", "access granted"), nothing),
        ("bytes", Reply::status(200).header("content-type", "image/png").body(vec![0xff; 100]), nothing),
        ("an error in a 200", json(json!({"error": "invalid_grant"})), "invalid_grant"),
        (
            "an error in a form",
            text(200, "application/x-www-form-urlencoded", "error=bad_verification_code"),
            "bad_verification_code",
        ),
        ("a refused code", Reply::json(400, &json!({"error": "invalid_grant"})), "invalid_grant"),
        ("a refused client", Reply::json(401, &json!({"error": "invalid_client"})), "invalid_client"),
        (
            "an error with a token beside it",
            Reply::json(400, &tokens(&json!({"error": "invalid_grant"}))),
            "answered 400",
        ),
        ("a status that is no success, with a token", Reply::json(500, &tokens(&json!({}))), "answered 500"),
        ("a redirect", Reply::status(302).header("location", &away), "a redirect, which is never followed"),
        (
            "a redirect that repeats the body",
            Reply::status(307).header("location", &away),
            "a redirect, which is never followed",
        ),
        ("a redirect with a token", Reply::json(303, &tokens(&json!({}))).header("location", &away), "a redirect"),
        ("not there", Reply::status(404), "answered 404"),
        ("too often", Reply::status(429).header("retry-after", "7"), "answered 429"),
        (
            "markup in its words",
            Reply::json(400, &json!({"error": "<script>", "error_description": "<img src=x>"})),
            "&lt;script&gt;",
        ),
        (
            "more than an answer may hold",
            text(200, "application/json", &format!("{{\"access_token\": \"{}\"}}", "a".repeat(4 << 20))),
            "bytes of an answer",
        ),
        ("a token that ends a header", json(json!({"access_token": "a\r\nX-Injected: 1"})), "Not connected"),
        ("a token with a NUL", json(json!({"access_token": "a\u{0}b"})), "Not connected"),
    ]
}

#[test]
fn an_answer_that_is_no_token_is_told_in_words_and_stores_nothing() {
    let ring = Ring::new();
    let mut wrong = Vec::new();
    for (at, (name, answer, words)) in answers(&ring).into_iter().enumerate() {
        let key = format!("Orders{at}");
        ring.made(&key, &ring.honest);
        ring.honest.forget();
        ring.honest.on("POST", "/token", move |_| answer.clone());
        let page = exchanged(&ring, &key);
        if !page.contains("<h1>Not connected</h1>") || !page.contains(words) || page.contains("<script") {
            wrong.push(format!("{name}: {page}"));
        }
        let asked = ring.honest.arrived().iter().filter(|arrived| arrived.path == "/token").count();
        let view = ring.api.get(&format!("/connections/{key}")).ended(200).json();
        if asked != 1 || view["complete"] != false || view["credential"] != Value::Null {
            wrong.push(format!("{name}: asked {asked} times, {view:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ring.evil.arrived().is_empty(), "no redirect was followed");
    ring.server.stop();
    assert_eq!(leaks::in_folder(&ring.world.data(), STOLEN), Vec::<String>::new());
}

#[test]
fn a_renewal_that_is_answered_by_nonsense_loses_nothing() {
    let ring = Ring::new();
    let mut wrong = Vec::new();
    for (at, (name, answer, _)) in answers(&ring).into_iter().enumerate() {
        // These do say that the refresh token is void.
        if matches!(name, "an error in a 200" | "a refused code" | "an error with a token beside it") {
            continue;
        }
        let key = format!("Orders{at}");
        let mut new = ring.connection(&key, &ring.honest);
        let tokens = json!({"access-token": STOLEN, "refresh-token": "canary-refresh-first-5e"});
        new["tokens"] = json!({"secrets": tokens, "expires-at": "2001-01-01T00:00:00Z"});
        ring.honest.forget();
        ring.honest.on("POST", "/token", move |_| answer.clone());
        let answered = ring.api.post("/connections", &new);
        let made = ring.api.get(&format!("/connections/{key}")).json();
        if answered.status != 201 {
            wrong.push(format!("{name}: {}, and what is there is {made:#}", answered.text()));
        }
        let kind = made["verdict"]["kind"].as_str().unwrap_or_default().to_owned();
        if made["status"] == "active" || matches!(kind.as_str(), "revoked" | "unknown-rotation" | "expired" | "") {
            wrong.push(format!("{name}: {} {kind}", made["status"]));
        }
        let renewed = json!({"access_token": ACCESS, "expires_in": 3600});
        ring.honest.on("POST", "/token", move |_| Reply::json(200, &renewed));
        let sent = ring.api.get(&format!("/connections/{key}/send?url=/me"));
        let requests = ring.honest.arrived().into_iter().filter(|arrived| arrived.path == "/token");
        let kept = requests.filter(|arrived| arrived.text().contains("refresh_token=canary-refresh-first-5e")).count();
        if sent.status != 200 || kept < 2 {
            wrong.push(format!(
                "{name}: afterwards {}, {kept} requests with the refresh token: {}",
                sent.status,
                sent.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ring.evil.arrived().is_empty(), "no redirect was followed");
}

#[test]
fn a_renewal_without_a_new_refresh_token_keeps_the_old_one() {
    let ring = Ring::new();
    let mut renewals = 0;
    ring.honest.on("POST", "/token", move |_| {
        renewals += 1;
        Reply::json(200, &json!({"access_token": format!("{STOLEN}-{renewals}"), "expires_in": 3600}))
    });
    ring.honest.on("GET", "/me", |_| Reply::status(200));
    let mut first = true;
    ring.honest.on("GET", "/once", move |_| Reply::status(if std::mem::take(&mut first) { 401 } else { 200 }));
    let mut new = ring.connection("Orders", &ring.honest);
    let tokens = json!({"access-token": STOLEN, "refresh-token": "canary-refresh-first-5e"});
    new["tokens"] = json!({"secrets": tokens, "expires-at": "2001-01-01T00:00:00Z"});
    assert_eq!(ring.api.post("/connections", &new).ended(201).json()["status"], "active");
    ring.api.get("/connections/Orders/send?url=/once").ended(200);
    let arrived = ring.honest.arrived();
    let sent: Vec<_> =
        arrived.iter().filter(|arrived| arrived.path == "/token").map(|arrived| arrived.text()).collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    for form in sent {
        assert!(form.contains("refresh_token=canary-refresh-first-5e"), "{form}");
    }
    let last = arrived.last().unwrap();
    assert_eq!(last.header("authorization"), format!("Bearer {STOLEN}-2"));
}

#[test]
fn a_lifetime_that_makes_no_sense_is_bounded() {
    let ring = Ring::new();
    ring.honest.on("GET", "/me", |_| Reply::status(200));
    for (at, lifetime) in [
        json!(-1),
        json!(0),
        json!(1e18),
        json!(u64::MAX),
        json!("soon"),
        json!(""),
        json!(null),
        json!({"seconds": 1}),
        json!("1e308"),
        json!("NaN"),
        json!("inf"),
        json!("-inf"),
        json!(0.000_001),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = tokens(&json!({"expires_in": lifetime, "refresh_token": "canary-refresh-1"}));
        ring.honest.on("POST", "/token", move |_| Reply::json(200, &answer));
        let name = format!("Orders{at}");
        ring.made(&name, &ring.honest);
        let page = exchanged(&ring, &name);
        assert!(page.contains("<h1>Connected</h1>"), "{lifetime}: {page}");
        let view = ring.api.get(&format!("/connections/{name}")).ended(200).json();
        let time = |field: &str| view["credential"][field].as_str().map(|text| text.parse::<Timestamp>().unwrap());
        let (from, until) = (time("obtained-at").unwrap(), time("expires-at").unwrap());
        let lasts = until.duration_since(from);
        assert!(
            lasts >= SignedDuration::from_secs(-1) && lasts <= SignedDuration::from_hours(24 * 366 * 10 + 1),
            "{lifetime}: {lasts:?}"
        );
    }
}

#[test]
fn a_token_endpoint_that_takes_for_ever_is_given_up() {
    let ring = Ring::limited("[limits]\nfirst-byte-seconds = 1\nbetween-bytes-seconds = 1\nconnect-seconds = 1\n");
    ring.made("Silent", &ring.honest);
    let mut gate = ring.honest.hold("POST", "/token", |_| Reply::json(200, &tokens(&json!({}))));
    let page = exchanged(&ring, "Silent");
    gate.wait_for(1);
    assert!(page.contains("<h1>Not connected</h1>"), "{page}");
    gate.open();

    // It sends a byte now and then, so that no single wait is too long; the whole is.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let dripping = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(stream.read(&mut [0; 4096]));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{";
        let mut sent = stream.write_all(head.as_bytes());
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        let mut dripped = 0;
        // Reading with a timeout is how it waits, and how it hears that nobody listens any more.
        while sent.is_ok() && !matches!(stream.read(&mut [0; 1]), Ok(0)) {
            dripped += 1;
            sent = stream.write_all(b" ");
        }
        dripped
    });
    ring.world.configure(&format!(
        "[egress]\nallow = [{:?}, {origin:?}]\n[limits]\nfirst-byte-seconds = 1\nbetween-bytes-seconds = 1\nconnect-seconds = 1\n",
        ring.honest.origin()
    ));
    let mut ring = ring;
    ring.server.restart(&ring.world);
    ring.api = ring.server.api();
    let mut new = ring.connection("Dripping", &ring.honest);
    new["settings"]["authorization-server"] = json!(origin);
    ring.api.post("/connections", &new).ended(201);
    let page = exchanged(&ring, "Dripping");
    assert!(page.contains("<h1>Not connected</h1>"), "{page}");
    let dripped = dripping.join().unwrap();
    assert!(dripped < 50, "it was listened to for {dripped} fifths of a second");
    for key in ["Silent", "Dripping"] {
        let view = ring.api.get(&format!("/connections/{key}")).ended(200).json();
        assert_eq!((&view["complete"], &view["credential"]), (&json!(false), &Value::Null), "{view:#}");
    }
}

#[test]
fn an_authorization_server_behind_no_certificate_or_behind_the_wall_gets_no_code() {
    let ring = Ring::new();
    let closed = Upstream::start();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let https = ring.honest.origin().replace("http:", "https:");
    for (name, server, words) in [
        // A server that speaks no TLS; its https origin is opened below.
        ("NoTLS", https.clone(), "Not connected"),
        ("Closed", closed.origin(), "egress"),
        ("Gone", format!("http://{gone}"), "Not connected"),
        ("Metadata", "http://169.254.169.254".to_owned(), "egress"),
    ] {
        let allow = [ring.honest.origin(), https.clone(), format!("http://{gone}")];
        ring.world.allow(&allow);
        let mut new = ring.connection(name, &ring.honest);
        new["settings"]["authorization-server"] = json!(server);
        let made = ring.api.post("/connections", &new);
        assert_eq!(made.status, 201, "{name}: {}", made.text());
        let answer = ring.api.post(&format!("/connections/{name}/authorize"), &json!({}));
        if answer.status != 200 {
            // Refused before a person is sent anywhere is as good.
            assert!(answer.text().contains(words), "{name}: {}", answer.text());
            continue;
        }
        let mut browser = Browser::new();
        browser.keep(&ring.server.url, &answer);
        let authorize = answer.json()["url"].as_str().unwrap().to_owned();
        let mut begun = Begun { browser, authorize };
        let callback = begun.callback();
        let page = begun.browser.get(&callback).text();
        assert!(page.contains("<h1>Not connected</h1>") && page.contains(words), "{name}: {page}");
        let view = ring.api.get(&format!("/connections/{name}")).ended(200).json();
        assert_eq!((&view["complete"], &view["credential"]), (&json!(false), &Value::Null), "{view:#}");
    }
    assert!(closed.arrived().is_empty(), "nothing reached what the operator did not open");
}

#[test]
fn a_connector_can_not_send_a_secret_to_a_token_endpoint_outside_of_its_origins() {
    let scene = Scene::with(&["bad-plan"]);
    for plan in ["outside-origins", "secret-in-host", "authorization"] {
        let answer = by_guest(
            &scene,
            plan,
            "bad-plan",
            "unattended",
            &json!({"plan": plan}),
            &json!({"client-secret": "canary-plan-6f0a1b2c3d"}),
        );
        assert!(answer.status.is_client_error(), "{plan}: {} {}", answer.status, answer.text());
    }
    assert_eq!(scene.api.get("/connections").json()["items"], json!([]));
    assert!(scene.upstream.arrived().is_empty(), "nothing was sent");
}
