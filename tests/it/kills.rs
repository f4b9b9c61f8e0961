//! `kill -9` at any moment: the first start included, under creates, edits, refreshes, deletes and reads of the audit through the
//! HTTP API, and while the master key is renewed.
//!
//! The suite has some tens of kills. More of them: `cargo test --workspace --test it -- kills:: cycles=1000`.

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use fastrand::Rng;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::{Serving, World};

use crate::audit::whole;
use crate::scene::{BINARY, Scene, TOKEN, world};

/// What a failure repeats.
const SEED: u64 = 0x7475_726e;
const WORKERS: usize = 3;
/// Names that one of them uses. Few, so that each is made and deleted often.
const NAMES: usize = 6;
/// A kill comes within this time after the load began.
const WINDOW_MILLISECONDS: u64 = 300;

/// A number on the command line, as in `cycles=1000`.
fn asked_for(what: &str, usual: u64) -> u64 {
    let begin = format!("{what}=");
    std::env::args().find_map(|argument| argument.strip_prefix(&begin)?.parse().ok()).unwrap_or(usual)
}

/// Lets so much time pass, for a process that works meanwhile.
fn pass(time: Duration) {
    let (_never, told) = mpsc::channel::<()>();
    told.recv_timeout(time).ok();
}

/// A service that gives tokens to clients, and takes the newest one of each alone.
fn token_service(upstream: &Upstream) -> Newest {
    let newest: Newest = Arc::default();
    let giving = Arc::clone(&newest);
    upstream.on("POST", "/token", move |arrived| {
        let mut newest = giving.lock().unwrap();
        let number = newest.entry(arrived.header("authorization").to_owned()).or_default();
        *number += 1;
        let token = format!("{number}.{}", hex::encode(arrived.header("authorization")));
        Reply::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
    });
    let taking = Arc::clone(&newest);
    upstream.on("GET", "/whoami", move |arrived| {
        let token = arrived.header("authorization").trim_start_matches("Bearer ").to_owned();
        let newest = taking.lock().unwrap();
        let good = newest.iter().any(|(client, number)| token == format!("{number}.{}", hex::encode(client)));
        Reply::status(if good { 200 } else { 401 })
    });
    newest
}

/// What `POST /connections` takes for a client that signs in by itself.
fn robot(upstream: &Upstream, name: &str) -> Value {
    json!({
        "name": name, "connector": "http", "protocol": "oauth2-client-credentials",
        "settings": {
            "url": upstream.origin(), "test-path": "/whoami", "authorization-server": upstream.origin(),
            "token-path": "/token", "client-id": name, "client-authentication": "basic",
        },
        "secrets": {"client-secret": format!("secret-of-{name}")},
    })
}

/// What a connection may be found as: its description, or nothing where it is not there.
type Possible = Vec<Option<String>>;

/// What they work on.
#[derive(Clone, Copy)]
struct Load<'a> {
    url: &'a str,
    token: &'a str,
    origin: &'a str,
    /// The newest token of each client, by how it says who it is.
    newest: &'a Mutex<HashMap<String, u64>>,
}

/// A client that knows what it was told.
struct Worker {
    number: usize,
    rng: Rng,
    /// More than one where the answer never came.
    known: BTreeMap<String, Possible>,
    /// Changes that were acknowledged since the last look, as the audit has them.
    acknowledged: Vec<(&'static str, String)>,
    changes: u64,
}

impl Worker {
    fn new(number: usize) -> Self {
        let rng = Rng::with_seed(SEED + number as u64);
        Self { number, rng, known: BTreeMap::new(), acknowledged: Vec::new(), changes: 0 }
    }

    fn robot(&self) -> String {
        format!("robot-{}", self.number)
    }

    /// How its robot says who it is.
    fn client(&self) -> String {
        let name = self.robot();
        format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:secret-of-{name}")))
    }

    /// Works until nobody answers any more, or so many changes were made.
    fn work(&mut self, load: Load<'_>, most: u64) {
        let api = Api::new(load.url, Some(load.token));
        let until = self.changes + most;
        while self.changes < until && self.one(&api, load).is_some() {}
    }

