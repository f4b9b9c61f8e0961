//! Server-side request forgery by the forms of URLs, by redirects, and through whatever else of the host dials what somebody wrote.

use std::net::SocketAddr;

use serde_json::json;
use turnbuckle_tests::components;
use turnbuckle_tests::leaks::CLIENT_SECRET;
use url::Url;

use crate::forgery::{Ended, PUBLIC, PUBLIC_AT, Range, welcome};
use crate::netns::{Canary, in_own_internet};
use crate::scene::{BINARY, TOKEN};
use crate::spellings::{self, Spelling, is_forbidden};
use crate::users::put;
use crate::webhooks::until;

/// Forms of URLs in which one parser sees the good host and another the evil one: `G` and `E`.
const FORMS: &[&str] = &[
    // User information, and what ends it.
    "https://G@E/",
    "https://E@G/",
    "https://user:pass@E/",
    "https://G:443@E/",
    "https://G%40E/",
    "https://@E/",
    "https://:@E/",
    "https://G:@E/",
    "https://G:80@E:443/",
    "https://G;@E/",
    "https://G&@E/",
    "https://G @E/",
    "https://G\t@E/",
    "https://G\n@E/",
    "https://G\r\n@E/",
    "https://G\u{0}@E/",
    "https://G\u{2028}@E/",
    "https://G#@E/",
    "https://G?@E/",
    "https://G/@E/",
    "https://E#@G/",
    "https://E?@G/",
    "https://E/@G/",
    "https://G%2f@E/",
    "https://G%5c@E/",
    "https://G%23@E/",
    "https://G%3f@E/",
    "https://G%00@E/",
    "https://G,@E/",
    // Backslashes and slashes, too many and too few.
    "https://G\\@E/",
    "https://E\\@G/",
    "https://G\\E/",
    "https:\\\\E/",
    "https:\\/E/",
    "https:/E/",
    "https:E/",
    "https:///E/",
    "https:////E/",
    "https://\\E/",
    "//E/",
    "///E/",
    "////E/",
    "\\\\E/",
    "/\\E/",
    "\\/E/",
    "/\\/E/",
    "//G@E/",
    "//E:443/",
    "///G@E/",
    "/E",
    "/@E/",
    "@E/",
    ":@E/",
    ":443@E/",
    ".E/",
    "E",
    "E/",
    "E:443",
    "//",
    "/\\",
    // The scheme.
    "http://E/",
    "http://G/",
    "HTTPS://E/",
    "hTtPs://E/",
    "ht\ntps://E/",
    " https://E/",
    "\thttps://E/",
    "https://E/ ",
    "file:///etc/passwd",
    "file://E/etc/passwd",
    "ftp://E/",
    "gopher://E:80/_GET",
    "dict://E:11211/",
    "ldap://E/",
    "tftp://E/",
    "sftp://E/",
    "jar:https://E!/",
    "netdoc:///etc/passwd",
    "javascript://E/%0a",
    "data:text/html,E",
    "ws://E/",
    "wss://E/",
    "unix:///var/run/docker.sock",
    "http+unix://%2fvar%2frun%2fdocker.sock/",
    "blob:https://E/x",
    "view-source:https://E/",
    "https+E",
    "://E/",
    "https://",
    "https:",
    "https",
    "about:blank",
    "mailto:root@E",
    // Whitespace and control characters.
    "https://\tE/",
    "https://E\n/",
    "https://E\t/",
    "https://E%09/",
    "https://E%20/",
    "https://G%00E/",
    "https://G%0aE/",
    "https://G%0d%0aHost:%20E/",
    "/%0d%0aHost:%20E",
    "/ HTTP/1.1\r\nHost: E\r\n\r\nGET /",
    "/\r\nX-Injected: E",
    "/ E",
    // Paths.
    "/..//E/",
    "/../../E",
    "/./%2e%2e/E",
    "/%2f%2fE/",
    "/%5c%5cE",
    "/%2e%2e//E",
    "/..%2f..%2fE",
    "/..;/E",
    "/.//E/",
    "https://G/..//E/",
    "https://G/\\E",
    "https://G/%2f%2fE",
    "https://G//E/",
    "/?url=https://E/",
    "/#https://E/",
    "*",
    "",
    "?x=https://E/",
    "#https://E/",
    "https://?E",
    "https://#E",
    "/https://E/",
    "https://G/https://E/",
    // Ports.
    "https://G:443/",
    "https://G:0443/",
    "https://G:8443/",
    "https://G:80/",
    "https://G:0/",
    "https://G:65536/",
    "https://G:-1/",
    "https://G:443:80/",
    "https://G:%34%34%33/",
    "https://G:４４３/",
    "https://E:443/",
    "https://G:/",
    "https://G:443@E:443/",
    "https://G:E/",
    "https://G:443E/",
    "https://G:443.E/",
    "https://E:4294967739/",
    // Names within names, and characters that look like others.
    "https://G.E/",
    "https://E.G/",
    "https://G。E/",
    "https://G／E/",
    "https://G＠E/",
    "https://G＃@E/",
    "https://G？@E/",
    "https://G：443@E/",
    "https://G＼@E/",
    "https://[G]/",
    "https://G[E]/",
    "https://(E)/",
    "https://%E/",
    "https://xn--E/",
    "https://G%ffE/",
    "https://G%u002f@E/",
    "https://E%2eG/",
    "https://G,E/",
    "https://G|E/",
    "https://G^E/",
    "https://G`E/",
    "https://G<E>/",
    "https://{E}/",
    "https://G\"@E/",
    "https://G'@E/",
    // Whole requests in the place of a URL.
    "CONNECT E:443",
    "GET https://E/",
    "https://E/ HTTP/1.1",
];

