//! The keys that there are, in the file and as variables, and what is told of one that is none.

use toml::{Table, Value};

use crate::model::error::FieldProblem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    List,
    Number,
    Switch,
}

/// Every key there is. A test holds this list against the types above.
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("listen", Kind::Text),
    ("hosts", Kind::List),
    ("public-url", Kind::Text),
    ("integrations.enabled", Kind::Switch),
    ("egress.allow", Kind::List),
    ("egress.ca-file", Kind::Text),
    ("store.cache-mib", Kind::Number),
    ("vault.key-file", Kind::Text),
    ("sign-in.oidc.issuer", Kind::Text),
    ("sign-in.oidc.client-id", Kind::Text),
    ("sign-in.oidc.client-secret-file", Kind::Text),
    ("sign-in.oidc.scopes", Kind::List),
    ("sign-in.oidc.label", Kind::Text),
    ("sign-in.oidc.account-claim", Kind::Text),
    ("audit.keep-days", Kind::Number),
    ("audit.keep-records", Kind::Number),
    ("health.enabled", Kind::Switch),
    ("health.interval-minutes", Kind::Number),
    ("health.concurrency", Kind::Number),
    ("health.per-origin-per-minute", Kind::Number),
    ("health.daily-budget", Kind::Number),
    ("log.level", Kind::Text),
    ("log.format", Kind::Text),
    ("metrics.open", Kind::Switch),
    ("telemetry.endpoint", Kind::Text),
    ("telemetry.headers-file", Kind::Text),
    ("telemetry.service-name", Kind::Text),
    ("telemetry.sample-percent", Kind::Number),
    ("events.keep-days", Kind::Number),
    ("events.keep-records", Kind::Number),
    ("events.keep-renewals", Kind::Number),
    ("limits.component-mib", Kind::Number),
    ("limits.compile-seconds", Kind::Number),
    ("limits.compile-memory-mib", Kind::Number),
    ("limits.describe-cpu-milliseconds", Kind::Number),
    ("limits.call-cpu-milliseconds", Kind::Number),
    ("limits.test-seconds", Kind::Number),
    ("limits.memory-mib", Kind::Number),
    ("limits.log-kib", Kind::Number),
    ("limits.handles", Kind::Number),
    ("limits.requests", Kind::Number),
    ("limits.request-body-mib", Kind::Number),
    ("limits.response-body-mib", Kind::Number),
    ("limits.header-kib", Kind::Number),
    ("limits.connect-seconds", Kind::Number),
    ("limits.first-byte-seconds", Kind::Number),
    ("limits.between-bytes-seconds", Kind::Number),
    ("limits.callers", Kind::Number),
    ("limits.caller-seconds", Kind::Number),
];

/// Variables that are not keys of the file: the command's own, and secrets.
pub(super) const OTHER_VARIABLES: &[&str] = &[
    "TURNBUCKLE_DATA",
    "TURNBUCKLE_CONFIG",
    "TURNBUCKLE_SERVER",
    "TURNBUCKLE_TOKEN",
    "TURNBUCKLE_OUTPUT",
    "TURNBUCKLE_LOG",
    "TURNBUCKLE_MASTER_KEY",
    super::sign_in::SECRET,
    super::telemetry::HEADERS,
    "TURNBUCKLE_COMPILE_WORKER",
];

pub(super) fn judge_keys(table: &Table, above: &str, problems: &mut Vec<FieldProblem>) {
    for (key, value) in table {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        if let Some((_, kind)) = KEYS.iter().find(|(known, _)| *known == path) {
            if let Err(words) = fits(*kind, value) {
                problems.push(FieldProblem::new(&path, words));
            }
            continue;
        }
        let section = format!("{path}.");
        match value {
            Value::Table(inner) if KEYS.iter().any(|(known, _)| known.starts_with(&section)) => {
                judge_keys(inner, &path, problems);
            }
            _ => problems
                .push(FieldProblem::new(&path, unknown(&path, KEYS.iter().map(|(known, _)| (*known).to_owned())))),
        }
    }
}

fn fits(kind: Kind, value: &Value) -> Result<(), &'static str> {
    match (kind, value) {
        (Kind::Text, Value::String(_)) => Ok(()),
        (Kind::Text, _) => Err("must be a text in quotes"),
        (Kind::List, Value::Array(items)) if items.iter().all(Value::is_str) => Ok(()),
        (Kind::List, _) => Err("must be a list of texts, as in [\"a\", \"b\"]"),
        (Kind::Switch, Value::Boolean(_)) => Ok(()),
        (Kind::Switch, _) => Err("must be true or false"),
        (Kind::Number, Value::Integer(number)) if u32::try_from(*number).is_ok() => Ok(()),
        (Kind::Number, _) => Err("must be a whole number from 0 to 4294967295"),
    }
}

pub(super) fn set_from_environment(table: &mut Table, name: &str, value: &str, problems: &mut Vec<FieldProblem>) {
    let variable = |key: &str| format!("TURNBUCKLE_{}", key.replace(['.', '-'], "_").to_uppercase());
    let Some((key, kind)) = KEYS.iter().find(|(key, _)| variable(key) == name) else {
        let known =
            KEYS.iter().map(|(key, _)| variable(key)).chain(OTHER_VARIABLES.iter().map(|name| (*name).to_owned()));
        problems.push(FieldProblem::new(name, unknown(name, known)));
        return;
    };
    let parsed = match kind {
        Kind::Text => Value::String(value.to_owned()),
        Kind::List => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Kind::Switch => match value.trim().parse() {
            Ok(on) => Value::Boolean(on),
            Err(_neither) => {
                problems.push(FieldProblem::new(name, "must be true or false"));
                return;
            }
        },
        Kind::Number => match value.trim().parse() {
            Ok(number) => Value::Integer(number),
            Err(_not_a_number) => {
                problems.push(FieldProblem::new(name, "must be a whole number"));
                return;
            }
        },
    };
    let (sections, key) = key.rsplit_once('.').map_or((None, *key), |(sections, key)| (Some(sections), key));
    let mut table = table;
    for section in sections.into_iter().flat_map(|sections| sections.split('.')) {
        match table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => table = inner,
            // The file has something else there, which is told already.
            _ => return,
        }
    }
    table.insert(key.to_owned(), parsed);
}

fn unknown(given: &str, known: impl Iterator<Item = String>) -> String {
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(given, &known), known))
        .min_by(|left, right| left.0.cmp(&right.0))
        .filter(|(distance, _)| *distance <= given.len().div_ceil(2));
    match nearest {
        Some((_, nearest)) => format!("there is no such key; did you mean `{nearest}`?"),
        None => "there is no such key".into(),
    }
}
