//! The page of one webhook: how far it is, what waits, what was given up and can be tried again.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{
    DeliveryFilter, DeliveryState, DeliveryView, Error, Expected, FieldProblem, Page, PutWebhook, Replay, RotateSecret,
    WebhookView,
};

use super::manages;
use super::put::once;
use super::webhooks::{home, secret_of};
use crate::console::answer::{Failed, page, sentence, to};
use crate::console::ask::Ask;
use crate::console::form::{Field, Form, asked};
use crate::console::frame::{Area, Frame};
use crate::console::gate::Posted;
use crate::console::words::{self, Mark, Moment};
use crate::console::{Console, Entered};

const ROWS: usize = 20;

struct Line {
    seq: u64,
    kind: &'static str,
    id: String,
    attempts: u32,
    since: Moment,
    last: Moment,
    next: Option<Moment>,
    problem: String,
}

/// One list of deliveries.
struct List {
    lines: Vec<Line>,
    newer: bool,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    frame: Frame,
    name: String,
    path: String,
    status: Mark,
    enabled: bool,
    disabled_for: String,
    /// What broke its deliveries off lately.
    fault: String,
    url: String,
    types: Vec<&'static str>,
    owner: String,
    made: Moment,
    changed: Moment,
    delivered: u64,
    delivered_at: Option<Moment>,
    behind: u64,
    waiting: u64,
    given_up: u64,
    missed: u64,
    previous_until: Option<Moment>,
    pending: List,
    dead: List,
}

pub(super) async fn show(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.webhook(&entered.actor, &name)?;
    let list = |state, key| listed(&console, &entered, &view, state, (key, asked(&query, key)));
    let (pending, dead) = (list(DeliveryState::Pending, "waiting")?, list(DeliveryState::Dead, "given-up")?);
    let now = console.host.now();
    let at = |at| words::moment(at, now);
    let page_ = WebhookPage {
        frame: Frame::new(&entered, Area::Setup, &format!("Webhook {}", view.name)),
        path: home(&view.name),
        status: words::switch(view.enabled),
        enabled: view.enabled,
        disabled_for: view.disabled_for.as_deref().map(sentence).unwrap_or_default(),
        fault: view.fault.as_deref().map(sentence).unwrap_or_default(),
        types: view.types.iter().map(|one| one.name()).collect(),
        made: at(view.created_at),
        changed: at(view.updated_at),
        delivered: view.delivered,
        delivered_at: view.delivered_at.map(at),
        behind: view.behind,
        waiting: view.pending,
        given_up: view.dead,
        missed: view.missed,
        previous_until: view.previous_secret_until.filter(|until| *until > now).map(at),
        name: view.name,
        url: view.url,
        owner: view.owner,
        pending,
        dead,
    };
    Ok(page(StatusCode::OK, &page_))
}

fn listed(
    console: &Console,
    entered: &Entered,
    view: &WebhookView,
    state: DeliveryState,
    (key, cursor): (&str, Option<&str>),
) -> Result<List, Failed> {
    let filter = DeliveryFilter { state: Some(state), cursor: cursor.map(str::to_owned), limit: Some(ROWS) };
    let Page { items, next } = console.host.webhook_deliveries(&entered.actor, &view.name, &filter)?;
    let now = console.host.now();
    let line = |one: DeliveryView| Line {
        seq: one.seq,
        kind: one.kind.name(),
        id: one.id,
        attempts: one.attempts,
        since: words::moment(one.since, now),
        last: words::moment(one.last, now),
        next: one.next.map(|at| words::moment(at, now)),
        problem: sentence(&one.problem),
    };
    let older = next.map(|next| format!("{}?{key}={next}", home(&view.name)));
    Ok(List { lines: items.into_iter().map(line).collect(), newer: cursor.is_some(), older })
}

fn window(entered: &Entered, name: &str, verb: &'static str, ask: impl FnOnce(Ask) -> Ask) -> Ask {
    ask(Ask {
        frame: Frame::new(entered, Area::Setup, verb).below(name, home(name)),
        headline: format!("{verb} the webhook {name}?"),
        words: String::new(),
        fields: Vec::new(),
        problems: Vec::new(),
        preview: None,
        users: Vec::new(),
        action: String::new(),
        back: home(name),
        verb,
        busy: "Saving…",
        danger: false,
        refused: false,
    })
}

