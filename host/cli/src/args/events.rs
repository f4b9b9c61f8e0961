//! `turnbuckle events` and `turnbuckle setup webhook …`

use clap::{Args, Subcommand, ValueEnum};
use turnbuckle::EventCursor;

use super::connection::PageOf;

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on showing them as they happen, until it is ended; from now on unless --after says where to begin
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Of this type, such as connection.created, or connection for every event of that kind of thing; repeat it, or separate
    /// several by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// About this connection: its id or name
    #[arg(long)]
    pub(crate) connection: Option<String>,
    /// Behind the event of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<EventCursor>,
    /// At most so many
    #[arg(long, conflicts_with = "follow")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Make a webhook, or change one; what is left out stays
    Put(PutWebhook),
    /// All of them
    List,
    /// One of them, and how far it is
    Show {
        /// Its name
        name: String,
    },
    /// Remove one, and all that waits for it
    Remove {
        /// Its name
        name: String,
    },
    /// Give one a new secret; the old one signs besides for a while
    RotateSecret {
        /// Its name
        name: String,
        /// For how many hours the old secret signs besides [default: 24]
        #[arg(long, value_name = "HOURS")]
        overlap_hours: Option<u32>,
    },
    /// Deliveries that were given up, or that wait for another attempt
    Deliveries {
        /// Its name
        name: String,
        /// Those that stand so
        #[arg(long, default_value = "dead")]
        state: State,
        #[command(flatten)]
        page: PageOf,
    },
    /// Deliver again what was given up
    Replay {
        /// Its name
        name: String,
        /// The event of this number alone, given up or not
        #[arg(long, value_name = "NUMBER", required_unless_present = "all", conflicts_with = "all")]
        event: Option<u64>,
        /// Everything that was given up
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PutWebhook {
    /// Its name, kebab-case
    pub(crate) name: String,
    /// Where events are posted to, by https
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Which events, in place of those until now, such as connection.created or flow; `all` for all of them. Repeat it, or
    /// separate several by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Deliver to it
    #[arg(long, conflicts_with = "disable")]
    pub(crate) enable: bool,
    /// Deliver nothing until it is enabled again
    #[arg(long)]
    pub(crate) disable: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    Pending,
    Dead,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}
