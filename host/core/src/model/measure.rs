//! What is counted, for an operator's monitoring, by the `metrics` facade: whoever runs a host installs a recorder, and without
//! one all of this is nothing. Labels are words of this program, never a name, an id, an account or a URL, so their number is
//! bounded whatever is installed and whoever calls.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::connection::Status;
use super::schedule::Upkeep;

const CALLS: &str = "turnbuckle_calls_total";
const REFUSALS: &str = "turnbuckle_refusals_total";
const TESTS: &str = "turnbuckle_test_duration_seconds";
const SENDS: &str = "turnbuckle_sends_total";
const RENEWALS: &str = "turnbuckle_renewals_total";
const CHECKS: &str = "turnbuckle_health_checks_total";
const CHECKS_DUE: &str = "turnbuckle_health_due";
const CHECKS_UNDER_WAY: &str = "turnbuckle_health_under_way";
const GUESTS: &str = "turnbuckle_guest_calls_total";
const GUEST_CPU: &str = "turnbuckle_guest_cpu_seconds";
const GUESTS_UNDER_WAY: &str = "turnbuckle_guest_calls_under_way";
const COMMITS: &str = "turnbuckle_store_commits_total";
const COMMIT_TIME: &str = "turnbuckle_store_commit_duration_seconds";
const COMMIT_JOBS: &str = "turnbuckle_store_commit_jobs";
const STORE_QUEUE: &str = "turnbuckle_store_queue_jobs";
const NOTES: &str = "turnbuckle_audit_queue_records";
const CONNECTIONS: &str = "turnbuckle_connections";

/// Names of what is measured in seconds, for a recorder that keeps histograms.
pub const DURATIONS: [&str; 3] = [TESTS, COMMIT_TIME, GUEST_CPU];
/// Names of what is measured in pieces.
pub const SIZES: [&str; 1] = [COMMIT_JOBS];

/// Says to the recorder what each of them is.
pub fn describe() {
    describe_counter!(CALLS, "Calls of the host by what was to be done and how it ended.");
    describe_counter!(REFUSALS, "Calls that a permission or a rule stood against, by the rule.");
    describe_histogram!(TESTS, Unit::Seconds, "Tests of connections by what they said.");
    describe_counter!(SENDS, "Requests sent through connections, by how they ended.");
    describe_counter!(RENEWALS, "Credentials that were to be renewed, by how it ended.");
    describe_counter!(CHECKS, "Checks and renewals that nobody asked for, by how they ended.");
    describe_gauge!(CHECKS_DUE, "Checks and renewals whose time has come, those under way aside.");
    describe_gauge!(CHECKS_UNDER_WAY, "Checks and renewals that are under way.");
    describe_counter!(GUESTS, "Calls of connectors by function and how they ended.");
    describe_histogram!(GUEST_CPU, Unit::Seconds, "Time that connectors computed in a call, by function.");
    describe_gauge!(GUESTS_UNDER_WAY, "Instances of connectors that answer a call.");
    describe_counter!(COMMITS, "Commits of the store by how they ended.");
    describe_histogram!(COMMIT_TIME, Unit::Seconds, "How long commits of the store took.");
    describe_histogram!(COMMIT_JOBS, "Changes that shared a commit of the store.");
    describe_gauge!(STORE_QUEUE, "Changes that wait for a commit of the store.");
    describe_gauge!(NOTES, "Records of the audit that wait for a commit of the store.");
    describe_gauge!(CONNECTIONS, "Connections by how they stand, private ones aside.");
}

pub(crate) fn call(operation: &'static str, outcome: &'static str) {
    counter!(CALLS, "operation" => operation, "outcome" => outcome).increment(1);
}

pub(crate) fn refusal(rule: &'static str) {
    counter!(REFUSALS, "rule" => rule).increment(1);
}

pub(crate) fn test(outcome: &'static str, took: Duration) {
    histogram!(TESTS, "outcome" => outcome).record(took);
}

/// A status tells its class; what brought none tells why.
pub(crate) fn send(status: Option<u16>, otherwise: &'static str) {
    let outcome = match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
        None => otherwise,
    };
    counter!(SENDS, "outcome" => outcome).increment(1);
}

pub(crate) fn renewal(outcome: &'static str) {
    counter!(RENEWALS, "outcome" => outcome).increment(1);
}

pub(crate) fn upkeep(what: Upkeep, outcome: &'static str) {
    counter!(CHECKS, "kind" => what.name(), "outcome" => outcome).increment(1);
}

pub(crate) fn upkeep_waiting(due: usize, under_way: usize) {
    gauge!(CHECKS_DUE).set(due as f64);
    gauge!(CHECKS_UNDER_WAY).set(under_way as f64);
}

/// Counts a call of a connector while it lasts.
#[derive(Debug)]
pub(crate) struct GuestCall {
    function: &'static str,
}

impl GuestCall {
    pub(crate) fn begun(function: &'static str) -> Self {
        gauge!(GUESTS_UNDER_WAY).increment(1.0);
        Self { function }
    }

    pub(crate) fn ended(self, outcome: &'static str, cpu: Duration) {
        let function = self.function;
        counter!(GUESTS, "function" => function, "outcome" => outcome).increment(1);
        histogram!(GUEST_CPU, "function" => function).record(cpu);
    }
}

impl Drop for GuestCall {
    fn drop(&mut self) {
        gauge!(GUESTS_UNDER_WAY).decrement(1.0);
    }
}

pub(crate) fn commit(kept: bool, jobs: usize, took: Duration) {
    counter!(COMMITS, "outcome" => if kept { "done" } else { "failed" }).increment(1);
    histogram!(COMMIT_TIME).record(took);
    histogram!(COMMIT_JOBS).record(jobs as f64);
}

pub(crate) fn store_queue(jobs: usize, notes: usize) {
    gauge!(STORE_QUEUE).set(jobs as f64);
    gauge!(NOTES).set(notes as f64);
}

pub(crate) fn connections(status: Status, count: u64) {
    gauge!(CONNECTIONS, "status" => status.name()).set(count as f64);
}
