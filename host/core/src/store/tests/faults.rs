//! A disk that fails in one operation, from one operation on, or has no room left: whoever asked is told what it was, nothing
//! that was acknowledged is lost, and the store goes on when the disk does.

use super::crashes::{Moment, event, heavy};
use super::disk::{Disk, Trouble, memory};
use super::*;
use crate::model::error::Error;

/// So little is kept in memory that most reads go to the disk.
const CACHE: usize = 16 * 1024;
/// Connections that are there before anything goes wrong.
const THERE: u128 = 30;
/// The store goes on with the first attempt, or with one of the next where opening it anew took long.
const ATTEMPTS: usize = 100_000;

/// A disk with a store on it.
fn filled(place: &Place) -> Vec<u8> {
    let disk = Disk::default();
    put(&open(&disk, place), (0..THERE).map(|number| heavy(number, 1, 2_000)));
    disk.bytes()
}

fn open(disk: &Disk, place: &Place) -> Store {
    Store::over(disk.open(&place.path(), CACHE), &place.path(), Options::default()).unwrap()
}

/// What a caller of the host is told.
fn told(error: StoreError, what: &str) -> String {
    let error = Error::from(error);
    let hint = error.hint().unwrap_or_else(|| panic!("{what}: no hint: {error:?}"));
    assert!(!hint.is_empty() && !error.to_string().contains("Previous"), "{what}: {error}");
    error.code().to_owned()
}

/// Changes one connection; the audit has it too.
fn edit(store: &Store, number: u128, version: u64) -> Result<(), StoreError> {
    wait(store.write(move |writer| {
        writer.audit(&event(format!("{number} version {version}")))?;
        writer.put_connection(&heavy(number, version, 2_500))
    }))
}

/// Creates, edits and deletes, reading in between. Says which connections have to be there now, whatever else is not certain.
fn work(store: &Store, what: &str) -> BTreeMap<u128, Vec<u64>> {
    // What each connection may be found as: a version, or 0 where it is gone.
    let mut possible: BTreeMap<u128, Vec<u64>> = (0..THERE).map(|number| (number, vec![1])).collect();
    let mut outcome = |number: u128, version: u64, outcome: Result<(), StoreError>| {
        let versions = possible.entry(number).or_insert_with(|| vec![0]);
        match outcome {
            Ok(()) => *versions = vec![version],
            Err(error) => {
                assert_eq!(told(error, what), "disk-failed");
                versions.push(version);
            }
        }
    };
    for round in 0..3u64 {
        let number = u128::from(round);
        outcome(100 + number, 1, edit(store, 100 + number, 1));
        store.note(event(format!("noted {round}")));
        outcome(number * 4, 2 + round, edit(store, number * 4, 2 + round));
        let gone = number * 4 + 1;
        outcome(gone, 0, wait(store.write(move |writer| writer.delete_connection(id(gone)).map(drop))));
        match store.read(|reader| reader.connections_after(None, 1_000)) {
            Ok(found) => assert!(found.len() > 20, "{what}: {} found", found.len()),
            Err(error) => assert_eq!(told(error, what), "disk-failed"),
        }
    }
    possible
}

/// Whatever went wrong before, this store goes on: each connection is as one of those that it may be, and can be changed.
fn goes_on(store: &Store, possible: &BTreeMap<u128, Vec<u64>>, what: &str) -> Moment {
    let first = (0..ATTEMPTS).find_map(|_| edit(store, 500, 1).ok());
    first.unwrap_or_else(|| panic!("{what}: it does not go on"));
    for (number, versions) in possible {
        let found =
            store.read(|reader| reader.connection(id(*number))).unwrap_or_else(|error| panic!("{what}: {error}"));
        let version = found.map_or(0, |found| found.version);
        assert!(versions.contains(&version), "{what}: {number} has version {version}, not one of {versions:?}");
    }
    Moment::of(store)
}

