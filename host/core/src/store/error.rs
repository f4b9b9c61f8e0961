//! What can go wrong with the store, without a word of its engine.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::id::ConnectionId;

/// An underlying failure whose type is nobody's business outside.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// Somebody has the file open.
    #[error("store `{}` is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// The file was written by a newer binary.
    #[error("store `{}` has schema version {found}, this binary knows versions up to {supported}", path.display())]
    Newer { path: PathBuf, found: u32, supported: u32 },
    /// The file is damaged, or is no store at all. It was left as it is.
    #[error("store `{}` cannot be read: {problem}", path.display())]
    Corrupt {
        path: PathBuf,
        problem: &'static str,
        #[source]
        source: Option<Cause>,
    },
    /// The file system refused.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A backup does not replace what is there.
    #[error("`{}` already exists", path.display())]
    Exists { path: PathBuf },
    /// The disk failed, or is full.
    #[error("{}", disk_words(path.as_deref(), source))]
    Disk {
        /// Where this is known: what failed within a change is told again with its commit.
        path: Option<PathBuf>,
        #[source]
        source: Arc<io::Error>,
    },
    /// The store was opened anew under this reader or this change, because its disk had failed in something else.
    #[error("the store was interrupted, because its disk failed")]
    Interrupted,
    /// The engine failed while reading or writing.
    #[error("store engine failed")]
    Engine(#[source] Cause),
    /// A record does not parse, or does not print.
    #[error("record in table `{table}` is not readable")]
    Record {
        table: &'static str,
        #[source]
        source: Option<Cause>,
    },
    /// A record was written by a newer binary.
    #[error("record in table `{table}` has version {found}, this binary knows versions up to {supported}")]
    NewerRecord { table: &'static str, found: u8, supported: u8 },
    /// An index names a record that is not there.
    #[error("index `{index}` names a record that is missing")]
    Dangling { index: &'static str },
    /// Not a cursor that a page of this list gave.
    #[error("cursor is not one that this list gave")]
    BadCursor,
    /// Names are unique, whatever the case.
    #[error("name is taken by connection {by}")]
    NameTaken { by: ConnectionId },
    /// A history is only appended to.
    #[error("history of connection {id} already has version {version}")]
    ChangeExists { id: ConnectionId, version: u64 },
    /// The changes could not be made durable; none of them happened, as far as the store can tell.
    #[error("changes could not be committed")]
    Commit(#[source] Arc<StoreError>),
    /// The code that prepared the change panicked; nothing of it was kept.
    #[error("change panicked and was undone")]
    Panicked,
    /// The change was tried, and taken back as was meant: it would have been made.
    #[error("change was only rehearsed")]
    Rehearsed,
    /// The store has been closed.
    #[error("store is closed")]
    Closed,
}

impl StoreError {
    /// Any failure of the engine during reading and writing.
    pub(super) fn engine(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(source) => Self::Disk { path: None, source: Arc::new(source) },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Interrupted,
            other => Self::Engine(Box::new(other)),
        }
    }

    /// What it came from, where a commit failed for all that was in it.
    pub(super) fn root(&self) -> &Self {
        match self {
            Self::Commit(cause) => cause.root(),
            _ => self,
        }
    }
}

/// Whether there is no room left: on the disk, for this user, or for a file of this size.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

fn disk_words(path: Option<&Path>, source: &io::Error) -> String {
    let of = path.map_or_else(|| "the store".to_owned(), |path| format!("store `{}`", path.display()));
    if is_full(source) {
        format!("the disk that holds {of} is full")
    } else {
        format!("the disk that holds {of} failed: {source}")
    }
}

const MAKE_ROOM: &str =
    "make room on that disk and do it again; nothing that was acknowledged is lost, and reading goes on";
const LOOK_AT_DISK: &str = "look whether it happened and do it again; where it goes on failing, look at the disk and at what the system says of it";

impl From<StoreError> for crate::model::error::Error {
    fn from(error: StoreError) -> Self {
        use crate::model::error::FieldProblem;
        let (rule, hint) = match error.root() {
            StoreError::Disk { source, .. } if is_full(source) => ("disk-full", Some(MAKE_ROOM)),
            StoreError::File { source, .. } if is_full(source) => ("disk-full", Some(MAKE_ROOM)),
            StoreError::Disk { .. } | StoreError::Interrupted => ("disk-failed", Some(LOOK_AT_DISK)),
            StoreError::BadCursor => {
                return Self::Invalid { problems: vec![FieldProblem::new("cursor", error.to_string())] };
            }
            StoreError::NameTaken { .. } => {
                return Self::Invalid { problems: vec![FieldProblem::new("name", "another connection has this name")] };
            }
            StoreError::InUse { .. } => (
                "store-in-use",
                Some("stop the other process, or talk to it: the command finds a server on the same data directory"),
            ),
            StoreError::Newer { .. } | StoreError::NewerRecord { .. } => {
                ("store-newer", Some("use the newer program that wrote it; nothing was changed"))
            }
            StoreError::Corrupt { .. } => {
                ("store-corrupt", Some("restore a backup with `turnbuckle restore FILE`; the file was left as it is"))
            }
            StoreError::Record { table: "audit", .. } => {
                ("audit-damaged", Some("`turnbuckle audit verify` names the first bad record"))
            }
            StoreError::Exists { .. } => ("file-exists", Some("name a file that is not there yet")),
            StoreError::File { .. } => ("store-file", None),
            StoreError::Engine(_)
            | StoreError::Record { .. }
            | StoreError::Dangling { .. }
            | StoreError::ChangeExists { .. }
            | StoreError::Commit(_)
            | StoreError::Panicked
            | StoreError::Rehearsed
            | StoreError::Closed => return Self::Internal { doing: "using the store", source: Box::new(error) },
        };
        let message = match error.root() {
            StoreError::File { source, .. } => format!("{error}: {source}"),
            root => root.to_string(),
        };
        Self::Data { rule, message, hint: hint.map(str::to_owned), source: Some(Box::new(error)) }
    }
}
