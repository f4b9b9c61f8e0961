//! Pages that follow what happens, and forms that lose nothing of what was typed.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Api, Followed};
use turnbuckle_tests::upstream::Reply;

use crate::console::{Desk, link};
use crate::console_browser::{at, drawings, entered, flow};
use crate::scene::{Scene, TOKEN};
use crate::users::{WORKS, put, user};

/// The number of changes that a page knows of.
fn seen(page: &str) -> u64 {
    let (_, rest) = page.split_once("data-seen=\"").unwrap_or_else(|| panic!("it follows nothing: {page}"));
    rest.split('"').next().unwrap().parse().unwrap()
}

fn follow(scene: &Scene, cookie: &str, query: &str, headers: &[(&str, &str)]) -> Followed {
    let mut all = vec![("cookie", cookie)];
    all.extend_from_slice(headers);
    Api::new(&scene.server.url, None).follow_raw(&format!("/live{query}"), &all)
}

#[test]
fn a_page_is_told_of_what_changes_for_as_long_as_its_session_lives() {
    let scene = Scene::http();
    scene.connected("Orders");
    let mut desk = Desk::of(&scene);
    let known = seen(&desk.get("/integrations").ended(200).text());
    let cookie = desk.browser.cookies(&scene.server.url);
    let mut page = follow(&scene, &cookie, &format!("?seen={known}"), &[("sec-fetch-site", "same-origin")]);
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/event-stream");
    assert_eq!(page.block().unwrap().comment, "following");
    scene.api.post("/connections/Orders/disable", &Value::Null).ended(200);
    let told = page.event().unwrap();
    assert_eq!(told.event, "changed");
    assert!(told.data.parse::<u64>().unwrap() > known && told.id == told.data, "{told:?}");
    assert!(!told.data.contains("Orders"), "a number, and nothing else");

    // Whoever comes back is told at once of what came in between.
    let mut back = follow(&scene, &cookie, "", &[("last-event-id", &known.to_string())]);
    assert_eq!(back.event().unwrap().event, "changed");

    desk.post("/integrations", "/sign-out", &[]).ended(303);
    for stream in [&mut page, &mut back] {
        // What happened before the end may be told before it.
        let over = std::iter::from_fn(|| stream.event()).find(|told| told.event == "over");
        assert!(over.is_some(), "it says that the session is over");
        assert_eq!(stream.block(), None, "and ends");
    }
    assert_eq!(follow(&scene, &cookie, "", &[]).status, 401);
}

#[test]
fn nobody_follows_who_may_not_see_connections_and_no_other_site_does() {
    let scene = Scene::http();
    scene.connected("Orders");
    let bob = user(&scene.server, "bob", &WORKS);
    let desk = Desk::by(&scene.server.url, &link(&bob));
    let cookie = desk.browser.cookies(&scene.server.url);
    assert_eq!(follow(&scene, "", "", &[]).status, 401);
    for site in ["same-site", "cross-site"] {
        assert_eq!(follow(&scene, &cookie, "", &[("sec-fetch-site", site)]).status, 403, "{site}");
    }
    let mut pages: Vec<_> = (0..8).map(|_| follow(&scene, &cookie, "", &[])).collect();
    assert!(pages.iter().all(|page| page.status == 200));
    assert_eq!(follow(&scene, &cookie, "", &[]).status, 503, "one session has a few");
    // Fewer rights end it with the next thing that happens, before anything of that is told.
    put(&scene.api, "/setup/permission-sets/bob", &json!({"permissions": ["manage-flows"]})).ended(200);
    for page in &mut pages {
        assert_eq!(page.event().map(|told| told.event).as_deref(), Some("over"));
        assert_eq!(page.block(), None);
    }
    assert_eq!(follow(&scene, &cookie, "", &[]).status, 403);
}

