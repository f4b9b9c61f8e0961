//! Who works with a host: users, what they may do, their tokens, and what is theirs alone.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use turnbuckle::{Actor, Host, NewToken, Outside, PutUser};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::leaks;
use turnbuckle_tests::world::{Ran, Serving, World};

use crate::scene::{BINARY, Scene, TOKEN, install, world, wrong_fields};

pub(crate) const WORKS: [&str; 4] = ["view-connections", "manage-connections", "use-connections", "manage-flows"];

pub(crate) fn put(api: &Api, path: &str, body: &Value) -> Answer {
    api.send(Method::PUT, path, body)
}

pub(crate) fn delete(api: &Api, path: &str) -> Answer {
    api.send(Method::DELETE, path, &Value::Null)
}

/// A token for this user, with these fields besides.
fn token(api: &Api, name: &str, user: &str, besides: &Value) -> String {
    let mut new = json!({"name": name, "user": user});
    new.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
    let made = api.post("/setup/tokens", &new).ended(201).json();
    made["token"].as_str().unwrap().to_owned()
}

/// A user who holds a permission set of the same name, and a client with a token for it.
pub(crate) fn user(server: &Serving, name: &str, permissions: &[&str]) -> Api {
    let api = server.api();
    put(&api, &format!("/setup/permission-sets/{name}"), &json!({"permissions": permissions})).ended(200);
    put(&api, &format!("/setup/users/{name}"), &json!({"permission-sets": [name]})).ended(200);
    Api::new(&server.url, Some(&token(&api, name, name, &json!({}))))
}

/// The token that a server printed at its first start.
fn printed_token(printed: &str) -> Option<String> {
    printed.lines().map(str::trim).find(|line| line.starts_with("tb_")).map(str::to_owned)
}

#[test]
fn the_first_start_shows_an_administrators_token_once_and_it_works() {
    let world = world();
    let printed = world.serve().stop();
    let first = printed_token(&printed).unwrap_or_else(|| panic!("no token:\n{printed}"));
    assert_eq!(first.len(), "tb_".len() + 43, "256 bits: {first}");

    let server = world.serve();
    let api = Api::new(&server.url, Some(&first));
    let me = api.get("/whoami").ended(200).json();
    assert_eq!(me["name"], "administrator");
    assert_eq!(me["permission-sets"], json!(["administrators"]));
    assert_eq!(me["permissions"].as_array().unwrap().len(), 7);
    api.get("/setup/users").ended(200);
    assert_eq!(leaks::in_folder(&world.data(), &first), Vec::<String>::new());

    let elsewhere = World::new(BINARY);
    let mut command = elsewhere.bare(&["--server", &server.url, "whoami", "--output", "json"]);
    let told = Ran::of(command.env("TURNBUCKLE_TOKEN", &first), "").done().json();
    assert_eq!(told, me);
    assert!(!elsewhere.data().exists());
    assert_eq!(printed_token(&server.stop()), None, "it is shown once");
}

#[test]
fn a_command_without_a_server_makes_no_administrator_and_loses_no_token() {
    let world = world();
    world.run(&["setup", "user", "list"]).done();
    assert_eq!(world.json(&["setup", "user", "list"]), json!([]));
    world.json(&["setup", "permission-set", "put", "readers", "--permission", "view-connections"]);
    world.json(&["setup", "user", "put", "administrator", "--permission-set", "readers"]);
    let printed = world.serve().stop();
    assert!(printed.contains("`administrator-2`"), "a name that is somebody's gains nothing:\n{printed}");
    let users = world.json(&["setup", "user", "list"]);
    assert_eq!(users[0]["permissions"], json!(["view-connections"]));
    assert_eq!(users[1]["permissions"].as_array().unwrap().len(), 7);
}

