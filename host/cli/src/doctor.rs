//! `turnbuckle doctor`: looks at everything that a host needs and says what to do where it is not so.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use comfy_table::{Cell, Color};
use serde::Serialize;
use serde_json::json;
use turnbuckle::{ConnectorView, HostReport};

use crate::Session;
use crate::client::{Client, Place, client_of};
use crate::exit::Error;
use crate::show::{Rows, cell, count};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What one look said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Ok, detail: detail.into(), advice: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Warn, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Fail, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn error(name: &'static str, error: &Error) -> Self {
        let words: Vec<_> = std::iter::once(error.to_string()).chain(error.details()).collect();
        let advice = error.hints();
        let advice = if advice.is_empty() { None } else { Some(advice.join("; ")) };
        Self { name, state: State::Fail, detail: words.join("; "), advice }
    }
}

pub(crate) async fn run(session: &Session) -> Result<(), Error> {
    let output = session.output;
    let mut findings = Vec::new();
    if session.global.server.is_none() {
        findings.push(folder(&session.place.data));
        findings.push(configuration(&session.place));
    }
    findings.extend(host(session).await);
    if session.global.server.is_none() {
        findings.push(build_road());
    }
    let failed = findings.iter().filter(|finding| finding.state == State::Fail).count();
    if output.is_json() {
        output.json(&json!({"checks": findings, "ok": failed == 0}))?;
    } else {
        output.data(&table(&findings))?;
        for finding in &findings {
            if let Some(advice) = &finding.advice {
                output.hint(&format!("{}: {advice}", finding.name));
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Error::NotPassed { message: format!("{failed} of {} checks did not pass", findings.len()), hint: None })
}

fn table(findings: &[Finding]) -> String {
    let mut rows = Rows::new(&["check", "state", "found"]);
    for finding in findings {
        let state = match finding.state {
            State::Ok => Cell::new("✓ ok").fg(Color::Green),
            State::Warn => Cell::new("! warn").fg(Color::Yellow),
            State::Fail => Cell::new("✗ fail").fg(Color::Red),
        };
        rows.row([cell(finding.name), state, cell(&finding.detail)]);
    }
    rows.text()
}

fn folder(data: &Path) -> Finding {
    const NAME: &str = "data directory";
    let shown = data.display();
    let found = match fs::metadata(data) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::ok(NAME, format!("{shown} is not there yet; the first start makes it"));
        }
        Err(error) => {
            return Finding::fail(NAME, format!("{shown} can't be looked at: {error}"), "name another one with --data");
        }
    };
    if !found.is_dir() {
        return Finding::fail(NAME, format!("{shown} is not a directory"), "name another one with --data");
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Finding::warn(NAME, format!("{shown} belongs to another user"), "run as its owner");
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let advice = format!("chmod 700 {shown}");
        return Finding::warn(NAME, format!("{shown} can be looked into by others (mode {mode:o})"), advice);
    }
    Finding::ok(NAME, format!("{shown}, for its owner only"))
}

fn configuration(place: &Place) -> Finding {
    match place.configuration() {
        Ok(_) if place.config.is_none() && !place.data.join("turnbuckle.toml").is_file() => {
            Finding::ok("configuration", "defaults, and what the environment sets")
        }
        Ok(_) => Finding::ok("configuration", "every key is known and fits"),
        Err(error) => Finding::error("configuration", &error),
    }
}

