//! Its `test` makes resources of the host without end and drops none.

use guest_kit::{Connection, Failure, Guest, Report, report};
use wasip2::http::types::Fields;

struct Handles;

impl Guest for Handles {
    const NAME: &str = "handles";

    fn test(_connection: Connection) -> Result<Report, Failure> {
        let mut held = Vec::new();
        while std::hint::black_box(true) {
            held.push(Fields::new());
        }
        Ok(report(format!("{} handles", held.len())))
    }
}

guest_kit::guest!(Handles);
