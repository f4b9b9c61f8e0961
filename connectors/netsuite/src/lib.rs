//! Oracle NetSuite: an account's REST web services.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::json::json;
use turnbuckle_sdk::{
    Algorithm, Assertion, Authentication, Connection, Connector, Descriptor, Failure, Field, Oauth1, Oauth1Signature,
    Placement, Protocol, Report, Request, SignIn, session,
};

const TOKEN: &str = "https://{account-id}.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token";
/// Of every access token.
const HOUR: u32 = 3600;

/// The connector.
#[derive(Debug)]
pub struct NetSuite;

impl Connector for NetSuite {
    fn describe() -> Descriptor {
        Descriptor::new("netsuite", env!("CARGO_PKG_VERSION"), "NetSuite")
            .publisher("Turnbuckle")
            .summary("Customers, transactions and other records; queries in SuiteQL")
            .category("ERP")
            .documentation("https://docs.oracle.com/en/cloud/saas/netsuite/ns-online-help/book_1559132836.html")
            .icon(include_str!("../icon.svg"))
            .setting(
                Field::text("account-id", "Account ID")
                    .required()
                    .pattern("[a-z0-9]+(-[a-z0-9]+)?")
                    .placeholder("1234567-sb1")
                    .help(
                        "As in the account's address: small letters, and a hyphen for the underscore of 1234567_SB1.",
                    ),
            )
            .protocol(
                Protocol::new("token-based", "Token-based authentication")
                    .help("Keys of an integration record, and an access token for a user and role.")
                    .field(Field::secret("consumer-key", "Consumer key").required())
                    .field(Field::secret("consumer-secret", "Consumer secret").required())
                    .field(Field::secret("token-id", "Token ID").required())
                    .field(Field::secret("token-secret", "Token secret").required()),
            )
            .protocol(
                Protocol::new("oauth2-client-credentials", "OAuth 2.0 client credentials")
                    .help("Setup, Integration, OAuth 2.0 Client Credentials (M2M) Setup maps a certificate to a user.")
                    .sign_in(SignIn::Unattended)
                    .field(Field::client_id().help("Of the integration record."))
                    .field(Field::text("certificate-id", "Certificate ID").required().help("Of the mapping."))
                    .field(Field::secret("private-key", "Private key").required().help("Of the certificate, in PEM."))
                    .field(
                        Field::choice("algorithm", "Algorithm", [("PS256", "PS256 (RSA)"), ("ES256", "ES256 (EC)")])
                            .required()
                            .default("PS256")
                            .help("By the kind of key."),
                    ),
            )
            .origin("https://{account-id}.suitetalk.api.netsuite.com")
    }

    fn authenticate(connection: &Connection) -> Result<Authentication, Failure> {
        if connection.protocol == "token-based" {
            let signature = Oauth1::new("{consumer-key}", "{consumer-secret}")
                .token("{token-id}", "{token-secret}")
                .signature(Oauth1Signature::HmacSha256)
                .realm(realm(connection));
            return Ok(Authentication::new().place(signature));
        }
        let algorithm = match connection.setting("algorithm") {
            "ES256" => Algorithm::Es256,
            _ => Algorithm::Ps256,
        };
        let assertion = Assertion::new(algorithm, "{private-key}")
            .header("typ", "JWT")
            .key_id("{certificate-id}")
            .issuer("{client-id}")
            .audience(TOKEN)
            .claim("scope", json!(["rest_webservices"]));
        // By hand: NetSuite's request names no client, and its assertion no subject.
        let sign_in = Request::post(TOKEN).header("Accept", "application/json").form([
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", "{client-assertion}"),
        ]);
        let bearer = Placement::header("Authorization", "Bearer {access-token}");
        Ok(session(sign_in).lifetime(HOUR).place(bearer).build().jwt("client-assertion", assertion))
    }

