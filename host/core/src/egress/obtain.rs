//! Requests that the host makes by itself to obtain a credential: a connector wrote them, its guests never see their answers.
//!
//! They go the way of every other request: the same origins, the same addresses, the same budgets. What differs is who reads
//! the answer. It brings a credential, so nothing is taken out of it, and it goes to the host alone.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use url::Url;
use zeroize::Zeroizing;

use super::call::{Call, Timeouts};
use super::error::{EgressError, PermitError};
use super::expand::{self, RESERVED, Values};
use super::permit::Permit;
use super::redact::Redactor;
use super::{Body, Egress};
use crate::model::authentication::{self as plan, Authorization, Derived, Parameter};
use crate::model::origin::Origin;
use crate::model::outside::Outside;

/// The longest answer with a credential in it. Tokens with many claims have some KiB.
const ANSWER: usize = 1 << 20;

/// An answer, for the host's own eyes.
pub(crate) struct Brought {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// What was asked, for people: method and URL without query, its names unfilled where one of them is secret.
    pub(crate) asked: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObtainError {
    /// A value is missing, or does not fit where it goes.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// It did not come through.
    #[error("{asked} failed: {source}")]
    Egress { asked: String, source: EgressError },
}

/// Where the requests of a connection's grant may go, and what they are made of.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) pool_key: &'a str,
    pub(crate) origins: &'a [String],
    pub(crate) derived: &'a [Derived],
    pub(crate) outside: &'a Outside,
}

impl Egress {
    /// Makes a request with these values and hands over what it brought, whatever its status.
    pub(crate) async fn obtain(
        &self,
        scope: &Scope<'_>,
        request: &plan::Request,
        values: &Values,
        call: &Arc<Call>,
    ) -> Result<Brought, ObtainError> {
        // Made anew for each request: an assertion may be used once only.
        let values = values.clone().derive(scope.derived, scope.outside)?.values;
        let place = "the URL of a request for a credential";
        let url = expand::url(&request.url, &values, place)?;
        let (uuid, secret) = (fresh(scope.outside), url.secret);
        let url = url.render(&uuid);
        let shown = if secret { request.url.as_str() } else { url.split('?').next().unwrap_or_default() };
        let asked = format!("{} {shown}", request.method);
        let failed = |source| ObtainError::Egress { asked: asked.clone(), source };
        let (media, body) = body(&request.body, &values, &uuid)?;
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_checked_with_the_plan| {
            PermitError::Plan { place: place.to_owned(), problem: "has no legal method" }
        })?;
        let permit = Arc::new(Permit::of_request(scope, &request.placements, &values)?);
        let body: Body = Full::new(body).map_err(|never: std::convert::Infallible| match never {}).boxed_unsync();
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = method;
        *outgoing.uri_mut() = url.as_str().parse().map_err(|_too_long| PermitError::Plan {
            place: place.to_owned(),
            problem: "is longer than a URL may be",
        })?;
        if let Some(media) = media {
            outgoing.headers_mut().insert(header::CONTENT_TYPE, media);
        }
        if !permit.attachments.owned.header(&header::ACCEPT) {
            outgoing.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        }
        let response = self.send(&permit, call, outgoing, Timeouts::default()).await.map_err(failed)?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Zeroizing::new(BytesMut::new().to_vec());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(failed)?.into_data() else { continue };
            if bytes.len() + data.len() > ANSWER {
                let limit = "bytes of an answer that brings a credential";
                return Err(failed(EgressError::Budget { limit, value: ANSWER as u64 }));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Brought { status: parts.status, headers: parts.headers, body: bytes, asked })
    }
}

