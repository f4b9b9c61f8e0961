//! What most tests begin with: a world, a service in it, and a connection between them.

use std::io::Write as _;

use serde_json::{Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Serving, World};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");

/// What the services of these tests take for a good token. Long enough never to be found by chance.
pub(crate) const TOKEN: &str = "canary-7f3a91c2d4/+e5=b6";

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
        let upstream = Upstream::start();
        upstream.on("GET", "/me", |arrived| {
            let good = arrived.header("authorization") == format!("Bearer {TOKEN}");
            if good { Reply::json(200, &json!({"login": "ada"})) } else { Reply::status(401) }
        });
        let world = World::allowing(BINARY, &[upstream.origin()]);
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

/// Installs a bundled connector or a guest.
pub(crate) fn install(api: &Api, name: &str) -> Value {
    offer(api, components::read(BINARY, name)).ended(201).json()
}

/// Hands a component, or what claims to be one, to the server.
pub(crate) fn offer(api: &Api, component: impl Into<bytes::Bytes>) -> turnbuckle_tests::api::Answer {
    api.call(http::Method::POST, "/connectors", &[("content-type", "application/wasm")], component.into())
}

/// The fields that an answer finds wrong, in its order.
pub(crate) fn wrong_fields(problem: &Value) -> Vec<&str> {
    problem["problems"].as_array().into_iter().flatten().filter_map(|problem| problem["field"].as_str()).collect()
}

/// Says that a test was left out because the machine lacks something, where that is allowed: CI must have everything.
pub(crate) fn left_out(test: &str, lacks: &str) {
    assert!(std::env::var_os("CI").is_none(), "`{test}` can't run: {lacks}");
    // The harness hides what passing tests print by macro; this must be seen.
    writeln!(std::io::stderr(), "left out: {test}: {lacks}").expect("standard error is open");
}
