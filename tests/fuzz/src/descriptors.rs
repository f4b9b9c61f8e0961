//! What a descriptor may say: whatever passes is as every page and every form of the host takes it to be.

use std::collections::HashSet;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use turnbuckle::fuzzing::{self, Kind, Values};
use turnbuckle::{Descriptor, Field, FieldKind};

/// A descriptor as JSON.
pub fn check(input: &[u8]) {
    let Ok(descriptor) = serde_json::from_slice::<Descriptor>(input) else { return };
    let written = serde_json::to_vec(&descriptor).expect("a descriptor is JSON");
    assert_eq!(serde_json::from_slice::<Descriptor>(&written).ok().as_ref(), Some(&descriptor));
    let problems = fuzzing::judge(&descriptor);
    for problem in &problems {
        assert!(problem.field.starts_with("descriptor"), "{problem:?}");
        assert!(!problem.message.chars().any(char::is_control), "words for a terminal: {problem:?}");
        assert!(problem.message.chars().count() < 400, "words without end: {problem:?}");
    }
    if problems.is_empty() {
        is_named(&descriptor);
        if let Some(svg) = &descriptor.icon_svg {
            is_a_picture(svg);
        }
        for protocol in &descriptor.protocols {
            let fields: Vec<_> = descriptor.fields(protocol).collect();
            fields_are_sound(&fields);
            reaches_what_it_says(&descriptor, &fields);
        }
    }
}

pub(crate) fn is_kebab(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(word)
}

fn is_named(descriptor: &Descriptor) {
    assert!(is_kebab(&descriptor.name), "{}", descriptor.name);
    descriptor.version.parse::<semver::Version>().expect("a version that is not refused");
    let texts = [&descriptor.label, &descriptor.publisher, &descriptor.summary];
    for text in texts.into_iter().chain(&descriptor.categories) {
        assert!(
            !text.trim().is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control),
            "{text:?}"
        );
    }
    if let Some(link) = &descriptor.documentation {
        assert!(link.to_ascii_lowercase().starts_with("https:") && !link.contains(char::is_whitespace), "{link:?}");
    }
    let names: HashSet<_> = descriptor.protocols.iter().map(|protocol| &protocol.name).collect();
    assert_eq!(names.len(), descriptor.protocols.len());
}

fn fields_are_sound(fields: &[&Field]) {
    let names: HashSet<_> = fields.iter().map(|field| &field.name).collect();
    assert_eq!(names.len(), fields.len(), "a name stands there twice");
    for field in fields {
        assert!(is_kebab(&field.name), "{field:?}");
        for word in ["password", "token", "secret", "api-key"] {
            assert!(field.kind == FieldKind::Secret || !field.name.ends_with(word) || !is_word(&field.name, word));
        }
        if let Some(default) = &field.default {
            assert_ne!(field.kind, FieldKind::Secret);
            let kept = fuzzing::typed(field, default).expect("a default may stand in its field");
            assert_eq!(fuzzing::typed(field, &kept).as_ref(), Ok(&kept), "what is kept is kept otherwise");
        }
        if let FieldKind::Choice(choices) = &field.kind {
            for choice in choices {
                let shown = [&choice.value, &choice.label];
                assert!(shown.iter().all(|text| text.chars().count() <= 200 && !text.chars().any(char::is_control)));
            }
        }
        for value in ["", "a", "1", "true", "https://example.com", "\u{1b}[31m", "a\nb"] {
            if let Err(words) = fuzzing::typed(field, value) {
                assert!(!words.is_empty());
            }
        }
    }
}

/// Whether a name ends in this word, and not only in its letters.
fn is_word(name: &str, word: &str) -> bool {
    name.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('-'))
}

