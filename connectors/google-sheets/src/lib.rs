//! Google Sheets, as a person or as a service account.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{
    Algorithm, Assertion, Authentication, Connection, Connector, Descriptor, Failure, Field, Protocol, Report, SignIn,
    jwt_bearer, oauth2,
};

const AUTHORIZE: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const TOKEN: &str = "https://oauth2.googleapis.com/token";
const USER: &str = "https://openidconnect.googleapis.com/v1/userinfo";
const SPREADSHEETS: &str = "https://sheets.googleapis.com/v4/spreadsheets";

/// No spreadsheet has this id. Google tells so only to somebody who may ask: the credential is good, its scope suffices and
/// the API is enabled.
const NO_SPREADSHEET: &str = "none";

/// The connector.
#[derive(Debug)]
pub struct GoogleSheets;

impl Connector for GoogleSheets {
    fn describe() -> Descriptor {
        Descriptor::new("google-sheets", env!("CARGO_PKG_VERSION"), "Google Sheets")
            .publisher("Turnbuckle")
            .summary("Reads and writes spreadsheets")
            .category("Productivity")
            .documentation("https://developers.google.com/workspace/sheets/api/reference/rest")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::choice(
                    "access",
                    "Access",
                    [
                        ("https://www.googleapis.com/auth/spreadsheets", "Read and write"),
                        ("https://www.googleapis.com/auth/spreadsheets.readonly", "Read only"),
                    ],
                )
                .required()
                .default("https://www.googleapis.com/auth/spreadsheets"),
            )
            .setting(
                Field::text("spreadsheet-id", "Spreadsheet")
                    .pattern("[A-Za-z0-9_-]+")
                    .help("A test reads its title. The id stands in its address, between /d/ and /edit."),
            )
            .protocol(Protocol::oauth2("oauth2", "OAuth 2.0").help("Signs in a person."))
            .protocol(
                Protocol::new("service-account", "Service account")
                    .help("Sees the spreadsheets that are shared with its address. The fields stand in its key file.")
                    .sign_in(SignIn::Unattended)
                    .field(
                        Field::text("client-email", "Client email")
                            .required()
                            .placeholder("name@project.iam.gserviceaccount.com"),
                    )
                    .field(
                        Field::secret("private-key", "Private key")
                            .required()
                            .help("In PEM, with line breaks where the key file has \\n."),
                    )
                    .field(
                        Field::text("subject", "On behalf of")
                            .help("A person of the domain, where domain-wide delegation allows it.")
                            .placeholder("ada@example.com"),
                    ),
            )
            .origin("https://sheets.googleapis.com")
            .origin("https://openidconnect.googleapis.com")
            .origin("https://oauth2.googleapis.com")
            .origin("https://accounts.google.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        if connection.protocol == "service-account" {
            let account = Assertion::new(Algorithm::Rs256, "{private-key}")
                .header("typ", "JWT")
                .issuer("{client-email}")
                .claim("scope", "{access}")
                .lifetime(3600);
            let account = match connection.get("subject") {
                Some(_) => account.subject("{subject}"),
                None => account,
            };
            return Ok(jwt_bearer(TOKEN, account).build());
        }
        // A refresh token comes only with offline access, and after the first time only with consent. None is revoked:
        // Google then ends all of a person's tokens for the app, those of other connections and of a reconnect as well.
        Ok(oauth2::authorization_code(AUTHORIZE, TOKEN)
            .scope("openid email {access}")
            .authorization_parameter("access_type", "offline")
            .authorization_parameter("prompt", "consent")
            .client_in_body()
            .build())
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let (id, email) = account(connection)?;
        let report = Report::new(format!("Signed in as {email}")).account(id, email);
        Ok(match title(connection.get("spreadsheet-id"))? {
            Some(title) => report.discovered("spreadsheet", title),
            None => report,
        })
    }
}

/// A person's number stays when the address changes; a service account is its address.
fn account(connection: &Connection) -> Result<(String, String), Failure> {
    if let Some(email) = connection.get("subject").or_else(|| connection.get("client-email")) {
        return Ok((email.to_owned(), email.to_owned()));
    }
    let user = http::get(USER).send()?;
    if !user.is_success() {
        return Err(failure(&user));
    }
    let id = user.text_at("/sub").ok_or_else(|| Failure::other("the service answered without a user"))?;
    let email = user.text_at("/email").unwrap_or_else(|| id.clone());
    Ok((id, email))
}

