//! wasmtime, and nothing else: a component goes in, typed answers come out, and no call takes more than it may.
//!
//! Every call runs in a store of its own that is dropped afterwards, so no state goes from one connection to another. A
//! guest is given nothing but a clock, randomness, a log that forgets its beginning, and `wasi:http`, every request of
//! which lands in [`crate::egress`].

mod bindings;
mod cache;
mod call;
mod clock;
mod compile;
mod convert;
mod engine;
mod error;
mod http;
mod inspect;
mod lane;
mod limits;
mod log;
mod sandbox;
mod stock;
#[cfg(test)]
mod tests;
mod worker;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, StatusCode};
use lru::LruCache;
use tokio::sync::Semaphore;

use crate::egress::{Call, Egress, Keys, Permit, SignFailure, SignRequest, Signer};
use crate::model::authentication::Authentication;
use crate::model::connector::Surface;
use crate::model::descriptor::Descriptor;
use crate::model::id::Digest;
use crate::model::verdict::{Failure, Report};

pub use compile::Compiler;
pub(crate) use error::{CallError, CompileError, Refused, RuntimeError};
pub(crate) use limits::Limits;
pub use worker::compile_worker;

/// Components that stay loaded; their code is mapped from files, so one costs little.
const LOADED: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not zero");

/// Components that are compiled at the same time.
const COMPILING: usize = 2;

/// So much of a body tells a failure.
pub(crate) const CLASSIFIED: usize = 16 << 10;

/// What a runtime is made of.
#[derive(Debug)]
pub(crate) struct RuntimeOptions {
    pub(crate) limits: Limits,
    /// Where compiled code is kept; nobody else may write there.
    pub(crate) compiled: PathBuf,
    /// Authenticates compiled code: only what this host's own compiler wrote is ever run.
    pub(crate) host_key: [u8; 32],
    pub(crate) compiler: Compiler,
    pub(crate) egress: Egress,
}

/// A connection as the guest sees it.
#[derive(Debug, Clone)]
pub(crate) struct GuestConnection {
    pub(crate) protocol: String,
    pub(crate) settings: Vec<(String, String)>,
}

/// A service's answer as a classifier reads it, without the secrets that were attached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// Its first [`CLASSIFIED`] bytes; more are cut off.
    pub(crate) body: &'a [u8],
}

/// What a call answered, and what the guest said meanwhile.
#[derive(Debug)]
pub(crate) struct Called<T> {
    pub(crate) value: T,
    pub(crate) log: String,
}

/// Runs guests. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    engine: engine::Engines,
    cache: cache::Cache,
    compiler: Compiler,
    egress: Egress,
    loaded: Mutex<LruCache<Digest, Arc<stock::Stock>>>,
    /// Compiling takes a processor; so many do at once.
    compiling: Semaphore,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").field("pooling", &self.inner.engine.pooling).finish_non_exhaustive()
    }
}

impl Runtime {
    pub(crate) fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let engine = engine::Engines::new(&options.limits)?;
        let cache = cache::Cache::open(&options.compiled, &engine.engine, options.host_key)?;
        let inner = Inner {
            limits: options.limits,
            engine,
            cache,
            compiler: options.compiler,
            egress: options.egress,
            loaded: Mutex::new(LruCache::new(LOADED)),
            compiling: Semaphore::new(COMPILING),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether instances come from a pool.
    pub(crate) fn pooling(&self) -> bool {
        self.inner.engine.pooling
    }

    /// Judges a component without running or compiling anything of it.
    pub(crate) fn inspect(&self, bytes: &[u8]) -> Result<Surface, Refused> {
        inspect::inspect(bytes, &self.inner.limits)
    }

    /// Compiles it in a process of its own, unless that was done before.
    pub(crate) async fn compile(&self, bytes: &[u8], digest: &Digest) -> Result<(), CompileError> {
        if self.load(digest).is_ok() {
            return Ok(());
        }
        // Whoever waits here has not begun: its time counts from when it is compiled.
        let turn = self.inner.compiling.acquire().await.expect("it is never closed");
        let compiled =
            compile::compile(&self.inner.compiler, bytes, &self.inner.limits, self.inner.cache.key()).await?;
        drop(turn);
        let (runtime, digest) = (self.clone(), digest.clone());
        let kept = tokio::task::spawn_blocking(move || {
            runtime.inner.cache.keep(&digest, &compiled)?;
            let loaded = runtime.load(&digest).map(|_stock| ());
            loaded.map_err(|error| CompileError::Unusable { message: error.to_string() })
        });
        kept.await.unwrap_or_else(|ended| Err(CompileError::Unusable { message: ended.to_string() }))
    }

    /// Whether it can be called without compiling it again.
    pub(crate) fn has_compiled(&self, digest: &Digest) -> bool {
        self.load(digest).is_ok()
    }

    /// Forgets a component that was removed.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.inner.loaded.lock().expect("no holder of this lock panics").pop(digest);
        self.inner.cache.remove(digest);
    }

