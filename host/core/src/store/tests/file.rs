//! The file: made, opened, refused, migrated, copied.

use std::error::Error as _;
use std::os::unix::fs::PermissionsExt as _;

use redb::{ReadableDatabase as _, ReadableTable as _, WriteTransaction};

use super::*;
use crate::store::schema::{CURRENT, Schema};
use crate::store::tables::Table;

fn open_error(place: &Place) -> StoreError {
    Store::open(&place.path(), Options::default()).unwrap_err()
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "One")]);
    write(&store, |writer| writer.set_meta("key", "value"));
    drop(store);
    let store = place.open();
    assert_eq!(store.read(|reader| reader.connection(id(1))).unwrap(), Some(connection(1, "One")));
    assert_eq!(store.read(|reader| reader.meta("key")).unwrap().as_deref(), Some("value"));
    assert_eq!(store.read(|reader| reader.meta("other")).unwrap(), None);
    assert_eq!(place.names(), ["store.redb"]);
}

#[test]
fn only_its_owner_may_read_the_file() {
    let place = Place::new();
    drop(place.open());
    assert_eq!(std::fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let place = Place::new();
    let first = place.open();
    let clone = first.clone();
    drop(first);
    assert!(matches!(open_error(&place), StoreError::InUse { path } if path == place.path()));
    drop(clone);
    drop(place.open());
}

#[test]
fn what_a_killed_creation_left_is_removed_and_never_opened() {
    let place = Place::new();
    let leftover = place.directory.path().join(".store.redb.new-a1b2c3");
    std::fs::write(&leftover, b"half a file").unwrap();
    let other = place.directory.path().join(".other.redb.new-a1b2c3");
    std::fs::write(&other, b"somebody else's").unwrap();
    let store = place.open();
    assert_eq!(store.read(|reader| reader.count_connections()).unwrap(), 0);
    assert_eq!(place.names(), [".other.redb.new-a1b2c3", "store.redb"]);
}

#[test]
fn makers_who_race_agree_on_one_file() {
    let place = Place::new();
    let path = place.path();
    let outcomes: Vec<Result<Store, StoreError>> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&path, Options::default()))).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let (opened, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(opened.len(), 1, "{refused:?}");
    for error in refused {
        assert!(matches!(error, Err(StoreError::InUse { .. })), "{error:?}");
    }
    drop(opened);
    drop(place.open());
    assert_eq!(place.names(), ["store.redb"]);
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let whole = {
        let place = Place::new();
        put(&place.open(), (0..50).map(|number| connection(number, &format!("c{number}"))));
        std::fs::read(place.path()).unwrap()
    };
    let mut scratched = whole.clone();
    scratched[64..320].fill(0x5a);
    let cases: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("text", b"{\"connections\": []}"),
        ("long text", &[b'x'; 8192]),
        ("cut off", &whole[..whole.len() / 2]),
        ("commit slots scratched", &scratched),
    ];
    for (what, bytes) in cases {
        let place = Place::new();
        std::fs::write(place.path(), bytes).unwrap();
        let error = open_error(&place);
        assert!(matches!(&error, StoreError::Corrupt { path, .. } if *path == place.path()), "{what}: {error:?}");
        let words = error.to_string();
        assert!(words.starts_with("store `/") && words.contains("store.redb` cannot be read: it "), "{what}: {words}");
        assert_eq!(std::fs::read(place.path()).unwrap(), bytes, "{what}");
    }
}

