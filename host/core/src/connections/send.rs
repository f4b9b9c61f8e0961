//! A request through a connection, for a person or a flow: the very path of a guest's requests.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::Uri;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use url::Url;

use super::{Connections, authorize, disabled, need, probe};
use crate::credentials::{self, Pinned, Unusable, Usable};
use crate::egress::{self, Call, EgressError, Permit, Timeouts};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, Deed, Done};
use crate::model::connection::Connection;
use crate::model::error::Error;
use crate::model::measure;
use crate::model::origin::Origin;
use crate::model::verdict::{Failure, FailureKind};
use crate::runtime::Answer;
use crate::store::Noting;

/// Body of a request or an answer that streams.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, Error>;

/// Until the last byte of an answer: what `send` carries may be large.
const WHOLE: Duration = Duration::from_secs(600);

/// The longest body that is kept to be sent once more after a credential was renewed.
const REPLAYED: u64 = 256 << 10;
/// What a classifier is shown of an answer.
const CLASSIFIED: usize = 16 << 10;

impl Connections {
    pub(crate) async fn send(
        &self,
        actor: &Actor,
        key: &str,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Error> {
        need(actor, Permission::UseConnections)?;
        let connection = self.find_shared(actor, key)?;
        if !connection.enabled {
            return Err(disabled(&connection));
        }
        let usable = match self.credentials.kept(&connection) {
            Some(usable) => usable,
            None => self.made_usable(actor, &connection).await?,
        };
        let (request, origin) = prepared(&usable.permit, request)?;
        let renewable = usable.renewable;
        if !renewable && !usable.installed.surface.exports_interface("classifier") {
            let using = self.using(actor.name(), &connection, &usable, origin.as_ref())?;
            let outcome = self.dispatch(&usable, request.map(outgoing)).await;
            count(&outcome);
            using.ended(|done| match &outcome {
                Ok(response) => done.answered(response.status().as_u16()),
                Err(error) => done.ended(error),
            });
            let response = outcome?;
            self.prove(&connection, response.status());
            return Ok(response.map(incoming));
        }
        self.send_judged(actor, &connection, usable, (request, origin), renewable).await
    }

    /// With a credential that was not in use until now: it may have to be obtained or renewed.
    async fn made_usable(&self, actor: &Actor, connection: &Connection) -> Result<Arc<Usable>, Error> {
        let installed = self.installed(connection)?;
        self.catalog.prepare(&connection.connector).await?;
        let pinned = Pinned { connection, installed: &installed, actor: actor.name() };
        match self.credentials.usable(pinned).await {
            Ok(usable) => Ok(usable),
            Err(unusable) => Err(self.unusable(pinned, unusable).await?),
        }
    }

    /// Asks what the answer means and, where it means that the credential is no longer good, renews that and sends once more.
    async fn send_judged(
        &self,
        actor: &Actor,
        connection: &Connection,
        usable: Arc<Usable>,
        (request, origin): (http::Request<Body>, Option<Origin>),
        renewable: bool,
    ) -> Result<http::Response<Body>, Error> {
        let pinned = Pinned { connection, installed: &usable.installed, actor: actor.name() };
        let (parts, body) = request.into_parts();
        let replayable = body.size_hint().upper().is_some_and(|length| length <= REPLAYED);
        let (first, second) = match renewable && replayable {
            true => {
                let bytes = body.collect().await?.to_bytes();
                (whole(bytes.clone()), Some(bytes))
            }
            false => (outgoing(body), None),
        };
        let request = http::Request::from_parts(parts.clone(), first);
        let (response, failure) = self.send_once(pinned, &usable, origin.as_ref(), request).await?;
        let rejected = failure.as_ref().is_some_and(|failure| {
            matches!(failure.kind, FailureKind::Unauthorized | FailureKind::Expired | FailureKind::Revoked)
        });
        let (true, Some(bytes)) = (rejected && renewable, second) else {
            if failure.is_none() {
                self.prove(connection, response.status());
            }
            return Ok(told(response, failure));
        };
        drop(response);
        self.credentials.forget(connection.id);
        let renewed = match self.credentials.renew(pinned, usable.generation).await {
            Ok(()) => self.credentials.usable(pinned).await,
            Err(unusable) => Err(unusable),
        };
        let usable = match renewed {
            Ok(usable) => usable,
            Err(unusable) => return Err(self.unusable(pinned, unusable).await?),
        };
        let request = http::Request::from_parts(parts, whole(bytes));
        let (response, failure) = self.send_once(pinned, &usable, origin.as_ref(), request).await?;
        Ok(told(response, failure))
    }

    /// The record of one request, written however that ends. It costs the sender no commit and, where the last one was by the
    /// same actor to the same place, next to nothing.
    fn using(
        &self,
        actor: &str,
        connection: &Connection,
        usable: &Usable,
        origin: Option<&Origin>,
    ) -> Result<Noting<'_, Done>, Error> {
        let now = self.outside.now();
        let known = usable.last_send.get(|deed| deed.is_of(actor, origin.into_iter().map(Origin::as_str)));
        let deed = match known {
            Some(deed) => deed,
            None => {
                let event = AuditEvent::of(now, actor, AuditAction::ConnectionSend, connection);
                let event = AuditEvent { origins: origin.iter().map(ToString::to_string).collect(), ..event };
                let deed = Deed::new(&event).map_err(|error| Error::internal("writing a record")(Box::new(error)))?;
                usable.last_send.set(&deed);
                deed
            }
        };
        Ok(self.store.noting(Done::new(deed, now)))
    }

