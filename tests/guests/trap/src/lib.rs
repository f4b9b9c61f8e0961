//! Its `describe` panics with `the describe of trap gives up`, as last line of its log.

use guest_kit::{Descriptor, Guest, last_words_on_one_line};

struct Trap;

impl Guest for Trap {
    const NAME: &str = "trap";

    fn describe() -> Descriptor {
        last_words_on_one_line();
        panic!("the describe of trap gives up");
    }
}

guest_kit::guest!(Trap);
