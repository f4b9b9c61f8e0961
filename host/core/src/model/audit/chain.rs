//! The chain itself: how a record is bound to the one before it, and how that is checked.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::AuditEvent;
use super::deed::{self, Done, Ending};

const BEFORE_PREV: &[u8] = b",\"prev\":\"";
/// What stands between a record and its hash, and what ends its line.
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const BEHIND_HASH: &[u8] = b"\"}";
const HASH: usize = 64;
const TAIL: usize = BEFORE_HASH.len() + HASH + BEHIND_HASH.len();

/// What most records fit in.
const LINE: usize = 1 << 10;

/// One record of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecord {
    /// Its place: one more than that of the record before it.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// The hash of the record before it.
    pub prev: String,
    /// Its own hash.
    pub hash: String,
}

/// A place in the chain: nothing up to it can be changed without changing its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLink {
    /// The record's place; 0 before the first one.
    pub seq: u64,
    /// Its hash; 64 zeros before the first one.
    pub hash: String,
}

impl AuditLink {
    /// What the very first record continues.
    pub fn origin() -> Self {
        Self { seq: 0, hash: "0".repeat(HASH) }
    }

    /// The line of a record that continues this one, and its own link.
    pub(crate) fn continued(&self, event: &AuditEvent) -> Result<(Vec<u8>, Self), serde_json::Error> {
        self.line(&deed::written(event)?, &Ending::of(event))
    }

    /// The same of what was written out before.
    pub(crate) fn continued_by(&self, done: &Done) -> Result<(Vec<u8>, Self), serde_json::Error> {
        self.line(done.written(), &done.ending())
    }

    fn line(&self, written: &str, ending: &Ending<'_>) -> Result<(Vec<u8>, Self), serde_json::Error> {
        let seq = self.seq + 1;
        let mut line = Vec::with_capacity(LINE);
        write!(line, r#"{{"seq":{seq},"at":"{}","#, ending.at).map_err(serde_json::Error::io)?;
        line.extend_from_slice(written.as_bytes());
        ending.write(&mut line)?;
        line.extend_from_slice(BEFORE_PREV);
        line.extend_from_slice(self.hash.as_bytes());
        line.push(b'"');
        let mut hash = [0; HASH];
        hex::encode_to_slice(Sha256::digest(&line), &mut hash).expect("two digits for each byte");
        line.extend_from_slice(BEFORE_HASH);
        line.extend_from_slice(&hash);
        line.extend_from_slice(BEHIND_HASH);
        Ok((line, Self { seq, hash: String::from_utf8_lossy(&hash).into_owned() }))
    }
}

impl fmt::Display for AuditLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.seq, self.hash)
    }
}

/// Not a link as [`AuditLink`] prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a record's number, `:` and its hash of 64 hexadecimal digits")]
pub struct InvalidLink;

impl FromStr for AuditLink {
    type Err = InvalidLink;
    fn from_str(text: &str) -> Result<Self, InvalidLink> {
        let (seq, hash) = text.split_once(':').ok_or(InvalidLink)?;
        let hexadecimal = hash.len() == HASH && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match seq.parse() {
            Ok(seq) if hexadecimal => Ok(Self { seq, hash: hash.to_owned() }),
            Ok(_) | Err(_) => Err(InvalidLink),
        }
    }
}

/// Where a chain is not whole: the first record that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("record {seq} {problem}")]
pub struct AuditBreak {
    /// The place of that record.
    pub seq: u64,
    /// What is wrong with it.
    #[serde(flatten)]
    pub problem: AuditProblem,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", tag = "problem")]
pub enum AuditProblem {
    /// What stands there does not end in a hash, or is no JSON.
    #[error("is not readable")]
    Unreadable,
    /// Its hash is not that of what it says.
    #[error("was altered: it does not give its hash")]
    Altered,
    /// Another record stands there: it was removed, or moved.
    #[error("is not where it belongs: record {found} stands in its place")]
    OutOfPlace {
        /// The record that stands there.
        found: u64,
    },
    /// It continues another record than the one before it.
    #[error("does not continue the record before it")]
    Unlinked,
    /// The chain ends before it, and should not.
    #[error("is missing: the chain ends before it")]
    Missing,
    /// The chain goes on where it should have ended.
    #[error("is one too many: the chain should have ended before it")]
    Surplus,
    /// It is whole, and not the one that was noted elsewhere: the chain was made anew.
    #[error("is another one than the one that is known")]
    Another,
}

/// What a check of a chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditReport {
    /// Whether every record is what it should be.
    pub whole: bool,
    /// How many records were good.
    pub records: u64,
    /// What the first of them continues: the last record that was dropped for its age.
    pub after: AuditLink,
    /// The last good one. Noted elsewhere, it proves everything up to it.
    pub head: AuditLink,
    /// The first one that is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<AuditBreak>,
}

