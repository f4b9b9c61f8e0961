//! `[sign-in]`: how people sign in to the console, besides links and tokens.

use std::path::PathBuf;

use serde::Deserialize;
use url::{Host, Url};

use crate::egress::AllowEntry;
use crate::model::error::FieldProblem;
use crate::model::origin::Origin;
use crate::model::secret::Secret;

/// The variable that holds the client's secret: a secret stands in no file that others read along.
pub(super) const SECRET: &str = "TURNBUCKLE_SIGN_IN_OIDC_CLIENT_SECRET";
const LABEL: usize = 40;

/// `[sign-in]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct SignInConfig {
    /// An OpenID provider whose accounts may be bound to users; none where nothing is said.
    pub oidc: Option<OidcConfig>,
}

/// `[sign-in.oidc]`: an OpenID provider, and this host as a client of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct OidcConfig {
    /// The provider's issuer URL, letter by letter as the provider itself writes it.
    pub issuer: String,
    /// The id under which this host is registered there.
    pub client_id: String,
    /// A file with the client's secret; a client without one is public.
    pub client_secret_file: Option<PathBuf>,
    /// The secret itself: only from the environment, as `TURNBUCKLE_SIGN_IN_OIDC_CLIENT_SECRET`.
    #[serde(skip)]
    pub client_secret: Option<Secret>,
    /// What is asked for; `openid`, `profile` and `email` where nothing is said.
    pub scopes: Vec<String>,
    /// What the button says, behind "Sign in with"; the provider's host where nothing is said.
    pub label: Option<String>,
    /// The claim that says what an account is called: `email`.
    pub account_claim: String,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret_file: None,
            client_secret: None,
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            label: None,
            account_claim: "email".to_owned(),
        }
    }
}

impl OidcConfig {
    pub(super) fn check(&self, allow: &[String], problems: &mut Vec<FieldProblem>) {
        let mut wrong =
            |key: &str, words: String| problems.push(FieldProblem::new(format!("sign-in.oidc.{key}"), words));
        if let Err(words) = issuer(&self.issuer, allow) {
            wrong("issuer", words);
        }
        if self.client_id.trim().is_empty() {
            wrong("client-id", "is required: the id under which this host is registered at the provider".into());
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            let words = format!("{SECRET} is set too; keep one of them, so that it is plain which secret is in use");
            wrong("client-secret-file", words);
        }
        // RFC 6749 section 3.3.
        let legal = |scope: &str| {
            !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        if let Some(bad) = self.scopes.iter().find(|scope| !legal(scope)) {
            wrong("scopes", format!("`{bad}` is no scope: one word each, without quotes"));
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            wrong("scopes", "must contain `openid`: without it the provider does not say who signed in".into());
        }
        if let Some(label) = &self.label
            && (label.trim().is_empty() || label.chars().count() > LABEL || label.chars().any(char::is_control))
        {
            wrong("label", format!("must be one line of 1 to {LABEL} characters"));
        }
        if self.account_claim.trim().is_empty() {
            wrong("account-claim", "must be the name of a claim, such as `email` or `preferred_username`".into());
        }
    }
}

/// An https URL; by plain http only on this machine, and only where the operator opened that origin.
fn issuer(text: &str, allow: &[String]) -> Result<(), String> {
    const SHAPE: &str = "must be the provider's issuer URL, as in https://login.example.com";
    if text.is_empty() {
        return Err("is required: the provider's issuer URL, as in https://login.example.com".into());
    }
    let url = Url::parse(text).map_err(|error| format!("{SHAPE}: {error}"))?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{SHAPE}, without user, query and fragment"));
    }
    let Some(origin) = Origin::of(&url) else { return Err(SHAPE.into()) };
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if !loopback => Err(format!("{SHAPE}: by plain http anybody on the way could sign in as anybody")),
        "http" => {
            let opens = |entry: &String| matches!(entry.parse(), Ok(AllowEntry::Origin(opened)) if opened == origin);
            let words = || format!("by plain http only where `allow` of `[egress]` opens it: add \"{origin}\"");
            allow.iter().any(opens).then_some(()).ok_or_else(words)
        }
        _ => Err(SHAPE.into()),
    }
}
