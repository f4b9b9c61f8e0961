//! Judges a descriptor: every rule that it breaks, and where.

use std::collections::BTreeSet;

use semver::Version;
use url::Url;

use super::icon;
use crate::egress::{Values, expand_origins};
use crate::model::descriptor::{Descriptor, Field, FieldKind, Protocol, SignIn};
use crate::model::error::FieldProblem;
use crate::model::field;
use crate::model::id::kebab;
use crate::model::named::{EXTERNAL, NATIVE, PROTOCOL};
use crate::model::origin::{Origin, OriginError};
use crate::model::template::Template;

const DESCRIPTOR_BYTES: usize = 256 * 1024;
const FIELDS: usize = 64;
const PROTOCOLS: usize = 32;
const ORIGINS: usize = 64;
const CHOICES: usize = 256;

/// Names that templates take from the host itself.
const HOSTS_OWN: &[&str] = &["redirect-uri", "state", "code-verifier", "uuid"];
/// Names that a sign-in captures unasked.
const CAPTURED: &[&str] = &["access-token", "refresh-token", "expires-in", "expires-at", "code"];

/// Everything that is wrong with it; nothing where it may be installed.
pub(crate) fn judge(descriptor: &Descriptor) -> Vec<FieldProblem> {
    let mut judge = Judge { problems: Vec::new() };
    judge.descriptor(descriptor);
    judge.problems
}

struct Judge {
    problems: Vec<FieldProblem>,
}

impl Judge {
    fn say(&mut self, place: impl Into<String>, words: impl Into<String>) {
        self.problems.push(FieldProblem::new(format!("descriptor.{}", place.into()), modest(&words.into())));
    }

    fn say_of_all(&mut self, words: impl Into<String>) {
        self.problems.push(FieldProblem::new("descriptor", words));
    }

    fn descriptor(&mut self, descriptor: &Descriptor) {
        let size = serde_json::to_vec(descriptor).map_or(usize::MAX, |text| text.len());
        if size > DESCRIPTOR_BYTES {
            self.say_of_all(format!("has {size} bytes; at most {DESCRIPTOR_BYTES} are allowed"));
            return;
        }
        self.name("name", &descriptor.name);
        // Redirect URIs of principals begin so.
        if [NATIVE, EXTERNAL].contains(&descriptor.name.as_str()) {
            self.say("name", "is the host's own");
        }
        self.text("label", &descriptor.label, 1, 80);
        self.text("publisher", &descriptor.publisher, 1, 80);
        self.text("summary", &descriptor.summary, 1, 200);
        if let Err(error) = Version::parse(&descriptor.version) {
            self.say("version", format!("`{}` is not a semantic version: {error}", short(&descriptor.version)));
        }
        if descriptor.categories.len() > 8 {
            self.say("categories", "at most 8 are allowed");
        }
        for (at, category) in descriptor.categories.iter().enumerate() {
            self.text(&format!("categories[{at}]"), category, 1, 40);
        }
        if let Some(link) = &descriptor.documentation {
            self.link(link);
        }
        if let Some(svg) = &descriptor.icon_svg
            && let Err(words) = icon::judge(svg)
        {
            self.say("icon-svg", words);
        }
        self.protocols(descriptor);
        self.origins(descriptor);
    }

    fn link(&mut self, link: &str) {
        // A parser of URLs passes over blanks and line ends.
        let bare = link.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        match Url::parse(link) {
            Ok(url) if bare && url.scheme() == "https" && url.has_host() => {}
            _ => self.say("documentation", "must be an https:// link"),
        }
    }

    fn protocols(&mut self, descriptor: &Descriptor) {
        let mut settings = BTreeSet::new();
        self.fields("settings", &descriptor.settings, &mut settings, SignIn::None);
        if descriptor.protocols.is_empty() || descriptor.protocols.len() > PROTOCOLS {
            self.say("protocols", format!("there must be 1 to {PROTOCOLS}"));
        }
        let mut names = BTreeSet::new();
        for (at, protocol) in descriptor.protocols.iter().take(PROTOCOLS).enumerate() {
            let place = format!("protocols[{at}]");
            self.name(&format!("{place}.name"), &protocol.name);
            if protocol.name == PROTOCOL {
                self.say(format!("{place}.name"), "is the host's own: every connector has this protocol unasked");
            }
            if !names.insert(&protocol.name) {
                self.say(format!("{place}.name"), format!("`{}` stands there twice", short(&protocol.name)));
            }
            self.text(&format!("{place}.label"), &protocol.label, 1, 80);
            self.optional_text(&format!("{place}.help"), protocol.help.as_deref());
            let mut seen = settings.clone();
            self.fields(&format!("{place}.fields"), &protocol.fields, &mut seen, protocol.sign_in);
        }
    }

