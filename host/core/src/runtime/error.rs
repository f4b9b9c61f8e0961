//! What can go wrong with a component and with a call, and whose fault it was.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::error::Error;
use crate::model::id::Digest;

/// Why bytes are not a connector that this host runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("has {bytes} bytes; at most {limit} are allowed (limits.component-mib)")]
    TooLarge { bytes: usize, limit: usize },
    #[error("is precompiled code; give the WebAssembly component itself, the host compiles it")]
    Precompiled,
    #[error("is not a WebAssembly component: it does not begin like one")]
    NotWasm,
    #[error(
        "is a core module, not a component; build it for the target wasm32-wasip2, or with `turnbuckle connector build`"
    )]
    CoreModule,
    #[error("is not valid WebAssembly: {message} (at byte {offset})")]
    Invalid { message: String, offset: usize },
    #[error("has {count} {what}; at most {limit} are allowed")]
    TooMany { what: &'static str, count: usize, limit: usize },
    #[error("imports `{name}`, which this host does not offer to connectors")]
    UnknownImport { name: String },
    #[error("imports `{name}` of WASI 0.3; build it for WASI 0.2 (target wasm32-wasip2)")]
    Wasi03 { name: String },
    #[error("does not export `turnbuckle:connector/connector@0.1`{}", .found.as_ref().map(|found| format!("; it exports `{found}`")).unwrap_or_default())]
    NoConnector { found: Option<String> },
}

/// Why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    #[error("compiling it took more than {} s (limits.compile-seconds)", .limit.as_secs())]
    Time { limit: Duration },
    #[error("compiling it took more than {} MiB of memory, or made the compiler crash (limits.compile-memory-mib)", .limit >> 20)]
    Memory { limit: u64 },
    #[error("it does not compile: {message}")]
    Rejected { message: String },
    #[error("it does not fit this host: {message}")]
    Unusable { message: String },
    #[error("no program to compile with")]
    NoWorker,
    #[error("the compiling process {} can't be started", .program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("what the compiling process answered is not authentic")]
    Forged,
    #[error("compiled code can't be kept in {}", .path.display())]
    Keep {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the connector has no compiled code here ({digest})")]
    NotCompiled { digest: Digest },
    #[error("the connector failed: {message}")]
    Trapped {
        message: String,
        /// Its own last words.
        log: String,
    },
    #[error("the connector computed for more than {} ms", .limit.as_millis())]
    Cpu { limit: Duration },
    #[error("the connector did not answer within {} ms", .limit.as_millis())]
    Wall { limit: Duration },
    #[error("the connector asked for more than {} MiB of memory", .limit >> 20)]
    Memory { limit: usize },
    #[error("the connector asked for more than {limit} handles (limits.handles)")]
    Handles { limit: u32 },
    #[error("the connector wrote more than {} KiB of headers (limits.header-kib)", .limit >> 10)]
    Headers { limit: usize },
    #[error("the connector asked for a table of more than {limit} elements")]
    Tables { limit: usize },
    #[error("the connector handed over more than {} MiB at once", .limit >> 20)]
    Handed { limit: usize },
    #[error("the connector {what} something that the contract does not know: {problem}")]
    Unfit {
        /// When: while it ran, or as its answer.
        what: &'static str,
        problem: String,
        /// Its own last words.
        log: String,
    },
    #[error("the sandbox failed: {message}")]
    Sandbox { message: String },
}

impl CallError {
    /// A word for what is counted.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::NotCompiled { .. } => "not-compiled",
            Self::Trapped { .. } => "trapped",
            Self::Cpu { .. } => "cpu",
            Self::Wall { .. } => "wall",
            Self::Memory { .. } => "memory",
            Self::Handles { .. } => "handles",
            Self::Headers { .. } => "headers",
            Self::Tables { .. } => "tables",
            Self::Handed { .. } => "handed",
            Self::Unfit { .. } => "unfit",
            Self::Sandbox { .. } => "sandbox",
        }
    }

    /// Whether the connector is at fault, and not this host.
    pub(crate) fn is_the_connectors(&self) -> bool {
        match self {
            Self::Trapped { .. }
            | Self::Cpu { .. }
            | Self::Wall { .. }
            | Self::Memory { .. }
            | Self::Handles { .. }
            | Self::Headers { .. }
            | Self::Tables { .. }
            | Self::Handed { .. }
            | Self::Unfit { .. } => true,
            Self::NotCompiled { .. } | Self::Sandbox { .. } => false,
        }
    }
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    #[error("the WebAssembly engine can't be set up: {message}")]
    Engine { message: String },
    #[error("the folder of compiled code {} can't be used", .path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl From<CompileError> for Error {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Time { .. }
            | CompileError::Memory { .. }
            | CompileError::Rejected { .. }
            | CompileError::Unusable { .. } => Self::field("component", error.to_string()),
            CompileError::NoWorker => Self::Refused {
                rule: "no-compile-worker",
                message: "this program can't compile connectors: it has not said that it can be a compile worker"
                    .into(),
                hint: Some(
                    "call turnbuckle::compile_worker() in the first line of main, or name a compiler in the builder"
                        .into(),
                ),
            },
            CompileError::Spawn { .. } | CompileError::Forged | CompileError::Keep { .. } => {
                Self::internal("compiling the component")(Box::new(error))
            }
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        if !error.is_the_connectors() {
            return Self::internal("calling the connector")(Box::new(error));
        }
        Self::Refused {
            rule: "connector-fault",
            message: error.to_string(),
            hint: Some("this is a fault of the connector: tell its publisher".into()),
        }
    }
}

impl From<RuntimeError> for Error {
    fn from(error: RuntimeError) -> Self {
        Self::Data { rule: "runtime", message: error.to_string(), hint: None, source: Some(Box::new(error)) }
    }
}
