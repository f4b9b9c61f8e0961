//! What people and flows do all day, by eight of them at once, each with connections of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use turnbuckle::{ActivityFilter, AuditFilter, Error, Host};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::stage::Stage;

const WORKERS: u64 = 8;
/// Between two steps of a worker: a machine that is never idle would measure its queue.
const PAUSE: Duration = Duration::from_millis(20);
const TOKEN: &str = "a-token-of-the-usual-length-0123456789abcd";

/// The service behind: it obeys a bearer token, gives tokens of half an hour, has bad days and takes webhooks.
pub(crate) fn answer(upstream: &Upstream) {
    upstream.remember_nothing();
    upstream.on("GET", "/me", |_| Reply::json(200, &json!({"login": "ada"})));
    upstream.on("GET", "/refuses", |_| Reply::json(401, &json!({"error": "no"})));
    let mut asked = 0_u32;
    upstream.on("GET", "/moody", move |_| {
        asked += 1;
        Reply::status(if asked.is_multiple_of(3) { 503 } else { 200 })
    });
    let mut given = 0_u64;
    upstream.on("POST", "/token", move |_| {
        given += 1;
        let token = format!("token-number-{given:020}");
        Reply::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": 1_800}))
    });
    let mut delivered = 0_u32;
    upstream.on("POST", "/webhook", move |_| {
        delivered += 1;
        Reply::status(if delivered.is_multiple_of(50) { 500 } else { 204 })
    });
}

/// What was done since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Of steps that talk to no service: how long each took.
    pub(crate) inside: Vec<Duration>,
    /// Of tests and sends.
    pub(crate) outside: Vec<Duration>,
    /// What should not have happened, one each of the first few.
    pub(crate) unexpected: Vec<String>,
}

type Shared = Arc<Mutex<Taken>>;

/// A load that goes on until it is stopped.
pub(crate) struct Load {
    taken: Shared,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Takes the figures away.
    pub(crate) fn taken(&self) -> Taken {
        std::mem::take(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets every worker finish its step, and waits for that.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Begins.
pub(crate) async fn begin(stage: &Stage) -> Load {
    let (taken, (stop, stopped)) = (Shared::default(), watch::channel(false));
    let webhook = made(json!({"url": format!("{}/webhook", stage.origin)}));
    stage.host.put_webhook(&stage.actor, "soak", webhook).await.expect("a webhook");
    let mut tasks = JoinSet::new();
    for number in 0..WORKERS {
        let worker = Worker {
            host: stage.host.clone(),
            actor: stage.actor.clone(),
            origin: stage.origin.clone(),
            number,
            dice: number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            cycles: 0,
        };
        worker.settle_in().await;
        tasks.spawn(worker.run(taken.clone(), stopped.clone()));
    }
    let mut events = stage.host.events(&stage.actor, None).expect("events are followed");
    let mut over = stopped;
    tasks.spawn(async move {
        // A reader that is too slow would be told; that it is not is a part of what is shown.
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(_event)) => {}
                    other => panic!("the stream of events ended: {other:?}"),
                },
                _stopped = over.changed() => break,
            }
        }
    });
    Load { taken, stop, tasks }
}

fn made<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("what the API takes")
}

struct Worker {
    host: Host,
    actor: turnbuckle::Actor,
    origin: Arc<str>,
    number: u64,
    dice: u64,
    cycles: u64,
}

/// One thing that a person or a flow does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Test,
    TestMoody,
    Send,
    SendByToken,
    Look,
    Page,
    Edit,
    Reconnect,
    Switch,
    CreateAndDelete,
    CreateRefused,
    Flow,
    Activity,
    Audit,
    UserAndToken,
    Export,
}

/// As often as they happen.
const STEPS: [Step; 32] = [
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::SendByToken,
    Step::SendByToken,
    Step::SendByToken,
    Step::SendByToken,
    Step::Test,
    Step::Test,
    Step::Test,
    Step::TestMoody,
    Step::Look,
    Step::Look,
    Step::Page,
    Step::Page,
    Step::Edit,
    Step::Edit,
    Step::Reconnect,
    Step::Switch,
    Step::CreateAndDelete,
    Step::CreateAndDelete,
    Step::CreateRefused,
    Step::Flow,
    Step::Activity,
    Step::Audit,
    Step::UserAndToken,
    Step::Export,
];

impl Worker {
    fn name(&self, of: &str) -> String {
        format!("{of} {}", self.number)
    }

    fn bearer(&self, name: &str, path: &str) -> Value {
        json!({
            "name": name, "connector": "http", "protocol": "bearer",
            "settings": {"url": &*self.origin, "test-path": path}, "secrets": {"token": TOKEN},
        })
    }

