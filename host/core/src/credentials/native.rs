//! Ways to sign in that the host knows by itself: what a form asks for, and the plan that comes of it.
//!
//! They are data for the very machinery that connectors' plans run on; nothing else here knows how to sign in.

use std::collections::BTreeMap;

use url::Url;

use crate::model::authentication::{
    Algorithm, Authentication, Authorization, Basic, Body, Derivation, Derived, Encoding, Grant, Jwt, Parameter,
    Placement, Request, Sigv4,
};
use crate::model::descriptor::{Choice, Field, FieldKind, SignIn};
use crate::model::error::FieldProblem;
use crate::model::id::kebab;
use crate::model::named::{AUTHORIZATION_URL, HeaderTemplate};
use crate::model::origin::Origin;
use crate::model::template::Template;
use crate::model::view::CredentialProtocol;

const NONE: &str = "none";
const BASIC: &str = "basic";
pub(super) const HEADERS: &str = "custom-headers";
const SIGV4: &str = "aws-sigv4";
const CLIENT: &str = "oauth2-client-credentials";
const ASSERTION: &str = "jwt-bearer";
const BROWSER: &str = "oauth2";

const TOKEN_URL: &str = "token-url";
const REVOCATION_URL: &str = "revocation-url";
/// Fields that say where somebody signs in.
const ENDPOINTS: [&str; 3] = [AUTHORIZATION_URL, TOKEN_URL, REVOCATION_URL];

/// More headers than any service asks for.
const MOST_HEADERS: usize = 16;
const ASSERTION_SECONDS: u32 = 180;

/// All of them, as a form shows them.
pub(crate) fn protocols() -> Vec<CredentialProtocol> {
    let protocol = |name: &str, label: &str, help: &str, sign_in, settings, parameters| CredentialProtocol {
        name: name.into(),
        label: label.into(),
        help: help.into(),
        sign_in,
        settings,
        parameters,
    };
    let proof = |ways: &[(&str, &str)]| Field {
        default: Some("basic".into()),
        ..choice("client-authentication", "How the client proves itself", ways)
    };
    let basic_or_body = [("basic", "By basic authentication"), ("body", "In the form")];
    vec![
        protocol(NONE, "No authentication", "Requests go as they are.", SignIn::None, vec![], vec![]),
        protocol(
            BASIC,
            "User name and password",
            "HTTP basic authentication (RFC 7617).",
            SignIn::None,
            vec![],
            vec![required(text("username", "User name")), required(secret("password", "Password"))],
        ),
        protocol(
            HEADERS,
            "Custom headers",
            "Headers by templates: what stands in braces, as in `Token {api-key}`, is a secret of the principal.",
            SignIn::None,
            vec![],
            vec![],
        ),
        protocol(
            SIGV4,
            "AWS Signature Version 4",
            "Each request is signed for one region and service.",
            SignIn::None,
            vec![
                required(example(text("region", "Region"), "eu-central-1")),
                required(example(text("service", "Service"), "s3")),
            ],
            vec![
                required(text("access-key-id", "Access key id")),
                required(secret("secret-access-key", "Secret access key")),
                secret("session-token", "Session token"),
            ],
        ),
        protocol(
            CLIENT,
            "OAuth 2.0 client credentials",
            "The client signs in without a person (RFC 6749 section 4.4).",
            SignIn::Unattended,
            vec![token_url(), proof(&basic_or_body), scope(), text("audience", "Audience")],
            vec![required(text("client-id", "Client id")), required(secret("client-secret", "Client secret"))],
        ),
        protocol(
            ASSERTION,
            "JWT bearer",
            "Signs in by an assertion that this host signs (RFC 7523).",
            SignIn::Unattended,
            vec![
                token_url(),
                Field {
                    default: Some("RS256".into()),
                    ..choice(
                        "algorithm",
                        "Algorithm",
                        &[("RS256", "RS256"), ("PS256", "PS256"), ("ES256", "ES256"), ("HS256", "HS256")],
                    )
                },
                Field {
                    help: Some("Whom the assertion is for; the token URL where nothing is given.".into()),
                    ..text("audience", "Audience")
                },
                scope(),
            ],
            vec![
                required(text("issuer", "Issuer")),
                Field {
                    help: Some("For whom access is asked; the issuer where nothing is given.".into()),
                    ..text("subject", "Subject")
                },
                text("key-id", "Key ID"),
                required(Field { help: Some("In PEM or as a JWK.".into()), ..secret("private-key", "Private key") }),
            ],
        ),
        protocol(
            BROWSER,
            "OAuth 2.0",
            "A person agrees in a browser (RFC 6749 section 4.1).",
            SignIn::Browser,
            vec![
                required(example(text(AUTHORIZATION_URL, "Authorization URL"), "https://login.example.com/authorize")),
                token_url(),
                text(REVOCATION_URL, "Revocation URL"),
                required(text("client-id", "Client id")),
                Field {
                    help: Some("Of the same app; a public client has none.".into()),
                    ..secret("client-secret", "Client secret")
                },
                proof(&[basic_or_body[0], basic_or_body[1], ("none", "Not at all: a public client")]),
                scope(),
                text("audience", "Audience"),
            ],
            vec![],
        ),
    ]
}

