//! The rules of this tree that no compiler knows.

use std::fmt::Display;
use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use turnbuckle::Secret;
use turnbuckle_tests::tree;

/// Modules of `host/core/src` in rank order: each may use what stands below it, never above or beside.
const RANKS: [&[&str]; 9] = [
    &["lib", "host", "config", "fuzzing"],
    &["flows", "health", "events"],
    &["connections"],
    &["credentials", "users"],
    &["catalog"],
    &["runtime"],
    &["egress"],
    &["store"],
    &["model"],
];

/// One file of Rust, with its path below the top of the tree.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// What stands before the module of unit tests.
    fn shipped(&self) -> &str {
        let end = self.text.find("\n#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// Each line of code, numbered from 1, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(index, line)| {
            let code = line.split("//").next()?.trim();
            (!code.is_empty()).then_some((index + 1, code))
        })
    }

    fn name(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).expect("names of sources are UTF-8")
    }
}

fn sources(under: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in under {
        tree::files(&tree::top().join(folder), &mut |path: &Path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                found.push(Source { path: tree::below_top(path), text });
            }
        });
    }
    assert!(!found.is_empty(), "no source under {under:?}: is the layout another one?");
    found
}

const EVERYTHING: [&str; 4] = ["host", "sdk", "connectors", "tests"];

/// Fails with every violation, one a line.
fn none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}\n{}", violations.join("\n"));
}

fn matches(rule: &str, pattern: &str, sources: &[Source]) {
    let pattern = Regex::new(pattern).unwrap();
    let violations: Vec<_> = sources
        .iter()
        // This file spells out what it looks for.
        .filter(|source| source.path != "tests/it/tidy.rs")
        .flat_map(|source| source.code().map(move |(line, code)| (source, line, code)))
        .filter(|(_, _, code)| pattern.is_match(code))
        .map(|(source, line, code)| format!("{}:{line}: {code}", source.path))
        .collect();
    none(rule, &violations);
}

#[test]
fn modules_of_the_host_look_down_only() {
    let rank = |module: &str| RANKS.iter().position(|names| names.contains(&module));
    let direct = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let grouped = Regex::new(r"\bcrate::\{([^;]*)").unwrap();
    let upward = Regex::new(r"(?:super::)+").unwrap();
    let mut violations = Vec::new();
    for source in sources(&["host/core/src"]) {
        let inside = source.path.trim_start_matches("host/core/src/");
        let module = inside.split(['/', '.']).next().unwrap();
        let Some(own) = rank(module) else {
            violations.push(format!("{}: `{module}` has no rank", source.path));
            continue;
        };
        if own == 0 {
            continue;
        }
        for (line, code) in source.code() {
            let groups = grouped.captures_iter(code).flat_map(|found| {
                let inner = found.get(1).unwrap().as_str();
                inner.split(',').map(|item| item.trim().split("::").next().unwrap_or_default()).collect::<Vec<_>>()
            });
            let named = direct.captures_iter(code).map(|found| found.get(1).unwrap().as_str()).chain(groups);
            for name in named {
                let below = rank(name).is_some_and(|other| other > own);
                if name != module && !below {
                    violations.push(format!("{}:{line}: `{module}` looks at `{name}`: {code}", source.path));
                }
            }
        }
        // `super::` is another way up; a file may climb to its own module and no further.
        let depth = inside.split('/').count() - usize::from(inside.ends_with("/mod.rs"));
        for (index, code) in source.shipped().lines().enumerate() {
            let climbs = upward.find_iter(code).map(|found| found.as_str().len() / "super::".len()).max().unwrap_or(0);
            if climbs >= depth {
                violations.push(format!("{}:{}: climbs out of `{module}`: {code}", source.path, index + 1));
            }
        }
    }
    none("modules look down, as design and ARCHITECTURE.md rank them", &violations);
}

#[test]
fn engines_and_clients_are_named_only_in_their_homes() {
    for (crate_name, home) in
        [("wasmtime", "host/core/src/runtime"), ("redb", "host/core/src/store"), ("reqwest", "host/core/src/egress")]
    {
        let elsewhere: Vec<_> = sources(&["host", "sdk", "connectors"])
            .into_iter()
            .filter(|source| source.path != format!("{home}.rs") && !source.path.starts_with(&format!("{home}/")))
            .collect();
        let named = format!(r"(^|[^a-z_.-]){crate_name}(_[a-z_]+)?::|\buse {crate_name}");
        matches(&format!("`{crate_name}` is named only in {home}"), &named, &elsewhere);
    }
    for manifest in ["host/server", "host/cli", "sdk/rust"] {
        let text = fs::read_to_string(tree::top().join(manifest).join("Cargo.toml")).unwrap();
        let taken = Regex::new(r"(?m)^(wasmtime|redb|reqwest)\b").unwrap();
        assert_eq!(
            taken.find(&text).map(|found| found.as_str()),
            None,
            "{manifest} sees what `turnbuckle` makes public"
        );
    }
}

