//! What an answer that should bring a credential says: captures, how long it lasts, or in which of its many ways it is an error.

use std::collections::BTreeMap;

use http::header;
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::BasicErrorResponseType;
use serde_json::{Map, Value};

use crate::egress::Brought;
use crate::model::authentication::{Capture, Source};
use crate::model::credential::{ACCESS_TOKEN, EXPIRES_AT, EXPIRES_IN, REFRESH_TOKEN};
use crate::model::secret::Secret;
use crate::model::verdict::{Failure, FailureKind};

/// No service means a token to last longer; what says so is a slip of the pen.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);
/// The longest words of a service that are repeated.
const WORDS: usize = 300;
/// The largest single thing that is captured.
const CAPTURED: usize = 64 << 10;

/// What one answer brought, by name.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) visible: BTreeMap<String, String>,
    pub(super) expires_at: Option<Timestamp>,
}

/// Reads an answer. What RFC 6749 section 5.1 names is captured unasked; a capture of the same name wins.
pub(super) fn read(brought: &Brought, captures: &[Capture], now: Timestamp) -> Result<Captured, Failure> {
    let document = document(brought);
    if let Some(failure) = failure(brought, &document) {
        return Err(failure);
    }
    let mut captured = Captured::default();
    let mut expires = None;
    for (name, pointer) in [(ACCESS_TOKEN, "/access_token"), (REFRESH_TOKEN, "/refresh_token")] {
        if let Some(text) = text_at(&document, pointer) {
            // RFC 6749 appendix A.12: nothing that could end a header.
            if text.chars().any(char::is_control) {
                let words = format!("its `{name}` holds a control character, which no token does");
                return Err(said(brought, FailureKind::Other, &words));
            }
            bounded(brought, name, &text)?;
            captured.secrets.insert(name.to_owned(), Secret::new(text));
        }
    }
    if let Some(text) = text_at(&document, "/expires_in") {
        expires = in_seconds(&text, now);
    }
    for capture in captures {
        let Some(text) = find(brought, &document, &capture.source) else { continue };
        bounded(brought, &capture.name, &text)?;
        match capture.name.as_str() {
            EXPIRES_IN => expires = in_seconds(&text, now),
            EXPIRES_AT => expires = at_time(&text, now),
            _ if capture.visible => {
                captured.visible.insert(capture.name.clone(), text);
            }
            _ => {
                captured.secrets.insert(capture.name.clone(), Secret::new(text));
            }
        }
    }
    captured.expires_at = expires;
    Ok(captured)
}

fn bounded(brought: &Brought, name: &str, text: &str) -> Result<(), Failure> {
    if text.len() > CAPTURED || text.contains('\0') {
        let words = format!("what it holds as `{name}` is larger than a credential may be");
        return Err(said(brought, FailureKind::Other, &words));
    }
    Ok(())
}

/// A failure in the words that name the link that broke: which request, what it answered.
pub(super) fn said(brought: &Brought, kind: FailureKind, words: &str) -> Failure {
    Failure { kind, message: format!("{} answered {}: {words}", brought.asked, brought.status.as_u16()) }
}

/// Whether an answer says that the grant or the refresh token itself is no longer good.
pub(super) fn is_invalid_grant(failure: &Failure) -> bool {
    failure.kind == FailureKind::Revoked
}

