//! Values in templates stay what they are, wherever they stand.
//!
//! A second reading of templates (`parts`) puts values in unencoded; what the host made of them is decoded by other parsers and
//! must come to the same.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde_json::{Value, json};
use turnbuckle::fuzzing::{self, Answer, Dialled, Kind, Values, Way};
use url::Url;

use crate::descriptors::registered;
use crate::lines::Lines;
use crate::run;

/// What was typed, by name.
type Typed = BTreeMap<String, (Kind, String)>;

/// Lines: where it stands; the template; values as `kind name=value`.
pub fn check(input: &[u8]) {
    let mut lines = Lines::of(input);
    let (place, template) = (lines.line(), lines.line());
    let typed: Typed = lines.until_break().iter().filter_map(|line| value(line)).collect();
    let values = values(&typed);
    let parts = parts(&template);
    match place.as_str() {
        "whole" => whole(&template, parts, &typed, &values),
        "path" => path(&template, parts, &typed, &values),
        "url" => url(&template, &typed, &values),
        "json" => as_json(&template, parts, &typed, &values),
        "origin" => origin(&template, &typed, &values),
        place => attached(place, &template, parts, &typed, &values),
    }
}

fn value(line: &str) -> Option<(String, (Kind, String))> {
    let (kind, rest) = line.split_once(' ')?;
    let (name, value) = rest.split_once('=')?;
    let kind = match kind {
        "text" => Kind::Text,
        "choice" => Kind::Choice,
        "url" => Kind::Url,
        "secret" => Kind::Secret,
        _ => return None,
    };
    Some((name.to_owned(), (kind, value.to_owned())))
}

fn values(typed: &Typed) -> Values {
    Values::new(typed.iter().map(|(name, (kind, value))| (*kind, name.as_str(), value.as_str())))
}

/// A piece of a template: text, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

/// None where it is no template.
fn parts(template: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = behind;
            continue;
        }
        let (name, behind) = (brace == "{").then(|| rest.split_once('}')).flatten()?;
        let mut words = name.split('-');
        let plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if name.len() > 64 || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !words.all(plain) {
            return None;
        }
        parts.push(Part::Text(std::mem::take(&mut text)));
        parts.push(Part::Name(name.to_owned()));
        rest = behind;
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    Some(parts)
}

/// Each name through `write`; none where a value is missing.
fn filled(parts: &[Part], typed: &Typed, write: impl Fn(&str) -> String) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(own) => text.push_str(own),
            Part::Name(name) => match typed.get(name) {
                Some((_, value)) => text.push_str(&write(value)),
                None if name == "uuid" => text.push_str("uuid"),
                None => return None,
            },
        }
    }
    Some(text)
}

fn whole(template: &str, parts: Option<Vec<Part>>, typed: &Typed, values: &Values) {
    let expanded = fuzzing::whole(template, values);
    let expected = parts.map(|parts| filled(&parts, typed, str::to_owned));
    assert_eq!(expanded.ok(), expected);
}

fn path(template: &str, parts: Option<Vec<Part>>, typed: &Typed, values: &Values) {
    let Ok(expanded) = fuzzing::path(template, values) else {
        let climbs = typed.values().any(|(_, value)| matches!(value.as_str(), "." | ".."));
        assert!(climbs || parts.is_none(), "refused without a reason");
        return;
    };
    let parts = parts.expect("what is no template is refused");
    let Some(expanded) = expanded else {
        assert_eq!(filled(&parts, typed, str::to_owned), None);
        return;
    };
    stays_in_its_segment(&expanded, &parts, typed);
}

