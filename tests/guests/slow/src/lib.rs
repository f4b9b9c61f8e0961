//! Its `test` waits for `/slow`, which the upstream may leave unanswered.

use guest_kit::{Connection, Failure, FailureKind, Guest, Report, failure, http, report, setting};

struct Slow;

impl Guest for Slow {
    const NAME: &str = "slow";

    fn test(connection: Connection) -> Result<Report, Failure> {
        let answer = http::Request::new("GET", &format!("{}/slow", setting(&connection, "url"))).send();
        let answer = answer.map_err(|error| failure(FailureKind::Unavailable, error))?;
        Ok(report(format!("the service answered {} at last", answer.status)))
    }
}

guest_kit::guest!(Slow);
