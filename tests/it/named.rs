//! Named credentials: an operator sets a credential up once, others make connections on it and never handle a secret.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::{Arrived, Reply};
use turnbuckle_tests::world::{Ran, World};

use crate::named_sign_in::{by_browser, dance};
use crate::scene::{BINARY, Scene, TOKEN, wrong_fields};
use crate::users::{WORKS, delete, put, user};

/// Takes whoever sends this header at `/me`.
pub(crate) fn takes(scene: &Scene, name: &'static str, value: &str) {
    let value = value.to_owned();
    scene.upstream.on("GET", "/me", move |arrived| {
        let good = arrived.header(name) == value;
        if good { Reply::json(200, &json!({"login": "ada"})) } else { Reply::status(401) }
    });
}

pub(crate) fn basic(username: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{TOKEN}")))
}

/// Sets up three objects of one name, by basic authentication as `robot`.
pub(crate) fn set_up(scene: &Scene, name: &str) -> Value {
    takes(scene, "authorization", &basic("robot"));
    let credential = json!({"protocol": "basic", "settings": {"username": "robot"}, "secrets": {"password": TOKEN}});
    let body = json!({"url": scene.upstream.origin(), "credential": credential});
    put(&scene.api, &format!("/setup/named-credentials/{name}"), &body).ended(200).json()
}

pub(crate) fn connect(api: &Api, name: &str, on: &str) -> Answer {
    let new = json!({"name": name, "connector": "http", "named-credential": on, "settings": {"test-path": "/me"}});
    api.post("/connections", &new)
}

/// A user who may use these principals.
pub(crate) fn opened(scene: &Scene, name: &str, principals: &[&str]) -> Api {
    let api = user(&scene.server, name, &WORKS);
    put(&scene.api, &format!("/setup/permission-sets/{name}"), &json!({"principals": principals})).ended(200);
    api
}

/// A command as a user would type it, against a running server.
fn typed(scene: &Scene, token: &str, arguments: &[&str]) -> Ran {
    let mut all = vec!["--server", scene.server.url.as_str()];
    all.extend(arguments);
    Ran::of(scene.world.bare(&all).env("TURNBUCKLE_TOKEN", token), "")
}

#[test]
fn an_operator_sets_a_credential_up_and_a_user_connects_on_it_without_ever_seeing_it() {
    let scene = Scene::http();
    takes(&scene, "authorization", &basic("robot"));
    let url = scene.upstream.origin();
    let password = scene.world.file("password", TOKEN);
    let secret = format!("password=@{}", password.display());
    let run = |arguments: &[&str]| scene.world.run(arguments);

    // The operator.
    let put = ["setup", "named-credential", "put", "legacy", "--url", &url, "--protocol", "basic"];
    run(&[&put[..], &["--set", "username=robot", "--secret", &secret]].concat()).done().shows("Authenticated  yes");
    run(&["setup", "permission-set", "put", "workers", "--permission", &WORKS.join(",")]).done();
    run(&["setup", "user", "put", "bob", "--permission-set", "workers"]).done();
    let made = scene.world.json(&["setup", "token", "create", "bobs", "--user", "bob"]);
    let token = made["token"].as_str().unwrap();
    let bob = |arguments: &[&str]| typed(&scene, token, arguments);

    // A user without the principal: it is made, and its test says what is missing.
    let create = ["connection", "create", "--connector", "http", "--name", "Orders", "--named-credential", "legacy"];
    bob(&[&create[..], &["--set", "test-path=/me"]].concat())
        .ended(3)
        .says("forbidden")
        .says("`bob`, who owns the connection, may not use the named credential `legacy`")
        .says("a permission set that opens its principal");
    let seen = bob(&["connection", "show", "Orders", "--output", "json"]).done().json();
    assert_eq!((&seen["status"], &seen["verdict"]["kind"]), (&json!("inactive"), &json!("forbidden")));
    assert_eq!(seen["missing-permission"], Value::Null, "what is behind it is told to those who may give it");
    run(&["connection", "show", "Orders"]).done().shows("no permission set of bob opens the principal legacy");
    assert!(scene.upstream.arrived().is_empty(), "nothing was sent");

    // The right is given.
    run(&["setup", "permission-set", "put", "workers", "--principal", "legacy"]).done().shows("legacy");
    bob(&["connection", "test", "Orders"]).done().shows("active");
    bob(&["connection", "send", "Orders", "/me"]).done().shows("ada");

    // What is the named credential's is changed there.
    bob(&["connection", "edit", "Orders", "--set", "url=https://elsewhere.example.com"])
        .ended(2)
        .says("url: comes from the named credential `legacy`: only name and description can be edited here");
    bob(&["connection", "edit", "Orders", "--name", "Old orders", "--description", "of the old shop"]).done();
    bob(&["connection", "reconnect", "Old orders"])
        .ended(5)
        .says("it goes by the named credential `legacy`")
        .says("turnbuckle setup named-credential show legacy");
    bob(&["connection", "authorize", "Old orders"]).ended(5).says("it goes by the named credential `legacy`");

    // It stands in the way of what it leans on, and leaves it behind.
    run(&["setup", "named-credential", "remove", "legacy"]).ended(5).says("in use by connection `Old orders`");
    bob(&["connection", "delete", "Old orders"]).done();
    run(&["setup", "named-credential", "show", "legacy"]).done().shows("Usable         yes");
    run(&["setup", "principal", "remove", "legacy"]).ended(5).says("in use by permission set `workers`");
    run(&["setup", "external-credential", "remove", "legacy"])
        .ended(5)
        .says("principal `legacy`, named credential `legacy`");
    run(&["setup", "named-credential", "remove", "legacy"]).done().shows("What it stood on stays");
    run(&["setup", "permission-set", "put", "workers", "--no-principal"]).done();
    run(&["setup", "principal", "remove", "legacy"]).done();
    run(&["setup", "external-credential", "remove", "legacy"]).done();

    let audit = scene.world.json(&["audit", "list", "--limit", "200"]).to_string();
    for action in ["named-credential.put", "principal.put", "external-credential.put", "named-credential.remove"] {
        assert!(audit.contains(action), "{action}");
    }
    assert!(!audit.contains(TOKEN));
    assert_eq!(leaks::in_folder(&scene.world.data(), TOKEN), Vec::<String>::new());
}