/// Server, store, master key and memory: what the host itself reports.
async fn host(session: &Session) -> Vec<Finding> {
    let mut findings = Vec::new();
    let client = match client(session, &mut findings).await {
        Ok(Some(client)) => client,
        Ok(None) => return findings,
        Err(error) => {
            findings.push(Finding::error(blamed(&error), &error));
            return findings;
        }
    };
    match client.get(&["host"]).answer::<HostReport>().await {
        Err(error) => findings.push(Finding::error("store", &error)),
        Ok(report) => {
            let report = report.view;
            findings.push(Finding::ok(
                "store",
                format!("opens: {} connectors, {} connections", report.connectors, report.connections),
            ));
            findings
                .push(Finding::ok("master key", format!("{} from {}", report.master_key, report.master_key_source)));
            findings.push(connectors(&client).await);
            findings.push(if report.pooling {
                Finding::ok("memory", "instances of connectors come from a pool")
            } else {
                Finding::warn(
                    "memory",
                    "too little address space for a pool; every call takes fresh memory",
                    "raise the limit of address space (`ulimit -v`) or the overcommit setting of the machine",
                )
            });
            let open = report.egress_allow;
            findings.push(match open.iter().find(|entry| entry.ends_with("/0")) {
                Some(all) => Finding::warn(
                    "egress",
                    format!("{all} opens every address"),
                    "open only what is needed in egress.allow",
                ),
                None if open.is_empty() => Finding::ok("egress", "public addresses only"),
                None => Finding::ok("egress", format!("public addresses, and {}", open.join(", "))),
            });
        }
    }
    findings
}

/// Each installed connector starts, and says of itself what it said when it was installed.
async fn connectors(client: &Client) -> Finding {
    const NAME: &str = "connectors";
    let installed = match client.get(&["connectors"]).answer::<Vec<ConnectorView>>().await {
        Ok(installed) => installed.view,
        Err(error) => return Finding::error(NAME, &error),
    };
    let mut started = 0;
    for connector in &installed {
        for version in &connector.versions {
            let name = format!("{}@{version}", connector.installed.reference.name);
            if let Err(error) = client.post(&["connectors", &name, "verify"]).answer::<ConnectorView>().await {
                return Finding::error(NAME, &error);
            }
            started += 1;
        }
    }
    match started {
        0 => Finding::ok(NAME, "none is installed yet"),
        _ => Finding::ok(NAME, format!("{} installed; each starts in a fresh sandbox", count(started, "version"))),
    }
}

async fn client(session: &Session, findings: &mut Vec<Finding>) -> Result<Option<Client>, Error> {
    if session.global.server.is_some() {
        return session.client().await.map(Some);
    }
    let place = &session.place;
    if let Some(server) = place.server().await? {
        findings.push(Finding::ok("server", format!("runs at {} (process {})", server.url, server.pid)));
        return Client::remote(server.url, server.token).map(Some);
    }
    findings.push(if place.data.join("server.json").exists() {
        Finding::warn(
            "server",
            "none runs; one was killed and left server.json behind",
            "nothing: the next start replaces it",
        )
    } else {
        Finding::ok("server", "none runs; commands work on the directory themselves")
    });
    // Looking must not make anything.
    if !place.data.is_dir() {
        findings.push(Finding::ok("store", "not there yet; the first start makes it"));
        return Ok(None);
    }
    place.open().await.map(|host| Some(client_of(host)))
}

/// Which check an open that failed belongs to.
fn blamed(error: &Error) -> &'static str {
    match error {
        Error::Problem(problem) if problem.code.contains("key") => "master key",
        Error::Problem(problem) if problem.code == "invalid" => "configuration",
        _ => "store",
    }
}

fn build_road() -> Finding {
    match crate::connector::road() {
        Ok(detail) => Finding::ok("building connectors", detail),
        Err(hint) => Finding::warn(
            "building connectors",
            "this machine can't compile for wasm32-wasip2 yet; only needed to build connectors",
            hint,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_look_into_is_a_warning_with_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let finding = self::folder(folder.path());
        assert_eq!(finding.state, State::Warn);
        assert_eq!(finding.advice, Some(format!("chmod 700 {}", folder.path().display())));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(self::folder(folder.path()).state, State::Ok);
    }

    #[test]
    fn findings_are_a_table() {
        let findings = [
            Finding::ok("store", "opens: 5 connectors, 2 connections"),
            Finding::fail("master key", "it is missing", "put it back"),
        ];
        insta::assert_snapshot!(table(&findings), @r"
        CHECK       STATE   FOUND
        store       ✓ ok    opens: 5 connectors, 2 connections
        master key  ✗ fail  it is missing
        ");
    }
}
