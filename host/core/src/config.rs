//! What an operator may set: `turnbuckle.toml`, the same keys as environment variables, checked whole.

use std::path::Path;

use crate::model::error::Error;

/// Configuration of a host.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// Origins and networks that egress opens besides the public ones.
    pub egress_allow: Vec<String>,
    /// Where the HTTP API listens.
    pub listen: Option<std::net::SocketAddr>,
}

impl Config {
    /// Reads the file, where there is one, and then what the environment sets: `[egress] allow` is
    /// `TURNBUCKLE_EGRESS_ALLOW`. An unknown key is an error that names the nearest known one.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        todo!()
    }
}
