//! Jira Cloud, at a site's own address or through Atlassian's gateway.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::json::{Map, Value};
use turnbuckle_sdk::{
    Authentication, Body, Capture, Classifier, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol,
    Report, Request, oauth2,
};

const AUTHORIZE: &str = "https://auth.atlassian.com/authorize";
const TOKEN: &str = "https://auth.atlassian.com/oauth/token";
const GATEWAY: &str = "https://api.atlassian.com";
const SITES: &str = "https://api.atlassian.com/oauth/token/accessible-resources";

/// The connector.
#[derive(Debug)]
pub struct Jira;

impl Connector for Jira {
    fn describe() -> Descriptor {
        Descriptor::new("jira", env!("CARGO_PKG_VERSION"), "Jira")
            .publisher("Turnbuckle")
            .summary("Issues, projects and boards of Jira Cloud")
            .category("Project management")
            .documentation("https://developer.atlassian.com/cloud/jira/platform/rest/v3/")
            .icon(include_str!("../icon.svg"))
            .protocol(
                Protocol::new("api-token", "API token")
                    .help("From id.atlassian.com, Security, API tokens.")
                    .field(Field::url("site", "Site").required().placeholder("https://acme.atlassian.net"))
                    .field(Field::text("email", "Email").required().pattern(r"[^\s:]+@[^\s:]+"))
                    .field(Field::secret("api-token", "API token").required())
                    .field(
                        Field::text("cloud-id", "Cloud ID")
                            .pattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
                            .placeholder("1324a887-45db-1bf4-1e99-ef0ff456d421")
                            .help("Of the site; for a token with scopes only."),
                    ),
            )
            .protocol(
                Protocol::oauth2("oauth2", "OAuth 2.0")
                    .help("Signs in a person, who chooses a site.")
                    .field(
                        Field::text("scope", "Scopes")
                            .required()
                            .default("read:jira-user read:jira-work")
                            .help("With spaces between; the app must have each one. offline_access is added."),
                    )
                    .field(
                        Field::url("cloud-site", "Site")
                            .placeholder("https://acme.atlassian.net")
                            .help("Only where the account reaches several sites: which one is meant."),
                    ),
            )
            .origin("{site}")
            .origin(GATEWAY)
            .origin("https://auth.atlassian.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        if connection.protocol == "api-token" {
            return Ok(Authentication::new().place(Placement::basic_auth("{email}", "{api-token}")));
        }
        let sites = Request::get(SITES)
            .header("Accept", "application/json")
            .header("Authorization", "Bearer {access-token}")
            .capture(Capture::body("cloud-id", "/0/id").visible());
        let flow = oauth2::authorization_code(AUTHORIZE, TOKEN)
            .scope("{scope} offline_access")
            .authorization_parameter("audience", "api.atlassian.com")
            .authorization_parameter("prompt", "consent")
            .client_in_body()
            .then(sites);
        Ok(in_json(flow.build()))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        if connection.protocol == "oauth2" {
            let site = site(connection)?;
            let api = format!("{GATEWAY}/ex/jira/{}", site.id);
            return Ok(myself(&api, &site.url, "cloud-site")?
                .discovered("cloud-id", site.id)
                .discovered("site", site.url));
        }
        let site = connection.setting("site").trim_end_matches('/');
        match connection.get("cloud-id") {
            Some(id) => myself(&format!("{GATEWAY}/ex/jira/{id}"), site, "cloud-id"),
            None => myself(site, site, "site"),
        }
    }
}

impl Classifier for Jira {
    fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
        refusal(response)
    }
}

struct Site {
    id: String,
    url: String,
}

/// The site that is meant, of those that the token reaches: the only one, or the one that `cloud-site` names.
fn site(connection: &Connection) -> Result<Site, Failure> {
    let answer = http::get(SITES).header("Accept", "application/json").send()?;
    if !answer.is_success() {
        return Err(answer.failure(words(&answer).as_deref()));
    }
    let mut sites: Vec<Site> = Vec::new();
    for resource in answer.json::<Vec<Value>>()? {
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        let (id, url) = (text("id"), text("url"));
        // A site is listed once for each of its products.
        if !id.is_empty() && !sites.iter().any(|known| known.id == id) {
            sites.push(Site { id, url });
        }
    }
    let urls = sites.iter().map(|site| site.url.as_str()).collect::<Vec<_>>().join(", ");
    let host = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
    match connection.get("cloud-site") {
        _ if sites.is_empty() => Err(Failure::forbidden("the token reaches no site: the person must choose one")),
        Some(meant) => sites.into_iter().find(|site| host(&site.url) == host(meant)).ok_or_else(|| {
            Failure::field("cloud-site", format!("the token does not reach this site; it reaches {urls}"))
        }),
        None if sites.len() > 1 => {
            Err(Failure::field("cloud-site", format!("the token reaches several sites; choose one of {urls}")))
        }
        None => Ok(sites.remove(0)),
    }
}

