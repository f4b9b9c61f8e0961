//! `/api/v1/host/definitions`

use axum::Json;
use axum::extract::State;
use turnbuckle::{Definitions, Host, Import, ImportReport};

use super::{Answer, Who};
use crate::input::Json as Input;
use crate::problem::Words;

/// Everything that is set up, as far as whoever asks may see it, without secrets.
#[utoipa::path(get, operation_id = "host.export-definitions", path = "/api/v1/host/definitions", tag = "host", responses((status = 200, body = Definitions)))]
pub(super) async fn export(State(host): State<Host>, who: Who) -> Answer<Definitions> {
    Ok(Json(host.export_definitions(&who)?))
}

/// Makes what is not there and changes what differs, or says what that would be.
#[utoipa::path(post, operation_id = "host.import-definitions", path = "/api/v1/host/definitions", tag = "host", request_body = Import, responses((status = 200, body = ImportReport), (status = 422, body = Words)))]
pub(super) async fn import(State(host): State<Host>, who: Who, Input(import): Input<Import>) -> Answer<ImportReport> {
    Ok(Json(host.import_definitions(&who, import).await?))
}
