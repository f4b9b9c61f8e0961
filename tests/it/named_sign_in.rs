//! Principals of named credentials sign in: by a browser, without one, for everybody or each for itself.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::{Arrived, Reply};

use crate::named::{basic, connect, opened, takes};
use crate::scene::{Scene, TOKEN, wrong_fields};
use crate::users::{WORKS, delete, put, user};

#[test]
fn a_token_that_cannot_be_renewed_lasts_until_its_service_says_otherwise() {
    let scene = Scene::http();
    by_browser(&scene, "named");
    scene.upstream.on("POST", "/oauth/token", |_| Reply::json(200, &json!({"access_token": "for-good"})));
    takes(&scene, "authorization", "Bearer for-good");
    dance(&scene.api, "sso", "ada").ended(200);
    let principal = scene.api.get("/setup/principals/sso").ended(200).json();
    assert_eq!((&principal["authenticated"], &principal["expires-at"]), (&json!(true), &Value::Null));
    assert_eq!(connect(&scene.api, "Orders", "sso").ended(201).json()["status"], "active");
}

#[test]
fn a_sign_in_that_began_before_its_client_was_changed_comes_to_nothing() {
    let scene = Scene::http();
    by_browser(&scene, "named");
    let begun = scene.api.post("/setup/principals/sso/authorize", &json!({})).ended(200);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let url = begun.json()["authorization"]["url"].as_str().unwrap().to_owned();
    let state = turnbuckle_tests::browser::parameter(&url, "state");
    let back = turnbuckle_tests::browser::parameter(&url, "redirect_uri");
    put(&scene.api, "/setup/external-credentials/sso", &json!({"settings": {"client-id": "another"}})).ended(200);
    let path = format!("/oauth/callback/{}?state={state}&code=ada", back.rsplit('/').next().unwrap());
    scene.api.raw(Method::GET, &path, &[("cookie", &cookie)], Bytes::new()).ended(409);
    assert!(scene.upstream.arrived().iter().all(|asked| asked.path != "/oauth/token"));
    assert_eq!(scene.api.get("/setup/principals/sso").json()["authenticated"], false);
}

#[test]
fn what_a_principal_obtained_is_taken_back_at_its_service_when_it_is_removed() {
    let scene = Scene::http();
    let url = by_browser(&scene, "named");
    let revocation = json!({"settings": {"revocation-url": format!("{url}/oauth/revoke")}});
    put(&scene.api, "/setup/external-credentials/sso", &revocation).ended(200);
    let (sent, revoked) = std::sync::mpsc::channel();
    scene.upstream.on("POST", "/oauth/revoke", move |arrived: &Arrived| {
        sent.send(arrived.text()).unwrap();
        Reply::status(200)
    });
    dance(&scene.api, "sso", "ada").ended(200);
    delete(&scene.api, "/setup/principals/sso").ended(204);
    let patience = std::time::Duration::from_secs(20);
    for token in ["token=rt&token_type_hint=refresh_token", "token=token-of-ada&token_type_hint=access_token"] {
        assert_eq!(revoked.recv_timeout(patience).unwrap(), token);
    }
    // A socket that rests is kept for half a minute.
    assert!(scene.upstream.comes_to(0, patience), "nothing of it stays open");
}

/// An external credential by OAuth 2.0 whose service is this scene's, with its named credential and a principal.
pub(crate) fn by_browser(scene: &Scene, kind: &str) -> String {
    let url = scene.upstream.origin();
    scene.upstream.on("POST", "/oauth/token", |arrived: &Arrived| {
        let form = arrived.text();
        let whose = form.split('&').find_map(|pair| pair.strip_prefix("code=")).unwrap_or("renewed").to_owned();
        Reply::json(
            200,
            &json!({"access_token": format!("token-of-{whose}"), "refresh_token": "rt", "expires_in": 3600}),
        )
    });
    let credential = json!({
        "protocol": "oauth2",
        "kind": kind,
        "settings": {
            "authorization-url": format!("{url}/oauth/authorize"),
            "token-url": format!("{url}/oauth/token"),
            "client-id": "app",
        },
        "secrets": {"client-secret": TOKEN},
    });
    let set = put(&scene.api, "/setup/named-credentials/sso", &json!({"url": url, "credential": credential}));
    let set = set.ended(200).json();
    assert_eq!((&set["configured"], &set["authenticated"]), (&json!(true), &json!(false)), "{set:#}");
    url
}

/// Signs in as a principal in a browser that the service sends back with this code. Gives the page at the end.
pub(crate) fn dance(api: &Api, principal: &str, code: &str) -> Answer {
    let begun = api.post(&format!("/setup/principals/{principal}/authorize"), &json!({})).ended(200);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let url = begun.json()["authorization"]["url"].as_str().unwrap().to_owned();
    let state = turnbuckle_tests::browser::parameter(&url, "state");
    let back = turnbuckle_tests::browser::parameter(&url, "redirect_uri");
    let path = format!("/oauth/callback/{}?state={state}&code={code}", back.rsplit('/').next().unwrap());
    api.raw(Method::GET, &path, &[("cookie", &cookie)], Bytes::new())
}

