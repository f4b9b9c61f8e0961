//! Minutes, and what they come to.
#![expect(clippy::disallowed_types, reason = "counts the rows of a copy of the store")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use redb::{ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};
use turnbuckle::AuditReport;

use crate::load::Taken;
use crate::stage::Stage;

/// Until caches are full.
const WARM: u32 = 10;
const MIB: f64 = 1024.0 * 1024.0;

/// What was seen in a minute.
#[derive(Debug)]
pub(crate) struct Minute {
    number: u32,
    resident: f64,
    descriptors: usize,
    threads: usize,
    steps: usize,
    inside: [Duration; 2],
    outside: [Duration; 2],
    unexpected: Vec<String>,
}

impl Minute {
    pub(crate) fn heading() -> &'static str {
        "minute  memory MiB  descriptors  threads   steps  inside p50 / p99 µs  outside p50 / p99 µs  unexpected"
    }

    pub(crate) fn measure(number: u32, taken: Taken) -> Self {
        Self {
            number,
            resident: resident(),
            descriptors: fs::read_dir("/proc/self/fd").expect("Linux").count(),
            threads: fs::read_dir("/proc/self/task").expect("Linux").count(),
            steps: taken.inside.len() + taken.outside.len(),
            inside: percentiles(taken.inside),
            outside: percentiles(taken.outside),
            unexpected: taken.unexpected,
        }
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |[middle, high]: [Duration; 2]| format!("{} / {}", middle.as_micros(), high.as_micros());
        write!(
            formatter,
            "{:>6}  {:>10.1}  {:>11}  {:>7}  {:>6}  {:>19}  {:>20}  {:>10}",
            self.number,
            self.resident / MIB,
            self.descriptors,
            self.threads,
            self.steps,
            micros(self.inside),
            micros(self.outside),
            self.unexpected.len()
        )?;
        for words in self.unexpected.iter().take(3) {
            write!(formatter, "\n        {words}")?;
        }
        Ok(())
    }
}

fn percentiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| times.get(times.len() * percent / 100).copied().unwrap_or_default())
}

/// Bytes of this process that are in memory.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("a number") * 1024.0
}

/// How many rows each table has.
#[derive(Debug)]
pub(crate) struct Rows(BTreeMap<String, u64>);

impl Rows {
    /// Counts them in a copy.
    pub(crate) async fn count(stage: &Stage, copy: &Path) -> Self {
        stage.host.backup(&stage.actor, copy.to_owned()).await.expect("a copy");
        let database = redb::Database::open(copy).expect("the copy opens");
        let transaction = database.begin_read().expect("a snapshot");
        let tables = transaction.list_tables().expect("its tables");
        let count = |name: &str| {
            let table = redb::TableDefinition::<&'static [u8], &'static [u8]>::new(name);
            transaction.open_table(table).expect("a table").len().expect("a count")
        };
        let rows = tables.map(|table| (table.name().to_owned(), count(table.name()))).collect();
        drop(transaction);
        drop(database);
        fs::remove_file(copy).expect("the copy goes");
        Self(rows)
    }

    /// Tables that grew by more than a tenth and 100 rows since then.
    fn grown_since(&self, then: &Self) -> Vec<String> {
        let before = |name: &str| then.0.get(name).copied().unwrap_or_default();
        let grew = self.0.iter().filter(|(name, rows)| **rows > before(name) + before(name) / 10 + 100);
        grew.map(|(name, rows)| format!("{name} from {} to {rows}", before(name))).collect()
    }
}

type Latency = fn(&Minute) -> f64;
type Count = fn(&Minute) -> usize;

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Verdicts {
    pub(crate) minutes: Vec<Minute>,
    pub(crate) middle: Rows,
    pub(crate) end: Rows,
    pub(crate) chain: AuditReport,
}

impl Verdicts {
    fn all(&self) -> Vec<(&'static str, String, bool)> {
        let warm: Vec<_> = self.minutes.iter().filter(|minute| minute.number > WARM).collect();
        let slope = slope(warm.iter().map(|minute| (f64::from(minute.number), minute.resident / MIB)));
        let (begin, end) = warm.split_at(warm.len() / 2);
        let mean = |minutes: &[&Minute], of: Latency| {
            minutes.iter().map(|minute| of(minute)).sum::<f64>() / minutes.len().max(1) as f64
        };
        let enough = warm.len() >= 4;
        let told = |words: String| if enough { words } else { "too short a time to say".to_owned() };
        let words = format!("{slope:+.3} MiB a minute after the tenth (less than 0.5)");
        let mut verdicts = vec![("memory", told(words), slope < 0.5)];
        let kinds: [(_, Latency); 4] = [
            ("inside, p50", |minute| minute.inside[0].as_secs_f64()),
            ("inside, p99", |minute| minute.inside[1].as_secs_f64()),
            ("outside, p50", |minute| minute.outside[0].as_secs_f64()),
            ("outside, p99", |minute| minute.outside[1].as_secs_f64()),
        ];
        for (name, of) in kinds {
            let ratio = mean(end, of) / mean(begin, of);
            let words = format!("{ratio:.2} × between the halves (at most 1.25)");
            verdicts.push((name, told(words), ratio <= 1.25));
        }
        let least = |minutes: &[&Minute], of: Count| minutes.iter().map(|minute| of(minute)).min();
        let counts: [(_, Count); 2] =
            [("descriptors", |minute| minute.descriptors), ("threads", |minute| minute.threads)];
        for (name, of) in counts {
            let (begin, end) = (least(begin, of).unwrap_or_default(), least(end, of).unwrap_or_default());
            // They come and go with the load; what leaks is there in the quietest minute too. A twentieth more is no leak.
            let limit = begin + begin / 20 + 8;
            verdicts.push((name, told(format!("at least {begin}, then {end} ({limit} allowed)")), end <= limit));
        }
        let grown = self.end.grown_since(&self.middle);
        let words =
            if grown.is_empty() { "none grew between the middle and the end".to_owned() } else { grown.join(", ") };
        verdicts.push(("tables", words, grown.is_empty()));
        let unexpected = self.minutes.iter().map(|minute| minute.unexpected.len()).sum::<usize>();
        verdicts.push(("unexpected", format!("{unexpected} answers"), unexpected == 0));
        let whole = self.chain.whole;
        verdicts.push(("audit", if whole { "the chain is whole" } else { "the chain is broken" }.to_owned(), whole));
        verdicts
    }

    /// Whether every limit holds.
    pub(crate) fn hold(&self) -> bool {
        self.all().iter().all(|(_, _, holds)| *holds)
    }

    pub(crate) fn print(&self, judged: bool) {
        println!("\nrows at the end");
        for (name, rows) in self.end.0.iter().filter(|(_, rows)| **rows > 0) {
            println!(
                "  {name:<26} {rows:>8}  (in the middle {})",
                self.middle.0.get(name).copied().unwrap_or_default()
            );
        }
        println!();
        for (name, words, holds) in self.all() {
            let mark = match (judged, holds) {
                (false, _) => "not judged",
                (true, true) => "holds",
                (true, false) => "MISSED",
            };
            println!("{name:<14} {mark:<11} {words}");
        }
    }
}

/// By least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (above, below) = points.fold((0.0, 0.0), |(above, below), (x, y)| {
        (above + (x - mean_x) * (y - mean_y), below + (x - mean_x) * (x - mean_x))
    });
    above / below
}
