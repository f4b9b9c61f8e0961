//! Events as they are followed: from a place in the sequence on, live and without a gap; and the endpoints that they are
//! delivered to.
//!
//! Who follows reads from the store and is woken by its commits, so however slow a reader is, it costs no memory, and what was
//! written while nobody looked is read afterwards.

mod changes;
mod delivery;
#[cfg(fuzzing)]
pub(crate) use sign::signatures;
mod sign;
mod tasks;
mod webhooks;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::sync::watch;

use crate::connections::find_visible;
use crate::credentials::Credentials;
use crate::egress::Egress;
use crate::model::actor::Actor;
use crate::model::error::Error;
use crate::model::event::{Event, EventCursor, EventTypes};
use crate::model::id::ConnectionId;
use crate::model::outside::Outside;
use crate::model::view::{EventFilter, EventPage};
use crate::store::{EventQuery, Followed, Store};

use tasks::Faults;

pub use changes::Changes;
pub use tasks::Delivering;

const PAGE: usize = 50;
const LONGEST_PAGE: usize = 500;
/// How many events a reader takes at once.
const CHUNK: usize = 64;
/// How often a page asks on where few of the events are wanted; then it ends early, and says where to go on.
const ROUNDS: usize = 4;

/// What events are made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) egress: Egress,
    pub(crate) credentials: Credentials,
    pub(crate) outside: Outside,
    /// Grows with every change of an endpoint.
    changed: watch::Sender<u64>,
    /// Whether somebody delivers already.
    delivering: AtomicBool,
    /// Endpoints whose deliveries broke off.
    faults: Mutex<Faults>,
}

/// The outbox, and its endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    parts: Arc<Parts>,
}

impl std::ops::Deref for Outbox {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Events from a place on, as they happen. It ends when the host is closed, or with an error where events that it should have
/// given are no longer kept.
pub struct Events {
    inner: BoxStream<'static, Result<Event, Error>>,
    reached: Arc<AtomicU64>,
}

impl Events {
    /// The place up to which everything was given: begin there to go on.
    pub fn cursor(&self) -> EventCursor {
        EventCursor(self.reached.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Events").field("reached", &self.reached).finish_non_exhaustive()
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(context)
    }
}

/// Somebody who follows, and where.
struct Following {
    store: Store,
    told: watch::Receiver<u64>,
    asks: Asks,
    place: u64,
    waiting: VecDeque<Event>,
    reached: Arc<AtomicU64>,
    over: bool,
}

/// Who asks for what.
struct Asks {
    seen_by: String,
    types: EventTypes,
    connection: Option<ConnectionId>,
}

impl Asks {
    fn behind(&self, after: u64, limit: usize) -> EventQuery<'_> {
        EventQuery { after, seen_by: &self.seen_by, types: &self.types, connection: self.connection, limit }
    }
}

impl Outbox {
    pub(crate) fn new(store: Store, egress: Egress, credentials: Credentials, outside: Outside) -> Self {
        let (changed, _nobody_yet) = watch::channel(0);
        let delivering = AtomicBool::new(false);
        Self {
            parts: Arc::new(Parts {
                store,
                egress,
                credentials,
                outside,
                changed,
                delivering,
                faults: Mutex::default(),
            }),
        }
    }

    /// Events behind a cursor, or from now on.
    pub(crate) fn follow(
        &self,
        actor: &Actor,
        filter: &EventFilter,
        after: Option<EventCursor>,
    ) -> Result<Events, Error> {
        let asks = self.asks(actor, filter)?;
        // Before the end is read: what is told in between wakes the reader.
        let told = self.store.told();
        let place = match after {
            Some(EventCursor(after)) => {
                opened(self.store.read(|reader| reader.events(asks.behind(after, 1)))?)?;
                after
            }
            None => self.store.read(|reader| reader.events_head())?,
        };
        let reached = Arc::new(AtomicU64::new(place));
        let following = Following {
            store: self.store.clone(),
            told,
            asks,
            place,
            waiting: VecDeque::new(),
            reached: reached.clone(),
            over: false,
        };
        Ok(Events { inner: stream::unfold(following, Following::next).boxed(), reached })
    }

