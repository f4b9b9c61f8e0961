//! Asking what a change would do, in the place of making it.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use turnbuckle::{Actor, Host, Preview, WhatIf};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// Whether a change is made, or only told about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
// A word that is misspelt must not make the change.
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DryRun {
    /// Only say what would happen: the answer is a preview, nothing is changed, and what would be refused is refused.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// What a change answers: how the thing stands then or, where it was only asked about, what it would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = DoneOrPreview)]
#[expect(dead_code, reason = "it describes answers that are made of their parts")]
pub(super) enum DoneOr<T> {
    /// It was made.
    Done(T),
    /// It was only asked about.
    Preview(Preview),
}

/// What a change would do.
pub(super) async fn preview(host: &Host, who: &Actor, what: WhatIf) -> Result<Response, Problem> {
    Ok((StatusCode::OK, Json(host.preview(who, what).await?)).into_response())
}
