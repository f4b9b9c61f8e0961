//! Its `describe` takes memory without end.

use guest_kit::{Descriptor, Guest, descriptor};

struct Hog;

impl Guest for Hog {
    const NAME: &str = "hog";

    fn describe() -> Descriptor {
        let mut taken = Vec::new();
        while std::hint::black_box(true) {
            taken.push(vec![1_u8; 1 << 20]);
        }
        Descriptor { summary: taken.len().to_string(), ..descriptor(Self::NAME) }
    }
}

guest_kit::guest!(Hog);
