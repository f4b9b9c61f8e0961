//! `/api/v1/connectors`

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use turnbuckle::{
    CheckReport, ConnectorFilter, ConnectorView, Host, InstallReport, Preview, Upgrade, UpgradeReport, WhatIf,
};
use utoipa::ToSchema;

use super::preview::{DoneOr, DryRun, preview};
use super::{Answer, Who};
use crate::input::{Json as Input, Path, Search, as_it_is};
use crate::problem::{Problem, Words};
use crate::sockets::TooSlow;

/// More than any limit of the host, which says which one it is.
const COMPONENT: usize = 256 << 20;

/// Installed connectors, the newest version of each.
#[utoipa::path(get, operation_id = "connectors.list", path = "/api/v1/connectors", tag = "connectors", params(ConnectorFilter), responses((status = 200, body = Vec<ConnectorView>)))]
pub(super) async fn list(
    State(host): State<Host>,
    who: Who,
    Search(filter): Search<ConnectorFilter>,
) -> Answer<Vec<ConnectorView>> {
    Ok(Json(host.connectors(&who, &filter)?))
}

/// Installs a component: the body is the WebAssembly itself.
#[utoipa::path(post, operation_id = "connectors.install", path = "/api/v1/connectors", tag = "connectors", request_body(content = Vec<u8>, content_type = "application/wasm"), responses((status = 201, body = InstallReport), (status = 200, body = InstallReport, description = "It was there already"), (status = 422, body = Words)))]
pub(super) async fn install(State(host): State<Host>, who: Who, request: Request) -> Result<Response, Problem> {
    let component = component(request).await?;
    let report = host.install_connector(&who, component).await?;
    let status = if report.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(report)).into_response())
}

/// Judges a component as an install does, and keeps nothing.
#[utoipa::path(post, operation_id = "connectors.check", path = "/api/v1/connectors/check", tag = "connectors", request_body(content = Vec<u8>, content_type = "application/wasm"), responses((status = 200, body = CheckReport), (status = 422, body = Words)))]
pub(super) async fn check(State(host): State<Host>, who: Who, request: Request) -> Answer<CheckReport> {
    let component = component(request).await?;
    Ok(Json(host.check_connector(&who, component).await?))
}

/// One connector: `github`, or `github@1.2.0`.
#[utoipa::path(get, operation_id = "connectors.show", path = "/api/v1/connectors/{name}", tag = "connectors", params(("name" = String, Path)), responses((status = 200, body = ConnectorView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Answer<ConnectorView> {
    Ok(Json(host.connector(&who, &name)?))
}

/// What of a connector is switched.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// Whether new connections may be made with it.
    enabled: Option<bool>,
    /// Whether it stands under "Get started".
    featured: Option<bool>,
}

/// Enables, disables or features a connector.
#[utoipa::path(patch, operation_id = "connectors.change", path = "/api/v1/connectors/{name}", tag = "connectors", params(("name" = String, Path), DryRun), request_body = Switch, responses((status = 200, body = DoneOr<ConnectorView>), (status = 404, body = Words)))]
pub(super) async fn change(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Input(switch): Input<Switch>,
) -> Result<Response, Problem> {
    if dry_run {
        let Some(enabled) = switch.enabled else {
            return Err(Problem::input("dry-run", "is of `enabled`: nothing leans on what is featured"));
        };
        return preview(&host, &who, WhatIf::EnableConnector { name, enabled }).await;
    }
    if let Some(enabled) = switch.enabled {
        host.enable_connector(&who, &name, enabled).await?;
    }
    if let Some(featured) = switch.featured {
        host.feature_connector(&who, &name, featured).await?;
    }
    Ok(Json(host.connector(&who, &name)?).into_response())
}

/// Moves connections to another version.
#[utoipa::path(post, operation_id = "connectors.upgrade", path = "/api/v1/connectors/{name}/upgrade", tag = "connectors", params(("name" = String, Path)), request_body = Upgrade, responses((status = 200, body = UpgradeReport), (status = 409, body = Words)))]
pub(super) async fn upgrade(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Input(upgrade): Input<Upgrade>,
) -> Answer<UpgradeReport> {
    Ok(Json(host.upgrade_connector(&who, &name, upgrade).await?))
}

/// Starts a connector in a fresh sandbox and checks that it says of itself what it said when it was installed.
#[utoipa::path(post, operation_id = "connectors.verify", path = "/api/v1/connectors/{name}/verify", tag = "connectors", params(("name" = String, Path)), responses((status = 200, body = ConnectorView), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn verify(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Answer<ConnectorView> {
    Ok(Json(host.verify_connector(&who, &name).await?))
}

/// Removes a connector, or one version of it.
#[utoipa::path(delete, operation_id = "connectors.remove", path = "/api/v1/connectors/{name}", tag = "connectors", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 409, body = Words)))]
pub(super) async fn remove(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemoveConnector { name }).await;
    }
    host.remove_connector(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The icon of a connector, under a policy that lets it do nothing but be drawn.
#[utoipa::path(get, operation_id = "connectors.icon", path = "/api/v1/connectors/{name}/icon", tag = "connectors", params(("name" = String, Path)), responses((status = 200, content_type = "image/svg+xml"), (status = 404, body = Words)))]
pub(super) async fn icon(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = host.connector(&who, &name)?;
    let Some(svg) = view.installed.descriptor.icon_svg else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", format!("connector `{name}` has no icon")));
    };
    let mut response = svg.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    Ok(response)
}

async fn component(request: Request) -> Result<Bytes, Problem> {
    as_it_is(&request)?;
    let body = Limited::new(request.into_body(), COMPONENT).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| match TooSlow::is_behind(&*error) {
        true => Problem::too_slow(),
        false => Problem::input("component", error.to_string()),
    })
}
