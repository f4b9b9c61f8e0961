//! The `turnbuckle` command.

pub mod build;
