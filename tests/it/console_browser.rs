//! The console in a real browser, walked by roles and names.

use std::path::{Path, PathBuf};

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::chromium::Window;
use turnbuckle_tests::upstream::Reply;

use crate::console::{link, pages};
use crate::oauth::Stage;
use crate::scene::{Scene, TOKEN, left_out, peers};

/// A browser in which the administrator of this scene is signed in. None, and words about it, where this machine has none.
pub(crate) fn entered(scene: &Scene, test: &str) -> Option<Window> {
    let Some(window) = Window::open() else {
        left_out(test, "chromium with chromium-driver");
        return None;
    };
    window.goto(&link(&scene.api));
    window.find("heading", "Integrations");
    Some(window)
}

pub(crate) fn axe(test: &str) -> Option<PathBuf> {
    let axe = peers().join("node_modules/axe-core/axe.min.js");
    if axe.is_file() {
        return Some(axe);
    }
    left_out(test, "axe-core in ~/.cache/turnbuckle-peers");
    None
}

pub(crate) fn drawings() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}

pub(crate) fn at(scene: &Scene, path: &str) -> String {
    format!("{}{path}", scene.server.url)
}

/// Puts a flow that uses this connection.
pub(crate) fn flow(scene: &Scene, connection: &str) {
    let uses = json!([{"connection": connection, "used-as": "action", "step": "read-orders"}]);
    let flow = json!({
        "name": "Nightly sync", "version": "12", "status": "active", "owner": "ada",
        "url": "https://flows.example.com/nightly", "uses": uses,
    });
    scene.api.send(Method::PUT, "/flows/nightly", &flow).ended(200);
}

#[test]
fn somebody_connects_a_system_changes_it_and_deletes_it() {
    let scene = Scene::http();
    let Some(window) = entered(&scene, "somebody_connects_a_system_changes_it_and_deletes_it") else { return };
    window.reads("A connection holds what it takes to reach one system");
    window.go("link", "New connection");
    window.go("link", "HTTP Any service with a REST interface");
    window.go("link", "Bearer token Keys and passwords");
    window.fill("Name", "Orders");
    window.fill("Base URL", &scene.upstream.origin());
    window.fill("Test path", "/me");
    window.fill("Token", TOKEN);
    window.go("button", "Create");
    window.find("heading", "Orders");
    window.reads("Orders is created and works");
    assert!(window.text().contains("The test passed") && window.text().contains("Active"), "{}", window.text());
    assert!(!window.script("document.documentElement.outerHTML").to_string().contains("canary"), "a secret is shown");

    window.go("button", "Test");
    window.reads("The test passed");
    window.click("link", "Edit");
    window.find("dialog", "Edit Orders");
    assert_eq!(window.value("Token"), "", "a stored secret is not shown");
    window.fill("Name", "All orders");
    window.go("button", "Save");
    window.find("heading", "All orders");
    window.reads("Saved");
    assert_eq!(scene.api.get("/connections/All%20orders").ended(200).json()["version"], 2);

    window.click("link", "Disable");
    window.find("dialog", "Disable All orders?");
    window.go("button", "Disable");
    window.reads("All orders is disabled");
    window.click("link", "Enable");
    window.go("button", "Enable");
    window.reads("All orders is enabled");

    window.click("link", "Delete");
    window.find("dialog", "Delete All orders?");
    window.go("button", "Delete");
    window.reads("All orders is deleted");
    assert_eq!(scene.api.get("/connections").json()["items"], json!([]));
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays() {
    let scene = Scene::http();
    let Some(window) = entered(&scene, "what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays") else {
        return;
    };
    window.goto(&at(&scene, "/integrations/new/http?protocol=bearer"));
    window.fill("Name", "");
    window.fill("Base URL", "ftp://example.com/path");
    window.fill("Token", TOKEN);
    window.click("button", "Create");
    window.find("alert", "");
    window.reads("2 fields are wrong. Nothing was saved");
    assert!(window.focused().contains("2 fields are wrong"), "the summary has the keyboard: {}", window.focused());
    assert_eq!(window.value("Base URL"), "ftp://example.com/path");
    assert_eq!(window.value("Token"), TOKEN, "a secret stays in the browser that it was typed into");
    assert!(!scene.api.get("/connections").ended(200).text().contains("ftp"));
    let links = window.all("link", "");
    let leads = links.iter().find(|link| link.name.starts_with("Base URL:")).unwrap();
    window.click("link", &leads.name);
    window.until("the field", || (window.focused() == "field-url").then_some(()));

    window.click("button", "Show Token");
    let shown = window.script("document.getElementById('field-token').type");
    assert_eq!(shown, "text");
    window.click("button", "Hide Token");
    // Mended, and the credential is wrong: it is stored, and says how it stands.
    window.fill("Name", "Orders");
    window.fill("Base URL", &scene.upstream.origin());
    window.fill("Test path", "/me");
    window.fill("Token", "no-good-token");
    window.go("button", "Create");
    window.reads("The test did not pass");
    window.reads("answered 401");
    window.reads("Needs reconnect");

    window.click("link", "Reconnect");
    window.find("dialog", "Reconnect Orders");
    window.fill("Token", "still-no-good");
    window.click("button", "Reconnect");
    window.reads("The new credential did not pass");
    window.reads("The old credential stays in use");
    window.fill("Token", TOKEN);
    window.go("button", "Reconnect");
    window.reads("Orders is reconnected");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn a_connection_that_a_flow_uses_is_not_deleted_and_windows_close_by_key() {
    let scene = Scene::http();
    scene.connected("Orders");
    flow(&scene, "Orders");
    let Some(window) = entered(&scene, "a_connection_that_a_flow_uses_is_not_deleted_and_windows_close_by_key") else {
        return;
    };
    window.go("link", "Orders");
    window.find("link", "Nightly sync");
    window.click("link", "Delete");
    window.find("dialog", "Orders can't be deleted now");
    assert!(window.all("button", "Delete").is_empty(), "{}", window.text());
    window.press("Escape");
    window.until("the page without a window", || window.all("dialog", "").is_empty().then_some(()));
    assert_eq!(window.focused(), "Delete", "the keyboard is where it was");

    // It begins to be used while somebody looks at the window.
    scene.api.send(Method::DELETE, "/flows/nightly", &Value::Null).ended(204);
    window.click("link", "Delete");
    window.find("dialog", "Delete Orders?");
    flow(&scene, "Orders");
    window.fill("Type Orders to delete it", "Orders");
    window.click("button", "Delete");
    window.reads("Orders can't be deleted now");
    scene.api.get("/connections/Orders").ended(200);
    window.press("Escape");
    window.until("the page without a window", || window.all("dialog", "").is_empty().then_some(()));
    window.press("/");
    window.until("the search", || (window.focused() == "find").then_some(()));
}

#[test]
fn whoever_goes_on_as_a_window_closes_is_not_called_back() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Some(window) = entered(&scene, "whoever_goes_on_as_a_window_closes_is_not_called_back") else { return };
    window.go("link", "Orders");
    window.click("link", "Delete");
    window.find("dialog", "Delete Orders?");
    // Faster than any hand: the key comes before the page is told that its window is closed.
    window.script(
        "document.querySelector('dialog').close();
        document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}));",
    );
    window.until("the page without a window", || window.all("dialog", "").is_empty().then_some(()));
    assert_eq!(window.focused(), "find");
}

