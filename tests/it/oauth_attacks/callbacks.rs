//! Attacks on the callback of a sign-in, one by one: none is answered by a token request, and none stores anything.

use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::oauth_attacks::{ACCESS, Begun, CODE, Ring, own_client};

/// One attack on the callback: its name, what the browser opens, what it sends as its cookie, and the words of the refusal.
struct Attack {
    name: &'static str,
    url: String,
    cookie: Option<String>,
    status: u16,
    words: &'static str,
}

/// One that is refused.
fn attack(name: &'static str, url: String, cookie: Option<String>, words: &'static str) -> Attack {
    Attack { name, url, cookie, status: 409, words }
}

fn attacks_on_the_state(own: &Begun) -> Vec<Attack> {
    let (state, good) = (own.state(), own.callback());
    let cookie = || Some(own.cookie());
    let near = {
        let end = if state.ends_with('A') { "B" } else { "A" };
        format!("{}{end}", &state[..state.len() - 1])
    };
    let hash = hex::encode(Sha256::digest(&state));
    let with = |given: &[(&str, &str)]| own.callback_with(given);
    let and = |more: &str| format!("{good}&{more}");
    let unknown = "its state is not known";
    vec![
        attack("no state", with(&[("code", CODE)]), cookie(), "it has no state"),
        attack("an empty state", with(&[("code", CODE), ("state", "")]), cookie(), "the sign-in is refused"),
        attack("a state that was guessed", with(&[("code", CODE), ("state", "AAAA")]), cookie(), unknown),
        attack("a state that is nearly right", with(&[("code", CODE), ("state", &near)]), cookie(), unknown),
        attack(
            "a state in other letters",
            with(&[("code", CODE), ("state", &state.to_uppercase())]),
            cookie(),
            unknown,
        ),
        attack(
            "a state with a blank behind it",
            with(&[("code", CODE), ("state", &format!("{state} "))]),
            cookie(),
            unknown,
        ),
        attack("the hash of the state", with(&[("code", CODE), ("state", &hash)]), cookie(), unknown),
        attack("a state without end", with(&[("code", CODE), ("state", &"A".repeat(8_000))]), cookie(), unknown),
        attack(
            "the state in the fragment",
            format!("{}#state={state}", with(&[("code", CODE)])),
            cookie(),
            "it has no state",
        ),
        attack("two states", and("state=AAAA"), cookie(), "it has no state"),
        attack("the same state twice", and(&format!("state={state}")), cookie(), "it has no state"),
    ]
}

