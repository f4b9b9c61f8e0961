//! Installs well; its `test` never ends.

use guest_kit::{Connection, Failure, Guest, Report, probe};

struct SpinTest;

impl Guest for SpinTest {
    const NAME: &str = "spin-test";

    fn test(connection: Connection) -> Result<Report, Failure> {
        while std::hint::black_box(true) {}
        probe(&connection)
    }
}

guest_kit::guest!(SpinTest);