/// Values add no slash, no question mark and no hash, and are read as they were.
fn stays_in_its_segment(expanded: &str, parts: &[Part], typed: &Typed) {
    let encode = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let expected = filled(parts, typed, encode).expect("nothing is missing");
    let decoded = |text: &str| percent_decode(text.as_bytes()).collect::<Vec<u8>>();
    assert_eq!(decoded(expanded), decoded(&expected));
    let count = |text: &str| ['/', '?', '#', '\\'].map(|mark| text.matches(mark).count());
    assert_eq!(count(expanded), count(&expected), "{expanded}");
    let own: String = parts.iter().map(|part| if let Part::Text(own) = part { own.as_str() } else { "x" }).collect();
    // What a URL's parser takes for something else is the connector's own, then.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_~:@!$&'()*+,;=".contains(c);
    if own.starts_with('/') && own.chars().all(plain) {
        let url = Url::parse(&format!("https://x.example{expanded}")).expect("a path makes a URL");
        assert_eq!(url.path(), expanded, "a parser reads another path");
        assert_eq!((url.query(), url.fragment()), (None, None));
    }
}

fn url(template: &str, typed: &Typed, values: &Values) {
    let Ok(expanded) = fuzzing::url(template, values) else { return };
    let url = Url::parse(&expanded).expect("what is expanded is a URL");
    let scheme = template.find("://").map_or(0, |at| at + 3);
    let end = template[scheme..].find(['/', '?', '#']).map_or(template.len(), |at| scheme + at);
    let origins = fuzzing::origins(&[template[..end].to_owned()], values).expect("its beginning is an origin");
    let [origin] = &origins[..] else { panic!("{expanded} without an origin") };
    let dialled = (url.scheme(), url.host_str().unwrap_or_default(), url.port_or_known_default());
    assert_eq!(dialled, (origin.scheme(), origin.host(), Some(origin.port())), "{expanded}");
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None), "{expanded}");
    let own = template[end..].split('#').next().unwrap_or_default();
    let (own_path, own_query) = own.split_once('?').unwrap_or((own, ""));
    let (path_parts, query_parts) = (parts(own_path).expect("it was"), parts(own_query).expect("it was"));
    let rest = &expanded[origin.to_string().len()..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    stays_in_its_segment(path, &path_parts, typed);
    // Values add no parameter, and none becomes another.
    let encode = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let expected = filled(&query_parts, typed, encode).expect("nothing is missing");
    let pairs = |query: &str| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>();
    assert_eq!(pairs(query), pairs(&expected));
}

fn as_json(template: &str, parts: Option<Vec<Part>>, typed: &Typed, values: &Values) {
    let Ok(Some(expanded)) = fuzzing::json(template, values) else { return };
    let parts = parts.expect("what is no template is refused");
    if !fuzzing::is_json_object(template) {
        return;
    }
    // Where each name stands: within quotes, or as a number.
    let (mut sample, mut sealed, mut quoted) = (String::new(), String::new(), true);
    for part in &parts {
        match part {
            Part::Text(own) => {
                sample.push_str(own);
                sealed.push_str(own);
            }
            Part::Name(name) => {
                let inside = skeleton(&sample).1;
                quoted &= inside;
                sample.push('0');
                sealed.push_str(&if inside { format!("\u{e000}{name}\u{e001}") } else { "0".to_owned() });
            }
        }
    }
    let parsed = serde_json::from_str::<Value>(&expanded);
    if parsed.is_ok() {
        assert_eq!(skeleton(&expanded), skeleton(&sample), "a value changes what the JSON is: {expanded}");
    }
    if quoted {
        let filled = |text: &str| {
            let mut text = text.to_owned();
            for (name, (_, value)) in typed {
                // A value that holds what stands for another one is not told apart here.
                text = text.replace(&format!("\u{e000}{name}\u{e001}"), value);
            }
            text.replace("\u{e000}uuid\u{e001}", "uuid")
        };
        let marked = |text: &str| text.contains(['\u{e000}', '\u{e001}']);
        if marked(template) || typed.values().any(|(_, value)| marked(value)) {
            return;
        }
        let expected = substituted(serde_json::from_str(&sealed).expect("the sample is an object"), &filled);
        assert_eq!(parsed.expect("values within quotes leave it JSON"), expected);
    }
}

