//! Connections: made, tested, changed, given new credentials, used and deleted.

mod authorize;
mod change;
mod form;
mod named;
mod probe;
mod send;
mod transfer;
mod upgrade;
mod upkeep;

pub(crate) use authorize::{Returned, Signed, SignedIn, upstream};
pub(crate) use change::find_visible;
pub use send::Body;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use std::time::Instant;

use jiff::SignedDuration;
use lru::LruCache;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::catalog::Catalog;
use crate::credentials::{self, Credentials, Pace, Pinned, Unusable, Usable, is_held};
use crate::egress::{self, Call, Egress};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::connection::{Change, Connection, Visibility};
use crate::model::connector::Installed;
use crate::model::error::{Error, FieldProblem};
use crate::model::event::{AlertState, Telling};
use crate::model::flow::Progress;
use crate::model::id::ConnectionId;
use crate::model::measure;
use crate::model::outside::Outside;
use crate::model::verdict::{FailureKind, Outcome, Verdict};
use crate::model::view::{ConnectionFilter, ConnectionView, FlowRow, Page};
use crate::runtime::Runtime;
use crate::store::{ConnectionQuery, Reader, Store, StoreError, Writer};
use probe::Probed;

const PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;

/// How a test under way ended, once it has. A shared future would wake whoever it answers a second time, for nothing.
type Running = watch::Receiver<Option<Result<(), Error>>>;

/// What connections are made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) credentials: Credentials,
    pub(crate) runtime: Runtime,
    pub(crate) egress: Egress,
    pub(crate) outside: Outside,
    pub(crate) test_wall: Duration,
    /// Between two checks that nobody asks for.
    pub(crate) interval: SignedDuration,
}

/// Everything about connections. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Connections {
    parts: Parts,
    /// Tests under way: whoever asks for the same one waits for it.
    running: Arc<Mutex<HashMap<(ConnectionId, u64), Running>>>,
    /// Connections through which requests went well lately.
    proven: Arc<Mutex<LruCache<ConnectionId, upkeep::Proof>>>,
}

impl std::ops::Deref for Connections {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Connections")
    }
}