    async fn dispatch(
        &self,
        usable: &Usable,
        request: http::Request<egress::Body>,
    ) -> Result<http::Response<egress::Body>, Error> {
        let call = Arc::new(Call::unrecorded(self.egress.limits().clone(), WHOLE));
        Ok(self.egress.send(&usable.permit, &call, request, Timeouts::default()).await?)
    }

    /// One request, and what its answer means.
    async fn send_once(
        &self,
        pinned: Pinned<'_>,
        usable: &Usable,
        origin: Option<&Origin>,
        request: http::Request<egress::Body>,
    ) -> Result<(http::Response<egress::Body>, Option<Failure>), Error> {
        let using = self.using(pinned.actor, pinned.connection, usable, origin)?;
        let outcome = match self.dispatch(usable, request).await {
            Ok(response) => self.judged(pinned, usable, response).await,
            Err(error) => Err(error),
        };
        match &outcome {
            Ok((response, _)) => measure::send(Some(response.status().as_u16()), ""),
            Err(error) => measure::send(None, error.code()),
        }
        using.ended(|done| match &outcome {
            Ok((response, None)) => done.answered(response.status().as_u16()),
            Ok((response, Some(failure))) => done.answered(response.status().as_u16()).failed(failure.kind.name()),
            Err(error) => done.ended(error),
        });
        outcome
    }

    /// What an answer means: as its status says, or as the connector says that knows its service better.
    async fn judged(
        &self,
        pinned: Pinned<'_>,
        usable: &Usable,
        response: http::Response<egress::Body>,
    ) -> Result<(http::Response<egress::Body>, Option<Failure>), Error> {
        let by_status = match response.status().as_u16() {
            401 => Some(Failure { kind: FailureKind::Unauthorized, message: "the service answered 401".into() }),
            _ => None,
        };
        if !pinned.installed.surface.exports_interface("classifier") {
            return Ok((response, by_status));
        }
        let (parts, mut body) = response.into_parts();
        let (mut frames, mut shown) = (Vec::new(), Vec::new());
        while shown.len() < CLASSIFIED {
            let Some(frame) = body.frame().await else { break };
            let frame = frame?;
            if let Some(data) = frame.data_ref() {
                shown.extend_from_slice(data);
            }
            frames.push(Ok(frame));
        }
        shown.truncate(CLASSIFIED);
        let answer = Answer { status: parts.status, headers: &parts.headers, body: &shown };
        let guest = credentials::guest(pinned.connection, &usable.visible);
        let said = self.runtime.classify(&pinned.installed.reference.digest, &guest, answer).await;
        let said = said.unwrap_or_else(|error| {
            // A classifier that fails says nothing; the answer is passed on all the same.
            tracing::warn!(connection = %pinned.connection.id, %error, "the connector could not classify an answer");
            None
        });
        let rest = futures_util::stream::iter(frames).chain(http_body_util::BodyStream::new(body));
        let body = http_body_util::StreamBody::new(rest).boxed_unsync();
        Ok((http::Response::from_parts(parts, body), said.or(by_status)))
    }

