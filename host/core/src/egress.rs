//! Everything that leaves the machine.
//!
//! A request comes as the guest wrote it: without any credential. It is counted and judged ([`policy`]), then the
//! connection's credential is attached ([`attach`]) and what is made of the request as a whole is made ([`sign`], [`oauth1`],
//! [`sigv4`], [`digest`]), then it is dialled by a client whose sockets and whose certificate belong to that connection alone
//! ([`client`], [`certificate`]), to an address that was checked after the name was resolved ([`address`], [`allow`]). The
//! answer is decoded, bounded and scanned for the credential before anyone sees it ([`body`], [`decode`], [`redact`]). So a
//! connector decides what is asked, never who asks, and it cannot read the credential back.
//!
//! Redirects are answers like others: the guest may ask anew, and is judged anew.

mod address;
mod allow;
mod attach;
mod body;
mod call;
mod certificate;
mod client;
mod decode;
mod der;
mod digest;
mod error;
mod expand;
mod fetch;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod jwt;
mod key;
mod keys;
mod oauth1;
mod obtain;
mod pem;
mod permit;
mod plan;
mod policy;
mod post;
mod redact;
mod sign;
mod sigv4;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Instrument as _};
use url::Url;
use zeroize::Zeroizing;

pub(crate) use self::allow::{AllowEntry, AllowList};
use self::attach::{Part, Proof};
use self::body::{Receiving, Scanned, Upload, Watch};
use self::call::Entry;
pub(crate) use self::call::{Call, Limits, Timeouts};
use self::client::Clients;
use self::client::Resolver;
use self::decode::Decoded;
pub(crate) use self::error::{Denied, EgressError, EgressSetupError, PermitError, Phase, Rule};
pub(crate) use self::expand::{Values, expand_origins};
pub(crate) use self::fetch::{Fetch, Fetched};
pub(crate) use self::keys::{Hash, Key, Keys};
pub(crate) use self::obtain::{Brought, ObtainError, Scope, authorization_origin, authorization_url, redact};
pub(crate) use self::permit::Permit;
pub(crate) use self::plan::check_plan;
use self::policy::{Route, Rules};
pub(crate) use self::post::Message;
use self::redact::Redactor;
use self::sign::Head;
pub(crate) use self::sign::{SignFailure, SignRequest, Signer};

/// Work of a client that keeps sockets: what serves a socket would hold the span of whoever opened it for as long as that stands,
/// and no trace of that request would ever end.
fn out_of_spans<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    match tracing::Span::current().id() {
        None => Either::Left(work),
        Some(_) => Either::Right(work.with_subscriber(nobody())),
    }
}

/// For work that leaves no trace. A subscriber that is known to be there beside the program's own: where no other is known,
/// what is met first under none of them is believed to interest nobody ever.
pub(crate) fn nobody() -> Dispatch {
    static NOBODY: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
    NOBODY.clone()
}

/// A body in either direction.
pub(crate) type Body = UnsyncBoxBody<Bytes, EgressError>;

/// What the operator decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) allow: AllowList,
    pub(crate) limits: Limits,
    /// Certificate files in PEM that are trusted besides the system's.
    pub(crate) extra_roots: Vec<Vec<u8>>,
    /// For requests that bring no `user-agent` of their own.
    pub(crate) user_agent: String,
}

/// The one way out. Cloning is shallow.
#[derive(Clone)]
pub(crate) struct Egress {
    inner: Arc<Inner>,
}

struct Inner {
    clients: Clients,
    allow: Arc<AllowList>,
    limits: Limits,
    user_agent: Option<HeaderValue>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Egress").field("allow", &self.inner.allow).finish_non_exhaustive()
    }
}

impl Egress {
    pub(crate) fn new(config: Config) -> Result<Self, EgressSetupError> {
        Self::with_resolver(config, client::system_resolver())
    }

