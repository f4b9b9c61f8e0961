//! Entity tags (RFC 9110 section 8.8.3): the version of what is changed by several.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use turnbuckle::Expected;

use crate::problem::Problem;

/// An answer with its version.
pub(super) fn tagged(status: StatusCode, version: u64, body: impl Serialize) -> Response {
    let tag = HeaderValue::try_from(format!("\"{version}\""));
    let mut response = (status, Json(body)).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version that a tag stands for. A proxy that compresses makes weak ones of strong ones.
pub(super) fn version(tag: &HeaderValue) -> Option<u64> {
    tag.to_str().ok()?.trim().trim_start_matches("W/").trim_matches('"').parse().ok()
}

/// What `If-Match` and `If-None-Match` say of what is there.
pub(super) struct Expecting(pub(super) Expected);

impl<S: Send + Sync> FromRequestParts<S> for Expecting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let header = |name: HeaderName| parts.headers.get(name);
        let expected = match (header(header::IF_MATCH), header(header::IF_NONE_MATCH)) {
            (None, None) => Expected::Any,
            (Some(tag), None) if tag.as_bytes() == b"*" => Expected::Present,
            (Some(tag), None) => match version(tag) {
                Some(version) => Expected::Version(version),
                None => {
                    return Err(Problem::input("If-Match", "must be `*` or one ETag, as the answer before gave it"));
                }
            },
            (None, Some(tag)) if tag.as_bytes() == b"*" => Expected::Absent,
            (None, Some(_)) => return Err(Problem::input("If-None-Match", "must be `*`: nothing is there yet")),
            (Some(_), Some(_)) => {
                return Err(Problem::input(
                    "If-None-Match",
                    "can't be true together with `If-Match`: send one of them",
                ));
            }
        };
        Ok(Self(expected))
    }
}
