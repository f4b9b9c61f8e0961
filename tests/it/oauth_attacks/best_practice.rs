//! RFC 9700, the best current practice for the security of OAuth 2.0: what it says a client has to withstand, one by one, and the
//! test that stands here against it. Attacks that no other part has are below the list.

use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::browser::{Browser, parameter, with_parameters};
use turnbuckle_tests::{leaks, tree};

use super::{CODE, Ring, own_client};
use crate::oauth::Stage;

/// A section, the attack in it that concerns a client, and tests by their names.
const LIST: &[(&str, &str, &[&str])] = &[
    (
        "2.1 and 4.1",
        "manipulation of the redirect URI",
        &[
            "neither_names_nor_parameters_of_a_request_choose_where_a_person_is_sent_back_to",
            "settings_can_not_smuggle_parameters_into_the_authorization_url",
            "an_attacked_callback_sends_no_token_request_and_stores_nothing",
        ],
    ),
    ("4.2", "leakage by Referer and by history", &["neither_a_page_nor_a_log_nor_a_referer_repeats_a_code_or_a_state"]),
    ("4.3", "tokens in a browser's history", &["an_attacked_callback_sends_no_token_request_and_stores_nothing"]),
    (
        "4.4",
        "mix-up",
        &[
            "a_code_of_one_service_is_not_carried_to_another_that_passed_the_person_on",
            "the_same_attack_fails_at_a_provider_that_says_who_it_is_and_between_identity_providers",
            "a_client_of_the_operator_serves_no_other_service_than_its_own",
        ],
    ),
    ("4.5", "injection of a code", &["a_stolen_code_is_worth_nothing_in_a_sign_in_of_somebody_else"]),
    ("4.6", "injection of an access token", &["an_attacked_callback_sends_no_token_request_and_stores_nothing"]),
    (
        "4.7",
        "cross-site request forgery",
        &[
            "whatever_came_of_a_callback_its_state_is_used_up",
            "an_attacked_callback_sends_no_token_request_and_stores_nothing",
            "a_receipt_is_taken_once_and_is_no_state_and_a_state_is_no_receipt",
        ],
    ),
    (
        "4.8",
        "downgrade of PKCE",
        &[
            "the_authorization_url_carries_a_challenge_that_the_token_request_answers_and_no_secret",
            "no_setting_takes_the_challenge_away_or_makes_it_plain",
        ],
    ),
    (
        "4.9",
        "tokens at a resource server that is another's",
        &["a_connector_can_not_send_a_secret_to_a_token_endpoint_outside_of_its_origins"],
    ),
    ("4.10", "stolen access tokens", &["a_consent_that_was_taken_back_needs_a_reconnect_and_is_asked_for_once"]),
    (
        "4.11",
        "open redirectors",
        &[
            "neither_names_nor_parameters_of_a_request_choose_where_a_person_is_sent_back_to",
            "no_page_sends_a_browser_elsewhere_whatever_it_is_told",
        ],
    ),
    ("4.12", "redirects that repeat a form", &["no_answer_makes_a_browser_send_its_form_once_more"]),
    ("4.13", "a proxy's headers", &["neither_names_nor_parameters_of_a_request_choose_where_a_person_is_sent_back_to"]),
    (
        "4.14",
        "refresh tokens",
        &[
            "a_token_that_has_run_out_is_renewed_before_it_is_sent_and_its_refresh_token_is_rotated",
            "a_renewal_without_a_new_refresh_token_keeps_the_old_one",
        ],
    ),
    ("4.15", "a client that passes for a person", &["an_id_token_is_believed_only_where_every_claim_fits"]),
    ("4.16", "clickjacking", &["nothing_here_can_be_framed_sniffed_or_read_by_another_site"]),
    ("4.17", "messages between windows", &["every_page_takes_a_session_and_loads_nothing_but_what_is_here"]),
];

#[test]
fn each_attack_of_rfc_9700_has_its_test() {
    let mut tests = String::new();
    tree::files(&tree::top().join("tests/it"), &mut |path: &Path| {
        tests.push_str(&std::fs::read_to_string(path).unwrap());
    });
    for (section, attack, names) in LIST {
        assert!(!names.is_empty(), "{section}");
        for name in *names {
            assert!(tests.contains(&format!("fn {name}()")), "section {section}, {attack}: there is no test {name}");
        }
    }
}

