//! Tokens are renewed ahead of their end while nobody uses them: each once, by whatever clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use turnbuckle::{Progress, Status};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::health::{Clock, DAY, HOUR, MINUTE, Stage, get, root};

/// An authorization server and the service behind it, both by the test's clock. Refresh tokens are good once.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    lifetime: i64,
    /// Refresh token → whose it is, which one of his, and when it was given.
    refresh: BTreeMap<String, (usize, u32, i64)>,
    /// Access token → until when it is good.
    access: BTreeMap<String, i64>,
    /// Each one's last: until when it is good.
    last: BTreeMap<usize, i64>,
    /// How old each token was when it was renewed.
    pub(crate) ages: Vec<i64>,
    /// What should not have happened.
    pub(crate) wrong: Vec<String>,
    revoked: bool,
}

impl Tokens {
    pub(crate) fn give(&mut self, whose: usize, which: u32, now: i64) -> (String, String) {
        let (access, refresh) = (format!("access-{whose:04}-{which:04}"), format!("refresh-{whose:04}-{which:04}"));
        self.access.insert(access.clone(), now + self.lifetime);
        self.refresh.insert(refresh.clone(), (whose, which, now));
        self.last.insert(whose, now + self.lifetime);
        (access, refresh)
    }

    fn renew(&mut self, body: &str, now: i64) -> Reply {
        let given = body.split('&').find_map(|part| part.strip_prefix("refresh_token=")).unwrap_or_default();
        let refused = Reply::json(400, &json!({"error": "invalid_grant"}));
        if self.revoked {
            return refused;
        }
        let Some((whose, which, at)) = self.refresh.remove(given) else {
            self.wrong.push(format!("a second time, or never given: {body}"));
            return refused;
        };
        self.ages.push(now - at);
        let (access, refresh) = self.give(whose, which + 1, now);
        let answer = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": self.lifetime,
        });
        Reply::json(200, &answer)
    }

    pub(crate) fn use_of(&mut self, authorization: &str, now: i64) -> Reply {
        let token = authorization.trim_start_matches("Bearer ");
        if self.access.get(token).is_some_and(|until| now < *until) {
            return Reply::json(200, &json!({"login": "ada"}));
        }
        self.wrong.push(format!("an expired token: {token}"));
        Reply::status(401)
    }
}

/// Serves tokens of this lifetime, by this clock.
pub(crate) fn serve_tokens(upstream: &Upstream, clock: &Clock, lifetime: i64) -> Arc<Mutex<Tokens>> {
    let tokens = Arc::new(Mutex::new(Tokens { lifetime, ..Tokens::default() }));
    let (of, at) = (tokens.clone(), clock.clone());
    upstream.on("POST", "/token", move |arrived| of.lock().unwrap().renew(&arrived.text(), at.seconds()));
    let (of, at) = (tokens.clone(), clock.clone());
    upstream
        .on("GET", "/whoami", move |arrived| of.lock().unwrap().use_of(arrived.header("authorization"), at.seconds()));
    tokens
}

