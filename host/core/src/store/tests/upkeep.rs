//! What is due, as the store keeps it.

use jiff::{SignedDuration, Timestamp};
use redb::TableDefinition;

use super::{Place, connection, id, put, verdict, wait, write};
use crate::model::connection::{Connection, Status, Visibility};
use crate::model::schedule::{Upkeep, later};
use crate::model::verdict::{FailureKind, Outcome};
use crate::store::{Store, StoreError};

const FAR: SignedDuration = SignedDuration::from_hours(24 * 365);

fn active(number: u128) -> Connection {
    Connection { verdict: Some(verdict(Outcome::Passed)), ..connection(number, &format!("c{number}")) }
}

fn due(store: &Store) -> Vec<(u128, Upkeep, Timestamp)> {
    let found = store.read(|reader| reader.due(later(Timestamp::UNIX_EPOCH, FAR), None, 100)).unwrap();
    let mut found: Vec<_> =
        found.into_iter().map(|due| (u128::from_be_bytes(*due.id.as_bytes()), due.what, due.at)).collect();
    found.sort_by_key(|(number, _, _)| *number);
    found
}

fn whose(store: &Store) -> Vec<u128> {
    due(store).into_iter().map(|(number, _, _)| number).collect()
}

#[test]
fn a_check_moves_with_the_verdict_and_goes_where_nobody_is_to_look() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "c1"), active(2), active(3), active(4)]);
    assert_eq!(whose(&store), [2, 3, 4], "one that was never tested waits for a person");
    let before = due(&store);
    let renamed = Connection { name: "other".into(), version: 2, ..active(2) };
    put(&store, [renamed]);
    assert_eq!(due(&store), before, "another name moves nothing");
    let rejected = Connection { verdict: Some(verdict(Outcome::Failed(FailureKind::Unauthorized))), ..active(3) };
    put(&store, [rejected, Connection { enabled: false, ..active(4) }]);
    assert_eq!(whose(&store), [2], "neither one that takes a person, nor one that is switched off");
    write(&store, |writer| writer.delete_connection(id(2)).map(drop));
    assert_eq!(whose(&store), Vec::<u128>::new());
    put(&store, [active(4)]);
    assert_eq!(whose(&store), [4], "and back again");
}

#[test]
fn a_job_that_is_undone_moves_nothing() {
    let place = Place::new();
    let store = place.open();
    put(&store, [active(1)]);
    let before = due(&store);
    let failed: Result<(), StoreError> = wait(store.write(|writer| {
        writer.delete_connection(id(1))?;
        Err(StoreError::Closed)
    }));
    failed.unwrap_err();
    assert_eq!(due(&store), before);
    let counts = store.read(|reader| reader.count_by_status(None)).unwrap();
    assert_eq!(counts[&Status::Active], 1);
}

#[test]
fn what_is_put_off_comes_later_each_time_and_a_verdict_begins_anew() {
    let place = Place::new();
    let store = place.open();
    put(&store, [active(1)]);
    let mut now = due(&store)[0].2;
    for minutes in [1, 2, 5, 15, 60, 60] {
        write(&store, move |writer| writer.put_off(id(1), Upkeep::Check, now, None));
        let next = due(&store)[0].2;
        assert_eq!(next.duration_since(now), SignedDuration::from_mins(minutes));
        now = next;
    }
    let judged = Connection {
        verdict: Some(crate::model::verdict::Verdict { at: now, ..verdict(Outcome::Passed) }),
        ..active(1)
    };
    put(&store, [judged]);
    assert!(due(&store)[0].2.duration_since(now) > SignedDuration::from_hours(20));
    write(&store, move |writer| writer.put_off(id(1), Upkeep::Check, now, None));
    assert!(due(&store)[0].2.duration_since(now) > SignedDuration::from_hours(20), "what is not due is left alone");
}

#[test]
fn the_index_goes_in_the_order_of_time_page_by_page() {
    let place = Place::new();
    let store = place.open();
    put(&store, (1..=40).map(active));
    let now = later(Timestamp::UNIX_EPOCH, FAR);
    let whole = store.read(|reader| reader.due(now, None, 100)).unwrap();
    assert_eq!(whole.len(), 40);
    assert!(whole.is_sorted_by_key(|due| due.at));
    let mut pages = Vec::new();
    loop {
        let behind = pages.last().map(|due: &crate::store::Upcoming| due.place.clone());
        let page = store.read(|reader| reader.due(now, behind.as_deref(), 7)).unwrap();
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, whole);
    let middle = whole[20].at;
    assert_eq!(store.read(|reader| reader.due(middle, None, 100)).unwrap().len(), 21);
    assert_eq!(store.read(|reader| reader.next_due(middle, 1)).unwrap()[0], whole[21]);
}

#[test]
fn a_store_that_knew_no_checks_is_planned_for_when_it_is_opened() {
    let place = Place::new();
    let owner = connection(3, "c3").owner;
    let counts = |store: &Store| {
        let by = |asks: Option<&str>| store.read(|reader| reader.count_by_status(asks)).unwrap();
        [by(None), by(Some(&owner)), by(Some("somebody else"))].map(|counts| counts[&Status::Active])
    };
    let private_of = |store: &Store| store.read(|reader| reader.private_connections_of(&owner, 9)).unwrap();
    let before = {
        let store = place.open();
        let private = Connection { visibility: Visibility::Private, ..active(3) };
        put(&store, [connection(1, "c1"), active(2), private]);
        assert_eq!(counts(&store), [1, 2, 1], "whose private ones they are, sees them counted");
        assert_eq!(private_of(&store).len(), 1);
        due(&store)
    };
    {
        let database = redb::Database::open(place.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        for table in ["upkeep", "upkeep-due", "upkeep-spent", "connections-counted", "connections-owned-privately"] {
            assert!(transaction.delete_table(TableDefinition::<&[u8], &[u8]>::new(table)).unwrap());
        }
        transaction.commit().unwrap();
    }
    let store = place.open();
    assert_eq!(due(&store), before);
    assert_eq!((counts(&store), private_of(&store).len()), ([1, 2, 1], 1));
}

#[test]
fn what_days_before_left_of_a_budget_is_cleared_away() {
    let place = Place::new();
    let store = place.open();
    write(&store, |writer| writer.spend(7, &[("a".into(), 3), ("b".into(), 4)]));
    write(&store, |writer| writer.spend(7, &[("a".into(), 5)]));
    let spent = |day, lane: &'static str| store.read(|reader| reader.spent(day, lane)).unwrap();
    assert_eq!((spent(7, "a"), spent(7, "b"), spent(7, "c")), (5, 4, 0));
    write(&store, |writer| writer.spend(8, &[("a".into(), 1)]));
    assert_eq!((spent(7, "a"), spent(7, "b"), spent(8, "a")), (0, 0, 1));
}
