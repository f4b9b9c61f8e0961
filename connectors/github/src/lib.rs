//! GitHub, and GitHub Enterprise Server by its URL.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report};

/// GitHub asks for its own media type; its description of the API knows the plain one.
const ACCEPT: &str = "application/vnd.github+json, application/json;q=0.9";

/// The connector.
#[derive(Debug)]
pub struct GitHub;

impl Connector for GitHub {
    fn describe() -> Descriptor {
        Descriptor::new("github", env!("CARGO_PKG_VERSION"), "GitHub")
            .publisher("Turnbuckle")
            .summary("Repositories, issues and pull requests")
            .category("Developer tools")
            .documentation("https://docs.github.com/rest")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::url("url", "Server")
                    .required()
                    .default("https://api.github.com")
                    .help("For GitHub Enterprise Server, its address, such as https://github.example.com."),
            )
            .protocol(
                Protocol::new("token", "Access token")
                    .help("A personal access token, fine-grained or classic: Settings, Developer settings.")
                    .field(Field::secret("token", "Token").required().placeholder("github_pat_…")),
            )
            .origin("{url}")
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::header("Authorization", "Bearer {token}")))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let answer = http::get(format!("{}/user", api(connection.setting("url"))?))
            .header("Accept", ACCEPT)
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header("User-Agent", concat!("turnbuckle-github/", env!("CARGO_PKG_VERSION")))
            .send()?;
        if !answer.is_success() {
            return Err(failure(&answer));
        }
        let login = answer.text_at("/login").ok_or_else(no_api)?;
        // A login can be changed, and then taken by somebody else; the number stays.
        let id = answer.text_at("/id").unwrap_or_else(|| login.clone());
        let mut report = Report::new(format!("Signed in as {login}")).account(id, login);
        // A fine-grained token has no scopes, and the header is empty or missing.
        for (name, header) in [("scopes", "x-oauth-scopes"), ("expires", "github-authentication-token-expiration")] {
            if let Some(value) = answer.header(header).filter(|value| !value.is_empty()) {
                report = report.discovered(name, value);
            }
        }
        Ok(report)
    }
}

/// Where the API lives: github.com and ghe.com have a host of its own, a server has it below its address.
fn api(url: &str) -> Result<String, Failure> {
    let url = url.trim_end_matches('/');
    match url.split_once("://").map_or(url, |(_, host)| host) {
        "github.com" | "www.github.com" => {
            Err(Failure::field("url", "the API of github.com is at https://api.github.com"))
        }
        host if host == "api.github.com" || (host.starts_with("api.") && host.ends_with(".ghe.com")) => {
            Ok(url.to_owned())
        }
        _ => Ok(format!("{url}/api/v3")),
    }
}

fn failure(answer: &Response) -> Failure {
    let words = answer.text_at("/message");
    match (answer.status, words.as_deref()) {
        // RFC 9110 section 15.4: the host follows no redirect, since a credential would go along.
        (300..=399, _) | (404, None) => no_api(),
        // An organisation that signs in by SAML lists the token at this address.
        (403, Some(words)) if answer.header("x-github-sso").is_some() => {
            Failure::forbidden(format!("{words} (authorize the token for single sign-on)"))
        }
        (_, words) => answer.failure(words),
    }
}

fn no_api() -> Failure {
    Failure::field("url", "there is no GitHub API at this address")
}

