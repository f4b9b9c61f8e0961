//! What operators set up for everyone: identity providers, permission sets, users, tokens.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{
    ConnectorFilter, Error, FieldProblem, NewToken, Permission, PutIdentityProvider, PutPermissionSet, PutUser, Secret,
    SignIn,
};

use super::answer::{Failed, page, segment, to};
use super::form::{Field, Form};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

/// Stands in a path for the name of what is not there yet: no name holds it.
const NEW: &str = "+";

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

pub(crate) async fn overview(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
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

struct Tick {
    name: String,
    value: String,
    label: String,
    on: bool,
}

#[derive(Template)]
#[template(path = "put.html")]
struct Put {
    frame: Frame,
    headline: String,
    action: String,
    form: Form,
    ticks_label: &'static str,
    ticks: Vec<Tick>,
    remove: Option<String>,
    told: Option<String>,
}

fn form_page(entered: &Entered, status: StatusCode, kind: &str, name: &str, put: Put) -> Response {
    let remove = (name != NEW).then(|| format!("/setup/{kind}/{}/remove", segment(name)));
    let action = if name == NEW { format!("/setup/{kind}/+") } else { format!("/setup/{kind}/{}", segment(name)) };
    let frame = Frame::new(entered, Area::Setup, &put.headline);
    page(status, &Put { frame, action, remove, ..put })
}

fn blank(entered: &Entered, headline: &str) -> Put {
    Put {
        // Made anew with its title; what is told stays for that one.
        frame: Frame::untold(entered, Area::Setup, headline),
        headline: headline.to_owned(),
        action: String::new(),
        form: Form::default(),
        ticks_label: "",
        ticks: Vec::new(),
        remove: None,
        told: None,
    }
}

/// After a change, or back to the form with what was wrong.
fn ended<T>(
    entered: &Entered,
    outcome: Result<T, Error>,
    told: &str,
    again: impl FnOnce(StatusCode, Vec<turnbuckle::FieldProblem>, Option<String>) -> Response,
) -> Result<Response, Failed> {
    match outcome {
        Ok(_) => {
            entered.tell("good", told, "");
            Ok(to(Area::Setup.path()))
        }
        Err(Error::Invalid { problems }) => Ok(again(StatusCode::UNPROCESSABLE_ENTITY, problems, None)),
        Err(error @ Error::Refused { .. }) => {
            let words = error.to_string();
            Ok(again(StatusCode::CONFLICT, Vec::new(), Some(words)))
        }
        Err(error) => Err(error.into()),
    }
}

fn name_field(name: &str, given: &str, help: &str) -> Vec<Field> {
    if name == NEW { vec![Field::own("name", "Name", "text", given).required().help(help)] } else { Vec::new() }
}

fn named<'a>(name: &'a str, posted: &'a Posted) -> &'a str {
    if name == NEW { posted.get("name") } else { name }
}

/// What is added has a name of its own: another one of that name keeps all that it has.
fn free<T>(name: &str, found: &Result<T, Error>) -> Result<(), Error> {
    match found {
        Ok(_) if name == NEW => {
            let message = "is the name of another one already; open that to change it".to_owned();
            Err(Error::Invalid { problems: vec![FieldProblem { field: "name".into(), message }] })
        }
        // Not there, or for the call itself to say.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn permission_ticks(on: impl Fn(Permission) -> bool) -> Vec<Tick> {
    let tick = |permission: Permission| Tick {
        name: "permission".into(),
        value: permission.name().into(),
        label: words::permission(permission).into(),
        on: on(permission),
    };
    Permission::ALL.into_iter().map(tick).collect()
}

fn permissions(posted: &Posted) -> BTreeSet<Permission> {
    let given = |permission: &Permission| posted.all("permission").any(|name| name == permission.name());
    Permission::ALL.into_iter().filter(given).collect()
}

/// Permission sets.
fn set_page(entered: &Entered, status: StatusCode, name: &str, form: Form, ticks: Vec<Tick>) -> Response {
    let headline = if name == NEW { "Add permission set".to_owned() } else { format!("Permission set {name}") };
    let put = Put { form, ticks, ticks_label: "What its users may do", ..blank(entered, &headline) };
    form_page(entered, status, "permission-sets", name, put)
}

fn set_fields(name: &str, given: &str, label: &str) -> Form {
    let mut fields = name_field(name, given, "Kebab-case, as in `flow-builders`.");
    fields.push(Field::own("label", "Label", "text", label));
    Form::new(fields)
}

pub(crate) async fn set_form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW {
        let ticks = permission_ticks(|permission| permission == Permission::ViewConnections);
        return Ok(set_page(&entered, StatusCode::OK, &name, set_fields(&name, "", ""), ticks));
    }
    let set = console.host.permission_set(&entered.actor, &name)?;
    let ticks = permission_ticks(|permission| set.permissions.contains(&permission));
    Ok(set_page(&entered, StatusCode::OK, &name, set_fields(&name, "", &set.label), ticks))
}

pub(crate) async fn put_set(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let label = Some(posted.get("label").to_owned()).filter(|label| !label.is_empty());
    let put = PutPermissionSet { label, permissions: Some(permissions(&posted)), principals: None };
    let key = named(&name, &posted).to_owned();
    let outcome = match free(&name, &console.host.permission_set(&entered.actor, &key)) {
        Ok(()) => console.host.put_permission_set(&entered.actor, &key, put).await,
        Err(taken) => Err(taken),
    };
    ended(&entered, outcome, &format!("The permission set {key} is saved"), |status, problems, words| {
        let mut form = set_fields(&name, posted.get("name"), posted.get("label"));
        form.blame(problems);
        words.iter().for_each(|words| form.object(words));
        let given = permissions(&posted);
        set_page(&entered, status, &name, form, permission_ticks(|permission| given.contains(&permission)))
    })
}

/// Users.
fn user_page(
    console: &Console,
    entered: &Entered,
    status: StatusCode,
    name: &str,
    form: Form,
    held: &BTreeSet<String>,
) -> Result<Response, Failed> {
    let headline = if name == NEW { "Add user".to_owned() } else { format!("User {name}") };
    let sets = console.host.permission_sets(&entered.actor)?.into_iter().map(|set| Tick {
        name: "set".into(),
        on: held.contains(&set.name),
        label: if set.label == set.name { set.name.clone() } else { format!("{} ({})", set.label, set.name) },
        value: set.name,
    });
    let put = Put { form, ticks: sets.collect(), ticks_label: "Permission sets", ..blank(entered, &headline) };
    Ok(form_page(entered, status, "users", name, put))
}

fn user_fields(name: &str, given: &str, label: &str, enabled: bool) -> Form {
    let mut fields = name_field(name, given, "Kebab-case, as in `ada-l`, or like an e-mail address.");
    fields.push(Field::own("label", "Label", "text", label).help("What people read."));
    let value = if enabled { "true" } else { "false" };
    let help = "Whoever is disabled may do nothing: sessions and tokens end at once.";
    fields.push(Field::own("enabled", "Enabled", "boolean", value).help(help));
    Form::new(fields)
}

pub(crate) async fn user_form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW {
        let form = user_fields(&name, "", "", true);
        return user_page(&console, &entered, StatusCode::OK, &name, form, &BTreeSet::new());
    }
    let user = console.host.user(&entered.actor, &name)?;
    let form = user_fields(&name, "", &user.label, user.enabled);
    user_page(&console, &entered, StatusCode::OK, &name, form, &user.permission_sets)
}

