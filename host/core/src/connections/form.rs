//! Reads what a person filled in: every wrong field is named at once.

use std::collections::BTreeMap;

use crate::credentials::Obtained;
use crate::model::credential::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, IdentityProvider, REFRESH_TOKEN};
use crate::model::descriptor::{Descriptor, FieldKind, Protocol, SignIn};
use crate::model::error::FieldProblem;
use crate::model::field;
use crate::model::id::kebab;
use crate::model::secret::Secret;
use crate::model::view::Tokens;

pub(super) const NAME: usize = 80;
pub(super) const DESCRIPTION: usize = 1_000;

/// Values as they are kept: defaults filled in, blanks gone.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, Secret>,
}

/// Finds the protocol that is meant.
pub(super) fn protocol<'a>(descriptor: &'a Descriptor, given: Option<&str>) -> Result<&'a Protocol, FieldProblem> {
    let names = || descriptor.protocols.iter().map(|protocol| protocol.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = match (given, descriptor.protocols.as_slice()) {
        (Some(name), _) => descriptor
            .protocol(name)
            .ok_or_else(|| format!("{} offers no protocol `{name}`; it offers {}", descriptor.label, names())),
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("choose one of {}", names())),
    }
    .map_err(|words| FieldProblem::new("protocol", words))?;
    Ok(found)
}

/// What is there besides what a person filled in.
pub(super) struct Known<'a> {
    /// Secrets that are stored already and may be left blank.
    pub(super) stored: &'a (dyn Fn(&str) -> bool + Sync),
    /// The identity provider that fills in the client and its endpoints.
    pub(super) provider: Option<&'a IdentityProvider>,
}

/// Reads all fields of a protocol.
pub(super) fn fill(
    descriptor: &Descriptor,
    protocol: &Protocol,
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
    known: &Known<'_>,
    problems: &mut Vec<FieldProblem>,
) -> Filled {
    let Known { stored, provider } = known;
    let mut filled = Filled::default();
    for known in descriptor.fields(protocol) {
        let name = known.name.as_str();
        if let (Some(provider), CLIENT_ID | CLIENT_SECRET) = (provider, name) {
            let given = settings.get(name).is_some_and(|value| !value.is_empty())
                || secrets.get(name).is_some_and(|secret| !secret.is_empty());
            if given {
                problems
                    .push(FieldProblem::new(name, format!("the identity provider `{}` fills it in", provider.name)));
            }
            continue;
        }
        if known.kind == FieldKind::Secret {
            if settings.contains_key(name) {
                problems.push(FieldProblem::new(
                    name,
                    "is a secret: give it as one, so that it is neither shown nor logged",
                ));
                continue;
            }
            match secrets.get(name).filter(|secret| !secret.is_empty()) {
                Some(secret) => match field::check(known, secret.expose()) {
                    Ok(()) => {
                        filled.secrets.insert(name.to_owned(), secret.clone());
                    }
                    Err(words) => problems.push(FieldProblem::new(name, words)),
                },
                None if known.required && !stored(name) => {
                    problems.push(FieldProblem::new(name, format!("{} is required", known.label)));
                }
                None => {}
            }
            continue;
        }
        if secrets.contains_key(name) {
            problems.push(FieldProblem::new(name, "is not a secret: give it as a setting"));
            continue;
        }
        let given = settings.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let provided = provider.and_then(|provider| Some((provider, provider.settings.get(name)?.as_str())));
        if let (Some((provider, provided)), Some(given)) = (provided, given)
            && field::normal(known, given) != provided
        {
            let words = format!("the identity provider `{}` fills it in, as `{provided}`", provider.name);
            problems.push(FieldProblem::new(name, words));
            continue;
        }
        match given.or(provided.map(|(_, value)| value)).or(known.default.as_deref()) {
            Some(value) => match field::check(known, value) {
                Ok(()) => {
                    filled.settings.insert(name.to_owned(), field::normal(known, value));
                }
                Err(words) => problems.push(FieldProblem::new(name, words)),
            },
            None if known.required => problems.push(FieldProblem::new(name, format!("{} is required", known.label))),
            None => {}
        }
    }
    unknown(descriptor, protocol, settings.keys().chain(secrets.keys()), problems);
    filled
}

/// A name that is no field is a slip of the pen: the nearest field is named.
fn unknown<'a>(
    descriptor: &Descriptor,
    protocol: &Protocol,
    given: impl Iterator<Item = &'a String>,
    problems: &mut Vec<FieldProblem>,
) {
    for name in given {
        if descriptor.fields(protocol).any(|field| field.name == *name) {
            continue;
        }
        let nearest = descriptor
            .fields(protocol)
            .map(|field| (strsim::damerau_levenshtein(name, &field.name), field.name.as_str()))
            .min()
            .filter(|(distance, nearest)| *distance <= nearest.len().div_ceil(2));
        let hint = nearest.map(|(_, nearest)| format!("; did you mean `{nearest}`?")).unwrap_or_default();
        problems.push(FieldProblem::new(
            name,
            format!("{} by `{}` has no such field{hint}", descriptor.label, protocol.name),
        ));
    }
}

/// Tokens that a person brings along.
pub(super) fn tokens(protocol: &Protocol, tokens: Tokens, problems: &mut Vec<FieldProblem>) -> Obtained {
    if protocol.sign_in == SignIn::None {
        problems.push(FieldProblem::new(
            "tokens",
            format!("`{}` knows no tokens: its fields are the credential", protocol.name),
        ));
    }
    for (name, secret) in &tokens.secrets {
        if kebab(name).is_err() || secret.is_empty() || secret.expose().contains('\0') {
            problems.push(FieldProblem::new(format!("tokens.{name}"), "is no token, or empty"));
        }
    }
    if !tokens.secrets.contains_key(ACCESS_TOKEN) && !tokens.secrets.contains_key(REFRESH_TOKEN) {
        problems.push(FieldProblem::new("tokens", "give `access-token`, `refresh-token` or both"));
    }
    Obtained::imported(tokens.secrets, tokens.visible, tokens.expires_at)
}

/// A name for a connection: what is stored is trimmed.
pub(super) fn name(given: &str, problems: &mut Vec<FieldProblem>) -> String {
    let name = given.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME {
        problems.push(FieldProblem::new("name", format!("must have 1 to {NAME} characters; it has {length}")));
    } else if name.chars().any(char::is_control) {
        problems.push(FieldProblem::new("name", "must not contain control characters"));
    }
    name.to_owned()
}

pub(super) fn description(given: &str, problems: &mut Vec<FieldProblem>) -> String {
    let length = given.chars().count();
    if length > DESCRIPTION {
        problems.push(FieldProblem::new(
            "description",
            format!("must have at most {DESCRIPTION} characters; it has {length}"),
        ));
    }
    given.to_owned()
}