/// Whatever a person types, requests go to the connector's own domains, or to an address that this person typed as a whole.
fn reaches_what_it_says(descriptor: &Descriptor, fields: &[&Field]) {
    let typed = |text: &'static str| {
        let given = fields.iter().map(move |field| {
            let name = field.name.as_str();
            match &field.kind {
                FieldKind::Text => (Kind::Text, name, text),
                FieldKind::Integer => (Kind::Text, name, "8443"),
                FieldKind::Boolean => (Kind::Text, name, "true"),
                FieldKind::Url => (Kind::Url, name, "https://typed.example.org"),
                FieldKind::Choice(choices) => (Kind::Choice, name, choices[0].value.as_str()),
                FieldKind::Secret => (Kind::Secret, name, "s3cret-value"),
            }
        });
        Values::new(given)
    };
    // A choice may be written with the very letters.
    let written = serde_json::to_string(descriptor).expect("a descriptor is JSON").contains("s3cret");
    for origin in &descriptor.origins {
        let one = |text| fuzzing::origins(std::slice::from_ref(origin), &typed(text));
        let (Ok(first), Ok(second)) = (one("acme"), one("evil-7")) else { continue };
        for (first, second) in first.iter().zip(&second) {
            assert!(written || !first.to_string().contains("s3cret"), "{origin} shows a secret");
            assert_eq!(first.scheme(), second.scheme(), "{origin}");
            if first != second && first.port() == second.port() {
                let (first, second) = (registered(first.host()), registered(second.host()));
                assert!(first.is_some() && first == second, "what is typed decides whose domain {origin} is");
            }
        }
    }
}

/// The part of a name that somebody registered, by the suffixes of registries alone.
pub(crate) fn registered(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.split('.').collect();
    let suffix = (0..labels.len()).find(|&from| {
        let name = labels[from..].join(".");
        psl::suffix(name.as_bytes())
            .is_some_and(|suffix| suffix.as_bytes() == name.as_bytes() && suffix.typ() != Some(psl::Type::Private))
    })?;
    Some(labels[suffix.checked_sub(1)?..].join("."))
}

/// By another parser than the host's: nothing in it acts, and nothing refers to elsewhere.
fn is_a_picture(svg: &str) {
    let mut reader = Reader::from_str(svg);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => is_harmless(svg, &element),
            Ok(Event::DocType(_) | Event::PI(_)) => panic!("more than a drawing: {svg}"),
            Ok(Event::Eof) => return,
            Ok(_) => {}
            // Where the two read it otherwise, the host's own is the stricter one in all that acts.
            Err(_) => return,
        }
    }
}

fn is_harmless(svg: &str, element: &BytesStart<'_>) {
    let name = String::from_utf8_lossy(element.local_name().as_ref()).to_ascii_lowercase();
    for bad in ["script", "foreignobject", "image", "iframe", "style", "a", "animate", "set", "feimage", "link"] {
        assert_ne!(name, bad, "{svg}");
    }
    for attribute in element.attributes() {
        let Ok(attribute) = attribute else { continue };
        let key = String::from_utf8_lossy(attribute.key.as_ref()).to_ascii_lowercase();
        if key == "xmlns" || key.starts_with("xmlns:") {
            continue;
        }
        let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else { continue };
        let value = value.trim().to_ascii_lowercase();
        let local = key.rsplit(':').next().unwrap_or_default();
        assert!(!local.starts_with("on") && local != "style", "{key} acts: {svg}");
        assert!(local != "href" || value.starts_with('#'), "{key} refers to elsewhere: {svg}");
        // CSS reads `\75 rl(` as `url(`, and `image-set(` and `src(` fetch too.
        for function in value.split('(').rev().skip(1) {
            let name = function.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '\\').next();
            assert!(!name.unwrap_or_default().contains('\\'), "{key} hides a function: {svg}");
        }
        for fetched in ["url(", "src(", "image(", "image-set("] {
            for behind in value.split(fetched).skip(1) {
                let target = behind.trim_start_matches([' ', '\'', '"', '\t', '\n']);
                assert!(target.starts_with('#'), "{key} refers to elsewhere: {svg}");
            }
        }
    }
}
