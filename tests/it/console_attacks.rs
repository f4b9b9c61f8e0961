//! The console under attack: every form that changes something, sent from everywhere but its own page; sessions and links of others;
//! and every way in which a browser could be sent elsewhere.

use std::thread;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::browser::Browser;
use turnbuckle_tests::tree;

use crate::console::{Desk, csrf, link, pages};
use crate::forgery_redirects::forms;
use crate::scene::{Scene, TOKEN};
use crate::users::{WORKS, put, user};

const FORM: &str = "application/x-www-form-urlencoded";

/// Every path at which the console takes a form, as its routers say it, with something that is there in each place.
fn posted(connection: &str) -> Vec<String> {
    let mut all = Vec::new();
    for file in ["host/server/src/console.rs", "host/server/src/console/setup.rs"] {
        let source = std::fs::read_to_string(tree::top().join(file)).unwrap();
        for route in source.split(".route(").skip(1) {
            // What a route takes stands before the next call of the router.
            let route = route.split("\n        .").next().unwrap();
            let path = route.split('"').nth(1).unwrap_or_default();
            if route.contains("post(") && !path.is_empty() {
                all.push(filled(path, connection));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

fn filled(path: &str, connection: &str) -> String {
    let mut path = path.replace("{key}", connection).replace("{connector}", "http");
    if path.starts_with("/connectors/") {
        path = path.replace("{name}", "http");
    }
    for (below, name) in [("/setup/webhooks", "shop"), ("/setup/users", "bob"), ("/setup/permission-sets", "bob")] {
        if path.starts_with(below) {
            path = path.replace("{name}", name);
        }
    }
    let place = regex_lite::Regex::new(r"\{[^}]*\}").unwrap();
    place.replace_all(&path, "administrator").into_owned()
}

/// Everything that somebody could have changed.
fn whole(api: &Api) -> Vec<Value> {
    let lists = [
        "/connections",
        "/connectors",
        "/flows",
        "/webhooks",
        "/setup/users",
        "/setup/permission-sets",
        "/setup/tokens",
    ];
    lists.iter().map(|path| api.get(path).ended(200).json()).collect()
}

#[test]
fn no_form_is_taken_but_from_its_own_page_in_its_own_session() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    user(&scene.server, "bob", &WORKS);
    let paths = posted(made["id"].as_str().unwrap());
    assert!(paths.len() >= 20, "{paths:?}");
    let own = scene.server.url.clone();
    let port = own.rsplit(':').next().unwrap().to_owned();
    let (mut desk, mut other) = (Desk::of(&scene), Desk::by(&own, &link(&scene.api)));
    let (token, foreign) = (csrf(&desk.get("/integrations").text()), csrf(&other.get("/integrations").text()));
    let cookie = desk.browser.cookies(&own);
    assert_ne!(token, foreign);
    let api = Api::new(&own, None);
    let send = |path: &str, cookie: &str, fields: &str, headers: &[(&str, &str)]| -> Answer {
        let mut all = vec![("cookie", cookie), ("content-type", FORM)];
        all.extend_from_slice(headers);
        api.raw(Method::POST, path, &all, Bytes::from(fields.to_owned()))
    };
    let before = whole(&scene.api);
    let good = format!("csrf={token}");
    for path in paths.iter().filter(|path| *path != "/sign-in") {
        for header in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", &format!("http://127.0.0.1.evil.example:{port}")),
            ("origin", "http://127.0.0.1:1"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let refused = send(path, &cookie, &good, &[header]);
            assert_eq!(
                (refused.status.as_u16(), refused.json()["code"].as_str()),
                (403, Some("foreign-origin")),
                "{path} {header:?}"
            );
        }
        for fields in [
            String::new(),
            "csrf=".to_owned(),
            format!("csrf={foreign}"),
            format!("csrf={}", token.to_lowercase()),
            format!("csrf={}", &token[..token.len() - 1]),
            format!("csrf={token}x"),
            format!("csrf=wrong&csrf={token}"),
            format!("csrf%5B%5D={token}"),
            format!("CSRF={token}"),
            format!("x={token}"),
        ] {
            let refused = send(path, &cookie, &fields, &[]);
            assert_eq!(refused.status, 403, "{path} with {fields}: {}", refused.text());
            assert!(refused.text().contains("not from a page of this session"), "{path}: {}", refused.text());
        }
        // As other kinds of bodies that a page of another site can send, and in the URL.
        for (kind, body) in [("text/plain", good.clone()), ("application/json", json!({"csrf": token}).to_string())] {
            let headers = [("cookie", cookie.as_str()), ("content-type", kind), ("sec-fetch-site", "cross-site")];
            api.raw(Method::POST, path, &headers, Bytes::from(body)).ended(403);
        }
        assert_eq!(send(&format!("{path}?csrf={token}"), &cookie, "", &[]).status, 403, "{path}");
        // A session of nobody's, and none.
        for nobody in ["", "turnbuckle=1", &format!("turnbuckle-{port}=planted"), &format!("turnbuckle-{port}=")] {
            let refused = send(path, nobody, &good, &[]);
            assert_eq!(refused.status, 401, "{path} by {nobody:?}: {}", refused.text());
        }
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let headers = [("cookie", cookie.as_str()), ("content-type", FORM)];
            let refused = api.raw(method.clone(), path, &headers, Bytes::from(good.clone()));
            assert_eq!(refused.status, 405, "{method} {path}: {}", refused.text());
            assert_eq!(refused.header("access-control-allow-origin"), "", "{path}");
        }
    }
    assert_eq!(whole(&scene.api), before, "nothing was done");
    // The same form with all that belongs to it is taken.
    let path = format!("/connections/{}/disable", made["id"].as_str().unwrap());
    let version = made["version"].to_string();
    let headers = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    send(&path, &cookie, &format!("{good}&version={version}"), &headers).ended(303);
    assert_ne!(whole(&scene.api), before);
    // And after signing out it is not.
    send("/sign-out", &cookie, &good, &[]).ended(303);
    let path = path.replace("/disable", "/enable");
    send(&path, &cookie, &good, &headers).ended(401);
    assert_eq!(scene.api.get("/connections/Orders").json()["enabled"], false);
}

#[test]
fn a_link_that_several_follow_at_the_same_time_lets_one_of_them_in() {
    let scene = Scene::http();
    for _ in 0..8 {
        let link = link(&scene.api);
        let following: Vec<_> = (0..8)
            .map(|_| {
                let link = link.clone();
                thread::spawn(move || Browser::new().get(&link).status.as_u16())
            })
            .collect();
        let mut statuses: Vec<_> = following.into_iter().map(|following| following.join().unwrap()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 401, 401, 401, 401, 401, 401, 401]);
    }
}

#[test]
fn a_session_that_an_attacker_knows_is_not_the_one_that_somebody_signs_in_to() {
    let scene = Scene::http();
    let own = scene.server.url.clone();
    let port = own.rsplit(':').next().unwrap().to_owned();
    let name = format!("turnbuckle-{port}");
    // The attacker has a session of their own, and plants its cookie in the browser of somebody else.
    let bob = user(&scene.server, "bob", &WORKS);
    let attacker = Desk::by(&own, &link(&bob));
    let planted = attacker.browser.cookies(&own);
    let api = Api::new(&own, None);
    let code = link(&scene.api).split("code=").nth(1).unwrap().to_owned();
    for cookie in [
        planted.clone(),
        format!("{name}=chosen; {planted}"),
        format!("{planted}; {name}=chosen"),
        format!("{name}=\"{}\"", &planted[name.len() + 1..]),
    ] {
        let headers = [("cookie", cookie.as_str()), ("content-type", FORM)];
        let body = Bytes::from(format!("token={}", scene.server.token));
        let entered = api.raw(Method::POST, "/sign-in", &headers, body).ended(303);
        let set: Vec<_> = entered.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
        let fresh =
            set.iter().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap().split(';').next().unwrap();
        assert!(!cookie.contains(fresh) && fresh.len() == 43, "{set:?}");
        let whose = |cookie: &str| {
            let page = api.raw(Method::GET, "/integrations", &[("cookie", cookie)], Bytes::new());
            match page.status.as_u16() {
                200 if page.text().contains("<bdi>administrator</bdi>") => "administrator",
                200 => "bob",
                _ => "nobody",
            }
        };
        assert_eq!(whose(&format!("{name}={fresh}")), "administrator");
        assert_ne!(whose(&planted), "administrator", "{cookie}");
        assert_eq!(whose(&format!("{name}=chosen")), "nobody");
        assert_eq!(whose(&format!("{name}={fresh}x")), "nobody");
    }
    // Somebody who is signed in already is asked before a link makes them somebody else.
    let again = Desk::by(&own, &link(&bob)).browser.cookies(&own);
    let page = api.raw(Method::GET, &format!("/sign-in?code={code}"), &[("cookie", &again)], Bytes::new()).ended(200);
    assert!(!page.headers.contains_key("set-cookie"), "{}", page.text());
}

#[test]
fn no_page_sends_a_browser_elsewhere_whatever_it_is_told() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    let own = scene.server.url.clone();
    let here = url::Url::parse(&own).unwrap();
    let stays = |answer: &Answer, what: &str| {
        let to = answer.header("location");
        let url = here.join(to).unwrap();
        assert_eq!(url.origin(), here.origin(), "{what} sends to {to}");
        // As browsers read it: a backslash is a slash, and what cannot be seen is not there.
        let seen: String = to.chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        assert!(!seen.replace('\\', "/").starts_with("//"), "{what} sends to {to:?}");
        let refresh = answer.header("refresh");
        assert_eq!(refresh, "", "{what}");
    };
    let mut targets: Vec<_> = forms();
    targets.extend(
        ["javascript:alert(1)", "//evil.example/%2f..", "/%09/evil.example", "/%5cevil.example", "/..//evil.example"]
            .map(str::to_owned),
    );
    assert!(targets.len() >= 324, "{}", targets.len());
    let cookie = Desk::of(&scene).browser.cookies(&own);
    let api = Api::new(&own, None);
    let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    for target in &targets {
        // Kept where somebody is sent after signing in, raw as far as a cookie can hold it, and encoded.
        for kept in [target.clone(), encode(target)] {
            if kept.bytes().any(|byte| !(0x21..0x7f).contains(&byte) || matches!(byte, b';' | b',')) {
                continue;
            }
            let headers = [("cookie", format!("turnbuckle-back={kept}")), ("content-type", FORM.to_owned())];
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let body = Bytes::from(format!("token={}", scene.server.token));
            let entered = api.raw(Method::POST, "/sign-in", &headers, body).ended(303);
            stays(&entered, &format!("the cookie {kept:?}"));
        }
        for name in ["next", "return_to"] {
            let query = format!("{name}={}", encode(target));
            for path in ["/", "/sign-in"] {
                stays(&api.raw(Method::GET, &format!("{path}?{query}"), &[], Bytes::new()), &query);
                stays(&api.raw(Method::GET, &format!("{path}?{query}"), &[("cookie", &cookie)], Bytes::new()), &query);
            }
        }
        // As the path itself, which a page that asks for a sign-in remembers.
        let legal = |byte: u8| (0x21..0x7f).contains(&byte) && !br##"#"<>`{}\^|"##.contains(&byte);
        if target.starts_with('/')
            && target.bytes().all(legal)
            && let Some(answer) = api.attempt(Method::GET, target, &[], Bytes::new())
        {
            stays(&answer, target);
        }
    }
    // Sessions of one person are few: the last of them are still good, the desk's own is not.
    let id = made["id"].as_str().unwrap();
    let mut desk = Desk::of(&scene);
    for path in pages(id) {
        let page =
            desk.get(&format!("{path}{}return=//evil.example", if path.contains('?') { '&' } else { '?' })).text();
        assert!(!page.contains("href=\"//evil.example") && !page.contains("action=\"//evil.example"), "{path}");
    }
}