impl Connections {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, running: Arc::default(), proven: Arc::new(Mutex::new(LruCache::new(upkeep::PROVEN))) }
    }

    /// The same connections, for work that nobody asked for.
    pub(crate) fn paced(&self, pace: Pace) -> Self {
        let parts = Parts { credentials: self.credentials.paced(pace), ..self.parts.clone() };
        Self { parts, ..self.clone() }
    }

    /// The same connections over another handle of their store.
    pub(crate) fn over(&self, store: Store) -> Self {
        let (catalog, credentials) = (self.catalog.over(store.clone()), self.credentials.over(store.clone()));
        let parts = Parts { store, catalog, credentials, ..self.parts.clone() };
        Self { parts, ..self.clone() }
    }

    /// The connection of this id or name, where the actor may know of it.
    pub(crate) fn find(&self, actor: &Actor, key: &str) -> Result<Connection, Error> {
        self.find_shared(actor, key).map(Arc::unwrap_or_clone)
    }

    /// The same, for reading only.
    fn find_shared(&self, actor: &Actor, key: &str) -> Result<Arc<Connection>, Error> {
        let found = self.store.connection(key)?;
        found.filter(|connection| visible(actor, connection)).ok_or_else(|| Error::not_found("connection", key))
    }

    pub(crate) fn view(&self, actor: &Actor, connection: Connection) -> Result<ConnectionView, Error> {
        Ok(self.store.read(|reader| viewed(reader, actor, connection, None))?)
    }

    pub(crate) fn installed(&self, connection: &Connection) -> Result<Arc<Installed>, Error> {
        let reference = &connection.connector;
        let installed = self.store.read(|reader| reader.connector(&reference.name, &reference.version))?;
        installed.ok_or_else(|| Error::not_found("connector", format!("{}@{}", reference.name, reference.version)))
    }

    pub(crate) fn list(&self, actor: &Actor, filter: &ConnectionFilter) -> Result<Page<ConnectionView>, Error> {
        let limit = filter.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Error::field("limit", format!("must be 1 to {LONGEST_PAGE}")));
        }
        let connector = match &filter.connector {
            Some(name) => Some(name.parse().map_err(|error| Error::field("connector", format!("{error}")))?),
            None => None,
        };
        let query = ConnectionQuery {
            connector,
            status: filter.status,
            owner: filter.owner.clone(),
            seen_by: Some(actor.name().to_owned()),
            text: filter.text.clone().filter(|text| !text.is_empty()),
            order: filter.sort.unwrap_or_default(),
            after: filter.cursor.clone(),
            limit,
        };
        Ok(self.store.read(|reader| {
            let page = reader.connections(&query)?;
            let mut items = Vec::with_capacity(page.items.len());
            for connection in page.items {
                items.push(viewed(reader, actor, connection, items.last())?);
            }
            Ok(Page { items, next: page.next })
        })?)
    }

    pub(crate) fn history(
        &self,
        connection: &Connection,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page<Change>, Error> {
        let before = match cursor {
            Some(text) => {
                Some(text.parse().map_err(|_not_a_number| Error::field("cursor", "is not a cursor of this list"))?)
            }
            None => None,
        };
        let limit = limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        let page = self.store.read(|reader| reader.history(connection.id, before, limit))?;
        Ok(page)
    }

    /// The rows of "Flows using connection".
    pub(crate) fn flows(&self, connection: &Connection) -> Result<Vec<FlowRow>, Error> {
        let testing = self.testing(connection.id);
        let flows = self.store.read(|reader| reader.flows_using(connection.id))?;
        let mut rows = Vec::new();
        for flow in flows {
            for used in flow.uses.iter().filter(|used| used.connection == connection.id) {
                rows.push(FlowRow {
                    id: flow.id.clone(),
                    name: flow.name.clone(),
                    version: flow.version.clone(),
                    status: flow.status,
                    owner: flow.owner.clone(),
                    url: flow.url.clone(),
                    used_as: used.used_as,
                    step: used.step.clone(),
                    last_tested: used.last_tested,
                    progress: if testing { Progress::Testing } else { used.progress },
                });
            }
        }
        Ok(rows)
    }

    /// Tests it, or waits for the test of it that is under way, and gives it as it is then.
    pub(crate) async fn test(&self, actor: &Actor, key: &str) -> Result<Connection, Error> {
        need(actor, Permission::UseConnections)?;
        let connection = self.find(actor, key)?;
        let id = connection.id;
        self.test_stored(actor, connection).await?;
        let tested = self.store.read(|reader| reader.connection(id))?;
        tested.ok_or_else(|| Error::not_found("connection", key))
    }

    /// In the audit, a run that several wait for is whose who came first.
    pub(crate) async fn test_stored(&self, actor: &Actor, connection: Connection) -> Result<(), Error> {
        if !connection.enabled {
            return Err(disabled(&connection));
        }
        match self.test_run(actor, connection.clone()).await {
            // A check that nobody asked for came first, and had to wait: whoever asks need not.
            Err(error) if is_held(&error) && !self.credentials.is_paced() => self.test_run(actor, connection).await,
            tested => tested,
        }
    }

    async fn test_run(&self, actor: &Actor, connection: Connection) -> Result<(), Error> {
        let mut run = {
            let mut running = self.running.lock().expect("no holder of this lock panics");
            let key = (connection.id, connection.version);
            match running.get(&key) {
                Some(run) => run.clone(),
                None => {
                    let (ended, run) = watch::channel(None);
                    running.insert(key, run.clone());
                    let span =
                        tracing::debug_span!("test", connection = %connection.id, failed = tracing::field::Empty);
                    let work = self.clone().run(actor.name().to_owned(), connection, key).instrument(span);
                    // A task of its own: a caller that goes away does not cut off the others.
                    tokio::spawn(async move { ended.send_replace(Some(work.await)) });
                    self.store.stir();
                    run
                }
            }
        };
        match run.wait_for(Option::is_some).await {
            Ok(ended) => ended.as_ref().map_or(Ok(()), |ended| ended.as_ref().map_err(Error::told).copied()),
            Err(panicked) => Err(Error::internal("testing the connection")(Box::new(panicked))),
        }
    }

    /// Whether a test of it is under way.
    fn testing(&self, id: ConnectionId) -> bool {
        self.running.lock().expect("no holder of this lock panics").keys().any(|(running, _)| *running == id)
    }

    /// One test, until its verdict is kept.
    async fn run(self, actor: String, connection: Connection, key: (ConnectionId, u64)) -> Result<(), Error> {
        // Whoever asked may be gone by the end.
        let _under_way = UnderWay { running: self.running.clone(), key };
        let begun = Instant::now();
        let mut probed = self.probe(&actor, &connection).await?;
        measure::test(probed.verdict.outcome.name(), begun.elapsed());
        if let Outcome::Failed(kind) = &probed.verdict.outcome {
            tracing::Span::current().record("failed", kind.name());
        }
        if let (Some(named), Outcome::Failed(kind)) = (&connection.named_credential, &probed.verdict.outcome) {
            // What failed before any request is the host's own word.
            let own = probed.verdict.exchanges.is_empty() && *kind == FailureKind::Forbidden;
            let hint = if own { named::no_right() } else { named::hint(named, kind) };
            probed.verdict.hint = hint.or(probed.verdict.hint);
        }
        let event = AuditEvent::of(self.outside.now(), &actor, AuditAction::ConnectionTest, &connection);
        let event =
            event.asked(&probed.verdict.exchanges).judged(&probed.verdict.outcome).took(probed.verdict.microseconds);
        self.record(key, probed, &actor, Some(event)).await
    }

    /// The very path of a real request: a credential that is due is renewed first, and one that the service rejects is renewed
    /// once. One that is good is left alone.
    async fn probe(&self, actor: &str, connection: &Connection) -> Result<Probed, Error> {
        let installed = self.installed(connection)?;
        self.catalog.prepare(&connection.connector).await?;
        let pinned = Pinned { connection, installed: &installed, actor };
        let began = Instant::now();
        let usable = match self.credentials.usable(pinned).await {
            Ok(usable) => usable,
            Err(unusable) => return self.no_credential(began, unusable),
        };
        let probed = self.probe_with(connection, &usable).await;
        let rejected = matches!(
            &probed.verdict.outcome,
            Outcome::Failed(FailureKind::Unauthorized | FailureKind::Expired | FailureKind::Revoked)
        );
        if !rejected || !usable.renewable {
            return Ok(probed);
        }
        self.credentials.forget(connection.id);
        match self.credentials.renew(pinned, usable.generation).await {
            Ok(()) => match self.credentials.usable(pinned).await {
                Ok(usable) => Ok(self.probe_with(connection, &usable).await),
                Err(unusable) => self.no_credential(began, unusable),
            },
            Err(unusable) => self.no_credential(began, unusable),
        }
    }

    async fn probe_with(&self, connection: &Connection, usable: &Usable) -> Probed {
        let call = Arc::new(Call::new(self.egress.limits().clone(), self.test_wall));
        let guest = credentials::guest(connection, &usable.visible);
        let now = || self.outside.now();
        probe::probe(&self.runtime, &connection.connector.digest, &guest, usable.permit.clone(), call, now).await
    }

    /// A sign-in that failed is a verdict too; what the host itself lacks is not.
    fn no_credential(&self, began: Instant, unusable: Unusable) -> Result<Probed, Error> {
        match unusable {
            Unusable::Failed(failure) => Ok(probe::failed(failure, self.outside.now(), began.elapsed())),
            Unusable::Error(error) => Err(error),
        }
    }

    /// Keeps the verdict, and tells the flows' rows in the same transaction. A verdict on a version that was changed
    /// meanwhile says nothing about the new one and is dropped.
    async fn record(
        &self,
        (id, version): (ConnectionId, u64),
        probed: Probed,
        actor: &str,
        event: Option<AuditEvent>,
    ) -> Result<(), Error> {
        let actor = actor.to_owned();
        self.store
            .write(move |writer| {
                // Its secrets were used, whatever becomes of what it said.
                if let Some(event) = event {
                    writer.audit(&event)?;
                }
                let Some(mut connection) = writer.connection(id)? else { return Ok(()) };
                if connection.version != version {
                    return Ok(());
                }
                tell_flows(writer, &connection, &probed.verdict, &actor)?;
                let (before, at) = (connection.clone(), probed.verdict.at);
                connection.verdict = Some(probed.verdict);
                if let Some(report) = probed.report {
                    connection.account = report.account;
                    connection.discovered = report.discovered;
                }
                writer.put_connection(&connection)?;
                for telling in Telling::judged(at, &actor, &before, &connection) {
                    writer.tell(telling)?;
                }
                Ok(())
            })
            .await
    }
}

