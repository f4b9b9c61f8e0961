//! What is read of a person's form besides its fields.

use crate::credentials::Obtained;
use crate::model::credential::{ACCESS_TOKEN, REFRESH_TOKEN};
use crate::model::descriptor::{Descriptor, Protocol, SignIn};
use crate::model::error::FieldProblem;
pub(super) use crate::model::form::{Known, fill};
use crate::model::id::kebab;
use crate::model::view::Tokens;

pub(super) const NAME: usize = 80;
pub(super) const DESCRIPTION: usize = 1_000;

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