#[test]
fn every_way_to_sign_in_reaches_the_service() {
    let scene = Scene::http();
    let url = scene.upstream.origin();
    let token_url = format!("{url}/oauth/token");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    scene.upstream.on("POST", "/oauth/token", move |arrived: &Arrived| {
        heard.lock().unwrap().push((arrived.header("authorization").to_owned(), arrived.text()));
        Reply::json(200, &json!({"access_token": TOKEN, "expires_in": 3600}))
    });
    // RFC 7515 appendix A.3.
    let key = json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    });
    for (name, credential, header, begins) in [
        ("none", json!({"protocol": "none"}), "authorization", String::new()),
        (
            "basic",
            json!({"protocol": "basic", "settings": {"username": "robot"}, "secrets": {"password": TOKEN}}),
            "authorization",
            basic("robot"),
        ),
        (
            "custom-headers",
            json!({
                "protocol": "custom-headers",
                "headers": [{"name": "X-Key", "value": "Token {api-key}"}, {"name": "X-Org", "value": "acme"}],
                "secrets": {"api-key": TOKEN},
            }),
            "x-key",
            format!("Token {TOKEN}"),
        ),
        (
            "aws-sigv4",
            json!({
                "protocol": "aws-sigv4",
                "settings": {"region": "eu-central-1", "service": "s3", "access-key-id": "AKIDEXAMPLE"},
                "secrets": {"secret-access-key": TOKEN},
            }),
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/".into(),
        ),
        (
            "oauth2-client-credentials",
            json!({
                "protocol": "oauth2-client-credentials",
                "settings": {"token-url": token_url, "scope": "read", "client-id": "robot"},
                "secrets": {"client-secret": TOKEN},
            }),
            "authorization",
            format!("Bearer {TOKEN}"),
        ),
        (
            "jwt-bearer",
            json!({
                "protocol": "jwt-bearer",
                "settings": {"token-url": token_url, "algorithm": "ES256", "issuer": "robot", "key-id": "1"},
                "secrets": {"private-key": key.to_string()},
            }),
            "authorization",
            format!("Bearer {TOKEN}"),
        ),
    ] {
        scene.upstream.on("GET", "/me", move |arrived| {
            let good =
                arrived.header(header).starts_with(&begins) && begins.is_empty() == arrived.header(header).is_empty();
            if good { Reply::json(200, &json!({"login": "ada"})) } else { Reply::status(401) }
        });
        let body = json!({"url": url, "credential": credential});
        let set = put(&scene.api, &format!("/setup/named-credentials/{name}"), &body).ended(200).json();
        assert_eq!(
            (&set["configured"], &set["authenticated"], &set["enabled"], &set["problem"]),
            (&json!(true), &json!(true), &json!(true), &Value::Null),
            "{set:#}"
        );
        let made = connect(&scene.api, name, name).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
        assert_eq!(made["protocol"], "named-credential");
        assert_eq!(made["origins"], json!([url]));
        assert_eq!((&made["secrets"], &made["settings"]["url"]), (&json!([]), &Value::Null));
        scene.api.get(&format!("/connections/{name}/send?url=/me")).ended(200);
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "each obtains once: {asked:?}");
    assert_eq!(asked[0].0, basic("robot"));
    assert_eq!(asked[0].1, "grant_type=client_credentials&scope=read");
    assert!(asked[1].1.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJ"));
    let listed = scene.api.get("/setup/credential-protocols").ended(200).json();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|protocol| protocol["name"].as_str().unwrap()).collect();
    let covered = ["none", "basic", "custom-headers", "aws-sigv4", "oauth2-client-credentials", "jwt-bearer", "oauth2"];
    assert_eq!(names, covered, "the browser has a test of its own");
}

