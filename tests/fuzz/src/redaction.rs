//! No secret passes, in whatever form it comes and however the text is cut.
//!
//! The forms are written by the encoders that services use, or as these write, never by the redactor's own code.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use turnbuckle::fuzzing::{Answer, Kind, Redactor, Values, Way};
use url::Url;

use crate::lines::{Lines, pieces};
use crate::run;

/// What `encodeURIComponent` and others leave as it is.
const COMPONENT: &AsciiSet = &without(NON_ALPHANUMERIC, b"-_.!~*'()");
const UNRESERVED: &AsciiSet = &without(NON_ALPHANUMERIC, b"-_.~");
/// Go's `url.PathEscape`, and its paths.
const SEGMENT: &AsciiSet = &without(UNRESERVED, b"$&+=:@");
const PATH: &AsciiSet = &without(SEGMENT, b",/;");
/// Python's `urllib.parse.quote`.
const QUOTE: &AsciiSet = &without(UNRESERVED, b"/");

const fn without(set: &'static AsciiSet, kept: &[u8]) -> AsciiSet {
    let mut set = set.remove(kept[0]);
    let mut at = 1;
    while at < kept.len() {
        set = set.remove(kept[at]);
        at += 1;
    }
    set
}

/// Lines: pattern of pieces; secret; another secret; what stands before it; what stands behind it.
pub fn check(input: &[u8]) {
    let mut lines = Lines::of(input);
    let (pattern, secret, other) = (lines.line(), lines.line(), lines.line());
    let (before, behind) = (lines.line(), lines.line());
    // A field takes no NUL; what is shorter is not looked for, and a field of this length costs minutes by every form.
    if secret.contains('\0') || secret.trim().len() < 4 || secret.len() > 128 || other.len() > 64 {
        return;
    }
    let secrets: Vec<&str> = [secret.as_str(), other.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
    let redactor = Redactor::new(&secrets).expect("there is something to look for");
    let once = Redactor::once(&secrets).expect("there is something to look for");
    let mut everything = Vec::new();
    for form in forms(&secret) {
        let text = [before.as_bytes(), form.as_bytes(), behind.as_bytes()].concat();
        gone(&redactor, &once, &pattern, &text, form.as_bytes());
        everything.extend_from_slice(&text);
    }
    for engine in [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        let text = engine.encode(format!("{before}{secret}{behind}"));
        // The characters that nothing but the secret decides.
        let core = (before.len() * 8).div_ceil(6)..(before.len() + secret.len()) * 8 / 6;
        gone(&redactor, &once, &pattern, text.as_bytes(), &text.as_bytes()[core]);
        everything.extend_from_slice(text.as_bytes());
    }
    cut_anywhere(&redactor, &once, &pattern, &everything);
    answered(&pattern, &secret, &before, everything);
}

/// The secret as services write it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).expect("a text is JSON");
    let json = json[1..json.len() - 1].to_owned();
    let number = |c: char, upper: bool| -> String {
        let unit = |unit: &u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        c.encode_utf16(&mut [0; 2]).iter().map(|it| unit(it)).collect()
    };
    // One encoder writes all numbers in the same case, those of control characters too.
    let ascii = |upper: bool| -> String {
        let one = |c: char| match serde_json::to_string(&c) {
            Ok(json) if c.is_ascii() && !json.contains("\\u") => json[1..json.len() - 1].to_owned(),
            _ => number(c, upper),
        };
        secret.chars().map(one).collect()
    };
    let html = |quote: &str, apostrophe: &str| {
        let text = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', quote).replace('\'', apostrophe)
    };
    let percent = |set| utf8_percent_encode(secret, set).to_string();
    let every: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = vec![
        secret.to_owned(),
        secret.trim().to_owned(),
        hex::encode(secret),
        hex::encode_upper(secret),
        json.replace('/', "\\/"),
        ascii(true),
        ascii(false),
        ascii(false).replace('/', "\\/"),
        secret.chars().map(|c| number(c, false)).collect(),
        secret.chars().map(|c| number(c, true)).collect(),
        html("&quot;", "&#39;"),
        html("&#34;", "&#x27;"),
        every.to_lowercase(),
        every,
        form,
        json,
    ];
    forms.extend([NON_ALPHANUMERIC, COMPONENT, UNRESERVED, SEGMENT, PATH, QUOTE].map(percent));
    // As a URL of the WHATWG's kind writes it.
    let mut url = Url::parse("https://x.example/").expect("it is one");
    url.set_query(Some(secret));
    // Tabs and line ends, and blanks at the ends, are taken out of one: that is another text.
    if !secret.contains(['\t', '\n', '\r']) && secret.trim() == secret {
        forms.extend(url.query().map(str::to_owned));
        if !secret.contains(['/', '\\', '.']) {
            url.set_path(&format!("/{secret}"));
            forms.extend(url.path().strip_prefix('/').map(str::to_owned));
        }
    }
    forms
}

