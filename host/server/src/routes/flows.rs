//! `/api/v1/flows`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use turnbuckle::{Flow, FlowReport, Host, Page, PutFlow, PutUse};

use super::{Answer, Cursor, Who};
use crate::input::{Json as Input, Path, Search};
use crate::problem::{Problem, Words};

/// A page of flows, by id.
#[utoipa::path(get, operation_id = "flows.list", path = "/api/v1/flows", tag = "flows", params(Cursor), responses((status = 200, body = Page<Flow>)))]
pub(super) async fn list(State(host): State<Host>, who: Who, Search(from): Search<Cursor>) -> Answer<Page<Flow>> {
    Ok(Json(host.flows(&who, from.cursor.as_deref(), from.limit)?))
}

/// One flow.
#[utoipa::path(get, operation_id = "flows.show", path = "/api/v1/flows/{id}", tag = "flows", params(("id" = String, Path)), responses((status = 200, body = Flow), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(id): Path<String>) -> Answer<Flow> {
    Ok(Json(host.flow(&who, &id)?))
}

/// Registers a flow, or what changed of it.
#[utoipa::path(put, operation_id = "flows.put", path = "/api/v1/flows/{id}", tag = "flows", params(("id" = String, Path)), request_body = PutFlow, responses((status = 200, body = Flow), (status = 422, body = Words)))]
pub(super) async fn put(
    State(host): State<Host>,
    who: Who,
    Path(id): Path<String>,
    Input(flow): Input<PutFlow>,
) -> Answer<Flow> {
    Ok(Json(host.put_flow(&who, &id, flow).await?))
}

/// Forgets a flow.
#[utoipa::path(delete, operation_id = "flows.remove", path = "/api/v1/flows/{id}", tag = "flows", params(("id" = String, Path)), responses((status = 204), (status = 404, body = Words)))]
pub(super) async fn remove(State(host): State<Host>, who: Who, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    host.remove_flow(&who, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A person opened it: all its connections are tested.
#[utoipa::path(post, operation_id = "flows.open", path = "/api/v1/flows/{id}/open", tag = "flows", params(("id" = String, Path)), responses((status = 200, body = FlowReport), (status = 404, body = Words)))]
pub(super) async fn open(State(host): State<Host>, who: Who, Path(id): Path<String>) -> Answer<FlowReport> {
    Ok(Json(host.open_flow(&who, &id).await?))
}

/// A person selected a connection in it: the use is added and tested.
#[utoipa::path(post, operation_id = "flows.select", path = "/api/v1/flows/{id}/uses", tag = "flows", params(("id" = String, Path)), request_body = PutUse, responses((status = 200, body = FlowReport), (status = 422, body = Words)))]
pub(super) async fn select(
    State(host): State<Host>,
    who: Who,
    Path(id): Path<String>,
    Input(new): Input<PutUse>,
) -> Answer<FlowReport> {
    Ok(Json(host.select_connection(&who, &id, new).await?))
}

/// Which use goes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Id or name of the connection.
    connection: String,
    /// The step; all of them where none is given.
    step: Option<String>,
}

/// Takes a use away.
#[utoipa::path(delete, operation_id = "flows.deselect", path = "/api/v1/flows/{id}/uses", tag = "flows", params(("id" = String, Path), Which), responses((status = 200, body = Flow), (status = 404, body = Words)))]
pub(super) async fn deselect(
    State(host): State<Host>,
    who: Who,
    Path(id): Path<String>,
    Search(which): Search<Which>,
) -> Answer<Flow> {
    Ok(Json(host.deselect_connection(&who, &id, &which.connection, which.step.as_deref()).await?))
}