#[test]
fn a_stolen_code_is_worth_nothing_in_a_sign_in_of_somebody_else() {
    let Some(stage) = Stage::set("a_stolen_code_is_worth_nothing_in_a_sign_in_of_somebody_else") else { return };
    for name in ["Victim", "Attacker"] {
        stage.api.post("/connections", &stage.waiting(name)).ended(201);
    }
    // Both sign in by the same client at the same service, so the code is good there, and its callback is the same.
    let (mut victims, mut attackers) = (Browser::new(), Browser::new());
    let (victim, attacker) =
        (stage.begin(&mut victims, "Victim", &json!({})), stage.begin(&mut attackers, "Attacker", &json!({})));
    assert_eq!(parameter(&victim, "redirect_uri"), parameter(&attacker, "redirect_uri"));
    let stolen = stage.oidc.agree(&mut victims, &victim, "ada");
    let injected: Vec<_> = [
        ("code", parameter(&stolen, "code")),
        ("state", parameter(&attacker, "state")),
        ("iss", parameter(&stolen, "iss")),
    ]
    .into();
    let page = attackers.get(&with_parameters(&parameter(&attacker, "redirect_uri"), &injected));
    assert!(page.text().contains("<h1>Not connected</h1>"), "{} {}", page.status, page.text());
    assert_eq!(stage.oidc.count("token"), 1, "the provider was asked, and knew the challenge for another's");
    assert_eq!(stage.view("Attacker")["credential"], Value::Null);
    assert_eq!(stage.oidc.issued(), Vec::<String>::new());
    // The same the other way round: a code that an attacker plants is refused before anybody is asked.
    let attacker = stage.begin(&mut attackers, "Attacker", &json!({}));
    let planted = stage.oidc.agree(&mut attackers, &attacker, "eve");
    let page = victims.get(&planted).ended(409).text();
    assert!(page.contains("it came from another browser"), "{page}");
    assert_eq!(stage.oidc.count("token"), 1);
    assert_eq!(stage.view("Victim")["credential"], Value::Null);
}

#[test]
fn no_setting_takes_the_challenge_away_or_makes_it_plain() {
    let ring = Ring::new();
    for (name, field, value) in [
        ("A", "scope", "read&code_challenge_method=plain&code_challenge=chosen"),
        ("B", "client-id", "desk#"),
        ("C", "audience", "x&code_challenge=&code_challenge_method="),
        ("D", "scope", "{code-challenge}"),
    ] {
        let mut new = ring.connection(name, &ring.honest);
        new["settings"][field] = json!(value);
        let answer = ring.api.post("/connections", &new);
        if answer.status == 422 {
            continue;
        }
        assert_eq!(answer.status, 201, "{field}: {}", answer.text());
        let begun = ring.begun(name);
        assert_eq!(parameter(&begun.authorize, "code_challenge_method"), "S256", "{field}");
        assert_eq!(parameter(&begun.authorize, "code_challenge").len(), 43, "{field}");
        assert_eq!(parameter(&begun.authorize, "response_type"), "code", "{field}");
    }
    // Nor does what the service says of itself, which nobody asks it.
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        assert!(ring.honest.arrived().iter().all(|arrived| arrived.path != path), "{path}");
    }
}

#[test]
fn neither_a_page_nor_a_log_nor_a_referer_repeats_a_code_or_a_state() {
    let ring = Ring::limited("[log]\nlevel = \"trace\"\n");
    ring.made("Orders", &ring.honest);
    let mut begun = ring.begun("Orders");
    let state = begun.state();
    let refused = ring.open(&begun.callback_with(&[("code", CODE), ("state", "AAAA")]), &[]);
    let failed = {
        let other = ring.begun("Orders");
        let failed = other.callback_with(&[("state", other.state().as_str()), ("error", "access_denied")]);
        ring.open(&failed, &[("cookie", &other.cookie())])
    };
    let connected = begun.browser.get(&begun.callback()).ended(200);
    for (what, page) in [("refused", &refused), ("failed", &failed), ("connected", &connected)] {
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{what}");
        assert_eq!(page.header("cache-control"), "no-store", "{what}");
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{what}: {policy}"
        );
        let text = page.text();
        for repeated in [CODE, state.as_str(), "http://", "https://", "<script", "<img", "<link", "<iframe", "<a "] {
            assert!(!text.contains(repeated), "{what} has {repeated}: {text}");
        }
        assert_eq!(page.header("location"), "", "{what}");
    }
    let token = ring.honest.arrived().into_iter().find(|arrived| arrived.path == "/token").unwrap();
    assert_eq!((token.header("referer"), token.header("origin")), ("", ""), "nothing says where a person came from");
    let Ring { server, world, .. } = ring;
    let printed = server.stop();
    assert!(printed.contains("TRACE"), "this server says all that it can");
    for (what, secret) in [("the code", CODE), ("the state", state.as_str())] {
        assert_eq!(leaks::in_bytes(printed.as_bytes(), secret), Vec::<&str>::new(), "{what} in {printed}");
        assert_eq!(leaks::in_folder(&world.data(), secret), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn no_answer_makes_a_browser_send_its_form_once_more() {
    let ring = Ring::new();
    ring.made("Orders", &ring.honest);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let api = Api::new(&ring.server.url, None);
    let last = own_client(&ring.honest);
    for path in
        ["/sign-in", "/sign-out", "/integrations", "/connections/Orders/test", &format!("/oauth/callback/{last}")]
    {
        let body = Bytes::from(format!("token={}&code={CODE}", ring.server.token));
        let answer = api.raw(Method::POST, path, &form, body);
        assert!(!matches!(answer.status.as_u16(), 301 | 302 | 307 | 308), "{path}: {}", answer.status);
    }
}
