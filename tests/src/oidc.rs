//! An authorization server that nobody here wrote: npm `oidc-provider`, on loopback while a test lasts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::browser::{Browser, location, parameter};
use crate::peer::{Peer, program};
use crate::tree;

const PATIENCE: Duration = Duration::from_secs(60);

/// An app with a secret, which signs people in.
pub const CLIENT: &str = "desk";
/// Its secret.
pub const CLIENT_SECRET: &str = "canary-client-4c1d9e7b50";
/// An app that is public.
pub const PUBLIC: &str = "pocket";
/// An app that signs in by itself.
pub const ROBOT: &str = "robot";
/// Its secret.
pub const ROBOT_SECRET: &str = "canary-robot-e07b2d8c31";

/// The console of a Turnbuckle, which lets people in.
pub const CONSOLE: &str = "console";
/// Its secret.
pub const CONSOLE_SECRET: &str = "canary-console-b81f6d2a97";

/// A running provider. It ends when this is dropped.
#[derive(Debug)]
pub struct Oidc {
    origin: String,
    control: Api,
    peer: Option<Peer>,
}

/// Tokens, open: a test that holds some must find them nowhere else.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Oidc {
    /// Starts one whose access tokens last an hour, with redirect URIs for these last parts of a callback's path. None where
    /// this machine has no such program in this folder of peers.
    pub fn start(peers: &std::path::Path, callbacks: &[&str]) -> Option<Self> {
        Self::with_key(peers, callbacks, &Value::Null)
    }

    /// As [`Oidc::start`], and whoever holds the private half of this key signs in by an assertion.
    pub fn with_key(peers: &std::path::Path, callbacks: &[&str], key: &Value) -> Option<Self> {
        let modules = peers.join("node_modules");
        if !modules.join("oidc-provider/package.json").is_file() {
            return None;
        }
        let node = program("node")?;
        // The port of loopback is whatever a native app got (RFC 8252 section 7.3).
        let redirects: Vec<_> =
            callbacks.iter().map(|last| format!("http://127.0.0.1/oauth/callback/{last}")).collect();
        let person = json!({
            "application_type": "native", "redirect_uris": redirects, "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let options = json!({
            "port": 0,
            "lifetime": 3600,
            "assertionKey": key,
            "clients": [
                with(&person, &json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET})),
                with(&person, &json!({"client_id": PUBLIC, "token_endpoint_auth_method": "none"})),
                {
                    "client_id": CONSOLE, "client_secret": CONSOLE_SECRET, "application_type": "native",
                    "redirect_uris": ["http://127.0.0.1/sign-in/oidc/callback"], "response_types": ["code"],
                    "grant_types": ["authorization_code"],
                },
                {
                    "client_id": ROBOT, "client_secret": ROBOT_SECRET, "redirect_uris": [], "response_types": [],
                    "grant_types": ["client_credentials"],
                },
            ],
        });
        Some(Self::run(&node, &modules, &options))
    }

    fn run(node: &PathBuf, modules: &PathBuf, options: &Value) -> Self {
        let mut command = Command::new(node);
        command.arg(tree::top().join("tests/peers/oidc.mjs")).arg(modules).arg(options.to_string());
        let peer = Peer::start(&mut command, "ready at ", PATIENCE);
        let origin = peer.ready.split("ready at ").nth(1).expect("it says where").trim().to_owned();
        Self { control: Api::of_peer(&origin), origin, peer: Some(peer) }
    }

    /// Ends it in the middle of whatever it does. What it knew is lost.
    pub fn kill(&mut self) {
        drop(self.peer.take());
    }

    /// Its origin, which is its issuer and the origin of its one resource, `/whoami`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What a connection by the bundled `http` connector takes besides its client.
    pub fn settings(&self) -> Value {
        json!({
            "url": self.origin, "test-path": "/whoami", "authorization-server": self.origin,
            "authorization-path": "/auth", "token-path": "/token", "revocation-path": "/token/revocation",
            "scope": "openid offline_access",
        })
    }

    /// Plays a person who signs in and agrees, with this browser; gives the URL that the provider then sends the browser to.
    pub fn agree(&self, browser: &mut Browser, authorize: &str, who: &str) -> String {
        let home = parameter(authorize, "redirect_uri");
        let mut url = authorize.to_owned();
        for _step in 0..20 {
            let answer = browser.get(&url);
            url = match answer.status.as_u16() {
                200 => self.fill_in(browser, &url, &answer, who),
                _ => location(&url, &answer),
            };
            if !url.starts_with(&self.origin) {
                assert!(url.starts_with(&home), "sent to {url} instead of {home}");
                return url;
            }
        }
        panic!("the provider does not let go of the browser: {url}");
    }

    /// Plays a person who changes his mind at the first page; gives the URL that the browser is then sent to.
    pub fn abort(&self, browser: &mut Browser, authorize: &str) -> String {
        let home = parameter(authorize, "redirect_uri");
        let mut url = location(authorize, &browser.get(authorize));
        url = format!("{url}/abort");
        while url.starts_with(&self.origin) {
            url = location(&url, &browser.get(&url));
        }
        assert!(url.starts_with(&home), "sent to {url} instead of {home}");
        url
    }

    fn fill_in(&self, browser: &mut Browser, url: &str, page: &Answer, who: &str) -> String {
        let text = page.text();
        let action = text.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let action = action.unwrap_or_else(|| panic!("{url} has no form:\n{text}")).to_owned();
        let action = if action.starts_with('/') { format!("{}{action}", self.origin) } else { action };
        let answer = match text.contains("value=\"login\"") {
            true => browser.post(&action, &[("prompt", "login"), ("login", who), ("password", "any")]),
            false => browser.post(&action, &[("prompt", "consent")]),
        };
        location(&action, &answer)
    }

    /// How many token requests arrived, by grant; `token` counts all of them.
    pub fn asked(&self) -> BTreeMap<String, u64> {
        let counts = self.control.raw(Method::GET, "/control/counts", &[], Bytes::new()).ended(200).json();
        serde_json::from_value(counts["asked"].clone()).expect("counts by grant")
    }

    /// How many token requests of one grant arrived.
    pub fn count(&self, grant: &str) -> u64 {
        self.asked().get(grant).copied().unwrap_or(0)
    }

    /// Every token that it issued so far.
    pub fn issued(&self) -> Vec<String> {
        let issued = self.control.raw(Method::GET, "/control/issued", &[], Bytes::new()).ended(200).json();
        let lists = issued.as_object().expect("two lists").values().cloned();
        lists.flat_map(|list| serde_json::from_value::<Vec<String>>(list).expect("tokens are text")).collect()
    }

    /// Refresh tokens that it would still take.
    pub fn alive(&self) -> Vec<String> {
        let alive = self.control.raw(Method::GET, "/control/alive", &[], Bytes::new()).ended(200).json();
        serde_json::from_value(alive).expect("tokens are text")
    }

    /// Tokens of a consent that nobody had to give in a browser.
    pub fn mint(&self, who: &str) -> Minted {
        let minted = self.post("mint", &json!({"who": who, "client": CLIENT, "scope": "openid offline_access"}));
        let of = |name: &str| minted[name].as_str().expect("a token").to_owned();
        Minted { access: of("access_token"), refresh: of("refresh_token") }
    }

    /// Access tokens last so many seconds from now on.
    pub fn lifetime(&self, seconds: u64) {
        self.post("set", &json!({"lifetime": seconds}));
    }

    /// Whether its token endpoint is broken from now on.
    pub fn down(&self, down: bool) {
        self.post("set", &json!({"down": down}));
    }

    /// Whether its token endpoint says that it is asked too often from now on.
    pub fn refusing(&self, refusing: bool) {
        self.post("set", &json!({"refusing": refusing}));
    }

    /// Makes every access token void. Refresh tokens stay good.
    pub fn void(&self) {
        self.post("void", &Value::Null);
    }

    /// Takes every consent back.
    pub fn revoke(&self) {
        self.post("revoke", &Value::Null);
    }

    /// Waits until the last access token has run out.
    pub fn wait_for_expiry(&self) {
        self.control.raw(Method::GET, "/control/expired", &[], Bytes::new()).ended(200);
    }

    /// Waits until so many tokens were asked to be revoked since it began.
    pub fn wait_for_revocations(&self, requests: u64) {
        let path = format!("/control/revoked?requests={requests}");
        self.control.raw(Method::GET, &path, &[], Bytes::new()).ended(200);
    }

    /// Waits until so many token requests have arrived since it began, and so many microseconds more.
    pub fn wait_for_moment(&self, requests: u64, microseconds: u64) {
        let path = format!("/control/moment?requests={requests}&microseconds={microseconds}");
        self.control.raw(Method::GET, &path, &[], Bytes::new()).ended(200);
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        let path = format!("/control/{what}");
        self.control.raw(Method::POST, &path, &[], Bytes::from(body.to_string())).ended(200).json()
    }
}

fn with(base: &Value, more: &Value) -> Value {
    let both = [base, more].map(|part| part.as_object().expect("an object").clone());
    Value::Object(both.into_iter().flatten().collect())
}