/// The URL that a person is sent to. The host's own parameters come first; the connector's replace one of the same name, and
/// an empty value removes it.
pub(crate) fn authorization_url(
    authorization: &Authorization,
    own: &[(&str, String)],
    values: &Values,
    outside: &Outside,
) -> Result<Url, PermitError> {
    let place = "the authorization URL";
    let uuid = fresh(outside);
    let url = expand::url(&authorization.url, values, place)?;
    let mut url = Url::parse(&url.render(&uuid)).map_err(|_checked_when_it_was_expanded| PermitError::Plan {
        place: place.to_owned(),
        problem: "is no URL with these values",
    })?;
    let mut parameters: Vec<(String, String)> =
        own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for Parameter { name, value } in &authorization.parameters {
        let place = format!("the authorization parameter `{name}`");
        let Some(expanded) = expand::whole(value, values, &place)? else { continue };
        parameters.retain(|(known, _)| known != name);
        let value = expanded.render(&uuid);
        if !value.is_empty() {
            parameters.push((name.clone(), value.to_string()));
        }
    }
    let mut query = url.query().unwrap_or_default().to_owned();
    for (name, value) in parameters {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, RESERVED).to_string();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&format!("{}={}", encode(&name), encode(&value)));
    }
    url.set_query(Some(&query));
    url.set_fragment(None);
    Ok(url)
}

/// Where a person is going to be sent, as far as a connection's own fields say it.
pub(crate) fn authorization_origin(authorization: &Authorization, fields: &Values) -> Option<Origin> {
    let url = expand::url(&authorization.url, fields, "the authorization URL").ok()?;
    Origin::of(&Url::parse(&url.text).ok()?)
}

/// Takes secrets out of words that a service wrote.
pub(crate) fn redact(values: &Values, text: &str) -> String {
    match Redactor::once(values.secrets()) {
        Some(redactor) => String::from_utf8_lossy(&redactor.replace(text.as_bytes()).0).into_owned(),
        None => text.to_owned(),
    }
}

fn fresh(outside: &Outside) -> String {
    uuid::Builder::from_random_bytes(outside.random()).into_uuid().to_string()
}

fn body(body: &plan::Body, values: &Values, uuid: &str) -> Result<(Option<HeaderValue>, Bytes), PermitError> {
    let place = "the body of a request for a credential";
    let missing = || PermitError::Plan { place: place.to_owned(), problem: "needs a value that is missing" };
    Ok(match body {
        plan::Body::None => (None, Bytes::new()),
        plan::Body::Form(parameters) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for Parameter { name, value } in parameters {
                if let Some(expanded) = expand::whole(value, values, place)? {
                    form.append_pair(name, &expanded.render(uuid));
                }
            }
            let media = HeaderValue::from_static("application/x-www-form-urlencoded");
            (Some(media), form.finish().into())
        }
        plan::Body::Json(template) => {
            let expanded = expand::json(template, values, place)?.ok_or_else(missing)?;
            (Some(HeaderValue::from_static("application/json")), expanded.render(uuid).as_bytes().to_vec().into())
        }
        plan::Body::Text(media, template) => {
            let expanded = expand::whole(template, values, place)?.ok_or_else(missing)?;
            let media = HeaderValue::from_str(media).map_err(|_checked_with_the_plan| PermitError::Plan {
                place: place.to_owned(),
                problem: "has no media type",
            })?;
            (Some(media), expanded.render(uuid).as_bytes().to_vec().into())
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_fresh_value_goes_along_to_where_a_person_is_sent() {
        let parameter = |name: &str, value: &str| Parameter { name: name.into(), value: value.into() };
        let authorization = Authorization {
            url: "https://login.example.com/{uuid}?a={uuid}".into(),
            pkce: false,
            parameters: vec![parameter("nonce", "n-{uuid}"), parameter("response_type", "")],
            captures: Vec::new(),
        };
        let outside = Outside::new(|| Timestamp::UNIX_EPOCH, |bytes| bytes.fill(7));
        let own = [("response_type", "code".to_owned()), ("state", "s".to_owned())];
        let url = authorization_url(&authorization, &own, &Values::new(), &outside).unwrap();
        let uuid = "07070707-0707-4707-8707-070707070707";
        assert_eq!(url.as_str(), format!("https://login.example.com/{uuid}?a={uuid}&state=s&nonce=n-{uuid}"));
    }
}