const EVIL: [&str; 3] = ["169.254.169.254", "[::1]", "localhost"];

pub(crate) fn forms() -> Vec<String> {
    let with = |evil: &'static str| FORMS.iter().map(move |form| fill(form, evil));
    EVIL.into_iter().flat_map(with).collect()
}

/// Puts the hosts in the places of the two letters. No word of a form has one of them in capitals, but those of protocols.
fn fill(form: &str, evil: &str) -> String {
    let mut out = String::new();
    let mut rest = form;
    while let Some(at) = rest.find(['G', 'E']) {
        let (before, found) = rest.split_at(at);
        let near = |c: Option<char>| c.is_some_and(|c| c.is_ascii_uppercase());
        let word = near(before.chars().last()) || near(found.chars().nth(1));
        out.push_str(before);
        out.push_str(match (word, &found[..1]) {
            (true, letter) => letter,
            (false, "G") => PUBLIC,
            (false, _) => evil,
        });
        rest = &found[1..];
    }
    out + rest
}

fn public() -> SocketAddr {
    format!("[::ffff:{PUBLIC_AT}]:443").parse().unwrap()
}

/// Whatever was dialled is the public service, at one port or another. Says whether anything was.
fn went_home(canary: &Canary, what: &str) -> bool {
    let taken = canary.taken();
    assert!(taken.iter().all(|at| at.ip() == public().ip()), "{what:?} was dialled: {taken:?}");
    !taken.is_empty()
}

