//! How a command ends: words for people, and one exit code for scripts.

use std::process::ExitCode;

use serde::Deserialize;
use turnbuckle::{FieldProblem, User};

/// What the exit codes mean. They are part of the interface: scripts lean on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Unexpected,
    BadInput,
    NotPassed,
    NotFound,
    Refused,
    Unreachable,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::BadInput => 2,
            Self::NotPassed => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
            Self::Unreachable => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API's answer.
    #[error("{}", .0.words())]
    Problem(Box<Problem>),
    /// What was typed, or a file that it names, will not do.
    #[error("{message}")]
    Input { message: String, hint: Option<String> },
    /// A test ran and did not pass.
    #[error("{message}")]
    NotPassed { message: String, hint: Option<String> },
    /// A rule of this command stands against it.
    #[error("{message}")]
    Refused { message: String, hint: Option<String> },
    /// There is no such thing on this side of the API.
    #[error("{message}")]
    NotFound { message: String, hint: Option<String> },
    /// This machine lacks what it takes.
    #[error("{message}")]
    Lacking { message: String, hint: Option<String> },
    /// Nobody answers there.
    #[error("the server at {at} can't be reached")]
    Unreachable {
        at: String,
        #[source]
        source: anyhow::Error,
    },
    /// Whoever read our output went away: nothing to say, nobody to say it to.
    #[error("standard output was closed")]
    OutputClosed,
    /// Anything else.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Error {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into(), hint: None }
    }

    pub(crate) fn input_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Input { message: message.into(), hint: Some(hint.into()) }
    }

    /// Adds a way out where the API refused a form and named none itself.
    pub(crate) fn or_hint(mut self, hint: &str) -> Self {
        if let Self::Problem(problem) = &mut self
            && problem.exit() == Exit::BadInput
        {
            problem.hint.get_or_insert_with(|| hint.to_owned());
        }
        self
    }

    /// The one place where a failure becomes an exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Problem(problem) => problem.exit(),
            Self::Input { .. } => Exit::BadInput,
            Self::NotPassed { .. } => Exit::NotPassed,
            Self::Refused { .. } => Exit::Refused,
            Self::NotFound { .. } => Exit::NotFound,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::OutputClosed => Exit::Done,
            Self::Lacking { .. } | Self::Unexpected(_) => Exit::Unexpected,
        }
    }

    /// Everything there is to say below the first line.
    pub(crate) fn details(&self) -> Vec<String> {
        match self {
            Self::Problem(problem) => problem.details(),
            Self::Unreachable { source, .. } => source.chain().map(|cause| format!("cause: {cause}")).collect(),
            Self::Unexpected(error) => error.chain().skip(1).map(|cause| format!("cause: {cause}")).collect(),
            Self::Input { .. }
            | Self::NotPassed { .. }
            | Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::Lacking { .. }
            | Self::OutputClosed => Vec::new(),
        }
    }

    /// The ways out.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Problem(problem) => problem.hints(),
            Self::Input { hint, .. }
            | Self::NotPassed { hint, .. }
            | Self::Refused { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Lacking { hint, .. } => hint.iter().cloned().collect(),
            Self::Unreachable { .. } => vec![
                "start one with `turnbuckle serve`, or leave --server out to work on the data directory itself".into(),
            ],
            Self::OutputClosed | Self::Unexpected(_) => Vec::new(),
        }
    }
}

/// A problem as RFC 9457 writes it, with what this API adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) code: String,
    pub(crate) hint: Option<String>,
    pub(crate) problems: Vec<FieldProblem>,
    pub(crate) users: Vec<User>,
    pub(crate) current: Option<u64>,
}

impl Problem {
    /// A host that could not be opened in this process says the same as a server would.
    pub(crate) fn of(error: &turnbuckle::Error) -> Self {
        use turnbuckle::Error as Host;
        let status = match error {
            Host::Invalid { .. } => 422,
            Host::NotFound { .. } => 404,
            Host::Stale { .. } | Host::Exists { .. } => 412,
            Host::InUse { .. } | Host::Refused { .. } => 409,
            Host::Forbidden { .. } => 403,
            Host::Upstream { denied, .. } => {
                if *denied {
                    403
                } else {
                    502
                }
            }
            Host::Data { rule: "config-unreadable", .. } => 422,
            Host::Data { .. } | Host::Internal { .. } => 500,
            // The enum may grow; what is new to this command is unexpected.
            _ => 500,
        };
        let (mut problems, mut users) = (Vec::new(), Vec::new());
        match error {
            Host::Invalid { problems: all } => problems.clone_from(all),
            Host::InUse { users: all, .. } => users.clone_from(all),
            _ => {}
        }
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let detail = causes.fold(error.to_string(), |words, cause| {
            let cause = cause.to_string();
            if words.contains(&cause) { words } else { format!("{words}: {cause}") }
        });
        Self {
            status,
            detail,
            code: error.code().into(),
            hint: error.hint().map(ToOwned::to_owned),
            problems,
            users,
            ..Self::default()
        }
    }

