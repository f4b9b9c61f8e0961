//! `/metrics`: what is counted, as Prometheus reads it.
//!
//! Counters are those of the process. They take a token that may view connections, for they tell how much is done by whom nobody
//! says, but how much all the same; an operator may open them on loopback.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Instrument as _;
use turnbuckle::{Actor, Error, Host, Permission};

use crate::access::Access;
use crate::problem::Problem;

const REQUESTS: &str = "turnbuckle_http_requests_total";
const REQUEST_TIME: &str = "turnbuckle_http_request_duration_seconds";
/// Until what was measured is put into its buckets, be it that nobody reads it.
const UPKEEP: Duration = Duration::from_secs(5);
const SECONDS: [f64; 14] = [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const PIECES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What counts in this process. None where whoever embeds this server counts by something of his own.
fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let found = RECORDER.get_or_init(|| match built() {
        Ok(handle) => handle,
        Err(error) => {
            tracing::warn!(%error, "nothing is counted");
            None
        }
    });
    found.as_ref()
}

fn built() -> Result<Option<PrometheusHandle>, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for name in turnbuckle::MEASURED_DURATIONS.into_iter().chain([REQUEST_TIME]) {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &SECONDS)?;
    }
    for name in turnbuckle::MEASURED_SIZES {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &PIECES)?;
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        return Ok(None);
    }
    turnbuckle::describe_metrics();
    describe_counter!(REQUESTS, "Requests to this server by method, route and status.");
    describe_histogram!(
        REQUEST_TIME,
        Unit::Seconds,
        "How long requests to this server took, until their answer began."
    );
    Ok(Some(handle))
}

/// Begins to count, and goes on for as long as it is polled.
pub(crate) async fn run() {
    let Some(recorder) = recorder() else { return };
    let mut pace = tokio::time::interval(UPKEEP);
    loop {
        pace.tick().await;
        recorder.run_upkeep();
    }
}

/// Counts each request. A route is named as it is described, never as it was asked for.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route = request.extensions().get::<MatchedPath>().map_or("none".into(), |path| path.as_str().to_owned());
    let begun = Instant::now();
    let span = tracing::debug_span!("request", method, route, status = tracing::field::Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("status", i64::from(status));
    span.in_scope(|| tracing::debug!(status, "answered"));
    let status = status.to_string();
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status).increment(1);
    histogram!(REQUEST_TIME, "route" => route).record(begun.elapsed());
    response
}

pub(crate) async fn show(State((access, host)): State<(Access, Host)>, request: Request) -> Response {
    if !access.opens_metrics() {
        match access.who(&host, request.headers()) {
            Ok(actor) if actor.may(Permission::ViewConnections) => {}
            Ok(actor) => return refused(&host, &actor),
            Err(problem) => return problem.into_response(),
        }
    }
    let Some(recorder) = recorder() else {
        return Problem::new(StatusCode::NOT_FOUND, "not-counted", "this server does not count by itself")
            .hint("the program that it runs in counts by something of its own")
            .into_response();
    };
    if let Err(error) = host.measure() {
        return Problem::from(error).into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render()).into_response()
}

/// Answered, and put down, as any other call that takes this permission.
fn refused(host: &Host, actor: &Actor) -> Response {
    let refused = host.report(actor).err();
    Problem::from(refused.unwrap_or(Error::Forbidden { permission: Permission::ViewConnections })).into_response()
}
