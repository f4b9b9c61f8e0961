//! Where a request comes from: a page that a browser happens to show must not be able to use this server.
//!
//! `Host` is checked on every route, so that a name of somebody else's that resolves to this machine (DNS rebinding) gets
//! nothing. `Origin` and `Sec-Fetch-Site` are checked on every method that changes something.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::access::Access;
use crate::problem::Problem;

pub(crate) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let mut response = match judge(&access, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn judge(access: &Access, request: &Request) -> Result<(), Problem> {
    let named = |name: HeaderName| request.headers().get_all(name).into_iter().map(|value| value.to_str().ok());
    let hosts: Vec<_> = named(header::HOST).collect();
    // Whoever stands in front of this server may go by another one of them.
    if hosts.len() > 1 {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "host-twice", "a request names its server once"));
    }
    let target = request.uri().authority().map(|authority| Some(authority.as_str()));
    let mut names = hosts.into_iter().chain(target).peekable();
    if names.peek().is_none() || !names.all(|host| host.is_some_and(|host| access.knows_host(host))) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            "this server is not addressed by that name",
        )
        .hint("use the address that it printed at its start, or add the name to `hosts` in turnbuckle.toml"));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    // What is no text comes from no browser of ours.
    let near = |site: Option<&str>| site.is_some_and(|site| matches!(site, "same-origin" | "none"));
    let same = |origin: Option<&str>| origin.is_some_and(|origin| is_own(access, origin));
    if !named(HeaderName::from_static("sec-fetch-site")).all(near) || !named(header::ORIGIN).all(same) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "a page of another origin may not do this"));
    }
    Ok(())
}

/// Whether this is the origin of a page of this server, in the one form that browsers write.
fn is_own(access: &Access, origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let Some(host) = url.host_str().filter(|_| url.origin().ascii_serialization() == origin) else { return false };
    access.knows_host(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
