//! What operators set up for everyone: named credentials and what they stand on, identity providers, who may do what, and where
//! events are posted to.

mod accounts;
mod credential;
mod externals;
mod named;
mod permission_sets;
mod principals;
mod providers;
mod put;
mod remove;
mod tokens;
mod users;
mod webhook;
mod webhooks;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use turnbuckle::{Error, Permission, PrincipalKind};

use super::answer::{Failed, page, segment};
use super::frame::{Area, Frame};
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

/// The pages of this area.
pub(super) fn router() -> Router<Console> {
    use put::{form, put};
    Router::new()
        .route("/setup", get(overview))
        .route("/setup/named-credentials/{name}", get(credential::named))
        .route("/setup/named-credentials/{name}/edit", get(named::form).post(put::<named::NamedCredentials>))
        .route("/setup/external-credentials/{name}", get(credential::external))
        .route("/setup/external-credentials/{name}/edit", get(externals::form).post(put::<externals::Externals>))
        .route("/setup/principals/{name}", get(form::<principals::Principals>).post(put::<principals::Principals>))
        .route("/setup/identity-providers/{name}", get(form::<providers::Providers>).post(put::<providers::Providers>))
        .route(
            "/setup/permission-sets/{name}",
            get(form::<permission_sets::PermissionSets>).post(put::<permission_sets::PermissionSets>),
        )
        .route("/setup/users/{name}", get(form::<users::Users>).post(put::<users::Users>))
        .route("/setup/users/{name}/accounts", get(users::binding).post(users::bind))
        .route("/setup/users/{name}/accounts/unbind", get(users::unbinding).post(users::unbind))
        .route("/setup/tokens/+", get(tokens::form).post(tokens::create))
        .route("/setup/webhooks/{name}", get(webhook::show))
        .route("/setup/webhooks/{name}/edit", get(form::<webhooks::Webhooks>).post(put::<webhooks::Webhooks>))
        .route("/setup/webhooks/{name}/enable", get(webhook::enabling).post(webhook::enable))
        .route("/setup/webhooks/{name}/disable", get(webhook::disabling).post(webhook::disable))
        .route("/setup/webhooks/{name}/rotate", get(webhook::rotating).post(webhook::rotate))
        .route("/setup/webhooks/{name}/replay", post(webhook::replay))
        .route("/setup/{kind}/{name}/remove", get(remove::window).post(remove::remove))
}

enum Cell {
    Text(String),
    Mark(Mark),
    Moment(Option<Moment>),
}

struct Row {
    path: String,
    name: String,
    cells: Vec<Cell>,
}

