//! Programs of others from npm and PyPI, installed once into the home of whoever runs a bench.
#![expect(clippy::print_stderr, reason = "an installation takes long, and says so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder that they stand in.
#[expect(clippy::disallowed_methods, reason = "peers are kept in the home of whoever runs the bench")]
pub fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache/turnbuckle-peers")
}

/// The folder with programs of a Python environment that has this package.
pub fn python(name: &str, package: &str) -> PathBuf {
    let environment = home().join(name);
    once(&environment, package, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        let pip = environment.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", package]));
    });
    environment.join("bin")
}

/// The folder of modules that has these npm packages.
pub fn node(name: &str, packages: &[&str]) -> PathBuf {
    let folder = home().join(name);
    once(&folder, &packages.join(" "), || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(&folder);
        run(npm.args(packages));
    });
    folder.join("node_modules")
}

/// The folder of modules of a project with this `package.json`; none where something of it can't be had or built here.
pub fn node_project(name: &str, manifest: &Value) -> Option<PathBuf> {
    let folder = home().join(name);
    let manifest = manifest.to_string();
    let installed = tried(&folder, &manifest, || {
        fs::write(folder.join("package.json"), &manifest).expect("a file");
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(&folder);
        npm.status().is_ok_and(|status| status.success())
    });
    installed.then(|| folder.join("node_modules"))
}

/// Runs it to its end, which must be a good one.
pub fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

/// A folder that has just this, whole: what was cut off, or is of another version, is begun anew.
fn once(folder: &Path, what: &str, install: impl FnOnce()) {
    tried(folder, what, || {
        install();
        true
    });
}

/// The same, where it may be that it can't be had.
fn tried(folder: &Path, what: &str, install: impl FnOnce() -> bool) -> bool {
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|there| there == what) {
        return true;
    }
    eprintln!("installing {what} …");
    if folder.exists() {
        fs::remove_dir_all(folder).expect("what was there goes");
    }
    fs::create_dir_all(folder).expect("a folder");
    let installed = install();
    if installed {
        fs::write(done, what).expect("a file");
    }
    installed
}
