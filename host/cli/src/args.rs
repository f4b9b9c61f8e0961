//! What may be typed.

pub(crate) mod audit;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod events;
pub(crate) mod flow;
pub(crate) mod named;
pub(crate) mod setup;
pub(crate) mod users;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use turnbuckle::Secret;
use url::Url;

use crate::output::Format;

/// Loads third-party connectors and keeps the connections made with them, without ever showing a connector a secret.
#[derive(Debug, Parser)]
#[command(name = "turnbuckle", version, arg_required_else_help = true, max_term_width = 120)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Data directory [default: turnbuckle in the XDG data directory]
    #[arg(long, global = true, value_name = "DIR", env = "TURNBUCKLE_DATA", hide_env = true)]
    pub(crate) data: Option<PathBuf>,
    /// Configuration [default: turnbuckle.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE", env = "TURNBUCKLE_CONFIG", hide_env = true)]
    pub(crate) config: Option<PathBuf>,
    /// Work on this server rather than on the data directory
    #[arg(long, global = true, value_name = "URL", env = "TURNBUCKLE_SERVER", hide_env = true)]
    pub(crate) server: Option<Url>,
    /// Token for that server
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "TURNBUCKLE_TOKEN",
        hide_env = true,
        hide_env_values = true,
        value_parser = secret
    )]
    pub(crate) token: Option<Secret>,
    /// Tables for people, or one JSON document for scripts
    #[arg(
        long,
        short,
        global = true,
        value_name = "FORMAT",
        env = "TURNBUCKLE_OUTPUT",
        hide_env = true,
        default_value = "table"
    )]
    pub(crate) output: Format,
    /// How much to say on standard error: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", env = "TURNBUCKLE_LOG", hide_env = true)]
    pub(crate) log: Option<String>,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A guided tour on a built-in sample service; nothing is left behind
    Demo,
    /// Build and install the bundled connectors, then serve
    Up(Listen),
    /// Serve the HTTP API and the console
    Serve(Listen),
    /// Print a link that signs a browser in to the console, once
    Console,
    /// Look whether everything is in order, and say what to do where it is not
    Doctor,
    /// Copy the store to a file while it runs; the master key is not in it
    Backup {
        /// Where to
        file: PathBuf,
    },
    /// Put a backup back into an empty data directory
    Restore(Restore),
    /// Make a new master key and seal every secret anew
    RotateKey,
    /// Write out what is set up, as TOML without secrets
    Export {
        /// Where to [default: stdout]
        file: Option<PathBuf>,
    },
    /// Make what a file says is set up, and leave alone what agrees with it
    Import(ImportArguments),
    /// Connectors: build, install, look at
    #[command(subcommand)]
    Connector(connector::Verb),
    /// Connections: create, test, use
    #[command(subcommand)]
    Connection(connection::Verb),
    /// Flows: what leans on which connection
    #[command(subcommand)]
    Flow(flow::Verb),
    /// How connections are kept alive: what is due, what waits, how they stand
    Health {
        #[command(subcommand)]
        verb: Option<Health>,
    },
    /// What operators set up for everyone: credentials, OAuth clients, users
    #[command(subcommand)]
    Setup(setup::Verb),
    /// Whom the token stands for, and what it opens
    Whoami,
    /// What happened to connections, flows and connectors; --follow shows it as it happens
    Events(events::Events),
    /// Who did what: list it, prove that it is whole, export it
    #[command(subcommand)]
    Audit(audit::Verb),
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Health {
    /// Stop checks and renewals that nobody asks for
    Pause,
    /// Let them go on
    Resume,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Listen {
    /// Where to listen [default: 127.0.0.1:7400, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Restore {
    /// The backup
    pub(crate) file: PathBuf,
    /// The master key that was in use when the backup was made
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Put it in the place of what is there; that is kept beside it as .bak
    #[arg(long)]
    pub(crate) force: bool,
}

/// Whether a change is made, or only told about.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DryRun {
    /// Only say what would happen: which connections and flows would break
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// What `export` wrote; - for standard input
    pub(crate) file: PathBuf,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A secret of what is made: KIND/NAME/FIELD=@FILE, KIND/NAME/FIELD=env:VARIABLE or KIND/NAME/FIELD=-, where kind is
    /// connection, principal, external-credential or identity-provider
    #[arg(long, value_name = "KIND/NAME/FIELD=SOURCE")]
    pub(crate) secret: Vec<crate::secret::SecretArgument>,
}

/// `name=value`, split at the first `=`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_agree_with_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_is_what_a_newcomer_reads() {
        let help = Arguments::command().term_width(100).render_help().to_string();
        insta::assert_snapshot!(help, @r"
        Loads third-party connectors and keeps the connections made with them, without ever showing a
        connector a secret

        Usage: turnbuckle [OPTIONS] <COMMAND>

        Commands:
          demo        A guided tour on a built-in sample service; nothing is left behind
          up          Build and install the bundled connectors, then serve
          serve       Serve the HTTP API and the console
          console     Print a link that signs a browser in to the console, once
          doctor      Look whether everything is in order, and say what to do where it is not
          backup      Copy the store to a file while it runs; the master key is not in it
          restore     Put a backup back into an empty data directory
          rotate-key  Make a new master key and seal every secret anew
          export      Write out what is set up, as TOML without secrets
          import      Make what a file says is set up, and leave alone what agrees with it
          connector   Connectors: build, install, look at
          connection  Connections: create, test, use
          flow        Flows: what leans on which connection
          health      How connections are kept alive: what is due, what waits, how they stand
          setup       What operators set up for everyone: credentials, OAuth clients, users
          whoami      Whom the token stands for, and what it opens
          events      What happened to connections, flows and connectors; --follow shows it as it happens
          audit       Who did what: list it, prove that it is whole, export it
          help        Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help (see more with '--help')
          -V, --version  Print version

        Global options:
              --data <DIR>       Data directory [default: turnbuckle in the XDG data directory]
              --config <FILE>    Configuration [default: turnbuckle.toml in the data directory]
              --server <URL>     Work on this server rather than on the data directory
              --token <TOKEN>    Token for that server
          -o, --output <FORMAT>  Tables for people, or one JSON document for scripts [default: table]
                                 [possible values: table, json]
              --log <LEVEL>      How much to say on standard error: error, warn, info, debug, trace
        ");
    }

    #[test]
    fn a_token_does_not_print() {
        let arguments = Arguments::try_parse_from(["turnbuckle", "doctor", "--token", "hunter2"]).unwrap();
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }
}