    fn test(connection: &Connection) -> Result<Report, Failure> {
        let account = connection.setting("account-id");
        let api = format!("https://{account}.suitetalk.api.netsuite.com/services/rest");
        let answer = http::get(format!("{api}/system/v1/serverTime")).header("Accept", "application/json").send()?;
        if !answer.is_success() {
            return Err(failure(&answer));
        }
        answer.text_at("/serverTime").ok_or_else(no_account)?;
        let realm = realm(connection);
        Ok(Report::new(format!("Signed in to the account {realm}")).account(realm.clone(), realm))
    }
}

/// The account id as NetSuite shows it. It holds no brace, as its field's pattern says, so it is a template for itself.
fn realm(connection: &Connection) -> String {
    connection.setting("account-id").replace('-', "_").to_ascii_uppercase()
}

fn failure(answer: &Response) -> Failure {
    let code = answer.text_at("/o:errorDetails/0/o:errorCode");
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let refusal = quoted(challenge, "error");
    let detail = answer.text_at("/o:errorDetails/0/detail").or_else(|| answer.text_at("/title"));
    // The body only says that nobody signed in; why is told beside it.
    let words = match (detail, refusal) {
        (Some(detail), Some(refusal)) => Some(format!("{refusal}: {detail}")),
        (detail, refusal) => detail.or(refusal.map(str::to_owned)),
    };
    let failure = answer.failure(words.as_deref());
    match (refusal, code.as_deref()) {
        (Some("timestamp_refused"), _) => {
            Failure::misconfigured(format!("{} (the clock of this host is wrong: set it)", failure.message))
        }
        (Some("permission_denied"), _) | (_, Some("INSUFFICIENT_PERMISSION")) => Failure::forbidden(failure.message),
        (_, Some("INVALID_LOGIN")) => Failure::unauthorized(failure.message),
        (_, Some("CONCURRENCY_LIMIT_EXCEEDED")) => Failure::rate_limited(answer.retry_after(), failure.message),
        (None, None) if matches!(answer.status, 300..=399 | 404) => no_account(),
        _ => failure,
    }
}

/// A parameter of a challenge: `error="token_rejected"`.
fn quoted<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, from) = challenge.split_once(&format!("{name}=\""))?;
    from.split_once('"').map(|(value, _)| value)
}

fn no_account() -> Failure {
    Failure::field("account-id", "there are no REST web services of a NetSuite account at this address")
}

