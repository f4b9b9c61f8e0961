//! What is made of each request as a whole: signatures, by the host and by a connector's own code.
//!
//! A signature comes last, over the URL and the body that leave. It goes to the wire and nowhere else: whoever asked for the
//! request never reads it, not even where the service repeats it.

use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use sha2::Digest as _;
use url::Url;
use zeroize::Zeroizing;

use super::attach::{Proof, is_form};
use super::error::EgressError;
use super::keys::Keys;
use super::oauth1;
use super::permit::Permit;
use super::policy;

/// A shorter piece of a header is a name or a number that answers hold by chance.
const RECOGNISED: usize = 16;
const HEADERS: usize = 32;

/// A request as it will leave, but for its signature and for what is secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body_sha256: [u8; 32],
    /// Seconds since 1970.
    pub(crate) timestamp: u64,
}

/// Why a connector did not sign, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SignFailure {
    pub(crate) message: String,
}

/// A connector's own code: a request in, the headers that sign it out. The keys are those of the connection, for this once.
pub(crate) type Signer = Arc<dyn Fn(SignRequest, Arc<Keys>) -> Signing + Send + Sync>;
/// The answer of a [`Signer`].
pub(crate) type Signing = Pin<Box<dyn Future<Output = Result<Vec<(String, String)>, SignFailure>> + Send>>;

/// A request's head on its way.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

/// Signs where the permit says so. `shown` is the head without secrets; `body` is empty where it is still being written, which
/// is only where no signature covers it. Gives what must not come back.
pub(super) async fn prove(
    permit: &Permit,
    head: &mut Head,
    shown: Option<Head>,
    body: &[u8],
) -> Result<Vec<Zeroizing<String>>, EgressError> {
    match &permit.attachments.proof {
        None | Some(Proof::Digest(_)) => Ok(Vec::new()),
        Some(Proof::Oauth1(credentials)) => {
            let form = is_form(&head.headers).then_some(body);
            let target = oauth1::Target { method: &head.method, url: &head.url, form };
            let nonce = hex::encode(permit.outside.random::<16>());
            let signed = credentials.sign(target, &nonce, permit.outside.now().as_second())?;
            head.headers.insert(header::AUTHORIZATION, signed.authorization);
            Ok(vec![signed.signature])
        }
        Some(Proof::Sigv4(credentials)) => {
            let now = permit.outside.now();
            let Head { method, url, headers } = head;
            Ok(vec![credentials.sign(method, url, headers, body, now)?])
        }
        Some(Proof::Signed) => {
            let (Some(signer), Some(keys), Some(shown)) = (&permit.signer, &permit.keys, shown) else {
                return Err(EgressError::attach("the connector signs nothing: it exports no `signer`"));
            };
            let request = request(permit, &shown, body);
            let answered = signer(request, Arc::clone(keys)).await;
            let headers = answered.map_err(|failure| {
                let words: String = permit.redact(&failure.message).chars().take(400).collect();
                EgressError::attach(format!("the connector's signer says: {words}"))
            })?;
            attach(permit, head, headers)
        }
    }
}

fn request(permit: &Permit, shown: &Head, body: &[u8]) -> SignRequest {
    // What a guest wrote holds no secret, and what is attached was left out; this is for what nobody thought of.
    let headers = shown
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), permit.redact(value.to_str().ok()?))))
        .collect();
    SignRequest {
        method: shown.method.as_str().to_owned(),
        url: permit.redact(shown.url.as_str()),
        headers,
        body_sha256: sha2::Sha256::digest(body).into(),
        timestamp: u64::try_from(permit.outside.now().as_second()).unwrap_or_default(),
    }
}

/// Judges what a signer answered, as the headers of a guest and of a placement are judged together.
fn attach(
    permit: &Permit,
    head: &mut Head,
    signed: Vec<(String, String)>,
) -> Result<Vec<Zeroizing<String>>, EgressError> {
    if signed.is_empty() || signed.len() > HEADERS {
        return Err(EgressError::attach("the connector's signer answers with no header, or with too many"));
    }
    let mut taken = Vec::with_capacity(signed.len());
    let mut secrets = Vec::new();
    for (name, value) in signed {
        let value = Zeroizing::new(value);
        let Ok(name) = name.parse::<HeaderName>() else {
            return Err(EgressError::attach("the connector's signer answers with a name that no header may have"));
        };
        if policy::host_only(&name) || matches!(name, header::CONTENT_LENGTH | header::ACCEPT_ENCODING | header::COOKIE)
        {
            return Err(EgressError::attach("the connector's signer writes a header that is the host's alone"));
        }
        if permit.attachments.owned.header(&name) || head.headers.contains_key(&name) || taken.contains(&name) {
            return Err(EgressError::attach("the connector's signer writes a header that is there already"));
        }
        let Ok(mut text) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(EgressError::attach("the connector's signer answers with a line break or a control character"));
        };
        text.set_sensitive(true);
        head.headers.insert(name.clone(), text);
        taken.push(name);
        // A service may repeat the signature without what stands around it.
        let pieces = value.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';' | ':' | '=' | '"' | '&'));
        secrets.extend(pieces.filter(|piece| piece.len() >= RECOGNISED).map(|piece| Zeroizing::new(piece.to_owned())));
        if value.len() >= RECOGNISED {
            secrets.push(value);
        }
    }
    Ok(secrets)
}
