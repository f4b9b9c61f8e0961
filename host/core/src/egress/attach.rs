//! Credentials onto requests, after the request was judged.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::Value as Json;
use url::Url;
use zeroize::Zeroizing;

use super::certificate::Identity;
use super::digest;
use super::error::{Denied, EgressError, PermitError, Rule};
use super::expand::{self, Expanded, RESERVED, Values};
use super::{oauth1, sigv4};
use crate::model::authentication::{Basic, Parameter, Placement};
use crate::model::origin::Origin;

/// What is attached to each request of a connection.
#[derive(Default)]
pub(super) struct Attachments {
    headers: Vec<(HeaderName, Header)>,
    query: Vec<(String, Expanded)>,
    cookies: Vec<(String, Expanded)>,
    path_prefix: Option<Expanded>,
    body: Vec<(Target, Expanded)>,
    pub(super) proof: Option<Proof>,
    /// Whether a placement makes a proof, though its values may be missing.
    proves: bool,
    pub(super) certificate: Option<Identity>,
    /// Texts that placements made of secrets, so that they are taken out of answers as well.
    pub(super) composed: Vec<Zeroizing<String>>,
    pub(super) owned: Owned,
}

struct Header {
    text: HeaderText,
    secret: bool,
}

enum HeaderText {
    Constant(HeaderValue),
    Fresh(Expanded),
}

/// What is made of each request as a whole. One at most: of two, neither could cover the other.
pub(super) enum Proof {
    Digest(digest::Credentials),
    Oauth1(oauth1::Credentials),
    Sigv4(sigv4::Credentials),
    /// By the connector's own code.
    Signed,
}

/// Which of the attachments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// Those that the connector may see.
    Public,
}

/// Where a value goes in a body.
enum Target {
    Form(String),
    Pointer(String),
}

/// What the guest may not write, because a placement does.
#[derive(Default)]
pub(super) struct Owned {
    headers: Vec<HeaderName>,
    query: Vec<String>,
    cookies: Vec<String>,
    /// Whether a credential stands in bodies, which a service may keep and hand out in pieces.
    pub(super) body: bool,
}

impl Owned {
    pub(super) fn header(&self, name: &HeaderName) -> bool {
        self.headers.contains(name)
    }

    pub(super) fn check_query(&self, origin: &Origin, url: &Url) -> Result<(), Denied> {
        let Some(query) = url.query().filter(|_| !self.query.is_empty()) else { return Ok(()) };
        // Some servers still split at semicolons.
        for pair in query.split(['&', ';']) {
            let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
            let name = percent_decode_str(&name).decode_utf8_lossy();
            if self.query.iter().any(|owned| owned.eq_ignore_ascii_case(&name)) {
                let detail = format!("the query parameter {name} is written by the connection's credential");
                return Err(Denied::new(Rule::Owned, origin, detail));
            }
        }
        Ok(())
    }

    pub(super) fn check_cookies(&self, origin: &Origin, headers: &HeaderMap) -> Result<(), Denied> {
        if self.cookies.is_empty() {
            return Ok(());
        }
        for value in headers.get_all(header::COOKIE) {
            for pair in value.as_bytes().split(|&byte| matches!(byte, b';' | b',')) {
                let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
                if self.cookies.iter().any(|owned| owned.as_bytes().eq_ignore_ascii_case(name)) {
                    return Err(Denied::new(Rule::Owned, origin, "a cookie is written by the connection's credential"));
                }
            }
        }
        Ok(())
    }
}

impl Attachments {
    pub(super) fn resolve(placements: &[Placement], values: &Values) -> Result<Self, PermitError> {
        let mut attachments = Self::default();
        for placement in placements {
            attachments.add(placement, values)?;
        }
        if matches!(attachments.proof, Some(Proof::Signed)) && attachments.body.iter().any(|(_, value)| value.secret) {
            let problem = "sees the hash of the body, so no secret may stand in it";
            return Err(PermitError::Plan { place: "the connector's signature".to_owned(), problem });
        }
        Ok(attachments)
    }

