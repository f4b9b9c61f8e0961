//! What is set up in the console: credentials by name and their principals, webhooks, and two who do it at once.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::browser::{location, parameter};
use turnbuckle_tests::receiver::Receiver;
use turnbuckle_tests::upstream::Reply;

use crate::console::{Desk, csrf, link};
use crate::named::{basic, connect, set_up, takes};
use crate::named_sign_in::by_browser;
use crate::scene::{Scene, TOKEN};
use crate::users::{WORKS, put, user};
use crate::webhooks::until;

/// What a hidden field of this page holds.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn an_operator_sets_up_a_named_credential_and_opens_it_to_users() {
    let scene = Scene::http();
    takes(&scene, "authorization", &basic("robot"));
    let url = scene.upstream.origin();
    let mut desk = Desk::of(&scene);
    let add = "/setup/named-credentials/+/edit";
    let choose = desk.get(add).ended(200).text();
    for way in ["?protocol=basic\"", "?protocol=oauth2\"", "?protocol=custom-headers\"", "?protocol=aws-sigv4\""] {
        assert!(choose.contains(way), "{way}: {choose}");
    }
    let page = format!("{add}?protocol=basic");
    let fields = [
        ("protocol", "basic"),
        ("kind", "named"),
        ("name", "shop"),
        ("label", "The old shop"),
        ("url", "nowhere"),
        ("s.username", "robot"),
    ];
    let wrong = desk.post(&page, add, &fields).ended(422).text();
    assert!(wrong.contains("href=\"#field-password\"") && wrong.contains("value=\"The old shop\""), "{wrong}");
    scene.api.get("/setup/named-credentials/shop").ended(404);
    let fields = [&fields[..4], &[("url", url.as_str()), ("s.username", "robot"), ("x.password", TOKEN)]].concat();
    let made = desk.post(&page, add, &fields);
    let shown = desk.after(&made);
    for words in ["The old shop", "Configured", "Authenticated", "Enabled", "User name and password", &url] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains(TOKEN) && shown.contains("no permission set"), "{shown}");
    let taken = desk.post(&page, add, &fields).ended(422).text();
    assert!(taken.contains("s the name of another one already"), "{taken}");

    // A permission set opens its principal.
    let bob = user(&scene.server, "bob", &WORKS);
    let set = "/setup/permission-sets/bob";
    let form = desk.get(set).ended(200).text();
    assert!(form.contains("id=\"tick-principal-shop\"") && form.contains("Principals that it opens"), "{form}");
    let mut ticked: Vec<_> = WORKS.iter().map(|permission| ("permission", *permission)).collect();
    ticked.extend([("label", "Bob"), ("principal", "shop")]);
    let saved = desk.post(set, set, &ticked);
    assert!(desk.after(&saved).contains("The permission set bob is saved"));
    assert_eq!(connect(&bob, "Orders", "shop").ended(201).json()["status"], "active");
    let shown = desk.get("/setup/named-credentials/shop").ended(200).text();
    assert!(shown.contains("<bdi>Orders</bdi>") && shown.contains("href=\"/setup/permission-sets/bob\""), "{shown}");

    // It is switched off, and what leans on each part of it is named before it is removed.
    let edit = "/setup/named-credentials/shop/edit";
    let off = [("label", "The old shop"), ("url", url.as_str()), ("external-credential", "shop"), ("enabled", "false")];
    let saved = desk.post(edit, edit, &off);
    assert!(desk.after(&saved).contains("The named credential `shop` is disabled."));
    for (kind, leans) in [
        ("named-credentials", &["connection <a href", "Orders"][..]),
        ("principals", &["permission set <a href=\"/setup/permission-sets/bob\"", "Orders"]),
        ("external-credentials", &["principal <a href", "named credential <a href"]),
    ] {
        let path = format!("/setup/{kind}/shop/remove");
        let window = desk.get(&path).ended(200).text();
        assert!(window.contains("removed now") && !window.contains(">Remove</button>"), "{window}");
        for words in leans {
            assert!(window.contains(words), "{words}: {window}");
        }
    }
    // Something began to lean on it while the window was open.
    let kept = "/setup/named-credentials/shop/remove";
    let refused = desk.post(kept, kept, &[]).ended(409).text();
    assert!(refused.contains("<bdi>Orders</bdi>"), "{refused}");
    crate::users::delete(&scene.api, "/connections/Orders").ended(204);
    let removed = desk.post(kept, kept, &[]);
    assert!(desk.after(&removed).contains("shop is removed"));
    scene.api.get("/setup/named-credentials/shop").ended(404);
}

