//! Signing in by a browser: begun by the API, come back to at `/oauth/callback/{identity-provider}`.

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use turnbuckle::{Authorization, Authorize, CallbackAnswer, Host, SignedIn, sign_in_cookie};
use url::Url;
use utoipa::ToSchema;

use super::{Answer, Who};
use crate::input::Json as Input;
use crate::page;
use crate::problem::{Problem, Words};

/// As long as a sign-in may take.
const SECONDS: u32 = 600;

/// Where this server is reached; none where nobody listens, as in a command that works on the data directory itself.
#[derive(Debug, Clone)]
pub(crate) struct Public(pub(crate) Option<Url>);

/// Begins a sign-in of a connection: answers the URL where a person agrees.
#[utoipa::path(post, operation_id = "connections.authorize", path = "/api/v1/connections/{key}/authorize", tag = "connections", params(("key" = String, Path)), request_body = Authorize, responses((status = 200, body = Authorization), (status = 409, body = Words), (status = 502, body = Words)))]
pub(super) async fn authorize(
    State(host): State<Host>,
    who: Who,
    Extension(Public(base)): Extension<Public>,
    Path(key): Path<String>,
    Input(authorize): Input<Authorize>,
) -> Result<Response, Problem> {
    let Some(base) = base else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "not-reachable",
            "nobody listens for the browser that comes back",
        )
        .hint("start a server: `turnbuckle serve`"));
    };
    let begun = host.authorize_connection(&who, &key, &base, authorize).await?;
    let cookie = cookie_of(&begun);
    let mut response = Json(begun).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the browser that begins is known again by.
pub(super) fn cookie_of(begun: &Authorization) -> Option<HeaderValue> {
    let cookie = begun.cookie.as_ref()?;
    let back = Url::parse(&begun.redirect_uri).ok()?;
    let secure = if back.scheme() == "https" { "; Secure" } else { "" };
    let (name, value, path) = (&cookie.name, cookie.value.expose(), back.path());
    let text = format!("{name}={value}; Path={path}; Max-Age={SECONDS}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok()
}

/// What a browser brought to whoever began.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Receipt {
    /// As it stands in the URL that the browser was sent to.
    receipt: String,
}

/// Finishes a sign-in with the receipt that its browser brought.
#[utoipa::path(post, operation_id = "connections.complete-authorization", path = "/api/v1/authorizations", tag = "connections", request_body = Receipt, responses((status = 200, body = SignedIn), (status = 409, body = Words)))]
pub(super) async fn complete(
    State(host): State<Host>,
    who: Who,
    Input(Receipt { receipt }): Input<Receipt>,
) -> Answer<SignedIn> {
    Ok(Json(host.complete_authorization(&who, &receipt).await?))
}

/// A browser comes back. It needs no token: it is known by its state, and by where it comes from.
pub(super) async fn callback(
    State(host): State<Host>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let parameters: Vec<_> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let state = parameters.iter().find(|(name, _)| name == "state").map(|(_, state)| state.as_str());
    let name = sign_in_cookie(state.unwrap_or_default());
    let cookie = cookie(&headers, &name);
    let mut response = match host.authorization_callback(&provider, &parameters, cookie).await {
        Ok(CallbackAnswer::GoOn(url)) => match HeaderValue::try_from(url.as_str()) {
            Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
            Err(_unprintable) => {
                page::told(StatusCode::INTERNAL_SERVER_ERROR, "Not connected", "The way back is no URL.")
            }
        },
        Ok(CallbackAnswer::Done { authorized: true, verdict }) => {
            let words = if verdict.message.is_empty() { "The connection works.".to_owned() } else { verdict.message };
            page::told(StatusCode::OK, "Connected", &format!("{words} You can close this window."))
        }
        Ok(CallbackAnswer::Done { authorized: false, verdict }) => {
            page::told(StatusCode::OK, "Not connected", &verdict.message)
        }
        // New kinds of answers come with a newer host, which this server is built with.
        Ok(_) => {
            page::told(StatusCode::INTERNAL_SERVER_ERROR, "Not connected", "The host answered in a way unknown here.")
        }
        Err(error) => {
            let hint = error.hint().map(|hint| format!(" {hint}.")).unwrap_or_default();
            let problem = Problem::from(error);
            page::told(problem.status(), "Not connected", &format!("{}.{hint}", problem.detail()))
        }
    };
    // It proved what it had to, or failed to.
    if cookie.is_some() {
        let gone = format!("{name}=; Path={}; Max-Age=0; HttpOnly; SameSite=Lax", uri.path());
        if let Ok(gone) = HeaderValue::try_from(gone) {
            response.headers_mut().insert(header::SET_COOKIE, gone);
        }
    }
    response
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}
