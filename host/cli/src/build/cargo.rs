//! One run of cargo, and what it reports.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::crates::Group;
use super::{BuildError, Built, Event, Road, measure, road};

/// Small and quick to load; nothing of it need stand in an author's manifest.
const PROFILE: &[&str] = &[
    "profile.release.opt-level=\"s\"",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.strip=true",
    "profile.release.panic=\"abort\"",
];

/// Variables that an outer cargo sets for its own build.
const FOREIGN: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC",
    "RUSTDOCFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
];

pub(super) fn clean(command: &mut Command) {
    for variable in FOREIGN {
        command.env_remove(variable);
    }
}

pub(super) fn run(
    road: &Road,
    group: &Group,
    target: &Path,
    progress: &mut dyn FnMut(Event),
) -> Result<Vec<Built>, BuildError> {
    let mut cargo = Command::new("cargo");
    clean(&mut cargo);
    cargo.current_dir(&group.workspace).env("CARGO_TARGET_DIR", target);
    cargo.args([
        "build",
        "--release",
        "--lib",
        "--target",
        "wasm32-wasip2",
        "--message-format=json-render-diagnostics",
    ]);
    for option in PROFILE {
        cargo.args(["--config", option]);
    }
    for (package, _) in &group.packages {
        cargo.args(["--package", package]);
    }
    road::take(road, &mut cargo);
    let first = matches!(road, Road::Distribution { .. }) && !target.join("wasm32-wasip2/release/deps").is_dir();
    progress(Event::Started { connectors: group.packages.len(), standard_library: first });
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| BuildError::Start { program: "cargo".into(), source })?;
    let stderr = child.stderr.take();
    let words = std::thread::spawn(move || {
        let mut words = String::new();
        if let Some(mut stderr) = stderr
            && stderr.read_to_string(&mut words).is_err()
        {
            words.push_str("(what it said is not text)");
        }
        words
    });
    let mut components = BTreeMap::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines).map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        if message["reason"] == "compiler-artifact" {
            let package = name(&message);
            let fresh = message["fresh"] == true;
            let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(file) = files.filter(|file| file.ends_with(".wasm")).next_back() {
                components.insert(package.clone(), (PathBuf::from(file), fresh));
            }
            progress(Event::Compiled { package, fresh });
        }
    }
    let status = child.wait().map_err(|source| BuildError::Start { program: "cargo".into(), source })?;
    let words = words.join().unwrap_or_default();
    let packages = || group.packages.iter().map(|(package, _)| package.as_str()).collect::<Vec<_>>().join(", ");
    if !status.success() {
        return Err(BuildError::Cargo { packages: packages(), words });
    }
    let mut built = Vec::new();
    for (package, name) in &group.packages {
        let Some((path, fresh)) = components.remove(package) else {
            return Err(BuildError::Cargo { packages: package.clone(), words: "it made no component".into() });
        };
        let (bytes, digest) = measure(&path)?;
        built.push(Built { package: package.clone(), name: name.clone(), path, bytes, digest, fresh });
    }
    Ok(built)
}

/// The package of an artifact, from an id such as `path+file:///x/y#name@0.1.0` or `…/name#0.1.0`.
fn name(message: &Value) -> String {
    let id = message["package_id"].as_str().unwrap_or_default();
    let (source, tag) = id.split_once('#').unwrap_or((id, ""));
    match tag.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => source.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}
