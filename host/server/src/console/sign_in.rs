//! Entering: by a link that works once, or by a token; `account` is the third way.

use std::time::{Duration, Instant};

use askama::Template;
use axum::Form;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use turnbuckle::{Actor, Secret};
use url::Url;

use super::answer::{page as made, to};
use super::frame::Entry;
use super::gate::cookie;
use super::session::Who;
use super::{Console, Entered, gate};

/// Where somebody goes on after signing in. What it holds is no secret, and short enough for a cookie, which browsers keep up to
/// 4,096 bytes of.
const BACK: &str = "turnbuckle-back";
const BACK_BYTES: usize = 3_900;
const BACK_SECONDS: u32 = 30 * 60;
/// What is shown to get in is short.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// The page on which a sign-in at a service began in the console.
pub(crate) const SIGNING: &str = "turnbuckle-console";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    entry: Entry,
    /// Something that was there is over.
    told: Option<&'static str>,
    /// The token was not taken.
    wrong: Option<String>,
    token_wrong: bool,
    /// What the provider is called whose accounts sign people in.
    provider: Option<String>,
    /// A link that waits for a person to say yes, and for whom it is.
    link: Option<(String, String)>,
}

impl SignIn {
    fn new(console: &Console) -> Self {
        let provider = console.host.sign_in_offer().map(|offer| offer.label);
        Self { entry: Entry::new("Sign in"), told: None, wrong: None, token_wrong: false, provider, link: None }
    }
}

/// Nobody was let in: why, and every way to sign in.
pub(super) fn not(console: &Console, status: StatusCode, words: impl Into<String>) -> Response {
    made(status, &SignIn { wrong: Some(words.into()), ..SignIn::new(console) })
}

/// The name of a session's cookie. Over TLS it is bound to this very host; ports do not part cookies, so it names its own.
pub(crate) fn cookie_name(base: Option<&Url>) -> String {
    match base {
        Some(base) if base.scheme() == "https" => "__Host-turnbuckle".to_owned(),
        Some(base) => format!("turnbuckle-{}", base.port_or_known_default().unwrap_or_default()),
        None => "turnbuckle".to_owned(),
    }
}

fn secure(base: Option<&Url>) -> &'static str {
    if base.is_some_and(|base| base.scheme() == "https") { "; Secure" } else { "" }
}

fn set(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// `/`
pub(crate) async fn begin(State(console): State<Console>, headers: HeaderMap) -> Response {
    match gate::entered(&console, &headers) {
        Some(entered) => to(super::frame::first(&entered)),
        None => to("/sign-in"),
    }
}

/// What the sign-in page may be asked.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    code: Option<Secret>,
}

/// The page, and where links lead. A link is used up at once only where a person typed or pasted it and nobody is signed in
/// here. What a browser or a program fetches ahead, a page of another site that sends somebody here, and a session that is there
/// already, get a page that asks first.
pub(crate) async fn page(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Query(Asked { code }): Query<Asked>,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(code) = code else {
        if gate::entered(&console, &headers).is_some() {
            return to(&back(&console, &headers));
        }
        let told = cookie(&headers, BACK).map(|_| "Sign in, and you go on where you were.");
        return made(StatusCode::OK, &SignIn { told, ..SignIn::new(&console) });
    };
    let by_itself = text("sec-purpose").contains("prefetch") || text("purpose").contains("prefetch");
    let by_hand = method == Method::GET && matches!(text("sec-fetch-site"), "none" | "");
    if by_itself || !by_hand || gate::entered(&console, &headers).is_some() {
        let meant = console.sessions().meant(code.expose(), Instant::now());
        return match meant.and_then(|who| who.actor(&console.host)) {
            Some(actor) => {
                let link = Some((code.expose().to_owned(), actor.name().to_owned()));
                made(StatusCode::OK, &SignIn { link, ..SignIn::new(&console) })
            }
            None => void(&console),
        };
    }
    take(&console, &headers, &code)
}

fn void(console: &Console) -> Response {
    let words = "This link was used already, or is older than ten minutes. Ask for a new one.";
    not(console, StatusCode::UNAUTHORIZED, words)
}

fn take(console: &Console, headers: &HeaderMap, code: &Secret) -> Response {
    let taken = console.sessions().take(code.expose(), Instant::now());
    match taken.and_then(|who| Some((who.actor(&console.host)?, who))) {
        Some((actor, who)) => begun(console, headers, &actor, who),
        None => void(console),
    }
}

/// What is shown to get in.
#[derive(Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    code: Option<Secret>,
    #[serde(default)]
    token: Option<Secret>,
}