struct Shelf {
    id: &'static str,
    title: &'static str,
    path: &'static str,
    add: &'static str,
    empty: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Row>,
    /// Whether its rows, and what is added, open in a window above the list; otherwise they are pages.
    windows: bool,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup {
    frame: Frame,
    shelves: Vec<Shelf>,
}

fn manages(entered: &Entered) -> Result<(), Failed> {
    if entered.may(Permission::ManageSetup) {
        return Ok(());
    }
    Err(Error::Forbidden { permission: Permission::ManageSetup }.into())
}

fn joined(names: impl IntoIterator<Item = impl ToString>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// Whose identity a principal is.
fn whose(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Named => "One for everybody",
        PrincipalKind::PerUser => "Each user has an own one",
    }
}

async fn overview(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
    manages(&entered)?;
    let mut shelves = Vec::new();
    // Whoever looks after users need not see connections: what is about these is left out then.
    if entered.may(Permission::ViewConnections) {
        shelves.push(named_credentials(&console, &entered)?);
    }
    shelves.push(external_credentials(&console, &entered)?);
    if entered.may(Permission::ViewConnections) {
        shelves.push(identity_providers(&console, &entered)?);
    }
    shelves.push(all_users(&console, &entered)?);
    shelves.push(sets(&console, &entered)?);
    shelves.push(all_tokens(&console, &entered)?);
    shelves.push(all_webhooks(&console, &entered)?);
    let frame = Frame::new(&entered, Area::Setup, Area::Setup.name());
    Ok(page(StatusCode::OK, &Setup { frame, shelves }))
}

fn at(kind: &str, name: &str) -> String {
    format!("/setup/{kind}/{}", segment(name))
}

fn named_credentials(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.named_credentials(&entered.actor)?.into_iter().map(|one| Row {
        path: at("named-credentials", &one.name),
        cells: vec![
            Cell::Text(one.url),
            Cell::Mark(words::configured(one.configured)),
            Cell::Mark(words::authenticated(one.authenticated)),
            Cell::Mark(words::switch(one.enabled)),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "named-credentials",
        title: "Named credentials",
        path: "/setup/named-credentials/+/edit",
        add: "Add named credential",
        empty: "A named credential says where requests go and what proves them, once, for connections that others make.",
        columns: &["Name", "Address", "Configured", "Authenticated", "Enabled"],
        rows: rows.collect(),
        windows: false,
    })
}

fn external_credentials(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.external_credentials(&entered.actor)?.into_iter().map(|one| Row {
        path: at("external-credentials", &one.name),
        cells: vec![
            Cell::Text(one.protocol),
            Cell::Text(joined(one.principals)),
            Cell::Text(joined(one.named_credentials)),
            Cell::Moment(Some(words::moment(one.updated_at, console.host.now()))),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "external-credentials",
        title: "External credentials",
        path: "/setup/external-credentials/+/edit",
        add: "Add external credential",
        empty: "An external credential says how a service is signed in to, whoever does it. One is made with each named \
                credential; several of these may stand on one, too.",
        columns: &["Name", "Protocol", "Principals", "Named credentials", "Changed"],
        rows: rows.collect(),
        windows: false,
    })
}

fn identity_providers(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.identity_providers(&entered.actor)?.into_iter().map(|one| Row {
        path: at("identity-providers", &one.name),
        cells: vec![
            Cell::Text(one.label),
            Cell::Text(format!("{}, {}", one.connector, one.protocol)),
            Cell::Text(one.client_id),
            Cell::Moment(Some(words::moment(one.updated_at, console.host.now()))),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "identity-providers",
        title: "Identity providers",
        path: "/setup/identity-providers/+",
        add: "Add identity provider",
        empty: "An identity provider is an OAuth client that you register once; people then only sign in.",
        columns: &["Name", "Label", "For", "Client", "Changed"],
        rows: rows.collect(),
        windows: true,
    })
}

fn all_users(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.users(&entered.actor)?.into_iter().map(|one| Row {
        path: at("users", &one.name),
        cells: vec![
            Cell::Text(one.label),
            Cell::Text(joined(&one.permission_sets)),
            Cell::Mark(words::switch(one.enabled)),
            Cell::Moment(Some(words::moment(one.updated_at, console.host.now()))),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "users",
        title: "Users",
        path: "/setup/users/+",
        add: "Add user",
        empty: "Nobody is here yet.",
        columns: &["Name", "Label", "Permission sets", "Status", "Changed"],
        rows: rows.collect(),
        windows: true,
    })
}

fn sets(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.permission_sets(&entered.actor)?.into_iter().map(|one| Row {
        path: at("permission-sets", &one.name),
        cells: vec![
            Cell::Text(one.label),
            Cell::Text(joined(one.permissions.iter().map(|permission| permission.name()))),
            Cell::Text(joined(one.principals)),
            Cell::Moment(Some(words::moment(one.updated_at, console.host.now()))),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "permission-sets",
        title: "Permission sets",
        path: "/setup/permission-sets/+",
        add: "Add permission set",
        empty: "A permission set says what its users may do.",
        columns: &["Name", "Label", "Permissions", "Principals", "Changed"],
        rows: rows.collect(),
        windows: true,
    })
}

fn all_tokens(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.tokens(&entered.actor)?.into_iter().map(|one| Row {
        path: format!("{}/remove", at("tokens", &one.name)),
        cells: vec![
            Cell::Text(one.user),
            Cell::Text(match one.scope {
                Some(scope) => joined(scope.iter().map(|permission| permission.name())),
                None => "All that its user may".to_owned(),
            }),
            Cell::Moment(one.expires_at.map(|at| words::moment(at, console.host.now()))),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "tokens",
        title: "Tokens",
        path: "/setup/tokens/+",
        add: "Add token",
        empty: "A token lets a program, or a person at the sign-in page, act as its user.",
        columns: &["Name", "User", "Permissions", "Expires"],
        rows: rows.collect(),
        windows: true,
    })
}

fn all_webhooks(console: &Console, entered: &Entered) -> Result<Shelf, Failed> {
    let rows = console.host.webhooks(&entered.actor)?.into_iter().map(|one| Row {
        path: at("webhooks", &one.name),
        cells: vec![
            Cell::Text(one.url),
            Cell::Mark(words::switch(one.enabled)),
            Cell::Text(one.pending.to_string()),
            Cell::Text(one.dead.to_string()),
            Cell::Moment(one.delivered_at.map(|at| words::moment(at, console.host.now()))),
        ],
        name: one.name,
    });
    Ok(Shelf {
        id: "webhooks",
        title: "Webhooks",
        path: "/setup/webhooks/+/edit",
        add: "Add webhook",
        empty: "A webhook is an address of yours that is told what happens: a connection that needs somebody, say.",
        columns: &["Name", "Address", "Status", "Waiting", "Given up", "Last delivered"],
        rows: rows.collect(),
        windows: false,
    })
}
