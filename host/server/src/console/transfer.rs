//! A connection is given to somebody else.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{ConnectionView, Error, FieldProblem, Permission, Transfer, Visibility};

use super::answer::{Failed, page, to};
use super::change::Found;
use super::create::visibility_field;
use super::form::{Field, Form};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::{Console, Entered};

#[derive(Template)]
#[template(path = "transfer.html")]
struct Window {
    frame: Frame,
    path: String,
    name: String,
    owner: String,
    form: Form,
}

/// Its owner may, and whoever looks after the host; what goes by a named credential is given away by the latter alone.
pub(crate) fn gives(entered: &Entered, view: &ConnectionView) -> bool {
    let owner = view.owner == entered.actor.name() && entered.may(Permission::ManageConnections);
    entered.may(Permission::ManageSetup) || (owner && view.named_credential.is_none())
}

fn fields(console: &Console, entered: &Entered, found: &Found, to: &str, private: bool) -> Result<Form, Failed> {
    let help = "From then on it is theirs: a private connection is seen and used by nobody else.";
    let field = match entered.may(Permission::ManageSetup) {
        // Whoever looks after users is shown them.
        true => {
            let users = console.host.users(&entered.actor)?.into_iter().filter(|user| user.enabled);
            let others = users.filter(|user| user.name != found.view.owner);
            let choices: Vec<_> = others
                .map(|user| match user.label == user.name {
                    true => (user.name.clone(), user.name),
                    false => (user.name.clone(), format!("{} ({})", user.label, user.name)),
                })
                .collect();
            match choices.is_empty() {
                true => Field::own("to", "New owner", "text", to)
                    .help("There is no other user yet. One that is added under Setup can be named here."),
                false => Field::own("to", "New owner", "choice", to).help(help).choices(choices),
            }
        }
        false => Field::own("to", "New owner", "text", to).help(help).placeholder("The name of a user"),
    };
    Ok(Form::new(vec![field.required(), visibility_field(private)]))
}

fn window(status: StatusCode, found: &Found, entered: &Entered, form: Form) -> Response {
    let window = Window {
        frame: found.frame(entered, "Transfer"),
        path: found.path(),
        name: found.view.name.clone(),
        owner: found.view.owner.clone(),
        form,
    };
    page(status, &window)
}

fn found(console: &Console, entered: &Entered, key: &str) -> Result<Found, Failed> {
    let found = Found::of(console, entered, key)?;
    match gives(entered, &found.view) {
        true => Ok(found),
        false => Err(Error::Forbidden { permission: Permission::ManageSetup }.into()),
    }
}

pub(crate) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    let found = found(&console, &entered, &key)?;
    let form = fields(&console, &entered, &found, "", found.view.visibility == Visibility::Private)?;
    Ok(window(StatusCode::OK, &found, &entered, form))
}

pub(crate) async fn transfer(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let found = found(&console, &entered, &key)?;
    let (new, private) = (posted.get("to").trim(), posted.get("visibility") == "private");
    let mut form = fields(&console, &entered, &found, new, private)?;
    if new.is_empty() {
        form.blame(vec![FieldProblem { field: "to".into(), message: "choose who it goes to".into() }]);
        return Ok(window(StatusCode::UNPROCESSABLE_ENTITY, &found, &entered, form));
    }
    let visibility = if private { Visibility::Private } else { Visibility::Shared };
    let transfer = Transfer { to: new.to_owned(), visibility: Some(visibility) };
    match console.host.transfer_connection(&entered.actor, &key, transfer).await {
        Ok(done) => {
            let words = match private {
                true => "They alone see it and use it.",
                false => "Everyone with the permission sees it and uses it.",
            };
            entered.tell("good", format!("{} belongs to {}", done.name, done.to), words);
            // What is private to somebody else is not there any more.
            let still = console.host.connection(&entered.actor, &done.connection.to_string()).is_ok();
            Ok(to(if still { found.path() } else { Area::Integrations.path().to_owned() }.as_str()))
        }
        Err(Error::Invalid { problems }) => {
            form.blame(problems);
            Ok(window(StatusCode::UNPROCESSABLE_ENTITY, &found, &entered, form))
        }
        Err(error) => Err(error.into()),
    }
}
