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
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = request.uri().authority().map(http::uri::Authority::as_str).or_else(|| text(header::HOST));
    if !host.is_some_and(|host| access.knows_host(host)) {
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
    let foreign = || Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "a page of another origin may not do this");
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site"))
        && !matches!(site, "same-origin" | "none")
    {
        return Err(foreign());
    }
    if let Some(origin) = text(header::ORIGIN) {
        let url = Url::parse(origin).ok();
        let authority = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
        let same = authority.is_some_and(|(host, port)| {
            let spelled = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            access.knows_host(&spelled)
        });
        if !same {
            return Err(foreign());
        }
    }
    Ok(())
}
