//! Who signs in at an OpenID provider: the authorization code flow (OpenID Connect Core 1.0 section 3.1) with PKCE (RFC 7636).
//!
//! Nothing is kept here of a sign-in that has begun, so nobody can fill the memory by beginning many: the browser that begins
//! gets a random proof, and state, nonce and code verifier are keyed hashes of it. Whoever comes back without that proof is
//! another browser. A state serves once, whatever comes of it; the key is drawn at each start, so one of an earlier run serves
//! never. Before a token request could leave, the callback must be of this provider (`iss`, RFC 9207); what the token request
//! brings is believed only as far as its signature, issuer, audience, time and nonce agree ([`id_token`]).

mod id_token;
mod metadata;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

use self::id_token::Expected;
use self::metadata::{Keys, Known, Metadata};
use crate::egress::{Egress, EgressError, Fetch, Fetched};
use crate::model::error::Error;
use crate::model::outside::Outside;
use crate::model::secret::Secret;

/// RFC 9700 asks for a short life; a person has to find a password and a phone in it.
pub(crate) const LASTS: SignedDuration = SignedDuration::from_mins(10);
/// Where a browser comes back to, below where this server is reached.
pub(crate) const CALLBACK: &str = "/sign-in/oidc/callback";
/// A provider answers at once, or a person gives up.
const WITHIN: Duration = Duration::from_secs(15);
/// Documents and tokens of providers have some KiB.
const ANSWER: usize = 1 << 20;
/// States that were used and have not expired. Where more are, the oldest is forgotten; its code was used all the same.
const USED: usize = 10_000;
/// Nobody gets many requests sent to the provider by calling back in a loop.
const AT_ONCE: usize = 16;
/// The longest name of an account that is shown.
const NAME: usize = 254;

/// What the operator set, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scopes: Vec<String>,
    pub(crate) label: String,
    pub(crate) account_claim: String,
}

/// The provider, and what is known of it.
pub(crate) struct Provider {
    pub(crate) settings: Settings,
    egress: Egress,
    outside: Outside,
    key: Zeroizing<[u8; 32]>,
    metadata: tokio::sync::Mutex<Known>,
    keys: tokio::sync::Mutex<Keys>,
    used: Mutex<VecDeque<(Timestamp, [u8; 32])>>,
    exchanges: Semaphore,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Provider").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

/// A sign-in that waits for a person.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) url: Url,
    pub(crate) state: String,
    pub(crate) proof: Secret,
}

/// Who came back, as the provider says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) subject: String,
    /// What it is called, where the provider told.
    pub(crate) name: Option<String>,
    /// Whether that name is known to be the account's own.
    pub(crate) owned: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct WithIdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for WithIdToken {}

type Tokens = StandardTokenResponse<WithIdToken, BasicTokenType>;

/// The road of the token exchange, whose requests another crate writes.
struct Relay<'a> {
    provider: &'a Provider,
    url: &'a Url,
}

impl<'c> AsyncHttpClient<'c> for Relay<'_> {
    type Error = EgressError;
    type Future = BoxFuture<'c, Result<oauth2::HttpResponse, EgressError>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(async move {
            let Fetched { status, body } = self.provider.ask(self.url, request.map(Bytes::from)).await?;
            let mut response = http::Response::new(body.to_vec());
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

