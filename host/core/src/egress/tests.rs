//! The way out as a whole, against servers on loopback.

mod answers;
mod attached;
mod refused;
mod secure;
mod signed;
mod upstream;
