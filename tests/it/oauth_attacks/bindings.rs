//! Who began a sign-in finishes it, in time, on the connection as it was: receipts, actors, clocks.

use std::path::Path;
use std::sync::{Arc, Mutex};

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use turnbuckle::config::Config;
use turnbuckle::{Actor, Authorize, CallbackAnswer, Compiler, Error, Host, NewConnection, Outside, PutUser};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::browser::{Browser, location, parameter};
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::oauth_attacks::{ACCESS, Begun, CLIENT_SECRET, CODE, Ring};
use crate::scene::BINARY;

#[test]
fn a_receipt_is_taken_once_and_is_no_state_and_a_state_is_no_receipt() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    let begin = || {
        let answer = ring.api.post("/connections/Orders/authorize", &json!({"loopback-port": 9})).ended(200);
        assert_eq!(answer.header("set-cookie"), "", "known by its machine, not by a cookie");
        Begun { browser: Browser::new(), authorize: answer.json()["url"].as_str().unwrap().to_owned() }
    };
    let take = |receipt: &str| ring.api.post("/authorizations", &json!({"receipt": receipt}));

    let begun = begin();
    assert_eq!(take(&begun.state()).ended(409).json()["code"], "receipt", "a state is no receipt");
    let refused = ring.open(&begun.callback(), &[]).ended(409).text();
    assert!(refused.contains("its state is not known"), "whoever tried used it up: {refused}");

    let begun = begin();
    let url = format!("{}&port=1&redirect_uri=http://evil.example/&receipt=chosen", begun.callback());
    let on = ring.open(&url, &[]).ended(303);
    let back = location(&url, &on);
    assert!(back.starts_with("http://127.0.0.1:9/?receipt="), "{back}");
    let receipt = parameter(&back, "receipt");
    assert!(!back.contains(CODE) && receipt.len() == 43, "{back}");
    ring.is_untouched("Orders", "nothing is exchanged before the command asks");

    let as_state = begun.callback_with(&[("code", CODE), ("state", &receipt)]);
    ring.open(&as_state, &[]).ended(409);
    ring.is_untouched("Orders", "a receipt as a state");

    let begun = begin();
    let receipt = parameter(&location(&url, &ring.open(&begun.callback(), &[]).ended(303)), "receipt");
    assert_eq!(Api::new(&ring.server.url, None).post("/authorizations", &json!({"receipt": receipt})).status, 401);
    for wrong in ["", "AAAA", &receipt[1..], &receipt.to_uppercase()] {
        assert_eq!(take(wrong).ended(409).json()["code"], "receipt", "{wrong}");
    }
    ring.is_untouched("Orders", "receipts that were guessed");
    assert_eq!(take(&receipt).ended(200).json()["replaced"], true);
    assert_eq!(take(&receipt).ended(409).json()["code"], "receipt");
    assert_eq!(ring.token_requests(), 1);

    // An error goes back to the command in words, and nowhere else.
    let begun = begin();
    let error = begun.callback_with(&[("state", begun.state().as_str()), ("error", "access_denied")]);
    let on = ring.open(&error, &[]).ended(303);
    assert!(on.header("location").starts_with("http://127.0.0.1:9/?error="), "{}", on.header("location"));
}

#[test]
fn a_connection_that_is_not_what_it_was_is_not_signed_in() {
    let ring = Ring::new();
    type Change = fn(&Ring);
    let edited: Change = |ring| {
        let edit = json!({"version": 1, "settings": {"scope": "admin"}});
        ring.api.send(Method::PATCH, "/connections/Orders", &edit).ended(200);
    };
    let disabled: Change = |ring| {
        ring.api.post("/connections/Orders/disable", &json!({})).ended(200);
    };
    let deleted: Change = |ring| {
        ring.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
        ring.made("Orders", &ring.honest);
    };
    for (name, change) in [("edited", edited), ("disabled", disabled), ("deleted and made anew", deleted)] {
        ring.made("Orders", &ring.honest);
        let mut begun = ring.begun("Orders");
        change(&ring);
        let page = begun.browser.get(&begun.callback());
        assert!(page.text().contains("<h1>Not connected</h1>"), "{name}: {} {}", page.status, page.text());
        ring.is_untouched("Orders", name);
        ring.api.send(Method::DELETE, "/connections/Orders", &Value::Null).ended(204);
    }
}

/// A host whose clock a test sets, with a connection that waits, and what it begins.
async fn host_at(clock: &Arc<Mutex<Timestamp>>, data: &Path, service: &Upstream) -> Host {
    let mut config = Config::default();
    config.egress.allow = vec![service.origin()];
    let (told, random) = (Arc::clone(clock), Arc::new(Mutex::new(0_u64)));
    let outside = Outside::new(
        move || *told.lock().unwrap(),
        move |bytes| {
            // Different each time is all that a test needs.
            let mut counted = random.lock().unwrap();
            *counted += 1;
            let digest = Sha256::digest(counted.to_le_bytes());
            bytes.iter_mut().zip(digest.iter().cycle()).for_each(|(byte, fresh)| *byte = *fresh);
        },
    );
    let builder = Host::builder(data).config(config).compiler(Compiler::Worker(BINARY.into())).outside(outside);
    let host = builder.open().await.unwrap();
    let component = tokio::task::spawn_blocking(|| components::read(BINARY, "http")).await.unwrap();
    host.install_connector(&Actor::administrator("ada"), component).await.unwrap();
    let new: NewConnection = serde_json::from_value(json!({
        "name": "Orders", "connector": "http", "protocol": "oauth2",
        "settings": {
            "url": service.origin(), "test-path": "/me", "authorization-server": service.origin(),
            "client-authentication": "basic", "client-id": "desk",
        },
        "secrets": {"client-secret": CLIENT_SECRET},
    }))
    .unwrap();
    host.create_connection(&Actor::administrator("ada"), new).await.unwrap();
    host
}

