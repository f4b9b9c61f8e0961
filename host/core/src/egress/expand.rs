//! Values into templates, each by the place where it will stand.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::error::PermitError;
use super::jwt;
use crate::model::authentication::{Derivation, Derived};
use crate::model::origin::Origin;
use crate::model::outside::Outside;
use crate::model::secret::Secret;
use crate::model::template::{Part, Template};

/// The host's own name that stands for a fresh value in every request.
pub(super) const UUID: &str = "uuid";

/// Everything but RFC 3986's unreserved characters.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What may not stand in a path segment as it is (RFC 3986 section 3.3).
pub(super) const SEGMENT: &AsciiSet = &RESERVED
    .remove(b':')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// Values with those that the host computed from them.
pub(super) struct Computed {
    pub(super) values: Values,
    /// When the first of them expires.
    pub(super) valid_until: Option<Timestamp>,
}

/// What names in templates stand for.
#[derive(Clone, Default)]
pub(crate) struct Values {
    entries: BTreeMap<String, Value>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    Choice(String),
    Url(String),
    Secret(Secret),
}

impl Values {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Free text, a number or a boolean: in an origin it is one host label or a port.
    pub(crate) fn public(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.with(name.into(), Value::Text(text.into()))
    }

    /// One of the connector's own values, so it may be any part of an origin.
    pub(crate) fn choice(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.with(name.into(), Value::Choice(text.into()))
    }

    /// A whole origin: among origins it stands only alone, as `{name}`.
    pub(crate) fn url(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.with(name.into(), Value::Url(text.into()))
    }

    /// Never in an origin; taken out of everything that comes back.
    pub(crate) fn secret(self, name: impl Into<String>, secret: Secret) -> Self {
        self.with(name.into(), Value::Secret(secret))
    }

    fn with(mut self, name: String, value: Value) -> Self {
        self.entries.insert(name, value);
        self
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.entries.values().filter_map(|value| match value {
            Value::Secret(secret) => Some(secret.expose()),
            Value::Text(_) | Value::Choice(_) | Value::Url(_) => None,
        })
    }

    /// Adds what the host computes from them, in the order in which it is written. What comes of a secret is one, and so is
    /// whatever was signed.
    pub(super) fn derive(mut self, derived: &[Derived], outside: &Outside) -> Result<Computed, PermitError> {
        let mut valid_until: Option<Timestamp> = None;
        for Derived { name, value } in derived {
            let place = format!("derived `{name}`");
            if self.entries.contains_key(name) {
                return Err(PermitError::Plan { place, problem: "has the name of a field" });
            }
            let value = match value {
                Derivation::Base64(template) => {
                    let Some(expanded) = whole(template, &self, &place)? else { continue };
                    if !expanded.constant() {
                        return Err(PermitError::Plan { place, problem: "cannot hold {uuid}" });
                    }
                    let text = STANDARD.encode(expanded.text.as_bytes());
                    if expanded.secret { Value::Secret(Secret::new(text)) } else { Value::Text(text) }
                }
                Derivation::Jwt(plan) => {
                    let Some(token) = jwt::sign(plan, &self, &place, outside)? else { continue };
                    valid_until = Some(valid_until.map_or(token.valid_until, |earlier| earlier.min(token.valid_until)));
                    Value::Secret(Secret::new(token.text.as_str()))
                }
            };
            self.entries.insert(name.clone(), value);
        }
        Ok(Computed { values: self, valid_until })
    }
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Choice(text) | Self::Url(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.entries.keys()).finish()
    }
}

/// A template with its values in it; `{uuid}` is filled in for each request.
#[derive(Clone)]
pub(super) struct Expanded {
    pub(super) text: Zeroizing<String>,
    /// Where a fresh value belongs.
    fresh: Vec<usize>,
    /// Whether a secret stands in it.
    pub(super) secret: bool,
}

impl Expanded {
    /// Whether it is the same in every request.
    pub(super) fn constant(&self) -> bool {
        self.fresh.is_empty()
    }

