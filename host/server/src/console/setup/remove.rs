//! The window before something of setup is removed.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::Error;

use super::manages;
use crate::console::answer::{Failed, page, segment, to};
use crate::console::frame::{Area, Frame};
use crate::console::{Console, Entered};

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

pub(super) async fn window(entered: Entered, Path((kind, name)): Path<(String, String)>) -> Result<Response, Failed> {
    manages(&entered)?;
    let Some((noun, words)) = removal(&kind) else { return Err(Error::NotFound { kind: "page", name: kind }.into()) };
    let frame = Frame::new(&entered, Area::Setup, &format!("Remove {name}"));
    let action = format!("/setup/{kind}/{}/remove", segment(&name));
    let headline = format!("Remove the {noun} {name}?");
    Ok(page(StatusCode::OK, &Remove { frame, headline, words: words.into(), action, back: Area::Setup.path().into() }))
}

pub(super) async fn remove(
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
