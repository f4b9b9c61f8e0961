//! Memory of very many tests in flight.

use turnbuckle_tests::components;
use turnbuckle_tests::flight::Flight;

use crate::BINARY;
use crate::figures::Figures;
use crate::records::wanted;

const TESTS: usize = 1_000;

pub(crate) fn measure(figures: &mut Figures) {
    if !wanted("flight") {
        return;
    }
    let component = components::read(BINARY, "http");
    let weights = Flight { binary: BINARY, connector: "http", component, tests: TESTS }.fly().weights;
    let each = weights.flying.since(weights.loaded).resident as f64 / TESTS as f64 / 1024.0;
    figures.line(
        "memory of each of 1,000 tests in flight",
        format!("{each:.0} KiB"),
        String::new(),
        String::new(),
        "≤ 256 KiB",
        each <= 256.0,
    );
}
