//! What people do in the console who look after many connections: they see what needs them, put lists in order, look what
//! happened, give connections away, and delete with care.

use std::fmt::Write as _;

use serde_json::{Value, json};
use turnbuckle_tests::upstream::Reply;

use crate::console::{Desk, link};
use crate::console_browser::{at, axe, drawings, entered, flow};
use crate::scene::{Scene, TOKEN, wrong_fields};
use crate::users::{WORKS, delete, put, user};

/// What stands in the first column of a page's rows.
fn names(page: &str) -> Vec<String> {
    let rows = page.split("<a class=\"strong\" href=\"/connections/").skip(1);
    rows.filter_map(|row| Some(row.split_once("<bdi>")?.1.split_once("</bdi>")?.0.to_owned())).collect()
}

/// Three connections that stand differently, by name: one that works, one to reconnect, one that is off.
fn three(scene: &Scene) {
    scene.connected("Amber");
    scene.api.post("/connections", &scene.bearer("Brown", "wrong-token")).ended(201);
    scene.connected("Coral");
    scene.api.post("/connections/Coral/disable", &Value::Null).ended(200);
}

#[test]
fn the_health_page_says_how_it_stands_and_who_may_pauses_it() {
    let scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let empty = desk.get("/health").ended(200).text();
    for words in
        ["There is no connection yet", "No webhook is set up", "Nothing waits", "No credential has to be renewed"]
    {
        assert!(empty.contains(words), "{words}: {empty}");
    }
    assert!(empty.contains("Running") && empty.contains("16 at once; to one origin 120 a minute and 100000 a day"));

    three(&scene);
    put(&scene.api, "/webhooks/shop", &json!({"url": format!("{}/hook", scene.upstream.origin())})).ended(201);
    let page = desk.get("/health").ended(200).text();
    assert!(page.contains("One connection needs you") && page.contains("/reconnect\" data-window"), "{page}");
    assert!(page.contains("href=\"/setup/webhooks/shop\"><bdi>shop</bdi></a>"), "{page}");
    assert!(page.contains("href=\"/integrations?status=needs-reconnect\""), "{page}");
    assert!(page.contains("<rect class=\"bad\" x=\"0\" width=\"333\""), "a third needs somebody: {page}");

    let done = desk.post("/health", "/health", &[("do", "pause")]);
    let paused = desk.after(&done);
    assert!(paused.contains("Checks are paused") && paused.contains("by administrator"), "{paused}");
    assert_eq!(scene.api.get("/health").json()["state"], "paused");
    desk.post("/health", "/health", &[("do", "stop")]).ended(422);
    let done = desk.post("/health", "/health", &[("do", "resume")]);
    assert!(desk.after(&done).contains("Checks go on"));
    assert_eq!(scene.api.get("/health").json()["state"], "running");

    // Whoever looks after connections alone sees how they stand, and neither the switch nor webhooks.
    let bob = user(&scene.server, "bob", &WORKS);
    let mut bobs = Desk::by(&scene.server.url, &link(&bob));
    let page = bobs.get("/health").ended(200).text();
    assert!(page.contains("One connection needs you") && !page.contains("Pause checks") && !page.contains("shop"));
    bobs.post("/health", "/health", &[("do", "pause")]).ended(403);
    let kim = user(&scene.server, "kim", &["manage-setup"]);
    let mut kims = Desk::by(&scene.server.url, &link(&kim));
    kims.get("/health").ended(403);
    assert_eq!(scene.api.get("/health").json()["state"], "running");
}

#[test]
fn what_is_renewed_next_and_what_bounds_it_stands_in_the_report() {
    let Some(stage) = crate::oauth::Stage::set("what_is_renewed_next_and_what_bounds_it_stands_in_the_report") else {
        return;
    };
    stage.connected("CRM");
    let health = stage.api.get("/health").ended(200).json();
    assert_eq!(health["renewals"][0]["name"], "CRM", "{health:#}");
    assert_eq!(health["renewals"][0]["connection"], stage.view("CRM")["id"]);
    assert_eq!(health["budget"], json!({"at-once": 16, "per-origin-per-minute": 120, "per-origin-daily": 100_000}),);
    assert_eq!(health["hours"].as_array().unwrap().len(), 24);
    let told = stage.world.run(&["health"]).done().out;
    assert!(told.contains("RENEWED NEXT") && told.contains("CRM"), "{told}");
    let mut desk = Desk::by(&stage.server.url, &link(&stage.api));
    let page = desk.get("/health").ended(200).text();
    assert!(page.contains("<caption class=\"hidden-words\">Renewals ahead"), "{page}");
}

