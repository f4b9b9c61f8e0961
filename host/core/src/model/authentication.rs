//! The plan that a connector's `authenticate` answers: what the host derives, obtains and attaches.
//!
//! Every text that may hold `{name}` is a template in the contract's sense; it is parsed by [`super::template`] and expanded
//! only by the host.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::template::Template;

/// A name and a template for its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    /// Header, query parameter, cookie, form field or JSON Pointer.
    pub(crate) name: String,
    /// The template.
    pub(crate) value: String,
}

/// A user name and a password, both templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basic {
    /// Template of the user name.
    pub(crate) username: String,
    /// Template of the password.
    pub(crate) password: String,
}

/// How an OAuth 1.0a request is signed (RFC 5849 section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Oauth1Signature {
    /// RFC 5849.
    HmacSha1,
    /// The same with SHA-256.
    HmacSha256,
    /// The secrets themselves, over TLS.
    Plaintext,
}

/// OAuth 1.0a (RFC 5849).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Oauth1 {
    /// The signature method.
    pub(crate) signature: Oauth1Signature,
    /// Template.
    pub(crate) consumer_key: String,
    /// Template.
    pub(crate) consumer_secret: String,
    /// Template.
    pub(crate) token: Option<String>,
    /// Template.
    pub(crate) token_secret: Option<String>,
    /// Further `oauth_` parameters, `realm` among them.
    pub(crate) parameters: Vec<Parameter>,
}

/// AWS Signature Version 4; every text is a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Sigv4 {
    /// Such as `eu-central-1`.
    pub(crate) region: String,
    /// Such as `s3`.
    pub(crate) service: String,
    /// Template.
    pub(crate) access_key_id: String,
    /// Template.
    pub(crate) secret_access_key: String,
    /// Template.
    pub(crate) session_token: Option<String>,
}

/// A client certificate for mutual TLS, both templates of PEM text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    /// Certificate chain.
    pub(crate) chain: String,
    /// Private key.
    pub(crate) key: String,
}

/// How a request proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Placement {
    /// A request header.
    Header(Parameter),
    /// A query parameter.
    Query(Parameter),
    /// A cookie.
    Cookie(Parameter),
    /// Text before the path.
    PathPrefix(String),
    /// A form field, or a JSON Pointer into a JSON body.
    Body(Parameter),
    /// RFC 7617.
    Basic(Basic),
    /// RFC 7616.
    Digest(Basic),
    /// RFC 5849.
    Oauth1(Oauth1),
    /// AWS Signature Version 4.
    AwsSigv4(Sigv4),
    /// Mutual TLS.
    ClientCertificate(Certificate),
    /// Whatever the connector's `signer` answers.
    Signed,
}

/// How a key's text stands for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Encoding {
    /// The text's own bytes.
    Text,
    /// RFC 4648.
    Base64,
    /// RFC 4648 section 8.
    Hex,
}

/// How a JWT is signed (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    /// HMAC SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 SHA-256.
    Rs256,
    /// RSASSA-PSS SHA-256.
    Ps256,
    /// ECDSA P-256 SHA-256.
    Es256,
}

/// A token that the host signs (RFC 7519).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Jwt {
    /// The signature algorithm.
    pub(crate) algorithm: Algorithm,
    /// Template of the key.
    pub(crate) key: String,
    /// How the key's text stands for bytes.
    pub(crate) key_encoding: Encoding,
    /// Template of a JSON object.
    pub(crate) header: String,
    /// Template of a JSON object.
    pub(crate) claims: String,
    /// `exp` minus `iat`.
    pub(crate) lifetime_seconds: u32,
}

/// How a derived value is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Derivation {
    /// Standard base64 of a template.
    Base64(String),
    /// A signed token.
    Jwt(Jwt),
}

/// A value that the host computes for templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Derived {
    /// How templates name it.
    pub(crate) name: String,
    /// How it is computed.
    pub(crate) value: Derivation,
}

/// Where a captured value stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// A JSON Pointer into the body; the empty pointer is the body as text.
    Body(String),
    /// A header.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A parameter of the callback.
    Callback(String),
}

/// A value kept from an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capture {
    /// How templates name it.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) source: Source,
    /// Whether it is a setting that the connector reads; else it is secret.
    pub(crate) visible: bool,
}

/// The body of a request that the host makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// `application/x-www-form-urlencoded`.
    Form(Vec<Parameter>),
    /// Template of JSON text.
    Json(String),
    /// Content type, then template.
    Text(String, String),
}

/// A request that the host makes to obtain a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// HTTP method.
    pub(crate) method: String,
    /// Template.
    pub(crate) url: String,
    /// How it authenticates.
    pub(crate) placements: Vec<Placement>,
    /// What it carries.
    pub(crate) body: Body,
    /// What is kept of the answer.
    pub(crate) captures: Vec<Capture>,
}

/// Where a person agrees in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authorization {
    /// Template.
    pub(crate) url: String,
    /// Whether a PKCE challenge is sent (RFC 7636).
    pub(crate) pkce: bool,
    /// Parameters that add, replace or remove.
    pub(crate) parameters: Vec<Parameter>,
    /// What is kept of the callback.
    pub(crate) captures: Vec<Capture>,
}

