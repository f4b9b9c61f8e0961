//! The HTTP API of a Turnbuckle host, and its console.
//!
//! Who asks is settled first (`access`), then where the request comes from (`guard`); then a route calls one method of
//! the [`turnbuckle::Host`] and shows its answer. How many callers there are, and who of them gives way, is `sockets`. The one place where an error becomes a status is `problem`.

mod access;
mod console;
mod guard;
mod input;
mod listen;
mod metrics;
mod openapi;
mod page;
mod problem;
mod routes;
mod sockets;

pub use access::Access;
pub use listen::{ListenOptions, RuntimeFile, ServeError, Server};
pub use openapi::document;
pub use routes::router;