#[test]
fn rows_follow_what_happens_and_nobody_loses_their_place() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.connected("Others");
    let Some(window) = entered(&scene, "rows_follow_what_happens_and_nobody_loses_their_place") else { return };
    window.goto(&at(&scene, "/integrations"));
    window.script("void (window.before = true)");
    window.click("checkbox", "Choose Others");
    let others = "[...document.querySelectorAll('td a')].find((one) => one.textContent === 'Others')";
    window.script(&format!("{others}.focus()"));
    window.script(&format!("void getSelection().selectAllChildren({others})"));
    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    scene.api.post("/connections/Orders/test", &Value::Null).ended(200);
    window.reads("Needs reconnect");
    window.reads("One connection needs you");
    assert!(window.has("link", "Reconnect Orders"));
    let told = window.until("words for who does not see it", || {
        let told = window.script("document.getElementById('told').textContent");
        told.as_str().filter(|told| told.contains("Orders: Needs reconnect")).map(str::to_owned)
    });
    assert!(!told.contains("Others"), "what did not change is not told: {told}");
    assert_eq!(window.script("document.querySelector('#told').getAttribute('role')"), "status");
    assert_eq!(window.script("document.querySelector('input[name=id]:checked').ariaLabel"), "Choose Others");
    assert_eq!(window.focused(), "Others");
    assert_eq!(window.script("getSelection().toString()"), "Others");
    window.draw(&drawings().join("live-needs-reconnect.png"));

    // A row that goes takes the keyboard to its list, not to the beginning of the page.
    crate::users::delete(&scene.api, "/connections/Others").ended(204);
    window.until("the row to go", || (!window.has("link", "Others")).then_some(()));
    assert_eq!(window.script("document.activeElement.id"), "list");
    scene.upstream.on("GET", "/me", |_| Reply::json(200, &json!({"login": "ada"})));
    scene.api.post("/connections/Orders/test", &Value::Null).ended(200);
    window.until("the strip to go", || (!window.text().contains("needs you")).then_some(()));
    assert_eq!(window.script("window.before"), true, "the page is the same one all the time");
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn a_page_says_when_its_session_is_over_and_when_its_connection_is_gone() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let id = made["id"].as_str().unwrap().to_owned();
    let Some(window) = entered(&scene, "a_page_says_when_its_session_is_over_and_when_its_connection_is_gone") else {
        return;
    };
    window.goto(&at(&scene, &format!("/connections/{id}")));
    window.find("button", "Test");
    flow(&scene, "Orders");
    window.find("link", "Nightly sync");
    scene.api.post("/connections/Orders/disable", &Value::Null).ended(200);
    window.find("link", "Enable");
    assert!(!window.has("button", "Test"), "what can't be done now is not offered");
    crate::users::delete(&scene.api, "/flows/nightly").ended(204);
    crate::users::delete(&scene.api, "/connections/Orders").ended(204);
    window.reads("This is no longer here");

    window.goto(&at(&scene, "/health"));
    // The session ends elsewhere: its user is switched off.
    let keep = json!({"permissions": ["manage-setup"]});
    put(&scene.api, "/setup/permission-sets/keepers", &keep).ended(200);
    put(&scene.api, "/setup/users/keeper", &json!({"permission-sets": ["keepers"]})).ended(200);
    put(&scene.api, "/setup/users/administrator", &json!({"enabled": false})).ended(200);
    window.reads("Your session is over");
    window.draw(&drawings().join("live-session-over.png"));
    window.go("link", "Sign in");
    window.find("heading", "Sign in");
}

#[test]
fn what_was_typed_stays_where_a_form_can_not_be_taken() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Some(window) = entered(&scene, "what_was_typed_stays_where_a_form_can_not_be_taken") else { return };
    window.go("link", "Orders");
    window.click("link", "Edit");
    window.find("dialog", "Edit Orders");
    window.fill("Description", "a long story");
    window.fill("Token", "typed-with-care");
    crate::users::delete(&scene.api, "/connections/Orders").ended(204);
    window.click("button", "Save");
    window.find("alert", "");
    window.reads("Not here");
    window.reads("There is no connection");
    assert!(window.focused().contains("Not here"), "{}", window.focused());
    assert_eq!((window.value("Description"), window.value("Token")), ("a long story".into(), "typed-with-care".into()));
    assert!(window.has("button", "Save"), "it can be sent again by hand");
    window.draw(&drawings().join("form-problem.png"));
    assert_eq!(window.complaints(), Vec::<String>::new());
}

