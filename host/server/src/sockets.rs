//! The sockets of callers: how many there are, and who gives way.
//!
//! Whoever opens sockets and says nothing, or says it slowly, must keep nobody else out. So a place is held by right only while this
//! server works on an answer. A caller who is waited for, for the head of a request or for more of its body, gives way to a new one
//! where all places are taken: the one that was silent for longest first. Where all are at work, the new one is told so.
//! And nobody is waited for longer than `patience`, whatever there is room for.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep};

/// So much of a body must come within the patience of a server: no road is so slow.
const PACE: usize = 16 << 10;
/// Whoever is told to go takes a moment: so many may be on their way out, and as many as there are places.
const LEAVING: usize = 256;

/// All places of a server. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    state: Arc<Mutex<State>>,
    left: Arc<Notify>,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Each socket, with what tells it to go.
    open: HashMap<u64, oneshot::Sender<()>>,
    /// Those that are waited for, the one that was silent for longest first.
    waited_for: BTreeMap<u64, u64>,
    /// Those that were told to go and are not gone yet.
    leaving: usize,
}

/// A socket's place, given back when it is dropped.
pub(crate) struct Place {
    sockets: Sockets,
    id: u64,
    /// Since when it is waited for, as a number that grows.
    since: Mutex<Option<u64>>,
}

impl Sockets {
    pub(crate) fn new(most: usize) -> Self {
        Self { state: Arc::default(), left: Arc::default(), most: most.max(1) }
    }

    /// A place, and what says that somebody else needs it. None where everybody is at work.
    pub(crate) fn take(&self) -> Option<(Arc<Place>, oneshot::Receiver<()>)> {
        let mut state = self.state();
        if state.open.len() >= self.most && (state.leaving >= self.most.max(LEAVING) || !state.send_away()) {
            return None;
        }
        let (tell, told) = oneshot::channel();
        let id = state.number();
        state.open.insert(id, tell);
        state.waited_for.insert(id, id);
        drop(state);
        Some((Arc::new(Place { sockets: self.clone(), id, since: Mutex::new(Some(id)) }), told))
    }

    /// Sends the one away that was silent for longest: the system has no room for more.
    pub(crate) fn make_room(&self) {
        self.state().send_away();
    }

    /// Waits until one has gone.
    pub(crate) async fn one_left(&self) {
        self.left.notified().await;
    }

    /// Waits until all have gone.
    pub(crate) async fn all_left(&self) {
        loop {
            let left = self.left.notified();
            if self.state().is_empty() {
                return;
            }
            left.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.leaving == 0
    }

    /// Whether there was somebody who could go.
    fn send_away(&mut self) -> bool {
        let Some((_, id)) = self.waited_for.pop_first() else { return false };
        if let Some(tell) = self.open.remove(&id) {
            self.leaving += 1;
            // One that is just ending hears nothing any more.
            tell.send(()).ok();
        }
        true
    }
}

impl Place {
    /// Its caller has to say something now.
    pub(crate) fn waits(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.sockets.state();
        if let Some(before) = since.take() {
            state.waited_for.remove(&before);
        }
        if state.open.contains_key(&self.id) {
            let now = state.number();
            state.waited_for.insert(now, self.id);
            *since = Some(now);
        }
    }

