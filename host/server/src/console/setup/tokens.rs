//! Tokens.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, FieldProblem, NewToken};

use super::manages;
use super::put::{Once, Ticks, once, permission_ticks, permissions};
use crate::console::answer::{Failed, page};
use crate::console::form::{Field, Form};
use crate::console::frame::{Area, Frame};
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

#[derive(Template)]
#[template(path = "token.html")]
struct Page {
    frame: Frame,
    form: Form,
    group: Ticks,
}

fn drawn(entered: &Entered, status: StatusCode, form: Form, typed: &Posted) -> Response {
    let given = permissions(typed);
    let group = permission_ticks("Limited to (none ticked: all that its user may)", |one| given.contains(&one));
    page(status, &Page { frame: Frame::new(entered, Area::Setup, "Add token"), form, group })
}

fn fields(console: &Console, entered: &Entered, typed: &Posted) -> Result<Form, Failed> {
    let users = console.host.users(&entered.actor)?.into_iter();
    let users = users.map(|user| (user.name.clone(), format!("{} ({})", user.label, user.name))).collect();
    let days = if typed.has("days") { typed.get("days") } else { "90" };
    Ok(Form::new(vec![
        Field::own("name", "Name", "text", typed.get("name")).required().help("What it is for, as in `nightly-job`."),
        Field::own("user", "User", "choice", typed.get("user")).required().choices(users),
        Field::own("days", "Days that it works", "integer", days).required(),
    ]))
}

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let typed = Posted::of(query);
    Ok(drawn(&entered, StatusCode::OK, fields(&console, &entered, &typed)?, &typed))
}

pub(super) async fn create(
    State(console): State<Console>,
    entered: Entered,
    posted: Posted,
) -> Result<Response, Failed> {
    let mut form = fields(&console, &entered, &posted)?;
    let created = match posted.get("days").trim().parse::<u32>() {
        Ok(days) => {
            let new = NewToken {
                name: posted.get("name").to_owned(),
                user: posted.get("user").to_owned(),
                permissions: Some(permissions(&posted)).filter(|scope| !scope.is_empty()),
                days: Some(days),
            };
            console.host.create_token(&entered.actor, new).await
        }
        Err(_no_number) => {
            let message = "must be a whole number".to_owned();
            Err(Error::Invalid { problems: vec![FieldProblem { field: "days".into(), message }] })
        }
    };
    match created {
        Ok(created) => {
            let headline = format!("Token {}", created.view.name);
            let told = Once { headline, label: "Token", secret: created.token };
            Ok(once(&entered, told, Area::Setup.path().to_owned()))
        }
        Err(Error::Invalid { problems }) => {
            form.blame(problems);
            Ok(drawn(&entered, StatusCode::UNPROCESSABLE_ENTITY, form, &posted))
        }
        Err(error) => Err(error.into()),
    }
}
