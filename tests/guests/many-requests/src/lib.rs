//! Its `test` sends 41 requests, `/0` to `/40`, and counts those that were answered; the first error stands beside.

use guest_kit::{Connection, Failure, Guest, Report, http, report, setting};

const REQUESTS: usize = 41;

struct ManyRequests;

impl Guest for ManyRequests {
    const NAME: &str = "many-requests";

    fn test(connection: Connection) -> Result<Report, Failure> {
        let url = setting(&connection, "url");
        let outcomes: Vec<_> =
            (0..REQUESTS).map(|number| http::Request::new("GET", &format!("{url}/{number}")).send()).collect();
        let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let mut shown = report(format!("{answered} of {REQUESTS} requests were answered"));
        shown.discovered.push(("answered".into(), answered.to_string()));
        if let Some(error) = outcomes.into_iter().find_map(Result::err) {
            shown.discovered.push(("error".into(), error));
        }
        Ok(shown)
    }
}

guest_kit::guest!(ManyRequests);
