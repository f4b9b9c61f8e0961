//! Webhooks: what happens is posted to endpoints, signed, once at least, and to nobody who may not know.

use std::io::Write as _;
use std::process::{Command, Stdio};

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::leaks;
use turnbuckle_tests::receiver::{Message, Receiver};
use turnbuckle_tests::upstream::{Reply, Upstream};

use crate::scene::{Scene, TOKEN, left_out, peers, wrong_fields};
use crate::users::{WORKS, delete, put, user};

fn ok(path: &str, service: &Upstream) -> Receiver {
    Receiver::at(service, path, |_| Reply::status(204))
}

/// Makes a webhook at a path of this service, and gives its secret.
fn hook(api: &Api, name: &str, service: &Upstream, path: &str, besides: &Value) -> String {
    let mut body = json!({"url": format!("{}{path}", service.origin())});
    body.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
    let made = put(api, &format!("/webhooks/{name}"), &body).ended(201).json();
    made["secret"].as_str().unwrap().to_owned()
}

fn shown(api: &Api, name: &str) -> Value {
    api.get(&format!("/webhooks/{name}")).ended(200).json()
}

/// Looks until it is so.
pub(crate) fn until(api: &Api, name: &str, so: impl Fn(&Value) -> bool) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let view = shown(api, name);
        if so(&view) {
            return view;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{view:#}");
        std::thread::yield_now();
    }
}

fn orders(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(Message::seq).collect()
}

#[test]
fn events_arrive_signed_in_their_order_each_once() {
    let scene = Scene::http();
    let receiver = ok("/hook", &scene.upstream);
    let secret = hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({}));
    for name in ["A", "B", "C"] {
        scene.connected(name);
    }
    let messages = receiver.take(6);
    assert_eq!(orders(&messages), [2, 3, 4, 5, 6, 7], "a new webhook begins with what happens next");
    let told = crate::events::all(&scene.api);
    for (message, event) in messages.iter().zip(&told[1..]) {
        assert_eq!(message.json(), *event, "the body is the event");
        assert_eq!(message.id(), event["id"].as_str().unwrap());
        assert_eq!(message.proven_by(&secret), (1, 1));
        assert_eq!(message.arrived.header("content-type"), "application/json");
        assert!(message.arrived.header("user-agent").starts_with("turnbuckle/"));
        assert_eq!(message.arrived.header("authorization"), "");
    }
    let view = until(&scene.api, "shop", |view| view["delivered"] == 6);
    assert_eq!((&view["place"], &view["behind"], &view["missed"]), (&json!(7), &json!(0), &json!(0)));
    assert!(receiver.is_idle());
    assert_eq!(view["secret"], Value::Null);
    // It is told once, and kept sealed.
    assert_eq!(leaks::in_folder(&scene.world.data(), &secret), Vec::<String>::new());
    let again = put(&scene.api, "/webhooks/shop", &json!({"types": ["flow"]})).ended(200);
    assert!(!again.text().contains("whsec_"), "{}", again.text());
}

#[test]
fn a_verifier_of_somebody_else_s_takes_the_signatures() {
    let python = peers().join("standardwebhooks/bin/python");
    if !python.is_file() {
        left_out("signatures as another verifier sees them", "standardwebhooks in ~/.cache/turnbuckle-peers");
        return;
    }
    let scene = Scene::http();
    let receiver = ok("/hook", &scene.upstream);
    let secret = hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({}));
    scene.connected("A");
    let message = receiver.next().arrived;
    let verify = "import json,sys\nfrom standardwebhooks.webhooks import Webhook\n\
                  given=json.load(sys.stdin)\n\
                  print(Webhook(given['secret']).verify(given['body'],given['headers'])['type'])";
    let ask = |body: &str| {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: serde_json::Map<_, _> =
            names.into_iter().map(|name| (name.to_owned(), json!(message.header(name)))).collect();
        let mut child = Command::new(&python)
            .args(["-c", verify])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let given = json!({"secret": secret, "body": body, "headers": headers}).to_string();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout).trim().to_owned(), text(output.stderr))
    };
    assert_eq!(ask(&message.text()), ("connection.created".to_owned(), String::new()));
    let (told, error) = ask(&message.text().replace("\"A\"", "\"B\""));
    assert!(told.is_empty() && error.contains("WebhookVerificationError"), "{told}\n{error}");
}

