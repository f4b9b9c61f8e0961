//! Before every page: who is it, and did this form come from a page of this session.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use turnbuckle::{Actor, Host, Permission, Secret};

use super::answer::{Failed, problem};
use super::frame::{Area, Frame};
use super::session::{Notice, Sessions};
use super::{Console, sign_in};

/// What is read of somebody who is not signed in.
pub(crate) const UNKNOWN: usize = 16 << 10;
/// How long a form may take to arrive, and a component: whoever stalls must not hold a place of the server for good.
const FORM_WITHIN: Duration = Duration::from_secs(30);
const UPLOAD_WITHIN: Duration = Duration::from_secs(300);
/// Components are large: so many are read at the same time.
static UPLOADS: Semaphore = Semaphore::const_new(2);
/// A form that a person filled in.
const FORM: usize = 1 << 20;
/// A component; more than any limit of the host, which says which one it is.
const UPLOAD: usize = 256 << 20;
/// What the script says of its requests.
pub(crate) const SCRIPT: HeaderName = HeaderName::from_static("x-turnbuckle-script");
/// A page that looks again by itself.
const LIVE: HeaderName = HeaderName::from_static("x-turnbuckle-live");
/// Where the script goes on: what a redirect would say, which a script can't read.
const LOCATION: HeaderName = HeaderName::from_static("x-turnbuckle-location");

/// Who is signed in.
#[derive(Clone)]
pub(crate) struct Entered {
    pub(crate) actor: Actor,
    pub(crate) csrf: String,
    /// The session's id, as its cookie holds it.
    id: String,
    sessions: Sessions,
    /// Asked for by the script, as a part of a page that is there.
    part: bool,
    /// How often something had changed before anything was read for this page.
    seen: u64,
}

impl std::fmt::Debug for Entered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Entered").field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl Entered {
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.actor.may(permission)
    }

    /// How often something had changed before this page was made.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whose session it is by now; nobody's where it is over. Asking is no use of it.
    pub(crate) fn again(&self, host: &Host) -> Option<Actor> {
        self.sessions.find(&self.id, Instant::now(), false)?.who.actor(host)
    }

    /// A place for one more page that is told of changes.
    pub(crate) fn follow(&self) -> Option<(OwnedSemaphorePermit, watch::Receiver<()>)> {
        self.sessions.follow(&self.id)
    }

    /// What the page that is made now has to tell. Parts of pages leave it for the whole one.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        if self.part { Vec::new() } else { self.sessions.told(&self.id) }
    }

    /// Something that the next page tells.
    pub(crate) fn tell(&self, tone: &'static str, headline: impl Into<String>, words: impl Into<String>) {
        self.sessions.tell(&self.id, Notice { tone, headline: headline.into(), words: words.into() });
    }

    /// Keeps a component until its person says what becomes of it.
    pub(crate) fn hold(&self, digest: &str, component: Bytes) {
        self.sessions.hold(&self.id, digest, component, Instant::now());
    }

    pub(crate) fn held(&self, digest: &str) -> Option<Bytes> {
        self.sessions.held(&self.id, digest)
    }

    pub(crate) fn end(&self) {
        self.sessions.end(&self.id);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Entered {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// What a form holds. It is there only for a form that carried the token of its session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Posted {
    fields: Vec<(String, Secret)>,
    pub(crate) file: Option<Bytes>,
}

impl Posted {
    /// What stands in a form that nobody sent yet.
    pub(crate) fn of<N: Into<String>, V: Into<String>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), Secret::new(value.into())));
        Self { fields: fields.collect(), file: None }
    }

    /// The same with one field more.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut more = self.clone();
        more.fields.push((name.to_owned(), Secret::new(value)));
        more
    }

    /// One value; empty where it was not sent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.expose())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// All values of one name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.expose())
    }

    /// All values whose names begin so, by the rest of their names.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Secret)> {
        self.fields.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }

    /// What may be kept of it outside of the host: no secret, and no token of a session. What was emptied is kept empty.
    pub(crate) fn draft(&self) -> Vec<(&str, &str)> {
        let open = |name: &str| name != CSRF && !name.starts_with(SECRET);
        let fields = self.fields.iter().filter(|(name, _)| open(name));
        fields.map(|(name, value)| (name.as_str(), value.expose())).collect()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Posted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.remove::<Self>().unwrap_or_default())
    }
}

/// The field of a form that holds its session's token.
const CSRF: &str = "csrf";
/// Names of secret fields begin so.
pub(crate) const SECRET: &str = "x.";

/// Who works in this browser, as far as its cookie tells.
pub(crate) fn entered(console: &Console, headers: &HeaderMap) -> Option<Entered> {
    entered_by(console, headers, !headers.contains_key(LIVE))
}

