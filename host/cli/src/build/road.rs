//! How this machine compiles for `wasm32-wasip2`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{BuildError, Event};

const TARGET: &str = "wasm32-wasip2";
const PACKAGES: &str = "rustc-web rust-web-src wasi-libc";
/// Where the distribution's compiler and C library stand.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A way to compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Road {
    /// The target is installed.
    Installed,
    /// rustup has just added it.
    Added,
    /// The distribution's compiler, which compiles its own standard library.
    Distribution {
        /// Folder of the linker for components.
        linker: PathBuf,
    },
}

impl std::fmt::Display for Road {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Installed => "the installed target wasm32-wasip2",
            Self::Added => "the target wasm32-wasip2, added by rustup",
            Self::Distribution { .. } => "the distribution's compiler with its own standard library",
        })
    }
}

/// Why there is no way to compile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoadError {
    /// Nothing is there, and nothing can be installed.
    #[error("this machine can't compile for wasm32-wasip2 yet")]
    Missing {
        /// The command that would help.
        hint: String,
    },
}

/// The way that is there already, without changing anything.
pub(crate) fn looked() -> Result<Road, RoadError> {
    let sysroot = said("rustc", &["--print", "sysroot"]).map(PathBuf::from);
    if let Some(sysroot) = &sysroot
        && sysroot.join("lib/rustlib").join(TARGET).is_dir()
    {
        return Ok(Road::Installed);
    }
    distribution(sysroot.as_deref()).ok_or_else(|| RoadError::Missing { hint: hint() })
}

fn apt() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

fn install() -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {PACKAGES}")
}

fn hint() -> String {
    let rustup = format!("rustup target add {TARGET}");
    if apt() { format!("{rustup}; or, as root: {}", install()) } else { rustup }
}

pub(super) fn choose(progress: &mut dyn FnMut(Event)) -> Result<Road, BuildError> {
    if let Ok(road) = looked() {
        return Ok(road);
    }
    if said("rustup", &["--version"]).is_some() {
        progress(Event::Adding);
        if rustup() {
            return Ok(Road::Added);
        }
    }
    if rustix::process::geteuid().is_root() && apt() {
        progress(Event::Installing { packages: PACKAGES.to_owned() });
        let installed = Command::new("sh")
            .args(["-c", &install()])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output();
        match installed {
            Ok(output) if output.status.success() => return looked().map_err(BuildError::from),
            Ok(output) => {
                // Its last line says why, the others what it did until then.
                let words =
                    String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or_default().to_owned();
                return Err(RoadError::Missing { hint: format!("{} (apt-get said: {words})", hint()) }.into());
            }
            Err(_no_shell) => {}
        }
    }
    Err(RoadError::Missing { hint: hint() }.into())
}

/// Its compiler is there whole: rustc, the source of its library, and a C library.
fn distribution(sysroot: Option<&Path>) -> Option<Road> {
    let host = said("rustc", &["-vV"])?.lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned))?;
    let linker = sysroot?.join("lib/rustlib").join(host).join("bin");
    let debian = said(DEBIAN_RUSTC, &["--print", "sysroot"]).map(PathBuf::from)?;
    let whole = linker.join("wasm-component-ld").exists()
        && debian.join("lib/rustlib/src/rust/library/std").is_dir()
        && Path::new(DEBIAN_LIBC).join("crt1-reactor.o").exists();
    whole.then_some(Road::Distribution { linker })
}

/// Without a network it fails at once; it is not waited for longer than a download takes.
fn rustup() -> bool {
    let mut rustup = Command::new("timeout");
    rustup
        .args(["60", "rustup", "target", "add", TARGET])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    rustup.status().is_ok_and(|status| status.success())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    super::cargo::clean(&mut command);
    let output = command.args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Tells cargo to take this road.
#[expect(clippy::disallowed_methods, reason = "cargo is given the path of this process, and a linker before it")]
pub(super) fn take(road: &Road, cargo: &mut Command) {
    let Road::Distribution { linker } = road else { return };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [linker.clone(), linker.join("gcc-ld")].into_iter().chain(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(folders) {
        cargo.env("PATH", path);
    }
    cargo
        .arg("-Zbuild-std=std,panic_abort")
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_WASIP2_LINKER", linker.join("wasm-component-ld"))
        .env(
            "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
            format!("-L native={DEBIAN_LIBC} -C link-self-contained=no -C link-arg={DEBIAN_LIBC}/crt1-reactor.o"),
        );
}
