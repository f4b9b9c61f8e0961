//! What a change would do is told before it is made: which connections and flows would break. Nothing comes of the asking.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};

use crate::events::all;
use crate::named::{connect, opened, set_up};
use crate::scene::{Scene, TOKEN, wrong_fields};
use crate::upgrade::widened;
use crate::users::{delete, put, user};

/// Asks what this change would do.
fn would(api: &Api, method: Method, path: &str, body: &Value) -> Answer {
    api.send(method, &format!("{path}?dry-run=true"), body)
}

/// Everything that a change could leave a trace in.
fn everything(scene: &Scene) -> Value {
    let get = |path: &str| scene.api.get(path).ended(200).json();
    json!({
        "connections": get("/connections"),
        "connectors": get("/connectors"),
        "flows": get("/flows"),
        "history": get("/connections/Orders/history"),
        "sets": get("/setup/permission-sets"),
        "users": get("/setup/users"),
        "tokens": get("/setup/tokens"),
        "named": get("/setup/named-credentials"),
        "principals": get("/setup/principals"),
        "external": get("/setup/external-credentials"),
        "providers": get("/setup/identity-providers"),
        "events": all(&scene.api),
        "audit": get("/audit?limit=200"),
        "sent": scene.upstream.arrived().len(),
    })
}

/// Name, effect, whether it breaks, and the flows of each connection of a preview.
fn rows(preview: &Value) -> Vec<Value> {
    let row = |row: &Value| json!([row["name"], row["effect"], row["breaks"], row["flows"]]);
    preview["connections"].as_array().unwrap().iter().map(row).collect()
}

fn nightly() -> Value {
    json!([{"id": "nightly", "name": "Nightly", "status": "active"}])
}

/// A flow that leans on `Orders`.
fn leans(api: &Api) {
    let uses = json!([{"connection": "Orders", "used-as": "action", "step": "first"}]);
    put(api, "/flows/nightly", &json!({"name": "Nightly", "status": "active", "uses": uses})).ended(200);
}

#[test]
fn a_change_of_a_connection_says_what_would_break_and_changes_nothing() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.connected("Spare");
    leans(&scene.api);
    let before = everything(&scene);
    let ask = |method: Method, path: &str, body: &Value| would(&scene.api, method, path, body).ended(200).json();

    let disabled = ask(Method::POST, "/connections/Orders/disable", &json!({}));
    assert_eq!(rows(&disabled), [json!(["Orders", "disabled", true, nightly()])], "{disabled:#}");
    assert_eq!(disabled["connections"][0]["status"], "active", "as it stands: {disabled:#}");
    let deleted = ask(Method::DELETE, "/connections/spare", &Value::Null);
    assert_eq!(rows(&deleted), [json!(["Spare", "deleted", true, []])], "{deleted:#}");

    let edit = json!({"version": 1, "name": "All orders", "settings": {"test-path": "/elsewhere"}});
    let edited = ask(Method::PATCH, "/connections/Orders", &edit);
    assert_eq!(rows(&edited), [json!(["Orders", "tested", false, nightly()])], "{edited:#}");
    assert_eq!(edited["connections"][0]["reason"], "this would change: name, test-path");
    let hidden = ask(Method::PATCH, "/connections/Orders", &json!({"version": 1, "visibility": "private"}));
    let reason = hidden["connections"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("nobody but its owner") && reason.contains("would see it"), "{reason}");
    let same = ask(Method::PATCH, "/connections/Orders", &json!({"version": 1}));
    assert_eq!((rows(&same), same["notes"].as_array().unwrap().len()), (vec![], 1), "{same:#}");
    let already = ask(Method::POST, "/connections/Orders/enable", &json!({}));
    assert_eq!(already["notes"], json!(["the connection is switched on already"]));

    let closed = ask(Method::PATCH, "/connectors/http", &json!({"enabled": false}));
    assert_eq!(rows(&closed), Vec::<Value>::new());
    assert_eq!(closed["notes"][0], "no new connections could be made with http; those that are there would go on");
    assert_eq!(everything(&scene), before);

    // It happens as it was told.
    scene.api.post("/connections/Orders/disable", &json!({})).ended(200);
    let enabled = ask(Method::POST, "/connections/Orders/enable", &json!({}));
    assert_eq!(rows(&enabled), [json!(["Orders", "enabled", false, nightly()])]);
    let of_disabled = json!({"version": 2, "secrets": {"token": "another"}});
    let edited = ask(Method::PATCH, "/connections/Orders", &of_disabled);
    assert_eq!(rows(&edited), [json!(["Orders", "changed", false, nightly()])], "what is off is not tested");
}

