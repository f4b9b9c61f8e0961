//! Behaves: sends one request as its settings say, by every kind of placement, and shows the whole answer.

use guest_kit::{
    Authentication, Basic, Connection, Derivation, Derived, Descriptor, Failure, FailureKind, Field, FieldKind, Guest,
    Placement, Report, Sigv4, descriptor, failure, field, http, nothing, parameter, place, protocol, report,
    required_secret, setting,
};

struct Echo;

impl Guest for Echo {
    const NAME: &str = "echo";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        described.settings.push(Field { default: Some("GET".into()), ..field("method", FieldKind::Text) });
        for name in ["header-name", "header-value", "content-type", "body"] {
            described.settings.push(field(name, FieldKind::Text));
        }
        let key = || vec![required_secret("key")];
        let pair = || vec![Field { required: true, ..field("username", FieldKind::Text) }, required_secret("password")];
        described.protocols = vec![
            protocol("none", vec![]),
            protocol("bearer", key()),
            protocol("header", key()),
            protocol("query", key()),
            protocol("cookie", key()),
            protocol("path-prefix", key()),
            protocol("body-form", key()),
            protocol("body-json", key()),
            protocol("basic", pair()),
            protocol("digest", pair()),
            protocol("derived", pair()),
            protocol("aws-sigv4", pair()),
        ];
        described
    }

    fn authenticate(connection: Connection) -> Result<Authentication, Failure> {
        let pair = || Basic { username: "{username}".into(), password: "{password}".into() };
        Ok(match connection.protocol.as_str() {
            "bearer" => place(Placement::Header(parameter("Authorization", "Bearer {key}"))),
            "header" => place(Placement::Header(parameter("X-Api-Key", "{key}"))),
            "query" => place(Placement::Query(parameter("api_key", "{key}"))),
            "cookie" => place(Placement::Cookie(parameter("session", "{key}"))),
            "path-prefix" => place(Placement::PathPrefix("/bot{key}".into())),
            "body-form" => place(Placement::Body(parameter("api_key", "{key}"))),
            "body-json" => place(Placement::Body(parameter("/auth/key", "{key}"))),
            "basic" => place(Placement::Basic(pair())),
            "digest" => place(Placement::Digest(pair())),
            "aws-sigv4" => place(Placement::AwsSigv4(Sigv4 {
                region: "eu-central-1".into(),
                service: "execute-api".into(),
                access_key_id: "{username}".into(),
                secret_access_key: "{password}".into(),
                session_token: None,
            })),
            "derived" => Authentication {
                derived: vec![Derived {
                    name: "pair".into(),
                    value: Derivation::Base64("{username}:{password}".into()),
                }],
                ..place(Placement::Header(parameter("Authorization", "Basic {pair}")))
            },
            _ => nothing(),
        })
    }

    fn test(connection: Connection) -> Result<Report, Failure> {
        let url = format!("{}{}", setting(&connection, "url"), setting(&connection, "path"));
        let mut request = http::Request::new(setting(&connection, "method"), &url);
        for (name, value) in [("header-name", "header-value"), ("", "content-type")] {
            let name = if name.is_empty() { value } else { setting(&connection, name) };
            let value = setting(&connection, value);
            if !name.is_empty() && !value.is_empty() {
                request = request.header(name, value);
            }
        }
        request.body = setting(&connection, "body").into();
        let answer = request.send().map_err(|error| failure(FailureKind::Unavailable, error))?;
        match answer.status {
            401 => return Err(failure(FailureKind::Unauthorized, answer.text())),
            403 => return Err(failure(FailureKind::Forbidden, answer.text())),
            429 => return Err(failure(FailureKind::RateLimited(None), answer.text())),
            500.. => return Err(failure(FailureKind::Unavailable, answer.text())),
            _ => {}
        }
        let mut shown = report(format!("{}\n", answer.status));
        shown.discovered = vec![("status".into(), answer.status.to_string()), ("body".into(), answer.text())];
        for (name, value) in &answer.headers {
            shown.message += &format!("{name}: {value}\n");
            shown.discovered.push((format!("header-{name}"), value.clone()));
        }
        shown.message += "\n";
        shown.message += &answer.text();
        Ok(shown)
    }
}

guest_kit::guest!(Echo);
