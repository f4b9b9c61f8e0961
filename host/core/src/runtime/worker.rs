//! The compiling process: limited before it reads a byte of the component.

use std::io::{Read as _, Write as _};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

use landlock::{ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::cache::mac;
use super::{engine, lane};

/// Set in the environment of a process that is started to compile.
pub(super) const FLAG: &str = "TURNBUCKLE_COMPILE_WORKER";
/// Exit code: the component does not compile, and standard error says why.
pub(super) const REJECTED: i32 = 65;

static CAN_COMPILE: AtomicBool = AtomicBool::new(false);

/// Lets this program compile connectors in a process of its own. Call it in the first line of `main`.
///
/// In a process that the host started for compiling this does the work and exits. In any other it returns at once, and the
/// host knows that it may start this program again.
#[expect(
    clippy::disallowed_methods,
    reason = "a compiling process is told so by its environment, before there is a configuration"
)]
pub fn compile_worker() {
    if std::env::var_os(FLAG).is_none() {
        CAN_COMPILE.store(true, Ordering::Relaxed);
        return;
    }
    exit(match work() {
        Ok(()) => 0,
        Err(words) => {
            // Nobody is left to tell if this fails.
            drop(std::io::stderr().write_all(words.as_bytes()));
            REJECTED
        }
    });
}

pub(super) fn this_program_can_compile() -> bool {
    CAN_COMPILE.load(Ordering::Relaxed)
}

/// What the child is told before the component.
pub(super) struct Header {
    pub(super) key: [u8; 32],
    pub(super) memory: u64,
    pub(super) cpu_seconds: u64,
}

impl Header {
    const BYTES: usize = 48;

    pub(super) fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.key);
        bytes[32..40].copy_from_slice(&self.memory.to_le_bytes());
        bytes[40..].copy_from_slice(&self.cpu_seconds.to_le_bytes());
        bytes
    }

    fn read() -> std::io::Result<Self> {
        let (mut key, mut memory, mut cpu_seconds) = ([0; 32], [0; 8], [0; 8]);
        let mut stdin = std::io::stdin().lock();
        stdin.read_exact(&mut key)?;
        stdin.read_exact(&mut memory)?;
        stdin.read_exact(&mut cpu_seconds)?;
        Ok(Self { key, memory: u64::from_le_bytes(memory), cpu_seconds: u64::from_le_bytes(cpu_seconds) })
    }
}

fn work() -> Result<(), String> {
    let words = |error: std::io::Error| error.to_string();
    let header = Header::read().map_err(words)?;
    confine(&header).map_err(|error| format!("the limits of the compiling process can't be set: {error}"))?;
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component).map_err(words)?;
    let engine = engine::compiler().map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(&mac(&header.key, &code))
        .and_then(|()| stdout.write_all(&code))
        .and_then(|()| stdout.flush())
        .map_err(words)
}

/// Memory, CPU time, no core dump, no files that it has not open yet; and it gives way to whoever serves.
fn confine(header: &Header) -> std::io::Result<()> {
    lane::give_way();
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, limit(header.memory))?;
    // At the lower one a signal tells that it was the time; at the upper one nothing more is asked.
    let seconds = header.cpu_seconds.max(1);
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds + 1) })?;
    setrlimit(Resource::Core, limit(0))?;
    setrlimit(Resource::Fsize, limit(0))?;
    // Kernels without Landlock compile too; there the limits above are all there is.
    let every_access = AccessFs::from_all(ABI::V5);
    let no_files = Ruleset::default().handle_access(every_access).and_then(Ruleset::create);
    if let Ok(ruleset) = no_files {
        drop(ruleset.restrict_self());
    }
    Ok(())
}
