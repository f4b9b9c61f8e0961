//! What is done to a connection.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use turnbuckle::{
    Authorization, Authorize, Change, ConnectionView, EditConnection, Error, FieldKind, Permission, Preview, Protocol,
    Reconnect, SignIn, Visibility, WhatIf,
};
use url::Url;

use super::answer::{Failed, page, sentence, to};
use super::create::visibility_field;
use super::form::{self, Field, Form, asked};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::preview::{self, Told};
use super::{Console, Entered, words};
use crate::routes::sign_in_cookie_line;

/// A connection and the protocol by which it authenticates.
pub(crate) struct Found {
    pub(crate) view: ConnectionView,
    pub(crate) fields: Vec<turnbuckle::Field>,
    pub(crate) protocol: Option<Protocol>,
}

impl Found {
    pub(crate) fn of(console: &Console, entered: &Entered, key: &str) -> Result<Self, Failed> {
        let view = console.host.connection(&entered.actor, key)?;
        let connector = format!("{}@{}", view.connector.name, view.connector.version);
        let descriptor = console.host.connector(&entered.actor, &connector)?.installed.descriptor;
        let protocol = descriptor.protocol(&view.protocol).cloned();
        let fields = protocol.iter().flat_map(|protocol| descriptor.fields(protocol)).cloned().collect();
        Ok(Self { view, fields, protocol })
    }

    pub(crate) fn path(&self) -> String {
        format!("/connections/{}", self.view.id)
    }

    pub(crate) fn frame(&self, entered: &Entered, title: &str) -> Frame {
        Frame::new(entered, Area::Integrations, title).below(&self.view.name, self.path())
    }

    fn browser(&self) -> bool {
        self.protocol.as_ref().is_some_and(|protocol| protocol.sign_in == SignIn::Browser)
    }
}

pub(crate) fn manages(entered: &Entered) -> Result<(), Failed> {
    if entered.may(Permission::ManageConnections) {
        return Ok(());
    }
    Err(Error::Forbidden { permission: Permission::ManageConnections }.into())
}

pub(crate) async fn test(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    let view = console.host.test_connection(&entered.actor, &key).await?;
    Ok(to(&format!("/connections/{}", view.id)))
}

pub(crate) async fn enable(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    switch(&console, &entered, &key, true).await
}

pub(crate) async fn disable(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    switch(&console, &entered, &key, false).await
}

async fn switch(console: &Console, entered: &Entered, key: &str, enabled: bool) -> Result<Response, Failed> {
    let view = console.host.enable_connection(&entered.actor, key, enabled).await?;
    let words = match enabled {
        true => "Its flows can use it again.",
        false => "It is neither tested nor used until somebody enables it.",
    };
    entered.tell("good", format!("{} is {}", view.name, if enabled { "enabled" } else { "disabled" }), words);
    Ok(to(&format!("/connections/{}", view.id)))
}

pub(crate) async fn delete(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let view = console.host.connection(&entered.actor, &key)?;
    let name = view.name;
    let typed = posted.get("name").trim();
    // Where a flow still uses it the host says so, whatever was typed.
    if view.once_used && view.flows == 0 && typed != name {
        return super::window::misnamed(&console, &entered, &key, typed);
    }
    match console.host.delete_connection(&entered.actor, &key).await {
        Ok(()) => {
            entered.tell("good", format!("{name} is deleted"), "");
            Ok(to(Area::Integrations.path()))
        }
        // A flow began to use it meanwhile: the window says which.
        Err(Error::InUse { .. }) => super::window::refused(&console, &entered, &key),
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "edit.html")]
struct Edit {
    frame: Frame,
    path: String,
    name: String,
    version: u64,
    form: Form,
    conflict: Option<String>,
    /// What it would do, where that was asked.
    preview: Option<Told>,
}

/// What stands in the form.
struct Typed<'a> {
    name: &'a str,
    description: &'a str,
    private: bool,
    setting: &'a dyn Fn(&str) -> Option<String>,
}

