//! `/api/v1/setup/permission-sets`, `/users` and `/tokens`, `/api/v1/whoami`, and who owns a connection.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use turnbuckle::{
    AccountOf, Host, NewToken, PermissionSet, Preview, PutPermissionSet, PutUser, TokenView, Transfer, Transferred,
    UserView, WhatIf, Whoami,
};
use utoipa::ToSchema;

use super::preview::{DoneOr, DryRun, preview};
use super::tag::{Expecting, tagged};
use super::{Answer, Who};
use crate::input::{Json as Input, Path, Search};
use crate::problem::{Problem, Words};

/// Permission sets, by name.
#[utoipa::path(get, operation_id = "setup.list-permission-sets", path = "/api/v1/setup/permission-sets", tag = "setup", responses((status = 200, body = Vec<PermissionSet>)))]
pub(super) async fn list_sets(State(host): State<Host>, who: Who) -> Answer<Vec<PermissionSet>> {
    Ok(Json(host.permission_sets(&who)?))
}

/// One permission set.
#[utoipa::path(get, operation_id = "setup.show-permission-set", path = "/api/v1/setup/permission-sets/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = PermissionSet), (status = 404, body = Words)))]
pub(super) async fn show_set(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let view = host.permission_set(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Makes a permission set, or changes it. Its users may do what it says from their next request on.
#[utoipa::path(put, operation_id = "setup.put-permission-set", path = "/api/v1/setup/permission-sets/{name}", tag = "setup", params(("name" = String, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutPermissionSet, responses((status = 200, body = DoneOr<PermissionSet>), (status = 409, body = Words), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put_set(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Expecting(expected): Expecting,
    Input(put): Input<PutPermissionSet>,
) -> Result<Response, Problem> {
    let put = PutPermissionSet { expected, ..put };
    if dry_run {
        return preview(&host, &who, WhatIf::PutPermissionSet { name, put }).await;
    }
    let view = host.put_permission_set(&who, &name, put).await?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Removes a permission set that no user holds.
#[utoipa::path(delete, operation_id = "setup.remove-permission-set", path = "/api/v1/setup/permission-sets/{name}", tag = "setup", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove_set(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemovePermissionSet { name }).await;
    }
    host.remove_permission_set(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Users, by name.
#[utoipa::path(get, operation_id = "setup.list-users", path = "/api/v1/setup/users", tag = "setup", responses((status = 200, body = Vec<UserView>)))]
pub(super) async fn list(State(host): State<Host>, who: Who) -> Answer<Vec<UserView>> {
    Ok(Json(host.users(&who)?))
}

/// One user.
#[utoipa::path(get, operation_id = "setup.show-user", path = "/api/v1/setup/users/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = UserView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = host.user(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Makes a user, or changes it. The last one that holds `manage-setup` keeps it.
#[utoipa::path(put, operation_id = "setup.put-user", path = "/api/v1/setup/users/{name}", tag = "setup", params(("name" = String, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutUser, responses((status = 200, body = DoneOr<UserView>), (status = 409, body = Words), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
    Expecting(expected): Expecting,
    Input(put): Input<PutUser>,
) -> Result<Response, Problem> {
    let put = PutUser { expected, ..put };
    if dry_run {
        return preview(&host, &who, WhatIf::PutUser { name, put }).await;
    }
    let view = host.put_user(&who, &name, put).await?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// Removes a user and its tokens; refused while it owns private connections.
#[utoipa::path(delete, operation_id = "setup.remove-user", path = "/api/v1/setup/users/{name}", tag = "setup", params(("name" = String, Path), DryRun), responses((status = 204), (status = 200, body = Preview, description = "With `dry-run`: what it would do"), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn remove(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(DryRun { dry_run }): Search<DryRun>,
) -> Result<Response, Problem> {
    if dry_run {
        return preview(&host, &who, WhatIf::RemoveUser { name }).await;
    }
    host.remove_user(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Binds an account at an OpenID provider to a user: whoever signs in to the console with it is that user.
#[utoipa::path(post, operation_id = "setup.bind-account", path = "/api/v1/setup/users/{name}/identities", tag = "setup", params(("name" = String, Path)), request_body = AccountOf, responses((status = 200, body = UserView), (status = 404, body = Words), (status = 422, body = Words)))]
pub(super) async fn bind(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Input(account): Input<AccountOf>,
) -> Answer<UserView> {
    Ok(Json(host.bind_account(&who, &name, account).await?))
}

/// Takes an account from a user. Its sessions end with their next request.
#[utoipa::path(delete, operation_id = "setup.unbind-account", path = "/api/v1/setup/users/{name}/identities", tag = "setup", params(("name" = String, Path), AccountOf), responses((status = 204), (status = 404, body = Words), (status = 422, body = Words)))]
pub(super) async fn unbind(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(account): Search<AccountOf>,
) -> Result<StatusCode, Problem> {
    host.unbind_account(&who, &name, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tokens, by name: neither their texts nor their hashes.
#[utoipa::path(get, operation_id = "setup.list-tokens", path = "/api/v1/setup/tokens", tag = "setup", responses((status = 200, body = Vec<TokenView>)))]
pub(super) async fn list_tokens(State(host): State<Host>, who: Who) -> Answer<Vec<TokenView>> {
    Ok(Json(host.tokens(&who)?))
}

/// A new token. This is the only time that its text is told.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedToken)]
pub(super) struct Created {
    /// Its text.
    token: String,
    #[serde(flatten)]
    view: TokenView,
}

/// Makes a token for a user. Its text is in the answer and nowhere else.
#[utoipa::path(post, operation_id = "setup.create-token", path = "/api/v1/setup/tokens", tag = "setup", request_body = NewToken, responses((status = 201, body = Created), (status = 422, body = Words)))]
pub(super) async fn create_token(
    State(host): State<Host>,
    who: Who,
    Input(new): Input<NewToken>,
) -> Result<Response, Problem> {
    let created = host.create_token(&who, new).await?;
    let created = Created { token: created.token.expose().to_owned(), view: created.view };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// One token.
#[utoipa::path(get, operation_id = "setup.show-token", path = "/api/v1/setup/tokens/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = TokenView), (status = 404, body = Words)))]
pub(super) async fn show_token(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Answer<TokenView> {
    Ok(Json(host.token(&who, &name)?))
}

/// Takes a token back: it opens nothing from the next request on. An answer that is under way goes on to its end.
#[utoipa::path(delete, operation_id = "setup.revoke-token", path = "/api/v1/setup/tokens/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 204), (status = 404, body = Words)))]
pub(super) async fn revoke_token(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    host.revoke_token(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom this token stands for, and what it opens.
#[utoipa::path(get, operation_id = "whoami", path = "/api/v1/whoami", tag = "setup", responses((status = 200, body = Whoami)))]
pub(super) async fn whoami(State(host): State<Host>, who: Who) -> Answer<Whoami> {
    Ok(Json(host.whoami(&who)?))
}

/// Makes another user the owner of a connection: by its owner, or by whoever holds `manage-setup`.
#[utoipa::path(post, operation_id = "connections.transfer", path = "/api/v1/connections/{key}/transfer", tag = "connections", params(("key" = String, Path)), request_body = Transfer, responses((status = 200, body = Transferred), (status = 404, body = Words), (status = 422, body = Words)))]
pub(super) async fn transfer(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Input(transfer): Input<Transfer>,
) -> Answer<Transferred> {
    Ok(Json(host.transfer_connection(&who, &key, transfer).await?))
}
