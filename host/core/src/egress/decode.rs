//! Content codings undone under a budget. The host asks for `identity`; a server that encodes all the same must neither hide a
//! secret from the scan nor fill the memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{self, HeaderMap};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio_util::io::{ReaderStream, StreamReader};

use super::body::{Receiving, Watch};
use super::call::Entry;
use super::error::EgressError;

/// No text compresses better than this; a bomb does.
const RATIO: u64 = 100;
/// Below it the ratio says nothing: a page of zeros is small when it is large.
const JUDGED_FROM: u64 = 1 << 20;
/// More codings over each other than anyone uses.
const CODINGS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// What was applied, in the order in which it was; `None` where one is unknown or there are too many.
pub(super) fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                _ => return None,
            }
        }
    }
    (codings.len() <= CODINGS).then_some(codings)
}

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A body as it was before it was encoded. Its trailers are left out: they spoke of the encoded one.
pub(super) struct Decoded {
    inner: BoxStream<'static, io::Result<Bytes>>,
    wire: Arc<std::sync::atomic::AtomicU64>,
    total: u64,
    limit: u64,
    entry: Arc<Entry>,
    done: bool,
}

impl Decoded {
    pub(super) fn new(body: Receiving, codings: &[Coding], watch: &Watch) -> Self {
        let wire = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counter = Arc::clone(&wire);
        let stream = body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(io::Error::other)?;
            counter.fetch_add(piece.len() as u64, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, io::Error>(piece)
        });
        let mut reader: Reader = Box::pin(StreamReader::new(stream));
        for coding in codings.iter().rev() {
            let limit = watch.call.limits.response_body;
            reader = decoder(*coding, tokio::io::BufReader::new(reader));
            // Each layer by itself: what one blows up, the next may swallow.
            reader = Box::pin(Bounded { inner: reader, left: limit, limit });
        }
        Self {
            inner: ReaderStream::new(reader).boxed(),
            wire,
            total: 0,
            limit: watch.call.limits.response_body,
            entry: Arc::clone(&watch.entry),
            done: false,
        }
    }

    fn fail(&mut self, error: EgressError) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        self.done = true;
        self.entry.broke(&error);
        Poll::Ready(Some(Err(error)))
    }
}

/// A layer that gives no more than it may.
struct Bounded {
    inner: Reader,
    left: u64,
    limit: u64,
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.inner.as_mut().poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        match self.left.checked_sub(read) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Ok(()))
            }
            None => {
                let error = EgressError::Budget { limit: "bytes of an answer's body", value: self.limit };
                Poll::Ready(Err(io::Error::other(error)))
            }
        }
    }
}

fn decoder(coding: Coding, encoded: impl AsyncBufRead + Send + 'static) -> Reader {
    match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Coding::Deflate => Box::pin(ZlibDecoder::new(encoded)),
        Coding::Brotli => Box::pin(BrotliDecoder::new(encoded)),
        Coding::Zstd => Box::pin(ZstdDecoder::new(encoded)),
    }
}

impl HttpBody for Decoded {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let me = &mut *self;
        if me.done {
            return Poll::Ready(None);
        }
        match ready!(me.inner.poll_next_unpin(cx)) {
            None => {
                me.done = true;
                Poll::Ready(None)
            }
            Some(Ok(data)) => {
                me.total += data.len() as u64;
                let wire = me.wire.load(std::sync::atomic::Ordering::Relaxed);
                if me.total > me.limit {
                    return me.fail(EgressError::Budget { limit: "bytes of an answer's body", value: me.limit });
                }
                if me.total > JUDGED_FROM && me.total / RATIO > wire {
                    return me.fail(EgressError::Budget {
                        limit: "an answer's size over its compressed size",
                        value: RATIO,
                    });
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => {
                let origin = me.entry.origin();
                let error = EgressError::within(&error)
                    .unwrap_or(EgressError::Response { origin, problem: "is not encoded as it says" });
                me.fail(error)
            }
        }
    }
}
