//! What is set up, as a text that is kept, compared and made so elsewhere.

use serde_json::{Value, json};
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::Reply;
use turnbuckle_tests::world::World;

use crate::scene::{BINARY, Scene, TOKEN, install, wrong_fields};
use crate::users::{WORKS, put, user};

/// A host with one of everything.
fn filled() -> Scene {
    let scene = Scene::http();
    let url = scene.upstream.origin();
    let provider = json!({
        "connector": "http", "protocol": "oauth2", "client-id": "https://app.example", "client-secret": TOKEN,
        "settings": {"authorization-server": url},
    });
    put(&scene.api, "/setup/identity-providers/login", &provider).ended(200);
    let credential = json!({"protocol": "basic", "settings": {"username": "robot"}, "secrets": {"password": TOKEN}});
    put(&scene.api, "/setup/named-credentials/legacy", &json!({"url": url, "credential": credential})).ended(200);
    let set = json!({"permissions": WORKS, "principals": ["legacy"]});
    put(&scene.api, "/setup/permission-sets/workers", &set).ended(200);
    put(&scene.api, "/setup/users/bob", &json!({"permission-sets": ["workers"]})).ended(200);
    scene.connected("Orders");
    let by_name =
        json!({"name": "By name", "connector": "http", "named-credential": "legacy", "settings": {"test-path": "/me"}});
    scene.api.post("/connections", &by_name).ended(201);
    scene
}

fn actions(report: &Value) -> Vec<(String, String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = report["rows"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "action"), text(row, "kind"), text(row, "name"))).collect()
}