#[test]
fn what_is_not_open_to_somebody_is_not_there_for_them() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let bob = user(&scene.server, "bob", &WORKS);
    for (answer, nowhere) in [
        (bob.get("/setup/principals/legacy"), bob.get("/setup/principals/nowhere")),
        (
            bob.post("/setup/principals/legacy/authorize", &json!({})),
            bob.post("/setup/principals/nowhere/authorize", &json!({})),
        ),
    ] {
        assert_eq!(answer.status, 404);
        assert_eq!(answer.text().replace("legacy", "nowhere"), nowhere.text());
    }
    assert_eq!(bob.get("/setup/principals").json(), json!([]));
    let named = bob.get("/setup/named-credentials/legacy").ended(200).json();
    assert_eq!(named["principals"], Value::Null);
    bob.get("/setup/external-credentials/legacy").ended(403);
    // One that everybody shares is the operator's to sign in.
    let opened = opened(&scene, "ada", &["legacy"]);
    let words = opened.post("/setup/principals/legacy/authorize", &json!({"secrets": {"password": "mine"}})).ended(403);
    assert!(words.text().contains("manage-setup"));
}

#[test]
fn a_right_that_is_taken_away_is_gone_at_the_next_request() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let bob = opened(&scene, "bob", &["legacy"]);
    let carol = user(&scene.server, "carol", &WORKS);
    assert_eq!(connect(&bob, "Orders", "legacy").ended(201).json()["status"], "active");
    let send = |api: &Api| api.get("/connections/Orders/send?url=/me");
    send(&carol).ended(200);
    let taken = json!({"principals": []});
    let given = json!({"principals": ["legacy"]});
    let sets = |body: &Value| put(&scene.api, "/setup/permission-sets/bob", body).ended(200);
    sets(&taken);
    let refused = send(&carol).ended(502).json();
    assert!(refused["type"].as_str().unwrap().ends_with("forbidden"), "{refused:#}");
    sets(&given);
    send(&carol).ended(200);
    put(&scene.api, "/setup/users/bob", &json!({"enabled": false})).ended(200);
    send(&carol).ended(502);
    put(&scene.api, "/setup/users/bob", &json!({"enabled": true})).ended(200);
    send(&carol).ended(200);
    // Whose it becomes, whose rights it has: so it is not given to somebody who might not want that.
    bob.post("/connections/Orders/transfer", &json!({"to": "carol"})).ended(403);
    scene.api.post("/connections/Orders/transfer", &json!({"to": "carol"})).ended(200);
    send(&carol).ended(502);
    let seen = scene.api.get("/connections/Orders").ended(200).json();
    assert_eq!(seen["missing-permission"], json!({"user": "carol", "principal": "legacy"}));
    assert_eq!(seen["status"], "inactive");
}

