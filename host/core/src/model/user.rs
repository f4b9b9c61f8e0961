//! Who works with a host: permission sets, users, and the tokens by which they are known.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::actor::{HOST, Permission};
use super::id::kebab;

/// Permissions that are given together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PermissionSet {
    /// Its name, in lower case.
    pub name: String,
    /// What people read.
    pub label: String,
    /// What it lets its users do.
    pub permissions: BTreeSet<Permission>,
    /// The principals that it opens: its users' connections may use them.
    #[serde(default)]
    pub principals: BTreeSet<String>,
    /// Grows with each change; the entity tag.
    #[serde(default)]
    pub version: u64,
    /// When it was last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// Somebody who works with the host, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct User {
    /// The name of the actor. Owners and histories show it.
    pub(crate) name: String,
    /// What people read.
    pub(crate) label: String,
    /// A user that is disabled may do nothing, whatever token is shown.
    pub(crate) enabled: bool,
    /// Names of the permission sets held.
    pub(crate) permission_sets: BTreeSet<String>,
    /// Grows with each change.
    #[serde(default)]
    pub(crate) version: u64,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was last changed.
    pub(crate) updated_at: Timestamp,
    /// By whom.
    pub(crate) updated_by: String,
}

/// A token, as the store keeps it: under the hash of its text, which is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Token {
    /// Its name, unique.
    pub(crate) name: String,
    /// Whom it stands for.
    pub(crate) user: String,
    /// What it opens of that user's permissions; all of them where none are named.
    pub(crate) scope: Option<BTreeSet<Permission>>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// By whom.
    pub(crate) created_by: String,
    /// From then on it opens nothing.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Whose account it is that somebody signs in with at an OpenID provider, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Identity {
    /// Whom the account signs in.
    pub(crate) user: String,
    /// The provider.
    pub(crate) issuer: String,
    /// The account, by what the provider never gives to another one; none as long as nobody signed in with it.
    pub(crate) subject: Option<String>,
    /// What the account is called: until there is a subject, what it is known by.
    pub(crate) account: Option<String>,
    /// When it was bound.
    pub(crate) bound_at: Timestamp,
    /// By whom.
    pub(crate) bound_by: String,
}

/// What an account is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By<'a> {
    /// The provider's own id of it, which stays.
    Subject(&'a str),
    /// Its name, in lower case, as long as nobody signed in with it.
    Account(&'a str),
}

impl Identity {
    /// What it is looked up by.
    pub(crate) fn by(&self) -> By<'_> {
        match (&self.subject, &self.account) {
            (Some(subject), _) => By::Subject(subject),
            (None, account) => By::Account(account.as_deref().unwrap_or_default()),
        }
    }
}

/// A name of a permission set or a token, as it is kept: names that differ in case alone are one name.
pub(crate) fn name(given: &str) -> Result<String, &'static str> {
    let name = given.trim().to_lowercase();
    kebab(&name).map(|()| name)
}

/// A name of a user, as it is kept: kebab-case, or like an e-mail address.
pub(crate) fn user_name(given: &str) -> Result<String, &'static str> {
    let name = given.trim().to_lowercase();
    let fits = match name.split_once('@') {
        None => kebab(&name).is_ok(),
        Some((person, domain)) => {
            let part = |text: &str, besides: &str| {
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || besides.contains(c);
                !text.is_empty() && text.chars().all(fits)
            };
            name.len() <= 254 && part(person, "._+-") && domain.split('.').all(|label| part(label, "-"))
        }
    };
    if name == HOST {
        Err("must be another one: `host` is the host itself")
    } else if fits {
        Ok(name)
    } else {
        Err("must be kebab-case, as in `ada-l`, or like an e-mail address, as in `ada@example.com`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_in_kebab_case_or_like_an_e_mail_address_whatever_the_case() {
        for (given, kept) in
            [("ada", "ada"), (" Ada-L ", "ada-l"), ("Ada.L+x@Mail.Example.com", "ada.l+x@mail.example.com")]
        {
            assert_eq!(user_name(given).as_deref(), Ok(kept));
        }
        let long = "a".repeat(255);
        for bad in ["", "host", "a b", "a@", "@b", "a@b..c", "a@b@c", "../x", "a/b", "a_b", "ada\u{202e}", "ä", &long]
        {
            assert!(user_name(bad).is_err(), "{bad} should be refused");
        }
    }
}
