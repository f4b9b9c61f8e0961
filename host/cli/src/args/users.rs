//! `turnbuckle setup permission-set|user|token …`

use clap::{Args, Subcommand};

use super::DryRun;

#[derive(Debug, Subcommand)]
pub(crate) enum PermissionSet {
    /// Make a permission set, or change it; what is left out stays
    Put(PutPermissionSet),
    /// All of them
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Remove one that no user holds
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PutPermissionSet {
    /// Its name, kebab-case
    pub(crate) name: String,
    /// What people read
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// What it lets its users do, in place of what it let them do until now, such as view-connections; repeat it, or separate
    /// several by commas
    #[arg(long, value_name = "PERMISSION", value_delimiter = ',')]
    pub(crate) permission: Vec<String>,
    /// The principals that it opens, in place of those that it opened until now; repeat it, or separate several by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) principal: Vec<String>,
    /// Opens no principal any more
    #[arg(long, conflicts_with = "principal")]
    pub(crate) no_principal: bool,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Make a user, or change one; what is left out stays
    Put(PutUser),
    /// All of them
    List,
    /// One of them
    Show {
        /// The user's name
        name: String,
    },
    /// Remove one, and its tokens; refused while it owns private connections
    Remove {
        /// The user's name
        name: String,
        #[command(flatten)]
        asked: DryRun,
    },
    /// Let an account at an OpenID provider sign a user in to the console
    Bind(Account),
    /// Take an account from a user; its sessions end
    Unbind(Account),
}

#[derive(Debug, Args)]
pub(crate) struct Account {
    /// The user's name
    pub(crate) name: String,
    /// The provider's issuer URL [default: that of [sign-in.oidc] in turnbuckle.toml]
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The provider's own id of the account, as it says to whoever is not let in
    #[arg(long, value_name = "TEXT", required_unless_present = "account", conflicts_with = "account")]
    pub(crate) subject: Option<String>,
    /// What the account is called, such as its e-mail address: the first one of that name that signs in is bound, by its subject
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PutUser {
    /// The user's name, kebab-case or like an e-mail address
    pub(crate) name: String,
    /// What people read
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// The permission sets held, in place of those held until now; repeat it, or separate several by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) permission_set: Vec<String>,
    /// Takes all permission sets away
    #[arg(long, conflicts_with = "permission_set")]
    pub(crate) no_permission_set: bool,
    /// Lets the user do nothing any more, whatever token is shown
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,
    /// Lets the user do again what its permission sets say
    #[arg(long)]
    pub(crate) enable: bool,
    #[command(flatten)]
    pub(crate) asked: DryRun,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token for a user; its text is shown once
    Create(CreateToken),
    /// All of them, without their texts
    List,
    /// One of them, without its text
    Show {
        /// Its name
        name: String,
    },
    /// Take one back: it opens nothing from the next request on
    Revoke {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateToken {
    /// Its name, kebab-case
    pub(crate) name: String,
    /// Whom it stands for
    #[arg(long)]
    pub(crate) user: String,
    /// One of the user's permissions; repeat it, or separate several by commas [default: all that the user has]
    #[arg(long, value_name = "PERMISSION", value_delimiter = ',')]
    pub(crate) permission: Vec<String>,
    /// For how many days it works [default: 90]
    #[arg(long)]
    pub(crate) days: Option<u32>,
}
