//! The host as a Rust library: actors, permissions, and calls at the same time.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use turnbuckle::config::Config;
use turnbuckle::{
    Actor, AuditFilter, AuditOutcome, AuditRecord, Body, Compiler, ConnectionFilter, ConnectorFilter, EditConnection,
    Error, FailureKind, Host, NewConnection, Outcome, Permission, Progress, PutFlow, PutUse, Reconnect, Status,
    Transfer, Visibility,
};
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::scene::{BINARY, TOKEN};

/// How long a host that ends may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Works until it has waited so many times, and leaves it there.
async fn left_after<T>(waits: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut waited) = (pin!(work), 0);
    poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if waited == waits => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

async fn open(data: &Path, upstream: &Upstream) -> Host {
    let mut config = Config::default();
    config.egress.allow = vec![upstream.origin()];
    Host::builder(data).config(config).compiler(Compiler::Worker(BINARY.into())).open().await.unwrap()
}

/// The same, where another host on this directory is about to end.
async fn open_next(data: &Path, upstream: &Upstream) -> Host {
    let mut config = Config::default();
    config.egress.allow = vec![upstream.origin()];
    let begun = Instant::now();
    loop {
        let builder = Host::builder(data).config(config.clone()).compiler(Compiler::Worker(BINARY.into()));
        match builder.open().await {
            Ok(host) => return host,
            Err(Error::Data { rule: "store-in-use", .. }) if begun.elapsed() < PATIENCE => {
                tokio::task::yield_now().await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A host with the `http` connector, and a service that takes [`TOKEN`].
async fn host(data: &Path) -> (Host, Upstream) {
    let upstream = Upstream::start();
    upstream.on("GET", "/me", |arrived| {
        Reply::status(if arrived.header("authorization") == format!("Bearer {TOKEN}") { 200 } else { 401 })
    });
    let host = open(data, &upstream).await;
    let component = tokio::task::spawn_blocking(|| components::read(BINARY, "http")).await.unwrap();
    host.install_connector(&root(), component).await.unwrap();
    (host, upstream)
}

fn root() -> Actor {
    Actor::administrator("root")
}

fn new(name: &str, upstream: &Upstream) -> NewConnection {
    serde_json::from_value(json!({
        "name": name, "connector": "http", "protocol": "bearer",
        "settings": {"url": upstream.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
    }))
    .unwrap()
}

fn get(path: &str) -> http::Request<Body> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    http::Request::get(path).body(body).unwrap()
}

#[tokio::test]
async fn each_permission_opens_what_it_says_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    host.create_connection(&root(), new("Orders", &upstream)).await.unwrap();
    let flow = || serde_json::from_value::<PutFlow>(json!({"name": "Nightly", "status": "active"})).unwrap();
    for missing in Permission::ALL {
        let actor = Actor::new("ada", Permission::ALL.into_iter().filter(|permission| *permission != missing));
        let refused = |outcome: Result<(), Error>| match outcome {
            Ok(()) => None,
            Err(Error::Forbidden { permission }) => Some(permission),
            Err(other) => panic!("without {}: {other}", missing.name()),
        };
        let edit = || EditConnection { version: 1, ..EditConnection::default() };
        let answers = [
            (Permission::ViewConnections, refused(host.connection(&actor, "Orders").map(drop))),
            (Permission::ViewConnections, refused(host.connections(&actor, &ConnectionFilter::default()).map(drop))),
            (Permission::ViewConnections, refused(host.connectors(&actor, &ConnectorFilter::default()).map(drop))),
            (Permission::ViewConnections, refused(host.connection_flows(&actor, "Orders").map(drop))),
            (Permission::ViewConnections, refused(host.connection_history(&actor, "Orders", None, None).map(drop))),
            (Permission::UseConnections, refused(host.test_connection(&actor, "Orders").await.map(drop))),
            (Permission::UseConnections, refused(host.send(&actor, "Orders", get("/me")).await.map(drop))),
            (Permission::ManageFlows, refused(host.put_flow(&actor, "nightly", flow()).await.map(drop))),
            (Permission::ManageConnectors, refused(host.enable_connector(&actor, "http", true).await.map(drop))),
            (Permission::ViewAudit, refused(host.audit(&actor, &AuditFilter::default()).await.map(drop))),
            (Permission::ViewAudit, refused(host.verify_audit(&actor, None).await.map(drop))),
            (Permission::ViewAudit, refused(host.export_audit(&actor).await.map(drop))),
        ];
        for (at, (needed, answer)) in answers.into_iter().enumerate() {
            assert_eq!(answer, (needed == missing).then_some(missing), "call {at} without {}", missing.name());
        }
        if missing == Permission::ManageConnections {
            let edited = refused(host.edit_connection(&actor, "Orders", edit()).await.map(drop));
            let again = refused(host.reconnect_connection(&actor, "Orders", Reconnect::default()).await.map(drop));
            let made = refused(host.create_connection(&actor, new("Invoices", &upstream)).await.map(drop));
            let switched = refused(host.enable_connection(&actor, "Orders", false).await.map(drop));
            let deleted = refused(host.delete_connection(&actor, "Orders").await.map(drop));
            assert_eq!([edited, again, made, switched, deleted], [Some(missing); 5]);
        }
    }
    let refused = AuditFilter { outcome: Some(AuditOutcome::Refused), limit: Some(200), ..AuditFilter::default() };
    let page = host.audit(&root(), &refused).await.unwrap();
    let named = |record: &AuditRecord| record.event.actor == "ada" && record.event.reason.is_some();
    assert!(page.items.iter().all(named), "{page:?}");
    assert_eq!(page.items.len(), 12 + 5, "each refusal above is recorded once");
}

#[tokio::test]
async fn a_private_connection_is_there_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    let (ada, bob) = (Actor::administrator("ada"), Actor::administrator("bob"));
    let mut private = new("Diary", &upstream);
    private.visibility = Visibility::Private;
    host.create_connection(&ada, private).await.unwrap();
    host.create_connection(&ada, new("Orders", &upstream)).await.unwrap();

    let names = |actor: &Actor| {
        let page = host.connections(actor, &ConnectionFilter::default()).unwrap();
        page.items.into_iter().map(|connection| connection.name).collect::<Vec<_>>()
    };
    assert_eq!((names(&ada), names(&bob)), (vec!["Diary".to_owned(), "Orders".into()], vec!["Orders".to_owned()]));
    let missing = |outcome: Result<(), Error>| matches!(outcome, Err(Error::NotFound { kind: "connection", .. }));
    assert!(missing(host.connection(&bob, "Diary").map(drop)));
    assert!(missing(host.test_connection(&bob, "Diary").await.map(drop)));
    assert!(missing(host.send(&bob, "Diary", get("/me")).await.map(drop)));
    assert!(missing(host.delete_connection(&bob, "Diary").await));
    let chosen = PutUse { connection: "Diary".into(), used_as: turnbuckle::UsedAs::Action, step: String::new() };
    host.put_flow(&bob, "b", serde_json::from_value(json!({"name": "b", "status": "draft"})).unwrap()).await.unwrap();
    let selected = host.select_connection(&bob, "b", chosen).await;
    assert!(matches!(selected, Err(Error::Invalid { .. } | Error::NotFound { .. })), "{selected:?}");
}

#[tokio::test]
async fn tests_of_one_connection_at_the_same_time_share_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    host.create_connection(&root(), new("Orders", &upstream)).await.unwrap();
    upstream.forget();
    let gate = upstream.hold("GET", "/me", |_| Reply::status(200));
    let actor = root();
    // Polled in order: each has joined the run, or begun it, before the gate opens.
    let mut tests: Vec<_> = (0..8).map(|_| Box::pin(host.test_connection(&actor, "Orders"))).collect();
    for test in &mut tests {
        assert!(futures_util::poll!(test.as_mut()).is_pending());
    }
    gate.open();
    let views = futures_util::future::try_join_all(tests).await.unwrap();
    assert_eq!(upstream.arrived().len(), 1);
    let verdict = views[0].verdict.clone().unwrap();
    assert!(views.iter().all(|view| view.verdict.as_ref() == Some(&verdict)), "one verdict for all");
}

#[tokio::test]
async fn a_caller_that_goes_away_harms_neither_host_nor_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    host.create_connection(&root(), new("Orders", &upstream)).await.unwrap();
    let actor = root();
    let flow = json!({
        "name": "Nightly", "status": "active", "uses": [{"connection": "Orders", "used-as": "action"}],
    });
    host.put_flow(&actor, "nightly", serde_json::from_value(flow).unwrap()).await.unwrap();
    let mut gate = upstream.hold("GET", "/me", |_| Reply::status(200));
    {
        let testing = host.test_connection(&actor, "Orders");
        let arrived = tokio::task::spawn_blocking(move || {
            gate.wait_for(1);
            gate
        });
        tokio::select! {
            _ = testing => panic!("the service has not answered"),
            waited = arrived => gate = waited.unwrap(),
        }
    }
    gate.open();
    let tested = host.test_connection(&actor, "Orders").await.unwrap();
    assert_eq!(tested.status, Status::Active);
    assert_eq!(host.connection_flows(&actor, "Orders").unwrap()[0].progress, Progress::Passed);
}

