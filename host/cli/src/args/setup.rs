//! `turnbuckle setup …`

use clap::{Args, Subcommand};

use super::{DryRun, events, named, pair, users};
use crate::secret::SecretArgument;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// OAuth clients of yours at services, each for one protocol of one connector
    #[command(subcommand)]
    IdentityProvider(IdentityProvider),
    /// Where requests go and what they carry, for connections that others make
    #[command(subcommand)]
    NamedCredential(named::NamedCredential),
    /// How a service is signed in to
    #[command(subcommand)]
    ExternalCredential(named::ExternalCredential),
    /// Who signs in to it
    #[command(subcommand)]
    Principal(named::Principal),
    /// Permissions that are given together
    #[command(subcommand)]
    PermissionSet(users::PermissionSet),
    /// Who works with this host
    #[command(subcommand)]
    User(users::User),
    /// Tokens that stand for users
    #[command(subcommand)]
    Token(users::Token),
    /// Endpoints that events are posted to
    #[command(subcommand)]
    Webhook(events::Webhook),
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityProvider {
    /// Register an OAuth client, or what changed of it
    Put(Put),
    /// All of them
    List,
    /// One of them, with the redirect URI that its service must know
    Show {
        /// Its name
        name: String,
    },
    /// Remove one that no connection uses
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// Its name, kebab-case; the last part of its redirect URI
    pub(crate) name: String,
    /// What people read
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// The one connector that may use it
    #[arg(long)]
    pub(crate) connector: String,
    /// The protocol that it serves
    #[arg(long)]
    pub(crate) protocol: String,
    /// The client's id at the service
    #[arg(long)]
    pub(crate) client_id: String,
    /// A field that it fills in besides, such as authorization-server=https://login.example.com; repeat it for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Its secret: client-secret=@FILE, client-secret=env:VARIABLE or client-secret=- for standard input
    #[arg(long, value_name = "NAME=SOURCE")]
    pub(crate) secret: Vec<SecretArgument>,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}
