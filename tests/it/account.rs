//! Signing in to the console by an account, at a provider that nobody here wrote.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::browser::{Browser, location, parameter, parameters, with_parameters};
use turnbuckle_tests::chromium::Window;
use turnbuckle_tests::leaks;
use turnbuckle_tests::oidc::{CONSOLE, CONSOLE_SECRET, Oidc};
use turnbuckle_tests::world::{Serving, World};

use crate::console::{Desk, link};
use crate::console_browser::drawings;
use crate::scene::{Scene, left_out, wrong_fields};
use crate::users::{WORKS, delete, put};

/// A provider, and a server that lets its accounts in.
struct Door {
    server: Serving,
    api: Api,
    world: World,
    oidc: Oidc,
}

impl Door {
    fn open(test: &str) -> Option<Self> {
        let oidc = crate::oauth::provider(test)?;
        let world = crate::scene::world();
        let secret = world.file("secret", format!("{CONSOLE_SECRET}\n"));
        let issuer = oidc.origin();
        world.configure(&format!(
            "[egress]\nallow = [\"{issuer}\"]\n[sign-in.oidc]\nissuer = \"{issuer}\"\nclient-id = \"{CONSOLE}\"\n\
             client-secret-file = \"{}\"\nlabel = \"Acme\"\n",
            secret.display()
        ));
        let server = world.serve();
        let api = server.api();
        put(&api, "/setup/permission-sets/works", &json!({"permissions": WORKS})).ended(200);
        put(&api, "/setup/users/ada", &json!({"permission-sets": ["works"]})).ended(200);
        Some(Self { server, api, world, oidc })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.server.url)
    }

    /// Begins; gives where the browser is sent.
    fn begin(&self, browser: &mut Browser) -> String {
        let url = self.at("/sign-in/oidc");
        let sent = browser.get(&url).ended(303);
        location(&url, &sent)
    }

    /// A person signs in at the provider; gives the answer to the browser that comes back.
    fn sign_in(&self, browser: &mut Browser, who: &str) -> Answer {
        let authorize = self.begin(browser);
        let callback = self.oidc.agree(browser, &authorize, who);
        browser.get(&callback)
    }

    fn bind(&self, account: &Value) -> Answer {
        self.api.post("/setup/users/ada/identities", account)
    }

    fn refused(&self) -> Vec<Value> {
        let records = self.api.get("/audit?action=host.sign-in&outcome=refused").ended(200).json();
        records["items"].as_array().unwrap().clone()
    }
}

/// Whom a page says that it shows itself to; nobody where it asks to sign in.
fn signed_in(browser: &mut Browser, url: &str) -> Option<String> {
    let page = browser.get(url);
    if page.status == 303 {
        assert!(location(url, &page).ends_with("/sign-in"), "{}", page.header("location"));
        return None;
    }
    let text = page.ended(200).text();
    let (_, rest) = text.split_once("Signed in as <strong><bdi>").unwrap_or_else(|| panic!("{text}"));
    Some(rest.split('<').next().unwrap().to_owned())
}

