//! Its `test` logs `about to give up` and panics with `the test of trap-test gives up`.

use guest_kit::{Connection, Failure, Guest, Report};

struct TrapTest;

impl Guest for TrapTest {
    const NAME: &str = "trap-test";

    fn test(_connection: Connection) -> Result<Report, Failure> {
        println!("about to give up");
        panic!("the test of trap-test gives up");
    }
}

guest_kit::guest!(TrapTest);
