//! A private connection is there for its owner alone, and who owns a connection may change.

use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;

use crate::scene::{Scene, TOKEN, wrong_fields};
use crate::users::{WORKS, delete, put, user};

/// Two users who may do what people do with connections, and one private connection of the first.
fn two(scene: &Scene) -> (Api, Api) {
    let (ada, bob) = (user(&scene.server, "ada", &WORKS), user(&scene.server, "bob", &WORKS));
    let mut private = scene.bearer("Diary", TOKEN);
    private["visibility"] = json!("private");
    ada.post("/connections", &private).ended(201);
    (ada, bob)
}

#[test]
fn a_private_connection_is_not_there_for_others_whatever_they_ask() {
    let scene = Scene::http();
    let (ada, bob) = two(&scene);
    let id = ada.get("/connections/Diary").ended(200).json()["id"].as_str().unwrap().to_owned();
    let flow = json!({"name": "F", "status": "draft", "uses": [{"connection": "Diary", "used-as": "action"}]});
    put(&ada, "/flows/adas", &flow).ended(200);
    put(&bob, "/flows/bobs", &json!({"name": "B", "status": "draft"})).ended(200);
    scene.upstream.forget();
    let nothing = || Value::Null;
    let use_of = |key: &str| json!({"connection": key, "used-as": "action"});
    for hidden in ["Diary", "diary", id.as_str()] {
        // In the same words as for one that is nowhere.
        let missing = "01890a5d-ac96-774b-bcce-b302099a8057";
        for (method, before, after, body) in [
            (Method::GET, "/connections/", "", nothing()),
            (Method::PATCH, "/connections/", "", json!({"version": 1, "name": "Mine"})),
            (Method::DELETE, "/connections/", "", nothing()),
            (Method::POST, "/connections/", "/test", nothing()),
            (Method::POST, "/connections/", "/reconnect", json!({"secrets": {"token": "t"}})),
            (Method::POST, "/connections/", "/enable", nothing()),
            (Method::POST, "/connections/", "/disable", nothing()),
            (Method::POST, "/connections/", "/authorize", json!({})),
            (Method::POST, "/connections/", "/transfer", json!({"to": "bob"})),
            (Method::GET, "/connections/", "/flows", nothing()),
            (Method::GET, "/connections/", "/history", nothing()),
            (Method::GET, "/connections/", "/send?url=/me", nothing()),
            (Method::POST, "/connections/", "/send?url=/me", nothing()),
            (Method::DELETE, "/flows/bobs/uses?connection=", "", nothing()),
        ] {
            let there = bob.send(method.clone(), &format!("{before}{hidden}{after}"), &body).ended(404);
            let nowhere = bob.send(method.clone(), &format!("{before}{missing}{after}"), &body).ended(404);
            assert_eq!(there.text().replace(hidden, missing), nowhere.text(), "{method} {before}{hidden}{after}");
        }
        for (method, path, of) in [
            (Method::POST, "/flows/bobs/uses", &use_of as &dyn Fn(&str) -> Value),
            (Method::PUT, "/flows/bobs", &|key| json!({"name": "B", "status": "draft", "uses": [use_of(key)]})),
        ] {
            let there = bob.send(method.clone(), path, &of(hidden)).ended(422);
            let nowhere = bob.send(method.clone(), path, &of(missing)).ended(422);
            assert_eq!(there.text().replace(hidden, missing), nowhere.text(), "{method} {path}");
        }
    }
    assert_eq!(scene.upstream.arrived().len(), 0, "nobody used it");
    let whole = bob.get("/connections").ended(200);
    assert_eq!(whole.json(), json!({"items": [], "next": null}));
    assert_eq!(bob.get("/connections?owner=ada&text=dia&connector=http").json(), whole.json());
    for (api, counted) in [(&ada, 1), (&bob, 0), (&scene.api, 1)] {
        assert_eq!(api.get("/connectors/http").json()["connections"], counted);
        assert_eq!(api.get("/connectors").json()[0]["connections"], counted);
        assert_eq!(api.get("/host").json()["connections"], counted);
    }

    let opened = bob.send(Method::POST, "/flows/adas/open", &Value::Null).ended(200);
    assert!(!opened.text().contains("Diary"), "{}", opened.text());
    ada.send(Method::POST, "/connections/Diary/disable", &Value::Null).ended(200);
    let opened = bob.send(Method::POST, "/flows/adas/open", &Value::Null).ended(200).json();
    assert_eq!(opened["alerts"][0]["name"], json!(id), "an opaque id: {opened:#}");
    assert_eq!(opened["alerts"][0]["message"], "it does not work; its owner can see why");
}

#[test]
fn a_name_that_is_taken_does_not_tell_by_whom() {
    let scene = Scene::http();
    let (_ada, bob) = two(&scene);
    let problem = bob.post("/connections", &scene.bearer("diary", TOKEN)).ended(422);
    assert_eq!(wrong_fields(&problem.json()), ["name"]);
    let of_shared = {
        scene.connected("Orders");
        bob.post("/connections", &scene.bearer("orders", TOKEN)).ended(422)
    };
    assert_eq!(problem.text().replace("diary", "orders"), of_shared.text(), "in the same words as for any other");
    bob.post("/connections", &scene.bearer("Mine", TOKEN)).ended(201);
    let renamed = bob.send(Method::PATCH, "/connections/Mine", &json!({"version": 1, "name": "DIARY"})).ended(422);
    assert!(!renamed.text().contains("ada"), "{}", renamed.text());
}

