//! The console as it travels: who gets in, what a page may load, which forms are taken.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Answer;
use turnbuckle_tests::browser::{Browser, location};
use turnbuckle_tests::oidc::{CLIENT, CLIENT_SECRET};

use crate::oauth::Stage;
use crate::scene::{Scene, TOKEN};
use crate::users::{WORKS, put, user};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A link for whoever this client stands for.
pub(crate) fn link(api: &turnbuckle_tests::api::Api) -> String {
    let answer = api.post("/host/console-link", &Value::Null).ended(200).json();
    answer["url"].as_str().unwrap().to_owned()
}

/// A browser with a person's session.
pub(crate) struct Desk {
    pub(crate) browser: Browser,
    url: String,
}

impl Desk {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self::by(&scene.server.url, &link(&scene.api))
    }

    pub(crate) fn by(url: &str, link: &str) -> Self {
        let mut browser = Browser::new();
        browser.get(link).ended(303);
        Self { browser, url: url.to_owned() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.browser.get(&format!("{}{path}", self.url))
    }

    /// Sends the form that stands at this page, with these fields in it, for the version that it was drawn on.
    pub(crate) fn post(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.get(page).ended(200).text();
        let csrf = csrf(&form);
        let mut all = vec![("csrf", csrf.as_str())];
        if let Some((_, rest)) = form.split_once("name=\"version\" value=\"")
            && !fields.iter().any(|(name, _)| *name == "version")
        {
            all.push(("version", rest.split('"').next().unwrap()));
        }
        all.extend_from_slice(fields);
        self.browser.post(&format!("{}{path}", self.url), &all)
    }

    /// The page after a form.
    pub(crate) fn after(&mut self, answer: &Answer) -> String {
        assert_eq!(answer.status, 303, "{}", answer.text());
        let to = location(&self.url, answer);
        self.browser.get(&to).ended(200).text()
    }
}

