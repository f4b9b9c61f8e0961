//! A registry of container images by the OCI distribution specification.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::json::json;
use turnbuckle_sdk::{Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report};

/// The connector.
#[derive(Debug)]
pub struct OciRegistry;

impl Connector for OciRegistry {
    fn describe() -> Descriptor {
        Descriptor::new("oci-registry", env!("CARGO_PKG_VERSION"), "OCI registry")
            .publisher("Turnbuckle")
            .summary("Container images and other artifacts")
            .category("Developer tools")
            .documentation("https://distribution.github.io/distribution/")
            .icon(include_str!("../icon.svg"))
            .setting(Field::url("url", "Registry").required().placeholder("https://registry.example.com"))
            .protocol(
                Protocol::new("basic", "User name and password")
                    .field(Field::text("username", "User name").required().pattern("[^:]+"))
                    .field(Field::secret("password", "Password").required()),
            )
            .origin("{url}")
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::basic_auth("{username}", "{password}")))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let answer = http::get(format!("{}/v2/", connection.setting("url").trim_end_matches('/'))).send()?;
        let version = version(&answer);
        if !answer.is_success() {
            return Err(failure(&answer, version.is_some()));
        }
        // The specification no longer asks for the header; then only an empty object looks like a registry.
        if version.is_none() && answer.value() != json!({}) {
            return Err(no_registry());
        }
        let username = connection.setting("username");
        let report = Report::new(format!("Signed in as {username}")).account(username, username);
        Ok(match version {
            Some(version) => report.discovered("api-version", version),
            None => report,
        })
    }
}

fn version(answer: &Response) -> Option<&str> {
    answer.header("docker-distribution-api-version").filter(|version| version.contains("registry/2"))
}

fn failure(answer: &Response, is_registry: bool) -> Failure {
    let error = |at: &str| answer.text_at(&format!("/errors/0/{at}")).filter(|text| !text.is_empty());
    let (code, words) = (error("code"), error("message"));
    let failure = answer.failure(words.as_deref().or(code.as_deref()));
    let challenge = answer.header("www-authenticate").unwrap_or_default().to_ascii_lowercase();
    match answer.status {
        // Such a registry wants a token of another service, which this protocol does not fetch.
        401 if challenge.starts_with("bearer ") => {
            Failure::field("url", "this registry takes no user name and password, only tokens of its own")
        }
        300..=399 | 404 | 405 if !is_registry && code.is_none() => no_registry(),
        _ => match code.as_deref() {
            Some("DENIED") => Failure::forbidden(failure.message),
            Some("TOOMANYREQUESTS") => Failure::rate_limited(answer.retry_after(), failure.message),
            Some(_) | None => failure,
        },
    }
}

fn no_registry() -> Failure {
    Failure::field("url", "there is no registry at this address: it does not speak the distribution API at /v2/")
}

turnbuckle_sdk::export!(OciRegistry);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::testing::{self, Script, connection, placements};

    use super::*;

    const SETTINGS: &[(&str, &str)] = &[("url", "https://registry.example.com"), ("username", "ada")];

    fn answered(answer: Response) -> Result<Report, Failure> {
        let script = Script::new().expect(http::get("https://registry.example.com/v2/")).answer(answer);
        script.run(|| OciRegistry::test(&connection("basic", SETTINGS))).0
    }

    fn registry(answer: Response) -> Result<Report, Failure> {
        answered(answer.with("Docker-Distribution-Api-Version", "registry/2.0"))
    }

    fn error(status: u16, code: &str, message: &str) -> Response {
        testing::json(status, &json!({"errors": [{"code": code, "message": message, "detail": null}]}))
    }

    #[test]
    fn user_name_and_password_travel_by_basic_authentication() {
        let authentication = OciRegistry::authenticate(&connection("basic", SETTINGS)).unwrap();
        assert_eq!(placements(&authentication), ["basic {username}:{password}"]);
    }

    #[test]
    fn a_registry_says_so_by_its_header() {
        let report = Report::new("Signed in as ada").account("ada", "ada").discovered("api-version", "registry/2.0");
        assert_eq!(registry(testing::json(200, &json!({}))), Ok(report));
    }

    #[test]
    fn a_registry_without_the_header_is_known_by_its_empty_object() {
        let report = Report::new("Signed in as ada").account("ada", "ada");
        assert_eq!(answered(testing::json(200, &json!({}))), Ok(report));
    }

    #[test]
    fn what_is_no_registry_is_said_to_be_none() {
        let none = Err(no_registry());
        assert_eq!(answered(testing::text(200, "<html>")), none);
        assert_eq!(answered(testing::json(200, &json!({"name": "another"}))), none);
        assert_eq!(answered(testing::text(404, "page not found")), none);
        assert_eq!(answered(testing::text(308, "").with("location", "/")), none);
    }

    #[test]
    fn a_wrong_password_is_told_in_the_registrys_words() {
        let answer = error(401, "UNAUTHORIZED", "authentication required")
            .with("WWW-Authenticate", "Basic realm=\"Registry Realm\"");
        let words = "the service answered 401: authentication required";
        assert_eq!(registry(answer), Err(Failure::unauthorized(words)));
        assert_eq!(answered(testing::text(401, "")), Err(Failure::unauthorized("the service answered 401")));
    }

    #[test]
    fn a_registry_that_wants_its_own_tokens_says_so() {
        let challenge = "Bearer realm=\"https://auth.example.com/token\",service=\"registry.example.com\"";
        let answer = error(401, "UNAUTHORIZED", "authentication required").with("WWW-Authenticate", challenge);
        let words = "this registry takes no user name and password, only tokens of its own";
        assert_eq!(registry(answer), Err(Failure::field("url", words)));
    }

    #[test]
    fn codes_of_the_specification_count() {
        assert_eq!(
            registry(error(403, "DENIED", "requested access to the resource is denied")),
            Err(Failure::forbidden("the service answered 403: requested access to the resource is denied"))
        );
        assert_eq!(
            registry(error(429, "TOOMANYREQUESTS", "too many requests").with("Retry-After", "30")),
            Err(Failure::rate_limited(Some(30), "the service answered 429: too many requests"))
        );
        assert_eq!(
            registry(error(503, "UNAVAILABLE", "")),
            Err(Failure::unavailable("the service answered 503: UNAVAILABLE"))
        );
    }
}