#[test]
fn neither_the_length_of_a_page_nor_its_cursor_tells_of_private_connections() {
    let scene = Scene::http();
    let (ada, bob) = (user(&scene.server, "ada", &WORKS), user(&scene.server, "bob", &WORKS));
    for (name, visibility) in
        [("a", "shared"), ("b-hidden", "private"), ("c", "shared"), ("d-hidden", "private"), ("e", "shared")]
    {
        let mut new = scene.bearer(name, TOKEN);
        new["visibility"] = json!(visibility);
        ada.post("/connections", &new).ended(201);
    }
    let page = |api: &Api, query: &str| {
        let page = api.get(&format!("/connections?limit=1{query}")).ended(200).json();
        let names: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
        (names, page["next"].as_str().map(str::to_owned))
    };
    let walk = |api: &Api| {
        let (mut names, mut query) = (Vec::new(), String::new());
        loop {
            let (found, next) = page(api, &query);
            assert_eq!(found.len(), 1, "each page is full");
            names.extend(found);
            let Some(next) = next else { return names };
            query = format!("&cursor={next}");
        }
    };
    assert_eq!(walk(&ada), ["a", "b-hidden", "c", "d-hidden", "e"].map(Value::from));
    assert_eq!(walk(&bob), ["a", "c", "e"].map(Value::from));
    let (_, next) = page(&bob, "");
    let plain = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, next.unwrap()).unwrap();
    assert_eq!(plain, b"cc", "the list's mark, then the next name that he may see");
}

#[test]
fn only_its_owner_makes_a_connection_private() {
    let scene = Scene::http();
    let (ada, bob) = (user(&scene.server, "ada", &WORKS), user(&scene.server, "bob", &WORKS));
    ada.post("/connections", &scene.bearer("Orders", TOKEN)).ended(201);
    let private = json!({"version": 1, "visibility": "private"});
    let problem = bob.send(Method::PATCH, "/connections/Orders", &private).ended(422).json();
    assert_eq!(wrong_fields(&problem), ["visibility"]);
    ada.send(Method::PATCH, "/connections/Orders", &private).ended(200);
    bob.get("/connections/Orders").ended(404);
}

#[test]
fn a_connection_is_given_to_another_user_by_its_owner_or_an_administrator() {
    let scene = Scene::http();
    let (ada, bob) = two(&scene);
    let transfer = |api: &Api, to: &str| api.post("/connections/Diary/transfer", &json!({"to": to}));
    for nobody in ["carol", "a b", ""] {
        let problem = transfer(&ada, nobody).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["to"], "{problem:#}");
    }
    let given = transfer(&ada, "BOB").ended(200).json();
    assert_eq!((&given["from"], &given["to"], &given["version"]), (&json!("ada"), &json!("bob"), &json!(2)));
    transfer(&ada, "ada").ended(404);
    ada.get("/connections/Diary").ended(404);
    let history = bob.get("/connections/Diary/history").ended(200).json();
    let newest = &history["items"][0];
    assert_eq!(
        (&newest["kind"], &newest["actor"], &newest["fields"]),
        (&json!("transferred"), &json!("ada"), &json!(["owner"]))
    );
    bob.get("/connections/Diary/send?url=/me").ended(200);
    assert_eq!(bob.get("/connections?owner=bob").json()["items"][0]["name"], "Diary");

    // A shared one is seen by everybody, and still given away by its owner alone.
    ada.post("/connections", &scene.bearer("Orders", TOKEN)).ended(201);
    let problem = bob.post("/connections/Orders/transfer", &json!({"to": "bob"})).ended(403).json();
    assert!(problem["detail"].as_str().unwrap().contains("manage-setup"), "{problem:#}");

    put(&scene.api, "/setup/users/carol", &json!({"enabled": false})).ended(200);
    transfer(&scene.api, "carol").ended(422);
    let told = scene.world.run(&["connection", "transfer", "Diary", "--to", "ada"]).done();
    assert_eq!(told.out.trim(), "The connection Diary belongs to ada now; before it was bob's.");
    ada.get("/connections/Diary").ended(200);
    bob.get("/connections/Diary").ended(404);
}

#[test]
fn a_user_with_private_connections_is_removed_only_after_these_went_to_somebody_else() {
    let scene = Scene::http();
    let (ada, bob) = two(&scene);
    ada.post("/connections", &scene.bearer("Orders", TOKEN)).ended(201);
    let id = ada.get("/connections/Diary").json()["id"].clone();
    let problem = delete(&scene.api, "/setup/users/ada").ended(409).json();
    assert_eq!(problem["code"], "in-use");
    assert_eq!(problem["users"], json!([{"kind": "connection", "id": id, "name": "Diary"}]));
    scene.world.run(&["setup", "user", "remove", "ada"]).ended(5).says("connection transfer");
    scene.api.post("/connections/Diary/transfer", &json!({"to": "bob"})).ended(200);
    delete(&scene.api, "/setup/users/ada").ended(204);
    bob.get("/connections/Diary").ended(200);
    bob.get("/connections/Orders").ended(200);
}
