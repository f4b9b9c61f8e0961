//! What the host answers when it does not do what was asked: data for every face, in words for people.

use serde::{Deserialize, Serialize};

use super::actor::Permission;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{field}: {message}")]
pub struct FieldProblem {
    /// The field, as the form or the descriptor names it.
    pub field: String,
    /// What was wrong, and what to do.
    pub message: String,
}

impl FieldProblem {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Somebody or something that stands in the way of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// `flow`, `connection` or `user`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Why the host did not do what was asked. Whatever it says, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fields are wrong; all of them are named at once.
    #[error("{}", invalid_words(.problems))]
    Invalid {
        /// Each wrong field.
        problems: Vec<FieldProblem>,
    },
    /// There is no such thing, or not for this actor.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// The kind of thing.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Somebody else was first.
    #[error("the {kind} was changed meanwhile: it is at version {current}, the change was made on version {given}")]
    Stale {
        /// The kind of thing.
        kind: &'static str,
        /// The version that the caller saw.
        given: u64,
        /// The version that is stored.
        current: u64,
    },
    /// Something of that name is there already, and was to be added.
    #[error("there is a {kind} `{name}` already")]
    Exists {
        /// The kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Something leans on it.
    #[error("the {kind} `{name}` is in use by {}", users_words(.users))]
    InUse {
        /// The kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What leans on it.
        users: Vec<User>,
    },
    /// The actor may not.
    #[error("this takes the permission `{}`", .permission.name())]
    Forbidden {
        /// The permission that is missing.
        permission: Permission,
    },
    /// A rule stands against it.
    #[error("{message}")]
    Refused {
        /// A short name of the rule, in kebab-case.
        rule: &'static str,
        /// What the rule says here.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// A request did not come through.
    #[error("{message}")]
    Upstream {
        /// A short name of what went wrong, in kebab-case.
        rule: &'static str,
        /// What went wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
        /// Whether the host's policy refused it, rather than the service.
        denied: bool,
    },
    /// The data directory can't be used as it is.
    #[error("{message}")]
    Data {
        /// A short name of what is wrong, in kebab-case.
        rule: &'static str,
        /// What is wrong, with the file.
        message: String,
        /// The way out.
        hint: Option<String>,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The host's own fault.
    #[error("{doing} failed")]
    Internal {
        /// What it was doing.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// One wrong field.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { problems: vec![FieldProblem::new(field, message)] }
    }

    pub(crate) fn not_found(kind: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { kind, name: name.into() }
    }

    pub(crate) fn internal(doing: &'static str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Self {
        move |source| Self::Internal { doing, source }
    }

    /// The same once more, for one of several who wait for one outcome. Its cause is told to the first alone.
    pub(crate) fn told(&self) -> Self {
        match self {
            Self::Invalid { problems } => Self::Invalid { problems: problems.clone() },
            Self::NotFound { kind, name } => Self::NotFound { kind, name: name.clone() },
            Self::Stale { kind, given, current } => Self::Stale { kind, given: *given, current: *current },
            Self::Exists { kind, name } => Self::Exists { kind, name: name.clone() },
            Self::InUse { kind, name, users } => Self::InUse { kind, name: name.clone(), users: users.clone() },
            Self::Forbidden { permission } => Self::Forbidden { permission: *permission },
            Self::Refused { rule, message, hint } => {
                Self::Refused { rule, message: message.clone(), hint: hint.clone() }
            }
            Self::Upstream { rule, message, hint, denied } => {
                Self::Upstream { rule, message: message.clone(), hint: hint.clone(), denied: *denied }
            }
            Self::Data { rule, message, hint, source: _ } => {
                Self::Data { rule, message: message.clone(), hint: hint.clone(), source: None }
            }
            Self::Internal { doing, source } => Self::Internal { doing, source: source.to_string().into() },
        }
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } | Self::Upstream { hint, .. } | Self::Data { hint, .. } => hint.as_deref(),
            Self::Stale { .. } => Some("look at it again and repeat the change on the version that is there now"),
            Self::Exists { .. } => Some("choose another name, or change the one that is there"),
            Self::InUse { kind: "user", .. } => {
                Some("transfer its private connections first: `turnbuckle connection transfer NAME --to USER`")
            }
            Self::InUse { kind: "permission set", .. } => Some("give these users other permission sets first"),
            Self::InUse { kind: "named credential" | "identity provider", .. } => {
                Some("delete these connections first")
            }
            Self::InUse { kind: "principal", .. } => {
                Some("close it in these permission sets, and delete these connections, first")
            }
            Self::InUse { kind: "external credential", .. } => Some("remove what stands on it first"),
            Self::Invalid { .. }
            | Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::Forbidden { .. }
            | Self::Internal { .. } => None,
        }
    }

    /// A short name of what went wrong, in kebab-case, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::NotFound { .. } => "not-found",
            Self::Stale { .. } => "stale",
            Self::Exists { .. } => "exists",
            Self::InUse { .. } => "in-use",
            Self::Forbidden { .. } => "forbidden",
            Self::Refused { rule, .. } | Self::Upstream { rule, .. } | Self::Data { rule, .. } => rule,
            Self::Internal { .. } => "internal",
        }
    }
}

fn invalid_words(problems: &[FieldProblem]) -> String {
    match problems {
        [only] => only.to_string(),
        several => {
            let fields: Vec<_> = several.iter().map(|problem| problem.field.as_str()).collect();
            format!("{} fields are wrong: {}", several.len(), fields.join(", "))
        }
    }
}

fn users_words(users: &[User]) -> String {
    let named: Vec<_> = users.iter().take(5).map(|user| format!("{} `{}`", user.kind, user.name)).collect();
    match users.len().saturating_sub(5) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