/// What came, as JSON: an object of an XML or a form body, a string of anything else.
fn document(brought: &Brought) -> Value {
    let body = String::from_utf8_lossy(&brought.body);
    if let Ok(json) = serde_json::from_str::<Value>(&body) {
        return json;
    }
    let media = brought.headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let form = || {
        let pairs = url::form_urlencoded::parse(body.as_bytes());
        Value::Object(pairs.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect())
    };
    match essence.as_str() {
        "application/x-www-form-urlencoded" => form(),
        // GitHub and others of its age answer forms and call them text.
        "text/plain" | "" if body.contains('=') && !body.contains(['<', '\n', ' ']) => form(),
        "text/html" => Value::from(body.into_owned()),
        _ if essence.ends_with("xml") || body.trim_start().starts_with("<?xml") => {
            match roxmltree::Document::parse(&body) {
                Ok(document) => {
                    let root = document.root_element();
                    let mut object = Map::new();
                    object.insert(root.tag_name().name().to_owned(), element(root, 0));
                    Value::Object(object)
                }
                Err(_not_xml) => Value::from(body.into_owned()),
            }
        }
        _ => Value::from(body.into_owned()),
    }
}

/// An element as JSON: its text where it has no children, else an object of them; one that repeats is a list.
fn element(node: roxmltree::Node<'_, '_>, depth: usize) -> Value {
    let children: Vec<_> = node.children().filter(roxmltree::Node::is_element).collect();
    if children.is_empty() || depth > 32 {
        return Value::from(node.text().unwrap_or_default().trim());
    }
    let mut object = Map::new();
    for child in children {
        let value = element(child, depth + 1);
        match object.get_mut(child.tag_name().name()) {
            Some(Value::Array(all)) => all.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
            None => {
                object.insert(child.tag_name().name().to_owned(), value);
            }
        }
    }
    Value::Object(object)
}

fn find(brought: &Brought, document: &Value, source: &Source) -> Option<String> {
    let found = match source {
        Source::Body(pointer) if pointer.is_empty() => String::from_utf8_lossy(&brought.body).trim().to_owned(),
        Source::Body(pointer) => text_at(document, pointer)?,
        Source::Header(name) => brought.headers.get(name.as_str())?.to_str().ok()?.to_owned(),
        Source::Cookie(name) => brought.headers.get_all(header::SET_COOKIE).iter().rev().find_map(|line| {
            let pair = line.to_str().ok()?.split(';').next()?;
            let (known, value) = pair.split_once('=')?;
            (known.trim() == name).then(|| value.trim().to_owned())
        })?,
        Source::Callback(_) => return None,
    };
    (!found.is_empty()).then_some(found)
}

fn text_at(document: &Value, pointer: &str) -> Option<String> {
    match document.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Seconds from now. None where it is no lifetime: the default then stands.
fn in_seconds(text: &str, now: Timestamp) -> Option<Timestamp> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
    let most = LONGEST.as_secs_f64();
    now.checked_add(SignedDuration::try_from_secs_f64(seconds.min(most)).ok()?).ok()
}

/// A moment: RFC 3339, or seconds or milliseconds since 1970.
fn at_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    const MILLISECONDS: f64 = 1e11;
    let at = match text.trim().parse::<f64>() {
        Ok(number) if !number.is_finite() => return None,
        Ok(number) if number >= MILLISECONDS => Timestamp::from_millisecond(number as i64).ok()?,
        Ok(number) => Timestamp::from_second(number as i64).ok()?,
        Err(_no_number) => text.trim().parse().ok()?,
    };
    let latest = now.checked_add(LONGEST).ok()?;
    Some(at.min(latest))
}

