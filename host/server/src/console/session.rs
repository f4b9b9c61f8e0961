//! Who works in which browser, and the links by which browsers enter.
//!
//! They are kept in memory: a server that starts again asks everybody to sign in once more, and nothing on disk can let anybody
//! in. Of a session and of a link only the SHA-256 of their 256 random bits is here. A session is worth what it was begun with,
//! asked anew at each request: the token that was shown, the user that a link was made for, or the account that signed in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use turnbuckle::{AccountKey, Actor, Host, Permission, TokenKey};

use crate::access::random_text;

/// A session that nobody used for so long is over.
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// However much it is used.
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// Long enough to walk to another window.
pub(crate) const LINK_LASTS: Duration = Duration::from_secs(10 * 60);
/// More than people have browsers: what is begun by a program in a loop must not fill the memory.
const SESSIONS: usize = 10_000;
const LINKS: usize = 1_000;
/// Of one actor: whoever loops signs out nobody else.
const OF_ONE: usize = 20;
const NOTICES: usize = 8;
/// Components are large.
const HELD: usize = 4;
/// Pages of one session that are told of changes at the same time: more than anybody looks at.
const STREAMS: usize = 8;

type Hash = [u8; 32];

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

/// What a session or a link stands for.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Whoever the host says that this token stands for.
    Token(TokenKey),
    /// A user of the host, as far as this actor may what the user may.
    User(Actor),
    /// Whoever the host says that this account at a provider signs in.
    Account(AccountKey),
    /// An actor of whoever started the server, who has no user.
    Own(Actor),
}

impl Who {
    /// As a session is begun with it: a user of the name of the server's own actor is followed, so that disabling it ends its
    /// sessions.
    pub(crate) fn followed(self, host: &Host) -> Self {
        match self {
            Self::Own(actor) => match host.standing(actor.name()) {
                Ok(None) => Self::Own(actor),
                // Where it can't be read now, it is asked again before anybody gets in.
                Ok(Some(_)) | Err(_) => Self::User(actor),
            },
            other @ (Self::Token(_) | Self::User(_) | Self::Account(_)) => other,
        }
    }

    /// Whose session it is at this moment; nobody where the token is void, or the user may do nothing any more.
    pub(crate) fn actor(&self, host: &Host) -> Option<Actor> {
        let actor = match self {
            Self::Token(key) => host.authenticate_key(key)?,
            Self::Account(key) => host.authenticate_account(key)?,
            Self::User(given) => {
                let standing = match host.standing(given.name()) {
                    Ok(standing) => standing?,
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "a user could not be looked up");
                        return None;
                    }
                };
                let both = Permission::ALL.into_iter().filter(|one| given.may(*one) && standing.may(*one));
                Actor::new(given.name(), both)
            }
            Self::Own(actor) => actor.clone(),
        };
        Permission::ALL.into_iter().any(|permission| actor.may(permission)).then_some(actor)
    }
}

/// What a page tells once.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) tone: &'static str,
    pub(crate) headline: String,
    pub(crate) words: String,
}

struct Session {
    who: Who,
    name: String,
    csrf: String,
    begun: Instant,
    used: Instant,
    notices: Vec<Notice>,
    /// A component that was judged and waits for its person's word.
    held: Option<Held>,
    streams: Arc<Semaphore>,
    /// Closed with the session.
    lives: watch::Sender<()>,
}

struct Held {
    digest: String,
    component: Bytes,
    since: Instant,
}

struct Waiting {
    who: Who,
    name: String,
    made: Instant,
}

#[derive(Default)]
struct State {
    sessions: HashMap<Hash, Session>,
    links: HashMap<Hash, Waiting>,
}

/// All sessions and links of a server. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sessions")
    }
}

/// A link's code, told once.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) code: String,
}

/// A session that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) who: Who,
    pub(crate) csrf: String,
}

