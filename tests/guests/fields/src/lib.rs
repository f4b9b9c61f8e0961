//! Behaves: its form has a field of every kind.

use guest_kit::{
    Authentication, Choice, Connection, Descriptor, Failure, Field, FieldKind, Guest, Placement, descriptor, field,
    nothing, parameter, protocol, required_secret,
};

struct Fields;

impl Guest for Fields {
    const NAME: &str = "fields";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        let choice = |value: &str| Choice { value: value.into(), label: value.to_uppercase() };
        described.settings.extend([
            field("verify", FieldKind::Boolean),
            field("region", FieldKind::Choice(vec![choice("eu"), choice("us")])),
            field("pages", FieldKind::Integer),
            Field {
                pattern: Some("[A-Z]{3}".into()),
                placeholder: Some("ABC".into()),
                ..field("code", FieldKind::Text)
            },
            field("note", FieldKind::Text),
            field("remark", FieldKind::Text),
        ]);
        described.protocols = vec![protocol("pair", vec![required_secret("key"), required_secret("token")])];
        described
    }

    fn authenticate(_connection: Connection) -> Result<Authentication, Failure> {
        let header = |name: &str, value: &str| Placement::Header(parameter(name, value));
        Ok(Authentication {
            placements: vec![header("X-Api-Key", "{key}"), header("Authorization", "Bearer {token}")],
            ..nothing()
        })
    }
}

guest_kit::guest!(Fields);
