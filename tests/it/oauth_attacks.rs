//! Sign-ins under attack, up to the token request: in each case it is not sent, and nothing is stored. Below stand attacks on the
//! callback (`callbacks`), by whoever did not begin (`bindings`), by what token endpoints answer (`answers`), and the list of
//! RFC 9700 with what stands here against each of its attacks (`best_practice`).
//!
//! An attacker has an authorization server of his own beside the honest one, links that a person follows, and a browser.

mod answers;
mod best_practice;
mod bindings;
mod callbacks;

use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::browser::{Browser, parameter, parameters, with_parameters};
pub(crate) use turnbuckle_tests::leaks::{ACCESS, CLIENT_SECRET};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Serving, World};

use crate::oauth::{Stage, provider};
use crate::scene::{BINARY, install, wrong_fields};

pub(crate) const CODE: &str = "canary-code-77b1d0a9f3";

/// An honest service and an attacker's, each with an authorization server, and a server whose connections may reach both.
pub(crate) struct Ring {
    // Dropped in this order: who asks ends before who answers.
    pub(crate) server: Serving,
    pub(crate) api: Api,
    pub(crate) world: World,
    pub(crate) honest: Upstream,
    pub(crate) evil: Upstream,
}

/// A sign-in that waits, and the browser that may finish it.
pub(crate) struct Begun {
    pub(crate) browser: Browser,
    pub(crate) authorize: String,
}

impl Begun {
    pub(crate) fn state(&self) -> String {
        parameter(&self.authorize, "state")
    }

    /// What the honest service sends the browser to.
    pub(crate) fn callback(&self) -> String {
        self.callback_with(&[("code", CODE), ("state", &self.state())])
    }

    pub(crate) fn callback_with<V: AsRef<str>>(&self, given: &[(&str, V)]) -> String {
        with_parameters(&parameter(&self.authorize, "redirect_uri"), given)
    }

    /// The pair that the browser proves itself with.
    pub(crate) fn cookie(&self) -> String {
        self.browser.cookies(&self.callback())
    }
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self::limited("")
    }

    /// With these lines in the configuration besides.
    pub(crate) fn limited(lines: &str) -> Self {
        let (honest, evil) = (Upstream::start(), Upstream::start());
        for service in [&honest, &evil] {
            service.on("POST", "/token", |_| {
                let tokens =
                    json!({"access_token": ACCESS, "refresh_token": "canary-refresh-9a3e", "expires_in": 3600});
                Reply::json(200, &tokens)
            });
            service.on("GET", "/me", |arrived| {
                Reply::status(if arrived.header("authorization") == format!("Bearer {ACCESS}") { 200 } else { 401 })
            });
        }
        let world = World::new(BINARY);
        world.configure(&format!("[egress]\nallow = [{:?}, {:?}]\n{lines}", honest.origin(), evil.origin()));
        let server = world.serve();
        let api = server.api();
        install(&api, "http");
        Self { server, api, world, honest, evil }
    }

    pub(crate) fn connection(&self, name: &str, service: &Upstream) -> Value {
        json!({
            "name": name, "connector": "http", "protocol": "oauth2",
            "settings": {
                "url": service.origin(), "test-path": "/me", "authorization-server": service.origin(),
                "authorization-path": "/authorize", "token-path": "/token", "client-authentication": "basic",
                "client-id": "desk",
            },
            "secrets": {"client-secret": CLIENT_SECRET},
        })
    }

    /// Makes a connection that waits for a person.
    pub(crate) fn made(&self, name: &str, service: &Upstream) {
        let made = self.api.post("/connections", &self.connection(name, service)).ended(201).json();
        assert_eq!((&made["complete"], &made["credential"]), (&json!(false), &Value::Null), "{made:#}");
    }

    pub(crate) fn begun(&self, name: &str) -> Begun {
        self.begun_with(name, &[])
    }

    fn begun_with(&self, name: &str, headers: &[(&str, &str)]) -> Begun {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let path = format!("/connections/{name}/authorize");
        let answer = self.api.call(Method::POST, &path, &all, Bytes::from_static(b"{}")).ended(200);
        let mut browser = Browser::new();
        browser.keep(&self.server.url, &answer);
        Begun { browser, authorize: answer.json()["url"].as_str().unwrap().to_owned() }
    }

    /// Token requests at both services.
    pub(crate) fn token_requests(&self) -> usize {
        let all = [self.honest.arrived(), self.evil.arrived()].concat();
        all.iter().filter(|arrived| arrived.path == "/token").count()
    }

    /// Opens a page of the server as a browser that sends these headers.
    pub(crate) fn open(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        Browser::new().get_with(url, headers)
    }

    pub(crate) fn is_untouched(&self, name: &str, what: &str) {
        assert_eq!(self.token_requests(), 0, "{what}: a token request was sent");
        let view = self.api.get(&format!("/connections/{name}")).ended(200).json();
        assert_eq!((&view["complete"], &view["credential"]), (&json!(false), &Value::Null), "{what}: {view:#}");
    }
}

