//! The console says what a change would break before it is made.

use http::Method;
use serde_json::json;

use crate::console::Desk;
use crate::console_browser::{at, drawings, entered};
use crate::named::{connect, opened, set_up};
use crate::scene::{Scene, TOKEN};
use crate::upgrade::widened;
use crate::users::put;

fn leans(scene: &Scene, connection: &str) {
    let uses = json!([{"connection": connection, "used-as": "action"}]);
    put(&scene.api, "/flows/nightly", &json!({"name": "Nightly", "status": "active", "uses": uses})).ended(200);
}

#[test]
fn an_edit_is_asked_about_and_what_was_typed_stays() {
    let scene = Scene::http();
    let id = scene.connected("Orders")["id"].as_str().unwrap().to_owned();
    leans(&scene, "Orders");
    let mut desk = Desk::of(&scene);
    let page = format!("/connections/{id}/edit");
    let fields = [("name", "All orders"), ("description", "of all"), ("s.url", &scene.upstream.origin())];
    let asked = |more: &[(&'static str, &'static str)]| [&fields[..], more, &[("preview", "yes")]].concat();
    let told = desk.post(&page, &page, &asked(&[("s.test-path", "/me")])).ended(200).text();
    for words in
        ["No connection would break", "would be tested anew", "This would change: description, name.", "Nightly"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains("value=\"All orders\""), "it still stands in the form: {told}");
    assert_eq!(scene.api.get("/connections/Orders").ended(200).json()["version"], 1);

    let wrong = desk.post(&page, &page, &[("name", ""), ("preview", "yes")]).ended(422).text();
    assert!(wrong.contains("href=\"#own-name\""), "as a save says it: {wrong}");
    let stale = [&asked(&[])[..], &[("version", "7")]].concat();
    assert!(desk.post(&page, &page, &stale).ended(409).text().contains("Somebody else was first"));
    let secret = desk.post(&page, &page, &asked(&[("s.test-path", "/me"), ("x.token", "canary-of-a-preview")]));
    let secret = secret.ended(200).text();
    assert!(secret.contains("Type the secrets again") && !secret.contains("canary-of-a-preview"), "{secret}");
    assert_eq!(scene.api.get("/connections/Orders").ended(200).json()["version"], 1);
    assert!(!TOKEN.is_empty() && !secret.contains(TOKEN));
}

#[test]
fn a_change_of_rights_is_asked_about_and_the_removal_of_a_user_says_what_goes_with_it() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let bob = opened(&scene, "bob", &["legacy"]);
    connect(&bob, "Orders", "legacy").ended(201);
    leans(&scene, "Orders");
    let mut desk = Desk::of(&scene);
    let page = "/setup/permission-sets/bob";
    let told = desk.post(page, page, &[("label", "bob"), ("permission", "view-connections"), ("preview", "yes")]);
    let told = told.ended(200).text();
    for words in
        ["1 connection would break", "would lose its right", "Nightly", "could no longer: ", "Test connections"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    let page = "/setup/users/bob";
    let told = desk.post(page, page, &[("label", "bob"), ("set", "bob"), ("enabled", "false"), ("preview", "yes")]);
    assert!(told.ended(200).text().contains("would lose its right"));
    let page = "/setup/named-credentials/legacy/edit";
    let off = [("label", "legacy"), ("url", &*scene.upstream.origin()), ("enabled", "false"), ("preview", "yes")];
    let told = desk.post(page, page, &off).ended(200).text();
    assert!(told.contains("would stop working"), "{told}");
    let refused = desk.post("/setup/users/administrator", "/setup/users/administrator", &[("preview", "yes")]);
    assert!(refused.ended(409).text().contains("manage-setup"), "as a save is refused");

    let window = desk.get("/setup/users/bob/remove").ended(200).text();
    for words in ["1 connection would break", "A token of bob would be gone.", "would lose its right"] {
        assert!(window.contains(words), "{words}: {window}");
    }
    let tested = bob.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["status"], "active", "nothing of it was done: {tested:#}");
}

#[test]
fn the_page_of_an_upgrade_names_the_flows() {
    let scene = widened();
    leans(&scene, "Open");
    let plan = Desk::of(&scene).get("/connectors/upgradable/upgrade").ended(200).text();
    assert!(plan.contains("<bdi>Nightly</bdi>") && plan.contains("No flow"), "{plan}");
}

#[test]
fn a_person_asks_in_a_browser_then_saves() {
    let scene = Scene::http();
    let id = scene.connected("Orders")["id"].as_str().unwrap().to_owned();
    leans(&scene, "Orders");
    let Some(window) = entered(&scene, "a_person_asks_in_a_browser_then_saves") else { return };
    window.goto(&at(&scene, &format!("/connections/{id}")));
    window.click("link", "Edit");
    window.find("dialog", "Edit Orders");
    window.fill("Description", "of the shop");
    window.click("button", "Preview");
    window.reads("No connection would break");
    window.reads("This would change: description.");
    assert_eq!(window.value("Description"), "of the shop");
    window.draw(&drawings().join("preview-edit.png"));
    window.go("button", "Save");
    window.reads("of the shop");
    assert_eq!(window.complaints(), Vec::<String>::new());

    window.goto(&at(&scene, "/setup/permission-sets/administrators"));
    window.click("checkbox", "Read the audit");
    window.click("button", "Preview");
    window.reads("could no longer: Read the audit.");
    window.draw(&drawings().join("preview-set.png"));
    assert_eq!(window.complaints(), Vec::<String>::new());
    let set = scene.api.send(Method::GET, "/setup/permission-sets/administrators", &json!(null)).ended(200).json();
    assert!(set["permissions"].as_array().unwrap().contains(&json!("view-audit")), "{set:#}");
}
