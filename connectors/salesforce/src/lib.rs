//! Salesforce: an organisation, as a person, as a user whom a signed assertion names, or as the app itself.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{
    Algorithm, Assertion, Authentication, Capture, Classifier, Connection, Connector, Descriptor, Failure, Field,
    Protocol, Report, SignIn, jwt_bearer, oauth2,
};

const AUTHORIZE: &str = "{login}/services/oauth2/authorize";
const TOKEN: &str = "{login}/services/oauth2/token";
const REVOKE: &str = "{login}/services/oauth2/revoke";

/// No answer tells when a token expires. It lasts like a session: two hours, unless the organisation says otherwise.
const SESSION: u32 = 7200;

/// Where everybody signs in. The app itself is known at its organisation's own address only.
const COMMON_LOGINS: [&str; 2] = ["https://login.salesforce.com", "https://test.salesforce.com"];

/// The connector.
#[derive(Debug)]
pub struct Salesforce;

impl Connector for Salesforce {
    fn describe() -> Descriptor {
        Descriptor::new("salesforce", env!("CARGO_PKG_VERSION"), "Salesforce")
            .publisher("Turnbuckle")
            .summary("Accounts, contacts, opportunities and any other object of an organisation")
            .category("CRM")
            .documentation("https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::url("login", "Login address")
                    .required()
                    .default("https://login.salesforce.com")
                    .help(
                        "The organisation's My Domain, which works in every case; or https://login.salesforce.com, or \
                         https://test.salesforce.com for a sandbox.",
                    )
                    .placeholder("https://example.my.salesforce.com"),
            )
            .protocol(
                Protocol::oauth2("oauth2", "OAuth 2.0").help("Signs in a person.").field(
                    Field::text("scope", "Scopes")
                        .required()
                        .default("api refresh_token")
                        .help("With spaces between; the app must allow each one. Without refresh_token, it ends soon."),
                ),
            )
            .protocol(
                Protocol::new("jwt-bearer", "JWT bearer")
                    .help("Signs in without a browser; the app must be approved for the user beforehand.")
                    .sign_in(SignIn::Unattended)
                    .field(Field::client_id().help("The app's consumer key."))
                    .field(Field::text("username", "User name").required().placeholder("ada@example.com"))
                    .field(
                        Field::secret("private-key", "Private key")
                            .required()
                            .help("In PEM; the app holds its certificate. RSA."),
                    ),
            )
            .protocol(
                Protocol::client_credentials("client-credentials", "Client credentials")
                    .help("Acts as the user whom the app names for this flow; the login address must be My Domain."),
            )
            .origin("{instance-url}")
            .origin("{login}")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        Ok(match connection.protocol.as_str() {
            "jwt-bearer" => {
                let user = Assertion::new(Algorithm::Rs256, "{private-key}")
                    .issuer("{client-id}")
                    .subject("{username}")
                    .audience("{login}");
                session(jwt_bearer(TOKEN, user)).build()
            }
            "client-credentials" if COMMON_LOGINS.contains(&connection.setting("login")) => {
                let words = "client credentials are taken at the organisation's My Domain only";
                return Err(Failure::field("login", words));
            }
            "client-credentials" => session(oauth2::client_credentials(TOKEN).client_in_body()).build(),
            _ => session(oauth2::authorization_code(AUTHORIZE, TOKEN).scope("{scope}").client_in_body())
                .revocation(REVOKE)
                .build(),
        })
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let instance = connection.setting("instance-url").trim_end_matches('/');
        let answer = http::get(format!("{instance}/services/oauth2/userinfo")).send()?;
        if !answer.is_success() {
            return Err(refusal(&answer).unwrap_or_else(|| answer.failure(words(&answer).as_deref())));
        }
        let at = |pointer| answer.text_at(pointer).ok_or_else(|| Failure::other("the service answered without a user"));
        let (organization, name) = (at("/organization_id")?, at("/preferred_username")?);
        Ok(Report::new(format!("Signed in as {name}"))
            .account(format!("{organization}/{}", at("/user_id")?), name)
            .discovered("organization", organization))
    }
}

