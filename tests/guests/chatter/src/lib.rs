//! Prints 10 MiB in `describe` and in `test`, on both streams, then answers; the last line is `chatter: the end`.

use std::io::Write as _;

use guest_kit::{Connection, Descriptor, Failure, Guest, Report, descriptor, report};

struct Chatter;

impl Guest for Chatter {
    const NAME: &str = "chatter";

    fn describe() -> Descriptor {
        chat();
        descriptor(Self::NAME)
    }

    fn test(_connection: Connection) -> Result<Report, Failure> {
        chat();
        Ok(report("said it all"))
    }
}

fn chat() {
    let line = [b"la".repeat(2047), b"\n".to_vec()].concat();
    let lines = (10 << 20) / line.len();
    for number in 0..lines {
        // A host that stops listening is no reason to stop.
        drop(if number % 2 == 0 { std::io::stdout().write_all(&line) } else { std::io::stderr().write_all(&line) });
    }
    eprintln!("chatter: the end");
}

guest_kit::guest!(Chatter);