#[test]
fn an_account_is_refused_until_it_is_bound_and_signs_in_where_somebody_wanted_to_go() {
    let Some(door) = Door::open("an_account_is_refused_until_it_is_bound_and_signs_in_where_somebody_wanted_to_go")
    else {
        return;
    };
    let mut browser = Browser::new();
    let page = browser.get(&door.at("/sign-in")).ended(200).text();
    assert!(page.contains("Sign in with <bdi>Acme</bdi>") && page.contains("turnbuckle console"), "{page}");
    let unknown = door.sign_in(&mut browser, "ada").ended(403);
    let text = unknown.text();
    for words in
        ["<h1>Account not known</h1>", "ada@example.com", door.oidc.origin(), "<dt>Subject</dt><dd><bdi>ada</bdi>"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(signed_in(&mut browser, &door.at("/integrations")), None);
    let records = door.refused();
    assert_eq!(records.len(), 1, "{records:#?}");
    let expected = json!({"kind": "user", "id": format!("{} ada", door.oidc.origin()), "name": "ada@example.com"});
    assert_eq!((&records[0]["actor"], &records[0]["object"]), (&json!("host"), &expected));
    assert_eq!(records[0]["reason"], "unknown-account");

    let bound = door.world.json(&["setup", "user", "bind", "ada", "--subject", "ada"]);
    assert_eq!(bound["identities"][0]["issuer"], door.oidc.origin());
    let mut browser = Browser::new();
    browser.get(&door.at("/integrations/connectors?search=x")).ended(303);
    let before = browser.cookies(&door.at("/"));
    let entered = door.sign_in(&mut browser, "ada").ended(303);
    assert_eq!(entered.header("location"), "/integrations/connectors?search=x");
    assert_ne!(browser.cookies(&door.at("/")), before);
    let left = browser.cookies(&door.at("/sign-in/oidc/callback"));
    assert!(!left.contains("sign-in"), "the proof and the way back are gone: {left}");
    assert_eq!(signed_in(&mut browser, &door.at("/integrations")).as_deref(), Some("ada"));
    assert_eq!(door.begin(&mut browser), door.at("/"), "whoever is signed in stays who it is");

    let let_in = door.api.get("/audit?action=host.sign-in&outcome=done&actor=ada").ended(200).json();
    assert_eq!(let_in["items"].as_array().unwrap().len(), 1);
    let bindings = door.api.get("/audit?action=user.bind").ended(200).json();
    assert_eq!(bindings["items"][0]["object"]["name"], "ada");
    let view = door.api.get("/setup/users/ada").ended(200).json();
    assert_eq!(view["identities"][0]["account"], "ada@example.com", "what it is called is known now");
    assert_eq!(leaks::in_folder(&door.world.data(), CONSOLE_SECRET), Vec::<String>::new());
}

#[test]
fn a_session_by_an_account_ends_with_the_account_and_with_the_user() {
    let Some(door) = Door::open("a_session_by_an_account_ends_with_the_account_and_with_the_user") else { return };
    let page = door.at("/integrations");
    let inside = |browser: &mut Browser| signed_in(browser, &page);
    let ada = json!({"subject": "ada"});
    door.bind(&ada).ended(200);
    let mut browser = Browser::new();
    door.sign_in(&mut browser, "ada").ended(303);
    assert_eq!(inside(&mut browser).as_deref(), Some("ada"));

    put(&door.api, "/setup/users/ada", &json!({"enabled": false})).ended(200);
    assert_eq!(inside(&mut browser), None);
    let refused = door.sign_in(&mut browser, "ada").ended(403).text();
    assert!(refused.contains("Your account belongs to ada, who is disabled or holds no permission."), "{refused}");
    put(&door.api, "/setup/users/ada", &json!({"enabled": true})).ended(200);
    assert_eq!(inside(&mut browser), None, "a session that ended does not come back");

    door.sign_in(&mut browser, "ada").ended(303);
    door.world.run(&["setup", "user", "unbind", "ada", "--subject", "ada"]).done();
    assert_eq!(inside(&mut browser), None);
    door.world.run(&["setup", "user", "unbind", "ada", "--subject", "ada"]).ended(4);

    door.bind(&ada).ended(200);
    door.sign_in(&mut browser, "ada").ended(303);
    delete(&door.api, "/setup/users/ada").ended(204);
    put(&door.api, "/setup/users/ada", &json!({"permission-sets": ["works"]})).ended(200);
    assert_eq!(inside(&mut browser), None, "whoever gets the name gets no session of somebody else's");
    door.sign_in(&mut browser, "ada").ended(403);

    door.bind(&ada).ended(200);
    door.sign_in(&mut browser, "ada").ended(303);
    let csrf = crate::console::csrf(&browser.get(&page).ended(200).text());
    browser.post(&door.at("/sign-out"), &[("csrf", &csrf)]).ended(303);
    assert_eq!(inside(&mut browser), None);
}

#[test]
fn an_account_bound_by_its_name_is_bound_by_its_subject_from_the_first_sign_in_on() {
    let test = "an_account_bound_by_its_name_is_bound_by_its_subject_from_the_first_sign_in_on";
    let Some(door) = Door::open(test) else { return };
    let shown = door.world.json(&["setup", "user", "bind", "ada", "--account", "Ada@Example.com"]);
    assert_eq!(
        (&shown["identities"][0]["account"], &shown["identities"][0]["subject"]),
        (&json!("ada@example.com"), &Value::Null)
    );
    door.sign_in(&mut Browser::new(), "not-ada").ended(403);
    let view = door.api.get("/setup/users/ada").ended(200).json();
    assert_eq!(view["identities"][0]["subject"], Value::Null, "an address that nobody verified is nobody's");
    let mut browser = Browser::new();
    door.sign_in(&mut browser, "ada").ended(303);
    let view = door.api.get("/setup/users/ada").ended(200).json();
    assert_eq!(view["identities"].as_array().unwrap().len(), 1);
    assert_eq!(view["identities"][0]["subject"], "ada");
    door.sign_in(&mut Browser::new(), "ada").ended(303);
}

#[test]
fn bindings_that_do_not_fit_are_told_by_their_fields() {
    let Some(door) = Door::open("bindings_that_do_not_fit_are_told_by_their_fields") else { return };
    put(&door.api, "/setup/users/bob", &json!({})).ended(200);
    let long = "a".repeat(256);
    for (account, field) in [
        (json!({}), "subject"),
        (json!({"subject": "a", "account": "b"}), "account"),
        (json!({"subject": long}), "subject"),
        (json!({"subject": "ä"}), "subject"),
        (json!({"account": "a\nb"}), "account"),
        (json!({"subject": "a", "issuer": "login.example.com"}), "issuer"),
        (json!({"subject": "a", "issuer": "https://login.example.com?x"}), "issuer"),
    ] {
        let problem = door.bind(&account).ended(422).json();
        assert_eq!(wrong_fields(&problem), [field], "{account}");
    }
    door.bind(&json!({"subject": "a"})).ended(200);
    let twice = door.bind(&json!({"subject": "a"})).ended(200).json();
    assert_eq!(twice["identities"].as_array().unwrap().len(), 1);
    let taken = door.api.post("/setup/users/bob/identities", &json!({"subject": "a"})).ended(422).json();
    assert_eq!(taken["detail"], "subject: is bound to `ada` already; unbind it there first");
    delete(&door.api, "/setup/users/bob/identities?subject=a").ended(404);
    door.api.post("/setup/users/nobody/identities", &json!({"subject": "b"})).ended(404);

    let text = door.world.run(&["export"]).done().out;
    assert!(text.contains("subject = \"a\""), "{text}");
    delete(&door.api, "/setup/users/ada/identities?subject=a").ended(204);
    let file = door.world.file("definitions.toml", &text);
    door.world.run(&["import", file.to_str().unwrap()]).done();
    let view = door.api.get("/setup/users/ada").ended(200).json();
    assert_eq!(view["identities"][0]["subject"], "a");
    let again = door.world.json(&["import", file.to_str().unwrap()]);
    let rows = again["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["action"] == "keep"), "{again:#}");
}

/// Where this page leads to below a path.
fn window_of(page: &str, path: &str) -> String {
    let (_, rest) = page.split_once(&format!("href=\"{path}?")).unwrap_or_else(|| panic!("{path}: {page}"));
    format!("{path}?{}", rest.split('"').next().unwrap().replace("&#38;", "&"))
}

#[test]
fn an_account_is_bound_and_unbound_on_the_page_of_its_user() {
    let Some(door) = Door::open("an_account_is_bound_and_unbound_on_the_page_of_its_user") else { return };
    put(&door.api, "/setup/users/bob", &json!({})).ended(200);
    let mut desk = Desk::by(&door.server.url, &link(&door.api));
    let (user, bind, unbind) = ("/setup/users/ada", "/setup/users/ada/accounts", "/setup/users/ada/accounts/unbind");
    let page = desk.get(user).ended(200).text();
    assert!(page.contains("No account is bound.") && page.contains(door.oidc.origin()), "{page}");
    let beside =
        |field: &str, words: &str| format!("id=\"own-{field}-help\"><span class=\"wrong\" dir=\"auto\">{words}");
    for (subject, account, field, words) in [
        ("", "", "subject", "Is required"),
        ("ä", "", "subject", "Must be 1 to 255 printable ASCII characters."),
        ("ada", "ada@example.com", "account", "Is told besides a subject"),
    ] {
        let wrong = desk.post(user, bind, &[("subject", subject), ("account", account)]).ended(422).text();
        assert!(wrong.contains(&beside(field, words)), "{words}: {wrong}");
        assert!(wrong.contains(&format!("name=\"subject\" type=\"text\" dir=\"auto\" value=\"{subject}\"")), "{wrong}");
        assert!(wrong.contains("value=\"works\" checked"), "what the user may do stands as it is: {wrong}");
    }
    desk.browser.post(&door.at(bind), &[("subject", "ada")]).ended(403);
    let drafted = desk.get(&format!("{bind}?subject=typed")).ended(200).text();
    assert!(drafted.contains("value=\"typed\"") && drafted.contains("value=\"works\" checked"), "{drafted}");

    let bound = desk.post(user, bind, &[("subject", " ada "), ("account", "")]);
    let page = desk.after(&bound);
    assert!(page.contains("An account is bound to ada"), "{page}");
    assert!(page.contains("<td data-label=\"Subject\"><bdi>ada</bdi>"), "{page}");
    let taken = desk.post("/setup/users/bob", "/setup/users/bob/accounts", &[("subject", "ada")]).ended(422).text();
    assert!(taken.contains(&beside("subject", "Is bound to `ada` already; unbind it there first.")), "{taken}");
    let mut browser = Browser::new();
    door.sign_in(&mut browser, "ada").ended(303);
    let page = desk.get(user).ended(200).text();
    assert!(page.contains("<strong><bdi>ada@example.com</bdi></strong>"), "what it is called is known now: {page}");
    let window = window_of(&page, unbind);
    let asked = desk.get(&window).ended(200).text();
    assert!(asked.contains("Unbind ada@example.com?") && asked.contains("is out at once"), "{asked}");
    assert!(signed_in(&mut browser, &door.at("/integrations")).is_some(), "a window takes nothing away");
    let unbound = desk.post(&window, &window, &[]);
    assert!(desk.after(&unbound).contains("No account is bound."));
    assert_eq!(signed_in(&mut browser, &door.at("/integrations")), None);
    desk.post(user, &window, &[]).ended(404);
    let gone = desk.get(&window).ended(303);
    assert_eq!(gone.header("location"), user, "one that is not bound has no window");

    let waiting = desk.post(user, bind, &[("subject", ""), ("account", "Ada@Example.com")]);
    let page = desk.after(&waiting);
    let window = window_of(&page, unbind);
    assert!(page.contains("none yet") && window.ends_with("&account=ada%40example.com"), "{window}: {page}");
    let unbound = desk.post(&window, &window, &[]);
    assert!(desk.after(&unbound).contains("No account is bound."));
    assert_eq!(door.api.get("/setup/users/ada").ended(200).json()["identities"], json!([]));
}

#[test]
fn where_nobody_signs_in_by_accounts_the_page_of_a_user_speaks_of_none() {
    let scene = Scene::http();
    put(&scene.api, "/setup/users/ada", &json!({})).ended(200);
    let mut desk = Desk::of(&scene);
    let page = desk.get("/setup/users/ada").ended(200).text();
    assert!(!page.contains("/setup/users/ada/accounts"), "{page}");
    let refused = desk.post("/setup/users/ada", "/setup/users/ada/accounts", &[("subject", "ada")]).ended(422).text();
    assert!(refused.contains("no provider is set up"), "{refused}");
    let sent = desk.get("/setup/users/ada/accounts").ended(303);
    assert_eq!(sent.header("location"), "/setup/users/ada");
}

#[test]
fn only_the_browser_that_began_finishes_and_it_stays_on_this_server() {
    let Some(door) = Door::open("only_the_browser_that_began_finishes_and_it_stays_on_this_server") else { return };
    door.bind(&json!({"subject": "ada"})).ended(200);
    let (mut attacker, mut victim) = (Browser::new(), Browser::new());
    let authorize = door.begin(&mut attacker);
    assert_eq!(parameter(&authorize, "code_challenge_method"), "S256");
    let callback = door.oidc.agree(&mut attacker, &authorize, "ada");
    let asked = door.oidc.count("authorization_code");
    // The attacker's own code, thrown at somebody else; also with a sign-in of the victim's own under way.
    for _attempt in 0..2 {
        let page = victim.get(&callback).ended(409);
        assert!(page.text().contains("it was not begun in this browser"), "{}", page.text());
        assert!(page.headers.get("set-cookie").is_none(), "nobody is signed in");
        door.begin(&mut victim);
    }
    let stripped: Vec<_> = parameters(&callback).into_iter().filter(|(name, _)| name != "iss").collect();
    let page = attacker.get(&with_parameters(&callback, &stripped)).ended(409);
    assert!(page.text().contains("of another provider"), "{}", page.text());
    attacker.get(&callback).ended(409);
    assert_eq!(door.oidc.count("authorization_code"), asked, "no code was exchanged");

    // A session id that was put into the browser is not the one that it gets.
    let mut browser = Browser::new();
    let port = door.server.url.rsplit(':').next().unwrap();
    let planted = "A".repeat(43);
    let headers = format!("turnbuckle-{port}={planted}; Path=/");
    let mut answer =
        Answer { status: http::StatusCode::OK, headers: http::HeaderMap::new(), body: bytes::Bytes::new() };
    answer.headers.append("set-cookie", http::HeaderValue::try_from(headers).unwrap());
    browser.keep(&door.server.url, &answer);
    for back in ["//attacker.example/", "https://attacker.example/", "/\\attacker.example", "/%0d%0aset-cookie:x=y"] {
        let line = format!("turnbuckle-back={back}; Path=/sign-in");
        answer.headers.clear();
        answer.headers.append("set-cookie", http::HeaderValue::try_from(line).unwrap());
        let mut browser = Browser::new();
        browser.keep(&door.server.url, &answer);
        let entered = door.sign_in(&mut browser, "ada").ended(303);
        let to = location(&door.server.url, &entered);
        assert!(to.starts_with(&format!("{}/", door.server.url)), "{back} leads to {to}");
    }
    door.sign_in(&mut browser, "ada").ended(303);
    let cookies = browser.cookies(&door.at("/"));
    assert!(!cookies.contains(&planted), "{cookies}");
    assert_eq!(signed_in(&mut browser, &door.at("/integrations")).as_deref(), Some("ada"));
}

#[test]
fn a_provider_that_is_gone_is_told_to_people_and_to_doctor() {
    let Some(mut door) = Door::open("a_provider_that_is_gone_is_told_to_people_and_to_doctor") else { return };
    let report = door.world.json(&["doctor"]);
    let found = |report: &Value| {
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == "sign-in").unwrap()
    };
    let good = found(&report);
    assert_eq!(good["state"], "ok", "{good}");
    let redirect = format!("the redirect URI {}", door.at("/sign-in/oidc/callback"));
    assert!(good["detail"].as_str().unwrap().contains(&redirect), "{good}");
    door.oidc.kill();
    let mut command = door.world.command(&["--output", "json", "doctor"]);
    let bad = found(&turnbuckle_tests::world::Ran::of(&mut command, "").ended(3).json());
    assert_eq!(bad["state"], "fail", "{bad}");
    // What was asked a moment ago would do for a while; a server that starts now has nothing.
    door.server.restart(&door.world);
    let page = Browser::new().get(&door.at("/sign-in/oidc")).ended(502).text();
    assert!(page.contains("No connection to") && page.contains("paste a token"), "{page}");
    door.api = door.server.api();
    door.api.raw(Method::GET, "/healthz", &[], bytes::Bytes::new()).ended(200);
}

#[test]
fn somebody_signs_in_by_an_account_in_a_real_browser() {
    let test = "somebody_signs_in_by_an_account_in_a_real_browser";
    let Some(door) = Door::open(test) else { return };
    let Some(window) = Window::open() else {
        left_out(test, "chromium with chromium-driver");
        return;
    };
    door.bind(&json!({"account": "ada@example.com"})).ended(200);
    window.goto(&door.at("/integrations/connectors"));
    window.find("heading", "Sign in");
    window.go("link", "Sign in with Acme");
    window.script("document.querySelector('[name=login]').value = 'ada'; document.querySelector('[name=password]').value = 'any'; document.querySelector('form').submit()");
    window.until("a consent to be asked for", || {
        (window.script("document.querySelector('[name=prompt]')?.value ?? ''") == "consent").then_some(())
    });
    window.script("document.querySelector('form').submit()");
    window.until("the console", || window.url().starts_with(&door.server.url).then_some(()));
    assert_eq!(window.url(), door.at("/integrations/connectors"));
    let page = window.script("document.body.textContent").to_string();
    assert!(page.contains("Signed in as ada"), "{page}");
}

#[test]
fn an_account_is_unbound_in_a_window_above_that_of_its_user() {
    let test = "an_account_is_unbound_in_a_window_above_that_of_its_user";
    let Some(door) = Door::open(test) else { return };
    let Some(window) = Window::open() else {
        left_out(test, "chromium with chromium-driver");
        return;
    };
    door.bind(&json!({"account": "ada@example.com"})).ended(200);
    window.goto(&link(&door.api));
    window.goto(&door.at("/setup"));
    window.click("link", "ada");
    window.find("dialog", "User ada");
    window.click("link", "Unbind ada@example.com");
    window.find("dialog", "Unbind ada@example.com?");
    window.find("form", "Unbind ada@example.com?");
    window.draw(&drawings().join("account-unbind.png"));
    window.click("link", "Cancel");
    window.reads("ada@example.com");
    window.goto(&door.at("/setup/users/ada"));
    window.click("link", "Unbind ada@example.com");
    window.find("dialog", "Unbind ada@example.com?");
    window.go("button", "Unbind");
    window.reads("An account is unbound from ada");
    window.reads("No account is bound.");
    assert_eq!(window.complaints(), Vec::<String>::new());
}