    /// With another source of addresses; they are judged all the same.
    pub(crate) fn with_resolver(config: Config, resolver: Resolver) -> Result<Self, EgressSetupError> {
        let Config { allow, limits, extra_roots, user_agent } = config;
        let allow = Arc::new(allow);
        let tls = client::tls(&extra_roots)?;
        let clients = Clients::new(tls, Arc::clone(&allow), resolver, limits.connect, limits.header_bytes);
        let user_agent = HeaderValue::try_from(user_agent).ok().filter(|value| !value.is_empty());
        Ok(Self { inner: Arc::new(Inner { clients, allow, limits, user_agent }) })
    }

    /// The budgets that a call gets where nothing else is said.
    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Closes the sockets of whoever has this key: nobody is to send by them any more.
    pub(crate) fn close(&self, pool_key: &str) {
        self.inner.clients.close(pool_key);
    }

    /// Judges, attaches, sends, and hands back an answer without secrets. The exchange is recorded in the call whatever
    /// becomes of it.
    pub(crate) async fn send(
        &self,
        permit: &Arc<Permit>,
        call: &Arc<Call>,
        request: Request<Body>,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, EgressError> {
        let started = Instant::now();
        let method = request.method().clone();
        let entry = call.begin(&method, started)?;
        let sending = Sending { egress: &self.inner, permit, call, entry: &entry, timeouts, started };
        let empty = tracing::field::Empty;
        let span =
            tracing::debug_span!("egress", method = method.as_str(), origin = empty, status = empty, failed = empty);
        let result = sending.run(request).instrument(span.clone()).await;
        if !span.is_disabled() {
            span.record("origin", entry.origin());
        }
        match &result {
            Ok(response) => {
                span.record("status", i64::from(response.status().as_u16()));
                // Where it went, never what for: a path or a query may hold what is nobody's business.
                tracing::debug!(origin = entry.origin(), status = response.status().as_u16(), "a service answered");
                entry.answered(started.elapsed(), response.status());
            }
            Err(error) => {
                span.record("failed", error.name());
                tracing::debug!(origin = entry.origin(), "no service answered");
                entry.failed(started.elapsed(), error);
                if let EgressError::Denied(denied) = error {
                    call.denied(denied.clone());
                }
            }
        }
        result
    }
}

/// One request on its way.
struct Sending<'a> {
    egress: &'a Inner,
    permit: &'a Arc<Permit>,
    call: &'a Arc<Call>,
    entry: &'a Arc<Entry>,
    timeouts: Timeouts,
    started: Instant,
}

/// What is dialled.
#[derive(Clone)]
struct Outgoing {
    head: Head,
    route: Route,
}

