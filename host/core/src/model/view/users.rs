//! Permission sets, users and tokens, as faces send and see them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::actor::Permission;
use crate::model::connection::Visibility;
use crate::model::expected::Expected;
use crate::model::secret::Secret;

/// A permission set that is made, or what changes of it. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutPermissionSet {
    /// What people read; the name at first.
    #[serde(default)]
    pub label: Option<String>,
    /// What it lets its users do; a new one has to say it.
    #[serde(default)]
    pub permissions: Option<BTreeSet<Permission>>,
    /// The principals that it opens; none at first.
    #[serde(default)]
    pub principals: Option<BTreeSet<String>>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// A user that is made, or what changes of it. What is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PutUser {
    /// What people read; the name at first.
    #[serde(default)]
    pub label: Option<String>,
    /// The permission sets held; none at first.
    #[serde(default)]
    pub permission_sets: Option<BTreeSet<String>>,
    /// Whether anything may be done at all; yes at first.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// What has to be there already, for what is put to be put.
    #[serde(skip)]
    pub expected: Expected,
}

/// A user as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct UserView {
    /// The name that owners and histories show.
    pub name: String,
    /// What people read.
    pub label: String,
    /// Whether anything may be done at all.
    pub enabled: bool,
    /// The permission sets held.
    pub permission_sets: BTreeSet<String>,
    /// What these let the user do.
    pub permissions: BTreeSet<Permission>,
    /// The accounts at OpenID providers that sign this user in.
    #[serde(default)]
    pub identities: Vec<IdentityView>,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// An account at an OpenID provider, as it is bound to a user. It is told by its subject, or by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccountOf {
    /// The provider's issuer URL; where none is given, that of the provider by which people sign in here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The provider's own id of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What the account is called, in place of a subject, such as its e-mail address: the first account of that name that
    /// signs in is bound, by its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// An account that signs a user in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct IdentityView {
    /// The provider's issuer URL.
    pub issuer: String,
    /// The provider's own id of the account; none as long as nobody signed in with it.
    pub subject: Option<String>,
    /// What the account is called, where that is known.
    pub account: Option<String>,
    /// When it was bound.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub bound_at: Timestamp,
    /// By whom.
    pub bound_by: String,
}

/// By which provider people may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInOffer {
    /// What it is called.
    pub label: String,
    /// Its issuer URL.
    pub issuer: String,
}

/// What a look at the provider found by which people sign in. All of it is empty where none is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct SignInReport {
    /// Its issuer URL.
    pub issuer: Option<String>,
    /// Where people are sent.
    pub authorization_endpoint: Option<String>,
    /// What has to be registered there, where it is known how this server is reached.
    pub redirect_uri: Option<String>,
    /// By what it may sign that somebody signed in.
    pub algorithms: Vec<String>,
    /// How many keys it publishes that could sign so.
    pub keys: usize,
}

/// What a new token is made of.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NewToken {
    /// Unique, kebab-case.
    pub name: String,
    /// Whom it stands for.
    pub user: String,
    /// Some of that user's permissions. Where left out it opens all that the user has at the time of each request.
    #[serde(default)]
    pub permissions: Option<BTreeSet<Permission>>,
    /// For how many days it works, 1 to 3,650; 90 where none are given.
    #[serde(default)]
    pub days: Option<u32>,
}

/// A token as people see it: neither its text nor its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// Whom it stands for.
    pub user: String,
    /// The permissions that it is limited to; none where it opens all that its user has.
    pub scope: Option<BTreeSet<Permission>>,
    /// What it opens at this moment.
    pub permissions: BTreeSet<Permission>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From then on it opens nothing.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
}

/// A new token. This is the only time that its text is there.
// Neither `Serialize` nor `PartialEq`: a face that shows the text has to say so.
#[derive(Debug, Clone)]
pub struct CreatedToken {
    /// Its text.
    pub token: Secret,
    /// What is kept.
    pub view: TokenView,
}

/// Who asks, as the host takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Whoami {
    /// The name that owners and histories show.
    pub name: String,
    /// What this token lets its holder do.
    pub permissions: BTreeSet<Permission>,
    /// The permission sets of the user of this name; none where there is no such user.
    pub permission_sets: BTreeSet<String>,
}

/// To whom a connection goes.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Transfer {
    /// A user that is enabled.
    pub to: String,
    /// Who may see it from then on; as before where nothing is said.
    #[serde(default)]
    pub visibility: Option<Visibility>,
}

/// What became of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Transferred {
    /// The connection.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub connection: crate::model::id::ConnectionId,
    /// Its name.
    pub name: String,
    /// The version that the transfer made.
    pub version: u64,
    /// Who owned it.
    pub from: String,
    /// Who owns it now.
    pub to: String,
}