    /// Its text in one request.
    pub(super) fn render(&self, uuid: &str) -> Zeroizing<String> {
        if self.constant() {
            return self.text.clone();
        }
        let mut text = Zeroizing::new(String::with_capacity(self.text.len() + uuid.len() * self.fresh.len()));
        let mut from = 0;
        for &at in &self.fresh {
            text.push_str(&self.text[from..at]);
            text.push_str(uuid);
            from = at;
        }
        text.push_str(&self.text[from..]);
        text
    }
}

/// Expands a text whose value stands as a whole, to be encoded afterwards. `None` where a value is missing: such a parameter
/// is left out.
pub(super) fn whole(template: &str, values: &Values, place: &str) -> Result<Option<Expanded>, PermitError> {
    expand(template, values, place, |_, _, value| Ok(value.to_owned()))
}

/// Expands a path whose literal text is the connector's and whose values are segments.
pub(super) fn path(template: &str, values: &Values, place: &str) -> Result<Option<Expanded>, PermitError> {
    expand(template, values, place, |_, name, value| {
        if matches!(value, "." | "..") {
            let problem = "it would climb in the path";
            return Err(PermitError::Value { name: name.to_owned(), place: place.to_owned(), problem });
        }
        Ok(utf8_percent_encode(value, SEGMENT).to_string())
    })
}

/// Expands a whole URL: its beginning as an origin is, which no free text decides, then a path and a query. Nothing in it may
/// be missing.
pub(super) fn url(template: &str, values: &Values, place: &str) -> Result<Expanded, PermitError> {
    let missing = |part: &str| {
        let absent = Template::parse(part)
            .ok()
            .and_then(|part| part.names().find(|name| !values.entries.contains_key(*name)).map(str::to_owned));
        PermitError::Value { name: absent.unwrap_or_default(), place: place.to_owned(), problem: "it is missing" }
    };
    let scheme = template.find("://").map_or(0, |at| at + 3);
    let end = template[scheme..].find(['/', '?', '#']).map_or(template.len(), |at| scheme + at);
    let (beginning, rest) = template.split_at(end);
    let origin = origin(beginning, values)?.ok_or_else(|| missing(beginning))?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (path_part, query_part) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let path = path(path_part, values, place)?.ok_or_else(|| missing(path_part))?;
    let mut secret = path.secret;
    let mut text = Zeroizing::new(format!("{origin}{}", &*path.text));
    let begins = text.len() - path.text.len();
    let mut fresh: Vec<usize> = path.fresh.iter().map(|at| begins + at).collect();
    if let Some(query_part) = query_part {
        let encode = |_: &str, _: &str, value: &str| Ok(utf8_percent_encode(value, RESERVED).to_string());
        let query = expand(query_part, values, place, encode)?.ok_or_else(|| missing(query_part))?;
        secret |= query.secret;
        text.push('?');
        fresh.extend(query.fresh.iter().map(|at| text.len() + at));
        text.push_str(&query.text);
    }
    if url::Url::parse(&text).is_err() {
        return Err(PermitError::Plan { place: place.to_owned(), problem: "is no URL with these values" });
    }
    Ok(Expanded { text, fresh, secret })
}

/// Expands JSON text. Within quotes a value is text; elsewhere it is a number or a boolean, and never more than that.
pub(super) fn json(template: &str, values: &Values, place: &str) -> Result<Option<Expanded>, PermitError> {
    expand(template, values, place, |before, name, value| {
        if within_quotes(before) {
            let quoted = Zeroizing::new(serde_json::Value::from(value).to_string());
            return Ok(quoted[1..quoted.len() - 1].to_owned());
        }
        let plain =
            matches!(serde_json::from_str(value), Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)));
        if plain {
            return Ok(value.trim().to_owned());
        }
        let problem = "outside of quotes only a number, `true` or `false` may stand";
        Err(PermitError::Value { name: name.to_owned(), place: place.to_owned(), problem })
    })
}

