//! Deliveries that fail, by a clock that a test turns: when they are tried again, when they are given up, what is told then.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use turnbuckle::config::Config;
use turnbuckle::{
    Actor, AuditFilter, Compiler, DeliveryFilter, DeliveryState, DeliveryView, Host, Outside, PutWebhook, Replay,
    WebhookView,
};
use turnbuckle_server::{ListenOptions, Server};
use turnbuckle_tests::components;
use turnbuckle_tests::receiver::{Message, Receiver};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::console::Desk;
use crate::scene::BINARY;

/// A host whose clock stands still unless it is turned.
struct Clockwork {
    clock: Arc<Mutex<Timestamp>>,
    /// Whoever asks for chance panics.
    broken: Arc<AtomicBool>,
    folder: tempfile::TempDir,
    service: Upstream,
}

impl Clockwork {
    fn new() -> Self {
        let clock = Arc::new(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap()));
        Self { clock, broken: Arc::default(), folder: tempfile::tempdir().unwrap(), service: Upstream::start() }
    }

    async fn open(&self, configure: impl FnOnce(&mut Config)) -> Host {
        let mut config = Config::default();
        config.egress.allow = vec![self.service.origin()];
        configure(&mut config);
        let (told, random) = (Arc::clone(&self.clock), Arc::new(Mutex::new(0_u64)));
        let broken = Arc::clone(&self.broken);
        let outside = Outside::new(
            move || *told.lock().unwrap(),
            move |bytes| {
                assert!(!broken.load(Ordering::SeqCst), "chance is broken");
                let mut counted = random.lock().unwrap();
                *counted += 1;
                let digest = Sha256::digest(counted.to_le_bytes());
                bytes.iter_mut().zip(digest.iter().cycle()).for_each(|(byte, fresh)| *byte = *fresh);
            },
        );
        let folder: &Path = self.folder.path();
        let builder = Host::builder(folder).config(config).compiler(Compiler::Worker(BINARY.into())).outside(outside);
        builder.open().await.unwrap()
    }

    fn turn(&self, seconds: i64) {
        let mut clock = self.clock.lock().unwrap();
        *clock = clock.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    async fn hook(&self, host: &Host, path: &str) {
        let put = PutWebhook { url: Some(format!("{}{path}", self.service.origin())), ..PutWebhook::default() };
        host.put_webhook(&root(), "shop", put).await.unwrap();
    }
}

/// A user who looks after webhooks as far as these permissions let it.
async fn carol(host: &Host, permissions: &[&str]) -> Actor {
    let sets = json!({"permissions": permissions});
    host.put_permission_set(&root(), "carols", serde_json::from_value(sets).unwrap()).await.unwrap();
    let user = json!({"permission-sets": ["carols"]});
    host.put_user(&root(), "carol", serde_json::from_value(user).unwrap()).await.unwrap();
    host.standing("carol").unwrap().unwrap()
}

/// Nothing arrives, however often it is looked whether something is due.
async fn stays_idle(receiver: &Receiver) {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..100 {
        looks.tick().await;
        assert!(receiver.is_idle(), "something arrived");
    }
}

fn root() -> Actor {
    Actor::administrator("root")
}

/// Tells one event.
async fn happen(host: &Host) {
    let component = tokio::task::spawn_blocking(|| components::read(BINARY, "http")).await.unwrap();
    host.install_connector(&root(), component).await.unwrap();
}

/// And another one each time.
async fn happen_again(host: &Host) {
    host.remove_connector(&root(), "http").await.unwrap();
    happen(host).await;
}

async fn next(receiver: &Arc<Receiver>) -> Message {
    let receiver = Arc::clone(receiver);
    tokio::task::spawn_blocking(move || receiver.next()).await.unwrap()
}

/// Looks until it is so.
async fn until(host: &Host, so: impl Fn(&WebhookView) -> bool) -> WebhookView {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..6_000 {
        let view = host.webhook(&root(), "shop").unwrap();
        if so(&view) {
            return view;
        }
        looks.tick().await;
    }
    panic!("{:#?}", host.webhook(&root(), "shop"));
}

fn deliveries(host: &Host, state: DeliveryState) -> Vec<DeliveryView> {
    let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    host.webhook_deliveries(&root(), "shop", &filter).unwrap().items
}

