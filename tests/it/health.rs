//! Connections stay alive while nobody looks, and no service is asked more than it should be.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use turnbuckle::config::Config;
use turnbuckle::{
    Actor, AuditFilter, Body, Compiler, HealthReport, HealthState, Holding, Host, NewConnection, Outside, Permission,
    Status,
};
use turnbuckle_tests::components;
use turnbuckle_tests::upstream::{Arrived, Reply, Upstream};
use turnbuckle_tests::world::World;

use crate::scene::{BINARY, Scene, TOKEN};

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    at: Arc<AtomicI64>,
    /// Whoever asks it panics.
    pub(crate) broken: Arc<AtomicBool>,
}

impl Clock {
    /// Begins at a noon, UTC.
    fn new() -> Self {
        Self::beginning(1_777_032_000)
    }

    fn beginning(at: i64) -> Self {
        Self { at: Arc::new(AtomicI64::new(at)), broken: Arc::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds()).unwrap()
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.at.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.at.fetch_add(seconds, Ordering::SeqCst);
    }

    fn outside(&self) -> Outside {
        let clock = self.clone();
        let fill = |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(16) {
                chunk.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..chunk.len()]);
            }
        };
        let now = move || {
            assert!(!clock.broken.load(Ordering::SeqCst), "the clock is broken");
            clock.now()
        };
        Outside::new(now, fill)
    }
}

/// A host whose clock a test moves, and a service that takes [`TOKEN`] at `/me`.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) clock: Clock,
    pub(crate) upstream: Upstream,
    folder: tempfile::TempDir,
    config: Config,
}

pub(crate) fn root() -> Actor {
    Actor::administrator("root")
}

impl Stage {
    pub(crate) async fn set(change: impl FnOnce(&mut Config)) -> Self {
        Self::beside(&[], change).await
    }

    pub(crate) async fn beside(others: &[&Upstream], change: impl FnOnce(&mut Config)) -> Self {
        let upstream = Upstream::start();
        upstream.on("GET", "/me", me);
        let mut config = Config::default();
        config.egress.allow = std::iter::once(&upstream).chain(others.iter().copied()).map(Upstream::origin).collect();
        change(&mut config);
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::new());
        let host = open(folder.path(), &config, &clock).await;
        let component = tokio::task::spawn_blocking(|| components::read(BINARY, "http")).await.unwrap();
        host.install_connector(&root(), component).await.unwrap();
        // From here on it was there all the time.
        host.health_round().await;
        Self { host, clock, upstream, folder, config }
    }

    async fn restart(self, away: i64) -> Self {
        let Self { host, clock, upstream, folder, config } = self;
        host.settle_audit().await.unwrap();
        drop(host);
        clock.pass(away);
        let host = open(folder.path(), &config, &clock).await;
        Self { host, clock, upstream, folder, config }
    }

    pub(crate) async fn create(&self, new: Value) -> turnbuckle::ConnectionView {
        let new: NewConnection = serde_json::from_value(new).unwrap();
        self.host.create_connection(&root(), new).await.unwrap()
    }

    /// Makes so many connections that passed their test, and forgets the requests of that.
    pub(crate) async fn connected(&self, upstream: &Upstream, name: &str, many: usize) {
        futures_util::stream::iter(0..many)
            .map(|at| self.create(bearer(upstream, &format!("{name} {at}"))))
            .buffer_unordered(16)
            .for_each(|view| async move { assert_eq!(view.status, Status::Active, "{view:?}") })
            .await;
        upstream.forget();
    }

    pub(crate) fn health(&self) -> HealthReport {
        self.host.health(&root()).unwrap()
    }

    pub(crate) fn status(&self, key: &str) -> Status {
        self.host.connection(&root(), key).unwrap().status
    }

    /// Lets time pass and does what is due then; gives how many requests arrived at the service.
    pub(crate) async fn after(&self, seconds: i64) -> usize {
        let before = self.upstream.arrived().len();
        self.clock.pass(seconds);
        self.host.health_round().await;
        self.upstream.arrived().len() - before
    }

    /// How long it is until something is due.
    fn until_next(&self) -> i64 {
        self.health().next.expect("something is due").duration_since(self.clock.now()).as_secs()
    }
}