#[test]
fn connections_are_listed_by_name_or_by_who_needs_somebody_most() {
    let scene = Scene::http();
    three(&scene);
    let listed = |query: &str| -> Vec<String> {
        let page = scene.api.get(&format!("/connections?{query}")).ended(200).json();
        page["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("sort=name"), ["Amber", "Brown", "Coral"]);
    assert_eq!(listed("sort=name-descending"), ["Coral", "Brown", "Amber"]);
    assert_eq!(listed("sort=need"), ["Brown", "Amber", "Coral"]);
    assert_eq!(listed("sort=need&status=disabled"), ["Coral"]);
    let mut found = Vec::new();
    let mut page = scene.api.get("/connections?sort=need&limit=1").ended(200).json();
    for _ in 0..3 {
        found.push(page["items"][0]["name"].clone());
        let Some(next) = page["next"].as_str() else { break };
        page = scene.api.get(&format!("/connections?sort=need&limit=1&cursor={next}")).ended(200).json();
    }
    assert_eq!(found, ["Brown", "Amber", "Coral"]);
    let cursor = scene.api.get("/connections?limit=1").json()["next"].as_str().unwrap().to_owned();
    scene.api.get(&format!("/connections?sort=need&cursor={cursor}")).ended(422);
    scene.api.get("/connections?sort=age").ended(422);
    let told = scene.world.run(&["connection", "list", "--sort", "need"]).done().out;
    assert!(told.find("Brown").unwrap() < told.find("Amber").unwrap(), "{told}");

    let mut desk = Desk::of(&scene);
    let page = desk.get("/integrations").ended(200).text();
    assert!(page.contains("aria-sort=\"ascending\"><a aria-label=\"Name, from the end\" href=\"/integrations?sort=name-descending\">Name"), "{page}");
    let page = desk.get("/integrations?sort=name-descending").ended(200).text();
    assert_eq!(names(&page), ["Coral", "Brown", "Amber"]);
    assert!(
        page.contains(
            "aria-sort=\"descending\"><a aria-label=\"Name, from the beginning\" href=\"/integrations?sort=name\">Name"
        ),
        "{page}"
    );
    let page = desk.get("/integrations?sort=need&text=r").ended(200).text();
    assert_eq!(names(&page), ["Brown", "Amber", "Coral"]);
    assert!(page.contains("aria-sort=\"descending\"><a aria-label=\"Status, by name again\" href=\"/integrations?text=r&#38;sort=name\">Status"), "{page}");
}

#[test]
fn those_that_were_ticked_are_tested_and_the_list_stays_as_it_was() {
    let scene = Scene::http();
    three(&scene);
    let id = |name: &str| scene.api.get(&format!("/connections/{name}")).json()["id"].as_str().unwrap().to_owned();
    let (amber, brown) = (id("Amber"), id("Brown"));
    let mut desk = Desk::of(&scene);
    let back = "text=r&sort=need";
    scene.upstream.forget();
    // One that stands there twice is tested once.
    let fields = [("back", back), ("id", amber.as_str()), ("id", brown.as_str()), ("id", amber.as_str())];
    let done = desk.post("/integrations", "/integrations", &fields);
    assert_eq!(done.header("location"), format!("/integrations?{back}"));
    assert!(desk.after(&done).contains("1 of 2 tests passed"));
    assert_eq!(scene.upstream.arrived().len(), 2);
    let many: Vec<String> = (0..51).map(|number| format!("c{number}")).collect();
    let many: Vec<_> = many.iter().map(|id| ("id", id.as_str())).collect();
    let refused = desk.post("/integrations", "/integrations", &many).ended(422).text();
    assert!(refused.contains("at most 50 are tested at a time"), "{refused}");
}

#[test]
fn a_connection_that_flows_once_used_is_deleted_by_whoever_types_its_name() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let path = format!("/connections/{}/delete", made["id"].as_str().unwrap());
    let mut desk = Desk::of(&scene);
    assert!(!desk.get(&path).ended(200).text().contains("Type Orders"), "no flow ever used it");
    flow(&scene, "Orders");
    let refused = desk.post(&path, &path, &[("name", "Orders")]).ended(409).text();
    assert!(refused.contains("Nightly sync"), "{refused}");
    delete(&scene.api, "/flows/nightly").ended(204);
    assert_eq!(scene.api.get("/connections/Orders").json()["once-used"], true);
    assert!(desk.get(&path).ended(200).text().contains("Flows used it before"), "it is said what it was");
    for (typed, words) in [("", "Type the name of the connection"), ("orders", "is called Orders, not orders")] {
        let refused = desk.post(&path, &path, &[("name", typed)]).ended(422).text();
        assert!(refused.contains(words), "{refused}");
    }
    desk.post(&path, &path, &[]).ended(422);
    scene.api.get("/connections/Orders").ended(200);
    let done = desk.post(&path, &path, &[("name", " Orders ")]);
    assert!(desk.after(&done).contains("Orders is deleted"));
    scene.api.get("/connections/Orders").ended(404);
}

#[test]
fn what_was_done_with_a_connection_can_be_looked_through() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let path = format!("/connections/{}/activity", made["id"].as_str().unwrap());
    scene.api.get("/connections/Orders/send?url=/me").ended(200);
    scene.api.get("/connections/Orders/send?url=/nowhere").ended(404);
    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    scene.api.post("/connections/Orders/test", &Value::Null).ended(200);
    let mut desk = Desk::of(&scene);
    let all = desk.get(&path).ended(200).text();
    for words in ["Tested", "Request sent", "Created", &scene.upstream.origin(), "administrator", "unauthorized"] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let rows = |page: &str| page.matches("<tr><td data-label=\"When\">").count();
    assert_eq!(rows(&all), 5);
    assert_eq!(rows(&desk.get(&format!("{path}?outcome=failed")).ended(200).text()), 1);
    assert_eq!(rows(&desk.get(&format!("{path}?action=connection.send")).ended(200).text()), 2);
    let nothing = desk.get(&format!("{path}?action=connection.send&outcome=refused")).ended(200).text();
    assert!(nothing.contains("Nothing that was done with it fits these filters"), "{nothing}");
    desk.get(&format!("{path}?action=flow.put")).ended(422);
    let problem = scene.api.get("/connections/Orders/activity?action=send").ended(422).json();
    assert_eq!(wrong_fields(&problem), ["action"]);
    let failed = scene.api.get("/connections/Orders/activity?outcome=failed").ended(200).json();
    assert_eq!(failed["items"].as_array().unwrap().len(), 1, "{failed:#}");
    let told = scene.world.run(&["connection", "activity", "Orders", "--action", "connection.send"]).done().out;
    assert!(told.contains("send") && !told.contains("test"), "{told}");
    // Pages of it hold together though little of it is wanted.
    let mut cursor = String::new();
    let mut sends = 0;
    for _ in 0..3 {
        let query = format!("/connections/Orders/activity?action=connection.send&limit=1{cursor}");
        let page = scene.api.get(&query).ended(200).json();
        sends += page["items"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        cursor.clear();
        write!(cursor, "&cursor={next}").unwrap();
    }
    assert_eq!(sends, 2);
}

#[test]
fn a_connection_is_given_away_in_a_window() {
    let scene = Scene::http();
    let ada = user(&scene.server, "ada", &WORKS);
    let bob = user(&scene.server, "bob", &WORKS);
    let made = ada.post("/connections", &scene.bearer("Orders", TOKEN)).ended(201).json();
    let page = format!("/connections/{}", made["id"].as_str().unwrap());
    let path = format!("{page}/transfer");
    let mut bobs = Desk::by(&scene.server.url, &link(&bob));
    assert!(!bobs.get(&page).ended(200).text().contains("/transfer"), "only its owner gives it away");
    bobs.get(&path).ended(403);
    let mut adas = Desk::by(&scene.server.url, &link(&ada));
    assert!(adas.get(&page).ended(200).text().contains("/transfer\" data-window"));
    for (to, words) in [("", "Choose who it goes to"), ("nobody", "No enabled user is named `nobody`")] {
        let refused = adas.post(&path, &path, &[("to", to), ("visibility", "shared")]).ended(422).text();
        assert!(refused.contains(words) && refused.contains("href=\"#own-to\""), "{refused}");
    }
    let done = adas.post(&path, &path, &[("to", "bob"), ("visibility", "private")]);
    assert_eq!(done.header("location"), "/integrations", "it is bob's alone");
    assert!(adas.after(&done).contains("Orders belongs to bob"));
    adas.get(&page).ended(404);
    let view = bob.get("/connections/Orders").ended(200).json();
    assert_eq!((&view["owner"], &view["visibility"]), (&json!("bob"), &json!("private")));
    let newest = bob.get("/connections/Orders/history").json()["items"][0].clone();
    assert_eq!((&newest["kind"], &newest["fields"]), (&json!("transferred"), &json!(["owner", "visibility"])));
    // Whoever looks after users chooses among them.
    bob.post("/connections/Orders/transfer", &json!({"to": "bob", "visibility": "shared"})).ended(200);
    let mut desk = Desk::of(&scene);
    let window = desk.get(&path).ended(200).text();
    assert!(window.contains("<option value=\"ada\">ada</option>") && !window.contains("<option value=\"bob\">"));
    let done = desk.post(&path, &path, &[("to", "ada"), ("visibility", "shared")]);
    assert!(desk.after(&done).contains("Orders belongs to ada"));
    let told = ["connection", "transfer", "Orders", "--to", "bob", "--visibility", "private"];
    scene.world.run(&told).done();
    ada.get("/connections/Orders").ended(404);
}

#[test]
fn the_chain_of_the_audit_is_verified_from_its_page() {
    let scene = Scene::http();
    scene.connected("Orders");
    let mut desk = Desk::of(&scene);
    let done = desk.post("/audit", "/audit", &[]);
    let page = desk.after(&done);
    let report = scene.api.get("/audit/verify").ended(200).json();
    assert_eq!(report["whole"], true);
    assert!(page.contains("The chain is whole") && page.contains("records are what they should be"), "{page}");
    let bob = user(&scene.server, "bob", &WORKS);
    let mut bobs = Desk::by(&scene.server.url, &link(&bob));
    let fields = [("csrf", crate::console::csrf(&bobs.get("/integrations").text()))];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bobs.browser.post(&format!("{}/audit", scene.server.url), &fields).ended(403);
}

#[test]
fn somebody_looks_after_connections_in_a_browser() {
    let test = "somebody_looks_after_connections_in_a_browser";
    let scene = Scene::http();
    three(&scene);
    user(&scene.server, "bob", &WORKS);
    flow(&scene, "Amber");
    let (Some(axe), Some(window)) = (axe(test), entered(&scene, test)) else { return };
    window.goto(&at(&scene, "/integrations"));
    window.go("link", "Status, those that need somebody first");
    let sorted = "document.querySelector('th[aria-sort]').innerText.trim()";
    assert!(window.script(sorted).as_str().unwrap().starts_with("Status"), "{}", window.script(sorted));
    window.click("checkbox", "Choose all on this page");
    assert_eq!(window.script("document.querySelectorAll('input[name=id]:checked').length"), 3);
    window.draw(&drawings().join("care-chosen.png"));
    window.go("button", "Test chosen");
    window.reads("1 of 3 tests passed");
    assert!(window.url().ends_with("?sort=need"), "{}", window.url());

    window.go("link", "Amber");
    window.click("link", "Transfer");
    window.find("dialog", "Transfer Amber");
    window.choose("New owner", "bob");
    assert_eq!(window.barriers(&axe), Vec::<String>::new(), "the window");
    window.draw(&drawings().join("care-transfer.png"));
    window.go("button", "Transfer");
    window.reads("Amber belongs to bob");
    window.go("link", "Activity");
    window.find("heading", "Activity of Amber");
    window.choose("What", "connection.test");
    window.until("fewer rows", || (!window.text().contains("Transferred\t")).then_some(()));

    delete(&scene.api, "/flows/nightly").ended(204);
    window.go("link", "Details");
    window.click("link", "Delete");
    window.find("dialog", "Delete Amber?");
    window.fill("Type Amber to delete it", "Ambre");
    window.click("button", "Delete");
    window.reads("is called Amber, not Ambre");
    assert_eq!(window.barriers(&axe), Vec::<String>::new(), "the window with what is wrong");
    window.draw(&drawings().join("care-delete.png"));
    window.fill("Type Amber to delete it", "Amber");
    window.go("button", "Delete");
    window.reads("Amber is deleted");

    window.go("link", "Health");
    window.go("button", "Pause checks");
    window.reads("Checks are paused");
    window.go("button", "Resume checks");
    window.reads("Checks go on");
    window.go("link", "Audit");
    window.go("button", "Verify chain");
    window.reads("The chain is whole");
    window.draw(&drawings().join("care-verified.png"));
    assert_eq!(window.complaints(), Vec::<String>::new());
}
