//! Its descriptor breaks one rule, chosen by the two digits that stand in the component behind `RULE:`.
//!
//! `RULE:00` breaks none. A test overwrites the digits in the component's bytes (they stand there once, uncompressed)
//! with those of a rule, so one build serves all rules; [`broken`] says which is which.

use guest_kit::{Choice, Descriptor, Field, FieldKind, Guest, Protocol, descriptor, field, protocol, required_secret};

static RULE: [u8; 7] = *b"RULE:00";

struct BadDescriptor;

impl Guest for BadDescriptor {
    const NAME: &str = "bad-descriptor";

    fn describe() -> Descriptor {
        // Without this the compiler would know the digits and leave them out.
        let [.., tens, ones] = *std::hint::black_box(&RULE);
        broken((tens - b'0') * 10 + (ones - b'0'))
    }
}

fn broken(rule: u8) -> Descriptor {
    let mut described = descriptor(BadDescriptor::NAME);
    let text = |name: &str| field(name, FieldKind::Text);
    let choice = |value: &str| Choice { value: value.into(), label: value.into() };
    let icon = |inside: &str| Some(format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'>{inside}</svg>"));
    match rule {
        0 => {}
        1 => described.name = "Bad_Descriptor".into(),
        2 => described.label = String::new(),
        3 => described.label = "a".repeat(81),
        4 => described.summary = "a".repeat(201),
        5 => described.publisher = "Te\u{1b}[31msts".into(),
        6 => described.version = "1.0".into(),
        7 => described.categories = (0..9).map(|number| format!("Category {number}")).collect(),
        8 => described.documentation = Some("http://docs.example.com/".into()),
        9 => described.icon_svg = icon("<script>alert(1)</script>"),
        10 => described.icon_svg = Some("an icon".into()),
        11 => described.protocols.clear(),
        12 => described.protocols.push(protocol("none", vec![])),
        13 => described.settings.push(text("path")),
        14 => described.protocols.push(protocol("again", vec![text("path")])),
        15 => described.settings.push(text("Base Path")),
        16 => described.settings.push(text("uuid")),
        17 => described.settings.push(text("api-key")),
        18 => described.settings.push(field("region", FieldKind::Choice(vec![]))),
        19 => described.settings.push(field("region", FieldKind::Choice(vec![choice("eu"), choice("eu")]))),
        20 => described.settings.push(Field { pattern: Some("[a-z".into()), ..text("region") }),
        21 => described.protocols[1].fields[0].default = Some("hunter2".into()),
        22 => described.settings.push(Field { default: Some("many".into()), ..field("pages", FieldKind::Integer) }),
        23 => described.origins.clear(),
        24 => described.origins.push("https://{path.example.com".into()),
        25 => described.origins.push("https://{region}.example.com".into()),
        26 => described.origins.push("https://{token}.example.com".into()),
        27 => described.origins.push("{url}/api".into()),
        28 => described.origins.push("https://api.example.com/v1".into()),
        29 => described.origins.push("ftp://files.example.com".into()),
        30 => described.summary = "a".repeat(300 << 10),
        31 => described.settings.extend((0..64).map(|number| text(&format!("setting-{number}")))),
        32 => described.protocols.extend((0..32).map(|number| protocol(&format!("protocol-{number}"), vec![]))),
        33 => described.origins.extend((0..64).map(|number| format!("https://api-{number}.example.com"))),
        34 => described.protocols.push(protocol("API Key", vec![])),
        35 => described.icon_svg = icon("<g onload='alert(1)'/>"),
        36 => described.icon_svg = icon("<use href='https://attacker.example/icon.svg'/>"),
        37 => described.icon_svg = icon(&format!("<desc>{}</desc>", "a".repeat(33 << 10))),
        38 => described.protocols.push(Protocol { help: Some("a".repeat(501)), ..protocol("helpful", vec![]) }),
        39 => described.origins.push("https://user:password@api.example.com".into()),
        // Three at once, which are reported together.
        40 => {
            described.version = "one".into();
            described.protocols = vec![protocol("token", vec![required_secret("token"), text("password")])];
            described.origins.clear();
        }
        other => panic!("there is no rule {other}"),
    }
    described
}

guest_kit::guest!(BadDescriptor);
