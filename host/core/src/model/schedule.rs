//! When the host looks at a connection next, unasked: what is planned, and how that follows from what is known of it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::authentication::Request;
use super::connection::{Connection, Status, Visibility};
use super::credential::{Credential, REFRESH_TOKEN};
use super::id::ConnectionId;
use super::named::Holder;
use super::verdict::{FailureKind, Outcome};

/// How long after each failure in a row that may pass by itself; the last one stays.
const BACK_OFF: [i64; 5] = [1, 2, 5, 15, 60];
/// However long a service asks to be left alone, it is asked again after this.
const LONGEST_BACK_OFF: SignedDuration = SignedDuration::from_hours(24);
/// An idle credential is renewed a fifth of its life before its end, and never more than this.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);
/// What lasts less is left to whoever uses it: to keep it alive would be to renew it all the time.
const SHORT_LIVED: SignedDuration = SignedDuration::from_mins(2);
/// A refresh token that is never used goes stale at many services, the strictest after two weeks.
const STALE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the host does to a connection unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Upkeep {
    /// Its credential is renewed before it runs out.
    Renewal,
    /// It is tested.
    Check,
}

impl Upkeep {
    pub(crate) const ALL: [Self; 2] = [Self::Renewal, Self::Check];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Renewal => "renewal",
            Self::Check => "check",
        }
    }
}

/// What an operator may set of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Between two checks of a connection that works.
    pub(crate) interval: SignedDuration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { interval: SignedDuration::from_hours(24) }
    }
}

/// What is planned for one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Plan {
    /// When each is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<Due>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal: Option<Due>,
    /// How many tests in a row failed for a cause that may pass.
    #[serde(default)]
    pub(crate) failures: u32,
    /// The verdict and the status that the check was planned for.
    #[serde(default)]
    pub(crate) judged: Option<Timestamp>,
    #[serde(default)]
    pub(crate) status: Option<Status>,
}

/// One thing that is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    /// As it was planned at first: `at` is later where it was put off.
    pub(crate) planned: Timestamp,
    /// How often it was put off.
    #[serde(default)]
    pub(crate) tries: u32,
    /// Where its requests go, as far as is known: what goes to one place shares its limits.
    pub(crate) lane: String,
    /// Who alone may know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) private_to: Option<String>,
}

impl Due {
    fn new(at: Timestamp, lane: String, connection: &Connection) -> Self {
        Self { at, planned: at, tries: 0, lane, private_to: None }.of(connection)
    }

    fn of(self, connection: &Connection) -> Self {
        let private = connection.visibility == Visibility::Private;
        Self { private_to: private.then(|| connection.owner.clone()), ..self }
    }
}

impl Plan {
    pub(crate) fn due(&self, what: Upkeep) -> Option<&Due> {
        match what {
            Upkeep::Check => self.check.as_ref(),
            Upkeep::Renewal => self.renewal.as_ref(),
        }
    }

    pub(crate) fn due_mut(&mut self, what: Upkeep) -> &mut Option<Due> {
        match what {
            Upkeep::Check => &mut self.check,
            Upkeep::Renewal => &mut self.renewal,
        }
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.check.is_none() && self.renewal.is_none()
    }
}

impl Schedule {
    /// What is planned now that a connection and its credential are so. What did not change keeps its time.
    pub(crate) fn plan(&self, old: &Plan, connection: &Connection, credential: Option<&Credential>) -> Plan {
        let (status, judged) = (connection.status(), connection.verdict.as_ref().map(|verdict| verdict.at));
        let failures = match (status, old.judged == judged) {
            (Status::Degraded, true) => old.failures.max(1),
            (Status::Degraded, false) => old.failures.saturating_add(1),
            (Status::Active | Status::Inactive | Status::NeedsReconnect | Status::Disabled, _) => 0,
        };
        let check = if old.judged == judged && old.status == Some(status) {
            old.check.clone().map(|due| due.of(connection))
        } else {
            let at = self.next_check(connection, failures);
            at.map(|at| Due::new(at, asked(connection, old.check.as_ref()), connection))
        };
        let renewal = next_renewal(connection, credential).map(|at| match &old.renewal {
            Some(due) if due.planned == at => due.clone().of(connection),
            Some(_) | None => Due::new(at, renewed_at(connection, credential, check.as_ref()), connection),
        });
        Plan { check, renewal, failures, judged, status: Some(status) }
    }

    fn next_check(&self, connection: &Connection, failures: u32) -> Option<Timestamp> {
        let verdict = connection.verdict.as_ref()?;
        let (least, spread) = match connection.status() {
            Status::Active => (self.interval * 9 / 10, self.interval / 5),
            Status::Degraded => {
                let least = back_off(failures);
                let least = match &verdict.outcome {
                    Outcome::Failed(FailureKind::RateLimited { retry_after: Some(seconds) }) => {
                        least.max(SignedDuration::from_secs((*seconds).into())).min(LONGEST_BACK_OFF)
                    }
                    Outcome::Failed(_) | Outcome::Passed => least,
                };
                (least, least / 4)
            }
            // What it lacks may be given to it without anybody touching it.
            Status::Inactive | Status::NeedsReconnect if connection.named_credential.is_some() => {
                (self.interval * 9 / 10, self.interval / 5)
            }
            // A person must act.
            Status::Inactive | Status::NeedsReconnect | Status::Disabled => return None,
        };
        let at = later(verdict.at, least + share(connection.id, verdict.at, spread));
        // One that was switched on again is not overdue because of the time in which it was off.
        Some(at.max(later(
            connection.updated_at,
            share(connection.id, connection.updated_at, SignedDuration::from_mins(1)),
        )))
    }
}