    fn add(&mut self, placement: &Placement, values: &Values) -> Result<(), PermitError> {
        match placement {
            Placement::Header(parameter) => self.add_header(parameter, values),
            Placement::Query(Parameter { name, value }) => {
                self.owned.query.push(name.clone());
                let value = expand::whole(value, values, &format!("the query parameter `{name}`"))?;
                self.query.extend(value.map(|value| (name.clone(), value)));
                Ok(())
            }
            Placement::Cookie(parameter) => self.add_cookie(parameter, values),
            Placement::PathPrefix(template) => {
                let place = "the path prefix";
                if self.path_prefix.is_some() {
                    return Err(PermitError::Plan { place: place.to_owned(), problem: "stands there twice" });
                }
                self.path_prefix = expand::path(template, values, place)?;
                Ok(())
            }
            Placement::Body(Parameter { name, value }) => {
                self.owned.body = true;
                let target =
                    if name.starts_with('/') { Target::Pointer(name.clone()) } else { Target::Form(name.clone()) };
                let value = expand::whole(value, values, &format!("the body field `{name}`"))?;
                self.body.extend(value.map(|value| (target, value)));
                Ok(())
            }
            Placement::Basic(basic) => self.add_basic(basic, values),
            Placement::Digest(basic) => {
                self.prove("digest authentication")?;
                self.own_authorization("digest authentication")?;
                let credentials = credentials(basic, values, "digest authentication")?;
                self.proof =
                    credentials.map(|(username, password)| Proof::Digest(digest::Credentials::new(username, password)));
                Ok(())
            }
            Placement::Oauth1(plan) => {
                self.prove("OAuth 1.0a")?;
                self.own_authorization("OAuth 1.0a")?;
                self.proof = oauth1::Credentials::resolve(plan, values)?.map(Proof::Oauth1);
                Ok(())
            }
            Placement::AwsSigv4(plan) => {
                self.prove("AWS Signature Version 4")?;
                self.own_authorization("AWS Signature Version 4")?;
                for name in &sigv4::OWN[1..] {
                    self.own("AWS Signature Version 4", name.clone())?;
                }
                self.proof = sigv4::Credentials::resolve(plan, values)?.map(Proof::Sigv4);
                Ok(())
            }
            Placement::ClientCertificate(plan) => {
                if self.certificate.is_some() {
                    let problem = "stands there twice";
                    return Err(PermitError::Plan { place: "the client certificate".to_owned(), problem });
                }
                self.certificate = Identity::resolve(plan, values)?;
                Ok(())
            }
            Placement::Signed => {
                self.prove("the connector's signature")?;
                self.proof = Some(Proof::Signed);
                Ok(())
            }
        }
    }

    fn add_header(&mut self, Parameter { name, value }: &Parameter, values: &Values) -> Result<(), PermitError> {
        let place = format!("the header `{name}`");
        let Ok(header) = name.parse::<HeaderName>() else {
            return Err(PermitError::Plan { place, problem: "has a name that no header may have" });
        };
        self.own(&place, header.clone())?;
        if let Some(expanded) = expand::whole(value, values, &place)? {
            let Ok(text) = header_value(&expanded.text) else {
                return Err(expand::blame(value, &place, "a header holds no line breaks and no control characters"));
            };
            let secret = expanded.secret;
            let text = if expanded.constant() { HeaderText::Constant(text) } else { HeaderText::Fresh(expanded) };
            self.headers.push((header, Header { text, secret }));
        }
        Ok(())
    }

    fn add_cookie(&mut self, Parameter { name, value }: &Parameter, values: &Values) -> Result<(), PermitError> {
        let place = format!("the cookie `{name}`");
        self.owned.cookies.push(name.clone());
        if let Some(expanded) = expand::whole(value, values, &place)? {
            if !expanded.text.bytes().all(cookie_octet) {
                let problem =
                    "a cookie holds no spaces, quotes, commas, semicolons, backslashes and control characters";
                return Err(expand::blame(value, &place, problem));
            }
            self.cookies.push((name.clone(), expanded));
        }
        Ok(())
    }

    fn add_basic(&mut self, basic: &Basic, values: &Values) -> Result<(), PermitError> {
        self.own_authorization("basic authentication")?;
        let Some((username, password)) = credentials(basic, values, "basic authentication")? else { return Ok(()) };
        if username.text.contains(':') {
            let problem = "a user name holds no colon (RFC 7617)";
            return Err(expand::blame(&basic.username, "basic authentication", problem));
        }
        let blob = basic_blob(&username.text, &password.text);
        let Ok(value) = header_value(&Zeroizing::new(format!("Basic {}", *blob))) else {
            return Err(PermitError::Plan { place: "basic authentication".to_owned(), problem: "is no header" });
        };
        let secret = username.secret || password.secret;
        if secret {
            self.composed.push(blob);
        }
        self.headers.push((header::AUTHORIZATION, Header { text: HeaderText::Constant(value), secret }));
        Ok(())
    }

    fn own_authorization(&mut self, place: &str) -> Result<(), PermitError> {
        self.own(place, header::AUTHORIZATION)
    }