/// Whether a template stands for a JSON object whatever its values.
pub(super) fn is_json_object(template: &str) -> bool {
    let Ok(template) = Template::parse(template) else { return false };
    // A number may stand within quotes and without.
    let text: String = template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Name(_) => "0",
        })
        .collect();
    matches!(serde_json::from_str(&text), Ok(serde_json::Value::Object(_)))
}

fn within_quotes(json: &str) -> bool {
    let (mut within, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within,
            b'"' => within = !within,
            _ => {}
        }
    }
    within
}

/// `encode` is told what stands before a value, its name, and the value.
fn expand(
    template: &str,
    values: &Values,
    place: &str,
    encode: impl Fn(&str, &str, &str) -> Result<String, PermitError>,
) -> Result<Option<Expanded>, PermitError> {
    let template =
        Template::parse(template).map_err(|source| PermitError::Template { place: place.to_owned(), source })?;
    let mut expanded = Expanded { text: Zeroizing::default(), fresh: Vec::new(), secret: false };
    for part in template.parts() {
        match part {
            Part::Literal(text) => expanded.text.push_str(text),
            Part::Name(name) => match values.entries.get(name) {
                Some(value) => {
                    let encoded = Zeroizing::new(encode(&expanded.text, name, value.text())?);
                    expanded.text.push_str(&encoded);
                    expanded.secret |= matches!(value, Value::Secret(_));
                }
                None if name == UUID => expanded.fresh.push(expanded.text.len()),
                None => return Ok(None),
            },
        }
    }
    Ok(Some(expanded))
}

/// Says that what a template came to does not fit, and whose value it is: a template nearly always holds one.
pub(super) fn blame(template: &str, place: &str, problem: &'static str) -> PermitError {
    let name = Template::parse(template).ok().and_then(|template| template.names().next().map(str::to_owned));
    match name {
        Some(name) => PermitError::Value { name, place: place.to_owned(), problem },
        None => PermitError::Plan { place: place.to_owned(), problem },
    }
}

/// The origins of one connection. One whose value is missing is left out.
///
/// Free text never decides whose domain is reached: what stands in the registrable part is the connector's own.
pub(crate) fn expand_origins(origins: &[String], values: &Values) -> Result<Vec<Origin>, PermitError> {
    let mut expanded = Vec::with_capacity(origins.len());
    for template in origins {
        if let Some(origin) = origin(template, values)?
            && !expanded.contains(&origin)
        {
            expanded.push(origin);
        }
    }
    Ok(expanded)
}

fn origin(text: &str, values: &Values) -> Result<Option<Origin>, PermitError> {
    let place = || format!("the origin `{text}`");
    let template = Template::parse(text).map_err(|source| PermitError::Template { place: place(), source })?;
    let refuse = |name: &str, problem| PermitError::Value { name: name.to_owned(), place: place(), problem };
    let unusable = |problem: String| PermitError::Origin { template: text.to_owned(), problem };
    let mut whole = String::new();
    // Where the connector's own text begins behind the last piece that a person typed.
    let mut own = 0;
    let mut typed = None;
    for part in template.parts() {
        let name = match part {
            Part::Literal(literal) => {
                whole.push_str(literal);
                continue;
            }
            Part::Name(name) => name,
        };
        match values.entries.get(name) {
            None => return Ok(None),
            Some(Value::Secret(_)) => return Err(refuse(name, "a secret never stands in an origin")),
            Some(Value::Choice(value)) => whole.push_str(value),
            Some(Value::Url(value) | Value::Text(value)) if template.parts().len() == 1 => {
                return value
                    .parse()
                    .map(Some)
                    .map_err(|problem| unusable(format!("stands for `{value}`, which {problem}")));
            }
            Some(Value::Url(_)) => return Err(refuse(name, "a URL stands only alone, as the whole origin")),
            Some(Value::Text(value)) => {
                let in_port = whole.split_once("://").is_some_and(|(_, rest)| rest.ends_with(':'));
                if in_port {
                    if value.parse::<std::num::NonZeroU16>().is_err() {
                        return Err(refuse(name, "a port is a number from 1 to 65535"));
                    }
                    whole.push_str(value);
                    continue;
                }
                if !whole.contains("://") {
                    return Err(refuse(name, "the scheme is the connector's to choose"));
                }
                if !host_label(value) {
                    return Err(refuse(
                        name,
                        "it must be one part of a domain name: letters, digits and inner hyphens",
                    ));
                }
                whole.push_str(value);
                own = whole.len();
                typed = Some(name);
            }
        }
    }
    let origin: Origin = whole.parse().map_err(|problem| unusable(format!("stands for `{whole}`, which {problem}")))?;
    if let Some(name) = typed {
        let authority = whole[own..].split(['/', ':']).next().unwrap_or_default();
        if !owns_registrable_part(authority, origin.host()) {
            return Err(refuse(name, "it would decide whose domain is reached"));
        }
    }
    Ok(Some(origin))
}

