//! What a hostile connector can reach, send and see: nothing that was not given to it.

use serde_json::{Value, json};
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::{Arrived, Reply, Upstream};

use crate::scene::{Scene, TOKEN, by_guest, known_to};

#[test]
fn what_a_guest_can_reach_of_this_machine_is_nothing() {
    let scene = Scene::with(&["leak-probe"]);
    let made = by_guest(&scene, "Probe", "leak-probe", "token", &json!({}), &json!({"token": TOKEN})).ended(201).json();
    let mut found = made["discovered"].as_object().unwrap().clone();
    // How the refusals read is the guest's own library's business; that they are refusals is ours.
    for (name, words) in [
        ("list-root", "Capabilities insufficient"),
        ("read-passwd", "Capabilities insufficient"),
        ("write-file", "Capabilities insufficient"),
        ("tcp-connect", "access-denied"),
        ("tcp-listen", "access-denied"),
        ("udp", "access-denied"),
        ("resolve", "permanent-resolver-failure"),
    ] {
        let outcome = found.remove(name).unwrap();
        let outcome = outcome.as_str().unwrap();
        assert!(outcome.starts_with("error: ") && outcome.contains(words), "{name}: {outcome}");
    }
    let rest = json!({
        "protocol": "token",
        "setting-url": scene.upstream.origin(),
        "setting-path": "/",
        "environment": "",
        "arguments": "",
        "working-directory": "None",
        "preopens": "",
        "standard-input": "reached: \"\"",
    });
    assert_eq!(Value::Object(found), rest, "the settings of its connection, and nothing else");
    assert_eq!(leaks::in_bytes(made.to_string().as_bytes(), TOKEN), Vec::<&str>::new());
}

/// What comes of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The service of the connection answers; there was nothing to gain.
    Answered,
    /// The request is refused with these words.
    Refused(&'static str),
    /// The guest's own request object ends the call.
    Ended,
}

const DENIED: Outcome = Outcome::Refused("ErrorCode::HttpRequestDenied");
const NO_URL: Outcome = Outcome::Refused("ErrorCode::HttpRequestUriInvalid");
const NO_METHOD: Outcome = Outcome::Refused("ErrorCode::HttpRequestMethodInvalid");
const NO_AUTHORITY: Outcome = Outcome::Refused("authority: refused");
const NO_PATH: Outcome = Outcome::Refused("path: refused");
const FORBIDDEN: Outcome = Outcome::Refused("headers: HeaderError::Forbidden");
const NO_HEADER: Outcome = Outcome::Refused("headers: HeaderError::InvalidSyntax");

/// Every attack of the guest, in its order.
const ATTACKS: [(&str, Outcome); 45] = [
    ("other-origin", DENIED),
    ("metadata", DENIED),
    ("metadata-name", DENIED),
    ("loopback", DENIED),
    ("decimal-address", DENIED),
    ("octal-address", DENIED),
    ("short-address", DENIED),
    ("mapped-address", DENIED),
    ("other-scheme", Outcome::Refused("ErrorCode::HttpProtocolError")),
    ("downgraded-scheme", DENIED),
    ("redirect", DENIED),
    ("userinfo", NO_URL),
    ("userinfo-confusion", NO_URL),
    ("userinfo-backslash", NO_AUTHORITY),
    ("authority-with-path", NO_AUTHORITY),
    ("authority-with-fragment", NO_AUTHORITY),
    ("absolute-form", NO_PATH),
    ("network-path", Outcome::Answered),
    ("backslash-path", NO_PATH),
    ("userinfo-in-path", NO_PATH),
    ("authorization", Outcome::Answered),
    ("owned-header", Outcome::Answered),
    ("owned-query", Outcome::Answered),
    ("owned-query-encoded", Outcome::Answered),
    ("host", FORBIDDEN),
    ("connection", FORBIDDEN),
    ("upgrade", FORBIDDEN),
    ("transfer-encoding", FORBIDDEN),
    ("proxy-authorization", FORBIDDEN),
    ("forwarded", DENIED),
    ("expect", DENIED),
    ("header-injection", NO_HEADER),
    ("name-injection", NO_HEADER),
    ("length-twice", NO_HEADER),
    (
        "short-length",
        Outcome::Refused(
            "ErrorCode::InternalError(Some(\"the request's body is not as long as its content-length says\"))",
        ),
    ),
    ("headers-too-large", Outcome::Ended),
    ("path-injection", NO_PATH),
    ("template-in-header", Outcome::Answered),
    ("template-in-path", Outcome::Answered),
    ("template-in-body", Outcome::Answered),
    ("connect", NO_METHOD),
    ("trace", NO_METHOD),
    ("track", NO_METHOD),
    ("method-injection", Outcome::Refused("method: refused")),
    (
        "body-too-large",
        Outcome::Refused(
            "ErrorCode::InternalError(Some(\"the limit on bytes of a request's body, 8388608, is used up\"))",
        ),
    ),
];

