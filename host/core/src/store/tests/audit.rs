//! The chain as the store keeps it: bound to the changes that it records, and whole whatever happens.

use jiff::{SignedDuration, Timestamp};

use super::super::notes::{Note, Notes};
use super::super::tables::Table;
use super::super::{Retention, StoreError};
use super::{Options, Place, Store, wait, write};
use crate::model::audit::{AuditAction, AuditEvent, AuditFilter, AuditKind, AuditObject, AuditRecord};
use crate::model::view::Page;

fn event(name: &str) -> AuditEvent {
    event_at(Timestamp::UNIX_EPOCH, name)
}

fn event_at(at: Timestamp, name: &str) -> AuditEvent {
    AuditEvent::new(at, "ada", AuditAction::FlowPut, AuditObject::named(AuditKind::Flow, name))
}

fn page(store: &Store) -> Page<AuditRecord> {
    store.read(|reader| reader.audit(&AuditFilter::default(), usize::MAX)).unwrap()
}

/// The names that are recorded, oldest first, in a chain that is whole.
fn names(store: &Store) -> Vec<String> {
    let report = store.read(|reader| reader.verify_audit(None)).unwrap();
    assert_eq!(report.broken, None);
    page(store).items.into_iter().rev().map(|record| record.event.object.name).collect()
}

#[test]
fn a_job_that_is_undone_leaves_no_record_and_no_gap() {
    let place = Place::new();
    let store = place.open();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // All of them in as few commits as may be, those that fail between those that do not.
    let outcomes = runtime.block_on(futures_util::future::join_all((0..40).map(|number| {
        let event = event(&number.to_string());
        store.write(move |writer| {
            writer.audit(&event)?;
            writer.set_meta("changed", &event.object.name)?;
            assert!(number % 8 != 7, "a job may panic, too");
            if number % 4 == 2 { Err(StoreError::Closed) } else { Ok(()) }
        })
    })));
    let kept = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_ok());
    let kept: Vec<_> = kept.map(|(number, _)| number.to_string()).collect();
    assert_eq!(kept.len(), 25);
    assert_eq!(names(&store), kept);
}

#[test]
fn records_that_somebody_put_behind_the_end_are_written_over_and_stop_nobody() {
    let place = Place::new();
    let store = place.open();
    write(&store, |writer| writer.audit(&event("first")));
    write(&store, |writer| {
        writer.insert(Table::Audit, &3_u64.to_be_bytes(), b"forged")?;
        writer.insert(Table::Audit, &5_u64.to_be_bytes(), b"forged")
    });
    write(&store, |writer| (2..=6).try_for_each(|number| writer.audit(&event(&number.to_string()))));
    assert_eq!(names(&store), ["first", "2", "3", "4", "5", "6"]);
}

#[test]
fn what_was_noted_is_there_after_the_store_was_closed() {
    let place = Place::new();
    let store = place.open();
    for number in 0..10 {
        store.note(event(&number.to_string()));
    }
    drop(store);
    assert_eq!(names(&place.open()).len(), 10);
}

#[test]
fn what_was_noted_stands_before_what_the_same_caller_changed_next() {
    let place = Place::new();
    let store = place.open();
    for number in 0..20 {
        store.note(event(&format!("noted {number}")));
        let changed = event(&format!("changed {number}"));
        write(&store, move |writer| writer.audit(&changed));
    }
    let expected: Vec<_> = (0..20).flat_map(|at| [format!("noted {at}"), format!("changed {at}")]).collect();
    assert_eq!(names(&store), expected);
}

#[test]
fn what_is_cut_off_is_recorded_as_that() {
    let place = Place::new();
    let store = place.open();
    drop(store.noting(event("dropped")));
    store.noting(event("ended")).ended(|event| event);
    store.noting(event("elsewhere")).recorded();
    wait(store.settle()).unwrap();
    let told: Vec<_> =
        page(&store).items.into_iter().map(|record| (record.event.object.name, record.event.reason)).collect();
    assert_eq!(told, [("ended".into(), None), ("dropped".into(), Some("cut-off".into()))]);
}

#[test]
fn a_queue_that_is_full_loses_the_newest_and_says_how_many() {
    let notes = Notes::default();
    for _ in 0..16_384 {
        notes.add(event("kept").into());
    }
    assert!(!notes.add(event("lost").into()) && !notes.add(event("lost").into()));
    let taken = notes.take();
    assert_eq!(taken.len(), 16_385);
    let Some(Note::Event(gap)) = taken.last() else { panic!("{taken:?}") };
    assert_eq!((gap.action, gap.reason.as_deref()), (AuditAction::AuditGap, Some("2 records could not be kept")));
    assert!(notes.take().is_empty(), "they are told once");
}

#[test]
fn records_are_dropped_when_they_are_too_old_or_too_many() {
    let place = Place::new();
    let options = Options { retention: Retention { records: 8, days: 3 }, ..Options::default() };
    let store = Store::open(&place.path(), options).unwrap();
    let day = |number: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * number);
    for number in 0..6 {
        let event = event_at(day(number), &number.to_string());
        write(&store, move |writer| writer.audit(&event));
    }
    assert_eq!(names(&store), ["2", "3", "4", "5"], "three days");
    for number in 6..20 {
        let event = event_at(day(5), &number.to_string());
        write(&store, move |writer| writer.audit(&event));
    }
    assert_eq!(names(&store).len(), 8);
    let event = event_at(day(400), "after a long rest");
    write(&store, move |writer| writer.audit(&event));
    assert_eq!(names(&store), ["after a long rest"], "the newest one stays");
}
