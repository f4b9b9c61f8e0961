//! What holds checks back, and what becomes of those that broke off.

use jiff::Timestamp;
use serde_json::json;
use turnbuckle::Status;
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::health::{Clock, DAY, MINUTE, Stage, me};
use crate::health_tokens::{oauth, serve_tokens};

#[tokio::test(flavor = "multi_thread")]
async fn what_checks_renew_elsewhere_keeps_to_the_limits_of_that_place_too() {
    const LIFETIME: i64 = MINUTE;
    let (server, other) = (Upstream::start(), Upstream::start());
    let stage = Stage::beside(&[&server, &other], |config| config.health.per_origin_per_minute = Some(60)).await;
    let tokens = serve_tokens(&server, &stage.clock, LIFETIME);
    let expires = Timestamp::from_second(stage.clock.seconds() + LIFETIME).unwrap();
    for (service, name, first) in [(&stage.upstream, "Orders", 0), (&other, "Invoices", 20)] {
        let (of, at): (_, Clock) = (tokens.clone(), stage.clock.clone());
        service.on("GET", "/whoami", move |arrived| {
            of.lock().unwrap().use_of(arrived.header("authorization"), at.seconds())
        });
        for number in first..first + 20 {
            let given = tokens.lock().unwrap().give(number, 0, stage.clock.seconds());
            let mut new = oauth(service, &format!("{name} {number}"), given, expires);
            new["settings"]["authorization-server"] = json!(server.origin());
            assert_eq!(stage.create(new).await.status, Status::Active);
        }
    }
    // Nobody renews ahead what lives so shortly: each check finds its token over, and has a new one made.
    stage.clock.pass(DAY * 12 / 10);
    let (mut rounds, mut before) = (Vec::new(), 0);
    for _ in 0..180 {
        stage.after(10).await;
        let renewed = tokens.lock().unwrap().ages.len();
        rounds.push(renewed - before);
        before = renewed;
    }
    // A tenth of a minute's at once, from two services as from one.
    assert!(rounds.iter().all(|renewed| *renewed <= 6), "{rounds:?}");
    let health = stage.health();
    assert_eq!((health.done.passed, health.done.failed, health.connections.active), (40, 0, 40), "{health:?}");
    assert_eq!(
        (before, tokens.lock().unwrap().wrong.len()),
        (40, 0),
        "each waited for its turn, and none failed for it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_origin_has_no_more_than_half_of_what_is_done_at_once() {
    let slow = Upstream::start();
    slow.on("GET", "/me", me);
    let stage = Stage::beside(&[&slow], |config| config.health.concurrency = Some(4)).await;
    stage.connected(&slow, "Slow", 6).await;
    stage.clock.pass(MINUTE);
    stage.connected(&stage.upstream, "Orders", 4).await;
    stage.clock.pass(2 * DAY);
    let mut gate = slow.hold("GET", "/me", me);
    let hanging = tokio::spawn({
        let host = stage.host.clone();
        async move { host.health_round().await }
    });
    let gate = tokio::task::spawn_blocking(move || {
        gate.wait_for(2);
        gate
    });
    let gate = gate.await.unwrap();
    for _ in 0..1_000 {
        if stage.health().done.passed == 4 {
            break;
        }
        tokio::task::yield_now().await;
        let host = stage.host.clone();
        // A round that has something to do ends with it.
        let _round = tokio::spawn(async move { host.health_round().await });
    }
    let health = stage.health();
    assert_eq!((health.done.passed, health.under_way), (4, 2), "{health:?}");
    assert_eq!(slow.arrived().len(), 2, "the older ones of one service leave room for the others");
    gate.open();
    hanging.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_breaks_off_by_a_fault_is_put_off_and_counted_and_the_others_go_on() {
    let stage = Stage::set(|_| {}).await;
    stage.connected(&stage.upstream, "Orders", 1).await;
    stage.clock.pass(2 * DAY);
    let broken = stage.clock.broken.clone();
    stage.upstream.on("GET", "/me", move |_| {
        broken.store(true, std::sync::atomic::Ordering::SeqCst);
        Reply::status(200)
    });
    stage.host.health_round().await;
    stage.clock.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.upstream.on("GET", "/me", me);
    let health = stage.health();
    assert_eq!((health.faults, health.due, health.done.passed, health.under_way), (1, 0, 0, 0), "{health:?}");
    assert_eq!(stage.after(MINUTE - 1).await, 0, "it does not come up again at once");
    assert_eq!(stage.after(2).await, 1);
    let health = stage.health();
    assert_eq!((health.faults, health.done.passed), (1, 1), "{health:?}");
}
