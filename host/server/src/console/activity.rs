//! What was done to a connection and with it: by whom, when, and how it ended.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Activity, ActivityFilter, AuditAction, AuditOutcome, Permission};

use super::answer::{Failed, page, segment};
use super::form::asked;
use super::frame::{Area, Frame};
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

struct Line {
    at: Moment,
    actor: String,
    action: &'static str,
    outcome: Mark,
    reason: String,
    took: String,
    origins: String,
}

struct Choice {
    value: &'static str,
    label: &'static str,
    here: bool,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    path: String,
    name: String,
    status: Mark,
    actions: Vec<Choice>,
    outcomes: Vec<Choice>,
    lines: Vec<Line>,
    filtered: bool,
    next: Option<String>,
    first: Option<String>,
    /// The same in the audit, for those who may read it.
    audit: Option<String>,
}

/// What somebody who looks after a connection looks for.
const ACTIONS: [AuditAction; 8] = [
    AuditAction::ConnectionTest,
    AuditAction::ConnectionSend,
    AuditAction::ConnectionRenew,
    AuditAction::ConnectionReconnect,
    AuditAction::ConnectionEdit,
    AuditAction::ConnectionEnable,
    AuditAction::ConnectionDisable,
    AuditAction::ConnectionTransfer,
];
const OUTCOMES: [AuditOutcome; 3] = [AuditOutcome::Done, AuditOutcome::Failed, AuditOutcome::Refused];

pub(crate) async fn list(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let (host, actor, now) = (&console.host, &entered.actor, console.host.now());
    let view = host.connection(actor, &key)?;
    let id = view.id.to_string();
    let path = format!("/connections/{id}");
    let of = |name: &str| asked(&query, name).filter(|value| !value.is_empty());
    let outcome = of("outcome").and_then(|word| OUTCOMES.into_iter().find(|one| one.name() == word));
    let filter = ActivityFilter {
        action: of("action").map(str::to_owned),
        outcome,
        cursor: of("cursor").map(str::to_owned),
        limit: None,
    };
    let found = host.connection_activity(actor, &id, &filter).await?;
    let at = |cursor: Option<&str>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let parts =
            [("action", filter.action.as_deref()), ("outcome", outcome.map(AuditOutcome::name)), ("cursor", cursor)];
        query.extend_pairs(parts.into_iter().filter_map(|(name, value)| Some((name, value?))));
        format!("{path}/activity?{}", query.finish())
    };
    let action = |one: AuditAction| Choice {
        value: one.name(),
        label: words::done(one),
        here: filter.action.as_deref() == Some(one.name()),
    };
    let ended =
        |one: AuditOutcome| Choice { value: one.name(), label: words::outcome(one).word, here: outcome == Some(one) };
    Ok(page(
        StatusCode::OK,
        &ActivityPage {
            frame: Frame::new(&entered, Area::Integrations, "Activity").below(&view.name, path.clone()),
            name: view.name.clone(),
            status: words::status(view.status),
            actions: ACTIONS.map(action).into(),
            outcomes: OUTCOMES.map(ended).into(),
            filtered: filter.action.is_some() || outcome.is_some(),
            lines: found.items.into_iter().map(|done| line(done, now)).collect(),
            next: found.next.as_deref().map(|next| at(Some(next))),
            first: filter.cursor.as_ref().map(|_| at(None)),
            audit: entered.may(Permission::ViewAudit).then(|| format!("/audit?object={}", segment(&id))),
            path,
        },
    ))
}

fn line(done: Activity, now: jiff::Timestamp) -> Line {
    let status = done.status.map(|status| status.to_string());
    Line {
        at: words::moment(done.at, now),
        actor: done.actor,
        action: words::done(done.action),
        outcome: words::outcome(done.outcome),
        reason: [done.reason, status].into_iter().flatten().collect::<Vec<_>>().join(", "),
        took: done.microseconds.map(words::took).unwrap_or_default(),
        origins: done.origins.join(", "),
    }
}