fn edit_fields(found: &Found, entered: &Entered, typed: &Typed<'_>) -> Form {
    let view = &found.view;
    let mut fields = vec![
        Field::own("name", "Name", "text", typed.name).required(),
        Field::own("description", "Description", "lines", typed.description),
    ];
    let provided = |name: &str| view.identity_provider.is_some() && ["client-id", "client-secret"].contains(&name);
    for field in found.fields.iter().filter(|field| !provided(&field.name)) {
        let stored = view.secrets.contains(&field.name);
        // What was taken away stays away: a default is for new connections.
        let value = (typed.setting)(&field.name).unwrap_or_default();
        fields.push(Field::of(field, Some(&value), stored));
    }
    if view.owner == entered.actor.name() {
        fields.push(visibility_field(typed.private));
    }
    Form::new(fields)
}

fn edit_page(status: StatusCode, found: &Found, entered: &Entered, form: Form, conflict: Option<String>) -> Response {
    edit_drawn(status, found, entered, form, (conflict, None))
}

fn edit_drawn(
    status: StatusCode,
    found: &Found,
    entered: &Entered,
    form: Form,
    (conflict, preview): (Option<String>, Option<Told>),
) -> Response {
    let frame = found.frame(entered, "Edit");
    let (path, name, version) = (found.path(), found.view.name.clone(), found.view.version);
    page(status, &Edit { frame, path, name, version, form, conflict, preview })
}

pub(crate) async fn edit_form(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let mut found = Found::of(&console, &entered, &key)?;
    let view = &found.view;
    let drafted = form::drafted(&query);
    let typed = Typed {
        name: asked(&query, "name").unwrap_or(&view.name),
        description: asked(&query, "description").unwrap_or(&view.description),
        private: match asked(&query, "visibility") {
            Some(visibility) => visibility == "private",
            None => view.visibility == Visibility::Private,
        },
        setting: &|name| drafted.get(name).or_else(|| view.settings.get(name)).cloned(),
    };
    let form = edit_fields(&found, &entered, &typed);
    // What was typed before a session was over was typed for the version of then: what others changed since is a conflict.
    if let Some(version) = asked(&query, "version").and_then(|version| version.parse().ok()) {
        found.view.version = version;
    }
    Ok(edit_page(StatusCode::OK, &found, &entered, form, None))
}

/// What became of a form.
enum Edited {
    Saved(Box<ConnectionView>),
    Asked(Preview),
}

pub(crate) async fn edit(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let given: u64 = posted.get("version").parse().unwrap_or_default();
    let visibility = posted.has("visibility").then(|| match posted.get("visibility") {
        "private" => Visibility::Private,
        _ => Visibility::Shared,
    });
    let edit = EditConnection {
        version: given,
        name: Some(posted.get("name").to_owned()),
        description: Some(posted.get("description").to_owned()),
        protocol: None,
        settings: form::settings(&posted),
        secrets: form::secrets(&posted),
        visibility,
    };
    let settings = edit.settings.clone();
    let secrets = edit.secrets.values().any(|secret| !secret.is_empty());
    let ended = match posted.has(preview::ASKED) {
        true => {
            let what = WhatIf::EditConnection { key: key.clone(), edit };
            console.host.preview(&entered.actor, what).await.map(Edited::Asked)
        }
        false => {
            let saved = console.host.edit_connection(&entered.actor, &key, edit).await;
            saved.map(|view| Edited::Saved(Box::new(view)))
        }
    };
    let typed = Typed {
        name: posted.get("name"),
        description: posted.get("description"),
        private: visibility == Some(Visibility::Private),
        setting: &|name| settings.get(name).cloned(),
    };
    match ended {
        Ok(Edited::Asked(told)) => {
            let mut found = Found::of(&console, &entered, &key)?;
            let form = edit_fields(&found, &entered, &typed);
            found.view.version = given;
            let told = Told::of(told).with_secrets(secrets);
            Ok(edit_drawn(StatusCode::OK, &found, &entered, form, (None, Some(told))))
        }
        Ok(Edited::Saved(view)) => {
            if let Some(verdict) = &view.verdict {
                let judged = words::judged(verdict);
                entered.tell(judged.tone, "Saved", "");
            }
            Ok(to(&format!("/connections/{}", view.id)))
        }
        Err(Error::Invalid { problems }) => {
            // The version stays the one that the form was made on: what others changed meanwhile is still a conflict.
            let mut found = Found::of(&console, &entered, &key)?;
            let mut form = edit_fields(&found, &entered, &typed);
            form.blame(problems);
            found.view.version = given;
            Ok(edit_page(StatusCode::UNPROCESSABLE_ENTITY, &found, &entered, form, None))
        }
        Err(Error::Stale { .. }) => {
            let found = Found::of(&console, &entered, &key)?;
            let mut form = edit_fields(&found, &entered, &typed);
            compare(&found.view, &mut form);
            let history = console.host.connection_history(&entered.actor, &key, None, Some(10))?;
            let words = meanwhile(&history.items, given);
            Ok(edit_page(StatusCode::CONFLICT, &found, &entered, form, Some(words)))
        }
        Err(error @ (Error::Upstream { .. } | Error::Refused { .. })) => {
            let mut found = Found::of(&console, &entered, &key)?;
            let mut form = edit_fields(&found, &entered, &typed);
            form.object(&told(&error));
            found.view.version = given;
            Ok(edit_page(Failed::from(error).status, &found, &entered, form, None))
        }
        Err(error) => Err(error.into()),
    }
}

