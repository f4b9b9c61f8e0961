#![doc = include_str!("../ARCHITECTURE.md")]

mod model;
mod store;