    /// What it says of itself. No network.
    pub(crate) async fn describe(&self, digest: &Digest) -> Result<Called<Descriptor>, CallError> {
        let budget = self.inner.limits.describe();
        let called = self
            .call(digest, ("describe", budget), sandbox::Power::None, |guest, store| Box::pin(guest.describe(store)))
            .await?;
        Ok(Called { value: convert::descriptor(called.value), log: called.log })
    }

    /// How a connection authenticates. No network.
    pub(crate) async fn authenticate(
        &self,
        digest: &Digest,
        connection: &GuestConnection,
    ) -> Result<Called<Result<Authentication, Failure>>, CallError> {
        let connection = convert::connection(connection);
        let budget = self.inner.limits.quiet();
        let called = self
            .call(digest, ("authenticate", budget), sandbox::Power::None, |guest, store| {
                Box::pin(guest.authenticate(store, connection))
            })
            .await?;
        let value = called.value.map(convert::authentication).map_err(convert::failure);
        Ok(Called { value, log: called.log })
    }

    /// Lets the connector test a connection; its requests go where the permit says.
    pub(crate) async fn test(
        &self,
        digest: &Digest,
        connection: &GuestConnection,
        permit: Arc<Permit>,
        call: Arc<Call>,
    ) -> Result<Called<Result<Report, Failure>>, CallError> {
        let connection = convert::connection(connection);
        let network = sandbox::Network { egress: self.inner.egress.clone(), permit, call };
        let budget = self.inner.limits.test();
        let called = self
            .call(digest, ("test", budget), sandbox::Power::Network(network), |guest, store| {
                Box::pin(guest.test(store, connection))
            })
            .await?;
        Ok(Called { value: called.value.map(convert::report).map_err(convert::failure), log: called.log })
    }

    /// The headers by which a connector signs a request. No network; the keys work in this call alone. What it writes to its
    /// log stays in the sandbox, for it may have written a hash.
    pub(crate) async fn sign(
        &self,
        digest: &Digest,
        connection: &GuestConnection,
        request: SignRequest,
        keys: Arc<Keys>,
    ) -> Result<Result<Vec<(String, String)>, Failure>, CallError> {
        let (connection, request) = (convert::connection(connection), convert::sign_request(request));
        let (budget, power) = (self.inner.limits.describe(), sandbox::Power::Keys(keys));
        let called = self
            .call(digest, ("sign", budget), power, |guest, store| Box::pin(guest.sign(store, connection, request)))
            .await?;
        Ok(called.value.map_err(convert::failure))
    }

    /// What signs the requests of a connection, for [`Permit::with_signer`]; to be given where [`Permit::needs_signer`].
    pub(crate) fn signer(&self, digest: Digest, connection: GuestConnection) -> Signer {
        let (runtime, signed) = (self.clone(), Arc::new((digest, connection)));
        Arc::new(move |request, keys| {
            let (runtime, signed) = (runtime.clone(), Arc::clone(&signed));
            Box::pin(async move {
                let (digest, connection) = &*signed;
                match runtime.sign(digest, connection, request, keys).await {
                    Ok(Ok(headers)) => Ok(headers),
                    Ok(Err(failure)) => Err(SignFailure { message: failure.message }),
                    Err(error) => Err(SignFailure { message: error.to_string() }),
                }
            })
        })
    }

    /// What a connector makes of an answer; none where it says nothing of it, or classifies nothing. No network.
    pub(crate) async fn classify(
        &self,
        digest: &Digest,
        connection: &GuestConnection,
        answer: Answer<'_>,
    ) -> Result<Option<Failure>, CallError> {
        if !self.load(digest)?.classifies() {
            return Ok(None);
        }
        let (connection, answer) = (convert::connection(connection), convert::answer(&answer));
        let (budget, power) = (self.inner.limits.describe(), sandbox::Power::None);
        let called = self
            .call(digest, ("classify", budget), power, |guest, store| {
                Box::pin(guest.classify(store, connection, answer))
            })
            .await?;
        Ok(called.value.map(convert::failure))
    }

    /// Whether a compiled component exports `signer`: without it, a plan that is `signed` never sends anything.
    pub(crate) fn signs(&self, digest: &Digest) -> bool {
        self.load(digest).is_ok_and(|stock| stock.signs())
    }

    async fn call<T, F>(
        &self,
        digest: &Digest,
        asked: (&'static str, call::Budget),
        power: sandbox::Power,
        run: F,
    ) -> Result<Called<T>, CallError>
    where
        F: for<'a> FnOnce(&'a call::Guest, &'a mut wasmtime::Store<sandbox::Sandbox>) -> call::Answer<'a, T>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let stock = self.load(digest)?;
        call::call(&stock, asked, power, run).await
    }

    fn load(&self, digest: &Digest) -> Result<Arc<stock::Stock>, CallError> {
        let loaded = || self.inner.loaded.lock().expect("no holder of this lock panics");
        if let Some(stock) = loaded().get(digest) {
            return Ok(stock.clone());
        }
        // Without the lock: authenticating a large one takes long, and those that are loaded can be called meanwhile.
        let component = self.inner.cache.load(&self.inner.engine.engine, digest)?;
        let stock = Arc::new(stock::Stock::new(&self.inner.engine, &component, self.inner.limits.clone())?);
        Ok(loaded().get_or_insert(digest.clone(), || stock).clone())
    }
}
