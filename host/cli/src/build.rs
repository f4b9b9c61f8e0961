//! Compiles connectors: `turnbuckle connector build PATH…`.
//!
//! A connector is a crate with a `cdylib`, for the target `wasm32-wasip2`. Three roads lead there: the target is installed;
//! rustup can add it; or the distribution has a compiler with its library source (`road`). Cargo's own freshness decides
//! what is compiled, in a target folder of its own, so that building a connector never disturbs building anything else.

mod cargo;
mod crates;
mod road;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

pub use crates::CrateError;
pub(crate) use road::looked;
pub use road::{Road, RoadError};

/// What to build, and where to put it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Crates, or folders of crates.
    pub paths: Vec<PathBuf>,
    /// Where components are copied to; they stay in the target folder where none is given.
    pub out: Option<PathBuf>,
    /// Cargo's target folder; `connectors` in the workspace's own where none is given.
    pub target: Option<PathBuf>,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// How it will be compiled.
    Road(Road),
    /// rustup is asked for the target.
    Adding,
    /// Packages of the distribution are installed.
    Installing {
        /// Their names.
        packages: String,
    },
    /// Another build is under way in the same folder.
    Waiting,
    /// Compiling begins.
    Started {
        /// How many connectors.
        connectors: usize,
        /// Whether the standard library has to be compiled first, which takes about a minute, once.
        standard_library: bool,
    },
    /// A crate, of a connector or below one, is ready.
    Compiled {
        /// Its name.
        package: String,
        /// Whether nothing had to be done for it.
        fresh: bool,
    },
}

/// A built component.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Built {
    /// The crate.
    pub package: String,
    /// The folder that it stands in, which is the connector's name by convention.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub digest: String,
    /// Whether nothing had to be compiled.
    pub fresh: bool,
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A path is no connector.
    #[error(transparent)]
    Crate(#[from] CrateError),
    /// No way to compile for WebAssembly.
    #[error(transparent)]
    Road(#[from] RoadError),
    /// The compiler has something to say.
    #[error("cargo could not build {packages}")]
    Cargo {
        /// What it was to build.
        packages: String,
        /// What it said.
        words: String,
    },
    /// A program can't be started.
    #[error("{program} can't be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file can't be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Builds everything, and says what is going on.
///
/// # Errors
/// Where a path is no connector, there is no road, or the compiler refuses.
pub fn build(request: &Request, progress: &mut dyn FnMut(Event)) -> Result<(Vec<Built>, Duration), BuildError> {
    let began = Instant::now();
    let groups = crates::find(&request.paths)?;
    let road = road::choose(progress)?;
    progress(Event::Road(road.clone()));
    let mut built = Vec::new();
    for group in groups {
        let target = request.target.clone().unwrap_or_else(|| group.target.join("connectors"));
        let _lock = lock(&target, progress)?;
        for mut component in cargo::run(&road, &group, &target, progress)? {
            if let Some(out) = &request.out {
                component.path = copy(&component.path, out, &component.name)?;
            }
            built.push(component);
        }
    }
    Ok((built, began.elapsed()))
}

/// Cargo waits for its own lock in silence; this one can say so.
fn lock(target: &Path, progress: &mut dyn FnMut(Event)) -> Result<fs::File, BuildError> {
    let path = target.join("turnbuckle.lock");
    let mut file = || -> std::io::Result<fs::File> {
        fs::create_dir_all(target)?;
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        if file.try_lock().is_err() {
            progress(Event::Waiting);
            file.lock()?;
        }
        Ok(file)
    };
    file().map_err(|source| BuildError::File { path: path.clone(), source })
}

fn copy(from: &Path, out: &Path, name: &str) -> Result<PathBuf, BuildError> {
    let to = out.join(format!("{name}.wasm"));
    let copied = fs::create_dir_all(out).and_then(|()| fs::copy(from, &to));
    copied.map_err(|source| BuildError::File { path: to.clone(), source })?;
    Ok(to)
}

fn measure(path: &Path) -> Result<(u64, String), BuildError> {
    let bytes = fs::read(path).map_err(|source| BuildError::File { path: path.to_owned(), source })?;
    Ok((bytes.len() as u64, hex::encode(Sha256::digest(&bytes))))
}
