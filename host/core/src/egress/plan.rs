//! Whether the answer of a connector's `authenticate` may be kept: everything that can be judged without a value.

use std::collections::HashSet;

use http::HeaderName;
use url::Url;

use super::expand::{self, UUID};
use super::{oauth1, policy, sigv4};
use crate::model::authentication::{
    Authentication, Body, Capture, Derivation, Oauth1, Parameter, Placement, Request, Sigv4, Source,
};
use crate::model::descriptor::SignIn;
use crate::model::id;
use crate::model::origin::Origin;
use crate::model::template::{Template, TemplateError};

const PLACEMENTS: usize = 32;
const DERIVED: usize = 16;
const REQUESTS: usize = 8;
const PARAMETERS: usize = 64;
const TEXT: usize = 16 << 10;
const NAME: usize = 128;
/// A week for a signed token is a credential of its own; the contract's services ask for an hour at most.
const JWT_LIFETIME: std::ops::RangeInclusive<u32> = 1..=86_400;
/// What only the requests of a grant may name.
const OF_A_GRANT: [&str; 3] = ["redirect-uri", "state", "code-verifier"];
/// Captured unasked (RFC 6749 section 5.1).
const CAPTURED: [&str; 3] = ["access-token", "refresh-token", "expires-in"];

/// One thing that is wrong with a plan, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanProblem {
    /// Such as `placements[0].header`.
    pub(crate) at: String,
    pub(crate) fault: PlanFault,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanFault {
    #[error("is no template: {0}")]
    Template(TemplateError),
    #[error("names `{name}`, which is no field, no captured or derived value, and none of the host's")]
    Unknown { name: String },
    #[error("names the secret `{name}`, which may not stand here")]
    SecretHere { name: String },
    #[error("has line breaks or control characters in its own text")]
    Control,
    #[error("is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("has more than {limit} entries")]
    TooMany { limit: usize },
    #[error("`{name}` is no legal name here")]
    BadName { name: String },
    #[error("the header `{name}` is written by the host alone")]
    HostHeader { name: String },
    #[error("`{name}` stands there twice")]
    Twice { name: String },
    #[error("is outside the connector's origins")]
    OutsideOrigins,
    #[error("is not allowed where the protocol signs in by {sign_in}")]
    SignIn { sign_in: &'static str },
    #[error("is missing, though the protocol signs in by {sign_in}")]
    Missing { sign_in: &'static str },
    #[error("must be from {from} to {to}")]
    Range { from: u32, to: u32 },
    #[error("must begin with `/` and be a plain path")]
    Path,
    #[error("cannot share a body with {other}")]
    Mixed { other: &'static str },
    #[error("is made of the whole request, as another placement is: neither could cover the other")]
    Uncovered,
    #[error("holds a secret, though `signed` shows the body's hash to the connector")]
    Hashed,
    #[error("is no JSON object")]
    NoObject,
}

impl std::fmt::Display for PlanProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.at, self.fault)
    }
}

/// Everything that is wrong with a plan; nothing where it may be kept.
pub(crate) fn check_plan(
    plan: &Authentication,
    origins: &[String],
    public_names: &[String],
    secret_names: &[String],
    sign_in: SignIn,
) -> Vec<PlanProblem> {
    let names = public_names.iter().chain(secret_names).cloned().collect();
    let mut check = Check {
        problems: Vec::new(),
        names,
        secrets: secret_names.iter().cloned().collect(),
        origins,
        granting: false,
    };
    check.sign_in(plan, sign_in);
    // Captures are known everywhere behind them; the order of the steps is the order in which they run.
    if !plan.grant.is_empty() {
        check.names.extend(CAPTURED.map(str::to_owned));
        check.secrets.extend(CAPTURED.map(str::to_owned));
    }
    check.captures_of(plan);
    check.derived(plan);
    check.grant(plan);
    check.placements("placements", &plan.placements);
    check.problems
}

struct Check<'a> {
    problems: Vec<PlanProblem>,
    names: HashSet<String>,
    secrets: HashSet<String>,
    origins: &'a [String],
    /// Whether the text belongs to a grant, which knows more of the host's names.
    granting: bool,
}

