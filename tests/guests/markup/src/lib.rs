//! Behaves, and says of itself everything that a page could take for something else than words: markup, text from right to
//! left, marks that turn a line around, words that fit nowhere.

use guest_kit::{
    Connection, Descriptor, Failure, FailureKind, Field, FieldKind, Guest, Report, descriptor, failure, field,
    protocol, required_secret,
};

struct Markup;

/// Longer than a phone is wide.
const LONG: &str = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamten";

impl Guest for Markup {
    const NAME: &str = "markup";

    fn describe() -> Descriptor {
        let mut described = Descriptor {
            label: "<b>Bold</b> & \"Co\"".into(),
            publisher: "שלום עולם (publisher)".into(),
            summary: format!("<img src=x onerror=alert(1)> {LONG}{LONG}"),
            categories: vec!["'><script>alert(2)</script>".into()],
            icon_svg: Some(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"7\" fill=\"#c62\"/></svg>"
                    .into(),
            ),
            ..descriptor(Self::NAME)
        };
        described.settings.push(Field {
            label: format!("{} مرحبا بالعالم", &LONG[..50]),
            help: Some("\u{202e}gnihtemos esle <script>alert(3)</script>".into()),
            placeholder: Some("\" autofocus onfocus=\"alert(4)".into()),
            ..field("note", FieldKind::Text)
        });
        described.protocols =
            vec![protocol("token", vec![Field { label: "</label><h1>Token</h1>".into(), ..required_secret("token") }])];
        described
    }

    fn test(_connection: Connection) -> Result<Report, Failure> {
        Err(failure(FailureKind::Forbidden, format!("</p><script>alert(5)</script> {LONG}{LONG}{LONG}")))
    }
}

guest_kit::guest!(Markup);