pub(crate) fn csrf(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("no form: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_link_signs_in_once_and_its_cookie_is_nobody_elses() {
    let scene = Scene::http();
    let link = link(&scene.api);
    let mut browser = Browser::new();
    let entered = browser.get(&link).ended(303);
    assert_eq!(entered.header("location"), "/");
    let cookie = entered.headers.get("set-cookie").unwrap().to_str().unwrap();
    let port = scene.server.url.rsplit(':').next().unwrap();
    let (name, rest) = cookie.split_once('=').unwrap();
    assert_eq!(name, format!("turnbuckle-{port}"), "ports do not part cookies");
    let (value, attributes) = rest.split_once("; ").unwrap();
    assert_eq!((value.len(), attributes), (43, "Path=/; HttpOnly; SameSite=Lax"));
    let page = browser.get(&format!("{}/integrations", scene.server.url)).ended(200).text();
    assert!(page.contains("Signed in as <strong><bdi>administrator</bdi>"), "{page}");

    let again = Browser::new().get(&link).ended(401);
    assert!(again.text().contains("was used already"), "{}", again.text());
    assert!(again.headers.get("set-cookie").is_none());
    let forged = link.replace("code=", "code=A");
    Browser::new().get(&forged).ended(401);
    let records = scene.api.get("/audit?action=host.sign-in").ended(200).json();
    let who: Vec<_> = records["items"].as_array().unwrap().iter().map(|record| record["actor"].clone()).collect();
    assert_eq!(who, [json!("administrator")], "who was let in is in the audit");
}

#[test]
fn what_a_browser_fetches_ahead_or_from_another_site_uses_no_link_up() {
    let scene = Scene::http();
    let link = link(&scene.api);
    let mut browser = Browser::new();
    for header in [("sec-purpose", "prefetch;prerender"), ("sec-fetch-site", "cross-site")] {
        let page = browser.get_with(&link, &[header]).ended(200);
        assert!(page.text().contains("Sign in as <bdi>administrator</bdi>"), "{}", page.text());
        assert!(page.headers.get("set-cookie").is_none());
    }
    let code = link.split("code=").nth(1).unwrap();
    let cross = [("sec-fetch-site", "cross-site"), ("content-type", "application/x-www-form-urlencoded")];
    let api = turnbuckle_tests::api::Api::new(&scene.server.url, None);
    api.raw(Method::POST, "/sign-in", &cross, Bytes::from(format!("code={code}"))).ended(403);
    browser.post(&format!("{}/sign-in", scene.server.url), &[("code", code)]).ended(303);
}

#[test]
fn nobody_fills_the_servers_memory_without_signing_in() {
    let scene = Scene::http();
    let api = turnbuckle_tests::api::Api::new(&scene.server.url, None);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let long = Bytes::from(format!("token={}", "a".repeat(1 << 20)));
    for path in ["/sign-in", "/integrations", "/connectors/install"] {
        let refused = api.raw(Method::POST, path, &form, long.clone()).status.as_u16();
        assert!([400, 413, 422].contains(&refused), "{path}: {refused}");
    }
}

#[test]
fn a_session_never_begins_under_an_id_that_was_brought_along() {
    let scene = Scene::http();
    let port = scene.server.url.rsplit(':').next().unwrap();
    let mut browser = Browser::new();
    let planted = Answer { headers: http::HeaderMap::new(), ..browser.get(&format!("{}/sign-in", scene.server.url)) };
    let mut planted = planted;
    planted.headers.insert("set-cookie", format!("turnbuckle-{port}=planted; Path=/").parse().unwrap());
    browser.keep(&scene.server.url, &planted);
    browser.get(&link(&scene.api)).ended(303);
    assert!(!browser.cookies(&scene.server.url).contains("planted"));
    // Signing in again ends the session that was there, so it is asked first.
    let first = browser.cookies(&scene.server.url);
    let again = link(&scene.api);
    let asked = browser.get(&again).ended(200);
    assert!(asked.text().contains("Sign in as <bdi>administrator</bdi>"), "{}", asked.text());
    assert_eq!(browser.cookies(&scene.server.url), first);
    let code = again.split("code=").nth(1).unwrap();
    browser.post(&format!("{}/sign-in", scene.server.url), &[("code", code)]).ended(303);
    assert_ne!(browser.cookies(&scene.server.url), first);
    let api = turnbuckle_tests::api::Api::new(&scene.server.url, None);
    let old = api.raw(Method::GET, "/integrations", &[("cookie", &first)], Bytes::new());
    assert_eq!(old.header("location"), "/sign-in");
}

#[test]
fn over_tls_the_cookie_is_bound_to_its_host() {
    let scene = Scene::http();
    let world = crate::scene::world();
    world.configure("public-url = \"https://console.example.com\"\n");
    let server = world.serve();
    let link = link(&server.api());
    assert!(link.starts_with("https://console.example.com/sign-in?code="), "{link}");
    let path = link.trim_start_matches("https://console.example.com");
    let entered = Browser::new().get(&format!("{}{path}", server.url)).ended(303);
    let cookie = entered.headers.get("set-cookie").unwrap().to_str().unwrap();
    assert!(cookie.starts_with("__Host-turnbuckle="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    drop(scene);
}

/// Every page, in a scene where something is there to be shown.
pub(crate) fn pages(connection: &str) -> Vec<String> {
    let mut pages: Vec<String> = [
        "/integrations",
        "/integrations?status=needs-reconnect",
        "/integrations?text=nowhere",
        "/integrations/connectors",
        "/integrations/new",
        "/integrations/new/http",
        "/integrations/new/http?protocol=bearer",
        "/connectors",
        "/connectors/install",
        "/connectors/http",
        "/connectors/http/upgrade",
        "/connectors/http/remove",
        "/health",
        "/integrations?sort=need",
        "/audit",
        "/setup",
        "/setup/identity-providers/+",
        "/setup/permission-sets/+",
        "/setup/users/+",
        "/setup/users/administrator",
        "/setup/tokens/+",
        "/setup/users/administrator/remove",
        "/setup/named-credentials/+/edit",
        "/setup/named-credentials/+/edit?protocol=basic",
        "/setup/external-credentials/+/edit?protocol=oauth2",
        "/setup/webhooks/+/edit",
    ]
    .map(str::to_owned)
    .into();
    for part in ["", "/activity", "/edit", "/reconnect", "/transfer", "/disable", "/enable", "/delete"] {
        pages.push(format!("/connections/{connection}{part}"));
    }
    pages
}

#[test]
fn every_page_takes_a_session_and_loads_nothing_but_what_is_here() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let mut desk = Desk::of(&scene);
    let mut stranger = Browser::new();
    for path in pages(made["id"].as_str().unwrap()) {
        let page = desk.get(&path).ended(200);
        let text = page.text();
        assert_eq!(page.header("content-security-policy"), POLICY, "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        for inline in ["<style", " style=", "<script>", "javascript:", " onclick=", " onload="] {
            assert!(!text.contains(inline), "{path} has {inline}");
        }
        assert!(!text.contains(TOKEN), "{path} shows a secret");
        assert!(text.matches("<h1").count() == 1, "{path} has one headline");
        let away = stranger.get(&format!("{}{path}", scene.server.url)).ended(303);
        assert_eq!(away.header("location"), "/sign-in", "{path}");
    }
    let gate = stranger.get(&format!("{}/sign-in", scene.server.url)).ended(200);
    assert_eq!(gate.header("content-security-policy"), POLICY);
    let nowhere = stranger.get_with(&format!("{}/nowhere", scene.server.url), &[("accept", "text/html")]).ended(404);
    assert_eq!(nowhere.header("content-security-policy"), POLICY);
    assert_eq!(desk.get("/connections").ended(303).header("location"), "/integrations");
    let icon = desk.get("/icons/http").ended(200);
    assert_eq!(icon.header("content-type"), "image/svg+xml");
    assert!(icon.header("content-security-policy").ends_with("frame-ancestors 'none'; sandbox"));
    // A browser may keep what can't change.
    let page = desk.get("/integrations").text();
    let style = page.split("href=\"").find(|part| part.starts_with("/assets/") && part.contains("style.css"));
    let style = desk.get(style.unwrap().split('"').next().unwrap()).ended(200);
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(!style.text().contains("http://") && !style.text().contains("https://"), "it loads nothing");
}

#[test]
fn a_form_is_taken_from_a_page_of_its_own_session_alone() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let path = format!("/connections/{}/disable", made["id"].as_str().unwrap());
    let whole = format!("{}{path}", scene.server.url);
    let (mut desk, mut other) = (Desk::of(&scene), Desk::of(&scene));
    let foreign = csrf(&other.get(&path).text());
    for fields in [&[][..], &[("csrf", "")], &[("csrf", foreign.as_str())]] {
        let refused = desk.browser.post(&whole, fields).ended(403);
        assert!(refused.text().contains("not from a page of this session"), "{}", refused.text());
    }
    let own = csrf(&desk.get(&path).text());
    let cookie = desk.browser.cookies(&scene.server.url);
    let api = turnbuckle_tests::api::Api::new(&scene.server.url, None);
    let body = Bytes::from(format!("csrf={own}"));
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "same-site"), ("origin", "null")] {
        let headers =
            [("cookie", cookie.as_str()), (name, value), ("content-type", "application/x-www-form-urlencoded")];
        api.raw(Method::POST, &path, &headers, body.clone()).ended(403);
    }
    api.raw(Method::GET, "/integrations", &[("cookie", &cookie), ("host", "evil.example")], Bytes::new()).ended(421);
    assert_eq!(scene.api.get("/connections/Orders").json()["enabled"], true, "nothing was done");
    let answer = desk.browser.post(&whole, &[("csrf", &own)]).ended(303);
    assert!(desk.after(&answer).contains("Orders is disabled"));
    assert_eq!(scene.api.get("/connections/Orders").json()["enabled"], false);
}

