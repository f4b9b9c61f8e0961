//! What principals obtained is looked after like what connections did, and what became of it is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use turnbuckle::{PrincipalView, Status};
use turnbuckle_tests::upstream::{Arrived, Reply};

use crate::health::{DAY, HOUR, MINUTE, Stage, root};
use crate::scene::TOKEN;

/// A token endpoint, and the service behind it.
#[derive(Clone, Default)]
struct Robots {
    /// How many tokens it gave.
    given: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    locked_out: Arc<AtomicBool>,
}

impl Robots {
    fn serve(stage: &Stage) -> Self {
        let robots = Self::default();
        let (here, there) = (robots.clone(), robots.clone());
        stage.upstream.on("POST", "/oauth/token", move |_arrived: &Arrived| {
            here.asked.fetch_add(1, Ordering::SeqCst);
            if here.locked_out.load(Ordering::SeqCst) {
                return Reply::json(401, &json!({"error": "invalid_client", "error_description": "locked out"}));
            }
            let number = here.given.fetch_add(1, Ordering::SeqCst) + 1;
            Reply::json(200, &json!({"access_token": format!("token-{number:04}"), "expires_in": HOUR}))
        });
        stage.upstream.on("GET", "/me", move |arrived| {
            let newest = format!("Bearer token-{:04}", there.given.load(Ordering::SeqCst));
            let good = arrived.header("authorization") == newest && !there.locked_out.load(Ordering::SeqCst);
            if good { Reply::json(200, &json!({"login": "robot"})) } else { Reply::status(401) }
        });
        robots
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn put_robot(stage: &Stage) {
    let origin = stage.upstream.origin();
    let credential = json!({
        "protocol": "oauth2-client-credentials",
        "settings": {"token-url": format!("{origin}/oauth/token"), "client-id": "robot"},
        "secrets": {"client-secret": TOKEN},
    });
    let put = serde_json::from_value(json!({"url": origin, "credential": credential})).unwrap();
    stage.host.put_named_credential(&root(), "robot", put).await.unwrap();
}

fn robot(stage: &Stage) -> PrincipalView {
    stage.host.principal(&root(), "robot").unwrap()
}

fn by_name(name: &str) -> Value {
    json!({"name": name, "connector": "http", "named-credential": "robot", "settings": {"test-path": "/me"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_principal_obtained_is_renewed_ahead_while_nobody_uses_it() {
    let stage = Stage::set(|_| {}).await;
    let robots = Robots::serve(&stage);
    put_robot(&stage).await;
    assert_eq!(robots.asked(), 1);
    let minute = |at: i64| (at, robots.asked());
    let mut renewed = Vec::new();
    for at in 1..=5 * 60 {
        let before = robots.asked();
        stage.after(MINUTE).await;
        if robots.asked() > before {
            renewed.push(minute(at));
        }
        assert!(robot(&stage).expires_at.unwrap() > stage.clock.now(), "it ran out after {at} minutes: {renewed:?}");
    }
    let first = renewed[0].0;
    assert!((40..=50).contains(&first), "a sixth to a third of its life before its end: {renewed:?}");
    assert!((5..=8).contains(&renewed.len()), "once in each life: {renewed:?}");
    assert_eq!(stage.health().done.renewed, renewed.len() as u64);
    // Whoever set it up sees that it is planned; somebody else sees no number of it.
    assert!(stage.health().next.is_some());
    let other = turnbuckle::Actor::new("bob", [turnbuckle::Permission::ViewConnections]);
    let seen = stage.host.health(&other).unwrap();
    assert_eq!((seen.next, seen.done.renewed), (None, 0), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_that_is_rejected_in_use_says_so_and_what_to_do() {
    let stage = Stage::set(|_| {}).await;
    let robots = Robots::serve(&stage);
    put_robot(&stage).await;
    assert_eq!(stage.create(by_name("Orders")).await.status, Status::Active);
    assert_eq!((robot(&stage).authenticated, robot(&stage).problem), (true, None));
    robots.locked_out.store(true, Ordering::SeqCst);
    let tested = stage.host.test_connection(&root(), "Orders").await.unwrap();
    assert_ne!(tested.status, Status::Active);
    let rejected = robot(&stage);
    let problem = rejected.problem.unwrap();
    assert!(!rejected.authenticated && problem.contains("locked out"), "{problem}");
    assert!(problem.contains("turnbuckle setup principal authorize robot"), "{problem}");
    assert!(!stage.host.named_credential(&root(), "robot").unwrap().authenticated);
    let asked = robots.asked();
    for _ in 0..12 {
        stage.clock.pass(HOUR);
        stage.host.health_round().await;
    }
    assert_eq!(robots.asked(), asked, "nobody renews ahead what a person has to look after");
    // It is tried again when somebody says so, and then it is as it was.
    robots.locked_out.store(false, Ordering::SeqCst);
    let again = serde_json::from_value(json!({})).unwrap();
    stage.host.authorize_principal(&root(), "robot", None, again).await.unwrap();
    assert_eq!((robot(&stage).authenticated, robot(&stage).problem), (true, None));
    assert_eq!(stage.host.test_connection(&root(), "Orders").await.unwrap().status, Status::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_puts_a_principal_as_it_is_obtains_nothing_anew() {
    let stage = Stage::set(|_| {}).await;
    let robots = Robots::serve(&stage);
    put_robot(&stage).await;
    put_robot(&stage).await;
    let put = async |body: Value| {
        stage.host.put_principal(&root(), "robot", serde_json::from_value(body).unwrap()).await.unwrap();
    };
    put(json!({})).await;
    put(json!({"label": "Robot", "settings": {"client-id": "robot"}, "secrets": {"client-secret": TOKEN}})).await;
    assert_eq!(robots.asked(), 1, "nothing changed");
    put(json!({"secrets": {"client-secret": "another-secret"}})).await;
    assert_eq!(robots.asked(), 2, "another secret is another sign-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_by_a_named_credential_that_failed_is_looked_at_again_for_it_may_have_been_mended() {
    let stage = Stage::set(|_| {}).await;
    let robots = Robots::serve(&stage);
    put_robot(&stage).await;
    stage.create(by_name("Orders")).await;
    robots.locked_out.store(true, Ordering::SeqCst);
    stage.host.test_connection(&root(), "Orders").await.unwrap();
    let failed = stage.status("Orders");
    assert!(matches!(failed, Status::NeedsReconnect | Status::Inactive), "{failed:?}");
    // The operator mends it, and nobody thinks of the connection.
    robots.locked_out.store(false, Ordering::SeqCst);
    stage.clock.pass(DAY * 12 / 10);
    stage.host.health_round().await;
    assert_eq!(stage.status("Orders"), Status::Active);
}
