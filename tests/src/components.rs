//! Connectors and guests as components, built once for all tests of a machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use turnbuckle_cli::build::{BuildError, Request, build};

use crate::tree;
use crate::world::target_of;

/// The file of a bundled connector or a guest.
pub fn path(binary: impl AsRef<Path>, name: &str) -> PathBuf {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_all(&target_of(binary.as_ref())));
    built.get(name).unwrap_or_else(|| panic!("there is no connector or guest `{name}`: {:?}", built.keys())).clone()
}

/// The bytes of a bundled connector or a guest.
pub fn read(binary: impl AsRef<Path>, name: &str) -> Bytes {
    let path = path(binary, name);
    fs::read(&path).unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display())).into()
}

/// Builds every connector and every guest, as the command does. Other test processes wait; they find it done.
fn build_all(target: &Path) -> BTreeMap<String, PathBuf> {
    let top = tree::top();
    let folders = ["connectors", "tests/guests"].map(|folder| tree::folders(&top.join(folder)));
    let request = Request {
        paths: folders.concat().into_iter().filter(|folder| folder.join("src/lib.rs").is_file()).collect(),
        target: Some(target.join("connectors")),
        ..Request::default()
    };
    let (built, _time) = build(&request, &mut |_event| {}).unwrap_or_else(|error| match error {
        BuildError::Cargo { packages, words } => panic!("{packages} could not be built:\n{words}"),
        other => panic!("{other}"),
    });
    built.into_iter().map(|component| (component.name, component.path)).collect()
}