#[test]
fn what_a_change_would_be_refused_is_refused_of_its_preview_in_the_same_words() {
    let scene = Scene::http();
    scene.connected("Orders");
    leans(&scene.api);
    user(&scene.server, "bob", &["view-connections"]);
    for (method, path, body, status) in [
        (Method::DELETE, "/connections/Orders", Value::Null, 409),
        (Method::PATCH, "/connections/Orders", json!({"version": 7, "name": "New"}), 412),
        (Method::PATCH, "/connections/Orders", json!({"version": 1, "settings": {"url": "nowhere"}}), 422),
        // A secret never follows an edit to another origin.
        (
            Method::PATCH,
            "/connections/Orders",
            json!({"version": 1, "settings": {"url": "https://elsewhere.example.com"}}),
            422,
        ),
        (Method::DELETE, "/connections/nowhere", Value::Null, 404),
        (Method::POST, "/connections/nowhere/disable", json!({}), 404),
        (Method::DELETE, "/connectors/http", Value::Null, 409),
        (Method::DELETE, "/connectors/nowhere", Value::Null, 404),
        (Method::PUT, "/setup/permission-sets/bob", json!({"principals": ["nowhere"]}), 422),
        (Method::DELETE, "/setup/permission-sets/bob", Value::Null, 409),
        (Method::PUT, "/setup/users/bob", json!({"permission-sets": ["nowhere"]}), 422),
        (Method::DELETE, "/setup/users/nowhere", Value::Null, 404),
        (Method::DELETE, "/setup/identity-providers/nowhere", Value::Null, 404),
        (Method::PUT, "/setup/named-credentials/new", json!({"url": "nowhere"}), 422),
    ] {
        let before = everything(&scene);
        let asked = would(&scene.api, method.clone(), path, &body).ended(status);
        assert_eq!(everything(&scene), before, "{method} {path}");
        let done = scene.api.send(method.clone(), path, &body).ended(status);
        assert_eq!(asked.json(), done.json(), "{method} {path}");
    }
}

#[test]
fn a_change_of_rights_says_whose_connections_would_stop_and_what_users_would_lose() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let bob = opened(&scene, "bob", &["legacy"]);
    connect(&bob, "Orders", "legacy").ended(201);
    leans(&bob);
    let before = everything(&scene);
    let ask = |method: Method, path: &str, body: &Value| would(&scene.api, method, path, body).ended(200).json();

    let closed = ask(Method::PUT, "/setup/permission-sets/bob", &json!({"principals": []}));
    assert_eq!(rows(&closed), [json!(["Orders", "loses-right", true, nightly()])], "{closed:#}");
    let reason = "no permission set of its owner `bob` opens the principal `legacy`";
    assert_eq!((&closed["connections"][0]["reason"], &closed["users"]), (&json!(reason), &json!([])));
    let reader = ask(Method::PUT, "/setup/permission-sets/bob", &json!({"permissions": ["view-connections"]}));
    let loses =
        json!([{"name": "bob", "gains": [], "loses": ["manage-connections", "use-connections", "manage-flows"]}]);
    assert_eq!((rows(&reader), &reader["users"]), (vec![], &loses), "{reader:#}");

    let everything_of_his = json!(["view-connections", "manage-connections", "use-connections", "manage-flows"]);
    let off = ask(Method::PUT, "/setup/users/bob", &json!({"enabled": false}));
    assert_eq!(rows(&off), [json!(["Orders", "loses-right", true, nightly()])], "{off:#}");
    assert_eq!(off["users"][0]["loses"], everything_of_his, "{off:#}");
    let removed = ask(Method::DELETE, "/setup/users/bob", &Value::Null);
    assert_eq!(rows(&removed), [json!(["Orders", "loses-right", true, nightly()])], "{removed:#}");
    assert_eq!(removed["notes"], json!(["a token of bob would be gone"]));
    let gains = ask(Method::PUT, "/setup/users/eve", &json!({"permission-sets": ["bob"]}));
    assert_eq!(gains["users"][0]["gains"], everything_of_his, "{gains:#}");

    let off = ask(Method::PUT, "/setup/named-credentials/legacy", &json!({"enabled": false}));
    assert_eq!(rows(&off), [json!(["Orders", "stops", true, nightly()])], "{off:#}");
    assert_eq!(off["connections"][0]["reason"], "the named credential `legacy` is disabled");
    let moved = json!({"url": "https://elsewhere.example.com", "accept": true});
    let moved = ask(Method::PUT, "/setup/named-credentials/legacy", &moved);
    assert_eq!(rows(&moved), [json!(["Orders", "changed", false, nightly()])], "{moved:#}");
    assert_eq!(moved["connections"][0]["reason"], "its requests would go to https://elsewhere.example.com");
    let secret = json!({"secrets": {"password": "another"}});
    let secret = ask(Method::PUT, "/setup/principals/legacy", &secret);
    assert_eq!(rows(&secret), [json!(["Orders", "changed", false, nightly()])], "{secret:#}");
    let labelled = ask(Method::PUT, "/setup/principals/legacy", &json!({"label": "Robot"}));
    assert_eq!(rows(&labelled), Vec::<Value>::new(), "a label breaks nothing");
    assert_eq!(everything(&scene), before);
    bob.post("/connections/Orders/test", &json!({})).ended(200);

    // It happens as it was told, and the way back is told too.
    put(&scene.api, "/setup/permission-sets/bob", &json!({"principals": []})).ended(200);
    let tested = bob.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["verdict"]["kind"], "forbidden", "{tested:#}");
    let back = ask(Method::PUT, "/setup/permission-sets/bob", &json!({"principals": ["legacy"]}));
    assert_eq!(rows(&back), [json!(["Orders", "resumes", false, nightly()])], "{back:#}");
}