/// The last part of the redirect URI of a connection with a client of its own.
pub(crate) fn own_client(service: &Upstream) -> String {
    format!("http.oauth2.{}", service.origin().trim_start_matches("http://"))
}

#[test]
fn whatever_came_of_a_callback_its_state_is_used_up() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    for (name, more, headers) in [
        ("another browser", "", vec![]),
        ("an error", "&error=access_denied", vec!["cookie"]),
        ("another issuer", "&iss=http://evil.example", vec!["cookie"]),
    ] {
        let begun = ring.begun("Orders");
        let cookie = begun.cookie();
        let sent: Vec<_> = headers.into_iter().map(|header| (header, cookie.as_str())).collect();
        ring.open(&format!("{}{more}", begun.callback()), &sent);
        let page = ring.open(&begun.callback(), &[("cookie", &cookie)]).ended(409).text();
        assert!(page.contains("its state is not known, was used before"), "{name}: {page}");
        ring.is_untouched("Orders", name);
    }
    // A good one, too: a code that is brought twice may have been stolen.
    let begun = ring.begun("Orders");
    let cookie = begun.cookie();
    assert!(ring.open(&begun.callback(), &[("cookie", &cookie)]).ended(200).text().contains("<h1>Connected</h1>"));
    ring.open(&begun.callback(), &[("cookie", &cookie)]).ended(409);
    assert_eq!(ring.token_requests(), 1);
}

#[test]
fn of_callbacks_at_the_same_time_one_is_heard() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    let begun = ring.begun("Orders");
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let (url, cookie) = (begun.callback(), begun.cookie());
            thread::spawn(move || Browser::new().get_with(&url, &[("cookie", &cookie)]).status.as_u16())
        })
        .collect();
    let mut statuses: Vec<_> = opening.into_iter().map(|opening| opening.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(ring.token_requests(), 1);
}