    fn exit(&self) -> Exit {
        match self.status {
            // A file in the way, or a store that another process has open: refused, nothing is broken.
            500 if matches!(self.code.as_str(), "file-exists" | "store-in-use") => Exit::Refused,
            400 | 405 | 413 | 415 | 422 => Exit::BadInput,
            404 => Exit::NotFound,
            401 | 403 | 409 | 410 | 412 | 421 | 429 => Exit::Refused,
            _ => Exit::Unexpected,
        }
    }

    fn words(&self) -> String {
        match (self.detail.is_empty(), self.title.is_empty()) {
            (false, _) => self.detail.clone(),
            (true, false) => self.title.clone(),
            (true, true) => format!("the server answered {} and did not say why", self.status),
        }
    }

    fn details(&self) -> Vec<String> {
        let fields = self.problems.iter().map(ToString::to_string).filter(|line| *line != self.detail);
        let users = self.users.iter().map(|user| format!("{} `{}` ({})", user.kind, user.name, user.id));
        fields.chain(users).collect()
    }

    fn hints(&self) -> Vec<String> {
        let mut hints: Vec<_> = self.hint.iter().cloned().collect();
        if hints.is_empty() {
            match self.status {
                401 => hints.push("give the token of that server with --token or TURNBUCKLE_TOKEN".into()),
                _ if self.users.iter().any(|user| user.kind == "flow") => hints
                    .push("take it out of these flows first: `turnbuckle flow remove FLOW --connection NAME`".into()),
                _ if self.users.iter().any(|user| user.kind == "connection") => {
                    hints.push("delete these connections first, or move them: `turnbuckle connector upgrade`".into());
                }
                _ => {}
            }
        }
        hints
    }
}

impl From<turnbuckle::Error> for Error {
    fn from(error: turnbuckle::Error) -> Self {
        Self::Problem(Box::new(Problem::of(&error)))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Unexpected(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16) -> Error {
        Error::Problem(Box::new(Problem { status, ..Problem::default() }))
    }

    #[test]
    fn every_answer_of_the_api_has_its_exit_code() {
        let code = |status| problem(status).exit().code();
        assert_eq!([400, 413, 415, 422].map(code), [2; 4]);
        assert_eq!(code(404), 4);
        assert_eq!([401, 403, 409, 412, 421].map(code), [5; 5]);
        assert_eq!([500, 502, 503, 504, 507].map(code), [1; 5]);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Error::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit(), Exit::Done);
    }

    #[test]
    fn several_wrong_fields_are_all_named() {
        let wrong = |field: &str, message: &str| FieldProblem { field: field.into(), message: message.into() };
        let error = Error::from(turnbuckle::Error::Invalid {
            problems: vec![wrong("name", "is taken"), wrong("url", "must begin with https://")],
        });
        assert_eq!(error.to_string(), "2 fields are wrong: name, url");
        assert_eq!(error.details(), ["name: is taken", "url: must begin with https://"]);
        assert_eq!(error.exit(), Exit::BadInput);
    }

    #[test]
    fn a_thing_in_use_names_its_flows_and_the_way_out() {
        let error = Error::from(turnbuckle::Error::InUse {
            kind: "connection",
            name: "Shop".into(),
            users: vec![User { kind: "flow".into(), id: "f-1".into(), name: "Nightly".into() }],
        });
        assert_eq!(error.to_string(), "the connection `Shop` is in use by flow `Nightly`");
        assert_eq!(error.details(), ["flow `Nightly` (f-1)"]);
        assert_eq!(
            error.hints(),
            ["take it out of these flows first: `turnbuckle flow remove FLOW --connection NAME`"]
        );
        assert_eq!(error.exit(), Exit::Refused);
    }
}