    /// One thing of many. None where nobody answered.
    fn one(&mut self, api: &Api, load: Load<'_>) -> Option<()> {
        let name = format!("w{}-{}", self.number, self.rng.usize(..NAMES));
        let path = format!("/api/v1/connections/{name}");
        let there = self.known.get(&name).is_some_and(|possible| possible[0].is_some());
        self.changes += 1;
        let text = format!("change {}", self.changes);
        match self.rng.u8(..12) {
            0 => {
                // Its token is void: the next request renews it.
                *load.newest.lock().unwrap().entry(self.client()).or_default() += 1;
                let path = format!("/api/v1/connections/{}/send?url=/whoami", self.robot());
                asked(api, Method::GET, &path, &Value::Null)?.ended(200);
            }
            1 => drop(asked(api, Method::GET, "/api/v1/audit?limit=20", &Value::Null)?.ended(200)),
            2 => drop(asked(api, Method::GET, "/api/v1/audit/verify", &Value::Null)?.ended(200)),
            3..6 if there => {
                self.change("connection.delete", &name, None, 204, || asked(api, Method::DELETE, &path, &Value::Null))?
            }
            _ if there => {
                let view = asked(api, Method::GET, &path, &Value::Null)?.ended(200).json();
                let edit = json!({"version": view["version"], "description": text});
                self.change("connection.edit", &name, Some(text), 200, || asked(api, Method::PATCH, &path, &edit))?;
            }
            _ => {
                let new = json!({
                    "name": name, "description": text, "connector": "http", "protocol": "bearer",
                    "settings": {"url": load.origin, "test-path": "/me"}, "secrets": {"token": TOKEN},
                });
                let path = "/api/v1/connections";
                self.change("connection.create", &name, Some(text), 201, || asked(api, Method::POST, path, &new))?;
            }
        }
        Some(())
    }

    fn change(
        &mut self,
        action: &'static str,
        name: &str,
        becomes: Option<String>,
        status: u16,
        ask: impl FnOnce() -> Option<Answer>,
    ) -> Option<()> {
        let possible = self.known.entry(name.to_owned()).or_insert_with(|| vec![None]);
        match ask() {
            Some(answer) => {
                answer.ended(status);
                *possible = vec![becomes];
                self.acknowledged.push((action, name.to_owned()));
                Some(())
            }
            None => {
                possible.push(becomes);
                None
            }
        }
    }