    /// Makes what it works on.
    async fn settle_in(&self) {
        let by_token = json!({
            "name": self.name("Token"), "connector": "http", "protocol": "oauth2-client-credentials",
            "settings": {
                "url": &*self.origin, "test-path": "/me", "authorization-server": &*self.origin, "client-id": "soak",
            },
            "secrets": {"client-secret": TOKEN},
        });
        let orders = self.bearer(&self.name("Orders"), "/me");
        let moody = self.bearer(&self.name("Moody"), "/moody");
        for new in [orders, moody, by_token] {
            self.host.create_connection(&self.actor, made(new)).await.expect("it is made");
        }
    }

    async fn run(mut self, taken: Shared, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let step = STEPS[(self.dice >> 33) as usize % STEPS.len()];
            let began = Instant::now();
            let done = self.step(step).await;
            let took = began.elapsed();
            {
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                match (step, done) {
                    (_, Err(error)) => taken.unexpected.push(format!("{step:?}: {error}")),
                    (Step::Test | Step::TestMoody | Step::Send | Step::SendByToken, Ok(())) => taken.outside.push(took),
                    (Step::Look | Step::Page | Step::Edit | Step::Switch, Ok(())) => taken.inside.push(took),
                    (_, Ok(())) => {}
                }
            }
            // Over when the load is stopped; until then the pause just passes.
            drop(tokio::time::timeout(PAUSE, stopped.changed()).await);
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Error> {
        let (host, actor, orders) = (self.host.clone(), self.actor.clone(), self.name("Orders"));
        match step {
            Step::Test => host.test_connection(&actor, &orders).await.map(drop),
            Step::TestMoody => host.test_connection(&actor, &self.name("Moody")).await.map(drop),
            Step::Send => self.send(&orders).await,
            Step::SendByToken => self.send(&self.name("Token")).await,
            Step::Look => host.connection(&actor, &orders).map(drop),
            Step::Page => host.connections(&actor, &made(json!({"limit": 50}))).map(drop),
            Step::Edit => self.edit(&orders).await,
            Step::Reconnect => {
                let reconnect = made(json!({"secrets": {"token": TOKEN}}));
                host.reconnect_connection(&actor, &orders, reconnect).await.map(drop)
            }
            Step::Switch => {
                let moody = self.name("Moody");
                host.enable_connection(&actor, &moody, false).await?;
                host.enable_connection(&actor, &moody, true).await.map(drop)
            }
            Step::CreateAndDelete => {
                let name = self.fresh("Short");
                host.create_connection(&actor, made(self.bearer(&name, "/me"))).await?;
                host.delete_connection(&actor, &name).await
            }
            Step::CreateRefused => {
                let name = self.fresh("Refused");
                host.create_connection(&actor, made(self.bearer(&name, "/refuses"))).await?;
                host.delete_connection(&actor, &name).await
            }
            Step::Flow => self.flow(&orders).await,
            Step::Activity => host.connection_activity(&actor, &orders, &ActivityFilter::default()).await.map(drop),
            Step::Audit => host.audit(&actor, &AuditFilter::default()).await.map(drop),
            Step::UserAndToken => self.user_and_token().await,
            Step::Export => host.export_definitions(&actor).map(drop),
        }
    }

    fn fresh(&mut self, of: &str) -> String {
        self.cycles += 1;
        format!("{of} {} {}", self.number, self.cycles)
    }

    async fn send(&self, through: &str) -> Result<(), Error> {
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get("/me").body(body).expect("a request");
        let answer = self.host.send(&self.actor, through, request).await?;
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a whole answer");
        Ok(())
    }

    async fn edit(&mut self, name: &str) -> Result<(), Error> {
        let version = self.host.connection(&self.actor, name)?.version;
        self.cycles += 1;
        let edit = made(json!({"version": version, "description": format!("Change {}", self.cycles)}));
        self.host.edit_connection(&self.actor, name, edit).await.map(drop)
    }

    async fn flow(&mut self, uses: &str) -> Result<(), Error> {
        let id = self.fresh("flow").replace(' ', "-");
        let flow = json!({
            "name": id, "status": "active",
            "uses": [{"connection": uses, "used-as": "action"}],
        });
        self.host.put_flow(&self.actor, &id, made(flow)).await?;
        self.host.open_flow(&self.actor, &id).await?;
        self.host.remove_flow(&self.actor, &id).await
    }

    async fn user_and_token(&mut self) -> Result<(), Error> {
        let name = self.fresh("user").replace(' ', "-");
        self.host.put_user(&self.actor, &name, made(json!({}))).await?;
        self.host.create_token(&self.actor, made(json!({"name": name, "user": name}))).await?;
        self.host.revoke_token(&self.actor, &name).await?;
        self.host.remove_user(&self.actor, &name).await
    }
}