impl Check<'_> {
    fn problem(&mut self, at: impl Into<String>, fault: PlanFault) {
        self.problems.push(PlanProblem { at: at.into(), fault });
    }

    fn count(&mut self, at: &str, count: usize, limit: usize) {
        if count > limit {
            self.problem(at, PlanFault::TooMany { limit });
        }
    }

    fn sign_in(&mut self, plan: &Authentication, sign_in: SignIn) {
        let grant = &plan.grant;
        let word = match sign_in {
            SignIn::None => "nothing beyond its fields",
            SignIn::Unattended => "requests alone",
            SignIn::Browser => "a browser",
        };
        match sign_in {
            SignIn::None if !grant.is_empty() => self.problem("grant", PlanFault::SignIn { sign_in: word }),
            SignIn::Browser | SignIn::Unattended if grant.is_empty() => {
                self.problem("grant", PlanFault::Missing { sign_in: word });
            }
            SignIn::Unattended if grant.authorization.is_some() => {
                self.problem("grant.authorization", PlanFault::SignIn { sign_in: word });
            }
            SignIn::Browser if grant.authorization.is_none() => {
                self.problem("grant.authorization", PlanFault::Missing { sign_in: word });
            }
            SignIn::None | SignIn::Unattended | SignIn::Browser => {}
        }
    }

    fn captures_of(&mut self, plan: &Authentication) {
        let grant = &plan.grant;
        let requests = [("prepare", &grant.prepare), ("token", &grant.token), ("refresh", &grant.refresh)];
        for (step, requests) in requests {
            for (index, request) in requests.iter().enumerate() {
                self.captures(&format!("grant.{step}[{index}].captures"), &request.captures, false);
            }
        }
        if let Some(authorization) = &grant.authorization {
            self.names.insert("code".to_owned());
            self.secrets.insert("code".to_owned());
            self.captures("grant.authorization.captures", &authorization.captures, true);
        }
    }

    fn captures(&mut self, at: &str, captures: &[Capture], callback: bool) {
        self.count(at, captures.len(), PARAMETERS);
        for (index, capture) in captures.iter().take(PARAMETERS).enumerate() {
            let at = format!("{at}[{index}]");
            if id::kebab(&capture.name).is_err() {
                self.problem(&at, PlanFault::BadName { name: shown(&capture.name) });
                continue;
            }
            let legal = match &capture.source {
                Source::Body(pointer) => pointer.is_empty() || pointer.starts_with('/'),
                Source::Header(name) => name.parse::<HeaderName>().is_ok(),
                Source::Cookie(name) => token(name),
                Source::Callback(name) => callback && !name.is_empty(),
            };
            if !legal {
                self.problem(&at, PlanFault::BadName { name: shown(&capture.name) });
            }
            self.names.insert(capture.name.clone());
            if !capture.visible {
                self.secrets.insert(capture.name.clone());
            }
        }
    }

    fn derived(&mut self, plan: &Authentication) {
        self.count("derived", plan.derived.len(), DERIVED);
        for (index, derived) in plan.derived.iter().take(DERIVED).enumerate() {
            let at = format!("derived[{index}]");
            let secret = match &derived.value {
                Derivation::Base64(template) => {
                    self.lasting_text(&at, template);
                    self.tainted(template)
                }
                Derivation::Jwt(jwt) => {
                    for (part, template) in [("key", &jwt.key), ("header", &jwt.header), ("claims", &jwt.claims)] {
                        self.lasting_text(&format!("{at}.{part}"), template);
                    }
                    for (part, template) in [("header", &jwt.header), ("claims", &jwt.claims)] {
                        if !expand::is_json_object(template) {
                            self.problem(format!("{at}.{part}"), PlanFault::NoObject);
                        }
                    }
                    if !JWT_LIFETIME.contains(&jwt.lifetime_seconds) {
                        let (from, to) = JWT_LIFETIME.into_inner();
                        self.problem(format!("{at}.lifetime-seconds"), PlanFault::Range { from, to });
                    }
                    true
                }
            };
            let name = &derived.name;
            if id::kebab(name).is_err() || name == UUID || OF_A_GRANT.contains(&name.as_str()) {
                self.problem(&at, PlanFault::BadName { name: shown(name) });
            } else if !self.names.insert(name.clone()) {
                self.problem(&at, PlanFault::Twice { name: shown(name) });
            } else if secret {
                self.secrets.insert(name.clone());
            }
        }
    }

    /// A value that is computed once, or that signs, cannot hold what is fresh in every request.
    fn lasting_text(&mut self, at: &str, template: &str) {
        if let Some(template) = self.template(at, template)
            && template.names().any(|name| name == UUID)
        {
            self.problem(at, PlanFault::Unknown { name: UUID.to_owned() });
        }
    }

    fn grant(&mut self, plan: &Authentication) {
        let grant = &plan.grant;
        self.granting = true;
        for (step, requests) in [
            ("prepare", &grant.prepare),
            ("token", &grant.token),
            ("refresh", &grant.refresh),
            ("revocation", &grant.revocation),
        ] {
            self.count(&format!("grant.{step}"), requests.len(), REQUESTS);
            for (index, request) in requests.iter().take(REQUESTS).enumerate() {
                self.request(&format!("grant.{step}[{index}]"), request);
            }
        }
        if let Some(authorization) = &grant.authorization {
            self.url("grant.authorization.url", &authorization.url);
            // A browser's address line is no place for a secret: the person, the history and the service all read it.
            self.public_text("grant.authorization.url", &authorization.url);
            let at = "grant.authorization.parameters";
            self.count(at, authorization.parameters.len(), PARAMETERS);
            for (index, parameter) in authorization.parameters.iter().take(PARAMETERS).enumerate() {
                self.template(&format!("{at}[{index}]"), &parameter.value);
                self.public_text(&format!("{at}[{index}]"), &parameter.value);
            }
        }
        self.granting = false;
    }

    fn request(&mut self, at: &str, request: &Request) {
        let method = http::Method::from_bytes(request.method.as_bytes());
        if !method.is_ok_and(|method| policy::permitted_method(&method)) {
            self.problem(format!("{at}.method"), PlanFault::BadName { name: shown(&request.method) });
        }
        self.url(&format!("{at}.url"), &request.url);
        self.placements(&format!("{at}.placements"), &request.placements);
        let at = format!("{at}.body");
        match &request.body {
            Body::None => {}
            Body::Form(parameters) => {
                self.count(&at, parameters.len(), PARAMETERS);
                for (index, parameter) in parameters.iter().take(PARAMETERS).enumerate() {
                    self.template(&format!("{at}[{index}]"), &parameter.value);
                }
            }
            Body::Json(template) => {
                self.template(&at, template);
            }
            Body::Text(media, template) => {
                if http::HeaderValue::from_str(media).is_err() || !media.contains('/') {
                    self.problem(&at, PlanFault::BadName { name: shown(media) });
                }
                self.template(&at, template);
            }
        }
    }

    fn placements(&mut self, at: &str, placements: &[Placement]) {
        self.count(at, placements.len(), PLACEMENTS);
        let mut owned = HashSet::new();
        let (mut form, mut pointer) = (false, false);
        let signed = placements.contains(&Placement::Signed);
        let mut proofs = 0;
        for (index, placement) in placements.iter().take(PLACEMENTS).enumerate() {
            let at = format!("{at}[{index}]");
            match placement {
                Placement::Header(parameter) => self.header(&format!("{at}.header"), parameter, &mut owned),
                Placement::Query(parameter) => {
                    self.named(&format!("{at}.query"), parameter, "query", &mut owned, |name| !name.is_empty());
                }
                Placement::Cookie(parameter) => {
                    self.named(&format!("{at}.cookie"), parameter, "cookie", &mut owned, token);
                }
                Placement::PathPrefix(template) => self.path_prefix(&format!("{at}.path-prefix"), template, &mut owned),
                Placement::Body(parameter) => {
                    let is_pointer = parameter.name.starts_with('/');
                    (form, pointer) = (form || !is_pointer, pointer || is_pointer);
                    if signed && self.tainted(&parameter.value) {
                        self.problem(format!("{at}.body"), PlanFault::Hashed);
                    }
                    self.named(&format!("{at}.body"), parameter, "body", &mut owned, |name| !name.is_empty());
                }
                Placement::Basic(basic) => {
                    self.lasting_text(&format!("{at}.basic.username"), &basic.username);
                    self.lasting_text(&format!("{at}.basic.password"), &basic.password);
                    self.own(&format!("{at}.basic"), "header", "authorization", &mut owned);
                }
                Placement::Digest(basic) => {
                    self.lasting_text(&format!("{at}.digest.username"), &basic.username);
                    self.lasting_text(&format!("{at}.digest.password"), &basic.password);
                    self.own(&format!("{at}.digest"), "header", "authorization", &mut owned);
                    self.proof(&format!("{at}.digest"), &mut proofs);
                }
                Placement::Oauth1(oauth1) => {
                    let at = format!("{at}.oauth1");
                    self.oauth1(&at, oauth1);
                    self.own(&at, "header", "authorization", &mut owned);
                    self.proof(&at, &mut proofs);
                }
                Placement::AwsSigv4(sigv4) => {
                    let at = format!("{at}.aws-sigv4");
                    self.sigv4(&at, sigv4);
                    for name in &sigv4::OWN {
                        self.own(&at, "header", name.as_str(), &mut owned);
                    }
                    self.proof(&at, &mut proofs);
                }
                Placement::ClientCertificate(certificate) => {
                    let at = format!("{at}.client-certificate");
                    self.lasting_text(&format!("{at}.chain"), &certificate.chain);
                    self.lasting_text(&format!("{at}.key"), &certificate.key);
                    self.own(&at, "connection", "client-certificate", &mut owned);
                }
                Placement::Signed => self.proof(&format!("{at}.signed"), &mut proofs),
            }
        }
        if form && pointer {
            self.problem(at, PlanFault::Mixed { other: "a JSON Pointer" });
        }
    }

    fn proof(&mut self, at: &str, proofs: &mut u32) {
        *proofs += 1;
        if *proofs > 1 {
            self.problem(at, PlanFault::Uncovered);
        }
    }

    fn oauth1(&mut self, at: &str, oauth1: &Oauth1) {
        self.lasting_text(&format!("{at}.consumer-key"), &oauth1.consumer_key);
        self.lasting_text(&format!("{at}.consumer-secret"), &oauth1.consumer_secret);
        for (part, text) in [("token", &oauth1.token), ("token-secret", &oauth1.token_secret)] {
            if let Some(text) = text {
                self.lasting_text(&format!("{at}.{part}"), text);
            }
        }
        self.count(&format!("{at}.parameters"), oauth1.parameters.len(), PARAMETERS);
        let mut names = HashSet::new();
        for (index, parameter) in oauth1.parameters.iter().take(PARAMETERS).enumerate() {
            let at = format!("{at}.parameters[{index}]");
            self.lasting_text(&at, &parameter.value);
            if !oauth1::may_add(&parameter.name) {
                self.problem(&at, PlanFault::BadName { name: shown(&parameter.name) });
            } else if !names.insert(&parameter.name) {
                self.problem(&at, PlanFault::Twice { name: shown(&parameter.name) });
            }
        }
    }

    fn sigv4(&mut self, at: &str, sigv4: &Sigv4) {
        // Both stand in the header that everyone on the way may log.
        for (part, text) in [("region", &sigv4.region), ("service", &sigv4.service)] {
            self.lasting_text(&format!("{at}.{part}"), text);
            self.public_text(&format!("{at}.{part}"), text);
        }
        self.lasting_text(&format!("{at}.access-key-id"), &sigv4.access_key_id);
        self.lasting_text(&format!("{at}.secret-access-key"), &sigv4.secret_access_key);
        if let Some(text) = &sigv4.session_token {
            self.lasting_text(&format!("{at}.session-token"), text);
        }
    }

    fn header(&mut self, at: &str, parameter: &Parameter, owned: &mut HashSet<(&'static str, String)>) {
        let Ok(name) = parameter.name.parse::<HeaderName>() else {
            return self.problem(at, PlanFault::BadName { name: shown(&parameter.name) });
        };
        // Lengths, codings and cookies have owners already: the host, the decoder, and the placement of that name.
        if policy::host_only(&name)
            || matches!(name, http::header::CONTENT_LENGTH | http::header::ACCEPT_ENCODING | http::header::COOKIE)
        {
            return self.problem(at, PlanFault::HostHeader { name: name.to_string() });
        }
        self.own(at, "header", name.as_str(), owned);
        if let Some(template) = self.template(at, &parameter.value) {
            self.literal(at, &template);
        }
    }

    fn named(
        &mut self,
        at: &str,
        parameter: &Parameter,
        kind: &'static str,
        owned: &mut HashSet<(&'static str, String)>,
        legal: impl Fn(&str) -> bool,
    ) {
        let name = &parameter.name;
        if name.len() > NAME || name.chars().any(char::is_control) || !legal(name) {
            return self.problem(at, PlanFault::BadName { name: shown(name) });
        }
        self.own(at, kind, name, owned);
        if let Some(template) = self.template(at, &parameter.value) {
            self.literal(at, &template);
        }
    }

    fn path_prefix(&mut self, at: &str, text: &str, owned: &mut HashSet<(&'static str, String)>) {
        self.own(at, "path", "path-prefix", owned);
        if let Some(template) = self.template(at, text) {
            self.literal(at, &template);
            let climbs = text.split('/').any(|segment| matches!(segment, "." | ".."));
            if !text.starts_with('/') || text.starts_with("//") || text.contains(['?', '#', '\\', '%']) || climbs {
                self.problem(at, PlanFault::Path);
            }
        }
    }

    fn own(&mut self, at: &str, kind: &'static str, name: &str, owned: &mut HashSet<(&'static str, String)>) {
        if !owned.insert((kind, name.to_ascii_lowercase())) {
            self.problem(at, PlanFault::Twice { name: shown(name) });
        }
    }

    fn literal(&mut self, at: &str, template: &Template) {
        // Doubled braces aside, printing gives the connector's own text back.
        if template.to_string().chars().any(|c| c.is_control() && c != '\t') {
            self.problem(at, PlanFault::Control);
        }
    }

    fn template(&mut self, at: &str, text: &str) -> Option<Template> {
        if text.len() > TEXT {
            self.problem(at, PlanFault::TooLong { limit: TEXT });
            return None;
        }
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                self.problem(at, PlanFault::Template(error));
                return None;
            }
        };
        for name in template.names() {
            let host = name == UUID || (self.granting && OF_A_GRANT.contains(&name));
            if !host && !self.names.contains(name) {
                self.problem(at, PlanFault::Unknown { name: name.to_owned() });
            }
        }
        Some(template)
    }

    fn public_text(&mut self, at: &str, text: &str) {
        let Ok(template) = Template::parse(text) else { return };
        for name in template.names().filter(|name| self.secrets.contains(*name)).map(str::to_owned).collect::<Vec<_>>()
        {
            self.problem(at, PlanFault::SecretHere { name });
        }
    }

    fn tainted(&self, text: &str) -> bool {
        Template::parse(text).is_ok_and(|template| template.names().any(|name| self.secrets.contains(name)))
    }

    /// A URL template begins with one of the origins, letter for letter where names stand in it. Its values are judged again
    /// when it is dialled.
    fn url(&mut self, at: &str, text: &str) {
        let Some(template) = self.template(at, text) else { return };
        self.literal(at, &template);
        let within = self.origins.iter().any(|origin| {
            let origin = origin.trim_end_matches('/');
            text.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        });
        // Browsers and this host read a backslash as a slash, others do not: no URL needs one.
        let plain = !text.contains('\\');
        if within && plain {
            return;
        }
        let start = text.find("://").map_or(0, |at| at + 3);
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let known = |origin: &Origin| self.origins.iter().any(|text| text.parse::<Origin>().as_ref() == Ok(origin));
        let literal = plain && !text[..end].contains(['{', '}', '@']);
        let origin = Url::parse(&text[..end]).ok().filter(|_| literal).as_ref().and_then(Origin::of);
        if !origin.as_ref().is_some_and(known) {
            self.problem(at, PlanFault::OutsideOrigins);
        }
    }
}

/// RFC 9110 section 5.6.2.
fn token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests;
