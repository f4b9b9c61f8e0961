//! Installs well; its `test` takes memory without end.

use guest_kit::{Connection, Failure, Guest, Report, report};

struct HogTest;

impl Guest for HogTest {
    const NAME: &str = "hog-test";

    fn test(_connection: Connection) -> Result<Report, Failure> {
        let mut taken = Vec::new();
        while std::hint::black_box(true) {
            taken.push(vec![1_u8; 1 << 20]);
        }
        Ok(report(taken.len().to_string()))
    }
}

guest_kit::guest!(HogTest);
