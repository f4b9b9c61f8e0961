//! Permission sets, users and tokens, for people.

use std::collections::BTreeSet;

use serde::Deserialize;
use turnbuckle::{IdentityView, Permission, PermissionSet, Secret, TokenView, Transferred, UserView, Whoami};

use super::{Facts, Rows, cell, line, time, yes_no};

/// A new token, as the API tells it once.
#[derive(Debug, Deserialize)]
pub(crate) struct Created {
    token: Secret,
    #[serde(flatten)]
    view: TokenView,
}

pub(crate) fn set(set: &PermissionSet) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &set.name);
    facts.text("Label", &set.label);
    facts.list("Permissions", names(&set.permissions));
    facts.list("Opens", &set.principals);
    facts.text("Changed", &format!("{} by {}", time(set.updated_at), set.updated_by));
    facts.into_text()
}

pub(crate) fn sets(sets: &[PermissionSet]) -> String {
    if sets.is_empty() {
        return "There is no permission set. The first `turnbuckle serve` makes one for an administrator.".into();
    }
    let mut rows = Rows::new(&["name", "label", "permissions"]);
    for set in sets {
        rows.row([cell(&set.name), cell(&set.label), cell(joined(&set.permissions))]);
    }
    rows.text()
}

pub(crate) fn user(user: &UserView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &user.name);
    facts.text("Label", &user.label);
    facts.text("Enabled", yes_no(user.enabled));
    facts.list("Permission sets", &user.permission_sets);
    facts.list("Permissions", names(&user.permissions));
    facts.list("Accounts", user.identities.iter().map(account));
    facts.text("Made", &time(user.created_at));
    facts.text("Changed", &format!("{} by {}", time(user.updated_at), user.updated_by));
    facts.into_text()
}

fn account(bound: &IdentityView) -> String {
    let name = bound.account.as_deref().unwrap_or_default();
    let who = match &bound.subject {
        Some(subject) if name.is_empty() => subject.clone(),
        Some(subject) => format!("{name} ({subject})"),
        None => format!("{name} (nobody signed in yet)"),
    };
    format!("{who} at {}", bound.issuer)
}

pub(crate) fn users(users: &[UserView]) -> String {
    if users.is_empty() {
        return "There is no user. The first `turnbuckle serve` makes an administrator.".into();
    }
    let mut rows = Rows::new(&["name", "label", "enabled", "permission sets"]);
    for user in users {
        let sets: Vec<_> = user.permission_sets.iter().map(String::as_str).collect();
        rows.row([cell(&user.name), cell(&user.label), cell(yes_no(user.enabled)), cell(sets.join(", "))]);
    }
    rows.text()
}

pub(crate) fn token(view: &TokenView) -> String {
    let mut facts = Facts::new();
    told(view, &mut facts);
    facts.into_text()
}

pub(crate) fn created(created: &Created) -> String {
    let mut facts = Facts::new();
    facts.text("Token", created.token.expose());
    told(&created.view, &mut facts);
    facts.into_text()
}

fn told(view: &TokenView, facts: &mut Facts) {
    facts.text("Name", &view.name);
    facts.text("User", &view.user);
    match &view.scope {
        Some(scope) => facts.list("Limited to", names(scope)),
        None => facts.text("Limited to", "nothing: it opens all that its user has"),
    }
    facts.list("Opens now", names(&view.permissions));
    facts.text("Expires", &expiry(view));
    facts.text("Made", &format!("{} by {}", time(view.created_at), view.created_by));
}

pub(crate) fn tokens(views: &[TokenView]) -> String {
    if views.is_empty() {
        return "There is no token.".into();
    }
    let mut rows = Rows::new(&["name", "user", "expires", "opens now"]);
    for view in views {
        rows.row([cell(&view.name), cell(&view.user), cell(expiry(view)), cell(joined(&view.permissions))]);
    }
    rows.text()
}

pub(crate) fn whoami(who: &Whoami) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &who.name);
    facts.list("Permission sets", &who.permission_sets);
    facts.list("Permissions", names(&who.permissions));
    facts.into_text()
}

pub(crate) fn transferred(done: &Transferred) -> String {
    let (name, from, to) = (line(&done.name), line(&done.from), line(&done.to));
    format!("The connection {name} belongs to {to} now; before it was {from}'s.")
}

fn expiry(view: &TokenView) -> String {
    view.expires_at.map_or_else(|| "never".into(), time)
}

fn names(permissions: &BTreeSet<Permission>) -> impl Iterator<Item = &'static str> {
    permissions.iter().map(|permission| permission.name())
}

fn joined(permissions: &BTreeSet<Permission>) -> String {
    if permissions.len() == Permission::ALL.len() {
        return "all".into();
    }
    names(permissions).collect::<Vec<_>>().join(", ")
}