fn told(error: &Error) -> String {
    let hint = error.hint().map(|hint| format!(" {}", sentence(hint))).unwrap_or_default();
    format!("{}{hint}", sentence(&error.to_string()))
}

/// Who was first, and what they touched.
fn meanwhile(changes: &[Change], given: u64) -> String {
    let newer = changes.iter().filter(|change| change.version > given);
    let said = newer.map(|change| {
        let fields = if change.fields.is_empty() { String::new() } else { format!(" ({})", change.fields.join(", ")) };
        format!("{} by {}{fields}", words::change(change.kind), change.actor)
    });
    said.collect::<Vec<_>>().join("; ")
}

/// Beside each field that stands otherwise now: how it stands.
fn compare(view: &ConnectionView, form: &mut Form) {
    for field in &mut form.fields {
        let now = match field.key.as_str() {
            "name" => Some(view.name.as_str()),
            "description" => Some(view.description.as_str()),
            "visibility" => None,
            key if field.kind != "secret" => Some(view.settings.get(key).map_or("", String::as_str)),
            _secret => None,
        };
        if let Some(now) = now.filter(|now| *now != field.value) {
            let now = if now.is_empty() { "nothing".to_owned() } else { format!("“{now}”") };
            field.help = format!("Stored now: {now}. {}", field.help);
        }
    }
}

#[derive(Template)]
#[template(path = "reconnect.html")]
struct ReconnectWindow {
    frame: Frame,
    path: String,
    name: String,
    account: String,
    form: Form,
    browser: bool,
    fresh: bool,
    nothing: bool,
    /// The named credential whose principal signs in instead.
    named: Option<String>,
    /// Where that is done, of those that this person may know of.
    sign_in: Option<String>,
}

fn secret_fields(found: &Found) -> Vec<Field> {
    let provided =
        |name: &str| found.view.identity_provider.is_some() && ["client-id", "client-secret"].contains(&name);
    let secret = found.fields.iter().filter(|field| field.kind == FieldKind::Secret && !provided(&field.name));
    let secret: Vec<_> = secret.collect();
    // Of several one may stay as it is; a single one that stays is no new credential.
    let stored = |field: &turnbuckle::Field| secret.len() > 1 && found.view.secrets.contains(&field.name);
    secret.iter().map(|field| Field::of(field, None, stored(field))).collect()
}

