//! Which crates a path stands for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Why a path is no connector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrateError {
    /// There is nothing.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Neither a crate nor a folder of crates.
    #[error("{} is neither a crate nor a folder of crates: it has no Cargo.toml", .path.display())]
    NotACrate {
        /// The path.
        path: PathBuf,
    },
    /// A crate that makes no component.
    #[error("the crate {package} in {} makes no component: add crate-type = [\"cdylib\", \"lib\"] to its [lib]", .path.display())]
    NoCdylib {
        /// The crate.
        package: String,
        /// Where it stands.
        path: PathBuf,
    },
    /// There is no cargo.
    #[error("cargo can't be started: {source}")]
    NoCargo {
        /// Why.
        source: std::io::Error,
    },
    /// Cargo does not understand it.
    #[error("cargo does not understand {}: {words}", .path.display())]
    Metadata {
        /// The path.
        path: PathBuf,
        /// What it said.
        words: String,
    },
}

/// Crates of one workspace, built together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) workspace: PathBuf,
    pub(super) target: PathBuf,
    /// Package name and folder name.
    pub(super) packages: Vec<(String, String)>,
}

pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<Group>, CrateError> {
    let mut groups: BTreeMap<PathBuf, Group> = BTreeMap::new();
    for path in paths {
        for folder in folders(path)? {
            let metadata = metadata(&folder)?;
            let text = |pointer: &str| {
                metadata.pointer(pointer).and_then(Value::as_str).map(PathBuf::from).unwrap_or_default()
            };
            let package = package(&metadata, &folder)?;
            let group = groups.entry(text("/workspace_root")).or_insert_with(|| Group {
                workspace: text("/workspace_root"),
                target: text("/target_directory"),
                packages: Vec::new(),
            });
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !group.packages.iter().any(|(known, _)| *known == package) {
                group.packages.push((package, name));
            }
        }
    }
    Ok(groups.into_values().collect())
}

/// The path itself where it is a crate, else the crates right below it.
fn folders(path: &Path) -> Result<Vec<PathBuf>, CrateError> {
    let path = path.canonicalize().map_err(|_missing| CrateError::Missing { path: path.to_owned() })?;
    if is_package(&path) {
        return Ok(vec![path]);
    }
    let not_a_crate = || CrateError::NotACrate { path: path.clone() };
    let entries = std::fs::read_dir(&path).map_err(|_no_folder| not_a_crate())?;
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_package(path)).collect();
    folders.sort();
    if folders.is_empty() { Err(not_a_crate()) } else { Ok(folders) }
}

fn is_package(path: &Path) -> bool {
    let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    manifest.parse::<toml::Table>().is_ok_and(|manifest| manifest.contains_key("package"))
}

fn metadata(folder: &Path) -> Result<Value, CrateError> {
    let failed = |words: String| CrateError::Metadata { path: folder.to_owned(), words };
    let mut cargo = Command::new("cargo");
    super::cargo::clean(&mut cargo);
    let output = cargo
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(folder)
        .output()
        .map_err(|source| CrateError::NoCargo { source })?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

fn package(metadata: &Value, folder: &Path) -> Result<String, CrateError> {
    let manifest = folder.join("Cargo.toml");
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut own = packages.filter(|package| package["manifest_path"].as_str().map(Path::new) == Some(&manifest));
    let package = own.next().ok_or_else(|| CrateError::NotACrate { path: folder.to_owned() })?;
    let name = package["name"].as_str().unwrap_or_default().to_owned();
    let targets = package["targets"].as_array().into_iter().flatten();
    let mut types = targets.flat_map(|target| target["crate_types"].as_array().into_iter().flatten());
    if types.any(|kind| kind == "cdylib") {
        Ok(name)
    } else {
        Err(CrateError::NoCdylib { package: name, path: folder.to_owned() })
    }
}
