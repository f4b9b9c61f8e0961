//! `/api/v1/connections/{key}/send`: a request through a connection, streamed both ways.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use turnbuckle::{Error, Failure, Host};
use utoipa::openapi::HttpMethod;

use super::Who;
use crate::input::{Path, Search};
use crate::problem::{Problem, Words};

/// Headers of this prefix are the request's own, without it.
const PREFIX: &str = "turnbuckle-header-";

/// Methods that a description has a word for. No other is taken: nobody could read in it that it is.
pub(super) const METHODS: [(HttpMethod, &str); 7] = [
    (HttpMethod::Get, "get"),
    (HttpMethod::Head, "head"),
    (HttpMethod::Post, "post"),
    (HttpMethod::Put, "put"),
    (HttpMethod::Patch, "patch"),
    (HttpMethod::Delete, "delete"),
    (HttpMethod::Options, "options"),
];

/// What a browser would take for this server's own word: who may read it, what it remembers, where else it goes.
const NOT_OURS: [&str; 15] = [
    "set-cookie",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "alt-svc",
    "clear-site-data",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "strict-transport-security",
    "x-frame-options",
];

/// The same, as a header lists them.
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Where a request through a connection goes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// A path on the connection's first origin, or a URL within its origins.
    url: String,
}

/// Sends a request through a connection, by the method of this one, which is one of the usual seven. The body, `Content-Type`
/// and `Accept` travel as they are, any other header as `Turnbuckle-Header-<name>`. An answer with `Turnbuckle-Send: upstream`
/// is the service's own, and `Turnbuckle-Send-Headers` names the headers that it came with. Where it means a failure, by its status
/// or by what the connector knows of its service, `Turnbuckle-Failure` says which.
#[utoipa::path(method(get), operation_id = "connections.send", path = "/api/v1/connections/{key}/send", tag = "connections", params(("key" = String, Path), Target), responses((status = "default", description = "The service's own answer"), (status = 403, body = Words), (status = 404, body = Words), (status = 409, body = Words), (status = 502, body = Words), (status = 504, body = Words)))]
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
    *outgoing.uri_mut() = target
        .url
        .parse()
        .map_err(|error| Problem::input("url", format!("is neither a path that begins with `/` nor a URL: {error}")))?;
    *outgoing.headers_mut() = forwarded(&parts.headers)?;
    let response = host.send(&who, &key, outgoing).await?;
    let mut response = response.map(Body::new);
    let meant = response.extensions().get::<Failure>().map(|failure| failure.kind.name());
    let headers = response.headers_mut();
    // The answer of a stranger must not act under this server's name.
    for name in NOT_OURS {
        headers.remove(name);
    }
    let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    let names = HeaderValue::try_from(names.join(", "))
        .map_err(|_names_are_tokens| Problem::input("url", "answered with too many headers"))?;
    headers.insert(HeaderName::from_static("turnbuckle-send-headers"), names);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(HeaderName::from_static("turnbuckle-send"), HeaderValue::from_static("upstream"));
    if let Some(meant) = meant {
        headers.insert(HeaderName::from_static("turnbuckle-failure"), HeaderValue::from_static(meant));
    }
    Ok(response)
}

/// Refuses methods by which no request is sent, whatever else is wrong with it.
pub(super) async fn taken(request: Request, next: Next) -> Response {
    if ALLOWED.split(", ").any(|method| method == request.method().as_str()) {
        return next.run(request).await;
    }
    let words = match *request.method() {
        Method::TRACE | Method::CONNECT => {
            "no request is sent by that method: it would show what is attached, or what nobody looks into"
        }
        _ => "requests are sent by the methods that `Allow` names",
    };
    let mut refused = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", words).into_response();
    refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOWED));
    refused
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