/// The same; only what a person does is a use of the session.
fn entered_by(console: &Console, headers: &HeaderMap, used: bool) -> Option<Entered> {
    let id = cookie(headers, &sign_in::cookie_name(console.base()))?;
    let found = console.sessions().find(id, Instant::now(), used)?;
    let Some(actor) = found.who.actor(&console.host) else {
        // Its token is void, or its user may do nothing any more: it does not come back with them.
        console.sessions().end(id);
        return None;
    };
    let seen = match actor.may(Permission::ViewConnections) {
        true => console.host.changes(&actor).map_or(0, |changes| changes.count()),
        false => 0,
    };
    let (id, sessions) = (id.to_owned(), console.sessions().clone());
    Some(Entered { actor, csrf: found.csrf, id, sessions, part: headers.contains_key(SCRIPT), seen })
}

/// Lets nobody to a page without a session, and no form through without its token.
pub(crate) async fn enter(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let streams = request.uri().path() == super::live::PATH;
    let entered = entered_by(&console, request.headers(), !streams && !request.headers().contains_key(LIVE));
    // A stream is asked for by the script alone, which can't give it headers.
    let by_script = streams || request.headers().contains_key(SCRIPT);
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    if *request.method() == Method::POST {
        let installs = path == "/connectors/install";
        let (most, within) = match &entered {
            None => (UNKNOWN, FORM_WITHIN),
            Some(entered) if installs && entered.may(Permission::ManageConnectors) => (UPLOAD, UPLOAD_WITHIN),
            Some(_) => (FORM, FORM_WITHIN),
        };
        let (parts, body) = request.into_parts();
        let arriving = async {
            let _place = if most == UPLOAD { UPLOADS.acquire().await.ok() } else { None };
            posted(&parts.headers, body, most).await
        };
        let posted = match tokio::time::timeout(within, arriving).await {
            Ok(Ok(posted)) => posted,
            Ok(Err(words)) => return refused(entered.as_ref(), StatusCode::BAD_REQUEST, words),
            Err(_too_slow) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        };
        let Some(entered) = &entered else { return sign_in::over(&console, request_path(&path), &posted.draft()) };
        if !bool::from(posted.get(CSRF).as_bytes().ct_eq(entered.csrf.as_bytes())) {
            let words = "This form is not from a page of this session. Open the page again and repeat what you did.";
            return refused(Some(entered), StatusCode::FORBIDDEN, words);
        }
        request = Request::from_parts(parts, axum::body::Body::empty());
        request.extensions_mut().insert(posted);
    }
    let Some(entered) = entered else {
        if by_script {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        return sign_in::first(&console, &path);
    };
    request.extensions_mut().insert(entered.clone());
    let mut response = next.run(request).await;
    if let Some(failed) = response.extensions_mut().remove::<Failed>() {
        response = problem(Frame::new(&entered, area_of(&path), "Not done"), failed);
    }
    if by_script && response.status() == StatusCode::SEE_OTHER {
        let to = response.headers_mut().remove(header::LOCATION).unwrap_or(HeaderValue::from_static("/"));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// The page on which a form stands: an action has none of its own.
fn request_path(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or(path);
    if path == "/sign-out" {
        return "/";
    }
    ["/test", "/authorize", "/replay"].iter().find_map(|action| path.strip_suffix(action)).unwrap_or(path)
}

fn area_of(path: &str) -> Area {
    match path.split('/').nth(1) {
        Some("connectors") => Area::Connectors,
        Some("setup") => Area::Setup,
        Some("health") => Area::Health,
        Some("audit") => Area::Audit,
        Some(_) | None => Area::Integrations,
    }
}

fn refused(entered: Option<&Entered>, status: StatusCode, words: &str) -> Response {
    let failed = Failed { status, words: words.to_owned(), hint: None, users: Vec::new() };
    match entered {
        Some(entered) => problem(Frame::new(entered, Area::Integrations, "Not done"), failed),
        None => status.into_response(),
    }
}

async fn posted(headers: &HeaderMap, body: axum::body::Body, most: usize) -> Result<Posted, &'static str> {
    const BROKEN: &str = "The form did not arrive whole. Send it once more.";
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let whole = |most: usize| async move {
        let bytes = Limited::new(body, most).collect().await.map_err(|_too_long_or_cut| BROKEN)?;
        Ok::<_, &'static str>(bytes.to_bytes())
    };
    if let Ok(boundary) = multer::parse_boundary(kind) {
        let bytes = whole(most).await?;
        let stream = futures_util::stream::iter([Ok::<_, Infallible>(bytes)]);
        let mut parts = multer::Multipart::new(stream, boundary);
        let mut posted = Posted::default();
        while let Some(part) = parts.next_field().await.map_err(|_broken| BROKEN)? {
            let name = part.name().unwrap_or_default().to_owned();
            if part.file_name().is_some() {
                posted.file = Some(part.bytes().await.map_err(|_broken| BROKEN)?);
            } else {
                posted.fields.push((name, Secret::new(part.text().await.map_err(|_broken| BROKEN)?)));
            }
        }
        return Ok(posted);
    }
    let bytes = whole(most.min(FORM)).await?;
    let fields = url::form_urlencoded::parse(&bytes);
    let fields = fields.map(|(name, value)| (name.into_owned(), Secret::new(value.into_owned())));
    Ok(Posted { fields: fields.collect(), file: None })
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}
