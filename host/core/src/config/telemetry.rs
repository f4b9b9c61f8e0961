//! `[telemetry]`: where traces of a server go.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::model::error::FieldProblem;
use crate::model::origin::Origin;
use crate::model::secret::Secret;

/// The variable that holds headers: most of them are keys of the collector's.
pub(super) const HEADERS: &str = "TURNBUCKLE_TELEMETRY_HEADERS";

/// `[telemetry]`: an OpenTelemetry collector that takes OTLP over HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// Its base URL, as in `http://127.0.0.1:4318`; traces go to `v1/traces` below it. It is open for them alone, whatever
    /// `[egress]` says, and for no connector.
    pub endpoint: String,
    /// A file of headers that each message brings along: `name=value`, one a line.
    pub headers_file: Option<PathBuf>,
    /// The headers themselves, separated by commas: only from the environment, as `TURNBUCKLE_TELEMETRY_HEADERS`.
    #[serde(skip)]
    pub headers: Option<Secret>,
    /// What this host is called there: `turnbuckle`.
    pub service_name: String,
    /// How many of a hundred traces are sent: all.
    pub sample_percent: u32,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers_file: None,
            headers: None,
            service_name: "turnbuckle".to_owned(),
            sample_percent: 100,
        }
    }
}

impl TelemetryConfig {
    pub(super) fn check(&self, problems: &mut Vec<FieldProblem>) {
        let mut wrong = |key: &str, words: String| problems.push(FieldProblem::new(format!("telemetry.{key}"), words));
        if let Err(words) = self.traces() {
            wrong("endpoint", words);
        }
        if self.headers.is_some() && self.headers_file.is_some() {
            let words = format!("{HEADERS} is set too; keep one of them, so that it is plain which headers are in use");
            wrong("headers-file", words);
        }
        if self.service_name.trim().is_empty() {
            wrong("service-name", "must not be empty: traces of this host are found by it".into());
        }
        if !(1..=100).contains(&self.sample_percent) {
            wrong("sample-percent", "must be 1 to 100; without `[telemetry]` nothing is sent".into());
        }
    }

    /// Where traces are posted to, and the origin of that.
    pub(crate) fn traces(&self) -> Result<(Url, Origin), String> {
        const SHAPE: &str =
            "must be the base URL of a collector that takes OTLP over HTTP, as in http://127.0.0.1:4318";
        if self.endpoint.is_empty() {
            return Err("is required: the base URL of a collector, as in http://127.0.0.1:4318".into());
        }
        let mut url = Url::parse(&self.endpoint).map_err(|error| format!("{SHAPE}: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{SHAPE}; `{}` is not spoken", url.scheme()));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{SHAPE}, without user, query and fragment: a key belongs into a header"));
        }
        let origin = Origin::of(&url).ok_or(SHAPE)?;
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/v1/traces"));
        Ok((url, origin))
    }
}
