//! Users, and the accounts that sign them in.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use turnbuckle::{Error, Expected, FieldProblem, PutUser, UserView, WhatIf};

use super::accounts::{self, Accounts};
use super::manages;
use super::put::{Kind, Saved, Sheet, Tick, Ticks, below, drawn, label, name_field};
use crate::console::answer::{Failed, page, to};
use crate::console::ask::Ask;
use crate::console::form::{Field, Form};
use crate::console::frame::{Area, Frame};
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

pub(super) struct Users;

impl Kind for Users {
    type View = UserView;
    const NOUN: &'static str = "user";
    const LEANT_ON: bool = true;

    fn path(name: &str) -> String {
        below("users", name)
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<UserView, Error> {
        console.host.user(&entered.actor, name)
    }

    fn change(view: &UserView) -> (u64, &str, Timestamp) {
        (view.version, &view.updated_by, view.updated_at)
    }

    fn stored(view: &UserView) -> Posted {
        let own = [("label", view.label.as_str()), ("enabled", if view.enabled { "true" } else { "false" })];
        Posted::of(own.into_iter().chain(view.permission_sets.iter().map(|set| ("set", set.as_str()))))
    }

    fn sheet(console: &Console, entered: &Entered, view: Option<&UserView>, typed: &Posted) -> Result<Sheet, Failed> {
        let mut fields = name_field(view.is_none(), typed, "Kebab-case, as in `ada-l`, or like an e-mail address.");
        fields.push(Field::own("label", "Label", "text", typed.get("label")).help("What people read."));
        let enabled = typed.all("enabled").last().unwrap_or("true");
        let help = "Whoever is disabled may do nothing: sessions and tokens end at once.";
        fields.push(Field::own("enabled", "Enabled", "boolean", enabled).help(help));
        let ticks = console.host.permission_sets(&entered.actor)?.into_iter().map(|set| {
            let on = typed.all("set").any(|name| name == set.name);
            let label = if set.label == set.name { set.name.clone() } else { format!("{} ({})", set.label, set.name) };
            Tick::new("set", set.name, label, on)
        });
        let groups = vec![Ticks { id: "sets", label: "Permission sets", help: "", ticks: ticks.collect() }];
        let accounts = view.and_then(|view| Accounts::of(console, entered, view));
        let back = Area::Setup.path().into();
        Ok(Sheet { form: Form::new(fields), groups, back, accounts, ..Sheet::default() })
    }

    fn what_if(
        _console: &Console,
        _entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        let put = given(key, posted, expected);
        Ok(Some(WhatIf::PutUser { name: key.to_owned(), put }))
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = given(key, posted, expected);
        let user = console.host.put_user(&entered.actor, key, put).await?;
        Ok(Saved::new(format!("The user {} is saved", user.name), Area::Setup.path()))
    }
}

/// What was typed.
fn given(key: &str, posted: &Posted, expected: Expected) -> PutUser {
    PutUser {
        label: label(posted, key),
        permission_sets: Some(posted.all("set").map(str::to_owned).collect()),
        enabled: Some(posted.all("enabled").last() == Some("true")),
        expected,
    }
}

/// The page of a user with what was typed to bind an account, and what is wrong with that.
fn with_accounts(
    (console, entered): (&Console, &Entered),
    status: StatusCode,
    name: &str,
    typed: &Posted,
    problems: Vec<FieldProblem>,
) -> Result<Response, Failed> {
    let view = console.host.user(&entered.actor, name)?;
    let mut sheet = Users::sheet(console, entered, Some(&view), &Users::stored(&view))?;
    let Some(accounts) = &mut sheet.accounts else { return Err(Error::Invalid { problems }.into()) };
    accounts.form = accounts::form(typed);
    accounts.form.blame(problems);
    Ok(drawn::<Users>(entered, status, name, (sheet, Some(view.version), None), None))
}

/// What was typed before a session was over stands in the form.
pub(super) async fn binding(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if console.host.sign_in_offer().is_none() {
        return Ok(to(&Users::path(&name)));
    }
    with_accounts((&console, &entered), StatusCode::OK, &name, &Posted::of(query), Vec::new())
}

pub(super) async fn bind(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    match console.host.bind_account(&entered.actor, &name, accounts::typed(&posted)).await {
        Ok(user) => {
            let words = "Whoever signs in with it is this user.";
            entered.tell("good", format!("An account is bound to {}", user.name), words);
            Ok(to(&Users::path(&user.name)))
        }
        Err(Error::Invalid { problems }) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            with_accounts((&console, &entered), status, &name, &posted, problems)
        }
        Err(error) => Err(error.into()),
    }
}

/// The window before an account is unbound. One that is not bound any more has none: the page shows those that are.
pub(super) async fn unbinding(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.user(&entered.actor, &name)?;
    let told = accounts::told(&query);
    let Some(one) = view.identities.iter().find(|one| accounts::is(one, &told)) else {
        return Ok(to(&Users::path(&view.name)));
    };
    let ask = Ask {
        frame: Frame::new(&entered, Area::Setup, &format!("Unbind {}", accounts::shown(one))),
        headline: format!("Unbind {}?", accounts::shown(one)),
        words: format!(
            "It signs nobody in any more, and whoever signed in with it is out at once. What else opens the host to {} stays.",
            view.name
        ),
        fields: Vec::new(),
        problems: Vec::new(),
        preview: None,
        users: Vec::new(),
        action: accounts::unbinding(&view.name, one),
        back: Users::path(&view.name),
        verb: "Unbind",
        busy: "Unbinding…",
        danger: true,
        refused: false,
    };
    Ok(page(StatusCode::OK, &ask))
}

pub(super) async fn unbind(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    console.host.unbind_account(&entered.actor, &name, accounts::told(&query)).await?;
    let words = "It signs nobody in any more; who signed in with it is out.";
    entered.tell("good", format!("An account is unbound from {name}"), words);
    Ok(to(&Users::path(&name)))
}