pub(super) async fn enabling(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.webhook(&entered.actor, &name)?;
    let whose = if view.owner == entered.actor.name() { "" } else { " It gets what you may see from then on." };
    let ask = window(&entered, &view.name, "Enable", |ask| Ask {
        words: format!("What happened while it was off is delivered now, as far as it is kept.{whose}"),
        action: format!("{}/enable", ask.back),
        ..ask
    });
    Ok(page(StatusCode::OK, &ask))
}

pub(super) async fn disabling(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.webhook(&entered.actor, &name)?;
    let ask = window(&entered, &view.name, "Disable", |ask| Ask {
        words: "Nothing is delivered until somebody enables it. What happens meanwhile waits, as far as it is kept."
            .into(),
        action: format!("{}/disable", ask.back),
        ..ask
    });
    Ok(page(StatusCode::OK, &ask))
}

pub(super) async fn enable(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    switch(&console, &entered, &name, true).await
}

pub(super) async fn disable(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    switch(&console, &entered, &name, false).await
}

async fn switch(console: &Console, entered: &Entered, name: &str, enabled: bool) -> Result<Response, Failed> {
    // A switch says what it is switched to, whatever else somebody changed; it makes nothing that was removed.
    let put = PutWebhook { enabled: Some(enabled), expected: Expected::Present, ..PutWebhook::default() };
    let saved = console.host.put_webhook(&entered.actor, name, put).await?;
    let words = if enabled { "enabled" } else { "disabled" };
    entered.tell("good", format!("The webhook {} is {words}", saved.view.name), "");
    Ok(to(&home(&saved.view.name)))
}

fn rotating_window(
    entered: &Entered,
    status: StatusCode,
    name: &str,
    hours: &str,
    wrong: Vec<FieldProblem>,
) -> Response {
    let field = Field::own("overlap-hours", "Hours that the old one signs besides", "integer", hours).required();
    let mut form = Form::new(vec![field.help("So that receivers can change over; at most 168.")]);
    form.blame(wrong);
    let ask = window(entered, name, "Replace", |ask| Ask {
        headline: format!("Replace the secret of the webhook {name}?"),
        words: "The new one is shown once. Messages are signed with both for a while, and with the new one alone then."
            .into(),
        action: format!("{}/rotate", ask.back),
        fields: form.fields,
        problems: form.problems,
        busy: "Replacing…",
        ..ask
    });
    page(status, &ask)
}

pub(super) async fn rotating(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.webhook(&entered.actor, &name)?;
    let hours = asked(&query, "overlap-hours").unwrap_or("24");
    Ok(rotating_window(&entered, StatusCode::OK, &view.name, hours, Vec::new()))
}

pub(super) async fn rotate(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let hours = posted.get("overlap-hours").trim();
    let problem = |message: String| vec![FieldProblem { field: "overlap-hours".into(), message }];
    let Ok(overlap_hours) = hours.parse::<u32>().map(Some) else {
        let wrong = problem("must be a whole number of hours".to_owned());
        return Ok(rotating_window(&entered, StatusCode::UNPROCESSABLE_ENTITY, &name, hours, wrong));
    };
    match console.host.rotate_webhook_secret(&entered.actor, &name, RotateSecret { overlap_hours }).await {
        Ok(saved) => {
            let name = saved.view.name;
            match saved.secret {
                Some(secret) => Ok(once(&entered, secret_of(&name, secret), home(&name))),
                None => Ok(to(&home(&name))),
            }
        }
        Err(Error::Invalid { problems }) => {
            Ok(rotating_window(&entered, StatusCode::UNPROCESSABLE_ENTITY, &name, hours, problems))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn replay(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    // Everything is tried again where that was asked for, and not where a number can't be read.
    let seq = match posted.has("seq") {
        true => match posted.get("seq").parse() {
            Ok(seq) => Some(seq),
            Err(_no_number) => {
                return Err(Error::NotFound { kind: "delivery", name: posted.get("seq").to_owned() }.into());
            }
        },
        false => None,
    };
    let replayed = console.host.replay_webhook(&entered.actor, &name, Replay { seq }).await?;
    let headline = match replayed.replayed {
        0 => "Nothing was given up".to_owned(),
        1 => "One delivery is tried again".to_owned(),
        several => format!("{several} deliveries are tried again"),
    };
    let left = match replayed.left {
        0 => String::new(),
        left => format!("{left} stay given up: as many wait as may."),
    };
    entered.tell("good", headline, if seq.is_none() { left } else { String::new() });
    Ok(to(&home(&name)))
}