#[test]
fn a_form_whose_answer_is_lost_is_not_sent_again_by_itself() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Some(window) = entered(&scene, "a_form_whose_answer_is_lost_is_not_sent_again_by_itself") else { return };
    window.go("link", "Orders");
    window.click("link", "Edit");
    window.find("dialog", "Edit Orders");
    window.fill("Description", "said once");
    window.fill("Token", TOKEN);
    // The form arrives, and the network breaks before its answer does.
    window.script(
        "void (window.real = fetch, window.posts = 0, window.fetch = async (...asked) => {
            const answer = await real(...asked);
            if ((asked[1] || {}).method !== 'POST') return answer;
            posts += 1;
            throw new TypeError('the network broke');
        })",
    );
    window.script("void (window.before = true)");
    window.click("button", "Save");
    window.reads("The server did not answer");
    window.reads("It is not known whether this was done");
    assert_eq!((window.value("Description"), window.value("Token")), ("said once".into(), TOKEN.into()));
    assert_eq!((window.script("window.posts"), window.script("window.before")), (json!(1), json!(true)));
    let history = scene.api.get("/connections/Orders/history").ended(200).json();
    assert_eq!(history["items"].as_array().unwrap().len(), 2, "created and edited once: {history:#}");
    // By hand it is sent again, and said what came of it.
    window.script("void (window.fetch = window.real)");
    window.click("button", "Save");
    window.reads("Somebody else was first");
    window.draw(&drawings().join("form-lost-answer.png"));
}

#[test]
fn a_server_that_is_away_loses_nobodys_words() {
    let scene = Scene::http();
    let Some(window) = entered(&scene, "a_server_that_is_away_loses_nobodys_words") else { return };
    window.goto(&at(&scene, "/integrations/new/http?protocol=bearer"));
    window.fill("Name", "Orders");
    window.fill("Base URL", &scene.upstream.origin());
    window.fill("Token", TOKEN);
    let Scene { server, world: _world, .. } = scene;
    server.stop();
    window.click("button", "Create");
    window.reads("The server did not answer");
    assert_eq!((window.value("Name"), window.value("Token")), ("Orders".into(), TOKEN.into()));
    let sent = "document.querySelector('form[data-keep]').dataset.sent";
    assert_eq!(window.script(sent), Value::Null, "it can be sent again");
    assert!(window.has("button", "Create"));
}

#[test]
fn a_list_that_grows_while_somebody_looks_shows_the_new_one_in_its_place() {
    let scene = Scene::http();
    for name in ["Billing", "Orders"] {
        scene.connected(name);
    }
    let test = "a_list_that_grows_while_somebody_looks_shows_the_new_one_in_its_place";
    let Some(window) = entered(&scene, test) else { return };
    window.goto(&at(&scene, "/integrations"));
    window.script("[...document.querySelectorAll('td a')].find((one) => one.textContent === 'Orders').focus()");
    scene.connected("Customers");
    window.find("link", "Customers");
    let names = "[...document.querySelectorAll('tbody a.strong')].map((one) => one.textContent).join()";
    assert_eq!(window.script(names), "Billing,Customers,Orders");
    assert_eq!(window.focused(), "Orders");
    scene.api.send(Method::PATCH, "/connections/Billing", &json!({"version": 1, "name": "Zones"})).ended(200);
    window.find("link", "Zones");
    assert_eq!(window.script(names), "Customers,Orders,Zones");
    assert_eq!(window.focused(), "Orders");
}
