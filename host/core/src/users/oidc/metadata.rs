//! What a provider says of itself (OpenID Connect Discovery 1.0), its keys (RFC 7517), and how long that is believed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use oauth2::AuthType;
use serde::Deserialize;
use serde_json::Value as Json;
use url::Url;

use crate::model::error::Error;

/// Both documents are looked at again after so long.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// What is known serves on for so long where the provider does not answer.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// Between two tries that fail, and between two looks for a key that is not there.
const FAILED: SignedDuration = SignedDuration::from_secs(5);
const UNKNOWN: SignedDuration = SignedDuration::from_secs(60);
/// More keys than any provider rotates.
const KEYS: usize = 100;
/// Public keys sign them. No `none`, and nothing that a client's secret or a public key taken for one could sign.
const TAKEN: [(Algorithm, &str); 9] = [
    (Algorithm::RS256, "RS256"),
    (Algorithm::RS384, "RS384"),
    (Algorithm::RS512, "RS512"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::PS384, "PS384"),
    (Algorithm::PS512, "PS512"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::ES384, "ES384"),
    (Algorithm::EdDSA, "EdDSA"),
];

#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What a provider says of itself, judged.
#[derive(Debug)]
pub(crate) struct Metadata {
    document: Document,
    algorithms: Vec<Algorithm>,
}

impl Metadata {
    /// Where it stands.
    pub(super) fn place(issuer: &str) -> Result<Url, Error> {
        let text = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Url::parse(&text).map_err(|error| unfit(&format!("{text} is no URL: {error}")))
    }

    pub(super) fn read(issuer: &str, text: &[u8]) -> Result<Self, Error> {
        let document: Document = serde_json::from_slice(text)
            .map_err(|error| unfit(&format!("its document is not that of an OpenID provider: {error}")))?;
        if document.issuer != issuer {
            let words =
                format!("it calls itself `{}`, and `sign-in.oidc.issuer` is `{issuer}`", shown(&document.issuer));
            return Err(unfit(&words));
        }
        // What the operator trusts by plain http is this one origin.
        let own = Url::parse(issuer).map(|url| url.origin());
        let endpoints = [
            ("authorization_endpoint", Some(&document.authorization_endpoint)),
            ("token_endpoint", Some(&document.token_endpoint)),
            ("jwks_uri", Some(&document.jwks_uri)),
            ("userinfo_endpoint", document.userinfo_endpoint.as_ref()),
        ];
        for (name, url) in endpoints {
            let fits = |url: &Url| url.scheme() == "https" || Ok(url.origin()) == own;
            if let Some(url) = url.filter(|url| !fits(url)) {
                return Err(unfit(&format!("its {name}, {}, is not reached by https", shown(url.as_str()))));
            }
        }
        let said = &document.id_token_signing_alg_values_supported;
        let algorithms = TAKEN.into_iter().filter(|(_, name)| said.iter().any(|said| said == name));
        let algorithms: Vec<_> = algorithms.map(|(algorithm, _)| algorithm).collect();
        if algorithms.is_empty() {
            let taken: Vec<_> = TAKEN.into_iter().map(|(_, name)| name).collect();
            return Err(unfit(&format!("it signs ID tokens by none of {}", taken.join(", "))));
        }
        if let Some(methods) = &document.code_challenge_methods_supported
            && !methods.iter().any(|method| method == "S256")
        {
            return Err(unfit("it does not know PKCE by S256"));
        }
        Ok(Self { document, algorithms })
    }

    pub(super) fn authorization(&self) -> &Url {
        &self.document.authorization_endpoint
    }

    pub(super) fn token(&self) -> &Url {
        &self.document.token_endpoint
    }

    pub(super) fn keys(&self) -> &Url {
        &self.document.jwks_uri
    }

    pub(super) fn userinfo(&self) -> Option<&Url> {
        self.document.userinfo_endpoint.as_ref()
    }

    /// By what it may sign that somebody signed in.
    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether its answers to a browser say whose they are (RFC 9207).
    pub(super) fn names_itself(&self) -> bool {
        self.document.authorization_response_iss_parameter_supported
    }

    /// How this host proves to the provider who it is.
    pub(super) fn authentication(&self, secret: bool) -> Result<AuthType, Error> {
        // Discovery section 3: `client_secret_basic` where nothing is said.
        let said = self.document.token_endpoint_auth_methods_supported.as_deref();
        let takes =
            |wanted: &str| said.map_or(wanted == "client_secret_basic", |said| said.iter().any(|said| said == wanted));
        match secret {
            // Not every provider says that it takes public clients.
            false => Ok(AuthType::RequestBody),
            true if takes("client_secret_basic") => Ok(AuthType::BasicAuth),
            true if takes("client_secret_post") => Ok(AuthType::RequestBody),
            true => {
                Err(unfit("its token endpoint takes a secret neither as client_secret_basic nor as client_secret_post"))
            }
        }
    }

