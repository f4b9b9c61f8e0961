//! Users.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, PutUser};

use super::manages;
use super::put::{NEW, Put, Tick, blank, form_page, free, name_field, named};
use crate::console::answer::{Failed, to};
use crate::console::form::{Field, Form};
use crate::console::frame::Area;
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

fn user_page(
    console: &Console,
    entered: &Entered,
    status: StatusCode,
    name: &str,
    form: Form,
    held: &BTreeSet<String>,
) -> Result<Response, Failed> {
    let headline = if name == NEW { "Add user".to_owned() } else { format!("User {name}") };
    let sets = console.host.permission_sets(&entered.actor)?.into_iter().map(|set| Tick {
        name: "set".into(),
        on: held.contains(&set.name),
        label: if set.label == set.name { set.name.clone() } else { format!("{} ({})", set.label, set.name) },
        value: set.name,
    });
    let put = Put { form, ticks: sets.collect(), ticks_label: "Permission sets", ..blank(entered, &headline) };
    Ok(form_page(entered, status, "users", name, put))
}

fn user_fields(name: &str, given: &str, label: &str, enabled: bool) -> Form {
    let mut fields = name_field(name, given, "Kebab-case, as in `ada-l`, or like an e-mail address.");
    fields.push(Field::own("label", "Label", "text", label).help("What people read."));
    let value = if enabled { "true" } else { "false" };
    let help = "Whoever is disabled may do nothing: sessions and tokens end at once.";
    fields.push(Field::own("enabled", "Enabled", "boolean", value).help(help));
    Form::new(fields)
}

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW {
        let form = user_fields(&name, "", "", true);
        return user_page(&console, &entered, StatusCode::OK, &name, form, &BTreeSet::new());
    }
    let user = console.host.user(&entered.actor, &name)?;
    let form = user_fields(&name, "", &user.label, user.enabled);
    user_page(&console, &entered, StatusCode::OK, &name, form, &user.permission_sets)
}

pub(super) async fn put(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let held: BTreeSet<String> = posted.all("set").map(str::to_owned).collect();
    let enabled = posted.all("enabled").last() == Some("true");
    let put = PutUser {
        label: Some(posted.get("label").to_owned()).filter(|label| !label.is_empty()),
        permission_sets: Some(held.clone()),
        enabled: Some(enabled),
    };
    let key = named(&name, &posted).to_owned();
    let outcome = match free(&name, &console.host.user(&entered.actor, &key)) {
        Ok(()) => console.host.put_user(&entered.actor, &key, put).await,
        Err(taken) => Err(taken),
    };
    match outcome {
        Err(Error::Invalid { problems }) => {
            let mut form = user_fields(&name, posted.get("name"), posted.get("label"), enabled);
            form.blame(problems);
            user_page(&console, &entered, StatusCode::UNPROCESSABLE_ENTITY, &name, form, &held)
        }
        Err(error @ Error::Refused { .. }) => {
            let mut form = user_fields(&name, posted.get("name"), posted.get("label"), enabled);
            form.object(&error.to_string());
            user_page(&console, &entered, StatusCode::CONFLICT, &name, form, &held)
        }
        Ok(_) => {
            entered.tell("good", format!("The user {key} is saved"), "");
            Ok(to(Area::Setup.path()))
        }
        Err(error) => Err(error.into()),
    }
}
