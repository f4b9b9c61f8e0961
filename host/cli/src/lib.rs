//! The `turnbuckle` command: every verb is a call of the HTTP API, so a script, a person and an embedder can do the same.

mod args;
mod audit;
pub mod build;
mod client;
mod connection;
mod connector;
mod console;
mod definitions;
mod demo;
mod doctor;
mod events;
mod exit;
mod flow;
mod health;
mod output;
mod preview;
mod progress;
mod secret;
mod setup;
mod show;
mod up;
mod upkeep;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};
use turnbuckle::config::{LogConfig, LogFormat, LogLevel};
use turnbuckle::{Outside, Telemetry};

use args::{Arguments, Command, Global};
use client::{Client, Place};
use exit::{Error, Exit};
use output::Output;

/// A host makes and drops small things on several threads at once: with the system's allocator, about seven tenths as many changes
/// get through. A program that embeds the host chooses its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command that the process's arguments spell.
pub fn main() -> ExitCode {
    // First of all: a process that was started to compile a connector must not do anything else.
    turnbuckle::compile_worker();
    keep_memory_off_disk();
    let Arguments { global, command } = Arguments::parse();
    let (output, asked) = (Output::new(global.output), global.log.clone());
    let serving = matches!(command, Command::Up(_) | Command::Serve(_));
    let session = Session::new(global, output);
    // What is wrong with the configuration is told by whatever reads it next.
    let log = match &session {
        Ok(session) if serving => session.place.configuration().map(|config| config.log).unwrap_or_default(),
        Ok(_) | Err(_) => LogConfig::default(),
    };
    let level = log.level.map_or(if serving { "info" } else { "error" }, LogLevel::name);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&Error::Unexpected(anyhow::Error::from(error).context("the runtime can't start")));
            return Exit::Unexpected.into();
        }
    };
    let telemetry =
        match runtime.block_on(async { session.as_ref().ok().filter(|_| serving).map(telemetry).transpose() }) {
            Ok(telemetry) => telemetry.flatten(),
            Err(error) => {
                output.error(&error);
                return error.exit().into();
            }
        };
    log_to_stderr(asked.as_deref().unwrap_or(level), log.format, telemetry.as_ref());
    let ended = runtime.block_on(async { run(command, &session?).await });
    if let Some(telemetry) = telemetry {
        telemetry.end();
    }
    // A blocking read of a terminal never ends by itself.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}

/// Secrets in use stand in this process's memory, so a crash leaves no core dump, and other processes of the same user can't read
/// it. Where the system knows no such switch, the command works all the same.
fn keep_memory_off_disk() {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).ok();
}

async fn run(command: Command, session: &Session) -> Result<(), Error> {
    match command {
        Command::Demo => demo::run(session).await,
        Command::Up(listen) => up::up(&listen, session).await,
        Command::Serve(listen) => up::serve(&listen, session).await,
        Command::Console => console::run(session).await,
        Command::Doctor => doctor::run(session).await,
        Command::Backup { file } => upkeep::backup(&file, session).await,
        Command::Restore(restore) => upkeep::restore(&restore, session).await,
        Command::RotateKey => upkeep::rotate_key(session).await,
        Command::Export { file } => definitions::export(file.as_deref(), session).await,
        Command::Import(import) => definitions::import(import, session).await,
        Command::Connector(verb) => connector::run(verb, session).await,
        Command::Connection(verb) => connection::run(verb, session).await,
        Command::Flow(verb) => flow::run(verb, session).await,
        Command::Health { verb } => health::run(verb, session).await,
        Command::Setup(verb) => setup::run(verb, session).await,
        Command::Whoami => setup::whoami(session).await,
        Command::Events(events) => events::run(events, session).await,
        Command::Audit(verb) => audit::run(verb, session).await,
    }
}

/// What one run of the command works with.
#[derive(Debug)]
struct Session {
    global: Global,
    place: Place,
    output: Output,
}

impl Session {
    fn new(global: Global, output: Output) -> Result<Self, Error> {
        let data = match &global.data {
            Some(data) => data.clone(),
            None => default_data()?,
        };
        let place = Place { data, config: global.config.clone() };
        Ok(Self { global, place, output })
    }

    /// A client of the host that is meant: the named server, the server that has the data directory open, or, where none
    /// runs, the router in this process.
    async fn client(&self) -> Result<Client, Error> {
        match &self.global.server {
            Some(url) => {
                let Some(token) = self.global.token.clone() else {
                    let hint = "give it with --token, or better as TURNBUCKLE_TOKEN";
                    return Err(Error::input_hint("--server needs a token", hint));
                };
                let client = Client::remote(url.clone(), token)?;
                if client.is_open_road() {
                    self.output.warn(&format!("the token travels to {url} in the clear; use https"));
                }
                Ok(client)
            }
            None => self.place.client().await,
        }
    }
}

fn default_data() -> Result<PathBuf, Error> {
    let base = match variable("XDG_DATA_HOME").filter(|base| base.starts_with('/')) {
        Some(base) => PathBuf::from(base),
        None => match variable("HOME").filter(|home| !home.is_empty()) {
            Some(home) => PathBuf::from(home).join(".local/share"),
            None => return Err(Error::input_hint("there is no home directory", "name a data directory with --data")),
        },
    };
    Ok(base.join("turnbuckle"))
}

/// A variable of the environment that this process was given.
#[expect(clippy::disallowed_methods, reason = "the process begins here")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The export of traces, where one is configured.
fn telemetry(session: &Session) -> Result<Option<Telemetry>, Error> {
    // What is wrong with the rest is told by whatever reads it next.
    let Ok(config) = session.place.configuration() else { return Ok(None) };
    Ok(Telemetry::start(&config, Outside::system())?)
}

fn log_to_stderr(asked: &str, format: LogFormat, telemetry: Option<&Telemetry>) {
    let filter = EnvFilter::try_new(asked).unwrap_or_else(|_no_filter| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A file of log lines is read by other programs.
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false);
    let log = match format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().boxed(),
    };
    // Traces are taken whatever the log says.
    tracing_subscriber::registry().with(log.with_filter(filter)).with(telemetry.map(Telemetry::layer)).init();
}
