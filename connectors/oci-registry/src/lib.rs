//! A registry of container images, as the OCI distribution specification describes it.

use turnbuckle_sdk::{
    Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, http,
};

/// The connector.
#[derive(Debug)]
pub struct OciRegistry;

impl Connector for OciRegistry {
    fn describe() -> Descriptor {
        Descriptor::new("oci-registry", env!("CARGO_PKG_VERSION"), "OCI registry")
            .publisher("Turnbuckle")
            .summary("Container images in a registry of your own")
            .category("Developer tools")
            .documentation("https://github.com/opencontainers/distribution-spec")
            .icon(include_str!("../icon.svg"))
            .setting(Field::url("url", "Registry").required().placeholder("https://registry.example.com"))
            .protocol(
                Protocol::new("basic", "User name and password")
                    .field(Field::text("username", "User name").required())
                    .field(Field::secret("password", "Password").required()),
            )
            .origin("{url}")
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::basic_auth("{username}", "{password}")))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let url = connection.setting("url").trim_end_matches('/');
        let answer = http::get(format!("{url}/v2/")).send()?;
        let version = answer.header("docker-distribution-api-version").map(str::to_owned);
        let words = answer.text_at("/errors/0/message");
        match answer.status {
            200 => {}
            404 => return Err(Failure::field("url", "there is no registry at this address: it answered 404 to /v2/")),
            401 if version.is_none() && words.is_none() => {
                return Err(Failure::unauthorized("what answers there refused the user name or password"));
            }
            _ => {
                let words = words.map(|words| format!(": {words}")).unwrap_or_default();
                return Err(answer.failure(None).because(format!("the registry answered {}{words}", answer.status)));
            }
        }
        // A page that answers 200 to everything is no registry. The header is of Docker's making, the empty object is not.
        if version.is_none() && !answer.value().is_object() {
            return Err(Failure::field("url", "what answers there is not a registry"));
        }
        let host = url.split_once("://").map_or(url, |(_, host)| host);
        let username = connection.setting("username");
        let report = Report::new(format!("Signed in to {host} as {username}")).account(username, username);
        Ok(match version {
            Some(version) => report.discovered("api-version", version),
            None => report,
        })
    }
}

turnbuckle_sdk::export!(OciRegistry);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::json;
    use turnbuckle_sdk::testing::{self, Script, connection, placements};

    use super::*;

    fn test(answer: http::Response) -> Result<Report, Failure> {
        let connection = connection("basic", &[("url", "https://registry.example.com"), ("username", "ada")]);
        Script::new().on("GET", "https://registry.example.com/v2/", answer).run(|| OciRegistry::test(&connection)).0
    }

    #[test]
    fn a_registry_that_lets_us_in_passes() {
        let answer = testing::json(200, &json!({})).with("Docker-Distribution-Api-Version", "registry/2.0");
        let report = test(answer).unwrap();
        assert_eq!(report.message, "Signed in to registry.example.com as ada");
        assert_eq!(report.discovered, [("api-version".to_owned(), "registry/2.0".to_owned())]);
    }

    #[test]
    fn a_wrong_password_is_told_in_the_registrys_own_words() {
        let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": null}]});
        let answer = testing::json(401, &body).with("Docker-Distribution-Api-Version", "registry/2.0");
        assert_eq!(
            test(answer).unwrap_err(),
            Failure::unauthorized("the registry answered 401: authentication required")
        );
    }

    #[test]
    fn what_is_no_registry_is_a_wrong_url() {
        assert_eq!(
            test(testing::text(200, "<html>")).unwrap_err(),
            Failure::field("url", "what answers there is not a registry")
        );
        let words = "there is no registry at this address: it answered 404 to /v2/";
        assert_eq!(test(testing::text(404, "")).unwrap_err(), Failure::field("url", words));
    }

    #[test]
    fn name_and_password_travel_as_basic_authentication() {
        let plan = OciRegistry::authenticate(&connection("basic", &[])).unwrap();
        assert_eq!(placements(&plan), ["basic {username}:{password}"]);
    }
}