impl Classifier for Salesforce {
    fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
        refusal(response)
    }
}

/// What each answer with a token says besides: where the organisation lives, and who signed in.
fn session<S>(flow: oauth2::Flow<S>) -> oauth2::Flow<S> {
    flow.capture(Capture::body("instance-url", "/instance_url").visible())
        .capture(Capture::body("id", "/id").visible())
        .lifetime(SESSION)
}

/// What the status does not tell: 403 stands for a used up allowance too, and at userinfo for a token that is no good.
fn refusal(answer: &Response) -> Option<Failure> {
    if answer.is_success() {
        return None;
    }
    let (code, words) = (code(answer), words(answer));
    let message = answer.failure(words.as_deref()).message;
    match code.as_str() {
        "INVALID_SESSION_ID" | "Bad_OAuth_Token" | "Missing_OAuth_Token" => Some(Failure::unauthorized(message)),
        "REQUEST_LIMIT_EXCEEDED" => Some(Failure::rate_limited(answer.retry_after(), message)),
        "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" => Some(Failure::forbidden(message)),
        "SERVER_UNAVAILABLE" => Some(Failure::unavailable(message)),
        _ => None,
    }
}

/// The code of the first error; at userinfo it is the whole body.
fn code(answer: &Response) -> String {
    answer.text_at("/0/errorCode").unwrap_or_else(|| answer.text().trim().to_owned())
}

fn words(answer: &Response) -> Option<String> {
    answer.text_at("/0/message").or_else(|| Some(code(answer)).filter(|code| code.ends_with("_OAuth_Token")))
}