/// `field` is to blame where there is no Jira.
fn myself(api: &str, site: &str, field: &str) -> Result<Report, Failure> {
    let no_jira = || Failure::field(field, "there is no Jira Cloud at this address");
    let answer = http::get(format!("{api}/rest/api/3/myself")).header("Accept", "application/json").send()?;
    if let Some(failure) = refusal(&answer) {
        return Err(failure);
    }
    let words = words(&answer);
    match answer.status {
        200..=299 => {}
        300..=399 | 404 => return Err(no_jira()),
        _ => return Err(answer.failure(words.as_deref())),
    }
    let id = answer.text_at("/accountId").ok_or_else(no_jira)?;
    // An email address may be hidden from others, and then it is empty or missing.
    let name = ["/emailAddress", "/displayName"]
        .iter()
        .find_map(|at| answer.text_at(at).filter(|name| !name.is_empty()))
        .unwrap_or_else(|| id.clone());
    Ok(Report::new(format!("Signed in to {site} as {name}")).account(id, name))
}

/// Where the standard has a form, Atlassian documents JSON.
fn in_json(mut authentication: Authentication) -> Authentication {
    let grant = &mut authentication.grant;
    for request in grant.token.iter_mut().chain(&mut grant.refresh) {
        if let Body::Form(fields) = &request.body {
            let fields = fields.iter().map(|field| (field.name.clone(), Value::from(field.value.clone())));
            request.body = Body::json(&Value::Object(fields.collect::<Map<_, _>>()));
        }
    }
    authentication
}

/// What the status does not tell.
fn refusal(answer: &Response) -> Option<Failure> {
    let words = words(answer);
    let told = |words: Option<&str>| answer.failure(words).message;
    let login = answer.header("x-seraph-loginreason").unwrap_or_default();
    if login.contains("AUTHENTICATION_DENIED") {
        let hint = "Jira asks for a CAPTCHA after failed attempts: sign in once in a browser";
        return Some(Failure::unauthorized(told(Some(hint))));
    }
    if login.contains("AUTHENTICATED_FAILED") {
        return Some(Failure::unauthorized(told(words.as_deref().or(Some("Jira does not know the credential")))));
    }
    let scope = answer.status == 401 && words.as_deref().is_some_and(|words| words.contains("scope does not match"));
    scope.then(|| Failure::forbidden(told(words.as_deref())))
}

fn words(answer: &Response) -> Option<String> {
    const WORDS: [&str; 4] = ["/errorMessages/0", "/message", "/errorMessage", "/error_description"];
    WORDS.iter().find_map(|at| answer.text_at(at))
}

