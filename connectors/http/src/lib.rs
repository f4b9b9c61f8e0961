//! Any service with a REST interface.

mod oauth;

use turnbuckle_sdk::{
    Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, http,
};

/// The connector.
#[derive(Debug)]
pub struct Http;

impl Connector for Http {
    fn describe() -> Descriptor {
        let username = || Field::text("username", "User name").required();
        let password = || Field::secret("password", "Password").required();
        Descriptor::new("http", env!("CARGO_PKG_VERSION"), "HTTP")
            .publisher("Turnbuckle")
            .summary("Any service with a REST interface")
            .category("Developer tools")
            .documentation("https://www.rfc-editor.org/rfc/rfc9110")
            .icon(include_str!("../icon.svg"))
            .setting(Field::url("url", "Base URL").required().placeholder("https://api.example.com"))
            .setting(
                Field::text("test-path", "Test path")
                    .default("/")
                    .pattern(r#"/[!"$-~]*"#)
                    .help("A test requests this path; choose one that only valid credentials can read."),
            )
            .setting(
                Field::integer("expected-status", "Expected status")
                    .pattern("[1-5][0-9]{2}")
                    .help("Any 2xx where nothing is given.")
                    .placeholder("200"),
            )
            .protocol(Protocol::new("none", "No authentication"))
            .protocol(
                Protocol::new("header", "Header")
                    .field(
                        Field::text("header-name", "Header").required().default("X-API-Key").pattern("[A-Za-z0-9_-]+"),
                    )
                    .field(Field::secret("header-value", "Value").required()),
            )
            .protocol(
                Protocol::new("query", "Query parameter")
                    .field(
                        Field::text("param-name", "Parameter")
                            .required()
                            .default("api_key")
                            .pattern("[A-Za-z0-9._~-]+"),
                    )
                    .field(Field::secret("param-value", "Value").required()),
            )
            .protocol(Protocol::new("basic", "User name and password").field(username()).field(password()))
            .protocol(Protocol::new("bearer", "Bearer token").field(Field::secret("token", "Token").required()))
            .protocol(Protocol::new("digest", "Digest").field(username()).field(password()))
            .protocol(oauth::browser())
            .protocol(oauth::client())
            .protocol(oauth::assertion())
            .origin("{url}")
            .origin("{authorization-server}")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        let nothing = Authentication::new();
        Ok(match connection.protocol.as_str() {
            "header" => nothing.place(Placement::header(connection.setting("header-name"), "{header-value}")),
            "query" => nothing.place(Placement::query(connection.setting("param-name"), "{param-value}")),
            "basic" => nothing.place(Placement::basic_auth("{username}", "{password}")),
            "bearer" => nothing.place(Placement::header("Authorization", "Bearer {token}")),
            "digest" => nothing.place(Placement::digest_auth("{username}", "{password}")),
            oauth::BROWSER | oauth::CLIENT | oauth::ASSERTION => oauth::authenticate(connection),
            _ => nothing,
        })
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let path = connection.setting("test-path");
        let answer = http::get(format!("{}{path}", connection.setting("url").trim_end_matches('/'))).send()?;
        let expected = connection.get("expected-status").and_then(|status| status.parse::<u16>().ok());
        let good = expected.map_or_else(|| answer.is_success(), |expected| expected == answer.status);
        if good {
            return Ok(Report::new(format!("The service answered {} to GET {path}", answer.status)));
        }
        Err(match (answer.status, expected) {
            (404, _) => Failure::field("test-path", format!("the service answered 404: there is nothing at {path}")),
            (300..=399, None) => {
                Failure::field("test-path", format!("the service answered {} and points elsewhere", answer.status))
            }
            (_, Some(expected)) if answer.is_success() => {
                Failure::field("expected-status", format!("the service answered {}, not {expected}", answer.status))
            }
            _ => answer.failure(None),
        })
    }
}

turnbuckle_sdk::export!(Http);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::testing::{Script, connection, placements, text};

    use super::*;

    const SETTINGS: &[(&str, &str)] = &[("url", "https://api.example.com"), ("test-path", "/me?x=1")];

    fn test(settings: &[(&str, &str)], answer: turnbuckle_sdk::http::Response) -> Result<String, Failure> {
        let connection = connection("bearer", settings);
        let script = Script::new().expect(http::get("https://api.example.com/me?x=1")).answer(answer);
        script.run(|| Http::test(&connection)).0.map(|report| report.message)
    }

    #[test]
    fn each_protocol_places_its_credential() {
        let place = |protocol, settings| placements(&Http::authenticate(&connection(protocol, settings)).unwrap());
        assert_eq!(place("none", &[]), Vec::<String>::new());
        assert_eq!(place("header", &[("header-name", "X-Key")]), ["header X-Key: {header-value}"]);
        assert_eq!(place("query", &[("param-name", "key")]), ["query key={param-value}"]);
        assert_eq!(place("basic", &[]), ["basic {username}:{password}"]);
        assert_eq!(place("bearer", &[]), ["header Authorization: Bearer {token}"]);
        assert_eq!(place("digest", &[]), ["digest {username}:{password}"]);
    }

    #[test]
    fn any_success_passes_unless_one_status_is_expected() {
        assert_eq!(test(SETTINGS, text(204, "")), Ok("The service answered 204 to GET /me?x=1".into()));
        let strict: Vec<_> = SETTINGS.iter().copied().chain([("expected-status", "418")]).collect();
        assert_eq!(test(&strict, text(418, "")), Ok("The service answered 418 to GET /me?x=1".into()));
        assert_eq!(
            test(&strict, text(200, "")),
            Err(Failure::field("expected-status", "the service answered 200, not 418"))
        );
    }

    #[test]
    fn a_wrong_path_is_told_from_a_wrong_credential() {
        assert_eq!(test(SETTINGS, text(401, "")), Err(Failure::unauthorized("the service answered 401")));
        assert_eq!(test(SETTINGS, text(403, "")), Err(Failure::forbidden("the service answered 403")));
        let words = "the service answered 404: there is nothing at /me?x=1";
        assert_eq!(test(SETTINGS, text(404, "")), Err(Failure::field("test-path", words)));
        let words = "the service answered 302 and points elsewhere";
        assert_eq!(test(SETTINGS, text(302, "")), Err(Failure::field("test-path", words)));
    }

    #[test]
    fn a_service_that_is_down_or_busy_is_worth_another_try() {
        assert_eq!(test(SETTINGS, text(500, "")), Err(Failure::unavailable("the service answered 500")));
        let busy = text(429, "").with("Retry-After", "30");
        assert_eq!(test(SETTINGS, busy), Err(Failure::rate_limited(Some(30), "the service answered 429")));
        let script = Script::new().expect(http::get("https://api.example.com/me?x=1"));
        let script = script.fail(http::Error::Unreachable("no connection".into()));
        assert_eq!(
            script.run(|| Http::test(&connection("none", SETTINGS))).0,
            Err(Failure::unavailable("the service could not be reached: no connection"))
        );
    }

    #[test]
    fn a_rejected_credential_is_never_a_wrong_setting() {
        let strict: Vec<_> = SETTINGS.iter().copied().chain([("expected-status", "200")]).collect();
        assert_eq!(test(&strict, text(401, "")), Err(Failure::unauthorized("the service answered 401")));
    }
}
