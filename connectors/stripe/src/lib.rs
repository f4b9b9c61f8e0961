//! Stripe's API, in test mode or live.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report};

const API: &str = "https://api.stripe.com";
/// Without it an answer has the shape of whatever version the account was made with.
const VERSION: &str = "2024-06-20";

/// The connector.
#[derive(Debug)]
pub struct Stripe;

impl Connector for Stripe {
    fn describe() -> Descriptor {
        Descriptor::new("stripe", env!("CARGO_PKG_VERSION"), "Stripe")
            .publisher("Turnbuckle")
            .summary("Payments, customers and invoices")
            .category("Payments")
            .documentation("https://docs.stripe.com/api")
            .icon(include_str!("../icon.svg"))
            .protocol(
                Protocol::new("secret-key", "Secret key")
                    .help("A secret or restricted key: Developers, API keys. A test key reaches test data only.")
                    .field(
                        Field::secret("secret-key", "Secret key")
                            .required()
                            .pattern("(sk|rk)_[A-Za-z0-9_]+")
                            .placeholder("sk_test_…"),
                    ),
            )
            .origin(API)
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::header("Authorization", "Bearer {secret-key}")))
    }

    fn test(_connection: &Connection) -> Result<Report, Failure> {
        let account = get("/v1/account")?;
        if !account.is_success() {
            return Err(failure(&account));
        }
        let id = account.text_at("/id").ok_or_else(|| Failure::other("the service answered without an account"))?;
        let name = ["/settings/dashboard/display_name", "/business_profile/name", "/email"]
            .iter()
            .find_map(|at| account.text_at(at).filter(|name| !name.is_empty()))
            .unwrap_or_else(|| id.clone());
        let mode = mode()?;
        let words = mode.map(|mode| format!(" ({mode} mode)")).unwrap_or_default();
        let report = Report::new(format!("Signed in to {name}{words}")).account(id, name);
        Ok(match mode {
            Some(mode) => report.discovered("mode", mode),
            None => report,
        })
    }
}

/// Test or live: an account does not say it, since it is both; a balance is of one. None where the key may not read it.
fn mode() -> Result<Option<&'static str>, Failure> {
    let balance = get("/v1/balance")?;
    match balance.status {
        200 => Ok(balance.value()["livemode"].as_bool().map(|live| if live { "live" } else { "test" })),
        403 => Ok(None),
        _ => Err(failure(&balance)),
    }
}

fn get(path: &str) -> Result<Response, http::Error> {
    http::get(format!("{API}{path}")).header("Stripe-Version", VERSION).send()
}

fn failure(answer: &Response) -> Failure {
    let words = answer.text_at("/error/message");
    let failure = answer.failure(words.as_deref());
    match answer.text_at("/error/code").as_deref() {
        Some("secret_key_required") => Failure::field("secret-key", failure.message),
        Some("api_key_expired" | "platform_api_key_expired") => Failure::unauthorized(failure.message),
        Some("rate_limit" | "lock_timeout") => Failure::rate_limited(answer.retry_after(), failure.message),
        Some(_) | None => failure,
    }
}

turnbuckle_sdk::export!(Stripe);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::{Value, json};
    use turnbuckle_sdk::testing::{Script, connection, placements};

    use super::*;

    fn request(path: &str) -> http::Request {
        http::get(format!("https://api.stripe.com{path}")).header("Stripe-Version", "2024-06-20")
    }

    fn account() -> Value {
        json!({
            "id": "acct_1032D82eZvKYlo2C", "object": "account", "country": "US", "email": "ada@example.com",
            "business_profile": {"name": null}, "settings": {"dashboard": {"display_name": "Rocket Rides"}},
        })
    }

    fn test(script: Script) -> Result<Report, Failure> {
        script.run(|| Stripe::test(&connection("secret-key", &[]))).0
    }

    fn answered(status: u16, body: Value) -> Result<Report, Failure> {
        test(Script::new().expect(request("/v1/account")).reply(status, body))
    }

    fn with_balance(status: u16, balance: Value) -> Result<Report, Failure> {
        let script = Script::new().expect(request("/v1/account")).reply(200, account());
        test(script.expect(request("/v1/balance")).reply(status, balance))
    }

    #[test]
    fn the_key_travels_as_a_bearer() {
        let authentication = Stripe::authenticate(&connection("secret-key", &[])).unwrap();
        assert_eq!(placements(&authentication), ["header Authorization: Bearer {secret-key}"]);
    }

    #[test]
    fn test_mode_and_live_are_told_apart() {
        let report = |mode: &str| {
            Report::new(format!("Signed in to Rocket Rides ({mode} mode)"))
                .account("acct_1032D82eZvKYlo2C", "Rocket Rides")
                .discovered("mode", mode)
        };
        assert_eq!(with_balance(200, json!({"object": "balance", "livemode": false})), Ok(report("test")));
        assert_eq!(with_balance(200, json!({"object": "balance", "livemode": true})), Ok(report("live")));
    }

    #[test]
    fn a_restricted_key_passes_without_saying_its_mode() {
        let error = json!({"error": {"type": "invalid_request_error", "message": "The provided key does not have \
            the required permissions for this endpoint."}});
        let report = Report::new("Signed in to Rocket Rides").account("acct_1032D82eZvKYlo2C", "Rocket Rides");
        assert_eq!(with_balance(403, error), Ok(report));
    }

    #[test]
    fn an_account_without_a_name_is_called_by_its_id() {
        let script =
            Script::new().expect(request("/v1/account")).reply(200, json!({"id": "acct_1", "object": "account"}));
        let report = test(script.expect(request("/v1/balance")).reply(200, json!({"livemode": false})));
        assert_eq!(report.map(|report| report.message), Ok("Signed in to acct_1 (test mode)".to_owned()));
    }

    #[test]
    fn stripes_errors_are_told_in_its_own_words() {
        let error = |code: Option<&str>, message: &str| json!({"error": {"type": "invalid_request_error", "code": code, "message": message}});
        assert_eq!(
            answered(401, error(None, "Invalid API Key provided: sk_test_****cdef")),
            Err(Failure::unauthorized("the service answered 401: Invalid API Key provided: sk_test_****cdef"))
        );
        assert_eq!(
            answered(401, error(Some("api_key_expired"), "Expired API Key provided: rk_live_****cdef")),
            Err(Failure::unauthorized("the service answered 401: Expired API Key provided: rk_live_****cdef"))
        );
        assert_eq!(
            answered(
                403,
                error(Some("secret_key_required"), "This API call cannot be made with a publishable API key.")
            ),
            Err(Failure::field(
                "secret-key",
                "the service answered 403: This API call cannot be made with a publishable API key."
            ))
        );
        assert_eq!(
            answered(429, error(Some("rate_limit"), "Request rate limit exceeded.")),
            Err(Failure::rate_limited(None, "the service answered 429: Request rate limit exceeded."))
        );
        assert_eq!(
            answered(500, json!({"error": {"type": "api_error", "message": "An unknown error occurred"}})),
            Err(Failure::unavailable("the service answered 500: An unknown error occurred"))
        );
    }

    #[test]
    fn a_service_that_falls_over_half_way_is_unavailable() {
        assert_eq!(with_balance(503, json!({})), Err(Failure::unavailable("the service answered 503")));
    }
}