#[test]
fn no_form_of_a_url_takes_a_request_elsewhere() {
    const TEST: &str = "no_form_of_a_url_takes_a_request_elsewhere";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        let range = Range::new(canary, names, &[], &[], |at, head| {
            assert!(!head.to_ascii_lowercase().contains("\r\nx-injected"), "{head}");
            welcome(at)
        });
        assert_eq!(range.attempt("Public", &format!("https://{PUBLIC}")), Ended::Passed);
        assert!(went_home(&range.canary, "the control"));
        let forms = forms();
        assert!(forms.len() >= 450, "{}", forms.len());
        let (mut home, mut refused) = (0, 0);
        for form in &forms {
            let answer = range.send("Public", form);
            if went_home(&range.canary, form) {
                home += 1;
                assert_eq!((answer.status.as_u16(), answer.header("turnbuckle-send")), (200, "upstream"), "{form:?}");
                continue;
            }
            refused += 1;
            assert_eq!(answer.header("turnbuckle-send"), "", "{form:?} was answered by nobody");
            let problem = answer.json();
            match answer.status.as_u16() {
                403 => {
                    let words = problem["detail"].as_str().unwrap();
                    assert_eq!(problem["code"], "denied", "{form:?}: {problem:#}");
                    assert!(words.contains(" rule: "), "{form:?}: {words}");
                }
                422 => assert_eq!(problem["problems"][0]["field"], "url", "{form:?}: {problem:#}"),
                status => panic!("{form:?}: {status} {problem:#}"),
            }
        }
        assert!(home >= 30 && refused >= 300, "{home} went home, {refused} were refused");
    });
}

#[test]
fn no_form_of_a_url_is_a_setting_that_leads_elsewhere() {
    const TEST: &str = "no_form_of_a_url_is_a_setting_that_leads_elsewhere";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        let range = Range::new(canary, names, &[], &[], |at, _| welcome(at));
        let secrets = json!({"token": TOKEN});
        let mut refused = 0;
        for (index, form) in forms().iter().enumerate() {
            let ended = range.attempt(&format!("{index}"), form);
            let home = went_home(&range.canary, form);
            // At another port there is no TLS, or nobody.
            assert!(home || ended != Ended::Passed, "{form:?}: {ended:?}");
            assert!(!home || matches!(ended, Ended::Passed | Ended::Failed(_)), "{form:?}: {ended:?}");
            refused += usize::from(matches!(ended, Ended::Field(_)));
            let settings = json!({"url": format!("https://{PUBLIC}"), "test-path": form});
            let ended = range.attempt_with(&format!("path {index}"), "bearer", &settings, &secrets, "test-path");
            // What stands behind the first slash is a path, whatever it looks like.
            assert_eq!(ended == Ended::Passed, went_home(&range.canary, form), "{form:?}: {ended:?}");
            assert!(!matches!(ended, Ended::Failed(_)), "{form:?}: {ended:?}");
        }
        assert!(refused >= 300, "{refused} were refused as no URL of a service");
    });
}

#[test]
fn no_redirect_is_followed_wherever_it_points() {
    const TEST: &str = "no_redirect_is_followed_wherever_it_points";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        names.at("rebound.example", &["127.0.0.1"]);
        let range = Range::new(canary, names, &[], &[], |_, head| {
            // What is asked for says how it is to be answered.
            let target = head.split(' ').nth(1).unwrap();
            let url = Url::parse(&format!("https://{PUBLIC}{target}")).unwrap();
            let asked =
                |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
            let status = asked("status").or_else(|| url.path().strip_prefix("/moved/").map(str::to_owned));
            let to = asked("to").unwrap_or_else(|| "http://169.254.169.254/latest/meta-data/".to_owned());
            format!(
                "HTTP/1.1 {} Moved\r\nlocation: {to}\r\nrefresh: 0; url={to}\r\nlink: <{to}>; rel=preload\r\n\
                 alt-svc: h3=\"169.254.169.254:443\"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                status.unwrap_or_else(|| "200".to_owned())
            )
        });
        assert_eq!(range.attempt("Public", &format!("https://{PUBLIC}")), Ended::Passed);
        assert!(went_home(&range.canary, "the control"));
        let targets = [
            "https://169.254.169.254/latest/meta-data/",
            "http://169.254.169.254/",
            "http://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.66.0.1]/",
            "http://2130706433/",
            "https://rebound.example/",
            "//169.254.169.254/",
            "/\\169.254.169.254/",
            "https://public.example@127.0.0.1/",
            "https://localhost:80/",
            "http://public.example/",
            "https://public.example:80/",
            "/moved/302",
            "https://public.example/moved/307",
            "file:///etc/passwd",
            "gopher://127.0.0.1:80/_GET",
            "ftp://127.0.0.1/",
            "javascript:alert(1)",
            "",
        ];
        for status in [201, 300, 301, 302, 303, 304, 305, 306, 307, 308, 399] {
            for to in targets {
                let encoded: String = to.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let what = format!("{status} to {to}");
                let answer = range.send("Public", &format!("/?status={status}&to={encoded}"));
                assert_eq!(answer.status, status, "{what}: {}", answer.text());
                assert_eq!(range.canary.taken(), [public()], "{what}");
            }
            let settings = json!({"url": format!("https://{PUBLIC}"), "test-path": format!("/moved/{status}")});
            let name = format!("Moved {status}");
            let ended = range.attempt_with(&name, "bearer", &settings, &json!({"token": TOKEN}), "url");
            assert_eq!(matches!(ended, Ended::Failed(_)), status >= 300, "{status}: {ended:?}");
            assert_eq!(range.canary.taken(), [public()], "{status}");
            let token = json!({
                "url": format!("https://{PUBLIC}"), "authorization-server": format!("https://{PUBLIC}"),
                "token-path": format!("/moved/{status}"), "client-id": "desk", "client-authentication": "basic",
            });
            let secrets = json!({"client-secret": CLIENT_SECRET});
            let name = format!("Token {status}");
            let ended = range.attempt_with(&name, "oauth2-client-credentials", &token, &secrets, "token-path");
            assert!(matches!(ended, Ended::Failed(_)), "{status}: {ended:?}");
            assert_eq!(range.canary.taken(), [public()], "{status}: one token request, and no other");
        }
    });
}

