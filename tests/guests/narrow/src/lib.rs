//! Version 1.0.0 of `upgradable`, whose next version is `wide`.

use guest_kit::{Descriptor, Guest, descriptor, protocol, required_secret};

struct Narrow;

impl Guest for Narrow {
    const NAME: &str = "upgradable";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        described.protocols.push(protocol("retired", vec![required_secret("key")]));
        described
    }
}

guest_kit::guest!(Narrow);
