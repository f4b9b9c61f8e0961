//! A Telegram bot. Its token stands in the path of every request.

use turnbuckle_sdk::http::{self, Response};
use turnbuckle_sdk::{Authentication, Connection, Connector, Descriptor, Failure, Field, Placement, Protocol, Report};

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
                Protocol::new("bot-token", "Bot token").help("What @BotFather answered when the bot was made.").field(
                    Field::secret("bot-token", "Bot token")
                        .required()
                        .pattern("[0-9]+:[A-Za-z0-9_-]+")
                        .placeholder("123456789:AA…"),
                ),
            )
            .origin(API)
    }

    fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
        Ok(Authentication::new().place(Placement::path_prefix("/bot{bot-token}")))
    }

    fn test(_connection: &Connection) -> Result<Report, Failure> {
        let answer = http::get(format!("{API}/getMe")).send()?;
        let body = answer.value();
        if body["ok"].as_bool() != Some(true) {
            return Err(failure(&answer));
        }
        let id = answer.text_at("/result/id").ok_or_else(|| Failure::other("the service answered without a bot"))?;
        let name = match (answer.text_at("/result/username"), answer.text_at("/result/first_name")) {
            (Some(username), _) => format!("@{username}"),
            (None, Some(first_name)) => first_name,
            (None, None) => id.clone(),
        };
        Ok(Report::new(format!("Signed in as {name}")).account(id, name))
    }
}

/// The body says what happened; the status is only its echo.
fn failure(answer: &Response) -> Failure {
    let body = answer.value();
    let Some(code) = body["error_code"].as_u64() else { return answer.failure(None) };
    let message = match body["description"].as_str() {
        Some(description) => format!("Telegram answered {code}: {description}"),
        None => format!("Telegram answered {code}"),
    };
    match code {
        401 => Failure::unauthorized(message),
        // The token is part of the path: one of the wrong form leads nowhere.
        404 => Failure::unauthorized(format!("{message} (no bot has this token)")),
        403 => Failure::forbidden(message),
        429 => {
            let wait = body["parameters"]["retry_after"].as_u64().and_then(|wait| u32::try_from(wait).ok());
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

    fn answered(answer: Response) -> Result<Report, Failure> {
        let script = Script::new().expect(http::get("https://api.telegram.org/getMe")).answer(answer);
        script.run(|| Telegram::test(&connection("bot-token", &[]))).0
    }

    fn reply(status: u16, body: &Value) -> Result<Report, Failure> {
        answered(testing::json(status, body))
    }

    #[test]
    fn the_token_stands_before_the_method_in_the_path() {
        let authentication = Telegram::authenticate(&connection("bot-token", &[])).unwrap();
        assert_eq!(placements(&authentication), ["path-prefix /bot{bot-token}"]);
    }

    #[test]
    fn a_bot_is_called_by_its_user_name() {
        let me = json!({"ok": true, "result": {
            "id": 123_456_789, "is_bot": true, "first_name": "Example", "username": "example_bot"}});
        let report = Report::new("Signed in as @example_bot").account("123456789", "@example_bot");
        assert_eq!(reply(200, &me), Ok(report));
    }

    #[test]
    fn an_error_in_the_body_counts_whatever_the_status() {
        let error = |code: u16, description: &str| json!({"ok": false, "error_code": code, "description": description});
        assert_eq!(
            reply(401, &error(401, "Unauthorized")),
            Err(Failure::unauthorized("Telegram answered 401: Unauthorized"))
        );
        assert_eq!(
            reply(200, &error(401, "Unauthorized")),
            Err(Failure::unauthorized("Telegram answered 401: Unauthorized"))
        );
        assert_eq!(
            reply(403, &error(403, "Forbidden: bot was blocked by the user")),
            Err(Failure::forbidden("Telegram answered 403: Forbidden: bot was blocked by the user"))
        );
        assert_eq!(
            reply(502, &error(502, "Bad Gateway")),
            Err(Failure::unavailable("Telegram answered 502: Bad Gateway"))
        );
    }

    #[test]
    fn a_token_of_the_wrong_form_is_a_wrong_token() {
        let body = json!({"ok": false, "error_code": 404, "description": "Not Found"});
        let words = "Telegram answered 404: Not Found (no bot has this token)";
        assert_eq!(reply(404, &body), Err(Failure::unauthorized(words)));
    }

    #[test]
    fn a_flood_says_how_long_to_wait() {
        let body = json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 5",
            "parameters": {"retry_after": 5}});
        let words = "Telegram answered 429: Too Many Requests: retry after 5";
        assert_eq!(reply(429, &body), Err(Failure::rate_limited(Some(5), words)));
    }

    #[test]
    fn an_answer_that_is_not_telegrams_is_judged_by_its_status() {
        let page = || testing::text(503, "<html>");
        assert_eq!(answered(page()), Err(Failure::unavailable("the service answered 503")));
        assert_eq!(answered(testing::text(200, "<html>")), Err(Failure::other("the service answered 200")));
    }
}
