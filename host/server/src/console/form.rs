//! Forms: fields as a descriptor names them, what stands in them, and what is wrong with them.

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use turnbuckle::{self, FieldKind, FieldProblem, Secret};

use super::answer::sentence;
use super::gate::{Posted, SECRET};
use super::words;

/// Names of fields that are not secret begin so.
pub(crate) const SETTING: &str = "s.";

/// One input.
#[derive(Debug, Clone, Default, Template)]
#[template(path = "field.html")]
pub(crate) struct Field {
    /// As the host names it where it is wrong.
    pub(crate) key: String,
    pub(crate) id: String,
    /// As the form sends it.
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) help: String,
    pub(crate) placeholder: String,
    pub(crate) kind: &'static str,
    pub(crate) choices: Vec<(String, String)>,
    pub(crate) required: bool,
    pub(crate) value: String,
    /// A secret that is there already and may be left blank.
    pub(crate) stored: bool,
    pub(crate) wrong: Option<String>,
}

impl HtmlSafe for Field {}

impl Field {
    /// A field of the form itself.
    pub(crate) fn own(key: &str, label: &str, kind: &'static str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            id: format!("own-{key}"),
            name: key.to_owned(),
            label: label.to_owned(),
            kind,
            value: value.to_owned(),
            ..Self::default()
        }
    }

    /// A secret of the form itself.
    pub(crate) fn secret(key: &str, label: &str, stored: bool) -> Self {
        let field = Self { name: format!("{SECRET}{key}"), stored, ..Self::own(key, label, "secret", "") };
        if stored { field.help("Leave it blank to keep the one that is stored.") } else { field }
    }

    /// What stands in it, as a person reads it.
    pub(crate) fn shown(&self) -> String {
        let chosen = self.choices.iter().find(|(value, _)| *value == self.value).map(|(_, label)| label.as_str());
        match (self.kind, chosen) {
            ("boolean", _) => if self.value == "true" { "yes" } else { "no" }.to_owned(),
            (_, Some(label)) => format!("“{label}”"),
            (_, None) if self.value.is_empty() => "nothing".to_owned(),
            (_, None) => format!("“{}”", self.value),
        }
    }

    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) fn help(self, help: &str) -> Self {
        Self { help: help.to_owned(), ..self }
    }

    pub(crate) fn choices(self, choices: Vec<(String, String)>) -> Self {
        Self { choices, ..self }
    }

    pub(crate) fn placeholder(self, placeholder: &str) -> Self {
        Self { placeholder: placeholder.to_owned(), ..self }
    }

    /// A field of a connector with what stands in it.
    pub(crate) fn of(field: &turnbuckle::Field, value: Option<&str>, stored: bool) -> Self {
        let secret = field.kind == FieldKind::Secret;
        let help = field.help.clone().unwrap_or_default();
        let kept = "Leave it blank to keep the one that is stored.";
        let help = match (stored, help.is_empty()) {
            (false, _) => help,
            (true, true) => kept.to_owned(),
            (true, false) => format!("{} {kept}", sentence(&help)),
        };
        let choices = match &field.kind {
            FieldKind::Choice(choices) => {
                choices.iter().map(|choice| (choice.value.clone(), choice.label.clone())).collect()
            }
            FieldKind::Text | FieldKind::Secret | FieldKind::Url | FieldKind::Integer | FieldKind::Boolean => {
                Vec::new()
            }
        };
        Self {
            key: field.name.clone(),
            id: format!("field-{}", field.name),
            name: format!("{}{}", if secret { SECRET } else { SETTING }, field.name),
            label: field.label.clone(),
            help,
            placeholder: field.placeholder.clone().unwrap_or_default(),
            kind: words::kind(&field.kind),
            choices,
            required: field.required,
            // A secret is never written into a page.
            value: if secret {
                String::new()
            } else {
                value.or(field.default.as_deref()).unwrap_or_default().to_owned()
            },
            stored,
            wrong: None,
        }
    }
}

/// What a summary says of one problem, and where it leads.
#[derive(Debug, Clone)]
pub(crate) struct Wrong {
    pub(crate) target: String,
    pub(crate) label: String,
    pub(crate) words: String,
}

/// The fields of a form, and what is wrong with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    pub(crate) fields: Vec<Field>,
    pub(crate) problems: Vec<Wrong>,
}

impl Form {
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self { fields, problems: Vec::new() }
    }

    /// Says beside each field, and in sum, what is wrong.
    pub(crate) fn blame(&mut self, problems: Vec<FieldProblem>) {
        for problem in problems {
            let words = sentence(&problem.message);
            match self.fields.iter_mut().find(|field| field.key == problem.field && field.wrong.is_none()) {
                Some(field) => {
                    self.problems.push(Wrong {
                        target: field.id.clone(),
                        // Some words begin with it already.
                        label: if words.starts_with(&field.label) { String::new() } else { field.label.clone() },
                        words: words.clone(),
                    });
                    field.wrong = Some(words);
                }
                None => {
                    let words = format!("{}: {}", problem.field, problem.message);
                    self.problems.push(Wrong { target: String::new(), label: String::new(), words });
                }
            }
        }
    }

    /// Says something of the form as a whole.
    pub(crate) fn object(&mut self, words: &str) {
        self.problems.push(Wrong { target: String::new(), label: String::new(), words: sentence(words) });
    }

    pub(crate) fn headline(&self) -> String {
        match self.problems.iter().filter(|problem| !problem.target.is_empty()).count() {
            0 => "This can't be saved as it is".to_owned(),
            1 => "One field is wrong. Nothing was saved".to_owned(),
            several => format!("{several} fields are wrong. Nothing was saved"),
        }
    }
}

/// What was typed into fields of a connector that are not secret, from a form.
pub(crate) fn settings(posted: &Posted) -> BTreeMap<String, String> {
    // The box of a field that is yes or no sends its value after the one that says no.
    posted.below(SETTING).map(|(name, value)| (name.to_owned(), value.expose().to_owned())).collect()
}

/// Secrets that were typed.
pub(crate) fn secrets(posted: &Posted) -> BTreeMap<String, Secret> {
    let given = posted.below(SECRET).filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// What a URL says should stand in a form: what was typed before somebody had to sign in again.
pub(crate) fn drafted(query: &[(String, String)]) -> BTreeMap<String, String> {
    let settings = query.iter().filter_map(|(name, value)| Some((name.strip_prefix(SETTING)?, value)));
    settings.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

pub(crate) fn asked<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
