//! Whether a value may stand in a field.

use super::descriptor::{Field, FieldKind};
use super::origin::Origin;

/// The longest value of a field: a PEM chain fits.
const VALUE_BYTES: usize = 64 * 1024;
/// The longest secret: a chain of certificates has half of it. Each is looked for in some fifty forms in every answer.
const SECRET_BYTES: usize = 16 * 1024;

/// The longest value that a pattern is tried on, and the largest pattern: together they bound how long it takes, since
/// patterns are the connector's and are tried outside of its sandbox.
const PATTERNED_BYTES: usize = 4 * 1024;
const PATTERN_SIZE: usize = 128 << 10;

/// A pattern that the whole value must match.
pub(crate) fn whole(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_SIZE).build()
}

/// The one spelling that is kept: a URL as it is dialled, so that what the connector reads, what people see and what is judged
/// are the same.
pub(crate) fn normal(field: &Field, value: &str) -> String {
    match (&field.kind, value.parse::<Origin>()) {
        (FieldKind::Url, Ok(origin)) => origin.to_string(),
        _ => value.to_owned(),
    }
}

/// Says why not, in words that never contain the value.
pub(crate) fn check(field: &Field, value: &str) -> Result<(), String> {
    if value.len() > VALUE_BYTES {
        return Err(format!("has {} bytes; at most {VALUE_BYTES} are allowed", value.len()));
    }
    match &field.kind {
        FieldKind::Text => {
            if value.chars().any(char::is_control) {
                return Err("must be one line without control characters".into());
            }
        }
        FieldKind::Secret => {
            if value.len() > SECRET_BYTES {
                return Err(format!("has {} bytes; at most {SECRET_BYTES} are allowed", value.len()));
            }
            if value.contains('\0') {
                return Err("must not contain NUL".into());
            }
        }
        FieldKind::Url => {
            value.parse::<Origin>().map_err(|error| format!("{error}; write https://<domain>"))?;
        }
        FieldKind::Integer => {
            value.parse::<i64>().map_err(|_not_a_number| "must be a whole number".to_owned())?;
        }
        FieldKind::Boolean => {
            if !matches!(value, "true" | "false") {
                return Err("must be `true` or `false`".into());
            }
        }
        FieldKind::Choice(choices) => {
            if !choices.iter().any(|choice| choice.value == value) {
                let values: Vec<_> = choices.iter().take(20).map(|choice| choice.value.as_str()).collect();
                return Err(format!("must be one of {}", values.join(", ")));
            }
        }
    }
    if let Some(pattern) = &field.pattern {
        // A pattern that does not compile was refused at install.
        if value.len() > PATTERNED_BYTES {
            return Err(format!("has {} bytes; at most {PATTERNED_BYTES} are allowed", value.len()));
        }
        if !whole(pattern).is_ok_and(|whole| whole.is_match(value)) {
            let example = field.placeholder.as_deref().map(|text| format!(", such as {text}")).unwrap_or_default();
            return Err(format!("does not have the form that is expected{example}"));
        }
    }
    Ok(())
}
