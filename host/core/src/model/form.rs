//! Reads what a person filled in: every wrong field is named at once.

use std::collections::BTreeMap;

use super::credential::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
use super::descriptor::{Descriptor, FieldKind, Protocol};
use super::error::FieldProblem;
use super::field;
use super::secret::Secret;

/// Values as they are kept: defaults filled in, blanks gone.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// What is there besides what a person filled in.
pub(crate) struct Known<'a> {
    /// Secrets that are stored already and may be left blank.
    pub(crate) stored: &'a (dyn Fn(&str) -> bool + Sync),
    /// The identity provider that fills in the client and its endpoints.
    pub(crate) provider: Option<&'a IdentityProvider>,
}

/// Reads all fields of a protocol.
pub(crate) fn fill(
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