#[test]
fn a_host_is_made_like_another_from_its_definitions_and_a_second_time_changes_nothing() {
    let scene = filled();
    let text = scene.world.run(&["export"]).done().out;
    assert!(text.starts_with("format = \"turnbuckle-definitions-1\"\n"), "{text}");
    for part in ["[[connections]]", "name = \"Orders\"", "secrets = [\"token\"]", "[[named-credentials]]", "[[users]]"]
    {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert_eq!(leaks::in_bytes(text.as_bytes(), TOKEN), Vec::<&str>::new());

    let other = World::allowing(BINARY, &[scene.upstream.origin()]);
    let file = other.file("host.toml", &text);
    let file = file.to_str().unwrap();
    // The connector itself is not in the text.
    other.run(&["import", file, "--dry-run"]).ended(5).shows("install it first");
    let component = turnbuckle_tests::components::path(BINARY, "http");
    other.run(&["connector", "install", component.to_str().unwrap()]).done();
    let planned = other.run(&["import", file, "--dry-run"]).ended(5);
    assert!(planned.out.contains("--secret 'connection/Orders/token=@FILE'"), "{}", planned.out);
    assert!(planned.out.contains("Nothing was done."), "{}", planned.out);
    assert_eq!(other.json(&["connection", "list"])["items"], json!([]));
    assert_eq!(other.json(&["setup", "named-credential", "list"]), json!([]));

    let key = other.file("token", TOKEN);
    let secrets: Vec<_> =
        ["connection/Orders/token", "principal/legacy/password", "identity-provider/login/client-secret"]
            .map(|name| format!("{name}=@{}", key.display()))
            .into_iter()
            .flat_map(|secret| ["--secret".to_owned(), secret])
            .collect();
    let mut import = vec!["import".to_owned(), file.to_owned(), "--output".into(), "json".into()];
    import.extend(secrets);
    let first = other.run(&import).done().json();
    assert!(actions(&first).iter().all(|row| row.0 == "create" || row.1 == "connector"), "{first:#}");
    assert_eq!(other.json(&["connection", "show", "Orders"])["status"], "active");

    let second = other.run(&["import", file, "--output", "json"]).done().json();
    assert!(actions(&second).iter().all(|row| row.0 == "keep"), "{second:#}");
    // Who set it up aside, both hosts say the same.
    assert_eq!(other.run(&["export"]).done().out, text);
}

#[test]
fn an_import_changes_what_differs_and_says_what() {
    let scene = filled();
    let mut definitions = scene.api.get("/host/definitions").ended(200).json();
    let orders = definitions["connections"].as_array_mut().unwrap().iter_mut().find(|one| one["name"] == "Orders");
    let orders = orders.unwrap();
    orders["description"] = json!("of the shop");
    orders["enabled"] = json!(false);
    definitions["named-credentials"][0]["enabled"] = json!(false);
    // A client id means what its service says, were it written like a URL.
    definitions["identity-providers"][0]["client-id"] = json!(" https://App.example ");
    let ask = |dry_run: bool| {
        let body = json!({"definitions": definitions, "dry-run": dry_run});
        scene.api.post("/host/definitions", &body).ended(200).json()
    };
    let planned = ask(true);
    let done = ask(false);
    assert_eq!(planned["rows"], done["rows"], "what was planned is what is done");
    let changed: Vec<_> = done["rows"].as_array().unwrap().iter().filter(|row| row["action"] != "keep").collect();
    assert_eq!(
        json!(changed),
        json!([
            {"kind": "identity-provider", "name": "login", "action": "change", "fields": ["client-id"]},
            {"kind": "named-credential", "name": "legacy", "action": "change", "fields": ["enabled"]},
            {"kind": "connection", "name": "Orders", "action": "change", "fields": ["description", "enabled"]},
        ])
    );
    let seen = scene.api.get("/connections/Orders").ended(200).json();
    assert_eq!((&seen["description"], &seen["status"]), (&json!("of the shop"), &json!("disabled")));
    let history = scene.api.get("/connections/Orders/history").ended(200).json();
    assert_eq!(history["items"][0]["kind"], "disabled", "each change is in its history");
    assert!(ask(false)["rows"].as_array().unwrap().iter().all(|row| row["action"] == "keep"));
}

#[test]
fn a_text_written_by_hand_leaves_defaults_out_and_writes_names_and_urls_in_any_case_and_settles_all_the_same() {
    let scene = Scene::http();
    let url = scene.upstream.origin();
    let shouted = url.to_uppercase();
    scene.upstream.on("POST", "/token", |_| Reply::json(200, &json!({"access_token": TOKEN, "expires_in": 3600})));
    let text = format!(
        r#"
format = "turnbuckle-definitions-1"

[[external-credentials]]
name = "api"
protocol = "oauth2-client-credentials"
settings = {{ token-url = "{url}/token" }}

[[principals]]
name = "api"
external-credential = "API"
secrets = ["client-secret"]
settings = {{ client-id = "robot" }}

[[named-credentials]]
name = "api"
url = " {shouted}/"
external-credential = "Api"

[[permission-sets]]
name = "callers"
permissions = ["use-connections"]
principals = ["Api"]

[[connections]]
name = "Shop"
connector = "http"
named-credential = "API"
settings = {{ test-path = "/me" }}
"#
    );
    let file = scene.world.file("host.toml", &text);
    let key = scene.world.file("secret", "hunter2");
    let secret = format!("principal/api/client-secret=@{}", key.display());
    let run = |besides: &[&str]| {
        let mut import = vec!["import", file.to_str().unwrap(), "--output", "json"];
        import.extend(besides);
        scene.world.run(&import)
    };
    // Without the secret nothing that leans on it is promised.
    let planned = run(&["--dry-run"]).ended(5).json();
    let of = |report: &Value| actions(report).into_iter().map(|(action, ..)| action).collect::<Vec<_>>();
    assert_eq!(of(&planned), ["create", "blocked", "create", "blocked", "create"], "{planned:#}");
    let made = run(&["--secret", &secret]).done().json();
    assert_eq!(of(&made), ["create"; 5], "{made:#}");
    assert_eq!(scene.api.get("/connections/Shop").ended(200).json()["status"], "active");
    assert_eq!(of(&run(&["--secret", &secret]).done().json()), ["keep"; 5]);
    assert_eq!(of(&run(&[]).done().json()), ["keep"; 5]);
}

#[test]
fn nobody_reads_or_makes_by_definitions_what_they_could_not_by_hand() {
    let scene = filled();
    let bob = user(&scene.server, "bob", &WORKS);
    let mut private = scene.bearer("Diary", TOKEN);
    private["visibility"] = json!("private");
    scene.api.post("/connections", &private).ended(201);
    let all = scene.api.get("/host/definitions").ended(200).json();
    let seen = bob.get("/host/definitions").ended(200).json();
    assert!(all.to_string().contains("Diary") && !seen.to_string().contains("Diary"));
    for part in ["users", "permission-sets", "principals", "named-credentials", "external-credentials"] {
        assert_eq!(seen[part], Value::Null, "{part}");
    }
    let mut wanted = all.clone();
    wanted["permission-sets"][0]["permissions"] = json!(["view-connections", "manage-setup"]);
    wanted["users"][0]["label"] = json!("Bob the great");
    wanted["connectors"][0]["enabled"] = json!(false);
    let report = bob.post("/host/definitions", &json!({"definitions": wanted})).ended(200).json();
    let row = |kind: &str, name: &str| {
        let mut rows = report["rows"].as_array().unwrap().iter();
        rows.find(|row| row["kind"] == kind && row["name"].as_str().unwrap().starts_with(name)).cloned().unwrap()
    };
    for (kind, name) in [("permission-set", ""), ("user", ""), ("connector", ""), ("named-credential", "legacy")] {
        let row = row(kind, name);
        assert!(["blocked", "keep"].contains(&row["action"].as_str().unwrap()), "{row:#}");
    }
    assert_eq!(row("connection", "Diary")["action"], "blocked");
    assert!(!row("connection", "Diary").to_string().contains("administrator"), "whose it is stays unsaid");
    assert_eq!(scene.api.get("/host/definitions").ended(200).json(), all);
}

#[test]
fn a_text_that_is_none_is_refused_as_a_whole() {
    let scene = Scene::http();
    let post = |body: &Value| scene.api.post("/host/definitions", body).ended(422).json();
    let format = "turnbuckle-definitions-1";
    for (body, field) in [
        (json!({"definitions": {"format": "terraform"}}), "definitions.format"),
        (json!({"definitions": {}}), "definitions.format"),
        (json!({"definitions": {"format": format, "connection": []}}), "definitions.connection"),
        (json!({"definitions": {"format": format, "connections": [{"name": 3}]}}), "definitions.connections[0].name"),
        (json!({"definitions": {"format": format}, "secrets": {"connection/X/token": "s"}}), "connection/X/token"),
    ] {
        assert_eq!(wrong_fields(&post(&body)), [field], "{body}");
    }
    let text = scene.world.file("bad.toml", "format = \n");
    scene.world.run(&["import", text.to_str().unwrap()]).ended(2).says("bad.toml");
    install(&scene.api, "github");
    assert_eq!(scene.api.get("/host/definitions").ended(200).json()["connectors"].as_array().unwrap().len(), 2);
}