    /// Where people are sent, for whoever looks.
    pub(crate) fn shown(&self) -> (String, Vec<String>) {
        let names = TAKEN.into_iter().filter(|(algorithm, _)| self.algorithms.contains(algorithm));
        (shown(self.authorization().as_str()), names.map(|(_, name)| name.to_owned()).collect())
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !super::shifty(*c)).take(200).collect()
}

fn unfit(words: &str) -> Error {
    Error::Upstream {
        rule: "provider-unfit",
        message: format!("the OpenID provider can't be used: {words}"),
        hint: Some("whoever runs this server looks with `turnbuckle doctor`".into()),
        denied: false,
    }
}

/// What is known of a provider at a moment.
#[derive(Debug, Default)]
pub(super) struct Known {
    metadata: Option<(Timestamp, Arc<Metadata>)>,
    failed: Option<(Timestamp, Error)>,
}

impl Known {
    /// None where it is to be asked.
    pub(super) fn settled(&self, now: Timestamp) -> Option<Result<Arc<Metadata>, Error>> {
        if let Some((at, metadata)) = &self.metadata
            && now.duration_since(*at) < FRESH
        {
            return Some(Ok(Arc::clone(metadata)));
        }
        let (at, error) = self.failed.as_ref()?;
        if now.duration_since(*at) >= FAILED {
            return None;
        }
        Some(self.older(now).map_or_else(|| Err(error.told()), Ok))
    }

    pub(super) fn keep(&mut self, fetched: Result<Metadata, Error>, now: Timestamp) -> Result<Arc<Metadata>, Error> {
        match fetched {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *self = Self { metadata: Some((now, Arc::clone(&metadata))), failed: None };
                Ok(metadata)
            }
            Err(error) => {
                tracing::warn!(%error, "the OpenID provider could not be asked what it says of itself");
                self.failed = Some((now, error.told()));
                self.older(now).ok_or(error)
            }
        }
    }

    fn older(&self, now: Timestamp) -> Option<Arc<Metadata>> {
        let (at, metadata) = self.metadata.as_ref()?;
        (now.duration_since(*at) < STALE).then(|| Arc::clone(metadata))
    }
}

/// A provider's keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// When they were read, and where.
    read: Option<(Timestamp, Url)>,
    keys: Vec<Jwk>,
}

impl Keys {
    /// Takes what can be used of a document; what it does not know is somebody else's.
    pub(super) fn read(&mut self, metadata: &Metadata, text: &[u8], now: Timestamp) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Json>,
        }
        let set: Set = serde_json::from_slice(text)
            .map_err(|error| unfit(&format!("what it publishes as its keys is no key set: {error}")))?;
        let usable = |key: Json| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            metadata.algorithms.iter().any(|algorithm| fits(&key, *algorithm)).then_some(key)
        };
        let keys: Vec<_> = set.keys.into_iter().take(KEYS).filter_map(usable).collect();
        if keys.is_empty() {
            return Err(unfit("it publishes no key that it could sign ID tokens with"));
        }
        *self = Self { read: Some((now, metadata.keys().clone())), keys };
        Ok(())
    }

    /// Whether to look at the provider again.
    pub(super) fn due(&self, metadata: &Metadata, found: bool, now: Timestamp) -> bool {
        match &self.read {
            Some((at, place)) if place == metadata.keys() => {
                now.duration_since(*at) >= if found { FRESH } else { UNKNOWN }
            }
            Some(_) | None => true,
        }
    }

    /// The key of this id. A token that names none is by the only one that could have signed it.
    pub(super) fn find(&self, metadata: &Metadata, algorithm: Algorithm, kid: Option<&str>) -> Option<Jwk> {
        self.read.as_ref().filter(|(_, place)| place == metadata.keys())?;
        let mut fitting = self.keys.iter().filter(|key| fits(key, algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.common.key_id.as_deref() == Some(kid)).cloned(),
            None => fitting.next().filter(|_| fitting.next().is_none()).cloned(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Whether a key may have signed by this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let meant = !matches!(&key.common.public_key_use, Some(given) if *given != PublicKeyUse::Signature);
    let name = TAKEN.iter().find(|(taken, _)| *taken == algorithm).map(|(_, name)| *name);
    let said = key.common.key_algorithm.as_ref().map(ToString::to_string);
    let named = said.is_none_or(|said| Some(said.as_str()) == name);
    let kind = match (&key.algorithm, algorithm) {
        (
            AlgorithmParameters::RSA(_),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512,
        ) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES384) => key.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    meant && named && kind
}
