//! The accounts that sign a user in, on its page: which are bound, and the form that binds one more.

use askama::Template;
use askama::filters::HtmlSafe;
use turnbuckle::{AccountOf, IdentityView, UserView};

use super::put::below;
use crate::console::form::{Field, Form};
use crate::console::gate::Posted;
use crate::console::words::{self, Moment};
use crate::console::{Console, Entered};

/// What stands on the page of a user where people may sign in by accounts.
#[derive(Template)]
#[template(path = "accounts.html")]
pub(super) struct Accounts {
    csrf: String,
    /// What the provider is called, and its issuer.
    label: String,
    issuer: String,
    path: String,
    bound: Vec<Bound>,
    pub(super) form: Form,
}

impl HtmlSafe for Accounts {}

/// One account, and what it is told by where it is unbound.
struct Bound {
    issuer: String,
    shown: String,
    subject: Option<String>,
    by: (&'static str, String),
    at: Moment,
    who: String,
}

impl Bound {
    fn of(one: IdentityView, console: &Console) -> Self {
        let account = one.account.unwrap_or_default();
        let by = match &one.subject {
            Some(subject) => ("subject", subject.clone()),
            None => ("account", account.clone()),
        };
        Self {
            shown: if account.is_empty() { by.1.clone() } else { account },
            issuer: one.issuer,
            subject: one.subject,
            by,
            at: words::moment(one.bound_at, console.host.now()),
            who: one.bound_by,
        }
    }
}

impl Accounts {
    /// None where nobody signs in by an account.
    pub(super) fn of(console: &Console, entered: &Entered, view: &UserView) -> Option<Self> {
        let offer = console.host.sign_in_offer()?;
        Some(Self {
            csrf: entered.csrf.clone(),
            label: offer.label,
            issuer: offer.issuer,
            path: path(&view.name),
            bound: view.identities.iter().map(|one| Bound::of(one.clone(), console)).collect(),
            form: form(&Posted::default()),
        })
    }
}

/// Where an account is bound to a user; one is unbound below it.
pub(super) fn path(user: &str) -> String {
    format!("{}/accounts", below("users", user))
}

/// The form with what was typed.
pub(super) fn form(typed: &Posted) -> Form {
    let subject = Field::own("subject", "Subject", "text", typed.get("subject"));
    let account = Field::own("account", "Account name", "text", typed.get("account"));
    Form::new(vec![
        subject.help("The provider's own id of the account; whoever is turned away at the sign-in is shown it."),
        account.help(
            "In place of a subject, such as an e-mail address that the provider has verified: the first account of that name \
             that signs in is bound, by its subject.",
        ),
    ])
}

/// The account that a person typed, at the provider by which people sign in here.
pub(super) fn typed(posted: &Posted) -> AccountOf {
    let given = |name: &str| Some(posted.get(name).trim().to_owned()).filter(|text| !text.is_empty());
    AccountOf { issuer: None, subject: given("subject"), account: given("account") }
}

/// One that is bound, letter by letter.
pub(super) fn told(posted: &Posted) -> AccountOf {
    let given = |name: &str| posted.has(name).then(|| posted.get(name).to_owned());
    AccountOf { issuer: given("issuer"), subject: given("subject"), account: given("account") }
}