#[test]
fn a_connection_is_made_only_on_what_can_be_used() {
    let scene = Scene::http();
    let set = set_up(&scene, "legacy");
    assert_eq!(set["warnings"], Value::Null);
    let words = |name: &str, on: &str| {
        let refused = connect(&scene.api, name, on).ended(422).json();
        assert_eq!(wrong_fields(&refused), ["named-credential"], "{refused:#}");
        refused["problems"][0]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(words("a", "nowhere"), "there is no named credential `nowhere`");
    put(&scene.api, "/setup/named-credentials/legacy", &json!({"enabled": false})).ended(200);
    assert_eq!(words("a", "legacy"), "the named credential `legacy` is disabled");
    put(&scene.api, "/setup/named-credentials/legacy", &json!({"enabled": true})).ended(200);
    put(&scene.api, "/setup/principals/second", &json!({"external-credential": "legacy"})).ended(200);
    assert_eq!(words("a", "legacy"), "the named credential `legacy` has 2 principals; it takes exactly one");
    delete(&scene.api, "/setup/principals/second").ended(204);
    assert_eq!(connect(&scene.api, "Orders", "Legacy ").ended(201).json()["status"], "active");
    // With connections on it, a second one would break them all.
    let second = put(&scene.api, "/setup/principals/second", &json!({"external-credential": "legacy"}));
    assert_eq!(wrong_fields(&second.ended(422).json()), ["external-credential"]);

    // Set up piece by piece, by other names: it works, and says what departs from convention.
    put(&scene.api, "/setup/external-credentials/parts", &json!({"protocol": "basic"})).ended(200);
    let other = json!({"url": scene.upstream.origin(), "external-credential": "parts"});
    let seen = put(&scene.api, "/setup/named-credentials/other", &other).ended(200).json();
    assert!(seen["warnings"][0].as_str().unwrap().contains("by convention both have one name"), "{seen:#}");
    assert_eq!(words("b", "other"), "the named credential `other` has no principal; it takes exactly one");
    put(&scene.api, "/setup/principals/parts", &json!({})).ended(200);
    assert_eq!(words("b", "other"), "the named credential `other` is not authenticated");
    let half = json!({"settings": {"username": "robot"}});
    assert_eq!(wrong_fields(&put(&scene.api, "/setup/principals/parts", &half).ended(422).json()), ["password"]);
    let whole = json!({"settings": {"username": "robot"}, "secrets": {"password": TOKEN}});
    put(&scene.api, "/setup/principals/parts", &whole).ended(200);
    assert_eq!(connect(&scene.api, "b", "other").ended(201).json()["status"], "active");

    // What comes from it is not asked a second time.
    let twice = json!({
        "name": "c", "connector": "http", "named-credential": "legacy", "protocol": "bearer",
        "settings": {"url": "https://elsewhere.example.com", "test-path": "/me"}, "secrets": {"token": "x"},
    });
    assert_eq!(wrong_fields(&scene.api.post("/connections", &twice).ended(422).json()), ["protocol", "url", "token"]);
}

#[test]
fn bad_setup_is_told_field_by_field_and_changes_nothing() {
    let scene = Scene::http();
    for (path, body, fields) in [
        ("named-credentials/x", json!({}), &["url", "external-credential"][..]),
        ("named-credentials/x", json!({"url": "ftp://x"}), &["url", "external-credential"]),
        ("named-credentials/X y", json!({"url": "https://a.example"}), &["name", "external-credential"]),
        ("external-credentials/x", json!({}), &["protocol"]),
        ("external-credentials/x", json!({"protocol": "digest"}), &["protocol"]),
        ("external-credentials/x", json!({"protocol": "custom-headers"}), &["headers"]),
        (
            "external-credentials/x",
            json!({"protocol": "custom-headers", "headers": [{"name": "Host", "value": "{a}"}]}),
            &["headers"],
        ),
        (
            "external-credentials/x",
            json!({"protocol": "custom-headers", "headers": [{"name": "X", "value": "{a"}]}),
            &["headers.X"],
        ),
        (
            "external-credentials/x",
            json!({"protocol": "custom-headers", "headers": [{"name": "X\r\nY", "value": "{a}"}]}),
            &["headers"],
        ),
        (
            "external-credentials/x",
            json!({"protocol": "oauth2", "settings": {
                "authorization-url": "https://u@login.example.com", "token-url": "login", "client-id": "a"}}),
            &["authorization-url", "token-url", "client-secret"],
        ),
        (
            "external-credentials/x",
            json!({"protocol": "aws-sigv4", "settings": {"regoin": "x"}}),
            &["region", "service", "regoin"],
        ),
        ("principals/x", json!({}), &["external-credential"]),
        ("permission-sets/x", json!({"permissions": [], "principals": ["nobody"]}), &["principals"]),
    ] {
        let answer = put(&scene.api, &format!("/setup/{}", path.replace(' ', "%20")), &body).ended(422).json();
        assert_eq!(wrong_fields(&answer), fields, "{path} {body}: {answer:#}");
    }
    // Of three objects that are made together none is made alone.
    let bad = json!({"url": "nowhere", "credential": {"protocol": "none"}});
    put(&scene.api, "/setup/named-credentials/x", &bad).ended(422);
    for path in ["named-credentials", "principals", "external-credentials"] {
        assert_eq!(scene.api.get(&format!("/setup/{path}")).ended(200).json(), json!([]), "{path}");
    }
}

#[test]
fn what_is_stored_is_not_sent_elsewhere_by_a_change_of_address() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let moved = json!({"url": "https://elsewhere.example.com"});
    let refused = put(&scene.api, "/setup/named-credentials/legacy", &moved).ended(409).json();
    assert!(refused["type"].as_str().unwrap().ends_with("address-changed"), "{refused:#}");
    assert!(refused["hint"].as_str().unwrap().contains("--accept"), "{refused:#}");
    // Nor by a second named credential on the same external one.
    let second = json!({"url": "https://elsewhere.example.com", "external-credential": "legacy"});
    put(&scene.api, "/setup/named-credentials/second", &second).ended(409);
    // Nor by one that takes the place of the first.
    delete(&scene.api, "/setup/named-credentials/legacy").ended(204);
    put(&scene.api, "/setup/named-credentials/legacy", &second).ended(409);
    let back = json!({"url": scene.upstream.origin()});
    put(&scene.api, "/setup/named-credentials/legacy", &back).ended(200);
    let accepted = json!({"url": "https://elsewhere.example.com", "accept": true});
    put(&scene.api, "/setup/named-credentials/legacy", &accepted).ended(200);

    by_browser(&scene, "named");
    let token = json!({"settings": {"token-url": "https://elsewhere.example.com/token"}});
    let refused = put(&scene.api, "/setup/external-credentials/sso", &token).ended(422).json();
    assert_eq!(wrong_fields(&refused), ["client-secret"], "{refused:#}");
    let audit = scene.api.get("/audit?action=named-credential&limit=50").ended(200).json().to_string();
    assert!(audit.contains("elsewhere.example.com") && !audit.contains(TOKEN), "{audit}");
}

