//! What is counted, as a monitoring reads it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::Method;
use serde_json::json;
use turnbuckle_tests::api::{Answer, Api};

use crate::scene::{Scene, TOKEN, left_out, peers, world};
use crate::users::{WORKS, user};

fn metrics(api: &Api) -> Answer {
    api.raw(Method::GET, "/metrics", &[], Bytes::new())
}

/// The value of the line that begins so.
fn value(text: &str, begin: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(begin)?.trim().parse().ok())
}

/// A scene in which something of everything happened.
fn busy() -> Scene {
    let scene = Scene::http();
    scene.connected("Secret project");
    scene.api.get("/connections/Secret%20project/send?url=/me").ended(200);
    scene.api.get("/connections/Secret%20project/send?url=/nowhere").ended(404);
    scene.api.get("/connections/Secret%20project/send?url=https://elsewhere.example/x");
    scene.api.get("/connections/nowhere-at-all").ended(404);
    scene.api.post("/connections", &scene.bearer("Wrong", "not-the-token")).ended(201);
    scene
}

#[test]
fn what_is_done_is_counted_by_words_of_this_program_alone() {
    let scene = busy();
    let answer = metrics(&scene.api).ended(200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"), "{:?}", answer.headers);
    let text = answer.text();
    for (line, expected) in [
        ("turnbuckle_calls_total{operation=\"connection.create\",outcome=\"done\"}", 2.0),
        ("turnbuckle_sends_total{outcome=\"2xx\"}", 1.0),
        ("turnbuckle_sends_total{outcome=\"4xx\"}", 1.0),
        ("turnbuckle_sends_total{outcome=\"denied\"}", 1.0),
        ("turnbuckle_refusals_total{rule=\"denied\"}", 1.0),
        ("turnbuckle_test_duration_seconds_count{outcome=\"passed\"}", 1.0),
        ("turnbuckle_test_duration_seconds_count{outcome=\"unauthorized\"}", 1.0),
        ("turnbuckle_guest_calls_total{function=\"test\",outcome=\"answered\"}", 2.0),
        ("turnbuckle_guest_calls_under_way", 0.0),
        ("turnbuckle_connections{status=\"active\"}", 1.0),
        ("turnbuckle_connections{status=\"needs-reconnect\"}", 1.0),
        ("turnbuckle_health_due", 0.0),
        ("turnbuckle_store_queue_jobs", 0.0),
        ("turnbuckle_http_requests_total{method=\"GET\",route=\"/api/v1/connections/{key}/send\",status=\"200\"}", 1.0),
        ("turnbuckle_http_requests_total{method=\"GET\",route=\"/api/v1/connections/{key}\",status=\"404\"}", 1.0),
    ] {
        assert_eq!(value(&text, line), Some(expected), "{line}\n{text}");
    }
    assert!(value(&text, "turnbuckle_store_commits_total{outcome=\"done\"}").is_some_and(|commits| commits > 3.0));
    assert!(value(&text, "turnbuckle_guest_cpu_seconds_sum{function=\"test\"}").is_some_and(|spent| spent > 0.0));
    let port = scene.upstream.address().port().to_string();
    for told in ["Secret", "project", "nowhere", "elsewhere", TOKEN, "127.0.0.1", port.as_str(), "/me", "administrator"]
    {
        assert!(!text.contains(told), "`{told}` is in it:\n{text}");
    }
}

#[test]
fn private_connections_are_counted_for_nobody() {
    let scene = Scene::http();
    let ada = user(&scene.server, "ada", &WORKS);
    scene.connected("Orders");
    let mut private = scene.bearer("Diary", TOKEN);
    private["visibility"] = json!("private");
    ada.post("/connections", &private).ended(201);
    for who in [&scene.api, &ada] {
        let text = metrics(who).ended(200).text();
        assert_eq!(value(&text, "turnbuckle_connections{status=\"active\"}"), Some(1.0), "{text}");
    }
}

#[test]
fn counts_take_a_token_that_may_view_connections_unless_the_operator_opened_them() {
    let mut world = world();
    let server = world.serve();
    let nobody = Api::new(&server.url, None);
    metrics(&nobody).ended(401);
    metrics(&Api::new(&server.url, Some("tb_wrong"))).ended(401);
    metrics(&user(&server, "ada", &["view-connections"])).ended(200);
    let refused = metrics(&user(&server, "bob", &["manage-setup", "view-audit"])).ended(403).json();
    assert_eq!(refused["detail"], "this takes the permission `view-connections`");
    server.stop();
    world.set("TURNBUCKLE_METRICS_OPEN", "true");
    let server = world.serve();
    let nobody = Api::new(&server.url, None);
    metrics(&nobody).ended(200);
    nobody.get("/host").ended(401);
    let elsewhere = nobody.raw(Method::GET, "/metrics", &[("host", "evil.example")], Bytes::new());
    assert_eq!(elsewhere.status, 421, "a page that rebinds a name reads nothing");
}

#[test]
fn the_judge_of_prometheus_takes_what_is_counted() {
    let own = peers().join("prometheus/promtool");
    let installed = std::path::PathBuf::from("/usr/bin/promtool");
    let Some(promtool) = [own, installed].into_iter().find(|program| program.is_file()) else {
        left_out("metrics judged by promtool", "promtool in ~/.cache/turnbuckle-peers/prometheus");
        return;
    };
    let text = metrics(&busy().api).ended(200).text();
    let mut judge = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let judged = judge.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
    assert_eq!((judged.status.code(), words.as_str()), (Some(0), ""), "{text}");
}

#[test]
fn a_key_of_metrics_is_checked_like_any_other() {
    let world = world();
    world.configure("[metrics]\nopen = \"yes\"\n");
    world.run(&["serve", "--listen", "127.0.0.1:0"]).ended(2).says("metrics.open: must be true or false");
    let world = crate::scene::world();
    world.configure("[integrations]\nenabled = false\n");
    let found = world.run(&["connector", "list"]).ended(5);
    assert_eq!(found.out, "");
    let found = world.json(&["doctor"]);
    let details: Vec<_> = found["checks"].as_array().unwrap().iter().map(|check| &check["detail"]).collect();
    assert!(details.contains(&&json!("skipped: integrations are switched off")), "{found:#}");
    assert_eq!(found["ok"], true, "{found:#}");
}

#[test]
fn the_log_tells_each_request_by_its_route_and_origin_and_nothing_that_is_secret() {
    let mut scene = Scene::http();
    scene.connected("Orders");
    let allow = format!("[egress]\nallow = [{:?}]\n", scene.upstream.origin());
    scene.world.configure(&format!("{allow}[log]\nlevel = \"trace\"\nformat = \"json\"\n"));
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    let headers = [("x-canary", "canary-header")];
    let path = "/api/v1/connections/Orders/send?url=/canary-path?canary-query=1";
    scene.api.raw(Method::GET, path, &headers, Bytes::new()).ended(404);
    scene.api.post("/connections/Orders/test", &json!({})).ended(200);
    let Scene { server, upstream, .. } = scene;
    let log = server.stop();
    let lines: Vec<serde_json::Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |message: &str, span: &str| {
        let of = |line: &&serde_json::Value| {
            let spans = line["spans"].as_array().into_iter().flatten();
            line["fields"]["message"] == message && spans.map(|within| &within["name"]).any(|name| name == span)
        };
        lines.iter().find(of).cloned().unwrap_or_else(|| panic!("nobody said {message} within {span}:\n{log}"))
    };
    let answered = said("answered", "request");
    assert!(answered["spans"][0]["route"].as_str().unwrap().starts_with('/'), "{answered:#}");
    assert_eq!(said("a service answered", "request")["fields"]["origin"], upstream.origin());
    let tested = said("a service answered", "guest");
    let within: Vec<_> = tested["spans"].as_array().unwrap().iter().map(|span| &span["name"]).collect();
    // What stands behind these are spans of the sandbox itself.
    assert_eq!(within[..3], ["request", "test", "guest"]);
    for secret in ["canary-path", "canary-query", "canary-header", TOKEN] {
        assert!(!log.contains(secret), "`{secret}` is in the log:\n{log}");
    }
}