/// What a placement writes is not the guest's to write; where none does, it is a header or a parameter like others.
fn outcome(protocol: &str, attack: &str, otherwise: Outcome) -> Outcome {
    match (protocol, attack) {
        ("header", "owned-header") | ("query", "owned-query" | "owned-query-encoded") | ("token", "authorization") => {
            DENIED
        }
        _ => otherwise,
    }
}

#[test]
fn no_attack_on_the_egress_takes_a_secret_elsewhere() {
    let elsewhere = Upstream::start();
    let scene = Scene::opened(&["exfil"], &[&elsewhere]);
    elsewhere.echo("*");
    scene.upstream.echo("*");
    let target = elsewhere.origin();
    scene.upstream.on("GET", "/redirect", move |_arrived| Reply::status(302).header("location", &target));
    assert_eq!(ATTACKS.map(|(attack, _)| attack).to_vec(), known_to("exfil", "match attack"), "all of them");
    for (protocol, field) in [("header", "key"), ("query", "key"), ("token", "token")] {
        for (attack, otherwise) in ATTACKS {
            let at = format!("{attack} by {protocol}");
            let settings = json!({"attack": attack, "elsewhere": elsewhere.origin()});
            let answer = by_guest(&scene, &at, "exfil", protocol, &settings, &json!({field: TOKEN})).ended(201);
            assert_eq!(leaks::in_bytes(&answer.body, TOKEN), Vec::<&str>::new(), "{at}: {}", answer.text());
            let made = answer.json();
            let found = &made["discovered"];
            match outcome(protocol, attack, otherwise) {
                Outcome::Answered => {
                    assert_eq!((&found["outcome"], &found["status"]), (&json!("answered"), &json!("200")), "{at}");
                }
                Outcome::Refused(words) => {
                    assert_eq!((&found["outcome"], &found["error"]), (&json!("refused"), &json!(words)), "{at}");
                }
                Outcome::Ended => {
                    let verdict = &made["verdict"];
                    assert_eq!((&verdict["outcome"], &verdict["exchanges"]), (&json!("failed"), &json!([])), "{at}");
                }
            }
        }
    }
    assert_eq!(elsewhere.arrived().len(), 0, "the attacker's service was not even asked");
    for arrived in scene.upstream.arrived() {
        let whole = arrived.whole();
        assert_ne!(leaks::in_bytes(whole.as_bytes(), TOKEN), Vec::<&str>::new(), "the credential went home: {whole}");
        assert_eq!(arrived.header("x-injected"), "", "{whole}");
        assert_ne!(arrived.path, "/smuggled", "{whole}");
    }
    let notes: Vec<_> = scene.upstream.arrived().iter().map(|arrived| arrived.header("x-note").to_owned()).collect();
    assert_eq!(notes.iter().filter(|note| *note == "{key}{token}").count(), 3, "a guest's template is text");
}

#[test]
fn headers_that_are_too_large_are_told_with_their_limit() {
    let scene = Scene::with(&["exfil"]);
    let settings = json!({"attack": "headers-too-large"});
    let made = by_guest(&scene, "Large", "exfil", "header", &settings, &json!({"key": TOKEN})).ended(201).json();
    let verdict = &made["verdict"];
    assert_eq!(verdict["kind"], "budget", "{verdict:#}");
    let message = verdict["message"].as_str().unwrap();
    assert!(message.contains("header") && message.contains("64 KiB"), "{message}");
    assert_eq!(scene.upstream.arrived().len(), 0);
}