/// The one of this name.
pub(super) fn protocol(name: &str) -> Result<CredentialProtocol, FieldProblem> {
    let all = protocols();
    let names: Vec<_> = all.iter().map(|protocol| protocol.name.clone()).collect();
    all.into_iter().find(|protocol| protocol.name == name).ok_or_else(|| {
        FieldProblem::new("protocol", format!("there is no protocol `{name}`; there are {}", names.join(", ")))
    })
}

/// What a principal is asked: for custom headers, what their templates name.
pub(super) fn parameters(protocol: &CredentialProtocol, headers: &[HeaderTemplate]) -> Vec<Field> {
    if protocol.name != HEADERS {
        return protocol.parameters.clone();
    }
    let mut names = Vec::new();
    for header in headers {
        for name in Template::parse(&header.value).iter().flat_map(Template::names) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names.iter().map(|name| required(secret(name, name))).collect()
}

/// What is wrong with values that the fields themselves do not judge. Headers are judged with the plan.
pub(super) fn judge(
    protocol: &CredentialProtocol,
    settings: &BTreeMap<String, String>,
    headers: &[HeaderTemplate],
    problems: &mut Vec<FieldProblem>,
) {
    for name in ENDPOINTS {
        if let Some(Err(words)) = settings.get(name).map(|text| endpoint(text)) {
            problems.push(FieldProblem::new(name, words));
        }
    }
    match (protocol.name == HEADERS, headers) {
        (true, []) => {
            problems.push(FieldProblem::new("headers", "give at least one, such as `Authorization: Token {api-key}`"));
        }
        (false, [_, ..]) => {
            problems.push(FieldProblem::new("headers", format!("`{}` has none of its own", protocol.name)));
        }
        _ => {}
    }
    if headers.len() > MOST_HEADERS {
        problems.push(FieldProblem::new("headers", format!("at most {MOST_HEADERS} are allowed")));
    }
    for header in headers {
        let bad = match Template::parse(&header.value) {
            Err(error) => Some(error.to_string()),
            Ok(template) => template.names().find_map(|name| {
                kebab(name).err().map(str::to_owned).or_else(|| {
                    let own = ["redirect-uri", "state", "code-verifier", "uuid"].contains(&name);
                    own.then(|| format!("`{{{name}}}` is a name of the host's own; choose another"))
                })
            }),
        };
        if let Some(words) = bad {
            problems.push(FieldProblem::new(format!("headers.{}", header.name), words));
        }
    }
}

/// An address that somebody signs in at.
fn endpoint(text: &str) -> Result<Origin, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}; write a whole URL, such as https://login.example.com/token"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must hold neither a user name nor a fragment".into());
    }
    if text.contains(['{', '}']) {
        return Err("must not hold braces".into());
    }
    Origin::of(&url).ok_or_else(|| "must begin with https:// and a host".into())
}

/// Where a sign-in goes: to these origins, and to no other.
pub(super) fn origins(settings: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for origin in ENDPOINTS.iter().filter_map(|name| endpoint(settings.get(*name)?).ok()) {
        let origin = origin.to_string();
        if !found.contains(&origin) {
            found.push(origin);
        }
    }
    found
}

/// How a credential of this protocol is obtained, and where it goes in a request. `given` says which parameters have a value.
pub(super) fn plan(
    protocol: &str,
    settings: &BTreeMap<String, String>,
    headers: &[HeaderTemplate],
    given: impl Fn(&str) -> bool,
) -> Authentication {
    let place = |placements| Authentication { placements, ..Authentication::default() };
    match protocol {
        BASIC => place(vec![Placement::Basic(basic("username", "password"))]),
        HEADERS => {
            let header = |header: &HeaderTemplate| Placement::Header(parameter(&header.name, &header.value));
            place(headers.iter().map(header).collect())
        }
        SIGV4 => place(vec![Placement::AwsSigv4(Sigv4 {
            region: "{region}".into(),
            service: "{service}".into(),
            access_key_id: "{access-key-id}".into(),
            secret_access_key: "{secret-access-key}".into(),
            session_token: given("session-token").then(|| "{session-token}".into()),
        })]),
        CLIENT => {
            let form = vec![
                parameter("grant_type", "client_credentials"),
                parameter("scope", "{scope}"),
                parameter("audience", "{audience}"),
            ];
            let token = vec![proven(settings, TOKEN_URL, form)];
            bearer(Grant { token, ..Grant::default() })
        }
        ASSERTION => assertion(settings, given),
        BROWSER => browser(settings),
        // `none`.
        _ => Authentication::default(),
    }
}

