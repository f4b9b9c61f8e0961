//! Connectors and guests as components, built once for all tests of a machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;

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

/// Builds every connector and every guest. Other test processes wait; they find it done.
fn build_all(target: &Path) -> BTreeMap<String, PathBuf> {
    let top = tree::top();
    let crates: Vec<_> = [top.join("connectors"), top.join("tests/guests")]
        .iter()
        .flat_map(|folder| tree::folders(folder))
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .collect();
    let target = target.join("connectors");
    fs::create_dir_all(&target).expect("a folder for components");
    let lock = File::create(target.join(".tests.lock")).expect("a file to lock");
    lock.lock().expect("the lock");
    crates
        .into_iter()
        .map(|folder| {
            let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
            let component = build(&folder, &target);
            (name, component)
        })
        .collect()
}

/// Stands in for the command's own builder.
#[expect(clippy::disallowed_methods, reason = "the compiler is the developer's own")]
fn build(folder: &Path, target: &Path) -> PathBuf {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc runs").stdout;
    let sysroot = String::from_utf8(sysroot).expect("a path");
    let tools = format!("{}/lib/rustlib/x86_64-unknown-linux-gnu/bin", sysroot.trim());
    let search = format!("{tools}:{tools}/gcc-ld:{}", std::env::var("PATH").expect("a search path"));
    let mut command = Command::new("cargo");
    command
        .current_dir(folder)
        .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", "wasm32-wasip2"])
        .arg("--message-format=json-render-diagnostics")
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TARGET_WASM32_WASIP2_LINKER", format!("{tools}/wasm-component-ld"))
        .env("PATH", search)
        .env(
            "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
            "-L native=/usr/lib/wasm32-wasi -C link-self-contained=no -C link-arg=/usr/lib/wasm32-wasi/crt1-reactor.o",
        );
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .rfind(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .unwrap_or_else(|| panic!("{} builds no component", folder.display()))
}