#[test]
fn two_who_edit_at_once_are_told_and_lose_nothing() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Some(window) = entered(&scene, "two_who_edit_at_once_are_told_and_lose_nothing") else { return };
    window.go("link", "Orders");
    window.click("link", "Edit");
    window.find("dialog", "Edit Orders");
    window.fill("Description", "mine");
    let edit = json!({"version": 1, "description": "theirs"});
    scene.api.send(Method::PATCH, "/connections/Orders", &edit).ended(200);
    window.click("button", "Save");
    window.reads("Somebody else was first");
    window.reads("Edited by administrator (description)");
    window.reads("Stored now: “theirs”.");
    assert_eq!(window.value("Description"), "mine");
    assert_eq!(scene.api.get("/connections/Orders").json()["description"], "theirs");
    window.go("button", "Save");
    window.reads("Saved");
    let now = scene.api.get("/connections/Orders").json();
    assert_eq!((&now["description"], &now["version"]), (&json!("mine"), &json!(3)));
}

#[test]
fn a_session_that_ends_in_the_middle_goes_on_where_it_was() {
    let mut scene = Scene::http();
    let Some(window) = entered(&scene, "a_session_that_ends_in_the_middle_goes_on_where_it_was") else { return };
    window.goto(&at(&scene, "/integrations/new/http?protocol=bearer"));
    window.fill("Name", "Half done");
    window.fill("Base URL", "https://api.example.com");
    window.fill("Token", TOKEN);
    // The session ends elsewhere: its user is switched off and on.
    let user = |enabled: bool| {
        scene.api.send(Method::PUT, "/setup/users/administrator", &json!({"enabled": enabled})).ended(200);
    };
    let second = json!({"permissions": ["manage-setup"]});
    scene.api.send(Method::PUT, "/setup/permission-sets/keepers", &second).ended(200);
    scene.api.send(Method::PUT, "/setup/users/keeper", &json!({"permission-sets": ["keepers"]})).ended(200);
    user(false);
    window.go("button", "Create");
    window.find("heading", "Sign in");
    user(true);
    window.goto(&link(&scene.api));
    window.find("heading", "New HTTP connection");
    assert_eq!((window.value("Name"), window.value("Token")), ("Half done".to_owned(), String::new()));
    assert_eq!(window.value("Base URL"), "https://api.example.com");
    // By a token, too.
    window.goto(&at(&scene, "/sign-in"));
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    let new = json!({"name": "desk", "user": "administrator"});
    let token = scene.api.post("/setup/tokens", &new).ended(201).json();
    window.goto(&at(&scene, "/setup"));
    window.fill("Or paste a token", token["token"].as_str().unwrap());
    window.go("button", "Sign in");
    window.find("heading", "Setup");
}