impl Sending<'_> {
    async fn run(&self, request: Request<Body>) -> Result<Response<Body>, EgressError> {
        let (parts, body) = request.into_parts();
        let url = policy::parse(&parts.uri, self.permit.origins())?;
        let path = if self.call.recorded { self.shown_path(&url) } else { String::new() };
        self.entry.target(policy::origin(self.permit.origins(), &url), path);
        let attachments = &self.permit.attachments;
        let rules = Rules { origins: self.permit.origins(), owned: &attachments.owned, allow: &self.egress.allow };
        let route = policy::decide(&rules, &parts.method, &url, &parts.headers)?;
        let mut headers = parts.headers;
        self.check_size(&headers)?;

        let declared = declared_length(&mut headers)?;
        let whole = attachments.needs_whole_body(&headers);
        let preparing = Upload::prepare(body, declared, whole, self.call, self.entry);
        let upload = self.in_time(preparing).await??;
        let upload = match upload {
            Upload::Whole(body) => Upload::Whole(attachments.body(&parts.method, &mut headers, body)?),
            streaming @ Upload::Streaming(_) => streaming,
        };
        let mut head = Head { method: parts.method, url, headers };
        let uuid = attachments.uuid();
        let shown = match attachments.proof {
            Some(Proof::Signed) => Some(self.complete(head.clone(), &uuid, Part::Public)?),
            Some(Proof::Digest(_) | Proof::Oauth1(_) | Proof::Sigv4(_)) | None => None,
        };
        head = self.complete(head, &uuid, Part::All)?;
        let body = match &upload {
            Upload::Whole(body) => body.as_ref(),
            Upload::Streaming(_) => &[],
        };
        let proofs = self.in_time(sign::prove(self.permit, &mut head, shown, body)).await??;
        let outgoing = Outgoing { head, route };
        let mut proofs = proofs;
        let response = match upload {
            Upload::Whole(body) => self.replayable(outgoing, body, &mut proofs).await?,
            Upload::Streaming(body) => self.dial(outgoing, Some(reqwest::Body::wrap(body))).await?,
        };
        self.receive(response, &proofs)
    }

    /// The head with what is attached to it, and with what the host writes.
    fn complete(&self, mut head: Head, uuid: &str, part: Part) -> Result<Head, EgressError> {
        let Head { url, headers, .. } = &mut head;
        self.permit.attachments.head(url, headers, uuid, part)?;
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let (false, Some(agent)) = (headers.contains_key(header::USER_AGENT), &self.egress.user_agent) {
            headers.insert(header::USER_AGENT, agent.clone());
        }
        Ok(head)
    }

    /// Sends once, or twice where a digest challenge must be answered.
    async fn replayable(
        &self,
        outgoing: Outgoing,
        body: Bytes,
        proofs: &mut Vec<Zeroizing<String>>,
    ) -> Result<Response<reqwest::Body>, EgressError> {
        let Some(Proof::Digest(credentials)) = &self.permit.attachments.proof else {
            return self.once(outgoing, body).await;
        };
        let (url, origin) = (&outgoing.head.url, &outgoing.route.origin);
        let target = match url.query() {
            Some(query) => Cow::Owned(format!("{}?{query}", url.path())),
            None => Cow::Borrowed(url.path()),
        };
        let mut with = |session: &digest::Session| {
            let mut outgoing = outgoing.clone();
            match credentials.authorization(session, outgoing.head.method.as_str(), &target) {
                Some(value) => {
                    // Whoever reads it could try passwords against it.
                    proofs.extend(digest::response(&value));
                    outgoing.head.headers.insert(header::AUTHORIZATION, value)
                }
                None => {
                    return Err(EgressError::attach("the server's digest challenge cannot be answered"));
                }
            };
            Ok(outgoing)
        };
        let known = self.permit.challenge(origin);
        let first = match &known {
            Some(session) => self.once(with(session)?, body.clone()).await?,
            None => self.once(outgoing.clone(), body.clone()).await?,
        };
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        let Some(challenge) = digest::Challenge::among(first.headers()) else { return Ok(first) };
        // The same nonce again, and not because it is old: the password is wrong, and asking again would lock accounts.
        if known.is_some_and(|session| session.answers(&challenge)) && !challenge.stale {
            return Ok(first);
        }
        let session = digest::Session::new(challenge, &cnonce()?);
        self.in_time(body::drain(&mut first.into_body())).await?;
        let second = self.once(with(&session)?, body).await?;
        if second.status() != StatusCode::UNAUTHORIZED {
            self.permit.remember(origin, session);
        }
        Ok(second)
    }

    async fn once(&self, outgoing: Outgoing, body: Bytes) -> Result<Response<reqwest::Body>, EgressError> {
        self.entry.progress.sent(body.len());
        // Where nothing is sent, nothing is said about its length either, as long as the method does not promise a body.
        let body = (!body.is_empty() || promises_body(&outgoing.head.method)).then(|| reqwest::Body::from(body));
        self.dial(outgoing, body).await
    }

    async fn dial(
        &self,
        outgoing: Outgoing,
        body: Option<reqwest::Body>,
    ) -> Result<Response<reqwest::Body>, EgressError> {
        let Outgoing { head: Head { method, url, headers }, route } = outgoing;
        let certificate = self.permit.attachments.certificate.as_ref();
        let Ok(client) = self.egress.clients.of(&self.permit.pool_key, route.reach, certificate) else {
            let reason = "the client could not be set up".to_owned();
            return Err(EgressError::Connect { origin: route.origin.to_string(), reason });
        };
        // What would be dialled is looked at, and nothing is.
        #[cfg(fuzzing)]
        let client = fuzzing::Wire::instead_of(client);
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body;
        let limits = &self.call.limits;
        let patience = limits.first_byte.min(self.timeouts.first_byte.unwrap_or(Duration::MAX));
        let connecting = limits.connect.min(self.timeouts.connect.unwrap_or(Duration::MAX));
        let after = patience.saturating_add(connecting).max(Duration::from_millis(1));
        // One timer for both ends, and one look at the clock for both: each costs every request.
        let now = Instant::now();
        let left = self.call.deadline().saturating_duration_since(now);
        let (phase, after) = if left < after { (Phase::Call, left) } else { (Phase::FirstByte, after) };
        let mut until = now + after;
        let mut sending = std::pin::pin!(out_of_spans(client.execute(request)));
        loop {
            let sent = self.entry.progress.sent_so_far();
            match tokio::time::timeout_at(until, sending.as_mut()).await {
                Ok(Ok(response)) => return Ok(response.into()),
                Ok(Err(error)) => return Err(self.failure(&error, &route)),
                // The answer can't begin before the request has ended: as long as it goes on, the service is not late.
                Err(_) if self.entry.progress.sent_so_far() > sent && Instant::now() < self.call.deadline() => {
                    until = Instant::now() + after;
                }
                Err(_) => return Err(EgressError::Timeout { origin: route.origin.to_string(), phase, after }),
            }
        }
    }

    /// Ends with the call.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, EgressError> {
        let deadline = self.call.deadline();
        match tokio::time::timeout_at(deadline, work).await {
            Ok(done) => Ok(done),
            Err(_) => {
                let after = deadline.saturating_duration_since(self.started);
                Err(EgressError::Timeout { origin: self.entry.origin(), phase: Phase::Call, after })
            }
        }
    }

    /// Says what went wrong without repeating anything that an upstream may have written.
    fn failure(&self, error: &reqwest::Error, route: &Route) -> EgressError {
        let origin = &route.origin;
        match EgressError::within(error) {
            // The resolver knows the name alone; whoever reads this wants to know, and to open, the origin.
            Some(EgressError::Denied(denied)) => {
                return EgressError::Denied(Denied::new(denied.rule, origin, denied.detail).opened_by(origin));
            }
            Some(error) => return error,
            None => {}
        }
        let origin = origin.to_string();
        if !error.is_connect() {
            if let Some(reason) = error::refused_certificate(error) {
                return EgressError::Tls { origin, reason };
            }
            return EgressError::Response { origin, problem: "is not HTTP, or broke off before its head was whole" };
        }
        if error.is_timeout() {
            return EgressError::Timeout { origin, phase: Phase::Connect, after: self.call.limits.connect };
        }
        match error::connecting(error) {
            error::Connecting::Tls(reason) => EgressError::Tls { origin, reason },
            error::Connecting::Tcp(reason) => EgressError::Connect { origin, reason },
        }
    }

    /// The answer as the guest may see it: without the connection's secrets, and without what proved this request.
    fn receive(
        &self,
        response: Response<reqwest::Body>,
        proofs: &[Zeroizing<String>],
    ) -> Result<Response<Body>, EgressError> {
        let (parts, body) = response.into_parts();
        self.check_size(&parts.headers)?;
        let redactor = self.permit.scanner();
        let watch = Watch { call: Arc::clone(self.call), entry: Arc::clone(self.entry) };
        let idle = self.call.limits.between_bytes.min(self.timeouts.between_bytes.unwrap_or(Duration::MAX));
        let idle = idle.max(Duration::from_millis(1));
        // Another transfer coding than the last one is left on the body, where no scan would see through it.
        let plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if !parts.headers.get_all(header::TRANSFER_ENCODING).iter().all(plain) {
            return Err(EgressError::Response {
                origin: self.entry.origin(),
                problem: "has an unknown transfer-encoding",
            });
        }
        // Only the head of what a HEAD, a 204 or a 304 is about carries a coding; there is nothing to decode.
        let coded = !http_body::Body::is_end_stream(&body);
        let codings = match decode::codings(&parts.headers) {
            Some(codings) if coded => codings,
            None if coded => {
                return Err(EgressError::Response {
                    origin: self.entry.origin(),
                    problem: "has an unknown content-encoding",
                });
            }
            Some(_) | None => Vec::new(),
        };
        let proofs = Redactor::once(proofs.iter().map(|proof| proof.as_str()));
        let mut headers = trailers(parts.headers, redactor, self.entry);
        if let Some(proofs) = &proofs {
            headers = trailers(headers, Some(proofs), self.entry);
        }
        if !codings.is_empty() {
            headers.remove(header::CONTENT_ENCODING);
        }
        // A redacted body has another length, and so has a decoded one.
        if coded && (!codings.is_empty() || redactor.is_some() || proofs.is_some()) {
            headers.remove(header::CONTENT_LENGTH);
        }
        let receiving = Receiving::new(body, idle, watch.clone());
        let entry = || Arc::clone(self.entry);
        let body = match (codings.is_empty(), redactor) {
            (true, None) => receiving.boxed_unsync(),
            (true, Some(redactor)) => Scanned::new(receiving, redactor, entry()).boxed_unsync(),
            (false, None) => Decoded::new(receiving, &codings, &watch).boxed_unsync(),
            (false, Some(redactor)) => {
                Scanned::new(Decoded::new(receiving, &codings, &watch), redactor, entry()).boxed_unsync()
            }
        };
        let body = match &proofs {
            Some(proofs) => Scanned::new(body, proofs, entry()).boxed_unsync(),
            None => body,
        };
        // Made anew: extensions hold the server's own words for the status, for one.
        let mut response = Response::new(body);
        *response.status_mut() = parts.status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn check_size(&self, headers: &HeaderMap) -> Result<(), EgressError> {
        let limit = self.call.limits.header_bytes;
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > limit {
            return Err(EgressError::Budget { limit: "bytes of headers", value: limit as u64 });
        }
        Ok(())
    }

    fn shown_path(&self, url: &Url) -> String {
        const SHOWN: usize = 512;
        let path = self.permit.redact(url.path());
        if path.len() > SHOWN { path.chars().take(SHOWN).chain(['…']).collect() } else { path }
    }
}

