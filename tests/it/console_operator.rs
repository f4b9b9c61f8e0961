//! What operators do in the console: connectors, identity providers, who may what.

use http::Method;
use serde_json::json;
use turnbuckle_tests::components;

use crate::console::{Desk, csrf};
use crate::scene::{BINARY, Scene, TOKEN};
use crate::upgrade::widened;

#[test]
fn a_component_shows_what_it_asks_for_before_it_is_installed() {
    let scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let csrf = csrf(&desk.get("/connectors/install").ended(200).text());
    let component = components::read(BINARY, "github");
    let upload = |csrf: &str, component: &[u8]| {
        let mut body = format!("--b\r\ncontent-disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n--b\r\ncontent-disposition: form-data; name=\"component\"; filename=\"c.wasm\"\r\ncontent-type: application/wasm\r\n\r\n").into_bytes();
        body.extend_from_slice(component);
        body.extend_from_slice(b"\r\n--b--\r\n");
        body
    };
    let cookie = desk.browser.cookies(&scene.server.url);
    let headers = [("cookie", cookie.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    let api = turnbuckle_tests::api::Api::new(&scene.server.url, None);
    let send = |body: Vec<u8>| api.raw(Method::POST, "/connectors/install", &headers, body.into());
    send(upload("forged", &component)).ended(403);
    let wrong = send(upload(&csrf, b"no component")).ended(422).text();
    assert!(wrong.contains("This can&#39;t be saved as it is") && !wrong.contains("may do nothing"), "{wrong}");
    let page = send(upload(&csrf, &component)).ended(200).text();
    assert!(page.contains("GitHub") && page.contains("what you enter as “url”"), "{page}");
    scene.api.get("/connectors/github").ended(404);
    let digest = page.split("name=\"digest\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let done = desk.post("/connectors/install", "/connectors/install", &[("digest", &digest)]);
    assert!(desk.after(&done).contains("is installed"));
    scene.api.get("/connectors/github").ended(200);
    let gone = desk.post("/connectors/install", "/connectors/install", &[("digest", &digest)]).ended(422).text();
    assert!(gone.contains("no longer here"), "{gone}");
}

#[test]
fn an_operator_lets_somebody_in_from_the_console() {
    let scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let sets = "/setup/permission-sets/+";
    let wrong = desk.post(sets, sets, &[("name", "No Name!"), ("label", "x")]).ended(422).text();
    assert!(wrong.contains("One field is wrong") && wrong.contains("href=\"#own-name\""), "{wrong}");
    let fields = [("name", "viewers"), ("label", "Viewers"), ("permission", "view-connections")];
    let done = desk.post(sets, sets, &fields);
    assert!(desk.after(&done).contains("The permission set viewers is saved"));
    let done =
        desk.post("/setup/users/+", "/setup/users/+", &[("name", "vera"), ("set", "viewers"), ("enabled", "true")]);
    assert!(desk.after(&done).contains("The user vera is saved"));
    let token = desk.post("/setup/tokens/+", "/setup/tokens/+", &[("name", "v"), ("user", "vera"), ("days", "7")]);
    let text = token.ended(200).text();
    let token = text.split("aria-label=\"Token\">").nth(1).unwrap().split('<').next().unwrap();
    let vera = turnbuckle_tests::api::Api::new(&scene.server.url, Some(token));
    assert_eq!(vera.get("/whoami").ended(200).json()["permissions"], json!(["view-connections"]));
    let refused = desk.post("/setup/users/administrator", "/setup/users/administrator", &[("label", "A")]).ended(409);
    assert!(refused.text().contains("manage-setup"), "the last administrator stays: {}", refused.text());
    let done = desk.post("/setup/tokens/v/remove", "/setup/tokens/v/remove", &[]);
    desk.after(&done);
    vera.get("/whoami").ended(401);
}

#[test]
fn an_operator_looks_after_connectors_from_the_console() {
    let scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let page = "/connectors/http";
    let done = desk.post(page, page, &[("do", "feature")]);
    assert!(desk.after(&done).contains("HTTP stands under Get started"));
    assert!(desk.get("/integrations").ended(200).text().contains("/integrations/new/http"));
    let done = desk.post(page, page, &[("do", "disable")]);
    desk.after(&done);
    let closed = desk.get("/integrations/new/http").ended(409).text();
    assert!(closed.contains("HTTP is switched off"), "{closed}");
    desk.post(page, page, &[("do", "anything")]).ended(422);
    let done = desk.post(page, page, &[("do", "enable")]);
    desk.after(&done);
    desk.get("/integrations/new/http").ended(200);

    scene.connected("Orders");
    let window = desk.get("/connectors/http/remove").ended(200).text();
    assert!(window.contains("One connection uses it"), "{window}");
    let refused = desk.post("/connectors/http/remove", "/connectors/http/remove", &[]).ended(409).text();
    assert!(refused.contains("<bdi>Orders</bdi>"), "it says what stands in the way: {refused}");
    crate::users::delete(&scene.api, "/connections/Orders").ended(204);
    let done = desk.post("/connectors/http/remove", "/connectors/http/remove", &[]);
    assert!(desk.after(&done).contains("http is removed"));
}

#[test]
fn an_upgrade_shows_what_changes_before_anything_moves() {
    let scene = widened();
    let mut desk = Desk::of(&scene);
    let page = "/connectors/upgradable/upgrade";
    let plan = desk.get(page).ended(200).text();
    for words in ["https://telemetry.example.net", "field <bdi>token.tenant</bdi>", "protocol <bdi>retired</bdi>"] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    assert!(plan.contains("tenant: tenant is required"), "{plan}");
    // Wider reach takes a word of its own.
    let refused = desk.post(page, page, &[("to", "2.0.0")]).ended(409).text();
    assert!(refused.contains("telemetry.example.net"), "{refused}");
    let done = desk.post(page, page, &[("to", "2.0.0"), ("accept", "true")]);
    let told = desk.after(&done);
    assert!(told.contains("One connection moved to 2.0.0") && told.contains("Not moved: "), "{told}");
    assert_eq!(scene.api.get("/connections/Open").json()["connector"]["version"], "2.0.0");
    assert_eq!(scene.api.get("/connections/Token").json()["connector"]["version"], "1.0.0");
    desk.post(page, page, &[("to", "two")]).ended(422);
}

#[test]
fn a_client_that_an_operator_registers_takes_its_fields_from_the_form() {
    let scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let add = "/setup/identity-providers/+";
    let fields = [
        ("name", "crm"),
        ("label", "Our CRM"),
        ("connector", "http oauth2"),
        ("client-id", "desk"),
        ("x.client-secret", TOKEN),
        ("settings", "url=https://crm.example.com\nauthorization-server=https://login.example.com\n"),
    ];
    let wrong = desk.post(add, add, &[("name", "crm"), ("client-id", "")]).ended(422).text();
    assert!(wrong.contains("Nothing was saved"), "{wrong}");
    let done = desk.post(add, add, &fields);
    assert!(desk.after(&done).contains("The identity provider crm is saved"));
    let shown = desk.get("/setup/identity-providers/crm").ended(200).text();
    assert!(shown.contains("/oauth/callback/crm") && !shown.contains("canary"), "{shown}");
    let new = desk.get("/integrations/new/http").ended(200).text();
    assert!(new.contains("OAuth 2.0 with Our CRM"), "{new}");
    let form = desk.get("/integrations/new/http?protocol=oauth2&identity-provider=crm").ended(200).text();
    assert!(form.contains("name=\"identity-provider\" value=\"crm\"") && !form.contains("Client secret"), "{form}");
    let done = desk.post(
        "/integrations/new/http?protocol=oauth2&identity-provider=crm",
        "/integrations/new/http",
        &[("protocol", "oauth2"), ("identity-provider", "crm"), ("name", "CRM")],
    );
    assert!(desk.after(&done).contains("Nobody has signed in yet"));
    let kept = "/setup/identity-providers/crm/remove";
    let refused = desk.post(kept, kept, &[]).ended(409).text();
    assert!(refused.contains("<bdi>CRM</bdi>"), "{refused}");
}

#[test]
fn adding_what_is_there_already_changes_nothing_of_it() {
    let scene = Scene::http();
    let put = |path: &str, body: serde_json::Value| scene.api.send(Method::PUT, path, &body).ended(200);
    put("/setup/permission-sets/plain", json!({"permissions": ["view-connections"]}));
    put("/setup/users/ada", json!({"permission-sets": ["plain"], "enabled": false}));
    let client = json!({
        "connector": "http", "protocol": "oauth2", "client-id": "app", "client-secret": TOKEN,
        "settings": {"authorization-server": "https://login.example.com"},
    });
    put("/setup/identity-providers/login", client);
    let mut desk = Desk::of(&scene);
    for (kind, name, fields) in [
        ("permission-sets", "plain", &[("permission", "manage-setup")][..]),
        ("users", "Ada ", &[("enabled", "true")]),
        ("identity-providers", "login", &[("connector", "http oauth2"), ("client-id", "another")]),
    ] {
        let path = format!("/setup/{kind}/+");
        let there = format!("/setup/{kind}/{}", name.trim().to_lowercase());
        let before = scene.api.get(&there).ended(200).json();
        let form = [&[("name", name)], fields].concat();
        let refused = desk.post(&path, &path, &form).ended(422).text();
        assert!(refused.contains("s the name of another one already"), "{kind}: {refused}");
        assert_eq!(scene.api.get(&there).ended(200).json(), before, "{kind}");
    }
}
