//! Events: what happens is told in its order, to those who may see it, as pages, as a stream, to a command and to an embedder.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use turnbuckle::config::Config;
use turnbuckle::{Actor, Compiler, Error, Event, EventCursor, EventType, Host, Permission, PutFlow};
use turnbuckle_tests::api::{Answer, Api, Sent};
use turnbuckle_tests::upstream::Reply;
use turnbuckle_tests::world::{Ran, Waiting};

use crate::oauth::Stage;
use crate::scene::{BINARY, Scene, TOKEN, by_guest, install, world, wrong_fields};
use crate::users::{WORKS, delete, put, user};

/// Everything that a client may see, from the oldest on.
pub(crate) fn all(api: &Api) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/events?limit=100{after}")).ended(200).json();
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        after = format!("&after={}", page["next"]);
        if page["more"] == false {
            return found;
        }
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

fn act(api: &Api, path: &str) -> Answer {
    api.send(Method::POST, path, &Value::Null)
}

#[test]
fn what_happens_to_a_connection_is_told_in_its_order_and_holds_no_secret() {
    let scene = Scene::http();
    let api = &scene.api;
    scene.connected("Orders");
    let flow = json!({"name": "Nightly", "status": "active",
        "uses": [{"connection": "Orders", "used-as": "action", "step": "first"}]});
    put(api, "/flows/nightly", &flow).ended(200);
    // The same verdict once more is no news.
    act(api, "/connections/Orders/test").ended(200);
    let edited = json!({"version": 1, "description": "all of them"});
    api.send(Method::PATCH, "/connections/Orders", &edited).ended(200);
    let bad = json!({"secrets": {"token": "another-token-that-is-wrong"}, "version": 2});
    api.send(Method::PATCH, "/connections/Orders", &bad).ended(200);
    act(api, "/connections/Orders/test").ended(200);
    let again = json!({"secrets": {"token": TOKEN}});
    assert_eq!(api.post("/connections/Orders/reconnect", &again).ended(200).json()["replaced"], true);
    act(api, "/connections/Orders/disable").ended(200);
    act(api, "/connections/Orders/enable").ended(200);
    delete(api, "/flows/nightly").ended(204);
    delete(api, "/connections/Orders").ended(204);

    let events = all(api);
    assert_eq!(
        types(&events),
        [
            "connector.installed",
            "connection.created",
            "connection.verdict-changed",
            "connection.changed",
            "connection.changed",
            "flow.alert",
            "connection.verdict-changed",
            "connection.needs-reconnect",
            "flow.alert",
            "connection.changed",
            "connection.verdict-changed",
            "connection.changed",
            "connection.changed",
            "connection.deleted",
        ]
    );
    assert_eq!(numbers(&events), (1..=14).collect::<Vec<_>>());
    let of = |at: usize, path: &str| events[at - 1]["data"].pointer(path).cloned().unwrap_or_default();
    assert_eq!((of(2, "/name"), of(2, "/status")), (json!("Orders"), json!("inactive")));
    assert_eq!((of(3, "/before"), of(3, "/after")), (json!({"status": "inactive"}), json!({"status": "active"})));
    assert_eq!((of(4, "/change"), of(4, "/fields")), (json!("edited"), json!(["description"])));
    assert_eq!((of(5, "/fields"), of(5, "/status")), (json!(["token"]), json!("inactive")));
    let failing = json!({"flow": "nightly", "name": "Nightly", "connection": of(2, "/connection"), "steps": ["first"],
        "state": "failing", "failure": "unauthorized"});
    assert_eq!(events[5]["data"], failing);
    assert_eq!(of(7, "/after"), json!({"status": "needs-reconnect", "failure": "unauthorized"}));
    assert_eq!(of(8, "/failure"), "unauthorized");
    assert_eq!(of(9, "/state"), "recovered");
    assert_eq!((of(10, "/change"), of(10, "/version")), (json!("reconnected"), json!(4)));
    assert_eq!(of(11, "/before/status"), "needs-reconnect");
    assert_eq!((of(12, "/change"), of(12, "/status")), (json!("disabled"), json!("disabled")));
    assert_eq!((of(13, "/change"), of(13, "/status")), (json!("enabled"), json!("active")));
    assert_eq!(events[0]["data"]["name"], "http");
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 14, "each is known by an id of its own");
    assert_eq!(all(api), events, "which stays");
    let text = serde_json::to_string(&events).unwrap();
    for secret in [TOKEN, "another-token-that-is-wrong"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn connectors_upgrades_and_transfers_are_told_too() {
    let scene = Scene::with(&["narrow"]);
    let api = &scene.api;
    user(&scene.server, "ada", &WORKS);
    scene.upstream.on("GET", "/", |_arrived| Reply::status(200));
    by_guest(&scene, "Orders", "upgradable", "none", &json!({}), &json!({})).ended(201);
    api.post("/connections/Orders/transfer", &json!({"to": "ada"})).ended(200);
    install(api, "wide");
    let upgrade = json!({"to": "2.0.0", "accept": true});
    assert_eq!(api.post("/connectors/upgradable/upgrade", &upgrade).ended(200).json()["connections"][0]["moved"], true);
    delete(api, "/connectors/upgradable@1.0.0").ended(204);
    let told = all(api);
    assert_eq!(
        types(&told),
        [
            "connector.installed",
            "connection.created",
            "connection.verdict-changed",
            "connection.changed",
            "connector.installed",
            "connection.changed",
            "connection.verdict-changed",
            "connector.upgraded",
            "connector.removed",
        ]
    );
    let data = |at: usize| &told[at - 1]["data"];
    assert_eq!((&data(4)["change"], &data(4)["owner"]), (&json!("transferred"), &json!("ada")));
    assert_eq!((&data(5)["version"], &data(5)["before"]), (&json!("2.0.0"), &json!("1.0.0")));
    assert_eq!((&data(6)["change"], &data(6)["connector-version"]), (&json!("upgraded"), &json!("2.0.0")));
    let digest = &data(5)["digest"];
    let upgraded = json!({"name": "upgradable", "version": "2.0.0", "digest": digest, "moved": 1, "attention": 0});
    assert_eq!(*data(8), upgraded);
    assert_eq!((&data(9)["version"], &data(9)["digest"]), (&json!("1.0.0"), &data(1)["digest"]));
}

#[test]
fn an_upgrade_tells_everybody_nothing_of_private_connections() {
    let scene = Scene::with(&["narrow"]);
    let api = &scene.api;
    let ada = user(&scene.server, "ada", &WORKS);
    scene.upstream.on("GET", "/", |_arrived| Reply::status(200));
    let new = |name: &str, visibility: &str| {
        json!({
            "name": name, "connector": "upgradable", "protocol": "none", "visibility": visibility,
            "settings": {"url": scene.upstream.origin()},
        })
    };
    ada.post("/connections", &new("Diary", "private")).ended(201);
    install(api, "wide");
    let upgrade = json!({"to": "2.0.0", "accept": true});
    api.post("/connectors/upgradable/upgrade", &upgrade).ended(200);
    assert!(!types(&all(api)).contains(&"connector.upgraded"), "there is nothing that everybody may know");
    // A new one is made with the newest version, so both go back.
    ada.post("/connections", &new("Orders", "shared")).ended(201);
    api.post("/connectors/upgradable@2.0.0/upgrade", &json!({"to": "1.0.0", "accept": true})).ended(200);
    for who in [api, &ada] {
        let told = all(who);
        let upgraded: Vec<_> = told.iter().filter(|event| event["type"] == "connector.upgraded").collect();
        assert_eq!(upgraded.len(), 1, "{told:#?}");
        assert_eq!((&upgraded[0]["data"]["moved"], &upgraded[0]["data"]["attention"]), (&json!(1), &json!(0)));
    }
}

#[test]
fn a_renewed_credential_is_told_with_its_time_and_not_with_its_value() {
    let Some(stage) = Stage::set("events of a renewal") else { return };
    let tokens = stage.oidc.mint("ada");
    let mut new = stage.waiting("Orders");
    let secrets = json!({"access-token": tokens.access, "refresh-token": tokens.refresh});
    new["tokens"] = json!({"secrets": secrets, "expires-at": "2001-01-01T00:00:00Z"});
    stage.api.post("/connections", &new).ended(201);
    let told = all(&stage.api);
    assert_eq!(types(&told)[1..], ["connection.created", "connection.refreshed", "connection.verdict-changed"]);
    let expires = stage.api.get("/connections/Orders").ended(200).json()["credential"]["expires-at"].clone();
    assert_eq!(told[2]["data"]["expires-at"], expires);
    let text = serde_json::to_string(&told).unwrap();
    assert!(stage.oidc.alive().iter().chain([&tokens.access]).all(|token| !text.contains(token.as_str())), "{text}");
}

#[test]
fn a_stream_goes_on_behind_the_last_event_that_was_seen_without_gap_or_duplicate() {
    let scene = Scene::http();
    let mut first = scene.api.follow("/events", &[]);
    assert_eq!(first.headers["content-type"], "text/event-stream");
    let begun = first.block().unwrap();
    assert_eq!((begun.id.as_str(), begun.comment.as_str()), ("1", "still here"), "it says at once from where on");
    scene.connected("One");
    let seen = first.events(1).remove(0);
    assert_eq!((seen.id.as_str(), seen.event.as_str()), ("2", "connection.created"));
    assert_eq!(seen.json()["data"]["name"], "One");
    drop(first);
    scene.connected("Two");
    let mut second = scene.api.follow("/events?after=1", &[("last-event-id", &seen.id)]);
    let mut seen = second.events(3);
    // It is live by now.
    scene.connected("Three");
    seen.extend(second.events(2));
    let ids: Vec<_> = seen.iter().map(|sent| sent.id.as_str()).collect();
    assert_eq!(ids, ["3", "4", "5", "6", "7"]);
    let told: Vec<_> = seen.iter().map(Sent::json).collect();
    assert_eq!(told, all(&scene.api)[2..], "a page says the same");

    let wrong =
        scene.api.call(Method::GET, "/events", &[("accept", "text/event-stream"), ("last-event-id", "x")], "".into());
    assert_eq!(wrong_fields(&wrong.ended(422).json()), ["last-event-id"]);
    scene.api.get("/events?after=99").ended(409);
}

#[test]
fn a_filter_lets_through_what_it_names() {
    let scene = Scene::http();
    let mut created = scene.api.follow("/events?type=connection.created,connector", &[]);
    scene.connected("One");
    scene.connected("Two");
    delete(&scene.api, "/connections/Two").ended(204);
    let names = |sent: &Sent| sent.json()["data"]["name"].clone();
    assert_eq!(created.events(2).iter().map(names).collect::<Vec<_>>(), ["One", "Two"]);
    let page = |query: &str| scene.api.get(&format!("/events?{query}")).ended(200).json();
    let one = page("connection=one");
    assert_eq!(types(one["items"].as_array().unwrap()), ["connection.created", "connection.verdict-changed"]);
    let gone = created_id(&scene.api, "Two");
    let of_gone = page(&format!("connection={gone}&type=connection.deleted"));
    assert_eq!(of_gone["items"].as_array().unwrap().len(), 1);
    let (first, rest) = (page("limit=2"), page("limit=200&after=2"));
    assert_eq!((&first["next"], &first["more"]), (&json!(2), &json!(true)));
    assert_eq!((numbers(rest["items"].as_array().unwrap()), &rest["more"]), (vec![3, 4, 5, 6], &json!(false)));
    for (query, field) in [("type=conection", "type"), ("limit=0", "limit"), ("after=x", "after"), ("kind=x", "kind")] {
        let problem = scene.api.get(&format!("/events?{query}")).ended(422).json();
        assert_eq!(wrong_fields(&problem), [field], "{problem:#}");
    }
    scene.api.get("/events?connection=nowhere").ended(404);
}

fn created_id(api: &Api, name: &str) -> String {
    let made = all(api).into_iter().find(|event| event["data"]["name"] == name).unwrap();
    made["data"]["connection"].as_str().unwrap().to_owned()
}

#[test]
fn a_private_connection_s_events_are_its_owner_s() {
    let scene = Scene::http();
    let (ada, bob) = (user(&scene.server, "ada", &WORKS), user(&scene.server, "bob", &WORKS));
    let (mut of_bob, mut of_ada) = (bob.follow("/events", &[]), ada.follow("/events", &[]));
    let mut private = scene.bearer("Diary", TOKEN);
    private["visibility"] = json!("private");
    let made = ada.post("/connections", &private).ended(201).json();
    let uses = json!({"name": "Quiet", "status": "active", "uses": [{"connection": "Diary", "used-as": "action"}]});
    put(&ada, "/flows/quiet", &uses).ended(200);
    ada.post("/connections", &scene.bearer("Open", TOKEN)).ended(201);
    let open = json!({"version": 1, "visibility": "private"});
    ada.send(Method::PATCH, "/connections/Open", &open).ended(200);
    // The flow's use fails: everybody is told that much, and nothing about the connection but its id.
    scene.upstream.on("GET", "/me", |_| Reply::status(401));
    act(&ada, "/connections/Diary/test").ended(200);
    scene.upstream.on("GET", "/me", |_| Reply::status(200));
    bob.post("/connections", &scene.bearer("Last", TOKEN)).ended(201);

    let seen = of_bob.events(5);
    let text = format!("{seen:?}");
    assert!(!text.contains("Diary") && !text.contains("diary"), "{text}");
    assert_eq!(
        seen.iter().map(|sent| sent.event.as_str()).collect::<Vec<_>>(),
        [
            "connection.created",
            "connection.verdict-changed",
            "flow.alert",
            "connection.created",
            "connection.verdict-changed",
        ]
    );
    let alert = seen[2].json()["data"].clone();
    assert_eq!((&alert["connection"], &alert["failure"]), (&made["id"], &Value::Null));
    assert_eq!(of_ada.events(5)[0].json()["data"]["name"], "Diary");

    // What became private since is private altogether.
    let left = all(&bob);
    assert_eq!(types(&left), ["connector.installed", "flow.alert", "connection.created", "connection.verdict-changed"]);
    let (there, nowhere) =
        (bob.get("/events?connection=Diary").ended(404), bob.get("/events?connection=Nowhere").ended(404));
    assert_eq!(there.text().replace("Diary", "Nowhere"), nowhere.text());
    let by_id =
        bob.get(&format!("/events?type=connection&connection={}", made["id"].as_str().unwrap())).ended(200).json();
    assert_eq!(by_id["items"], json!([]));
    delete(&ada, "/flows/quiet").ended(204);
    delete(&ada, "/connections/Diary").ended(204);
    assert_eq!(all(&bob), left, "not even that it was there");
    assert_eq!(types(&all(&ada)).last(), Some(&"connection.deleted"));
}

#[test]
fn a_stream_ends_when_its_token_does() {
    let scene = Scene::http();
    for (name, end) in [("ada", "/setup/tokens/ada"), ("bob", "/setup/users/bob")] {
        let api = user(&scene.server, name, &["view-connections"]);
        let mut stream = api.follow("/events", &[]);
        scene.connected(&format!("Before {name}"));
        assert_eq!(stream.events(2).len(), 2);
        delete(&scene.api, end).ended(204);
        scene.connected(&format!("After {name}"));
        assert_eq!(stream.event(), None, "nothing is told to a token that opens nothing");
    }
    let cut = user(&scene.server, "cut", &["view-connections"]);
    let mut stream = cut.follow("/events", &[]);
    put(&scene.api, "/setup/permission-sets/cut", &json!({"permissions": ["view-audit"]})).ended(200);
    scene.connected("Later");
    assert_eq!(stream.event(), None);
    cut.get("/events").ended(403);
}

#[test]
fn whoever_comes_too_late_is_told_which_event_is_the_oldest() {
    let scene = Scene::http();
    for name in ["A", "B", "C"] {
        scene.connected(name);
    }
    let Scene { mut server, world, upstream, .. } = scene;
    world.configure(&format!("[egress]\nallow = [{:?}]\n[events]\nkeep-records = 3\n", upstream.origin()));
    server.restart(&world);
    let api = server.api();
    delete(&api, "/connections/A").ended(204);
    assert_eq!(numbers(&all(&api)), [6, 7, 8], "a page without a cursor begins with the oldest");
    let late = api.get("/events?after=4").ended(410).json();
    assert_eq!(late["type"], "/problems/events-passed");
    assert!(late["detail"].as_str().unwrap().ends_with("the oldest one kept is 6"), "{late:#}");
    assert_eq!(api.follow("/events", &[("last-event-id", "2")]).status, 410);
    assert_eq!(numbers(api.get("/events?after=5").ended(200).json()["items"].as_array().unwrap()), [6, 7, 8]);
    world.run(&["events", "--after", "1"]).ended(5).says("the oldest one kept is 6");
    server.stop();
    world.configure("[events]\nkeep-days = 0\nkeep-record = 1\n");
    world.run(&["events"]).ended(2).says("did you mean `events.keep-records`?");
}

#[test]
fn events_outlive_a_kill_and_a_stream_goes_on_at_the_next_start() {
    let scene = Scene::http();
    scene.connected("Before");
    let Scene { mut server, world, upstream, api } = scene;
    let mut stream = api.follow("/events?after=0", &[]);
    let seen = stream.events(3);
    server.crash(&world);
    assert_eq!(stream.event(), None);
    let api = server.api();
    let mut again = api.follow("/events", &[("last-event-id", &seen[1].id)]);
    assert_eq!(again.events(1)[0], seen[2]);
    // A stream has no end of its own, and must not keep a server from ending.
    let begun = std::time::Instant::now();
    server.restart(&world);
    assert!(begun.elapsed() < std::time::Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(again.event(), None);
    assert_eq!(all(&server.api()).len(), 3);
    drop(upstream);
}

#[test]
fn the_command_shows_what_happened_and_what_happens() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Scene { server, world, upstream, .. } = scene;
    let listed = world.json(&["events", "--type", "connection", "--limit", "1"]);
    assert_eq!(listed["items"][0]["data"]["name"], "Orders");
    let table = world.run(&["events", "--connection", "orders"]).done().out;
    assert!(table.contains("connection.verdict-changed") && table.contains("inactive → active"), "{table}");
    world.run(&["events", "--type", "nothing"]).ended(2).says("is no type of events");

    let lines = Waiting::start(&mut world.command(&["--output", "json", "events", "--follow", "--after", "1"]));
    let people = Waiting::start(&mut world.command(&["events", "--follow", "--type", "connection.deleted"]));
    lines.line("Following");
    people.line("Following");
    delete(&server.api(), "/connections/Orders").ended(204);
    // What was told before the end is shown before the end.
    server.stop();
    let Ran { code, out, err } = lines.ended();
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("--after 4"), "it says where to go on: {err}");
    let shown: Vec<Event> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = shown.iter().map(|event| event.kind().name()).collect();
    assert_eq!(kinds, ["connection.created", "connection.verdict-changed", "connection.deleted"]);
    let people = people.ended().out;
    assert!(people.contains("  connection.deleted  Orders"), "{people}");
    world.run(&["events", "--follow"]).ended(2).says("no server has this data directory open");
    drop(upstream);
}