#[test]
fn a_data_directory_from_before_users_opens_and_gets_its_administrator() {
    let scene = Scene::http();
    let mut private = scene.bearer("Diary", TOKEN);
    private["visibility"] = json!("private");
    scene.api.post("/connections", &private).ended(201);
    let Scene { server, world, upstream, .. } = scene;
    server.stop();
    {
        #[expect(clippy::disallowed_types, reason = "an older program is played here")]
        let database = redb::Database::open(world.data().join("turnbuckle.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        for name in ["permission-sets", "users", "tokens", "connections-private"] {
            let table = redb::TableDefinition::<&[u8], &[u8]>::new(name);
            assert!(transaction.delete_table(table).unwrap(), "{name} was there");
        }
        transaction.commit().unwrap();
    }
    assert_eq!(world.json(&["setup", "token", "list"]), json!([]));
    assert_eq!(world.json(&["connection", "show", "Diary"])["owner"], "administrator");
    let server = world.serve();
    let bob = user(&server, "bob", &WORKS);
    assert_eq!(bob.get("/host").json()["connections"], 0, "what is private is known as such");
    let printed = server.stop();
    assert!(printed_token(&printed).is_some(), "{printed}");
    drop(upstream);
}

#[test]
fn a_token_opens_no_more_than_it_is_limited_to() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    user(&server, "ada", &["view-connections", "manage-flows"]);
    let beyond = json!({"name": "beyond", "user": "ada", "permissions": ["view-connections", "manage-setup"]});
    let problem = api.post("/setup/tokens", &beyond).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["permissions"], "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains("manage-setup"), "{problem:#}");

    let limited = token(&api, "limited", "ada", &json!({"permissions": ["view-connections"]}));
    let limited = Api::new(&server.url, Some(&limited));
    limited.get("/flows").ended(200);
    assert_eq!(limited.get("/whoami").json()["permissions"], json!(["view-connections"]));
    put(&limited, "/flows/nightly", &json!({"name": "Nightly", "status": "draft"})).ended(403);

    // What the user gains later, the token does not.
    let all = json!({"permissions": ["view-connections", "manage-flows", "manage-setup"]});
    put(&api, "/setup/permission-sets/ada", &all).ended(200);
    limited.get("/setup/users").ended(403);
}

#[test]
fn a_changed_permission_set_and_a_disabled_user_take_effect_at_the_next_request() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    let ada = user(&server, "ada", &["view-connections"]);
    let flow = json!({"name": "Nightly", "status": "draft"});
    put(&ada, "/flows/nightly", &flow).ended(403);
    put(&api, "/setup/permission-sets/ada", &json!({"permissions": ["manage-flows"]})).ended(200);
    put(&ada, "/flows/nightly", &flow).ended(200);
    ada.get("/flows").ended(403);
    put(&api, "/setup/permission-sets/more", &json!({"permissions": ["view-connections"]})).ended(200);
    put(&api, "/setup/users/ada", &json!({"permission-sets": ["ada", "more"]})).ended(200);
    ada.get("/flows").ended(200);

    put(&api, "/setup/users/ada", &json!({"enabled": false})).ended(200);
    ada.get("/whoami").ended(401);
    put(&api, "/setup/users/ada", &json!({"enabled": true})).ended(200);
    ada.get("/flows").ended(200);
    delete(&api, "/setup/users/ada").ended(204);
    ada.get("/whoami").ended(401);
    put(&api, "/setup/users/ada", &json!({"permission-sets": ["ada"]})).ended(200);
    ada.get("/whoami").ended(401);
    assert_eq!(api.get("/setup/tokens").json().as_array().unwrap().len(), 1, "only that of the first start is left");
}

/// A service that answers `/slow` by half, says so, and waits before it sends the rest. Anything else it answers at once.
fn halting() -> (String, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (half, halfway) = mpsc::channel();
    let (go_on, gate) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            if !head.starts_with(b"GET /slow ") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
                continue;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirst").unwrap();
            half.send(()).unwrap();
            let () = gate.recv().unwrap();
            stream.write_all(b"last").unwrap();
            return;
        }
    });
    (origin, halfway, go_on)
}

