//! What was weighed, line by line.

use std::time::Duration;

use turnbuckle_tests::memory::Memory;

/// One line.
struct Row {
    what: String,
    memory: Memory,
    unit: Unit,
    besides: String,
}

#[derive(Clone, Copy)]
enum Unit {
    Kib,
    Mib,
}

/// All lines so far.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn row(&mut self, what: String, memory: Memory, besides: String) {
        self.rows.push(Row { what, memory, unit: Unit::Mib, besides });
    }

    /// A line of little memory.
    pub(crate) fn small(&mut self, what: String, memory: Memory, besides: String) {
        self.rows.push(Row { what, memory, unit: Unit::Kib, besides });
    }

    pub(crate) fn print(&self) {
        println!("\n{:<52} {:>11} {:>11} {:>11}  besides", "memory", "resident", "once", "anonymous");
        for Row { what, memory, unit, besides } in &self.rows {
            let figure = |bytes: Option<u64>| bytes.map_or_else(|| "not shown".to_owned(), |bytes| unit.of(bytes));
            let (resident, once) = (unit.of(memory.resident), figure(memory.proportional));
            println!("{what:<52} {resident:>11} {once:>11} {:>11}  {besides}", figure(memory.anonymous));
        }
        println!(
            "\nresident: VmRSS, which counts a page of a file as often as it is mapped, for each instance of a guest anew.\n\
             once: PSS, each page once and what processes share in parts. anonymous: what no file stands behind; the rest,\n\
             compiled code for the most part, the system drops and reads again as it likes."
        );
    }
}

impl Unit {
    fn of(self, bytes: u64) -> String {
        match self {
            Self::Kib => format!("{:.0} KiB", bytes as f64 / 1024.0),
            Self::Mib => mib(bytes),
        }
    }
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

pub(crate) fn time(took: Duration) -> String {
    let micros = took.as_secs_f64() * 1e6;
    match micros {
        0.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}
