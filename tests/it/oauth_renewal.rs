//! Tokens run out, are rotated and taken back; a connection goes on, or says what is wrong.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::oauth::{Stage, provider};

/// An expiry that is long past.
const LONG_AGO: &str = "2001-01-01T00:00:00Z";

#[test]
fn a_token_that_has_run_out_is_renewed_before_it_is_sent_and_its_refresh_token_is_rotated() {
    let Some(stage) = Stage::set("refresh with rotation") else { return };
    let tokens = stage.oidc.mint("ada");
    let mut new = stage.waiting("Orders");
    new["tokens"] = json!({
        "secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}, "expires-at": LONG_AGO,
    });
    let made = stage.api.post("/connections", &new).ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    assert_eq!(stage.oidc.count("refresh_token"), 1, "the test renewed it");
    let alive = stage.oidc.alive();
    assert_eq!(alive.len(), 1, "the old refresh token is used up, a new one is there");
    assert_ne!(alive[0], tokens.refresh);

    // Once more, with what was rotated: had the old one been sent, the provider would take all of it back.
    stage.oidc.void();
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    assert_eq!((stage.oidc.count("refresh_token"), stage.oidc.alive().len()), (2, 1));
    assert_eq!(stage.view("Orders")["version"], 1, "a renewal is no change of the connection");
}

#[test]
fn a_token_that_runs_out_while_nobody_looks_is_renewed_by_the_next_request() {
    let Some(stage) = Stage::set("expiry") else { return };
    stage.oidc.lifetime(1);
    stage.connected("Orders");
    let renewed = stage.oidc.count("refresh_token");
    stage.oidc.wait_for_expiry();
    stage.oidc.lifetime(3600);
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    assert_eq!(stage.oidc.count("refresh_token"), renewed + 1);
    stage.send("Orders").ended(200);
    assert_eq!(stage.oidc.count("refresh_token"), renewed + 1, "one that is good is kept");
    let expires = stage.view("Orders")["credential"]["expires-at"].clone();
    assert_ne!(expires, Value::Null);
}