fn title(spreadsheet: Option<&str>) -> Result<Option<String>, Failure> {
    let id = spreadsheet.unwrap_or(NO_SPREADSHEET);
    let answer = http::get(format!("{SPREADSHEETS}/{id}")).query("fields", "properties.title").send()?;
    let reason = answer.text_at("/error/status");
    match (answer.status, reason.as_deref(), spreadsheet) {
        (200, _, _) => Ok(answer.text_at("/properties/title")),
        (404, Some("NOT_FOUND"), None) => Ok(None),
        (404, Some("NOT_FOUND"), Some(_)) => Err(Failure::field("spreadsheet-id", "there is no such spreadsheet")),
        _ => Err(failure(&answer)),
    }
}

/// Sheets writes errors as all of Google's APIs do; who signs in is told in the words of OAuth.
fn failure(answer: &Response) -> Failure {
    let words = answer.text_at("/error/message").or_else(|| answer.text_at("/error_description"));
    answer.failure(words.as_deref())
}

turnbuckle_sdk::export!(GoogleSheets);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::{Value, json};
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    const SERVICE: &[(&str, &str)] = &[("client-email", "robot@rockets.iam.gserviceaccount.com")];

    fn plan(protocol: &str, settings: &[(&str, &str)]) -> Vec<String> {
        authentication(&GoogleSheets::authenticate(&connection(protocol, settings)).unwrap())
    }

    fn sheet(id: &str) -> http::Request {
        http::get(format!("https://sheets.googleapis.com/v4/spreadsheets/{id}?fields=properties.title"))
    }

    fn user() -> http::Request {
        http::get("https://openidconnect.googleapis.com/v1/userinfo")
    }

    fn service(script: Script, settings: &[(&str, &str)]) -> Result<Report, Failure> {
        script.run(|| GoogleSheets::test(&connection("service-account", &[SERVICE, settings].concat()))).0
    }

    fn person(script: Script) -> Result<Report, Failure> {
        script.run(|| GoogleSheets::test(&connection("oauth2", &[]))).0
    }

    /// As Google's APIs write their errors.
    fn error(code: u16, status: &str, reason: Option<&str>, message: &str) -> Value {
        let details = reason.map(|reason| {
            let domain = "googleapis.com";
            json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain}])
        });
        json!({"error": {"code": code, "message": message, "status": status, "details": details}})
    }

    fn not_found() -> Value {
        error(404, "NOT_FOUND", None, "Requested entity was not found.")
    }

    fn refused(code: u16, status: &str, reason: Option<&str>, message: &str) -> Result<Report, Failure> {
        service(Script::new().expect(sheet("none")).reply(code, error(code, status, reason, message)), &[])
    }

    #[test]
    fn a_person_agrees_to_access_that_lasts() {
        assert_eq!(
            plan("oauth2", &[]),
            [
                "authorization https://accounts.google.com/o/oauth2/v2/auth",
                "  pkce S256",
                "  parameter client_id={client-id}",
                "  parameter scope=openid email {access}",
                "  parameter access_type=offline",
                "  parameter prompt=consent",
                "token POST https://oauth2.googleapis.com/token",
                "  header Accept: application/json",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "  form code_verifier={code-verifier}",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "refresh POST https://oauth2.googleapis.com/token",
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
    fn a_service_account_signs_what_it_asks_for() {
        let claims = r#"{{"iss":"{client-email}","scope":"{access}","aud":"https://oauth2.googleapis.com/token"}}"#;
        assert_eq!(
            plan("service-account", SERVICE),
            [
                "derived assertion = jwt RS256 by {private-key} for 3600 s".to_owned(),
                r#"  header {{"typ":"JWT"}}"#.to_owned(),
                format!("  claims {claims}"),
                "token POST https://oauth2.googleapis.com/token".to_owned(),
                "  header Accept: application/json".to_owned(),
                "  form grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned(),
                "  form assertion={assertion}".to_owned(),
                "header Authorization: Bearer {access-token}".to_owned(),
            ]
        );
    }

    #[test]
    fn a_service_account_may_act_for_a_person() {
        let settings = [SERVICE, &[("subject", "ada@example.com")]].concat();
        let iss_to_sub = r#""iss":"{client-email}","scope":"{access}","sub":"{subject}""#;
        assert_eq!(
            plan("service-account", &settings)[2],
            format!(r#"  claims {{{{{iss_to_sub},"aud":"https://oauth2.googleapis.com/token"}}}}"#)
        );
        let script = Script::new().expect(sheet("none")).reply(404, not_found());
        let report = Report::new("Signed in as ada@example.com").account("ada@example.com", "ada@example.com");
        assert_eq!(service(script, &[("subject", "ada@example.com")]), Ok(report));
    }

    #[test]
    fn a_person_is_a_number_that_stays() {
        let ada = json!({"sub": "110248495921238986420", "email": "ada@example.com", "email_verified": true});
        let script = Script::new().expect(user()).reply(200, ada);
        let report = Report::new("Signed in as ada@example.com").account("110248495921238986420", "ada@example.com");
        assert_eq!(person(script.expect(sheet("none")).reply(404, not_found())), Ok(report));
        let script = Script::new().expect(user()).reply(200, json!({"sub": "1"}));
        let report = Report::new("Signed in as 1").account("1", "1");
        assert_eq!(person(script.expect(sheet("none")).reply(404, not_found())), Ok(report));
    }

    #[test]
    fn who_signs_in_is_refused_in_the_words_of_oauth() {
        let invalid = json!({"error": "invalid_request", "error_description": "Invalid Credentials"});
        assert_eq!(
            person(Script::new().expect(user()).reply(401, invalid)),
            Err(Failure::unauthorized("the service answered 401: Invalid Credentials"))
        );
        assert_eq!(
            person(Script::new().expect(user()).answer(testing::text(200, "<html>"))),
            Err(Failure::other("the service answered without a user"))
        );
    }

    #[test]
    fn a_spreadsheet_that_is_named_is_read() {
        let id = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";
        let named =
            |status, body| service(Script::new().expect(sheet(id)).reply(status, body), &[("spreadsheet-id", id)]);
        let email = "robot@rockets.iam.gserviceaccount.com";
        let report =
            Report::new(format!("Signed in as {email}")).account(email, email).discovered("spreadsheet", "Fuel");
        assert_eq!(named(200, json!({"properties": {"title": "Fuel"}})), Ok(report));
        assert_eq!(named(404, not_found()), Err(Failure::field("spreadsheet-id", "there is no such spreadsheet")));
        let words = "The caller does not have permission";
        assert_eq!(
            named(403, error(403, "PERMISSION_DENIED", None, words)),
            Err(Failure::forbidden("the service answered 403: The caller does not have permission"))
        );
    }

    #[test]
    fn googles_errors_are_told_in_its_own_words() {
        let words = "Request had invalid authentication credentials.";
        assert_eq!(
            refused(401, "UNAUTHENTICATED", Some("ACCESS_TOKEN_EXPIRED"), words),
            Err(Failure::unauthorized(format!("the service answered 401: {words}")))
        );
        let words = "Request had insufficient authentication scopes.";
        assert_eq!(
            refused(403, "PERMISSION_DENIED", Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), words),
            Err(Failure::forbidden(format!("the service answered 403: {words}")))
        );
        let words = "Google Sheets API has not been used in project 1 before or it is disabled.";
        assert_eq!(
            refused(403, "PERMISSION_DENIED", Some("SERVICE_DISABLED"), words),
            Err(Failure::forbidden(format!("the service answered 403: {words}")))
        );
        let words = "Quota exceeded for quota metric 'Read requests'.";
        assert_eq!(
            refused(429, "RESOURCE_EXHAUSTED", Some("RATE_LIMIT_EXCEEDED"), words),
            Err(Failure::rate_limited(None, format!("the service answered 429: {words}")))
        );
        assert_eq!(
            refused(503, "UNAVAILABLE", None, "The service is currently unavailable."),
            Err(Failure::unavailable("the service answered 503: The service is currently unavailable."))
        );
    }

    #[test]
    fn a_page_that_is_missing_is_no_proof_of_a_good_credential() {
        let script = Script::new().expect(sheet("none")).answer(testing::text(404, "<html>"));
        assert_eq!(service(script, &[]), Err(Failure::other("the service answered 404")));
    }
}