#[test]
fn the_authorization_url_carries_a_challenge_that_the_token_request_answers_and_no_secret() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    let (mut begun, another) = (ring.begun("Orders"), ring.begun("Orders"));
    let names: Vec<_> = parameters(&begun.authorize).into_iter().map(|(name, _)| name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "none stands there twice: {names:?}");
    assert_eq!(parameter(&begun.authorize, "response_type"), "code");
    assert_eq!(parameter(&begun.authorize, "code_challenge_method"), "S256");
    assert!(!begun.authorize.contains(CLIENT_SECRET), "{}", begun.authorize);
    for name in ["state", "code_challenge"] {
        let value = parameter(&begun.authorize, name);
        assert_eq!(value.len(), 43, "256 bits: {value}");
        assert_ne!(value, parameter(&another.authorize, name), "{name} is fresh");
    }
    // What a downgraded callback claims changes nothing.
    let callback = format!("{}&code_challenge_method=plain&code_verifier=chosen", begun.callback());
    begun.browser.get(&callback).ended(200);
    let arrived = ring.honest.arrived().into_iter().find(|arrived| arrived.path == "/token").unwrap();
    let form = parameters(&format!("http://form.example/?{}", arrived.text()));
    let of = |name: &str| {
        let found: Vec<_> = form.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect();
        assert_eq!(found.len(), 1, "{name} once: {form:?}");
        found[0].clone()
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier")));
    assert_eq!(challenge, parameter(&begun.authorize, "code_challenge"));
    assert_eq!((of("grant_type").as_str(), of("code").as_str()), ("authorization_code", CODE));
    assert_eq!(of("redirect_uri"), parameter(&begun.authorize, "redirect_uri"));
    assert!(!arrived.query.contains(CODE) && !arrived.query.contains(CLIENT_SECRET), "{}", arrived.query);
    assert!(arrived.header("authorization").starts_with("Basic "), "the client proves itself");
}

#[test]
fn neither_names_nor_parameters_of_a_request_choose_where_a_person_is_sent_back_to() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    let expected = format!("{}/oauth/callback/{}", ring.server.url, own_client(&ring.honest));
    for header in ["x-forwarded-host", "x-forwarded-server", "forwarded", "x-host", "x-original-url", "referer"] {
        let begun = ring.begun_with("Orders", &[(header, "evil.example")]);
        assert_eq!(parameter(&begun.authorize, "redirect_uri"), expected, "{header}");
    }
    for body in [
        json!({"redirect-uri": "http://evil.example/"}),
        json!({"return-to": "http://evil.example/"}),
        json!({"loopback-port": 0}),
        json!({"loopback-port": -1}),
        json!({"loopback-port": 65536}),
        json!({"loopback-port": "80@evil.example"}),
    ] {
        let answer = ring.api.post("/connections/Orders/authorize", &body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
    }
    // The callback itself sends nobody anywhere.
    for more in ["return_to", "redirect_uri", "next", "url", "continue", "target_link_uri"] {
        for to in ["http://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"] {
            let mut begun = ring.begun("Orders");
            let error =
                begun.callback_with(&[("state", begun.state().as_str()), ("error", "access_denied"), (more, to)]);
            let page = begun.browser.get(&error).ended(502);
            assert_eq!(page.header("location"), "", "{more}={to}");
            assert!(!page.text().contains("evil.example"), "{more}={to}: {}", page.text());
        }
    }
    ring.is_untouched("Orders", "open redirects");
}

#[test]
fn a_callback_by_another_name_of_the_server_or_another_method_is_not_heard() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    let begun = ring.begun("Orders");
    let (url, cookie) = (begun.callback(), begun.cookie());
    let port = ring.server.url.rsplit(':').next().unwrap();
    for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.1", &format!("evil.example:{port}"), "[::1]"] {
        let page = ring.open(&url, &[("cookie", &cookie), ("host", host)]);
        assert_eq!(page.status, 421, "{host}: {}", page.text());
    }
    let path = url.strip_prefix(&ring.server.url).unwrap();
    let nobody = Api::new(&ring.server.url, None);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = nobody.raw(method.clone(), path, &[("cookie", &cookie)], Bytes::new());
        assert_eq!(answer.status, 405, "{method}: {}", answer.text());
    }
    let head = nobody.raw(Method::HEAD, path, &[], Bytes::new());
    assert_ne!(head.status, 200, "what only looks at a link uses nothing up for whoever began");
    ring.is_untouched("Orders", "names and methods");
}