    fn own(&mut self, place: &str, name: HeaderName) -> Result<(), PermitError> {
        if self.owned.header(&name) {
            let problem = "writes a header that another placement writes too";
            return Err(PermitError::Plan { place: place.to_owned(), problem });
        }
        self.owned.headers.push(name);
        Ok(())
    }

    fn prove(&mut self, place: &str) -> Result<(), PermitError> {
        if std::mem::replace(&mut self.proves, true) {
            let problem = "and another placement are both made of the whole request: neither could cover the other";
            return Err(PermitError::Plan { place: place.to_owned(), problem });
        }
        Ok(())
    }

    /// Whether the whole body is needed before the head can be sent.
    pub(super) fn needs_whole_body(&self, headers: &HeaderMap) -> bool {
        match &self.proof {
            Some(Proof::Digest(_) | Proof::Sigv4(_) | Proof::Signed) => true,
            Some(Proof::Oauth1(_)) if is_form(headers) => true,
            Some(Proof::Oauth1(_)) | None => !self.body.is_empty(),
        }
    }

    /// Attaches what stands in the head. `uuid` is [`Self::uuid`]'s, one for a request.
    pub(super) fn head(
        &self,
        url: &mut Url,
        headers: &mut HeaderMap,
        uuid: &str,
        part: Part,
    ) -> Result<(), EgressError> {
        let wanted = |secret: bool| part == Part::All || !secret;
        for (name, Header { text, secret }) in &self.headers {
            if !wanted(*secret) {
                continue;
            }
            let value = match text {
                HeaderText::Constant(value) => value.clone(),
                HeaderText::Fresh(expanded) => match header_value(&expanded.render(uuid)) {
                    Ok(value) => value,
                    Err(_) => return Err(EgressError::attach("a header holds a control character")),
                },
            };
            headers.insert(name, value);
        }
        self.cookies(headers, uuid, part)?;
        if let Some(prefix) = self.path_prefix.as_ref().filter(|prefix| wanted(prefix.secret)) {
            let prefix = prefix.render(uuid);
            let prefix = prefix.trim_end_matches('/');
            let path = Zeroizing::new(format!("{prefix}{}", url.path()));
            url.set_path(&path);
            if !url.path().starts_with(prefix) {
                return Err(EgressError::attach("the path does not begin with the prefix any more"));
            }
        }
        let parameters: Vec<_> = self.query.iter().filter(|(_, value)| wanted(value.secret)).collect();
        if !parameters.is_empty() {
            let mut query = Zeroizing::new(url.query().unwrap_or_default().to_owned());
            for (name, value) in parameters {
                let separator = if query.is_empty() { "" } else { "&" };
                let value = value.render(uuid);
                let pair = (utf8_percent_encode(name, RESERVED), utf8_percent_encode(&value, RESERVED));
                query.push_str(&Zeroizing::new(format!("{separator}{}={}", pair.0, pair.1)));
            }
            url.set_query(Some(&query));
        }
        Ok(())
    }