pub(crate) async fn put_user(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let held: BTreeSet<String> = posted.all("set").map(str::to_owned).collect();
    let enabled = posted.all("enabled").last() == Some("true");
    let put = PutUser {
        label: Some(posted.get("label").to_owned()).filter(|label| !label.is_empty()),
        permission_sets: Some(held.clone()),
        enabled: Some(enabled),
    };
    let key = named(&name, &posted).to_owned();
    let outcome = match free(&name, &console.host.user(&entered.actor, &key)) {
        Ok(()) => console.host.put_user(&entered.actor, &key, put).await,
        Err(taken) => Err(taken),
    };
    match outcome {
        Err(Error::Invalid { problems }) => {
            let mut form = user_fields(&name, posted.get("name"), posted.get("label"), enabled);
            form.blame(problems);
            user_page(&console, &entered, StatusCode::UNPROCESSABLE_ENTITY, &name, form, &held)
        }
        Err(error @ Error::Refused { .. }) => {
            let mut form = user_fields(&name, posted.get("name"), posted.get("label"), enabled);
            form.object(&error.to_string());
            user_page(&console, &entered, StatusCode::CONFLICT, &name, form, &held)
        }
        Ok(_) => {
            entered.tell("good", format!("The user {key} is saved"), "");
            Ok(to(Area::Setup.path()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Tokens.
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

pub(crate) async fn token_form(
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

pub(crate) async fn create_token(
    State(console): State<Console>,
    entered: Entered,
    posted: Posted,
) -> Result<Response, Failed> {
    let scope = permissions(&posted);
    let mut form = token_fields(&console, &entered, &posted)?;
    let ticks = permission_ticks(|permission| scope.contains(&permission));
    let Ok(days) = posted.get("days").trim().parse::<u32>() else {
        form.blame(vec![turnbuckle::FieldProblem { field: "days".into(), message: "must be a whole number".into() }]);
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

/// Identity providers.
fn provider_fields(
    console: &Console,
    entered: &Entered,
    name: &str,
    typed: &dyn Fn(&str) -> String,
    has_secret: bool,
) -> Result<Form, Failed> {
    let all = console.host.connectors(&entered.actor, &ConnectorFilter::default())?;
    let mut serves = Vec::new();
    for view in &all {
        let descriptor = &view.installed.descriptor;
        for protocol in descriptor.protocols.iter().filter(|protocol| protocol.sign_in != SignIn::None) {
            let value = format!("{} {}", view.installed.reference.name, protocol.name);
            serves.push((value, format!("{}, {}", descriptor.label, protocol.label)));
        }
    }
    let mut fields = name_field(name, &typed("name"), "Kebab-case. Its redirect URI ends in it.");
    fields.push(Field::own("label", "Label", "text", &typed("label")).help("What people choose."));
    fields.push(Field::own("connector", "For", "choice", &typed("connector")).required().choices(serves));
    fields.push(Field::own("client-id", "Client id", "text", &typed("client-id")).required());
    let mut secret = Field::own("client-secret", "Client secret", "secret", "");
    secret.name = "x.client-secret".into();
    secret.stored = has_secret;
    fields.push(if has_secret { secret.help("Leave it blank to keep the one that is stored.") } else { secret });
    let help =
        "Fields that it fills in besides, one NAME=VALUE a line; those that say where the service is, above all.";
    fields.push(
        Field::own("settings", "Settings", "lines", &typed("settings"))
            .help(help)
            .placeholder("url=https://example.com"),
    );
    Ok(Form::new(fields))
}

fn provider_page(entered: &Entered, status: StatusCode, name: &str, form: Form) -> Response {
    let headline = if name == NEW { "Add identity provider".to_owned() } else { format!("Identity provider {name}") };
    form_page(entered, status, "identity-providers", name, Put { form, ..blank(entered, &headline) })
}

pub(crate) async fn provider_form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW {
        let form = provider_fields(&console, &entered, &name, &|_| String::new(), false)?;
        return Ok(provider_page(&entered, StatusCode::OK, &name, form));
    }
    let view = console.host.identity_provider(&entered.actor, &name)?;
    let typed = |key: &str| match key {
        "label" => view.label.clone(),
        "connector" => format!("{} {}", view.connector, view.protocol),
        "client-id" => view.client_id.clone(),
        "settings" => {
            view.settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    let mut form = provider_fields(&console, &entered, &name, &typed, view.has_secret)?;
    if let (Some(base), Some(first)) = (console.base(), form.fields.first_mut())
        && let Ok(uri) = base.join(&view.callback)
    {
        first.help = format!("What people choose. The service must know its redirect URI, {uri}");
    }
    Ok(provider_page(&entered, StatusCode::OK, &name, form))
}

pub(crate) async fn put_provider(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let (connector, protocol) = posted.get("connector").split_once(' ').unwrap_or_default();
    let lines = posted.get("settings").lines().filter_map(|line| line.split_once('='));
    let settings: BTreeMap<String, String> =
        lines.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let secret = posted.get("x.client-secret");
    let put = PutIdentityProvider {
        label: Some(posted.get("label").to_owned()).filter(|label| !label.is_empty()),
        connector: connector.to_owned(),
        protocol: protocol.to_owned(),
        client_id: posted.get("client-id").to_owned(),
        client_secret: Some(Secret::new(secret)).filter(|secret| !secret.is_empty()),
        settings,
    };
    let key = named(&name, &posted).to_owned();
    let outcome = match free(&name, &console.host.identity_provider(&entered.actor, &key)) {
        Ok(()) => console.host.put_identity_provider(&entered.actor, &key, put).await,
        Err(taken) => Err(taken),
    };
    let typed = |key: &str| posted.get(key).to_owned();
    let mut form = provider_fields(&console, &entered, &name, &typed, name != NEW)?;
    ended(&entered, outcome, &format!("The identity provider {key} is saved"), |status, problems, words| {
        form.blame(problems);
        words.iter().for_each(|words| form.object(words));
        provider_page(&entered, status, &name, form)
    })
}

#[derive(Template)]
#[template(path = "remove.html")]
struct Remove {
    frame: Frame,
    headline: String,
    words: String,
    action: String,
    back: String,
}

/// What of each kind is called, and what its removal means.
fn removal(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "identity-providers" => Some(("identity provider", "It is refused while connections use it.")),
        "permission-sets" => Some(("permission set", "It is refused while users hold it.")),
        "users" => {
            Some(("user", "Its tokens and sessions end at once. It is refused while private connections are its own."))
        }
        "tokens" => Some(("token", "It opens nothing from the next request on, and sessions begun with it end.")),
        _ => None,
    }
}

pub(crate) async fn remove_form(
    entered: Entered,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let Some((noun, words)) = removal(&kind) else { return Err(Error::NotFound { kind: "page", name: kind }.into()) };
    let frame = Frame::new(&entered, Area::Setup, &format!("Remove {name}"));
    let action = format!("/setup/{kind}/{}/remove", segment(&name));
    let headline = format!("Remove the {noun} {name}?");
    Ok(page(StatusCode::OK, &Remove { frame, headline, words: words.into(), action, back: Area::Setup.path().into() }))
}

pub(crate) async fn remove(
    State(console): State<Console>,
    entered: Entered,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let (host, actor) = (&console.host, &entered.actor);
    match kind.as_str() {
        "identity-providers" => host.remove_identity_provider(actor, &name).await?,
        "permission-sets" => host.remove_permission_set(actor, &name).await?,
        "users" => host.remove_user(actor, &name).await?,
        "tokens" => host.revoke_token(actor, &name).await?,
        _ => return Err(Error::NotFound { kind: "page", name: kind }.into()),
    }
    entered.tell("good", format!("{name} is removed"), "");
    Ok(to(Area::Setup.path()))
}