#[test]
fn a_session_is_worth_what_it_was_begun_with_and_ends_with_it() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let bob = user(&scene.server, "bob", &WORKS);
    let mut desk = Desk::by(&scene.server.url, &link(&bob));
    let page = desk.get("/integrations").ended(200).text();
    assert!(page.contains("New connection") && !page.contains("href=\"/setup\"") && !page.contains("href=\"/audit\""));
    for hidden in ["/setup", "/audit", "/connectors", "/connectors/install"] {
        desk.get(hidden).ended(403);
    }
    // Fewer permissions take effect at the next page.
    put(&scene.api, "/setup/permission-sets/bob", &json!({"permissions": ["view-connections"]})).ended(200);
    let path = format!("/connections/{}", made["id"].as_str().unwrap());
    let page = desk.get(&path).ended(200).text();
    assert!(!page.contains("/delete") && !page.contains("/test"), "{page}");
    desk.get(&format!("{path}/edit")).ended(403);
    put(&scene.api, "/setup/users/bob", &json!({"enabled": false})).ended(200);
    assert_eq!(desk.get("/integrations").ended(303).header("location"), "/sign-in");
    put(&scene.api, "/setup/users/bob", &json!({"enabled": true})).ended(200);
    assert_eq!(desk.get("/integrations").ended(303).header("location"), "/sign-in", "it does not come back");

    // A session by a token ends with the token.
    let new = json!({"name": "desk", "user": "bob"});
    let made = scene.api.post("/setup/tokens", &new).ended(201).json();
    let mut browser = Browser::new();
    let door = format!("{}/sign-in", scene.server.url);
    browser.post(&door, &[("token", "tb_wrong")]).ended(401);
    browser.post(&door, &[("token", made["token"].as_str().unwrap())]).ended(303);
    let page = format!("{}/integrations", scene.server.url);
    browser.get(&page).ended(200);
    crate::users::delete(&scene.api, "/setup/tokens/desk").ended(204);
    browser.get(&page).ended(303);
}

