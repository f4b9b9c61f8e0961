//! Jobs: shared commits, and failures that stay alone.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::*;

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
