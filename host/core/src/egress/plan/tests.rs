use super::*;
use crate::model::authentication::{Authorization, Basic, Certificate, Derived, Grant, Jwt, Oauth1Signature};

fn problems(plan: &Authentication, sign_in: SignIn) -> Vec<String> {
    let origins = ["https://api.example.com".to_owned(), "https://{region}.example.com".to_owned(), "{url}".to_owned()];
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    check_plan(plan, &origins, &names(&["user", "url", "region"]), &names(&["token"]), sign_in)
        .iter()
        .map(PlanProblem::to_string)
        .collect()
}

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}

fn placed(placements: Vec<Placement>) -> Vec<String> {
    problems(&Authentication { placements, ..Authentication::default() }, SignIn::None)
}

fn header(name: &str, value: &str) -> Vec<String> {
    placed(vec![Placement::Header(parameter(name, value))])
}

#[test]
fn a_plan_of_the_usual_kinds_is_kept() {
    let plan = Authentication {
        derived: vec![Derived { name: "pair".into(), value: Derivation::Base64("{user}:{token}".into()) }],
        placements: vec![
            Placement::Header(parameter("Authorization", "Basic {pair}")),
            Placement::Header(parameter("x-request", "{uuid}")),
            Placement::Query(parameter("key", "{token}")),
            Placement::PathPrefix("/bot{token}".into()),
            Placement::Body(parameter("/auth/key", "{token}")),
        ],
        ..Authentication::default()
    };
    assert_eq!(problems(&plan, SignIn::None), [""; 0]);
}

#[test]
fn headers_are_legal_and_not_the_hosts() {
    for name in [
        "host",
        "Content-Length",
        "connection",
        "proxy-authorization",
        "transfer-encoding",
        "cookie",
        "x-forwarded-for",
    ] {
        let shown = name.to_ascii_lowercase();
        assert_eq!(
            header(name, "x"),
            [format!("placements[0].header the header `{shown}` is written by the host alone")]
        );
    }
    assert_eq!(header("x y", "x"), ["placements[0].header `x y` is no legal name here"]);
    assert_eq!(
        header("x", "a\r\nb: {token}"),
        ["placements[0].header has line breaks or control characters in its own text"]
    );
    assert_eq!(
        header("x", "{toke}"),
        ["placements[0].header names `toke`, which is no field, no captured or derived value, and none of the host's"]
    );
    assert_eq!(
        header("x", "{token"),
        ["placements[0].header is no template: `{` at byte 0 is not closed; write `{{` for a literal brace"]
    );
    assert_eq!(header("x", "{state}").len(), 1, "only a grant knows a state");
    assert_eq!(header("x", &"y".repeat(TEXT + 1)), ["placements[0].header is longer than 16384 bytes"]);
}

#[test]
fn what_two_placements_write_is_a_problem() {
    let basic = || Basic { username: "{user}".into(), password: "{token}".into() };
    assert_eq!(
        placed(vec![
            Placement::Basic(basic()),
            Placement::Header(parameter("Authorization", "x")),
            Placement::Digest(basic()),
            Placement::PathPrefix("/a".into()),
            Placement::PathPrefix("b/../c".into()),
            Placement::Body(parameter("/a", "x")),
            Placement::Body(parameter("b", "x")),
            Placement::Cookie(parameter("a b", "x")),
        ]),
        [
            "placements[1].header `authorization` stands there twice",
            "placements[2].digest `authorization` stands there twice",
            "placements[4].path-prefix `path-prefix` stands there twice",
            "placements[4].path-prefix must begin with `/` and be a plain path",
            "placements[7].cookie `a b` is no legal name here",
            "placements cannot share a body with a JSON Pointer",
        ]
    );
    let many = placed((0..=PLACEMENTS).map(|at| Placement::Query(parameter(&format!("q{at}"), "x"))).collect());
    assert_eq!(many, ["placements has more than 32 entries"]);
}

