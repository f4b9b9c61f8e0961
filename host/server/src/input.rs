//! Paths, JSON and queries as they arrive: what does not fit is a problem that names the field.

use axum::extract::rejection::BytesRejection;
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::sockets::TooSlow;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // A form of another origin can send anything but this content type without being asked.
        let json = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
        });
        if !json {
            let words = "the body must be JSON, with `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", words));
        }
        as_it_is(&request)?;
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| match TooSlow::is_behind(
                &rejection,
            ) {
                true => Problem::too_slow(),
                false => Problem::new(rejection.status(), "body", rejection.body_text()),
            })?;
        // The parser would take a list for a struct, field by field.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Problem::input("body", "must be a JSON object, with a name for each value"));
        }
        let mut parser = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| misfit(&error))?;
        parser.end().map_err(|error| Problem::input("body", error.to_string()))?;
        Ok(Self(value))
    }
}

/// What unpacks to more than anybody would take is not unpacked here.
pub(crate) fn as_it_is(request: &Request) -> Result<(), Problem> {
    if request.headers().get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        let words = "a body is taken as it is, without a content coding";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "packed", words));
    }
    Ok(())
}

/// Names the field, and says what was expected there. The parser would quote what it read, which may be a secret in the
/// wrong place.
pub(crate) fn misfit<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Problem {
    let path = error.path().to_string();
    let field = if path == "." { "body".to_owned() } else { path };
    let words = error.inner().to_string();
    if let Some(missing) = words.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        let field = if field == "body" { missing.to_owned() } else { format!("{field}.{missing}") };
        return Problem::input(field, "is required");
    }
    let quoted =
        ["invalid type: ", "invalid value: ", "unknown variant "].iter().find(|start| words.starts_with(**start));
    let message = match (quoted, words.rfind("expected ")) {
        (Some(start), Some(expected)) => format!("{}: {}", start.trim_end_matches([':', ' ']), &words[expected..]),
        _ => words,
    };
    Problem::input(field, message)
}

/// Parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let extract::Path(found) = extract::Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), "path", rejection.body_text()))?;
        Ok(Self(found))
    }
}

/// The query of a URL.
pub(crate) struct Search<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Search<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let parser = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(parser).map(Self).map_err(|error| misfit(&error))
    }
}