impl Sessions {
    /// A link for this one.
    pub(crate) fn link(&self, who: Who, name: &str, now: Instant) -> Link {
        let code = random_text();
        let mut state = self.state();
        state.links.retain(|_, link| now.duration_since(link.made) < LINK_LASTS);
        let own = state.links.values().filter(|link| link.name == name).count();
        if own >= OF_ONE || state.links.len() >= LINKS {
            let ours = state.links.iter().filter(|(_, link)| own < OF_ONE || link.name == name);
            let oldest = ours.min_by_key(|(_, link)| link.made).map(|(hash, _)| *hash);
            oldest.map(|oldest| state.links.remove(&oldest));
        }
        state.links.insert(hash(&code), Waiting { who, name: name.to_owned(), made: now });
        Link { code }
    }

    /// For whom a link is; it stays good.
    pub(crate) fn meant(&self, code: &str, now: Instant) -> Option<Who> {
        let state = self.state();
        let link = state.links.get(&hash(code)).filter(|link| now.duration_since(link.made) < LINK_LASTS)?;
        Some(link.who.clone())
    }

    /// Uses a link up.
    pub(crate) fn take(&self, code: &str, now: Instant) -> Option<Who> {
        let link = self.state().links.remove(&hash(code))?;
        (now.duration_since(link.made) < LINK_LASTS).then_some(link.who)
    }

    /// Begins a session; gives what its cookie holds. Never under an id that a browser brought along.
    pub(crate) fn begin(&self, who: Who, name: &str, now: Instant) -> String {
        let id = random_text();
        let mut state = self.state();
        state.sessions.retain(|_, session| session.lives(now));
        let own = state.sessions.values().filter(|session| session.name == name).count();
        if own >= OF_ONE || state.sessions.len() >= SESSIONS {
            let ours = state.sessions.iter().filter(|(_, session)| own < OF_ONE || session.name == name);
            let oldest = ours.min_by_key(|(_, session)| session.used).map(|(hash, _)| *hash);
            oldest.map(|oldest| state.sessions.remove(&oldest));
        }
        let (name, csrf) = (name.to_owned(), random_text());
        let (streams, lives) = (Arc::new(Semaphore::new(STREAMS)), watch::Sender::new(()));
        let session =
            Session { who, name, csrf, begun: now, used: now, notices: Vec::new(), held: None, streams, lives };
        state.sessions.insert(hash(&id), session);
        id
    }

    /// The session of a cookie. A page that looks again by itself is no use of it.
    pub(crate) fn find(&self, id: &str, now: Instant, used: bool) -> Option<Found> {
        let mut state = self.state();
        let session = state.sessions.get_mut(&hash(id))?;
        if !session.lives(now) {
            state.sessions.remove(&hash(id));
            return None;
        }
        if used {
            session.used = now;
        }
        Some(Found { who: session.who.clone(), csrf: session.csrf.clone() })
    }

    /// A place for one more page that is told of changes, for as long as that is kept, and what is closed with the session. None
    /// where the session is over, or has as many as it may.
    pub(crate) fn follow(&self, id: &str) -> Option<(OwnedSemaphorePermit, watch::Receiver<()>)> {
        let state = self.state();
        let session = state.sessions.get(&hash(id))?;
        Some((session.streams.clone().try_acquire_owned().ok()?, session.lives.subscribe()))
    }

    /// Ends one.
    pub(crate) fn end(&self, id: &str) {
        self.state().sessions.remove(&hash(id));
    }

    /// Something that its next page tells.
    pub(crate) fn tell(&self, id: &str, notice: Notice) {
        if let Some(session) = self.state().sessions.get_mut(&hash(id)) {
            session.notices.truncate(NOTICES - 1);
            session.notices.push(notice);
        }
    }

    /// What its page has to tell now.
    pub(crate) fn told(&self, id: &str) -> Vec<Notice> {
        let mut state = self.state();
        state.sessions.get_mut(&hash(id)).map(|session| std::mem::take(&mut session.notices)).unwrap_or_default()
    }