#[test]
fn a_token_that_the_service_refuses_is_renewed_once_and_the_request_sent_again() {
    let Some(oidc) = provider("401") else { return };
    let service = Upstream::start();
    service.on("GET", "/me", |_| Reply::status(200));
    service.on("POST", "/orders", |_| Reply::status(401).body("as the service says"));
    let stage = Stage::beside(oidc, &[&service]);
    stage.imported("Orders");
    stage.oidc.void();
    let body = bytes::Bytes::from_static(b"{\"item\": 1}");
    let through = |key: &str| {
        let headers = [("content-type", "application/json")];
        stage.api.call(Method::POST, &format!("/connections/{key}/send?url=/orders"), &headers, body.clone())
    };
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    assert_eq!(stage.oidc.count("refresh_token"), 1);

    // A service that refuses every token: one renewal, one more try, and its answer is the answer.
    let mut new = stage.waiting("Refused");
    new["settings"]["url"] = json!(service.origin());
    new["settings"]["test-path"] = json!("/me");
    let tokens = stage.oidc.mint("ada");
    new["tokens"] = json!({"secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}});
    assert_eq!(stage.api.post("/connections", &new).ended(201).json()["status"], "active");
    service.forget();
    let answer = through("Refused").ended(401);
    assert_eq!((answer.text().as_str(), answer.header("turnbuckle-send")), ("as the service says", "upstream"));
    let arrived = service.arrived();
    assert_eq!(arrived.len(), 2, "once with each token");
    assert_ne!(arrived[0].header("authorization"), arrived[1].header("authorization"));
    assert_eq!((arrived[0].text(), arrived[1].text()), ("{\"item\": 1}".to_owned(), "{\"item\": 1}".to_owned()));
    assert_eq!(stage.oidc.count("refresh_token"), 2);
}

#[test]
fn a_thousand_requests_over_twenty_connections_make_twenty_token_requests() {
    let Some(stage) = Stage::set("a storm of refreshes") else { return };
    const CONNECTIONS: usize = 20;
    const REQUESTS: usize = 1_000;
    stage.oidc.lifetime(2);
    let new = |at: usize| {
        let tokens = stage.oidc.mint(&format!("user-{at}"));
        let mut new = stage.waiting(&format!("Orders {at}"));
        new["tokens"] = json!({
            "secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}, "expires-at": LONG_AGO,
        });
        new
    };
    for at in 0..CONNECTIONS {
        let made = stage.api.post("/connections", &new(at)).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
    }
    stage.oidc.wait_for_expiry();
    stage.oidc.lifetime(3600);
    let before = stage.oidc.count("token");
    let paths: Vec<_> =
        (0..REQUESTS).map(|at| format!("/connections/Orders%20{}/send?url=/whoami", at % CONNECTIONS)).collect();
    let answers = stage.api.together(&paths);
    for (at, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap().ended(200).json();
        assert_eq!(answer["sub"], format!("user-{}", at % CONNECTIONS));
    }
    assert_eq!(stage.oidc.count("token") - before, CONNECTIONS as u64, "one for each connection");
    assert_eq!(stage.oidc.alive().len(), CONNECTIONS, "no grant was lost");
}

#[test]
fn a_thousand_requests_that_are_refused_make_twenty_token_requests_too() {
    let Some(stage) = Stage::set("a storm of 401s") else { return };
    for at in 0..20 {
        stage.imported(&format!("Orders {at}"));
    }
    stage.oidc.void();
    let paths: Vec<_> = (0..1_000).map(|at| format!("/connections/Orders%20{}/send?url=/whoami", at % 20)).collect();
    for answer in stage.api.together(&paths) {
        answer.unwrap().ended(200);
    }
    assert_eq!((stage.oidc.count("token"), stage.oidc.alive().len()), (20, 20));
}

#[test]
fn a_consent_that_was_taken_back_needs_a_reconnect_and_is_asked_for_once() {
    let Some(stage) = Stage::set("a revoked consent") else { return };
    stage.imported("Orders");
    stage.oidc.revoke();
    let refused = stage.send("Orders");
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert_eq!(refused.json()["code"], "revoked", "{}", refused.text());
    let view = stage.view("Orders");
    assert_eq!((&view["status"], &view["verdict"]["kind"]), (&json!("needs-reconnect"), &json!("revoked")), "{view:#}");
    assert_eq!(stage.oidc.count("refresh_token"), 1);
    let tested = stage.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!((&tested["status"], &tested["verdict"]["kind"]), (&json!("needs-reconnect"), &json!("revoked")));
    stage.send("Orders").ended(502);
    assert_eq!(stage.oidc.count("refresh_token"), 1, "a refresh token that is known to be void is not sent again");

    let tokens = stage.oidc.mint("ada");
    let again = json!({"tokens": {"secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}}});
    let replaced = stage.api.post("/connections/Orders/reconnect", &again).ended(200).json();
    assert_eq!((&replaced["replaced"], &replaced["connection"]["status"]), (&json!(true), &json!("active")));
    stage.send("Orders").ended(200);
}

#[test]
fn trouble_at_the_provider_that_may_pass_leaves_the_connection_degraded_and_its_token_whole() {
    let Some(stage) = Stage::set("trouble at the provider") else { return };
    stage.imported("Orders");
    stage.oidc.void();
    stage.oidc.down(true);
    let refused = stage.send("Orders").ended(502).json();
    assert_eq!(refused["code"], "unavailable", "{refused:#}");
    let tested = stage.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(
        (&tested["status"], &tested["verdict"]["kind"]),
        (&json!("degraded"), &json!("unavailable")),
        "{tested:#}"
    );
    stage.oidc.down(false);
    stage.oidc.refusing(true);
    let refused = stage.send("Orders");
    assert_eq!(refused.json()["code"], "rate-limited", "{}", refused.text());
    let tested = stage.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["verdict"]["kind"], "rate-limited", "{tested:#}");
    stage.oidc.refusing(false);
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    let tested = stage.api.post("/connections/Orders/test", &json!({})).ended(200).json();
    assert_eq!(tested["status"], "active");
}

#[test]
fn a_provider_that_is_gone_is_told_from_a_token_that_is() {
    let Some(mut stage) = Stage::set("a provider that is gone") else { return };
    let service = stage.oidc.origin().to_owned();
    stage.imported("Orders");
    let tokens = stage.oidc.mint("ada");
    let mut new = stage.waiting("Due");
    new["tokens"] = json!({
        "secrets": {"access-token": tokens.access, "refresh-token": tokens.refresh}, "expires-at": LONG_AGO,
    });
    stage.oidc.kill();
    let made = stage.api.post("/connections", &new).ended(201).json();
    assert_eq!((&made["status"], &made["verdict"]["kind"]), (&json!("degraded"), &json!("unavailable")), "{made:#}");
    let message = made["verdict"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("POST {service}/token")), "the link that broke is named: {message}");
    assert_ne!(made["credential"], Value::Null, "its tokens are kept");
}

#[test]
fn what_was_renewed_is_there_after_a_restart() {
    let Some(mut stage) = Stage::set("restart after a renewal") else { return };
    stage.imported("Orders");
    stage.oidc.void();
    stage.send("Orders").ended(200);
    stage.server.restart(&stage.world);
    stage.api = stage.server.api();
    assert_eq!(stage.send("Orders").ended(200).json()["sub"], "ada");
    assert_eq!(stage.oidc.count("token"), 1, "the stored token is good");
    stage.oidc.void();
    stage.send("Orders").ended(200);
}
