//! GitHub, and GitHub Enterprise Server by its URL.

use turnbuckle_sdk::{
    Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, http,
};

const CLOUD: &str = "https://api.github.com";

/// The connector.
#[derive(Debug)]
pub struct GitHub;

impl Connector for GitHub {
    fn describe() -> Descriptor {
        Descriptor::new("github", env!("CARGO_PKG_VERSION"), "GitHub")
            .publisher("Turnbuckle")
            .summary("Repositories, issues and pull requests")
            .category("Developer tools")
            .documentation("https://docs.github.com/en/rest")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::url("url", "API address").required().default(CLOUD).help(
                    "For GitHub Enterprise Server the address of the server, such as https://github.example.com.",
                ),
            )
            .protocol(
                Protocol::new("token", "Personal access token")
                    .help("Settings › Developer settings › Personal access tokens; fine-grained ones are best.")
                    .field(Field::secret("token", "Token").required().placeholder("github_pat_…")),
            )
            .origin("{url}")
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::header("Authorization", "Bearer {token}")))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let url = connection.setting("url").trim_end_matches('/');
        // A server of one's own has its REST interface below this path (docs.github.com, "Using the REST API").
        let base = if url == CLOUD { "" } else { "/api/v3" };
        let answer = http::get(format!("{url}{base}/user"))
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header("User-Agent", concat!("turnbuckle-github/", env!("CARGO_PKG_VERSION")))
            .send()?;
        if !answer.is_success() {
            return Err(failure(&answer));
        }
        let login =
            answer.text_at("/login").ok_or_else(|| Failure::field("url", "what answers there is not GitHub"))?;
        let id = answer.text_at("/id").unwrap_or_else(|| login.clone());
        let report = Report::new(format!("Signed in to GitHub as {login}")).account(id, &login);
        // Only classic tokens have scopes to show.
        Ok(match answer.header("x-oauth-scopes").filter(|scopes| !scopes.is_empty()) {
            Some(scopes) => report.discovered("scopes", scopes),
            None => report,
        })
    }
}

fn failure(answer: &http::Response) -> Failure {
    let words = answer.text_at("/message").unwrap_or_default();
    // The primary rate limit answers 403 or 429 with nothing left, and says when it begins anew.
    if matches!(answer.status, 403 | 429) && answer.header("x-ratelimit-remaining") == Some("0") {
        return Failure::rate_limited(answer.retry_after(), format!("GitHub answered {}: {words}", answer.status));
    }
    match answer.status {
        404 => Failure::field("url", "there is no GitHub API at this address"),
        status => answer.failure(None).because(format!("GitHub answered {status}: {words}")),
    }
}

turnbuckle_sdk::export!(GitHub);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::json;
    use turnbuckle_sdk::testing::{self, Script, connection, placements};

    use super::*;

    fn test(url: &str, api: &str, answer: http::Response) -> (Result<Report, Failure>, Vec<http::Request>) {
        let connection = connection("token", &[("url", url)]);
        Script::new().on("GET", &format!("{api}/user"), answer).run(|| GitHub::test(&connection))
    }

    #[test]
    fn a_good_token_names_its_account_and_scopes() {
        let answer =
            testing::json(200, &json!({"login": "octocat", "id": 583_231})).with("X-OAuth-Scopes", "repo, user");
        let (report, sent) = test(CLOUD, CLOUD, answer);
        let report = report.unwrap();
        assert_eq!(report.message, "Signed in to GitHub as octocat");
        assert_eq!(
            report.account.map(|account| (account.id, account.label)),
            Some(("583231".into(), "octocat".into()))
        );
        assert_eq!(report.discovered, [("scopes".to_owned(), "repo, user".to_owned())]);
        assert!(sent[0].headers.contains(&("Accept".into(), "application/vnd.github+json".into())));
    }

    #[test]
    fn an_enterprise_server_has_its_api_below_a_path() {
        let answer = testing::json(200, &json!({"login": "mona", "id": 1}));
        let (report, _) = test("https://github.example.com", "https://github.example.com/api/v3", answer);
        assert_eq!(report.unwrap().message, "Signed in to GitHub as mona");
    }

    #[test]
    fn failures_are_told_apart_in_githubs_own_words() {
        let fail = |answer| test(CLOUD, CLOUD, answer).0.unwrap_err();
        let bad = json!({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"});
        assert_eq!(fail(testing::json(401, &bad)), Failure::unauthorized("GitHub answered 401: Bad credentials"));
        let limit = json!({"message": "API rate limit exceeded for user ID 1."});
        assert_eq!(
            fail(testing::json(403, &limit).with("x-ratelimit-remaining", "0")),
            Failure::rate_limited(None, "GitHub answered 403: API rate limit exceeded for user ID 1.")
        );
        let forbidden = json!({"message": "Resource not accessible by personal access token"});
        assert_eq!(
            fail(testing::json(403, &forbidden)),
            Failure::forbidden("GitHub answered 403: Resource not accessible by personal access token")
        );
        assert_eq!(fail(testing::text(404, "")), Failure::field("url", "there is no GitHub API at this address"));
        assert_eq!(fail(testing::text(200, "<html>")), Failure::field("url", "what answers there is not GitHub"));
    }

    #[test]
    fn the_token_travels_as_a_bearer() {
        let plan = GitHub::authenticate(&connection("token", &[])).unwrap();
        assert_eq!(placements(&plan), ["header Authorization: Bearer {token}"]);
    }
}