/// The one that waits, once it was tried so often.
async fn waiting(host: &Host, attempts: u32) -> DeliveryView {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..6_000 {
        if let Some(found) = deliveries(host, DeliveryState::Pending).into_iter().find(|one| one.attempts == attempts) {
            return found;
        }
        looks.tick().await;
    }
    panic!("{:#?}", deliveries(host, DeliveryState::Pending));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_fails_is_tried_for_most_of_a_day_and_given_up_then() {
    let works = Clockwork::new();
    let receiver = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(500)));
    let mut host = works.open(|_| {}).await;
    let mut delivering = host.deliver_webhooks();
    works.hook(&host, "/hook").await;
    happen(&host).await;
    let first = next(&receiver).await;
    let began = works.now();
    for (at, pause) in [5, 30, 120, 600, 3_600, 14_400, 43_200].into_iter().enumerate() {
        let delivery = waiting(&host, u32::try_from(at).unwrap() + 1).await;
        let due = delivery.next.unwrap().duration_since(works.now()).as_secs_f64();
        let pause = f64::from(pause);
        assert!((pause * 0.79..=pause * 1.21).contains(&due), "attempt {}: about {pause} s, not {due} s", at + 2);
        // Not a moment too early.
        works.turn(due as i64 - 1);
        assert_eq!(waiting(&host, u32::try_from(at).unwrap() + 1).await, delivery);
        if at == 2 {
            // It waits in the store, not in a process.
            drop((delivering, host));
            host = works.open(|_| {}).await;
            delivering = host.deliver_webhooks();
        }
        works.turn(2);
        let again = next(&receiver).await;
        assert_eq!((again.id(), &again.arrived.body), (first.id(), &first.arrived.body), "the same message");
        let at_second: i64 = again.arrived.header("webhook-timestamp").parse().unwrap();
        assert_eq!(at_second, works.now().as_second(), "each attempt says its own time");
    }
    let view = until(&host, |view| view.dead == 1).await;
    assert_eq!((view.pending, view.delivered, view.missed, view.enabled), (0, 0, 0, true));
    let hours = works.now().duration_since(began).as_hours();
    assert!((13..=21).contains(&hours), "{hours} hours");
    let dead = deliveries(&host, DeliveryState::Dead);
    assert_eq!((dead[0].attempts, dead[0].next, dead[0].problem.as_str()), (8, None, "the endpoint answered 500"));

    let back = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(200)));
    let replayed = host.replay_webhook(&root(), "shop", Replay { seq: None }).await.unwrap();
    assert_eq!((replayed.replayed, replayed.left), (1, 0));
    assert_eq!(next(&back).await.id(), first.id());
    let view = until(&host, |view| view.delivered == 1).await;
    assert_eq!((view.pending, view.dead), (0, 0));
    drop(delivering);
}

