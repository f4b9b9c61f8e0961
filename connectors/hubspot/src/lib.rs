//! HubSpot, as an app that is installed in an account.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{
    Authentication, Classifier, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, oauth2,
};

const AUTHORIZE: &str = "https://app.hubspot.com/oauth/authorize";
/// HubSpot versions its API by date, and shuts `/oauth/v1` down in February 2027.
const TOKEN: &str = "https://api.hubapi.com/oauth/2026-03/token";
const DETAILS: &str = "https://api.hubapi.com/account-info/2026-03/details";

/// The connector.
#[derive(Debug)]
pub struct HubSpot;

impl Connector for HubSpot {
    fn describe() -> Descriptor {
        Descriptor::new("hubspot", env!("CARGO_PKG_VERSION"), "HubSpot")
            .publisher("Turnbuckle")
            .summary("Contacts, companies, deals and marketing")
            .category("CRM")
            .category("Marketing")
            .documentation("https://developers.hubspot.com/docs/api-reference/overview")
            .icon(include_str!("../icon.svg"))
            .protocol(
                Protocol::new("private-app", "Private app")
                    .help("The token of a private app or a service key, made in the account's settings.")
                    .field(Field::secret("token", "Access token").required().placeholder("pat-na1-…")),
            )
            .protocol(
                Protocol::oauth2("oauth2", "OAuth 2.0")
                    .help("Installs your app in an account.")
                    .field(
                        Field::text("scope", "Scopes")
                            .required()
                            .default("oauth")
                            .help("With spaces between: exactly those that the app requires, `oauth` among them.")
                            .placeholder("oauth crm.objects.contacts.read"),
                    )
                    .field(
                        Field::text("optional-scope", "Optional scopes")
                            .help("With spaces between: left out where the account does not have them."),
                    ),
            )
            .origin("https://api.hubapi.com")
            .origin("https://app.hubspot.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        Ok(match connection.protocol.as_str() {
            "oauth2" => oauth2::authorization_code(AUTHORIZE, TOKEN)
                .scope("{scope}")
                .authorization_parameter("optional_scope", "{optional-scope}")
                .client_in_body()
                .build(),
            _ => Authentication::new().place(Placement::header("Authorization", "Bearer {token}")),
        })
    }

    fn test(_connection: &Connection) -> Result<Report, Failure> {
        let answer = http::get(DETAILS).send()?;
        if !answer.is_success() {
            return Err(failure(&answer));
        }
        let account =
            answer.text_at("/portalId").ok_or_else(|| Failure::other("the service answered without an account"))?;
        let mut report = Report::new(format!("Signed in to account {account}")).account(&account, &account);
        for (name, at) in [("account-type", "/accountType"), ("data-hosting", "/dataHostingLocation")] {
            if let Some(value) = answer.text_at(at) {
                report = report.discovered(name, value);
            }
        }
        Ok(report)
    }
}

impl Classifier for HubSpot {
    fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
        matches!(response.status, 423 | 429 | 477).then(|| failure(response))
    }
}

fn failure(answer: &Response) -> Failure {
    let failure = answer.failure(answer.text_at("/message").as_deref());
    match answer.status {
        // Too much was written at once: the lock lasts two seconds.
        423 => Failure::rate_limited(Some(2), failure.message),
        429 => Failure::rate_limited(answer.retry_after().or_else(|| window(answer)), failure.message),
        // The account is on its way to another data centre.
        477 => Failure::unavailable(failure.message),
        _ => failure,
    }
}

/// How long the window lasts that is used up. A day ends at midnight, where the account is.
fn window(answer: &Response) -> Option<u32> {
    if answer.text_at("/policyName").as_deref() == Some("DAILY") {
        return None;
    }
    let milliseconds: u32 = answer.header("x-hubspot-ratelimit-interval-milliseconds")?.trim().parse().ok()?;
    Some(milliseconds.div_ceil(1000))
}

