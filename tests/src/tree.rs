//! The source tree that the tests look at.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn top() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate stands in the repository").to_owned()
}

/// A path as people write it: from the top on, with `/`.
pub fn below_top(path: &Path) -> String {
    let below = path.strip_prefix(top()).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The folders directly below, sorted by name; none where there is no such folder.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> =
        entries.map(|entry| entry.expect("a folder can be listed").path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Shows every file below, build results aside.
pub fn files(folder: &Path, show: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_file() {
            show(&path);
        } else if path.is_dir() && path.file_name().is_none_or(|name| name != "target" && name != "node_modules") {
            files(&path, show);
        }
    }
}