/// How long to wait after so many failures in a row.
pub(crate) fn back_off(failures: u32) -> SignedDuration {
    let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(BACK_OFF.len() - 1);
    SignedDuration::from_mins(BACK_OFF[step])
}

/// A part of a time that is another one for each connection, so that those made together do not stay together.
pub(crate) fn share(id: ConnectionId, from: Timestamp, of: SignedDuration) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    (id, from.as_millisecond()).hash(&mut hasher);
    of / 1000 * i32::try_from(hasher.finish() % 1000).unwrap_or(0)
}

pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn next_renewal(connection: &Connection, credential: Option<&Credential>) -> Option<Timestamp> {
    let credential = credential.filter(|credential| credential.ended.is_none())?;
    let kept_alive = matches!(connection.status(), Status::Active | Status::Degraded);
    if !kept_alive || !renews_unasked(connection, credential) {
        return None;
    }
    renewal(connection.id, credential)
}

/// What is planned for what was obtained for a principal: nothing is tested, for only a connection says where.
pub(crate) fn plan_of_holder(
    old: &Plan,
    holder: &Holder,
    alone: bool,
    of: &str,
    credential: Option<&Credential>,
) -> Plan {
    let kept_alive = |credential: &&Credential| {
        let renews = alone || credential.secrets.contains_key(REFRESH_TOKEN);
        renews && credential.ended.is_none() && holder.problem.is_none()
    };
    let credential = credential.filter(kept_alive);
    let at = credential.and_then(|credential| renewal(holder.id, credential));
    let renewal = at.map(|at| {
        let from = credential.and_then(|credential| credential.from.as_ref());
        let kept = old.renewal.as_ref().filter(|due| due.planned == at);
        Due {
            at: kept.map_or(at, |due| due.at),
            planned: at,
            tries: kept.map_or(0, |due| due.tries),
            lane: from.map_or_else(|| holder.principal.clone(), ToString::to_string),
            private_to: Some(of.to_owned()),
        }
    });
    Plan { renewal, ..Plan::default() }
}

/// When a credential that can be had anew without a person is renewed ahead.
fn renewal(id: ConnectionId, credential: &Credential) -> Option<Timestamp> {
    let obtained = credential.obtained_at;
    let expiring = credential.expires_at.and_then(|expires| {
        let lifetime = expires.duration_since(obtained);
        let ahead = AHEAD.min(lifetime / 5);
        let ahead = ahead + share(id, obtained, ahead);
        if lifetime < SHORT_LIVED { None } else { expires.checked_sub(ahead).ok() }
    });
    let stale = credential.secrets.contains_key(REFRESH_TOKEN).then(|| {
        let spread = STALE / 7;
        later(obtained, STALE - share(id, obtained, spread))
    });
    expiring.into_iter().chain(stale).min()
}

/// Whether a new one can be had without a person.
fn renews_unasked(connection: &Connection, credential: &Credential) -> bool {
    let grant = &connection.authentication.grant;
    if grant.authorization.is_none() {
        return !grant.token.is_empty();
    }
    let takes_token = |request: &Request| request.names().contains(REFRESH_TOKEN);
    !grant.refresh.is_empty()
        && (credential.secrets.contains_key(REFRESH_TOKEN) || !grant.refresh.iter().any(takes_token))
}

/// Where the last test went; where it got nowhere, the one before it.
fn asked(connection: &Connection, before: Option<&Due>) -> String {
    let exchanges = connection.verdict.iter().flat_map(|verdict| &verdict.exchanges);
    let origin = exchanges.filter_map(|exchange| exchange.origin.as_ref()).next();
    match (origin, before) {
        (Some(origin), _) => origin.to_string(),
        (None, Some(due)) => due.lane.clone(),
        (None, None) => connection.connector.name.to_string(),
    }
}

/// Where the credential came from; where it was brought along, its connection's tests have to do.
fn renewed_at(connection: &Connection, credential: Option<&Credential>, check: Option<&Due>) -> String {
    match credential.and_then(|credential| credential.from.as_ref()) {
        Some(origin) => origin.to_string(),
        None => asked(connection, check),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> ConnectionId {
        ConnectionId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn connections_of_one_moment_are_spread_over_the_whole_of_it_and_never_beyond() {
        let hour = SignedDuration::from_hours(1);
        let shares: Vec<_> = (0..1_000).map(|number| share(id(number), Timestamp::UNIX_EPOCH, hour)).collect();
        assert!(shares.iter().all(|share| (SignedDuration::ZERO..hour).contains(share)));
        for tenth in 0..10 {
            let within = shares.iter().filter(|share| share.as_secs() / 360 == tenth).count();
            assert!((60..=140).contains(&within), "{within} in part {tenth}");
        }
        assert_eq!(share(id(1), Timestamp::UNIX_EPOCH, hour), shares[1], "each at its own time, whenever it is asked");
    }

    #[test]
    fn failures_in_a_row_are_asked_again_after_longer_and_longer() {
        let minutes: Vec<_> = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|failures| back_off(failures).as_mins()).into();
        assert_eq!(minutes, [1, 1, 2, 5, 15, 60, 60, 60]);
    }
}