fn substituted(value: Value, filled: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(filled(&text)),
        Value::Array(items) => items.into_iter().map(|item| substituted(item, filled)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, item)| (filled(&name), substituted(item, filled))).collect()
        }
        other => other,
    }
}

/// What is left of JSON without its values, and whether it ends within a text.
fn skeleton(json: &str) -> (String, bool) {
    let (mut bones, mut within, mut escaped) = (String::new(), false, false);
    for letter in json.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if within => escaped = true,
            '"' => {
                within = !within;
                if within {
                    bones.push('"');
                }
            }
            _ if within => {}
            '{' | '}' | '[' | ']' | ':' | ',' => bones.push(letter),
            _ if letter.is_whitespace() => {}
            _ if !bones.ends_with('n') => bones.push('n'),
            _ => {}
        }
    }
    (bones, within)
}

/// Free text never decides whose domain is reached.
fn origin(template: &str, typed: &Typed, values: &Values) {
    let one = |values: &Values| fuzzing::origins(&[template.to_owned()], values).ok();
    let Some(origins) = one(values) else { return };
    for origin in &origins {
        assert_eq!(origin.to_string().parse().as_ref(), Ok(origin), "it is written as another one");
        for part in parts(template).expect("what is no template is refused") {
            let Part::Name(name) = part else { continue };
            assert_ne!(typed.get(&name).map(|(kind, _)| *kind), Some(Kind::Secret), "a secret stands in an origin");
        }
    }
    let alone = template.starts_with('{') && template.ends_with('}') && template.matches('{').count() == 1;
    if alone {
        return;
    }
    for other in ["zz9", "xn--zz9", "1"] {
        let mut typed = typed.clone();
        typed
            .values_mut()
            .filter(|(kind, value)| *kind == Kind::Text && value.parse::<u16>().is_err())
            .for_each(|(_, value)| *value = other.to_owned());
        let Some(others) = one(&self::values(&typed)) else { continue };
        for (first, second) in origins.iter().zip(&others) {
            assert_eq!((first.scheme(), first.port()), (second.scheme(), second.port()), "{template}");
            if first.host() != second.host() {
                let (own, evil) = (registered(first.host()), registered(second.host()));
                assert!(own.is_some() && own == evil, "{template} reaches {first} and {second}");
            }
        }
    }
}