#[test]
fn signing_out_ends_the_session_on_the_server() {
    let scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let cookie = desk.browser.cookies(&scene.server.url);
    let answer = desk.post("/integrations", "/sign-out", &[]).ended(303);
    assert_eq!(answer.header("location"), "/sign-in");
    assert_eq!(desk.browser.cookies(&scene.server.url), "");
    let api = turnbuckle_tests::api::Api::new(&scene.server.url, None);
    api.raw(Method::GET, "/integrations", &[("cookie", &cookie)], Bytes::new()).ended(303);
}

#[test]
fn what_is_private_is_not_there_for_others() {
    let scene = Scene::http();
    let bob = user(&scene.server, "bob", &WORKS);
    let mut new = scene.bearer("Secret plans", TOKEN);
    new["visibility"] = json!("private");
    let made = bob.post("/connections", &new).ended(201).json();
    let mut desk = Desk::of(&scene);
    assert!(!desk.get("/integrations").ended(200).text().contains("Secret plans"));
    for part in ["", "/edit", "/delete", "/reconnect"] {
        let page = desk.get(&format!("/connections/{}{part}", made["id"].as_str().unwrap())).ended(404).text();
        assert!(page.contains("Not here") && !page.contains("Secret plans"), "{page}");
    }
}

#[test]
fn what_was_typed_waits_for_who_signs_in_again_and_secrets_do_not() {
    let mut scene = Scene::http();
    let mut desk = Desk::of(&scene);
    let page = "/integrations/new/http?protocol=bearer";
    let fields = [
        ("protocol", "bearer"),
        ("name", "Half & done"),
        ("s.url", "https://api.example.com"),
        ("x.token", TOKEN),
        ("description", "typed before"),
    ];
    let csrf = csrf(&desk.get(page).ended(200).text());
    // Sessions are in memory: a server that starts again has none.
    scene.server.restart(&scene.world);
    scene.api = scene.server.api();
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend_from_slice(&fields);
    let over = desk.browser.post(&format!("{}/integrations/new/http", scene.server.url), &all).ended(401);
    assert!(over.text().contains("Your session is over"), "{}", over.text());
    let cookies = over.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect::<Vec<_>>();
    assert!(!format!("{}{cookies:?}", over.text()).contains("canary"), "{cookies:?}");
    let entered = desk.browser.get(&link(&scene.api)).ended(303);
    let back = location(&scene.server.url, &entered);
    assert!(back.contains("/integrations/new/http?"), "{back}");
    let page = desk.browser.get(&back).ended(200).text();
    for typed in ["Half &#38; done", "https://api.example.com", "typed before"] {
        assert!(page.contains(typed), "{typed}: {page}");
    }
}