#[test]
fn a_webhook_gets_the_types_that_it_names_and_what_happened_while_it_was_off() {
    let scene = Scene::http();
    let receiver = ok("/hook", &scene.upstream);
    hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({"types": ["connection.created", "connection.deleted"]}));
    scene.connected("A");
    delete(&scene.api, "/connections/A").ended(204);
    let kinds: Vec<_> = receiver.take(2).iter().map(Message::kind).collect();
    assert_eq!(kinds, ["connection.created", "connection.deleted"]);
    let off = put(&scene.api, "/webhooks/shop", &json!({"enabled": false})).ended(200).json();
    assert_eq!((&off["enabled"], &off["types"]), (&json!(false), &json!(["connection.created", "connection.deleted"])));
    scene.connected("B");
    put(&scene.api, "/webhooks/shop", &json!({"enabled": true})).ended(200);
    let late = receiver.next();
    assert_eq!((late.kind().as_str(), &late.json()["data"]["name"]), ("connection.created", &json!("B")));
    delete(&scene.api, "/webhooks/shop").ended(204);
    scene.api.get("/webhooks/shop").ended(404);
    scene.connected("C");
    assert!(receiver.is_idle());
}

#[test]
fn a_webhook_that_is_switched_off_or_removed_keeps_no_socket_to_its_endpoint() {
    let endpoint = Upstream::start();
    let scene = Scene::opened(&["http"], &[&endpoint]);
    let receiver = ok("/hook", &endpoint);
    hook(&scene.api, "shop", &endpoint, "/hook", &json!({"types": ["connection.created"]}));
    // A socket that rests is kept for half a minute: it would outlive this.
    let soon = std::time::Duration::from_secs(15);
    scene.connected("A");
    receiver.next();
    assert!(endpoint.comes_to(1, soon), "it is kept for the next message");
    put(&scene.api, "/webhooks/shop", &json!({"enabled": false})).ended(200);
    assert!(endpoint.comes_to(0, soon), "that of what is switched off is closed");

    put(&scene.api, "/webhooks/shop", &json!({"enabled": true})).ended(200);
    scene.connected("B");
    receiver.next();
    assert!(endpoint.comes_to(1, soon), "it began anew");
    delete(&scene.api, "/webhooks/shop").ended(204);
    assert!(endpoint.comes_to(0, soon), "that of what is removed is closed");
}

#[test]
fn an_endpoint_that_no_request_may_go_to_is_refused_and_the_field_says_why() {
    let scene = Scene::http();
    for (url, words) in [
        ("http://hooks.example.com/x", "plain http leaves only to origins that the operator opened"),
        ("https://10.1.2.3/x", "10.1.2.3 is a private"),
        ("https://127.0.0.1:1/x", "127.0.0.1 is a loopback address"),
        ("https://169.254.169.254/latest", "169.254.169.254 is a"),
        ("https://[::ffff:10.0.0.1]/", "is a"),
        ("ftp://hooks.example.com/x", "neither"),
        ("https://ada:secret@hooks.example.com/", "neither a user nor a fragment"),
        ("hooks.example.com", "must be https://<domain>/<path>"),
    ] {
        let problem = put(&scene.api, "/webhooks/shop", &json!({"url": url})).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["url"], "{url}: {problem:#}");
        let message = problem["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{url}: {message}");
    }
    let problem = put(&scene.api, "/webhooks/Shop", &json!({"types": ["nothing"]})).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["name", "types", "url"]);
    assert_eq!(scene.api.get("/webhooks").ended(200).json(), json!([]));
    for (method, path) in [(Method::DELETE, ""), (Method::POST, "/rotate-secret"), (Method::POST, "/replay")] {
        scene.api.send(method, &format!("/webhooks/shop{path}"), &json!({})).ended(404);
    }
}