    fn fields<'a>(&mut self, place: &str, fields: &'a [Field], seen: &mut BTreeSet<&'a str>, sign_in: SignIn) {
        if fields.len() > FIELDS {
            self.say(place, format!("has {} fields; at most {FIELDS} are allowed", fields.len()));
        }
        for (at, field) in fields.iter().take(FIELDS).enumerate() {
            let place = format!("{place}[{at}]");
            self.name(&format!("{place}.name"), &field.name);
            if !seen.insert(&field.name) {
                self.say(format!("{place}.name"), format!("`{}` is the name of another field", short(&field.name)));
            }
            let reserved = HOSTS_OWN.contains(&field.name.as_str())
                || (sign_in != SignIn::None && CAPTURED.contains(&field.name.as_str()));
            if reserved {
                self.say(format!("{place}.name"), format!("`{}` is a name of the host's own", field.name));
            }
            self.field(&place, field);
        }
    }

    fn field(&mut self, place: &str, field: &Field) {
        self.text(&format!("{place}.label"), &field.label, 1, 80);
        self.optional_text(&format!("{place}.help"), field.help.as_deref());
        self.optional_text(&format!("{place}.placeholder"), field.placeholder.as_deref());
        if field.kind != FieldKind::Secret && names_a_secret(&field.name) {
            self.say(
                format!("{place}.kind"),
                format!("`{}` is named like a secret, so it must be of kind `secret`", short(&field.name)),
            );
        }
        if let FieldKind::Choice(choices) = &field.kind {
            for (at, choice) in choices.iter().take(CHOICES).enumerate() {
                self.text(&format!("{place}.kind[{at}].value"), &choice.value, 0, 200);
                self.text(&format!("{place}.kind[{at}].label"), &choice.label, 1, 80);
            }
            let values: BTreeSet<_> = choices.iter().map(|choice| &choice.value).collect();
            if choices.is_empty() || choices.len() > CHOICES {
                self.say(format!("{place}.kind"), format!("a choice has 1 to {CHOICES} values"));
            } else if values.len() < choices.len() {
                self.say(format!("{place}.kind"), "a value of the choice stands there twice");
            }
        }
        if let Some(pattern) = &field.pattern
            // By itself too: put into a group, half a pattern could become another whole one.
            && (pattern.len() > 500 || regex_lite::Regex::new(pattern).is_err() || field::whole(pattern).is_err())
        {
            self.say(
                format!("{place}.pattern"),
                "is not a regular expression of at most 500 characters and modest size",
            );
            return;
        }
        if let Some(default) = &field.default {
            if field.kind == FieldKind::Secret {
                self.say(format!("{place}.default"), "a secret has no default");
            } else if let Err(words) = field::check(field, default) {
                self.say(format!("{place}.default"), words);
            }
        }
    }

    fn origins(&mut self, descriptor: &Descriptor) {
        if descriptor.origins.is_empty() || descriptor.origins.len() > ORIGINS {
            self.say("origins", format!("there must be 1 to {ORIGINS}: requests may go nowhere else"));
        }
        for (at, origin) in descriptor.origins.iter().take(ORIGINS).enumerate() {
            let place = format!("origins[{at}]");
            match Template::parse(origin) {
                Err(error) => self.say(place, error.to_string()),
                Ok(template) => {
                    for name in template.names() {
                        self.origin_name(&place, descriptor, name);
                    }
                    self.origin_shape(&place, descriptor, &template, origin);
                }
            }
        }
    }

    fn origin_name(&mut self, place: &str, descriptor: &Descriptor, name: &str) {
        // What a sign-in captures is known only once it ran.
        let captures = descriptor.protocols.iter().any(|protocol: &Protocol| protocol.sign_in != SignIn::None);
        match field_of(descriptor, name) {
            Some(field) if field.kind == FieldKind::Secret => {
                self.say(place, format!("`{{{name}}}` is a secret; an origin is shown to everyone"));
            }
            Some(_) => {}
            None if captures => {}
            None => self.say(place, format!("`{{{name}}}` is no field of this connector")),
        }
    }

    fn origin_shape(&mut self, place: &str, descriptor: &Descriptor, template: &Template, text: &str) {
        let names: Vec<_> = template.names().collect();
        let alone = names.len() == 1 && text == format!("{{{}}}", names[0]);
        let url = |name: &str| field_of(descriptor, name).is_none_or(|field| field.kind == FieldKind::Url);
        if alone && url(names[0]) {
            return;
        }
        if names.iter().any(|name| field_of(descriptor, name).is_some_and(|field| field.kind == FieldKind::Url)) {
            self.say(place, "a url field is an origin by itself: nothing may stand beside it");
            return;
        }
        // A number fits a part of a name, and a port too.
        let sample = names.iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), "1"));
        match sample.parse::<Origin>() {
            Err(OriginError::Host { found: '*' }) => {
                let words = "has a wildcard; name a field instead, as in https://{subdomain}.example.com";
                self.say(place, format!("`{}` {words}", short(text)));
            }
            Err(error) => self.say(place, format!("`{}` {error}", short(text))),
            Ok(_origin) => self.origin_values(place, descriptor, &names, text),
        }
    }

    /// What free text may never do when a connection is made is told before there is one.
    fn origin_values(&mut self, place: &str, descriptor: &Descriptor, names: &[&str], text: &str) {
        let choices = |name: &str| match field_of(descriptor, name).map(|field| &field.kind) {
            Some(FieldKind::Choice(choices)) => choices.as_slice(),
            _ => &[],
        };
        let variants = names.iter().map(|name| choices(name).len()).max().unwrap_or(0).clamp(1, CHOICES);
        let refused = (0..variants).find_map(|variant| {
            let values = names.iter().fold(Values::new(), |values, &name| match choices(name) {
                [] => values.public(name, "1"),
                choices => values.choice(name, &choices[variant % choices.len()].value),
            });
            expand_origins(&[text.to_owned()], &values).err()
        });
        if let Some(error) = refused {
            self.say(place, error.to_string());
        }
    }

    fn name(&mut self, place: &str, name: &str) {
        if let Err(problem) = kebab(name) {
            self.say(place, format!("`{}` {problem}", short(name)));
        }
    }

    fn text(&mut self, place: &str, text: &str, least: usize, most: usize) {
        // Blanks fill nothing in, and make a text long all the same.
        let whole = text.chars().count();
        let length = if whole > most { whole } else { text.trim().chars().count() };
        if length < least || length > most {
            self.say(place, format!("must have {least} to {most} characters; it has {length}"));
        } else if text.chars().any(char::is_control) {
            self.say(place, "must not contain control characters");
        }
    }

    fn optional_text(&mut self, place: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(place, text, 0, 500);
        }
    }
}

