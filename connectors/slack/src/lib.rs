//! Slack's Web API, as an app's bot or as a person.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{
    Authentication, Capture, Classifier, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol,
    Report, oauth2,
};

const AUTHORIZE: &str = "https://slack.com/oauth/v2/authorize";
const TOKEN: &str = "https://slack.com/api/oauth.v2.access";

/// The connector.
#[derive(Debug)]
pub struct Slack;

impl Connector for Slack {
    fn describe() -> Descriptor {
        let scope = |name, label| Field::text(name, label).required().pattern(r"[^\s,]+(,[^\s,]+)*");
        Descriptor::new("slack", env!("CARGO_PKG_VERSION"), "Slack")
            .publisher("Turnbuckle")
            .summary("Messages, channels and people of a workspace")
            .category("Communication")
            .documentation("https://docs.slack.dev/apis/web-api/")
            .icon(include_str!("../icon.svg"))
            .protocol(
                Protocol::oauth2("bot", "OAuth 2.0, as a bot")
                    .help("Installs your app in a workspace; requests come from its bot.")
                    .field(
                        scope("scope", "Bot scopes")
                            .help("With commas between; the app must list each one.")
                            .placeholder("chat:write,channels:read"),
                    ),
            )
            .protocol(
                Protocol::oauth2("user", "OAuth 2.0, as a person")
                    .help("Requests come from the person who agrees.")
                    .field(
                        scope("user-scope", "User scopes")
                            .help("With commas between; the app must list each one.")
                            .placeholder("search:read,users:read"),
                    ),
            )
            .protocol(
                Protocol::new("token", "Access token")
                    .help("A bot's or a person's token: OAuth & Permissions of an app that is installed.")
                    .field(
                        Field::secret("token", "Token")
                            .required()
                            .pattern(r"(xoxe\.)?xox[bp]-[A-Za-z0-9-]+")
                            .placeholder("xoxb-…"),
                    ),
            )
            .origin("https://slack.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        // Slack takes a challenge only from apps declared public, for good; and there is one token for each app and account,
        // so to revoke that of one connection would end another's, or the one that a reconnect just brought.
        let flow = || oauth2::authorization_code(AUTHORIZE, TOKEN).without_pkce();
        Ok(match connection.protocol.as_str() {
            "bot" => flow().scope("{scope}").build(),
            // A person's token lies deeper, but only in the first answer.
            "user" => flow()
                .authorization_parameter("user_scope", "{user-scope}")
                .access_token_at("/authed_user/access_token")
                .token_capture(Capture::body("refresh-token", "/authed_user/refresh_token"))
                .token_capture(Capture::body("expires-in", "/authed_user/expires_in"))
                .build(),
            _ => Authentication::new().place(Placement::header("Authorization", "Bearer {token}")),
        })
    }

    fn test(_connection: &Connection) -> Result<Report, Failure> {
        let answer = http::post("https://slack.com/api/auth.test").send()?;
        if let Some(failure) = refusal(&answer) {
            return Err(failure);
        }
        let answer = answer.error_for_status()?;
        let at = |pointer| answer.text_at(pointer).ok_or_else(|| Failure::other("the service answered without a user"));
        let (team, user) = (at("/team")?, at("/user")?);
        // Slack's ids of people are unique in their workspace only.
        let id = format!("{}/{}", at("/team_id")?, at("/user_id")?);
        let report = Report::new(format!("Signed in to {team} as {user}")).account(id, format!("{user} at {team}"));
        Ok(match answer.header("x-oauth-scopes").filter(|scopes| !scopes.is_empty()) {
            Some(scopes) => report.discovered("scopes", scopes),
            None => report,
        })
    }
}

impl Classifier for Slack {
    fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
        refusal(response)
    }
}

/// Slack refuses with `"ok": false`, and status 200 in all cases but one.
fn refusal(answer: &Response) -> Option<Failure> {
    let body = answer.value();
    if body["ok"].as_bool() != Some(false) {
        return None;
    }
    let error = body["error"].as_str().unwrap_or("unknown_error");
    let needed = body["needed"].as_str().map(|scopes| format!(" (it needs {scopes})")).unwrap_or_default();
    let message = format!("Slack refused: {error}{needed}");
    Some(match error {
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            Failure::unauthorized(message)
        }
        "missing_scope"
        | "not_allowed_token_type"
        | "access_denied"
        | "accesslimited"
        | "no_permission"
        | "team_access_not_granted"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "org_login_required"
        | "restricted_action"
        | "two_factor_setup_required" => Failure::forbidden(message),
        "ratelimited" | "rate_limited" => Failure::rate_limited(answer.retry_after(), message),
        "internal_error" | "fatal_error" | "service_unavailable" | "team_added_to_org" => Failure::unavailable(message),
        _ => Failure::other(message),
    })
}

