//! Compiling a component in a process of its own.
//!
//! A hostile component can make a compiler take any amount of memory and abort; that is not a fault of the compiler by its
//! own rules. So a child process compiles, with limits of its own, and hands back code that it authenticated with a key
//! that it got for the purpose.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::cache::{Compiled, MAC, authentic, mac};
use super::error::CompileError;
use super::limits::Limits;
use super::{engine, worker};

/// Who compiles connectors.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Compiler {
    /// This program, started once more; its `main` begins with [`compile_worker`](crate::compile_worker).
    #[default]
    ThisProgram,
    /// Another program whose `main` begins so.
    Worker(PathBuf),
    /// This very process, without limits: for components that the operator wrote, and for tests.
    InProcess,
}

/// Compiled code is about three times as large as the component; one that grows much more is a trick.
const EXPANSION: u64 = 16;

pub(super) async fn compile(
    compiler: &Compiler,
    bytes: &[u8],
    limits: &Limits,
    key: &[u8; 32],
) -> Result<Compiled, CompileError> {
    let program = match compiler {
        Compiler::InProcess => return in_process(bytes, key).await,
        Compiler::Worker(program) => program.clone(),
        Compiler::ThisProgram => {
            if !worker::this_program_can_compile() {
                return Err(CompileError::NoWorker);
            }
            std::env::current_exe()
                .map_err(|source| CompileError::Spawn { program: PathBuf::from("itself"), source })?
        }
    };
    let child = in_child(program, bytes, limits, key);
    tokio::time::timeout(limits.compile, child)
        .await
        .map_err(|_elapsed| CompileError::Time { limit: limits.compile })?
}

async fn in_process(bytes: &[u8], key: &[u8; 32]) -> Result<Compiled, CompileError> {
    let (bytes, key) = (bytes.to_owned(), *key);
    let compiling = tokio::task::spawn_blocking(move || {
        let code = engine::compiler().and_then(|engine| engine.precompile_component(&bytes));
        code.map(|code| Compiled { mac: mac(&key, &code), code })
    });
    match compiling.await {
        Ok(compiled) => compiled.map_err(|error| CompileError::Rejected { message: format!("{error:#}") }),
        Err(panicked) => Err(CompileError::Rejected { message: panicked.to_string() }),
    }
}

/// Dropping the future kills the child.
async fn in_child(program: PathBuf, bytes: &[u8], limits: &Limits, key: &[u8; 32]) -> Result<Compiled, CompileError> {
    let failed = |source| CompileError::Spawn { program: program.clone(), source };
    let mut child = Command::new(&program)
        .env_clear()
        .env(worker::FLAG, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
    };
    let header = worker::Header { key: *key, memory: limits.compile_memory, cpu_seconds: limits.compile.as_secs() };
    let ask = async move {
        // A child that died says why by its exit; that it did not read to the end is no news.
        let asked = async {
            stdin.write_all(&header.to_bytes()).await?;
            stdin.write_all(bytes).await?;
            stdin.shutdown().await
        };
        if let Err(error) = asked.await {
            tracing::debug!(%error, "the compiling process did not take the whole component");
        }
    };
    let (mut answer, mut words) = (Vec::new(), Vec::new());
    let mut few = (&mut stderr).take(16 << 10);
    let most = EXPANSION * bytes.len() as u64 + (1 << 20);
    let mut code = (&mut stdout).take(most + 1);
    let ((), read, said) = tokio::join!(ask, code.read_to_end(&mut answer), few.read_to_end(&mut words));
    read.and(said).map_err(failed)?;
    if answer.len() as u64 > most {
        return Err(CompileError::Memory { limit: limits.compile_memory });
    }
    let status = child.wait().await.map_err(failed)?;
    match status.code() {
        Some(0) => {}
        Some(worker::REJECTED) => {
            let words = String::from_utf8_lossy(&words);
            return Err(CompileError::Rejected { message: words.trim().chars().take(1_000).collect() });
        }
        None if status.signal() == Some(Signal::XCPU.as_raw()) => {
            return Err(CompileError::Time { limit: limits.compile });
        }
        Some(_) | None => return Err(CompileError::Memory { limit: limits.compile_memory }),
    }
    match answer.split_first_chunk::<MAC>() {
        Some((given, code)) if authentic(key, code, given) => Ok(Compiled { mac: *given, code: code.to_owned() }),
        _ => Err(CompileError::Forged),
    }
}