#[test]
fn a_person_signs_a_principal_in_and_it_is_renewed_once_for_all_its_connections() {
    let scene = Scene::http();
    by_browser(&scene, "named");
    let refused = connect(&scene.api, "Early", "sso").ended(422).json();
    assert_eq!(wrong_fields(&refused), ["named-credential"]);
    assert!(refused.to_string().contains("is not authenticated"), "{refused:#}");

    takes(&scene, "authorization", "Bearer token-of-ada");
    let page = dance(&scene.api, "sso", "ada").ended(200);
    assert!(page.text().contains("The principal `sso` is signed in."), "{}", page.text());
    let principal = scene.api.get("/setup/principals/sso").ended(200).json();
    assert_eq!((&principal["authenticated"], &principal["problem"]), (&json!(true), &Value::Null));
    for name in ["One", "Two"] {
        assert_eq!(connect(&scene.api, name, "sso").ended(201).json()["status"], "active");
    }

    // The service takes the token back: the next use renews it, for both.
    takes(&scene, "authorization", "Bearer token-of-renewed");
    for name in ["One", "Two"] {
        scene.api.get(&format!("/connections/{name}/send?url=/me")).ended(200);
    }
    let asked = scene.upstream.arrived();
    let renewals = asked.iter().filter(|asked| asked.text().contains("grant_type=refresh_token")).count();
    assert_eq!(renewals, 1);

    // And in the end it takes the refresh token back too.
    scene.upstream.on("POST", "/oauth/token", |_| Reply::json(400, &json!({"error": "invalid_grant"})));
    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    let tested = scene.api.post("/connections/One/test", &Value::Null).ended(200).json();
    assert_eq!(tested["status"], "needs-reconnect", "{tested:#}");
    assert!(tested["verdict"]["hint"].as_str().unwrap().contains("principal of the named credential `sso`"));
    let named = scene.api.get("/setup/named-credentials/sso").ended(200).json();
    assert_eq!(
        (&named["configured"], &named["authenticated"], &named["enabled"]),
        (&json!(true), &json!(false), &json!(true))
    );
    assert_eq!(leaks::in_folder(&scene.world.data(), TOKEN), Vec::<String>::new());
}

#[test]
fn of_a_principal_per_user_everybody_has_an_own_one() {
    let scene = Scene::http();
    by_browser(&scene, "per-user");
    let (ada, bob) = (opened(&scene, "ada", &["sso"]), opened(&scene, "bob", &["sso"]));
    let carol = user(&scene.server, "carol", &WORKS);
    scene.upstream.on("GET", "/me", |arrived| {
        let whose = arrived.header("authorization").trim_start_matches("Bearer token-of-");
        Reply::json(200, &json!({"login": whose}))
    });
    dance(&ada, "sso", "ada").ended(200);
    let early = connect(&bob, "Bobs", "sso").ended(422).json().to_string();
    assert!(early.contains("turnbuckle setup principal authorize sso"), "{early}");
    dance(&bob, "sso", "bob").ended(200);
    for (api, name, whose) in [(&ada, "Adas", "ada"), (&bob, "Bobs", "bob")] {
        assert_eq!(connect(api, name, "sso").ended(201).json()["status"], "active");
        // Whoever uses it, it is its owner's.
        let said = carol.get(&format!("/connections/{name}/send?url=/me")).ended(200).json();
        assert_eq!(said["login"], whose);
    }
    let seen = scene.api.get("/setup/principals/sso").ended(200).json();
    assert_eq!((&seen["users"], &seen["permission-sets"]), (&json!(["ada", "bob"]), &json!(["ada", "bob"])));
    assert_eq!(ada.get("/setup/principals/sso").ended(200).json()["users"], Value::Null);

    // A user who is removed takes the own one along.
    delete(&scene.api, "/setup/users/bob").ended(204);
    let tested = scene.api.post("/connections/Bobs/test", &Value::Null).ended(200).json();
    assert_eq!(tested["verdict"]["kind"], "forbidden", "{tested:#}");
    assert_eq!(scene.api.get("/setup/principals/sso").json()["users"], json!(["ada"]));
}

#[test]
fn an_unattended_sign_in_that_fails_is_told_and_can_be_mended() {
    let scene = Scene::http();
    let url = scene.upstream.origin();
    scene.upstream.on("POST", "/oauth/token", |arrived: &Arrived| {
        match arrived.header("authorization") == basic("robot") {
            true => Reply::json(200, &json!({"access_token": TOKEN, "expires_in": 3600})),
            false => Reply::json(401, &json!({"error": "invalid_client"})),
        }
    });
    let credential = json!({
        "protocol": "oauth2-client-credentials",
        "settings": {"token-url": format!("{url}/oauth/token"), "client-id": "robot"},
        "secrets": {"client-secret": "wrong"},
    });
    let body = json!({"url": url, "credential": credential});
    let set = put(&scene.api, "/setup/named-credentials/api", &body).ended(200).json();
    assert_eq!((&set["configured"], &set["authenticated"]), (&json!(true), &json!(false)));
    assert!(set["problem"].as_str().unwrap().contains("invalid_client"), "{set:#}");
    let mended = json!({"secrets": {"client-secret": TOKEN}});
    let done = scene.api.post("/setup/principals/api/authorize", &mended).ended(200).json();
    assert_eq!((&done["principal"]["authenticated"], &done["authorization"]), (&json!(true), &Value::Null));
    assert_eq!(connect(&scene.api, "Orders", "api").ended(201).json()["status"], "active");
}
