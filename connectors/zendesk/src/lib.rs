//! Zendesk: an account's tickets, users and help center.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::json::{Map, Value};
use turnbuckle_sdk::{
    Authentication, Body, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, oauth2,
};

const AUTHORIZE: &str = "https://{subdomain}.zendesk.com/oauth/authorizations/new";
const TOKEN: &str = "https://{subdomain}.zendesk.com/oauth/tokens";

/// Asked for with each token: Zendesk allows five minutes to two days, and tells a lifetime only where it was asked for one.
const LIFETIME: u32 = 7200;

/// The connector.
#[derive(Debug)]
pub struct Zendesk;

impl Connector for Zendesk {
    fn describe() -> Descriptor {
        let scope = || {
            let help = "With spaces between, such as tickets:read users:read.";
            Field::text("scope", "Scopes").required().default("read").help(help)
        };
        Descriptor::new("zendesk", env!("CARGO_PKG_VERSION"), "Zendesk")
            .publisher("Turnbuckle")
            .summary("Tickets, users and the help center")
            .category("Customer support")
            .documentation("https://developer.zendesk.com/api-reference/")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::text("subdomain", "Subdomain")
                    .required()
                    .pattern("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
                    .placeholder("acme")
                    .help("What stands before .zendesk.com in the account's address."),
            )
            .protocol(
                Protocol::new("api-token", "API token")
                    .help("Admin Center, Apps and integrations, APIs. Zendesk ends API tokens in April 2027.")
                    .field(Field::text("email", "Email").required().pattern(r"[^\s:/]+@[^\s:/]+"))
                    .field(Field::secret("api-token", "API token").required()),
            )
            .protocol(Protocol::oauth2("oauth2", "OAuth 2.0").help("Signs in a person.").field(scope()))
            .protocol(
                Protocol::client_credentials("client-credentials", "Client credentials")
                    .help("Signs in without a person. The OAuth client must be confidential.")
                    .field(scope()),
            )
            .origin("https://{subdomain}.zendesk.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        Ok(match connection.protocol.as_str() {
            "api-token" => Authentication::new().place(Placement::basic_auth("{email}/token", "{api-token}")),
            "client-credentials" => {
                in_json(oauth2::client_credentials(TOKEN).client_in_body().scope("{scope}").build())
            }
            _ => in_json(
                oauth2::authorization_code(AUTHORIZE, TOKEN)
                    .client_in_body()
                    .scope("{scope}")
                    .token_parameter("scope", "{scope}")
                    .build(),
            ),
        })
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let subdomain = connection.setting("subdomain");
        let answer = http::get(format!("https://{subdomain}.zendesk.com/api/v2/users/me.json")).send()?;
        if !answer.is_success() {
            return Err(failure(&answer));
        }
        if answer.value().pointer("/user").is_none() {
            return Err(no_account());
        }
        // Whoever is not signed in is answered too: as an anonymous end user.
        let id = answer.text_at("/user/id").ok_or_else(|| {
            Failure::unauthorized("the service took the credential for nobody's: it answered with an anonymous user")
        })?;
        let name = ["/user/email", "/user/name"].iter().find_map(|at| answer.text_at(at)).unwrap_or_else(|| id.clone());
        let report = Report::new(format!("Signed in as {name}")).account(id, name);
        Ok(match answer.text_at("/user/role") {
            Some(role) => report.discovered("role", role),
            None => report,
        })
    }
}

/// Where the standard has a form, Zendesk documents JSON.
fn in_json(mut authentication: Authentication) -> Authentication {
    let grant = &mut authentication.grant;
    for request in grant.token.iter_mut().chain(&mut grant.refresh) {
        if let Body::Form(fields) = &request.body {
            let fields = fields.iter().map(|field| (field.name.clone(), Value::from(field.value.clone())));
            let mut body: Map<_, _> = fields.collect();
            body.insert("expires_in".to_owned(), LIFETIME.into());
            request.body = Body::json(&Value::Object(body));
        }
    }
    authentication
}

fn failure(answer: &Response) -> Failure {
    const WORDS: [&str; 5] = ["/error/message", "/error/title", "/error_description", "/description", "/error"];
    match answer.status {
        // A subdomain that was renamed, or that nobody has.
        300..=399 | 404 => no_account(),
        _ => answer.failure(WORDS.iter().find_map(|at| answer.text_at(at)).as_deref()),
    }
}

fn no_account() -> Failure {
    Failure::field("subdomain", "there is no Zendesk account at this address")
}