turnbuckle_sdk::export!(NetSuite);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::Value;
    use turnbuckle_sdk::testing::{self, Script, authentication, connection};

    use super::*;

    const SANDBOX: (&str, &str) = ("account-id", "1234567-sb1");
    const AUDIT: &str = "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI.";

    fn plan(protocol: &str, settings: &[(&str, &str)]) -> Vec<String> {
        authentication(&NetSuite::authenticate(&connection(protocol, settings)).unwrap())
    }

    fn answered(answer: Response) -> Result<Report, Failure> {
        let url = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/system/v1/serverTime";
        let script = Script::new().expect(http::get(url).header("Accept", "application/json")).answer(answer);
        script.run(|| NetSuite::test(&connection("token-based", &[SANDBOX]))).0
    }

    /// As NetSuite writes its errors.
    fn error(status: u16, title: &str, code: &str, detail: &str) -> Response {
        let details: Value = json!([{"detail": detail, "o:errorCode": code}]);
        let kind = "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5";
        testing::json(status, &json!({"type": kind, "title": title, "status": status, "o:errorDetails": details}))
    }

    #[test]
    fn a_token_signs_each_request_in_the_realm_of_the_account() {
        let line = |realm: &str| {
            let keys = "consumer {consumer-key}:{consumer-secret} token {token-id}:{token-secret}";
            [format!("oauth1 HMAC-SHA256 {keys} realm={realm}")]
        };
        assert_eq!(plan("token-based", &[SANDBOX]), line("1234567_SB1"));
        assert_eq!(plan("token-based", &[("account-id", "tstdrv1234567")]), line("TSTDRV1234567"));
    }

    #[test]
    fn a_certificate_signs_in_alone() {
        let signed_by = |algorithm: &str| {
            [
                format!("derived client-assertion = jwt {algorithm} by {{private-key}} for 180 s"),
                r#"  header {{"typ":"JWT","kid":"{certificate-id}"}}"#.to_owned(),
                concat!(
                    r#"  claims {{"iss":"{client-id}","aud":"https://{account-id}.suitetalk.api.netsuite.com"#,
                    r#"/services/rest/auth/oauth2/v1/token","scope":["rest_webservices"]}}"#
                )
                .to_owned(),
                "token POST https://{account-id}.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"
                    .to_owned(),
                "  header Accept: application/json".to_owned(),
                "  form grant_type=client_credentials".to_owned(),
                "  form client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                "  form client_assertion={client-assertion}".to_owned(),
                "lifetime 3600 s".to_owned(),
                "header Authorization: Bearer {access-token}".to_owned(),
            ]
        };
        assert_eq!(plan("oauth2-client-credentials", &[SANDBOX, ("algorithm", "PS256")]), signed_by("PS256"));
        assert_eq!(plan("oauth2-client-credentials", &[SANDBOX, ("algorithm", "ES256")]), signed_by("ES256"));
    }

    #[test]
    fn the_account_is_the_companys() {
        let report = Report::new("Signed in to the account 1234567_SB1").account("1234567_SB1", "1234567_SB1");
        assert_eq!(answered(testing::json(200, &json!({"serverTime": "2026-03-26T16:21:00.000Z"}))), Ok(report));
    }

    #[test]
    fn a_login_that_fails_says_why() {
        let words = format!("the service answered 401: {AUDIT}");
        let invalid = || error(401, "Unauthorized", "INVALID_LOGIN", AUDIT);
        assert_eq!(answered(invalid()), Err(Failure::unauthorized(words)));
        let challenge = "OAuth realm=\"1234567_SB1\", error=\"token_rejected\", \
            error_description=\"Invalid login attempt.\"";
        let words = format!("the service answered 401: token_rejected: {AUDIT}");
        assert_eq!(answered(invalid().with("WWW-Authenticate", challenge)), Err(Failure::unauthorized(words)));
        let challenge = "OAuth realm=\"1234567_SB1\", error=\"timestamp_refused\"";
        let words =
            format!("the service answered 401: timestamp_refused: {AUDIT} (the clock of this host is wrong: set it)");
        assert_eq!(answered(invalid().with("WWW-Authenticate", challenge)), Err(Failure::misconfigured(words)));
    }

    #[test]
    fn a_role_that_may_not_is_no_bad_token() {
        let detail = "Permission Violation: You need the 'REST Web Services' permission.";
        let words = |status: u16| format!("the service answered {status}: {detail}");
        for status in [400, 403] {
            let answer = error(status, "Forbidden", "INSUFFICIENT_PERMISSION", detail);
            assert_eq!(answered(answer), Err(Failure::forbidden(words(status))));
        }
        let challenge = "OAuth realm=\"1234567_SB1\", error=\"permission_denied\"";
        let answer = error(401, "Unauthorized", "INVALID_LOGIN", AUDIT).with("WWW-Authenticate", challenge);
        let words = format!("the service answered 401: permission_denied: {AUDIT}");
        assert_eq!(answered(answer), Err(Failure::forbidden(words)));
    }

    #[test]
    fn too_many_at_once_have_to_wait() {
        let detail = "Concurrent request limit exceeded. Request blocked.";
        let words = format!("the service answered 429: {detail}");
        let answer = error(429, "Too Many Requests", "CONCURRENCY_LIMIT_EXCEEDED", detail);
        assert_eq!(answered(answer), Err(Failure::rate_limited(None, words)));
        assert_eq!(answered(testing::text(503, "")), Err(Failure::unavailable("the service answered 503")));
    }

    #[test]
    fn an_address_without_an_account_is_the_account_ids_fault() {
        let words = "there are no REST web services of a NetSuite account at this address";
        let none = Err(Failure::field("account-id", words));
        assert_eq!(answered(testing::text(404, "<html>")), none);
        assert_eq!(answered(testing::text(302, "").with("location", "https://system.netsuite.com/")), none);
        assert_eq!(answered(testing::text(200, "<html>")), none);
    }
}
