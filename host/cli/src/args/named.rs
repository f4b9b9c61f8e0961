//! `turnbuckle setup external-credential|principal|named-credential …`

use clap::{Args, Subcommand};

use super::DryRun;
use super::connection::{Browser, Fields};
use crate::secret::SecretArgument;

#[derive(Debug, Subcommand)]
pub(crate) enum ExternalCredential {
    /// Set one up, or change it; what is left out stays
    Put(PutExternalCredential),
    /// All of them
    List,
    /// One of them, with what its principals are asked
    Show {
        /// Its name
        name: String,
    },
    /// Ways to sign in that this host knows, and what each is asked
    Protocols,
    /// Remove one that nothing stands on
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PutExternalCredential {
    /// Its name, kebab-case
    pub(crate) name: String,
    /// What people read
    #[arg(long)]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) protocol: Protocol,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}

/// How a credential signs in.
#[derive(Debug, Args)]
pub(crate) struct Protocol {
    /// How it signs in: none, basic, custom-headers, aws-sigv4, oauth2-client-credentials, jwt-bearer or oauth2
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Of custom headers, one of them: 'Authorization: Token {api-key}', where what stands in braces is a secret; repeat it for
    /// more
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    /// Set one up, or change it; what is left out stays
    Put(PutPrincipal),
    /// Those that are open to you
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Sign in as it: with what it is asked, or in a browser
    Authorize(Authorize),
    /// Remove one that no permission set opens and no connection goes by
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PutPrincipal {
    /// Its name, kebab-case
    pub(crate) name: String,
    /// What people read
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// What it signs in to [default: the external credential of the same name]
    #[arg(long, value_name = "NAME")]
    pub(crate) external_credential: Option<String>,
    /// Each user signs in with an own identity
    #[arg(long)]
    pub(crate) per_user: bool,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct Authorize {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) browser: Browser,
    #[command(flatten)]
    pub(crate) fields: Fields,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NamedCredential {
    /// Set one up, or change it; with --protocol, an external credential and a principal of the same name with it
    Put(PutNamedCredential),
    /// All of them
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Remove one that no connection uses; what it stands on stays
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
}

/// Whether connections may use it.
#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// Let its connections use it again
    #[arg(long, conflicts_with = "disable")]
    pub(crate) enable: bool,
    /// Let no connection use it
    #[arg(long)]
    pub(crate) disable: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PutNamedCredential {
    /// Its name, kebab-case
    pub(crate) name: String,
    /// What people read
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Where its connections send their requests: https://<domain>
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// What it stands on [default: the external credential of the same name]
    #[arg(long, value_name = "NAME", conflicts_with = "protocol")]
    pub(crate) external_credential: Option<String>,
    #[command(flatten)]
    pub(crate) switch: Switch,
    /// Send what is stored to another address than the one that it was given for
    #[arg(long)]
    pub(crate) accept: bool,
    /// Each user signs in with an own identity
    #[arg(long)]
    pub(crate) per_user: bool,
    #[command(flatten)]
    pub(crate) protocol: Protocol,
    /// A field that is not secret; repeat it for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A secret: NAME=@FILE, NAME=env:VARIABLE or NAME=- for standard input
    #[arg(long, value_name = "NAME=SOURCE")]
    pub(crate) secret: Vec<SecretArgument>,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}
