//! Stripe.

use turnbuckle_sdk::{
    Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, http,
};

const API: &str = "https://api.stripe.com";

/// The connector.
#[derive(Debug)]
pub struct Stripe;

impl Connector for Stripe {
    fn describe() -> Descriptor {
        Descriptor::new("stripe", env!("CARGO_PKG_VERSION"), "Stripe")
            .publisher("Turnbuckle")
            .summary("Payments, customers and subscriptions")
            .category("Payments")
            .documentation("https://docs.stripe.com/api")
            .icon(include_str!("../icon.svg"))
            .protocol(
                Protocol::new("secret-key", "Secret key")
                    .help("Developers › API keys. Keys of test mode begin with sk_test_, restricted ones with rk_.")
                    .field(
                        Field::secret("secret-key", "Secret key")
                            .required()
                            .placeholder("sk_test_…")
                            .pattern("(sk|rk)_(test|live)_[A-Za-z0-9_]+"),
                    ),
            )
            .origin(API)
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::header("Authorization", "Bearer {secret-key}")))
    }

    fn test(_connection: &Connection) -> Result<Report, Failure> {
        let account = good(http::get(format!("{API}/v1/account")).send()?)?;
        // The account is the same in both modes; a balance says in which one the key works.
        let balance = http::get(format!("{API}/v1/balance")).send()?;
        let mode = balance.value()["livemode"].as_bool().map(|live| if live { "live" } else { "test" });
        let id = account.text_at("/id").ok_or_else(|| Failure::other("Stripe answered without an account"))?;
        let name = ["/settings/dashboard/display_name", "/business_profile/name", "/email"];
        let label = name.iter().find_map(|place| account.text_at(place)).unwrap_or_else(|| id.clone());
        let message = match mode {
            Some(mode) => format!("Signed in to Stripe as {label}, in {mode} mode"),
            None => format!("Signed in to Stripe as {label}"),
        };
        let report = Report::new(message).account(id, label);
        Ok(match mode {
            Some(mode) => report.discovered("mode", mode),
            None => report,
        })
    }
}

/// Errors stand in the body as `error.message`, `error.type` and `error.code`.
fn good(answer: http::Response) -> Result<http::Response, Failure> {
    if answer.is_success() {
        return Ok(answer);
    }
    let words = answer.text_at("/error/message").unwrap_or_default();
    let message = format!("Stripe answered {}: {words}", answer.status);
    Err(match (answer.status, answer.text_at("/error/code").as_deref()) {
        (401, Some("api_key_expired")) => Failure::unauthorized(format!("{message} (the key has expired)")),
        _ => answer.failure(None).because(message),
    })
}

turnbuckle_sdk::export!(Stripe);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::{Value, json};
    use turnbuckle_sdk::testing::{self, Script, connection, placements};

    use super::*;

    const ACCOUNT: &str = "https://api.stripe.com/v1/account";
    const BALANCE: &str = "https://api.stripe.com/v1/balance";

    fn passed(balance: &Value) -> Report {
        let account = json!({"id": "acct_1", "object": "account", "settings": {"dashboard": {"display_name": "Acme"}}});
        Script::new()
            .on("GET", ACCOUNT, testing::json(200, &account))
            .on("GET", BALANCE, testing::json(200, balance))
            .run(|| Stripe::test(&connection("secret-key", &[])))
            .0
            .unwrap()
    }

    #[test]
    fn test_and_live_keys_are_told_apart() {
        let report = passed(&json!({"object": "balance", "livemode": false}));
        assert_eq!(report.message, "Signed in to Stripe as Acme, in test mode");
        assert_eq!(report.discovered, [("mode".to_owned(), "test".to_owned())]);
        assert_eq!(report.account.map(|account| account.id), Some("acct_1".into()));
        assert_eq!(passed(&json!({"livemode": true})).message, "Signed in to Stripe as Acme, in live mode");
    }

    #[test]
    fn a_key_that_may_not_read_the_balance_still_passes() {
        assert_eq!(passed(&json!({"error": {"message": "no"}})).message, "Signed in to Stripe as Acme");
    }

    #[test]
    fn a_wrong_key_is_unauthorized_in_stripes_own_words() {
        let error =
            json!({"error": {"message": "Invalid API Key provided: sk_test_***", "type": "invalid_request_error"}});
        let script = Script::new().on("GET", ACCOUNT, testing::json(401, &error));
        let failure = script.run(|| Stripe::test(&connection("secret-key", &[]))).0.unwrap_err();
        assert_eq!(failure, Failure::unauthorized("Stripe answered 401: Invalid API Key provided: sk_test_***"));
    }

    #[test]
    fn the_key_travels_as_a_bearer() {
        let plan = Stripe::authenticate(&connection("secret-key", &[])).unwrap();
        assert_eq!(placements(&plan), ["header Authorization: Bearer {secret-key}"]);
    }
}