    /// That something changed, whatever it is.
    pub(crate) fn changes(&self) -> Changes {
        Changes::new(self.store.shown())
    }

    /// A page of events behind a cursor, oldest first.
    pub(crate) fn page(&self, actor: &Actor, filter: &EventFilter) -> Result<EventPage, Error> {
        let limit = filter.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Error::field("limit", format!("must be 1 to {LONGEST_PAGE}")));
        }
        let asks = self.asks(actor, filter)?;
        self.store.read(|reader| {
            let newest = reader.events_head()?;
            let mut place = match filter.after {
                Some(EventCursor(after)) => after,
                None => reader.events_begin()?,
            };
            let mut items = Vec::new();
            for round in 1.. {
                match opened(reader.events(asks.behind(place, limit - items.len()))?) {
                    Ok((events, reached)) => {
                        let stands = reached == place;
                        items.extend(events);
                        place = reached;
                        if stands || place >= newest || items.len() == limit || round == ROUNDS {
                            let next = EventCursor(place);
                            return Ok(Ok(EventPage { items, next, more: place < newest }));
                        }
                    }
                    Err(error) => return Ok(Err(error)),
                }
            }
            unreachable!("a round is the last one, or reached something")
        })?
    }

    fn asks(&self, actor: &Actor, filter: &EventFilter) -> Result<Asks, Error> {
        let types = filter.types.as_deref().unwrap_or_default();
        let types = EventTypes::parse(types.split(',')).map_err(|words| Error::field("type", words))?;
        let connection = match filter.connection.as_deref() {
            // The events of one that is gone are found by its id.
            Some(key) => match key.parse() {
                Ok(id) => Some(id),
                Err(_a_name) => {
                    let found = self.store.read(|reader| find_visible(reader, actor, key))?;
                    Some(found.ok_or_else(|| Error::not_found("connection", key))?.id)
                }
            },
            None => None,
        };
        Ok(Asks { seen_by: actor.name().to_owned(), types, connection })
    }
}

impl Following {
    async fn next(mut self) -> Option<(Result<Event, Error>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.reached.store(if self.waiting.is_empty() { self.place } else { event.seq }, Ordering::Relaxed);
                return Some((Ok(event), self));
            }
            if self.over {
                return None;
            }
            let newest = *self.told.borrow_and_update();
            if self.place < newest {
                let query = self.asks.behind(self.place, CHUNK);
                match self.store.read(|reader| reader.events(query)).map_err(Error::from).and_then(opened) {
                    Ok((events, reached)) => {
                        self.waiting.extend(events);
                        self.place = reached;
                        if self.waiting.is_empty() {
                            self.reached.store(self.place, Ordering::Relaxed);
                            // Many may be passed over; others want their turn.
                            tokio::task::yield_now().await;
                        }
                    }
                    Err(error) => {
                        self.over = true;
                        return Some((Err(error), self));
                    }
                }
            } else if self.told.changed().await.is_err() {
                return None;
            }
        }
    }
}

fn opened(followed: Followed) -> Result<(Vec<Event>, u64), Error> {
    match followed {
        Followed::Events { events, reached } => Ok((events, reached)),
        Followed::Passed { oldest } => Err(Error::Refused {
            rule: "events-passed",
            message: format!("events behind that cursor are no longer kept; the oldest one kept is {oldest}"),
            hint: Some(format!(
                "look at everything anew, then go on behind {}; `[events]` in turnbuckle.toml says how long they are kept",
                oldest - 1
            )),
        }),
        Followed::Ahead { newest } => Err(Error::Refused {
            rule: "events-ahead",
            message: format!("no event has that number yet; the newest one is {newest}"),
            hint: Some("was the store put back to an older state? Look at everything anew, and go on from now".into()),
        }),
    }
}
