//! `/api/v1/audit`

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use serde::Deserialize;
use turnbuckle::{AuditFilter, AuditLink, AuditRecord, AuditReport, Host, Page};

use super::{Answer, Who};
use crate::input::Search;
use crate::problem::{Problem, Words};

/// A page of the audit, newest first. A page may end early where few records are wanted among many: `next` says where to go on.
#[utoipa::path(get, operation_id = "audit.list", path = "/api/v1/audit", tag = "audit", params(AuditFilter), responses((status = 200, body = Page<AuditRecord>), (status = 403, body = Words), (status = 422, body = Words)))]
pub(super) async fn list(
    State(host): State<Host>,
    who: Who,
    Search(filter): Search<AuditFilter>,
) -> Answer<Page<AuditRecord>> {
    Ok(Json(host.audit(&who, &filter).await?))
}

/// What is known of the chain from elsewhere.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// A link that was noted before, as `<number>:<hash>`: the chain must hold it.
    #[serde(default)]
    known: Option<String>,
}

/// Checks every record that is kept. The answer says whether the chain is whole and, where it is not, names the first bad record.
#[utoipa::path(get, operation_id = "audit.verify", path = "/api/v1/audit/verify", tag = "audit", params(Known), responses((status = 200, body = AuditReport), (status = 403, body = Words), (status = 422, body = Words)))]
pub(super) async fn verify(
    State(host): State<Host>,
    who: Who,
    Search(Known { known }): Search<Known>,
) -> Answer<AuditReport> {
    let known = known.map(|text| text.parse::<AuditLink>()).transpose();
    let known = known.map_err(|error| Problem::input("known", error.to_string()))?;
    Ok(Json(host.verify_audit(&who, known).await?))
}

/// The whole chain as JSON lines, oldest record first, that another program can check. The first line says what the first record
/// continues, the last one where the chain ends. Each record's line ends in `,"hash":"<64 hexadecimal digits>"}`, the SHA-256
/// of the bytes of the line before that ending, and its `prev` is the hash of the record before.
#[utoipa::path(get, operation_id = "audit.export", path = "/api/v1/audit/export", tag = "audit", responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = 403, body = Words)))]
pub(super) async fn export(State(host): State<Host>, who: Who) -> Result<Response, Problem> {
    let mut response = Body::from_stream(host.export_audit(&who).await?).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}
