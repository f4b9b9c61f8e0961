//! `/api/v1/host/console-link`

use std::time::Instant;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use turnbuckle::Host;
use utoipa::ToSchema;

use super::Answer;
use super::authorize::Public;
use crate::console::{LINK_LASTS, Sessions, Who};
use crate::problem::{Problem, Words};

/// A link by which a browser enters the console.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ConsoleLink {
    /// It works once.
    url: String,
    /// Whom it signs in.
    user: String,
    /// Until when it works.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// A link that signs a browser in as whoever asks, once. Its session may do what this token may, and ends with it.
#[utoipa::path(post, operation_id = "host.console-link", path = "/api/v1/host/console-link", tag = "host", responses((status = 200, body = ConsoleLink), (status = 409, body = Words)))]
pub(super) async fn link(
    State(host): State<Host>,
    Extension(who): Extension<Who>,
    Extension(sessions): Extension<Sessions>,
    Extension(Public(base)): Extension<Public>,
) -> Answer<ConsoleLink> {
    let Some(base) = base else {
        return Err(Problem::new(StatusCode::CONFLICT, "not-reachable", "no server shows the console")
            .hint("start one: `turnbuckle serve`"));
    };
    let who = who.followed(&host);
    let Some(actor) = who.actor(&host) else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "nothing-to-do", "this user may do nothing in the console")
            .hint("an administrator enables it, or gives it permission sets"));
    };
    let mut url = base;
    url.set_path("/sign-in");
    let code = sessions.link(who, actor.name(), Instant::now()).code;
    url.set_query(Some(&format!("code={code}")));
    let expires_at = host.now().checked_add(LINK_LASTS).unwrap_or(Timestamp::MAX);
    Ok(Json(ConsoleLink { url: url.into(), user: actor.name().to_owned(), expires_at }))
}
