//! Traces on their road to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! What leaves is a list of what may, not all but what may not: of each span of this program its name, its times, its place in
//! the trace, and the attributes of [`KEPT`]. No event leaves and no text, whatever a later line of code writes into a span.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tracing::instrument::WithSubscriber as _;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::open::extra_roots;
use crate::config::{Config, TelemetryConfig};
use crate::egress::{self, AllowEntry, AllowList, Egress, EgressError, Message};
use crate::model::error::Error;
use crate::model::outside::Outside;
use crate::model::secret::Secret;

/// Fields of spans that leave, and what they are called there: by OpenTelemetry's conventions where these know them.
const KEPT: [(&str, &str); 7] = [
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("status", "http.response.status_code"),
    ("origin", "turnbuckle.origin"),
    ("connection", "turnbuckle.connection.id"),
    ("function", "turnbuckle.guest.function"),
    ("failed", "error.type"),
];
/// Crates whose spans these are. What others call theirs, and write into them, nobody here knows.
const OWN: [&str; 3] = ["turnbuckle", "turnbuckle_server", "turnbuckle_cli"];
/// For one message.
const WITHIN: Duration = Duration::from_secs(10);
/// For all that waits when the server ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// The export of traces, for as long as it lives.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Begins where `[telemetry]` names a collector. To be called within a Tokio runtime, which sends what there is to send.
    pub fn start(config: &Config, outside: Outside) -> Result<Option<Self>, Error> {
        let Some(telemetry) = &config.telemetry else { return Ok(None) };
        let collector = Collector::new(telemetry, config, outside)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(collector.inner.url.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(WITHIN)
            .with_http_client(collector)
            .build()
            .map_err(|error| Error::field("telemetry", error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name(telemetry.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let ratio = f64::from(telemetry.sample_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_batch_exporter(Sieve { exporter })
            .build();
        Ok(Some(Self { provider }))
    }

    /// What takes part in a subscriber of `tracing`, beside a log or alone.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + Send + Sync + for<'span> LookupSpan<'span>,
    {
        let own = |metadata: &Metadata<'_>| {
            metadata.is_span() && metadata.target().split("::").next().is_some_and(|name| OWN.contains(&name))
        };
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("turnbuckle"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(own).with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Sends what waits, and ends. It blocks for some seconds at most, while the runtime must go on: not for one of its workers.
    pub fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FAREWELL) {
            tracing::warn!(%error, "the last traces may not have been sent");
        }
    }
}

/// Takes everything out of a span that is not meant to leave.
#[derive(Debug)]
struct Sieve {
    exporter: opentelemetry_otlp::SpanExporter,
}

impl SpanExporter for Sieve {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(sift);
        self.exporter.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn sift(span: &mut SpanData) {
    span.events = Default::default();
    span.links = Default::default();
    span.attributes.retain_mut(|attribute| {
        let kept = KEPT.iter().find(|(field, _)| *field == attribute.key.as_str());
        kept.inspect(|(_, name)| attribute.key = Key::from_static_str(name)).is_some()
    });
    let of = |name: &str| span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
    let broke = match of("http.response.status_code").map(|status| &status.value) {
        Some(Value::I64(status)) => *status >= 500,
        _ => false,
    };
    // What a failure is called stands in its attribute; words of its own it has none.
    let failed = broke || of("error.type").is_some();
    span.status = if failed { Status::error("") } else { Status::Unset };
    span.span_kind = match &*span.name {
        "request" => SpanKind::Server,
        "egress" => SpanKind::Client,
        _ => SpanKind::Internal,
    };
    if let ("request", Some(method), Some(route)) = (&*span.name, of("http.request.method"), of("http.route")) {
        span.name = format!("{} {}", method.value, route.value).into();
    }
}

/// Where traces go. It takes the way of every request out of here, through a policy that opens this one origin.
#[derive(Clone)]
struct Collector {
    inner: Arc<Inner>,
}

struct Inner {
    egress: Egress,
    outside: Outside,
    url: Url,
    headers: HeaderMap,
    runtime: Handle,
    failing: AtomicBool,
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Collector").field("url", &self.inner.url.as_str()).finish_non_exhaustive()
    }
}

impl Collector {
    fn new(telemetry: &TelemetryConfig, config: &Config, outside: Outside) -> Result<Self, Error> {
        let (url, origin) = telemetry.traces().map_err(|words| Error::field("telemetry.endpoint", words))?;
        let egress = Egress::new(egress::Config {
            allow: AllowList::new(vec![AllowEntry::Origin(origin)]),
            extra_roots: extra_roots(config.egress.ca_file.as_deref())?,
            user_agent: concat!("turnbuckle/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..egress::Config::default()
        })
        .map_err(|error| Error::field("telemetry.endpoint", error.to_string()))?;
        let runtime = Handle::try_current().map_err(|error| Error::internal("sending traces")(Box::new(error)))?;
        let inner =
            Inner { egress, outside, url, headers: headers(telemetry)?, runtime, failing: AtomicBool::new(false) };
        Ok(Self { inner: Arc::new(inner) })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let inner = Arc::clone(&self.inner);
        // A message about traces makes no traces: each would be the cause of the next.
        let posting = async move { inner.post(request).await }.with_subscriber(egress::nobody());
        let posted = self.inner.runtime.spawn(posting).await?;
        let problem = match &posted {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        // Told once, and once when it is over: it may last for days.
        match (problem, &self.inner.failing) {
            (Some(problem), failing) if !failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(endpoint = self.inner.url.as_str(), %problem, "the collector does not take traces");
            }
            (None, failing) if failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(endpoint = self.inner.url.as_str(), "the collector takes traces again");
            }
            _ => {}
        }
        Ok(posted?)
    }
}

impl Inner {
    async fn post(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, EgressError> {
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        headers.extend(self.headers.clone());
        let message = Message { pool_key: "telemetry", url: &self.url, headers, body, within: WITHIN };
        let posted = self.egress.post(message, &self.outside).await?;
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = posted.status;
        if let Some(seconds) = posted.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }
}

fn headers(telemetry: &TelemetryConfig) -> Result<HeaderMap, Error> {
    let wrong = |words: String| Error::field("telemetry.headers-file", words);
    let (text, between) = match (&telemetry.headers, &telemetry.headers_file) {
        (Some(headers), _) => (headers.clone(), ','),
        (None, Some(path)) => {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| wrong(format!("{} can't be read: {error}", path.display())))?;
            (Secret::new(text), '\n')
        }
        (None, None) => return Ok(HeaderMap::new()),
    };
    let mut headers = HeaderMap::new();
    let lines = text.expose().split(between).map(str::trim).filter(|line| !line.is_empty());
    for (index, line) in lines.enumerate() {
        // A key may stand anywhere in it, so none of it is told.
        let shape = || wrong(format!("header {} must be `name=value`", index + 1));
        let (name, value) = line.split_once('=').ok_or_else(shape)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_no_name| shape())?;
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_no_value| shape())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telemetry(headers: &str) -> TelemetryConfig {
        TelemetryConfig { headers: Some(Secret::new(headers)), ..TelemetryConfig::default() }
    }

    #[test]
    fn headers_are_read_by_commas_or_lines_and_none_of_a_wrong_one_is_told() {
        let read = headers(&telemetry("Authorization=Basic a2V5==, x-team = blue,,x-team=red")).unwrap();
        assert_eq!(read["authorization"], "Basic a2V5==");
        assert!(read["authorization"].is_sensitive());
        assert_eq!(read.get_all("x-team").iter().collect::<Vec<_>>(), ["blue", "red"]);
        for wrong in ["a=b,hunter2", "a=b,hunter 2=c", "a=b,c=hunter2\u{7f}"] {
            let told = headers(&telemetry(wrong)).unwrap_err().to_string();
            assert!(told.contains("telemetry.headers-file: header 2 must be `name=value`"), "{told}");
            assert!(!told.contains("hunter"), "{told}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        fs::write(&path, "x-team=blue, red\n\nx-key=a\n").unwrap();
        let read = headers(&TelemetryConfig { headers_file: Some(path), ..TelemetryConfig::default() }).unwrap();
        assert_eq!((&read["x-team"], &read["x-key"]), (&"blue, red".parse().unwrap(), &"a".parse().unwrap()));
    }
}
