//! Guests that misbehave: each is contained, told in words, and harms nobody else.

use serde_json::{Value, json};
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::Reply;

use crate::scene::{BINARY, Scene, by_guest, install, known_to, offer, wrong_fields};

/// What the test of a guest said, of a connection without a credential.
fn verdict(scene: &Scene, guest: &str) -> Value {
    by_guest(scene, guest, guest, "none", &json!({}), &json!({})).ended(201).json()["verdict"].clone()
}

#[test]
fn a_describe_that_does_not_answer_is_refused_in_words_and_the_host_lives() {
    let scene = Scene::with(&[]);
    for (guest, words) in [
        ("spin", "computed for more than 1000 ms"),
        ("babbler", "computed for more than 1000 ms"),
        ("trap", "the connector failed"),
        ("hog", "asked for more than 128 MiB of memory"),
    ] {
        let problem = offer(&scene.api, components::read(BINARY, guest)).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["component"], "{guest}: {problem:#}");
        let message = problem["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{guest}: {message}");
    }
    assert_eq!(scene.api.get("/connectors").ended(200).json(), json!([]));
    install(&scene.api, "echo");
}

#[test]
fn a_describe_that_talks_much_and_then_answers_is_heard_out() {
    let scene = Scene::with(&["chatter"]);
    assert_eq!(scene.api.get("/connectors/chatter").ended(200).json()["name"], "chatter");
}

#[test]
fn a_test_that_prints_without_end_is_ended_by_its_budget_and_the_host_lives() {
    let scene = Scene::with(&["chatter", "echo"]);
    let verdict = verdict(&scene, "chatter");
    assert_eq!((&verdict["outcome"], &verdict["kind"]), (&json!("failed"), &json!("budget")), "{verdict:#}");
    assert_eq!(verdict["message"], "the connector computed for more than 2000 ms");
    assert!(verdict.to_string().len() < 8 << 10, "what it printed is not kept whole: {}", verdict.to_string().len());
    scene.upstream.echo("/");
    let made = by_guest(&scene, "Next", "echo", "none", &json!({}), &json!({})).ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
}

/// Its component with the digits of a rule that its descriptor breaks then; 0 breaks none.
fn breaking(rule: usize) -> Vec<u8> {
    let mut component = components::read(BINARY, "bad-descriptor").to_vec();
    let at = component.windows(7).position(|window| window == b"RULE:00").unwrap() + 5;
    component[at..at + 2].copy_from_slice(format!("{rule:02}").as_bytes());
    component
}

#[test]
fn every_broken_rule_of_a_descriptor_is_named_with_its_place() {
    let scene = Scene::with(&[]);
    let broken = |rule: usize| offer(&scene.api, breaking(rule)).ended(422).json();
    // In the order of the guest's rules, which begin with 1.
    let places = [
        "name",
        "label",
        "label",
        "summary",
        "publisher",
        "version",
        "categories",
        "documentation",
        "icon-svg",
        "icon-svg",
        "protocols",
        "protocols[2].name",
        "settings[2].name",
        "protocols[2].fields[0].name",
        "settings[2].name",
        "settings[2].name",
        "settings[2].kind",
        "settings[2].kind",
        "settings[2].kind",
        "settings[2].pattern",
        "protocols[1].fields[0].default",
        "settings[2].default",
        "origins",
        "origins[1]",
        "origins[1]",
        "origins[1]",
        "origins[1]",
        "origins[1]",
        "origins[1]",
        // Too large as a whole: the next test.
        "",
        "settings",
        "protocols",
        "origins",
        "protocols[2].name",
        "icon-svg",
        "icon-svg",
        "icon-svg",
        "protocols[2].help",
        "origins[1]",
    ];
    for (index, place) in places.iter().enumerate().filter(|(_, place)| !place.is_empty()) {
        let problem = broken(index + 1);
        assert_eq!(wrong_fields(&problem), [format!("descriptor.{place}")], "rule {}: {problem:#}", index + 1);
    }
    let problem = broken(places.len() + 1);
    let together = ["descriptor.version", "descriptor.protocols[0].fields[1].kind", "descriptor.origins"];
    assert_eq!(wrong_fields(&problem), together, "{problem:#}");
    assert_eq!(scene.api.get("/connectors").ended(200).json(), json!([]));
    offer(&scene.api, breaking(0)).ended(201);
}

#[test]
fn a_descriptor_that_is_too_large_is_refused_as_a_whole() {
    let scene = Scene::with(&[]);
    let problem = offer(&scene.api, breaking(30)).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["descriptor"], "{problem:#}");
    assert!(problem["problems"][0]["message"].as_str().unwrap().contains("at most 262144 are allowed"), "{problem:#}");
    assert_eq!(scene.api.get("/connectors").ended(200).json(), json!([]));
}

#[test]
fn a_connector_with_more_interfaces_installs_and_shows_them() {
    let scene = Scene::with(&["signer", "classifier"]);
    for (guest, interface) in [("signer", "signer"), ("classifier", "classifier")] {
        let shown = scene.api.get(&format!("/connectors/{guest}")).ended(200).json();
        let exports = shown["surface"]["exports"].as_array().unwrap();
        let wanted = format!("turnbuckle:connector/{interface}@0.1.0");
        assert!(exports.iter().any(|export| *export == wanted), "{shown:#}");
    }
}

