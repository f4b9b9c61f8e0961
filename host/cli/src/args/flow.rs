//! `turnbuckle flow …`

use clap::{Args, Subcommand, ValueEnum};

use super::connection::PageOf;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Register a flow, or what changed of it
    Put(Put),
    /// A page of flows, by id
    List(PageOf),
    /// One flow
    Show {
        /// Its id
        id: String,
    },
    /// Test all its connections, as when a person opens it
    Open {
        /// Its id
        id: String,
    },
    /// Add a use of a connection, and test that
    Select(Select),
    /// Forget a flow, or one of its uses
    Remove(Remove),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FlowStatus {
    Draft,
    Active,
    Inactive,
    Archived,
}

impl FlowStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Archived => "archived",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsedAs {
    Action,
    Trigger,
}

impl UsedAs {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Trigger => "trigger",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// Its id
    pub(crate) id: String,
    /// What a person reads
    #[arg(long)]
    pub(crate) name: String,
    /// How it stands
    #[arg(long, value_enum, default_value = "active")]
    pub(crate) status: FlowStatus,
    /// Its version
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) version: String,
    /// Whose it is [default: yours]
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Where a person opens it
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// A connection that it uses: KEY, or STEP=KEY; repeat it for more. Where left out, its uses stay
    #[arg(long, value_name = "[STEP=]KEY")]
    pub(crate) action: Vec<String>,
    /// A connection that starts it: KEY, or STEP=KEY
    #[arg(long, value_name = "[STEP=]KEY")]
    pub(crate) trigger: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Select {
    /// The flow's id
    pub(crate) id: String,
    /// Id or name of the connection
    pub(crate) connection: String,
    /// What the flow does with it
    #[arg(long = "as", value_enum, default_value = "action")]
    pub(crate) used_as: UsedAs,
    /// The step
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) step: String,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The flow's id
    pub(crate) id: String,
    /// Take away only its uses of this connection
    #[arg(long, value_name = "KEY")]
    pub(crate) connection: Option<String>,
    /// Take away only the use in this step
    #[arg(long, requires = "connection")]
    pub(crate) step: Option<String>,
}