/// What kind of error it is, if one: by RFC 6749 section 5.2 where it speaks so, by its status else. A 200 may be one too.
fn failure(brought: &Brought, document: &Value) -> Option<Failure> {
    let status = brought.status.as_u16();
    let code = text_at(document, "/error").or_else(|| text_at(document, "/error/code"));
    let code = code.filter(|_| text_at(document, "/access_token").is_none());
    let words = ["/error_description", "/error/message", "/message", "/error_message", "/errorMessage"]
        .iter()
        .find_map(|pointer| text_at(document, pointer));
    let html = matches!(document, Value::String(_))
        && brought.headers.get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
    match status {
        200..=299 if code.is_none() && html => {
            let words = "a page for people, not a credential: is the address right?";
            return Some(said(brought, FailureKind::Misconfigured { field: None }, words));
        }
        200..=299 if code.is_none() => return None,
        300..=399 => {
            let words = "a redirect, which is never followed with a credential: is the address right?";
            return Some(said(brought, FailureKind::Misconfigured { field: None }, words));
        }
        _ => {}
    }
    let kind = match (code.as_deref(), status) {
        (_, 429) => FailureKind::RateLimited { retry_after: retry_after(brought) },
        (Some(code), _) => by_code(code, status),
        (None, 401) => FailureKind::Unauthorized,
        (None, 403) => FailureKind::Forbidden,
        (None, 408 | 500..=599) => FailureKind::Unavailable,
        (None, 404 | 405 | 410) => FailureKind::Misconfigured { field: None },
        (None, _) => FailureKind::Other,
    };
    let shown = match (code, words) {
        (Some(code), Some(words)) => format!("{}: {}", shorten(&code), shorten(&words)),
        (Some(text), None) | (None, Some(text)) => shorten(&text),
        (None, None) if html => "a page for people".to_owned(),
        (None, None) => "no further words".to_owned(),
    };
    Some(said(brought, kind, &shown))
}

/// RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, and what OpenID Connect adds.
fn by_code(code: &str, status: u16) -> FailureKind {
    use BasicErrorResponseType as Standard;
    match serde_json::from_value::<Standard>(Value::from(code)) {
        Ok(Standard::InvalidClient | Standard::UnauthorizedClient) => FailureKind::MisconfiguredClient,
        Ok(Standard::InvalidGrant) => FailureKind::Revoked,
        Ok(Standard::InvalidScope) => FailureKind::InsufficientScope,
        Ok(Standard::InvalidRequest | Standard::UnsupportedGrantType) => FailureKind::Misconfigured { field: None },
        Ok(Standard::Extension(_)) | Err(_) => match code {
            "invalid_token" | "token_expired" => FailureKind::Expired,
            "token_revoked"
            | "interaction_required"
            | "login_required"
            | "consent_required"
            | "invalid_refresh_token" => FailureKind::Revoked,
            "insufficient_scope" | "missing_scope" => FailureKind::InsufficientScope,
            "access_denied" => FailureKind::Forbidden,
            "temporarily_unavailable" | "server_error" | "internal_error" => FailureKind::Unavailable,
            "slow_down" | "rate_limited" | "ratelimited" => FailureKind::RateLimited { retry_after: None },
            "unsupported_response_type"
            | "redirect_uri_mismatch"
            | "bad_redirect_uri"
            | "incorrect_client_credentials"
            | "invalid_client_id"
            | "bad_client_secret" => FailureKind::MisconfiguredClient,
            _ if status == 401 => FailureKind::Unauthorized,
            _ if status >= 500 => FailureKind::Unavailable,
            _ => FailureKind::Other,
        },
    }
}

/// The failure that an error of the callback stands for.
pub(super) fn of_callback(code: &str, words: Option<&str>) -> Failure {
    let message = match words {
        Some(words) => format!("the service did not authorize it: {}: {}", shorten(code), shorten(words)),
        None => format!("the service did not authorize it: {}", shorten(code)),
    };
    Failure { kind: by_code(code, 400), message }
}