    /// This server has to do something now.
    pub(crate) fn works(&self) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = since.take() {
            self.sockets.state().waited_for.remove(&before);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.works();
        let mut state = self.sockets.state();
        if state.open.remove(&self.id).is_none() {
            state.leaving -= 1;
        }
        drop(state);
        self.sockets.left.notify_waiters();
        // Whoever comes to wait in this moment hears of it, too.
        self.sockets.left.notify_one();
    }
}

/// A caller took too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request did not arrive in time")]
pub(crate) struct TooSlow;

impl TooSlow {
    /// Whether this is at the bottom of an error.
    pub(crate) fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// The body of a request, which must keep a pace. Only waiting for the caller counts: how fast it is asked for is no fault of theirs.
pub(crate) struct Arriving<B> {
    body: B,
    place: Arc<Place>,
    patience: Duration,
    /// What is left of the patience for this part.
    left: Duration,
    /// How much of this part has come.
    come: usize,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> Arriving<B> {
    pub(crate) fn new(body: B, place: Arc<Place>, patience: Duration) -> Self {
        Self { body, place, patience, left: patience, come: 0, waiting: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let left = this.left;
            let (_, end) = this.waiting.get_or_insert_with(|| {
                this.place.waits();
                let now = Instant::now();
                (now, Box::pin(tokio::time::sleep_until(now + left)))
            });
            ready!(end.as_mut().poll(context));
            return Poll::Ready(Some(Err(TooSlow.into())));
        };
        if let Some((since, _)) = this.waiting.take() {
            this.place.works();
            this.left = this.left.saturating_sub(since.elapsed());
        }
        if let Some(Ok(frame)) = &frame {
            this.come += frame.data_ref().map_or(0, Bytes::len);
            if this.come >= PACE {
                (this.come, this.left) = (0, this.patience);
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. With its end, its caller is waited for again.
pub(crate) struct Leaving<B> {
    pub(crate) body: B,
    pub(crate) place: Arc<Place>,
}

impl<B: Body + Unpin> Body for Leaving<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Leaving<B> {
    fn drop(&mut self) {
        self.place.waits();
    }
}

/// A socket whose caller must take something of what is said to it from time to time.
pub(crate) struct Heard<S> {
    socket: S,
    patience: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Heard<S> {
    pub(crate) fn new(socket: S, patience: Duration) -> Self {
        Self { socket, patience, stuck: None }
    }

    fn judge<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stuck = None;
            return polled;
        }
        let patience = self.patience;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.judge(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.judge(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP socket has nothing to flush: what it took is on its way.
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_silent_for_longest_gives_way_and_who_is_at_work_does_not() {
        let sockets = Sockets::new(2);
        let (first, mut first_told) = sockets.take().unwrap();
        let (second, mut second_told) = sockets.take().unwrap();
        first.works();
        first.waits();
        let (third, mut third_told) = sockets.take().unwrap();
        assert!(second_told.try_recv().is_ok() && first_told.try_recv().is_err(), "the second was silent for longer");
        first.works();
        third.works();
        assert!(sockets.take().is_none(), "both are at work");
        third.waits();
        drop(second);
        let (fourth, _fourth_told) = sockets.take().unwrap();
        assert!(third_told.try_recv().is_ok() && first_told.try_recv().is_err());
        // Who was told to go holds no place any more, whatever it still does.
        third.waits();
        fourth.works();
        assert!(sockets.take().is_none());
        drop((first, third, fourth));
        assert!(sockets.state().is_empty() && sockets.state().waited_for.is_empty());
    }

    #[tokio::test]
    async fn a_body_must_keep_its_pace() {
        use http_body_util::{BodyExt as _, StreamBody};
        let (place, _told) = Sockets::new(1).take().unwrap();
        let paced = |bytes: usize, frames: usize, patience: u64| {
            let frames = futures_util::stream::unfold(0, move |sent| async move {
                tokio::time::sleep_until(Instant::now() + Duration::from_millis(10)).await;
                let frame = Frame::data(Bytes::from(vec![0; bytes]));
                (sent < frames).then_some((Ok::<_, std::convert::Infallible>(frame), sent + 1))
            });
            let body = StreamBody::new(Box::pin(frames));
            Arriving::new(body, Arc::clone(&place), Duration::from_millis(patience)).collect()
        };
        assert_eq!(
            paced(PACE, 100, 900).await.unwrap().to_bytes().len(),
            100 * PACE,
            "longer as a whole than a part may be"
        );
        assert!(TooSlow::is_behind(&*paced(1, 100_000, 100).await.unwrap_err()), "a byte now and then");
        let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, std::convert::Infallible>>());
        let silent = Arriving::new(silent, Arc::clone(&place), Duration::from_millis(10));
        assert!(TooSlow::is_behind(&*silent.collect().await.unwrap_err()), "nothing");
    }

    #[tokio::test]
    async fn who_does_not_listen_is_left() {
        use tokio::io::AsyncWriteExt as _;
        let (near, _far) = tokio::io::duplex(8);
        let mut heard = Heard::new(near, Duration::from_millis(10));
        heard.write_all(b"12345678").await.unwrap();
        let error = heard.write_all(b"9").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
