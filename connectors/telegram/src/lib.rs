//! Telegram bots. The token stands in the path; the host puts it there.

use turnbuckle_sdk::{
    Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report, http,
};

const API: &str = "https://api.telegram.org";

/// The connector.
#[derive(Debug)]
pub struct Telegram;

impl Connector for Telegram {
    fn describe() -> Descriptor {
        Descriptor::new("telegram", env!("CARGO_PKG_VERSION"), "Telegram")
            .publisher("Turnbuckle")
            .summary("Messages by a bot")
            .category("Communication")
            .documentation("https://core.telegram.org/bots/api")
            .icon(include_str!("../icon.svg"))
            .protocol(
                Protocol::new("bot-token", "Bot token").help("@BotFather gives one for each bot.").field(
                    Field::secret("bot-token", "Bot token")
                        .required()
                        .placeholder("123456:ABC-DEF…")
                        .pattern("[0-9]+:[A-Za-z0-9_-]+"),
                ),
            )
            .origin(API)
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::PathPrefix("/bot{bot-token}".into())))
    }

    fn test(_connection: &Connection) -> Result<Report, Failure> {
        let answer = http::get(format!("{API}/getMe")).send()?;
        let body = answer.value();
        if body["ok"] != true {
            return Err(failure(&answer));
        }
        let id = answer.text_at("/result/id").ok_or_else(|| Failure::other("Telegram answered without a bot"))?;
        let name = answer.text_at("/result/username").unwrap_or_else(|| id.clone());
        Ok(Report::new(format!("Signed in to Telegram as @{name}")).account(id, format!("@{name}")))
    }
}

/// Errors stand in the body: `error_code`, `description`, `parameters.retry_after`.
fn failure(answer: &http::Response) -> Failure {
    let code = answer.value()["error_code"].as_u64().unwrap_or(answer.status.into());
    let words = answer.text_at("/description").unwrap_or_else(|| format!("status {}", answer.status));
    let message = format!("Telegram answered: {words}");
    match code {
        // A token that has not even the form of one is 404.
        401 | 404 => Failure::unauthorized(message),
        403 => Failure::forbidden(message),
        429 => {
            let wait =
                answer.value().pointer("/parameters/retry_after").and_then(|wait| u32::try_from(wait.as_u64()?).ok());
            Failure::rate_limited(wait, message)
        }
        500.. => Failure::unavailable(message),
        _ => Failure::other(message),
    }
}

turnbuckle_sdk::export!(Telegram);

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::json::{Value, json};
    use turnbuckle_sdk::testing::{self, Script, connection, placements};

    use super::*;

    fn test(status: u16, body: &Value) -> Result<Report, Failure> {
        let script = Script::new().on("GET", "https://api.telegram.org/getMe", testing::json(status, body));
        script.run(|| Telegram::test(&connection("bot-token", &[]))).0
    }

    #[test]
    fn a_good_token_names_its_bot() {
        let me =
            json!({"ok": true, "result": {"id": 42, "is_bot": true, "first_name": "Tour", "username": "tour_bot"}});
        let report = test(200, &me).unwrap();
        assert_eq!(report.message, "Signed in to Telegram as @tour_bot");
        assert_eq!(report.account.map(|account| (account.id, account.label)), Some(("42".into(), "@tour_bot".into())));
    }

    #[test]
    fn errors_are_read_from_the_body() {
        let fail = |code: u16, words: &str| {
            test(code, &json!({"ok": false, "error_code": code, "description": words})).unwrap_err()
        };
        assert_eq!(fail(401, "Unauthorized"), Failure::unauthorized("Telegram answered: Unauthorized"));
        assert_eq!(fail(404, "Not Found"), Failure::unauthorized("Telegram answered: Not Found"));
        let slow = json!({"ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 7}});
        assert_eq!(
            test(429, &slow).unwrap_err(),
            Failure::rate_limited(Some(7), "Telegram answered: Too Many Requests")
        );
        // An error may even come with the status of a success.
        let odd = json!({"ok": false, "error_code": 403, "description": "Forbidden"});
        assert_eq!(test(200, &odd).unwrap_err(), Failure::forbidden("Telegram answered: Forbidden"));
    }

    #[test]
    fn the_token_stands_in_the_path() {
        let plan = Telegram::authenticate(&connection("bot-token", &[])).unwrap();
        assert_eq!(placements(&plan), ["path-prefix /bot{bot-token}"]);
    }
}
