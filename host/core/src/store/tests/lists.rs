//! Lists, indexes and histories.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::connection::Status;
use crate::model::view::ConnectionOrder;

fn all() -> ConnectionQuery {
    ConnectionQuery { limit: 3, ..Default::default() }
}

#[test]
fn a_name_is_found_and_kept_unique_whatever_its_case() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "Grüße ÄÖ")]);
    for given in ["grüße äö", "GRÜßE ÄÖ", "Grüße ÄÖ"] {
        assert_eq!(store.read(|reader| reader.connection_id_by_name(given)).unwrap(), Some(id(1)), "{given}");
    }
    let taken = wait(store.write(|writer| writer.put_connection(&connection(2, "GRÜßE äÖ"))));
    assert!(matches!(taken, Err(StoreError::NameTaken { by }) if by == id(1)), "{taken:?}");
    // A change of case alone is a change of one's own name.
    put(&store, [connection(1, "GRÜßE ÄÖ")]);
    assert_eq!(names(&store, &all()).0, ["GRÜßE ÄÖ"]);
}

#[test]
fn indexes_follow_every_change() {
    let place = Place::new();
    let store = place.open();
    let with = |owner: Option<&str>, status, connector: Option<&str>| ConnectionQuery {
        owner: owner.map(str::to_owned),
        status,
        connector: connector.map(|name| name.parse().unwrap()),
        ..all()
    };
    put(&store, [connection(1, "One"), connection(2, "Two")]);
    assert_eq!(names(&store, &with(None, Some(Status::Inactive), None)).0, ["One", "Two"]);

    put(
        &store,
        [Connection {
            owner: "bob".to_owned(),
            verdict: unauthorized(),
            connector: connector("github", "2.0.0"),
            ..connection(1, "Uno")
        }],
    );
    assert_eq!(names(&store, &with(Some("bob"), None, None)).0, ["Uno"]);
    assert_eq!(names(&store, &with(Some("ada"), None, None)).0, ["Two"]);
    assert_eq!(names(&store, &with(None, Some(Status::NeedsReconnect), None)).0, ["Uno"]);
    assert_eq!(names(&store, &with(None, Some(Status::Inactive), None)).0, ["Two"]);
    assert_eq!(names(&store, &with(None, None, Some("github"))).0, ["Uno"]);
    assert_eq!(names(&store, &with(None, None, Some("http"))).0, ["Two"]);
    assert_eq!(names(&store, &with(Some("bob"), Some(Status::NeedsReconnect), Some("github"))).0, ["Uno"]);
    assert_eq!(names(&store, &with(Some("bob"), Some(Status::Inactive), None)).0, Vec::<String>::new());
    assert_eq!(store.read(|reader| reader.connection_id_by_name("one")).unwrap(), None);

    assert!(write(&store, |writer| writer.delete_connection(id(1))));
    assert!(!write(&store, |writer| writer.delete_connection(id(1))));
    assert_eq!(names(&store, &with(Some("bob"), None, None)).0, Vec::<String>::new());
    assert_eq!(names(&store, &all()).0, ["Two"]);
    assert_eq!(store.read(|reader| reader.connection(id(1))).unwrap(), None);
    assert_eq!(store.read(|reader| reader.count_connections()).unwrap(), 1);
}

#[test]
fn pinned_connections_are_found_by_connector_and_by_version() {
    let place = Place::new();
    let store = place.open();
    let pinned = |number, name: &str, version| Connection {
        connector: connector(name, version),
        ..connection(number, &format!("c{number}"))
    };
    put(
        &store,
        [
            pinned(1, "http", "1.0.0"),
            pinned(2, "http", "1.0.0-rc.1"),
            pinned(3, "http", "1.0.0"),
            pinned(4, "http-2", "1.0.0"),
        ],
    );
    let of = |name: &str, version: Option<&str>, limit| {
        let version = version.map(|version| version.parse().unwrap());
        store.read(|reader| reader.connections_of(&name.parse().unwrap(), version.as_ref(), limit)).unwrap()
    };
    assert_eq!(of("http", Some("1.0.0"), 10), [id(1), id(3)]);
    assert_eq!(of("http", Some("1.0.0"), 1), [id(1)]);
    assert_eq!(of("http", Some("1.0.0-rc.1"), 10), [id(2)]);
    assert_eq!(of("http", None, 10).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([id(1), id(2), id(3)]));
    assert_eq!(of("http", Some("2.0.0"), 10), []);
    assert_eq!(of("ht", None, 10), []);
    put(&store, [pinned(1, "http", "2.0.0")]);
    assert_eq!(of("http", Some("1.0.0"), 10), [id(3)]);
}

