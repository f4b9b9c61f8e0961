//! `/api/v1/setup/{credential-protocols,external-credentials,principals,named-credentials}`

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{StatusCode, header};
use turnbuckle::{
    AuthorizePrincipal, AuthorizedPrincipal, CredentialProtocol, ExternalCredentialView, Host, NamedCredentialView,
    Preview, PrincipalView, PutExternalCredential, PutNamedCredential, PutPrincipal, WhatIf,
};

use super::authorize::{Public, sign_in_cookie_line};
use super::preview::{DoneOr, DryRun, preview};
use super::tag::{Expecting, tagged};
use super::{Answer, Who};
use crate::input::{Json as Input, Path, Search};
use crate::problem::{Problem, Words};

/// Ways to sign in that the host knows by itself.
#[utoipa::path(get, operation_id = "setup.list-credential-protocols", path = "/api/v1/setup/credential-protocols", tag = "setup", responses((status = 200, body = Vec<CredentialProtocol>)))]
pub(super) async fn protocols(State(host): State<Host>, who: Who) -> Answer<Vec<CredentialProtocol>> {
    Ok(Json(host.credential_protocols(&who)?))
}

/// External credentials, by name.
#[utoipa::path(get, operation_id = "setup.list-external-credentials", path = "/api/v1/setup/external-credentials", tag = "setup", responses((status = 200, body = Vec<ExternalCredentialView>)))]
pub(super) async fn list_externals(State(host): State<Host>, who: Who) -> Answer<Vec<ExternalCredentialView>> {
    Ok(Json(host.external_credentials(&who)?))
}

/// One external credential.
#[utoipa::path(get, operation_id = "setup.show-external-credential", path = "/api/v1/setup/external-credentials/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = ExternalCredentialView), (status = 404, body = Words)))]
pub(super) async fn show_external(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let view = host.external_credential(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Sets up an external credential, or what changes of it.
#[utoipa::path(put, operation_id = "setup.put-external-credential", path = "/api/v1/setup/external-credentials/{name}", tag = "setup", params(("name" = String, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutExternalCredential, responses((status = 200, body = DoneOr<ExternalCredentialView>), (status = 409, body = Words), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put_external(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Expecting(expected): Expecting,
    Input(put): Input<PutExternalCredential>,
) -> Result<Response, Problem> {
    let put = PutExternalCredential { expected, ..put };
    if dry_run {
        return preview(&host, &who, WhatIf::PutExternalCredential { name, put }).await;
    }
    let view = host.put_external_credential(&who, &name, put).await?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Removes an external credential that nothing stands on.
#[utoipa::path(delete, operation_id = "setup.remove-external-credential", path = "/api/v1/setup/external-credentials/{name}", tag = "setup", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove_external(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemoveExternalCredential { name }).await;
    }
    host.remove_external_credential(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Principals that are open to whoever asks, by name.
#[utoipa::path(get, operation_id = "setup.list-principals", path = "/api/v1/setup/principals", tag = "setup", responses((status = 200, body = Vec<PrincipalView>)))]
pub(super) async fn list_principals(State(host): State<Host>, who: Who) -> Answer<Vec<PrincipalView>> {
    Ok(Json(host.principals(&who)?))
}

/// One principal.
#[utoipa::path(get, operation_id = "setup.show-principal", path = "/api/v1/setup/principals/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = PrincipalView), (status = 404, body = Words)))]
pub(super) async fn show_principal(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let view = host.principal(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Sets up a principal, or what changes of it.
#[utoipa::path(put, operation_id = "setup.put-principal", path = "/api/v1/setup/principals/{name}", tag = "setup", params(("name" = String, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutPrincipal, responses((status = 200, body = DoneOr<PrincipalView>), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put_principal(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Expecting(expected): Expecting,
    Input(put): Input<PutPrincipal>,
) -> Result<Response, Problem> {
    let put = PutPrincipal { expected, ..put };
    if dry_run {
        return preview(&host, &who, WhatIf::PutPrincipal { name, put }).await;
    }
    let view = host.put_principal(&who, &name, put).await?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Takes what somebody signs in with as a principal, and signs in or begins to.
#[utoipa::path(post, operation_id = "setup.authorize-principal", path = "/api/v1/setup/principals/{name}/authorize", tag = "setup", params(("name" = String, Path)), request_body = AuthorizePrincipal, responses((status = 200, body = AuthorizedPrincipal), (status = 409, body = Words), (status = 422, body = Words), (status = 502, body = Words)))]
pub(super) async fn authorize(
    State(host): State<Host>,
    who: Who,
    Extension(Public(base)): Extension<Public>,
    Path(name): Path<String>,
    Input(authorize): Input<AuthorizePrincipal>,
) -> Result<Response, Problem> {
    let done = host.authorize_principal(&who, &name, base.as_ref(), authorize).await?;
    let cookie = done.authorization.as_ref().and_then(sign_in_cookie_line);
    let mut response = Json(done).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Removes a principal that no permission set opens and no connection goes by.
#[utoipa::path(delete, operation_id = "setup.remove-principal", path = "/api/v1/setup/principals/{name}", tag = "setup", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove_principal(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemovePrincipal { name }).await;
    }
    host.remove_principal(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Named credentials, by name.
#[utoipa::path(get, operation_id = "setup.list-named-credentials", path = "/api/v1/setup/named-credentials", tag = "setup", responses((status = 200, body = Vec<NamedCredentialView>)))]
pub(super) async fn list(State(host): State<Host>, who: Who) -> Answer<Vec<NamedCredentialView>> {
    Ok(Json(host.named_credentials(&who)?))
}

/// One named credential.
#[utoipa::path(get, operation_id = "setup.show-named-credential", path = "/api/v1/setup/named-credentials/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = NamedCredentialView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = host.named_credential(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Sets up a named credential, or what changes of it; with what it stands on, where that is given.
#[utoipa::path(put, operation_id = "setup.put-named-credential", path = "/api/v1/setup/named-credentials/{name}", tag = "setup", params(("name" = String, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutNamedCredential, responses((status = 200, body = DoneOr<NamedCredentialView>), (status = 409, body = Words), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Expecting(expected): Expecting,
    Input(put): Input<PutNamedCredential>,
) -> Result<Response, Problem> {
    let put = PutNamedCredential { expected, ..put };
    if dry_run {
        return preview(&host, &who, WhatIf::PutNamedCredential { name, put: Box::new(put) }).await;
    }
    let view = host.put_named_credential(&who, &name, put).await?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Removes a named credential that no connection uses. What it stands on stays.
#[utoipa::path(delete, operation_id = "setup.remove-named-credential", path = "/api/v1/setup/named-credentials/{name}", tag = "setup", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemoveNamedCredential { name }).await;
    }
    host.remove_named_credential(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