/// Whether the text behind the last typed piece holds the whole registrable part, beginning at a label's border.
fn owns_registrable_part(own: &str, host: &str) -> bool {
    // The connector may have written it in its own script; the one parser makes both comparable.
    let Ok(own) = url::Url::parse(&format!("https://x{own}")) else { return false };
    let own = own.domain().map(|name| name.trim_end_matches('.'));
    registrable(host)
        .zip(own)
        .is_some_and(|(part, own)| own.strip_suffix(part).is_some_and(|before| before.ends_with('.')))
}

/// The part of a name that someone registered with a registry. Domains that let others register below them, such as
/// `myshopify.com`, count as one registration here: the connector wrote them.
fn registrable(host: &str) -> Option<&str> {
    let mut suffix = psl::suffix(host.as_bytes())?;
    let mut rest = host;
    while suffix.typ() == Some(psl::Type::Private) {
        rest = rest.split_once('.')?.1;
        suffix = psl::suffix(rest.as_bytes())?;
    }
    let length = suffix.as_bytes().len();
    let before = host.len().checked_sub(length + 1)?;
    let start = host[..before].rfind('.').map_or(0, |dot| dot + 1);
    Some(&host[start..])
}

fn host_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::new()
            .public("sub", "acme")
            .public("evil", "evil.com/")
            .public("dotted", "a.b")
            .public("port", "8443")
            .choice("region", "eu.example.net")
            .url("url", "https://jira.acme.test:8080")
            .secret("token", Secret::new("hunter2"))
    }

    fn one(template: &str) -> Result<String, String> {
        expand_origins(&[template.to_owned()], &values())
            .map(|origins| origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(" "))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn origins_take_their_values() {
        for (template, origin) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://{sub}.example.com", "https://acme.example.com"),
            ("https://{sub}.myshopify.com", "https://acme.myshopify.com"),
            ("https://{sub}-api.example.co.uk", "https://acme-api.example.co.uk"),
            ("https://x.{sub}.bücher.example", "https://x.acme.xn--bcher-kva.example"),
            ("https://{sub}.example.com:{port}", "https://acme.example.com:8443"),
            ("https://api.{region}", "https://api.eu.example.net"),
            ("{url}", "https://jira.acme.test:8080"),
            ("https://{missing}.example.com", ""),
        ] {
            assert_eq!(one(template).as_deref(), Ok(origin), "{template}");
        }
    }

    #[test]
    fn free_text_never_decides_whose_domain_is_reached() {
        for (template, words) in [
            ("https://{sub}.com", "it would decide whose domain is reached"),
            ("https://{sub}.co.uk", "it would decide whose domain is reached"),
            ("https://api.{sub}", "it would decide whose domain is reached"),
            ("https://api{sub}example.com", "it would decide whose domain is reached"),
            ("https://{sub}", "it would decide whose domain is reached"),
            ("https://a.example.com.{sub}.net", "it would decide whose domain is reached"),
            ("https://{evil}.example.com", "it must be one part of a domain name"),
            ("https://{dotted}.example.com", "it must be one part of a domain name"),
            ("{sub}://example.com", "the scheme is the connector's to choose"),
            ("https://example.com:{sub}", "a port is a number from 1 to 65535"),
            ("https://{token}.example.com", "a secret never stands in an origin"),
            ("https://{url}.example.com", "a URL stands only alone"),
            ("{url}/x", "a URL stands only alone"),
            ("{evil}", "is not a URL"),
            ("https://example.com/{sub}", "only scheme, domain and port, without a path"),
        ] {
            let error = one(template).unwrap_err();
            assert!(error.contains(words), "{template}: {error}");
        }
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        let error = expand_origins(&["https://{dotted}.example.com".to_owned()], &values()).unwrap_err();
        assert_eq!(error.field(), Some("dotted"));
    }

    #[test]
    fn what_comes_of_a_secret_is_secret_and_a_missing_value_leaves_all_out() {
        let derived =
            |name: &str, template: &str| Derived { name: name.into(), value: Derivation::Base64(template.into()) };
        let all = values()
            .derive(
                &[
                    derived("pair", "{sub}:{token}"),
                    derived("open", "{sub}"),
                    derived("gone", "{missing}"),
                    derived("twice", "{pair}"),
                ],
                &Outside::system(),
            )
            .unwrap()
            .values;
        assert_eq!(all.secrets().collect::<Vec<_>>(), ["YWNtZTpodW50ZXIy", "hunter2", "WVdOdFpUcG9kVzUwWlhJeQ=="]);
        assert_eq!(whole("{open}", &all, "x").unwrap().unwrap().text.as_str(), "YWNtZQ==");
        assert!(whole("a{gone}", &all, "x").unwrap().is_none());
        assert!(matches!(all.derive(&[derived("sub", "x")], &Outside::system()), Err(PermitError::Plan { .. })));
    }

    #[test]
    fn a_fresh_value_is_new_in_each_request() {
        let expanded = whole("a{uuid}b{sub}{uuid}", &values(), "x").unwrap().unwrap();
        assert_eq!(expanded.render("1").as_str(), "a1bacme1");
        assert_eq!(expanded.render("2").as_str(), "a2bacme2");
    }

    #[test]
    fn a_fresh_value_stands_in_a_url_too() {
        let expanded = url("https://{sub}.example.com/{uuid}/x?nonce={uuid}&a={sub}", &values(), "x").unwrap();
        assert_eq!(expanded.render("1-2").as_str(), "https://acme.example.com/1-2/x?nonce=1-2&a=acme");
    }

    #[test]
    fn values_in_a_path_are_segments() {
        let path = |text: &str| {
            path("/bot{x}", &Values::new().public("x", text), "the path").map(|done| done.unwrap().text.to_string())
        };
        assert_eq!(path("12:AB-c_d").unwrap(), "/bot12:AB-c_d");
        assert_eq!(path("a/b?c#d%2e").unwrap(), "/bota%2Fb%3Fc%23d%252e");
        assert!(path("..").is_err());
    }

    #[test]
    fn values_in_json_stay_what_they_are() {
        let json = |template: &str, value: &str| {
            json(template, &Values::new().public("x", value), "the claims")
                .map(|done| done.unwrap().text.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(json(r#"{{"a":"b {x}"}}"#, "\"\\\n/é").unwrap(), r#"{"a":"b \"\\\n/é"}"#);
        assert_eq!(json(r#"{{"a\"":[{x},true]}}"#, "-1.5e3").unwrap(), r#"{"a\"":[-1.5e3,true]}"#);
        assert_eq!(json(r#"{{"a":{x}}}"#, "true").unwrap(), r#"{"a":true}"#);
        for more in ["1,\"admin\":true", "x", "null", "[1]", "\"x\"", ""] {
            let error = json(r#"{{"a":{x}}}"#, more).unwrap_err();
            assert!(error.contains("outside of quotes"), "{more}: {error}");
        }
    }

    #[test]
    fn names_are_shown_and_values_are_not() {
        assert_eq!(
            format!("{:?}", Values::new().secret("token", Secret::new("hunter2")).public("a", "hunter3")),
            r#"{"a", "token"}"#
        );
    }
}