#[test]
fn settings_can_not_smuggle_parameters_into_the_authorization_url() {
    let ring = Ring::new();
    let mut new = ring.connection("Orders", &ring.honest);
    new["settings"]["scope"] = json!("read&redirect_uri=http://evil.example/&state=fixed#");
    new["settings"]["client-id"] = json!("desk&code_challenge_method=plain");
    ring.api.post("/connections", &new).ended(201);
    let begun = ring.begun("Orders");
    assert_eq!(
        parameter(&begun.authorize, "redirect_uri"),
        format!("{}/oauth/callback/{}", ring.server.url, own_client(&ring.honest))
    );
    assert_eq!(parameter(&begun.authorize, "scope"), "read&redirect_uri=http://evil.example/&state=fixed#");
    assert_eq!(parameter(&begun.authorize, "client_id"), "desk&code_challenge_method=plain");
    for (field, value) in [
        ("authorization-path", "/authorize?redirect_uri=http://evil.example/"),
        ("authorization-path", "@evil.example/"),
        ("authorization-path", "/{client-secret}"),
        ("token-path", "/token#"),
        ("token-path", "//evil.example/token?"),
        ("authorization-server", "http://user@evil.example"),
        ("authorization-server", "javascript:alert(1)"),
    ] {
        let mut new = ring.connection("Smuggled", &ring.honest);
        new["settings"][field] = json!(value);
        let problem = ring.api.post("/connections", &new).ended(422).json();
        assert_eq!(wrong_fields(&problem), [field], "{value}: {problem:#}");
    }
}

#[test]
fn a_code_of_one_service_is_not_carried_to_another_that_passed_the_person_on() {
    // Cross-service: a person begins at the attacker's service, which sends the browser on to the honest one with its own
    // state. The honest service says in its answer nothing of who it is. The code must not reach the attacker.
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    ring.made("Trap", &ring.evil);
    let (victim, mut trap) = (ring.begun("Orders"), ring.begun("Trap"));
    let passed_on: Vec<_> = parameters(&victim.authorize)
        .into_iter()
        .map(|(name, value)| if name == "state" { (name, trap.state()) } else { (name, value) })
        .collect();
    let at_honest = with_parameters(&victim.authorize, &passed_on);
    let home = with_parameters(&parameter(&at_honest, "redirect_uri"), &[("code", CODE), ("state", &trap.state())]);
    let page = trap.browser.get(&home);
    let stolen = ring.evil.arrived().into_iter().filter(|arrived| arrived.text().contains(CODE)).count();
    assert_eq!(stolen, 0, "the attacker's token endpoint was given the honest service's code: {}", page.text());
}

#[test]
fn the_same_attack_fails_at_a_provider_that_says_who_it_is_and_between_identity_providers() {
    let Some(oidc) = provider("mix-up at a real provider") else { return };
    let evil = Upstream::start();
    evil.on("POST", "/token", |_| Reply::json(200, &json!({"access_token": ACCESS})));
    let stage = Stage::beside(oidc, &[&evil]);
    let trap = |name: &str, provider: Option<&str>| {
        let mut new = stage.waiting(name);
        for (field, value) in [("url", evil.origin()), ("authorization-server", evil.origin())] {
            new["settings"][field] = json!(value);
        }
        if let Some(provider) = provider {
            let put = json!({
                "connector": "http", "protocol": "oauth2", "client-id": "evil-client", "client-secret": "evil-secret",
                "settings": {"authorization-server": evil.origin()},
            });
            stage.api.send(Method::PUT, &format!("/setup/identity-providers/{provider}"), &put).ended(200);
            new["settings"].as_object_mut().unwrap().remove("client-id");
            new["secrets"] = json!({});
            new["identity-provider"] = json!(provider);
        }
        stage.api.post("/connections", &new).ended(201);
    };
    stage.api.post("/connections", &stage.waiting("Orders")).ended(201);
    trap("Trap", None);
    trap("Other trap", Some("other"));
    for key in ["Trap", "Other%20trap"] {
        let mut browser = Browser::new();
        let honest = stage.begin(&mut browser, "Orders", &json!({}));
        let state = parameter(&stage.begin(&mut browser, key, &json!({})), "state");
        let passed_on: Vec<_> = parameters(&honest)
            .into_iter()
            .map(|(name, value)| if name == "state" { (name, state.clone()) } else { (name, value) })
            .collect();
        let callback = stage.oidc.agree(&mut browser, &with_parameters(&honest, &passed_on), "ada");
        assert_eq!(parameter(&callback, "iss"), stage.oidc.origin());
        let page = browser.get(&callback).ended(409).text();
        assert!(page.contains("it came to the callback of another client"), "{key}: {page}");
    }
    assert!(evil.arrived().is_empty(), "the attacker saw nothing");
    assert_eq!(stage.oidc.count("token"), 0);
    assert_eq!(stage.view("Orders")["credential"], Value::Null);
}

