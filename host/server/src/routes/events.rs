//! `/api/v1/events`: as pages of JSON, and as a stream of server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use turnbuckle::{Error, Event, EventFilter, EventPage, Events, Host, Permission};

use super::Who;
use crate::access::Standing;
use crate::input::Search;
use crate::problem::{Problem, Words};

/// A proxy that hears nothing for longer may close the connection, and a token that was revoked is noticed by then.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// More streams at once would leave too few of a server's connections for everybody else.
const STREAMS: usize = 256;

/// What a server gives its streams: they have no end of their own.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    /// Turns true when the server is about to end.
    ending: watch::Receiver<bool>,
    slots: Arc<Semaphore>,
}

impl Streams {
    pub(crate) fn new(ending: watch::Receiver<bool>) -> Self {
        Self { ending, slots: Arc::new(Semaphore::new(STREAMS)) }
    }

    /// A place for one more stream, for as long as that is kept, and what says that the server ends. None where as many are
    /// open as may be.
    pub(crate) fn take(self) -> Option<(OwnedSemaphorePermit, watch::Receiver<bool>)> {
        Some((self.slots.try_acquire_owned().ok()?, self.ending))
    }
}

/// Events. With `Accept: text/event-stream` they come as they happen, each with its number as `id` and its type as `event`;
/// `Last-Event-ID`, or `after`, goes on behind one, and comments keep the connection alive. Otherwise they come as a page of
/// JSON, oldest first. Events behind a number that are no longer kept are a 410 that names the oldest one kept.
#[utoipa::path(get, operation_id = "events.list", path = "/api/v1/events", tag = "events", params(EventFilter, ("Last-Event-ID" = Option<u64>, Header, description = "Of a stream: behind the event of this number.")), responses((status = 200, content((EventPage = "application/json"), (String = "text/event-stream"))), (status = 403, body = Words), (status = 404, body = Words), (status = 410, body = Words), (status = 422, body = Words), (status = 503, body = Words)))]
pub(super) async fn list(
    State(host): State<Host>,
    who: Who,
    Extension(standing): Extension<Standing>,
    streams: Option<Extension<Streams>>,
    headers: HeaderMap,
    Search(mut filter): Search<EventFilter>,
) -> Result<Response, Problem> {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if !accepted.flat_map(|value| value.split(',')).any(is_stream) {
        return Ok(Json::<EventPage>(host.event_page(&who, &filter)?).into_response());
    }
    if let Some(last) = headers.get("last-event-id") {
        let last = last.to_str().ok().and_then(|text| text.trim().parse().ok());
        filter.after = Some(last.ok_or_else(|| Problem::input("last-event-id", "must be the number of an event"))?);
    }
    let events = host.filtered_events(&who, &filter)?;
    let (ending, slot) = match streams {
        Some(Extension(streams)) => {
            let (slot, ending) = streams.take().ok_or_else(|| {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "as many streams are open as may be")
                    .hint("end one of them, or read pages: leave `Accept: text/event-stream` out")
            })?;
            (ending, Some(slot))
        }
        // Of a router that no server drives: it ends when whoever reads it goes away.
        None => (watch::channel(false).1, None),
    };
    let following = Following { events, standing, ending, over: false, begun: false, _slot: slot };
    Ok(Sse::new(following.told()).into_response())
}

fn is_stream(media: &str) -> bool {
    media.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Somebody who follows, by a token.
struct Following {
    events: Events,
    standing: Standing,
    ending: watch::Receiver<bool>,
    over: bool,
    begun: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Following {
    fn told(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold(self, |mut following| async move {
            let next = following.next().await?;
            Some((Ok(next), following))
        })
    }

    /// What is sent next; nothing where the stream is over. Whatever it is, the token is asked for again first.
    async fn next(&mut self) -> Option<sse::Event> {
        if !self.begun {
            // So that whoever follows knows from where on, before anything happens.
            self.begun = true;
            return Some(self.heartbeat().retry(RETRY));
        }
        if self.over {
            return None;
        }
        let ending = &mut self.ending;
        let ended = async {
            // Nobody is left who could say so.
            if ending.wait_for(|ending| *ending).await.is_err() {
                std::future::pending().await
            }
        };
        let next = tokio::select! {
            () = ended => return None,
            next = tokio::time::timeout(HEARTBEAT, self.events.next()) => next,
        };
        if !self.standing.actor().is_some_and(|actor| actor.may(Permission::ViewConnections)) {
            return None;
        }
        match next {
            Err(_nothing_happened) => Some(self.heartbeat()),
            Ok(None) => None,
            Ok(Some(Ok(event))) => told(&event),
            Ok(Some(Err(error))) => {
                // There is no status any more that could say it.
                self.over = true;
                Some(failed(&error))
            }
        }
    }

    /// Says nothing but where it is, so that whoever comes back need not look again at what was passed over.
    fn heartbeat(&self) -> sse::Event {
        sse::Event::default().comment("still here").id(self.events.cursor().to_string())
    }
}

fn told(event: &Event) -> Option<sse::Event> {
    let told = sse::Event::default().id(event.seq.to_string()).event(event.kind().name()).json_data(event);
    told.inspect_err(|error| tracing::error!(%error, "an event can't be written")).ok()
}

fn failed(error: &Error) -> sse::Event {
    let words = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    sse::Event::default().event("problem").data(words)
}
