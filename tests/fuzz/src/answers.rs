//! Answers of token endpoints: what they brought is what stands in them, and what failed says so in one modest line.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use turnbuckle::fuzzing::{Captured, answer};

use crate::descriptors::is_kebab;
use crate::lines::Lines;

const NOW: i64 = 1_700_000_000;
const CAPTURED: usize = 64 << 10;

/// Lines: status; headers; `--`; captures as they are stored; the rest is the body.
pub fn check(input: &[u8]) {
    let mut lines = Lines::of(input);
    let status = lines.line().trim().parse().ok().and_then(|number: u16| StatusCode::from_u16(number).ok());
    let Some(status) = status else { return };
    let mut headers = HeaderMap::new();
    for header in lines.until_break() {
        let Some((name, value)) = header.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (name.trim().parse::<HeaderName>(), HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    let captures = lines.line();
    // A plan with another name is not stored, so no answer is read by it.
    let named = |capture: &Value| capture["name"].as_str().is_some_and(is_kebab);
    if serde_json::from_str::<Vec<Value>>(&captures).is_ok_and(|all| !all.iter().all(named)) {
        return;
    }
    let body = lines.rest();
    let now = Timestamp::from_second(NOW).expect("a moment");
    let media = headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default().to_owned();
    let read = |captures: &str, body: &[u8]| answer(status, headers.clone(), body, captures, now);
    let Some(read_with) = read(if captures.is_empty() { "[]" } else { &captures }, body) else { return };
    match &read_with {
        Ok(captured) => is_sound(captured, now),
        Err(failure) => {
            let words = &failure.message;
            assert!(!words.chars().any(char::is_control), "words for a terminal: {words:?}");
            // Two texts of 300 and what was asked.
            assert!(words.chars().count() < 800, "words without end: {words:?}");
        }
    }
    if status.is_redirection() || status.is_client_error() || status.is_server_error() {
        assert!(read_with.is_err(), "{status} brings a credential");
    }
    if let Ok(document) = serde_json::from_slice::<Value>(body) {
        let plain = read("[]", body).expect("these are captures");
        says_what_stands_there(status, &document, plain, now);
    }
    if media.is_empty() || media == "application/json" {
        comes_back(&String::from_utf8_lossy(body));
    }
}

fn is_sound(captured: &Captured, now: Timestamp) {
    for (name, text) in captured.secrets.iter().chain(&captured.visible) {
        assert!(!text.is_empty() && text.len() <= CAPTURED && !text.contains('\0'), "{name} is {} bytes", text.len());
    }
    if let Some(at) = captured.expires_at {
        let most = SignedDuration::from_hours(24 * 366 * 10);
        assert!(at.duration_since(now) <= most, "it lasts until {at}");
    }
}

/// As RFC 6749 sections 5.1 and 5.2 have it.
fn says_what_stands_there(
    status: StatusCode,
    document: &Value,
    read: Result<Captured, turnbuckle::Failure>,
    now: Timestamp,
) {
    let text = |name: &str| match document.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Bool(truth)) => Some(truth.to_string()),
        _ => None,
    };
    let Ok(captured) = read else { return };
    assert!(status.is_success() || status.is_informational(), "{status}");
    for (name, stored) in [("access_token", "access-token"), ("refresh_token", "refresh-token")] {
        assert_eq!(captured.secrets.get(stored), text(name).as_ref(), "{name}");
        assert!(captured.secrets.get(stored).is_none_or(|text| !text.chars().any(char::is_control)));
    }
    assert!(text("error").is_none() || text("access_token").is_some(), "an error brings a credential");
    if let Some(Value::Number(seconds)) = document.get("expires_in") {
        let expected = seconds.as_f64().filter(|seconds| *seconds > 0.0);
        assert_eq!(captured.expires_at.is_some(), expected.is_some(), "{seconds}");
        if let (Some(at), Some(seconds)) = (captured.expires_at, expected) {
            let told = at.duration_since(now).as_secs_f64();
            assert!((told - seconds.min(10.0 * 366.0 * 86_400.0)).abs() < 1.5, "{seconds} became {told}");
        }
    }
}

/// A token that is written as JSON, as a form and as XML is read as it was.
fn comes_back(token: &str) {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{fffd}');
    if token.trim() != token || token.is_empty() || token.len() > 4096 || token.contains(forbidden) {
        return;
    }
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("access_token", token).finish();
    let xml =
        format!("<?xml version=\"1.0\"?><r><access_token>{}</access_token></r>", quick_xml::escape::escape(token));
    let capture = r#"[{"name":"access-token","source":{"body":"/r/access_token"},"visible":false}]"#;
    for (media, body, captures) in [
        ("application/json", json!({ "access_token": token }).to_string(), "[]"),
        ("application/x-www-form-urlencoded", form, "[]"),
        ("text/xml", xml, capture),
    ] {
        let headers = [("content-type", media)]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let now = Timestamp::from_second(NOW).expect("a moment");
        let read = answer(StatusCode::OK, headers.into_iter().collect(), body.as_bytes(), captures, now);
        let captured = read.expect("these are captures").unwrap_or_else(|failure| panic!("{body}: {failure:?}"));
        assert_eq!(captured.secrets.get("access-token").map(String::as_str), Some(token), "{body}");
    }
}
