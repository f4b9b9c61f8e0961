//! Files of definitions: what is exported is taken, and a second run of the same file does nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use turnbuckle::{Actor, Definitions, Host, Import, ImportAction, ImportReport};

use crate::run;

const SECRET: &str = "s3cret-that-no-export-shows";

thread_local! {
    /// A host without anything in it.
    static EMPTY: RefCell<Option<(tempfile::TempDir, Host)>> = const { RefCell::new(None) };
}

fn empty() -> (tempfile::TempDir, Host) {
    EMPTY.take().unwrap_or_else(|| {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let host = run(Host::builder(folder.path()).open()).expect("an empty folder becomes a host");
        (folder, host)
    })
}

/// A file as `turnbuckle import` reads it.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let document: Value = match text.trim_start().starts_with('{') {
        true => match serde_json::from_str(text) {
            Ok(document) => document,
            Err(_) => return,
        },
        false => match toml::from_str(text) {
            Ok(document) => document,
            Err(_) => return,
        },
    };
    let Ok(definitions) = serde_json::from_value::<Definitions>(document) else { return };
    reads_back(&definitions);
    let import = |host: &Host, definitions: &Definitions, dry_run: bool| {
        let body = json!({"definitions": definitions, "secrets": secrets(definitions), "dry-run": dry_run});
        let import: Import = serde_json::from_value(body).expect("definitions are read back");
        run(host.import_definitions(&ada(), import)).ok()
    };
    let (folder, host) = empty();
    let Some(planned) = import(&host, &definitions, true) else {
        EMPTY.set(Some((folder, host)));
        return;
    };
    assert_eq!(planned.rows.len(), count(&definitions), "each thing has a row");
    assert_eq!(import(&host, &definitions, true).as_ref(), Some(&planned), "being asked changed something");
    if !planned.rows.iter().any(|row| row.action == ImportAction::Create) {
        EMPTY.set(Some((folder, host)));
        return;
    }
    let made = import(&host, &definitions, false).expect("what could be planned can be begun");
    let named =
        |report: &ImportReport| report.rows.iter().map(|row| (row.kind.clone(), row.name.clone())).collect::<Vec<_>>();
    assert_eq!(named(&made), named(&planned));
    if once_each(&made) {
        let again = import(&host, &definitions, false).expect("it was taken before");
        for (row, before) in again.rows.iter().zip(&made.rows) {
            let settled = matches!(row.action, ImportAction::Keep | ImportAction::Blocked);
            assert!(settled, "a second run does something: {row:?}, before {before:?}");
        }
    }
    let exported = run(async { host.export_definitions(&ada()) }).expect("an administrator may");
    reads_back(&exported);
    assert!(!format!("{exported:?}").contains(SECRET), "a secret is exported");
    let taken = import(&host, &exported, true).expect("what was exported is read");
    for row in &taken.rows {
        assert_eq!(row.action, ImportAction::Keep, "what was exported is not taken: {row:?}");
    }
}

fn ada() -> Actor {
    Actor::administrator("ada")
}

fn reads_back(definitions: &Definitions) {
    let json = serde_json::to_string(definitions).expect("definitions are JSON");
    assert_eq!(serde_json::from_str::<Definitions>(&json).ok().as_ref(), Some(definitions));
    let text = toml::to_string_pretty(definitions).expect("definitions are TOML");
    assert_eq!(toml::from_str::<Definitions>(&text).ok().as_ref(), Some(definitions), "{text}");
}

/// Every secret that the definitions have a place for.
fn secrets(definitions: &Definitions) -> BTreeMap<String, &'static str> {
    let mut secrets = BTreeMap::new();
    let mut add = |kind: &str, name: &str, fields: &[String]| {
        secrets.extend(fields.iter().map(|field| (format!("{kind}/{name}/{field}"), SECRET)));
    };
    definitions.identity_providers.iter().for_each(|it| add("identity-provider", &it.name, &it.secrets));
    definitions.external_credentials.iter().for_each(|it| add("external-credential", &it.name, &it.secrets));
    definitions.principals.iter().for_each(|it| add("principal", &it.name, &it.secrets));
    definitions.connections.iter().for_each(|it| add("connection", &it.name, &it.secrets));
    secrets
}

fn count(definitions: &Definitions) -> usize {
    definitions.connectors.len()
        + definitions.identity_providers.len()
        + definitions.external_credentials.len()
        + definitions.principals.len()
        + definitions.named_credentials.len()
        + definitions.permission_sets.len()
        + definitions.users.len()
        + definitions.connections.len()
}

/// Of what stands there twice, the later one wins each time.
fn once_each(report: &ImportReport) -> bool {
    let mut seen = HashSet::new();
    report.rows.iter().all(|row| seen.insert((row.kind.clone(), row.name.to_lowercase())))
}