#[test]
fn a_revoked_token_is_refused_at_the_next_request_while_an_answer_under_way_comes_to_its_end() {
    let (origin, halfway, go_on) = halting();
    let world = World::allowing(BINARY, &[&origin]);
    let server = world.serve();
    let api = server.api();
    install(&api, "http");
    let new = json!({"name": "Slow", "connector": "http", "protocol": "none", "settings": {"url": origin}});
    api.post("/connections", &new).ended(201);
    user(&server, "ada", &["use-connections"]);
    let text = token(&api, "sender", "ada", &json!({}));
    let ada = Api::new(&server.url, Some(&text));
    let sending = {
        let (url, text) = (server.url.clone(), text);
        thread::spawn(move || Api::new(&url, Some(&text)).get("/connections/Slow/send?url=/slow"))
    };
    halfway.recv().unwrap();
    ada.get("/whoami").ended(200);
    delete(&api, "/setup/tokens/sender").ended(204);
    ada.get("/whoami").ended(401);
    ada.get("/connections/Slow/send?url=/").ended(401);
    go_on.send(()).unwrap();
    assert_eq!(sending.join().unwrap().ended(200).text(), "firstlast");
    delete(&api, "/setup/tokens/sender").ended(404);
}

#[tokio::test]
async fn a_token_opens_nothing_from_the_moment_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Mutex::new("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    let (time, counter) = (Arc::clone(&clock), Mutex::new(0_u8));
    let chance = move |bytes: &mut [u8]| {
        let mut counter = counter.lock().unwrap();
        *counter += 1;
        bytes.fill(*counter);
    };
    let outside = Outside::new(move || *time.lock().unwrap(), chance);
    let host = Host::builder(folder.path()).outside(outside).open().await.unwrap();
    let first = host.first_administrator().await.unwrap().expect("a new host has none");
    assert_eq!(first.view.expires_at, None);
    let root = host.authenticate(first.token.expose()).expect("the first token works");
    host.put_user(&root, "ada", PutUser::default()).await.unwrap();
    let new = |name: &str, days| NewToken { name: name.into(), user: "ada".into(), days, ..NewToken::default() };
    let day = host.create_token(&root, new("day", Some(1))).await.unwrap();
    let usual = host.create_token(&root, new("usual", None)).await.unwrap();
    let wrong = host.create_token(&root, new("wrong", Some(3_651))).await.unwrap_err();
    assert_eq!(wrong.to_string(), "days: must be 1 to 3650");
    let name = |text: &str| host.authenticate(text).map(|actor: Actor| actor.name().to_owned());
    let pass = |hours| {
        let mut clock = clock.lock().unwrap();
        *clock = clock.checked_add(SignedDuration::from_hours(hours)).unwrap();
    };
    pass(23);
    assert_eq!(name(day.token.expose()).as_deref(), Some("ada"));
    pass(1);
    assert_eq!(name(day.token.expose()), None);
    pass(24 * 88);
    assert_eq!(name(usual.token.expose()).as_deref(), Some("ada"));
    pass(24);
    assert_eq!(name(usual.token.expose()), None);
    assert!(host.token(&root, "usual").unwrap().permissions.is_empty());
    assert_eq!(name(first.token.expose()).as_deref(), Some("administrator"));
}

#[test]
fn the_last_administrator_stays() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    let refused = |answer: Answer| {
        let problem = answer.ended(409).json();
        assert_eq!(problem["code"], "last-administrator", "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains("`administrator`"), "{problem:#}");
    };
    let some = json!({"permissions": ["view-connections"]});
    refused(delete(&api, "/setup/users/administrator"));
    refused(put(&api, "/setup/users/administrator", &json!({"enabled": false})));
    refused(put(&api, "/setup/users/administrator", &json!({"permission-sets": []})));
    refused(put(&api, "/setup/permission-sets/administrators", &some));
    assert_eq!(api.get("/setup/users/administrator").json()["permissions"].as_array().unwrap().len(), 7);

    user(&server, "grace", &["manage-setup"]);
    put(&api, "/setup/users/grace", &json!({"enabled": false})).ended(200);
    refused(delete(&api, "/setup/users/administrator"));
    put(&api, "/setup/users/grace", &json!({"enabled": true})).ended(200);
    delete(&api, "/setup/users/administrator").ended(204);
    let problem = delete(&api, "/setup/users/grace").ended(409).json();
    assert_eq!(problem["code"], "last-administrator");
}

#[tokio::test]
async fn of_two_administrators_that_disable_each_other_at_the_same_time_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder(folder.path()).open().await.unwrap();
    let root = Actor::administrator("root");
    host.first_administrator().await.unwrap();
    let grace = PutUser { permission_sets: Some(["administrators".to_owned()].into()), ..PutUser::default() };
    host.put_user(&root, "grace", grace).await.unwrap();
    let off = || PutUser { enabled: Some(false), ..PutUser::default() };
    let (one, other) = tokio::join!(host.put_user(&root, "grace", off()), host.put_user(&root, "administrator", off()));
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).map(|error| error.code()).collect();
    assert_eq!(refused, ["last-administrator"]);
    let left = host.users(&root).unwrap().into_iter().filter(|user| user.enabled).count();
    assert_eq!(left, 1);
    assert_eq!(host.first_administrator().await.unwrap().map(|made| made.view), None, "there is one already");
}

