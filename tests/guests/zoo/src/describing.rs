//! Attacks by what a connector says of itself, and while it says so.

use std::hint::black_box;

use guest_kit::{Choice, Descriptor, Field, FieldKind, field, http, protocol};
use wasip2::clocks::wall_clock;

/// A test writes the name of an attack over the bytes behind the colon, padded with spaces.
static CHOSEN: [u8; 41] = *b"DESCRIBE:none                            ";

pub(crate) fn attack(mut described: Descriptor) -> Descriptor {
    // Without this the compiler would know the name and leave the others out.
    let chosen = black_box(&CHOSEN);
    let icon = |inside: &str| Some(format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'>{inside}</svg>"));
    let text = |name: &str| field(name, FieldKind::Text);
    match std::str::from_utf8(&chosen[9..]).unwrap_or_default().trim_end() {
        "describe-loop" => crate::spin(),
        "describe-loop-in-host-calls" => loop {
            black_box(wall_clock::now());
        },
        "describe-memory" => crate::hold_memory(),
        "describe-stack" => crate::dig_for_ever(),
        "describe-sleep" => crate::sleep_for_ever(),
        "describe-flood" => crate::talk_for_ever(),
        "describe-huge-text" => described.summary = "a".repeat(20 << 20),
        "describe-large-text" => described.summary = "a".repeat(1 << 20),
        "describe-huge-list" => described.settings = vec![text("one"); 100_000],
        "describe-nested-lists" => described.protocols = nested(),
        "describe-network" => {
            let said = http::Request::new("GET", "https://attacker.example/").send();
            described.summary = said.err().unwrap_or_else(|| "it was answered".into());
        }
        "describe-files" => described.summary = format!("{:?}", std::fs::read("/etc/passwd").map_err(|e| e.kind())),
        "describe-by-clock" => described.summary = format!("{:?}", wall_clock::now()),
        "icon-script" => described.icon_svg = icon("<script>alert(1)</script>"),
        "icon-handler" => described.icon_svg = icon("<g onload='alert(1)'/>"),
        "icon-link" => described.icon_svg = icon("<a href='javascript:alert(1)'><g/></a>"),
        "icon-foreign" => {
            described.icon_svg = icon("<foreignObject><iframe src='//attacker.example'/></foreignObject>")
        }
        "icon-entities" => {
            described.icon_svg = Some(format!("<!DOCTYPE svg [<!ENTITY a 'aa'>]>{}", icon("&a;").unwrap_or_default()))
        }
        "link-script" => described.documentation = Some("javascript:alert(1)".into()),
        "name-path" => described.name = "../../connectors/http".into(),
        "name-control" => described.label = "zoo\u{1b}]0;owned\u{7}".into(),
        "template-open" => described.origins.push("https://{path.zoo.example".into()),
        "template-nested" => described.origins.push("https://{{{path}}}.zoo.example".into()),
        "template-in-name" => described.origins.push("https://{{path}.zoo.example".into()),
        "template-unknown" => described.origins.push("https://{elsewhere}.zoo.example".into()),
        "template-secret" => described.origins.push("https://{token}.zoo.example".into()),
        "template-recursive" => {
            described.settings.push(Field { default: Some("{again}".into()), ..text("again") });
            described.origins.push("https://{again}.zoo.example".into());
        }
        "origin-wildcard" => described.origins.push("https://*.zoo.example".into()),
        "origin-free" => described.origins.push("https://{path}".into()),
        "origin-free-domain" => described.origins.push("https://{path}.com".into()),
        "origin-free-suffix" => described.origins.push("https://{path}.co.uk".into()),
        "origin-free-in-domain" => described.origins.push("https://api{path}zoo.example".into()),
        "origin-user" => described.origins.push("https://user@zoo.example".into()),
        "origin-path" => described.origins.push("https://zoo.example/v1".into()),
        "origin-scheme" => described.origins.push("ftp://zoo.example".into()),
        _ => {}
    }
    described
}

/// Lists in lists in lists, each within its own limit.
fn nested() -> Vec<guest_kit::Protocol> {
    let choice = |number: usize| Choice { value: format!("value {number}"), label: "a".repeat(80) };
    let choices: Vec<_> = (0..256).map(choice).collect();
    let fields: Vec<_> =
        (0..16).map(|number| field(&format!("field-{number}"), FieldKind::Choice(choices.clone()))).collect();
    (0..32).map(|number| protocol(&format!("protocol-{number}"), fields.clone())).collect()
}