    /// A credential that is beyond renewal is a fact about the connection, whoever found out.
    pub(super) async fn unusable(&self, pinned: Pinned<'_>, unusable: Unusable) -> Result<Error, Error> {
        if let Unusable::Failed(failure) = &unusable
            && !matches!(
                failure.kind,
                FailureKind::Unavailable | FailureKind::Timeout | FailureKind::RateLimited { .. }
            )
        {
            let probed = probe::failed(failure.clone(), self.outside.now(), Duration::ZERO);
            let connection = pinned.connection;
            self.record((connection.id, connection.version), probed, pinned.actor, None).await?;
        }
        Ok(authorize::upstream(unusable))
    }
}

fn count<T>(outcome: &Result<http::Response<T>, Error>) {
    match outcome {
        Ok(response) => measure::send(Some(response.status().as_u16()), ""),
        Err(error) => measure::send(None, error.code()),
    }
}

/// A request to where the connection's requests go, and its origin for the audit.
fn prepared(permit: &Permit, request: http::Request<Body>) -> Result<(http::Request<Body>, Option<Origin>), Error> {
    let (mut parts, body) = request.into_parts();
    let (uri, origin) = target(permit, &parts.uri)?;
    parts.uri = uri;
    Ok((http::Request::from_parts(parts, body), origin))
}

fn outgoing(body: Body) -> egress::Body {
    body.map_err(|_error| EgressError::RequestBody { problem: "could not be read to its end" }).boxed_unsync()
}

fn incoming(body: egress::Body) -> Body {
    body.map_err(Error::from).boxed_unsync()
}

fn whole(bytes: bytes::Bytes) -> egress::Body {
    http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The answer, and what it means where that is not what its status says.
fn told(response: http::Response<egress::Body>, failure: Option<Failure>) -> http::Response<Body> {
    let mut response = response.map(incoming);
    if let Some(failure) = failure {
        response.extensions_mut().insert(failure);
    }
    response
}

/// A path stands on the connection's first origin; a URL is judged by the policy like any other.
fn target(permit: &Permit, uri: &Uri) -> Result<(Uri, Option<Origin>), Error> {
    if uri.scheme().is_some() {
        let known = permit.origins().iter().find(|origin| origin.is_written_in(uri)).cloned();
        let origin = known.or_else(|| Url::parse(&uri.to_string()).ok().as_ref().and_then(Origin::of));
        return Ok((uri.clone(), origin));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if uri.authority().is_some() || !path.starts_with('/') {
        return Err(Error::field("url", "a path begins with `/`; write it so, or give a whole URL"));
    }
    let origin = permit
        .origins()
        .first()
        .ok_or_else(|| Error::field("url", "the connection has no origin; give a whole URL"))?;
    let mut uri = String::with_capacity(256);
    write!(uri, "{origin}{path}").expect("a text takes what it is given");
    let uri = Uri::try_from(uri).map_err(|error: http::uri::InvalidUri| Error::field("url", error.to_string()))?;
    Ok((uri, Some(origin.clone())))
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
