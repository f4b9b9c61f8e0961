//! Signing in by OAuth 2.0, at an authorization server that nobody here wrote.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::browser::{Browser, location, parameter};
use turnbuckle_tests::leaks;
use turnbuckle_tests::oidc::{CLIENT, CLIENT_SECRET, Oidc, PUBLIC, ROBOT, ROBOT_SECRET};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Ran, Serving, Waiting, World};

use crate::scene::{BINARY, install, left_out, peers, wrong_fields};

/// The last part of the redirect URI of a connection by the `http` connector with a client of its own at this provider.
fn own_client(oidc: &Oidc) -> String {
    format!("http.oauth2.{}", oidc.origin().trim_start_matches("http://"))
}

/// A provider, and a server whose connections may reach it.
pub(crate) struct Stage {
    // Dropped in this order: who asks ends before who answers.
    pub(crate) server: Serving,
    pub(crate) api: Api,
    pub(crate) world: World,
    pub(crate) oidc: Oidc,
}

impl Stage {
    /// None, and words about it, where this machine has no provider.
    pub(crate) fn set(test: &str) -> Option<Self> {
        Some(Self::beside(provider(test)?, &[]))
    }

    /// With further services that connections may reach.
    pub(crate) fn beside(oidc: Oidc, others: &[&Upstream]) -> Self {
        let mut allow = vec![oidc.origin().to_owned()];
        allow.extend(others.iter().map(|other| other.origin()));
        let world = World::allowing(BINARY, &allow);
        let server = world.serve();
        let api = server.api();
        install(&api, "http");
        Self { server, api, world, oidc }
    }

    /// What `POST /connections` takes for a connection that a person has to authorize.
    pub(crate) fn waiting(&self, name: &str) -> Value {
        let mut settings = self.oidc.settings();
        settings["client-id"] = json!(CLIENT);
        settings["client-authentication"] = json!("basic");
        json!({
            "name": name, "connector": "http", "protocol": "oauth2", "settings": settings,
            "secrets": {"client-secret": CLIENT_SECRET},
        })
    }

