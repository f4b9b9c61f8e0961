//! Windows that say what will happen before it does. Each is a page of its own; the script shows it above the page that it was
//! opened from.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::FieldProblem;

use super::answer::{Failed, page};
use super::change::{Found, manages};
use super::connection::{Flow, flow};
use super::form::{Field, Form};
use super::frame::Frame;
use super::{Console, Entered};

#[derive(Template)]
#[template(path = "window.html")]
struct Window {
    frame: Frame,
    headline: String,
    words: &'static str,
    /// What is said of the flows, where there are any.
    of_flows: &'static str,
    flows: Vec<Flow>,
    action: String,
    back: String,
    verb: &'static str,
    busy: &'static str,
    danger: bool,
    /// It can't be done as things stand.
    refused: bool,
    /// Where its name has to be typed first.
    form: Form,
}

fn window(
    console: &Console,
    entered: &Entered,
    key: &str,
    verb: &'static str,
    say: impl FnOnce(&Found, Vec<Flow>, Frame) -> (StatusCode, Window),
) -> Result<Response, Failed> {
    manages(entered)?;
    let found = Found::of(console, entered, key)?;
    let rows = console.host.connection_flows(&entered.actor, &found.view.id.to_string())?;
    let now = console.host.now();
    let flows = rows.into_iter().map(|row| flow(row, now)).collect();
    let frame = found.frame(entered, verb);
    let (status, window) = say(&found, flows, frame);
    Ok(page(status, &window))
}

pub(crate) async fn enable(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    window(&console, &entered, &key, "Enable", |found, flows, frame| {
        let window = Window {
            frame,
            headline: format!("Enable {}?", found.view.name),
            words: "It is tested and used again, with the credential that it had.",
            of_flows: "These flows can use it again:",
            flows,
            action: format!("{}/enable", found.path()),
            back: found.path(),
            verb: "Enable",
            busy: "Enabling…",
            danger: false,
            refused: false,
            form: Form::default(),
        };
        (StatusCode::OK, window)
    })
}

pub(crate) async fn disable(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    window(&console, &entered, &key, "Disable", |found, flows, frame| {
        let window = Window {
            frame,
            headline: format!("Disable {}?", found.view.name),
            words: "Tests and requests through it are refused until somebody enables it. Its credential stays.",
            of_flows: "These flows use it, and their steps will fail:",
            flows,
            action: format!("{}/disable", found.path()),
            back: found.path(),
            verb: "Disable",
            busy: "Disabling…",
            danger: false,
            refused: false,
            form: Form::default(),
        };
        (StatusCode::OK, window)
    })
}

pub(crate) async fn delete(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    deleting(&console, &entered, &key, StatusCode::OK, None)
}

/// The same window, as the answer to a delete that a flow stands in the way of.
pub(crate) fn refused(console: &Console, entered: &Entered, key: &str) -> Result<Response, Failed> {
    deleting(console, entered, key, StatusCode::CONFLICT, None)
}

/// And as the answer to one for which another name was typed than that of the connection.
pub(crate) fn misnamed(console: &Console, entered: &Entered, key: &str, typed: &str) -> Result<Response, Failed> {
    deleting(console, entered, key, StatusCode::UNPROCESSABLE_ENTITY, Some(typed))
}

fn deleting(
    console: &Console,
    entered: &Entered,
    key: &str,
    status: StatusCode,
    typed: Option<&str>,
) -> Result<Response, Failed> {
    window(console, entered, key, "Delete", |found, flows, frame| {
        let name = &found.view.name;
        let used = !flows.is_empty();
        let mut form = Form::default();
        if !used && found.view.once_used {
            let label = format!("Type {name} to delete it");
            form.fields.push(Field::own("name", &label, "text", typed.unwrap_or_default()).required());
            if let Some(typed) = typed {
                let words = match typed.is_empty() {
                    true => "Type the name of the connection, as it stands above.".to_owned(),
                    false => format!("The connection is called {name}, not {typed}. Nothing was deleted."),
                };
                form.blame(vec![FieldProblem { field: "name".into(), message: words }]);
            }
        }
        let window = Window {
            frame,
            headline: if used { format!("{name} can't be deleted now") } else { format!("Delete {name}?") },
            words: match (used, found.view.once_used) {
                (true, _) => {
                    "Flows use it. Take these uses away, or give the flows another connection, then delete it."
                }
                (false, true) => {
                    "Flows used it before; none does now. Its settings, its credential and its history are gone for \
                     good. Its records in the audit stay."
                }
                (false, false) => {
                    "Its settings, its credential and its history are gone for good. No flow uses it. Its records in \
                     the audit stay."
                }
            },
            of_flows: "Used by:",
            flows,
            action: format!("{}/delete", found.path()),
            back: found.path(),
            verb: "Delete",
            busy: "Deleting…",
            danger: true,
            refused: used,
            form,
        };
        (status, window)
    })
}
