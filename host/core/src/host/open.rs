//! Opening a data directory: everything is checked before anything is changed.

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use url::Url;

use super::{Host, Inner};
use crate::catalog::Catalog;
use crate::config::{AuditConfig, Config, EventsConfig, HealthConfig, LimitsConfig, OidcConfig};
use crate::connections::Connections;
use crate::credentials::vault::{KeySource, Vault};
use crate::credentials::{CHECK, Credentials, rotation};
use crate::egress::{self, AllowList, Egress};
use crate::events::Outbox;
use crate::flows::Flows;
use crate::health::{Health, Settings};
use crate::model::error::Error;
use crate::model::outside::Outside;
use crate::model::schedule::Schedule;
use crate::model::secret::Secret;
use crate::runtime::{self, Compiler, Runtime, RuntimeOptions};
use crate::store::{EVENTS, EventsKept, Options, Retention, Store};
use crate::users::{Users, oidc};

const CACHE_MIB: u32 = 32;

/// Opens a host. What is not said has a sensible default.
#[derive(Debug)]
pub struct Builder {
    data: PathBuf,
    config: Config,
    compiler: Compiler,
    outside: Outside,
}

impl Host {
    /// A host over this data directory, which is made where it is not there.
    pub fn builder(data: impl Into<PathBuf>) -> Builder {
        Builder {
            data: data.into(),
            config: Config::default(),
            compiler: Compiler::default(),
            outside: Outside::system(),
        }
    }
}

impl Builder {
    /// What the operator set.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Who compiles connectors.
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Time and randomness.
    pub fn outside(mut self, outside: Outside) -> Self {
        self.outside = outside;
        self
    }

    /// Opens it. One data directory is open in one process only.
    pub async fn open(self) -> Result<Host, Error> {
        let Self { data, config, compiler, outside } = self;
        make_folder(&data)?;
        let schedule = schedule(&config.health);
        let cache_mib = config.store.cache_mib.unwrap_or(CACHE_MIB).max(1);
        let options = Options {
            cache_bytes: cache_mib as usize * (1 << 20),
            retention: retention(&config.audit),
            schedule,
            events: event_retention(&config.events),
        };
        let store = Store::open(&data.join("turnbuckle.redb"), options)?;
        let vault = open_vault(&data, &config, &store, &outside).await?;
        let egress = Egress::new(egress::Config {
            allow: allow_list(&config.egress.allow)?,
            limits: egress_limits(&config.limits),
            extra_roots: extra_roots(config.egress.ca_file.as_deref())?,
            user_agent: concat!("turnbuckle/", env!("CARGO_PKG_VERSION")).to_owned(),
        })
        .map_err(|error| Error::field("egress", error.to_string()))?;
        let runtime_limits = runtime_limits(&config.limits);
        let test_wall = runtime_limits.test_wall;
        let runtime = Runtime::new(RuntimeOptions {
            limits: runtime_limits,
            compiled: data.join("compiled"),
            // A key of its own: a new master key means that code is compiled anew.
            host_key: vault.derive("compiled code"),
            compiler,
            egress: egress.clone(),
        })?;
        let catalog = Catalog::new(store.clone(), runtime.clone(), data.join("connectors"), outside.clone());
        catalog.unpack().await?;
        let credentials = Credentials::new(crate::credentials::Parts {
            vault,
            store: store.clone(),
            catalog: catalog.clone(),
            runtime: runtime.clone(),
            egress: egress.clone(),
            outside: outside.clone(),
        });
        let connections = Connections::new(crate::connections::Parts {
            store: store.clone(),
            catalog: catalog.clone(),
            credentials: credentials.clone(),
            runtime: runtime.clone(),
            egress: egress.clone(),
            outside: outside.clone(),
            test_wall,
            interval: schedule.interval,
        });
        let health = Health::new(store.clone(), connections.clone(), outside.clone(), upkeep(&config.health));
        let flows = Flows { store: store.clone(), connections: connections.clone() };
        let provider = provider(config.sign_in.oidc, &egress, &outside)?;
        let outbox = Outbox::new(store.clone(), egress, credentials.clone(), outside.clone());
        let users = Users { store: store.clone(), outside: outside.clone(), provider };
        let (integrations, egress_allow) = (config.integrations.enabled, config.egress.allow);
        Ok(Host {
            inner: Arc::new(Inner {
                data,
                egress_allow,
                integrations,
                outside,
                store,
                runtime,
                catalog,
                credentials,
                connections,
                flows,
                health,
                outbox,
                users,
            }),
        })
    }
}

fn make_folder(data: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|source| Error::Data {
        rule: "data-unwritable",
        message: format!("the data directory {} can't be made: {source}", data.display()),
        hint: Some("name another one with --data".into()),
        source: Some(Box::new(source)),
    })
}

/// Something sealed with the master key stands in the store, so a wrong key is noticed now and not at the first request.
async fn open_vault(data: &Path, config: &Config, store: &Store, outside: &Outside) -> Result<Vault, Error> {
    let source = match (&config.vault.key, &config.vault.key_file) {
        (Some(key), _) => KeySource::Variable { name: "TURNBUCKLE_MASTER_KEY", text: key.clone() },
        (None, Some(path)) => KeySource::Given(path.clone()),
        (None, None) => KeySource::Own(data.join("master.key")),
    };
    let check = store.read(|reader| reader.meta(CHECK))?;
    let vault = Vault::open(source, check.is_none(), outside.clone())?;
    match check {
        Some(check) => vault.check(&rotation::parse_check(&check)?)?,
        None => {
            let check = rotation::check_text(&vault);
            store.write(move |writer| writer.set_meta(CHECK, &check).map_err(Error::from)).await?;
        }
    }
    Ok(vault)
}

