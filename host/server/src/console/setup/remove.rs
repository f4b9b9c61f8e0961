//! The window before something of setup is removed: what that means, and what stands in its way.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, Setup, User, WhatIf};

use super::manages;
use crate::console::answer::{Failed, page, segment, to};
use crate::console::ask::{Ask, Used};
use crate::console::frame::{Area, Frame};
use crate::console::preview::Told;
use crate::console::{Console, Entered};

/// What one kind is called, what its removal means, and how the host names it where things lean on it.
struct What {
    noun: &'static str,
    words: &'static str,
    setup: Option<Setup>,
}

fn what(kind: &str) -> Result<What, Failed> {
    let (noun, words, setup) = match kind {
        "named-credentials" => (
            "named credential",
            "No connection uses it. The external credential and the principals that it stands on stay.",
            Some(Setup::NamedCredential),
        ),
        "external-credentials" => (
            "external credential",
            "Nothing stands on it. Its client's secret, where it has one, is gone for good.",
            Some(Setup::ExternalCredential),
        ),
        "principals" => (
            "principal",
            "What it holds is gone for good, and what it obtained is taken back at its service, where that can be done.",
            Some(Setup::Principal),
        ),
        "identity-providers" => {
            ("identity provider", "No connection uses it. Its secret is gone for good.", Some(Setup::IdentityProvider))
        }
        "permission-sets" => ("permission set", "No user holds it.", Some(Setup::PermissionSet)),
        "users" => (
            "user",
            "Its tokens and sessions end at once, its webhooks are switched off, and what it holds of principals is gone \
             for good.",
            Some(Setup::User),
        ),
        "tokens" => {
            ("token", "It opens nothing from the next request on, and sessions that were begun with it end.", None)
        }
        "webhooks" => (
            "webhook",
            "All that waits for it, and all that was given up, is gone for good. Its secret signs nothing any more.",
            None,
        ),
        _ => return Err(Error::NotFound { kind: "page", name: kind.to_owned() }.into()),
    };
    Ok(What { noun, words, setup })
}

/// Where somebody goes on who leaves it as it is.
fn back(kind: &str, name: &str) -> String {
    match kind {
        "named-credentials" | "external-credentials" | "webhooks" => format!("/setup/{kind}/{}", segment(name)),
        _ => Area::Setup.path().to_owned(),
    }
}

fn drawn(
    entered: &Entered,
    (kind, name): (&str, &str),
    what: &What,
    users: Vec<User>,
    preview: Option<Told>,
) -> Response {
    let noun = what.noun;
    let used = !users.is_empty();
    let ask = Ask {
        frame: Frame::new(entered, Area::Setup, &format!("Remove {name}")),
        headline: match used {
            true => format!("The {noun} {name} can't be removed now"),
            false => format!("Remove the {noun} {name}?"),
        },
        words: match used {
            true => "These lean on it. Change them first:".to_owned(),
            false => what.words.to_owned(),
        },
        fields: Vec::new(),
        problems: Vec::new(),
        preview,
        users: users.into_iter().map(Used::of).collect(),
        action: format!("/setup/{kind}/{}/remove", segment(name)),
        back: back(kind, name),
        verb: "Remove",
        busy: "Removing…",
        danger: true,
        refused: used,
    };
    page(if used { StatusCode::CONFLICT } else { StatusCode::OK }, &ask)
}

pub(super) async fn window(
    State(console): State<Console>,
    entered: Entered,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let what = what(&kind)?;
    let users = match what.setup {
        Some(setup) => console.host.leaning_on(&entered.actor, setup, &name)?,
        None => Vec::new(),
    };
    // Of all these, only a user takes something along that goes on without it.
    let preview = match (what.setup, users.is_empty()) {
        (Some(Setup::User), true) => removed(&console, &entered, &name).await?,
        _ => None,
    };
    let mut response = drawn(&entered, (&kind, &name), &what, users, preview);
    // It was asked for, and here it is, whatever it says.
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

/// What the removal of a user would do. Where it would be refused, that is said when it is tried.
async fn removed(console: &Console, entered: &Entered, name: &str) -> Result<Option<Told>, Failed> {
    match console.host.preview(&entered.actor, WhatIf::RemoveUser { name: name.to_owned() }).await {
        Ok(preview) => Ok(Some(Told::of(preview))),
        Err(Error::Refused { .. } | Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove(
    State(console): State<Console>,
    entered: Entered,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let (host, actor) = (&console.host, &entered.actor);
    let removed = match kind.as_str() {
        "named-credentials" => host.remove_named_credential(actor, &name).await,
        "external-credentials" => host.remove_external_credential(actor, &name).await,
        "principals" => host.remove_principal(actor, &name).await,
        "identity-providers" => host.remove_identity_provider(actor, &name).await,
        "permission-sets" => host.remove_permission_set(actor, &name).await,
        "users" => host.remove_user(actor, &name).await,
        "tokens" => host.revoke_token(actor, &name).await,
        "webhooks" => host.remove_webhook(actor, &name).await,
        _ => Err(Error::NotFound { kind: "page", name: kind.clone() }),
    };
    match removed {
        Ok(()) => {
            entered.tell("good", format!("{name} is removed"), "");
            Ok(to(Area::Setup.path()))
        }
        // Something began to lean on it meanwhile: the window says what.
        Err(Error::InUse { users, .. }) => Ok(drawn(&entered, (&kind, &name), &what(&kind)?, users, None)),
        Err(error) => Err(error.into()),
    }
}