#[test]
fn derived_values_have_names_of_their_own_and_hold_nothing_fresh() {
    let plan = |derived| Authentication { derived, ..Authentication::default() };
    let base64 = |name: &str, text: &str| Derived { name: name.into(), value: Derivation::Base64(text.into()) };
    let jwt = Jwt {
        algorithm: crate::model::authentication::Algorithm::Hs256,
        key: "{token}".into(),
        key_encoding: crate::model::authentication::Encoding::Text,
        header: "{{}}".into(),
        claims: "{{\"sub\":{user}}}{user}".into(),
        lifetime_seconds: 0,
    };
    assert_eq!(
        problems(
            &plan(vec![
                base64("user", "x"),
                base64("a", "{b}"),
                base64("b", "{uuid}"),
                base64("Bad", "x"),
                Derived { name: "jwt".into(), value: Derivation::Jwt(jwt) },
            ]),
            SignIn::None
        ),
        [
            "derived[0] `user` stands there twice",
            "derived[1] names `b`, which is no field, no captured or derived value, and none of the host's",
            "derived[2] names `uuid`, which is no field, no captured or derived value, and none of the host's",
            "derived[3] `Bad` is no legal name here",
            "derived[4].claims is no JSON object",
            "derived[4].lifetime-seconds must be from 1 to 86400",
        ]
    );
}

fn signatures() -> [Placement; 2] {
    let oauth1 = Oauth1 {
        signature: Oauth1Signature::HmacSha256,
        consumer_key: "{user}".into(),
        consumer_secret: "{token}".into(),
        token: Some("{token}".into()),
        token_secret: None,
        parameters: vec![parameter("realm", "{user}"), parameter("oauth_version", "1.0")],
    };
    let sigv4 = Sigv4 {
        region: "{region}".into(),
        service: "s3".into(),
        access_key_id: "{user}".into(),
        secret_access_key: "{token}".into(),
        session_token: Some("{token}".into()),
    };
    [Placement::Oauth1(oauth1), Placement::AwsSigv4(sigv4)]
}

#[test]
fn a_signature_stands_alone() {
    let [oauth1, sigv4] = signatures();
    let certificate = || Placement::ClientCertificate(Certificate { chain: "{user}".into(), key: "{token}".into() });
    for placement in [oauth1.clone(), sigv4.clone(), Placement::Signed, certificate()] {
        assert_eq!(placed(vec![placement, Placement::Header(parameter("x-key", "{token}"))]), [""; 0]);
    }
    let basic = || Basic { username: "{user}".into(), password: "{token}".into() };
    let both = "is made of the whole request, as another placement is: neither could cover the other";
    assert_eq!(
        placed(vec![Placement::Signed, Placement::Digest(basic()), Placement::Signed]),
        [format!("placements[1].digest {both}"), format!("placements[2].signed {both}")]
    );
    assert_eq!(
        placed(vec![oauth1, sigv4.clone()]),
        [
            "placements[1].aws-sigv4 `authorization` stands there twice".to_owned(),
            format!("placements[1].aws-sigv4 {both}")
        ]
    );
    assert_eq!(
        placed(vec![Placement::Basic(basic()), sigv4, Placement::Header(parameter("X-Amz-Date", "x"))]),
        [
            "placements[1].aws-sigv4 `authorization` stands there twice",
            "placements[2].header `x-amz-date` stands there twice"
        ]
    );
    assert_eq!(
        placed(vec![certificate(), certificate()]),
        ["placements[1].client-certificate `client-certificate` stands there twice"]
    );
    assert_eq!(
        placed(vec![Placement::Body(parameter("pin", "{token}")), Placement::Signed]),
        ["placements[0].body holds a secret, though `signed` shows the body's hash to the connector"]
    );
    assert_eq!(placed(vec![Placement::Body(parameter("who", "{user}")), Placement::Signed]), [""; 0]);
}