#[test]
fn one_owner_s_list_holds_nothing_of_another_whose_name_begins_the_same() {
    let place = Place::new();
    let store = place.open();
    let owned = |number, owner: &str, name: &str| Connection { owner: owner.to_owned(), ..connection(number, name) };
    put(&store, [owned(1, "a", "bc"), owned(2, "ab", "c"), owned(3, "", "abc"), owned(4, "a\0b", "x")]);
    let of = |owner: &str| names(&store, &ConnectionQuery { owner: Some(owner.to_owned()), ..all() }).0;
    assert_eq!([of("a"), of("ab"), of(""), of("a\0b")], [["bc"], ["c"], ["abc"], ["x"]]);
}

#[test]
fn pages_end_where_the_list_does() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(names(&store, &all()), (vec![], 1));
    put(&store, (0..6).map(|number| connection(number, &format!("c{number}"))));
    assert_eq!(names(&store, &all()).1, 2, "two full pages and no empty third");
    assert_eq!(names(&store, &ConnectionQuery { limit: 0, ..all() }).1, 6, "a page has at least one item");
    let text = ConnectionQuery { text: Some("C4".to_owned()), ..all() };
    assert_eq!(names(&store, &text), (vec!["c4".to_owned()], 1));
}

#[test]
fn a_cursor_that_no_page_gave_is_refused() {
    let place = Place::new();
    let store = place.open();
    for bad in ["!", "", "AAAA"] {
        for order in ConnectionOrder::ALL {
            let query = ConnectionQuery { after: Some(bad.to_owned()), order, ..all() };
            let found = store.read(|reader| reader.connections(&query));
            assert!(matches!(found, Err(StoreError::BadCursor)), "{bad} {order:?}");
        }
        assert!(matches!(store.read(|reader| reader.flows(Some(bad), 3)), Err(StoreError::BadCursor)), "{bad}");
    }
}

#[test]
fn a_search_that_finds_nothing_for_long_stops_and_can_go_on() {
    let place = Place::new();
    let store = place.open();
    put(&store, (0..25_000).map(|number| connection(number, &format!("c{number:05}"))));
    let text = ConnectionQuery { text: Some("24999".to_owned()), ..all() };
    assert_eq!(names(&store, &text), (vec!["c24999".to_owned()], 3));
}

#[test]
fn connections_are_walked_in_the_order_of_their_ids() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(3, "a"), connection(1, "c"), connection(2, "b")]);
    let ids = |after| {
        write(&store, move |writer| writer.connections_after(after, 2))
            .into_iter()
            .map(|connection| connection.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(None), [id(1), id(2)]);
    assert_eq!(ids(Some(id(2))), [id(3)]);
    assert_eq!(ids(Some(id(3))), []);
}

#[test]
fn a_history_reads_from_the_newest_and_ends_with_its_connection() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "One"), connection(2, "Two")]);
    write(&store, |writer| {
        (1..=300).try_for_each(|version| writer.append_change(id(1), &change(version)))?;
        writer.append_change(id(2), &change(7))
    });
    let page = |before, limit| {
        let page = store.read(|reader| reader.history(id(1), before, limit)).unwrap();
        (page.items.into_iter().map(|change| change.version).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(None, 2), (vec![300, 299], Some("299".to_owned())));
    assert_eq!(page(Some(299), 2), (vec![298, 297], Some("297".to_owned())));
    assert_eq!(page(Some(3), 2), (vec![2, 1], None));
    assert_eq!(page(Some(0), 2), (vec![], None));
    let again = wait(store.write(|writer| writer.append_change(id(1), &change(5))));
    assert!(matches!(again, Err(StoreError::ChangeExists { version: 5, .. })), "{again:?}");

    write(&store, |writer| writer.delete_connection(id(1)));
    assert_eq!(page(None, 2), (vec![], None));
    assert_eq!(store.read(|reader| reader.history(id(2), None, 9)).unwrap().items, [change(7)]);
}

