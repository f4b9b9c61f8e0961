//! A short document that the host itself asks for, such as what an OpenID provider says of itself. It takes the road of every
//! other request, with nothing attached; what comes back is for the host's own eyes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use url::Url;
use zeroize::Zeroizing;

use super::post::{refused, to};
use super::{Body, Call, Egress, EgressError, Timeouts};
use crate::model::outside::Outside;

/// What is asked for, and how much it may take.
#[derive(Debug)]
pub(crate) struct Fetch<'a> {
    /// Requests of one purpose may share sockets.
    pub(crate) pool_key: &'a str,
    pub(crate) url: &'a Url,
    /// Method, headers and body; its URL is the one above.
    pub(crate) request: Request<Bytes>,
    /// From the first byte to the last.
    pub(crate) within: Duration,
    /// Bytes of its answer.
    pub(crate) most: usize,
}

/// What came, whatever its status.
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    /// It may bring a token.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Egress {
    /// Asks once. A redirect is an answer like others: nobody goes after it.
    pub(crate) async fn fetch(&self, fetch: Fetch<'_>, outside: &Outside) -> Result<Fetched, EgressError> {
        let Fetch { pool_key, url, request, within, most } = fetch;
        let permit = Arc::new(to(pool_key, url, outside)?);
        let call = Arc::new(Call::new(self.limits().clone(), within));
        let (mut parts, body) = request.into_parts();
        parts.uri = url.as_str().parse().map_err(|_too_long| refused(url, "is longer than a URL may be"))?;
        let body: Body = Full::new(body).map_err(|never: std::convert::Infallible| match never {}).boxed_unsync();
        let response = self.send(&permit, &call, Request::from_parts(parts, body), Timeouts::default()).await?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(EgressError::Budget { limit: "bytes of such an answer", value: most as u64 });
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Fetched { status: parts.status, body: bytes })
    }
}