async fn open(data: &Path, config: &Config, clock: &Clock) -> Host {
    let builder = Host::builder(data).config(config.clone()).outside(clock.outside());
    builder.compiler(Compiler::Worker(BINARY.into())).open().await.unwrap()
}

pub(crate) fn me(arrived: &Arrived) -> Reply {
    Reply::status(if arrived.header("authorization") == format!("Bearer {TOKEN}") { 200 } else { 401 })
}

fn bearer(upstream: &Upstream, name: &str) -> Value {
    json!({
        "name": name, "connector": "http", "protocol": "bearer",
        "settings": {"url": upstream.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
    })
}

pub(crate) fn get(path: &str) -> http::Request<Body> {
    let body = Full::new(bytes::Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    http::Request::get(path).body(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_works_is_tested_once_a_day_by_the_host_itself() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 20).await;
    assert_eq!(stage.after(DAY * 9 / 10 - 1).await, 0, "none before its time");
    let mut at = Vec::new();
    for _ in 0..48 {
        at.push(stage.after(6 * MINUTE).await);
    }
    assert_eq!(at.iter().sum::<usize>(), 20, "each once: {at:?}");
    assert!(at.iter().filter(|arrived| **arrived > 0).count() > 8, "made together, and not together any more: {at:?}");
    let filter =
        AuditFilter { actor: Some("host".into()), action: Some("connection.test".into()), ..AuditFilter::default() };
    assert_eq!(stage.host.audit(&root(), &filter).await.unwrap().items.len(), 20, "and the audit says who");
    let health = stage.health();
    assert_eq!((health.done.passed, health.done.failed, health.due, health.connections.active), (20, 0, 0, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_degraded_is_tested_again_after_longer_and_longer() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 1).await;
    stage.upstream.on("GET", "/me", |_| Reply::status(503));
    stage.host.test_connection(&root(), "Orders 0").await.unwrap();
    for minutes in [1, 2, 5, 15, 60, 60] {
        let wait = stage.until_next();
        let least = minutes * MINUTE;
        assert!((least..=least + least / 4).contains(&wait), "{wait} s where {minutes} min were expected");
        assert_eq!(stage.after(wait - 1).await, 0);
        assert_eq!(stage.after(2).await, 1);
        assert_eq!(stage.status("Orders 0"), Status::Degraded);
    }
    stage.upstream.on("GET", "/me", me);
    let wait = stage.until_next();
    assert_eq!(stage.after(wait + 1).await, 1);
    assert_eq!(stage.status("Orders 0"), Status::Active);
    assert!(stage.until_next() >= DAY * 9 / 10, "one that works again waits as long as any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_for_rest_gets_it_for_all_of_its_connections() {
    let stage = Stage::set(|config| config.health.concurrency = Some(1)).await;
    stage.connected(&stage.upstream, "Orders", 5).await;
    stage.upstream.on("GET", "/me", |_| Reply::status(429).header("retry-after", "600"));
    stage.clock.pass(DAY * 12 / 10);
    assert_eq!(stage.after(0).await, 1);
    for _ in 0..9 {
        assert_eq!(stage.after(MINUTE).await, 0);
    }
    let health = stage.health();
    let waiting = &health.origins[0];
    assert_eq!((waiting.origin.as_str(), waiting.waiting), (stage.upstream.origin().as_str(), 4), "{health:?}");
    assert_eq!(waiting.held_by, Some(Holding::Resting));
    assert_eq!(waiting.until, Some(stage.clock.now() + SignedDuration::from_mins(1)));
    stage.upstream.on("GET", "/me", me);
    assert_eq!(stage.after(MINUTE + 1).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_while_it_is_paused_not_even_after_a_restart() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 3).await;
    let ada = Actor::new("ada", [Permission::ViewConnections, Permission::ManageSetup]);
    let paused = stage.host.pause_health(&ada).await.unwrap();
    assert_eq!((paused.state, paused.reason.as_deref()), (HealthState::Paused, Some("by ada")));
    assert_eq!(stage.after(2 * DAY).await, 0);
    let stage = stage.restart(HOUR).await;
    assert_eq!(stage.after(HOUR).await, 0);
    let health = stage.health();
    assert_eq!((health.state, health.due, health.waiting), (HealthState::Paused, 3, 3));
    stage.host.resume_health(&ada).await.unwrap();
    stage.after(0).await;
    stage.after(MINUTE).await;
    assert_eq!((stage.upstream.arrived().len(), stage.health().due), (3, 0));
    let nobody = Actor::new("bob", [Permission::ViewConnections]);
    assert!(stage.host.pause_health(&nobody).await.is_err(), "looking is not pausing");
    let filter = AuditFilter { action: Some("host".into()), ..AuditFilter::default() };
    let page = stage.host.audit(&root(), &filter).await.unwrap();
    let done: Vec<_> =
        page.items.iter().map(|record| (record.event.action.name(), record.event.actor.as_str())).collect();
    assert_eq!(
        done,
        [("host.pause-health", "bob"), ("host.resume-health", "ada"), ("host.pause-health", "ada")],
        "newest first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_origin_gets_more_than_its_share_and_none_waits_for_another() {
    let other = Upstream::start();
    other.on("GET", "/me", me);
    let stage = Stage::beside(&[&other], |config| config.health.per_origin_per_minute = Some(60)).await;
    stage.connected(&stage.upstream, "Orders", 40).await;
    stage.clock.pass(HOUR);
    stage.connected(&other, "Invoices", 2).await;
    stage.clock.pass(DAY * 12 / 10);
    let mut minute = Vec::new();
    for _ in 0..6 {
        minute.push(stage.after(10).await);
    }
    assert!(minute.iter().all(|arrived| *arrived <= 6), "{minute:?}");
    assert!((30..=40).contains(&minute.iter().sum::<usize>()), "{minute:?}");
    assert_eq!(other.arrived().len(), 2, "whoever waits for one service holds up no other");
    for _ in 0..6 {
        stage.after(10).await;
    }
    assert_eq!(stage.upstream.arrived().len(), 40, "and all get their turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_origin_is_asked_more_than_its_daily_budget_however_often_the_host_is_started() {
    let stage = Stage::set(|config| config.health.daily_budget = Some(10)).await;
    stage.connected(&stage.upstream, "Orders", 25).await;
    // To a midnight, and a little.
    stage.clock.pass(3 * DAY / 2 + 10);
    let mut arrived = stage.after(0).await + stage.after(HOUR).await;
    assert_eq!(arrived, 10);
    let health = stage.health();
    let waiting = &health.origins[0];
    assert_eq!((waiting.waiting, waiting.held_by), (15, Some(Holding::DailyBudget)), "{health:?}");
    assert_eq!(waiting.until.unwrap().duration_since(stage.clock.now()).as_hours(), 22);
    let stage = stage.restart(HOUR).await;
    for _ in 0..20 {
        arrived += stage.after(HOUR).await;
    }
    assert_eq!(arrived, 10, "the same day");
    // Those of the day before come first.
    let first = |name: String| stage.host.connection(&root(), &name).unwrap().verdict.unwrap().at;
    let tested = |stage: &Stage| {
        let made = stage.clock.seconds() - 3 * DAY;
        (0..25).filter(|at| first(format!("Orders {at}")).as_second() > made + DAY).count()
    };
    assert_eq!(tested(&stage), 10);
    for _ in 0..24 {
        arrived += stage.after(HOUR).await;
    }
    assert_eq!(arrived, 20);
    assert_eq!(tested(&stage), 20, "none a second time before all had their first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_overdue_at_a_start_is_spread_and_what_was_done_is_not_done_again() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 40).await;
    let mut stage = stage.restart(3 * DAY).await;
    let mut arrived = Vec::new();
    for _ in 0..4 {
        arrived.push(stage.after(5).await);
    }
    let before: usize = arrived.iter().sum();
    assert!((1..=25).contains(&before), "a few in the first seconds: {arrived:?}");
    stage = stage.restart(1).await;
    for _ in 0..20 {
        arrived.push(stage.after(5).await);
    }
    assert_eq!(arrived.iter().sum::<usize>(), 40, "each once, the restart in between notwithstanding: {arrived:?}");
    assert!(arrived.iter().all(|arrived| *arrived < 20), "never many at once: {arrived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_or_gone_is_not_asked() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 3).await;
    stage.host.enable_connection(&root(), "Orders 0", false).await.unwrap();
    stage.host.delete_connection(&root(), "Orders 1").await.unwrap();
    stage.clock.pass(2 * DAY);
    let mut gate = stage.upstream.hold("GET", "/me", me);
    let round = tokio::spawn({
        let host = stage.host.clone();
        async move { host.health_round().await }
    });
    let gate = tokio::task::spawn_blocking(move || {
        gate.wait_for(1);
        gate
    });
    let gate = gate.await.unwrap();
    assert_eq!(stage.health().under_way, 1);
    // Deleted while its check is under way.
    stage.host.delete_connection(&root(), "Orders 2").await.unwrap();
    gate.open();
    round.await.unwrap();
    assert_eq!(stage.upstream.arrived().len(), 1, "one was asked, for it was there when it was asked");
    let health = stage.health();
    assert_eq!((health.due, health.under_way, health.next, health.connections.disabled), (0, 0, None, 1), "{health:?}");
    // Switched on again it is looked at soon, for nobody looked at it since.
    stage.host.enable_connection(&root(), "Orders 0", true).await.unwrap();
    assert!(stage.until_next() <= MINUTE);
    assert_eq!(stage.after(MINUTE).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_hangs_stops_no_other() {
    let slow = Upstream::start();
    slow.on("GET", "/me", me);
    let stage = Stage::beside(&[&slow], |_| {}).await;
    stage.connected(&slow, "Slow", 1).await;
    stage.connected(&stage.upstream, "Orders", 5).await;
    stage.clock.pass(2 * DAY);
    let mut gate = slow.hold("GET", "/me", me);
    let hanging = tokio::spawn({
        let host = stage.host.clone();
        async move { host.health_round().await }
    });
    let gate = tokio::task::spawn_blocking(move || {
        gate.wait_for(1);
        gate
    });
    let gate = gate.await.unwrap();
    let others = || stage.health().done.passed;
    for _ in 0..1_000 {
        if others() == 5 {
            break;
        }
        tokio::task::yield_now().await;
        // A round beside it, as a server makes them.
        stage.host.health_round().await;
    }
    let health = stage.health();
    assert_eq!((health.done.passed, health.under_way), (5, 1), "{health:?}");
    gate.open();
    hanging.await.unwrap();
    assert_eq!((stage.health().done.passed, stage.health().under_way), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_went_well_is_as_good_as_a_test() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 2).await;
    stage.clock.pass(20 * HOUR);
    stage.host.send(&root(), "Orders 0", get("/me")).await.unwrap();
    stage.upstream.forget();
    assert_eq!(stage.after(10 * HOUR).await, 1, "only the one that nobody used");
    assert_eq!(stage.after(10 * HOUR).await, 0);
    assert_eq!(stage.after(10 * HOUR).await, 1, "and the other a day after it was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn private_connections_are_in_nobody_elses_numbers() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 1).await;
    let (ada, bob) = (Actor::administrator("ada"), Actor::new("bob", [Permission::ViewConnections]));
    let mut private = bearer(&stage.upstream, "Diary");
    private["visibility"] = json!("private");
    stage.host.create_connection(&ada, serde_json::from_value(private).unwrap()).await.unwrap();
    let seen = |actor: &Actor| {
        let health = stage.host.health(actor).unwrap();
        (health.connections.active, health.due, health.done.passed)
    };
    assert_eq!((seen(&ada), seen(&bob)), ((2, 0, 0), (1, 0, 0)));
    stage.clock.pass(2 * DAY);
    assert_eq!((seen(&ada), seen(&bob)), ((2, 2, 0), (1, 1, 0)));
    stage.after(0).await;
    assert_eq!((seen(&ada), seen(&bob)), ((2, 0, 2), (1, 0, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_holds_any_more_ends_what_runs_its_health() {
    let stage = Stage::set(|_| {}).await;
    let running = tokio::spawn(stage.host.run_health());
    assert_eq!(stage.health().state, HealthState::Running);
    let Stage { host, clock, folder, config, .. } = stage;
    drop(host);
    running.await.unwrap();
    open(folder.path(), &config, &clock).await;
}

#[test]
fn a_server_looks_after_what_became_due_while_it_was_away_and_says_so() {
    let upstream = Upstream::start();
    upstream.on("GET", "/me", me);
    let world = World::allowing(BINARY, &[upstream.origin()]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Three days ago.
    runtime.block_on(async {
        #[expect(clippy::disallowed_methods, reason = "the server that comes after goes by this machine's clock")]
        let now = Timestamp::now();
        let clock = Clock::beginning(now.as_second() - 3 * DAY);
        let mut config = Config::default();
        config.egress.allow = vec![upstream.origin()];
        let host = open(&world.data(), &config, &clock).await;
        let component = tokio::task::spawn_blocking(|| components::read(BINARY, "http")).await.unwrap();
        host.install_connector(&root(), component).await.unwrap();
        let new = serde_json::from_value(bearer(&upstream, "Orders")).unwrap();
        host.create_connection(&root(), new).await.unwrap();
    });
    upstream.forget();
    let asleep = world.json(&["health"]);
    assert_eq!((&asleep["state"], &asleep["due"]), (&json!("off"), &json!(1)), "{asleep:#}");
    assert!(upstream.arrived().is_empty(), "without a server nothing runs by itself");

    let mut gate = upstream.hold("GET", "/me", me);
    let server = world.serve();
    gate.wait_for(1);
    let busy = world.run(&["health"]).done().out;
    assert!(busy.contains("running") && busy.contains("1 under way, 0 waiting"), "{busy}");
    gate.open();
    let api = server.api();
    let done = (0..2_000).map(|_| api.get("/health").ended(200).json()).find(|health| health["done"]["passed"] == 1);
    let health = done.expect("the check ends");
    assert_eq!(
        (&health["state"], &health["due"], &health["connections"]["active"]),
        (&json!("running"), &json!(0), &json!(1))
    );

    let activity = api.get("/connections/Orders/activity").ended(200).json();
    let last = &activity["items"][0];
    assert_eq!(
        (&last["actor"], &last["action"], &last["outcome"]),
        (&json!("host"), &json!("connection.test"), &json!("done"))
    );
    assert_eq!(last["origins"], json!([upstream.origin()]));
    assert!(last["microseconds"].as_u64().unwrap() > 0);

    world.run(&["health", "pause"]).done();
    assert!(world.run(&["health"]).done().out.contains("paused: by administrator"));
    let found = world.json(&["doctor"]);
    let check = found["checks"].as_array().unwrap().iter().find(|check| check["name"] == "checks").unwrap();
    assert_eq!(check["detail"], "paused by administrator; none is due", "{found:#}");
    assert!(world.run(&["health", "resume"]).done().out.contains("running"));
}

#[test]
fn what_was_done_with_a_connection_is_listed_page_by_page_and_goes_with_it() {
    let scene = Scene::http();
    scene.connected("Orders");
    scene.connected("Others");
    for _ in 0..5 {
        scene.api.get("/connections/Orders/send?url=/me").ended(200);
    }
    scene.api.get("/connections/Others/send?url=/nowhere/secret-path?token=x").ended(404);
    let mut pages = vec![scene.api.get("/connections/Orders/activity?limit=3").ended(200).json()];
    while let Some(next) = pages.last().unwrap()["next"].as_str().map(str::to_owned) {
        pages.push(scene.api.get(&format!("/connections/Orders/activity?limit=3&cursor={next}")).ended(200).json());
    }
    let all: Vec<_> = pages.iter().flat_map(|page| page["items"].as_array().unwrap().clone()).collect();
    let actions: Vec<_> = all.iter().map(|done| done["action"].as_str().unwrap()).collect();
    let mut expected = vec!["connection.send"; 5];
    expected.extend(["connection.test", "connection.create"]);
    assert_eq!(actions, expected, "newest first, and nothing of another connection");
    assert!(all[..6].iter().all(|done| done["microseconds"].as_u64().is_some_and(|took| took > 0)), "{all:?}");
    let other = scene.api.get("/connections/Others/activity").ended(200);
    assert_eq!(other.json()["items"][0]["status"], 404);
    assert!(!other.text().contains("secret-path"), "a path is nobody's business: {}", other.text());
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=x", "cursor")] {
        let problem = scene.api.get(&format!("/connections/Orders/activity?{query}")).ended(422).json();
        assert_eq!(problem["problems"][0]["field"], field, "{problem:#}");
    }
    let table = scene.world.run(&["connection", "activity", "Orders", "--limit", "2"]).done();
    assert!(
        table.out.contains("send") && table.out.contains("done (200)") && table.out.contains(" ms"),
        "{}",
        table.out
    );
    scene.api.call(http::Method::DELETE, "/connections/Orders", &[], bytes::Bytes::new()).ended(204);
    scene.api.get("/connections/Orders/activity").ended(404);
}