turnbuckle_sdk::export!(Slack, classifier);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::{Value, json};
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    fn test(answer: Response) -> Result<Report, Failure> {
        let script = Script::new().expect(http::post("https://slack.com/api/auth.test")).answer(answer);
        script.run(|| Slack::test(&connection("bot", &[]))).0
    }

    fn refused(error: &str) -> Response {
        testing::json(200, &json!({"ok": false, "error": error}))
    }

    fn classified(answer: &Response) -> Option<Failure> {
        Slack::classify(&connection("bot", &[]), answer)
    }

    fn plan(protocol: &str) -> Vec<String> {
        authentication(&Slack::authenticate(&connection(protocol, &[])).unwrap())
    }

    fn bot() -> Value {
        json!({
            "ok": true, "url": "https://rockets.slack.com/", "team": "Rockets", "user": "pilot",
            "team_id": "T12345678", "user_id": "W12345678", "bot_id": "B12345678", "is_enterprise_install": false,
        })
    }

    #[test]
    fn a_bot_signs_in_without_a_challenge_and_is_never_revoked() {
        assert_eq!(
            plan("bot"),
            [
                "authorization https://slack.com/oauth/v2/authorize",
                "  pkce off",
                "  parameter client_id={client-id}",
                "  parameter scope={scope}",
                "token POST https://slack.com/api/oauth.v2.access",
                "  header Accept: application/json",
                "  basic {client-id}:{client-secret}",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "refresh POST https://slack.com/api/oauth.v2.access",
                "  header Accept: application/json",
                "  basic {client-id}:{client-secret}",
                "  form grant_type=refresh_token",
                "  form refresh_token={refresh-token}",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn a_persons_token_is_taken_from_where_it_lies() {
        assert_eq!(
            plan("user"),
            [
                "authorization https://slack.com/oauth/v2/authorize",
                "  pkce off",
                "  parameter client_id={client-id}",
                "  parameter user_scope={user-scope}",
                "token POST https://slack.com/api/oauth.v2.access",
                "  header Accept: application/json",
                "  basic {client-id}:{client-secret}",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "  capture access-token = body /authed_user/access_token",
                "  capture refresh-token = body /authed_user/refresh_token",
                "  capture expires-in = body /authed_user/expires_in",
                "refresh POST https://slack.com/api/oauth.v2.access",
                "  header Accept: application/json",
                "  basic {client-id}:{client-secret}",
                "  form grant_type=refresh_token",
                "  form refresh_token={refresh-token}",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn a_token_that_exists_travels_as_a_bearer() {
        assert_eq!(plan("token"), ["header Authorization: Bearer {token}"]);
    }

    #[test]
    fn an_account_is_a_person_in_a_workspace() {
        let report = Report::new("Signed in to Rockets as pilot").account("T12345678/W12345678", "pilot at Rockets");
        assert_eq!(test(testing::json(200, &bot())), Ok(report.clone()));
        let scopes = testing::json(200, &bot()).with("X-OAuth-Scopes", "chat:write,channels:read");
        assert_eq!(test(scopes), Ok(report.discovered("scopes", "chat:write,channels:read")));
    }

    #[test]
    fn a_refusal_in_a_200_is_the_failure_that_it_stands_for() {
        for error in ["invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"] {
            let failure = Failure::unauthorized(format!("Slack refused: {error}"));
            assert_eq!(test(refused(error)), Err(failure.clone()));
            assert_eq!(classified(&refused(error)), Some(failure));
        }
        for error in ["not_allowed_token_type", "access_denied", "team_access_not_granted", "ekm_access_denied"] {
            let failure = Failure::forbidden(format!("Slack refused: {error}"));
            assert_eq!(classified(&refused(error)), Some(failure));
        }
        assert_eq!(classified(&refused("fatal_error")), Some(Failure::unavailable("Slack refused: fatal_error")));
        assert_eq!(classified(&refused("channel_not_found")), Some(Failure::other("Slack refused: channel_not_found")));
    }

    #[test]
    fn a_missing_scope_is_named() {
        let answer = json!({
            "ok": false, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write",
        });
        let failure = Failure::forbidden("Slack refused: missing_scope (it needs channels:history)");
        assert_eq!(classified(&testing::json(200, &answer)), Some(failure));
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        let busy = testing::json(429, &json!({"ok": false, "error": "ratelimited"})).with("Retry-After", "30");
        let failure = Failure::rate_limited(Some(30), "Slack refused: ratelimited");
        assert_eq!(classified(&busy), Some(failure.clone()));
        assert_eq!(test(busy), Err(failure));
    }

    #[test]
    fn what_is_no_refusal_is_left_to_its_status() {
        assert_eq!(classified(&testing::json(200, &bot())), None);
        assert_eq!(classified(&testing::text(200, "a file")), None);
        assert_eq!(classified(&testing::text(503, "<html>")), None);
        assert_eq!(test(testing::text(503, "<html>")), Err(Failure::unavailable("the service answered 503")));
        let no_user = Err(Failure::other("the service answered without a user"));
        assert_eq!(test(testing::text(200, "<html>")), no_user);
    }
}
