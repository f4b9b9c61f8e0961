//! Its `describe` prints without end, on both streams.

use std::io::Write as _;

use guest_kit::{Descriptor, Guest, descriptor};

struct Babbler;

impl Guest for Babbler {
    const NAME: &str = "babbler";

    fn describe() -> Descriptor {
        let line = [b"la".repeat(2047), b"\n".to_vec()].concat();
        while std::hint::black_box(true) {
            // A host that stops listening is no reason to stop.
            drop(std::io::stdout().write_all(&line));
            drop(std::io::stderr().write_all(&line));
        }
        descriptor(Self::NAME)
    }
}

guest_kit::guest!(Babbler);