#[test]
fn a_test_that_takes_too_much_fails_alone_with_the_right_words() {
    let scene = Scene::with(&["spin-test", "trap-test", "hog-test", "handles", "echo"]);
    for (guest, kind, words) in [
        ("spin-test", "budget", "computed for more than 2000 ms"),
        ("trap-test", "connector-fault", "the test of trap-test gives up"),
        ("hog-test", "budget", "of memory"),
    ] {
        let verdict = verdict(&scene, guest);
        assert_eq!(verdict["kind"], kind, "{guest}: {verdict:#}");
        assert!(verdict["message"].as_str().unwrap().contains(words), "{guest}: {verdict:#}");
    }
    assert_eq!(verdict(&scene, "handles")["outcome"], "failed");
    scene.upstream.on("GET", "/", |_arrived| Reply::status(200));
    assert_eq!(scene.api.get("/connectors/echo").ended(200).json()["name"], "echo");
}

#[test]
fn a_call_that_takes_too_many_handles_is_told_which_limit_ended_it() {
    let scene = Scene::with(&["handles"]);
    let verdict = verdict(&scene, "handles");
    assert_eq!(verdict["kind"], "budget", "{verdict:#}");
    let message = verdict["message"].as_str().unwrap();
    assert!(message.contains("handles") && message.contains("4096"), "{message}");
}

#[test]
fn a_call_has_32_requests_and_not_one_more() {
    let scene = Scene::with(&["many-requests"]);
    let made = by_guest(&scene, "Many", "many-requests", "none", &json!({}), &json!({})).ended(201).json();
    assert_eq!(made["discovered"]["answered"], "32", "{made:#}");
    let told = made["discovered"]["error"].as_str().unwrap();
    assert!(told.contains("the limit on requests") && told.contains("32"), "{told}");
    let paths: Vec<_> = scene.upstream.arrived().into_iter().map(|arrived| arrived.path).collect();
    assert_eq!(paths, (0..32).map(|number| format!("/{number}")).collect::<Vec<_>>());
}

#[test]
fn a_plan_that_may_not_be_kept_is_refused_before_anything_is_stored() {
    let scene = Scene::with(&["bad-plan"]);
    let no_grant = "grant is not allowed where the protocol signs in by nothing beyond its fields";
    let plans = [
        ("good-token", "plan", no_grant),
        (
            "unknown-name",
            "plan",
            "placements[0].header names `session`, which is no field, no captured or derived value, and none of the host's",
        ),
        (
            "unclosed",
            "plan",
            "placements[0].header is no template: `{` at byte 7 is not closed; write `{{` for a literal brace",
        ),
        ("crlf", "plan", "placements[0].header has line breaks or control characters in its own text"),
        ("bad-header-name", "plan", "placements[0].header `X Note` is no legal name here"),
        ("name-with-crlf", "plan", "placements[0].header `X-NoteX-Injected` is no legal name here"),
        ("host", "plan", "placements[0].header the header `host` is written by the host alone"),
        ("hop-by-hop", "plan", "placements[0].header the header `connection` is written by the host alone"),
        ("content-length", "plan", "placements[0].header the header `content-length` is written by the host alone"),
        ("twice", "plan", "placements[1].header `x-api-key` stands there twice"),
        ("path", "plan", "placements[0].path-prefix must begin with `/` and be a plain path"),
        ("cookie", "plan", "placements[0].cookie `a=b; c` is no legal name here"),
        ("outside-origins", "plan", no_grant),
        ("secret-in-host", "plan", no_grant),
        ("authorization", "plan", no_grant),
        ("shadowed", "plan", "derived[0] `token` stands there twice"),
        ("too-many", "plan", "placements has more than 32 entries"),
        ("refuses", "invalid", "plan: no plan for this"),
        ("traps", "connector-fault", "the connector failed: the plan of bad-plan gives up"),
        ("spins", "connector-fault", "the connector computed for more than"),
    ];
    let offered = |plan: &str| {
        let secrets = json!({"token": "canary-plan-11bb"});
        by_guest(&scene, plan, "bad-plan", "token", &json!({"plan": plan}), &secrets)
    };
    let mut tried: Vec<_> = plans.iter().map(|(plan, ..)| *plan).collect();
    tried.insert(0, "none");
    assert_eq!(tried, known_to("bad-plan", "match setting(&connection, \"plan\")"));
    for (plan, code, words) in plans {
        let problem = offered(plan).ended(if code == "invalid" { 422 } else { 409 }).json();
        assert_eq!(problem["code"], code, "{plan}: {problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        match code {
            "plan" => assert_eq!(detail, format!("the connector's way to authenticate is refused: {words}"), "{plan}"),
            _ => assert!(detail.starts_with(words), "{plan}: {detail}"),
        }
    }
    let problem = offered("refuses").ended(422).json();
    assert_eq!(wrong_fields(&problem), ["plan"], "what a connector says of a setting is told at that field");
    assert_eq!(scene.api.get("/connections").ended(200).json()["items"], json!([]));
    assert_eq!(scene.upstream.arrived().len(), 0);
    // The plan that is whole is kept, so the others were refused for what is wrong with them.
    offered("none").ended(201);
}

#[test]
fn a_slow_service_is_waited_for() {
    let scene = Scene::with(&["slow"]);
    let mut gate = scene.upstream.hold("GET", "/slow", |_arrived| Reply::status(200));
    let made = std::thread::scope(|scope| {
        let api = scene.server.api();
        let new = json!({
            "name": "Slow", "connector": "slow", "protocol": "none", "settings": {"url": scene.upstream.origin()},
        });
        let asking = scope.spawn(move || api.post("/connections", &new).ended(201).json());
        gate.wait_for(1);
        let shown = scene.api.get("/connections/Slow").ended(200).json();
        assert_eq!(
            (&shown["status"], &shown["verdict"]),
            (&json!("inactive"), &Value::Null),
            "nobody has answered yet"
        );
        gate.open();
        asking.join().unwrap()
    });
    assert_eq!(made["status"], "active", "{made:#}");
    assert_eq!(made["verdict"]["message"], "the service answered 200 at last");
}