#[test]
fn a_permission_set_is_kept_while_users_hold_it() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    user(&server, "ada", &["view-connections"]);
    put(&api, "/setup/users/bob", &json!({"permission-sets": ["ada"]})).ended(200);
    let problem = delete(&api, "/setup/permission-sets/ada").ended(409).json();
    assert_eq!(problem["code"], "in-use");
    let holder = |name: &str| json!({"kind": "user", "id": name, "name": name});
    assert_eq!(problem["users"], json!([holder("ada"), holder("bob")]));
    for name in ["ada", "bob"] {
        put(&api, &format!("/setup/users/{name}"), &json!({"permission-sets": []})).ended(200);
    }
    delete(&api, "/setup/permission-sets/ada").ended(204);
    api.get("/setup/permission-sets/ada").ended(404);
}

#[test]
fn names_are_one_whatever_their_case_and_wrong_fields_are_named() {
    let world = world();
    let server = world.serve();
    let api = server.api();
    put(&api, "/setup/permission-sets/Readers", &json!({"permissions": ["view-connections"]})).ended(200);
    put(&api, "/setup/users/Ada@Example.com", &json!({"permission-sets": ["READERS"], "label": "Ada"})).ended(200);
    let again = put(&api, "/setup/users/ada@example.COM", &json!({})).ended(200).json();
    assert_eq!((&again["name"], &again["label"]), (&json!("ada@example.com"), &json!("Ada")));
    assert_eq!(again["permissions"], json!(["view-connections"]));
    assert_eq!(api.get("/setup/users").json().as_array().unwrap().len(), 2);
    token(&api, "Laptop", "ADA@example.com", &json!({}));
    let problem = api.post("/setup/tokens", &json!({"name": "LAPTOP", "user": "ada@example.com"})).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["name"]);
    assert_eq!(api.get("/setup/tokens/lapTop").ended(200).json()["user"], "ada@example.com");

    for (path, body, fields) in [
        ("/setup/users/a_b", json!({}), vec!["name"]),
        ("/setup/users/bob", json!({"permission-sets": ["none"], "label": "B"}), vec!["permission-sets"]),
        ("/setup/users/a_b", json!({"label": " "}), vec!["name", "label"]),
        ("/setup/permission-sets/-", json!({"permissions": []}), vec!["name"]),
        ("/setup/permission-sets/x", json!({"permissions": ["fly"]}), vec!["permissions[0]"]),
        ("/setup/permission-sets/x", json!({}), vec!["permissions"]),
    ] {
        let problem = put(&api, path, &body).ended(422).json();
        assert_eq!(wrong_fields(&problem), fields, "{path}: {problem:#}");
    }
    let wrong = json!({"name": "?", "user": "a b", "days": 0});
    assert_eq!(wrong_fields(&api.post("/setup/tokens", &wrong).ended(422).json()), ["name", "user", "days"]);
    let nobody = json!({"name": "x", "user": "nobody"});
    assert_eq!(wrong_fields(&api.post("/setup/tokens", &nobody).ended(422).json()), ["user"]);
}