/// Where somebody signs in as the principal that a connection goes by.
fn sign_in_for(console: &Console, entered: &Entered, named: &str) -> Result<Option<String>, Failed> {
    let named = match console.host.named_credential(&entered.actor, named) {
        Ok(named) => named,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let principals = console.host.principals(&entered.actor)?;
    let own = principals.into_iter().find(|one| one.external_credential == named.external_credential);
    Ok(own.map(|one| super::principal::path(&one.name)))
}

fn reconnect_page(
    status: StatusCode,
    found: &Found,
    entered: &Entered,
    form: Form,
    sign_in: Option<String>,
) -> Response {
    let browser = found.browser();
    let window = ReconnectWindow {
        frame: found.frame(entered, "Reconnect"),
        path: found.path(),
        name: found.view.name.clone(),
        account: found.view.account.as_ref().map(|account| account.label.clone()).unwrap_or_default(),
        nothing: form.fields.is_empty() && !browser,
        fresh: !found.view.complete,
        named: found.view.named_credential.clone(),
        sign_in,
        form,
        browser,
    };
    page(status, &window)
}

pub(crate) async fn reconnect_form(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let found = Found::of(&console, &entered, &key)?;
    let form = if found.browser() { Form::default() } else { Form::new(secret_fields(&found)) };
    let sign_in = match &found.view.named_credential {
        Some(named) => sign_in_for(&console, &entered, named)?,
        None => None,
    };
    Ok(reconnect_page(StatusCode::OK, &found, &entered, form, sign_in))
}

pub(crate) async fn reconnect(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let new = Reconnect {
        secrets: form::secrets(&posted),
        tokens: None,
        accept_account: posted.all("accept-account").last() == Some("true"),
    };
    let ended = console.host.reconnect_connection(&entered.actor, &key, new).await;
    let found = Found::of(&console, &entered, &key)?;
    let mut form = Form::new(secret_fields(&found));
    match ended {
        Ok(done) if done.replaced => {
            entered.tell("good", format!("{} is reconnected", found.view.name), "");
            Ok(to(&found.path()))
        }
        Ok(done) => {
            let judged = words::judged(&done.verdict);
            form.object(&format!("The new credential did not pass. {} {}", judged.words, judged.hint));
            form.object("The old credential stays in use");
            Ok(reconnect_page(StatusCode::UNPROCESSABLE_ENTITY, &found, &entered, form, None))
        }
        Err(Error::Invalid { problems }) => {
            form.blame(problems);
            Ok(reconnect_page(StatusCode::UNPROCESSABLE_ENTITY, &found, &entered, form, None))
        }
        Err(error @ (Error::Upstream { .. } | Error::Refused { .. })) => {
            form.object(&told(&error));
            Ok(reconnect_page(Failed::from(error).status, &found, &entered, form, None))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "continue.html")]
struct Onward {
    frame: Frame,
    name: String,
    place: String,
    url: String,
    redirect_uri: String,
}

/// Sends a person to the service. By a page in between: the policy of a form lets it lead nowhere but here, and a person sees
/// where the password is asked for.
pub(crate) async fn authorize(
    State(console): State<Console>,
    entered: Entered,
    Path(key): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let Some(base) = console.base().cloned() else { return Err(nowhere()) };
    let found = Found::of(&console, &entered, &key)?;
    let wanted = Authorize {
        loopback_port: None,
        reconnect: found.view.complete,
        accept_account: posted.all("accept-account").last() == Some("true"),
    };
    let begun = console.host.authorize_connection(&entered.actor, &key, &base, wanted).await?;
    Ok(onward(found.frame(&entered, "Sign in"), &found.view.name, &begun, &base, &found.path()))
}

/// On to the service, and back to this page.
pub(crate) fn onward(frame: Frame, name: &str, begun: &Authorization, base: &Url, back: &str) -> Response {
    let place = Url::parse(&begun.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let (url, redirect_uri) = (begun.url.clone(), begun.redirect_uri.clone());
    let mut response = page(StatusCode::OK, &Onward { frame, name: name.to_owned(), place, url, redirect_uri });
    let back = super::sign_in::return_cookie(back, &begun.redirect_uri, base);
    for cookie in sign_in_cookie_line(begun).into_iter().chain(HeaderValue::try_from(back).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn nowhere() -> Failed {
    Failed {
        status: StatusCode::CONFLICT,
        words: "Nobody listens for the browser that comes back.".into(),
        hint: Some("Start a server: `turnbuckle serve`.".into()),
        users: Vec::new(),
    }
}
