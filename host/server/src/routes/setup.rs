//! `/api/v1/setup/identity-providers`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use turnbuckle::{Host, IdentityProviderView, PutIdentityProvider};

use super::{Answer, Who};
use crate::input::{Json as Input, Path};
use crate::problem::{Problem, Words};

/// OAuth clients, by name.
#[utoipa::path(get, operation_id = "setup.list-identity-providers", path = "/api/v1/setup/identity-providers", tag = "setup", responses((status = 200, body = Vec<IdentityProviderView>)))]
pub(super) async fn list(State(host): State<Host>, who: Who) -> Answer<Vec<IdentityProviderView>> {
    Ok(Json(host.identity_providers(&who)?))
}

/// One OAuth client.
#[utoipa::path(get, operation_id = "setup.show-identity-provider", path = "/api/v1/setup/identity-providers/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = IdentityProviderView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Answer<IdentityProviderView> {
    Ok(Json(host.identity_provider(&who, &name)?))
}

/// Registers an OAuth client for one protocol of one connector, or what changed of it.
#[utoipa::path(put, operation_id = "setup.put-identity-provider", path = "/api/v1/setup/identity-providers/{name}", tag = "setup", params(("name" = String, Path)), request_body = PutIdentityProvider, responses((status = 200, body = IdentityProviderView), (status = 422, body = Words)))]
pub(super) async fn put(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Input(put): Input<PutIdentityProvider>,
) -> Answer<IdentityProviderView> {
    Ok(Json(host.put_identity_provider(&who, &name, put).await?))
}

/// Removes an OAuth client that no connection uses.
#[utoipa::path(delete, operation_id = "setup.remove-identity-provider", path = "/api/v1/setup/identity-providers/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 204), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    host.remove_identity_provider(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