/// Nothing of `form` is left of the text, by either way of searching and in whatever pieces.
fn gone(redactor: &Redactor, once: &Redactor, pattern: &str, text: &[u8], form: &[u8]) {
    let shown = || (String::from_utf8_lossy(text).into_owned(), String::from_utf8_lossy(form).into_owned());
    assert!(redactor.finds(text), "not found: {:?}", shown());
    let clean = cut_anywhere(redactor, once, pattern, text);
    for left in split(&clean, Redactor::REDACTED) {
        assert!(!contains(left, form), "passed: {:?}", shown());
    }
}

/// However it is cut, what comes out is the same.
fn cut_anywhere(redactor: &Redactor, once: &Redactor, pattern: &str, text: &[u8]) -> Vec<u8> {
    let clean = redactor.whole(text);
    assert_eq!(once.whole(text), clean, "the ways of searching disagree");
    for pattern in [pattern, "a"] {
        assert_eq!(redactor.pieces(pieces(pattern, text)), clean, "pieces come out otherwise");
        assert_eq!(once.pieces(pieces(pattern, text)), clean, "pieces come out otherwise");
    }
    clean
}

/// The same through the whole way of an answer: a header, and a body in pieces.
fn answered(pattern: &str, secret: &str, before: &str, body: Vec<u8>) {
    let plan = r#"{"derived":[],"grant":{"prepare":[],"token":[],"refresh":[],"revocation":[]},
        "placements":[{"query":{"name":"key","value":"{token}"}}]}"#;
    let values = Values::new([(Kind::Secret, "token", secret)].into_iter());
    let origins = ["https://api.example.com".to_owned()];
    let way = Way::new(false, &origins, plan, &values).expect("a query takes any text");
    let mut headers = HeaderMap::new();
    headers.append("x-plain", HeaderValue::from_static("plain"));
    if let Ok(value) = HeaderValue::from_bytes(format!("{before}{secret}").as_bytes()) {
        headers.append("x-echo", value);
    }
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = http::Uri::from_static("https://api.example.com/");
    let expected = Redactor::new(&[secret]).expect("there is something to look for").whole(&body);
    let cut = pieces(pattern, &body).map(<[u8]>::to_vec).collect();
    let (_, headers, body) = run(way.send(request, Answer { headers, pieces: cut })).expect("it is answered");
    assert_eq!(body, expected);
    assert_eq!(headers["x-plain"], "plain");
    for value in headers.get_all("x-echo") {
        for left in split(value.as_bytes(), Redactor::REDACTED) {
            assert!(!contains(left, secret.as_bytes()), "a header passed");
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn split<'a>(mut text: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(found) = text.windows(at.len()).position(|window| window == at) {
        parts.push(&text[..found]);
        text = &text[found + at.len()..];
    }
    parts.push(text);
    parts
}