#[test]
fn named_credentials_outlive_a_restart_and_a_new_master_key() {
    let mut scene = Scene::http();
    set_up(&scene, "legacy");
    by_browser(&scene, "named");
    takes(&scene, "authorization", "Bearer token-of-ada");
    dance(&scene.api, "sso", "ada").ended(200);
    connect(&scene.api, "Signed", "sso").ended(201);
    scene.api.post("/host/rotate-key", &Value::Null).ended(200);
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    let tested = scene.api.post("/connections/Signed/test", &Value::Null).ended(200).json();
    assert_eq!(tested["status"], "active", "{tested:#}");
    takes(&scene, "authorization", &basic("robot"));
    assert_eq!(connect(&scene.api, "Orders", "legacy").ended(201).json()["status"], "active");
}

#[test]
fn a_command_on_the_data_directory_alone_does_the_same() {
    let scene = Scene::http();
    takes(&scene, "authorization", &basic("robot"));
    let world = World::allowing(BINARY, &[scene.upstream.origin()]);
    let component = turnbuckle_tests::components::path(BINARY, "http");
    world.run(&["connector", "install", component.to_str().unwrap()]).done();
    let url = scene.upstream.origin();
    let put = ["setup", "named-credential", "put", "legacy", "--url", &url, "--protocol", "basic"];
    let secret = ["--set", "username=robot", "--secret", "password=-"];
    world.run_with(TOKEN, &[&put[..], &secret].concat()).done();
    let create = ["connection", "create", "--connector", "http", "--name", "Orders", "--named-credential", "legacy"];
    world.run(&[&create[..], &["--set", "test-path=/me"]].concat()).done().shows("active");
    world.run(&["setup", "external-credential", "protocols"]).done().shows("custom-headers");
}

#[test]
fn things_of_different_kinds_may_have_one_name_and_keep_apart() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let provider = json!({
        "connector": "http", "protocol": "oauth2", "client-id": "app", "client-secret": "another secret",
        "settings": {"authorization-server": scene.upstream.origin()},
    });
    put(&scene.api, "/setup/identity-providers/legacy", &provider).ended(200);
    let legacy = opened(&scene, "legacy", &["legacy"]);
    assert_eq!(connect(&legacy, "legacy", "legacy").ended(201).json()["status"], "active");
    delete(&scene.api, "/setup/identity-providers/legacy").ended(204);
    legacy.get("/connections/legacy/send?url=/me").ended(200);
    delete(&legacy, "/connections/legacy").ended(204);
    delete(&scene.api, "/setup/named-credentials/legacy").ended(204);
    for path in ["principals", "external-credentials", "permission-sets", "users"] {
        scene.api.get(&format!("/setup/{path}/legacy")).ended(200);
    }
    // A principal is no connection, whatever its holder is to the host.
    let listed = scene.api.get("/connections").ended(200).json();
    assert_eq!(listed["items"], json!([]));
}
