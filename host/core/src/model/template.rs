//! Text in which `{name}` stands for a value; `{{` and `}}` are literal braces.

use std::fmt;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text that the connector wrote.
    Literal(String),
    /// A name to be replaced by its value.
    Name(String),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// A `{` that nothing closes.
    #[error("`{{` at byte {at} is not closed; write `{{{{` for a literal brace")]
    Unclosed {
        /// Byte offset.
        at: usize,
    },
    /// A `}` that nothing opened.
    #[error("`}}` at byte {at} closes nothing; write `}}}}` for a literal brace")]
    Unopened {
        /// Byte offset.
        at: usize,
    },
    /// What stands in braces is no name.
    #[error("`{{{name}}}` is not a kebab-case name")]
    BadName {
        /// What stands in braces.
        name: String,
    },
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            match c {
                '{' if rest.next_if(|&(_, next)| next == '{').is_some() => literal.push('{'),
                '}' if rest.next_if(|&(_, next)| next == '}').is_some() => literal.push('}'),
                '}' => return Err(TemplateError::Unopened { at }),
                '{' => {
                    let inside = &text[at + 1..];
                    let end = inside.find('}').ok_or(TemplateError::Unclosed { at })?;
                    let name = &inside[..end];
                    if super::id::kebab(name).is_err() {
                        return Err(TemplateError::BadName { name: name.chars().take(64).collect() });
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Name(name.to_owned()));
                    while rest.next_if(|&(next, _)| next <= at + 1 + end).is_some() {}
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names it stands on, in order, repeated ones too.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => formatter.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Name(name) => write!(formatter, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_doubled_braces_are_told_apart() {
        let template = Template::parse("a{{b}} {token}/{x-1}").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["token", "x-1"]);
        assert_eq!(template.to_string(), "a{{b}} {token}/{x-1}");
    }

    #[test]
    fn stray_braces_and_bad_names_are_refused() {
        assert_eq!(Template::parse("{a"), Err(TemplateError::Unclosed { at: 0 }));
        assert_eq!(Template::parse("a}"), Err(TemplateError::Unopened { at: 1 }));
        assert_eq!(Template::parse("{A b}"), Err(TemplateError::BadName { name: "A b".into() }));
        assert_eq!(Template::parse("{}"), Err(TemplateError::BadName { name: String::new() }));
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "[a-z{}é/ -]{0,24}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.to_string(), text);
            }
        }
    }
}
