//! Connections by named credentials in the console.

use http::Method;
use serde_json::json;

use crate::console::{Desk, link};
use crate::named::{connect, set_up};
use crate::scene::{Scene, TOKEN};
use crate::users::{WORKS, put, user};

const NEW: &str = "/integrations/new/http";

#[test]
fn a_connection_is_made_by_a_named_credential_and_asks_nothing_that_comes_from_it() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    put(&scene.api, "/setup/named-credentials/legacy", &json!({"label": "The old shop"})).ended(200);
    set_up(&scene, "closed");
    put(&scene.api, "/setup/named-credentials/closed", &json!({"enabled": false})).ended(200);
    let mut desk = Desk::of(&scene);
    let ways = desk.get(NEW).ended(200).text();
    assert!(ways.contains("href=\"/integrations/new/http?named-credential=legacy\""), "{ways}");
    assert!(ways.contains("The old shop") && ways.contains(&scene.upstream.origin()), "{ways}");
    assert!(!ways.contains("named-credential=closed") && ways.contains("disabled"), "it says why not: {ways}");
    let closed = desk.get(&format!("{NEW}?named-credential=closed")).ended(200).text();
    assert!(!closed.contains("name=\"description\""), "nothing is asked for what can't be used");

    let page = format!("{NEW}?named-credential=legacy");
    let form = desk.get(&page).ended(200).text();
    assert!(form.contains("name=\"s.test-path\"") && !form.contains("name=\"s.url\""), "{form}");
    assert!(!form.contains("name=\"x.") && !form.contains("name=\"protocol\""), "{form}");
    let fields = [("named-credential", "legacy"), ("name", ""), ("s.test-path", "/me")];
    let wrong = desk.post(&page, NEW, &fields).ended(422).text();
    assert!(wrong.contains("One field is wrong") && wrong.contains("href=\"#own-name\""), "{wrong}");
    assert!(wrong.contains("name=\"named-credential\" value=\"legacy\"") && wrong.contains("value=\"/me\""), "{wrong}");
    let fields = [("named-credential", "closed"), ("name", "Orders"), ("s.test-path", "/me")];
    let gone = desk.post(&page, NEW, &fields).ended(422).text();
    assert!(gone.contains("The named credential `closed` is disabled"), "{gone}");
    assert_eq!(scene.api.get("/connections").json()["items"], json!([]));

    let fields = [("named-credential", "legacy"), ("name", "Orders"), ("s.test-path", "/me")];
    let made = desk.post(&page, NEW, &fields);
    let shown = desk.after(&made);
    assert!(shown.contains("Orders is created and works") && !shown.contains(TOKEN), "{shown}");
    let seen = scene.api.get("/connections/Orders").ended(200).json();
    assert_eq!((&seen["named-credential"], &seen["status"]), (&json!("legacy"), &json!("active")));
}

#[test]
fn a_connection_by_a_named_credential_says_so_and_offers_what_can_be_done_with_it() {
    let scene = Scene::http();
    set_up(&scene, "legacy");
    let bob = user(&scene.server, "bob", &WORKS);
    let made = connect(&bob, "Orders", "legacy").ended(201).json();
    let path = format!("/connections/{}", made["id"].as_str().unwrap());
    let missing = "No permission set of bob opens the principal legacy.";
    let mut desk = Desk::of(&scene);
    let shown = desk.get(&path).ended(200).text();
    assert!(
        shown.contains(
            "The named credential <a class=\"strong\" href=\"/setup/named-credentials/legacy\"><bdi>legacy</bdi></a>"
        ),
        "{shown}"
    );
    assert!(shown.contains(missing) && !shown.contains("/reconnect"), "{shown}");
    let mut bobs = Desk::by(&scene.server.url, &link(&bob));
    let his = bobs.get(&path).ended(200).text();
    assert!(his.contains("<strong><bdi>legacy</bdi></strong>") && !his.contains(missing), "{his}");
    assert!(!his.contains("href=\"/setup"), "{his}");

    let window = bobs.get(&format!("{path}/reconnect")).ended(200).text();
    assert!(
        window.contains("no credential of its own") && window.contains("That principal is closed to you"),
        "{window}"
    );
    assert!(!window.contains("action=\"/connections"), "nothing can be sent: {window}");
    let edit = format!("{path}/edit");
    let form = bobs.get(&edit).ended(200).text();
    assert!(form.contains("name=\"description\"") && form.contains("name=\"visibility\""), "{form}");
    assert!(!form.contains("name=\"s.") && !form.contains("name=\"x."), "{form}");
    let fields = [("version", "1"), ("name", "Old orders"), ("description", ""), ("visibility", "shared")];
    let saved = bobs.post(&edit, &edit, &fields);
    assert!(bobs.after(&saved).contains("Old orders"));

    scene.api.send(Method::PUT, "/setup/permission-sets/bob", &json!({"principals": ["legacy"]})).ended(200);
    let tested = desk.post(&edit, &format!("{path}/test"), &[]);
    let works = desk.after(&tested);
    assert!(works.contains("The test passed") && !works.contains(missing), "{works}");
}
