//! Traces, as an OpenTelemetry collector gets them: who called what, how long it took, and nothing that nobody may know.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use serde_json::json;
use turnbuckle_tests::leaks;
use turnbuckle_tests::receiver::{Message, Receiver};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::scene::{Scene, TOKEN, world};

const TRACES: &str = "/base/v1/traces";

/// A scene whose server sends traces to this collector, and soon.
fn traced(collector: &Upstream) -> Scene {
    let mut scene = Scene::http();
    scene.world.set("TURNBUCKLE_TELEMETRY_ENDPOINT", &format!("{}/base/", collector.origin()));
    scene.world.set("TURNBUCKLE_TELEMETRY_HEADERS", "x-collector-key=key-of-the-collector");
    // As the specification of the SDK calls it.
    scene.world.set("OTEL_BSP_SCHEDULE_DELAY", "20");
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    scene
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn of(attributes: &[KeyValue], key: &str) -> String {
    attributes.iter().find(|attribute| attribute.key == key).map(|found| text(found.value.as_ref())).unwrap_or_default()
}

fn spans(messages: &[Message]) -> Vec<Span> {
    let decode = |message: &Message| ExportTraceServiceRequest::decode(message.arrived.body.clone()).unwrap();
    let resources = messages.iter().flat_map(|message| decode(message).resource_spans);
    resources
        .flat_map(|spans| {
            let resource = spans.resource.unwrap();
            assert_eq!(of(&resource.attributes, "service.name"), "turnbuckle");
            assert_ne!(of(&resource.attributes, "service.version"), "");
            spans.scope_spans
        })
        .flat_map(|spans| spans.spans)
        .collect()
}

/// What stands above a span, from the top down to itself.
fn line(all: &[Span], span: &Span) -> Vec<String> {
    let above = all.iter().find(|above| above.span_id == span.parent_span_id && above.trace_id == span.trace_id);
    let mut line = above.map(|above| line(all, above)).unwrap_or_default();
    line.push(span.name.clone());
    line
}

#[test]
fn a_collector_gets_who_called_what_and_nothing_that_is_secret() {
    let collector = Upstream::start();
    let receiver = Receiver::at(&collector, TRACES, |_| Reply::status(200));
    let scene = traced(&collector);
    let id = scene.connected("Payroll of ada")["id"].as_str().unwrap().to_owned();
    scene.api.get("/connections/Payroll%20of%20ada/send?url=/me%3Fof%3Dsomebody").ended(200);
    scene.api.post("/connections", &scene.bearer("Wrong", "not-the-token")).ended(201);
    let elsewhere = json!({
        "name": "Elsewhere", "connector": "http", "protocol": "bearer",
        "settings": {"url": collector.origin(), "test-path": TRACES}, "secrets": {"token": TOKEN},
    });
    let refused = scene.api.post("/connections", &elsewhere).ended(201).text();
    assert!(refused.contains("egress"), "what is open for traces is open for no connector: {refused}");
    scene.api.get("/connections/Payroll%20of%20ada/send?url=https://elsewhere.example/x").ended(403);
    scene.server.stop();
    let mut messages = Vec::new();
    assert!(!receiver.is_idle_after(&mut messages), "what waits is sent before the server ends");

    for Message { arrived } in &messages {
        assert_eq!(arrived.header("content-type"), "application/x-protobuf");
        assert_eq!(arrived.header("x-collector-key"), "key-of-the-collector");
        assert!(arrived.header("user-agent").starts_with("OTel-OTLP-Exporter-Rust/"));
        leaks::none_in("a message to the collector", &arrived.body);
        let words = String::from_utf8_lossy(&arrived.body);
        for private in ["Payroll", "somebody", "not-the-token", "login"] {
            assert!(!words.contains(private), "{private}: {words}");
        }
    }
    let all = spans(&messages);
    let keys: BTreeSet<_> =
        all.iter().flat_map(|span| &span.attributes).map(|attribute| attribute.key.as_str()).collect();
    let known = [
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "turnbuckle.connection.id",
        "turnbuckle.guest.function",
        "turnbuckle.origin",
    ];
    assert_eq!(keys, BTreeSet::from(known), "{all:#?}");
    assert!(all.iter().all(|span| span.events.is_empty() && span.links.is_empty()));
    assert!(
        all.iter().all(|span| of(&span.attributes, "turnbuckle.origin") != collector.origin() || span.name == "egress")
    );

    let asked = |origin: &str, status: &str| {
        let wanted = |span: &&Span| {
            of(&span.attributes, "turnbuckle.origin") == origin
                && of(&span.attributes, "http.response.status_code") == status
        };
        all.iter().filter(wanted).collect::<Vec<_>>()
    };
    let answered = asked(&scene.upstream.origin(), "200");
    let lines: BTreeSet<_> = answered.iter().map(|span| line(&all, span).join(" > ")).collect();
    assert_eq!(
        lines,
        BTreeSet::from([
            "GET /api/v1/connections/{key}/send > egress".to_owned(),
            "POST /api/v1/connections > test > guest > egress".to_owned(),
        ])
    );
    assert!(answered.iter().all(|span| span.kind() == SpanKind::Client));
    let failed = |name: &str, error: &str| {
        all.iter().any(|span| {
            span.name == name
                && of(&span.attributes, "error.type") == error
                && span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
        })
    };
    assert!(failed("test", "unauthorized"), "{all:#?}");
    assert!(failed("egress", "denied"), "{all:#?}");
    let request = all.iter().find(|span| span.name == "POST /api/v1/connections").unwrap();
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(of(&request.attributes, "http.response.status_code"), "201");
    assert!(all.iter().any(|span| span.name == "test" && of(&span.attributes, "turnbuckle.connection.id") == id));
    assert!(asked(&collector.origin(), "200").is_empty(), "a message about traces is no trace");
}

#[test]
fn a_collector_that_does_not_take_traces_is_told_once_and_followed_nowhere() {
    let collector = Upstream::start();
    let away = format!("{}/elsewhere", collector.origin());
    let elsewhere = Receiver::at(&collector, "/elsewhere", |_| Reply::status(200));
    let receiver = Receiver::at(&collector, TRACES, move |_| Reply::status(307).header("location", &away));
    let scene = traced(&collector);
    for _ in 0..3 {
        scene.api.get("/connections").ended(200);
        receiver.next();
    }
    let healed = Receiver::at(&collector, TRACES, |_| Reply::status(200));
    for _ in 0..2 {
        scene.api.get("/connections").ended(200);
        healed.next();
    }
    let printed = scene.server.stop();
    let told = |words: &str| printed.matches(words).count();
    assert_eq!(told("the collector does not take traces"), 1, "{printed}");
    assert_eq!(told("it answers 307 Temporary Redirect"), 1, "{printed}");
    assert_eq!(told("the collector takes traces again"), 1, "{printed}");
    assert!(elsewhere.is_idle());
}

#[test]
fn a_collector_that_is_not_there_harms_nobody() {
    let collector = Upstream::start();
    let scene = traced(&collector);
    drop(collector);
    scene.connected("Works");
    let printed = scene.server.stop();
    assert!(printed.contains("the collector does not take traces"), "{printed}");
}

#[test]
fn headers_that_are_none_are_told_by_their_field_before_anything_is_served() {
    let mut world = world();
    world.configure("[telemetry]\nendpoint = \"http://127.0.0.1:4318\"\nheaders-file = \"keys\"\n");
    world.run(&["serve"]).ended(2).says("telemetry.headers-file").says("can't be read");
    let keys = world.data().join("keys");
    std::fs::write(&keys, format!("authorization={TOKEN}\n{TOKEN}\u{7f}\n")).unwrap();
    world.run(&["serve"]).ended(2).says("telemetry.headers-file").says("header 2 must be `name=value`");
    std::fs::remove_file(keys).unwrap();
    world.set("TURNBUCKLE_TELEMETRY_SAMPLE_PERCENT", "101");
    world.run(&["serve"]).ended(2).says("telemetry.sample-percent").says("must be 1 to 100");
}