fn retry_after(brought: &Brought) -> Option<u32> {
    brought.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// One line, without what a terminal or a page could take for more than words.
fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= WORDS { line } else { line.chars().take(WORDS).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
    use zeroize::Zeroizing;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> Brought {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        }
        let body = Zeroizing::new(body.as_bytes().to_vec());
        let asked = "POST https://login.example.com/token".to_owned();
        Brought { status: StatusCode::from_u16(status).unwrap(), headers: map, body, asked }
    }

    fn json(body: &str) -> Brought {
        answered(200, &[("content-type", "application/json")], body)
    }

    fn capture(name: &str, source: Source, visible: bool) -> Capture {
        Capture { name: name.into(), source, visible }
    }

    fn body(name: &str, pointer: &str) -> Capture {
        capture(name, Source::Body(pointer.into()), true)
    }

    /// Name and value of everything, secret or not, and the seconds until it expires.
    fn captured(brought: &Brought, captures: &[Capture]) -> (Vec<String>, Option<i64>) {
        let read = read(brought, captures, now()).unwrap();
        let secrets = read.secrets.iter().map(|(name, secret)| format!("{name}={}", secret.expose()));
        let all = secrets.chain(read.visible.iter().map(|(name, value)| format!("{name}:{value}"))).collect();
        (all, read.expires_at.map(|at| at.as_second() - NOW))
    }

    fn said(brought: &Brought) -> (FailureKind, String) {
        let failure = read(brought, &[], now()).unwrap_err();
        (failure.kind, failure.message.replace("POST https://login.example.com/token answered ", ""))
    }

    #[test]
    fn what_the_standard_names_is_captured_unasked_in_each_notation() {
        let expected = (vec!["access-token=at".to_owned(), "refresh-token=rt".to_owned()], Some(3600));
        let in_json = json(r#"{"access_token":"at","refresh_token":"rt","expires_in":3600,"token_type":"bearer"}"#);
        assert_eq!(captured(&in_json, &[]), expected);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(captured(&answered(200, &form, "access_token=at&refresh_token=rt&expires_in=3600"), &[]), expected);
        // GitHub calls its form by no name, others call it text.
        let text = answered(200, &[("content-type", "text/plain")], "access_token=at&refresh_token=rt&expires_in=3600");
        assert_eq!(captured(&text, &[]), expected);
    }

    #[test]
    fn captures_find_bodies_headers_and_cookies_and_win_over_the_standard() {
        let slack = json(r#"{"ok":true,"access_token":"bot","authed_user":{"id":"U1","access_token":"person"}}"#);
        let captures = [
            capture("access-token", Source::Body("/authed_user/access_token".into()), false),
            body("user", "/authed_user/id"),
            body("missing", "/nowhere"),
        ];
        assert_eq!(captured(&slack, &captures).0, ["access-token=person", "user:U1"]);
        let headers = [("x-session", "s1"), ("set-cookie", "sid=old; Path=/"), ("set-cookie", "sid=new; HttpOnly")];
        let captures = [
            capture("session", Source::Header("X-Session".into()), false),
            capture("sid", Source::Cookie("sid".into()), false),
            capture("whole", Source::Body(String::new()), false),
        ];
        let all = captured(&answered(200, &headers, " the-token\n"), &captures).0;
        assert_eq!(all, ["session=s1", "sid=new", "whole=the-token"]);
        let xml = answered(
            200,
            &[("content-type", "text/xml; charset=utf-8")],
            "<?xml version=\"1.0\"?><s:login xmlns:s=\"urn:x\"><s:token>t1</s:token><s:role>a</s:role><s:role>b</s:role></s:login>",
        );
        let captures = [body("token", "/login/token"), body("second", "/login/role/1")];
        assert_eq!(captured(&xml, &captures).0, ["second:b", "token:t1"]);
    }

    #[test]
    fn lifetimes_are_read_as_services_write_them_and_absurd_ones_are_none() {
        let lasts = |told: &str| captured(&json(&format!(r#"{{"access_token":"a","expires_in":{told}}}"#)), &[]).1;
        assert_eq!(lasts("3600"), Some(3600));
        assert_eq!(lasts("\"3600\""), Some(3600));
        assert_eq!(lasts("59.5"), Some(59));
        for none in ["0", "-5", "null", "\"soon\"", "true", "[]", "\"NaN\""] {
            assert_eq!(lasts(none), None, "{none}");
        }
        assert_eq!(lasts("1e300"), Some(10 * 366 * 86_400), "no service means it longer");
        let at = |told: &str| captured(&json(&format!(r#"{{"until":{told}}}"#)), &[body("expires-at", "/until")]).1;
        assert_eq!(at("1700000060"), Some(60));
        assert_eq!(at("1700000060000"), Some(60));
        assert_eq!(at("\"2023-11-14T22:14:20Z\""), Some(60));
        assert_eq!(at("\"1699999000\""), Some(-1000), "a moment that is over is over");
        for none in ["\"tomorrow\"", "\"NaN\"", "\"inf\"", "1e300"] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_larger_than_a_credential_may_be_is_none() {
        let token = |length: usize| json(&format!(r#"{{"access_token":"{}"}}"#, "a".repeat(length)));
        assert_eq!(captured(&token(64 << 10), &[]).0.len(), 1);
        let words = "200: what it holds as `access-token` is larger than a credential may be";
        assert_eq!(said(&token((64 << 10) + 1)), (FailureKind::Other, words.into()));
    }

    #[test]
    fn each_error_says_which_link_broke() {
        let error = |code: &str| json(&format!(r#"{{"error":"{code}","error_description":"as it says"}}"#));
        for (code, kind) in [
            ("invalid_client", FailureKind::MisconfiguredClient),
            ("unauthorized_client", FailureKind::MisconfiguredClient),
            ("invalid_grant", FailureKind::Revoked),
            ("invalid_scope", FailureKind::InsufficientScope),
            ("invalid_request", FailureKind::Misconfigured { field: None }),
            ("access_denied", FailureKind::Forbidden),
            ("temporarily_unavailable", FailureKind::Unavailable),
            ("token_expired", FailureKind::Expired),
            ("something_else", FailureKind::Other),
        ] {
            assert_eq!(said(&error(code)), (kind, format!("200: {code}: as it says")));
        }
        assert_eq!(
            said(&json(r#"{"ok":false,"error":"invalid_client_id"}"#)),
            (FailureKind::MisconfiguredClient, "200: invalid_client_id".into())
        );
    }

    #[test]
    fn a_status_without_words_is_told_by_itself() {
        let bare = |status| said(&answered(status, &[], "")).0;
        assert_eq!(bare(401), FailureKind::Unauthorized);
        assert_eq!(bare(403), FailureKind::Forbidden);
        assert_eq!(bare(404), FailureKind::Misconfigured { field: None });
        assert_eq!(bare(503), FailureKind::Unavailable);
        let busy = answered(429, &[("retry-after", "7")], r#"{"error":"slow_down"}"#);
        assert_eq!(said(&busy).0, FailureKind::RateLimited { retry_after: Some(7) });
    }

    #[test]
    fn a_page_or_a_redirect_is_no_credential() {
        let page = answered(200, &[("content-type", "text/html; charset=utf-8")], "<html><b>Sign in</b></html>");
        let words = "200: a page for people, not a credential: is the address right?";
        assert_eq!(said(&page), (FailureKind::Misconfigured { field: None }, words.into()));
        let elsewhere = answered(302, &[("location", "https://login.example.com/ui")], "");
        let words = "302: a redirect, which is never followed with a credential: is the address right?";
        assert_eq!(said(&elsewhere), (FailureKind::Misconfigured { field: None }, words.into()));
    }

    #[test]
    fn words_of_a_service_are_one_line_of_modest_length() {
        let long = format!(r#"{{"error":"invalid_grant","error_description":"a\n\u001b[31m{}"}}"#, "x".repeat(5_000));
        let (_, words) = said(&json(&long));
        assert!(words.starts_with("200: invalid_grant: a  [31mxxx") && words.chars().count() < 400, "{words}");
        let code = format!(r#"{{"error":"a\u001b{}","error_description":"b"}}"#, "x".repeat(5_000));
        let (_, words) = said(&json(&code));
        assert!(words.starts_with("200: a xxx") && words.ends_with("…: b") && words.chars().count() < 400, "{words}");
    }
}