turnbuckle_sdk::export!(GitHub);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::http::{Error, get};
    use turnbuckle_sdk::json::{Value, json};
    use turnbuckle_sdk::testing::{self, Script, connection, placements};

    use super::*;

    const USER: &str = "https://api.github.com/user";

    fn test(url: &str, sent_to: &str, answer: Response) -> Result<Report, Failure> {
        let expected = get(sent_to).header("Accept", ACCEPT).header("X-GitHub-Api-Version", "2022-11-28");
        Script::new().expect(expected).answer(answer).run(|| GitHub::test(&connection("token", &[("url", url)]))).0
    }

    fn answered(answer: Response) -> Result<Report, Failure> {
        test("https://api.github.com", USER, answer)
    }

    /// As GitHub writes its errors.
    fn error(status: u16, message: &str) -> Response {
        let documentation = "https://docs.github.com/rest";
        testing::json(
            status,
            &json!({"message": message, "documentation_url": documentation, "status": status.to_string()}),
        )
    }

    fn octocat() -> Value {
        json!({"login": "octocat", "id": 583_231, "type": "User", "name": "The Octocat"})
    }

    #[test]
    fn the_token_travels_as_a_bearer() {
        let authentication = GitHub::authenticate(&connection("token", &[])).unwrap();
        assert_eq!(placements(&authentication), ["header Authorization: Bearer {token}"]);
    }

    #[test]
    fn a_classic_token_is_reported_with_its_scopes() {
        let answer = testing::json(200, &octocat())
            .with("X-OAuth-Scopes", "repo, read:org")
            .with("GitHub-Authentication-Token-Expiration", "2027-01-31 09:00:00 UTC");
        let report = Report::new("Signed in as octocat")
            .account("583231", "octocat")
            .discovered("scopes", "repo, read:org")
            .discovered("expires", "2027-01-31 09:00:00 UTC");
        assert_eq!(answered(answer), Ok(report));
    }

    #[test]
    fn a_fine_grained_token_has_no_scopes_to_report() {
        let answer = testing::json(200, &octocat()).with("x-oauth-scopes", "");
        assert_eq!(answered(answer), Ok(Report::new("Signed in as octocat").account("583231", "octocat")));
    }

    #[test]
    fn a_server_of_ones_own_has_its_api_below_its_address() {
        let at = |url, sent_to| test(url, sent_to, testing::json(200, &octocat())).map(|report| report.message);
        let signed_in = Ok("Signed in as octocat".to_owned());
        assert_eq!(at("https://github.example.com", "https://github.example.com/api/v3/user"), signed_in);
        assert_eq!(at("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3/user"), signed_in);
        assert_eq!(at("https://api.octocorp.ghe.com", "https://api.octocorp.ghe.com/user"), signed_in);
    }

    #[test]
    fn the_website_is_not_taken_for_the_api() {
        let failure = GitHub::test(&connection("token", &[("url", "https://github.com")]));
        assert_eq!(failure, Err(Failure::field("url", "the API of github.com is at https://api.github.com")));
        let no_api = Err(Failure::field("url", "there is no GitHub API at this address"));
        assert_eq!(answered(testing::text(200, "<html>")), no_api);
        assert_eq!(answered(testing::text(404, "<html>")), no_api);
        assert_eq!(answered(testing::text(302, "").with("location", "/login")), no_api);
    }

    #[test]
    fn githubs_errors_are_told_in_its_own_words() {
        assert_eq!(
            answered(error(401, "Bad credentials")),
            Err(Failure::unauthorized("the service answered 401: Bad credentials"))
        );
        assert_eq!(
            answered(error(403, "Resource not accessible by integration")),
            Err(Failure::forbidden("the service answered 403: Resource not accessible by integration"))
        );
        let sso = error(403, "Resource protected by organization SAML enforcement.")
            .with("X-GitHub-SSO", "required; url=https://github.com/orgs/example/sso");
        let words = "Resource protected by organization SAML enforcement. (authorize the token for single sign-on)";
        assert_eq!(answered(sso), Err(Failure::forbidden(words)));
        assert_eq!(
            answered(error(502, "Server Error")),
            Err(Failure::unavailable("the service answered 502: Server Error"))
        );
    }

    #[test]
    fn both_rate_limits_say_how_long_to_wait() {
        let primary = error(403, "API rate limit exceeded for user ID 583231.")
            .with("date", "Thu, 29 Feb 2024 23:59:59 GMT")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-reset", "1709251499");
        let words = "the service answered 403: API rate limit exceeded for user ID 583231.";
        assert_eq!(answered(primary), Err(Failure::rate_limited(Some(300), words)));
        let secondary = error(429, "You have exceeded a secondary rate limit.").with("retry-after", "60");
        let words = "the service answered 429: You have exceeded a secondary rate limit.";
        assert_eq!(answered(secondary), Err(Failure::rate_limited(Some(60), words)));
    }

    #[test]
    fn a_denied_request_is_a_matter_of_configuration() {
        let script = Script::new().expect(get(USER)).fail(Error::Denied("it may not go there".into()));
        let (failure, _) = script.run(|| GitHub::test(&connection("token", &[("url", "https://api.github.com")])));
        assert_eq!(failure, Err(Failure::misconfigured("the host denied the request: it may not go there")));
    }
}