#[tokio::test]
async fn what_was_stored_is_there_when_the_host_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, upstream) = host(folder.path()).await;
    let made = first.create_connection(&root(), new("Orders", &upstream)).await.unwrap();
    drop(first);
    let again = open(folder.path(), &upstream).await;
    assert_eq!(again.connection(&root(), "Orders").unwrap(), made);
    assert_eq!(again.test_connection(&root(), "Orders").await.unwrap().status, Status::Active);
}

#[tokio::test]
async fn a_rotation_that_is_left_at_any_step_leaves_every_secret_readable_and_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (host, upstream) = host(data).await;
    // More than one batch of them.
    for number in 0..105 {
        host.create_connection(&root(), new(&format!("c{number}"), &upstream)).await.unwrap();
    }
    drop(host);
    let keys = || {
        let text = std::fs::read_to_string(data.join("master.key")).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let (mut steps, mut with_two_keys) = (0, 0);
    loop {
        let host = open_next(data, &upstream).await;
        let ended = left_after(steps, host.rotate_key(&root())).await;
        drop(host);
        with_two_keys += usize::from(keys() == 2);
        let host = open_next(data, &upstream).await;
        for number in [0, 99, 100, 104] {
            let tested = host.test_connection(&root(), &format!("c{number}")).await.unwrap();
            assert_eq!(tested.status, Status::Active, "left after {steps} waits, c{number}: {tested:?}");
        }
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
        let taken_up = host.rotate_key(&root()).await.unwrap();
        assert_eq!(keys(), 1, "left after {steps} waits: {taken_up:?}");
        drop(host);
        steps += 1;
        assert!(steps < 100, "it never ends");
    }
    assert!(steps > 4 && with_two_keys > 3, "{steps} steps, after {with_two_keys} of them there were two keys");
    assert_eq!(keys(), 1);
}