#[test]
fn token_endpoints_and_webhooks_are_dialled_by_the_same_rules() {
    const TEST: &str = "token_endpoints_and_webhooks_are_dialled_by_the_same_rules";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        names.at("inside.example", &["10.66.0.1"]);
        let range = Range::new(canary, names, &[], &[], |at, _| welcome(at));
        let secrets = json!({"client-secret": CLIENT_SECRET});
        let (mut denied, mut hooks) = (0, 0);
        for (index, Spelling { host, meant }) in spellings::all().into_iter().enumerate().step_by(7) {
            if meant.is_some_and(|meant| !is_forbidden(meant)) {
                continue;
            }
            let settings = json!({
                "url": format!("https://{PUBLIC}"), "authorization-server": format!("https://{host}"),
                "token-path": "/token", "client-id": "desk", "client-authentication": "basic",
            });
            let name = format!("Token {index}");
            let ended =
                range.attempt_with(&name, "oauth2-client-credentials", &settings, &secrets, "authorization-server");
            assert!(ended != Ended::Passed, "{host}");
            denied += usize::from(matches!(&ended, Ended::Denied { rule, .. } if rule == "address"));
            let answer =
                put(&range.api, &format!("/webhooks/hook-{index}"), &json!({"url": format!("https://{host}/in")}));
            // A name that nobody knows may be known tomorrow.
            let refused = answer.status != 201;
            assert!(refused || meant.is_none(), "{host}: {}", answer.text());
            hooks += usize::from(refused);
            assert_eq!(range.canary.taken(), [], "{host}");
        }
        assert!(denied >= 50 && hooks >= 100, "{denied} token endpoints denied by their address, {hooks} webhooks");

        put(&range.api, "/webhooks/inside", &json!({"url": "https://inside.example/in"})).ended(201);
        assert_eq!(range.attempt("Public", &format!("https://{PUBLIC}")), Ended::Passed);
        until(&range.api, "inside", |view| view["pending"].as_u64().is_some_and(|pending| pending > 0));
        let waiting = range.api.get("/webhooks/inside/deliveries?state=pending").ended(200).json();
        let problem = waiting["items"][0]["problem"].as_str().unwrap();
        assert!(problem.contains("address rule"), "{problem}");
        assert!(went_home(&range.canary, "the control"));
    });
}