/// Takes a test out of those under way when it ends, however it ends.
struct UnderWay {
    running: Arc<Mutex<HashMap<(ConnectionId, u64), Running>>>,
    key: (ConnectionId, u64),
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.running.lock().expect("no holder of this lock panics").remove(&self.key);
    }
}

/// Writes a verdict into the rows of every flow that uses the connection.
fn tell_flows(
    writer: &mut Writer<'_>,
    connection: &Connection,
    verdict: &Verdict,
    actor: &str,
) -> Result<(), StoreError> {
    let id = connection.id;
    for mut flow in writer.flows_using(id)? {
        let mut state = None;
        for used in flow.uses.iter_mut().filter(|used| used.connection == id) {
            used.last_tested = Some(verdict.at);
            let before = std::mem::replace(&mut used.progress, progress(verdict));
            state = match (before, used.progress) {
                (Progress::Failed, Progress::Passed) => Some(AlertState::Recovered),
                (Progress::NotTested | Progress::Testing | Progress::Passed, Progress::Failed) => {
                    Some(AlertState::Failing)
                }
                (_, Progress::NotTested | Progress::Testing | Progress::Passed) | (Progress::Failed, _) => state,
            };
        }
        writer.put_flow(&flow)?;
        if let Some(state) = state {
            writer.tell(Telling::alert(verdict.at, actor, connection, &flow, (state, &verdict.outcome)))?;
        }
    }
    Ok(())
}

