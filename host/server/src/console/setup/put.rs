//! The form by which one thing of setup is added or changed.

use std::collections::BTreeSet;

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, FieldProblem, Permission};

use crate::console::answer::{Failed, page, segment, to};
use crate::console::form::{Field, Form};
use crate::console::frame::{Area, Frame};
use crate::console::gate::Posted;
use crate::console::{Entered, words};

/// Stands in a path for the name of what is not there yet: no name holds it.
pub(super) const NEW: &str = "+";

pub(super) struct Tick {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) label: String,
    pub(super) on: bool,
}

#[derive(Template)]
#[template(path = "put.html")]
pub(super) struct Put {
    pub(super) frame: Frame,
    pub(super) headline: String,
    pub(super) action: String,
    pub(super) form: Form,
    pub(super) ticks_label: &'static str,
    pub(super) ticks: Vec<Tick>,
    pub(super) remove: Option<String>,
    pub(super) told: Option<String>,
}

pub(super) fn form_page(entered: &Entered, status: StatusCode, kind: &str, name: &str, put: Put) -> Response {
    let remove = (name != NEW).then(|| format!("/setup/{kind}/{}/remove", segment(name)));
    let action = if name == NEW { format!("/setup/{kind}/+") } else { format!("/setup/{kind}/{}", segment(name)) };
    let frame = Frame::new(entered, Area::Setup, &put.headline);
    page(status, &Put { frame, action, remove, ..put })
}

pub(super) fn blank(entered: &Entered, headline: &str) -> Put {
    Put {
        // Made anew with its title; what is told stays for that one.
        frame: Frame::untold(entered, Area::Setup, headline),
        headline: headline.to_owned(),
        action: String::new(),
        form: Form::default(),
        ticks_label: "",
        ticks: Vec::new(),
        remove: None,
        told: None,
    }
}

/// After a change, or back to the form with what was wrong.
pub(super) fn ended<T>(
    entered: &Entered,
    outcome: Result<T, Error>,
    told: &str,
    again: impl FnOnce(StatusCode, Vec<FieldProblem>, Option<String>) -> Response,
) -> Result<Response, Failed> {
    match outcome {
        Ok(_) => {
            entered.tell("good", told, "");
            Ok(to(Area::Setup.path()))
        }
        Err(Error::Invalid { problems }) => Ok(again(StatusCode::UNPROCESSABLE_ENTITY, problems, None)),
        Err(error @ Error::Refused { .. }) => {
            let words = error.to_string();
            Ok(again(StatusCode::CONFLICT, Vec::new(), Some(words)))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn name_field(name: &str, given: &str, help: &str) -> Vec<Field> {
    if name == NEW { vec![Field::own("name", "Name", "text", given).required().help(help)] } else { Vec::new() }
}

pub(super) fn named<'a>(name: &'a str, posted: &'a Posted) -> &'a str {
    if name == NEW { posted.get("name") } else { name }
}

/// What is added has a name of its own: another one of that name keeps all that it has.
pub(super) fn free<T>(name: &str, found: &Result<T, Error>) -> Result<(), Error> {
    match found {
        Ok(_) if name == NEW => {
            let message = "is the name of another one already; open that to change it".to_owned();
            Err(Error::Invalid { problems: vec![FieldProblem { field: "name".into(), message }] })
        }
        // Not there, or for the call itself to say.
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(super) fn permission_ticks(on: impl Fn(Permission) -> bool) -> Vec<Tick> {
    let tick = |permission: Permission| Tick {
        name: "permission".into(),
        value: permission.name().into(),
        label: words::permission(permission).into(),
        on: on(permission),
    };
    Permission::ALL.into_iter().map(tick).collect()
}

pub(super) fn permissions(posted: &Posted) -> BTreeSet<Permission> {
    let given = |permission: &Permission| posted.all("permission").any(|name| name == permission.name());
    Permission::ALL.into_iter().filter(given).collect()
}
