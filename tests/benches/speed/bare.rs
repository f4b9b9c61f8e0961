//! The floors: the same component in wasmtime alone, the same request by reqwest alone, one commit at a time by redb alone.
#![expect(clippy::disallowed_types, reason = "what the host is compared with, outside of the host")]

use std::path::Path;

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "connector-plugin", exports: { default: async } });
}

/// A component that is loaded and linked, as any host would keep it.
pub(crate) struct Wasm {
    engine: Engine,
    plugin: bindings::ConnectorPluginPre<State>,
}

struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: NoNetwork,
}

struct NoNetwork;

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for NoNetwork {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Finished,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Finished), Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl Wasm {
    pub(crate) fn load(component: &[u8]) -> Self {
        let mut config = Config::new();
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(64).total_core_instances(256).total_memories(64).total_tables(64);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).epoch_interruption(true);
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::new(&engine, component).expect("the component compiles");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI is linked");
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).expect("HTTP is linked");
        let instance = linker.instantiate_pre(&component).expect("everything it imports is linked");
        let plugin = bindings::ConnectorPluginPre::new(instance).expect("it exports a connector");
        Self { engine, plugin }
    }

    /// One `describe` in a store and an instance of its own.
    pub(crate) async fn describe(&self) -> usize {
        let state = State {
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            hooks: NoNetwork,
        };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(1_000_000);
        let plugin = self.plugin.instantiate_async(&mut store).await.expect("it starts");
        let said = plugin.turnbuckle_connector_connector().call_describe(&mut store).await.expect("it answers");
        said.protocols.len()
    }
}

/// A client as the host's own, whose connections are kept alive.
pub(crate) struct Http(reqwest::Client);

impl Http {
    pub(crate) fn new() -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self(client.build().expect("a client"))
    }

    /// One request with its credential, read to its end.
    pub(crate) async fn get(&self, url: &str, token: &str) -> usize {
        let answer = self.0.get(url).bearer_auth(token).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a whole answer").len()
    }
}

/// A database with one table, changed by one durable commit after the other.
pub(crate) struct Commits {
    database: redb::Database,
    next: u64,
}

const RECORDS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("records");

impl Commits {
    pub(crate) fn create(path: &Path) -> Self {
        Self { database: redb::Database::create(path).expect("a database"), next: 0 }
    }

    /// One record, durable. In two phases, as the host commits, all that a root leads to is on the disk before the root is.
    pub(crate) fn commit(&mut self, two_phases: bool) {
        self.next += 1;
        let mut transaction = self.database.begin_write().expect("a transaction");
        transaction.set_two_phase_commit(two_phases);
        transaction.open_table(RECORDS).expect("a table").insert(self.next, [7; 1024].as_slice()).expect("a record");
        transaction.commit().expect("a commit");
    }
}
