//! The page of one connection.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Change, ConnectionView, ConnectorView, FieldKind, FlowRow, Permission, Protocol, SignIn, Status};
use url::Url;

use super::answer::{Failed, page, segment};
use super::form::asked;
use super::frame::{Area, Frame, May};
use super::words::{self, Judged, Logo, Mark, Moment};
use super::{Console, Entered};

pub(crate) struct Flow {
    /// Tells this use from all others of the connection.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) url: Option<String>,
    pub(crate) version: String,
    pub(crate) status: Mark,
    pub(crate) owner: String,
    pub(crate) used_as: &'static str,
    pub(crate) step: String,
    pub(crate) tested: Option<Moment>,
    pub(crate) progress: Mark,
}

struct Fact {
    label: String,
    value: String,
    moment: Option<Moment>,
}

/// The named credential that a connection goes by.
struct Named {
    name: String,
    /// Where it is set up, for those who may look there.
    path: Option<String>,
    /// The right that is missing, for those who may give it.
    missing: Option<String>,
}

struct Past {
    version: u64,
    kind: &'static str,
    actor: String,
    at: Moment,
    fields: String,
}

struct Request {
    method: String,
    place: String,
    answer: String,
    took: String,
}

#[derive(Template)]
#[template(path = "connection.html")]
struct ConnectionPage {
    frame: Frame,
    path: String,
    name: String,
    description: String,
    logo: Logo,
    status: Mark,
    account: String,
    connector: String,
    protocol: String,
    judged: Option<Judged>,
    tested: Option<Moment>,
    took: String,
    log: Option<String>,
    requests: Vec<Request>,
    settings: Vec<Fact>,
    credential: Vec<Fact>,
    named: Option<Named>,
    about: Vec<Fact>,
    origins: Vec<String>,
    flows: Vec<Flow>,
    history: Vec<Past>,
    older: Option<String>,
    waiting: bool,
    enabled: bool,
    /// Its credential is what is wrong.
    mend: bool,
    may: May,
    /// Where its person gives it to somebody else, if they may.
    transfer: Option<String>,
}

pub(crate) async fn show(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let (host, actor) = (&console.host, &entered.actor);
    let view = host.connection(actor, &key)?;
    let id = view.id.to_string();
    let connector = host.connector(actor, &format!("{}@{}", view.connector.name, view.connector.version))?;
    let descriptor = &connector.installed.descriptor;
    let protocol = descriptor.protocol(&view.protocol);
    let flows = host.connection_flows(actor, &id)?;
    let history = host.connection_history(actor, &id, asked(&query, "older"), Some(10))?;
    let now = host.now();
    let path = format!("/connections/{id}");
    let browser = protocol.is_some_and(|protocol| protocol.sign_in == SignIn::Browser);
    let verdict = view.verdict.as_ref();
    Ok(page(
        StatusCode::OK,
        &ConnectionPage {
            frame: Frame::new(&entered, Area::Integrations, &view.name),
            name: view.name.clone(),
            description: view.description.clone(),
            logo: words::logo(&connector.installed).big(),
            status: words::status(view.status),
            account: view.account.as_ref().map(|account| account.label.clone()).unwrap_or_default(),
            connector: descriptor.label.clone(),
            protocol: match (protocol, &view.named_credential) {
                (_, Some(_)) => "by a named credential".to_owned(),
                (Some(protocol), None) => protocol.label.clone(),
                (None, None) => view.protocol.clone(),
            },
            judged: verdict.filter(|_| view.complete).map(words::judged),
            tested: verdict.map(|verdict| words::moment(verdict.at, now)),
            took: verdict.map(|verdict| words::took(verdict.microseconds)).unwrap_or_default(),
            log: verdict.and_then(|verdict| verdict.log.clone()),
            requests: requests(&view),
            settings: settings(&view, &connector, protocol),
            credential: credential(&console, &view, &connector, protocol),
            named: named(&entered, &view),
            about: about(&console, &view),
            origins: view.origins.clone(),
            flows: flows.into_iter().map(|row| flow(row, now)).collect(),
            older: history.next.as_ref().map(|next| format!("{path}?older={}#history", segment(next))),
            history: history.items.into_iter().map(|change| past(change, now)).collect(),
            waiting: browser && !view.complete && view.enabled,
            enabled: view.enabled,
            mend: view.status == Status::NeedsReconnect,
            may: May::of(&entered),
            transfer: super::transfer::gives(&entered, &view).then(|| format!("{path}/transfer")),
            path,
        },
    ))
}

