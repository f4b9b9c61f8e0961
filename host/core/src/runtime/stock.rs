//! A loaded component, and instances of it that stand ready before they are needed.
//!
//! Making an instance takes as long as a short request. An instance that stands ready has run nothing but its own
//! instantiation, belongs to no connection yet, and is used for one call only.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use super::bindings::plugin::{ConnectorPlugin, ConnectorPluginPre};
use super::engine::Engines;
use super::error::CallError;
use super::limits::Limits;
use super::sandbox::{self, Sandbox};

/// Instances that stand ready for one component.
const READY: usize = 4;
/// Instances that stand ready for all components together.
pub(super) const READY_IN_ALL: u32 = 64;

static READY_NOW: AtomicU32 = AtomicU32::new(0);

/// An instance in its store.
pub(super) struct Instance {
    pub(super) store: Store<Sandbox>,
    pub(super) plugin: ConnectorPlugin,
}

/// One component, and its instances in waiting.
pub(super) struct Stock {
    engine: Engine,
    pre: ConnectorPluginPre<Sandbox>,
    pub(super) limits: Limits,
    pub(super) slots: Arc<Semaphore>,
    ready: Mutex<Vec<Instance>>,
}

impl Stock {
    pub(super) fn new(engines: &Engines, component: &Component, limits: Limits) -> Result<Self, CallError> {
        let fits = || -> wasmtime::Result<_> {
            let linker = sandbox::linker(&engines.engine)?;
            ConnectorPluginPre::new(linker.instantiate_pre(component)?)
        };
        let pre = fits().map_err(|error| CallError::Sandbox { message: format!("{error:#}") })?;
        Ok(Self { engine: engines.engine.clone(), pre, limits, slots: engines.slots.clone(), ready: Mutex::default() })
    }

    /// One that stands ready.
    pub(super) fn take(&self) -> Option<Instance> {
        let taken = self.ready.lock().expect("no holder of this lock panics").pop();
        if taken.is_some() {
            READY_NOW.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn store(&self) -> Store<Sandbox> {
        Sandbox::store(&self.engine, &self.limits)
    }

    /// Makes an instance. The start of a guest is its code too, so it runs under the call's budget.
    pub(super) async fn instantiate(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<ConnectorPlugin> {
        self.pre.instantiate_async(store).await
    }

    /// Puts one instance more in waiting, after a call and off its path.
    pub(super) fn refill(self: &Arc<Self>) {
        let full = self.ready.lock().expect("no holder of this lock panics").len() >= READY;
        if full || READY_NOW.load(Ordering::Relaxed) >= READY_IN_ALL {
            return;
        }
        let stock = self.clone();
        tokio::spawn(async move {
            let mut store = stock.store();
            store.data_mut().meter.ticks_limit = 10;
            // One that can't be made is made on the path of the next call, which then tells why.
            if let Ok(plugin) = stock.instantiate(&mut store).await {
                let mut ready = stock.ready.lock().expect("no holder of this lock panics");
                if ready.len() < READY {
                    READY_NOW.fetch_add(1, Ordering::Relaxed);
                    ready.push(Instance { store, plugin });
                }
            }
        });
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let left = self.ready.get_mut().map_or(0, |ready| ready.len());
        READY_NOW.fetch_sub(u32::try_from(left).unwrap_or(0), Ordering::Relaxed);
    }
}