#[test]
fn nothing_here_can_be_framed_sniffed_or_read_by_another_site() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    scene.upstream.on("GET", "/page", |_| {
        turnbuckle_tests::upstream::Reply::status(200)
            .header("content-type", "text/html")
            .header("access-control-allow-origin", "*")
            .header("content-security-policy", "default-src *")
            .header("x-frame-options", "ALLOWALL")
            .header("set-cookie", "a=b")
            .header("clear-site-data", "\"*\"")
            .header("service-worker-allowed", "/")
            .body("<script>1</script>")
    });
    let mut desk = Desk::of(&scene);
    let mut all: Vec<(String, Answer)> = Vec::new();
    let id = made["id"].as_str().unwrap();
    let evil = [("origin", "https://evil.example"), ("sec-fetch-mode", "cors")];
    for path in pages(id).into_iter().chain(["/sign-in".to_owned(), "/nowhere".to_owned(), "/icons/http".to_owned()]) {
        all.push((path.clone(), desk.browser.get_with(&format!("{}{path}", scene.server.url), &evil)));
    }
    for path in [
        "/api/v1/connections",
        "/api/v1/connectors/http/icon",
        "/api/openapi.json",
        "/healthz",
        "/metrics",
        "/oauth/callback/x",
        "/api/v1/connections/Orders/send?url=/page",
        "/api/v1/nowhere",
    ] {
        all.push((path.to_owned(), scene.api.raw(Method::GET, path, &evil, Bytes::new())));
    }
    for (path, answer) in all {
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") || policy.contains("sandbox"), "{path}: {policy}");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert_eq!(answer.headers.get_all("content-security-policy").iter().count(), 1, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        for open in [
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "clear-site-data",
            "service-worker-allowed",
            "x-powered-by",
            "server",
        ] {
            assert_eq!(answer.header(open), "", "{path}: {open}");
        }
        assert!(!answer.text().contains(TOKEN), "{path}");
    }
    // A preflight of another site is no invitation.
    for path in ["/api/v1/connections", "/integrations", "/sign-in"] {
        let asked = [
            ("origin", "https://evil.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        let answer = scene.api.raw(Method::OPTIONS, path, &asked, Bytes::new());
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[test]
fn no_trick_in_a_path_of_the_console_leads_out_of_its_place() {
    let scene = Scene::http();
    scene.connected("Orders");
    let mut desk = Desk::of(&scene);
    let tricks = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%00",
        "style.css%00",
        "..%5c..%5cetc%5cpasswd",
        "%c0%ae%c0%ae%2f",
        "%ff",
        "%252e%252e%252fetc%252fpasswd",
        "....%2f%2fetc",
        "%2fetc%2fpasswd",
        "%E2%80%AE",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%22onload=x",
        "%7B%7B7*7%7D%7D",
        "http%00",
        "Http",
        "http%20",
        "http.svg",
        "http%2f..%2fhttp",
        "+",
        "%2b",
        "%",
    ];
    let long = "a".repeat(8_000);
    for trick in tricks.iter().copied().chain([long.as_str()]) {
        for path in [
            format!("/assets/x/{trick}"),
            format!("/icons/{trick}"),
            format!("/connections/{trick}"),
            format!("/connections/{trick}/edit"),
            format!("/connectors/{trick}"),
            format!("/connectors/{trick}/remove"),
            format!("/integrations/new/{trick}"),
            format!("/principals/{trick}"),
            format!("/setup/users/{trick}"),
            format!("/setup/webhooks/{trick}"),
            format!("/oauth/callback/{trick}?state=a&code=b"),
        ] {
            let answer = desk.get(&path);
            let status = answer.status.as_u16();
            let text = answer.text();
            // `+` is how a form for something new is asked for.
            let form = trick == "+" || trick == "%2b";
            assert!((400..500).contains(&status) || form && status == 200, "{path}: {status} {text}");
            for found in ["root:x:", "<script>alert", "\"onload=x", "49</"] {
                assert!(!text.contains(found), "{path} shows {found}: {text}");
            }
            assert!(text.len() < 64 << 10, "{path}: {}", text.len());
        }
    }
    put(&scene.api, "/flows/nightly", &json!({"name": "Nightly", "status": "draft"})).ended(200);
}
