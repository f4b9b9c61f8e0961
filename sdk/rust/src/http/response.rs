//! An answer, and the failure that it stands for.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::date;
use crate::Failure;

/// A number this large in `x-ratelimit-reset` is a moment, not a delay: services do both.
const MOMENT: i64 = 1_000_000_000;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// In order; ask by [`header`](Self::header).
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The text or number at a JSON Pointer (RFC 6901).
    pub fn text_at(&self, pointer: &str) -> Option<String> {
        match self.value().pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The body as a type.
    ///
    /// # Errors
    /// Where it is not one: the service is not what it was taken for.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::other(format!("the service answered {} with something else than expected: {error}", self.status))
        })
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Seconds to wait, where the service says so: by `retry-after`, a number or a date, or by `x-ratelimit-reset` once
    /// nothing is left.
    pub fn retry_after(&self) -> Option<u32> {
        let now = || self.header("date").and_then(date::seconds);
        let seconds = match (self.header("retry-after"), self.header("x-ratelimit-reset")) {
            (Some(after), _) => match after.trim().parse::<i64>() {
                Ok(seconds) => seconds,
                Err(_no_number) => date::seconds(after.trim())? - now()?,
            },
            (None, Some(reset)) if self.is_used_up() => match reset.trim().parse::<i64>().ok()? {
                moment if moment > MOMENT => moment - now()?,
                seconds => seconds,
            },
            (None, _) => return None,
        };
        u32::try_from(seconds.max(0)).ok()
    }

    fn is_used_up(&self) -> bool {
        self.header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0")
    }

    /// The answer, where the status is 2xx.
    ///
    /// # Errors
    /// [`failure`](Self::failure) of any other status, without further words.
    pub fn error_for_status(self) -> Result<Self, Failure> {
        if self.is_success() { Ok(self) } else { Err(self.failure(None)) }
    }

    /// The failure that the status stands for, with the service's own words where there are any.
    ///
    /// A 403 counts as rate-limited where the answer says so, as GitHub's do.
    pub fn failure(&self, words: Option<&str>) -> Failure {
        let said = words.map(|words| format!(": {words}")).unwrap_or_default();
        let message = format!("the service answered {}{said}", self.status);
        match self.status {
            401 => Failure::unauthorized(message),
            403 if self.is_used_up() || self.header("retry-after").is_some() => {
                Failure::rate_limited(self.retry_after(), message)
            }
            403 => Failure::forbidden(message),
            429 => Failure::rate_limited(self.retry_after(), message),
            408 | 500..=599 => Failure::unavailable(message),
            _ => Failure::other(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: Vec::new() }
    }

    #[test]
    fn each_status_is_the_failure_it_stands_for() {
        let failure = |status, headers: &[(&str, &str)]| answer(status, headers).error_for_status().unwrap_err();
        assert_eq!(failure(401, &[]), Failure::unauthorized("the service answered 401"));
        assert_eq!(failure(403, &[]), Failure::forbidden("the service answered 403"));
        assert_eq!(failure(403, &[("Retry-After", "60")]), Failure::rate_limited(Some(60), "the service answered 403"));
        assert_eq!(
            failure(403, &[("X-RateLimit-Remaining", "0")]),
            Failure::rate_limited(None, "the service answered 403")
        );
        assert_eq!(failure(403, &[("X-RateLimit-Remaining", "9")]), Failure::forbidden("the service answered 403"));
        assert_eq!(failure(429, &[]), Failure::rate_limited(None, "the service answered 429"));
        assert_eq!(failure(503, &[]), Failure::unavailable("the service answered 503"));
        assert_eq!(failure(404, &[]), Failure::other("the service answered 404"));
        assert_eq!(failure(302, &[]), Failure::other("the service answered 302"));
    }

    #[test]
    fn the_wait_is_read_in_each_form_that_services_use() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let wait = |headers: &[(&str, &str)]| answer(429, headers).retry_after();
        assert_eq!(wait(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), date]), Some(60));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        let used_up = ("x-ratelimit-remaining", "0");
        // 784111777 is that date; anything later than MOMENT is read as a moment.
        let later = ("date", "Thu, 29 Feb 2024 23:59:59 GMT");
        assert_eq!(wait(&[used_up, ("x-ratelimit-reset", "1709251299"), later]), Some(100));
        assert_eq!(wait(&[used_up, ("x-ratelimit-reset", "1709251000"), later]), Some(0));
        assert_eq!(wait(&[used_up, ("x-ratelimit-reset", "30")]), Some(30));
        assert_eq!(wait(&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "30")]), None);
    }

    #[test]
    fn a_body_is_read_by_pointer_or_as_a_type() {
        let body = br#"{"id":7,"who":{"name":"Ada"},"ok":true}"#.to_vec();
        let response = Response { status: 200, headers: Vec::new(), body };
        assert_eq!(response.text_at("/who/name").as_deref(), Some("Ada"));
        assert_eq!(response.text_at("/id").as_deref(), Some("7"));
        assert_eq!(response.text_at("/ok"), None);
        let page = Response { status: 200, headers: Vec::new(), body: b"<html>".to_vec() };
        assert_eq!(page.value(), Value::Null);
        let failure = page.json::<Vec<u8>>().unwrap_err();
        assert_eq!(
            failure.message,
            "the service answered 200 with something else than expected: expected value at line 1 column 1"
        );
    }
}
