//! `/api/v1/health`

use axum::Json;
use axum::extract::State;
use turnbuckle::{HealthReport, Host};

use super::{Answer, Who};
use crate::problem::Words;

/// How connections are kept alive: how they stand, what is due, what waits and why, what was done. Private connections of others
/// are in no number of it.
#[utoipa::path(get, operation_id = "health.report", path = "/api/v1/health", tag = "health", responses((status = 200, body = HealthReport), (status = 403, body = Words)))]
pub(super) async fn report(State(host): State<Host>, who: Who) -> Answer<HealthReport> {
    Ok(Json(host.health(&who)?))
}

/// Pauses checks and renewals that nobody asks for, until they are resumed: a server that is started again stays paused.
#[utoipa::path(post, operation_id = "health.pause", path = "/api/v1/health/pause", tag = "health", responses((status = 200, body = HealthReport), (status = 403, body = Words)))]
pub(super) async fn pause(State(host): State<Host>, who: Who) -> Answer<HealthReport> {
    Ok(Json(host.pause_health(&who).await?))
}

/// Lets them go on.
#[utoipa::path(post, operation_id = "health.resume", path = "/api/v1/health/resume", tag = "health", responses((status = 200, body = HealthReport), (status = 403, body = Words)))]
pub(super) async fn resume(State(host): State<Host>, who: Who) -> Answer<HealthReport> {
    Ok(Json(host.resume_health(&who).await?))
}
