//! Jobs: shared commits, and failures that stay alone.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::store::Reader;
use crate::store::tables::Table;

#[derive(Debug)]
enum Failed {
    Job(&'static str),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Runs these jobs in one commit: the writer is held until all of them wait.
fn together<T: Send + 'static, E: From<StoreError> + Send + std::fmt::Debug + 'static>(
    store: &Store,
    jobs: Vec<Change<T, E>>,
) -> Vec<Result<T, E>> {
    let (started, start) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    wait(async {
        let held = store.write(move |_: &mut Writer<'_>| -> Result<(), E> {
            started.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        });
        let waiting = futures_util::future::join_all(jobs.into_iter().map(|job| store.write(job)));
        // Polled in this order: the holder first, then all the jobs, then whoever lets go.
        let (held, answers, ()) = tokio::join!(biased; held, waiting, async move {
            start.recv().unwrap();
            release.send(()).unwrap();
        });
        held.unwrap();
        answers
    })
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

type Change<T, E> = Box<dyn FnOnce(&mut Writer<'_>) -> Result<T, E> + Send>;

#[test]
fn jobs_that_wait_together_are_all_answered_and_all_durable() {
    let place = Place::new();
    let store = place.open();
    let jobs = (0..600u128)
        .map(|number| -> Change<u128, StoreError> {
            Box::new(move |writer| writer.put_connection(&connection(number, &format!("c{number}"))).map(|()| number))
        })
        .collect();
    let answers: Vec<u128> = together(&store, jobs).into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, (0..600).collect::<Vec<_>>());
    drop(store);
    assert_eq!(place.open().read(|reader| reader.count_connections()).unwrap(), 600);
}

#[test]
fn a_job_that_fails_after_writing_is_undone_and_its_neighbours_are_kept() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "One"), connection(2, "Two")]);
    write(&store, |writer| writer.append_change(id(2), &change(1)));
    let jobs: Vec<Change<(), Failed>> = vec![
        Box::new(|writer| Ok(writer.put_connection(&connection(3, "Three"))?)),
        Box::new(|writer| {
            writer.put_connection(&Connection { owner: "bob".to_owned(), ..connection(1, "Uno") })?;
            writer.put_connection(&connection(4, "Four"))?;
            writer.delete_connection(id(2))?;
            writer.delete_connection(id(3))?;
            writer.put_connection(&connection(5, "Two"))?;
            writer.set_meta("key", "value")?;
            Err(Failed::Job("changed its mind"))
        }),
        Box::new(|writer| {
            // What the one before did is not seen.
            assert_eq!(writer.connection_id_by_name("two")?, Some(id(2)));
            assert_eq!(writer.connection_id_by_name("four")?, None);
            Ok(writer.put_connection(&connection(6, "Six"))?)
        }),
    ];
    let answers = together(&store, jobs);
    assert!(matches!(answers[..], [Ok(()), Err(Failed::Job("changed its mind")), Ok(())]), "{answers:?}");

    let all = ConnectionQuery { limit: 10, ..Default::default() };
    let ada = ConnectionQuery { owner: Some("ada".to_owned()), ..all.clone() };
    let bob = ConnectionQuery { owner: Some("bob".to_owned()), ..all.clone() };
    assert_eq!(names(&store, &all).0, ["One", "Six", "Three", "Two"]);
    assert_eq!(names(&store, &ada).0, ["One", "Six", "Three", "Two"]);
    assert_eq!(names(&store, &bob).0, Vec::<String>::new());
    assert_eq!(store.read(|reader| reader.history(id(2), None, 10)).unwrap().items, [change(1)]);
    assert_eq!(store.read(|reader| reader.meta("key")).unwrap(), None);
}

#[test]
fn a_store_error_fails_only_its_own_job() {
    let place = Place::new();
    let store = place.open();
    let jobs: Vec<Change<(), Failed>> = vec![
        Box::new(|writer| Ok(writer.put_connection(&connection(1, "Same"))?)),
        Box::new(|writer| Ok(writer.put_connection(&connection(2, "sAME"))?)),
        Box::new(|writer| Ok(writer.put_connection(&connection(3, "Other"))?)),
    ];
    let answers = together(&store, jobs);
    assert!(
        matches!(answers[..], [Ok(()), Err(Failed::Store(StoreError::NameTaken { by })), Ok(())] if by == id(1)),
        "{answers:?}"
    );
    assert_eq!(store.read(|reader| reader.count_connections()).unwrap(), 2);
}