#[test]
fn a_redirect_is_not_followed_and_a_wrong_status_waits_for_another_attempt() {
    let scene = Scene::http();
    let secret_place = ok("/elsewhere", &scene.upstream);
    let target = format!("{}/elsewhere", scene.upstream.origin());
    let moved = Receiver::at(&scene.upstream, "/moved", move |_| Reply::status(307).header("location", &target));
    let broken = Receiver::at(&scene.upstream, "/broken", |_| Reply::status(500).body("x".repeat(200_000)));
    hook(&scene.api, "moved", &scene.upstream, "/moved", &json!({"types": ["connection.created"]}));
    hook(&scene.api, "broken", &scene.upstream, "/broken", &json!({"types": ["connection.created"]}));
    scene.connected("A");
    for (name, receiver, problem) in [
        ("moved", &moved, "the endpoint answered 307; redirects are not followed"),
        ("broken", &broken, "the endpoint answered 500"),
    ] {
        let message = receiver.next();
        until(&scene.api, name, |view| view["pending"] == 1);
        let page = scene.api.get(&format!("/webhooks/{name}/deliveries?state=pending")).ended(200).json();
        let waiting = &page["items"][0];
        assert_eq!(waiting["problem"], problem, "{page:#}");
        assert_eq!((&waiting["attempts"], &waiting["id"]), (&json!(1), &json!(message.id())));
        assert_eq!((&waiting["type"], &waiting["seq"]), (&json!("connection.created"), &json!(2)));
        let pause = |key: &str| waiting[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let pause = pause("next").duration_since(pause("last")).as_millis();
        assert!((4_000..=6_000).contains(&pause), "about 5 seconds: {pause} ms");
    }
    assert!(secret_place.is_idle());
}

#[test]
fn an_endpoint_that_says_it_is_gone_is_switched_off_and_what_it_missed_can_be_replayed() {
    let scene = Scene::http();
    let gone = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(410));
    hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({"types": ["connection.created"]}));
    scene.connected("A");
    let first = gone.next();
    let view = until(&scene.api, "shop", |view| view["enabled"] == false);
    assert_eq!(view["disabled-for"], "the endpoint answered 410: it is gone");
    assert_eq!((&view["dead"], &view["pending"]), (&json!(1), &json!(0)));
    scene.connected("B");
    assert!(gone.is_idle());
    let back = ok("/hook", &scene.upstream);
    put(&scene.api, "/webhooks/shop", &json!({"enabled": true})).ended(200);
    assert_eq!(back.next().json()["data"]["name"], "B", "what happened meanwhile is delivered");
    let replayed = scene.api.post("/webhooks/shop/replay", &json!({})).ended(200).json();
    assert_eq!(replayed, json!({"replayed": 1, "left": 0}));
    let second = back.next();
    assert_eq!((second.id(), second.json()), (first.id(), first.json()), "the very same once more");
    // One that arrived long ago can be had again, too.
    scene.api.post("/webhooks/shop/replay", &json!({"seq": 4})).ended(200);
    assert_eq!(back.next().json()["data"]["name"], "B");
    scene.api.post("/webhooks/shop/replay", &json!({"seq": 99})).ended(404);
    let actions = scene.api.get("/audit?action=webhook&limit=50").ended(200).json();
    let actions: Vec<_> =
        actions["items"].as_array().unwrap().iter().rev().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["webhook.put", "webhook.disable", "webhook.put", "webhook.replay", "webhook.replay"]);
    assert_eq!(scene.api.get("/audit/verify").ended(200).json()["whole"], true);
}

#[test]
fn a_slow_endpoint_delays_neither_another_nor_the_host() {
    let scene = Scene::http();
    let mut gate = scene.upstream.hold("POST", "/slow", |_| Reply::status(204));
    let quick = ok("/quick", &scene.upstream);
    hook(&scene.api, "slow", &scene.upstream, "/slow", &json!({}));
    hook(&scene.api, "quick", &scene.upstream, "/quick", &json!({}));
    scene.connected("A");
    gate.wait_for(1);
    for name in ["B", "C"] {
        scene.connected(name);
    }
    assert_eq!(orders(&quick.take(6)), [2, 3, 4, 5, 6, 7]);
    let slow = shown(&scene.api, "slow");
    assert_eq!((&slow["delivered"], &slow["behind"]), (&json!(0), &json!(6)), "one at a time: {slow:#}");
    gate.open();
    gate.wait_for(6);
    until(&scene.api, "slow", |view| view["delivered"] == 6);
}

#[test]
fn a_kill_loses_nothing_and_what_was_under_way_comes_again_by_the_same_id() {
    let scene = Scene::http();
    let mut gate = scene.upstream.hold("POST", "/hook", |_| Reply::status(204));
    let secret = hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({}));
    scene.connected("A");
    gate.wait_for(1);
    scene.connected("B");
    let cut = scene.upstream.arrived().into_iter().find(|arrived| arrived.path == "/hook").unwrap();
    let receiver = ok("/hook", &scene.upstream);
    let Scene { mut server, world, upstream, .. } = scene;
    server.crash(&world);
    let messages = receiver.take(4);
    assert_eq!(orders(&messages), [2, 3, 4, 5]);
    assert_eq!(messages[0].id(), cut.header("webhook-id"));
    assert_eq!(messages[0].arrived.body, cut.body);
    assert!(messages.iter().all(|message| message.proven_by(&secret) == (1, 1)));
    until(&server.api(), "shop", |view| view["delivered"] == 4);
    // And at an orderly start nothing comes twice.
    server.restart(&world);
    Scene { server, api: Api::new("http://127.0.0.1:1", None), world, upstream }.again(&receiver);
}