/// Checks a chain, record by record.
#[derive(Debug, Clone)]
pub struct AuditChain {
    after: AuditLink,
    head: AuditLink,
    known: Option<AuditLink>,
}

impl AuditChain {
    /// A chain that continues this one. Where a link is known from elsewhere, the chain must hold it.
    pub fn after(after: AuditLink, known: Option<AuditLink>) -> Result<Self, AuditBreak> {
        let chain = Self { head: after.clone(), after, known };
        chain.is_known()?;
        Ok(chain)
    }

    /// Takes the next line, which is a record as it is stored and exported, without its line end.
    pub fn take(&mut self, line: &[u8]) -> Result<(), AuditBreak> {
        #[derive(Deserialize)]
        struct Place {
            seq: u64,
            prev: String,
        }
        let seq = self.next();
        let broken = |problem| AuditBreak { seq, problem };
        if seq == self.head.seq {
            // No number follows the last one there is.
            return Err(self.surplus());
        }
        let (hashed, hash) = parted(line).ok_or_else(|| broken(AuditProblem::Unreadable))?;
        if hex::encode(Sha256::digest(hashed)).as_bytes() != hash {
            return Err(broken(AuditProblem::Altered));
        }
        let place: Place = serde_json::from_slice(line).map_err(|_no_record| broken(AuditProblem::Unreadable))?;
        if place.seq != seq {
            return Err(broken(AuditProblem::OutOfPlace { found: place.seq }));
        }
        if place.prev != self.head.hash {
            return Err(broken(AuditProblem::Unlinked));
        }
        self.head = AuditLink { seq, hash: String::from_utf8_lossy(hash).into_owned() };
        self.is_known()
    }

    /// The chain ended: is this where it should end?
    pub fn end(&self, head: &AuditLink) -> Result<(), AuditBreak> {
        let next = self.next();
        match head.seq.cmp(&self.head.seq) {
            std::cmp::Ordering::Greater => Err(AuditBreak { seq: next, problem: AuditProblem::Missing }),
            std::cmp::Ordering::Less => Err(AuditBreak { seq: head.seq + 1, problem: AuditProblem::Surplus }),
            std::cmp::Ordering::Equal if head.hash != self.head.hash => {
                Err(AuditBreak { seq: head.seq, problem: AuditProblem::Another })
            }
            std::cmp::Ordering::Equal => match &self.known {
                Some(known) if known.seq > self.head.seq => {
                    Err(AuditBreak { seq: next, problem: AuditProblem::Missing })
                }
                Some(_) | None => Ok(()),
            },
        }
    }