    /// A fresh value for one request, where one is asked for.
    pub(super) fn uuid(&self) -> Cow<'static, str> {
        match self.fresh() {
            true => Cow::Owned(uuid::Uuid::new_v4().to_string()),
            false => Cow::Borrowed(""),
        }
    }

    fn fresh(&self) -> bool {
        self.headers.iter().any(|(_, header)| matches!(header.text, HeaderText::Fresh(_)))
            || self.query.iter().chain(&self.cookies).any(|(_, value)| !value.constant())
            || self.path_prefix.as_ref().is_some_and(|prefix| !prefix.constant())
    }

    fn cookies(&self, headers: &mut HeaderMap, uuid: &str, part: Part) -> Result<(), EgressError> {
        let wanted: Vec<_> = self.cookies.iter().filter(|(_, value)| part == Part::All || !value.secret).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut line = Zeroizing::new(Vec::new());
        let own = wanted.into_iter().map(|(name, value)| Zeroizing::new(format!("{name}={}", *value.render(uuid))));
        let own = own.map(|pair| Zeroizing::new(pair.as_bytes().to_vec()));
        let written = headers.get_all(header::COOKIE).iter().map(|value| Zeroizing::new(value.as_bytes().to_vec()));
        for pair in written.chain(own) {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(&pair);
        }
        let mut value = match HeaderValue::from_bytes(&line) {
            Ok(value) => value,
            Err(_) => return Err(EgressError::attach("a cookie holds a control character")),
        };
        value.set_sensitive(true);
        headers.insert(header::COOKIE, value);
        Ok(())
    }

    /// Attaches what stands in the body.
    pub(super) fn body(&self, method: &Method, headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, EgressError> {
        // A GET carries no body, so there is nothing that a field could stand in.
        if self.body.is_empty() || (body.is_empty() && matches!(*method, Method::GET | Method::HEAD)) {
            return Ok(body);
        }
        let uuid = uuid::Uuid::new_v4().to_string();
        let pointers = self.body.iter().any(|(target, _)| matches!(target, Target::Pointer(_)));
        let (essence, media) = (media_type(headers), if pointers { "application/json" } else { FORM });
        match essence.as_deref() {
            None if body.is_empty() => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
            }
            Some(FORM) if !pointers => {}
            Some(essence) if pointers && (essence == "application/json" || essence.ends_with("+json")) => {}
            _ if pointers => return Err(EgressError::attach("its body must be JSON")),
            _ => return Err(EgressError::attach("its body must be application/x-www-form-urlencoded")),
        }
        if pointers { self.json(&body, &uuid) } else { self.form(&body, &uuid) }
    }

    fn form(&self, body: &Bytes, uuid: &str) -> Result<Bytes, EgressError> {
        let mut form = body.to_vec();
        for (target, value) in &self.body {
            let (Target::Form(name) | Target::Pointer(name)) = target;
            if url::form_urlencoded::parse(body).any(|(written, _)| written == name.as_str()) {
                return Err(EgressError::attach("the request writes a form field that is the credential's"));
            }
            if !form.is_empty() {
                form.push(b'&');
            }
            let value = value.render(uuid);
            let mut pair = url::form_urlencoded::Serializer::new(String::new());
            form.extend_from_slice(Zeroizing::new(pair.append_pair(name, &value).finish()).as_bytes());
        }
        Ok(form.into())
    }

    fn json(&self, body: &Bytes, uuid: &str) -> Result<Bytes, EgressError> {
        let mut json = match body.is_empty() {
            true => Json::Object(serde_json::Map::new()),
            false => match serde_json::from_slice(body) {
                Ok(json) => json,
                Err(_) => return Err(EgressError::attach("its body is no JSON")),
            },
        };
        for (target, value) in &self.body {
            let Target::Pointer(pointer) = target else {
                return Err(EgressError::attach("a form field and a JSON field cannot share a body"));
            };
            insert(&mut json, pointer, value.render(uuid).to_string())?;
        }
        match serde_json::to_vec(&json) {
            Ok(body) => Ok(body.into()),
            Err(_) => Err(EgressError::attach("its body is no JSON")),
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Puts a text where a JSON Pointer (RFC 6901) says, making the objects on the way. What stands there already is the guest's
/// mistake.
fn insert(json: &mut Json, pointer: &str, text: String) -> Result<(), EgressError> {
    let mut steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).peekable();
    let mut at = json;
    while let Some(step) = steps.next() {
        let next = match at {
            Json::Object(members) => members.entry(step).or_insert(Json::Null),
            Json::Array(items) => match step.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return Err(EgressError::attach("its body has no such item")),
            },
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                return Err(EgressError::attach("its body has no place for it"));
            }
        };
        if steps.peek().is_some() && next.is_null() {
            *next = Json::Object(serde_json::Map::new());
        }
        at = next;
    }
    if !at.is_null() {
        return Err(EgressError::attach("the request writes a field that is the credential's"));
    }
    *at = Json::String(text);
    Ok(())
}

/// Whether the body is one (RFC 5849 section 3.4.1.3.1).
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).as_deref() == Some(FORM)
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("unreadable");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A user name and a password; none where both are missing.
fn credentials(basic: &Basic, values: &Values, place: &str) -> Result<Option<(Expanded, Expanded)>, PermitError> {
    let part = |template: &str| -> Result<Option<Expanded>, PermitError> {
        let Some(expanded) = expand::whole(template, values, place)? else { return Ok(None) };
        if !expanded.constant() {
            return Err(PermitError::Plan { place: place.to_owned(), problem: "cannot hold {uuid}" });
        }
        if expanded.text.chars().any(char::is_control) {
            let problem = "it holds no control characters (RFC 7617)";
            return Err(expand::blame(template, place, problem));
        }
        Ok(Some(expanded))
    };
    let empty = || expand::whole("", values, place);
    Ok(match (part(&basic.username)?, part(&basic.password)?) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username, password)),
        (Some(username), None) => empty()?.map(|password| (username, password)),
        (None, Some(password)) => empty()?.map(|username| (username, password)),
    })
}

fn basic_blob(username: &str, password: &str) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{username}:{password}")).as_bytes()))
}

fn header_value(text: &str) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes())?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 6265 section 4.1.1.
fn cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
