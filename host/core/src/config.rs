//! What an operator may set: `turnbuckle.toml`, the same keys as environment variables, checked whole.
//!
//! The key `allow` of `[egress]` is `TURNBUCKLE_EGRESS_ALLOW` in the environment, which wins over the file. A list is
//! separated by commas there.

mod keys;
mod sign_in;
mod telemetry;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};
use url::Url;

use self::keys::{OTHER_VARIABLES, judge_keys, set_from_environment};
use crate::model::error::{Error, FieldProblem};
use crate::model::secret::Secret;

pub use sign_in::{OidcConfig, SignInConfig};
pub use telemetry::TelemetryConfig;

/// Configuration of a host. `Config::default()` is what an empty file gives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Config {
    /// Where the HTTP API listens; loopback where nothing is said.
    pub listen: Option<SocketAddr>,
    /// Further names under which the HTTP API may be addressed (`Host`).
    pub hosts: Vec<String>,
    /// Where browsers reach the HTTP API, where that is not where it listens: the redirect URIs of sign-ins stand below it.
    pub public_url: Option<Url>,
    /// Whether anything but setup is answered.
    pub integrations: IntegrationsConfig,
    /// What leaves the machine.
    pub egress: EgressConfig,
    /// The store.
    pub store: StoreConfig,
    /// The master key.
    pub vault: VaultConfig,
    /// How people sign in to the console.
    pub sign_in: SignInConfig,
    /// The audit.
    pub audit: AuditConfig,
    /// What a server says on standard error.
    pub log: LogConfig,
    /// Who may read what is counted.
    pub metrics: MetricsConfig,
    /// Where traces of a server go; nowhere where nothing is said.
    pub telemetry: Option<TelemetryConfig>,
    /// What the host does unasked to keep connections alive.
    pub health: HealthConfig,
    /// Events.
    pub events: EventsConfig,
    /// How much anything may take.
    pub limits: LimitsConfig,
}

/// `[integrations]`
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct IntegrationsConfig {
    /// Whether connectors, connections and flows can be used. Where not, every call of theirs is refused; setup, the host's own
    /// upkeep and health answer as ever.
    pub enabled: bool,
}

impl Default for IntegrationsConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `[egress]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct EgressConfig {
    /// Origins (`http://127.0.0.1:5000`) and networks (`10.1.0.0/16`) that are open besides the public ones.
    pub allow: Vec<String>,
    /// A PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// `[store]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct StoreConfig {
    /// Page cache in MiB; 32 where nothing is said.
    pub cache_mib: Option<u32>,
}

/// `[vault]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct VaultConfig {
    /// A file with the master key; the host makes one of its own where nothing is said.
    pub key_file: Option<PathBuf>,
    /// The key itself, 32 bytes in base64: only from the environment, as `TURNBUCKLE_MASTER_KEY`.
    #[serde(skip)]
    pub key: Option<Secret>,
}

/// `[audit]`: records are dropped from the oldest on, where either says so. What is left proves itself all the same.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct AuditConfig {
    /// For how many days a record is kept: 365.
    pub keep_days: Option<u32>,
    /// How many records are kept: 1,000,000.
    pub keep_records: Option<u32>,
}

/// `[log]`: `--log` and `TURNBUCKLE_LOG` win over the level.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct LogConfig {
    /// From which level on: `info`.
    pub level: Option<LogLevel>,
    /// Lines for people or for programs: `text`.
    pub format: LogFormat,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what may.
    Warn,
    /// And what happens seldom.
    Info,
    /// And each call and request.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

/// `[metrics]`: what a server counts, at `/metrics`, for Prometheus and its like.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct MetricsConfig {
    /// Whether it can be read without a token. Only where the server listens on loopback: elsewhere it takes one in any case.
    pub open: bool,
}

/// `[health]`: a server tests each connection from time to time, and renews each credential before it runs out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct HealthConfig {
    /// Whether it does.
    pub enabled: bool,
    /// Between two tests of a connection that works, give or take a tenth: 1,440, which is a day.
    pub interval_minutes: Option<u32>,
    /// Tests and renewals at the same time: 16.
    pub concurrency: Option<u32>,
    /// How many of them one origin gets in a minute: 120.
    pub per_origin_per_minute: Option<u32>,
    /// How many of them one origin gets in a day: 100,000.
    pub daily_budget: Option<u32>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_minutes: None,
            concurrency: None,
            per_origin_per_minute: None,
            daily_budget: None,
        }
    }
}

/// `[events]`: events are dropped from the oldest on, where either says so. Whoever follows from further back is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct EventsConfig {
    /// For how many days an event is kept: 7.
    pub keep_days: Option<u32>,
    /// How many events are kept, `connection.refreshed` aside: 100,000.
    pub keep_records: Option<u32>,
    /// How many of that type: 20,000. Where tokens are short they would push all others out; one that went leaves a gap.
    pub keep_renewals: Option<u32>,
}

