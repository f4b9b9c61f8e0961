//! How much memory a process has, as the system counts it.

use std::fs;
use std::ops::Div;

use serde::{Deserialize, Serialize};

/// Bytes of one process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Memory {
    /// Every page as often as it is mapped: a page of compiled code or of a memory's image counts once for each instance.
    pub resident: u64,
    /// Every page once, and shared between the processes that have it. None where the system does not let it be seen: of a
    /// process that may not be dumped, only root sees it.
    pub proportional: Option<u64>,
    /// What no file stands behind. The rest the system can drop and read again.
    pub anonymous: Option<u64>,
}

impl Memory {
    /// Of this process.
    pub fn own() -> Self {
        Self::at("/proc/self")
    }

    /// Of the process with this id.
    pub fn of(process: u32) -> Self {
        Self::at(&format!("/proc/{process}"))
    }

    fn at(folder: &str) -> Self {
        let status = fs::read_to_string(format!("{folder}/status")).expect("the process runs, on Linux");
        let rollup = fs::read_to_string(format!("{folder}/smaps_rollup")).unwrap_or_default();
        Self {
            resident: bytes(&status, "VmRSS:").expect("every process has one"),
            proportional: bytes(&rollup, "Pss:"),
            anonymous: bytes(&rollup, "Anonymous:"),
        }
    }

    /// What came to it since then; nothing where it has less now.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        let more = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            resident: self.resident.saturating_sub(then.resident),
            proportional: more(self.proportional, then.proportional),
            anonymous: more(self.anonymous, then.anonymous),
        }
    }
}

impl Div<u64> for Memory {
    type Output = Self;

    fn div(self, by: u64) -> Self {
        let share = |bytes: Option<u64>| bytes.map(|bytes| bytes / by);
        Self { resident: self.resident / by, proportional: share(self.proportional), anonymous: share(self.anonymous) }
    }
}

/// The figure of one line, which the system gives in KiB.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let figure = text.lines().find_map(|line| line.strip_prefix(name))?;
    figure.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
