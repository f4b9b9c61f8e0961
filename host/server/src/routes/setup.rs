//! `/api/v1/setup/identity-providers`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use turnbuckle::{Host, IdentityProviderView, Preview, PutIdentityProvider, WhatIf};

use super::preview::{DoneOr, DryRun, preview};
use super::tag::{Expecting, tagged};
use super::{Answer, Who};
use crate::input::{Json as Input, Path, Search};
use crate::problem::{Problem, Words};

/// OAuth clients, by name.
#[utoipa::path(get, operation_id = "setup.list-identity-providers", path = "/api/v1/setup/identity-providers", tag = "setup", responses((status = 200, body = Vec<IdentityProviderView>)))]
pub(super) async fn list(State(host): State<Host>, who: Who) -> Answer<Vec<IdentityProviderView>> {
    Ok(Json(host.identity_providers(&who)?))
}

/// One OAuth client.
#[utoipa::path(get, operation_id = "setup.show-identity-provider", path = "/api/v1/setup/identity-providers/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = IdentityProviderView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = host.identity_provider(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Registers an OAuth client for one protocol of one connector, or what changed of it.
#[utoipa::path(put, operation_id = "setup.put-identity-provider", path = "/api/v1/setup/identity-providers/{name}", tag = "setup", params(("name" = String, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutIdentityProvider, responses((status = 200, body = DoneOr<IdentityProviderView>), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Expecting(expected): Expecting,
    Input(put): Input<PutIdentityProvider>,
) -> Result<Response, Problem> {
    let put = PutIdentityProvider { expected, ..put };
    if dry_run {
        return preview(&host, &who, WhatIf::PutIdentityProvider { name, put }).await;
    }
    let view = host.put_identity_provider(&who, &name, put).await?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Removes an OAuth client that no connection uses.
#[utoipa::path(delete, operation_id = "setup.remove-identity-provider", path = "/api/v1/setup/identity-providers/{name}", tag = "setup", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemoveIdentityProvider { name }).await;
    }
    host.remove_identity_provider(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
