//! The console: pages made here, for a person with a browser.
//!
//! A page is what the same calls of the host answer that the API makes, so it shows and does nothing that its person may not. Who
//! that is stands in a session (`session`), which a browser enters by a link used once, by a token (`sign_in`) or by an
//! account at the operator's OpenID provider (`account`). Everything that
//! changes something is a form that carries the session's own token (`gate`). Nothing needs a script, and the policy of each page
//! (`answer`) lets it load what this server has and nothing else.

mod account;
mod activity;
mod answer;
mod ask;
mod assets;
mod audit;
mod browse;
mod change;
mod connection;
mod connectors;
mod create;
mod form;
mod frame;
mod gate;
mod health;
mod integrations;
mod live;
mod preview;
mod principal;
mod session;
mod setup;
mod sign_in;
mod transfer;
mod window;
mod words;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use turnbuckle::Host;
use url::Url;

use crate::access::Access;

pub(crate) use answer::not_found;
pub(crate) use gate::Entered;
pub(crate) use session::{LINK_LASTS, Sessions, Who};
pub(crate) use sign_in::{SIGNING, back_to};

/// What pages are made with.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    pub(crate) host: Host,
    pub(crate) access: Access,
}

impl Console {
    fn sessions(&self) -> &Sessions {
        self.access.sessions()
    }

    fn base(&self) -> Option<&Url> {
        self.access.reached_at()
    }
}

/// Every page.
pub(crate) fn router(host: Host, access: Access) -> Router {
    let console = Console { host, access };
    let pages = Router::new()
        .route("/integrations", get(integrations::list).post(integrations::test))
        .route("/integrations/connectors", get(browse::list))
        .route("/integrations/new", get(create::choose))
        .route("/integrations/new/{connector}", get(create::fields).post(create::create))
        // Whoever shortens an address by hand comes to the list.
        .route("/connections", get(async || answer::to(frame::Area::Integrations.path())))
        .route("/connections/{key}", get(connection::show))
        .route("/connections/{key}/activity", get(activity::list))
        .route("/connections/{key}/transfer", get(transfer::form).post(transfer::transfer))
        .route("/connections/{key}/test", post(change::test))
        .route("/connections/{key}/edit", get(change::edit_form).post(change::edit))
        .route("/connections/{key}/reconnect", get(change::reconnect_form).post(change::reconnect))
        .route("/connections/{key}/authorize", post(change::authorize))
        .route("/connections/{key}/enable", get(window::enable).post(change::enable))
        .route("/connections/{key}/disable", get(window::disable).post(change::disable))
        .route("/connections/{key}/delete", get(window::delete).post(change::delete))
        .route("/connectors", get(connectors::list))
        .route("/connectors/install", get(connectors::install_form).post(connectors::install))
        .route("/connectors/{name}", get(connectors::show).post(connectors::switch))
        .route("/connectors/{name}/upgrade", get(connectors::upgrade_plan).post(connectors::upgrade))
        .route("/connectors/{name}/remove", get(connectors::remove_form).post(connectors::remove))
        .route("/icons/{name}", get(assets::icon))
        .route("/health", get(health::show).post(health::switch))
        .route("/principals/{name}", get(principal::show))
        .route("/principals/{name}/authorize", post(principal::authorize))
        .route("/audit", get(audit::list).post(audit::verify))
        .merge(setup::router())
        .route(live::PATH, get(live::follow))
        .route("/sign-out", post(sign_in::sign_out))
        .layer(middleware::from_fn_with_state(console.clone(), gate::enter))
        // The gate has limits of its own.
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .merge(pages)
        .route("/", get(sign_in::begin))
        // Nobody is known yet: what is shown to get in is short.
        .route("/sign-in", get(sign_in::page).post(sign_in::enter).layer(DefaultBodyLimit::max(gate::UNKNOWN)))
        .route("/sign-in/oidc", get(account::begin))
        .route("/sign-in/oidc/callback", get(account::callback))
        .route("/assets/{hash}/{name}", get(assets::asset))
        .with_state(console)
}
