//! Its `authenticate` answers with a plan that may not be kept, chosen by the setting `plan`.

use guest_kit::{
    Authentication, Authorization, Body, Connection, Derivation, Derived, Descriptor, Failure, FailureKind, Field,
    FieldKind, Grant, Guest, Placement, Protocol, Request, SignIn, descriptor, failure, field, no_grant, nothing,
    parameter, place, protocol, required_secret, setting,
};

struct BadPlan;

impl Guest for BadPlan {
    const NAME: &str = "bad-plan";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        described.settings.push(Field { required: true, ..field("plan", FieldKind::Text) });
        described.protocols.push(Protocol {
            sign_in: SignIn::Unattended,
            ..protocol("unattended", vec![required_secret("client-secret")])
        });
        described
    }

    fn authenticate(connection: Connection) -> Result<Authentication, Failure> {
        let header = |name: &str, value: &str| place(Placement::Header(parameter(name, value)));
        let token_from = |url: &str| Authentication {
            grant: Grant { token: vec![post(url)], ..no_grant() },
            ..header("Authorization", "Bearer {access-token}")
        };
        Ok(match setting(&connection, "plan") {
            "none" => nothing(),
            "good-token" => token_from("{url}/token"),
            "unknown-name" => header("Authorization", "Bearer {session}"),
            "unclosed" => header("Authorization", "Bearer {token"),
            "crlf" => header("X-Note", "a\r\nX-Injected: 1"),
            "bad-header-name" => header("X Note", "a"),
            "name-with-crlf" => header("X-Note\r\nX-Injected", "1"),
            "host" => header("Host", "attacker.example"),
            "hop-by-hop" => header("Connection", "keep-alive"),
            "content-length" => header("Content-Length", "0"),
            "twice" => Authentication {
                placements: vec![
                    Placement::Header(parameter("X-Api-Key", "a")),
                    Placement::Header(parameter("x-api-key", "b")),
                ],
                ..nothing()
            },
            "path" => place(Placement::PathPrefix("@attacker.example/".into())),
            "cookie" => place(Placement::Cookie(parameter("a=b; c", "d"))),
            "outside-origins" => token_from("https://attacker.example/token"),
            "secret-in-host" => token_from("https://{client-secret}.attacker.example/"),
            "authorization" => Authentication {
                grant: Grant {
                    authorization: Some(Authorization {
                        url: "{url}/authorize".into(),
                        pkce: true,
                        parameters: vec![],
                        captures: vec![],
                    }),
                    token: vec![post("{url}/token")],
                    ..no_grant()
                },
                ..nothing()
            },
            "shadowed" => Authentication {
                derived: vec![Derived { name: "token".into(), value: Derivation::Base64("mine".into()) }],
                ..nothing()
            },
            "too-many" => Authentication {
                placements: (0..1000)
                    .map(|number| Placement::Header(parameter(&format!("X-Note-{number}"), "a")))
                    .collect(),
                ..nothing()
            },
            "refuses" => return Err(failure(FailureKind::Misconfigured(Some("plan".into())), "no plan for this")),
            "traps" => panic!("the plan of bad-plan gives up"),
            "spins" => loop {
                std::hint::spin_loop();
            },
            _ => return Err(failure(FailureKind::Misconfigured(Some("plan".into())), "there is no such plan")),
        })
    }
}

fn post(url: &str) -> Request {
    Request { method: "POST".into(), url: url.into(), placements: vec![], body: Body::None, captures: vec![] }
}

guest_kit::guest!(BadPlan);
