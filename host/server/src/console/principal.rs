//! The page on which somebody signs in as a principal: for everybody, or each for itself.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{AuthorizePrincipal, Error, Permission, PrincipalKind, PrincipalView, SignIn};

use super::answer::{Failed, page, segment, sentence, to};
use super::change::onward;
use super::form::{self, Field, Form};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::words::{self, Mark, Moment};
use super::{Console, Entered};

#[derive(Template)]
#[template(path = "principal.html")]
struct Page {
    frame: Frame,
    name: String,
    external: String,
    /// Where that is set up, for those who may look there.
    setup: Option<String>,
    own: bool,
    configured: Mark,
    authenticated: Mark,
    problem: String,
    expires: Option<Moment>,
    form: Form,
    action: String,
    verb: &'static str,
    busy: &'static str,
    browser: bool,
    nothing: bool,
    /// Why this person may not sign in as it.
    closed: Option<&'static str>,
}

/// Where somebody signs in as this principal.
pub(crate) fn path(name: &str) -> String {
    format!("/principals/{}", segment(name))
}

fn frame(entered: &Entered, name: &str) -> Frame {
    let area = if entered.may(Permission::ManageSetup) { Area::Setup } else { Area::Integrations };
    Frame::new(entered, area, &format!("Principal {name}"))
}

fn drawn(console: &Console, entered: &Entered, status: StatusCode, view: &PrincipalView, form: Form) -> Response {
    let shared = view.kind == PrincipalKind::Named;
    let setup = entered.may(Permission::ManageSetup);
    let closed = match (shared, entered.may(Permission::ManageConnections)) {
        (true, _) if !setup => Some("Everybody uses this one. Somebody who looks after the host signs it in."),
        (_, false) => Some("You may not manage connections, and so not sign in for them."),
        (true | false, true) => None,
    };
    let (verb, busy) = match view.sign_in {
        SignIn::None => ("Save", "Saving…"),
        SignIn::Unattended => ("Sign in", "Signing in…"),
        SignIn::Browser => ("Sign in", "Opening…"),
    };
    let page_ = Page {
        frame: frame(entered, &view.name),
        name: view.label.clone(),
        external: view.external_credential.clone(),
        setup: setup.then(|| format!("/setup/external-credentials/{}", segment(&view.external_credential))),
        own: !shared,
        configured: words::configured(view.configured),
        authenticated: words::authenticated(view.authenticated),
        problem: view.problem.as_deref().map(sentence).unwrap_or_default(),
        expires: view.expires_at.map(|at| words::moment(at, console.host.now())),
        action: format!("{}/authorize", path(&view.name)),
        browser: view.sign_in == SignIn::Browser,
        nothing: view.sign_in == SignIn::None && form.fields.is_empty(),
        form,
        verb,
        busy,
        closed,
    };
    page(status, &page_)
}

fn fields(view: &PrincipalView, typed: &Posted, drafted: bool) -> Form {
    let values = if drafted { form::settings(typed) } else { view.settings.clone() };
    let value = |name: &str| values.get(name).map(String::as_str);
    let field = |one: &turnbuckle::Field| Field::of(one, value(&one.name), view.secrets.contains(&one.name));
    Form::new(view.parameters.iter().map(field).collect())
}

pub(crate) async fn show(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let view = console.host.principal(&entered.actor, &name)?;
    let drafted = !query.is_empty();
    let form = fields(&view, &Posted::of(query), drafted);
    Ok(drawn(&console, &entered, StatusCode::OK, &view, form))
}

pub(crate) async fn authorize(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let authorize =
        AuthorizePrincipal { settings: form::settings(&posted), secrets: form::secrets(&posted), loopback_port: None };
    let base = console.base().cloned();
    let wrong = |status, problems, words: Option<String>| {
        let view = console.host.principal(&entered.actor, &name)?;
        let mut form = fields(&view, &posted, true);
        form.blame(problems);
        words.iter().for_each(|words| form.object(words));
        Ok(drawn(&console, &entered, status, &view, form))
    };
    match console.host.authorize_principal(&entered.actor, &name, base.as_ref(), authorize).await {
        Ok(done) => {
            let (view, own) = (done.principal, path(&name));
            if let (Some(begun), Some(base)) = (done.authorization, &base) {
                return Ok(onward(frame(&entered, &view.name), &view.label, &begun, base, &own));
            }
            match (view.authenticated, &view.problem) {
                (true, _) => entered.tell("good", format!("{} is ready", view.label), ""),
                (false, problem) => {
                    let words = problem.as_deref().map(sentence).unwrap_or_default();
                    entered.tell("bad", format!("{} is not signed in", view.label), words);
                }
            }
            Ok(to(&own))
        }
        Err(Error::Invalid { problems }) => wrong(StatusCode::UNPROCESSABLE_ENTITY, problems, None),
        Err(error @ (Error::Upstream { .. } | Error::Refused { .. })) => {
            let hint = error.hint().map(|hint| format!(" {}", sentence(hint))).unwrap_or_default();
            let words = format!("{}{hint}", sentence(&error.to_string()));
            wrong(Failed::from(error).status, Vec::new(), Some(words))
        }
        Err(error) => Err(error.into()),
    }
}