#[test]
fn a_job_that_panics_is_undone_and_the_writer_lives_on() {
    let place = Place::new();
    let store = place.open();
    let jobs: Vec<Change<(), StoreError>> = vec![
        Box::new(|writer| writer.put_connection(&connection(1, "One"))),
        Box::new(|writer| {
            writer.put_connection(&connection(2, "Two"))?;
            panic!("as this test wants it");
        }),
        Box::new(|writer| writer.put_connection(&connection(3, "Three"))),
    ];
    let answers = together(&store, jobs);
    assert!(matches!(answers[..], [Ok(()), Err(StoreError::Panicked), Ok(())]), "{answers:?}");
    put(&store, [connection(4, "Four")]);
    let all = ConnectionQuery { limit: 10, ..Default::default() };
    assert_eq!(names(&store, &all).0, ["Four", "One", "Three"]);
}

#[test]
fn a_job_runs_even_where_nobody_waits_for_its_answer() {
    let place = Place::new();
    let store = place.open();
    wait(async {
        let mut write = Box::pin(store.write(|writer| writer.put_connection(&connection(1, "One"))));
        let polled = poll_once(write.as_mut());
        assert!(polled.is_pending() || matches!(polled, Poll::Ready(Ok(()))));
    });
    // Jobs run in their order, so this one comes after.
    write(&store, |writer| {
        assert_eq!(writer.count_connections()?, 1);
        Ok(())
    });
}

#[test]
fn the_last_handle_may_be_dropped_by_a_job() {
    let place = Place::new();
    let store = place.open();
    let (told, ended) = mpsc::channel();
    let kept = store.clone();
    let (release, released) = mpsc::channel::<()>();
    let write = store.write(move |_: &mut Writer<'_>| -> Result<(), StoreError> {
        released.recv().unwrap();
        drop(kept);
        told.send(()).unwrap();
        Ok(())
    });
    wait(async {
        let mut write = Box::pin(write);
        assert!(poll_once(write.as_mut()).is_pending());
    });
    drop(store);
    release.send(()).unwrap();
    ended.recv().unwrap();
}

#[test]
fn a_snapshot_does_not_see_what_comes_after_it() {
    let place = Place::new();
    let store = place.open();
    store
        .read(|reader| {
            assert_eq!(reader.count_connections()?, 0);
            put(&store, [connection(1, "One")]);
            assert_eq!(reader.connection_id_by_name("one")?, None);
            Ok(())
        })
        .unwrap();
    assert_eq!(store.read(|reader| reader.connection_id_by_name("ONE")).unwrap(), Some(id(1)));
}

/// One step of a job, drawn at random.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, String, bool),
    Delete(u8),
    Change(u8, u64),
    Flow(String, Vec<u128>),
    RemoveFlow(String),
    Connector(u8),
    RemoveConnector(u8),
    Meta(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..6, "[a-cA-C]{1,2}", any::<bool>()).prop_map(|(number, name, enabled)| Step::Put(number, name, enabled)),
        2 => (0u8..6).prop_map(Step::Delete),
        1 => (0u8..6, 0u64..4).prop_map(|(number, version)| Step::Change(number, version)),
        1 => ("[fg]", prop::collection::vec(0u128..4, 0..3)).prop_map(|(name, uses)| Step::Flow(name, uses)),
        1 => "[fg]".prop_map(Step::RemoveFlow),
        1 => (0u8..3).prop_map(Step::Connector),
        1 => (0u8..3).prop_map(Step::RemoveConnector),
        1 => "[mn]".prop_map(Step::Meta),
    ]
}

