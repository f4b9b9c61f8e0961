//! The accounts that sign a user in, on its page: which are bound, and the form that binds one more.

use askama::Template;
use askama::filters::HtmlSafe;
use turnbuckle::{AccountOf, IdentityView, UserView};

use super::put::below;
use crate::console::form::{Field, Form, asked};
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

/// One account, and where it is unbound.
struct Bound {
    issuer: String,
    shown: String,
    subject: Option<String>,
    unbind: String,
    at: Moment,
    who: String,
}

impl Bound {
    fn of(one: &IdentityView, user: &UserView, console: &Console) -> Self {
        Self {
            shown: shown(one).to_owned(),
            issuer: one.issuer.clone(),
            subject: one.subject.clone(),
            unbind: unbinding(&user.name, one),
            at: words::moment(one.bound_at, console.host.now()),
            who: one.bound_by.clone(),
        }
    }
}

/// What people know it by.
pub(super) fn shown(one: &IdentityView) -> &str {
    one.account.as_deref().filter(|account| !account.is_empty()).or(one.subject.as_deref()).unwrap_or_default()
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
            bound: view.identities.iter().map(|one| Bound::of(one, view, console)).collect(),
            form: form(&Posted::default()),
        })
    }
}

/// Where an account is bound to a user; one is unbound below it.
pub(super) fn path(user: &str) -> String {
    format!("{}/accounts", below("users", user))
}

/// The window in which this one is unbound. It says which by the subject, where that is known.
pub(super) fn unbinding(user: &str, one: &IdentityView) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("issuer", &one.issuer);
    match (&one.subject, &one.account) {
        (Some(subject), _) => query.append_pair("subject", subject),
        (None, account) => query.append_pair("account", account.as_deref().unwrap_or_default()),
    };
    format!("{}/unbind?{}", path(user), query.finish())
}

/// Whether that says this one.
pub(super) fn is(one: &IdentityView, told: &AccountOf) -> bool {
    let account = match one.subject {
        Some(_) => told.subject == one.subject,
        None => told.subject.is_none() && told.account == one.account,
    };
    told.issuer.as_ref() == Some(&one.issuer) && account
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

/// One that is bound, letter by letter as [`unbinding`] says it.
pub(super) fn told(query: &[(String, String)]) -> AccountOf {
    let given = |name: &str| asked(query, name).map(str::to_owned);
    AccountOf { issuer: given("issuer"), subject: given("subject"), account: given("account") }
}