#[test]
fn the_last_administrator_is_kept_in_a_preview_too_and_webhooks_that_would_fall_silent_are_named() {
    let scene = Scene::http();
    let removal = "/setup/users/administrator";
    let asked = would(&scene.api, Method::DELETE, removal, &Value::Null).ended(409).json();
    assert_eq!(asked["code"], "last-administrator", "{asked:#}");
    assert_eq!(asked, delete(&scene.api, removal).ended(409).json());
    let root = user(&scene.server, "root", &["manage-setup"]);
    put(&root, "/webhooks/hook", &json!({"url": scene.upstream.origin()})).ended(201);
    let preview = would(&scene.api, Method::DELETE, "/setup/users/root", &Value::Null).ended(200).json();
    let notes = json!(["a token of root would be gone", "the webhook hook would be switched off"]);
    assert_eq!(preview["notes"], notes);
    assert_eq!(root.get("/webhooks/hook").ended(200).json()["enabled"], true);
}

#[test]
fn what_is_private_to_others_or_not_to_be_seen_is_counted_and_never_named() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let bob = opened(&scene, "bob", &["legacy"]);
    connect(&bob, "Orders", "legacy").ended(201);
    leans(&bob);
    let hidden = json!({"version": 1, "visibility": "private"});
    bob.send(Method::PATCH, "/connections/Orders", &hidden).ended(200);
    let seen = would(&scene.api, Method::PUT, "/setup/users/bob", &json!({"enabled": false})).ended(200);
    let counted = json!({"connections": 1, "breaking": 1, "flows": 1});
    assert_eq!((&seen.json()["connections"], &seen.json()["unnamed"]), (&json!([]), &counted));
    assert!(!seen.text().contains("Orders"), "{}", seen.text());
    let own = would(&bob, Method::POST, "/connections/Orders/disable", &json!({})).ended(200).json();
    assert_eq!(rows(&own), [json!(["Orders", "disabled", true, nightly()])], "its owner sees it: {own:#}");

    // In the words for what is nowhere.
    let ada = user(&scene.server, "ada", &["manage-connections"]);
    for (method, path) in [
        (Method::POST, "/connections/Orders/disable"),
        (Method::DELETE, "/connections/Orders"),
        (Method::PATCH, "/connections/Orders"),
    ] {
        let there = would(&ada, method.clone(), path, &json!({"version": 2})).ended(404);
        let nowhere = would(&ada, method, &path.replace("Orders", "nowhere"), &json!({"version": 2})).ended(404);
        assert_eq!(there.text().replace("Orders", "nowhere"), nowhere.text());
    }

    // Whoever may see no flows hears how many there are.
    bob.send(Method::PATCH, "/connections/Orders", &json!({"version": 2, "visibility": "shared"})).ended(200);
    let blind = would(&ada, Method::POST, "/connections/Orders/disable", &json!({})).ended(200);
    assert_eq!(rows(&blind.json()), [json!(["Orders", "disabled", true, []])]);
    assert_eq!(blind.json()["unnamed"], json!({"connections": 0, "breaking": 0, "flows": 1}));
    assert!(!blind.text().contains("Nightly"), "{}", blind.text());
}