/// How a credential is obtained. All empty: the fields are the credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Grant {
    /// Before the browser.
    pub(crate) prepare: Vec<Request>,
    /// In the browser.
    pub(crate) authorization: Option<Authorization>,
    /// For the token.
    pub(crate) token: Vec<Request>,
    /// For the next token.
    pub(crate) refresh: Vec<Request>,
    /// At the end.
    pub(crate) revocation: Vec<Request>,
    /// Where no answer tells when the credential expires.
    pub(crate) lifetime_seconds: Option<u32>,
}

impl Placement {
    /// The templates that it expands.
    fn templates(&self) -> Vec<&str> {
        match self {
            Self::Header(parameter) | Self::Query(parameter) | Self::Cookie(parameter) | Self::Body(parameter) => {
                vec![&parameter.value]
            }
            Self::PathPrefix(template) => vec![template],
            Self::Basic(basic) | Self::Digest(basic) => vec![&basic.username, &basic.password],
            Self::Oauth1(oauth1) => {
                let mut templates = vec![oauth1.consumer_key.as_str(), &oauth1.consumer_secret];
                templates.extend(oauth1.token.as_deref());
                templates.extend(oauth1.token_secret.as_deref());
                templates.extend(oauth1.parameters.iter().map(|parameter| parameter.value.as_str()));
                templates
            }
            Self::AwsSigv4(sigv4) => {
                let mut templates =
                    vec![sigv4.region.as_str(), &sigv4.service, &sigv4.access_key_id, &sigv4.secret_access_key];
                templates.extend(sigv4.session_token.as_deref());
                templates
            }
            Self::ClientCertificate(certificate) => vec![&certificate.chain, &certificate.key],
            Self::Signed => Vec::new(),
        }
    }
}

/// Names in templates; a text that is none holds none.
fn names_in<'a>(templates: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let parsed = templates.into_iter().filter_map(|text| Template::parse(text).ok());
    parsed.flat_map(|template| template.names().map(str::to_owned).collect::<Vec<_>>()).collect()
}

impl Request {
    /// Every name that it takes a value of.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let mut templates = vec![self.url.as_str()];
        templates.extend(self.placements.iter().flat_map(Placement::templates));
        match &self.body {
            Body::None => {}
            Body::Form(parameters) => templates.extend(parameters.iter().map(|parameter| parameter.value.as_str())),
            Body::Json(template) | Body::Text(_, template) => templates.push(template),
        }
        names_in(templates)
    }
}

impl Authentication {
    /// Every name that its placements take a value of, by way of derived values too.
    pub(crate) fn needed_names(&self) -> BTreeSet<String> {
        let mut needed = names_in(self.placements.iter().flat_map(Placement::templates));
        // Each derived value may stand on those before it.
        for derived in self.derived.iter().rev() {
            if needed.contains(&derived.name) {
                needed.extend(names_in(derived.value.templates()));
            }
        }
        needed
    }

    /// Every name that its grant takes a value of.
    pub(crate) fn grant_names(&self) -> BTreeSet<String> {
        let grant = &self.grant;
        let requests = grant.prepare.iter().chain(&grant.token).chain(&grant.refresh);
        let mut names: BTreeSet<String> = requests.flat_map(Request::names).collect();
        if let Some(authorization) = &grant.authorization {
            names.extend(names_in([authorization.url.as_str()]));
            names.extend(names_in(authorization.parameters.iter().map(|parameter| parameter.value.as_str())));
        }
        for derived in self.derived.iter().rev() {
            if names.contains(&derived.name) {
                names.extend(names_in(derived.value.templates()));
            }
        }
        names
    }

    /// Every name in the URLs that its grant asks at or sends a person to.
    pub(crate) fn endpoint_names(&self) -> BTreeSet<String> {
        let grant = &self.grant;
        let requests = grant.prepare.iter().chain(&grant.token).chain(&grant.refresh).chain(&grant.revocation);
        let urls = requests.map(|request| request.url.as_str());
        names_in(urls.chain(grant.authorization.as_ref().map(|authorization| authorization.url.as_str())))
    }

    /// Every name that its grant captures.
    pub(crate) fn captured_names(&self) -> BTreeSet<String> {
        let grant = &self.grant;
        if grant.is_empty() {
            return BTreeSet::new();
        }
        let requests = grant.prepare.iter().chain(&grant.token).chain(&grant.refresh);
        let captures = requests.flat_map(|request| &request.captures);
        let captures = captures.chain(grant.authorization.iter().flat_map(|authorization| &authorization.captures));
        let unasked = [super::credential::ACCESS_TOKEN, super::credential::REFRESH_TOKEN];
        captures.map(|capture| capture.name.clone()).chain(unasked.map(str::to_owned)).collect()
    }
}

impl Derivation {
    fn templates(&self) -> Vec<&str> {
        match self {
            Self::Base64(template) => vec![template],
            Self::Jwt(jwt) => vec![&jwt.key, &jwt.header, &jwt.claims],
        }
    }
}

impl Grant {
    /// Whether the fields are the credential.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The whole answer of `authenticate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authentication {
    /// Computed values.
    pub(crate) derived: Vec<Derived>,
    /// How the credential is obtained.
    pub(crate) grant: Grant,
    /// Where it goes in a request.
    pub(crate) placements: Vec<Placement>,
}