#[test]
fn a_database_of_something_else_is_refused() {
    let place = Place::new();
    drop(redb::Database::create(place.path()).unwrap());
    let words = open_error(&place).to_string();
    assert!(words.ends_with("cannot be read: it is a database of something else"), "{words}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new();
    let path = place.directory.path().join("nowhere/store.redb");
    let error = Store::open(&path, Options::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot create `{}`", path.display()));
    assert!(error.source().is_some());
}

fn count_up(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut table = transaction.open_table(Table::Meta.definition()).map_err(StoreError::engine)?;
    let steps = table.get(&b"steps"[..]).map_err(StoreError::engine)?.map_or(0, |steps| steps.value()[2]);
    table.insert(&b"steps"[..], &[1, b'"', steps.max(b'0') + 1, b'"'][..]).map_err(StoreError::engine)?;
    Ok(())
}

fn fail(transaction: &WriteTransaction) -> Result<(), StoreError> {
    count_up(transaction)?;
    Err(StoreError::Closed)
}

const TWO_STEPS: Schema = Schema { migrations: &[count_up, count_up] };
const SECOND_FAILS: Schema = Schema { migrations: &[count_up, fail] };

#[test]
fn an_older_file_is_kept_beside_and_then_migrated_step_by_step() {
    let place = Place::new();
    put(&place.open(), [connection(1, "One")]);

    let store = Store::open_as(&place.path(), Options::default(), TWO_STEPS).unwrap();
    assert_eq!(store.read(|reader| reader.meta("steps")).unwrap().as_deref(), Some("2"));
    assert_eq!(store.read(|reader| reader.connection(id(1))).unwrap(), Some(connection(1, "One")));
    drop(store);
    assert_eq!(place.names(), ["store.redb", "store.redb.v1.bak"]);

    // The copy is a store of the old version, in which nothing was migrated.
    let kept = place.directory.path().join("store.redb.v1.bak");
    let kept = Store::open(&kept, Options::default()).unwrap();
    assert_eq!(kept.read(|reader| reader.meta("steps")).unwrap(), None);
    assert_eq!(kept.read(|reader| reader.connection(id(1))).unwrap(), Some(connection(1, "One")));

    // A second opening migrates nothing again.
    let store = Store::open_as(&place.path(), Options::default(), TWO_STEPS).unwrap();
    assert_eq!(store.read(|reader| reader.meta("steps")).unwrap().as_deref(), Some("2"));
}

#[test]
fn a_migration_that_fails_leaves_the_old_version() {
    let place = Place::new();
    put(&place.open(), [connection(1, "One")]);
    let error = Store::open_as(&place.path(), Options::default(), SECOND_FAILS).unwrap_err();
    assert!(matches!(error, StoreError::Closed), "{error:?}");
    let store = place.open();
    assert_eq!(store.read(|reader| reader.meta("steps")).unwrap(), None);
    assert_eq!(store.read(|reader| reader.connection(id(1))).unwrap(), Some(connection(1, "One")));
}

#[test]
fn a_newer_file_is_refused_and_left_as_it_is() {
    let place = Place::new();
    drop(Store::open_as(&place.path(), Options::default(), TWO_STEPS).unwrap());
    let before = std::fs::read(place.path()).unwrap();
    let error = open_error(&place);
    assert!(matches!(error, StoreError::Newer { found: 3, supported: 1, .. }), "{error:?}");
    assert_eq!(CURRENT.version(), 1);
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
    assert_eq!(place.names(), ["store.redb"]);
}

#[test]
fn a_backup_is_a_store_of_one_moment() {
    let place = Place::new();
    let store = place.open();
    put(&store, (0..200).map(|number| connection(number, &format!("c{number}"))));
    let to = place.directory.path().join("copy.redb");
    store.backup(&to, std::iter::empty()).unwrap();
    put(&store, [connection(900, "later")]);

    let copy = Store::open(&to, Options::default()).unwrap();
    assert_eq!(copy.read(|reader| reader.count_connections()).unwrap(), 200);
    assert_eq!(names(&copy, &ConnectionQuery { limit: 500, ..Default::default() }).0.len(), 200);
    assert_eq!(place.names(), ["copy.redb", "store.redb"]);
}

#[test]
fn a_backup_replaces_nothing() {
    let place = Place::new();
    let store = place.open();
    let error = store.backup(&place.path(), std::iter::empty()).unwrap_err();
    assert!(matches!(error, StoreError::Exists { path } if path == place.path()));
}

#[test]
fn a_store_that_was_not_closed_opens_with_all_that_was_acknowledged() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "One")]);
    // What a killed process leaves: the file as it stands between two commits.
    let other = Place::new();
    std::fs::copy(place.path(), other.path()).unwrap();
    assert_eq!(other.open().read(|reader| reader.connection(id(1))).unwrap(), Some(connection(1, "One")));
}

#[test]
fn the_envelope_of_a_record_is_these_bytes() {
    let place = Place::new();
    let store = place.open();
    put(&store, [Connection { verdict: unauthorized(), ..connection(1, "One") }]);
    let digest = Digest::of(b"http 1.0.0");
    drop(store);
    let database = redb::Database::open(place.path()).unwrap();
    let table = database.begin_read().unwrap().open_table(Table::Connections.definition()).unwrap();
    let found = table.get(&id(1).as_bytes()[..]).unwrap().unwrap().value().to_vec();
    assert_eq!(found[0], 1);
    let golden = format!(
        r#"{{"id":"00000000-0000-0000-0000-000000000001","version":1,"name":"One","description":"","connector":{{"name":"http","version":"1.0.0","digest":"{digest}"}},"protocol":"bearer","settings":{{"url":"https://api.example.com"}},"secrets":{{"token":{{"key":"k1","data":"c2VhbGVk"}}}},"authentication":{{"derived":[],"grant":{{"prepare":[],"authorization":null,"token":[],"refresh":[],"revocation":[],"lifetime-seconds":null}},"placements":[]}},"complete":true,"enabled":true,"verdict":{{"outcome":"failed","kind":"unauthorized","message":"said so","at":"1970-01-01T00:00:00Z","microseconds":1,"exchanges":[]}},"account":null,"discovered":{{}},"owner":"ada","visibility":"shared","created-at":"1970-01-01T00:00:00Z","updated-at":"1970-01-01T00:00:00Z","credential-at":"1970-01-01T00:00:00Z"}}"#
    );
    assert_eq!(String::from_utf8(found[1..].to_vec()).unwrap(), golden);
}