fn attacks(ring: &Ring, own: &Begun, other: &Begun) -> Vec<Attack> {
    let (state, good) = (own.state(), own.callback());
    let cookie = || Some(own.cookie());
    let secret = |pair: &str| pair.split_once('=').unwrap().1.to_owned();
    let honest = ring.honest.origin();
    let with = |given: &[(&str, &str)]| own.callback_with(given);
    let and = |more: &str| format!("{good}&{more}");
    let browser = "it came from another browser";
    let client = "it came to the callback of another client";
    let service = "it comes from another service";
    // The last part of its redirect URI names the client and the service.
    let last = own_client(&ring.honest);
    let path = |other: &str| good.replace(&format!("/{last}?"), &format!("/{other}?"));
    let name = own.cookie().split_once('=').unwrap().0.to_owned();
    let as_cookie = |value: &str| Some(format!("{name}={value}"));
    let mut all = attacks_on_the_state(own);
    all.extend([
        attack("the state of another sign-in", other.callback(), cookie(), browser),
        attack("no cookie", good.clone(), None, browser),
        attack("an empty cookie", good.clone(), as_cookie(""), browser),
        attack("a cookie that was guessed", good.clone(), as_cookie("AAAA"), browser),
        attack("the cookie of another browser", good.clone(), Some(other.cookie()), browser),
        attack("the state as a cookie", good.clone(), as_cookie(&state), browser),
        attack("a cookie of another name", good.clone(), Some(format!("sign-in={}", secret(&own.cookie()))), browser),
        attack(
            "a cookie that was planted before the right one",
            good.clone(),
            Some(format!("{name}=AAAA; {}", own.cookie())),
            browser,
        ),
        attack(
            "a cookie whose name is in other letters",
            good.clone(),
            Some(own.cookie().replace(&name, &name.to_uppercase())),
            browser,
        ),
        attack("the callback of an identity provider", path("acme"), cookie(), client),
        attack("the callback of another connector", path(&last.replace("http.", "salesforce.")), cookie(), client),
        attack("the callback of another protocol", path(&last.replace("oauth2", "jwt-bearer")), cookie(), client),
        attack("the callback of another service", path(&own_client(&ring.evil)), cookie(), client),
        attack("a callback in other letters", path(&last.to_uppercase()), cookie(), client),
        attack("a callback with its dot encoded twice", path(&last.replace("http.", "http%252E")), cookie(), client),
        attack("an attacker's issuer", and(&format!("iss={}", ring.evil.origin())), cookie(), service),
        attack(
            "an issuer that begins like the right one",
            and(&format!("iss={honest}.evil.example")),
            cookie(),
            service,
        ),
        attack("an issuer behind the right one's name", and(&format!("iss={honest}@evil.example")), cookie(), service),
        attack(
            "an issuer of another scheme",
            and(&format!("iss={}", honest.replace("http:", "https:"))),
            cookie(),
            service,
        ),
        attack("an issuer at another port", and("iss=http://127.0.0.1:1"), cookie(), service),
        attack("an issuer that is no URL", and("iss=honest"), cookie(), service),
        attack("an empty issuer", and("iss="), cookie(), service),
        attack(
            "the right issuer and an attacker's",
            and(&format!("iss={honest}&iss={}", ring.evil.origin())),
            cookie(),
            "the sign-in is refused",
        ),
        attack("two codes", and("code=another"), cookie(), "the sign-in is refused"),
        attack("no code", with(&[("state", &state)]), cookie(), "the sign-in is refused"),
        attack("an empty code", with(&[("state", &state), ("code", "")]), cookie(), "the sign-in is refused"),
        attack("a code in the fragment", format!("{}#code={CODE}", with(&[("state", &state)])), cookie(), "is refused"),
        attack(
            "a token instead of a code",
            with(&[("state", &state), ("access_token", ACCESS)]),
            cookie(),
            "is refused",
        ),
        attack(
            "an ID token instead of a code",
            with(&[("state", &state), ("id_token", "e30.e30.")]),
            cookie(),
            "is refused",
        ),
        Attack {
            status: 502,
            ..attack("an error", with(&[("state", &state), ("error", "access_denied")]), cookie(), "access_denied")
        },
        Attack {
            status: 502,
            ..attack("an error beside a code", and("error=access_denied"), cookie(), "access_denied")
        },
        Attack {
            status: 502,
            ..attack(
                "an error with markup",
                and("error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cimg src=x onerror=alert(1)%3E"),
                cookie(),
                "&lt;script&gt;",
            )
        },
    ]);
    all
}

#[test]
fn an_attacked_callback_sends_no_token_request_and_stores_nothing() {
    let ring = Ring::new();
    for name in ["Orders", "Invoices"] {
        ring.made(name, &ring.honest);
    }
    let acme = json!({"connector": "http", "protocol": "oauth2", "client-id": "acme-client"});
    ring.api.send(Method::PUT, "/setup/identity-providers/acme", &acme).ended(200);
    let count = attacks(&ring, &ring.begun("Orders"), &ring.begun("Invoices")).len();
    assert!(count >= 40, "{count}");
    let mut wrong = Vec::new();
    for at in 0..count {
        // A state serves once, so each attack has sign-ins of its own.
        let keys = [format!("Orders{at}"), format!("Invoices{at}")];
        for key in &keys {
            ring.made(key, &ring.honest);
        }
        let [own, other] = keys.each_ref().map(|key| ring.begun(key));
        let Attack { name, url, cookie, status, words } = attacks(&ring, &own, &other).swap_remove(at);
        let headers: Vec<_> = cookie.iter().map(|cookie| ("cookie", cookie.as_str())).collect();
        let page = ring.open(&url, &headers);
        let text = page.text();
        if page.status != status || !text.contains(words) || text.contains("<script") || text.contains("<img") {
            wrong.push(format!("{name}: {} {text}", page.status));
        }
        let sent = ring.token_requests();
        let views = keys.each_ref().map(|key| ring.api.get(&format!("/connections/{key}")).json());
        let stored = views.iter().any(|view| view["complete"] == true || view["credential"] != Value::Null);
        if sent != 0 || stored {
            wrong.push(format!("{name}: {sent} token requests, stored: {stored}"));
            ring.honest.forget();
            ring.evil.forget();
        }
        for answered in [text.as_str(), page.header("location")] {
            assert!(!answered.contains(CODE), "{name}: the code is repeated: {answered}");
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
