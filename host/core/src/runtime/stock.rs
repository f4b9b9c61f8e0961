//! A loaded component, and instances of it that stand ready before they are needed.
//!
//! Making an instance takes as long as a short request. An instance that stands ready has run nothing but its own
//! instantiation, belongs to no connection yet, and is used for one call only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Engine, Store};

use super::bindings::besides::exports::turnbuckle::connector::{classifier, signer};
use super::bindings::plugin::ConnectorPluginIndices;
use super::call::Guest;
use super::engine::{Engines, Slots};
use super::error::CallError;
use super::lane::Lane;
use super::limits::Limits;
use super::sandbox::{self, Sandbox};

/// Instances that stand ready for one component.
const READY: usize = 4;
/// Instances that stand ready for all components together.
pub(super) const READY_IN_ALL: u32 = 64;
/// What one that stands ready may hold; a larger guest is made when it is called.
const READY_MEMORY: usize = 32 << 20;
/// The start of a guest is its code too: it may compute or wait for ever.
const READY_CPU: Duration = Duration::from_millis(100);
const READY_WITHIN: Duration = Duration::from_secs(1);

/// An instance in its store, and the place that it takes among those that stand ready.
struct Instance {
    store: Store<Sandbox>,
    guest: Guest,
    _place: OwnedSemaphorePermit,
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
    pub(super) lane: Arc<Lane>,
    /// Its last call computed long, so the next one does not begin among all others.
    pub(super) long: AtomicBool,
    places: Arc<Semaphore>,
    ready: Mutex<Vec<Instance>>,
}

/// A store in use, and the slot that it takes. Only a store that is gone has left its place in the pool, so it goes first.
pub(super) struct Running {
    pub(super) store: Store<Sandbox>,
    pub(super) _slot: OwnedSemaphorePermit,
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
        Ok(Self {
            engine: engines.engine.clone(),
            pre,
            plugin,
            signer,
            classifier,
            limits,
            slots: engines.slots.clone(),
            lane: engines.lane.clone(),
            long: AtomicBool::new(false),
            places: engines.places.clone(),
            ready: Mutex::default(),
        })
    }

    /// One that stands ready.
    pub(super) fn take(&self) -> Option<(Store<Sandbox>, Guest)> {
        let taken = self.ready.lock().expect("no holder of this lock panics").pop()?;
        Some((taken.store, taken.guest))
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

    /// Clears away after a call and puts one instance more in waiting, both off the path of the call.
    pub(super) fn retire(self: &Arc<Self>, used: Option<Running>) {
        // Taken before anything is made, so that however many calls end at once, no more are made than there is room for.
        let wanted = self.ready.lock().expect("no holder of this lock panics").len() < READY;
        let place = if wanted { self.places.clone().try_acquire_owned().ok() } else { None };
        let stock = self.clone();
        tokio::spawn(async move {
            drop(used);
            if let Some(place) = place {
                stock.refill(place).await;
            }
        });
    }

    async fn refill(self: Arc<Self>, place: OwnedSemaphorePermit) {
        let mut store = self.store();
        store.data_mut().meter.cpu_limit = READY_CPU;
        let clock = store.data().meter.clock.clone();
        // One that can't be made is made on the path of the next call, which then tells why.
        let making = {
            let (stock, clock) = (self.clone(), clock.clone());
            async move {
                let made = clock.metered(stock.instantiate(&mut store)).await;
                (made, store)
            }
        };
        // How long its start takes says nothing of its calls.
        let long = AtomicBool::new(self.long.load(Ordering::Relaxed));
        let made = tokio::time::timeout(READY_WITHIN, self.lane.run(&clock, &long, making)).await;
        if let Ok((Ok(guest), store)) = made
            && store.data().meter.memory() <= READY_MEMORY
        {
            let mut ready = self.ready.lock().expect("no holder of this lock panics");
            if ready.len() < READY {
                ready.push(Instance { store, guest, _place: place });
            }
        }
    }
}
