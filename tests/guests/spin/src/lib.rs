//! Its `describe` never ends.

use guest_kit::{Descriptor, Guest, descriptor};

struct Spin;

impl Guest for Spin {
    const NAME: &str = "spin";

    fn describe() -> Descriptor {
        while std::hint::black_box(true) {}
        descriptor(Self::NAME)
    }
}

guest_kit::guest!(Spin);
