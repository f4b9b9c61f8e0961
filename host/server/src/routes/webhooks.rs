//! `/api/v1/webhooks`

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use turnbuckle::{
    DeliveryFilter, DeliveryView, Host, Page, PutWebhook, Replay, Replayed, RotateSecret, SavedWebhook, WebhookView,
};
use utoipa::ToSchema;

use super::tag::{Expecting, tagged};
use super::{Answer, Who};
use crate::input::{Json as Input, Path, Search};
use crate::problem::{Problem, Words};

/// Webhooks, by name: never their secrets.
#[utoipa::path(get, operation_id = "setup.list-webhooks", path = "/api/v1/webhooks", tag = "setup", responses((status = 200, body = Vec<WebhookView>), (status = 403, body = Words)))]
pub(super) async fn list(State(host): State<Host>, who: Who) -> Answer<Vec<WebhookView>> {
    Ok(Json(host.webhooks(&who)?))
}

/// One webhook, and how far it is.
#[utoipa::path(get, operation_id = "setup.show-webhook", path = "/api/v1/webhooks/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 200, body = WebhookView), (status = 404, body = Words)))]
pub(super) async fn show(State(host): State<Host>, who: Who, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = host.webhook(&who, &name)?;
    Ok(tagged(StatusCode::OK, view.version, view))
}

/// A webhook, with its secret where that is new. This is the only time that it is told.
#[derive(Serialize, ToSchema)]
#[schema(as = SavedWebhook)]
pub(super) struct Saved {
    /// What its messages are signed with: `whsec_` and the base64 of 32 random bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(flatten)]
    view: WebhookView,
}

fn saved(saved: SavedWebhook) -> Saved {
    Saved { secret: saved.secret.map(|secret| secret.expose().to_owned()), view: saved.view }
}

/// Makes a webhook, or changes it. A new one gets what happens from now on. Events are posted to it as the Standard Webhooks
/// specification says: `webhook-id`, `webhook-timestamp` and `webhook-signature` prove them.
#[utoipa::path(put, operation_id = "setup.put-webhook", path = "/api/v1/webhooks/{name}", tag = "setup", params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed, or `*`: nothing is changed where it is another one."), ("If-None-Match" = Option<String>, Header, description = "`*`: it is added, and nothing is changed where it is there already.")), request_body = PutWebhook, responses((status = 200, body = WebhookView), (status = 201, body = Saved), (status = 412, body = Words), (status = 422, body = Words)))]
pub(super) async fn put(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Expecting(expected): Expecting,
    Input(put): Input<PutWebhook>,
) -> Result<Response, Problem> {
    let put = host.put_webhook(&who, &name, PutWebhook { expected, ..put }).await?;
    let status = if put.secret.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok(tagged(status, put.view.version, saved(put)))
}

/// Removes a webhook, and all that waits for it.
#[utoipa::path(delete, operation_id = "setup.remove-webhook", path = "/api/v1/webhooks/{name}", tag = "setup", params(("name" = String, Path)), responses((status = 204), (status = 404, body = Words)))]
pub(super) async fn remove(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    host.remove_webhook(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook a new secret. The old one signs besides for a while, so that receivers can change over.
#[utoipa::path(post, operation_id = "setup.rotate-webhook-secret", path = "/api/v1/webhooks/{name}/rotate-secret", tag = "setup", params(("name" = String, Path)), request_body = RotateSecret, responses((status = 200, body = Saved), (status = 404, body = Words), (status = 422, body = Words)))]
pub(super) async fn rotate(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Input(rotate): Input<RotateSecret>,
) -> Answer<Saved> {
    Ok(Json(saved(host.rotate_webhook_secret(&who, &name, rotate).await?)))
}

/// Deliveries that did not succeed: those that wait for another attempt, or those that were given up.
#[utoipa::path(get, operation_id = "setup.list-webhook-deliveries", path = "/api/v1/webhooks/{name}/deliveries", tag = "setup", params(("name" = String, Path), DeliveryFilter), responses((status = 200, body = Page<DeliveryView>), (status = 404, body = Words), (status = 422, body = Words)))]
pub(super) async fn deliveries(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Search(filter): Search<DeliveryFilter>,
) -> Answer<Page<DeliveryView>> {
    Ok(Json(host.webhook_deliveries(&who, &name, &filter)?))
}

/// Delivers one event, or everything that was given up, again, with the same `webhook-id`.
#[utoipa::path(post, operation_id = "setup.replay-webhook", path = "/api/v1/webhooks/{name}/replay", tag = "setup", params(("name" = String, Path)), request_body = Replay, responses((status = 200, body = Replayed), (status = 404, body = Words), (status = 409, body = Words)))]
pub(super) async fn replay(
    State(host): State<Host>,
    who: Who,
    Path(name): Path<String>,
    Input(replay): Input<Replay>,
) -> Answer<Replayed> {
    Ok(Json(host.replay_webhook(&who, &name, replay).await?))
}