turnbuckle_sdk::export!(Jira, classifier);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::json;
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    const SITE: (&str, &str) = ("site", "https://acme.atlassian.net");
    const CLOUD_ID: &str = "1324a887-45db-1bf4-1e99-ef0ff456d421";
    const THROUGH_GATEWAY: &str =
        "https://api.atlassian.com/ex/jira/1324a887-45db-1bf4-1e99-ef0ff456d421/rest/api/3/myself";

    fn myself_at(url: &str) -> http::Request {
        http::get(url).header("Accept", "application/json")
    }

    fn ada() -> Value {
        json!({"accountId": "5b10a2844c20165700ede21g", "accountType": "atlassian", "active": true,
            "emailAddress": "ada@example.com", "displayName": "Ada Lovelace"})
    }

    fn report() -> Report {
        Report::new("Signed in to https://acme.atlassian.net as ada@example.com")
            .account("5b10a2844c20165700ede21g", "ada@example.com")
    }

    fn answered(answer: Response) -> Result<Report, Failure> {
        let script = Script::new().expect(myself_at("https://acme.atlassian.net/rest/api/3/myself")).answer(answer);
        script.run(|| Jira::test(&connection("api-token", &[SITE]))).0
    }

    fn resource(id: &str, name: &str) -> Value {
        json!({"id": id, "name": name, "url": format!("https://{name}.atlassian.net"),
            "scopes": ["read:jira-user", "read:jira-work"], "avatarUrl": "https://example.com/flag.png"})
    }

    fn sites(answer: Response) -> Script {
        Script::new().expect(myself_at("https://api.atlassian.com/oauth/token/accessible-resources")).answer(answer)
    }

    fn by_oauth(script: Script, settings: &[(&str, &str)]) -> Result<Report, Failure> {
        script.run(|| Jira::test(&connection("oauth2", settings))).0
    }

    #[test]
    fn an_api_token_travels_by_basic_authentication() {
        let plan = Jira::authenticate(&connection("api-token", &[SITE])).unwrap();
        assert_eq!(authentication(&plan), ["basic {email}:{api-token}"]);
    }

    #[test]
    fn a_person_signs_in_and_the_site_is_looked_up() {
        let plan = Jira::authenticate(&connection("oauth2", &[])).unwrap();
        assert_eq!(
            authentication(&plan),
            [
                "authorization https://auth.atlassian.com/authorize",
                "  pkce S256",
                "  parameter client_id={client-id}",
                "  parameter scope={scope} offline_access",
                "  parameter audience=api.atlassian.com",
                "  parameter prompt=consent",
                "token POST https://auth.atlassian.com/oauth/token",
                "  header Accept: application/json",
                concat!(
                    r#"  json {{"grant_type":"authorization_code","code":"{code}","redirect_uri":"{redirect-uri}","#,
                    r#""code_verifier":"{code-verifier}","client_id":"{client-id}","#,
                    r#""client_secret":"{client-secret}"}}"#
                ),
                "token GET https://api.atlassian.com/oauth/token/accessible-resources",
                "  header Accept: application/json",
                "  header Authorization: Bearer {access-token}",
                "  capture cloud-id = body /0/id, visible",
                "refresh POST https://auth.atlassian.com/oauth/token",
                "  header Accept: application/json",
                concat!(
                    r#"  json {{"grant_type":"refresh_token","refresh_token":"{refresh-token}","#,
                    r#""client_id":"{client-id}","client_secret":"{client-secret}"}}"#
                ),
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn an_api_token_is_tested_at_the_site() {
        assert_eq!(answered(testing::json(200, &ada())), Ok(report()));
    }

    #[test]
    fn a_token_with_scopes_is_tested_through_the_gateway() {
        let script = Script::new().expect(myself_at(THROUGH_GATEWAY)).reply(200, ada());
        let (tested, _) = script.run(|| Jira::test(&connection("api-token", &[SITE, ("cloud-id", CLOUD_ID)])));
        assert_eq!(tested, Ok(report()));
    }

    #[test]
    fn a_cloud_id_that_leads_nowhere_is_to_blame() {
        let gone = json!({"timestamp": "2026-01-01T00:00:00Z", "status": 404, "error": "Not Found"});
        let script = Script::new().expect(myself_at(THROUGH_GATEWAY)).reply(404, gone);
        let (tested, _) = script.run(|| Jira::test(&connection("api-token", &[SITE, ("cloud-id", CLOUD_ID)])));
        assert_eq!(tested, Err(Failure::field("cloud-id", "there is no Jira Cloud at this address")));
    }

    #[test]
    fn who_hides_the_email_is_called_by_name() {
        let mut ada = ada();
        ada["emailAddress"] = json!("");
        let named = Report::new("Signed in to https://acme.atlassian.net as Ada Lovelace")
            .account("5b10a2844c20165700ede21g", "Ada Lovelace");
        assert_eq!(answered(testing::json(200, &ada)), Ok(named));
    }

    #[test]
    fn the_only_site_is_the_one_that_is_meant() {
        // Twice: a site is listed for each of its products.
        let list = testing::json(200, &json!([resource(CLOUD_ID, "acme"), resource(CLOUD_ID, "acme")]));
        let script = sites(list).expect(myself_at(THROUGH_GATEWAY)).reply(200, ada());
        let report = report().discovered("cloud-id", CLOUD_ID).discovered("site", "https://acme.atlassian.net");
        assert_eq!(by_oauth(script, &[("cloud-id", CLOUD_ID)]), Ok(report));
    }

    #[test]
    fn of_several_sites_one_has_to_be_chosen() {
        let other = "11111111-2222-3333-4444-555555555555";
        let both = || testing::json(200, &json!([resource(other, "other"), resource(CLOUD_ID, "acme")]));
        let words = "the token reaches several sites; choose one of https://other.atlassian.net, \
            https://acme.atlassian.net";
        assert_eq!(by_oauth(sites(both()), &[("cloud-id", other)]), Err(Failure::field("cloud-site", words)));
        let chosen = &[("cloud-id", other), ("cloud-site", "https://acme.atlassian.net")];
        let script = sites(both()).expect(myself_at(THROUGH_GATEWAY)).reply(200, ada());
        let report = report().discovered("cloud-id", CLOUD_ID).discovered("site", "https://acme.atlassian.net");
        assert_eq!(by_oauth(script, chosen), Ok(report));
        let words = "the token does not reach this site; it reaches https://other.atlassian.net, \
            https://acme.atlassian.net";
        let elsewhere = &[("cloud-site", "https://third.atlassian.net")];
        assert_eq!(by_oauth(sites(both()), elsewhere), Err(Failure::field("cloud-site", words)));
    }

    #[test]
    fn a_token_without_sites_may_do_nothing() {
        let words = "the token reaches no site: the person must choose one";
        assert_eq!(by_oauth(sites(testing::json(200, &json!([]))), &[]), Err(Failure::forbidden(words)));
        let unauthorized = testing::json(401, &json!({"code": 401, "message": "Unauthorized"}));
        let words = "the service answered 401: Unauthorized";
        assert_eq!(by_oauth(sites(unauthorized), &[]), Err(Failure::unauthorized(words)));
    }

    #[test]
    fn a_missing_scope_is_no_reason_to_sign_in_again() {
        let body = json!({"code": 401, "message": "Unauthorized; scope does not match"});
        let script = sites(testing::json(200, &json!([resource(CLOUD_ID, "acme")])));
        let script = script.expect(myself_at(THROUGH_GATEWAY)).reply(401, body.clone());
        let forbidden = Failure::forbidden("the service answered 401: Unauthorized; scope does not match");
        assert_eq!(by_oauth(script, &[]), Err(forbidden.clone()));
        let connection = connection("oauth2", &[]);
        assert_eq!(Jira::classify(&connection, &testing::json(401, &body)), Some(forbidden));
        let expired = testing::json(401, &json!({"code": 401, "message": "Unauthorized"}));
        assert_eq!(Jira::classify(&connection, &expired), None);
    }

    #[test]
    fn a_credential_that_jira_does_not_know_is_told_by_a_header() {
        let failed = |answer: Response| answer.with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED");
        let words = "the service answered 401: Client must be authenticated to access this resource.";
        let body = json!({"message": "Client must be authenticated to access this resource.", "status-code": 401});
        assert_eq!(answered(failed(testing::json(401, &body))), Err(Failure::unauthorized(words)));
        let anonymous = failed(testing::json(200, &json!({"issues": []})));
        let words = "the service answered 200: Jira does not know the credential";
        let classified = Jira::classify(&connection("api-token", &[SITE]), &anonymous);
        assert_eq!(classified, Some(Failure::unauthorized(words)));
        let denied = testing::text(403, "").with("X-Seraph-LoginReason", "AUTHENTICATION_DENIED");
        let words =
            "the service answered 403: Jira asks for a CAPTCHA after failed attempts: sign in once in a browser";
        assert_eq!(answered(denied), Err(Failure::unauthorized(words)));
        let known = testing::json(200, &ada()).with("X-Seraph-LoginReason", "OK");
        assert_eq!(Jira::classify(&connection("api-token", &[SITE]), &known), None);
    }

    #[test]
    fn an_address_without_jira_is_the_sites_fault() {
        let none = Err(Failure::field("site", "there is no Jira Cloud at this address"));
        assert_eq!(answered(testing::text(404, "<html>")), none);
        assert_eq!(answered(testing::text(302, "").with("location", "/login")), none);
        assert_eq!(answered(testing::text(200, "<html>")), none);
    }

    #[test]
    fn jiras_errors_are_told_in_its_own_words() {
        let body = json!({"errorMessages": ["You do not have the permission to see this."], "errors": {}});
        let words = "the service answered 403: You do not have the permission to see this.";
        assert_eq!(answered(testing::json(403, &body)), Err(Failure::forbidden(words)));
        let limited = testing::text(429, "").with("Retry-After", "12");
        assert_eq!(answered(limited), Err(Failure::rate_limited(Some(12), "the service answered 429")));
        assert_eq!(answered(testing::text(503, "")), Err(Failure::unavailable("the service answered 503")));
    }
}