async fn open(data: &Path) -> Host {
    Host::builder(data).config(Config::default()).compiler(Compiler::Worker(BINARY.into())).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedder_that_follows_misses_nothing_while_many_write() {
    let folder = tempfile::tempdir().unwrap();
    let host = open(folder.path()).await;
    let root = Actor::administrator("root");
    let component = tokio::task::spawn_blocking(|| turnbuckle_tests::components::read(BINARY, "http")).await.unwrap();
    let mut live = host.events(&root, None).unwrap();
    host.install_connector(&root, component).await.unwrap();
    let writers: Vec<_> = (0..32)
        .map(|number| {
            let (host, root) = (host.clone(), root.clone());
            tokio::spawn(async move {
                let new = json!({"name": format!("C{number}"), "connector": "http", "protocol": "none",
                    "settings": {"url": "https://service.invalid"}});
                host.create_connection(&root, serde_json::from_value(new).unwrap()).await.unwrap();
            })
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < 1 + 2 * 32 {
        seen.push(live.next().await.unwrap().unwrap());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let order: Vec<_> = seen.iter().map(|event| event.seq).collect();
    assert_eq!(order, (1..=65).collect::<Vec<_>>());
    assert_eq!(live.cursor().to_string(), "65");
    let later: Vec<_> = host.events(&root, Some(EventCursor::BEGINNING)).unwrap().take(65).collect().await;
    let later: Vec<_> = later.into_iter().map(Result::unwrap).collect();
    assert_eq!(later, seen, "whoever reads it afterwards sees the same");

    let nobody = Actor::new("nobody", [Permission::ViewAudit]);
    let refused = host.events(&nobody, None).unwrap_err();
    assert!(matches!(refused, Error::Forbidden { permission: Permission::ViewConnections }), "{refused}");
    let flow = || serde_json::from_value::<PutFlow>(json!({"name": "F", "status": "draft"})).unwrap();
    host.put_flow(&root, "f", flow()).await.unwrap();
    drop((live, host));
    let again = open(folder.path()).await;
    let last = again.events(&root, Some("64".parse().unwrap())).unwrap().next().await.unwrap().unwrap();
    assert_eq!(last, seen[64], "an event is the same after a start");
    assert_eq!(EventType::ALL.len(), 10);
}

#[test]
fn streams_are_so_many_that_others_still_get_through() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    let streams: Vec<_> = (0..256).map(|_| api.follow("/events", &[])).collect();
    assert!(streams.iter().all(|stream| stream.status == 200));
    let more = api.call(Method::GET, "/events", &[("accept", "text/event-stream")], "".into()).ended(503).json();
    assert_eq!(more["type"], "/problems/too-many-streams", "{more:#}");
    api.get("/events").ended(200);
}

#[test]
fn nothing_is_told_of_what_was_refused() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    api.post("/connections", &json!({"name": "x", "connector": "nowhere"})).ended(422);
    delete(&api, "/connectors/nowhere").ended(404);
    assert_eq!(all(&api), Vec::<Value>::new());
    assert_eq!(api.get("/events").ended(200).json(), json!({"items": [], "next": 0, "more": false}));
}
