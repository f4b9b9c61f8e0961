//! `turnbuckle audit …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use turnbuckle::AuditLink;

use super::connection::PageOf;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// A page of the audit, newest first
    List(List),
    /// Check that no record was altered, put in or taken out, and name the first that was
    Verify(Verify),
    /// Write the whole chain as JSON lines that another program can check
    Export {
        /// Where to [default: standard output]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// By this actor
    #[arg(long)]
    pub(crate) actor: Option<String>,
    /// This action, such as connection.send, or every action on a kind of thing, such as connection
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// To the thing of this id or name
    #[arg(long)]
    pub(crate) object: Option<String>,
    /// Not before this moment, such as 2026-05-04T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Before this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<jiff::Timestamp>,
    /// That ended so
    #[arg(long)]
    pub(crate) outcome: Option<Outcome>,
    #[command(flatten)]
    pub(crate) page: PageOf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Refused,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An export; it takes no host and no data directory
    pub(crate) file: Option<PathBuf>,
    /// A link that was noted before: a chain that was made anew as a whole does not hold it
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) known: Option<AuditLink>,
}
