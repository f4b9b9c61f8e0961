//! Users.

use jiff::Timestamp;
use turnbuckle::{Error, Expected, PutUser, UserView, WhatIf};

use super::put::{Kind, Saved, Sheet, Tick, Ticks, below, label, name_field};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::frame::Area;
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

    fn removal(name: &str) -> Option<String> {
        Some(format!("{}/remove", Self::path(name)))
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
        Ok(Sheet { form: Form::new(fields), groups, back: Area::Setup.path().into(), ..Sheet::default() })
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