impl Scene {
    /// Makes one more connection: its events are the next ones that arrive.
    fn again(self, receiver: &Receiver) {
        self.server.api().post("/connections", &self.bearer("Next", TOKEN)).ended(201);
        let names: Vec<_> = receiver.take(2).iter().map(|message| message.json()["data"]["name"].clone()).collect();
        assert_eq!(names, ["Next", "Next"]);
    }
}

#[test]
fn whenever_it_is_killed_every_event_that_was_written_arrives_in_the_end() {
    let scene = Scene::http();
    let receiver = ok("/hook", &scene.upstream);
    hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({}));
    scene.connected("Orders");
    let Scene { mut server, world, upstream, .. } = scene;
    let mut received = Vec::new();
    for round in 0..6 {
        let busy = Api::new(&server.url, Some(&server.token));
        let changing = std::thread::spawn(move || {
            let change = |at: usize| {
                let path =
                    format!("/api/v1/connections/Orders/{}", if at.is_multiple_of(2) { "disable" } else { "enable" });
                busy.attempt(Method::POST, &path, &[], bytes::Bytes::new()).is_some()
            };
            (0..10_000).take_while(|at| change(*at)).count()
        });
        // In the middle of it: while some are written and some are delivered.
        received.extend(receiver.take(3 + round));
        server.crash(&world);
        changing.join().unwrap();
    }
    let told: Vec<_> = crate::events::all(&server.api()).into_iter().skip(1).collect();
    assert!(told.len() > 20, "{} events", told.len());
    until(&server.api(), "shop", |view| view["behind"] == 0 && view["pending"] == 0);
    while !receiver.is_idle_after(&mut received) {}
    let mut ids = std::collections::BTreeMap::new();
    for message in &received {
        let known = ids.entry(message.seq()).or_insert_with(|| message.id()).clone();
        assert_eq!(known, message.id(), "an event that comes again has the id that it had");
    }
    let expected: Vec<_> = told.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(ids.into_keys().collect::<Vec<_>>(), expected, "each arrived, and nothing else");
    drop(upstream);
}

#[test]
fn a_secret_is_replaced_while_both_sign_and_a_new_master_key_changes_nothing() {
    let scene = Scene::http();
    let receiver = ok("/hook", &scene.upstream);
    let old = hook(&scene.api, "shop", &scene.upstream, "/hook", &json!({"types": ["connection.created"]}));
    let rotated = scene.api.post("/webhooks/shop/rotate-secret", &json!({})).ended(200).json();
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert!(rotated["previous-secret-until"].is_string(), "{rotated:#}");
    scene.connected("A");
    let message = receiver.next();
    assert_eq!((message.proven_by(&new), message.proven_by(&old)), ((1, 2), (1, 2)));
    act(&scene.api, "/host/rotate-key");
    scene.connected("B");
    let message = receiver.next();
    assert_eq!((message.proven_by(&new), message.proven_by(&old)), ((1, 2), (1, 2)));
    let at_once = json!({"overlap-hours": 0});
    let last = scene.api.post("/webhooks/shop/rotate-secret", &at_once).ended(200).json();
    assert_eq!(last["previous-secret-until"], Value::Null);
    scene.connected("C");
    let message = receiver.next();
    assert_eq!(message.proven_by(last["secret"].as_str().unwrap()), (1, 1));
    assert_eq!((message.proven_by(&new), message.proven_by(&old)), ((0, 1), (0, 1)));
    let wrong = scene.api.post("/webhooks/shop/rotate-secret", &json!({"overlap-hours": 169})).ended(422).json();
    assert_eq!(wrong_fields(&wrong), ["overlap-hours"]);
    let Scene { mut server, world, upstream, .. } = scene;
    server.restart(&world);
    for secret in [&old, &new] {
        assert_eq!(leaks::in_folder(&world.data(), secret), Vec::<String>::new());
    }
    assert_eq!(leaks::in_folder(&world.data(), last["secret"].as_str().unwrap()), Vec::<String>::new());
    drop(upstream);
}

fn act(api: &Api, path: &str) {
    api.send(Method::POST, path, &Value::Null).ended(200);
}