#[tokio::test]
async fn a_second_host_on_one_data_directory_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (_first, upstream) = host(folder.path()).await;
    let mut config = Config::default();
    config.egress.allow = vec![upstream.origin()];
    let second = Host::builder(folder.path()).config(config).open().await;
    let Err(error) = second else { panic!("two hosts on one directory") };
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    let made = (0..64).map(|at| {
        let (host, new) = (host.clone(), new(&format!("Orders {at:02}"), &upstream));
        async move { host.create_connection(&root(), new).await.map(|view| view.id) }
    });
    let ids = futures_util::future::try_join_all(made).await.unwrap();
    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 64);
    let filter = ConnectionFilter { limit: Some(200), ..ConnectionFilter::default() };
    assert_eq!(host.connections(&root(), &filter).unwrap().items.len(), 64);
    // Of many that want one name, one gets it.
    let actor = root();
    let same: Vec<_> = (0..8).map(|_| host.create_connection(&actor, new("Same", &upstream))).collect();
    let outcomes = futures_util::future::join_all(same).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn an_embedder_finds_nothing_but_setup_where_integrations_are_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    host.create_connection(&root(), new("Orders", &upstream)).await.unwrap();
    drop(host);
    upstream.forget();
    let mut config = Config::default();
    config.integrations.enabled = false;
    let host =
        Host::builder(folder.path()).config(config).compiler(Compiler::Worker(BINARY.into())).open().await.unwrap();
    let (root, provider) = (root(), "http.oauth2.service");
    let base = "http://127.0.0.1:1".parse().unwrap();
    for refused in [
        host.connection(&root, "Orders").map(drop),
        host.connections(&root, &ConnectionFilter::default()).map(drop),
        host.connectors(&root, &ConnectorFilter::default()).map(drop),
        host.create_connection(&root, new("More", &upstream)).await.map(drop),
        host.test_connection(&root, "Orders").await.map(drop),
        host.send(&root, "Orders", get("/me")).await.map(drop),
        host.transfer_connection(&root, "Orders", Transfer { to: "ada".into(), visibility: None }).await.map(drop),
        host.delete_connection(&root, "Orders").await.map(drop),
        host.authorize_connection(&root, "Orders", &base, Default::default()).await.map(drop),
        host.authorization_callback(provider, &[], None).await.map(drop),
        host.complete_authorization(&root, "receipt").await.map(drop),
        host.remove_flow(&root, "nightly").await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Refused { rule: "integrations-disabled", .. })), "{refused:?}");
    }
    assert!(upstream.arrived().is_empty());
    assert_eq!(host.users(&root).unwrap().len(), 0);
    let filter = AuditFilter { outcome: Some(AuditOutcome::Refused), ..AuditFilter::default() };
    assert!(!host.audit(&root, &filter).await.unwrap().items.is_empty(), "and each refusal is on record");
}

#[tokio::test]
async fn an_embedder_says_which_principals_its_own_actors_may_use() {
    let folder = tempfile::tempdir().unwrap();
    let (host, upstream) = host(folder.path()).await;
    let credential = json!({
        "protocol": "custom-headers",
        "headers": [{"name": "Authorization", "value": "Bearer {token}"}],
        "secrets": {"token": TOKEN},
    });
    let put = serde_json::from_value(json!({"url": upstream.origin(), "credential": credential})).unwrap();
    host.put_named_credential(&root(), "shop", put).await.unwrap();
    let by_name = |name: &str| -> NewConnection {
        let settings = json!({"test-path": "/me"});
        let new = json!({"name": name, "connector": "http", "named-credential": "shop", "settings": settings});
        serde_json::from_value(new).unwrap()
    };
    let ada = Actor::new("ada", [Permission::ViewConnections, Permission::ManageConnections]);
    let closed = host.create_connection(&ada, by_name("Closed")).await.unwrap();
    assert_eq!(closed.status, Status::Inactive);
    assert_eq!(closed.verdict.unwrap().outcome, Outcome::Failed(FailureKind::Forbidden));
    let open = host.create_connection(&ada.opening(["shop".to_owned()]), by_name("Open")).await.unwrap();
    assert_eq!(open.status, Status::Active);
}