#[test]
fn a_credential_by_headers_asks_its_principal_for_what_stands_in_braces() {
    let scene = Scene::http();
    takes(&scene, "x-key", &format!("Key {TOKEN}"));
    let url = scene.upstream.origin();
    let mut desk = Desk::of(&scene);
    let add = "/setup/named-credentials/+/edit";
    let page = format!("{add}?protocol=custom-headers");
    let of = |headers: &'static str| {
        [
            ("protocol", "custom-headers"),
            ("kind", "named"),
            ("name", "keyed"),
            ("url", url.as_str()),
            ("headers", headers),
        ]
    };
    for (bad, words) in [("no header", "is no header; write NAME: VALUE"), ("X-Key: Key {", "Headers")] {
        let wrong = desk.post(&page, add, &of(bad)).ended(422).text();
        assert!(wrong.contains(words) && wrong.contains("href=\"#own-headers\""), "{bad}: {wrong}");
    }
    let made = desk.post(&page, add, &of("X-Key: Key {api-key}"));
    let shown = desk.after(&made);
    assert!(shown.contains("Not configured") && shown.contains("api-key is missing"), "{shown}");
    let principal = "/setup/principals/keyed";
    let form = desk.get(principal).ended(200).text();
    assert!(form.contains("name=\"x.api-key\""), "{form}");
    let saved = desk.post(principal, principal, &[("label", "Keyed"), ("x.api-key", TOKEN)]);
    let shown = desk.after(&saved);
    assert!(!shown.contains("Not configured") && !shown.contains(TOKEN), "{shown}");
    assert_eq!(connect(&scene.api, "Keys", "keyed").ended(201).json()["status"], "active");
}

#[test]
fn a_second_address_stands_on_the_credential_of_the_first_when_somebody_says_so() {
    let scene = Scene::http();
    set_up(&scene, "shop");
    let mut desk = Desk::of(&scene);
    let add = "/setup/named-credentials/+/edit";
    assert!(desk.get(add).ended(200).text().contains("?external-credential=shop\""));
    let page = format!("{add}?external-credential=shop");
    let fields = [("external-credential", "shop"), ("name", "mirror"), ("url", "https://mirror.example.com")];
    let asked = desk.post(&page, add, &fields).ended(409).text();
    assert!(asked.contains("would be sent to https://mirror.example.com"), "{asked}");
    assert!(asked.contains("name=\"accept\""), "it can be said: {asked}");
    let accepted = [&fields[..], &[("accept", "true")]].concat();
    let made = desk.post(&page, add, &accepted);
    let shown = desk.after(&made);
    assert!(shown.contains("Shared with") && shown.contains("both have one name"), "{shown}");
}

#[test]
fn each_user_signs_in_as_its_own_principal_from_where_a_connection_is_made() {
    let scene = Scene::http();
    let url = scene.upstream.origin();
    takes(&scene, "authorization", &basic("bob"));
    let mut desk = Desk::of(&scene);
    let add = "/setup/named-credentials/+/edit";
    let page = format!("{add}?protocol=basic&kind=per-user");
    let form = desk.get(&page).ended(200).text();
    assert!(!form.contains("name=\"x.password\""), "each user gives that: {form}");
    let fields = [("protocol", "basic"), ("kind", "per-user"), ("name", "desk"), ("url", url.as_str())];
    let made = desk.post(&page, add, &fields);
    desk.after(&made);

    let bob = user(&scene.server, "bob", &WORKS);
    let mut bobs = Desk::by(&scene.server.url, &link(&bob));
    let closed = bobs.get("/integrations/new/http").ended(200).text();
    assert!(!closed.contains("href=\"/principals/desk\""), "it is closed to him: {closed}");
    bobs.get("/principals/desk").ended(404);
    put(&scene.api, "/setup/permission-sets/bob", &json!({"principals": ["desk"]})).ended(200);
    let open = bobs.get("/integrations/new/http").ended(200).text();
    assert!(open.contains("href=\"/principals/desk\""), "{open}");
    let own = bobs.get("/principals/desk").ended(200).text();
    assert!(own.contains("Not configured") && !own.contains("href=\"/setup"), "{own}");
    let wrong = bobs.post("/principals/desk", "/principals/desk/authorize", &[("s.username", "bob")]).ended(422);
    assert!(wrong.text().contains("href=\"#field-password\"") && wrong.text().contains("value=\"bob\""));
    let fields = [("s.username", "bob"), ("x.password", TOKEN)];
    let signed = bobs.post("/principals/desk", "/principals/desk/authorize", &fields);
    let shown = bobs.after(&signed);
    assert!(shown.contains("desk is ready") && !shown.contains(TOKEN), "{shown}");
    assert_eq!(connect(&bob, "Bobs", "desk").ended(201).json()["status"], "active");
    // The operator sees who has one, and has none.
    let seen = desk.get("/setup/named-credentials/desk").ended(200).text();
    assert!(seen.contains("<bdi>bob</bdi>") && seen.contains("yours") && seen.contains("Not configured"), "{seen}");
}