/// By a clock that stands where these begin.
const IN_TWO_MINUTES: (&str, f64) = ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0);

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_asks_for_time_gets_it_within_bounds() {
    for (asked, expected) in [("90", 90.0), ("1", 5.0), ("99999999", 43_200.0), ("soon", 5.0), IN_TWO_MINUTES] {
        let works = Clockwork::new();
        let receiver =
            Arc::new(Receiver::at(&works.service, "/hook", move |_| Reply::status(429).header("retry-after", asked)));
        let host = works.open(|_| {}).await;
        let delivering = host.deliver_webhooks();
        works.hook(&host, "/hook").await;
        happen(&host).await;
        next(&receiver).await;
        let due = waiting(&host, 1).await.next.unwrap().duration_since(works.now()).as_secs_f64();
        assert!((expected * 0.79..=expected * 1.21).contains(&due), "{asked}: {due}");
        drop(delivering);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_and_up_again_gets_everything_and_others_do_not_wait_for_it() {
    let works = Clockwork::new();
    let down = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(502)));
    let host = works.open(|_| {}).await;
    let delivering = host.deliver_webhooks();
    works.hook(&host, "/hook").await;
    happen(&host).await;
    happen_again(&host).await;
    let tried: Vec<_> = [next(&down).await, next(&down).await, next(&down).await].iter().map(Message::seq).collect();
    assert_eq!(tried, [1, 2, 3], "one that fails holds nobody up");
    until(&host, |view| view.pending == 3).await;
    let up = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(200)));
    happen_again(&host).await;
    let fresh: Vec<_> = [next(&up).await, next(&up).await].iter().map(Message::seq).collect();
    assert_eq!(fresh, [4, 5]);
    works.turn(10);
    let mut late: Vec<_> = [next(&up).await, next(&up).await, next(&up).await].iter().map(Message::seq).collect();
    late.sort_unstable();
    assert_eq!(late, [1, 2, 3]);
    let view = until(&host, |view| view.delivered == 5).await;
    assert_eq!((view.pending, view.dead, view.missed, view.behind), (0, 0, 0, 0));
    assert!(up.is_idle());
    drop(delivering);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_dropped_before_they_could_be_delivered_are_counted_and_told() {
    let works = Clockwork::new();
    let receiver = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(200)));
    let host = works.open(|config| config.events.keep_records = Some(2)).await;
    works.hook(&host, "/hook").await;
    // Nobody delivers yet: as after a long time without the host's server.
    happen(&host).await;
    for _ in 0..3 {
        happen_again(&host).await;
    }
    let delivering = host.deliver_webhooks();
    assert_eq!([next(&receiver).await.seq(), next(&receiver).await.seq()], [6, 7]);
    let view = until(&host, |view| view.delivered == 2).await;
    assert_eq!((view.missed, view.place.to_string().as_str()), (5, "7"));
    let told = AuditFilter { action: Some("webhook.overflow".into()), ..AuditFilter::default() };
    let told = host.audit(&root(), &told).await.unwrap().items;
    assert_eq!(told.len(), 1);
    let words = "5 events were dropped for their age before they could be delivered";
    assert_eq!(told[0].event.reason.as_deref(), Some(words));
    // Who delivers already is not joined by a second one.
    let second = host.deliver_webhooks();
    happen_again(&host).await;
    assert_eq!([next(&receiver).await.seq(), next(&receiver).await.seq()], [8, 9]);
    until(&host, |view| view.delivered == 4).await;
    assert!(receiver.is_idle());
    drop((second, delivering));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_dropped_delivers_no_more_and_its_data_can_be_opened_again() {
    let works = Clockwork::new();
    let receiver = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(200)));
    let host = works.open(|_| {}).await;
    let delivering = host.deliver_webhooks();
    works.hook(&host, "/hook").await;
    happen(&host).await;
    next(&receiver).await;
    until(&host, |view| view.delivered == 1).await;
    drop(host);
    let host = works.open(|_| {}).await;
    assert_eq!(host.webhook(&root(), "shop").unwrap().delivered, 1);
    happen_again(&host).await;
    assert!(receiver.is_idle(), "the guard of another host delivers nothing of this one");
    drop(delivering);
    let _delivering = host.deliver_webhooks();
    assert_eq!([next(&receiver).await.seq(), next(&receiver).await.seq()], [2, 3]);
    let bad = PutWebhook { url: Some("https://192.168.0.1/".into()), ..PutWebhook::default() };
    let refused = host.put_webhook(&root(), "home", bad).await.unwrap_err();
    assert!(refused.to_string().starts_with("url: "), "{refused}");
    assert_eq!(json!(host.webhooks(&root()).unwrap()).as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_wait_as_may_then_nothing_new_is_taken_and_nothing_is_lost() {
    const MOST: u64 = 1_000;
    let works = Clockwork::new();
    let down = Receiver::at(&works.service, "/hook", |_| Reply::status(503));
    let host = works.open(|_| {}).await;
    happen(&host).await;
    let new =
        json!({"name": "C", "connector": "http", "protocol": "none", "settings": {"url": works.service.origin()}});
    host.create_connection(&root(), serde_json::from_value(new).unwrap()).await.unwrap();
    works.hook(&host, "/hook").await;
    let begin: u64 = host.webhook(&root(), "shop").unwrap().place.to_string().parse().unwrap();
    for at in 0..MOST + 5 {
        host.enable_connection(&root(), "C", at % 2 == 1).await.unwrap();
    }
    let delivering = host.deliver_webhooks();
    let full = until(&host, |view| view.pending == MOST).await;
    assert_eq!(
        (full.behind, full.place.to_string()),
        (5, (begin + MOST).to_string()),
        "the others stay where they are"
    );
    let tried: Vec<_> = (0..MOST).map(|_| down.next().seq()).collect();
    assert_eq!(tried, (begin + 1..=begin + MOST).collect::<Vec<_>>());
    let up = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(200)));
    works.turn(10);
    let view = until(&host, |view| view.delivered == MOST + 5).await;
    assert_eq!((view.pending, view.dead, view.missed, view.behind), (0, 0, 0, 0));
    let mut arrived: Vec<_> = (0..MOST + 5).map(|_| up.next().seq()).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (begin + 1..=begin + MOST + 5).collect::<Vec<_>>(), "each once");
    assert!(down.is_idle() && up.is_idle());
    drop(delivering);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_delivered_while_the_owner_may_see_nothing_be_it_new_or_tried_before() {
    const ALL: [&str; 2] = ["manage-setup", "view-connections"];
    let works = Clockwork::new();
    let down = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(503)));
    let host = works.open(|_| {}).await;
    let delivering = host.deliver_webhooks();
    let owner = carol(&host, &ALL).await;
    let put = PutWebhook { url: Some(format!("{}/hook", works.service.origin())), ..PutWebhook::default() };
    host.put_webhook(&owner, "shop", put).await.unwrap();
    happen(&host).await;
    let tried = next(&down).await;
    waiting(&host, 1).await;
    let up = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(204)));
    carol(&host, &["manage-setup", "view-audit"]).await;
    works.turn(60);
    happen_again(&host).await;
    stays_idle(&up).await;
    let view = host.webhook(&root(), "shop").unwrap();
    assert_eq!((view.pending, view.delivered), (1, 0), "{view:?}");
    carol(&host, &ALL).await;
    let mut late: Vec<_> = [next(&up).await, next(&up).await, next(&up).await].iter().map(Message::seq).collect();
    late.sort_unstable();
    assert_eq!(late, [tried.seq(), tried.seq() + 1, tried.seq() + 2], "what was held back comes when it may");
    until(&host, |view| (view.pending, view.delivered, view.missed) == (0, 3, 0)).await;
    drop(delivering);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_from_further_on_skips_nothing_of_what_comes_before_it() {
    let works = Clockwork::new();
    let mut gate = works.service.hold("POST", "/hook", |_| Reply::status(204));
    let host = works.open(|_| {}).await;
    works.hook(&host, "/hook").await;
    for _ in 0..2 {
        happen(&host).await;
        host.remove_connector(&root(), "http").await.unwrap();
    }
    // Nobody delivers yet, and somebody asks for the last one.
    host.replay_webhook(&root(), "shop", Replay { seq: Some(4) }).await.unwrap();
    let delivering = host.deliver_webhooks();
    let gate = tokio::task::spawn_blocking(move || {
        gate.wait_for(1);
        gate
    });
    let gate = gate.await.unwrap();
    // It ends while the one that was asked for is under way, and again when it was delivered.
    let receiver = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(204)));
    gate.open();
    let next_one = next(&receiver).await;
    assert_eq!(next_one.seq(), 1, "what comes first is not passed over");
    drop((delivering, host));
    let host = works.open(|_| {}).await;
    let delivering = host.deliver_webhooks();
    let mut arrived: Vec<_> = Vec::new();
    while !arrived.contains(&3) {
        arrived.push(next(&receiver).await.seq());
    }
    assert!(arrived.contains(&2), "{arrived:?}");
    until(&host, |view| view.behind == 0 && view.pending == 0).await;
    drop(delivering);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_whose_deliveries_broke_off_by_a_fault_says_so_and_begins_again() {
    let works = Clockwork::new();
    let broken = Arc::clone(&works.broken);
    let receiver = Arc::new(Receiver::at(&works.service, "/hook", move |_| {
        // Where the next attempt is due is by chance.
        broken.store(true, Ordering::SeqCst);
        Reply::status(500)
    }));
    let host = works.open(|_| {}).await;
    let delivering = host.deliver_webhooks();
    works.hook(&host, "/hook").await;
    let options = ListenOptions {
        address: ([127, 0, 0, 1], 0).into(),
        data: works.folder.path().to_owned(),
        hosts: Vec::new(),
        public_url: None,
        open_metrics: false,
        callers: None,
        patience: None,
    };
    let server = Server::bind(host.clone(), options).await.unwrap();
    let (url, link) = (server.url().to_owned(), server.link());
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async { drop(ended.await) }));
    let mut desk = tokio::task::spawn_blocking(move || Desk::by(&url, &link)).await.unwrap();
    happen(&host).await;
    let first = next(&receiver).await;
    let view = until(&host, |view| view.fault.is_some()).await;
    let page = tokio::task::spawn_blocking(move || desk.get("/setup/webhooks/shop").ended(200).text()).await.unwrap();
    assert!(page.contains("Its deliveries broke off at 2026-01-01T00:00:00Z by a fault of this program"), "{page}");
    end.send(()).unwrap();
    serving.await.unwrap();
    let fault = view.fault.unwrap();
    assert!(
        fault.starts_with("its deliveries broke off at 2026-01-01T00:00:00Z by a fault of this program"),
        "{fault}"
    );
    works.broken.store(false, Ordering::SeqCst);
    let up = Arc::new(Receiver::at(&works.service, "/hook", |_| Reply::status(204)));
    stays_idle(&up).await;
    works.turn(2);
    assert_eq!(next(&up).await.id(), first.id(), "nothing is lost by it");
    until(&host, |view| view.delivered == 1).await;
    works.turn(3_600);
    assert_eq!(host.webhook(&root(), "shop").unwrap().fault, None, "what was long ago is not told");
    drop(delivering);
}
