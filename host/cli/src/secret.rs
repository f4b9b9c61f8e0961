//! Secrets come from a file, a variable, standard input or a hidden prompt, never from the command line itself: that is
//! readable by every process of the machine and stays in the shell's history.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use turnbuckle::{Field, FieldKind, Secret};

use crate::exit::Error;

/// What stood behind `--secret`. It may be a literal secret typed by mistake, so it does not print and is judged only
/// after parsing: the parser's own errors repeat what was typed.
#[derive(Clone)]
pub(crate) struct SecretArgument(Secret);

impl SecretArgument {
    /// Whether it takes all of standard input, so that nobody can be asked there.
    pub(crate) fn is_standard_input(&self) -> bool {
        self.0.expose().ends_with("=-")
    }
}

impl fmt::Debug for SecretArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretArgument([redacted])")
    }
}

impl FromStr for SecretArgument {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Secret::new(text)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Variable(String),
    StandardInput,
}

fn source(argument: &SecretArgument) -> Result<(String, Source), Error> {
    const WAYS: &str = "write --secret NAME=@FILE, NAME=env:VARIABLE or NAME=- for standard input";
    let Some((name, from)) = argument.0.expose().split_once('=') else {
        return Err(Error::input_hint("a --secret has no name", WAYS));
    };
    if name.is_empty() {
        return Err(Error::input_hint("a --secret has no name", WAYS));
    }
    let source = if let Some(file) = from.strip_prefix('@') {
        Source::File(file.into())
    } else if let Some(variable) = from.strip_prefix("env:") {
        Source::Variable(variable.to_owned())
    } else if from == "-" {
        Source::StandardInput
    } else {
        return Err(Error::input_hint(
            format!("the secret `{name}` stands on the command line, where others can read it"),
            format!("{WAYS}, or leave it out on a terminal to be asked for it; change it if it was a real one"),
        ));
    };
    Ok((name.to_owned(), source))
}

/// Reads every secret that was named. `variable` and `input` are the process's own.
pub(crate) fn read(
    arguments: &[SecretArgument],
    variable: impl Fn(&str) -> Option<String>,
    mut input: impl Read,
) -> Result<BTreeMap<String, Secret>, Error> {
    let mut secrets = BTreeMap::new();
    let mut input_taken_by: Option<String> = None;
    for argument in arguments {
        let (name, source) = source(argument)?;
        let text = match source {
            Source::File(path) => std::fs::read_to_string(&path).map_err(|error| {
                Error::input(format!("the file {} of the secret `{name}` can't be read: {error}", path.display()))
            })?,
            Source::Variable(from) => variable(&from)
                .ok_or_else(|| Error::input(format!("the variable {from} of the secret `{name}` is not set")))?,
            Source::StandardInput => {
                if let Some(other) = input_taken_by.replace(name.clone()) {
                    return Err(Error::input(format!(
                        "the secrets `{other}` and `{name}` can't both come from standard input"
                    )));
                }
                let mut text = String::new();
                input.read_to_string(&mut text).map_err(|error| {
                    Error::input(format!("standard input with the secret `{name}` can't be read: {error}"))
                })?;
                text
            }
        };
        let secret = Secret::new(without_line_end(&text));
        if secrets.insert(name.clone(), secret).is_some() {
            return Err(Error::input(format!("the secret `{name}` is given twice")));
        }
    }
    Ok(secrets)
}

/// Editors and `echo` end a file with a line end that is no part of the secret. One goes, a second was meant.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Asks on the terminal for what a form requires and nobody gave.
pub(crate) fn prompt<'a>(
    fields: impl Iterator<Item = &'a Field>,
    secrets: &mut BTreeMap<String, Secret>,
) -> Result<(), Error> {
    for field in fields.filter(|field| field.kind == FieldKind::Secret && field.required) {
        if secrets.contains_key(&field.name) {
            continue;
        }
        let label = crate::show::plain(&field.label);
        let text = rpassword::prompt_password(format!("{label}: "))
            .map_err(|error| Error::input(format!("the terminal can't be asked for `{}`: {error}", field.name)))?;
        secrets.insert(field.name.clone(), Secret::new(text));
    }
    Ok(())
}

/// The secrets as the API takes them. The only place where they are written out.
pub(crate) fn body(secrets: &BTreeMap<String, Secret>) -> serde_json::Value {
    let pairs = secrets.iter().map(|(name, secret)| (name.clone(), serde_json::Value::from(secret.expose())));
    serde_json::Value::Object(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(texts: &[&str]) -> Vec<SecretArgument> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn read_all(texts: &[&str], input: &str) -> Result<Vec<(String, String)>, Error> {
        let variable = |name: &str| (name == "TOKEN").then(|| "from-variable".to_owned());
        let secrets = read(&arguments(texts), variable, input.as_bytes())?;
        Ok(secrets.into_iter().map(|(name, secret)| (name, secret.expose().to_owned())).collect())
    }

    #[test]
    fn secrets_come_from_files_variables_and_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "pass=word\n\n").unwrap();
        let from_file = format!("password=@{}", file.display());
        let pairs = read_all(&[&from_file, "token=env:TOKEN", "key=-"], "from-input\r\n").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(pairs, [("key", "from-input"), ("password", "pass=word\n"), ("token", "from-variable")]);
    }

    #[test]
    fn a_literal_is_refused_without_being_repeated() {
        let error = read_all(&["password=hunter2"], "").unwrap_err();
        assert_eq!(error.exit().code(), 2);
        let said = format!("{error} {:?} {:?} {:?}", error.hints(), error.details(), arguments(&["password=hunter2"]));
        assert!(said.starts_with("the secret `password` stands on the command line"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_said() {
        for (texts, words) in [
            (&["=@x"][..], "a --secret has no name"),
            (&["hunter2"], "a --secret has no name"),
            (&["a=env:NONE"], "the variable NONE of the secret `a` is not set"),
            (&["a=-", "b=-"], "the secrets `a` and `b` can't both come from standard input"),
            (&["a=env:TOKEN", "a=env:TOKEN"], "the secret `a` is given twice"),
        ] {
            assert_eq!(read_all(texts, "").unwrap_err().to_string(), words);
        }
    }
}