#[test]
fn a_history_tells_of_the_newest_thousand_versions() {
    let place = Place::new();
    let store = place.open();
    put(&store, [connection(1, "One"), connection(2, "Two")]);
    write(&store, |writer| {
        writer.append_change(id(2), &change(1))?;
        (1..=1_003).try_for_each(|version| writer.append_change(id(1), &change(version)))
    });
    let oldest = |of, before| store.read(|reader| reader.history(id(of), before, 9)).unwrap().items;
    assert_eq!(oldest(1, Some(6)), [change(5), change(4)]);
    assert_eq!(oldest(2, None), [change(1)]);
    // Versions that left no line are versions all the same.
    write(&store, |writer| writer.append_change(id(1), &change(2_002)));
    assert_eq!(oldest(1, Some(21)), [change(20)]);
}

#[test]
fn connectors_are_listed_by_name_newest_version_first() {
    let place = Place::new();
    let store = place.open();
    write(&store, |writer| {
        for (name, version) in
            [("http", "1.9.0"), ("http", "1.10.0"), ("http-2", "0.1.0"), ("github", "1.0.0"), ("http", "1.10.0-rc.1")]
        {
            writer.put_connector(&installed(name, version))?;
        }
        Ok(())
    });
    let listed = |found: Vec<Arc<Installed>>| {
        found.into_iter().map(|one| format!("{} {}", one.reference.name, one.reference.version)).collect::<Vec<_>>()
    };
    assert_eq!(
        listed(store.read(|reader| reader.connectors()).unwrap()),
        ["github 1.0.0", "http 1.10.0", "http 1.10.0-rc.1", "http 1.9.0", "http-2 0.1.0"]
    );
    let http = "http".parse().unwrap();
    assert_eq!(
        listed(store.read(|reader| reader.connector_versions(&http)).unwrap()),
        ["http 1.10.0", "http 1.10.0-rc.1", "http 1.9.0"]
    );
    let version = "1.9.0".parse().unwrap();
    assert_eq!(
        store.read(|reader| reader.connector(&http, &version)).unwrap().as_deref(),
        Some(&installed("http", "1.9.0"))
    );
    write(&store, |writer| {
        let (http, version) = ("http".parse().unwrap(), "1.9.0".parse().unwrap());
        assert!(writer.remove_connector(&http, &version)?);
        assert!(!writer.remove_connector(&http, &version)?);
        Ok(())
    });
    assert_eq!(store.read(|reader| reader.connector(&http, &version)).unwrap(), None);
}

#[test]
fn flows_are_found_by_the_connections_they_use_now() {
    let place = Place::new();
    let store = place.open();
    write(&store, |writer| {
        writer.put_flow(&flow("b", &[1, 2, 1]))?;
        writer.put_flow(&flow("a", &[1]))?;
        writer.put_flow(&flow("c", &[]))
    });
    let using = |number| {
        let flows = store.read(|reader| reader.flows_using(id(number))).unwrap();
        flows.into_iter().map(|flow| flow.name).collect::<Vec<_>>()
    };
    assert_eq!((using(1), using(2)), (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]));

    let first = store.read(|reader| reader.flows(None, 2)).unwrap();
    assert_eq!(first.items, [flow("a", &[1]), flow("b", &[1, 2, 1])]);
    let second = store.read(|reader| reader.flows(first.next.as_deref(), 2)).unwrap();
    assert_eq!((second.items, second.next), (vec![flow("c", &[])], None));

    write(&store, |writer| {
        writer.put_flow(&flow("b", &[2]))?;
        assert!(writer.remove_flow(&"a".parse().unwrap())?);
        assert!(!writer.remove_flow(&"a".parse().unwrap())?);
        Ok(())
    });
    assert_eq!((using(1), using(2)), (vec![], vec!["b".to_owned()]));
    assert_eq!(store.read(|reader| reader.flow(&"b".parse().unwrap())).unwrap(), Some(flow("b", &[2])));
}

