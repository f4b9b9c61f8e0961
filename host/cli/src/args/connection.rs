//! `turnbuckle connection …`. KEY is an id or a name.

use clap::{Args, Subcommand};

use super::{DryRun, pair};
use crate::secret::SecretArgument;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a connection and test it
    Create(Create),
    /// A page of connections, by name
    List(List),
    /// One connection
    Show(Key),
    /// Change a connection and test it; secrets that are left out stay
    Edit(Edit),
    /// Test a connection
    Test(Key),
    /// Let a person agree in a browser, where its protocol takes that
    Authorize(Authorize),
    /// Try a new credential; only one that passes replaces the old one
    Reconnect(Reconnect),
    /// Switch it on
    Enable(Switch),
    /// Switch it off: test and send are refused
    Disable(Switch),
    /// Make another user its owner
    Transfer(Transfer),
    /// Delete it; refused while a flow uses it
    Delete(Switch),
    /// Flows that use it
    Flows(Key),
    /// Who changed it, newest first: its newest 1,000 versions
    History(History),
    /// What was done with it and to it, newest first: tests, requests, renewals
    Activity(Activity),
    /// Send a request through it
    Send(Send),
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// Id or name
    pub(crate) key: String,
}

/// A change that takes no more than a name.
#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// Id or name
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// A field that is not secret; repeat it for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A secret: NAME=@FILE, NAME=env:VARIABLE or NAME=- for standard input
    #[arg(long, value_name = "NAME=SOURCE")]
    pub(crate) secret: Vec<SecretArgument>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// NAME, or NAME@VERSION
    #[arg(long)]
    pub(crate) connector: String,
    /// Its own name, unique
    #[arg(long)]
    pub(crate) name: String,
    /// How to authenticate; may be left out where the connector offers one way only
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Go by this named credential rather than by a protocol with fields
    #[arg(long, value_name = "NAME", conflicts_with_all = ["protocol", "identity_provider"])]
    pub(crate) named_credential: Option<String>,
    /// Free text
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// Only its owner may see it
    #[arg(long)]
    pub(crate) private: bool,
    /// Take the OAuth client from this identity provider [default: the only one for the protocol]
    #[arg(long, value_name = "NAME")]
    pub(crate) identity_provider: Option<String>,
    /// Let a person authorize it later rather than now
    #[arg(long)]
    pub(crate) later: bool,
    #[command(flatten)]
    pub(crate) browser: Browser,
    #[command(flatten)]
    pub(crate) fields: Fields,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Made with this connector
    #[arg(long)]
    pub(crate) connector: Option<String>,
    /// disabled, inactive, active, degraded or needs-reconnect
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Of this owner
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// With this text in the name
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// In this order: name, name-descending, or need (those that need a person first)
    #[arg(long)]
    pub(crate) sort: Option<String>,
    #[command(flatten)]
    pub(crate) page: PageOf,
}

/// Which part of a long list.
#[derive(Debug, Args)]
pub(crate) struct PageOf {
    /// Where the page before ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// At most so many
    #[arg(long)]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// Id or name
    pub(crate) key: String,
    /// The version that the change is made on [default: the one that is there now]
    #[arg(long)]
    pub(crate) version: Option<u64>,
    /// A new name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A new description
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Another protocol of the same connector
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Only its owner may see it
    #[arg(long, conflicts_with = "shared")]
    pub(crate) private: bool,
    /// Everyone with the permission may see it
    #[arg(long)]
    pub(crate) shared: bool,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct Authorize {
    /// Id or name
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) browser: Browser,
    /// Take the new credential although it belongs to another account
    #[arg(long)]
    pub(crate) accept_account: bool,
}

/// How a person is sent to a browser.
#[derive(Debug, Clone, Args)]
pub(crate) struct Browser {
    /// Open the browser rather than only print the URL
    #[arg(long)]
    pub(crate) open: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reconnect {
    /// Id or name
    pub(crate) key: String,
    /// A secret: NAME=@FILE, NAME=env:VARIABLE or NAME=- for standard input
    #[arg(long, value_name = "NAME=SOURCE")]
    pub(crate) secret: Vec<SecretArgument>,
    #[command(flatten)]
    pub(crate) browser: Browser,
    /// Take the new credential although it belongs to another account
    #[arg(long)]
    pub(crate) accept_account: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Transfer {
    /// Id or name
    pub(crate) key: String,
    /// The user that owns it from now on
    #[arg(long, value_name = "USER")]
    pub(crate) to: String,
    /// Who may see it from then on: shared or private
    #[arg(long)]
    pub(crate) visibility: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Activity {
    /// Id or name
    pub(crate) key: String,
    /// One action, such as connection.send
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// done, failed or refused
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    #[command(flatten)]
    pub(crate) page: PageOf,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Id or name
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) page: PageOf,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Id or name
    pub(crate) key: String,
    /// A path on its first origin or a URL within its origins, after the method where it is not GET, or POST with a body
    #[arg(value_name = "[METHOD] PATH", num_args = 1..=2, required = true)]
    pub(crate) request: Vec<String>,
    /// A header, as 'name: value'; repeat it for more
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// The body: @FILE, - for standard input, or the text itself
    #[arg(long, short = 'd', value_name = "BODY")]
    pub(crate) body: Option<String>,
    /// Print the answer's head too
    #[arg(long, short = 'i')]
    pub(crate) include: bool,
}
