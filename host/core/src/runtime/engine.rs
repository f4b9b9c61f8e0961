//! The one engine, and the clock that interrupts guests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig,
};

use super::error::RuntimeError;
use super::lane::Lane;
use super::limits::Limits;

/// How often a running guest is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Signatures that are made at the same time; each takes microseconds of one.
const WITHIN: u32 = 64;

/// Of one guest; one in Python has fourteen.
const CORE_INSTANCES: u32 = 64;

/// How many calls may run at once.
#[derive(Clone)]
pub(super) struct Slots {
    pub(super) calls: Arc<Semaphore>,
    /// For calls that another call waits for.
    pub(super) within: Arc<Semaphore>,
}

/// The engine, and how many calls may run on it at once.
pub(super) struct Engines {
    pub(super) engine: Engine,
    pub(super) pooling: bool,
    pub(super) slots: Slots,
    /// For instances that stand ready.
    pub(super) places: Arc<Semaphore>,
    /// For calls that compute long.
    pub(super) lane: Arc<Lane>,
}

impl Engines {
    pub(super) fn new(limits: &Limits) -> Result<Self, RuntimeError> {
        // Each slot of the pool reserves some GiB of addresses. Where there are not so many, instances are made one by one.
        let pooled = config(Some(pool(limits))).and_then(|config| Engine::new(&config));
        let (engine, pooling) = match pooled {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(%error, "no pool of instances: too little address space");
                let engine = config(None).and_then(|config| Engine::new(&config));
                (engine.map_err(|error| RuntimeError::Engine { message: format!("{error:#}") })?, false)
            }
        };
        tick(engine.weak());
        let slots = |count: u32| Arc::new(Semaphore::new(count as usize));
        let places = slots(super::stock::READY_IN_ALL);
        let slots = Slots { calls: slots(limits.calls), within: slots(WITHIN) };
        Ok(Self { engine, pooling, slots, places, lane: Arc::default() })
    }
}

/// The engine of a compiling process: the same code, no pool, no clock.
pub(super) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&config(None)?)
}

fn config(pool: Option<PoolingAllocationConfig>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    } else {
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    }
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .async_stack_zeroing(true)
        .module_version(ModuleVersionStrategy::Custom("turnbuckle-1+wasmtime-48.0.8".into()))?;
    Ok(config)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    // Besides the calls under way, instances stand ready for the next ones.
    let instances = limits.calls + WITHIN + super::stock::READY_IN_ALL;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        // Only counted, nothing is reserved for one; so every call finds room, of however many modules its guest is made.
        .total_core_instances(instances * CORE_INSTANCES)
        .total_memories(instances * 2)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(4)
        .max_tables_per_component(8)
        .max_memory_size(limits.memory)
        .table_elements(limits.table_elements)
        .max_component_instance_size(2 << 20)
        .max_core_instance_size(2 << 20)
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(16 << 10)
        // What a slot used is cleared in place, as far as the kernel says that it was written: giving pages back and faulting
        // them in again costs every call more than its guest computes.
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(64);
    pool
}

/// Ends by itself when the engine is gone.
fn tick(engine: EngineWeak) {
    let ticker = std::thread::Builder::new().name("turnbuckle-tick".into());
    let started = ticker.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
    started.map(drop).expect("a machine without threads can't run guests");
}