fn assertion(settings: &BTreeMap<String, String>, given: impl Fn(&str) -> bool) -> Authentication {
    let algorithm = match settings.get("algorithm").map(String::as_str) {
        Some("PS256") => Algorithm::Ps256,
        Some("ES256") => Algorithm::Es256,
        Some("HS256") => Algorithm::Hs256,
        _ => Algorithm::Rs256,
    };
    // A claim whose value is missing would leave no token, so what is empty is not claimed.
    let subject = if given("subject") { "{subject}" } else { "{issuer}" };
    let audience = if settings.contains_key("audience") { "{audience}" } else { "{token-url}" };
    let header = if given("key-id") { r#"{{"kid":"{key-id}"}}"# } else { "{{}}" };
    let jwt = Jwt {
        algorithm,
        key: "{private-key}".into(),
        key_encoding: Encoding::Text,
        header: header.into(),
        claims: format!(r#"{{{{"iss":"{{issuer}}","sub":"{subject}","aud":"{audience}"}}}}"#),
        lifetime_seconds: ASSERTION_SECONDS,
    };
    let form = vec![
        parameter("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        parameter("assertion", "{assertion}"),
        parameter("scope", "{scope}"),
    ];
    let token = vec![request(settings, TOKEN_URL, Vec::new(), form)];
    Authentication {
        derived: vec![Derived { name: "assertion".into(), value: Derivation::Jwt(jwt) }],
        ..bearer(Grant { token, ..Grant::default() })
    }
}

fn browser(settings: &BTreeMap<String, String>) -> Authentication {
    let token = vec![
        parameter("grant_type", "authorization_code"),
        parameter("code", "{code}"),
        parameter("redirect_uri", "{redirect-uri}"),
        parameter("code_verifier", "{code-verifier}"),
    ];
    let refresh = vec![parameter("grant_type", "refresh_token"), parameter("refresh_token", "{refresh-token}")];
    let revoke = |token: &str, hint: &str| {
        let form = vec![parameter("token", token), parameter("token_type_hint", hint)];
        proven(settings, REVOCATION_URL, form)
    };
    let revocation = match settings.contains_key(REVOCATION_URL) {
        true => vec![revoke("{refresh-token}", "refresh_token"), revoke("{access-token}", "access_token")],
        false => Vec::new(),
    };
    bearer(Grant {
        authorization: Some(Authorization {
            url: settings.get(AUTHORIZATION_URL).cloned().unwrap_or_default(),
            pkce: true,
            parameters: vec![
                parameter("client_id", "{client-id}"),
                parameter("scope", "{scope}"),
                parameter("audience", "{audience}"),
            ],
            captures: Vec::new(),
        }),
        token: vec![proven(settings, TOKEN_URL, token)],
        refresh: vec![proven(settings, TOKEN_URL, refresh)],
        revocation,
        ..Grant::default()
    })
}

fn bearer(grant: Grant) -> Authentication {
    let placements = vec![Placement::Header(parameter("Authorization", "Bearer {access-token}"))];
    Authentication { grant, placements, ..Authentication::default() }
}

/// A request of a client that proves itself as its settings say.
fn proven(settings: &BTreeMap<String, String>, url: &str, mut form: Vec<Parameter>) -> Request {
    let mut placements = Vec::new();
    match settings.get("client-authentication").map(String::as_str) {
        Some("none") => form.push(parameter("client_id", "{client-id}")),
        Some("body") => {
            form.push(parameter("client_id", "{client-id}"));
            form.push(parameter("client_secret", "{client-secret}"));
        }
        _ => placements.push(Placement::Basic(basic("client-id", "client-secret"))),
    }
    request(settings, url, placements, form)
}

fn request(
    settings: &BTreeMap<String, String>,
    url: &str,
    mut placements: Vec<Placement>,
    form: Vec<Parameter>,
) -> Request {
    placements.insert(0, Placement::Header(parameter("Accept", "application/json")));
    Request {
        method: "POST".into(),
        // Judged when it was set up: it holds no braces.
        url: settings.get(url).cloned().unwrap_or_default(),
        placements,
        body: Body::Form(form),
        captures: Vec::new(),
    }
}

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}

fn basic(username: &str, password: &str) -> Basic {
    Basic { username: format!("{{{username}}}"), password: format!("{{{password}}}") }
}

fn field(name: &str, label: &str, kind: FieldKind) -> Field {
    Field {
        name: name.into(),
        label: label.into(),
        help: None,
        placeholder: None,
        kind,
        required: false,
        default: None,
        pattern: None,
    }
}

fn text(name: &str, label: &str) -> Field {
    field(name, label, FieldKind::Text)
}

fn secret(name: &str, label: &str) -> Field {
    field(name, label, FieldKind::Secret)
}

fn choice(name: &str, label: &str, choices: &[(&str, &str)]) -> Field {
    let choices = choices.iter().map(|(value, label)| Choice { value: (*value).into(), label: (*label).into() });
    required(field(name, label, FieldKind::Choice(choices.collect())))
}

fn required(field: Field) -> Field {
    Field { required: true, ..field }
}

fn example(field: Field, example: &str) -> Field {
    Field { placeholder: Some(example.into()), ..field }
}

fn token_url() -> Field {
    required(example(text(TOKEN_URL, "Token URL"), "https://login.example.com/token"))
}

fn scope() -> Field {
    Field { help: Some("With spaces between.".into()), ..text("scope", "Scopes") }
}