/// As a placement of a request that goes out.
fn attached(place: &str, template: &str, parts: Option<Vec<Part>>, typed: &Typed, values: &Values) {
    let placement = match place {
        "header" => json!({"header": {"name": "x-key", "value": template}}),
        "query" => json!({"query": {"name": "key", "value": template}}),
        "cookie" => json!({"cookie": {"name": "key", "value": template}}),
        "prefix" => json!({"path-prefix": template}),
        "form" => json!({"body": {"name": "key", "value": template}}),
        "field" => json!({"body": {"name": "/a/key", "value": template}}),
        "basic" => json!({"basic": {"username": "ada", "password": template}}),
        _ => return,
    };
    let grant = json!({"prepare": [], "token": [], "refresh": [], "revocation": []});
    let plan = json!({"derived": [], "grant": grant, "placements": [placement]}).to_string();
    let of = |secret: bool| -> Vec<String> {
        typed.iter().filter(|(_, (kind, _))| (*kind == Kind::Secret) == secret).map(|(name, _)| name.clone()).collect()
    };
    let origins = ["https://api.example.com".to_owned()];
    let problems = fuzzing::check_plan(&plan, &origins, &of(false), &of(true)).expect("this is a plan");
    if !problems.is_empty() {
        return;
    }
    let parts = parts.expect("what is no template is a problem of the plan");
    let Ok(way) = Way::new(false, &origins, &plan, values) else { return };
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = Uri::from_static("https://api.example.com/base/x?own=1");
    if place == "form" || place == "field" {
        *request.method_mut() = http::Method::POST;
        let media = if place == "form" { "application/x-www-form-urlencoded" } else { "application/json" };
        request.headers_mut().insert("content-type", http::HeaderValue::from_static(media));
        *request.body_mut() = if place == "form" { b"own=1".to_vec() } else { br#"{"own":1}"#.to_vec() };
    }
    let Ok((dialled, ..)) = run(way.send(request, Answer::default())) else { return };
    assert_eq!(dialled.url.host_str(), Some("api.example.com"));
    arrives(place, &dialled, &parts, typed);
}

/// What a service reads is what was typed, and beside it the guest's own.
fn arrives(place: &str, dialled: &Dialled, parts: &[Part], typed: &Typed) {
    let fresh = parts.contains(&Part::Name("uuid".to_owned())) && !typed.contains_key("uuid");
    let value = filled(parts, typed, str::to_owned);
    let told = |found: Option<String>| {
        // A fresh value is another one each time.
        if !fresh {
            assert_eq!(found, value, "{place}");
        }
    };
    if place != "prefix" {
        assert_eq!(dialled.url.path(), "/base/x");
    }
    let header = |name: &str| {
        let mut all = dialled.headers.get_all(name).iter();
        let first = all.next().map(|value| value.as_bytes().to_vec());
        assert!(all.next().is_none(), "{name} goes out twice");
        first.map(|bytes| String::from_utf8(bytes).expect("it was text"))
    };
    match place {
        "header" => told(header("x-key")),
        "query" => {
            let mut pairs: Vec<_> = dialled.url.query_pairs().into_owned().collect();
            assert_eq!(pairs.remove(0), ("own".to_owned(), "1".to_owned()));
            assert!(pairs.len() < 2 && pairs.iter().all(|(name, _)| name == "key"), "{pairs:?}");
            told(pairs.pop().map(|(_, value)| value));
        }
        "cookie" => {
            let line = header("cookie");
            assert!(line.iter().all(|line| !line.contains([';', ',', ' '])), "{line:?}");
            told(line.and_then(|line| line.strip_prefix("key=").map(str::to_owned)));
        }
        "form" => {
            // With nothing to put into it, it goes out as it comes.
            let Some(body) = &dialled.body else { return };
            let mut pairs: Vec<_> = url::form_urlencoded::parse(body).into_owned().collect();
            assert_eq!(pairs.remove(0), ("own".to_owned(), "1".to_owned()));
            assert!(pairs.len() < 2 && pairs.iter().all(|(name, _)| name == "key"), "{pairs:?}");
            told(pairs.pop().map(|(_, value)| value));
        }
        "field" => {
            let Some(body) = &dialled.body else { return };
            let body: Value = serde_json::from_slice(body).expect("it goes out as JSON");
            assert_eq!(body["own"], 1);
            told(body.pointer("/a/key").and_then(Value::as_str).map(str::to_owned));
        }
        "basic" => {
            let blob = header("authorization").and_then(|text| text.strip_prefix("Basic ").map(str::to_owned));
            let pair = blob.map(|blob| STANDARD.decode(blob).expect("it is base64"));
            let pair = pair.map(|pair| String::from_utf8(pair).expect("it was text"));
            let password = pair.as_deref().and_then(|pair| pair.strip_prefix("ada:")).unwrap_or_default();
            assert_eq!(password, value.unwrap_or_default());
        }
        _ => {
            let path = dialled.url.path();
            let Some(before) = path.strip_suffix("/base/x") else { panic!("{path} is another path") };
            let own = filled(parts, typed, |_| "x".to_owned()).unwrap_or_default();
            let slashes = own.trim_end_matches('/').matches('/').count();
            assert!(fresh || before.matches('/').count() <= slashes, "{path} has more segments than {own}");
        }
    }
}