/// What the provider knows this host as.
type Client = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Provider {
    pub(crate) fn new(settings: Settings, egress: Egress, outside: Outside) -> Self {
        let key = Zeroizing::new(outside.random());
        let (metadata, keys) = Default::default();
        let (used, exchanges) = (Mutex::default(), Semaphore::new(AT_ONCE));
        Self { settings, egress, outside, key, metadata, keys, used, exchanges }
    }

    /// Where a person is sent, and what the browser is known again by.
    pub(crate) async fn begin(&self, base: &Url) -> Result<Begun, Error> {
        let metadata = self.metadata().await?;
        let random = BASE64_URL_SAFE_NO_PAD.encode(self.outside.random::<32>());
        let proof = format!("{}.{random}", self.outside.now().as_second());
        let verifier = PkceCodeVerifier::new(self.derived("verifier", &proof));
        let state = self.derived("state", &proof);
        let client = self.client(&metadata, base)?;
        let token = CsrfToken::new(state.clone());
        let asked = client
            .authorize_url(move || token)
            .add_scopes(self.settings.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("nonce", self.derived("nonce", &proof));
        let (url, _state) = asked.url();
        Ok(Begun { url, state, proof: Secret::new(proof) })
    }

    /// Who came back with this callback. Whatever it says, its state is used up.
    pub(crate) async fn finish(
        &self,
        base: &Url,
        parameters: &[(String, String)],
        proof: Option<Secret>,
    ) -> Result<Account, Unfinished> {
        let state = once(parameters, "state").ok_or_else(|| Unfinished::Foreign(stale("it has no state")))?;
        let other = || Unfinished::Foreign(stale("it was not begun in this browser, or came to an end before"));
        let proof = proof.ok_or_else(other)?;
        let proof = proof.expose();
        if !bool::from(self.derived("state", proof).as_bytes().ct_eq(state.as_bytes())) {
            return Err(other());
        }
        let begun = begun(proof).ok_or_else(other)?;
        if !self.first_use(state, begun) {
            return Err(Unfinished::Foreign(stale("it was used before")));
        }
        self.judge(base, parameters, proof, begun).await.map_err(Unfinished::Own)
    }

    async fn judge(
        &self,
        base: &Url,
        parameters: &[(String, String)],
        proof: &str,
        begun: Timestamp,
    ) -> Result<Account, Error> {
        if begun.saturating_add(LASTS).is_ok_and(|until| until < self.outside.now()) {
            return Err(stale("it took longer than ten minutes"));
        }
        let metadata = self.metadata().await?;
        // RFC 6749 section 3.1: what stands there twice means nothing, and must not pass for what is not there.
        let mut names: Vec<_> = parameters.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(stale("its answer says one thing twice"));
        }
        match once(parameters, "iss") {
            Some(issuer) if issuer != self.settings.issuer => return Err(mixed_up()),
            None if metadata.names_itself() => return Err(mixed_up()),
            Some(_) | None => {}
        }
        if let Some(code) = once(parameters, "error") {
            return Err(declined(code));
        }
        let code = once(parameters, "code").filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| stale("its answer brings no code"))?;
        let _place = self.exchanges.try_acquire().map_err(|_all_taken| Error::Refused {
            rule: "sign-in-busy",
            message: "too many people sign in at this moment".into(),
            hint: Some("try again in a minute".into()),
        })?;
        let tokens = self.exchange(&metadata, base, code, proof).await?;
        let id_token = tokens.extra_fields().id_token.as_deref().ok_or_else(|| Error::Refused {
            rule: "id-token",
            message: "the provider did not say who signed in: its answer has no ID token".into(),
            hint: Some("`sign-in.oidc.scopes` must contain `openid`, and the client be allowed it".into()),
        })?;
        let access = tokens.access_token().secret();
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: &self.derived("nonce", proof),
            access_token: access,
            now: self.outside.now(),
        };
        let (algorithm, kid) = id_token::head(id_token, metadata.algorithms())?;
        let key = self.key(&metadata, algorithm, kid.as_deref()).await?;
        let claims = id_token::verified(id_token, &key, algorithm)?;
        let subject = id_token::judge(&claims, algorithm, &expected)?;
        self.account(&metadata, subject, claims, access).await
    }

    /// What the account is called: the ID token says so, or the provider's endpoint for that.
    async fn account(
        &self,
        metadata: &Metadata,
        subject: String,
        claims: Map<String, Json>,
        access_token: &str,
    ) -> Result<Account, Error> {
        let claim = self.settings.account_claim.as_str();
        let mut told = claims;
        if !told.contains_key(claim)
            && let Some(url) = metadata.userinfo()
        {
            let (status, body) = self.userinfo(url, access_token).await?;
            let found = serde_json::from_slice::<Map<String, Json>>(&body).ok().filter(|_| status == StatusCode::OK);
            // Core section 5.3.2: what it says is of this account, or of no use.
            told = found.filter(|found| found.get("sub").and_then(Json::as_str) == Some(&subject)).unwrap_or_default();
        }
        let name = told.get(claim).and_then(Json::as_str).map(str::trim);
        let name = name.filter(|name| !name.is_empty() && name.chars().count() <= NAME && !name.chars().any(shifty));
        let owned = claim != "email" || told.get("email_verified").is_some_and(|told| *told == true || *told == "true");
        Ok(Account { subject, name: name.map(str::to_owned), owned })
    }

    async fn userinfo(&self, url: &Url, access_token: &str) -> Result<(StatusCode, Zeroizing<Vec<u8>>), Error> {
        let mut request = Request::new(Bytes::new());
        let bearer = HeaderValue::try_from(format!("Bearer {access_token}"));
        let mut bearer = bearer.map_err(|_unprintable| stale("its access token can't be sent"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let Fetched { status, body } = self.ask(url, request).await?;
        Ok((status, body))
    }

    async fn exchange(&self, metadata: &Metadata, base: &Url, code: &str, proof: &str) -> Result<Tokens, Error> {
        let client = self.client(metadata, base)?;
        let http = Relay { provider: self, url: metadata.token() };
        let verifier = PkceCodeVerifier::new(self.derived("verifier", proof));
        let asked = client.exchange_code(AuthorizationCode::new(code.to_owned())).set_pkce_verifier(verifier);
        asked.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::Request(error) => Error::from(error),
            RequestTokenError::ServerResponse(answer) => not_taken(answer.error()),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Error::Upstream {
                rule: "response",
                message: "the provider's token endpoint answered what is no answer of one".into(),
                hint: None,
                denied: false,
            },
        })
    }

    fn client(&self, metadata: &Metadata, base: &Url) -> Result<Client, Error> {
        let Settings { client_id, client_secret, .. } = &self.settings;
        let client = oauth2::Client::new(ClientId::new(client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(metadata.authorization().clone()))
            .set_token_uri(TokenUrl::from_url(metadata.token().clone()))
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri(base)))
            .set_auth_type(metadata.authentication(client_secret.is_some())?);
        Ok(match client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        })
    }

    async fn ask(&self, url: &Url, mut request: Request<Bytes>) -> Result<Fetched, EgressError> {
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let fetch = Fetch { pool_key: "sign-in", url, request, within: WITHIN, most: ANSWER };
        self.egress.fetch(fetch, &self.outside).await
    }

    /// A document of the provider.
    async fn document(&self, url: &Url) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        let Fetched { status, body } = self.ask(url, request).await?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let place = url.path();
        let message = format!("the provider answered {} for {place}", status.as_u16());
        Err(Error::Upstream { rule: "response", message, hint: None, denied: false })
    }

    /// A keyed hash of what a browser is known again by.
    fn derived(&self, what: &str, proof: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("HMAC takes keys of any length");
        for part in [what.as_bytes(), b"\0", proof.as_bytes()] {
            mac.update(part);
        }
        BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    fn first_use(&self, state: &str, begun: Timestamp) -> bool {
        let hash: [u8; 32] = Sha256::digest(state).into();
        let now = self.outside.now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|(begun, _)| begun.saturating_add(LASTS).is_ok_and(|until| until >= now));
        if used.iter().any(|(_, known)| *known == hash) {
            return false;
        }
        if used.len() == USED {
            used.pop_front();
        }
        used.push_back((begun, hash));
        true
    }
}