#[test]
fn a_person_signs_in_at_a_service_and_comes_back() {
    let test = "a_person_signs_in_at_a_service_and_comes_back";
    let Some(stage) = Stage::set(test) else { return };
    let made = stage.api.post("/connections", &stage.waiting("CRM")).ended(201).json();
    let Some(window) = Window::open() else { return left_out(test, "chromium with chromium-driver") };
    window.goto(&link(&stage.api));
    window.go("link", "CRM");
    window.reads("Nobody has signed in yet");
    // By a page in between, which the policy of forms does not stand against.
    window.go("button", "Sign in");
    window.until("the service", || window.url().starts_with(stage.oidc.origin()).then_some(()));
    let submit = |fields: &str| {
        window.until("a form", || (window.script("!!document.querySelector('form')") == json!(true)).then_some(()));
        window.script("void (window.before = true)");
        window.script(&format!("(() => {{ {fields}; document.querySelector('form').submit(); }})()"));
        window.arrived();
    };
    submit(
        "document.querySelector('[name=login]').value = 'ada'; document.querySelector('[name=password]').value = 'any'",
    );
    submit("0");
    window.find("heading", "CRM");
    window.reads("Signed in");
    window.reads("The test passed");
    assert!(window.url().ends_with(made["id"].as_str().unwrap()), "{}", window.url());
    assert_eq!(stage.view("CRM")["status"], "active");
}

#[test]
fn a_connector_that_says_markup_of_itself_is_words_on_every_page() {
    let scene = Scene::with(&["markup"]);
    let Some(window) = entered(&scene, "a_connector_that_says_markup_of_itself_is_words_on_every_page") else { return };
    let new = json!({
        "name": "<i>Mine</i> \u{202e}abc", "connector": "markup", "protocol": "token",
        "settings": {"url": scene.upstream.origin(), "note": "x".repeat(400)}, "secrets": {"token": TOKEN},
    });
    let made = scene.api.post("/connections", &new).ended(201).json();
    let flow = json!({
        "name": "<script>alert(6)</script>", "status": "active", "url": "javascript:alert(7)",
        "uses": [{"connection": made["id"], "used-as": "trigger", "step": "W".repeat(120)}],
    });
    // The embedder's own URL is judged by the host, or not: a page makes no link of it either way.
    let put = scene.api.send(Method::PUT, "/flows/odd", &flow);
    if put.status != 200 {
        let mut plain = flow;
        plain["url"] = Value::Null;
        scene.api.send(Method::PUT, "/flows/odd", &plain).ended(200);
    }
    let id = made["id"].as_str().unwrap();
    for (number, path) in [
        "/integrations".to_owned(),
        "/integrations/connectors".into(),
        "/integrations/new/markup".into(),
        "/connectors/markup".into(),
        format!("/connections/{id}"),
        format!("/connections/{id}/edit"),
        format!("/connections/{id}/delete"),
        "/audit".into(),
    ]
    .iter()
    .enumerate()
    {
        for (width, scheme) in [(1280, "light"), (768, "dark"), (360, "light")] {
            window.look(width, scheme);
            window.goto(&at(&scene, path));
            assert_eq!(window.overflow(), Vec::<String>::new(), "{path} at {width}");
            let foreign =
                "document.querySelectorAll('main b, main i, main script, main h1 h1, [onerror], [onfocus]').length";
            assert_eq!(window.script(foreign), 0, "{path}");
            window.draw(&drawings().join(format!("markup-{number}-{width}.png")));
        }
        assert!(!window.script("document.documentElement.outerHTML").to_string().contains("href=\\\"javascript"));
    }
    window.goto(&at(&scene, "/connectors/markup"));
    assert!(window.text().contains("<b>Bold</b> & \"Co\""), "{}", window.text());
    let drawn = window.script("(async () => { const icon = document.querySelector('img.logo'); await icon.decode(); return icon.naturalWidth > 0; })()");
    assert_eq!(drawn, true, "the icon is drawn");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn everything_works_without_a_script() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Some(window) = entered(&scene, "everything_works_without_a_script") else { return };
    window.scripts(false);
    window.goto(&at(&scene, "/integrations"));
    window.fill("Name", "ord");
    window.go("button", "Search");
    assert!(window.url().ends_with("?text=ord"), "{}", window.url());
    window.go("link", "Orders");
    window.go("link", "Edit");
    window.find("heading", "Edit Orders");
    window.fill("Base URL", "nowhere");
    window.go("button", "Save");
    window.reads("One field is wrong. Nothing was saved");
    window.fill("Base URL", &scene.upstream.origin());
    window.fill("Description", "by hand");
    window.go("button", "Save");
    window.reads("Saved");
    window.go("button", "Test");
    window.reads("The test passed");
    window.go("link", "Delete");
    window.go("button", "Delete");
    window.reads("Orders is deleted");
    window.goto(&at(&scene, "/integrations/connectors"));
    window.fill("Search", "rest");
    window.go("button", "Search");
    window.reads("1 of 1 connectors");
}