#[test]
fn nobody_is_sent_to_another_server_after_signing_in() {
    let scene = Scene::http();
    for evil in ["https://evil.example/", "//evil.example/", "/\\evil.example/"] {
        let mut browser = Browser::new();
        let mut planted = browser.get(&format!("{}/sign-in", scene.server.url));
        let path: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        planted.headers.insert("set-cookie", format!("turnbuckle-back={path}; Path=/sign-in").parse().unwrap());
        browser.keep(&format!("{}/sign-in", scene.server.url), &planted);
        assert_eq!(browser.get(&link(&scene.api)).ended(303).header("location"), "/", "{evil}");
    }
}

#[test]
fn a_sign_in_at_a_service_ends_at_its_connection() {
    let Some(stage) = Stage::set("a_sign_in_at_a_service_ends_at_its_connection") else { return };
    let mut desk = Desk::by(&stage.server.url, &link(&stage.api));
    let settings = stage.oidc.settings();
    let names: Vec<_> = settings.as_object().unwrap().keys().map(|name| format!("s.{name}")).collect();
    let values = settings.as_object().unwrap().values().map(|value| value.as_str().unwrap());
    let mut fields: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
    fields.extend([
        ("protocol", "oauth2"),
        ("name", "CRM"),
        ("s.client-id", CLIENT),
        ("s.client-authentication", "basic"),
        ("x.client-secret", CLIENT_SECRET),
    ]);
    let made = desk.post("/integrations/new/http?protocol=oauth2", "/integrations/new/http", &fields);
    let page = desk.after(&made);
    assert!(page.contains("Nobody has signed in yet"), "{page}");
    let path = format!("/connections/{}", stage.view("CRM")["id"].as_str().unwrap());
    let onward = desk.post(&path, &format!("{path}/authorize"), &[]).ended(200).text();
    let authorize = onward.split("href=\"").find(|part| part.starts_with(stage.oidc.origin())).unwrap();
    let authorize = authorize.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let callback = stage.oidc.agree(&mut desk.browser, &authorize, "ada");
    let home = desk.browser.get(&callback).ended(303);
    assert_eq!(home.header("location"), path);
    let page = desk.after(&home);
    assert!(page.contains("<strong>Signed in</strong>") && page.contains("Active"), "{page}");
    // The same for one that is refused: it says so at the connection, and the old credential stays.
    let onward = desk.post(&path, &format!("{path}/authorize"), &[]).ended(200).text();
    let authorize = onward.split("href=\"").find(|part| part.starts_with(stage.oidc.origin())).unwrap();
    let authorize = authorize.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let callback = stage.oidc.abort(&mut desk.browser, &authorize);
    let home = desk.browser.get(&callback).ended(303);
    let page = desk.after(&home);
    assert!(page.contains("<strong>Not signed in</strong>"), "{page}");
    assert_eq!(stage.view("CRM")["status"], "active");
}

#[test]
fn the_command_prints_a_link_and_so_does_a_server_that_begins() {
    let scene = Scene::http();
    let ran = scene.world.run(&["console"]).done().says("once, within ten minutes");
    let mut browser = Browser::new();
    browser.get(ran.out.trim()).ended(303);
    let answer = scene.world.json(&["console"]);
    assert_eq!(answer["user"], "administrator");
    let Scene { server, world, .. } = scene;
    let printed = server.stop();
    let line =
        printed.lines().find_map(|line| line.trim().strip_prefix("Console ")).unwrap_or_else(|| panic!("{printed}"));
    assert!(line.trim().starts_with("http://127.0.0.1:") && line.contains("/sign-in?code="), "{line}");
    world.run(&["console"]).ended(5).says("turnbuckle serve");
    let server = world.serve();
    let printed_link = {
        let api = server.api();
        link(&api)
    };
    assert!(printed_link.starts_with(&server.url));
}
