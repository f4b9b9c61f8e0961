//! What most tests begin with: a world, a service in it, and a connection between them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::components;
pub(crate) use turnbuckle_tests::leaks::TOKEN;
use turnbuckle_tests::tree;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Serving, World, target_of};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");

/// A world in which nothing was done yet.
pub(crate) fn world() -> World {
    World::new(BINARY)
}

/// A server, a service that takes [`TOKEN`] at `/me`, and a client.
pub(crate) struct Scene {
    // Dropped in this order: who asks ends before who answers.
    pub(crate) server: Serving,
    pub(crate) api: Api,
    pub(crate) world: World,
    pub(crate) upstream: Upstream,
}

impl Scene {
    /// With these connectors installed.
    pub(crate) fn with(connectors: &[&str]) -> Self {
        Self::opened(connectors, &[])
    }

    /// With these connectors installed, and an operator who opened these services besides.
    pub(crate) fn opened(connectors: &[&str], besides: &[&Upstream]) -> Self {
        let upstream = Upstream::start();
        upstream.on("GET", "/me", |arrived| {
            let good = arrived.header("authorization") == format!("Bearer {TOKEN}");
            if good { Reply::json(200, &json!({"login": "ada"})) } else { Reply::status(401) }
        });
        let mut allow = vec![upstream.origin()];
        allow.extend(besides.iter().map(|service| service.origin()));
        let world = World::allowing(BINARY, &allow);
        let server = world.serve();
        let api = server.api();
        for name in connectors {
            install(&api, name);
        }
        Self { server, api, world, upstream }
    }

    /// With the bundled `http` connector.
    pub(crate) fn http() -> Self {
        Self::with(&["http"])
    }

    /// What `POST /connections` takes for a connection by bearer token to this scene's service.
    pub(crate) fn bearer(&self, name: &str, token: &str) -> Value {
        json!({
            "name": name,
            "connector": "http",
            "protocol": "bearer",
            "settings": {"url": self.upstream.origin(), "test-path": "/me"},
            "secrets": {"token": token},
        })
    }

    /// Makes a connection that passed its test.
    pub(crate) fn connected(&self, name: &str) -> Value {
        let made = self.api.post("/connections", &self.bearer(name, TOKEN)).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
        made
    }
}

/// Asks for a connection by a guest to this scene's service, with these settings besides.
pub(crate) fn by_guest(
    scene: &Scene,
    name: &str,
    guest: &str,
    protocol: &str,
    settings: &Value,
    secrets: &Value,
) -> Answer {
    let mut all = json!({"url": scene.upstream.origin()});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let new = json!({"name": name, "connector": guest, "protocol": protocol, "settings": all, "secrets": secrets});
    scene.api.post("/connections", &new)
}

/// The words that a guest's `match` behind this text knows, in their order: a table that has them all misses none.
pub(crate) fn known_to(guest: &str, behind: &str) -> Vec<String> {
    known_in(&format!("tests/guests/{guest}/src/lib.rs"), behind)
}

/// As [`known_to`], of any source below the top of the tree.
pub(crate) fn known_in(source: &str, behind: &str) -> Vec<String> {
    let source = std::fs::read_to_string(tree::top().join(source)).unwrap();
    let (_, arms) = source.split_once(behind).unwrap();
    let (arms, _) = arms.split_once("\n            _ =>").or_else(|| arms.split_once("\n        _ =>")).unwrap();
    let arm = regex_lite::Regex::new(r#"(?m)^ +"([a-z0-9-]+)" =>"#).unwrap();
    arm.captures_iter(arms).map(|found| found[1].to_owned()).collect()
}

/// Installs a bundled connector or a guest.
pub(crate) fn install(api: &Api, name: &str) -> Value {
    offer(api, components::read(BINARY, name)).ended(201).json()
}

/// Hands a component, or what claims to be one, to the server.
pub(crate) fn offer(api: &Api, component: impl Into<bytes::Bytes>) -> Answer {
    api.call(http::Method::POST, "/connectors", &[("content-type", "application/wasm")], component.into())
}

/// The fields that an answer finds wrong, in its order.
pub(crate) fn wrong_fields(problem: &Value) -> Vec<&str> {
    problem["problems"].as_array().into_iter().flatten().filter_map(|problem| problem["field"].as_str()).collect()
}

/// Lets a command use the developer's own compiler, and what was compiled for these tests before.
#[expect(clippy::disallowed_methods, reason = "where the compiler is stands in the environment")]
pub(crate) fn developers(command: &mut Command) -> &mut Command {
    let compilers = |name: &str| {
        matches!(name, "PATH" | "HOME" | "RUSTC" | "TMPDIR")
            || ["CARGO", "RUSTUP"].iter().any(|tool| name.starts_with(tool))
            || name.to_ascii_lowercase().ends_with("_proxy")
    };
    command.envs(std::env::vars().filter(|(name, _)| compilers(name)));
    command.env("CARGO_TARGET_DIR", target_of(Path::new(BINARY)))
}

/// Where programs stand that play services for these tests.
#[expect(clippy::disallowed_methods, reason = "peers are kept in the home of whoever runs the tests")]
pub(crate) fn peers() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/turnbuckle-peers")
}

/// Says that a test was left out because the machine lacks something, where that is allowed: CI must have everything.
#[expect(clippy::disallowed_methods, reason = "whether this is CI stands in the environment")]
pub(crate) fn left_out(test: &str, lacks: &str) {
    assert!(std::env::var_os("CI").is_none(), "`{test}` can't run: {lacks}");
    // The harness hides what passing tests print by macro; this must be seen.
    writeln!(std::io::stderr(), "left out: {test}: {lacks}").expect("standard error is open");
}