#[test]
fn a_preview_takes_the_permission_of_its_change_and_a_misspelt_word_makes_none() {
    let scene = Scene::http();
    scene.connected("Orders");
    let eve = user(&scene.server, "eve", &["view-connections"]);
    for (method, path, body) in [
        (Method::POST, "/connections/Orders/disable", json!({})),
        (Method::DELETE, "/connections/Orders", Value::Null),
        (Method::PATCH, "/connections/Orders", json!({"version": 1})),
        (Method::PATCH, "/connectors/http", json!({"enabled": false})),
        (Method::DELETE, "/connectors/http", Value::Null),
        (Method::PUT, "/setup/permission-sets/eve", json!({"permissions": ["manage-setup"]})),
        (Method::DELETE, "/setup/users/eve", Value::Null),
        (Method::PUT, "/setup/principals/any", json!({})),
    ] {
        let asked = would(&eve, method.clone(), path, &body).ended(403);
        assert_eq!(asked.text(), eve.send(method.clone(), path, &body).ended(403).text(), "{method} {path}");
        let before = everything(&scene);
        for query in ["?dryrun=true", "?dry-run=perhaps", "?dry_run=true"] {
            let wrong = scene.api.send(method.clone(), &format!("{path}{query}"), &body).ended(422).json();
            assert_eq!(wrong_fields(&wrong).len(), 1, "{wrong:#}");
        }
        assert_eq!(everything(&scene), before, "{method} {path}");
    }
}

#[test]
fn an_upgrade_names_the_flows_that_lean_on_what_it_moves() {
    let scene = widened();
    let uses = json!([{"connection": "Token", "used-as": "trigger"}]);
    put(&scene.api, "/flows/nightly", &json!({"name": "Nightly", "status": "active", "uses": uses})).ended(200);
    let report = scene.api.post("/connectors/upgradable/upgrade", &json!({"dry-run": true})).ended(200).json();
    let flows = |name: &str| {
        let rows = report["connections"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap()["flows"].clone()
    };
    assert_eq!((flows("Token"), flows("Open")), (nightly(), json!([])), "{report:#}");
    scene.world.run(&["connector", "upgrade", "upgradable", "--dry-run"]).done().shows("Nightly");
}

#[test]
fn the_command_asks_first_too() {
    let scene = Scene::http();
    scene.connected("Orders");
    leans(&scene.api);
    set_up(&scene, "legacy");
    let bob = opened(&scene, "bob", &["legacy"]);
    connect(&bob, "Old orders", "legacy").ended(201);
    let before = everything(&scene);
    let run = |arguments: &[&str]| scene.world.run(&[arguments, &["--dry-run"]].concat());
    run(&["connection", "disable", "Orders"])
        .done()
        .shows("be disabled")
        .shows("Nightly (active)")
        .shows("1 connection would break, and 1 flow with it.")
        .says("nothing was changed; leave --dry-run out to do it");
    run(&["connection", "edit", "Orders", "--description", "all"]).done().shows("this would change: description");
    run(&["connection", "delete", "Orders"]).ended(5).says("in use by flow `Nightly`");
    run(&["connector", "disable", "http"]).done().shows("no new connections could be made with http");
    run(&["connector", "remove", "http"]).ended(5).says("in use by");
    run(&["setup", "permission-set", "put", "bob", "--no-principal"])
        .done()
        .shows("lose its right")
        .shows("1 connection would break; no flow that is named here leans on it.");
    run(&["setup", "permission-set", "remove", "bob"]).ended(5).says("in use by user `bob`");
    run(&["setup", "user", "put", "bob", "--disable"]).done().shows("use-connections");
    run(&["setup", "user", "remove", "bob"]).done().shows("a token of bob would be gone");
    run(&["setup", "named-credential", "put", "legacy", "--disable"]).done().shows("stop working");
    run(&["setup", "named-credential", "remove", "legacy"]).ended(5).says("in use by");
    run(&["setup", "principal", "remove", "legacy"]).ended(5).says("in use by");
    run(&["setup", "external-credential", "remove", "legacy"]).ended(5).says("in use by");
    assert_eq!(everything(&scene), before);

    let preview = scene.world.json(&["connection", "disable", "Orders", "--dry-run"]);
    assert_eq!(rows(&preview), [json!(["Orders", "disabled", true, nightly()])]);
    assert_eq!(
        scene.upstream.arrived().iter().filter(|arrived| arrived.header("authorization").contains(TOKEN)).count(),
        1
    );
}