/// A connection whose filters follow from its number, so that every combination occurs.
fn varied(number: u128, name: &str) -> Connection {
    Connection {
        owner: ["ada", "bob", "eve"][(number % 3) as usize].to_owned(),
        connector: connector(["http", "github"][(number % 2) as usize], "1.0.0"),
        enabled: !number.is_multiple_of(5),
        ..connection(number, name)
    }
}

fn fits(connection: &Connection, query: &ConnectionQuery) -> bool {
    query.owner.as_ref().is_none_or(|owner| *owner == connection.owner)
        && query.connector.as_ref().is_none_or(|name| *name == connection.connector.name)
        && query.status.is_none_or(|status| status == connection.status())
        && query.text.as_ref().is_none_or(|text| connection.name.to_lowercase().contains(&text.to_lowercase()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pages_show_each_exactly_once_in_order_while_others_come(
        before in prop::collection::btree_set("[a-dA-D]{1,3}", 0..60),
        during in prop::collection::btree_set("[a-dA-D]{1,3}", 0..20),
        owner in prop::option::of(prop::sample::select(vec!["ada", "bob", "nobody"])),
        connector in prop::option::of(prop::sample::select(vec!["http", "github"])),
        status in prop::option::of(prop::sample::select(vec![Status::Disabled, Status::Inactive])),
        text in prop::option::of("[abAB]"),
        order in prop::sample::select(ConnectionOrder::ALL.to_vec()),
        limit in 1usize..9,
    ) {
        let place = Place::new();
        let store = place.open();
        let mut taken = BTreeSet::new();
        let mut fresh = |names: BTreeSet<String>| -> Vec<Connection> {
            let names = names.into_iter().filter(|name| taken.insert(name.to_lowercase())).collect::<Vec<_>>();
            names.iter().map(|name| varied(u128::from_be_bytes(padded(name)), name)).collect()
        };
        let before = fresh(before);
        let mut during = fresh(during);
        let mut query = ConnectionQuery {
            owner: owner.map(str::to_owned),
            connector: connector.map(|name| name.parse().unwrap()),
            status,
            seen_by: None,
            text,
            order,
            after: None,
            limit,
        };
        put(&store, before.clone());
        let mut seen = Vec::new();
        loop {
            let page = store.read(|reader| reader.connections(&query)).unwrap();
            prop_assert!(page.items.len() <= limit);
            prop_assert!(page.items.len() == limit || page.next.is_none());
            seen.extend(page.items);
            let Some(next) = page.next else { break };
            query.after = Some(next);
            put(&store, during.pop());
        }
        prop_assert!(seen.iter().all(|connection| fits(connection, &query)));
        let keys: Vec<String> = seen.iter().map(|connection| connection.name.to_lowercase()).collect();
        match order {
            ConnectionOrder::Name => prop_assert!(keys.is_sorted_by(|a, b| a < b), "{:?}", keys),
            ConnectionOrder::NameDescending => prop_assert!(keys.is_sorted_by(|a, b| a > b), "{:?}", keys),
            ConnectionOrder::Need => {
                let place = |one: &Connection| Status::BY_NEED.iter().position(|status| *status == one.status());
                let keys: Vec<_> = seen.iter().map(|one| (place(one), one.name.to_lowercase())).collect();
                prop_assert!(keys.is_sorted_by(|a, b| a < b), "{:?}", keys);
            }
        }
        for connection in before.iter().filter(|connection| fits(connection, &query)) {
            prop_assert!(seen.contains(connection), "{} is missing in {:?}", connection.name, keys);
        }
    }
}

fn padded(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[16 - name.len()..].copy_from_slice(name.as_bytes());
    bytes
}
