//! What people read of the API's answers. Whatever came from outside is made plain first: a name that contains an escape
//! sequence must not paint, move or hide anything on a terminal.

pub(crate) mod audit;
pub(crate) mod connections;
pub(crate) mod connectors;
pub(crate) mod events;
pub(crate) mod flows;
pub(crate) mod health;
pub(crate) mod named;
pub(crate) mod preview;
pub(crate) mod setup;
pub(crate) mod upkeep;
pub(crate) mod users;

use std::borrow::Cow;

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use turnbuckle::{Outcome, Status, Verdict};

/// The same text without anything that a terminal would obey; lines stay lines.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(commands_a_terminal) {
        Cow::Owned(text.chars().map(|c| if commands_a_terminal(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Control characters but the line end, and what turns the direction of writing.
fn commands_a_terminal(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// One line of it.
pub(crate) fn line(text: &str) -> String {
    plain(text).replace('\n', " ")
}

/// A table with a heading and no frame: easy to read, easy to cut.
pub(crate) struct Rows {
    table: Table,
}

impl Rows {
    pub(crate) fn new(heading: &[&str]) -> Self {
        let mut table = unframed();
        table.set_header(heading.iter().map(|title| Cell::new(title.to_uppercase()).add_attribute(Attribute::Dim)));
        Self { table }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.table.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    pub(crate) fn text(mut self) -> String {
        if let Some(first) = self.table.column_mut(0) {
            first.set_padding((0, 1));
        }
        trimmed(&self.table)
    }
}

/// Facts about one thing, one to a line.
pub(crate) struct Facts {
    table: Table,
}

impl Facts {
    pub(crate) fn new() -> Self {
        Self { table: unframed() }
    }

    pub(crate) fn fact(&mut self, name: &str, value: impl Into<Cell>) {
        let name = Cell::new(plain(name)).add_attribute(Attribute::Dim);
        self.table.add_row(vec![name, value.into()]);
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.fact(name, Cell::new(plain(value)));
    }

    /// Nothing at all where there is nothing to tell.
    pub(crate) fn some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.text(name, value);
        }
    }

    pub(crate) fn list(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let values: Vec<_> = values.into_iter().map(|value| line(value.as_ref())).collect();
        if !values.is_empty() {
            self.fact(name, Cell::new(values.join("\n")));
        }
    }

    pub(crate) fn into_text(mut self) -> String {
        if let Some(first) = self.table.column_mut(0) {
            first.set_padding((0, 1)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(14)));
        }
        trimmed(&self.table)
    }
}

fn unframed() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // A test says the same whether its developer has a terminal or not.
    if cfg!(test) {
        table.force_no_tty();
    }
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A cell of text from anywhere.
pub(crate) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(line(text.as_ref()))
}

pub(crate) fn status(status: Status) -> Cell {
    let (mark, color) = match status {
        Status::Active => ("●", Color::Green),
        Status::Degraded => ("◐", Color::Yellow),
        Status::NeedsReconnect => ("✗", Color::Red),
        Status::Inactive => ("○", Color::Yellow),
        Status::Disabled => ("–", Color::DarkGrey),
    };
    Cell::new(format!("{mark} {}", status.name())).fg(color)
}

/// To the second, and the same everywhere: a log in another time zone can be laid beside it.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(crate) fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// `passed in 12 ms`, `failed (unauthorized) in 12 ms: the token was rejected`.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let took = took(verdict.microseconds);
    match &verdict.outcome {
        Outcome::Passed if verdict.message.is_empty() => format!("passed in {took}"),
        Outcome::Passed => format!("passed in {took}: {}", line(&verdict.message)),
        Outcome::Failed(kind) => format!("failed ({}) in {took}: {}", kind.name(), line(&verdict.message)),
    }
}

/// As exact as a person wants it: `0.4 ms`, `92 ms`, `1.5 s`.
pub(crate) fn took(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{:.1} ms", microseconds as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", (microseconds + 500) / 1_000),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}

pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// `1 connection`, `3 connections`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(plain("a\u{1b}[31mred\u{9b}2J\r\u{202e}b\nc"), "a�[31mred�2J��b\nc");
        assert_eq!(line("two\nlines"), "two lines");
        assert!(matches!(plain("Zürich ✓"), Cow::Borrowed(_)));
    }

    #[test]
    fn times_read_well() {
        assert_eq!([0, 437, 9_960, 92_400, 1_549_000].map(took), ["0.0 ms", "0.4 ms", "10.0 ms", "92 ms", "1.5 s"]);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([12, 1_024, 100_000, 12 * 1_048_576].map(size), ["12 bytes", "1 KiB", "98 KiB", "12.0 MiB"]);
    }
}
