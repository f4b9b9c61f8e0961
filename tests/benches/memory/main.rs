//! Memory of a host that rests and of one that works, with connectors in Rust, JavaScript and Python, in one table:
//! `cargo bench --workspace --bench memory`. It installs what makes the latter two from npm and PyPI, once.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod rest;
mod table;

use std::path::Path;

use bytes::Bytes;
use turnbuckle_tests::components;
use turnbuckle_tests::flight::{self, Flight};
use turnbuckle_tests::foreign::{Foreign, in_javascript, in_python};

use crate::table::{Table, mib, time};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");

fn main() {
    if flight::is_child() {
        return flight::child(BINARY);
    }
    let foreign = [in_javascript(), in_python()];
    let mut table = Table::default();
    rest::weigh(&mut table, &foreign);
    let rust = Foreign { language: "Rust", connector: "http", path: components::path(BINARY, "http") };
    fly(&mut table, &rust, 1_000);
    for guest in &foreign {
        fly(&mut table, guest, 100);
    }
    table.print();
}

/// Weighs so many tests in flight, in a process that has this connector only.
fn fly(table: &mut Table, guest: &Foreign, tests: u32) {
    let component = read(&guest.path);
    let size = component.len() as u64;
    let flight = Flight { binary: BINARY, connector: guest.connector, component, tests: tests as usize };
    let flown = flight.fly();
    let (weights, times) = (flown.weights, flown.times);
    table.row(
        format!("{}: loaded, besides an empty host", guest.language),
        weights.loaded.since(weights.open),
        format!("component {}, installed in {}", mib(size), time(flown.install)),
    );
    table.small(
        format!("{}: each of {tests} tests in flight", guest.language),
        weights.flying.since(weights.loaded) / u64::from(tests),
        format!("afterwards `describe` {}, a test {}", time(times.describe), time(times.test)),
    );
}

fn read(path: &Path) -> Bytes {
    std::fs::read(path).unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display())).into()
}
