//! Power cuts: at every sync of a life of the store, what was not synced is lost, torn or out of order, and the store opens on
//! what is left.
//!
//! The suite looks at some hundreds of images. More of them: `cargo test --workspace --lib -- power_cut images=20000`.

use std::path::Path;

use fastrand::Rng;
use jiff::Timestamp;

use super::disk::{Disk, Done, Image, memory, stretches};
use super::writes::{Dump, dump};
use super::*;
use crate::model::audit::{AuditAction, AuditEvent, AuditKind, AuditObject};
use crate::model::credential::Credential;
use crate::store::tables::Table;

const IMAGES: usize = 400;
const CACHE: usize = 4 * 1024 * 1024;
/// What a failure repeats.
const SEED: u64 = 0x7475_726e;
/// One image in so many is opened on a disk that loses power again before the opening is over.
const TWICE: usize = 5;

/// The store at one moment.
pub(super) struct Moment {
    /// Every entry of every table but the audit's.
    pub(super) tables: Dump,
    /// How many records the audit holds.
    pub(super) audit: u64,
}

impl Moment {
    pub(super) fn of(store: &Store) -> Self {
        let report = store.read(|reader| reader.verify_audit(None)).unwrap();
        assert_eq!(report.broken, None);
        let mut tables = store.read(dump).unwrap();
        tables.retain(|(table, key, _)| !table.starts_with("audit") && !key.starts_with(b"audit-"));
        Self { tables, audit: report.records }
    }
}

/// What happened, and every moment on the way.
struct Life {
    disk: Disk,
    /// The first is that of an empty store.
    moments: Vec<Moment>,
}

pub(super) fn event(name: impl Into<String>) -> AuditEvent {
    let name = name.into();
    AuditEvent::new(Timestamp::UNIX_EPOCH, "ada", AuditAction::FlowPut, AuditObject::named(AuditKind::Flow, &name))
}

/// A connection whose record takes so many bytes more than another one.
pub(super) fn heavy(number: u128, version: u64, bytes: usize) -> Connection {
    let filler = format!("{version}").repeat(bytes);
    let mut heavy = Connection { version, ..connection(number, &format!("c{number}")) };
    heavy.settings.insert("note".to_owned(), filler);
    heavy
}

fn credential(generation: u64) -> Credential {
    let sealed = Sealed { key: "k1".to_owned(), data: format!("c2VhbGVk{generation}") };
    Credential {
        generation,
        secrets: BTreeMap::from([("access-token".to_owned(), sealed)]),
        visible: BTreeMap::new(),
        from: None,
        obtained_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        renewing_since: None,
        ended: None,
    }
}

/// One step of the life. Those of a step are handed over together and share a commit.
fn step(store: &Store, number: usize, rng: &mut Rng) {
    let at = number as u128;
    let jobs: u64 = rng.u64(1..4);
    let bytes = rng.usize(..6_000);
    let (older, kind) = (rng.u128(..at + 1), rng.u8(..8));
    wait(store.write(move |writer| -> Result<(), StoreError> {
        for job in 0..jobs {
            writer.audit(&event(format!("{number}.{job}")))?;
        }
        match kind {
            0 | 1 => writer.put_connection(&heavy(at, 1, bytes))?,
            2 => writer.put_connection(&heavy(older, 2 + number as u64, bytes))?,
            3 => drop(writer.delete_connection(id(older))?),
            4 => writer.put_flow(&flow(&format!("f{}", older % 7), &[older, at]))?,
            5 => {
                writer.put_connection(&heavy(at, 1, 10))?;
                writer.put_credential(id(at), &credential(number as u64))?;
                writer.append_change(id(at), &change(1))?;
            }
            6 => writer.put_connector(&installed("http", &format!("1.{number}.0")))?,
            // Enough to make the file grow.
            _ => (0..8).try_for_each(|more| writer.put_connection(&heavy(1_000 + 10 * at + more, 1, 20_000)))?,
        }
        writer.set_meta("step", &number.to_string())
    }))
    .unwrap();
}

/// A store from its first byte on, closed and opened again on the way.
fn live(steps: usize, rng: &mut Rng) -> Life {
    let disk = Disk::default();
    let place = Place::new();
    let open = || Store::over(disk.open(&place.path(), CACHE), &place.path(), Options::default()).unwrap();
    let mut store = open();
    let mut moments = vec![Moment::of(&store)];
    disk.acknowledge(0);
    for number in 1..=steps {
        if number % 4 == 0 {
            store.note(event(format!("noted before {number}")));
        }
        step(&store, number, rng);
        disk.acknowledge(number);
        moments.push(Moment::of(&store));
        if number == steps / 2 {
            drop(store);
            store = open();
        }
    }
    drop(store);
    Life { disk, moments }
}

