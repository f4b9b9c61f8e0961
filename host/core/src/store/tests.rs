//! What the store promises, seen through its handle.

mod audit;
mod crashes;
mod disk;
mod events;
mod faults;
mod file;
mod lists;
mod upkeep;
mod writes;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;

use jiff::Timestamp;
use uuid::Uuid;

use super::{ConnectionQuery, Options, Store, StoreError, Writer};
use crate::model::authentication::Authentication;
use crate::model::connection::{Change, ChangeKind, Connection, Visibility};
use crate::model::connector::{ConnectorRef, Installed, Surface};
use crate::model::descriptor::{Descriptor, Lifecycle};
use crate::model::flow::{Flow, FlowStatus, Progress, Use, UsedAs};
use crate::model::id::{ConnectionId, Digest};
use crate::model::secret::Sealed;
use crate::model::verdict::{FailureKind, Outcome, Verdict};
use crate::model::view::Page;

/// A store in a directory that goes away with it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store.redb")
    }

    fn open(&self) -> Store {
        Store::open(&self.path(), Options::default()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn write<T: Send + 'static>(
    store: &Store,
    change: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    wait(store.write(change)).unwrap()
}

fn put(store: &Store, connections: impl IntoIterator<Item = Connection>) {
    let connections: Vec<_> = connections.into_iter().collect();
    write(store, move |writer| connections.iter().try_for_each(|connection| writer.put_connection(connection)));
}

fn id(number: u128) -> ConnectionId {
    ConnectionId::from_uuid(Uuid::from_u128(number))
}

fn connector(name: &str, version: &str) -> ConnectorRef {
    ConnectorRef {
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        digest: Digest::of(format!("{name} {version}").as_bytes()),
    }
}

fn connection(number: u128, name: &str) -> Connection {
    let at = Timestamp::UNIX_EPOCH;
    Connection {
        id: id(number),
        version: 1,
        name: name.to_owned(),
        description: String::new(),
        connector: connector("http", "1.0.0"),
        protocol: "bearer".to_owned(),
        settings: BTreeMap::from([("url".to_owned(), "https://api.example.com".to_owned())]),
        secrets: BTreeMap::from([("token".to_owned(), Sealed { key: "k1".to_owned(), data: "c2VhbGVk".to_owned() })]),
        authentication: Authentication::default(),
        identity_provider: None,
        named_credential: None,
        vouched: false,
        once_used: false,
        complete: true,
        enabled: true,
        verdict: None,
        account: None,
        discovered: BTreeMap::new(),
        owner: "ada".to_owned(),
        visibility: Visibility::Shared,
        created_at: at,
        updated_at: at,
        credential_at: at,
    }
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        message: "said so".to_owned(),
        hint: None,
        at: Timestamp::UNIX_EPOCH,
        microseconds: 1,
        exchanges: Vec::new(),
        log: None,
    }
}

fn unauthorized() -> Option<Verdict> {
    Some(verdict(Outcome::Failed(FailureKind::Unauthorized)))
}

fn change(version: u64) -> Change {
    Change {
        version,
        kind: ChangeKind::Edited,
        actor: "ada".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        fields: vec!["name".to_owned()],
    }
}

fn installed(name: &str, version: &str) -> Installed {
    Installed {
        reference: connector(name, version),
        descriptor: Descriptor {
            name: name.to_owned(),
            label: name.to_owned(),
            version: version.to_owned(),
            publisher: "somebody".to_owned(),
            summary: String::new(),
            categories: Vec::new(),
            documentation: None,
            icon_svg: None,
            lifecycle: Lifecycle::Beta,
            settings: Vec::new(),
            protocols: Vec::new(),
            origins: Vec::new(),
        },
        surface: Surface::default(),
        size: 1,
        enabled: true,
        featured: false,
        installed_at: Timestamp::UNIX_EPOCH,
        installed_by: "ada".to_owned(),
    }
}

fn flow(name: &str, uses: &[u128]) -> Flow {
    Flow {
        id: name.parse().unwrap(),
        name: name.to_owned(),
        version: "1".to_owned(),
        status: FlowStatus::Active,
        owner: "ada".to_owned(),
        url: None,
        uses: uses
            .iter()
            .map(|&number| Use {
                connection: id(number),
                used_as: UsedAs::Action,
                step: "one".to_owned(),
                last_tested: None,
                progress: Progress::NotTested,
            })
            .collect(),
    }
}

/// All names that a query gives, page by page, and how many pages that took.
fn names(store: &Store, query: &ConnectionQuery) -> (Vec<String>, usize) {
    let mut query = query.clone();
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page: Page<Connection> = store.read(|reader| reader.connections(&query)).unwrap();
        names.extend(page.items.into_iter().map(|connection| connection.name));
        pages += 1;
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (names, pages),
        }
    }
}