#[test]
fn what_signs_holds_nothing_fresh_and_its_scope_no_secret() {
    let [Placement::Oauth1(oauth1), Placement::AwsSigv4(sigv4)] = signatures() else { panic!("both sign") };
    let oauth1 = Oauth1 {
        consumer_key: "{uuid}".into(),
        parameters: vec![
            parameter("oauth_nonce", "x"),
            parameter("Realm", "x"),
            parameter("realm", "x"),
            parameter("realm", "y"),
        ],
        ..oauth1
    };
    let unknown = "names `uuid`, which is no field, no captured or derived value, and none of the host's";
    assert_eq!(
        placed(vec![Placement::Oauth1(oauth1)]),
        [
            format!("placements[0].oauth1.consumer-key {unknown}"),
            "placements[0].oauth1.parameters[0] `oauth_nonce` is no legal name here".to_owned(),
            "placements[0].oauth1.parameters[1] `Realm` is no legal name here".to_owned(),
            "placements[0].oauth1.parameters[3] `realm` stands there twice".to_owned(),
        ]
    );
    let sigv4 = Sigv4 { region: "{token}".into(), session_token: Some("{uuid}".into()), ..sigv4 };
    assert_eq!(
        placed(vec![Placement::AwsSigv4(sigv4)]),
        [
            "placements[0].aws-sigv4.region names the secret `token`, which may not stand here".to_owned(),
            format!("placements[0].aws-sigv4.session-token {unknown}"),
        ]
    );
}

fn request(url: &str) -> Request {
    Request { method: "POST".into(), url: url.into(), placements: vec![], body: Body::None, captures: vec![] }
}

fn granted(grant: Grant, sign_in: SignIn) -> Vec<String> {
    let placements = vec![Placement::Header(parameter("authorization", "Bearer {access-token}"))];
    problems(&Authentication { grant, placements, ..Authentication::default() }, sign_in)
}

#[test]
fn a_grant_belongs_to_a_protocol_that_signs_in() {
    let token = Grant { token: vec![request("https://api.example.com/token")], ..Grant::default() };
    assert_eq!(granted(token.clone(), SignIn::Unattended), [""; 0]);
    assert_eq!(
        granted(token.clone(), SignIn::None),
        ["grant is not allowed where the protocol signs in by nothing beyond its fields"]
    );
    assert_eq!(
        granted(token.clone(), SignIn::Browser),
        ["grant.authorization is missing, though the protocol signs in by a browser"]
    );
    let authorization = Authorization {
        url: "https://api.example.com/authorize".into(),
        pkce: true,
        parameters: vec![parameter("scope", "{token}")],
        captures: vec![],
    };
    let browser = Grant { authorization: Some(authorization), ..token };
    let hush = "grant.authorization.parameters[0] names the secret `token`, which may not stand here";
    assert_eq!(granted(browser.clone(), SignIn::Browser), [hush]);
    assert_eq!(
        granted(browser, SignIn::Unattended),
        ["grant.authorization is not allowed where the protocol signs in by requests alone", hush]
    );
    assert_eq!(
        problems(&Authentication::default(), SignIn::Unattended),
        ["grant is missing, though the protocol signs in by requests alone"]
    );
}

#[test]
fn urls_of_a_grant_stay_within_the_origins() {
    let at = |url: &str| granted(Grant { token: vec![request(url)], ..Grant::default() }, SignIn::Unattended);
    for url in [
        "https://api.example.com",
        "https://API.example.com:443/token",
        "https://api.example.com?x={token}",
        "https://{region}.example.com/{user}",
        "{url}/oauth/token",
    ] {
        assert_eq!(at(url), [""; 0], "{url}");
    }
    for url in [
        "https://api.example.com.evil.example/",
        "https://api.example.com@evil.example/",
        "https://api.example.com:8443/",
        "https://api.example.com\\@evil.example/",
        "http://api.example.com/",
        "https://{user}.example.com/",
        "{url}.evil.example/",
        "{url}@evil.example/",
        "/token",
    ] {
        assert_eq!(at(url), ["grant.token[0].url is outside the connector's origins"], "{url}");
    }
}
