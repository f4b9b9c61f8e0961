//! A host in this very process, as a product that embeds it has one.

use std::path::Path;

use serde_json::json;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, Host, NewConnection};

/// The secret of connections by [`bearer`].
pub const TOKEN: &str = "a-token-of-the-usual-length-0123456789abcd";

/// Who may do everything.
pub fn root() -> Actor {
    Actor::administrator("root")
}

/// A host whose connections may reach this origin. The binary compiles.
pub async fn open(binary: &str, data: &Path, origin: &str) -> Host {
    let mut config = Config::default();
    config.egress.allow = vec![origin.to_owned()];
    Host::builder(data).config(config).compiler(Compiler::Worker(binary.into())).open().await.expect("the host opens")
}

/// A connection by bearer token, tested by a request for `/me`.
pub fn bearer(connector: &str, name: &str, origin: &str) -> NewConnection {
    serde_json::from_value(json!({
        "name": name, "connector": connector, "protocol": "bearer",
        "settings": {"url": origin, "test-path": "/me"}, "secrets": {"token": TOKEN},
    }))
    .expect("a connection")
}
