//! Signing in by a browser: begun by the API, come back to at `/oauth/callback/{identity-provider}`.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use turnbuckle::{Authorization, Authorize, CallbackAnswer, Host, SignedIn, sign_in_cookie};
use url::Url;
use utoipa::ToSchema;

use super::{Answer, Who};
use crate::console::{self, Console};
use crate::input::{Json as Input, Path};
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
    let cookie = sign_in_cookie_line(&begun);
    let mut response = Json(begun).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the browser that begins is known again by.
pub(crate) fn sign_in_cookie_line(begun: &Authorization) -> Option<HeaderValue> {
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
    Extension(console): Extension<Console>,
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
    let back = console::back_to(&console, &headers);
    let told = match host.authorization_callback(&provider, &parameters, cookie).await {
        Ok(CallbackAnswer::GoOn(url)) => match HeaderValue::try_from(url.as_str()) {
            Ok(location) => Err((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()),
            Err(_unprintable) => Ok(Told::not(StatusCode::INTERNAL_SERVER_ERROR, "The way back is no URL.".to_owned())),
        },
        Ok(CallbackAnswer::Done { authorized: true, verdict, .. }) => {
            let words = if verdict.message.is_empty() { "The connection works.".to_owned() } else { verdict.message };
            Ok(Told { status: StatusCode::OK, connected: true, words })
        }
        Ok(CallbackAnswer::Done { authorized: false, verdict, .. }) => Ok(Told::not(StatusCode::OK, verdict.message)),
        // New kinds of answers come with a newer host, which this server is built with.
        Ok(_) => {
            let words = "The host answered in a way unknown here.".to_owned();
            Ok(Told::not(StatusCode::INTERNAL_SERVER_ERROR, words))
        }
        Err(error) => {
            let hint = error.hint().map(|hint| format!(" {hint}.")).unwrap_or_default();
            let problem = Problem::from(error);
            Ok(Told::not(problem.status(), format!("{}.{hint}", problem.detail())))
        }
    };
    let mut response = match (told, &back) {
        (Ok(told), Some(back)) => back.told(told.connected, &told.words),
        (Ok(told), None) => told.page(),
        (Err(onward), _) => onward,
    };
    // They proved what they had to, or failed to.
    let gone = [cookie.map(|_| name.as_str()), back.is_some().then_some(console::SIGNING)];
    for name in gone.into_iter().flatten() {
        let gone = format!("{name}=; Path={}; Max-Age=0; HttpOnly; SameSite=Lax", uri.path());
        if let Ok(gone) = HeaderValue::try_from(gone) {
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
    }
    response
}

/// What became of a sign-in, for the person who comes back.
struct Told {
    status: StatusCode,
    connected: bool,
    words: String,
}

impl Told {
    fn not(status: StatusCode, words: String) -> Self {
        Self { status, connected: false, words }
    }

    fn page(&self) -> Response {
        match self.connected {
            true => page::told(self.status, "Connected", &format!("{} You can close this window.", self.words)),
            false => page::told(self.status, "Not connected", &self.words),
        }
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}