/// Why nobody came back.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// Anybody can make such a callback up, so nothing of it is kept.
    Foreign(Error),
    /// It was begun here, in this browser.
    Own(Error),
}

/// What has to be registered at the provider.
pub(crate) fn redirect_uri(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(CALLBACK);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// When a sign-in began, as its proof says.
fn begun(proof: &str) -> Option<Timestamp> {
    let (seconds, _random) = proof.split_once('.')?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

fn once<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What could make a line say something else than it does.
fn shifty(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn stale(what: &str) -> Error {
    Error::Refused {
        rule: "sign-in-state",
        message: format!("this sign-in can't be finished: {what}"),
        hint: Some("sign in again".into()),
    }
}

fn mixed_up() -> Error {
    Error::Refused {
        rule: "sign-in-issuer",
        message: "this sign-in can't be finished: the answer is of another provider than the one that you were sent to"
            .into(),
        hint: Some("sign in again; if it happens once more, tell whoever runs this server".into()),
    }
}

/// A word of the provider, where it is one.
fn word(code: &str) -> &str {
    let legal = |c: char| c.is_ascii_lowercase() || c == '_';
    if code.len() <= 60 && !code.is_empty() && code.chars().all(legal) { code } else { "an error" }
}

fn declined(code: &str) -> Error {
    let message = match code {
        "access_denied" => "the provider did not let you in: you declined, or may not use this application".to_owned(),
        other => format!("the provider broke the sign-in off and says `{}`", word(other)),
    };
    Error::Refused { rule: "sign-in-declined", message, hint: Some("sign in again".into()) }
}

fn not_taken(code: &BasicErrorResponseType) -> Error {
    let hint = match code {
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            "whoever runs this server checks client-id and secret in [sign-in.oidc] of turnbuckle.toml"
        }
        _ => "sign in again",
    };
    let message = format!("the provider did not take the sign-in's code and says `{}`", word(code.as_ref()));
    Error::Refused { rule: "sign-in-code", message, hint: Some(hint.into()) }
}

/// What is known of the provider, fetched where it is due.
impl Provider {
    /// What the provider says of itself.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, Error> {
        let mut known = self.metadata.lock().await;
        let now = self.outside.now();
        if let Some(settled) = known.settled(now) {
            return settled;
        }
        let fetched = match Metadata::place(&self.settings.issuer) {
            Ok(place) => self.document(&place).await.and_then(|text| Metadata::read(&self.settings.issuer, &text)),
            Err(error) => Err(error),
        };
        known.keep(fetched, now)
    }

    /// Asks the provider now, whatever is known: what it says of itself, and how many of its keys fit.
    pub(crate) async fn look(&self) -> Result<(Arc<Metadata>, usize), Error> {
        *self.metadata.lock().await = Known::default();
        let metadata = self.metadata().await?;
        metadata.authentication(self.settings.client_secret.is_some())?;
        let mut keys = self.keys.lock().await;
        keys.read(&metadata, &self.document(metadata.keys()).await?, self.outside.now())?;
        Ok((metadata, keys.len()))
    }

    /// The key that a token names. One that is not known is looked for at the provider, but not all the time.
    async fn key(
        &self,
        metadata: &Metadata,
        algorithm: jsonwebtoken::Algorithm,
        kid: Option<&str>,
    ) -> Result<jsonwebtoken::jwk::Jwk, Error> {
        let mut keys = self.keys.lock().await;
        let now = self.outside.now();
        let mut found = keys.find(metadata, algorithm, kid);
        if keys.due(metadata, found.is_some(), now) {
            let fetched = self.document(metadata.keys()).await;
            match fetched.and_then(|text| keys.read(metadata, &text, now)) {
                Ok(()) => found = keys.find(metadata, algorithm, kid),
                // Keys that were good an hour ago are better than nobody getting in.
                Err(error) if found.is_some() => tracing::warn!(%error, "the provider's keys could not be looked up"),
                Err(error) => return Err(error),
            }
        }
        found.ok_or_else(|| id_token::Bad::UnknownKey.into())
    }
}
