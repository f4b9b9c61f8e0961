//! `/api/v1/connections`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use turnbuckle::{
    Activity, ActivityFilter, Change, ConnectionFilter, ConnectionView, EditConnection, FlowRow, Host, NewConnection,
    Page, Preview, Reconnect, Reconnected, WhatIf,
};

use super::preview::{DoneOr, DryRun, preview};
use super::tag::{self, tagged};
use super::{Answer, Cursor, Who};
use crate::input::{Json as Input, Path, Search, misfit};
use crate::problem::{Problem, Words};

/// A page of connections, by name.
#[utoipa::path(get, operation_id = "connections.list", path = "/api/v1/connections", tag = "connections", params(ConnectionFilter), responses((status = 200, body = Page<ConnectionView>)))]
pub(super) async fn list(
    State(host): State<Host>,
    who: Who,
    Search(filter): Search<ConnectionFilter>,
) -> Answer<Page<ConnectionView>> {
    Ok(Json(host.connections(&who, &filter)?))
}

/// Makes a connection and tests it; the verdict stands in the answer.
#[utoipa::path(post, operation_id = "connections.create", path = "/api/v1/connections", tag = "connections", request_body = NewConnection, responses((status = 201, body = ConnectionView), (status = 422, body = Words)))]
pub(super) async fn create(
    State(host): State<Host>,
    who: Who,
    Input(new): Input<NewConnection>,
) -> Result<Response, Problem> {
    let view = host.create_connection(&who, new).await?;
    let location = format!("/api/v1/connections/{}", view.id);
    let mut response = shown(StatusCode::CREATED, view);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// One connection, by id or name.
#[utoipa::path(get, operation_id = "connections.show", path = "/api/v1/connections/{key}", tag = "connections", params(("key" = String, Path)), responses((status = 200, body = ConnectionView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(key): Path<String>) -> Result<Response, Problem> {
    Ok(shown(StatusCode::OK, host.connection(&who, &key)?))
}

/// Saves a change and tests it. The version may stand in the body or in `If-Match`.
#[utoipa::path(patch, operation_id = "connections.edit", path = "/api/v1/connections/{key}", tag = "connections", params(("key" = String, Path), DryRun), request_body = EditConnection, responses((status = 200, body = DoneOr<ConnectionView>), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn edit(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    headers: HeaderMap,
    Input(mut edit): Input<Value>,
) -> Result<Response, Problem> {
    if let (Some(object), Some(tag)) = (edit.as_object_mut(), headers.get(header::IF_MATCH)) {
        let version = tag::version(tag).ok_or_else(|| Problem::input("If-Match", "is not an ETag of a connection"))?;
        match object.get("version").and_then(Value::as_u64) {
            Some(own) if own != version => {
                return Err(Problem::input("version", "is another one than `If-Match` says"));
            }
            _ => object.insert("version".into(), version.into()),
        };
    }
    let edit: EditConnection = serde_path_to_error::deserialize(edit).map_err(|error| misfit(&error))?;
    if dry_run {
        return preview(&host, &who, WhatIf::EditConnection { key, edit }).await;
    }
    Ok(shown(StatusCode::OK, host.edit_connection(&who, &key, edit).await?))
}

/// Deletes a connection that no flow uses.
#[utoipa::path(delete, operation_id = "connections.delete", path = "/api/v1/connections/{key}", tag = "connections", params(("key" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 409, body = Words)))]
pub(super) async fn delete(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::DeleteConnection { key }).await;
    }
    host.delete_connection(&who, &key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Tests a connection; the verdict stands in the answer.
#[utoipa::path(post, operation_id = "connections.test", path = "/api/v1/connections/{key}/test", tag = "connections", params(("key" = String, Path)), responses((status = 200, body = ConnectionView), (status = 409, body = Words)))]
pub(super) async fn test(State(host): State<Host>, who: Who, Path(key): Path<String>) -> Result<Response, Problem> {
    Ok(shown(StatusCode::OK, host.test_connection(&who, &key).await?))
}

/// Tries a new credential; only one that passes replaces the old one.
#[utoipa::path(post, operation_id = "connections.reconnect", path = "/api/v1/connections/{key}/reconnect", tag = "connections", params(("key" = String, Path)), request_body = Reconnect, responses((status = 200, body = Reconnected), (status = 422, body = Words)))]
pub(super) async fn reconnect(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Input(new): Input<Reconnect>,
) -> Answer<Reconnected> {
    Ok(Json(host.reconnect_connection(&who, &key, new).await?))
}

/// Switches a connection on.
#[utoipa::path(post, operation_id = "connections.enable", path = "/api/v1/connections/{key}/enable", tag = "connections", params(("key" = String, Path), DryRun), responses((status = 200, body = DoneOr<ConnectionView>)))]
pub(super) async fn enable(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::EnableConnection { key, enabled: true }).await;
    }
    Ok(shown(StatusCode::OK, host.enable_connection(&who, &key, true).await?))
}

/// Switches a connection off: test and send are refused.
#[utoipa::path(post, operation_id = "connections.disable", path = "/api/v1/connections/{key}/disable", tag = "connections", params(("key" = String, Path), DryRun), responses((status = 200, body = DoneOr<ConnectionView>)))]
pub(super) async fn disable(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::EnableConnection { key, enabled: false }).await;
    }
    Ok(shown(StatusCode::OK, host.enable_connection(&who, &key, false).await?))
}

/// Flows using the connection.
#[utoipa::path(get, operation_id = "connections.flows", path = "/api/v1/connections/{key}/flows", tag = "connections", params(("key" = String, Path)), responses((status = 200, body = Vec<FlowRow>)))]
pub(super) async fn flows(State(host): State<Host>, who: Who, Path(key): Path<String>) -> Answer<Vec<FlowRow>> {
    Ok(Json(host.connection_flows(&who, &key)?))
}

/// Who changed it, newest first: of its newest 1,000 versions.
#[utoipa::path(get, operation_id = "connections.history", path = "/api/v1/connections/{key}/history", tag = "connections", params(("key" = String, Path), Cursor), responses((status = 200, body = Page<Change>)))]
pub(super) async fn history(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(from): Search<Cursor>,
) -> Answer<Page<Change>> {
    Ok(Json(host.connection_history(&who, &key, from.cursor.as_deref(), from.limit)?))
}

/// What was done to it and with it, newest first: who, when, how it ended, how long it took, where it went. `host` is the host
/// itself, of what nobody asked for.
#[utoipa::path(get, operation_id = "connections.activity", path = "/api/v1/connections/{key}/activity", tag = "connections", params(("key" = String, Path), ActivityFilter), responses((status = 200, body = Page<Activity>), (status = 422, body = Words)))]
pub(super) async fn activity(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(filter): Search<ActivityFilter>,
) -> Answer<Page<Activity>> {
    Ok(Json(host.connection_activity(&who, &key, &filter).await?))
}

fn shown(status: StatusCode, view: ConnectionView) -> Response {
    tagged(status, view.version, view)
}