#[test]
fn a_principal_is_signed_in_by_a_browser_and_back() {
    let scene = Scene::http();
    by_browser(&scene, "named");
    takes(&scene, "authorization", "Bearer token-of-ada");
    let mut desk = Desk::of(&scene);
    let before = desk.get("/setup/named-credentials/sso").ended(200).text();
    assert!(before.contains("Not authenticated") && before.contains("nobody has signed in yet"), "{before}");
    assert!(before.contains("/oauth/callback/external-credential.sso"), "{before}");
    let begin = |desk: &mut Desk| {
        let page = desk.post("/principals/sso", "/principals/sso/authorize", &[]).ended(200).text();
        let url = page.split("content=\"0; url=").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
        (parameter(&url, "state"), parameter(&url, "redirect_uri"))
    };
    // The person says no.
    let (state, back) = begin(&mut desk);
    let denied = desk.browser.get(&format!("{back}?state={state}&error=access_denied"));
    let shown = desk.after(&denied);
    assert!(shown.contains("Not signed in") && shown.contains("Sign in as <bdi>sso</bdi>"), "{shown}");
    let (state, back) = begin(&mut desk);
    let signed = desk.browser.get(&format!("{back}?state={state}&code=ada"));
    assert_eq!(location(&scene.server.url, &signed), format!("{}/principals/sso", scene.server.url));
    let shown = desk.after(&signed);
    assert!(shown.contains("Signed in") && !shown.contains("Not authenticated"), "{shown}");
    assert_eq!(connect(&scene.api, "Orders", "sso").ended(201).json()["status"], "active");
    // Whoever may not look after the host does not sign everybody's in.
    let bob = user(&scene.server, "bob", &WORKS);
    put(&scene.api, "/setup/permission-sets/bob", &json!({"principals": ["sso"]})).ended(200);
    let mut bobs = Desk::by(&scene.server.url, &link(&bob));
    let his = bobs.get("/principals/sso").ended(200).text();
    assert!(his.contains("Somebody who looks after the host signs it in") && !his.contains("/authorize"), "{his}");
}

