//! `/api/v1/host`

use std::path::PathBuf;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::Deserialize;
use turnbuckle::{Host, HostReport, Rotation, SignInReport};
use utoipa::ToSchema;

use super::authorize::Public;
use super::{Answer, Who};
use crate::input::Json as Input;
use crate::problem::{Problem, Words};

/// How the host stands.
#[utoipa::path(get, operation_id = "host.report", path = "/api/v1/host", tag = "host", responses((status = 200, body = HostReport)))]
pub(super) async fn report(State(host): State<Host>, who: Who) -> Answer<HostReport> {
    Ok(Json(host.report(&who)?))
}

/// Where a backup goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    /// A file on the server's machine that is not there yet.
    #[schema(value_type = String)]
    path: PathBuf,
}

/// Copies the store while it runs. The master key is not in the copy.
#[utoipa::path(post, operation_id = "host.backup", path = "/api/v1/host/backup", tag = "host", request_body = Backup, responses((status = 204), (status = 422, body = Words)))]
pub(super) async fn backup(
    State(host): State<Host>,
    who: Who,
    Input(backup): Input<Backup>,
) -> Result<StatusCode, Problem> {
    if !backup.path.is_absolute() {
        return Err(Problem::input("path", "must be absolute"));
    }
    host.backup(&who, backup.path).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new master key and seals every secret anew.
#[utoipa::path(post, operation_id = "host.rotate-key", path = "/api/v1/host/rotate-key", tag = "host", responses((status = 200, body = Rotation), (status = 409, body = Words)))]
pub(super) async fn rotate_key(State(host): State<Host>, who: Who) -> Answer<Rotation> {
    Ok(Json(host.rotate_key(&who).await?))
}

/// Asks the OpenID provider by which people sign in to the console what it says of itself, and for its keys.
#[utoipa::path(get, operation_id = "host.check-sign-in", path = "/api/v1/host/sign-in", tag = "host", responses((status = 200, body = SignInReport), (status = 502, body = Words)))]
pub(super) async fn sign_in(
    State(host): State<Host>,
    who: Who,
    Extension(Public(base)): Extension<Public>,
) -> Answer<SignInReport> {
    Ok(Json(host.check_sign_in(&who, base.as_ref()).await?))
}
