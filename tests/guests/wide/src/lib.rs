//! Version 2.0.0 of `upgradable` wants more than `narrow` did: another origin and more fields, but one protocol less.
//!
//! New are the origin `https://telemetry.example.net`, the setting `region` with a default, and the field `tenant`, which
//! the protocol `token` requires, so connections with a token need attention. The protocol `retired` is gone.

use guest_kit::{Descriptor, Field, FieldKind, Guest, descriptor, field};

struct Wide;

impl Guest for Wide {
    const NAME: &str = "upgradable";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        described.version = "2.0.0".into();
        described.origins.push("https://telemetry.example.net".into());
        described.settings.push(Field { default: Some("eu".into()), ..field("region", FieldKind::Text) });
        described.protocols[1].fields.push(Field { required: true, ..field("tenant", FieldKind::Text) });
        described
    }
}

guest_kit::guest!(Wide);
