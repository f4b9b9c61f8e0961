//! `turnbuckle doctor`: looks at everything that a host needs and says what to do where it is not so.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use comfy_table::{Cell, Color};
use serde::Serialize;
use serde_json::json;
use turnbuckle::{ConnectorView, HealthReport, HealthState, HostReport, SignInReport, WebhookView};

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
        findings.extend(space(&session.place.data));
        findings.push(clock(&session.place.data));
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

/// What is left on the disk. The store is written in copies, so it must not get near the end.
fn space(data: &Path) -> Option<Finding> {
    const NAME: &str = "disk space";
    let there = data.ancestors().find(|folder| folder.is_dir())?;
    let found = match rustix::fs::statvfs(there) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize) >> 20,
        Err(error) => return Some(Finding::warn(NAME, format!("can't be asked for: {error}"), "look at it with `df`")),
    };
    let detail = format!("{found} MiB are left");
    let advice = "make room on that disk, or keep less of the audit (`[audit]` in turnbuckle.toml)";
    Some(match found {
        0..LITTLE => Finding::fail(NAME, detail, advice),
        LITTLE..SOME => Finding::warn(NAME, detail, advice),
        _ => Finding::ok(NAME, detail),
    })
}

/// MiB.
const LITTLE: u64 = 64;
const SOME: u64 = 1024;

/// Tokens expire, and checks are due, by this machine's clock.
fn clock(data: &Path) -> Finding {
    let written = fs::metadata(data.join("turnbuckle.redb")).and_then(|found| found.modified()).ok();
    #[expect(clippy::disallowed_methods, reason = "the clock itself is looked at")]
    let now = jiff::Timestamp::now();
    told_by(now, written.and_then(|at| jiff::Timestamp::try_from(at).ok()))
}

fn told_by(now: jiff::Timestamp, written: Option<jiff::Timestamp>) -> Finding {
    const NAME: &str = "clock";
    let advice = "set this machine's clock; a time service keeps it right";
    // No build of this program is older than the year 2026.
    let built = jiff::Timestamp::from_second(1_767_225_600).unwrap_or(now);
    match written {
        _ if now < built => Finding::fail(NAME, format!("it is {}, which can't be", crate::show::time(now)), advice),
        Some(written) if written.duration_since(now) > SKEW => {
            Finding::fail(NAME, format!("it is behind what was written at {}", crate::show::time(written)), advice)
        }
        Some(_) | None => Finding::ok(NAME, crate::show::time(now)),
    }
}

const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

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
            findings.push(checks(&client).await);
            findings.extend(webhooks(&client).await);
            findings.extend(sign_in(&client).await);
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
        Err(Error::Problem(problem)) if problem.code == "integrations-disabled" => {
            return Finding::ok(NAME, "skipped: integrations are switched off");
        }
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

/// Whether connections are looked after, and whether that keeps up.
async fn checks(client: &Client) -> Finding {
    const NAME: &str = "checks";
    let health = match client.get(&["health"]).answer::<HealthReport>().await {
        Ok(health) => health.view,
        Err(error) => return Finding::error(NAME, &error),
    };
    let (due, more) = (count(health.due, "check"), if health.and_more { " or more" } else { "" });
    match health.state {
        HealthState::Off => {
            let reason = health.reason.unwrap_or_default();
            Finding::ok(NAME, format!("skipped: {reason}; {due}{more} due"))
        }
        HealthState::Paused if health.due > 0 => Finding::warn(
            NAME,
            format!("paused {}; {due}{more} overdue", health.reason.unwrap_or_default()),
            "turnbuckle health resume",
        ),
        HealthState::Paused => Finding::ok(NAME, format!("paused {}; none is due", health.reason.unwrap_or_default())),
        HealthState::Running if health.faults > 0 => Finding::warn(
            NAME,
            format!("running; {due}{more} due; {} broke off by a fault of this program", count(health.faults, "check")),
            "the log says which; it is tried again, later each time",
        ),
        HealthState::Running => match health.origins.iter().find(|origin| origin.held_by.is_some()) {
            Some(held) => Finding::warn(
                NAME,
                format!("{due}{more} due; {} of them wait for {}", held.waiting, held.origin),
                "`turnbuckle health` says why; `[health]` in turnbuckle.toml sets how much one origin gets",
            ),
            None => Finding::ok(NAME, format!("running; {due}{more} due")),
        },
    }
}

/// Endpoints whose deliveries broke off; nothing is said where none did, or where the token may not know.
async fn webhooks(client: &Client) -> Option<Finding> {
    let webhooks = client.get(&["webhooks"]).answer::<Vec<WebhookView>>().await.ok()?.view;
    let found = webhooks.iter().find_map(|webhook| Some((&webhook.name, webhook.fault.as_ref()?)));
    let (name, fault) = found?;
    Some(Finding::warn("webhooks", format!("{name}: {fault}"), "the log says more; nothing is lost, it is tried again"))
}

/// Whether people could sign in by the provider that is set up; nothing where none is.
async fn sign_in(client: &Client) -> Option<Finding> {
    const NAME: &str = "sign-in";
    let report = match client.get(&["host", "sign-in"]).answer::<SignInReport>().await {
        Ok(report) => report.view,
        Err(error) => {
            let mut finding = Finding::error(NAME, &error);
            finding.advice = Some("look at [sign-in.oidc] in turnbuckle.toml, and whether the provider runs".into());
            return Some(finding);
        }
    };
    let issuer = report.issuer?;
    let mut detail = format!("{issuer} answers, with {}", count(report.keys as u64, "key"));
    if let Some(redirect_uri) = report.redirect_uri {
        detail.push_str(&format!("; it must know the redirect URI {redirect_uri}"));
    }
    Some(Finding::ok(NAME, detail))
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
    fn a_clock_that_is_behind_what_was_written_is_wrong() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let now = at("2026-05-04T03:02:01Z");
        assert_eq!(told_by(now, None).state, State::Ok);
        assert_eq!(told_by(now, Some(at("2026-05-04T03:02:31Z"))).state, State::Ok);
        assert_eq!(told_by(now, Some(at("2026-05-04T04:00:00Z"))).state, State::Fail);
        assert_eq!(told_by(at("1970-01-01T00:00:00Z"), None).state, State::Fail);
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
