//! Connectors that are not written in Rust, made by the tools of their languages. They are kept by what they are made of: each
//! takes a minute.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::installed::{home, node, python, run};
use crate::tree;

/// Pinned: another version makes another component. The last is used by the first, which does not say so; `jco` has the text of
/// WASI's interfaces besides.
const JAVASCRIPT: &[&str] = &[
    "@bytecodealliance/componentize-js@0.23.0",
    "@bytecodealliance/jco@1.35.0",
    "@bytecodealliance/preview2-shim@0.25.0",
];
const PYTHON: &str = "componentize-py==0.25.1";
const WASI: &str = "@bytecodealliance/jco/lib/wit/builtin/0.2.12";
const WASI_PACKAGES: [&str; 7] = ["io", "clocks", "random", "cli", "filesystem", "sockets", "http"];

/// A connector that was made.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// What its code is written in.
    pub language: &'static str,
    /// What it calls itself.
    pub connector: &'static str,
    /// Its component.
    pub path: PathBuf,
}

/// `guest.js`, by `componentize-js`.
pub fn in_javascript() -> Foreign {
    let peers = tree::top().join("tests/peers");
    let (source, maker) = (peers.join("guest.js"), peers.join("guest.mjs"));
    let path = kept("guest-js", &[&source, &maker, &contract()], &JAVASCRIPT.join(" "), |output| {
        let modules = node("js", JAVASCRIPT);
        run(Command::new("node").arg(&maker).arg(modules).arg(&source).arg(tree::top().join("wit")).arg(output));
    });
    Foreign { language: "JavaScript", connector: "guest-js", path }
}

/// `guest.py`, by `componentize-py`.
pub fn in_python() -> Foreign {
    let peers = tree::top().join("tests/peers");
    let (source, world) = (peers.join("guest.py"), peers.join("guest.wit"));
    let path = kept("guest-py", &[&source, &world, &contract()], &format!("{PYTHON} {}", JAVASCRIPT[1]), |output| {
        let folder = tempfile::tempdir().expect("a folder");
        let (wit, app) = (folder.path().join("wit"), folder.path().join("app"));
        fs::create_dir_all(&app).expect("a folder");
        fs::create_dir_all(&wit).expect("a folder");
        // Beside it, Python would leave what it compiled.
        copy(&source, &app.join("guest.py"));
        copy(&world, &wit.join("guest.wit"));
        copy(&contract(), &wit.join("connector.wit"));
        let wasi = node("js", JAVASCRIPT).join(WASI);
        for package in WASI_PACKAGES {
            let folder = wit.join("deps").join(package);
            fs::create_dir_all(&folder).expect("a folder");
            copy(&wasi.join(format!("wasi-{package}/package.wit")), &folder.join("package.wit"));
        }
        // Two interfaces are called `types`.
        let names = ["turnbuckle:connector/types@0.1.0=connector_types", "wasi:http/types@0.2.12=wasi_http_types"];
        let mut command = Command::new(python("py", PYTHON).join("componentize-py"));
        command.arg("--quiet").arg("--wit-path").arg(&wit).args(["--world", "guest"]);
        for name in names {
            command.args(["--import-interface-name", name]);
        }
        run(command.args(["componentize", "--python-path"]).arg(&app).arg("guest").arg("--output").arg(output));
    });
    Foreign { language: "Python", connector: "guest-py", path }
}

fn contract() -> PathBuf {
    tree::top().join("wit/connector.wit")
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{} can't be copied: {error}", from.display()));
}

/// The component that was made of just these files by these tools, or one made now.
fn kept(name: &str, files: &[&Path], tools: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let mut made_of = Sha256::new();
    made_of.update(tools);
    for file in files {
        let content = fs::read(file).unwrap_or_else(|error| panic!("{} can't be read: {error}", file.display()));
        made_of.update(format!(" {} ", content.len()));
        made_of.update(content);
    }
    let folder = home().join("guests");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{name}-{}.wasm", &hex::encode(made_of.finalize())[..16]));
    if !path.is_file() {
        let fresh = tempfile::tempdir_in(&folder).expect("a folder");
        let output = fresh.path().join("guest.wasm");
        make(&output);
        fs::rename(output, &path).expect("it was made");
    }
    path
}
