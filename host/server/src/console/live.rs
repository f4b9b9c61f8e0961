//! Pages are told when something changed, and look again by themselves: as server-sent events, for as long as their session
//! lives and somebody looks.
//!
//! What is told is a number that grows; a page asks for itself again then, by the very path of its person, so nothing is told
//! here that they may not see. Following is no use of a session, and keeps none alive.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use turnbuckle::{Changes, Host, Permission};

use super::answer::Failed;
use super::form::asked;
use super::{Console, Entered};
use crate::routes::events::Streams;

pub(crate) const PATH: &str = "/live";

/// A proxy that hears nothing for longer may close the connection, and a session that is over is noticed by then.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// However much happens, a page looks again no more often.
const PACE: Duration = Duration::from_secs(1);
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// The stream of one page.
pub(crate) async fn follow(
    State(console): State<Console>,
    entered: Entered,
    streams: Option<Extension<Streams>>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Another port of this machine is another site to nobody but the browser's origins: its pages could use up streams.
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    let changes = console.host.changes(&entered.actor)?;
    let known = text("last-event-id").or_else(|| asked(&query, "seen")).and_then(|number| number.parse().ok());
    let seen = known.unwrap_or_else(|| changes.count());
    let full = || StatusCode::SERVICE_UNAVAILABLE.into_response();
    let Some((place, lives)) = entered.follow() else { return Ok(full()) };
    let (slot, ending) = match streams {
        Some(Extension(streams)) => match streams.take() {
            Some((slot, ending)) => (Some(slot), ending),
            None => return Ok(full()),
        },
        // Of a router that no server drives: it ends when whoever reads it goes away.
        None => (None, watch::channel(false).1),
    };
    let following = Following {
        host: console.host,
        entered,
        changes,
        seen,
        told: None,
        lives,
        ending,
        stage: Stage::New,
        _places: (place, slot),
    };
    let mut response = Sse::new(following.told()).into_response();
    // A proxy that gathers an answer before it passes it on would pass this one on never.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Following,
    Over,
}

/// What a page waits for.
enum Woken {
    Changed(u64),
    Nothing,
    /// The session, for whatever reason.
    Over,
    /// The server, or the host.
    Ended,
}

struct Following {
    host: Host,
    entered: Entered,
    changes: Changes,
    /// What the page knows of.
    seen: u64,
    /// When it was told last.
    told: Option<Instant>,
    lives: watch::Receiver<()>,
    ending: watch::Receiver<bool>,
    stage: Stage,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Following {
    fn told(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold(self, |mut following| async move {
            let next = following.next().await?;
            Some((Ok(next), following))
        })
    }

    /// What is sent next; nothing where the stream is over. Whatever it is, the session is asked for again first.
    async fn next(&mut self) -> Option<sse::Event> {
        match self.stage {
            Stage::Over => return None,
            Stage::New => {
                self.stage = Stage::Following;
                return Some(sse::Event::default().comment("following").retry(RETRY));
            }
            Stage::Following => {}
        }
        let woken = self.woken().await;
        let may = self.entered.again(&self.host).is_some_and(|actor| actor.may(Permission::ViewConnections));
        match woken {
            Woken::Ended => None,
            Woken::Changed(count) if may => {
                self.seen = count;
                self.told = Some(Instant::now());
                Some(sse::Event::default().event("changed").id(count.to_string()).data(count.to_string()))
            }
            Woken::Nothing if may => Some(sse::Event::default().comment("still here")),
            Woken::Changed(_) | Woken::Nothing | Woken::Over => {
                self.stage = Stage::Over;
                Some(sse::Event::default().event("over").data("the session is over"))
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        let Self { changes, lives, ending, seen, told, .. } = self;
        let ended = async {
            // Nobody is left who could say so.
            if ending.wait_for(|ending| *ending).await.is_err() {
                std::future::pending().await
            }
        };
        let over = async { while lives.changed().await.is_ok() {} };
        let changed = async {
            let rest = told.map_or(Duration::ZERO, |told| PACE.saturating_sub(told.elapsed()));
            // Either way the time is over.
            drop(tokio::time::timeout(rest, std::future::pending::<()>()).await);
            changes.since(*seen).await
        };
        tokio::select! {
            () = ended => Woken::Ended,
            () = over => Woken::Over,
            changed = tokio::time::timeout(HEARTBEAT, changed) => match changed {
                Ok(Some(count)) => Woken::Changed(count),
                Ok(None) => Woken::Ended,
                Err(_nothing_happened) => Woken::Nothing,
            },
        }
    }
}
