//! Who asks: a bearer token (RFC 6750) that the server knows only by its hash.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use turnbuckle::{Actor, Host, Secret, TokenKey};
use url::Url;

use crate::console::{Sessions, Who};
use crate::problem::Problem;

/// Tokens and whom they stand for, and under which names the server may be addressed.
#[derive(Debug, Clone, Default)]
pub struct Access {
    tokens: Vec<(Hashed, Actor)>,
    hosts: Arc<BTreeSet<String>>,
    reached_at: Option<Url>,
    open_metrics: bool,
    sessions: Sessions,
}

#[derive(Clone)]
struct Hashed([u8; 32]);

impl std::fmt::Debug for Hashed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[hashed]")
    }
}

impl Access {
    /// Nobody may do anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets whoever holds this token act as this actor.
    #[must_use]
    pub fn token(mut self, token: &str, actor: Actor) -> Self {
        self.tokens.push((Hashed(Sha256::digest(token).into()), actor));
        self
    }

    /// Lets the server be addressed by this `Host`, port included where it is not the scheme's own.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.hosts).insert(host.into().to_ascii_lowercase());
        self
    }

    /// Where browsers reach this server: the redirect URIs of sign-ins stand below it.
    #[must_use]
    pub fn at(mut self, url: Url) -> Self {
        self.reached_at = Some(url);
        self
    }

    /// Lets everybody who reaches this server read what it counts.
    #[must_use]
    pub fn open_metrics(mut self) -> Self {
        self.open_metrics = true;
        self
    }

    pub(crate) fn opens_metrics(&self) -> bool {
        self.open_metrics
    }

    /// Whom the token of a request stands for.
    pub(crate) fn who(&self, host: &Host, headers: &HeaderMap) -> Result<Actor, Problem> {
        self.let_in(host, headers).map(|(actor, ..)| actor)
    }

    fn let_in(&self, host: &Host, headers: &HeaderMap) -> Result<(Actor, Who, Standing), Problem> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let known = token.and_then(|(_, token)| {
            let (actor, who) = self.recognise(token.trim(), host)?;
            let (access, host, token) = (self.clone(), host.clone(), Secret::new(token.trim()));
            Some((actor, who, Standing { access, host, token }))
        });
        known.ok_or_else(|| Problem::unauthorized(header.is_some()))
    }

    pub(crate) fn reached_at(&self) -> Option<&Url> {
        self.reached_at.as_ref()
    }

    /// A new token: 256 random bits.
    ///
    /// # Panics
    /// Where the operating system has no randomness.
    pub fn new_token() -> String {
        format!("tb_{}", random_text())
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whom a token stands for, and how a session that is begun with it is kept.
    pub(crate) fn recognise(&self, token: &str, host: &Host) -> Option<(Actor, Who)> {
        if let Some(actor) = self.actor(token) {
            return Some((actor.clone(), Who::Own(actor)));
        }
        let key = TokenKey::of(token)?;
        Some((host.authenticate_key(&key)?, Who::Token(key)))
    }

    pub(crate) fn knows_host(&self, host: &str) -> bool {
        self.hosts.contains(&host.to_ascii_lowercase())
    }

    /// Compares with every token, so that how long it takes tells nothing.
    fn actor(&self, token: &str) -> Option<Actor> {
        let given: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for (known, actor) in &self.tokens {
            if bool::from(known.0.ct_eq(&given)) {
                found = Some(actor.clone());
            }
        }
        found
    }
}

/// By what somebody was let through, so that an answer without end can ask again whether it still opens anything.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    access: Access,
    host: Host,
    token: Secret,
}

impl Standing {
    /// Whom it stands for at this moment.
    pub(crate) fn actor(&self) -> Option<Actor> {
        self.access.recognise(self.token.expose(), &self.host).map(|(actor, _)| actor)
    }
}

/// 256 random bits as text.
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("an operating system without randomness can't keep secrets");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Lets nobody through without a token, and tells the routes who it is. A token that this server was not started with is one of
/// the host's, which says at each request whom it stands for.
pub(crate) async fn authenticate(
    State((access, host)): State<(Access, Host)>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.let_in(&host, request.headers()) {
        Ok((actor, who, standing)) => {
            request.extensions_mut().insert(actor);
            request.extensions_mut().insert(who);
            request.extensions_mut().insert(standing);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
