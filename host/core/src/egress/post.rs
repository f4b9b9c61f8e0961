//! A message of the host's own, to an endpoint that an operator set up. It takes the very road of every other request: the same
//! policy, the same addresses, no redirects, and nothing of any connection on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use url::Url;

use super::obtain::Scope;
use super::{Body, Call, Denied, Egress, EgressError, Permit, Rule, Rules, Timeouts, Values, policy};
use crate::model::origin::Origin;
use crate::model::outside::Outside;

/// How much of an answer is read, so that its socket can be used again. Nobody looks at it.
const READ: usize = 64 << 10;

/// What is sent, and where to.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// Messages of one endpoint may share sockets.
    pub(crate) pool_key: &'a str,
    pub(crate) url: &'a Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// From the first byte to the last.
    pub(crate) within: Duration,
}

/// What an endpoint answered.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) status: StatusCode,
    /// After how many seconds it asks to be tried again.
    pub(crate) retry_after: Option<u64>,
}

impl Egress {
    /// Whether a message could leave for this URL, as far as that shows before its name is resolved.
    pub(crate) fn judge(&self, url: &Url, outside: &Outside) -> Result<(), Denied> {
        let permit = to("", url, outside)?;
        let owned = &permit.attachments.owned;
        let rules = Rules { origins: permit.origins(), owned, allow: &self.inner.allow };
        let uri = url.as_str().parse().map_err(|_too_long| refused(url, "is longer than a URL may be"))?;
        policy::decide(&rules, &Method::POST, &policy::parse(&uri, rules.origins)?, &HeaderMap::new()).map(drop)
    }

    /// Sends it, and drops what comes back but its status.
    pub(crate) async fn post(&self, message: Message<'_>, outside: &Outside) -> Result<Posted, EgressError> {
        let Message { pool_key, url, headers, body, within } = message;
        let permit = Arc::new(to(pool_key, url, outside)?);
        let call = Arc::new(Call::new(self.limits().clone(), within));
        let body: Body = Full::new(body).map_err(|never: std::convert::Infallible| match never {}).boxed_unsync();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.as_str().parse().map_err(|_too_long| refused(url, "is longer than a URL may be"))?;
        *request.headers_mut() = headers;
        let response = self.send(&permit, &call, request, Timeouts::default()).await?;
        let (parts, mut body) = response.into_parts();
        let mut read = 0;
        while read < READ
            && let Some(Ok(frame)) = body.frame().await
        {
            read += frame.data_ref().map_or(0, Bytes::len);
        }
        let retry_after = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| pause(text.trim(), outside.now()));
        Ok(Posted { status: parts.status, retry_after })
    }
}

/// Seconds, or a date (RFC 9110 section 10.2.3).
fn pause(text: &str, now: Timestamp) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    u64::try_from(date.timestamp().duration_since(now).as_secs()).ok()
}

/// The right to send to this URL's origin, with nothing attached.
pub(super) fn to(pool_key: &str, url: &Url, outside: &Outside) -> Result<Permit, Denied> {
    let origin = Origin::of(url).ok_or_else(|| refused(url, "is neither an https nor an http URL"))?;
    let origins = [origin.to_string()];
    let scope = Scope { pool_key, origins: &origins, derived: &[], outside };
    Permit::of_request(&scope, &[], &Values::new()).map_err(|_no_origin| refused(url, "has no usable origin"))
}

pub(super) fn refused(url: &Url, problem: &str) -> Denied {
    Denied::new(Rule::Url, url.host_str().unwrap_or("a URL without host"), problem)
}
