//! A loaded component, and instances of it that stand ready before they are needed.
//!
//! Making an instance takes as long as a short request. An instance that stands ready has run nothing but its own
//! instantiation, belongs to no connection yet, and is used for one call only.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use wasmtime::component::{Component, InstancePre};
use wasmtime::{Engine, Store};

use super::bindings::besides::exports::turnbuckle::connector::{classifier, signer};
use super::bindings::plugin::ConnectorPluginIndices;
use super::call::Guest;
use super::engine::{Engines, Slots};
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
    pub(super) guest: Guest,
}

/// One component, and its instances in waiting.
pub(super) struct Stock {
    engine: Engine,
    pre: InstancePre<Sandbox>,
    plugin: ConnectorPluginIndices,
    signer: Option<signer::GuestIndices>,
    classifier: Option<classifier::GuestIndices>,
    pub(super) limits: Limits,
    pub(super) slots: Slots,
    ready: Mutex<Vec<Instance>>,
}

impl Stock {
    pub(super) fn new(engines: &Engines, component: &Component, limits: Limits) -> Result<Self, CallError> {
        let fits = || -> wasmtime::Result<_> {
            let pre = sandbox::linker(&engines.engine)?.instantiate_pre(component)?;
            let plugin = ConnectorPluginIndices::new(&pre)?;
            Ok((pre, plugin))
        };
        let (pre, plugin) = fits().map_err(|error| CallError::Sandbox { message: format!("{error:#}") })?;
        // What is not exported, or not as the contract has it, is not there.
        let (signer, classifier) = (signer::GuestIndices::new(&pre).ok(), classifier::GuestIndices::new(&pre).ok());
        let (engine, slots) = (engines.engine.clone(), engines.slots.clone());
        Ok(Self { engine, pre, plugin, signer, classifier, limits, slots, ready: Mutex::default() })
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
    pub(super) async fn instantiate(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<Guest> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(Guest {
            plugin: self.plugin.load(&mut *store, &instance)?,
            signer: self.signer.as_ref().map(|signer| signer.load(&mut *store, &instance)).transpose()?,
            classifier: self.classifier.as_ref().map(|export| export.load(&mut *store, &instance)).transpose()?,
        })
    }

    pub(super) fn signs(&self) -> bool {
        self.signer.is_some()
    }

    pub(super) fn classifies(&self) -> bool {
        self.classifier.is_some()
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
            if let Ok(guest) = stock.instantiate(&mut store).await {
                let mut ready = stock.ready.lock().expect("no holder of this lock panics");
                if ready.len() < READY {
                    READY_NOW.fetch_add(1, Ordering::Relaxed);
                    ready.push(Instance { store, guest });
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
