//! What people see of Turnbuckle, end to end, in one binary.
#![expect(clippy::unwrap_used, reason = "a test may end where it finds what it did not expect")]

mod access;
mod cli;
mod connections;
mod data;
mod embedded;
mod flows;
mod guests;
mod netns;
mod scene;
mod secret_blind;
mod send;
mod tidy;