#[test]
fn two_who_change_one_thing_of_setup_at_once_are_told_and_lose_nothing() {
    let scene = Scene::http();
    put(&scene.api, "/setup/permission-sets/crew", &json!({"permissions": ["view-connections"]})).ended(200);
    put(&scene.api, "/setup/users/ada", &json!({"label": "Ada", "permission-sets": ["crew"]})).ended(200);
    let mut desk = Desk::of(&scene);
    let path = "/setup/users/ada";
    let whole = format!("{}{path}", scene.server.url);
    let form = desk.get(path).ended(200).text();
    let (csrf, version) = (csrf(&form), hidden(&form, "version"));
    put(&scene.api, path, &json!({"label": "Theirs", "permission-sets": []})).ended(200);
    let typed = |version: &str| {
        let fields = [("csrf", csrf.as_str()), ("version", version), ("label", "Mine"), ("set", "crew")];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = |desk: &mut Desk, fields: &[(String, String)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        desk.browser.post(&whole, &fields)
    };
    let told = send(&mut desk, &typed(&version)).ended(409).text();
    assert!(told.contains("Somebody else was first") && told.contains("<bdi>administrator</bdi> changed"), "{told}");
    assert!(told.contains("value=\"Mine\"") && told.contains("Stored now: “Theirs”."), "{told}");
    assert!(told.contains("(not ticked in what is stored now)"), "{told}");
    assert_eq!(scene.api.get(path).json()["label"], "Theirs");
    // What is wrong besides does not hide it.
    let mut wrong = typed(&version).to_vec();
    wrong[2].1 = "x".repeat(100);
    let still = send(&mut desk, &wrong).ended(422).text();
    assert_eq!(hidden(&still, "version"), version, "it stays a conflict");
    let saved = send(&mut desk, &typed(&hidden(&told, "version")));
    assert!(desk.after(&saved).contains("The user ada is saved"));
    assert_eq!(scene.api.get(path).json()["label"], "Mine");
    // Somebody removes it meanwhile.
    let now = hidden(&desk.get(path).ended(200).text(), "version");
    crate::users::delete(&scene.api, path).ended(204);
    let gone = send(&mut desk, &typed(&now)).ended(409).text();
    assert!(gone.contains("Somebody removed it meanwhile") && gone.contains("value=\"Mine\""), "{gone}");
    scene.api.get(path).ended(404);
}

#[test]
fn what_was_typed_before_a_session_was_over_stands_on_the_version_of_then() {
    let mut scene = Scene::http();
    put(&scene.api, "/setup/permission-sets/crew", &json!({"permissions": ["view-connections", "view-audit"]}))
        .ended(200);
    put(&scene.api, "/setup/users/ada", &json!({"label": "Ada", "permission-sets": ["crew"]})).ended(200);
    let connection = scene.connected("Orders")["id"].as_str().unwrap().to_owned();
    let mut desk = Desk::of(&scene);
    let user_form = desk.get("/setup/users/ada").ended(200).text();
    let edit = format!("/connections/{connection}/edit");
    let edit_form = desk.get(&edit).ended(200).text();
    // Sessions are in memory: a server that starts again has none.
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    // Both are changed by somebody else before anybody signs in again.
    put(&scene.api, "/setup/users/ada", &json!({"label": "Theirs"})).ended(200);
    let change = json!({"version": 1, "description": "theirs"});
    scene.api.send(Method::PATCH, "/connections/Orders", &change).ended(200);

    let again = |desk: &mut Desk, scene: &Scene, path: &str, form: &str, fields: &[(&str, &str)]| {
        let (csrf, version) = (csrf(form), hidden(form, "version"));
        let mut all = vec![("csrf", csrf.as_str()), ("version", version.as_str())];
        all.extend_from_slice(fields);
        let over = desk.browser.post(&format!("{}{path}", scene.server.url), &all).ended(401);
        assert!(over.text().contains("Your session is over"), "{}", over.text());
        let entered = desk.browser.get(&link(&scene.api)).ended(303);
        let page = desk.browser.get(&location(&scene.server.url, &entered)).ended(200).text();
        assert_eq!(hidden(&page, "version"), version, "it was typed for that one");
        page
    };
    // The label was emptied, every set was taken away.
    let page = again(&mut desk, &scene, "/setup/users/ada", &user_form, &[("label", ""), ("enabled", "false")]);
    assert!(page.contains("name=\"label\" type=\"text\" dir=\"auto\" value=\"\""), "{page}");
    assert!(!page.contains(" checked"), "neither enabled nor in any set: {page}");
    let (own, version) = (csrf(&page), hidden(&page, "version"));
    let all = [("csrf", own.as_str()), ("version", version.as_str()), ("label", "Mine")];
    let told = desk.browser.post(&format!("{}/setup/users/ada", scene.server.url), &all).ended(409).text();
    assert!(told.contains("Somebody else was first") && told.contains("Stored now: “Theirs”."), "{told}");

    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    let fields = [
        ("name", "Mine"),
        ("description", ""),
        ("s.url", "https://api.example.com"),
        ("s.test-path", ""),
        ("x.token", TOKEN),
        ("visibility", "shared"),
    ];
    let page = again(&mut desk, &scene, &edit, &edit_form, &fields);
    assert!(page.contains("value=\"Mine\"") && page.contains("value=\"https://api.example.com\""), "{page}");
    assert!(!page.contains("value=\"/me\"") && !page.contains(TOKEN), "what was emptied is empty: {page}");
    let own = csrf(&page);
    let all = [&fields[..], &[("csrf", own.as_str()), ("version", "1")]].concat();
    let told = desk.browser.post(&format!("{}{edit}", scene.server.url), &all).ended(409).text();
    assert!(told.contains("Somebody else was first") && told.contains("Stored now: “theirs”."), "{told}");
}

#[test]
fn a_webhook_is_set_up_looked_after_and_removed() {
    let scene = Scene::http();
    let _gone = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(410));
    let url = format!("{}/hook", scene.upstream.origin());
    let mut desk = Desk::of(&scene);
    let add = "/setup/webhooks/+/edit";
    for bad in ["", "https://192.168.0.1/hook"] {
        let wrong = desk.post(add, add, &[("name", "on-call"), ("url", bad)]).ended(422).text();
        assert!(wrong.contains("href=\"#own-url\""), "{bad}: {wrong}");
    }
    let fields = [("name", "on-call"), ("url", url.as_str()), ("type", "connection.created")];
    let once = desk.post(add, add, &fields).ended(200).text();
    let secret = once.split("aria-label=\"Secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && once.contains("href=\"/setup/webhooks/on-call\""), "{once}");
    let home = "/setup/webhooks/on-call";
    let shown = desk.get(home).ended(200).text();
    assert!(shown.contains("connection.created") && shown.contains("Nothing was given up"), "{shown}");
    assert!(!shown.contains("whsec_"), "it is told once: {shown}");
    for list in ["/setup", "/health"] {
        assert!(desk.get(list).ended(200).text().contains("href=\"/setup/webhooks/on-call\""), "{list}");
    }

    scene.connected("A");
    until(&scene.api, "on-call", |view| view["enabled"] == false);
    let shown = desk.get(home).ended(200).text();
    assert!(shown.contains("The host switched it off: The endpoint answered 410: it is gone."), "{shown}");
    assert!(shown.contains("The endpoint answered 410") && shown.contains("Try all again"), "{shown}");
    let back = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(204));
    let enabled = desk.post(&format!("{home}/enable"), &format!("{home}/enable"), &[]);
    assert!(desk.after(&enabled).contains("The webhook on-call is enabled"));
    let page = desk.get(home).ended(200).text();
    let seq = hidden(&page, "seq");
    let replayed = desk.post(home, &format!("{home}/replay"), &[("seq", &seq)]);
    assert!(desk.after(&replayed).contains("One delivery is tried again"));
    assert_eq!(back.next().json()["data"]["name"], "A");
    until(&scene.api, "on-call", |view| view["dead"] == 0 && view["pending"] == 0);
    let none = desk.post(home, &format!("{home}/replay"), &[]);
    assert!(desk.after(&none).contains("Nothing was given up"));
    desk.post(home, &format!("{home}/replay"), &[("seq", "many")]).ended(404);

    let rotate = format!("{home}/rotate");
    let wrong = desk.post(&rotate, &rotate, &[("overlap-hours", "200")]).ended(422).text();
    assert!(wrong.contains("ust be 0 to 168") && wrong.contains("value=\"200\""), "{wrong}");
    let new = desk.post(&rotate, &rotate, &[("overlap-hours", "1")]).ended(200).text();
    let new = new.split("aria-label=\"Secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_ne!(new, secret);
    assert!(desk.get(home).ended(200).text().contains("signs besides; that ends"));
    scene.connected("B");
    assert_eq!(back.next().proven_by(&new), (1, 2), "both sign for a while");

    // Edited, with the events taken away: it gets all.
    let edit = format!("{home}/edit");
    let saved = desk.post(&edit, &edit, &[("url", &url)]);
    assert!(desk.after(&saved).contains("The webhook on-call is saved"));
    assert_eq!(scene.api.get("/webhooks/on-call").json()["types"], json!([]));
    let disabled = desk.post(&format!("{home}/disable"), &format!("{home}/disable"), &[]);
    assert!(desk.after(&disabled).contains("Nothing is delivered until somebody enables it"));
    let remove = format!("{home}/remove");
    let removed = desk.post(&remove, &remove, &[]);
    assert!(desk.after(&removed).contains("on-call is removed"));
    scene.api.get("/webhooks/on-call").ended(404);
    desk.get(home).ended(404);
    assert_eq!(scene.api.get("/webhooks").json(), Value::Array(Vec::new()));
}
