//! Tokens.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, FieldProblem, NewToken};

use super::manages;
use super::put::{NEW, Put, Tick, blank, form_page, permission_ticks, permissions};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

fn token_page(entered: &Entered, status: StatusCode, form: Form, ticks: Vec<Tick>) -> Response {
    let put = Put {
        form,
        ticks,
        ticks_label: "Limited to (none ticked: all that its user may)",
        ..blank(entered, "Add token")
    };
    form_page(entered, status, "tokens", NEW, put)
}

fn token_fields(console: &Console, entered: &Entered, posted: &Posted) -> Result<Form, Failed> {
    let users = console.host.users(&entered.actor)?.into_iter().map(|user| (user.name.clone(), user.label));
    let users: Vec<_> = users.map(|(name, label)| (name.clone(), format!("{label} ({name})"))).collect();
    let days = if posted.has("days") { posted.get("days") } else { "90" };
    Ok(Form::new(vec![
        Field::own("name", "Name", "text", posted.get("name")).required().help("What it is for, as in `nightly-job`."),
        Field::own("user", "User", "choice", posted.get("user")).required().choices(users),
        Field::own("days", "Days that it works", "integer", days).required(),
    ]))
}

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name != NEW {
        return Err(Error::NotFound { kind: "page", name }.into());
    }
    let form = token_fields(&console, &entered, &Posted::default())?;
    Ok(token_page(&entered, StatusCode::OK, form, permission_ticks(|_| false)))
}

pub(super) async fn create(
    State(console): State<Console>,
    entered: Entered,
    posted: Posted,
) -> Result<Response, Failed> {
    let scope = permissions(&posted);
    let mut form = token_fields(&console, &entered, &posted)?;
    let ticks = permission_ticks(|permission| scope.contains(&permission));
    let Ok(days) = posted.get("days").trim().parse::<u32>() else {
        form.blame(vec![FieldProblem { field: "days".into(), message: "must be a whole number".into() }]);
        return Ok(token_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, form, ticks));
    };
    let new = NewToken {
        name: posted.get("name").to_owned(),
        user: posted.get("user").to_owned(),
        permissions: Some(scope).filter(|scope| !scope.is_empty()),
        days: Some(days),
    };
    match console.host.create_token(&entered.actor, new).await {
        Ok(created) => {
            let put = Put {
                told: Some(created.token.expose().to_owned()),
                ..blank(&entered, &format!("Token {}", created.view.name))
            };
            Ok(form_page(&entered, StatusCode::OK, "tokens", NEW, put))
        }
        Err(Error::Invalid { problems }) => {
            form.blame(problems);
            Ok(token_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, form, ticks))
        }
        Err(error) => Err(error.into()),
    }
}