#[test]
fn the_store_shows_no_type_of_its_engine() {
    let own: Vec<_> =
        sources(&["host/core/src"]).into_iter().filter(|source| source.path == "host/core/src/store.rs").collect();
    matches("what others see of the store names no redb type", r"^pub(\(crate\))? .*\bredb::", &own);
}

/// Tells whether a type has a trait: the inherent constant exists only where it has, and is then preferred.
trait HasNot {
    const DISPLAY: bool = false;
    const SERIALIZE: bool = false;
    const EQUALITY: bool = false;
}
struct HasDisplay<T>(PhantomData<T>);
struct HasSerialize<T>(PhantomData<T>);
struct HasEquality<T>(PhantomData<T>);
impl<T> HasNot for HasDisplay<T> {}
impl<T> HasNot for HasSerialize<T> {}
impl<T> HasNot for HasEquality<T> {}
impl<T: Display> HasDisplay<T> {
    const DISPLAY: bool = true;
}
impl<T: serde::Serialize> HasSerialize<T> {
    const SERIALIZE: bool = true;
}
impl<T: PartialEq> HasEquality<T> {
    const EQUALITY: bool = true;
}

#[test]
fn a_secret_neither_prints_nor_serialises_nor_compares() {
    let of_text = (HasDisplay::<String>::DISPLAY, HasSerialize::<String>::SERIALIZE, HasEquality::<String>::EQUALITY);
    assert_eq!(of_text, (true, true, true), "the probe itself works");
    let of_secret = (HasDisplay::<Secret>::DISPLAY, HasSerialize::<Secret>::SERIALIZE, HasEquality::<Secret>::EQUALITY);
    assert_eq!(of_secret, (false, false, false), "Display, Serialize, PartialEq");
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "[redacted]");
}

#[test]
fn no_file_is_longer_than_600_lines_without_its_tests() {
    let violations: Vec<_> = sources(&EVERYTHING)
        .iter()
        .map(|source| (source.shipped().lines().count(), &source.path))
        .filter(|(lines, _)| *lines > 600)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    none("a file has one reason to exist, and is seldom long", &violations);
}

#[test]
fn files_are_named_by_what_they_do() {
    let banned = ["utils", "util", "helpers", "helper", "common", "misc", "types", "dto"];
    let violations: Vec<_> = sources(&EVERYTHING)
        .iter()
        .filter(|source| {
            let folder = Path::new(&source.path).parent().and_then(Path::file_name).and_then(|name| name.to_str());
            banned.contains(&source.name()) || folder.is_some_and(|folder| banned.contains(&folder))
        })
        .map(|source| source.path.clone())
        .collect();
    none("a name says what is inside", &violations);
}

#[test]
fn types_are_nouns_of_the_domain() {
    let pattern = r"\b(struct|enum|trait|type|union) \w+(Manager|Service|Helper|Helpers|Util|Utils|Processor)\b";
    matches("no doers among the types", pattern, &sources(&EVERYTHING));
}

#[test]
fn no_test_is_switched_off_and_none_asserts_nothing() {
    matches("a test that never runs shows nothing", r"^#\[ignore", &sources(&EVERYTHING));
    matches("say what the value is, not that there is one", r"assert!\([^,]*\.is_ok\(\)\);", &sources(&EVERYTHING));
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    matches("finished before it is committed", r"\b(todo|unimplemented)!\(", &sources(&EVERYTHING));
    matches("no banners", r"^(/{2,}|/\*) ?[=*#-]{4,}", &banners());
}

/// Comments are what `Source::code` leaves out, so they are handed over as if they were code.
fn banners() -> Vec<Source> {
    let mut sources = sources(&EVERYTHING);
    for source in &mut sources {
        source.text = source.text.replace("//", "/ /");
    }
    sources
}

#[test]
fn untyped_errors_stay_in_the_command() {
    let elsewhere: Vec<_> =
        sources(&EVERYTHING).into_iter().filter(|source| !source.path.starts_with("host/cli/")).collect();
    matches("errors are data outside of host/cli", r"\b(use anyhow|anyhow::)", &elsewhere);
}

#[test]
fn every_guest_has_a_test() {
    let guests = tree::top().join("tests/guests");
    let mut tests = String::new();
    tree::files(&tree::top().join("tests/it"), &mut |path: &Path| tests.push_str(&fs::read_to_string(path).unwrap()));
    let violations: Vec<_> = tree::folders(&guests)
        .iter()
        .filter(|folder: &&PathBuf| folder.join("Cargo.toml").is_file())
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !tests.contains(&format!("\"{name}\"")))
        .collect();
    none("each guest in tests/guests is named by a test in tests/it", &violations);
}

#[test]
fn the_top_of_the_tree_is_as_the_map_shows_it() {
    let mut names: Vec<_> = fs::read_dir(tree::top())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target" && name != "turnbuckle-data")
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "Cargo.lock",
            "Cargo.toml",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "README.md",
            "connectors",
            "host",
            "sdk",
            "tests",
            "wit"
        ]
    );
}
