//! Guests that misbehave: each is contained, told in words, and harms nobody else.

use serde_json::{Value, json};

use crate::scene::{Scene, install, offer, wrong_fields};
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::Reply;

use crate::scene::BINARY;

const RULES: usize = 39;

/// Makes a connection with a guest and gives what its test found.
fn tested(scene: &Scene, guest: &str, protocol: &str, settings: &Value, secrets: &Value) -> Value {
    let mut all = json!({"url": scene.upstream.origin()});
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    let name = format!("{guest} {settings}");
    let new = json!({
        "name": name.chars().take(80).collect::<String>(),
        "connector": guest,
        "protocol": protocol,
        "settings": all,
        "secrets": secrets,
    });
    let made = scene.api.post("/connections", &new).ended(201).json();
    made["verdict"].clone()
}

fn plain(scene: &Scene, guest: &str) -> Value {
    tested(scene, guest, "none", &json!({}), &json!({}))
}

#[test]
fn a_describe_that_does_not_answer_is_refused_in_words_and_the_host_lives() {
    let scene = Scene::with(&[]);
    for (guest, words) in [("spin", "computed for more than"), ("trap", "the connector failed"), ("hog", "of memory")] {
        let problem = offer(&scene.api, components::read(BINARY, guest)).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["component"], "{guest}: {problem:#}");
        let message = problem["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{guest}: {message}");
    }
    assert_eq!(scene.api.get("/connectors").ended(200).json(), json!([]));
    install(&scene.api, "echo");
}

#[test]
fn a_describe_that_never_stops_talking_is_heard_out() {
    let scene = Scene::with(&["chatter"]);
    assert_eq!(scene.api.get("/connectors/chatter").ended(200).json()["name"], "chatter");
}

#[test]
fn every_broken_rule_of_a_descriptor_is_named_with_its_place() {
    let scene = Scene::with(&[]);
    let whole = components::read(BINARY, "bad-descriptor").to_vec();
    let at = whole.windows(7).position(|window| window == b"RULE:00").unwrap() + 5;
    for rule in 1..=RULES {
        let mut patched = whole.clone();
        patched[at..at + 2].copy_from_slice(format!("{rule:02}").as_bytes());
        let problem = offer(&scene.api, patched).ended(422).json();
        let fields = wrong_fields(&problem);
        assert!(fields.iter().all(|field| field.starts_with("descriptor")), "rule {rule}: {problem:#}");
    }
    assert_eq!(scene.api.get("/connectors").ended(200).json(), json!([]));
    offer(&scene.api, whole).ended(201);
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
        let verdict = plain(&scene, guest);
        assert_eq!(verdict["kind"], kind, "{guest}: {verdict:#}");
        assert!(verdict["message"].as_str().unwrap().contains(words), "{guest}: {verdict:#}");
    }
    assert_eq!(plain(&scene, "handles")["outcome"], "failed");
    scene.upstream.on("GET", "/", |_arrived| Reply::status(200));
    assert_eq!(scene.api.get("/connectors/echo").ended(200).json()["name"], "echo");
}

#[test]
fn a_call_has_32_requests_and_not_one_more() {
    let scene = Scene::with(&["many-requests"]);
    let verdict = plain(&scene, "many-requests");
    assert!(verdict["exchanges"].as_array().unwrap().len() <= 33, "{verdict:#}");
    assert_eq!(scene.upstream.arrived().len(), 32);
}

#[test]
fn what_a_guest_can_reach_of_this_machine_is_nothing() {
    let scene = Scene::with(&["leak-probe"]);
    let made = plain(&scene, "leak-probe");
    let text = made.to_string();
    assert!(!text.contains("/root") && !text.contains("PATH="), "{made:#}");
}

#[test]
fn no_attack_on_the_egress_takes_a_secret_elsewhere() {
    let scene = Scene::with(&["exfil"]);
    let elsewhere = turnbuckle_tests::upstream::Upstream::start();
    scene.upstream.on("GET", "/redirect", {
        let target = elsewhere.origin();
        move |_arrived| Reply::status(302).header("location", &target)
    });
    for attack in [
        "other-origin",
        "metadata",
        "loopback",
        "decimal-address",
        "userinfo",
        "redirect",
        "owned-header",
        "authorization",
    ] {
        let settings = json!({"attack": attack, "other": elsewhere.origin()});
        let new = json!({
            "name": attack, "connector": "exfil", "protocol": "header",
            "settings": {"url": scene.upstream.origin(), "attack": attack},
            "secrets": {"key": "canary-exfil-77aa"},
        });
        let answer = scene.api.post("/connections", &new);
        assert!(!answer.text().contains("canary-exfil-77aa"), "{attack} {settings}: {}", answer.text());
    }
    assert_eq!(elsewhere.arrived().len(), 0);
}

#[test]
fn a_plan_that_may_not_be_kept_is_refused_before_anything_is_stored() {
    let scene = Scene::with(&["bad-plan"]);
    let plans = [
        "unknown-name",
        "unclosed",
        "crlf",
        "bad-header-name",
        "host",
        "hop-by-hop",
        "content-length",
        "traps",
        "refuses",
    ];
    for plan in plans {
        let shown = scene.api.get("/connectors/bad-plan").ended(200).json();
        let protocol =
            shown["descriptor"]["protocols"].as_array().unwrap().iter().find(|p| p["sign-in"] == "none").unwrap();
        let new = json!({
            "name": plan, "connector": "bad-plan", "protocol": protocol["name"],
            "settings": {"url": scene.upstream.origin(), "plan": plan},
            "secrets": {"token": "canary-plan-11bb"},
        });
        let answer = scene.api.post("/connections", &new);
        assert!(matches!(answer.status.as_u16(), 409 | 422), "{plan}: {}", answer.text());
    }
    assert_eq!(scene.api.get("/connections").ended(200).json()["items"], json!([]));
}

#[test]
fn a_version_that_asks_for_more_is_not_taken_without_a_word() {
    let scene = Scene::with(&["narrow"]);
    let name = scene.api.get("/connectors").ended(200).json()[0]["name"].as_str().unwrap().to_owned();
    let report = offer(&scene.api, components::read(BINARY, "wide")).ended(201).json();
    assert_ne!(report["widened"], json!([]), "{report:#}");
    assert_eq!(scene.api.get(&format!("/connectors/{name}")).json()["versions"].as_array().unwrap().len(), 2);
    let shown = scene.api.post(&format!("/connectors/{name}/upgrade"), &json!({"dry-run": true})).ended(200).json();
    assert_eq!(shown["connections"], json!([]), "{shown:#}");
}

#[test]
fn a_slow_service_is_waited_for() {
    let scene = Scene::with(&["slow"]);
    scene.upstream.on("GET", "/slow", |_arrived| Reply::status(200));
    assert_eq!(plain(&scene, "slow")["outcome"], "passed");
}
