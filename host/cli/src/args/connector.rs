//! `turnbuckle connector …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DryRun;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Begin a connector: a small crate that builds and passes its tests
    New {
        /// Its name, in kebab-case
        name: String,
        /// Where to put it [default: a folder of that name here]
        #[arg(long, value_name = "DIR")]
        path: Option<PathBuf>,
    },
    /// Compile connectors to WebAssembly components
    Build {
        /// Folders of connectors, or folders of such folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Where to put the components
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Do what an install does, and keep nothing
    Check {
        /// A component
        file: PathBuf,
    },
    /// Install components
    Install {
        /// Components, or folders with components
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// What is installed
    List(List),
    /// One connector: fields, protocols, origins, what it is made of
    Show {
        /// NAME, or NAME@VERSION
        name: String,
    },
    /// Let new connections be made with it
    Enable {
        /// NAME, or NAME@VERSION
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
    /// Let no new connections be made with it
    Disable {
        /// NAME, or NAME@VERSION
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
    /// Put it under "Get started"
    Feature {
        /// NAME, or NAME@VERSION
        name: String,
        /// Take it away from there
        #[arg(long)]
        off: bool,
    },
    /// Move connections to another version
    Upgrade(Upgrade),
    /// Remove it, or one version of it
    Remove {
        /// NAME, or NAME@VERSION
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// With this text in name, label, publisher or summary
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// In this category
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Only those under "Get started"
    #[arg(long)]
    pub(crate) featured: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// Its name
    pub(crate) name: String,
    /// The version to move to [default: the newest]
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Accept that requests may go to more origins than before
    #[arg(long)]
    pub(crate) accept: bool,
    /// Only say what would happen
    #[arg(long)]
    pub(crate) dry_run: bool,
}