    /// Keeps a component until its person says what becomes of it.
    pub(crate) fn hold(&self, id: &str, digest: &str, component: Bytes, now: Instant) {
        let mut state = self.state();
        let holding = state.sessions.iter().filter_map(|(hash, session)| Some((*hash, session.held.as_ref()?.since)));
        let holding: Vec<_> = holding.collect();
        if holding.len() >= HELD
            && let Some((oldest, _)) = holding.into_iter().min_by_key(|(_, since)| *since)
            && let Some(session) = state.sessions.get_mut(&oldest)
        {
            session.held = None;
        }
        if let Some(session) = state.sessions.get_mut(&hash(id)) {
            session.held = Some(Held { digest: digest.to_owned(), component, since: now });
        }
    }

    /// The component of this digest, where it is still here.
    pub(crate) fn held(&self, id: &str, digest: &str) -> Option<Bytes> {
        let mut state = self.state();
        let held = state.sessions.get_mut(&hash(id))?.held.take_if(|held| held.digest == digest)?;
        Some(held.component)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.begun) < LASTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Who {
        Who::Own(Actor::administrator("ada"))
    }

    #[test]
    fn a_link_opens_once_and_not_for_long() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let code = sessions.link(ada(), "ada", now).code;
        assert!(sessions.meant(&code, now).is_some(), "looking at it does not use it up");
        assert!(sessions.take(&code, now).is_some());
        assert!(sessions.take(&code, now).is_none());
        let late = sessions.link(ada(), "ada", now).code;
        assert!(sessions.take(&late, now + LINK_LASTS).is_none());
        assert!(sessions.take("of-nobody", now).is_none());
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_in_any_case_after_half_a_day() {
        let (sessions, mut now) = (Sessions::default(), Instant::now());
        let id = sessions.begin(ada(), "ada", now);
        for _hour in 1..12 {
            now += Duration::from_secs(60 * 60);
            assert!(sessions.find(&id, now, true).is_some());
        }
        now += Duration::from_secs(60 * 60);
        assert!(sessions.find(&id, now, true).is_none(), "twelve hours are over");

        let idle = sessions.begin(ada(), "ada", now);
        assert!(sessions.find(&idle, now + IDLE / 2, false).is_some());
        assert!(sessions.find(&idle, now + IDLE, true).is_none(), "a page that looks again by itself keeps nobody in");
    }

    #[test]
    fn neither_a_link_nor_a_session_is_kept_as_it_is_told() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (code, id) = (sessions.link(ada(), "ada", now).code, sessions.begin(ada(), "ada", now));
        let state = sessions.state();
        assert!(state.links.contains_key(&hash(&code)) && state.sessions.contains_key(&hash(&id)));
        assert_eq!((code.len(), id.len()), (43, 43), "256 bits each");
    }

    #[test]
    fn whoever_begins_sessions_in_a_loop_ends_nobody_elses() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let bobs = sessions.begin(ada(), "bob", now);
        let link = sessions.link(ada(), "bob", now).code;
        let adas: Vec<_> = (0..=OF_ONE).map(|_| sessions.begin(ada(), "ada", now)).collect();
        for _ in 0..=LINKS {
            sessions.link(ada(), "ada", now);
        }
        assert!(sessions.find(&bobs, now, true).is_some() && sessions.meant(&link, now).is_some());
        assert_eq!(adas.iter().filter(|id| sessions.find(id, now, true).is_some()).count(), OF_ONE);
    }

    #[test]
    fn a_session_follows_so_much_and_no_longer_than_it_lives() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let id = sessions.begin(ada(), "ada", now);
        let mut following: Vec<_> = (0..STREAMS).map(|_| sessions.follow(&id).unwrap()).collect();
        assert!(sessions.follow(&id).is_none(), "as many as it may");
        let (place, lives) = following.pop().unwrap();
        drop(place);
        assert!(sessions.follow(&id).is_some(), "a place is free again");
        assert_eq!(lives.has_changed().ok(), Some(false));
        sessions.end(&id);
        assert!(lives.has_changed().is_err() && sessions.follow(&id).is_none());
    }

    #[test]
    fn a_notice_is_told_once() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let id = sessions.begin(ada(), "ada", now);
        sessions.tell(&id, Notice { tone: "good", headline: "Deleted".into(), words: String::new() });
        assert_eq!(sessions.told(&id).len(), 1);
        assert_eq!(sessions.told(&id).len(), 0);
    }
}