pub(crate) fn oauth(upstream: &Upstream, name: &str, (access, refresh): (String, String), expires: Timestamp) -> Value {
    json!({
        "name": name, "connector": "http", "protocol": "oauth2",
        "settings": {
            "url": upstream.origin(), "test-path": "/whoami", "authorization-server": upstream.origin(),
            "client-id": "c", "client-authentication": "none",
        },
        "tokens": {"secrets": {"access-token": access, "refresh-token": refresh}, "expires-at": expires.to_string()},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_live_through_an_hour_with_one_refresh_for_each_token() {
    const CONNECTIONS: usize = 1_000;
    const LIFETIME: i64 = 15 * MINUTE;
    let stage = Stage::set(|config| {
        config.health.concurrency = Some(256);
        config.health.per_origin_per_minute = Some(100_000);
        // The clock of the test passes at once, that of its sockets does not: a slow machine is no slow service.
        config.limits.connect_seconds = Some(120);
        config.limits.first_byte_seconds = Some(120);
        config.limits.between_bytes_seconds = Some(120);
    })
    .await;
    let tokens = serve_tokens(&stage.upstream, &stage.clock, LIFETIME);
    let expires = Timestamp::from_second(stage.clock.seconds() + LIFETIME).unwrap();
    let new: Vec<_> = (0..CONNECTIONS)
        .map(|at| {
            let given = tokens.lock().unwrap().give(at, 0, stage.clock.seconds());
            oauth(&stage.upstream, &format!("Idle {at}"), given, expires)
        })
        .collect();
    futures_util::stream::iter(new)
        .map(|new| stage.create(new))
        .buffer_unordered(16)
        .for_each(|view| async move { assert_eq!(view.status, Status::Active, "{view:?}") })
        .await;
    stage.upstream.remember_nothing();
    for _ in 0..360 {
        stage.clock.pass(10);
        stage.host.health_round().await;
        let (now, tokens) = (stage.clock.seconds(), tokens.lock().unwrap());
        let expired: Vec<_> = tokens.last.iter().filter(|(_, until)| **until <= now).collect();
        assert!(expired.is_empty(), "expired while nobody used it: {expired:?}");
    }
    {
        let tokens = tokens.lock().unwrap();
        assert_eq!(tokens.wrong, Vec::<String>::new());
        // A fifth of its life ahead, and up to as long again: never twice in a period, never at the last moment. On a slow machine
        // some find no place in a round and come in one of the next.
        let (least, most) = (LIFETIME * 3 / 5, LIFETIME * 4 / 5 + 60);
        let at_another_time: Vec<_> = tokens.ages.iter().filter(|age| !(least..=most).contains(age)).collect();
        assert_eq!(at_another_time, Vec::<&i64>::new());
        assert!((5 * CONNECTIONS..=6 * CONNECTIONS).contains(&tokens.ages.len()), "{}", tokens.ages.len());
        assert_eq!(tokens.refresh.len(), CONNECTIONS, "one is alive for each");
        assert_eq!(stage.health().done.renewed, tokens.ages.len() as u64);
    }
    // And each is ready when it is needed, without another word to the authorization server.
    let refreshed = tokens.lock().unwrap().ages.len();
    let root = root();
    futures_util::stream::iter(0..CONNECTIONS)
        .map(|at| {
            let (host, root) = (&stage.host, &root);
            async move { host.send(root, &format!("Idle {at}"), get("/whoami")).await }
        })
        .buffer_unordered(16)
        .try_for_each(|answer| async move {
            assert_eq!(answer.status(), 200);
            Ok(())
        })
        .await
        .unwrap();
    let tokens = tokens.lock().unwrap();
    assert_eq!((tokens.ages.len(), tokens.wrong.len()), (refreshed, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_while_nobody_looks_is_told_to_the_flows_and_left_to_a_person() {
    let stage = Stage::set(|_| {}).await;
    let tokens = serve_tokens(&stage.upstream, &stage.clock, HOUR);
    let given = tokens.lock().unwrap().give(0, 0, stage.clock.seconds());
    let expires = Timestamp::from_second(stage.clock.seconds() + HOUR).unwrap();
    stage.create(oauth(&stage.upstream, "Orders", given, expires)).await;
    let flow = json!({"name": "Nightly", "status": "active", "uses": [{"connection": "Orders", "used-as": "action"}]});
    stage.host.put_flow(&root(), "nightly", serde_json::from_value(flow).unwrap()).await.unwrap();
    tokens.lock().unwrap().revoked = true;
    stage.after(50 * MINUTE).await;
    assert_eq!(stage.status("Orders"), Status::NeedsReconnect);
    let rows = stage.host.connection_flows(&root(), "Orders").unwrap();
    assert_eq!((rows[0].progress, rows[0].last_tested), (Progress::Failed, Some(stage.clock.now())));
    let health = stage.health();
    assert_eq!((health.connections.needs_reconnect, health.done.not_renewed, health.next), (1, 1, None), "{health:?}");
    assert_eq!(stage.after(30 * DAY).await, 0, "nobody but a person can help");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_server_that_is_down_is_asked_again_and_the_token_outlives_it() {
    let stage = Stage::set(|_| {}).await;
    let tokens = serve_tokens(&stage.upstream, &stage.clock, HOUR);
    let given = tokens.lock().unwrap().give(0, 0, stage.clock.seconds());
    let expires = Timestamp::from_second(stage.clock.seconds() + HOUR).unwrap();
    stage.create(oauth(&stage.upstream, "Orders", given, expires)).await;
    stage.upstream.forget();
    stage.upstream.on("POST", "/token", |_| Reply::status(503));
    assert_eq!(stage.after(50 * MINUTE).await, 1);
    assert_eq!(stage.status("Orders"), Status::Active, "its token is still good");
    assert_eq!(stage.after(MINUTE - 1).await, 0);
    assert_eq!(stage.after(1).await, 1);
    let (of, at) = (tokens.clone(), stage.clock.clone());
    stage.upstream.on("POST", "/token", move |arrived| of.lock().unwrap().renew(&arrived.text(), at.seconds()));
    assert_eq!(stage.after(2 * MINUTE).await, 1);
    let health = stage.health();
    assert_eq!((health.done.renewed, health.done.not_renewed), (1, 2));
    assert_eq!(tokens.lock().unwrap().wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_used_before_it_goes_stale_though_nothing_expires() {
    let stage = Stage::set(|config| config.health.interval_minutes = Some(525_600)).await;
    let tokens = serve_tokens(&stage.upstream, &stage.clock, 90 * DAY);
    let given = tokens.lock().unwrap().give(0, 0, stage.clock.seconds());
    let expires = Timestamp::from_second(stage.clock.seconds() + 90 * DAY).unwrap();
    stage.create(oauth(&stage.upstream, "Orders", given, expires)).await;
    for _ in 0..8 * 14 {
        stage.after(6 * HOUR).await;
    }
    let ages: Vec<_> = tokens.lock().unwrap().ages.iter().map(|age| age / DAY).collect();
    assert!(ages.len() >= 3 && ages.iter().all(|days| (6..=7).contains(days)), "{ages:?}");
}