#[test]
fn lists_follow_what_is_typed_and_what_happens() {
    let scene = Scene::with(&["http", "github", "stripe"]);
    scene.connected("Orders");
    let Some(window) = entered(&scene, "lists_follow_what_is_typed_and_what_happens") else { return };
    window.goto(&at(&scene, "/integrations/connectors"));
    window.reads("3 of 3 connectors");
    window.fill("Search", "issues");
    window.reads("1 of 3 connectors");
    assert!(window.url().ends_with("?text=issues"), "it can be passed on: {}", window.url());
    window.goto(&at(&scene, "/integrations"));
    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    window.click("checkbox", "Choose Orders");
    window.go("button", "Test chosen");
    window.reads("0 of 1 tests passed");
    window.reads("One connection needs you");
    window.click("link", "Reconnect Orders");
    window.find("dialog", "Reconnect Orders");
    window.press("Escape");
    window.go("link", "Needs reconnect, remove this filter".trim_end_matches(", remove this filter"));
    assert!(window.url().ends_with("?status=needs-reconnect"), "{}", window.url());
    assert!(window.has("link", "Orders"));
    // A flow that begins to use it shows by itself.
    window.go("link", "Orders");
    window.reads("No flow uses this connection");
    flow(&scene, "Orders");
    window.find("link", "Nightly sync");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn every_page_can_be_read_by_everybody_at_every_width_and_by_day_and_night() {
    let test = "every_page_can_be_read_by_everybody_at_every_width_and_by_day_and_night";
    let scene = Scene::with(&["http", "github", "slack"]);
    let made = scene.connected("Orders");
    flow(&scene, "Orders");
    let bad = scene.bearer("Invoices of the whole group, with everything that belongs to them", "wrong-token");
    scene.api.post("/connections", &bad).ended(201);
    for name in ["github", "slack"] {
        scene.api.send(Method::PATCH, &format!("/connectors/{name}"), &json!({"featured": true})).ended(200);
    }
    let (Some(axe), Some(window)) = (axe(test), entered(&scene, test)) else { return };
    let mut all = pages(made["id"].as_str().unwrap());
    all.extend(["/sign-in?code=gone".to_owned(), "/connections/nowhere".to_owned()]);
    for path in all {
        let name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let name = name.replace(made["id"].as_str().unwrap(), "orders");
        for scheme in ["light", "dark"] {
            for width in [1280, 768, 360] {
                window.look(width, scheme);
                window.goto(&at(&scene, &path));
                assert_eq!(window.overflow(), Vec::<String>::new(), "{path} at {width}");
                window.draw(&drawings().join(format!("{}-{width}-{scheme}.png", name.trim_matches('-'))));
                if width != 768 {
                    assert_eq!(window.barriers(&axe), Vec::<String>::new(), "{path} at {width}, {scheme}");
                }
            }
        }
    }
    // A window above its page, too.
    window.look(1280, "dark");
    window.goto(&at(&scene, &format!("/connections/{}", made["id"].as_str().unwrap())));
    window.click("link", "Edit");
    window.find("dialog", "Edit Orders");
    assert_eq!(window.barriers(&axe), Vec::<String>::new(), "a window");
    assert_eq!(window.complaints(), Vec::<String>::new());
}