pub(crate) async fn enter(State(console): State<Console>, headers: HeaderMap, request: Request) -> Response {
    let arriving = tokio::time::timeout(ARRIVES_WITHIN, Form::<Shown>::from_request(request, &()));
    let shown = match arriving.await {
        Ok(Ok(Form(shown))) => shown,
        Ok(Err(rejected)) => return rejected.into_response(),
        Err(_too_slow) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    if let Some(code) = &shown.code {
        return take(&console, &headers, code);
    }
    let token = shown.token.unwrap_or_else(|| Secret::new(""));
    let token = token.expose().trim();
    if token.is_empty() {
        let wrong = Some("Paste a token first.".to_owned());
        return made(StatusCode::UNPROCESSABLE_ENTITY, &SignIn { wrong, token_wrong: true, ..SignIn::new(&console) });
    }
    let who = console.access.recognise(token, &console.host).map(|(_, who)| who.followed(&console.host));
    match who.and_then(|who| Some((who.actor(&console.host)?, who))) {
        Some((actor, who)) => begun(&console, &headers, &actor, who),
        None => {
            let wrong = "This token is not known here, has expired, or its user may do nothing. An administrator makes another one.";
            let wrong = Some(wrong.to_owned());
            made(StatusCode::UNAUTHORIZED, &SignIn { wrong, token_wrong: true, ..SignIn::new(&console) })
        }
    }
}

/// A session under a new id, and none any more under an old one.
pub(super) fn begun(console: &Console, headers: &HeaderMap, actor: &Actor, who: Who) -> Response {
    console.host.note_sign_in(actor);
    let name = cookie_name(console.base());
    if let Some(old) = cookie(headers, &name) {
        console.sessions().end(old);
    }
    let id = console.sessions().begin(who, actor.name(), Instant::now());
    let mut response = to(&back(console, headers));
    let secure = secure(console.base());
    set(&mut response, &format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}"));
    set(&mut response, &format!("{BACK}=; Path=/sign-in; Max-Age=0; HttpOnly; SameSite=Lax{secure}"));
    response
}

pub(crate) async fn sign_out(State(console): State<Console>, entered: Entered) -> Response {
    entered.end();
    let mut response = to("/sign-in");
    let (name, secure) = (cookie_name(console.base()), secure(console.base()));
    set(&mut response, &format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"));
    response
}

/// Nobody has signed in yet: the page comes after.
pub(crate) fn first(console: &Console, path: &str) -> Response {
    let mut response = to("/sign-in");
    keep(&mut response, console, path);
    response
}

/// A session that is over, found out by a form: what was typed stands there again after signing in, secrets aside.
pub(crate) fn over(console: &Console, path: &str, draft: &[(&str, &str)]) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(draft).finish();
    let whole = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let (path, told) = match whole.len() > BACK_BYTES {
        true => {
            (path, "Your session is over. Sign in, and you go on at that form; what you typed was too long to be kept.")
        }
        false => (
            whole.as_str(),
            "Your session is over. Sign in, and you go on where you were; secrets have to be typed again.",
        ),
    };
    let mut response = made(StatusCode::UNAUTHORIZED, &SignIn { told: Some(told), ..SignIn::new(console) });
    keep(&mut response, console, path);
    response
}

fn keep(response: &mut Response, console: &Console, path: &str) {
    // A path holds nothing else that would end a cookie's value.
    let path = path.replace(',', "%2C").replace(';', "%3B").replace('"', "%22").replace('\\', "%5C");
    if path.len() <= BACK_BYTES {
        let secure = secure(console.base());
        set(response, &format!("{BACK}={path}; Path=/sign-in; Max-Age={BACK_SECONDS}; HttpOnly; SameSite=Lax{secure}"));
    }
}

/// Where somebody was who signs in now: a page of this server, or the first one.
pub(super) fn back(console: &Console, headers: &HeaderMap) -> String {
    let kept = cookie(headers, BACK).filter(|path| own(console, path));
    kept.map_or_else(|| "/".to_owned(), str::to_owned)
}

/// Whether this is a path here, read as a browser reads it.
fn own(console: &Console, path: &str) -> bool {
    let Some(base) = console.base() else { return false };
    path.starts_with('/') && base.join(path).is_ok_and(|url| url.origin() == base.origin())
}

/// Marks a sign-in at a service as begun on this page of the console: whoever comes back goes on to it.
pub(crate) fn return_cookie(page: &str, redirect_uri: &str, base: &Url) -> String {
    let path = Url::parse(redirect_uri).map(|url| url.path().to_owned()).unwrap_or_default();
    let secure = secure(Some(base));
    format!("{SIGNING}={page}; Path={path}; Max-Age=600; HttpOnly; SameSite=Lax{secure}")
}

/// A browser that comes back from a service to the console that it left.
#[derive(Debug)]
pub(crate) struct Back {
    entered: Entered,
    page: String,
}

impl Back {
    /// On to the page where it began, which says how it went.
    pub(crate) fn told(&self, connected: bool, words: &str) -> Response {
        let (tone, headline) = if connected { ("good", "Signed in") } else { ("bad", "Not signed in") };
        self.entered.tell(tone, headline, super::answer::sentence(words));
        to(&self.page)
    }
}

/// None where it began elsewhere, or nobody is signed in here any more.
pub(crate) fn back_to(console: &Console, headers: &HeaderMap) -> Option<Back> {
    let page = cookie(headers, SIGNING).filter(|page| own(console, page))?.to_owned();
    Some(Back { entered: gate::entered(console, headers)?, page })
}
