//! Every route: a thin shell around one method of the host.

mod audit;
mod authorize;
mod connections;
mod connectors;
mod definitions;
pub(crate) mod events;
mod flows;
mod health;
mod host;
mod links;
mod named;
mod preview;
mod send;
mod setup;
mod tag;
mod users;
mod webhooks;

use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use turnbuckle::{Actor, Host};
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{self, Access};
use crate::console::{self, Console};
use crate::guard;
use crate::metrics;
use crate::openapi::{Description, with_problems};
use crate::problem::Problem;
use utoipa::OpenApi as _;

pub(crate) use authorize::sign_in_cookie_line;

/// A JSON body; components are larger.
const BODY: usize = 1 << 20;

pub(crate) type Who = Extension<Actor>;
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// Where a list goes on.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// What the page before gave as `next`.
    #[serde(default)]
    pub(crate) cursor: Option<String>,
    /// At most so many.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
}

/// The whole API.
pub fn router(host: Host, access: Access) -> Router {
    let (routes, document) = described();
    let metered = host.clone();
    let document = axum::Json(document);
    let api = routes
        .route("/api/v1/connections/{key}/send", axum::routing::any(send::send).layer(middleware::from_fn(send::taken)))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state((access.clone(), host.clone()), access::authenticate))
        .layer(Extension(authorize::Public(access.reached_at().cloned())))
        .layer(Extension(access.sessions().clone()))
        .with_state(host.clone());
    let pages = Console { host: host.clone(), access: access.clone() };
    Router::new()
        .merge(api)
        .route("/metrics", get(metrics::show).with_state((access.clone(), metered)))
        .merge(console::router(host.clone(), access.clone()))
        .route("/oauth/callback/{provider}", get(authorize::callback).layer(Extension(pages)).with_state(host))
        .route("/api/openapi.json", get(move || std::future::ready(document.clone())))
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(|| std::future::ready("ok\n")))
        .fallback(|headers: HeaderMap| {
            let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            std::future::ready(match accept.contains("text/html") {
                true => console::not_found(),
                false => Problem::new(StatusCode::NOT_FOUND, "no-route", "there is nothing at this path")
                    .hint("/api/openapi.json describes every path")
                    .into_response(),
            })
        })
        .method_not_allowed_fallback(|| {
            std::future::ready(
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not take that method")
                    .into_response(),
            )
        })
        .layer(middleware::from_fn_with_state(access, guard::guard))
        .layer(middleware::from_fn(metrics::count))
}

pub(crate) fn described() -> (Router<Host>, Document) {
    let (router, mut document) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(connectors::list, connectors::install))
        .routes(routes!(connectors::check))
        .routes(routes!(connectors::show, connectors::change, connectors::remove))
        .routes(routes!(connectors::upgrade))
        .routes(routes!(connectors::verify))
        .routes(routes!(connectors::icon))
        .routes(routes!(connections::list, connections::create))
        .routes(routes!(connections::show, connections::edit, connections::delete))
        .routes(routes!(connections::test))
        .routes(routes!(connections::reconnect))
        .routes(routes!(connections::enable))
        .routes(routes!(connections::disable))
        .routes(routes!(authorize::authorize))
        .routes(routes!(authorize::complete))
        .routes(routes!(connections::flows))
        .routes(routes!(connections::history))
        .routes(routes!(connections::activity))
        .routes(routes!(users::transfer))
        .routes(routes!(flows::list))
        .routes(routes!(flows::show, flows::put, flows::remove))
        .routes(routes!(flows::open))
        .routes(routes!(flows::select, flows::deselect))
        .routes(routes!(setup::list))
        .routes(routes!(setup::show, setup::put, setup::remove))
        .routes(routes!(named::protocols))
        .routes(routes!(named::list_externals))
        .routes(routes!(named::show_external, named::put_external, named::remove_external))
        .routes(routes!(named::list_principals))
        .routes(routes!(named::show_principal, named::put_principal, named::remove_principal))
        .routes(routes!(named::authorize))
        .routes(routes!(named::list))
        .routes(routes!(named::show, named::put, named::remove))
        .routes(routes!(users::list_sets))
        .routes(routes!(users::show_set, users::put_set, users::remove_set))
        .routes(routes!(users::list))
        .routes(routes!(users::show, users::put, users::remove))
        .routes(routes!(users::bind, users::unbind))
        .routes(routes!(users::list_tokens, users::create_token))
        .routes(routes!(users::show_token, users::revoke_token))
        .routes(routes!(users::whoami))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(audit::export))
        .routes(routes!(health::report))
        .routes(routes!(health::pause))
        .routes(routes!(health::resume))
        .routes(routes!(events::list))
        .routes(routes!(webhooks::list))
        .routes(routes!(webhooks::show, webhooks::put, webhooks::remove))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(host::report))
        .routes(routes!(host::backup))
        .routes(routes!(host::rotate_key))
        .routes(routes!(host::sign_in))
        .routes(routes!(definitions::export, definitions::import))
        .routes(routes!(links::link))
        .split_for_parts();
    // Routed by hand, for it takes methods that the description has no word for.
    for (method, name) in send::METHODS {
        let mut operation = <send::__path_send as utoipa::Path>::operation();
        operation.operation_id = Some(format!("connections.send-{name}"));
        document.paths.add_path_operation(<send::__path_send as utoipa::Path>::path(), vec![method], operation);
    }
    with_problems(&mut document);
    (router, document)
}
