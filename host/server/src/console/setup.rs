//! What operators set up for everyone: identity providers, permission sets, users, tokens.

mod permission_sets;
mod providers;
mod put;
mod remove;
mod tokens;
mod users;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use turnbuckle::{Error, Permission};

use super::answer::{Failed, page, segment};
use super::frame::{Area, Frame};
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

/// The pages of this area.
pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/setup", get(overview))
        .route("/setup/identity-providers/{name}", get(providers::form).post(providers::put))
        .route("/setup/permission-sets/{name}", get(permission_sets::form).post(permission_sets::put))
        .route("/setup/users/{name}", get(users::form).post(users::put))
        .route("/setup/tokens/{name}", get(tokens::form).post(tokens::create))
        .route("/setup/{kind}/{name}/remove", get(remove::window).post(remove::remove))
}

struct Row {
    path: String,
    name: String,
    cells: Vec<String>,
    status: Option<Mark>,
    moment: Option<Moment>,
}

struct Shelf {
    id: &'static str,
    title: &'static str,
    path: &'static str,
    add: &'static str,
    empty: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
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

async fn overview(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
    manages(&entered)?;
    let (host, actor, now) = (&console.host, &entered.actor, console.host.now());
    let at = |kind: &str, name: &str| format!("/setup/{kind}/{}", segment(name));
    // Whoever looks after users need not see connections: these rows are left out then.
    let providers = if entered.may(Permission::ViewConnections) { host.identity_providers(actor)? } else { Vec::new() };
    let providers = providers.into_iter().map(|one| Row {
        path: at("identity-providers", &one.name),
        cells: vec![one.label, format!("{}, {}", one.connector, one.protocol), one.client_id],
        name: one.name,
        status: None,
        moment: Some(words::moment(one.updated_at, now)),
    });
    let sets = host.permission_sets(actor)?.into_iter().map(|one| Row {
        path: at("permission-sets", &one.name),
        cells: vec![one.label, joined(one.permissions.iter().map(|permission| permission.name()))],
        name: one.name,
        status: None,
        moment: Some(words::moment(one.updated_at, now)),
    });
    let users = host.users(actor)?.into_iter().map(|one| Row {
        path: at("users", &one.name),
        cells: vec![one.label, joined(&one.permission_sets)],
        name: one.name,
        status: Some(words::switch(one.enabled)),
        moment: Some(words::moment(one.updated_at, now)),
    });
    let tokens = host.tokens(actor)?.into_iter().map(|one| Row {
        path: format!("{}/remove", at("tokens", &one.name)),
        cells: vec![
            one.user,
            match one.scope {
                Some(scope) => joined(scope.iter().map(|permission| permission.name())),
                None => "All that its user may".to_owned(),
            },
        ],
        name: one.name,
        status: None,
        moment: one.expires_at.map(|at| words::moment(at, now)),
    });
    let shelf = |id, title, path, add, empty, columns: &[&'static str], rows| Shelf {
        id,
        title,
        path,
        add,
        empty,
        columns: columns.to_vec(),
        rows,
    };
    let shelves = vec![
        shelf(
            "identity-providers",
            "Identity providers",
            "/setup/identity-providers/+",
            "Add identity provider",
            "An identity provider is an OAuth client that you register once; people then only sign in.",
            &["Name", "Label", "For", "Client", "Changed"],
            providers.collect(),
        ),
        shelf(
            "users",
            "Users",
            "/setup/users/+",
            "Add user",
            "Nobody is here yet.",
            &["Name", "Label", "Permission sets", "Status", "Changed"],
            users.collect(),
        ),
        shelf(
            "permission-sets",
            "Permission sets",
            "/setup/permission-sets/+",
            "Add permission set",
            "A permission set says what its users may do.",
            &["Name", "Label", "Permissions", "Changed"],
            sets.collect(),
        ),
        shelf(
            "tokens",
            "Tokens",
            "/setup/tokens/+",
            "Add token",
            "A token lets a program, or a person at the sign-in page, act as its user.",
            &["Name", "User", "Permissions", "Expires"],
            tokens.collect(),
        ),
    ];
    let frame = Frame::new(&entered, Area::Setup, Area::Setup.name());
    Ok(page(StatusCode::OK, &Setup { frame, shelves }))
}
