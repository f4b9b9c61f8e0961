//! One call in one store, within its budget.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;
use wasmtime::Store;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit as WasiExit;
use wasmtime_wasi_http::FieldMapError;

use super::Called;
use super::bindings::besides::exports::turnbuckle::connector::{classifier, signer};
use super::bindings::plugin::ConnectorPlugin;
use super::bindings::plugin::exports::turnbuckle::connector::connector as exported;
use super::error::CallError;
use super::limits::Limits;
use super::log::Log;
use super::sandbox::{Meter, Power, Sandbox};
use super::stock::{Running, Stock};
use crate::model::measure::GuestCall;

/// How much one call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// The questions of the contract: three that every connector answers, and two that some do.
pub(super) struct Guest {
    pub(super) plugin: ConnectorPlugin,
    pub(super) signer: Option<signer::Guest>,
    pub(super) classifier: Option<classifier::Guest>,
}

impl Guest {
    pub(super) async fn describe(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<exported::Descriptor> {
        self.plugin.turnbuckle_connector_connector().call_describe(store).await
    }

    pub(super) async fn authenticate(
        &self,
        store: &mut Store<Sandbox>,
        connection: exported::Connection,
    ) -> wasmtime::Result<Result<exported::Authentication, exported::Failure>> {
        self.plugin.turnbuckle_connector_connector().call_authenticate(store, &connection).await
    }

    pub(super) async fn test(
        &self,
        store: &mut Store<Sandbox>,
        connection: exported::Connection,
    ) -> wasmtime::Result<Result<exported::Report, exported::Failure>> {
        self.plugin.turnbuckle_connector_connector().call_test(store, &connection).await
    }

    pub(super) async fn sign(
        &self,
        store: &mut Store<Sandbox>,
        connection: exported::Connection,
        request: signer::Request,
    ) -> wasmtime::Result<Result<Vec<(String, String)>, exported::Failure>> {
        match &self.signer {
            Some(signer) => signer.call_sign(store, &connection, &request).await,
            None => Err(wasmtime::Error::msg("it exports no `signer`")),
        }
    }

    pub(super) async fn classify(
        &self,
        store: &mut Store<Sandbox>,
        connection: exported::Connection,
        response: classifier::Response,
    ) -> wasmtime::Result<Option<exported::Failure>> {
        match &self.classifier {
            Some(classifier) => classifier.call_classify(store, &connection, &response).await,
            None => Ok(None),
        }
    }
}

pub(super) async fn call<T, F>(
    stock: &Arc<Stock>,
    (question, budget): (&'static str, Budget),
    power: Power,
    run: F,
) -> Result<Called<T>, CallError>
where
    F: for<'a> FnOnce(&'a Guest, &'a mut Store<Sandbox>) -> Answer<'a, T> + Send + 'static,
    T: Send + 'static,
{
    let slots = match power {
        // A call that sends waits for those that sign for it: were they to queue with it, all could wait for each other.
        Power::Keys(_) => &stock.slots.within,
        Power::None | Power::Network(_) => &stock.slots.calls,
    };
    let counted = GuestCall::begun(question);
    let slot = slots.clone().acquire_owned().await.expect("the slots are never closed");
    let (mut store, guest) = match stock.take() {
        Some((store, guest)) => (store, Some(guest)),
        None => (stock.store(), None),
    };
    let sandbox = store.data_mut();
    let clock = sandbox.meter.clock.clone();
    clock.reset();
    sandbox.meter.cpu_limit = budget.cpu;
    match power {
        Power::None => {}
        Power::Network(network) => sandbox.hooks.network = Some(network),
        Power::Keys(keys) => sandbox.keys = Some(keys),
    }
    store.set_epoch_deadline(1);
    let log = store.data().log.clone();
    let work = {
        let (stock, mut running) = (stock.clone(), Running { store, _slot: slot });
        async move {
            let answer = async {
                let store = &mut running.store;
                let guest = match guest {
                    Some(guest) => guest,
                    None => stock.instantiate(store).await?,
                };
                run(&guest, store).await
            };
            // A panic below is the host's own fault; it ends this call, not the host.
            let answer = AssertUnwindSafe(answer).catch_unwind().await;
            (answer, running)
        }
    };
    let span = tracing::debug_span!("guest", function = question, failed = tracing::field::Empty);
    let metered = {
        let (clock, span) = (clock.clone(), span.clone());
        async move { clock.metered(work).await }.instrument(span)
    };
    let due = Instant::now() + budget.wall;
    let too_late = Err(CallError::Wall { limit: budget.wall });
    let (result, running) = match tokio::time::timeout_at(due, stock.lane.run(&clock, &stock.long, metered)).await {
        Err(_elapsed) => (too_late, None),
        // The time of its requests is over in the same moment: were this taken, which timer it heard first would be its answer.
        Ok((_answer, running)) if Instant::now() >= due => (too_late, Some(running)),
        Ok((answer, running)) => {
            let result = outcome(answer, &running.store.data().meter, &stock.limits, budget, &log);
            (result, Some(running))
        }
    };
    if let Err(error) = &result {
        span.record("failed", error.name());
    }
    counted.ended(result.as_ref().map_or_else(CallError::name, |_answered| "answered"), clock.total());
    stock.retire(running);
    result
}

/// What became of a call that ended by itself.
fn outcome<T>(
    answer: std::thread::Result<wasmtime::Result<T>>,
    meter: &Meter,
    limits: &Limits,
    budget: Budget,
    log: &Log,
) -> Result<Called<T>, CallError> {
    let error = match answer {
        Err(_panic) => return Err(CallError::Sandbox { message: "the sandbox panicked".into() }),
        Ok(Ok(value)) => return Ok(Called { value, log: log.text() }),
        Ok(Err(error)) => error,
    };
    Err(if meter.out_of_time {
        CallError::Cpu { limit: budget.cpu }
    } else if let Some(limit) = ended(&error, limits) {
        limit
    } else if meter.out_of_memory {
        CallError::Memory { limit: limits.memory }
    } else if meter.out_of_table {
        CallError::Tables { limit: limits.table_elements }
    } else if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        CallError::Sandbox { message: format!("{error:#}") }
    } else if error.is::<wasmtime::Trap>() || error.is::<WasiExit>() {
        trapped(&error, log.text())
    } else {
        unfit(&error, log.text())
    })
}

/// A limit that ended the call, where it was one.
fn ended(error: &wasmtime::Error, limits: &Limits) -> Option<CallError> {
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(CallError::Handles { limit: limits.handles });
    }
    if matches!(error.downcast_ref(), Some(FieldMapError::TotalSizeTooBig)) {
        return Some(CallError::Headers { limit: limits.header_bytes });
    }
    // These two have no type that can be asked for; a test holds their words.
    let words = error.root_cause().to_string();
    if words.contains("store handle limit exceeded") {
        return Some(CallError::Handles { limit: limits.handles });
    }
    words
        .contains("fuel allocated for hostcalls has been exhausted")
        .then_some(CallError::Handed { limit: limits.hostcall_bytes })
}

/// The guest's own last words say more than the trap.
fn trapped(error: &wasmtime::Error, log: String) -> CallError {
    let words =
        log.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().chars().take(400).collect());
    let message = words.unwrap_or_else(|| first_line(error).unwrap_or_else(|| "it trapped".to_owned()));
    CallError::Trapped { message, log }
}

/// What the guest gave is none of the contract's values: an argument while it ran, or its answer.
fn unfit(error: &wasmtime::Error, log: String) -> CallError {
    let what = if error.is::<wasmtime::WasmBacktrace>() { "handed the host" } else { "answered" };
    let problem = first_line(error).unwrap_or_else(|| "it does not fit".to_owned());
    CallError::Unfit { what, problem, log }
}

fn first_line(error: &wasmtime::Error) -> Option<String> {
    error.root_cause().to_string().lines().next().map(|line| line.chars().take(400).collect())
}