#[test]
fn two_sign_ins_in_one_browser_do_not_stand_in_each_others_way() {
    let ring = Ring::new();
    let mut browser = Browser::new();
    let mut callbacks = Vec::new();
    for name in ["Orders", "Invoices"] {
        ring.made(name, &ring.honest);
        let answer = ring.api.post(&format!("/connections/{name}/authorize"), &json!({})).ended(200);
        browser.keep(&ring.server.url, &answer);
        let authorize = answer.json()["url"].as_str().unwrap().to_owned();
        callbacks.push(Begun { browser: Browser::new(), authorize }.callback());
    }
    for callback in callbacks {
        let page = browser.get(&callback);
        assert!(page.text().contains("<h1>Connected</h1>"), "{} {}", page.status, page.text());
    }
}

#[test]
fn a_client_of_the_operator_serves_no_other_service_than_its_own() {
    let ring = Ring::new();
    let put = |settings: &Value| {
        let put = json!({
            "connector": "http", "protocol": "oauth2", "client-id": "desk", "client-secret": CLIENT_SECRET,
            "settings": settings,
        });
        ring.api.send(Method::PUT, "/setup/identity-providers/acme", &put)
    };
    let by_acme = |name: &str, service: &Upstream| {
        let mut new = ring.connection(name, service);
        new["settings"].as_object_mut().unwrap().remove("client-id");
        new["secrets"] = json!({});
        new["identity-provider"] = json!("acme");
        ring.api.post("/connections", &new)
    };
    for (settings, field) in [
        (json!({"authorization-server": "desk"}), "authorization-server"),
        (json!({"client-secret": "x"}), "client-secret"),
        (json!({"client-id": "x"}), "client-id"),
        (json!({"server": "https://example.com"}), "server"),
    ] {
        assert_eq!(wrong_fields(&put(&settings).ended(422).json()), [field], "{settings}");
    }

    // Where the form chooses the service, a client of nowhere is nobody's.
    put(&json!({})).ended(200);
    let problem = by_acme("Orders", &ring.honest).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["authorization-server"], "{problem:#}");

    put(&json!({"authorization-server": ring.honest.origin()})).ended(200);
    by_acme("Orders", &ring.honest).ended(201);
    let problem = by_acme("Trap", &ring.evil).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["authorization-server"], "{problem:#}");
    let edit = json!({"version": 1, "settings": {"authorization-server": ring.evil.origin()}});
    let problem = ring.api.send(Method::PATCH, "/connections/Orders", &edit).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["authorization-server"], "{problem:#}");

    // The operator moves it: what was made for the old place asks nobody until it is edited.
    put(&json!({"authorization-server": ring.evil.origin()})).ended(200);
    let problem = ring.api.post("/connections/Orders/authorize", &json!({})).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["authorization-server"], "{problem:#}");
    ring.is_untouched("Orders", "a client that moved");
    let edited = json!({"version": 1, "settings": {"scope": "read"}});
    let view = ring.api.send(Method::PATCH, "/connections/Orders", &edited).ended(200).json();
    assert_eq!(view["settings"]["authorization-server"], json!(ring.evil.origin()), "{view:#}");
}