fn progress(verdict: &Verdict) -> Progress {
    if verdict.passed() { Progress::Passed } else { Progress::Failed }
}

/// A connection as people see it; in a list, `before` is the one above it.
fn viewed(
    reader: &Reader<'_>,
    actor: &Actor,
    connection: Connection,
    before: Option<&ConnectionView>,
) -> Result<ConnectionView, StoreError> {
    let flows = reader.count_flows_using(connection.id)?;
    let credential = reader.credential(connection.id)?;
    let nothing = BTreeMap::new();
    let visible = credential.as_ref().map_or(&nothing, |credential| &credential.visible);
    let origins = match (&connection.named_credential, before) {
        (Some(named), _) => Credentials::url_of(reader, named)?.into_iter().collect(),
        (None, Some(before)) if alike(&connection, visible, before) => before.origins.clone(),
        (None, _) => {
            let installed = reader.connector(&connection.connector.name, &connection.connector.version)?;
            installed.map(|installed| origins(&installed, &connection, visible)).unwrap_or_default()
        }
    };
    // Who may give a right is told which one is missing.
    let missing_permission = match actor.may(Permission::ManageSetup) {
        true => Credentials::missing(reader, &connection)?,
        false => None,
    };
    Ok(ConnectionView { missing_permission, ..ConnectionView::of(connection, credential, origins, flows) })
}

/// Whether its requests may go where those of another one may: both are set up in the same way, as most of a list are.
fn alike(connection: &Connection, visible: &BTreeMap<String, String>, other: &ConnectionView) -> bool {
    let nothing = BTreeMap::new();
    let brought = other.credential.as_ref().map_or(&nothing, |credential| &credential.visible);
    other.named_credential.is_none()
        && other.connector == connection.connector
        && other.protocol == connection.protocol
        && other.settings == connection.settings
        && brought == visible
}

/// Where its requests may go, for people; empty where its settings do not resolve.
fn origins(installed: &Installed, connection: &Connection, visible: &BTreeMap<String, String>) -> Vec<String> {
    let fields = (&installed.descriptor, &connection.protocol, &connection.settings);
    let mut values = credentials::values(fields.0, fields.1, fields.2, &BTreeMap::new());
    for (name, value) in visible {
        values = values.public(name, value);
    }
    let origins = egress::expand_origins(&installed.descriptor.origins, &values).unwrap_or_default();
    origins.iter().map(ToString::to_string).collect()
}

/// A private connection does not exist for anybody but its owner.
pub(crate) fn visible(actor: &Actor, connection: &Connection) -> bool {
    connection.visibility == Visibility::Shared || connection.owner == actor.name()
}

pub(crate) fn need(actor: &Actor, permission: Permission) -> Result<(), Error> {
    if actor.may(permission) { Ok(()) } else { Err(Error::Forbidden { permission }) }
}

fn disabled(connection: &Connection) -> Error {
    Error::Refused {
        rule: "disabled",
        message: format!("the connection `{}` is disabled", connection.name),
        hint: Some("enable it first".into()),
    }
}

fn name_taken(name: &str) -> FieldProblem {
    FieldProblem::new("name", format!("another connection is named `{name}` already; names are compared without case"))
}
