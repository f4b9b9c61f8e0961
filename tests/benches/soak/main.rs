//! Hours of everything at once, by a clock that runs fast: does anything grow that should not?
//!
//! `cargo bench --workspace --bench soak -- --minutes 120`. Memory, latency, descriptors, threads and rows of every
//! table are held against their limits at the end; the process ends with 1 where one does not hold. Less than thirty minutes
//! are a rehearsal: everything is shown and nothing judged.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod load;
mod stage;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use turnbuckle_tests::upstream::Upstream;

use crate::stage::Stage;
use crate::verdict::{Minute, Rows, Verdicts};

const BINARY: &str = env!("CARGO_BIN_EXE_turnbuckle-under-test");
const DATA: &str = "TURNBUCKLE_SOAK_DATA";
const ORIGIN: &str = "TURNBUCKLE_SOAK_ORIGIN";
const MINUTES: u32 = 120;
/// Below this, no limit is judged.
const JUDGED: u32 = 30;

fn main() -> ExitCode {
    let minutes = minutes();
    match (variable(DATA), variable(ORIGIN)) {
        (Some(data), Some(origin)) => child(&PathBuf::from(data), &origin, minutes),
        _ => parent(minutes),
    }
}

/// The service lives in a process of its own, so that what it keeps is not taken for the host's.
fn parent(minutes: u32) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Upstream::start();
    load::answer(&upstream);
    let status = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--minutes", &minutes.to_string()])
        .env(DATA, folder.path())
        .env(ORIGIN, upstream.origin())
        .status()
        .expect("it starts");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn child(data: &Path, origin: &str, minutes: u32) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let verdicts = runtime.block_on(soak(data, origin, minutes));
    verdicts.print(minutes >= JUDGED);
    if minutes < JUDGED || verdicts.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn soak(data: &Path, origin: &str, minutes: u32) -> Verdicts {
    let stage = Stage::open(data, origin).await;
    let (load, upkeep) = (load::begin(&stage).await, stage.keep_alive());
    println!("{}", Minute::heading());
    let (mut all, mut middle) = (Vec::new(), None);
    let mut ticks = tokio::time::interval(Duration::from_mins(1));
    ticks.tick().await;
    for number in 1..=minutes {
        ticks.tick().await;
        let minute = Minute::measure(number, load.taken());
        println!("{minute}");
        all.push(minute);
        if number == minutes.div_ceil(2) {
            middle = Some(Rows::count(&stage, &data.join("middle.redb")).await);
        }
    }
    load.stop().await;
    upkeep.stop();
    let end = Rows::count(&stage, &data.join("end.redb")).await;
    let chain = stage.host.verify_audit(&stage.actor, None).await.expect("the audit is read");
    Verdicts { minutes: all, middle: middle.expect("there is a middle"), end, chain }
}

#[expect(clippy::disallowed_methods, reason = "tells its child by the environment what it is")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What stands behind `--minutes`.
fn minutes() -> u32 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--minutes").skip(1);
    arguments.next().map_or(MINUTES, |text| text.parse().expect("`--minutes` takes a number"))
}
