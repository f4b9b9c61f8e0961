//! Clients and their pools of connections: one pool for each connection, certificate and reach, so that nothing of one connection rides on
//! another's socket, and no name that was resolved under one rule serves under another.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::allow::AllowList;
use super::certificate::Identity;
use super::error::{EgressError, EgressSetupError};
use super::policy::{self, Reach};

/// Connections of as many (connection, reach) pairs are kept; the one that rested longest is let go.
const POOLS: usize = 1024;
/// Servers commonly close after a minute; a socket that rests longer only costs.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_ORIGIN: usize = 16;
/// A connection has a handful of origins.
const SESSIONS: usize = 16;

/// A name to its addresses.
pub(crate) type Resolver = Arc<dyn Fn(String) -> Resolving + Send + Sync>;
/// The answer of a [`Resolver`].
pub(crate) type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The system's resolver.
pub(super) fn system_resolver() -> Resolver {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    })
}

/// Whose sockets: a connection, where it may dial, and as whom.
type PoolKey = (Arc<str>, Reach, Option<[u8; 32]>);

pub(super) struct Clients {
    tls: ClientConfig,
    allow: Arc<AllowList>,
    resolver: Resolver,
    connect: Duration,
    header_bytes: u32,
    pools: Mutex<LruCache<PoolKey, reqwest::Client>>,
}

impl Clients {
    pub(super) fn new(
        tls: ClientConfig,
        allow: Arc<AllowList>,
        resolver: Resolver,
        connect: Duration,
        header_bytes: usize,
    ) -> Self {
        let pools = LruCache::new(std::num::NonZeroUsize::new(POOLS).expect("a constant above zero"));
        let header_bytes = u32::try_from(header_bytes).unwrap_or(u32::MAX);
        Self { tls, allow, resolver, connect, header_bytes, pools: Mutex::new(pools) }
    }

    /// The client whose sockets belong to this connection alone. Cheap where it is known.
    pub(super) fn of(
        &self,
        pool_key: &Arc<str>,
        reach: Reach,
        certificate: Option<&Identity>,
    ) -> reqwest::Result<reqwest::Client> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(pool_key), reach, certificate.map(Identity::fingerprint));
        if let Some(client) = pools.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(reach, certificate)?;
        pools.put(key, client.clone());
        Ok(client)
    }

    /// Lets go of the clients of a connection, and with them of their sockets that rest. A request that is under way ends as it
    /// would have, and its socket with it.
    pub(super) fn close(&self, pool_key: &str) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = pools.iter().filter(|((key, ..), _)| **key == *pool_key).map(|(key, _)| key.clone());
        for key in of_it.collect::<Vec<_>>() {
            pools.pop(&key);
        }
    }

    fn build(&self, reach: Reach, certificate: Option<&Identity>) -> reqwest::Result<reqwest::Client> {
        let mut tls = self.tls.clone();
        // A clone would share its memory of sessions, and a resumed session tells a server that two connections are one host's.
        tls.resumption = Resumption::in_memory_sessions(SESSIONS);
        if let Some(certificate) = certificate {
            tls.client_auth_cert_resolver = certificate.resolver();
        }
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Guard { allow: Arc::clone(&self.allow), resolver: Arc::clone(&self.resolver), reach })
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(self.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_ORIGIN)
            .tcp_nodelay(true)
            .http2_max_header_list_size(self.header_bytes)
            .build()
    }
}

/// Resolves once for each attempt to connect; what it answers is what is dialled.
struct Guard {
    allow: Arc<AllowList>,
    resolver: Resolver,
    reach: Reach,
}

impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (allow, reach) = (Arc::clone(&self.allow), self.reach);
        let name = name.as_str().to_owned();
        let resolving = (self.resolver)(name.clone());
        Box::pin(async move {
            let unknown = |reason: String| EgressError::Dns { host: name.clone(), reason };
            let addresses = resolving.await.map_err(|problem| unknown(problem.to_string()))?;
            if addresses.is_empty() {
                return Err(unknown("it has no address".to_owned()).into());
            }
            policy::check_resolved(&allow, reach, &name, addresses.iter().copied()).map_err(EgressError::Denied)?;
            let addresses = addresses.into_iter().map(|address| std::net::SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

/// The system's roots and the operator's; no guest can add any.
pub(super) fn tls(extra_roots: &[Vec<u8>]) -> Result<ClientConfig, EgressSetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = Vec::new();
    for (index, pem) in extra_roots.iter().enumerate() {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let Ok(certificate) = certificate else { return Err(EgressSetupError::Root { index }) };
            roots.push(certificate);
        }
        if roots.len() == before {
            return Err(EgressSetupError::Root { index });
        }
    }
    let mut config = verifying(roots, &provider)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn verifying(
    roots: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, rustls::Error> {
    let bare = roots.is_empty();
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    match rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(provider)) {
        // "Dangerous" is the builder's word for any verifier of one's own; this one verifies as the platform does.
        Ok(verifier) => {
            Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
        }
        // A machine without certificates can still serve what the operator opened by http; https then trusts no one.
        Err(problem) if bare => {
            tracing::warn!(%problem, "no root certificates found: https connections will be refused");
            Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        }
        Err(problem) => Err(problem),
    }
}