#[test]
fn a_private_connection_is_told_to_its_owner_s_endpoint_alone() {
    let scene = Scene::http();
    let setup = [&WORKS[..], &["manage-setup"]].concat();
    let (ada, bob) = (user(&scene.server, "ada", &setup), user(&scene.server, "bob", &setup));
    let (of_ada, of_bob) = (ok("/ada", &scene.upstream), ok("/bob", &scene.upstream));
    hook(&ada, "adas", &scene.upstream, "/ada", &json!({"types": ["connection.created"]}));
    hook(&bob, "bobs", &scene.upstream, "/bob", &json!({"types": ["connection.created"]}));
    let private = |name: &str| {
        let mut private = scene.bearer(name, TOKEN);
        private["visibility"] = json!("private");
        ada.post("/connections", &private).ended(201);
    };
    private("Diary");
    scene.connected("Open");
    let names = |receiver: &Receiver, count| {
        receiver.take(count).iter().map(|message| message.json()["data"]["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&of_ada, 2), ["Diary", "Open"]);
    assert_eq!(names(&of_bob, 1), ["Open"]);
    // One who turns another's endpoint elsewhere gets no more than is his own.
    put(&ada, "/webhooks/adas", &json!({"enabled": false})).ended(200);
    private("Letters");
    let turned = json!({"url": format!("{}/bob", scene.upstream.origin()), "enabled": true});
    assert_eq!(put(&bob, "/webhooks/adas", &turned).ended(200).json()["owner"], "bob");
    let seq = crate::events::all(&ada).iter().find(|event| event["data"]["name"] == "Letters").unwrap()["seq"].clone();
    bob.post("/webhooks/adas/replay", &json!({"seq": seq})).ended(404);
    scene.connected("Last");
    assert_eq!(names(&of_bob, 2), ["Last", "Last"]);
    assert!(of_ada.is_idle() && of_bob.is_idle());
    let plain = user(&scene.server, "zoe", &WORKS);
    plain.get("/webhooks/adas").ended(403);
}

#[test]
fn the_command_sets_webhooks_up_and_shows_how_they_stand() {
    let scene = Scene::http();
    let receiver = Receiver::at(&scene.upstream, "/hook", |_| Reply::status(503));
    let url = format!("{}/hook", scene.upstream.origin());
    let world = &scene.world;
    let put =
        world.run(&["setup", "webhook", "put", "shop", "--url", &url, "--type", "connection.created,flow"]).done();
    assert!(put.out.contains("whsec_") && put.err.contains("shown this once"), "{}\n{}", put.out, put.err);
    assert!(put.out.contains("connection.created, flow.alert"), "{}", put.out);
    scene.connected("A");
    receiver.next();
    until(&scene.api, "shop", |view| view["pending"] == 1);
    let waiting = world.run(&["setup", "webhook", "deliveries", "shop", "--state", "pending"]).done().out;
    assert!(waiting.contains("the endpoint answered 503"), "{waiting}");
    assert_eq!(world.json(&["setup", "webhook", "deliveries", "shop"])["items"], json!([]));
    assert_eq!(world.json(&["setup", "webhook", "list"])[0]["name"], "shop");
    world.run(&["setup", "webhook", "put", "shop", "--disable"]).done();
    assert_eq!(world.json(&["setup", "webhook", "show", "shop"])["enabled"], false);
    let all = world.json(&["setup", "webhook", "put", "shop", "--enable", "--type", "all"]);
    assert_eq!((&all["types"], &all["enabled"], &all["secret"]), (&json!([]), &json!(true), &Value::Null));
    let rotated = world.json(&["setup", "webhook", "rotate-secret", "shop", "--overlap-hours", "1"]);
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_"));
    let back = ok("/hook", &scene.upstream);
    let seq = crate::events::all(&scene.api).last().unwrap()["seq"].to_string();
    world.run(&["setup", "webhook", "replay", "shop", "--event", &seq]).done();
    assert_eq!(back.next().proven_by(rotated["secret"].as_str().unwrap()).0, 1);
    assert_eq!(world.json(&["setup", "webhook", "replay", "shop", "--all"])["left"], 0);
    world.run(&["setup", "webhook", "replay", "shop"]).ended(2);
    world.run(&["setup", "webhook", "put", "shop", "--url", "http://10.0.0.1/"]).ended(2).says("url: ");
    world.run(&["setup", "webhook", "remove", "shop"]).done();
    world.run(&["setup", "webhook", "show", "shop"]).ended(4);
}

#[test]
fn a_webhook_of_somebody_who_is_removed_is_switched_off() {
    let scene = Scene::http();
    let carol = user(&scene.server, "carol", &["manage-setup", "view-connections"]);
    let url = json!({"url": format!("{}/hook", scene.upstream.origin())});
    put(&carol, "/webhooks/hook", &url).ended(201);
    assert_eq!(shown(&scene.api, "hook")["enabled"], true);
    delete(&scene.api, "/setup/users/carol").ended(204);
    assert_eq!(shown(&scene.api, "hook")["enabled"], false, "whoever gets the name later is told about to nobody else");
}