#[tokio::test]
async fn a_sign_in_is_void_after_ten_minutes_and_belongs_to_who_began() {
    let folder = tempfile::tempdir().unwrap();
    let service = Upstream::start();
    service.on("POST", "/token", |_| Reply::json(200, &json!({"access_token": ACCESS})));
    service.on("GET", "/me", |_| Reply::status(200));
    let begin: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    let clock = Arc::new(Mutex::new(begin));
    let host = host_at(&clock, folder.path(), &service).await;
    let (ada, bob) = (Actor::administrator("ada"), Actor::administrator("bob"));
    let base = "http://127.0.0.1:1".parse().unwrap();
    let provider = format!("http.oauth2.{}", service.origin().trim_start_matches("http://"));
    let set = |minutes: i64| {
        *clock.lock().unwrap() = begin.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    };
    let started = async |authorize: Authorize| {
        let begun = host.authorize_connection(&ada, "Orders", &base, authorize).await.unwrap();
        let cookie = begun.cookie.as_ref().map(|cookie| cookie.value.expose().to_owned());
        (vec![("state".to_owned(), parameter(&begun.url, "state")), ("code".to_owned(), CODE.to_owned())], cookie)
    };
    let loopback = || Authorize { loopback_port: Some(9), ..Authorize::default() };
    let receipt_of = |answer: CallbackAnswer| match answer {
        CallbackAnswer::GoOn(url) => parameter(url.as_str(), "receipt"),
        other => panic!("{other:?}"),
    };
    let refused = |error: Error| match error {
        Error::Refused { rule, message, .. } => format!("{rule}: {message}"),
        other => panic!("{other}"),
    };

    // The clock of the host jumps by hours as well as by minutes.
    for minutes in [11, 600] {
        set(0);
        let (parameters, cookie) = started(Authorize::default()).await;
        set(minutes);
        let late = host.authorization_callback(&provider, &parameters, cookie.as_deref()).await;
        let words = refused(late.unwrap_err());
        assert!(words.starts_with("callback: ") && words.contains("expired") || words.contains("too late"), "{words}");
    }
    set(0);
    let (parameters, _) = started(loopback()).await;
    set(5);
    let receipt = receipt_of(host.authorization_callback(&provider, &parameters, None).await.unwrap());
    set(11);
    let late = refused(host.complete_authorization(&ada, &receipt).await.unwrap_err());
    assert!(late.starts_with("receipt: "), "{late}");

    set(0);
    let (parameters, _) = started(loopback()).await;
    let receipt = receipt_of(host.authorization_callback(&provider, &parameters, None).await.unwrap());
    let stranger = refused(host.complete_authorization(&bob, &receipt).await.unwrap_err());
    assert!(stranger.starts_with("receipt: "), "{stranger}");
    assert!(service.arrived().is_empty(), "nothing was sent");
    assert_eq!(host.connection(&ada, "Orders").unwrap().credential, None);

    set(0);
    let (parameters, cookie) = started(Authorize::default()).await;
    set(9);
    let done = host.authorization_callback(&provider, &parameters, cookie.as_deref()).await.unwrap();
    assert!(matches!(done, CallbackAnswer::Done { authorized: true, .. }), "{done:?}");
}

#[tokio::test]
async fn a_sign_in_of_a_user_who_was_disabled_or_removed_meanwhile_comes_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = Upstream::start();
    let clock = Arc::new(Mutex::new("2026-11-24T10:00:00Z".parse().unwrap()));
    let host = host_at(&clock, folder.path(), &service).await;
    let (ada, root) = (Actor::administrator("ada"), Actor::administrator("root"));
    let base = "http://127.0.0.1:1".parse().unwrap();
    let provider = format!("http.oauth2.{}", service.origin().trim_start_matches("http://"));
    for removed in [false, true] {
        host.put_user(&root, "ada", PutUser { enabled: Some(true), ..PutUser::default() }).await.unwrap();
        let begun = host.authorize_connection(&ada, "Orders", &base, Authorize::default()).await.unwrap();
        match removed {
            true => host.remove_user(&root, "ada").await.unwrap(),
            false => {
                host.put_user(&root, "ada", PutUser { enabled: Some(false), ..PutUser::default() }).await.unwrap();
            }
        }
        let parameters = [("state".to_owned(), parameter(&begun.url, "state")), ("code".to_owned(), CODE.to_owned())];
        let cookie = begun.cookie.as_ref().map(|cookie| cookie.value.expose());
        host.authorization_callback(&provider, &parameters, cookie).await.unwrap_err();
        assert!(service.arrived().is_empty(), "removed: {removed}: nothing was sent");
    }
}