turnbuckle_sdk::export!(HubSpot, classifier);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::json;
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    fn test(answer: Response) -> Result<Report, Failure> {
        let details = http::get("https://api.hubapi.com/account-info/2026-03/details");
        Script::new().expect(details).answer(answer).run(|| HubSpot::test(&connection("oauth2", &[]))).0
    }

    fn classified(answer: &Response) -> Option<Failure> {
        HubSpot::classify(&connection("oauth2", &[]), answer)
    }

    fn plan(protocol: &str) -> Vec<String> {
        authentication(&HubSpot::authenticate(&connection(protocol, &[])).unwrap())
    }

    /// As HubSpot writes its errors.
    fn error(status: u16, category: &str, message: &str) -> Response {
        let correlation = "aeb5f871-7f07-4993-9211-075dc63e7cbf";
        let body = json!({"status": "error", "message": message, "correlationId": correlation, "category": category});
        testing::json(status, &body)
    }

    fn over_limit(policy: &str, message: &str) -> Response {
        let body = json!({"status": "error", "message": message, "errorType": "RATE_LIMIT", "policyName": policy});
        testing::json(429, &body).with("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
    }

    #[test]
    fn the_token_of_a_private_app_travels_as_a_bearer() {
        assert_eq!(plan("private-app"), ["header Authorization: Bearer {token}"]);
    }

    #[test]
    fn the_client_is_in_the_form_of_each_token_request() {
        assert_eq!(
            plan("oauth2"),
            [
                "authorization https://app.hubspot.com/oauth/authorize",
                "  pkce S256",
                "  parameter client_id={client-id}",
                "  parameter scope={scope}",
                "  parameter optional_scope={optional-scope}",
                "token POST https://api.hubapi.com/oauth/2026-03/token",
                "  header Accept: application/json",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "  form code_verifier={code-verifier}",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "refresh POST https://api.hubapi.com/oauth/2026-03/token",
                "  header Accept: application/json",
                "  form grant_type=refresh_token",
                "  form refresh_token={refresh-token}",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn an_account_is_reported_with_its_kind_and_place() {
        let details = json!({
            "portalId": 123_456, "accountType": "DEVELOPER_TEST", "timeZone": "US/Eastern", "companyCurrency": "USD",
            "uiDomain": "app-eu1.hubspot.com", "dataHostingLocation": "eu1",
        });
        let report = Report::new("Signed in to account 123456").account("123456", "123456");
        assert_eq!(
            test(testing::json(200, &details)),
            Ok(report.clone().discovered("account-type", "DEVELOPER_TEST").discovered("data-hosting", "eu1"))
        );
        assert_eq!(test(testing::json(200, &json!({"portalId": 123_456}))), Ok(report));
        let no_account = Err(Failure::other("the service answered without an account"));
        assert_eq!(test(testing::text(200, "<html>")), no_account);
    }

    #[test]
    fn hubspots_errors_are_told_in_its_own_words() {
        assert_eq!(
            test(error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")),
            Err(Failure::unauthorized("the service answered 401: Authentication credentials not found."))
        );
        let words = "The OAuth token used to make this call expired 2 hours ago.";
        assert_eq!(
            test(error(401, "EXPIRED_AUTHENTICATION", words)),
            Err(Failure::unauthorized(format!("the service answered 401: {words}")))
        );
        let words = "This app hasn't been granted all required scopes to make this call.";
        assert_eq!(
            test(error(403, "MISSING_SCOPES", words)),
            Err(Failure::forbidden(format!("the service answered 403: {words}")))
        );
        assert_eq!(test(testing::text(502, "<html>")), Err(Failure::unavailable("the service answered 502")));
    }

    #[test]
    fn the_short_limit_says_how_long_to_wait_and_the_daily_one_does_not() {
        let short = over_limit("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit.");
        let words = "the service answered 429: You have reached your ten_secondly_rolling limit.";
        assert_eq!(classified(&short), Some(Failure::rate_limited(Some(10), words)));
        assert_eq!(test(short), Err(Failure::rate_limited(Some(10), words)));
        let words = "the service answered 429: You have reached your daily limit.";
        let daily = over_limit("DAILY", "You have reached your daily limit.");
        assert_eq!(classified(&daily), Some(Failure::rate_limited(None, words)));
        let category = error(429, "RATE_LIMITS", "You have reached your secondly limit.").with("retry-after", "1");
        let words = "the service answered 429: You have reached your secondly limit.";
        assert_eq!(classified(&category), Some(Failure::rate_limited(Some(1), words)));
    }

    #[test]
    fn a_lock_and_a_move_pass_by_themselves() {
        let locked = Failure::rate_limited(Some(2), "the service answered 423");
        assert_eq!(classified(&testing::text(423, "")), Some(locked));
        let moving = testing::text(477, "").with("retry-after", "3600");
        assert_eq!(classified(&moving), Some(Failure::unavailable("the service answered 477")));
        assert_eq!(test(moving), Err(Failure::unavailable("the service answered 477")));
    }

    #[test]
    fn what_the_status_tells_is_left_to_it() {
        assert_eq!(classified(&testing::json(200, &json!({}))), None);
        assert_eq!(classified(&error(403, "MISSING_SCOPES", "no")), None);
    }
}
