//! Permission sets.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Permission, PutPermissionSet};

use super::manages;
use super::put::{NEW, Put, Tick, blank, ended, form_page, free, name_field, named, permission_ticks, permissions};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

fn set_page(entered: &Entered, status: StatusCode, name: &str, form: Form, ticks: Vec<Tick>) -> Response {
    let headline = if name == NEW { "Add permission set".to_owned() } else { format!("Permission set {name}") };
    let put = Put { form, ticks, ticks_label: "What its users may do", ..blank(entered, &headline) };
    form_page(entered, status, "permission-sets", name, put)
}

fn set_fields(name: &str, given: &str, label: &str) -> Form {
    let mut fields = name_field(name, given, "Kebab-case, as in `flow-builders`.");
    fields.push(Field::own("label", "Label", "text", label));
    Form::new(fields)
}

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW {
        let ticks = permission_ticks(|permission| permission == Permission::ViewConnections);
        return Ok(set_page(&entered, StatusCode::OK, &name, set_fields(&name, "", ""), ticks));
    }
    let set = console.host.permission_set(&entered.actor, &name)?;
    let ticks = permission_ticks(|permission| set.permissions.contains(&permission));
    Ok(set_page(&entered, StatusCode::OK, &name, set_fields(&name, "", &set.label), ticks))
}

pub(super) async fn put(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let label = Some(posted.get("label").to_owned()).filter(|label| !label.is_empty());
    let put = PutPermissionSet { label, permissions: Some(permissions(&posted)), principals: None };
    let key = named(&name, &posted).to_owned();
    let outcome = match free(&name, &console.host.permission_set(&entered.actor, &key)) {
        Ok(()) => console.host.put_permission_set(&entered.actor, &key, put).await,
        Err(taken) => Err(taken),
    };
    ended(&entered, outcome, &format!("The permission set {key} is saved"), |status, problems, words| {
        let mut form = set_fields(&name, posted.get("name"), posted.get("label"));
        form.blame(problems);
        words.iter().for_each(|words| form.object(words));
        let given = permissions(&posted);
        set_page(&entered, status, &name, form, permission_ticks(|permission| given.contains(&permission)))
    })
}
