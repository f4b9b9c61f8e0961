//! Bodies under way: counted, bounded, timed, and on the way back decoded and scanned.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use sync_wrapper::SyncWrapper;
use tokio::time::{Instant, Sleep};

use super::call::{Call, Entry};
use super::error::{EgressError, Phase};
use super::redact;
use super::{Body, trailers};

/// So much of a body of unknown length is awaited before the head is sent: most end within it, and a known length is
/// understood by every server, chunks are not.
const AWAITED: usize = 64 << 10;

/// A request's body, ready to be sent.
pub(super) enum Upload {
    /// All of it; it can be sent again.
    Whole(Bytes),
    /// The rest is still being written.
    Streaming(Sending),
}

impl Upload {
    /// Takes a body over. `declared` is the guest's `content-length`.
    pub(super) async fn prepare(
        mut body: Body,
        declared: Option<u64>,
        whole: bool,
        call: &Call,
        entry: &Arc<Entry>,
    ) -> Result<Self, EgressError> {
        let limit = call.limits.request_body;
        let too_long = || EgressError::Budget { limit: "bytes of a request's body", value: limit };
        let known = body.size_hint().exact();
        let length = match (known, declared) {
            (Some(known), Some(declared)) if known != declared => return Err(not_as_announced()),
            (known, declared) => known.or(declared),
        };
        if length.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let mut buffer = BytesMut::new();
        let awaited = match (whole, length) {
            (false, Some(1..)) => 0,
            (false, _) => AWAITED,
            (true, _) => usize::MAX,
        };
        while buffer.len() < awaited {
            match body.frame().await {
                None => {
                    if declared.is_some_and(|declared| declared != buffer.len() as u64) {
                        return Err(not_as_announced());
                    }
                    return Ok(Self::Whole(buffer.freeze()));
                }
                // Trailers of a request are about its framing; they go no further.
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        if buffer.len() as u64 + data.len() as u64 > limit {
                            return Err(too_long());
                        }
                        buffer.extend_from_slice(&data);
                    }
                }
            }
        }
        let first = (!buffer.is_empty()).then(|| buffer.freeze());
        let left = limit;
        Ok(Self::Streaming(Sending {
            first,
            rest: SyncWrapper::new(body),
            left,
            length,
            limit,
            entry: Arc::clone(entry),
        }))
    }
}

fn not_as_announced() -> EgressError {
    EgressError::RequestBody { problem: "is not as long as its content-length says" }
}

/// A body that is still being written.
pub(super) struct Sending {
    first: Option<Bytes>,
    /// Only ever polled through an exclusive borrow, which is what lets it go where `Sync` is asked for.
    rest: SyncWrapper<Body>,
    left: u64,
    /// What is still to come, where that is known.
    length: Option<u64>,
    limit: u64,
    entry: Arc<Entry>,
}

impl Sending {
    fn pass(&mut self, data: Bytes) -> Result<Frame<Bytes>, EgressError> {
        let length = data.len() as u64;
        let Some(left) = self.left.checked_sub(length) else {
            return Err(EgressError::Budget { limit: "bytes of a request's body", value: self.limit });
        };
        self.left = left;
        if let Some(announced) = &mut self.length {
            *announced = announced.checked_sub(length).ok_or_else(not_as_announced)?;
        }
        self.entry.progress.sent(data.len());
        Ok(Frame::data(data))
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(self.pass(first)));
        }
        loop {
            match ready!(Pin::new(self.rest.get_mut()).poll_frame(cx)) {
                None if self.length.is_some_and(|length| length > 0) => {
                    return Poll::Ready(Some(Err(not_as_announced())));
                }
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(self.pass(data)));
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// An answer's body as it comes over the wire: counted, bounded and timed.
pub(super) struct Receiving {
    inner: reqwest::Body,
    left: u64,
    idle: Duration,
    /// What is left of the call as it begins.
    rest: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    watch: Watch,
    done: bool,
}

/// Whom a body reports to.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) call: Arc<Call>,
    pub(super) entry: Arc<Entry>,
}

impl Watch {
    fn too_long(&self) -> EgressError {
        EgressError::Budget { limit: "bytes of an answer's body", value: self.call.limits.response_body }
    }
}