    /// Makes a connection with tokens that were obtained elsewhere.
    pub(crate) fn imported(&self, name: &str) -> Value {
        let mut new = self.waiting(name);
        let tokens = self.oidc.mint("ada");
        new["tokens"] = json!({"secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}});
        let made = self.api.post("/connections", &new).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
        made
    }

    /// Begins a sign-in; gives the URL where the person agrees. What proves who began goes to this browser.
    pub(crate) fn begin(&self, browser: &mut Browser, key: &str, body: &Value) -> String {
        let answer = self.api.post(&format!("/connections/{key}/authorize"), body).ended(200);
        browser.keep(&self.server.url, &answer);
        answer.json()["url"].as_str().unwrap().to_owned()
    }

    /// A person agrees in a browser that began by the API; gives the page at the end.
    pub(crate) fn signed_in(&self, key: &str, who: &str, body: &Value) -> Answer {
        let mut browser = Browser::new();
        let authorize = self.begin(&mut browser, key, body);
        let callback = self.oidc.agree(&mut browser, &authorize, who);
        browser.get(&callback)
    }

    /// Makes a connection, and a person authorizes it.
    pub(crate) fn connected(&self, name: &str) -> Value {
        self.api.post("/connections", &self.waiting(name)).ended(201);
        let page = self.signed_in(name, "ada", &json!({})).ended(200).text();
        assert!(page.contains("<h1>Connected</h1>"), "{page}");
        let view = self.view(name);
        assert_eq!(view["status"], "active", "{view:#}");
        view
    }

    pub(crate) fn view(&self, key: &str) -> Value {
        self.api.get(&format!("/connections/{key}")).ended(200).json()
    }

    pub(crate) fn send(&self, key: &str) -> Answer {
        self.api.get(&format!("/connections/{key}/send?url=/whoami"))
    }
}

pub(crate) fn provider(test: &str) -> Option<Oidc> {
    let found = Oidc::start(&peers(), &["http.oauth2.{host}", "acme", "other"]);
    if found.is_none() {
        left_out(test, "node with oidc-provider in ~/.cache/turnbuckle-peers");
    }
    found
}

/// The arguments of `connection create` for a connection that a person has to authorize.
fn create(oidc: &Oidc, world: &World, name: &str) -> Vec<String> {
    let secret = world.file("client-secret", CLIENT_SECRET);
    let mut arguments = ["connection", "create", "--connector", "http", "--protocol", "oauth2", "--name", name]
        .map(str::to_owned)
        .to_vec();
    let settings = oidc.settings();
    let given = settings.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    for (name, value) in given.chain([("client-id", CLIENT), ("client-authentication", "basic")]) {
        arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    arguments.extend(["--secret".to_owned(), format!("client-secret=@{}", secret.display())]);
    arguments
}

/// Plays the person at a command that prints a URL and waits.
fn agreed(oidc: &Oidc, waiting: Waiting, who: &str) -> Ran {
    let authorize = waiting.line(&format!("{}/auth?", oidc.origin()));
    let mut browser = Browser::new();
    let callback = oidc.agree(&mut browser, &authorize, who);
    let on = browser.get(&callback).ended(303);
    let loopback = location(&callback, &on);
    assert!(loopback.starts_with("http://127.0.0.1:"), "{loopback}");
    let page = browser.get(&loopback).ended(200).text();
    assert!(page.contains("Back to the command"), "{page}");
    waiting.ended()
}

/// A data directory with the connector in it, and no server.
fn installed(oidc: &Oidc) -> World {
    let world = World::allowing(BINARY, &[oidc.origin()]);
    let component = turnbuckle_tests::components::path(BINARY, "http");
    world.run(&["connector", "install", component.to_str().unwrap()]).done();
    world
}

fn json_of(world: &World, arguments: &[String]) -> std::process::Command {
    let mut command = world.command(&["--output", "json"]);
    command.args(arguments);
    command
}

#[test]
fn a_command_prints_where_to_agree_waits_and_ends_with_an_active_connection() {
    let Some(oidc) = provider("sign-in by the command") else { return };
    let world = installed(&oidc);
    let waiting = Waiting::start(&mut json_of(&world, &create(&oidc, &world, "Orders")));
    let ran = agreed(&oidc, waiting, "ada").done();
    let made = ran.json();
    assert_eq!((&made["status"], &made["name"]), (&json!("active"), &json!("Orders")), "{made:#}");
    assert!(!ran.out.contains("/auth?"), "what a program reads has no words for people: {}", ran.out);
    assert!(
        ran.err.contains(&format!("/oauth/callback/{}", own_client(&oidc))),
        "the redirect URI is said: {}",
        ran.err
    );
    assert!(!world.data().join("server.json").exists(), "whoever listened for the browser is gone");
    assert_eq!(oidc.count("authorization_code"), 1);

    let sent = world.run(&["connection", "send", "Orders", "/whoami"]).done();
    let who: Value = serde_json::from_str(&sent.out).unwrap();
    assert_eq!((&who["sub"], &who["client"]), (&json!("ada"), &json!(CLIENT)));
    assert_eq!(oidc.count("token"), 1, "a good token is not renewed");
}

#[test]
fn a_command_beside_a_server_lets_the_server_be_called_back() {
    let Some(stage) = Stage::set("sign-in by the command, beside a server") else { return };
    let arguments = create(&stage.oidc, &stage.world, "Orders");
    let ran = agreed(&stage.oidc, Waiting::start(&mut json_of(&stage.world, &arguments)), "ada").done();
    assert!(
        ran.err.contains(&format!("{}/oauth/callback/{}", stage.server.url, own_client(&stage.oidc))),
        "{}",
        ran.err
    );
    assert_eq!(stage.view("Orders")["status"], "active");
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
}

/// A command that waits, the browser of a person who agreed, and the URL at the command's port that it was sent to.
fn about_to_return(stage: &Stage) -> (Waiting, Browser, String) {
    let waiting = Waiting::start(&mut json_of(&stage.world, &create(&stage.oidc, &stage.world, "Orders")));
    let authorize = waiting.line(&format!("{}/auth?", stage.oidc.origin()));
    let mut browser = Browser::new();
    let callback = stage.oidc.agree(&mut browser, &authorize, "ada");
    let loopback = location(&callback, &browser.get(&callback).ended(303));
    (waiting, browser, loopback)
}

#[test]
fn what_else_knocks_at_the_commands_port_does_not_end_it() {
    let Some(stage) = Stage::set("noise at the command's port") else { return };
    let (waiting, mut browser, loopback) = about_to_return(&stage);
    let (command, _) = loopback.split_once("/?").unwrap();
    for path in ["/", "/favicon.ico", "/?receip=x", "/?state=x&code=y"] {
        browser.get(&format!("{command}{path}")).ended(404);
    }
    browser.get(&loopback).ended(200);
    assert_eq!(waiting.ended().done().json()["status"], "active");
}

#[test]
fn sockets_that_say_nothing_do_not_keep_the_browser_out() {
    let Some(stage) = Stage::set("idle sockets at the command's port") else { return };
    let (waiting, mut browser, loopback) = about_to_return(&stage);
    let (command, _) = loopback.split_once("/?").unwrap();
    let port = command.trim_start_matches("http://");
    #[expect(clippy::disallowed_types, reason = "a socket that asks nothing, which no client of HTTP opens")]
    let held: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(port).unwrap()).collect();
    // One after another they would take longer than the browser waits for an answer.
    browser.get(&loopback).ended(200);
    assert_eq!(waiting.ended().done().json()["status"], "active");
    drop(held);
}

#[test]
fn a_page_that_guesses_a_receipt_does_not_take_a_persons_sign_in_away() {
    let Some(stage) = Stage::set("a forged receipt at the command's port") else { return };
    let (waiting, mut browser, loopback) = about_to_return(&stage);
    let (command, _) = loopback.split_once("/?").unwrap();
    for forged in ["?receipt=forged", "?receipt=", "?error=forged", "?error=forged&state=", "?error=forged&state=AAAA"]
    {
        browser.get_with(&format!("{command}/{forged}"), &[("referer", "http://evil.example/")]);
    }
    // A command that has given up hears the person no more.
    let path = loopback.strip_prefix(command).unwrap();
    let heard = Api::new(command, None).attempt(Method::GET, path, &[], bytes::Bytes::new());
    let ran = waiting.ended();
    assert!(heard.is_some(), "the command gave up: {}", ran.err);
    assert_eq!(ran.done().json()["status"], "active");
}

#[test]
fn a_person_who_refuses_ends_the_command_with_words_and_nothing_stored() {
    let Some(stage) = Stage::set("a person refuses") else { return };
    let waiting = Waiting::start(&mut json_of(&stage.world, &create(&stage.oidc, &stage.world, "Orders")));
    let authorize = waiting.line(&format!("{}/auth?", stage.oidc.origin()));
    let mut browser = Browser::new();
    let callback = stage.oidc.abort(&mut browser, &authorize);
    assert_eq!(parameter(&callback, "error"), "access_denied");
    let on = browser.get(&callback).ended(303);
    browser.get(&location(&callback, &on));
    waiting.ended().ended(3).says("access_denied").says("End-User aborted interaction");
    let view = stage.view("Orders");
    assert_eq!((&view["complete"], &view["credential"]), (&json!(false), &Value::Null), "{view:#}");
    assert_eq!(stage.oidc.count("token"), 0);
}

#[test]
fn a_browser_that_began_by_the_api_finishes_by_its_cookie() {
    let Some(stage) = Stage::set("sign-in by the API") else { return };
    let made = stage.api.post("/connections", &stage.waiting("Orders")).ended(201).json();
    assert_eq!((&made["complete"], &made["verdict"]), (&json!(false), &Value::Null), "{made:#}");
    let refused = stage.send("Orders");
    assert_eq!(refused.status, 409, "nobody agreed yet: {}", refused.text());
    assert!(refused.text().contains("authorize"), "{}", refused.text());

    let mut browser = Browser::new();
    let authorize = stage.begin(&mut browser, "Orders", &json!({}));
    assert_eq!(parameter(&authorize, "code_challenge_method"), "S256");
    assert_eq!(
        parameter(&authorize, "redirect_uri"),
        format!("{}/oauth/callback/{}", stage.server.url, own_client(&stage.oidc))
    );
    let callback = stage.oidc.agree(&mut browser, &authorize, "ada");
    let page = browser.get(&callback).ended(200);
    assert!(page.text().contains("<h1>Connected</h1>"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert!(!browser.cookies(&callback).contains("turnbuckle"), "it served its purpose");

    let view = stage.view("Orders");
    assert_eq!((&view["status"], &view["complete"]), (&json!("active"), &json!(true)), "{view:#}");
    assert_eq!(view["credential"]["secrets"], json!(["access-token", "refresh-token"]), "names, never values");
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    let history = stage.api.get("/connections/Orders/history").ended(200).json();
    assert_eq!((&history["items"][0]["kind"], &history["items"][1]["kind"]), (&json!("authorized"), &json!("created")));
}

#[test]
fn a_public_client_signs_in_without_a_secret() {
    let Some(stage) = Stage::set("a public client") else { return };
    let mut new = stage.waiting("Orders");
    new["settings"]["client-id"] = json!(PUBLIC);
    new["settings"]["client-authentication"] = json!("none");
    new["secrets"] = json!({});
    stage.api.post("/connections", &new).ended(201);
    stage.signed_in("Orders", "ada", &json!({})).ended(200);
    assert_eq!(stage.send("Orders").ended(200).json()["client"], PUBLIC);
    stage.oidc.void();
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    assert_eq!(stage.oidc.count("refresh_token"), 1);
}

#[test]
fn a_wrong_client_secret_is_the_clients_fault_and_stores_nothing() {
    let Some(stage) = Stage::set("a wrong client secret") else { return };
    let mut new = stage.waiting("Orders");
    new["secrets"]["client-secret"] = json!("not-the-secret-of-this-client");
    stage.api.post("/connections", &new).ended(201);
    let page = stage.signed_in("Orders", "ada", &json!({})).text();
    assert!(page.contains("<h1>Not connected</h1>") && page.contains("invalid_client"), "{page}");
    let view = stage.view("Orders");
    assert_eq!((&view["complete"], &view["credential"]), (&json!(false), &Value::Null), "{view:#}");
}

#[test]
fn the_operators_client_leaves_the_form_and_serves_its_own_protocol_only() {
    let Some(stage) = Stage::set("identity provider") else { return };
    install(&stage.api, "salesforce");
    let secret = stage.world.file("secret", CLIENT_SECRET);
    let secret = format!("client-secret=@{}", secret.display());
    let put = ["setup", "identity-provider", "put", "acme", "--connector", "http", "--protocol", "oauth2"];
    let put = [put.as_slice(), &["--client-id", CLIENT, "--secret", &secret]].concat();
    let server = format!("authorization-server={}", stage.oidc.origin());
    let provider = stage.world.json(&[put.as_slice(), &["--set", &server]].concat());
    assert_eq!(provider["callback"], "/oauth/callback/acme");
    assert_eq!((&provider["client-id"], &provider["has-secret"]), (&json!(CLIENT), &json!(true)), "{provider:#}");

    // None of id, secret and server is given: they come from the operator.
    let mut new = stage.waiting("Orders");
    for provided in ["client-id", "authorization-server"] {
        new["settings"].as_object_mut().unwrap().remove(provided);
    }
    new["secrets"] = json!({});
    let made = stage.api.post("/connections", &new).ended(201).json();
    assert_eq!(made["identity-provider"], "acme", "the only one there is");
    let mut browser = Browser::new();
    let authorize = stage.begin(&mut browser, "Orders", &json!({}));
    assert_eq!(parameter(&authorize, "redirect_uri"), format!("{}/oauth/callback/acme", stage.server.url));
    let callback = stage.oidc.agree(&mut browser, &authorize, "ada");
    browser.get(&callback).ended(200);
    assert_eq!(stage.send("Orders").ended(200).json()["client"], CLIENT);

    // Another connector, or another protocol, never gets it.
    let mut other = new.clone();
    other["name"] = json!("Robot");
    other["protocol"] = json!("oauth2-client-credentials");
    other["settings"]["authorization-server"] = json!(stage.oidc.origin());
    for removed in ["authorization-path", "revocation-path"] {
        other["settings"].as_object_mut().unwrap().remove(removed);
    }
    let mut named = other.clone();
    named["identity-provider"] = json!("acme");
    let problem = stage.api.post("/connections", &named).ended(422).json();
    assert!(wrong_fields(&problem).contains(&"identity-provider"), "{problem:#}");
    let problem = stage.api.post("/connections", &other).ended(422).json();
    assert!(wrong_fields(&problem).contains(&"client-id"), "{problem:#}");
    let elsewhere = json!({"connector": "salesforce", "protocol": "oauth2", "client-id": "x"});
    let problem = stage.api.send(Method::PUT, "/setup/identity-providers/acme", &elsewhere).ended(422).json();
    assert!(!wrong_fields(&problem).is_empty(), "a client is never shared: {problem:#}");

    let problem = stage.api.send(Method::DELETE, "/setup/identity-providers/acme", &Value::Null).ended(409).json();
    assert_eq!((&problem["code"], &problem["users"][0]["name"]), (&json!("in-use"), &json!("Orders")), "{problem:#}");
    stage.world.run(&["setup", "identity-provider", "remove", "acme"]).ended(5).says("Orders");
    stage.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
    stage.world.run(&["setup", "identity-provider", "remove", "acme"]).done();
    assert_eq!(stage.world.json(&["setup", "identity-provider", "list"]), json!([]));
    assert_eq!(leaks::in_folder(&stage.world.data(), CLIENT_SECRET), Vec::<String>::new());
}

#[test]
fn a_reconnect_keeps_id_flows_and_history() {
    let Some(stage) = Stage::set("reconnect") else { return };
    let before = stage.connected("Orders");
    let flow = json!({"name": "Nightly", "status": "active", "uses": [{"connection": "Orders", "used-as": "action"}]});
    stage.api.send(Method::PUT, "/flows/nightly", &flow).ended(200);
    stage.oidc.revoke();
    stage.api.post("/connections/Orders/test", &json!({})).ended(200);
    assert_eq!(stage.view("Orders")["status"], "needs-reconnect");

    let arguments = ["connection", "reconnect", "Orders"].map(str::to_owned);
    let ran = agreed(&stage.oidc, Waiting::start(&mut json_of(&stage.world, &arguments)), "ada").done().json();
    assert_eq!(ran["replaced"], true, "{ran:#}");
    let after = stage.view("Orders");
    assert_eq!((&after["id"], &after["status"], &after["flows"]), (&before["id"], &json!("active"), &json!(1)));
    let history = stage.api.get("/connections/Orders/history").ended(200).json();
    let kinds: Vec<_> = history["items"].as_array().unwrap().iter().map(|change| change["kind"].clone()).collect();
    assert_eq!(kinds, [json!("reconnected"), json!("authorized"), json!("created")]);
    assert_eq!(stage.api.get("/connections/Orders/flows").json()[0]["progress"], "passed");
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
}

#[test]
fn a_reconnect_that_fails_leaves_the_old_credential_working() {
    let Some(oidc) = provider("a reconnect that fails") else { return };
    let service = Upstream::start();
    // Whoever comes first is the only one whom it ever takes.
    let mut first = None;
    service.on("GET", "/me", move |arrived| {
        let bearer = arrived.header("authorization").to_owned();
        let known = first.get_or_insert_with(|| bearer.clone());
        Reply::status(if *known == bearer { 200 } else { 401 })
    });
    let stage = Stage::beside(oidc, &[&service]);
    let mut new = stage.waiting("Orders");
    new["settings"]["url"] = json!(service.origin());
    new["settings"]["test-path"] = json!("/me");
    stage.api.post("/connections", &new).ended(201);
    stage.signed_in("Orders", "ada", &json!({})).ended(200);
    let before = stage.view("Orders");
    assert_eq!(before["status"], "active", "{before:#}");
    let works = |why: &str| {
        let answer = stage.api.get("/connections/Orders/send?url=/me");
        assert_eq!(answer.status, 200, "{why}: {}", answer.text());
        assert_eq!(stage.view("Orders"), before, "{why}");
    };

    // The new token is not taken by the service.
    let page = stage.signed_in("Orders", "ada", &json!({"reconnect": true})).ended(200).text();
    assert!(page.contains("<h1>Not connected</h1>"), "{page}");
    works("the new credential does not pass its test");

    let mut browser = Browser::new();
    let authorize = stage.begin(&mut browser, "Orders", &json!({"reconnect": true}));
    let callback = stage.oidc.abort(&mut browser, &authorize);
    let page = browser.get(&callback).text();
    assert!(page.contains("access_denied"), "{page}");
    works("the person refuses");

    let mut browser = Browser::new();
    let authorize = stage.begin(&mut browser, "Orders", &json!({"reconnect": true}));
    let callback = stage.oidc.agree(&mut browser, &authorize, "ada");
    stage.oidc.down(true);
    let page = browser.get(&callback).text();
    assert!(page.contains("<h1>Not connected</h1>") && page.contains("503"), "{page}");
    stage.oidc.down(false);
    works("the provider breaks down");

    stage.begin(&mut Browser::new(), "Orders", &json!({"reconnect": true}));
    works("nobody comes back");
}

#[test]
fn tokens_that_were_obtained_elsewhere_are_brought_along() {
    let Some(stage) = Stage::set("import of tokens") else { return };
    let tokens = stage.oidc.mint("ada");
    let (access, refresh) = (stage.world.file("access", &tokens.access), stage.world.file("refresh", &tokens.refresh));
    let mut arguments = create(&stage.oidc, &stage.world, "Orders");
    for (name, file) in [("access-token", access), ("refresh-token", refresh)] {
        arguments.extend(["--secret".to_owned(), format!("{name}=@{}", file.display())]);
    }
    let made = Ran::of(&mut json_of(&stage.world, &arguments), "").done().json();
    assert_eq!((&made["status"], &made["complete"]), (&json!("active"), &json!(true)), "{made:#}");
    assert_eq!(stage.oidc.count("token"), 0, "a token that is good is not renewed to test it");
    stage.oidc.void();
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    assert_eq!(stage.oidc.count("refresh_token"), 1);

    // A refresh token alone is enough.
    let mut new = stage.waiting("Invoices");
    new["tokens"] = json!({"secrets": {"refresh-token": stage.oidc.mint("ben").refresh}});
    let made = stage.api.post("/connections", &new).ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    assert_eq!(stage.send("Invoices").ended(200).json()["sub"], "ben");

    let mut none = stage.waiting("Nothing");
    none["tokens"] = json!({"secrets": {}});
    assert_eq!(wrong_fields(&stage.api.post("/connections", &none).ended(422).json()), ["tokens"]);
}

#[test]
fn a_client_signs_in_by_itself_and_again_when_its_token_is_void() {
    let Some(stage) = Stage::set("client credentials") else { return };
    let robot = |name: &str, secret: &str| {
        json!({
            "name": name, "connector": "http", "protocol": "oauth2-client-credentials",
            "settings": {
                "url": stage.oidc.origin(), "test-path": "/whoami", "authorization-server": stage.oidc.origin(),
                "token-path": "/token", "client-id": ROBOT, "client-authentication": "basic",
            },
            "secrets": {"client-secret": secret},
        })
    };
    let made = stage.api.post("/connections", &robot("Robot", ROBOT_SECRET)).ended(201).json();
    assert_eq!((&made["status"], &made["complete"]), (&json!("active"), &json!(true)), "{made:#}");
    assert_eq!(stage.oidc.count("client_credentials"), 1);
    stage.send("Robot").ended(200);
    assert_eq!(stage.oidc.count("client_credentials"), 1, "a good token is kept");
    stage.oidc.void();
    assert_eq!(stage.send("Robot").ended(200).json()["client"], ROBOT);
    assert_eq!(stage.oidc.count("client_credentials"), 2);

    let made = stage.api.post("/connections", &robot("Wrong", "not-the-secret-of-this-robot")).ended(201).json();
    assert_eq!(made["verdict"]["kind"], "misconfigured-client", "{made:#}");
    assert_eq!(made["credential"], Value::Null);
}

#[test]
fn an_assertion_that_this_host_signs_is_verified_by_somebody_else() {
    // RFC 7515, appendix A.3.
    let public = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let mut private = public.clone();
    private["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let Some(oidc) = Oidc::with_key(&peers(), &["http.oauth2.{host}"], &public) else {
        return left_out("JWT bearer", "node with oidc-provider in ~/.cache/turnbuckle-peers");
    };
    let stage = Stage::beside(oidc, &[]);
    let new = |name: &str, key: &Value| {
        json!({
            "name": name, "connector": "http", "protocol": "jwt-bearer",
            "settings": {
                "url": stage.oidc.origin(), "test-path": "/whoami", "authorization-server": stage.oidc.origin(),
                "token-path": "/assertion", "issuer": "robot", "algorithm": "ES256",
            },
            "secrets": {"private-key": key.to_string()},
        })
    };
    let made = stage.api.post("/connections", &new("Robot", &private)).ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    stage.oidc.void();
    assert_eq!(stage.send("Robot").ended(200).json()["scope"], "robot");

    // RFC 7517, appendix A.2: a good key of somebody else's.
    let stranger = json!({
        "kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
    });
    let made = stage.api.post("/connections", &new("Stranger", &stranger)).ended(201).json();
    assert_eq!((&made["status"], &made["credential"]), (&json!("needs-reconnect"), &Value::Null), "{made:#}");
    let text = made["verdict"]["message"].as_str().unwrap();
    assert!(text.contains("signature verification failed"), "{text}");
}

#[test]
fn what_is_deleted_is_taken_back_at_the_provider() {
    let Some(stage) = Stage::set("revocation") else { return };
    stage.connected("Orders");
    assert_eq!(stage.oidc.alive().len(), 1);
    stage.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
    stage.oidc.wait_for_revocations(2);
    assert_eq!(stage.oidc.alive(), Vec::<String>::new());
}

#[test]
fn neither_tokens_nor_the_clients_secret_stand_in_a_file_a_log_or_an_answer() {
    let Some(mut stage) = Stage::set("leaks of a sign-in") else { return };
    stage.world.set("TURNBUCKLE_LOG", "trace");
    stage.server.restart(&stage.world);
    stage.api = stage.server.api();
    let mut answers = Vec::new();
    answers.push(stage.api.post("/connections", &stage.waiting("Orders")).ended(201));
    let mut browser = Browser::new();
    let authorize = stage.begin(&mut browser, "Orders", &json!({}));
    let callback = stage.oidc.agree(&mut browser, &authorize, "ada");
    let (code, cookie) = (parameter(&callback, "code"), browser.cookies(&callback));
    let cookie = cookie.split_once('=').unwrap().1.to_owned();
    answers.push(browser.get(&callback).ended(200));
    stage.oidc.void();
    answers.push(stage.send("Orders").ended(200));
    answers.push(stage.api.get("/connections/Orders").ended(200));
    answers.push(stage.api.get("/connections/Orders/history").ended(200));
    answers.push(stage.api.post("/connections/Orders/test", &json!({})).ended(200));
    stage.oidc.revoke();
    answers.push(stage.send("Orders"));
    answers.push(stage.api.get("/connections/Orders").ended(200));

    let Stage { server, world, oidc, .. } = stage;
    let printed = server.stop();
    let mut secrets = oidc.issued();
    assert!(secrets.len() >= 4, "{secrets:?}");
    secrets.extend([CLIENT_SECRET.to_owned(), code, cookie]);
    for secret in &secrets {
        for answer in &answers {
            assert_eq!(leaks::in_bytes(&answer.body, secret), Vec::<&str>::new(), "{}", answer.text());
        }
        assert_eq!(leaks::in_bytes(printed.as_bytes(), secret), Vec::<&str>::new(), "{printed}");
        assert_eq!(leaks::in_folder(&world.data(), secret), Vec::<String>::new());
    }
}