/// Whose accounts sign people in.
fn provider(
    config: Option<OidcConfig>,
    egress: &Egress,
    outside: &Outside,
) -> Result<Option<Arc<oidc::Provider>>, Error> {
    let Some(config) = config else { return Ok(None) };
    let client_secret = match (config.client_secret, config.client_secret_file) {
        (Some(secret), _) => Some(secret),
        (None, Some(path)) => {
            let wrong = |words: String| Error::field("sign-in.oidc.client-secret-file", words);
            let text = fs::read_to_string(&path);
            let text = text.map_err(|error| wrong(format!("{} can't be read: {error}", path.display())))?;
            let text = Secret::new(text.trim_end_matches(['\r', '\n']));
            if text.is_empty() {
                return Err(wrong(format!("{} is empty", path.display())));
            }
            Some(text)
        }
        (None, None) => None,
    };
    let host = Url::parse(&config.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
    let settings = oidc::Settings {
        label: config.label.or(host).unwrap_or_else(|| config.issuer.clone()),
        issuer: config.issuer,
        client_id: config.client_id,
        client_secret,
        scopes: config.scopes,
        account_claim: config.account_claim,
    };
    Ok(Some(Arc::new(oidc::Provider::new(settings, egress.clone(), outside.clone()))))
}

fn allow_list(entries: &[String]) -> Result<AllowList, Error> {
    let parsed = entries.iter().map(|entry| entry.parse());
    let parsed = parsed.collect::<Result<Vec<egress::AllowEntry>, _>>();
    parsed.map(AllowList::new).map_err(|error| Error::field("egress.allow", error.to_string()))
}

fn retention(config: &AuditConfig) -> Retention {
    let default = Retention::default();
    Retention {
        records: config.keep_records.map_or(default.records, u64::from).max(1),
        days: config.keep_days.unwrap_or(default.days),
    }
}

fn schedule(config: &HealthConfig) -> Schedule {
    let default = Schedule::default();
    Schedule {
        interval: config.interval_minutes.map_or(default.interval, |given| SignedDuration::from_mins(given.into())),
    }
}

fn upkeep(config: &HealthConfig) -> Settings {
    let default = Settings::default();
    Settings {
        enabled: config.enabled,
        concurrency: config.concurrency.map_or(default.concurrency, |given| given.max(1) as usize),
        per_minute: config.per_origin_per_minute.and_then(NonZeroU32::new).unwrap_or(default.per_minute),
        daily: config.daily_budget.map_or(default.daily, u64::from),
    }
}

fn event_retention(config: &EventsConfig) -> EventsKept {
    EventsKept {
        records: config.keep_records.map_or(EVENTS.records, u64::from).max(1),
        renewals: config.keep_renewals.map_or(EVENTS.renewals, u64::from).max(1),
        days: config.keep_days.unwrap_or(EVENTS.days),
    }
}

pub(super) fn extra_roots(file: Option<&Path>) -> Result<Vec<Vec<u8>>, Error> {
    let Some(path) = file else { return Ok(Vec::new()) };
    let pem = fs::read(path)
        .map_err(|error| Error::field("egress.ca-file", format!("{} can't be read: {error}", path.display())))?;
    Ok(vec![pem])
}

fn seconds(given: Option<u32>, default: Duration) -> Duration {
    given.map_or(default, |seconds| Duration::from_secs(seconds.into()))
}

fn milliseconds(given: Option<u32>, default: Duration) -> Duration {
    given.map_or(default, |milliseconds| Duration::from_millis(milliseconds.into()))
}

fn egress_limits(config: &LimitsConfig) -> egress::Limits {
    let default = egress::Limits::default();
    egress::Limits {
        requests_per_call: config.requests.unwrap_or(default.requests_per_call),
        request_body: config.request_body_mib.map_or(default.request_body, |mib| u64::from(mib) << 20),
        response_body: config.response_body_mib.map_or(default.response_body, |mib| u64::from(mib) << 20),
        header_bytes: config.header_kib.map_or(default.header_bytes, |kib| (kib as usize) << 10),
        connect: seconds(config.connect_seconds, default.connect),
        first_byte: seconds(config.first_byte_seconds, default.first_byte),
        between_bytes: seconds(config.between_bytes_seconds, default.between_bytes),
    }
}

fn runtime_limits(config: &LimitsConfig) -> runtime::Limits {
    let default = runtime::Limits::default();
    runtime::Limits {
        component_bytes: config.component_mib.map_or(default.component_bytes, |mib| (mib as usize) << 20),
        compile: seconds(config.compile_seconds, default.compile),
        compile_memory: config.compile_memory_mib.map_or(default.compile_memory, |mib| u64::from(mib) << 20),
        describe_cpu: milliseconds(config.describe_cpu_milliseconds, default.describe_cpu),
        call_cpu: milliseconds(config.call_cpu_milliseconds, default.call_cpu),
        test_wall: seconds(config.test_seconds, default.test_wall),
        memory: config.memory_mib.map_or(default.memory, |mib| (mib as usize) << 20),
        log_bytes: config.log_kib.map_or(default.log_bytes, |kib| (kib as usize) << 10),
        handles: config.handles.unwrap_or(default.handles),
        header_bytes: config.header_kib.map_or(default.header_bytes, |kib| (kib as usize) << 10),
        table_elements: default.table_elements,
        hostcall_bytes: default.hostcall_bytes,
        calls: default.calls,
    }
}
