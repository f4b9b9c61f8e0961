//! Who did what.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{AuditFilter, AuditOutcome, AuditRecord};

use super::answer::{Failed, page, sentence, to};
use super::form::asked;
use super::frame::{Area, Frame};
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

struct Line {
    number: u64,
    at: Moment,
    actor: String,
    action: &'static str,
    object: String,
    outcome: Mark,
    reason: String,
    origins: String,
}

struct Choice {
    value: &'static str,
    label: &'static str,
    here: bool,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    frame: Frame,
    actor: String,
    object: String,
    kinds: Vec<Choice>,
    outcomes: Vec<Choice>,
    lines: Vec<Line>,
    filtered: bool,
    next: Option<String>,
    first: Option<String>,
}

const KINDS: [(&str, &str); 8] = [
    ("connection", "Connections"),
    ("connector", "Connectors"),
    ("flow", "Flows"),
    ("identity-provider", "Identity providers"),
    ("user", "Users"),
    ("permission-set", "Permission sets"),
    ("token", "Tokens"),
    ("host", "The host"),
];
const OUTCOMES: [AuditOutcome; 3] = [AuditOutcome::Done, AuditOutcome::Failed, AuditOutcome::Refused];

pub(crate) async fn list(
    State(console): State<Console>,
    entered: Entered,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let of = |name: &str| asked(&query, name).filter(|value| !value.is_empty()).map(str::to_owned);
    let kind = of("kind");
    let outcome = of("outcome").and_then(|word| OUTCOMES.into_iter().find(|one| one.name() == word));
    let filter = AuditFilter {
        actor: of("actor"),
        action: kind.clone(),
        object: of("object"),
        outcome,
        cursor: of("cursor"),
        ..AuditFilter::default()
    };
    let found = console.host.audit(&entered.actor, &filter).await?;
    let now = console.host.now();
    let path = |cursor: Option<&str>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let parts = [
            ("actor", filter.actor.as_deref()),
            ("kind", kind.as_deref()),
            ("object", filter.object.as_deref()),
            ("outcome", outcome.map(AuditOutcome::name)),
            ("cursor", cursor),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/audit?{}", query.finish())
    };
    Ok(page(
        StatusCode::OK,
        &Audit {
            frame: Frame::new(&entered, Area::Audit, Area::Audit.name()),
            actor: filter.actor.clone().unwrap_or_default(),
            object: filter.object.clone().unwrap_or_default(),
            kinds: KINDS
                .iter()
                .map(|(value, label)| Choice { value, label, here: kind.as_deref() == Some(value) })
                .collect(),
            outcomes: OUTCOMES
                .iter()
                .map(|one| Choice { value: one.name(), label: words::outcome(*one).word, here: outcome == Some(*one) })
                .collect(),
            filtered: filter.actor.is_some() || kind.is_some() || filter.object.is_some() || outcome.is_some(),
            lines: found.items.into_iter().map(|record| line(record, now)).collect(),
            next: found.next.as_deref().map(|next| path(Some(next))),
            first: filter.cursor.as_ref().map(|_| path(None)),
        },
    ))
}

/// Checks every record that is kept.
pub(crate) async fn verify(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
    let report = console.host.verify_audit(&entered.actor, None).await?;
    let head = format!("{}:{}", report.head.seq, report.head.hash);
    match report.broken {
        None => entered.tell(
            "good",
            "The chain is whole",
            format!(
                "{} records are what they should be. The last one is {head}: noted elsewhere, it proves everything up to it.",
                report.records
            ),
        ),
        Some(broken) => entered.tell(
            "bad",
            "The chain is broken",
            format!(
                "{} The {} records before it are good. Put the data directory aside as it is, and find out who could write \
                 to it.",
                sentence(&broken.to_string()),
                report.records
            ),
        ),
    }
    Ok(to(Area::Audit.path()))
}

fn line(record: AuditRecord, now: jiff::Timestamp) -> Line {
    let event = record.event;
    let status = event.status.map(|status| status.to_string());
    Line {
        number: record.seq,
        at: words::moment(event.at, now),
        actor: event.actor,
        action: event.action.name(),
        object: if event.object.name.is_empty() { event.object.id.unwrap_or_default() } else { event.object.name },
        outcome: words::outcome(event.outcome),
        reason: [event.reason, status].into_iter().flatten().collect::<Vec<_>>().join(", "),
        origins: event.origins.join(", "),
    }
}
