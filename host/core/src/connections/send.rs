//! A request through a connection, for a person or a flow: the very path of a guest's requests.

use std::sync::Arc;
use std::time::Duration;

use std::time::Instant;

use http::Uri;
use http_body_util::BodyExt as _;
use url::Url;

use super::{Connections, disabled, need};
use crate::egress::{self, Call, EgressError, Permit, Timeouts};
use crate::model::actor::{Actor, Permission};
use crate::model::error::Error;

/// Body of a request or an answer that streams.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, Error>;

/// Until the last byte of an answer: what `send` carries may be large.
const WHOLE: Duration = Duration::from_secs(600);

impl Connections {
    pub(crate) async fn send(
        &self,
        actor: &Actor,
        key: &str,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Error> {
        need(actor, Permission::UseConnections)?;
        let connection = self.find(actor, key)?;
        if !connection.enabled {
            return Err(disabled(&connection));
        }
        let permit = match self.credentials.kept(&connection) {
            Some(permit) => permit,
            None => self.credentials.permit(&connection, &self.installed(&connection)?.descriptor)?,
        };
        let (mut parts, body) = request.into_parts();
        parts.uri = target(&permit, &parts.uri)?;
        let body =
            body.map_err(|_error| EgressError::RequestBody { problem: "could not be read to its end" }).boxed_unsync();
        let call = Arc::new(Call::new(self.egress.limits().clone(), Instant::now() + WHOLE));
        let request = http::Request::from_parts(parts, body);
        let response = self.egress.send(&permit, &call, request, Timeouts::default()).await?;
        Ok(response.map(|body: egress::Body| body.map_err(Error::from).boxed_unsync()))
    }
}

/// A path stands on the connection's first origin; a URL is judged by the policy like any other.
fn target(permit: &Permit, uri: &Uri) -> Result<Uri, Error> {
    if uri.scheme().is_some() {
        return Ok(uri.clone());
    }
    if uri.authority().is_some() {
        return Err(Error::field("url", "a path begins with `/`; write it so, or give a whole URL"));
    }
    let origin = permit
        .origins()
        .first()
        .ok_or_else(|| Error::field("url", "the connection has no origin; give a whole URL"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = Url::parse(&format!("{origin}{path}")).map_err(|error| Error::field("url", error.to_string()))?;
    url.as_str().parse().map_err(|error: http::uri::InvalidUri| Error::field("url", error.to_string()))
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        let (rule, hint, denied) = match &error {
            EgressError::Denied(denied) => ("denied", denied.allow_hint.clone(), true),
            EgressError::Budget { .. } => ("budget", None, true),
            EgressError::Dns { .. } => ("dns", None, false),
            EgressError::Connect { .. } => ("connect", None, false),
            EgressError::Tls { .. } => {
                ("tls", Some("egress.ca-file trusts a certificate authority of your own".into()), false)
            }
            EgressError::Timeout { .. } => ("timeout", None, false),
            EgressError::RequestBody { .. } => ("request-body", None, true),
            EgressError::Attach { .. } => ("attach", None, true),
            EgressError::Response { .. } => ("response", None, false),
        };
        Self::Upstream { rule, message: error.to_string(), hint, denied }
    }
}
