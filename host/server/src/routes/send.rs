//! `/api/v1/connections/{key}/send`: a request through a connection, streamed both ways.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use turnbuckle::{Error, Host};

use super::Who;
use crate::input::Search;
use crate::problem::Problem;

/// Headers of this prefix are the request's own, without it.
const PREFIX: &str = "turnbuckle-header-";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// A path on the connection's first origin, or a URL within its origins.
    url: String,
}

pub(super) async fn send(
    State(host): State<Host>,
    who: Who,
    Path(key): Path<String>,
    Search(target): Search<Target>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let mut outgoing = http::Request::new(
        body.map_err(|error| Error::Upstream {
            rule: "request-body",
            message: error.to_string(),
            hint: None,
            denied: false,
        })
        .boxed_unsync(),
    );
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() =
        target.url.parse().map_err(|error| Problem::input("url", format!("is not a path or a URL: {error}")))?;
    *outgoing.headers_mut() = forwarded(&parts.headers)?;
    let response = host.send(&who, &key, outgoing).await?;
    let mut response = response.map(Body::new);
    let headers = response.headers_mut();
    // The answer of a stranger must not act under this server's name.
    headers.remove(header::SET_COOKIE);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(HeaderName::from_static("turnbuckle-send"), HeaderValue::from_static("upstream"));
    Ok(response)
}

fn forwarded(given: &HeaderMap) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        if let Some(own) = name.as_str().strip_prefix(PREFIX) {
            let own = HeaderName::try_from(own).map_err(|error| Problem::input(name.as_str(), error.to_string()))?;
            headers.append(own, value.clone());
        } else if matches!(*name, header::CONTENT_TYPE | header::ACCEPT | header::CONTENT_LENGTH) {
            headers.append(name.clone(), value.clone());
        }
    }
    Ok(headers)
}