    /// The chain ended: are there as many records as it says?
    pub fn count(&self, records: u64) -> Result<(), AuditBreak> {
        match records.cmp(&(self.head.seq - self.after.seq)) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(self.cut_off()),
            std::cmp::Ordering::Less => Err(AuditBreak { seq: self.head.seq, problem: AuditProblem::Surplus }),
        }
    }

    /// The chain is cut off here.
    pub fn cut_off(&self) -> AuditBreak {
        AuditBreak { seq: self.next(), problem: AuditProblem::Missing }
    }

    /// The chain goes on here, and should not.
    pub fn surplus(&self) -> AuditBreak {
        AuditBreak { seq: self.next(), problem: AuditProblem::Surplus }
    }

    /// What was found.
    pub fn report(self, outcome: Result<(), AuditBreak>) -> AuditReport {
        let records = self.head.seq - self.after.seq;
        let broken = outcome.err();
        AuditReport { whole: broken.is_none(), records, after: self.after, head: self.head, broken }
    }

    /// The place of the next record; that of the last one where no number follows.
    fn next(&self) -> u64 {
        self.head.seq.saturating_add(1)
    }

    fn is_known(&self) -> Result<(), AuditBreak> {
        match &self.known {
            Some(known) if known.seq == self.head.seq && known.hash != self.head.hash => {
                Err(AuditBreak { seq: known.seq, problem: AuditProblem::Another })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What of a line is hashed, and its hash.
fn parted(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (hashed, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    Some((hashed, tail.strip_prefix(BEFORE_HASH)?.strip_suffix(BEHIND_HASH)?))
}

/// The link of a stored line.
pub(crate) fn link(seq: u64, line: &[u8]) -> Option<AuditLink> {
    let (_, hash) = parted(line)?;
    Some(AuditLink { seq, hash: String::from_utf8(hash.to_vec()).ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{AuditAction, AuditKind, AuditObject, ConnectorRef, Deed};
    use super::*;
    use jiff::Timestamp;

    fn event(actor: &str, name: &str, fields: &[String]) -> AuditEvent {
        let object = AuditObject::named(AuditKind::Flow, name);
        AuditEvent::new(Timestamp::UNIX_EPOCH, actor, AuditAction::FlowPut, object).with_fields(fields.to_vec())
    }

    fn connector() -> ConnectorRef {
        ConnectorRef {
            name: "http".parse().unwrap(),
            version: "1.2.3".parse().unwrap(),
            digest: "ab".repeat(32).parse().unwrap(),
        }
    }

    #[test]
    fn a_record_reads_as_the_documentation_says() {
        let (line, link) = AuditLink::origin().continued(&event("ada", "nightly", &[])).unwrap();
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"seq":1,"at":"1970-01-01T00:00:00Z","actor":"ada","action":"flow.put","object":{"kind":"flow","name":"nightly"},"outcome":"done","prev":"0000000000000000000000000000000000000000000000000000000000000000","hash":"28727db344a66305556d5247d2aa53e823be660ff4cdb29007bde30f516e9ae7"}"#);
        assert_eq!(link.seq, 1);
    }

    #[test]
    fn a_link_is_read_as_it_is_printed() {
        let link = AuditLink { seq: 7, hash: "ab".repeat(32) };
        assert_eq!(link.to_string().parse(), Ok(link));
        for bad in ["", "7", "7:", "7:ab", ":", "x:00"] {
            assert_eq!(bad.parse::<AuditLink>(), Err(InvalidLink), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_record_holds_it_is_one_line_that_reads_back_and_verifies(
            actor in any::<String>(),
            name in any::<String>(),
            fields in proptest::collection::vec(any::<String>(), 0..3),
            origins in proptest::collection::vec(any::<String>(), 0..3),
            (status, microseconds, reason) in any::<(Option<u16>, Option<u64>, Option<String>)>(),
            of_connector in any::<bool>(),
        ) {
            let connector = of_connector.then(connector);
            let event = AuditEvent { connector, origins, status, microseconds, ..event(&actor, &name, &fields) };
            let event = match reason {
                Some(reason) => event.failed(reason),
                None => event,
            };
            let (line, link) = AuditLink::origin().continued(&event).unwrap();
            prop_assert!(!line.contains(&b'\n'));
            let record = AuditRecord { seq: 1, event, prev: "0".repeat(64), hash: link.hash.clone() };
            prop_assert_eq!(&serde_json::from_slice::<AuditRecord>(&line).unwrap(), &record);
            prop_assert_eq!(&line, &serde_json::to_vec(&record).unwrap());
            prop_assert_eq!(super::link(1, &line), Some(link.clone()));
            let mut chain = AuditChain::after(AuditLink::origin(), Some(link.clone())).unwrap();
            prop_assert_eq!(chain.take(&line), Ok(()));
            prop_assert_eq!(chain.end(&link), Ok(()));
        }

        #[test]
        fn what_was_written_out_before_gives_the_line_that_the_event_would_give(
            actor in any::<String>(),
            name in any::<String>(),
            at in -1_000_000_000_000_i64..1_000_000_000_000,
            (status, took) in any::<(Option<u16>, u64)>(),
            failed in any::<bool>(),
        ) {
            let (at, origins) = (Timestamp::from_microsecond(at).unwrap(), vec![name.clone()]);
            let begun = AuditEvent { at, origins, connector: Some(connector()), ..event(&actor, &name, &[]) };
            let done = Done::new(Deed::new(&begun).unwrap(), begun.at);
            let (event, done) = match status {
                Some(status) => (AuditEvent { status: Some(status), ..begun }, done.answered(status)),
                None => (begun, done),
            };
            let (event, done) = if failed { (event.failed("revoked"), done.failed("revoked")) } else { (event, done) };
            let expected = AuditLink::origin().continued(&event.took(took)).unwrap();
            prop_assert_eq!(AuditLink::origin().continued_by(&done.took(took)).unwrap(), expected);
        }

        #[test]
        fn no_byte_of_a_record_can_be_another_one(actor in any::<String>(), at in any::<proptest::sample::Index>(), by in 1..=255_u8) {
            let (mut line, _) = AuditLink::origin().continued(&event(&actor, "nightly", &[])).unwrap();
            let at = at.index(line.len());
            line[at] ^= by;
            let mut chain = AuditChain::after(AuditLink::origin(), None).unwrap();
            let broken = chain.take(&line).unwrap_err();
            prop_assert_eq!(broken.seq, 1);
            prop_assert!(matches!(broken.problem, AuditProblem::Altered | AuditProblem::Unreadable), "{}", broken);
        }
    }
}