turnbuckle_sdk::export!(Salesforce, classifier);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::json;
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    const SETTINGS: &[(&str, &str)] = &[
        ("login", "https://login.salesforce.com"),
        ("instance-url", "https://example.my.salesforce.com"),
        ("id", "https://login.salesforce.com/id/00Dx0000000BV7zEAG/005x00000012Q9PAAU"),
    ];

    fn plan(protocol: &str, login: &str) -> Result<Vec<String>, Failure> {
        Salesforce::authenticate(&connection(protocol, &[("login", login)])).map(|plan| authentication(&plan))
    }

    fn test(answer: Response) -> Result<Report, Failure> {
        let script = Script::new()
            .expect(http::get("https://example.my.salesforce.com/services/oauth2/userinfo"))
            .answer(answer);
        script.run(|| Salesforce::test(&connection("oauth2", SETTINGS))).0
    }

    /// As the REST API writes its errors.
    fn error(status: u16, code: &str, message: &str) -> Response {
        testing::json(status, &json!([{"message": message, "errorCode": code}]))
    }

    fn classified(answer: &Response) -> Option<Failure> {
        Salesforce::classify(&connection("oauth2", SETTINGS), answer)
    }

    #[test]
    fn a_person_signs_in_with_a_challenge_and_the_organisation_is_remembered() {
        assert_eq!(
            plan("oauth2", "https://login.salesforce.com").unwrap(),
            [
                "authorization {login}/services/oauth2/authorize",
                "  pkce S256",
                "  parameter client_id={client-id}",
                "  parameter scope={scope}",
                "token POST {login}/services/oauth2/token",
                "  header Accept: application/json",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "  form code_verifier={code-verifier}",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "  capture instance-url = body /instance_url, visible",
                "  capture id = body /id, visible",
                "refresh POST {login}/services/oauth2/token",
                "  header Accept: application/json",
                "  form grant_type=refresh_token",
                "  form refresh_token={refresh-token}",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "  capture instance-url = body /instance_url, visible",
                "  capture id = body /id, visible",
                "revocation POST {login}/services/oauth2/revoke",
                "  header Accept: application/json",
                "  form token={refresh-token}",
                "  form token_type_hint=refresh_token",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "revocation POST {login}/services/oauth2/revoke",
                "  header Accept: application/json",
                "  form token={access-token}",
                "  form token_type_hint=access_token",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "lifetime 7200 s",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn an_assertion_names_app_user_and_login_address() {
        assert_eq!(
            plan("jwt-bearer", "https://test.salesforce.com").unwrap(),
            [
                "derived assertion = jwt RS256 by {private-key} for 180 s",
                "  header {{}}",
                r#"  claims {{"iss":"{client-id}","sub":"{username}","aud":"{login}"}}"#,
                "token POST {login}/services/oauth2/token",
                "  header Accept: application/json",
                "  form grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer",
                "  form assertion={assertion}",
                "  capture instance-url = body /instance_url, visible",
                "  capture id = body /id, visible",
                "lifetime 7200 s",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn the_app_itself_signs_in_at_my_domain_only() {
        assert_eq!(
            plan("client-credentials", "https://example.my.salesforce.com").unwrap(),
            [
                "token POST {login}/services/oauth2/token",
                "  header Accept: application/json",
                "  form grant_type=client_credentials",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "  capture instance-url = body /instance_url, visible",
                "  capture id = body /id, visible",
                "lifetime 7200 s",
                "header Authorization: Bearer {access-token}",
            ]
        );
        let failure = Failure::field("login", "client credentials are taken at the organisation's My Domain only");
        assert_eq!(plan("client-credentials", "https://login.salesforce.com"), Err(failure.clone()));
        assert_eq!(plan("client-credentials", "https://test.salesforce.com"), Err(failure));
    }

    #[test]
    fn an_account_is_a_user_of_an_organisation() {
        let user = json!({
            "sub": "https://login.salesforce.com/id/00Dx0000000BV7zEAG/005x00000012Q9PAAU",
            "user_id": "005x00000012Q9PAAU", "organization_id": "00Dx0000000BV7zEAG",
            "preferred_username": "ada@example.com", "name": "Ada Lovelace",
        });
        let report = Report::new("Signed in as ada@example.com")
            .account("00Dx0000000BV7zEAG/005x00000012Q9PAAU", "ada@example.com")
            .discovered("organization", "00Dx0000000BV7zEAG");
        assert_eq!(test(testing::json(200, &user)), Ok(report));
        assert_eq!(test(testing::text(200, "<html>")), Err(Failure::other("the service answered without a user")));
    }

    #[test]
    fn an_expired_session_is_told_in_both_of_its_forms() {
        assert_eq!(
            classified(&error(401, "INVALID_SESSION_ID", "Session expired or invalid")),
            Some(Failure::unauthorized("the service answered 401: Session expired or invalid"))
        );
        let failure = Failure::unauthorized("the service answered 403: Bad_OAuth_Token");
        assert_eq!(classified(&testing::text(403, "Bad_OAuth_Token")), Some(failure.clone()));
        assert_eq!(test(testing::text(403, "Bad_OAuth_Token")), Err(failure));
    }

    #[test]
    fn a_403_is_not_always_a_lack_of_permission() {
        let words = "TotalRequests Limit exceeded.";
        let failure = Failure::rate_limited(None, "the service answered 403: TotalRequests Limit exceeded.");
        assert_eq!(classified(&error(403, "REQUEST_LIMIT_EXCEEDED", words)), Some(failure.clone()));
        assert_eq!(test(error(403, "REQUEST_LIMIT_EXCEEDED", words)), Err(failure));
        let words = "The REST API is not enabled for this Organization.";
        let failure = Failure::forbidden(format!("the service answered 403: {words}"));
        assert_eq!(classified(&error(403, "API_DISABLED_FOR_ORG", words)), Some(failure));
    }

    #[test]
    fn what_the_status_tells_is_left_to_it() {
        let missing = error(404, "NOT_FOUND", "The requested resource does not exist");
        assert_eq!(classified(&missing), None);
        assert_eq!(
            test(missing),
            Err(Failure::other("the service answered 404: The requested resource does not exist"))
        );
        assert_eq!(classified(&error(200, "INVALID_SESSION_ID", "a record that looks like an error")), None);
        assert_eq!(test(testing::text(503, "<html>")), Err(Failure::unavailable("the service answered 503")));
    }
}