/// Takes every step that the store does not refuse.
fn take(writer: &mut Writer<'_>, steps: &[Step]) {
    for step in steps {
        let taken = match step {
            Step::Put(number, name, enabled) => {
                writer.put_connection(&Connection { enabled: *enabled, ..connection(u128::from(*number), name) })
            }
            Step::Delete(number) => writer.delete_connection(id(u128::from(*number))).map(drop),
            Step::Change(number, version) => writer.append_change(id(u128::from(*number)), &change(*version)),
            Step::Flow(name, uses) => writer.put_flow(&flow(name, uses)),
            Step::RemoveFlow(name) => writer.remove_flow(&name.parse().unwrap()).map(drop),
            Step::Connector(minor) => writer.put_connector(&installed("http", &format!("1.{minor}.0"))),
            Step::RemoveConnector(minor) => {
                writer.remove_connector(&"http".parse().unwrap(), &format!("1.{minor}.0").parse().unwrap()).map(drop)
            }
            Step::Meta(key) => writer.set_meta(key, "value"),
        };
        match taken {
            Ok(()) | Err(StoreError::NameTaken { .. } | StoreError::ChangeExists { .. }) => {}
            Err(error) => panic!("{step:?}: {error}"),
        }
    }
}

pub(super) type Dump = Vec<(&'static str, Vec<u8>, Vec<u8>)>;

/// Every entry of every table.
pub(super) fn dump(reader: &Reader<'_>) -> Result<Dump, StoreError> {
    let mut all = Vec::new();
    for table in Table::ALL {
        let mut entries = reader.prefixed(table, b"", b"")?;
        while let Some(entry) = entries.next()? {
            all.push((table.name(), entry.key().to_vec(), entry.value().to_vec()));
        }
    }
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn undoing_a_job_restores_every_byte_of_every_table(
        kept in prop::collection::vec(step(), 0..20),
        undone in prop::collection::vec(step(), 1..20),
    ) {
        let place = Place::new();
        let store = place.open();
        write(&store, move |writer| {
            take(writer, &kept);
            Ok(())
        });
        let before = store.read(dump).unwrap();
        let jobs: Vec<Change<(), Failed>> = vec![
            Box::new(move |writer| {
                take(writer, &undone);
                Err(Failed::Job("changed its mind"))
            }),
            // Something to commit, so that what was undone is committed with it.
            Box::new(|writer| Ok(writer.set_meta("last", "value")?)),
        ];
        let answers = together(&store, jobs);
        prop_assert!(matches!(answers[..], [Err(Failed::Job(_)), Ok(())]), "{:?}", answers);
        write(&store, |writer| writer.remove(Table::Meta, b"last").map(drop));
        prop_assert_eq!(store.read(dump).unwrap(), before);
    }

    #[test]
    fn indexes_hold_what_the_records_say_and_nothing_else(steps in prop::collection::vec(step(), 0..40)) {
        let place = Place::new();
        let store = place.open();
        write(&store, move |writer| {
            take(writer, &steps);
            Ok(())
        });
        let found = store.read(dump).unwrap();
        let connections = store.read(|reader| reader.connections_after(None, 100)).unwrap();
        // The same records put into an empty store give the same indexes.
        let other = Place::new();
        let fresh = other.open();
        put(&fresh, connections);
        let indexes = |dump: Dump| dump.into_iter().filter(|(table, ..)| table.starts_with("connections")).collect::<Vec<_>>();
        prop_assert_eq!(indexes(found), indexes(fresh.read(dump).unwrap()));
    }
}

#[test]
fn a_rehearsal_sees_its_own_change_and_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    let count = |reader: &Reader<'_>| reader.count_connections();
    let (rehearsing, mut seen) = store.rehearsing(count, move |reader, before| Ok((before, count(reader)?)));
    let change = |writer: &mut Writer<'_>| writer.put_connection(&connection(1, "One"));
    let ended = wait(rehearsing.write(change));
    assert!(matches!(ended, Err(StoreError::Rehearsed)), "{ended:?}");
    assert_eq!((seen.try_recv().unwrap(), store.read(count).unwrap()), ((0, 1), 0));
    // Whatever else the call would write is not written either.
    assert!(matches!(wait(rehearsing.write(change)), Err(StoreError::Rehearsed)));
    assert_eq!(store.read(count).unwrap(), 0);
    write(&store, change);
    assert_eq!(store.read(count).unwrap(), 1);
}