/// Opens what a power cut left, in the way in which every store is opened, and compares it with what was acknowledged.
fn check(image: &Image, moments: &[Moment], what: &str) {
    let directory = memory();
    let path = directory.path().join("store.redb");
    std::fs::write(&path, &image.bytes).unwrap();
    let store = Store::open(&path, Options::default()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let now = Moment::of(&store);
    // At most one commit was under way, and nobody had heard of it.
    let mut possible = (image.acknowledged..moments.len()).take(2);
    let found = possible.find(|at| moments[*at].tables == now.tables);
    let found = found.unwrap_or_else(|| panic!("{what}: not as it was after step {}", image.acknowledged));
    let most = moments.get(found + 1).map_or(moments[found].audit, |next| next.audit);
    assert!((moments[found].audit..=most).contains(&now.audit), "{what}: {} records of the audit", now.audit);
    // And it is a store that works.
    let wrote = wait(store.write(|writer| {
        writer.audit(&event("after"))?;
        writer.put_connection(&connection(999, "after"))
    }));
    wrote.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    drop(store);
    let store = Store::open(&path, Options::default()).unwrap_or_else(|error| panic!("{what}: again: {error:?}"));
    assert_eq!(Moment::of(&store).audit, now.audit + 1, "{what}");
    assert_eq!(store.read(|reader| reader.connection(id(999))).unwrap(), Some(connection(999, "after")), "{what}");
}

/// Cuts the power a second time, while the store is opened on what the first cut left.
fn cut_again(image: &Image, rng: &mut Rng) -> Image {
    let disk = Disk::holding(&image.bytes);
    drop(disk.open(Path::new("store.redb"), CACHE));
    let log = disk.log();
    let mut images = Vec::new();
    stretches(&image.bytes, &log, |stretch| images.push(stretch.cut(rng)));
    let chosen = images.swap_remove(rng.usize(..images.len()));
    let made = format!("{}, then {} while it was opened", image.made, chosen.made);
    Image { acknowledged: image.acknowledged, made, ..chosen }
}

/// How many images are asked for on the command line, as in `images=20000`.
fn asked_for() -> usize {
    let asked = std::env::args().find_map(|argument| argument.strip_prefix("images=")?.parse().ok());
    asked.unwrap_or(IMAGES)
}

#[test]
fn a_power_cut_at_any_sync_leaves_a_store_with_all_that_was_acknowledged_and_nothing_half() {
    let mut rng = Rng::with_seed(SEED);
    let images = asked_for();
    let life = live(40, &mut rng);
    let log = life.disk.log();
    let mut all = 0;
    stretches(&[], &log, |_| all += 1);
    let (mut stretch_number, mut looked_at, mut twice) = (0, 0, 0);
    stretches(&[], &log, |stretch| {
        // As many for each of them, however many there are.
        let until = (stretch_number + 1) * images / all;
        stretch_number += 1;
        // Before there was a first state, nothing stands under the name of the store yet.
        let begun =
            stretch.acknowledged > 0 || stretch.pending.iter().any(|done| matches!(done, Done::Acknowledged(_)));
        while looked_at < until {
            looked_at += 1;
            if !begun {
                continue;
            }
            let mut image = stretch.cut(&mut rng);
            if rng.usize(..TWICE) == 0 {
                twice += 1;
                image = cut_again(&image, &mut rng);
            }
            check(
                &image,
                &life.moments,
                &format!("image {looked_at}, between syncs {stretch_number} and the next: {}", image.made),
            );
        }
    });
    assert!(twice > 0 && all > 60, "{twice} images of {looked_at} were cut twice, at {all} syncs");
    println!("{looked_at} images of power cuts at {all} syncs, {twice} of them cut twice");
}

#[test]
fn every_moment_that_images_are_compared_with_has_indexes_that_agree_with_its_records() {
    let life = live(40, &mut Rng::with_seed(SEED));
    let place = Place::new();
    let store = Store::over(life.disk.open(&place.path(), CACHE), &place.path(), Options::default()).unwrap();
    let other = Place::new();
    let fresh = other.open();
    put(&fresh, store.read(|reader| reader.connections_after(None, 1_000)).unwrap());
    let indexes = |store: &Store| {
        let found = store.read(dump).unwrap().into_iter();
        found.filter(|(table, ..)| table.starts_with("connections")).collect::<Vec<_>>()
    };
    assert_eq!(indexes(&store), indexes(&fresh));
    assert!(
        store.read(|reader| reader.len(Table::Connections)).unwrap() > 20,
        "the life is long enough to say something"
    );
}
