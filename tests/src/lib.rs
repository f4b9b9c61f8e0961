//! What the tests stand on: the real binary in a world of its own, a service it talks to, and eyes that find secrets.

pub mod api;
pub mod browser;
pub mod chromium;
pub mod components;
pub mod flight;
pub mod foreign;
pub mod host;
pub mod installed;
pub mod leaks;
pub mod memory;
pub mod moto;
pub mod names;
pub mod oidc;
pub mod peer;
pub mod raw;
pub mod receiver;
pub mod tree;
pub mod upstream;
pub mod wire;
pub mod world;
pub mod zoo;
