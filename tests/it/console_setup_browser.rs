//! What is set up in the console, in a real browser, walked by roles and names.

use serde_json::{Value, json};
use turnbuckle_tests::receiver::Receiver;
use turnbuckle_tests::upstream::Reply;

use crate::console::link;
use crate::console_browser::{at, axe, drawings, entered};
use crate::named::{basic, connect, set_up, takes};
use crate::named_sign_in::by_browser;
use crate::scene::{Scene, TOKEN};
use crate::users::put;
use crate::webhooks::until;

#[test]
fn an_operator_sets_a_credential_up_opens_it_and_is_told_what_leans_on_it() {
    let test = "an_operator_sets_a_credential_up_opens_it_and_is_told_what_leans_on_it";
    let scene = Scene::http();
    takes(&scene, "authorization", &basic("robot"));
    let Some(window) = entered(&scene, test) else { return };
    window.goto(&at(&scene, "/setup"));
    window.go("link", "Add named credential");
    window.reads("How does it sign in?");
    window.script("void (window.before = true)");
    let ways = window.all("link", "");
    let basic_way = ways.iter().find(|way| way.name.starts_with("User name and password")).unwrap();
    window.click("link", &basic_way.name);
    window.arrived();
    window.find("heading", "Add named credential");
    window.fill("Name", "shop");
    window.fill("Address", "nowhere");
    window.fill("User name", "robot");
    window.fill("Password", TOKEN);
    window.click("button", "Save");
    window.reads("One field is wrong. Nothing was saved");
    assert_eq!(window.value("Password"), TOKEN, "a secret stays in the browser that it was typed into");
    window.fill("Address", &scene.upstream.origin());
    window.go("button", "Save");
    window.find("heading", "shop");
    for words in ["The named credential shop is saved", "Configured", "Authenticated", "Enabled"] {
        window.reads(words);
    }
    assert!(!window.script("document.documentElement.outerHTML").to_string().contains("canary"), "a secret is shown");

    put(&scene.api, "/setup/permission-sets/crew", &json!({"permissions": ["view-connections"]})).ended(200);
    window.goto(&at(&scene, "/setup"));
    window.click("link", "crew");
    window.find("dialog", "Permission set crew");
    window.click("checkbox", "shop, of shop: one for everybody");
    window.go("button", "Save");
    window.reads("The permission set crew is saved");
    assert_eq!(scene.api.get("/setup/permission-sets/crew").json()["principals"], json!(["shop"]));
    connect(&scene.api, "Orders", "shop").ended(201);

    window.goto(&at(&scene, "/setup/named-credentials/shop"));
    window.click("link", "Remove");
    window.find("dialog", "The named credential shop can't be removed now");
    window.find("link", "Orders");
    assert!(window.all("button", "Remove").is_empty(), "{}", window.text());
    window.press("Escape");
    window.until("the page without a window", || window.all("dialog", "").is_empty().then_some(()));
    window.click("link", "Remove shop");
    window.find("dialog", "The principal shop can't be removed now");
    window.press("Escape");
    window.until("the page without a window", || window.all("dialog", "").is_empty().then_some(()));

    crate::users::delete(&scene.api, "/connections/Orders").ended(204);
    window.click("link", "Remove");
    window.find("dialog", "Remove the named credential shop?");
    window.go("button", "Remove");
    window.reads("shop is removed");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn two_operators_at_once_are_told_in_the_window_and_lose_nothing() {
    let scene = Scene::http();
    put(&scene.api, "/setup/users/ada", &json!({"label": "Ada"})).ended(200);
    let Some(window) = entered(&scene, "two_operators_at_once_are_told_in_the_window_and_lose_nothing") else { return };
    window.goto(&at(&scene, "/setup"));
    window.click("link", "ada");
    window.find("dialog", "User ada");
    window.fill("Label", "Mine");
    put(&scene.api, "/setup/users/ada", &json!({"label": "Theirs"})).ended(200);
    window.click("button", "Save");
    window.reads("Somebody else was first");
    window.reads("Stored now: “Theirs”.");
    assert_eq!(window.value("Label"), "Mine");
    window.draw(&drawings().join("setup-conflict.png"));
    window.go("button", "Save");
    window.reads("The user ada is saved");
    assert_eq!(scene.api.get("/setup/users/ada").json()["label"], "Mine");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn a_webhook_that_is_gone_is_mended_in_the_browser() {
    let scene = Scene::http();
    let _gone = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(410));
    let Some(window) = entered(&scene, "a_webhook_that_is_gone_is_mended_in_the_browser") else { return };
    window.goto(&at(&scene, "/setup"));
    window.go("link", "Add webhook");
    window.fill("Name", "on-call");
    window.fill("Address", &format!("{}/hook", scene.upstream.origin()));
    window.click("checkbox", "A connection was created");
    window.click("button", "Save");
    window.reads("whsec_");
    window.go("link", "Done");
    window.find("heading", "on-call");
    assert!(!window.text().contains("whsec_"), "{}", window.text());
    scene.connected("A");
    until(&scene.api, "on-call", |view| view["enabled"] == false);
    window.goto(&at(&scene, "/setup/webhooks/on-call"));
    window.reads("The host switched it off");
    let back = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(204));
    window.click("link", "Enable");
    window.find("dialog", "Enable the webhook on-call?");
    window.go("button", "Enable");
    window.reads("The webhook on-call is enabled");
    window.go("button", "Try all again");
    window.reads("One delivery is tried again");
    assert_eq!(back.next().json()["data"]["name"], "A");
    window.click("link", "Replace secret");
    window.find("dialog", "Replace the secret of the webhook on-call?");
    window.click("button", "Replace");
    window.reads("whsec_");
    window.go("link", "Done");
    window.reads("signs besides; that ends");
    window.click("link", "Remove");
    window.find("dialog", "Remove the webhook on-call?");
    window.go("button", "Remove");
    window.reads("on-call is removed");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn pages_of_setup_can_be_read_by_everybody_at_every_width_and_by_day_and_night() {
    let test = "pages_of_setup_can_be_read_by_everybody_at_every_width_and_by_day_and_night";
    let scene = Scene::http();
    let hook = json!({"url": format!("{}/hook?{}", scene.upstream.origin(), "x".repeat(120))});
    put(&scene.api, "/webhooks/on-call", &hook).ended(201);
    let _gone = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(410));
    scene.connected("A");
    until(&scene.api, "on-call", |view| view["enabled"] == false);
    by_browser(&scene, "per-user");
    set_up(&scene, "shop");
    connect(&scene.api, "Orders", "shop").ended(201);
    let set = json!({"permissions": ["view-connections"], "principals": ["shop", "sso"]});
    put(&scene.api, "/setup/permission-sets/crew", &set).ended(200);
    let (Some(axe), Some(window)) = (axe(test), entered(&scene, test)) else { return };
    for path in [
        "/setup",
        "/setup/named-credentials/+/edit",
        "/setup/named-credentials/+/edit?protocol=basic",
        "/setup/named-credentials/+/edit?protocol=custom-headers&kind=per-user",
        "/setup/named-credentials/shop",
        "/setup/named-credentials/shop/edit",
        "/setup/named-credentials/shop/remove",
        "/setup/named-credentials/sso",
        "/setup/external-credentials/sso",
        "/setup/external-credentials/sso/edit",
        "/setup/principals/shop",
        "/setup/principals/+?external-credential=shop",
        "/setup/permission-sets/crew",
        "/setup/webhooks/+/edit",
        "/setup/webhooks/on-call",
        "/setup/webhooks/on-call/enable",
        "/setup/webhooks/on-call/rotate",
        "/principals/sso",
        "/principals/shop",
    ] {
        let name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        for scheme in ["light", "dark"] {
            for width in [1280, 768, 360] {
                window.look(width, scheme);
                window.goto(&at(&scene, path));
                assert_eq!(window.overflow(), Vec::<String>::new(), "{path} at {width}");
                window.draw(&drawings().join(format!("{}-{width}-{scheme}.png", name.trim_matches('-'))));
                if width != 768 {
                    assert_eq!(window.barriers(&axe), Vec::<String>::new(), "{path} at {width}, {scheme}");
                }
            }
        }
    }
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn a_form_of_setup_goes_on_where_it_was_after_signing_in_again() {
    let scene = Scene::http();
    put(&scene.api, "/setup/permission-sets/crew", &json!({"permissions": ["view-connections"]})).ended(200);
    let test = "a_form_of_setup_goes_on_where_it_was_after_signing_in_again";
    let Some(window) = entered(&scene, test) else { return };
    window.goto(&at(&scene, "/setup/permission-sets/crew"));
    window.fill("Label", "");
    window.click("checkbox", "See connections, without secrets");
    window.click("checkbox", "Read the audit");
    // The session ends elsewhere: its user is switched off and on.
    let switch = |enabled: bool| put(&scene.api, "/setup/users/administrator", &json!({"enabled": enabled})).ended(200);
    put(&scene.api, "/setup/permission-sets/keepers", &json!({"permissions": ["manage-setup"]})).ended(200);
    put(&scene.api, "/setup/users/keeper", &json!({"permission-sets": ["keepers"]})).ended(200);
    switch(false);
    window.go("button", "Save");
    window.find("heading", "Sign in");
    switch(true);
    window.goto(&link(&scene.api));
    window.find("heading", "Permission set crew");
    assert_eq!(window.value("Label"), "");
    let ticked = "Array.from(document.querySelectorAll('[name=permission]:checked'), (box) => box.value)";
    assert_eq!(window.script(ticked), json!(["view-audit"]));
    window.go("button", "Save");
    window.reads("The permission set crew is saved");
    let set = scene.api.get("/setup/permission-sets/crew").ended(200).json();
    assert_eq!((&set["permissions"], &set["label"]), (&json!(["view-audit"]), &json!("crew")));
    assert_ne!(set["version"], Value::Null);
}