impl Receiving {
    pub(super) fn new(inner: reqwest::Body, idle: Duration, watch: Watch) -> Self {
        let left = watch.call.limits.response_body;
        let rest = watch.call.deadline().saturating_duration_since(Instant::now());
        if inner.is_end_stream() {
            watch.entry.progress.whole();
        }
        Self { inner, left, idle, rest, pause: None, watch, done: false }
    }

    fn fail(&mut self, error: EgressError) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        self.done = true;
        self.watch.entry.broke(&error);
        Poll::Ready(Some(Err(error)))
    }

    fn outlasted(&mut self) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let origin = self.watch.entry.origin();
        self.fail(EgressError::Timeout { origin, phase: Phase::Call, after: self.rest })
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let (idle, deadline) = (self.idle, self.watch.call.deadline());
        let wake = (Instant::now() + idle).min(deadline);
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake)));
        ready!(pause.as_mut().poll(cx));
        if pause.deadline() >= deadline {
            return self.outlasted();
        }
        let origin = self.watch.entry.origin();
        self.fail(EgressError::Timeout { origin, phase: Phase::BetweenBytes, after: idle })
    }
}

impl HttpBody for Receiving {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let me = &mut *self;
        if me.done {
            return Poll::Ready(None);
        }
        match Pin::new(&mut me.inner).poll_frame(cx) {
            Poll::Pending => me.poll_pause(cx),
            Poll::Ready(None) => {
                me.done = true;
                me.watch.entry.progress.whole();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let origin = me.watch.entry.origin();
                // What the layer below says may quote the upstream.
                let error = EgressError::within(&error)
                    .unwrap_or(EgressError::Response { origin, problem: "broke off before its end" });
                me.fail(error)
            }
            Poll::Ready(Some(Ok(frame))) => {
                me.pause = None;
                // An upstream that never pauses must still meet the deadline.
                if Instant::now() >= me.watch.call.deadline() {
                    return me.outlasted();
                }
                if let Some(data) = frame.data_ref() {
                    me.watch.entry.progress.received(data.len());
                    match me.left.checked_sub(data.len() as u64) {
                        Some(left) => me.left = left,
                        None => return me.fail(me.watch.too_long()),
                    }
                }
                // Nobody asks for more than the length that was announced.
                if me.inner.is_end_stream() {
                    me.watch.entry.progress.whole();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body with the secrets taken out.
pub(super) struct Scanned<B> {
    inner: B,
    stream: Option<redact::Stream>,
    redactor: redact::Redactor,
    /// What comes behind the last bytes.
    trailers: Option<http::HeaderMap>,
    entry: Arc<Entry>,
}

impl<B> Scanned<B> {
    pub(super) fn new(inner: B, redactor: &redact::Redactor, entry: Arc<Entry>) -> Self {
        Self { inner, stream: Some(redactor.stream()), redactor: redactor.clone(), trailers: None, entry }
    }
}

impl<B: HttpBody<Data = Bytes, Error = EgressError> + Unpin> HttpBody for Scanned<B> {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let me = &mut *self;
        loop {
            let Some(stream) = &mut me.stream else {
                return Poll::Ready(me.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            };
            let (clean, over) = match ready!(Pin::new(&mut me.inner).poll_frame(cx)) {
                Some(Err(error)) => {
                    me.stream = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if me.inner.is_end_stream() => (stream.end(&data), true),
                    Ok(data) => (stream.push(&data), false),
                    Err(frame) => {
                        me.trailers =
                            frame.into_trailers().ok().map(|map| trailers(map, Some(&me.redactor), &me.entry));
                        continue;
                    }
                },
                None => (stream.finish(), true),
            };
            if stream.found {
                me.entry.progress.redacted();
            }
            if over {
                me.stream = None;
            }
            if !clean.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(clean))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.trailers.is_none()
    }
}

/// Reads what little a refusal says, so that its socket can be used again.
pub(super) async fn drain(body: &mut reqwest::Body) {
    const WORTH_READING: usize = 16 << 10;
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |data| data.remaining());
        if read > WORTH_READING {
            return;
        }
    }
}
