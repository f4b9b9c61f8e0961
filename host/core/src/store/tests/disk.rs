//! A disk in memory that remembers everything that was done to it, loses what was not synced, and fails when told.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use fastrand::Rng;
use redb::StorageBackend;
use rustix::io::Errno;

use crate::store::engine::{Engine, Medium};
use crate::store::schema::CURRENT;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Done>,
    /// How many operations there were.
    operations: u64,
    trouble: Trouble,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Trouble {
    #[default]
    None,
    /// The operation of this number fails, and none after it.
    Once(u64),
    /// That one fails and all that follow, until somebody ends the trouble.
    Lasting(u64),
    /// The file may not grow beyond this.
    Full(usize),
    /// It may grow, but nothing can be written there: it has holes for which there is no room.
    Sparse(usize),
}

impl State {
    fn operate(&mut self) -> io::Result<()> {
        let this = self.operations;
        self.operations += 1;
        let fails = match self.trouble {
            Trouble::Once(number) => this == number,
            Trouble::Lasting(number) => this >= number,
            Trouble::None | Trouble::Full(_) | Trouble::Sparse(_) => false,
        };
        if fails { Err(Errno::IO.into()) } else { Ok(()) }
    }
}

/// Something that was done, in the order in which it was.
#[derive(Debug, Clone)]
pub(super) enum Done {
    Write {
        at: usize,
        data: Vec<u8>,
    },
    Length(usize),
    Sync,
    /// The step of this number was acknowledged.
    Acknowledged(usize),
}

impl Disk {
    /// One that holds this, all of it synced.
    pub(super) fn holding(bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.lock().bytes = bytes.to_vec();
        disk
    }

    /// Opens what is on it, or begins anew where there is nothing.
    pub(super) fn open(&self, path: &Path, cache_bytes: usize) -> Engine {
        let disk = self.clone();
        let medium = Medium::of(path, cache_bytes, move || Ok(Box::new(disk.clone())));
        let database = medium.open().unwrap();
        CURRENT.complete(&database).unwrap();
        Engine::new(medium, database)
    }

    /// Lets something go wrong, or ends that.
    pub(super) fn trouble(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
    }