/// A connection of the guest `echo` by one of its protocols, and what stands where the credential travelled.
struct Travels {
    protocol: &'static str,
    settings: Value,
    secrets: Value,
    /// What the guest sees of it.
    seen: &'static str,
}

#[test]
fn a_guest_sees_the_redaction_wherever_its_credential_travelled() {
    let scene = Scene::with(&["echo"]);
    scene.upstream.on("*", "*", |arrived: &Arrived| {
        // Digest begins with a question of the service.
        if arrived.path == "/digest" && arrived.header("authorization").is_empty() {
            let question = "Digest realm=\"tests\", nonce=\"5f2e\", qop=\"auth\", algorithm=SHA-256";
            return Reply::status(401).header("www-authenticate", question);
        }
        arrived.echo()
    });
    let key = || json!({"key": TOKEN});
    let get = |path: &str| json!({"path": path});
    let post = |kind: &str, body: &str| json!({"method": "POST", "content-type": kind, "body": body});
    let pair = |path: &str| (json!({"username": "ada", "path": path}), json!({"password": TOKEN}));
    let (basic, password) = pair("/basic");
    let one = |protocol, settings, secrets, seen| Travels { protocol, settings, secrets, seen };
    let all = [
        one("none", get("/none"), json!({}), "GET /none?\n"),
        one("bearer", get("/bearer"), key(), "authorization: Bearer [redacted]\n"),
        one("header", get("/header"), key(), "x-api-key: [redacted]\n"),
        one("query", get("/query?a=b"), key(), "GET /query?a=b&api_key=[redacted]\n"),
        one("cookie", get("/cookie"), key(), "cookie: session=[redacted]\n"),
        one("path-prefix", get("/me"), key(), "GET /bot[redacted]/me?\n"),
        one("body-form", post("application/x-www-form-urlencoded", "a=b"), key(), "\n\na=b&api_key=[redacted]"),
        one("body-json", post("application/json", "{\"auth\":{}}"), key(), "\n\n{\"auth\":{\"key\":\"[redacted]\"}}"),
        one("basic", basic, password.clone(), "authorization: Basic [redacted]\n"),
        one("digest", pair("/digest").0, password.clone(), "authorization: Digest "),
        one("derived", pair("/derived").0, password.clone(), "authorization: Basic [redacted]\n"),
        one("aws-sigv4", pair("/aws").0, password, "authorization: AWS4-HMAC-SHA256 Credential=ada/"),
    ];
    let shown = scene.api.get("/connectors/echo").ended(200).json();
    let offered: Vec<_> =
        shown["descriptor"]["protocols"].as_array().unwrap().iter().map(|protocol| &protocol["name"]).collect();
    assert_eq!(offered, all.iter().map(|travels| travels.protocol).collect::<Vec<_>>(), "each of its protocols");
    for Travels { protocol, settings, secrets, seen } in &all {
        scene.upstream.forget();
        let answer = by_guest(&scene, protocol, "echo", protocol, settings, secrets).ended(201);
        assert_eq!(leaks::in_bytes(&answer.body, TOKEN), Vec::<&str>::new(), "{protocol}: {}", answer.text());
        let made = answer.json();
        assert_eq!(made["status"], "active", "{protocol}: {made:#}");
        let body = made["discovered"]["body"].as_str().unwrap();
        assert!(body.contains(seen), "{protocol}: expected {seen:?} in {body}");
        let arrived = scene.upstream.arrived().pop().unwrap().whole();
        let travelled = !leaks::in_bytes(arrived.as_bytes(), TOKEN).is_empty();
        let hashed = matches!(*protocol, "none" | "digest" | "aws-sigv4");
        assert_eq!(travelled, !hashed, "{protocol}: it did arrive there: {arrived}");
    }
    let Scene { server, world, .. } = scene;
    let printed = server.stop();
    assert_eq!(leaks::in_bytes(printed.as_bytes(), TOKEN), Vec::<&str>::new(), "{printed}");
    assert_eq!(leaks::in_folder(&world.data(), TOKEN), Vec::<String>::new());
}
