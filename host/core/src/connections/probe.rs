//! One test of a connection: the guest's `test` on the very path of real requests, turned into a verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::egress::{Call, Permit};
use crate::model::id::Digest;
use crate::model::verdict::{Account, Failure, FailureKind, Outcome, Report, Verdict};
use crate::runtime::{CallError, Called, GuestConnection, Runtime};

/// The longest log that is kept with a verdict: its end, where the last words are.
const KEPT_LOG: usize = 4 * 1024;
const KEPT_MESSAGE: usize = 1_000;
const KEPT_FACTS: usize = 64;
const KEPT_FACT: usize = 1_000;

/// What a test said, and what it found where it passed.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) verdict: Verdict,
    pub(super) report: Option<Report>,
}

pub(super) async fn probe(
    runtime: &Runtime,
    connector: &Digest,
    guest: &GuestConnection,
    permit: Arc<Permit>,
    call: Arc<Call>,
    now: impl Fn() -> Timestamp,
) -> Probed {
    let began = Instant::now();
    let called = runtime.test(connector, guest, permit.clone(), call.clone()).await;
    if matches!(called, Err(CallError::Wall { .. })) {
        call.cut_off();
    }
    let microseconds = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    // A connector may decode what it read, and so say what no scan of the answer could find.
    let clean = |text: &str, most| shorten(&permit.redact(text), most);
    let verdict = |outcome, message: &str, hint: Option<String>, log: Option<String>| Verdict {
        outcome,
        message: clean(message, KEPT_MESSAGE),
        hint: hint.map(|hint| clean(&hint, KEPT_MESSAGE)),
        at: now(),
        microseconds,
        exchanges: call.exchanges(),
        log: log.map(|log| last_words(&permit.redact(&log))).filter(|log| !log.is_empty()),
    };
    match called {
        Ok(Called { value: Ok(report), .. }) => {
            let verdict = verdict(Outcome::Passed, &report.message, None, None);
            let account = report
                .account
                .map(|account| Account { id: clean(&account.id, KEPT_FACT), label: clean(&account.label, KEPT_FACT) });
            // It is kept and listed: a few facts, not a book.
            let discovered = report.discovered.iter().take(KEPT_FACTS);
            let discovered =
                discovered.map(|(name, value)| (clean(name, KEPT_FACT), clean(value, KEPT_FACT))).collect();
            Probed { verdict, report: Some(Report { message: report.message, account, discovered }) }
        }
        Ok(Called { value: Err(failure), log, .. }) => {
            let (failure, hint) = explain(failure, &call);
            let kind = match failure.kind {
                FailureKind::Misconfigured { field: Some(field) } => {
                    FailureKind::Misconfigured { field: Some(clean(&field, KEPT_FACT)) }
                }
                kind => kind,
            };
            Probed { verdict: verdict(Outcome::Failed(kind), &failure.message, hint, Some(log)), report: None }
        }
        Err(error) => {
            let (kind, hint, log) = blame(&error);
            Probed { verdict: verdict(Outcome::Failed(kind), &error.to_string(), hint, log), report: None }
        }
    }
}

/// The verdict where there was nothing to test with.
pub(super) fn failed(failure: Failure, at: Timestamp, took: Duration) -> Probed {
    let verdict = Verdict {
        hint: hint(&failure.kind),
        outcome: Outcome::Failed(failure.kind),
        message: shorten(&failure.message, KEPT_MESSAGE),
        at,
        microseconds: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        exchanges: Vec::new(),
        log: None,
    };
    Probed { verdict, report: None }
}

/// A request that the host refused is the reason, whatever the connector made of it.
fn explain(failure: Failure, call: &Call) -> (Failure, Option<String>) {
    if let Some(denied) = call.denials().into_iter().next() {
        let failure = Failure { kind: FailureKind::Misconfigured { field: None }, message: denied.to_string() };
        return (failure, denied.allow_hint);
    }
    let hint = hint(&failure.kind);
    (failure, hint)
}

pub(super) fn hint(kind: &FailureKind) -> Option<String> {
    match kind {
        FailureKind::Unauthorized | FailureKind::Expired | FailureKind::Revoked | FailureKind::UnknownRotation => {
            Some("reconnect it with a new credential".to_owned())
        }
        FailureKind::InsufficientScope => Some("reconnect it and grant what it asks for".to_owned()),
        FailureKind::MisconfiguredClient => {
            Some("correct the OAuth client: its identity provider, or `client-id` and `client-secret`".to_owned())
        }
        FailureKind::Forbidden => {
            Some("give the account the permission at the service, or use another account".to_owned())
        }
        FailureKind::Misconfigured { field: Some(field) } => Some(format!("edit the connection and correct `{field}`")),
        FailureKind::Misconfigured { field: None } => Some("edit the connection".to_owned()),
        FailureKind::RateLimited { retry_after: Some(seconds) } => Some(format!("test it again in {seconds} s")),
        FailureKind::RateLimited { retry_after: None } | FailureKind::Unavailable | FailureKind::Timeout => {
            Some("test it again later".to_owned())
        }
        FailureKind::Budget | FailureKind::ConnectorFault | FailureKind::Other => None,
    }
}

/// Whose fault it was that a call did not answer.
fn blame(error: &CallError) -> (FailureKind, Option<String>, Option<String>) {
    let connector = Some("this is a fault of the connector: tell its publisher".to_owned());
    match error {
        CallError::Trapped { log, .. } | CallError::Unfit { log, .. } => {
            (FailureKind::ConnectorFault, connector, Some(log.clone()))
        }
        CallError::Cpu { .. }
        | CallError::Memory { .. }
        | CallError::Handles { .. }
        | CallError::Headers { .. }
        | CallError::Tables { .. }
        | CallError::Handed { .. } => (FailureKind::Budget, connector, None),
        CallError::Wall { .. } => (FailureKind::Timeout, Some("test it again later".to_owned()), None),
        _ => (FailureKind::Unavailable, Some("test it again later".to_owned()), None),
    }
}

fn last_words(log: &str) -> String {
    let from = log.len().saturating_sub(KEPT_LOG);
    let from = (from..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    log[from..].to_owned()
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most).chain(['…']).collect() }
}
