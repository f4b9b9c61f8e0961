use super::keys::{KEYS, Kind};
use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turnbuckle.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(&path), environment.collect::<Vec<_>>().into_iter())
}

fn problems(result: Result<Config, Error>) -> Vec<String> {
    match result.unwrap_err() {
        Error::Invalid { problems } => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn unknown_keys_name_the_nearest_known_one_all_at_once() {
    assert_eq!(
        problems(load("[egress]\nalow = []\n[limit]\nx = 1\n", &[("TURNBUCKLE_EGRESS_ALLOWED", "x")])),
        [
            "egress.alow: there is no such key; did you mean `egress.allow`?",
            "limit: there is no such key",
            "TURNBUCKLE_EGRESS_ALLOWED: there is no such key; did you mean `TURNBUCKLE_EGRESS_ALLOW`?",
        ]
    );
}

#[test]
fn values_of_another_kind_are_told_by_their_key_all_at_once() {
    assert_eq!(
        problems(load(
            "hosts = \"x\"\n[limits]\nrequests = \"many\"\nhandles = -1\n[egress]\nca-file = 7\n[integrations]\nenabled = 1\n",
            &[]
        )),
        [
            "egress.ca-file: must be a text in quotes",
            "hosts: must be a list of texts, as in [\"a\", \"b\"]",
            "integrations.enabled: must be true or false",
            "limits.handles: must be a whole number from 0 to 4294967295",
            "limits.requests: must be a whole number from 0 to 4294967295",
        ]
    );
    assert_eq!(problems(load("listen = \"here\"\n", &[])), ["listen: invalid socket address syntax"]);
}

#[test]
fn none_of_a_limit_of_health_is_told_with_what_switches_it_off() {
    assert_eq!(
        problems(load("[health]\ninterval-minutes = 0\nconcurrency = 5000\n", &[])),
        [
            "health.interval-minutes: must be 1 to 525600; `enabled = false` under `[health]` switches it off",
            "health.concurrency: must be 1 to 1000; `enabled = false` under `[health]` switches it off",
        ]
    );
    assert!(!load("", &[("TURNBUCKLE_HEALTH_ENABLED", "false")]).unwrap().health.enabled);
}

#[test]
fn a_relative_path_is_meant_from_where_the_file_is() {
    let config = load("[vault]\nkey-file = \"keys/master\"\n", &[]).unwrap();
    assert!(config.vault.key_file.as_ref().unwrap().is_absolute(), "{config:?}");
    assert!(config.vault.key_file.unwrap().ends_with("keys/master"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        "[egress]\nallow = [\"10.0.0.0/8\"]\n[limits]\nrequests = 3\n",
        &[("TURNBUCKLE_EGRESS_ALLOW", "http://127.0.0.1:5000, 10.1.0.0/16")],
    )
    .unwrap();
    assert_eq!(config.egress.allow, ["http://127.0.0.1:5000", "10.1.0.0/16"]);
    assert_eq!(config.limits.requests, Some(3));
}

#[test]
fn a_provider_that_can_not_be_used_is_told_field_by_field() {
    assert_eq!(
        problems(load("[sign-in.oidc]\nscopes = [\"email\", \"a b\"]\nlabel = \"\"\naccount-claim = \"\"\n", &[])),
        [
            "sign-in.oidc.issuer: is required: the provider's issuer URL, as in https://login.example.com",
            "sign-in.oidc.client-id: is required: the id under which this host is registered at the provider",
            "sign-in.oidc.scopes: `a b` is no scope: one word each, without quotes",
            "sign-in.oidc.scopes: must contain `openid`: without it the provider does not say who signed in",
            "sign-in.oidc.label: must be one line of 1 to 40 characters",
            "sign-in.oidc.account-claim: must be the name of a claim, such as `email` or `preferred_username`",
        ]
    );
    let with = |issuer: &str, allow: &str| {
        let text = format!("[egress]\nallow = [{allow}]\n[sign-in.oidc]\nissuer = \"{issuer}\"\nclient-id = \"x\"\n");
        load(&text, &[])
    };
    let shape = "sign-in.oidc.issuer: must be the provider's issuer URL, as in https://login.example.com";
    for (issuer, words) in [
        ("login.example.com", ": relative URL without a base"),
        ("https://a:b@login.example.com", ", without user, query and fragment"),
        ("https://login.example.com?x", ", without user, query and fragment"),
        ("ftp://login.example.com", ""),
        ("http://login.example.com", ": by plain http anybody on the way could sign in as anybody"),
    ] {
        assert_eq!(problems(with(issuer, "\"http://login.example.com\"")), [format!("{shape}{words}")], "{issuer}");
    }
    assert_eq!(
        problems(with("http://127.0.0.1:9000", "\"127.0.0.0/8\"")),
        ["sign-in.oidc.issuer: by plain http only where `allow` of `[egress]` opens it: add \"http://127.0.0.1:9000\""]
    );
    let opened = with("http://127.0.0.1:9000/a", "\"http://127.0.0.1:9000\"").unwrap();
    assert_eq!(opened.sign_in.oidc.unwrap().issuer, "http://127.0.0.1:9000/a");
}

#[test]
fn a_clients_secret_comes_from_a_file_or_the_environment_and_prints_nowhere() {
    let secret = ("TURNBUCKLE_SIGN_IN_OIDC_CLIENT_SECRET", "hunter2");
    let environment =
        [("TURNBUCKLE_SIGN_IN_OIDC_ISSUER", "https://x.example"), ("TURNBUCKLE_SIGN_IN_OIDC_CLIENT_ID", "x"), secret];
    let config = load("", &environment).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.sign_in.oidc.unwrap().client_secret.unwrap().expose(), "hunter2");
    let file = "[sign-in.oidc]\nissuer = \"https://x.example\"\nclient-id = \"x\"\nclient-secret-file = \"secret\"\n";
    assert!(load(file, &[]).unwrap().sign_in.oidc.unwrap().client_secret_file.unwrap().is_absolute());
    assert_eq!(
        problems(load(file, &[secret])),
        [
            "sign-in.oidc.client-secret-file: TURNBUCKLE_SIGN_IN_OIDC_CLIENT_SECRET is set too; keep one of them, so that it is plain which secret is in use"
        ]
    );
    assert_eq!(problems(load("", &[secret])).len(), 2, "a secret alone is no provider");
}

#[test]
fn a_collector_that_can_not_be_used_is_told_field_by_field() {
    let shape = "telemetry.endpoint: must be the base URL of a collector that takes OTLP over HTTP, as in http://127.0.0.1:4318";
    for (endpoint, words) in [
        ("collector:4318", "; `collector` is not spoken"),
        ("grpc://collector:4317", "; `grpc` is not spoken"),
        ("//collector", ": relative URL without a base"),
        ("https://user:key@collector", ", without user, query and fragment: a key belongs into a header"),
        ("https://collector?key=x", ", without user, query and fragment: a key belongs into a header"),
    ] {
        let text = format!("[telemetry]\nendpoint = \"{endpoint}\"\n");
        assert_eq!(problems(load(&text, &[])), [format!("{shape}{words}")], "{endpoint}");
    }
    let headers = ("TURNBUCKLE_TELEMETRY_HEADERS", "authorization=hunter2");
    assert_eq!(
        problems(load("[telemetry]\nheaders-file = \"keys\"\nservice-name = \"\"\nsample-percent = 0\n", &[headers])),
        [
            "telemetry.endpoint: is required: the base URL of a collector, as in http://127.0.0.1:4318",
            "telemetry.headers-file: TURNBUCKLE_TELEMETRY_HEADERS is set too; keep one of them, so that it is plain which headers are in use",
            "telemetry.service-name: must not be empty: traces of this host are found by it",
            "telemetry.sample-percent: must be 1 to 100; without `[telemetry]` nothing is sent",
        ]
    );
    let config = load("[telemetry]\nendpoint = \"https://collector/otlp/\"\n", &[headers]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let (url, origin) = config.telemetry.unwrap().traces().unwrap();
    assert_eq!((url.as_str(), origin.to_string().as_str()), ("https://collector/otlp/v1/traces", "https://collector"));
}

#[test]
fn every_key_of_the_list_is_a_key_of_the_types() {
    for (key, kind) in KEYS {
        let value = match (*key, kind) {
            ("listen", _) => "\"127.0.0.1:1\"",
            ("public-url", _) => "\"https://example.com\"",
            ("log.level", _) => "\"debug\"",
            ("log.format", _) => "\"json\"",
            ("sign-in.oidc.issuer", _) => "\"https://y.example\"",
            ("sign-in.oidc.client-id", _) => "\"y\"",
            ("sign-in.oidc.scopes", _) => "[\"openid\"]",
            ("telemetry.endpoint", _) => "\"https://y.example\"",
            (_, Kind::Text) => "\"x\"",
            (_, Kind::List) => "[]",
            (_, Kind::Number) => "1",
            ("metrics.open", _) => "true",
            (_, Kind::Switch) => "false",
        };
        // A provider is told whole, or not at all.
        let whole = [
            ("sign-in.oidc.issuer", "\"https://x.example\""),
            ("sign-in.oidc.client-id", "\"x\""),
            ("telemetry.endpoint", "\"https://x.example\""),
        ];
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let of_same = |other: &&(&str, &str)| other.0.rsplit_once('.').is_some_and(|(of, _)| of == section);
        let all: String = whole.iter().filter(of_same).map(|(key, value)| format!("{key} = {value}\n")).collect();
        let besides = whole.iter().filter(of_same).filter(|(other, _)| other != key);
        let besides: String = besides.map(|(key, value)| format!("{key} = {value}\n")).collect();
        let default = load(&all, &[]).unwrap();
        let config = load(&format!("{besides}{key} = {value}\n"), &[]).unwrap();
        assert!(*kind == Kind::List || format!("{config:?}") != format!("{default:?}"), "{key} sets nothing");
    }
}

#[test]
fn a_master_key_from_the_environment_does_not_print() {
    let config = load("", &[("TURNBUCKLE_MASTER_KEY", "c2VjcmV0")]).unwrap();
    assert!(!format!("{config:?}").contains("c2VjcmV0"));
}