pub(crate) fn flow(row: FlowRow, now: jiff::Timestamp) -> Flow {
    // The embedder's URL leads somewhere, or is no link.
    let leads = |url: &String| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    Flow {
        key: format!("{} {} {}", row.id, words::used_as(row.used_as), row.step),
        url: row.url.filter(leads),
        name: row.name,
        version: row.version,
        status: words::flow_status(row.status),
        owner: row.owner,
        used_as: words::used_as(row.used_as),
        step: row.step,
        tested: row.last_tested.map(|at| words::moment(at, now)),
        progress: words::progress(row.progress),
    }
}

fn requests(view: &ConnectionView) -> Vec<Request> {
    let exchanges = view.verdict.iter().flat_map(|verdict| &verdict.exchanges);
    let request = |exchange: &turnbuckle::Exchange| Request {
        method: exchange.method.clone(),
        place: match &exchange.origin {
            Some(origin) => format!("{origin}{}", exchange.path),
            None => exchange.path.clone(),
        },
        answer: match (exchange.status, &exchange.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        },
        took: words::took(exchange.microseconds),
    };
    exchanges.map(request).collect()
}

fn fact(label: impl Into<String>, value: impl Into<String>) -> Fact {
    Fact { label: label.into(), value: value.into(), moment: None }
}

/// What was typed, in the words of the form.
fn settings(view: &ConnectionView, connector: &ConnectorView, protocol: Option<&Protocol>) -> Vec<Fact> {
    let descriptor = &connector.installed.descriptor;
    let known = descriptor.settings.iter().chain(protocol.into_iter().flat_map(|protocol| &protocol.fields));
    let shown = known.filter_map(|field| {
        let value = view.settings.get(&field.name)?;
        let words = match &field.kind {
            FieldKind::Choice(choices) => choices.iter().find(|choice| choice.value == *value).map(|one| &one.label),
            FieldKind::Boolean if value == "true" => return Some(fact(&field.label, "Yes")),
            FieldKind::Boolean => return Some(fact(&field.label, "No")),
            FieldKind::Text | FieldKind::Secret | FieldKind::Url | FieldKind::Integer => None,
        };
        Some(fact(&field.label, words.unwrap_or(value)))
    });
    shown.collect()
}

/// What is known of the credential: never a value.
fn credential(
    console: &Console,
    view: &ConnectionView,
    connector: &ConnectorView,
    protocol: Option<&Protocol>,
) -> Vec<Fact> {
    let now = console.host.now();
    let at = |label: &str, at| Fact { moment: Some(words::moment(at, now)), ..fact(label, "") };
    let mut facts = Vec::new();
    for name in &view.secrets {
        let descriptor = &connector.installed.descriptor;
        let mut fields = protocol.into_iter().flat_map(|protocol| descriptor.fields(protocol));
        let label = fields.find(|field| field.name == *name).map_or(name, |field| &field.label);
        facts.push(fact(label, "Set, and shown to nobody"));
    }
    if let Some(provider) = &view.identity_provider {
        facts.push(fact("Identity provider", provider));
    }
    if !view.secrets.is_empty() {
        facts.push(at("Set", view.credential_at));
    }
    if let Some(obtained) = &view.credential {
        facts.push(fact("Obtained", obtained.secrets.join(", ")));
        facts.push(at("Obtained at", obtained.obtained_at));
        if let Some(expires) = obtained.expires_at {
            facts.push(at("Expires", expires));
        }
        facts.extend(obtained.visible.iter().map(|(name, value)| fact(name, value)));
    }
    facts.extend(view.discovered.iter().map(|(name, value)| fact(name, value)));
    facts
}

fn named(entered: &Entered, view: &ConnectionView) -> Option<Named> {
    let missing = view.missing_permission.as_ref();
    let name = view.named_credential.clone()?;
    Some(Named {
        path: entered.may(Permission::ManageSetup).then(|| format!("/setup/named-credentials/{}", segment(&name))),
        name,
        missing: missing.map(|one| format!("No permission set of {} opens the principal {}.", one.user, one.principal)),
    })
}

fn about(console: &Console, view: &ConnectionView) -> Vec<Fact> {
    let now = console.host.now();
    let at = |label: &str, at| Fact { moment: Some(words::moment(at, now)), ..fact(label, "") };
    vec![
        fact("Owner", &view.owner),
        fact("Seen by", words::visibility(view.visibility)),
        fact("Connector version", view.connector.version.to_string()),
        fact("Version", view.version.to_string()),
        at("Created", view.created_at),
        at("Changed", view.updated_at),
    ]
}

fn past(change: Change, now: jiff::Timestamp) -> Past {
    Past {
        version: change.version,
        kind: words::change(change.kind),
        actor: change.actor,
        at: words::moment(change.at, now),
        fields: change.fields.join(", "),
    }
}
