//! The outbox as the store keeps it: one sequence, bound to the changes that it tells.

use jiff::{SignedDuration, Timestamp};

use super::super::{EventQuery, EventsKept, Followed, StoreError};
use super::{Options, Place, Store, connection, wait, write};
use crate::model::event::{EventData, EventTypes, Telling};

fn telling(at: Timestamp, name: &str) -> Telling {
    let text = format!(
        r#"{{"type":"connector.removed","data":{{"name":"{name}","version":"1.0.0","digest":"{}"}}}}"#,
        "0".repeat(64)
    );
    let data: EventData = serde_json::from_str(&text).unwrap();
    Telling::new(at, "ada", data)
}

fn behind(store: &Store, after: u64) -> Followed {
    let types = EventTypes::default();
    let query = EventQuery { after, seen_by: "ada", types: &types, connection: None, limit: usize::MAX };
    store.read(|reader| reader.events(query)).unwrap()
}

fn numbers(store: &Store, after: u64) -> Vec<u64> {
    match behind(store, after) {
        Followed::Events { events, reached } => {
            let numbers: Vec<_> = events.iter().map(|event| event.seq).collect();
            assert_eq!(numbers.last().copied().unwrap_or(after), reached);
            numbers
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_that_is_undone_tells_nothing_and_uses_up_no_number() {
    let place = Place::new();
    let store = place.open();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcomes = runtime.block_on(futures_util::future::join_all((0..40).map(|number| {
        store.write(move |writer| {
            writer.tell(telling(Timestamp::UNIX_EPOCH, &format!("c{number}")))?;
            assert!(number % 8 != 7, "a job may panic, too");
            if number % 4 == 2 { Err(StoreError::Closed) } else { Ok(()) }
        })
    })));
    let kept = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    assert_eq!(kept, 25);
    assert_eq!(numbers(&store, 0), (1..=kept).collect::<Vec<_>>());
    assert_eq!(*store.told().borrow(), kept, "told by when they are acknowledged");
    drop(store);
    let store = place.open();
    assert_eq!((*store.told().borrow(), numbers(&store, 20)), (25, vec![21, 22, 23, 24, 25]));
}

#[test]
fn old_events_go_the_newest_stays_and_its_number_goes_on() {
    let place = Place::new();
    let options = Options { events: EventsKept { records: 5, renewals: 5, days: 2 }, ..Options::default() };
    let store = Store::open(&place.path(), options).unwrap();
    let tell = |hours: i64| {
        let at = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(hours)).unwrap();
        write(&store, move |writer| writer.tell(telling(at, "c")));
    };
    (0..8).for_each(|_| tell(0));
    assert_eq!(numbers(&store, 3), [4, 5, 6, 7, 8]);
    assert!(matches!(behind(&store, 2), Followed::Passed { oldest: 4 }), "{:?}", behind(&store, 2));
    assert!(matches!(behind(&store, 9), Followed::Ahead { newest: 8 }), "{:?}", behind(&store, 9));
    tell(49);
    assert_eq!(numbers(&store, 8), [9]);
    assert!(matches!(behind(&store, 7), Followed::Passed { oldest: 9 }), "{:?}", behind(&store, 7));
    wait(store.settle()).unwrap();
    tell(500);
    assert_eq!(numbers(&store, 9), [10]);
}

#[test]
fn renewals_push_nothing_else_out_and_are_bounded_by_themselves() {
    let place = Place::new();
    let options = Options { events: EventsKept { records: 4, renewals: 3, days: 2 }, ..Options::default() };
    let store = Store::open(&place.path(), options).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let renew = || {
        write(&store, move |writer| writer.tell(Telling::refreshed(at, "host", &connection(1, "c1"), None)));
    };
    let tell = || write(&store, move |writer| writer.tell(telling(at, "c")));
    renew();
    tell();
    (0..600).for_each(|_| renew());
    tell();
    assert_eq!(numbers(&store, 0), [2, 600, 601, 602, 603], "whoever follows from the beginning is told no wrong");
    (0..4).for_each(|_| tell());
    assert_eq!(numbers(&store, 603), [604, 605, 606, 607], "a renewal goes with what is newer than itself");
    assert!(matches!(behind(&store, 599), Followed::Passed { oldest: 604 }), "{:?}", behind(&store, 599));
    renew();
    drop(store);
    let store = Store::open(&place.path(), options).unwrap();
    assert_eq!(numbers(&store, 603), [604, 605, 606, 607, 608]);
}
