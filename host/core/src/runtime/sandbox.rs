//! What a guest is given: everything of WASI 0.2 without power, and requests that egress judges.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::besides::turnbuckle::connector::keys;
use super::bindings::plugin::turnbuckle::connector::types;
use super::clock::Clock;
use super::convert;
use super::http::Hooks;
use super::limits::Limits;
use super::log::Log;
use crate::egress::{Call, Egress, Hash, Key, Keys, Permit};

/// Where the requests of one call go.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) egress: Egress,
    pub(super) permit: Arc<Permit>,
    pub(super) call: Arc<Call>,
}

/// What one call may do besides computing.
#[derive(Debug, Default)]
pub(super) enum Power {
    #[default]
    None,
    /// To send requests.
    Network(Network),
    /// To hash with the keys of the connection that a request is signed for.
    Keys(Arc<Keys>),
}

/// What a store carries.
pub(super) struct Sandbox {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    pub(super) hooks: Hooks,
    /// There only while a signature is made for one request.
    pub(super) keys: Option<Arc<Keys>>,
    pub(super) meter: Meter,
    pub(super) log: Log,
}

/// What a guest has taken so far.
pub(super) struct Meter {
    memory: usize,
    memory_limit: usize,
    table_limit: usize,
    pub(super) out_of_memory: bool,
    pub(super) out_of_table: bool,
    pub(super) clock: Arc<Clock>,
    /// How long the call may compute.
    pub(super) cpu_limit: Duration,
    pub(super) out_of_time: bool,
}

impl Meter {
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let whole = self.memory + desired.saturating_sub(current);
        if whole > self.memory_limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.out_of_memory |= whole > self.memory_limit;
            return Ok(false);
        }
        self.memory = whole;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.out_of_table |= desired > self.table_limit;
        Ok(desired <= self.table_limit && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        32
    }

    fn memories(&self) -> usize {
        8
    }
}

impl Sandbox {
    /// A store with every limit set, for one call.
    pub(super) fn store(engine: &Engine, limits: &Limits) -> Store<Self> {
        let log = Log::new(limits.log_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(log.clone())
            .stderr(log.clone())
            .max_random_size(64 << 10)
            .allow_ip_name_lookup(false)
            .allow_tcp(false)
            .allow_udp(false);
        let meter = Meter {
            memory: 0,
            memory_limit: limits.memory,
            table_limit: limits.table_elements,
            out_of_memory: false,
            out_of_table: false,
            clock: Arc::new(Clock::new()),
            cpu_limit: limits.call_cpu,
            out_of_time: false,
        };
        let sandbox = Self { wasi: wasi.build(), http, table, hooks: Hooks::default(), keys: None, meter, log };
        let mut store = Store::new(engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.meter);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles as usize);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut running| {
            let meter = &mut running.data_mut().meter;
            if meter.clock.spent() > meter.cpu_limit {
                meter.out_of_time = true;
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// A key in a sandbox's table.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "generated code publishes the types that stand for the contract's")]
pub struct Held(Key);

/// Without keys there is never one to open. A key is a row in the table; its bytes are nowhere in the guest.
impl keys::Host for Sandbox {
    async fn open(&mut self, key: String, encoding: types::Encoding) -> wasmtime::Result<Option<Resource<Held>>> {
        let opened = self.keys.as_ref().and_then(|keys| keys.open(&key, convert::encoding(encoding)));
        Ok(opened.map(|key| self.table.push(Held(key))).transpose()?)
    }
}

impl keys::HostKey for Sandbox {
    async fn derive(
        &mut self,
        key: Resource<Held>,
        hash: keys::Hash,
        message: Vec<u8>,
    ) -> wasmtime::Result<Resource<Held>> {
        let derived = self.table.get(&key)?.0.derive(algorithm(hash), &message);
        Ok(self.table.push(Held(derived))?)
    }

    async fn mac(&mut self, key: Resource<Held>, hash: keys::Hash, message: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&key)?.0.mac(algorithm(hash), &message))
    }

    async fn drop(&mut self, key: Resource<Held>) -> wasmtime::Result<()> {
        self.table.delete(key)?;
        Ok(())
    }
}

fn algorithm(hash: keys::Hash) -> Hash {
    match hash {
        keys::Hash::Sha1 => Hash::Sha1,
        keys::Hash::Sha256 => Hash::Sha256,
        keys::Hash::Sha512 => Hash::Sha512,
    }
}

impl types::Host for Sandbox {}

pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    types::add_to_linker::<Sandbox, HasSelf<Sandbox>>(&mut linker, |sandbox| sandbox)?;
    keys::add_to_linker::<Sandbox, HasSelf<Sandbox>>(&mut linker, |sandbox| sandbox)?;
    Ok(linker)
}
