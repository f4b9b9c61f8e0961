//! Entering by an account at the operator's OpenID provider: there, and back to where somebody was.
//!
//! The browser that begins holds a proof in a cookie of its own; only that browser can finish. A session begins under a new id,
//! as with every way in.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use turnbuckle::{Arrival, Error, Secret, sign_in_cookie};
use url::Url;

use super::answer::{Failed, page as made, to};
use super::frame::Entry;
use super::gate::{self, cookie};
use super::session::Who;
use super::{Console, sign_in};

/// As long as a sign-in may take.
const LASTS: Duration = Duration::from_secs(600);
/// Where it begins; the callback stands below, and the cookie goes nowhere else.
const PATH: &str = "/sign-in/oidc";

/// The page for an account that signs nobody in.
#[derive(Template)]
#[template(path = "unknown_account.html")]
struct UnknownAccount {
    entry: Entry,
    issuer: String,
    subject: String,
    account: Option<String>,
}

/// The name of the cookie of this sign-in. Over TLS it is bound to this very host. Each sign-in has its own.
fn proof_name(base: &Url, state: &str) -> String {
    let name = sign_in_cookie(state);
    if base.scheme() == "https" { format!("__Host-{name}") } else { name }
}

fn proof_line(base: &Url, state: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
    let name = proof_name(base, state);
    let (path, secure) = if base.scheme() == "https" { ("/", "; Secure") } else { (PATH, "") };
    let line = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(line).ok()
}

/// Sends a browser to the provider. Whoever is signed in already stays so: nobody else's page changes who that is.
pub(crate) async fn begin(State(console): State<Console>, headers: HeaderMap) -> Response {
    if gate::entered(&console, &headers).is_some() {
        return to(&sign_in::back(&console, &headers));
    }
    let Some(base) = console.base() else { return super::not_found() };
    let begun = match console.host.begin_sign_in(base).await {
        Ok(begun) => begun,
        Err(error) => return refused(&console, error),
    };
    let mut response = to(begun.url.as_str());
    if let Some(line) = proof_line(base, &begun.state, begun.proof.expose(), LASTS.as_secs()) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

/// A browser comes back from the provider.
pub(crate) async fn callback(State(console): State<Console>, headers: HeaderMap, uri: Uri) -> Response {
    let Some(base) = console.base() else { return super::not_found() };
    let parameters: Vec<_> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let state = parameters.iter().find(|(name, _)| name == "state").map_or("", |(_, state)| state.as_str());
    let proof = cookie(&headers, &proof_name(base, state)).map(Secret::new);
    let held = proof.is_some();
    let mut response = match console.host.finish_sign_in(base, &parameters, proof).await {
        Ok(Arrival::SignedIn { key, actor }) => sign_in::begun(&console, &headers, &actor, Who::Account(key)),
        Ok(Arrival::Unknown { issuer, subject, account }) => {
            let entry = Entry::new("Account not known");
            made(StatusCode::FORBIDDEN, &UnknownAccount { entry, issuer, subject, account })
        }
        Ok(Arrival::MayDoNothing { user }) => {
            let words = format!(
                "Your account belongs to {user}, who is disabled or holds no permission. An administrator can change that."
            );
            sign_in::not(&console, StatusCode::FORBIDDEN, words)
        }
        Err(error) => refused(&console, error),
    };
    // It proved what it had to, or failed to.
    if held && let Some(gone) = proof_line(base, state, "", 0) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

/// What happened, and what to do, on the page where one signs in.
fn refused(console: &Console, error: Error) -> Response {
    let Failed { status, words, hint, .. } = Failed::from(error);
    let hint = hint.map(|hint| format!(" {hint}")).unwrap_or_default();
    sign_in::not(console, status, format!("{words}{hint}"))
}
