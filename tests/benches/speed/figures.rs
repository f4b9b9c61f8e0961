//! The table at the end: what was measured, beside what it is compared with.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// One line.
struct Figure {
    what: &'static str,
    ours: String,
    floor: String,
    ratio: String,
    target: &'static str,
    met: bool,
}

/// All lines so far.
pub(crate) struct Figures {
    results: PathBuf,
    lines: Vec<Figure>,
}

impl Figures {
    pub(crate) fn new(results: PathBuf) -> Self {
        // What an earlier run left must not pass for this one's.
        drop(fs::remove_dir_all(&results));
        Self { results, lines: Vec::new() }
    }

    /// The median of a benchmark of this run in nanoseconds for one iteration; none where it was left out.
    pub(crate) fn median(&self, group: &str, function: &str) -> Option<f64> {
        let path = self.results.join(group).join(function).join("new/estimates.json");
        let estimates: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    }

    /// Two times of one run: ours may be at most so many times the floor.
    pub(crate) fn at_most(&mut self, what: &'static str, ours: f64, floor: f64, times: f64, target: &'static str) {
        let ratio = ours / floor;
        let (ours, floor) = (time(ours), time(floor));
        self.line(what, ours, floor, format!("{ratio:.2} ×"), target, ratio <= times);
    }

    /// Two rates of one run, given as times: ours must be at least so many times the floor.
    pub(crate) fn at_least(&mut self, what: &'static str, ours: f64, floor: f64, times: f64, target: &'static str) {
        let ratio = floor / ours;
        let rate = |time: f64| format!("{:.0}/s", 1e9 / time);
        self.line(what, rate(ours), rate(floor), format!("{ratio:.2} ×"), target, ratio >= times);
    }

    /// Anything else that has a target.
    pub(crate) fn line(
        &mut self,
        what: &'static str,
        ours: String,
        floor: String,
        ratio: String,
        target: &'static str,
        met: bool,
    ) {
        self.lines.push(Figure { what, ours, floor, ratio, target, met });
    }

    /// What is shown for its own sake.
    pub(crate) fn shown(&mut self, what: &'static str, ours: String) {
        self.line(what, ours, String::new(), String::new(), "", true);
    }

    pub(crate) fn print(&self) {
        println!("\n{:<62} {:>11} {:>11} {:>9}  target", "figure", "here", "floor", "ratio");
        for Figure { what, ours, floor, ratio, target, met } in &self.lines {
            let word = if target.is_empty() {
                ""
            } else if *met {
                "✓ "
            } else {
                "✗ "
            };
            println!("{what:<62} {ours:>11} {floor:>11} {ratio:>9}  {word}{target}");
        }
    }
}

pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        0.0..1e4 => format!("{:.2} µs", nanoseconds / 1e3),
        1e4..1e6 => format!("{:.0} µs", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}
