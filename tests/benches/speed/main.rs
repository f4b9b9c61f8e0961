//! How fast the host is, each figure beside its floor, both measured in this run: `cargo bench --workspace --bench speed`.
//!
//! A word after `--` runs the figures with that word in their names only: `cargo bench --workspace --bench speed -- send`.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod bare;
mod calls;
mod figures;
mod fill;
mod flight;
mod records;

use std::path::PathBuf;

use criterion::Criterion;
use figures::Figures;
use turnbuckle_tests::world::target_of;

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");

fn main() {
    if turnbuckle_tests::flight::is_child() {
        return turnbuckle_tests::flight::child(BINARY);
    }
    let results = target_of(&PathBuf::from(BINARY)).join("criterion");
    let mut criterion = Criterion::default().output_directory(&results).configure_from_args();
    let mut figures = Figures::new(results);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    calls::measure(&runtime, &mut criterion, &mut figures);
    records::measure(&runtime, &mut criterion, &mut figures);
    flight::measure(&mut figures);
    criterion.final_summary();
    figures.print();
}