turnbuckle_sdk::export!(Zendesk);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::json;
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    const SETTINGS: &[(&str, &str)] = &[("subdomain", "acme"), ("email", "ada@example.com")];

    fn plan(protocol: &str) -> Vec<String> {
        authentication(&Zendesk::authenticate(&connection(protocol, SETTINGS)).unwrap())
    }

    fn answered(answer: Response) -> Result<Report, Failure> {
        let expected = http::get("https://acme.zendesk.com/api/v2/users/me.json");
        Script::new().expect(expected).answer(answer).run(|| Zendesk::test(&connection("api-token", SETTINGS))).0
    }

    fn reply(status: u16, body: &Value) -> Result<Report, Failure> {
        answered(testing::json(status, body))
    }

    #[test]
    fn an_api_token_travels_by_basic_authentication_beside_the_email() {
        assert_eq!(plan("api-token"), ["basic {email}/token:{api-token}"]);
    }

    #[test]
    fn a_person_signs_in_by_the_code_grant_in_json() {
        assert_eq!(
            plan("oauth2"),
            [
                "authorization https://{subdomain}.zendesk.com/oauth/authorizations/new",
                "  pkce S256",
                "  parameter client_id={client-id}",
                "  parameter scope={scope}",
                "token POST https://{subdomain}.zendesk.com/oauth/tokens",
                "  header Accept: application/json",
                concat!(
                    r#"  json {{"grant_type":"authorization_code","code":"{code}","redirect_uri":"{redirect-uri}","#,
                    r#""code_verifier":"{code-verifier}","scope":"{scope}","client_id":"{client-id}","#,
                    r#""client_secret":"{client-secret}","expires_in":7200}}"#
                ),
                "refresh POST https://{subdomain}.zendesk.com/oauth/tokens",
                "  header Accept: application/json",
                concat!(
                    r#"  json {{"grant_type":"refresh_token","refresh_token":"{refresh-token}","#,
                    r#""client_id":"{client-id}","client_secret":"{client-secret}","expires_in":7200}}"#
                ),
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn a_client_signs_in_alone() {
        assert_eq!(
            plan("client-credentials"),
            [
                "token POST https://{subdomain}.zendesk.com/oauth/tokens",
                "  header Accept: application/json",
                concat!(
                    r#"  json {{"grant_type":"client_credentials","scope":"{scope}","client_id":"{client-id}","#,
                    r#""client_secret":"{client-secret}","expires_in":7200}}"#
                ),
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn the_account_is_the_user() {
        let me = |email: Value| {
            let user = json!({"id": 35436, "name": "Ada Lovelace", "email": email, "role": "admin", "verified": true});
            reply(200, &json!({"user": user}))
        };
        let report =
            |name: &str| Report::new(format!("Signed in as {name}")).account("35436", name).discovered("role", "admin");
        assert_eq!(me(json!("ada@example.com")), Ok(report("ada@example.com")));
        assert_eq!(me(Value::Null), Ok(report("Ada Lovelace")));
    }

    #[test]
    fn an_anonymous_user_is_nobody() {
        let anonymous = json!({"user": {
            "id": null, "name": "Anonymous user", "email": "invalid@example.com", "role": "end-user", "verified": false}});
        let words = "the service took the credential for nobody's: it answered with an anonymous user";
        assert_eq!(reply(200, &anonymous), Err(Failure::unauthorized(words)));
    }

    #[test]
    fn an_address_without_an_account_is_the_subdomains_fault() {
        let none = Err(Failure::field("subdomain", "there is no Zendesk account at this address"));
        let body = json!({"error": {
            "title": "No help desk at acme.zendesk.com", "message": "There is no help desk configured at this address."}});
        assert_eq!(reply(404, &body), none);
        assert_eq!(answered(testing::text(301, "").with("location", "https://other.zendesk.com/")), none);
        assert_eq!(answered(testing::text(200, "<html>")), none);
    }

    #[test]
    fn zendesks_errors_are_told_in_its_own_words() {
        assert_eq!(
            reply(401, &json!({"error": "Couldn't authenticate you"})),
            Err(Failure::unauthorized("the service answered 401: Couldn't authenticate you"))
        );
        let expired = json!({"error": "invalid_token", "error_description": "The access token provided is expired."});
        assert_eq!(
            reply(401, &expired),
            Err(Failure::unauthorized("the service answered 401: The access token provided is expired."))
        );
        let forbidden = json!({"error": {"title": "Forbidden", "message": "You do not have access to this page."}});
        assert_eq!(
            reply(403, &forbidden),
            Err(Failure::forbidden("the service answered 403: You do not have access to this page."))
        );
        let scope = json!({"error": "Forbidden", "description": "You are missing the following required scopes: read"});
        assert_eq!(
            reply(403, &scope),
            Err(Failure::forbidden("the service answered 403: You are missing the following required scopes: read"))
        );
        assert_eq!(answered(testing::text(503, "")), Err(Failure::unavailable("the service answered 503")));
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        let body = json!({"error": "APIRateLimitExceeded",
            "description": "Number of allowed API requests per minute exceeded"});
        let words = "the service answered 429: Number of allowed API requests per minute exceeded";
        let answer = testing::json(429, &body).with("Retry-After", "93");
        assert_eq!(answered(answer), Err(Failure::rate_limited(Some(93), words)));
    }
}
