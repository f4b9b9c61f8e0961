//! One guest call, or one `send`: its budgets, and the record of what it sent.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::error::{Denied, EgressError};
use crate::model::origin::Origin;
use crate::model::verdict::Exchange;

/// How much one call may use.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) requests_per_call: u32,
    /// Bytes of one request's body.
    pub(crate) request_body: u64,
    /// Bytes of one answer's body, as it comes over the wire and as it is when decoded.
    pub(crate) response_body: u64,
    /// Bytes of all names and values of the headers of a request, and of an answer.
    pub(crate) header_bytes: usize,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) between_bytes: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_call: 32,
            request_body: 8 << 20,
            response_body: 16 << 20,
            header_bytes: 64 << 10,
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(15),
            between_bytes: Duration::from_secs(10),
        }
    }
}

/// What a guest asks for; it only ever shortens.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timeouts {
    /// Counted into the first byte's time: connections are the host's, and may be there already.
    pub(crate) connect: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) between_bytes: Option<Duration>,
}

/// Budgets and records of one call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) limits: Limits,
    within: Duration,
    deadline: OnceLock<Instant>,
    /// Whether anybody reads what was sent.
    pub(super) recorded: bool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    requests: u32,
    exchanges: Vec<Arc<Entry>>,
    denials: Vec<Denied>,
}

/// One request's row, written while its bodies flow.
#[derive(Debug)]
pub(super) struct Entry {
    row: Mutex<Row>,
    pub(super) progress: Progress,
}

#[derive(Debug)]
struct Row {
    method: Method,
    origin: Option<Origin>,
    path: String,
    status: Option<StatusCode>,
    error: Option<Cow<'static, str>>,
    took: Duration,
}

/// What bodies report as they flow.
#[derive(Debug, Default)]
pub(super) struct Progress {
    sent: AtomicU64,
    received: AtomicU64,
    /// The answer was read to its end.
    whole: AtomicBool,
    redacted: AtomicBool,
}

impl Call {
    /// A call whose requests must all end `within` this time of the first one.
    pub(crate) fn new(limits: Limits, within: Duration) -> Self {
        Self { limits, within, deadline: OnceLock::new(), recorded: true, record: Mutex::default() }
    }

    /// One whose exchanges nobody will read.
    pub(crate) fn unrecorded(limits: Limits, within: Duration) -> Self {
        Self { recorded: false, ..Self::new(limits, within) }
    }

    /// Its time begins with its first request: a guest that waits for its turn has not kept a service waiting.
    pub(super) fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now() + self.within)
    }

    /// What was sent so far, in the order in which it was asked for.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.record().exchanges.iter().map(|entry| entry.snapshot()).collect()
    }

    /// It is over before its guest was done: an answer that was still being read says so.
    pub(crate) fn cut_off(&self) {
        for entry in &self.record().exchanges {
            let mut row = entry.row();
            if row.error.is_none() && !entry.progress.whole.load(Ordering::Relaxed) {
                row.error = Some("the call ended before the answer was read to its end".into());
            }
        }
    }

    /// What the policy refused.
    pub(crate) fn denials(&self) -> Vec<Denied> {
        self.record().denials.clone()
    }

    /// Counts one more request. The first one too many is still recorded, so that the record says why the call failed.
    pub(super) fn begin(&self, method: &Method, now: Instant) -> Result<Arc<Entry>, EgressError> {
        self.deadline.get_or_init(|| now + self.within);
        let mut record = self.record();
        let allowed = self.limits.requests_per_call;
        if record.requests > allowed {
            return Err(Self::too_many(allowed));
        }
        record.requests += 1;
        let entry = Arc::new(Entry {
            row: Mutex::new(Row {
                method: method.clone(),
                origin: None,
                path: String::new(),
                status: None,
                error: Some("the call ended before the answer came".into()),
                took: Duration::ZERO,
            }),
            progress: Progress::default(),
        });
        if self.recorded {
            record.exchanges.push(Arc::clone(&entry));
        }
        if record.requests > allowed {
            let error = Self::too_many(allowed);
            drop(record);
            entry.failed(Duration::ZERO, &error);
            return Err(error);
        }
        Ok(entry)
    }

    pub(super) fn denied(&self, denied: Denied) {
        self.record().denials.push(denied);
    }

    fn too_many(allowed: u32) -> EgressError {
        EgressError::Budget { limit: "requests per call", value: allowed.into() }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(super) fn target(&self, origin: Option<Origin>, path: String) {
        let mut row = self.row();
        row.origin = origin;
        row.path = path;
    }

    /// Where it goes, for messages.
    pub(super) fn origin(&self) -> String {
        self.row().origin.as_ref().map_or_else(|| "the service".to_owned(), Origin::to_string)
    }

    pub(super) fn answered(&self, after: Duration, status: StatusCode) {
        let mut row = self.row();
        row.status = Some(status);
        row.error = None;
        row.took = after;
    }

    pub(super) fn failed(&self, after: Duration, error: &EgressError) {
        let mut row = self.row();
        row.error = Some(error.to_string().into());
        row.took = after;
    }

    /// The head came, and its body then failed.
    pub(super) fn broke(&self, error: &EgressError) {
        self.row().error = Some(error.to_string().into());
    }

    fn snapshot(&self) -> Exchange {
        let row = self.row();
        Exchange {
            method: row.method.as_str().chars().take(32).collect(),
            origin: row.origin.clone(),
            path: row.path.clone(),
            status: row.status.map(|status| status.as_u16()),
            error: row.error.as_deref().map(str::to_owned),
            sent: self.progress.sent.load(Ordering::Relaxed),
            received: self.progress.received.load(Ordering::Relaxed),
            microseconds: u64::try_from(row.took.as_micros()).unwrap_or(u64::MAX),
            redacted: self.progress.redacted.load(Ordering::Relaxed),
        }
    }

    fn row(&self) -> std::sync::MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent_so_far(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn whole(&self) {
        self.whole.store(true, Ordering::Relaxed);
    }

    pub(super) fn redacted(&self) {
        self.redacted.store(true, Ordering::Relaxed);
    }
}
