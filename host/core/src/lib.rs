#![doc = include_str!("../ARCHITECTURE.md")]

mod egress;
mod model;
