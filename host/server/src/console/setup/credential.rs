//! The page of one credential: the objects of one name shown as one. Three facts are kept apart on it: whether all is there that
//! signing in takes, whether somebody is signed in, and whether it is switched on.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, ExternalCredentialView, NamedCredentialView, Permission, PrincipalKind, PrincipalView, Setup};

use super::put::below;
use super::{manages, whose};
use crate::console::answer::{Failed, page, segment, sentence};
use crate::console::ask::Used;
use crate::console::frame::{Area, Frame};
use crate::console::words::{self, Mark, Moment};
use crate::console::{Console, Entered};

struct Endpoint {
    label: String,
    name: String,
    url: String,
    path: String,
    owner: String,
    changed: Moment,
    marks: [Mark; 3],
    problem: Option<String>,
    warnings: Vec<String>,
    connections: Vec<Used>,
}

struct External {
    name: String,
    label: String,
    protocol: String,
    path: String,
    settings: Vec<(String, String)>,
    headers: Vec<String>,
    secrets: Vec<String>,
    callback: Option<String>,
    owner: String,
    changed: Moment,
    /// Other named credentials that stand on it.
    others: Vec<(String, String)>,
}

struct Who {
    name: String,
    whose: &'static str,
    edit: String,
    sign_in: String,
    remove: String,
    /// Of one per user they speak of whoever looks.
    own: bool,
    configured: Mark,
    authenticated: Mark,
    problem: String,
    expires: Option<Moment>,
    sets: Vec<(String, String)>,
    users: Vec<String>,
}

#[derive(Template)]
#[template(path = "credential.html")]
struct Credential {
    frame: Frame,
    endpoint: Option<Endpoint>,
    external: External,
    principals: Vec<Who>,
    add: String,
}

pub(super) async fn named(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.named_credential(&entered.actor, &name)?;
    let external = console.host.external_credential(&entered.actor, &view.external_credential)?;
    let connections = console.host.leaning_on(&entered.actor, Setup::NamedCredential, &view.name)?;
    let connections = connections.into_iter().map(Used::of).collect();
    drawn(&console, &entered, Some((view, connections)), external)
}

pub(super) async fn external(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let external = console.host.external_credential(&entered.actor, &name)?;
    drawn(&console, &entered, None, external)
}

fn drawn(
    console: &Console,
    entered: &Entered,
    named: Option<(NamedCredentialView, Vec<Used>)>,
    external: ExternalCredentialView,
) -> Result<Response, Failed> {
    let now = console.host.now();
    let title = named.as_ref().map_or(&external.label, |(view, _)| &view.label).clone();
    let mut principals = Vec::new();
    // Whoever may not see connections is not told of those who sign in for them.
    for name in external.principals.iter().filter(|_| entered.may(Permission::ViewConnections)) {
        match console.host.principal(&entered.actor, name) {
            Ok(view) => principals.push(who(view, now)),
            // It was removed meanwhile.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let own = named.as_ref().map(|(view, _)| view.name.clone());
    let page_ = Credential {
        frame: Frame::new(entered, Area::Setup, &title),
        add: format!("/setup/principals/+?external-credential={}", segment(&external.name)),
        endpoint: named.map(|(view, connections)| endpoint(view, connections, now)),
        external: external_of(console, entered, external, own.as_deref())?,
        principals,
    };
    Ok(page(StatusCode::OK, &page_))
}

fn endpoint(view: NamedCredentialView, connections: Vec<Used>, now: jiff::Timestamp) -> Endpoint {
    Endpoint {
        marks: [
            words::configured(view.configured),
            words::authenticated(view.authenticated),
            words::switch(view.enabled),
        ],
        path: below("named-credentials", &view.name),
        problem: view.problem.as_deref().map(sentence),
        warnings: view.warnings.iter().map(|words| sentence(words)).collect(),
        changed: words::moment(view.updated_at, now),
        label: view.label,
        name: view.name,
        url: view.url,
        owner: view.owner,
        connections,
    }
}

fn external_of(
    console: &Console,
    entered: &Entered,
    view: ExternalCredentialView,
    own: Option<&str>,
) -> Result<External, Failed> {
    let protocol = super::named::protocol(console, entered, &view.protocol)?;
    let label = |name: &str| {
        let field = protocol.settings.iter().find(|field| field.name == name);
        field.map_or_else(|| name.to_owned(), |field| field.label.clone())
    };
    let others = view.named_credentials.iter().filter(|name| Some(name.as_str()) != own);
    let callback = view.callback.as_ref().and_then(|path| console.base()?.join(path).ok());
    Ok(External {
        path: below("external-credentials", &view.name),
        settings: view.settings.iter().map(|(name, value)| (label(name), value.clone())).collect(),
        headers: view.headers.iter().map(|header| format!("{}: {}", header.name, header.value)).collect(),
        secrets: view.secrets.iter().map(|name| label(name)).collect(),
        callback: callback.map(String::from).or(view.callback),
        changed: words::moment(view.updated_at, console.host.now()),
        others: others.map(|name| (name.clone(), below("named-credentials", name))).collect(),
        protocol: protocol.label.clone(),
        name: view.name,
        label: view.label,
        owner: view.owner,
    })
}

fn who(view: PrincipalView, now: jiff::Timestamp) -> Who {
    Who {
        whose: whose(view.kind),
        edit: below("principals", &view.name),
        sign_in: format!("/principals/{}", segment(&view.name)),
        remove: format!("{}/remove", below("principals", &view.name)),
        own: view.kind == PrincipalKind::PerUser,
        configured: words::configured(view.configured),
        authenticated: words::authenticated(view.authenticated),
        problem: view.problem.as_deref().map(sentence).unwrap_or_default(),
        expires: view.expires_at.map(|at| words::moment(at, now)),
        sets: view.permission_sets.iter().map(|set| (set.clone(), below("permission-sets", set))).collect(),
        users: view.users,
        name: view.name,
    }
}