/// `[limits]`: what is left out keeps its default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct LimitsConfig {
    /// Size of a component: 64.
    pub component_mib: Option<u32>,
    /// Time for compiling one: 120.
    pub compile_seconds: Option<u32>,
    /// Memory for compiling one: 4,096.
    pub compile_memory_mib: Option<u32>,
    /// CPU time of `describe`: 1,000.
    pub describe_cpu_milliseconds: Option<u32>,
    /// CPU time of any other call: 2,000.
    pub call_cpu_milliseconds: Option<u32>,
    /// Wall-clock time of a test: 30.
    pub test_seconds: Option<u32>,
    /// Memory of a guest: 128.
    pub memory_mib: Option<u32>,
    /// Log of a call: 64.
    pub log_kib: Option<u32>,
    /// Handles of a guest: 4,096.
    pub handles: Option<u32>,
    /// Requests in one call: 32.
    pub requests: Option<u32>,
    /// Body of a request: 8.
    pub request_body_mib: Option<u32>,
    /// Body of an answer: 16.
    pub response_body_mib: Option<u32>,
    /// Headers of a request or an answer: 64.
    pub header_kib: Option<u32>,
    /// Until a connection stands: 5.
    pub connect_seconds: Option<u32>,
    /// Until the first byte of an answer: 15.
    pub first_byte_seconds: Option<u32>,
    /// Between two bytes of an answer: 10.
    pub between_bytes_seconds: Option<u32>,
    /// Callers of the HTTP API with a socket at the same time: 1,024.
    pub callers: Option<u32>,
    /// How long one of them is waited for: 15.
    pub caller_seconds: Option<u32>,
}

impl Config {
    /// Reads the file, where there is one, then what the environment sets, and reports everything that is wrong at once.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut table = match file {
            Some(path) => read(path)?,
            None => Table::new(),
        };
        let mut problems = Vec::new();
        judge_keys(&table, "", &mut problems);
        let (mut key, mut client_secret, mut headers) = (None, None, None);
        for (name, value) in environment.filter(|(name, _)| name.starts_with("TURNBUCKLE_")) {
            if name == "TURNBUCKLE_MASTER_KEY" {
                key = Some(Secret::new(value));
            } else if name == sign_in::SECRET {
                client_secret = Some(Secret::new(value));
            } else if name == telemetry::HEADERS {
                headers = Some(Secret::new(value));
            } else if !OTHER_VARIABLES.contains(&name.as_str()) {
                set_from_environment(&mut table, &name, &value, &mut problems);
            }
        }
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let mut config: Self = serde_path_to_error::deserialize(Value::Table(table))
            .map_err(|error| Error::field(error.path().to_string(), error.inner().message()))?;
        config.vault.key = key;
        if let Some(secret) = client_secret.filter(|secret| !secret.is_empty()) {
            config.sign_in.oidc.get_or_insert_default().client_secret = Some(secret);
        }
        if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            config.telemetry.get_or_insert_default().headers = Some(headers);
        }
        config.anchor(file.and_then(Path::parent));
        config.check()?;
        Ok(config)
    }

    /// A path in the file is meant from where the file is, whatever directory a command runs in.
    fn anchor(&mut self, folder: Option<&Path>) {
        let client_secret = self.sign_in.oidc.as_mut().and_then(|oidc| oidc.client_secret_file.as_mut());
        let headers = self.telemetry.as_mut().and_then(|telemetry| telemetry.headers_file.as_mut());
        let files = [&mut self.vault.key_file, &mut self.egress.ca_file].into_iter().flatten();
        for path in files.chain(client_secret).chain(headers) {
            if let (Some(folder), true) = (folder, path.is_relative()) {
                *path = folder.join(&path);
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        for entry in &self.egress.allow {
            if let Err(error) = entry.parse::<crate::egress::AllowEntry>() {
                problems.push(FieldProblem::new("egress.allow", error.to_string()));
            }
        }
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https")
                || url.path() != "/"
                || url.query().is_some()
                || !url.username().is_empty())
        {
            problems.push(FieldProblem::new(
                "public-url",
                "must be https://<domain> or http://<domain>, with nothing behind it",
            ));
        }
        if self.vault.key.is_some() && self.vault.key_file.is_some() {
            problems.push(FieldProblem::new(
                "vault.key-file",
                "TURNBUCKLE_MASTER_KEY is set too; keep one of them, so that it is plain which key is in use",
            ));
        }
        for (key, given) in [("audit.keep-days", self.audit.keep_days), ("audit.keep-records", self.audit.keep_records)]
        {
            if given == Some(0) {
                problems.push(FieldProblem::new(key, "must be at least 1: the audit can't be switched off"));
            }
        }
        if let Some(oidc) = &self.sign_in.oidc {
            oidc.check(&self.egress.allow, &mut problems);
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.check(&mut problems);
        }
        self.health.check(&mut problems);
        for (key, given) in [
            ("events.keep-days", self.events.keep_days),
            ("events.keep-records", self.events.keep_records),
            ("events.keep-renewals", self.events.keep_renewals),
        ] {
            if given == Some(0) {
                problems.push(FieldProblem::new(key, "must be at least 1: whoever follows would miss every event"));
            }
        }
        for (key, given) in
            [("limits.callers", self.limits.callers), ("limits.caller-seconds", self.limits.caller_seconds)]
        {
            if given == Some(0) {
                problems.push(FieldProblem::new(key, "must be at least 1: nobody could ask anything"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid { problems }) }
    }
}

impl HealthConfig {
    fn check(&self, problems: &mut Vec<FieldProblem>) {
        for (key, given, most) in [
            ("health.interval-minutes", self.interval_minutes, 525_600),
            ("health.concurrency", self.concurrency, 1_000),
            ("health.per-origin-per-minute", self.per_origin_per_minute, 1_000_000),
            ("health.daily-budget", self.daily_budget, u32::MAX),
        ] {
            if given.is_some_and(|given| !(1..=most).contains(&given)) {
                let words = format!("must be 1 to {most}; `enabled = false` under `[health]` switches it off");
                problems.push(FieldProblem::new(key, words));
            }
        }
    }
}

fn read(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Data {
        rule: "config-unreadable",
        message: format!("the configuration {} can't be read: {source}", path.display()),
        hint: Some("name another file with --config, or make this one readable".into()),
        source: Some(Box::new(source)),
    })?;
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        Error::field(format!("{}:{line}", path.display()), error.message())
    })
}