/// What is on the disk now opens as any store does, and is the same.
fn opens_again(disk: &Disk, last: &Moment, what: &str) {
    let directory = memory();
    let path = directory.path().join("store.redb");
    std::fs::write(&path, disk.bytes()).unwrap();
    let store = Store::open(&path, Options::default()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let again = Moment::of(&store);
    assert!(again.tables == last.tables, "{what}: closing it changed something");
    assert!(again.audit >= last.audit, "{what}: {} records of the audit, not {}", again.audit, last.audit);
}

/// Lets something go wrong at each operation of the work, one after the other. Gives how many there were.
fn at_every_operation(step: usize, trouble: fn(u64) -> Trouble) -> u64 {
    let place = Place::new();
    let bytes = filled(&place);
    for number in (0..20_000).step_by(step) {
        let disk = Disk::holding(&bytes);
        let store = open(&disk, &place);
        let begun = disk.operations();
        disk.trouble(trouble(begun + number));
        let what = format!("{:?} of the work", trouble(number));
        let possible = work(&store, &what);
        let reached = disk.operations() > begun + number;
        disk.trouble(Trouble::None);
        let last = goes_on(&store, &possible, &what);
        drop(store);
        opens_again(&disk, &last, &what);
        if !reached {
            return number;
        }
    }
    panic!("the work does not end");
}

#[test]
fn an_operation_of_the_disk_that_fails_is_told_and_the_store_goes_on() {
    let operations = at_every_operation(1, Trouble::Once);
    assert!(operations > 50, "{operations}");
    println!("each of {operations} operations failed once");
}

#[test]
fn a_disk_that_fails_from_some_operation_on_is_told_and_the_store_goes_on_when_it_is_back() {
    let operations = at_every_operation(3, Trouble::Lasting);
    assert!(operations > 50, "{operations}");
}

#[test]
fn an_error_while_the_store_is_opened_is_told_and_the_next_opening_finds_everything() {
    let place = Place::new();
    let bytes = filled(&place);
    // What was not closed takes more operations to open.
    let disk = Disk::holding(&bytes);
    let store = open(&disk, &place);
    edit(&store, 3, 2).unwrap();
    let unclosed = disk.bytes();
    drop(store);
    for image in [&bytes, &unclosed] {
        let mut ended = false;
        for number in 0..2_000 {
            let disk = Disk::holding(image);
            disk.trouble(Trouble::Once(number));
            let medium = crate::store::engine::Medium::of(&place.path(), CACHE, {
                let disk = disk.clone();
                move || Ok(Box::new(disk.clone()))
            });
            match medium.open() {
                Ok(database) => {
                    ended = disk.operations() <= number;
                    drop(database);
                }
                Err(error) => {
                    let words = error.to_string();
                    assert!(words.contains("store.redb`"), "operation {number}: {words}");
                }
            }
            disk.trouble(Trouble::None);
            let store = open(&disk, &place);
            assert_eq!(store.read(|reader| reader.count_connections()).unwrap(), THERE as u64, "operation {number}");
            if ended {
                break;
            }
        }
        assert!(ended, "opening does not end");
    }
}

#[test]
fn a_disk_that_is_full_is_named_reading_goes_on_and_so_does_writing_once_there_is_room() {
    for trouble in [Trouble::Full as fn(usize) -> Trouble, Trouble::Sparse] {
        let place = Place::new();
        let bytes = filled(&place);
        let disk = Disk::holding(&bytes);
        let store = open(&disk, &place);
        disk.trouble(trouble(disk.bytes().len()));
        let what = format!("{:?}", trouble(0));
        let mut kept = Vec::new();
        let refused = (1_000..1_000_000u128).find_map(|number| {
            match wait(store.write(move |writer| writer.put_connection(&heavy(number, 1, 20_000)))) {
                Ok(()) => {
                    kept.push(number);
                    None
                }
                Err(error) => Some(Error::from(error)),
            }
        });
        let refused = refused.unwrap();
        assert_eq!(refused.code(), "disk-full", "{what}: {refused:?}");
        let words = format!("the disk that holds store `{}` is full", place.path().display());
        assert_eq!(refused.to_string(), words, "{what}");
        assert!(refused.hint().is_some_and(|hint| hint.starts_with("make room")), "{what}: {:?}", refused.hint());
        for round in 0..20 {
            store.note(event(format!("noted {round}")));
            let found = store.read(|reader| reader.connections_after(None, 100_000)).unwrap();
            assert_eq!(found.len(), THERE as usize + kept.len(), "{what}: reading goes on");
            let again = wait(store.write(move |writer| writer.put_connection(&heavy(9_000_000 + round, 1, 20_000))));
            assert_eq!(Error::from(again.unwrap_err()).code(), "disk-full", "{what}");
        }
        disk.trouble(Trouble::None);
        let first = (0..ATTEMPTS).find_map(|_| edit(&store, 500, 1).ok());
        first.unwrap_or_else(|| panic!("{what}: it does not go on"));
        let last = Moment::of(&store);
        // The change's own record, and all that was noted when there was no room.
        assert_eq!(last.audit, 21, "{what}: nothing that was noted is lost");
        drop(store);
        opens_again(&disk, &last, &what);
    }
}
