#![doc = include_str!("../ARCHITECTURE.md")]

mod model;
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the modules above it come next"))]
mod store;