#[test]
fn the_command_sets_up_a_user_and_the_token_works_from_another_machine() {
    let world = world();
    let server = world.serve();
    let set = world.json(&[
        "setup",
        "permission-set",
        "put",
        "builders",
        "--label",
        "Builders",
        "--permission",
        "view-connections,manage-flows",
    ]);
    assert_eq!(set["permissions"], json!(["view-connections", "manage-flows"]));
    let named = world.json(&["setup", "permission-set", "put", "Builders", "--label", "All builders"]);
    assert_eq!((&named["label"], &named["permissions"]), (&json!("All builders"), &set["permissions"]));
    world.json(&["setup", "user", "put", "ada", "--permission-set", "builders"]);
    let made = world.json(&[
        "setup",
        "token",
        "create",
        "laptop",
        "--user",
        "ada",
        "--permission",
        "view-connections",
        "--days",
        "7",
    ]);
    let text = made["token"].as_str().unwrap();
    assert_eq!((&made["name"], &made["scope"]), (&json!("laptop"), &json!(["view-connections"])));

    let elsewhere = World::new(BINARY);
    let remote = |arguments: &[&str]| {
        let mut all = vec!["--server", &server.url];
        all.extend(arguments);
        Ran::of(elsewhere.bare(&all).env("TURNBUCKLE_TOKEN", text), "")
    };
    assert!(remote(&["whoami"]).done().out.contains("ada"));
    remote(&["flow", "list"]).done();
    remote(&["setup", "user", "list"]).ended(5).says("manage-setup");
    for noun in ["permission-set", "user", "token"] {
        world.run(&["setup", noun, "list"]).done();
    }
    assert!(world.run(&["setup", "token", "show", "laptop"]).done().out.contains("ada"));
    world.run(&["setup", "permission-set", "remove", "builders"]).ended(5).says("user `ada`");
    world.run(&["setup", "token", "revoke", "laptop"]).done();
    remote(&["whoami"]).ended(5).says("not known");
    world.run(&["setup", "user", "put", "ada", "--disable", "--no-permission-set"]).done();
    let ada = world.json(&["setup", "user", "show", "ada"]);
    assert_eq!((&ada["enabled"], &ada["permission-sets"]), (&json!(false), &json!([])));
    world.run(&["setup", "permission-set", "remove", "builders"]).done();
    world.run(&["setup", "user", "remove", "ada"]).done();
    world.run(&["setup", "user", "show", "ada"]).ended(4);
}

#[test]
fn a_token_and_its_hash_stand_in_no_log_no_answer_and_the_token_in_no_file() {
    use sha2::Digest as _;
    let mut world = world();
    world.set("TURNBUCKLE_LOG", "trace");
    let first = printed_token(&world.serve().stop()).unwrap();
    let server = world.serve();
    let api = server.api();
    user(&server, "ada", &["manage-setup", "view-connections"]);
    let text = token(&api, "laptop", "ada", &json!({}));
    let ada = Api::new(&server.url, Some(&text));
    let mut answers = Vec::new();
    for path in ["/whoami", "/setup/tokens", "/setup/tokens/laptop", "/setup/users", "/setup/permission-sets", "/host"]
    {
        answers.push(ada.get(path).ended(200));
    }
    answers.push(ada.post("/setup/tokens", &json!({"name": "laptop", "user": "ada"})).ended(422));
    answers.push(ada.post("/setup/tokens", &json!({"name": text, "user": "ada"})).ended(422));
    answers.push(ada.post("/host/backup", &json!({"path": world.work().join("copy.redb")})).ended(204));
    answers.push(delete(&ada, "/setup/tokens/laptop").ended(204));
    answers.push(ada.get("/whoami").ended(401));
    let printed = server.stop();
    for token in [&text, &first] {
        let hash = sha2::Sha256::digest(token);
        let hashes = [hex::encode(hash), base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash)];
        for secret in hashes.iter().chain([token]) {
            for answer in &answers {
                assert_eq!(leaks::in_bytes(&answer.body, secret), Vec::<&str>::new(), "{}", answer.text());
            }
            assert_eq!(leaks::in_bytes(printed.as_bytes(), secret), Vec::<&str>::new(), "{printed}");
        }
        for folder in [world.data(), world.work()] {
            assert_eq!(leaks::in_folder(&folder, token), Vec::<String>::new());
        }
    }
}