    /// Finds every connection as it may be, and knows from now on which it is.
    fn look(&mut self, api: &Api, what: &str) -> usize {
        let mut there = 0;
        for (name, possible) in &mut self.known {
            let answer = api.get(&format!("/connections/{name}"));
            let found = match answer.status.as_u16() {
                404 => None,
                _ => Some(answer.ended(200).json()["description"].as_str().unwrap().to_owned()),
            };
            assert!(possible.contains(&found), "{what}: {name} is {found:?}, not one of {possible:?}");
            there += usize::from(found.is_some());
            *possible = vec![found];
        }
        api.get(&format!("/connections/{}/send?url=/whoami", self.robot())).ended(200);
        there
    }
}

fn asked(api: &Api, method: Method, path: &str, body: &Value) -> Option<Answer> {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    api.attempt(method, path, &[("content-type", "application/json")], body)
}

/// What the audit has behind this place: action and name, oldest first; and where it ends now.
fn recorded_behind(api: &Api, seen: u64) -> (Vec<(String, String)>, u64) {
    let (mut found, mut cursor, mut newest) = (Vec::new(), String::new(), seen);
    loop {
        let page = api.get(&format!("/audit?limit=200{cursor}")).ended(200).json();
        for record in page["items"].as_array().unwrap() {
            let seq = record["seq"].as_u64().unwrap();
            newest = newest.max(seq);
            if seq <= seen {
                found.reverse();
                return (found, newest);
            }
            let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if record["outcome"] == "done" {
                found.push((of(&record["action"]), of(&record["object"]["name"])));
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    found.reverse();
    (found, newest)
}

/// Robot → the newest token that it was given.
type Newest = Arc<Mutex<HashMap<String, u64>>>;

/// A scene in which workers have their robots.
fn manned() -> (Scene, Vec<Worker>, Newest) {
    let scene = Scene::http();
    scene.upstream.remember_nothing();
    let newest = token_service(&scene.upstream);
    let workers: Vec<_> = (0..WORKERS).map(Worker::new).collect();
    for worker in &workers {
        let made = scene.api.post("/connections", &robot(&scene.upstream, &worker.robot())).ended(201).json();
        assert_eq!(made["status"], "active", "{made:#}");
    }
    (scene, workers, newest)
}

#[test]
fn a_kill_at_any_moment_under_load_loses_nothing_that_was_acknowledged() {
    let cycles = asked_for("cycles", 20);
    let (mut scene, mut workers, newest) = manned();
    let mut rng = Rng::with_seed(SEED);
    let (_, mut seen) = recorded_behind(&scene.api, 0);
    let (mut changes, mut cut_off) = (0, 0);
    let origin = scene.upstream.origin();
    for cycle in 0..cycles {
        let (url, token) = (scene.server.url.clone(), scene.server.token.clone());
        let load = Load { url: &url, token: &token, origin: &origin, newest: &newest };
        thread::scope(|scope| {
            for worker in &mut workers {
                scope.spawn(move || worker.work(load, u64::MAX / 2));
            }
            pass(Duration::from_micros(rng.u64(..WINDOW_MILLISECONDS * 1_000)));
            scene.server.crash(&scene.world);
        });
        scene.api = scene.server.api();
        whole(&scene.api);
        let (recorded, newest_record) = recorded_behind(&scene.api, seen);
        seen = newest_record;
        let what = format!("cycle {cycle}");
        let mut there = WORKERS;
        for worker in &mut workers {
            cut_off += worker.known.values().filter(|possible| possible.len() > 1).count();
            there += worker.look(&scene.api, &what);
            for (action, name) in worker.acknowledged.drain(..) {
                changes += 1;
                let has = recorded.iter().any(|(did, of)| *did == action && *of == name);
                assert!(has, "{what}: {action} of {name} has no record");
            }
        }
        let listed = scene.api.get("/connections?limit=200").ended(200).json()["items"].as_array().unwrap().len();
        assert_eq!(listed, there, "{what}: nothing is there that nobody made");
    }
    assert!(changes > 0 && cut_off > 0, "{changes} changes were acknowledged in {cycles} cycles, {cut_off} cut off");
    println!("{cycles} kills under load: {changes} changes were acknowledged, {cut_off} cut off, none lost");
}

/// Starts a server on this directory and kills it after a while, ready or not.
fn killed_after(mut command: Command, time: Duration) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    pass(time);
    drop(child.kill());
    child.wait().unwrap();
}

fn serve(world: &World) -> Command {
    world.command(&["serve", "--listen", "127.0.0.1:0"])
}

#[test]
fn a_kill_at_any_moment_of_the_first_start_leaves_a_directory_that_starts() {
    let kills = asked_for("cycles", 16);
    let begun = Instant::now();
    drop(world().serve());
    let usual = begun.elapsed();
    let mut rng = Rng::with_seed(SEED);
    for kill in 0..kills {
        let world = world();
        // Some of them a second time.
        for _ in 0..rng.u8(1..3) {
            killed_after(serve(&world), usual.mul_f64(rng.f64()));
        }
        let server = world.serve();
        let api = server.api();
        whole(&api);
        let made = api.send(Method::PUT, "/flows/nightly", &json!({"name": "Nightly", "status": "draft"}));
        assert_eq!(made.status, 200, "kill {kill}: {}", made.text());
        server.stop();
        let strays: Vec<_> = std::fs::read_dir(world.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let leftover = strays.iter().filter(|name| name.to_string_lossy().contains(".new"));
        assert_eq!(leftover.count(), 0, "kill {kill}: {strays:?}");
    }
}

#[test]
fn a_kill_at_any_moment_while_the_master_key_is_renewed_leaves_every_secret_readable() {
    let kills = asked_for("cycles", 12);
    let mut scene = Scene::http();
    token_service(&scene.upstream);
    for number in 0..3 {
        scene.api.post("/connections", &robot(&scene.upstream, &format!("robot-{number}"))).ended(201);
    }
    // More than one batch of them.
    for number in 0..105 {
        let mut new = scene.bearer(&format!("c{number}"), TOKEN);
        new["settings"]["test-path"] = json!("/me");
        scene.api.post("/connections", &new).ended(201);
    }
    let begun = Instant::now();
    scene.api.post("/host/rotate-key", &json!({})).ended(200);
    let usual = begun.elapsed();
    let mut rng = Rng::with_seed(SEED);
    let (mut finished, mut cut_off) = (0, 0);
    let key = scene.world.data().join("master.key");
    let keys = || std::fs::read_to_string(&key).unwrap().lines().filter(|line| !line.starts_with('#')).count();
    for kill in 0..kills {
        let (url, token) = (scene.server.url.clone(), scene.server.token.clone());
        let asking = thread::spawn(move || {
            Api::new(&url, Some(&token)).attempt(Method::POST, "/api/v1/host/rotate-key", &[], Bytes::new()).is_some()
        });
        pass(usual.mul_f64(1.2 * rng.f64()));
        scene.server.crash(&scene.world);
        scene.api = scene.server.api();
        if asking.join().unwrap() {
            finished += 1;
        } else {
            cut_off += usize::from(keys() > 1);
        }
        whole(&scene.api);
        for number in [0, 1, 57, 99, 100, 101, 104] {
            let tested = scene.api.post(&format!("/connections/c{number}/test"), &json!({})).ended(200).json();
            assert_eq!(tested["status"], "active", "kill {kill}, c{number}: {tested:#}");
        }
        for number in 0..3 {
            let sent = scene.api.get(&format!("/connections/robot-{number}/send?url=/whoami"));
            assert_eq!(sent.status, 200, "kill {kill}: {}", sent.text());
        }
        // It takes up where it was cut off, and forgets the old key at the end.
        if rng.bool() {
            scene.api.post("/host/rotate-key", &json!({})).ended(200);
            assert_eq!(keys(), 1, "kill {kill}");
        }
    }
    scene.api.post("/host/rotate-key", &json!({})).ended(200);
    assert_eq!(keys(), 1);
    for number in 0..105 {
        let tested = scene.api.post(&format!("/connections/c{number}/test"), &json!({})).ended(200).json();
        assert_eq!(tested["status"], "active", "c{number}: {tested:#}");
    }
    println!("{kills} kills in a rotation: {finished} finished before, {cut_off} cut off with two keys");
}

/// What a backup holds, on another machine.
fn restored(scene: &Scene, copy: &std::path::Path) -> (World, Serving) {
    let mut world = World::new(BINARY);
    world.set("TURNBUCKLE_EGRESS_ALLOW", &scene.upstream.origin());
    let key = scene.world.data().join("master.key");
    world.run(&["restore", copy.to_str().unwrap(), "--key", key.to_str().unwrap()]).done();
    let server = world.serve();
    (world, server)
}

#[test]
fn a_backup_under_load_is_of_one_moment() {
    let (scene, mut workers, newest) = manned();
    let origin = scene.upstream.origin();
    let (url, token) = (scene.server.url.clone(), scene.server.token.clone());
    // Each flow uses what is there already, so a flow without its connection would be of two moments.
    for number in 0..3 {
        let uses = json!([{"connection": format!("robot-{number}"), "used-as": "action", "step": "one"}]);
        let flow = json!({"name": format!("Flow {number}"), "status": "active", "uses": uses});
        scene.api.send(Method::PUT, &format!("/flows/f{number}"), &flow).ended(200);
    }
    let load = Load { url: &url, token: &token, origin: &origin, newest: &newest };
    let copies: Vec<_> = (0..4).map(|number| scene.world.work().join(format!("copy-{number}"))).collect();
    thread::scope(|scope| {
        let working: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(move || worker.work(load, 60))).collect();
        for copy in &copies {
            scene.api.post("/host/backup", &json!({"path": copy})).ended(204);
        }
        for worker in working {
            worker.join().unwrap();
        }
    });
    for copy in &copies {
        let (_world, server) = restored(&scene, copy);
        let api = server.api();
        whole(&api);
        // What the audit says was done is there, and nothing else.
        let mut expected = BTreeMap::new();
        for (action, name) in recorded_behind(&api, 0).0 {
            match action.as_str() {
                "connection.create" => drop(expected.insert(name, ())),
                "connection.delete" => drop(expected.remove(&name)),
                _ => {}
            }
        }
        let listed = api.get("/connections?limit=200").ended(200).json();
        let mut names: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(names, expected.into_keys().collect::<Vec<_>>(), "{}", copy.display());
        for number in 0..3 {
            let flows = api.get(&format!("/connections/robot-{number}/flows")).ended(200).json();
            assert_eq!(flows.as_array().unwrap().len(), 1, "{flows:#}");
            api.get(&format!("/connections/robot-{number}/send?url=/whoami")).ended(200);
        }
        for name in names.iter().filter(|name| name.starts_with('w')) {
            let tested = api.post(&format!("/connections/{name}/test"), &json!({})).ended(200).json();
            assert_eq!(tested["status"], "active", "{}: {tested:#}", copy.display());
        }
    }
}
