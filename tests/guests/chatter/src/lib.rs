//! Prints 10 MiB in `describe`, on both streams, then answers; its `test` never stops printing.

use std::io::Write as _;

use guest_kit::{Connection, Descriptor, Failure, Guest, Report, descriptor, report};

struct Chatter;

impl Guest for Chatter {
    const NAME: &str = "chatter";

    fn describe() -> Descriptor {
        chat((10 << 20) / LINE);
        eprintln!("chatter: the end");
        descriptor(Self::NAME)
    }

    fn test(_connection: Connection) -> Result<Report, Failure> {
        chat(usize::MAX);
        Ok(report("said it all"))
    }
}

const LINE: usize = 4096;

fn chat(lines: usize) {
    let line = [vec![b'a'; LINE - 1], b"\n".to_vec()].concat();
    for number in 0..lines {
        // A host that stops listening is no reason to stop.
        drop(if number % 2 == 0 { std::io::stdout().write_all(&line) } else { std::io::stderr().write_all(&line) });
    }
}

guest_kit::guest!(Chatter);