/// Headers or trailers of an answer, as the guest may see them.
fn trailers(headers: HeaderMap, redactor: Option<&Redactor>, entry: &Entry) -> HeaderMap {
    let finds = |text: &[u8]| redactor.is_some_and(|redactor| redactor.finds(text));
    let as_it_is = |(name, value): (&HeaderName, &HeaderValue)| {
        !policy::hop_by_hop(name) && !finds(name.as_str().as_bytes()) && !finds(value.as_bytes())
    };
    if headers.iter().all(as_it_is) {
        return headers;
    }
    let mut shown = HeaderMap::with_capacity(headers.keys_len());
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut last: Option<HeaderName> = None;
    for (name, value) in headers {
        let name = match (name, &last) {
            (Some(name), _) => name,
            (None, Some(name)) => name.clone(),
            (None, None) => continue,
        };
        last = Some(name.clone());
        if policy::hop_by_hop(&name) || named.iter().any(|dropped| dropped == name.as_str()) {
            continue;
        }
        let Some(redactor) =
            redactor.filter(|redactor| redactor.finds(value.as_bytes()) || redactor.finds(name.as_str().as_bytes()))
        else {
            shown.append(name, value);
            continue;
        };
        entry.progress.redacted();
        // A name that holds a secret goes altogether; a value keeps what is not secret.
        if !redactor.finds(name.as_str().as_bytes())
            && let Ok(clean) = HeaderValue::from_bytes(&redactor.replace(value.as_bytes()).0)
        {
            shown.append(name, clean);
        }
    }
    shown
}

/// Takes the guest's `content-length` out: the host writes the true one.
fn declared_length(headers: &mut HeaderMap) -> Result<Option<u64>, EgressError> {
    let Some(value) = headers.remove(header::CONTENT_LENGTH) else { return Ok(None) };
    match value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
    {
        Some(length) => Ok(Some(length)),
        None => Err(EgressError::RequestBody { problem: "has a content-length that is no number" }),
    }
}

fn promises_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// 128 bits that no one can foresee (RFC 7616 section 5.12).
fn cnonce() -> Result<String, EgressError> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(hex::encode(bytes)),
        Err(_) => Err(EgressError::attach("the system has no randomness")),
    }
}