fn field_of<'a>(descriptor: &'a Descriptor, name: &str) -> Option<&'a Field> {
    let protocols = descriptor.protocols.iter().flat_map(|protocol| &protocol.fields);
    descriptor.settings.iter().chain(protocols).find(|field| field.name == name)
}

/// Whether people would take a field of this name for a secret: `password`, `bot-token`, `api-key`.
fn names_a_secret(name: &str) -> bool {
    const LAST: &[&str] =
        &["password", "passwd", "passphrase", "secret", "token", "apikey", "credential", "credentials"];
    const KEYS: &[&str] = &["api-key", "secret-key", "private-key", "signing-key", "access-key", "secret-access-key"];
    let last = name.rsplit('-').next().unwrap_or(name);
    LAST.contains(&last) || KEYS.iter().any(|key| name == *key || name.ends_with(&format!("-{key}")))
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Words about a connector's text may hold some of it: they are one line of modest length all the same.
fn modest(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(settings: &serde_json::Value, origin: &str, icon: &str) -> Vec<String> {
        let protocol = json!({"name": "none", "label": "None", "sign-in": "none", "fields": []});
        let descriptor = json!({
            "name": "acme", "label": "Acme", "version": "1.0.0", "publisher": "Acme", "summary": "Orders",
            "categories": [], "lifecycle": "beta", "icon-svg": icon, "settings": settings, "protocols": [protocol],
            "origins": [origin],
        });
        let problems = judge(&serde_json::from_value(descriptor).unwrap());
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn words_about_a_descriptor_are_one_line_of_modest_length_whatever_it_holds() {
        let region = json!({"name": "region", "label": "Region", "kind": "text", "required": true, "pattern": "x",
            "default": "y", "placeholder": "\u{1b}[31m"});
        let icon = format!("<svg><{}/></svg>", "a".repeat(5_000));
        let problems = problems(&json!([region]), "https://{\u{1b}[31m}.example.com", &icon);
        assert_eq!(problems.len(), 4, "{problems:?}");
        for problem in problems {
            assert!(problem.chars().count() < 500 && !problem.contains('\u{1b}'), "{problem:?}");
        }
    }

    #[test]
    fn blanks_count_and_a_link_holds_none() {
        let field = |label: &str| json!([{"name": "a", "label": label, "kind": "text", "required": true}]);
        let said = |label: &str| problems(&field(label), "https://example.com", "<svg/>");
        assert_eq!(said(&" ".repeat(80)), ["descriptor.settings[0].label: must have 1 to 80 characters; it has 0"]);
        assert_eq!(
            said(&format!("a{}", " ".repeat(80))),
            ["descriptor.settings[0].label: must have 1 to 80 characters; it has 81"]
        );
        for link in ["ht\ntps://example.com", " https://example.com", "https://example.com/a b"] {
            let mut problems = Judge { problems: Vec::new() };
            problems.link(link);
            assert_eq!(problems.problems.len(), 1, "{link:?}");
        }
    }

    #[test]
    fn a_choice_is_shown_in_lines_as_everything_is() {
        let region = |value: &str, label: &str| {
            let choice = json!({"choice": [{"value": value, "label": label}]});
            let region = json!({"name": "region", "label": "Region", "kind": choice, "required": true});
            problems(&json!([region]), "https://example.com", "<svg/>")
        };
        assert_eq!(region("eu", "Europe"), [""; 0]);
        assert_eq!(region("eu", ""), ["descriptor.settings[0].kind[0].label: must have 1 to 80 characters; it has 0"]);
        assert_eq!(
            region("e\nu", "Europe"),
            ["descriptor.settings[0].kind[0].value: must not contain control characters"]
        );
    }
}