    /// How many operations there were.
    pub(super) fn operations(&self) -> u64 {
        self.lock().operations
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub(super) fn acknowledge(&self, step: usize) {
        self.lock().log.push(Done::Acknowledged(step));
    }

    /// What was done so far.
    pub(super) fn log(&self) -> Vec<Done> {
        self.lock().log.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Disk").field("bytes", &self.lock().bytes.len()).finish()
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("the disk fits into memory")
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.lock();
        state.operate()?;
        Ok(state.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        let found = state.bytes.get(place(offset)..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        if let Trouble::Full(most) = state.trouble
            && place(length) > most.max(state.bytes.len())
        {
            return Err(Errno::NOSPC.into());
        }
        state.bytes.resize(place(length), 0);
        state.log.push(Done::Length(place(length)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        state.log.push(Done::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        if let Trouble::Sparse(most) = state.trouble
            && place(offset) + data.len() > most
        {
            return Err(Errno::NOSPC.into());
        }
        put(&mut state.bytes, place(offset), data);
        state.log.push(Done::Write { at: place(offset), data: data.to_vec() });
        Ok(())
    }
}

/// Writes, and makes the file longer where that takes it.
fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

/// What happens between two syncs, and what is on the disk for certain before.
pub(super) struct Stretch<'d> {
    pub(super) durable: Vec<u8>,
    /// Not synced yet.
    pub(super) pending: &'d [Done],
    /// The last step that was acknowledged before it.
    pub(super) acknowledged: usize,
}

/// Walks from sync to sync, beginning with a disk that holds `bytes`. The last stretch ends with the log.
pub(super) fn stretches<'d>(bytes: &[u8], log: &'d [Done], mut each: impl FnMut(&Stretch<'d>)) {
    let mut stretch = Stretch { durable: bytes.to_vec(), pending: &[], acknowledged: 0 };
    for pending in log.split_inclusive(|done| matches!(done, Done::Sync)) {
        stretch.pending = pending;
        each(&stretch);
        for done in pending {
            match done {
                Done::Write { at, data } => put(&mut stretch.durable, *at, data),
                Done::Length(length) => stretch.durable.resize(*length, 0),
                Done::Sync => {}
                Done::Acknowledged(step) => stretch.acknowledged = *step,
            }
        }
    }
}

/// What a power cut may leave.
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// The last step that was acknowledged before the power went.
    pub(super) acknowledged: usize,
    /// For whoever looks for what went wrong.
    pub(super) made: String,
}

impl Stretch<'_> {
    /// Cuts the power somewhere in this stretch: what was not synced is there, in part, in another order, or not at all.
    pub(super) fn cut(&self, rng: &mut Rng) -> Image {
        // Not behind its sync: that is the beginning of the next one.
        let until = rng.usize(..=self.pending.len().saturating_sub(1));
        let before = &self.pending[..until];
        let acknowledged = before.iter().rev().find_map(|done| match done {
            Done::Acknowledged(step) => Some(*step),
            Done::Write { .. } | Done::Length(_) | Done::Sync => None,
        });
        let acknowledged = acknowledged.unwrap_or(self.acknowledged);
        let (how, bytes) = match rng.u8(..6) {
            0 => ("nothing", self.durable.clone()),
            1 => ("everything", self.apply(before.iter())),
            2 => {
                let last = rng.usize(..=before.len());
                ("some in order", self.apply(before[..last].iter()))
            }
            3 => {
                let lost = rng.usize(..=before.len());
                (
                    "all but one",
                    self.apply(before.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, done)| done)),
                )
            }
            4 => ("any", self.apply(before.iter().filter(|_| rng.bool()))),
            _ => ("sectors", self.sectors(before, rng)),
        };
        Image { bytes, acknowledged, made: format!("{how} of {until} in {}", self.pending.len()) }
    }

    fn apply<'a>(&self, done: impl Iterator<Item = &'a Done>) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for done in done {
            match done {
                // What lies behind the end of a file that did not grow is nowhere.
                Done::Write { at, data } => {
                    let fits = bytes.len().saturating_sub(*at).min(data.len());
                    bytes[*at..][..fits].copy_from_slice(&data[..fits]);
                }
                Done::Length(length) => bytes.resize(*length, 0),
                Done::Sync | Done::Acknowledged(_) => {}
            }
        }
        bytes
    }

    /// Each sector holds what one of the writes left there, or none: writes are torn, and go to the disk in any order.
    fn sectors(&self, done: &[Done], rng: &mut Rng) -> Vec<u8> {
        let mut lengths = vec![self.durable.len()];
        let mut writes: BTreeMap<usize, Vec<(usize, &[u8])>> = BTreeMap::new();
        for done in done {
            match done {
                Done::Length(length) => lengths.push(*length),
                Done::Write { at, data } => {
                    let mut at = *at;
                    let mut rest = data.as_slice();
                    while !rest.is_empty() {
                        let (piece, others) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                        writes.entry(at / SECTOR).or_default().push((at, piece));
                        (at, rest) = (at + piece.len(), others);
                    }
                }
                Done::Sync | Done::Acknowledged(_) => {}
            }
        }
        let mut bytes = self.durable.clone();
        bytes.resize(lengths[rng.usize(..lengths.len())], 0);
        for pieces in writes.values() {
            for (at, piece) in &pieces[..rng.usize(..=pieces.len())] {
                if at + piece.len() <= bytes.len() {
                    bytes[*at..][..piece.len()].copy_from_slice(piece);
                }
            }
        }
        bytes
    }
}

/// Where files cost no disk, if there is such a place.
pub(super) fn memory() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared).unwrap() } else { tempfile::tempdir().unwrap() }
}
