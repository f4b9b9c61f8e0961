//! Properties that hold whatever comes in, one module for each fuzz target. A target hands its bytes over, and a property that
//! does not hold is a panic.
//!
//! Inputs are text, so that seeds can be written and findings read by people: lines of parameters, then the rest. What is
//! expected is worked out here by other code than the host's, mostly by other crates.

pub mod answers;
pub mod audit;
pub mod descriptors;
pub mod imports;
mod lines;
pub mod redaction;
pub mod templates;
pub mod urls;
pub mod webhooks;

use std::future::Future;
use std::sync::OnceLock;

/// Runs what the host does to its end.
fn run<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread is there");
    RUNTIME.get_or_init(build).block_on(work)
}
