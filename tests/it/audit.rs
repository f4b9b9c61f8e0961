//! Who did what: every change, sign-in, refusal and use of a secret leaves a record.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::browser::Browser;
use turnbuckle_tests::leaks;
use turnbuckle_tests::upstream::Reply;

use crate::oauth_attacks::{ACCESS, CLIENT_SECRET, CODE, Ring};
use crate::scene::{BINARY, Scene, TOKEN, by_guest, install, offer};
use crate::users::{WORKS, user};

/// Everything that is recorded, oldest first.
pub(crate) fn records(api: &Api) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/audit?limit=200{cursor}")).ended(200).json();
        all.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    all.reverse();
    all
}

/// `action object outcome reason`, as far as they are there.
fn told(record: &Value) -> String {
    let words = [&record["action"], &record["object"]["name"], &record["outcome"], &record["reason"]];
    words.into_iter().filter_map(Value::as_str).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What was recorded behind these many records.
fn since(api: &Api, seen: &mut usize) -> Vec<String> {
    let all = records(api);
    let new = all[*seen..].iter().map(told).collect();
    *seen = all.len();
    new
}

pub(crate) fn whole(api: &Api) -> Value {
    let report = api.get("/audit/verify").ended(200).json();
    assert_eq!(report["whole"], true, "{report:#}");
    report
}

#[test]
fn every_change_of_a_connection_or_a_flow_leaves_a_record() {
    let scene = Scene::http();
    let (api, mut seen) = (&scene.api, 0);
    let origin = scene.upstream.origin();
    assert_eq!(
        since(api, &mut seen),
        [
            "permission-set.put administrators done",
            "user.put administrator done",
            "token.create first-start done",
            "connector.install http done",
        ],
        "a first start lets somebody in"
    );

    scene.connected("Orders");
    assert_eq!(since(api, &mut seen), ["connection.create Orders done", "connection.test Orders done"]);

    api.post("/connections/Orders/test", &json!({})).ended(200);
    let edit = json!({"version": 1, "description": "the shop's", "settings": {"test-path": "/missing"}});
    api.send(Method::PATCH, "/connections/Orders", &edit).ended(200);
    api.post("/connections/Orders/disable", &json!({})).ended(200);
    api.post("/connections/Orders/enable", &json!({})).ended(200);
    assert_eq!(
        since(api, &mut seen),
        [
            "connection.test Orders done",
            "connection.edit Orders done",
            "connection.test Orders failed misconfigured",
            "connection.disable Orders done",
            "connection.enable Orders done",
        ]
    );
    let edited = &records(api)[7];
    assert_eq!(edited["fields"], json!(["description", "test-path"]), "{edited:#}");
    assert_eq!(edited["connector"]["name"], "http");
    assert_eq!(edited["connector"]["digest"].as_str().map(str::len), Some(64), "{edited:#}");
    assert_eq!(records(api)[5]["origins"], json!([origin]), "a test says where it asked");

    let back = json!({"version": 4, "settings": {"test-path": "/me"}});
    api.send(Method::PATCH, "/connections/Orders", &back).ended(200);
    since(api, &mut seen);
    let wrong = json!({"secrets": {"token": "canary-wrong-0123456789"}});
    api.post("/connections/Orders/reconnect", &wrong).ended(200);
    api.post("/connections/Orders/reconnect", &json!({"secrets": {"token": TOKEN}})).ended(200);
    assert_eq!(
        since(api, &mut seen),
        ["connection.reconnect Orders failed unauthorized", "connection.reconnect Orders done"]
    );

    let flow = json!({"name": "Nightly", "status": "active"});
    api.send(Method::PUT, "/flows/nightly", &flow).ended(200);
    api.post("/flows/nightly/uses", &json!({"connection": "Orders", "used-as": "action"})).ended(200);
    api.post("/flows/nightly/open", &json!({})).ended(200);
    api.call(Method::DELETE, "/flows/nightly/uses?connection=Orders", &[], Bytes::new()).ended(200);
    api.call(Method::DELETE, "/flows/nightly", &[], Bytes::new()).ended(204);
    assert_eq!(
        since(api, &mut seen),
        [
            "flow.put Nightly done",
            "flow.select Nightly done",
            "connection.test Orders done",
            "connection.test Orders done",
            "flow.deselect Nightly done",
            "flow.remove Nightly done",
        ]
    );

    install(api, "narrow");
    by_guest(&scene, "Old", "upgradable", "none", &json!({}), &json!({})).ended(201);
    offer(api, turnbuckle_tests::components::read(BINARY, "wide")).ended(201);
    since(api, &mut seen);
    api.post("/connectors/upgradable/upgrade", &json!({})).ended(409);
    api.post("/connectors/upgradable/upgrade", &json!({"accept": true})).ended(200);
    assert_eq!(
        since(api, &mut seen)[..2],
        ["connector.upgrade upgradable refused origins-widened", "connection.upgrade Old done"]
    );

    api.call(Method::DELETE, "/connections/Orders", &[], Bytes::new()).ended(204);
    assert_eq!(since(api, &mut seen), ["connection.delete Orders done"]);
    let report = whole(api);
    assert_eq!(report["records"], records(api).len());
}

#[test]
fn every_change_of_what_an_operator_sets_up_leaves_a_record() {
    let scene = Scene::with(&["salesforce"]);
    let api = &scene.api;
    let mut seen = records(api).len();
    let provider = json!({"connector": "salesforce", "protocol": "oauth2", "client-id": "c", "client-secret": TOKEN});
    api.send(Method::PUT, "/setup/identity-providers/crm", &provider).ended(200);
    api.call(Method::DELETE, "/setup/identity-providers/crm", &[], Bytes::new()).ended(204);
    for change in
        [json!({"enabled": false}), json!({"enabled": true}), json!({"featured": true}), json!({"featured": false})]
    {
        api.send(Method::PATCH, "/connectors/salesforce", &change).ended(200);
    }
    api.call(Method::DELETE, "/connectors/salesforce", &[], Bytes::new()).ended(204);
    api.post("/host/rotate-key", &json!({})).ended(200);
    let copy = scene.world.work().join("copy");
    api.post("/host/backup", &json!({"path": copy})).ended(204);
    assert_eq!(
        since(api, &mut seen),
        [
            "identity-provider.put crm done",
            "identity-provider.remove crm done",
            "connector.disable salesforce done",
            "connector.enable salesforce done",
            "connector.feature salesforce done",
            "connector.unfeature salesforce done",
            "connector.remove salesforce done",
            "host.rotate-key done",
            "host.backup done",
        ]
    );

    let set = json!({"permissions": ["view-connections"]});
    api.send(Method::PUT, "/setup/permission-sets/readers", &set).ended(200);
    api.send(Method::PUT, "/setup/users/ada", &json!({"permission-sets": ["readers"]})).ended(200);
    let token = api.post("/setup/tokens", &json!({"name": "laptop", "user": "ada"})).ended(201).json();
    let ada = Api::new(&scene.server.url, token["token"].as_str());
    ada.get("/audit").ended(403);
    ada.post("/connections", &scene.bearer("Sneaky", TOKEN)).ended(403);
    api.call(Method::DELETE, "/setup/tokens/laptop", &[], Bytes::new()).ended(204);
    api.call(Method::DELETE, "/setup/users/ada", &[], Bytes::new()).ended(204);
    api.call(Method::DELETE, "/setup/permission-sets/readers", &[], Bytes::new()).ended(204);
    assert_eq!(
        since(api, &mut seen),
        [
            "permission-set.put readers done",
            "user.put ada done",
            "token.create laptop done",
            "audit.view refused view-audit",
            "connection.create Sneaky refused manage-connections",
            "token.revoke laptop done",
            "user.remove ada done",
            "permission-set.remove readers done",
        ]
    );
    assert!(!json!(records(api)).to_string().contains(token["token"].as_str().unwrap()), "a token's text is nowhere");

    let others: Vec<_> = records(api).into_iter().filter(|record| record["actor"] != "administrator").collect();
    assert!(others.len() == 2 && others.iter().all(|record| record["actor"] == "ada"), "{others:#?}");
    let report = whole(api);
    assert_eq!(report["records"], records(api).len());
}

#[test]
fn a_refused_call_leaves_one_and_names_what_stood_against_it() {
    let scene = Scene::http();
    scene.connected("Orders");
    let api = &scene.api;
    let mut seen = records(api).len();
    api.post("/connections/Orders/disable", &json!({})).ended(200);
    api.post("/connections/Orders/test", &json!({})).ended(409);
    api.get("/connections/Orders/send?url=/me").ended(409);
    let uses = json!([{"connection": "Orders", "used-as": "action"}]);
    api.send(Method::PUT, "/flows/nightly", &json!({"name": "Nightly", "status": "active", "uses": uses})).ended(200);
    api.call(Method::DELETE, "/connections/Orders", &[], Bytes::new()).ended(409);
    api.call(Method::DELETE, "/connectors/http", &[], Bytes::new()).ended(409);
    api.post("/connections/Orders/enable", &json!({})).ended(200);
    api.get("/connections/Orders/send?url=https://elsewhere.example/steal").ended(403);
    assert_eq!(
        since(api, &mut seen),
        [
            "connection.disable Orders done",
            "connection.test Orders refused disabled",
            "connection.send Orders refused disabled",
            "flow.put Nightly done",
            "connection.delete Orders refused in-use",
            "connector.remove http refused in-use",
            "connection.enable Orders done",
            "connection.send Orders refused denied",
        ]
    );
    let denied = &records(api)[seen - 1];
    assert_eq!(denied["origins"], json!(["https://elsewhere.example"]));
    // What is not there, or is filled in wrongly, is a mistake and no refusal.
    api.get("/connections/Nowhere").ended(404);
    api.post("/connections", &json!({"name": "", "connector": "http"})).ended(422);
    assert_eq!(since(api, &mut seen), Vec::<String>::new());
    whole(api);
}

#[test]
fn a_use_of_a_secret_says_where_it_went_and_holds_neither_the_secret_nor_the_path() {
    let scene = Scene::http();
    let made = scene.connected("Orders");
    scene.upstream.on("GET", "/ledger-5f2c", |_| Reply::status(418));
    let path = "/connections/Orders/send?url=/ledger-5f2c%3Fapi_key%3Dcanary-in-a-query";
    scene.api.get(path).ended(418);
    let all = records(&scene.api);
    let (test, send) = (&all[all.len() - 2], &all[all.len() - 1]);
    assert_eq!(
        (told(test).as_str(), told(send).as_str()),
        ("connection.test Orders done", "connection.send Orders done")
    );
    for record in [test, send] {
        assert_eq!(record["object"], json!({"kind": "connection", "id": made["id"], "name": "Orders"}));
        assert_eq!(record["origins"], json!([scene.upstream.origin()]));
        assert_eq!(record["connector"], made["connector"], "with the digest of the code that ran");
    }
    assert_eq!(send["status"], 418);
    let export = scene.api.get("/audit/export").ended(200);
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    for secret in [TOKEN, "ledger-5f2c", "canary-in-a-query"] {
        assert_eq!(leaks::in_bytes(&export.body, secret), Vec::<&str>::new(), "{secret}");
        assert_eq!(leaks::in_bytes(json!(all).to_string().as_bytes(), secret), Vec::<&str>::new(), "{secret}");
    }
}

#[test]
fn a_sign_in_and_a_renewal_leave_records_and_a_stranger_leaves_none() {
    let ring = Ring::new();
    let (api, mut seen) = (&ring.api, 4);
    ring.made("Orders", &ring.honest);
    assert_eq!(since(api, &mut seen), ["connection.create Orders done"]);
    let begun = ring.begun("Orders");
    let mut stranger = Browser::new();
    stranger.get(&begun.callback()).ended(409);
    stranger.get(&begun.callback()).ended(409);
    assert_eq!(
        since(api, &mut seen),
        ["connection.authorize Orders done", "connection.sign-in Orders refused callback"],
        "a state that is used up is nobody's"
    );
    let mut begun = ring.begun("Orders");
    let callback = begun.callback();
    begun.browser.get(&callback).ended(200);
    assert_eq!(
        since(api, &mut seen),
        [
            "connection.authorize Orders done",
            "connection.obtain Orders done",
            "connection.sign-in Orders done",
            "connection.test Orders done",
        ]
    );
    let origin = json!([ring.honest.origin()]);
    assert_eq!((&records(api)[seen - 4]["origins"], &records(api)[seen - 3]["origins"]), (&origin, &origin));

    let tokens = json!({
        "secrets": {"access-token": ACCESS, "refresh-token": "canary-refresh-9a3e"}, "expires-at": "2001-01-01T00:00:00Z",
    });
    api.post("/connections/Orders/reconnect", &json!({"tokens": tokens})).ended(200);
    api.get("/connections/Orders/send?url=/me").ended(200);
    assert_eq!(
        since(api, &mut seen),
        ["connection.reconnect Orders done", "connection.renew Orders done", "connection.send Orders done"]
    );
    assert_eq!(records(api)[seen - 2]["origins"], origin);
    ring.honest.on("POST", "/token", |_| Reply::json(400, &json!({"error": "invalid_grant"})));
    api.post("/connections/Orders/reconnect", &json!({"tokens": tokens})).ended(200);
    api.get("/connections/Orders/send?url=/me").ended(502);
    let renewals = api.get("/audit?action=connection.renew&outcome=failed").ended(200).json();
    assert_eq!(told(&renewals["items"][0]), "connection.renew Orders failed revoked", "{renewals:#}");

    whole(api);
    let export = api.get("/audit/export").ended(200);
    for secret in [CLIENT_SECRET, ACCESS, CODE, "canary-refresh-9a3e", &begun.state()] {
        assert_eq!(leaks::in_bytes(&export.body, secret), Vec::<&str>::new(), "{secret}");
    }
}

#[test]
fn a_list_is_filtered_and_goes_on_where_the_page_before_ended() {
    let scene = Scene::http();
    scene.connected("Orders");
    let invoices = scene.connected("Invoices");
    for _ in 0..5 {
        scene.api.get("/connections/Invoices/send?url=/me").ended(200);
    }
    scene.api.get("/connections/Orders/send?url=https://elsewhere.example/").ended(403);
    let all = records(&scene.api);
    let found = |query: &str| {
        let page = scene.api.get(&format!("/audit?limit=200&{query}")).ended(200).json();
        page["items"].as_array().unwrap().iter().map(|record| record["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let of = |wanted: &dyn Fn(&Value) -> bool| {
        all.iter()
            .rev()
            .filter(|record| wanted(record))
            .map(|record| record["seq"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("action=connection.send"), of(&|record| record["action"] == "connection.send"));
    assert_eq!(found("action=connector").len(), 1, "every action on connectors");
    assert_eq!(found("object=invoices"), of(&|record| record["object"]["name"] == "Invoices"));
    assert_eq!(found(&format!("object={}", invoices["id"].as_str().unwrap())), found("object=Invoices"));
    assert_eq!(found("outcome=refused"), of(&|record| record["outcome"] == "refused"));
    assert_eq!(found("actor=administrator").len(), all.len());
    assert_eq!(found("actor=nobody"), Vec::<u64>::new());
    let middle = all[4]["at"].as_str().unwrap();
    assert_eq!(found(&format!("since={middle}")), of(&|record| record["at"].as_str() >= Some(middle)));
    assert_eq!(found(&format!("until={middle}")), of(&|record| record["at"].as_str() < Some(middle)));

    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = scene.api.get(&format!("/audit?action=connection&limit=3{cursor}")).ended(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        paged.extend(items.iter().map(|record| record["seq"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, found("action=connection"));
    for (query, field) in
        [("action=conection", "action"), ("limit=0", "limit"), ("since=yesterday", "since"), ("cursor=x", "cursor")]
    {
        let problem = scene.api.get(&format!("/audit?{query}")).ended(422).json();
        assert_eq!(crate::scene::wrong_fields(&problem), [field], "{problem:#}");
    }
}

#[test]
fn those_who_take_turns_at_one_connection_each_stand_in_their_own_records_under_its_name_of_then() {
    let scene = Scene::http();
    scene.connected("Orders");
    let (ada, bob) = (user(&scene.server, "ada", &WORKS), user(&scene.server, "bob", &WORKS));
    let before = records(&scene.api).len();
    scene.upstream.on("GET", "/none", |_| Reply::status(404));
    for api in [&ada, &ada, &bob, &ada] {
        api.get("/connections/Orders/send?url=/me").ended(200);
    }
    bob.get("/connections/Orders/send?url=/none").ended(404);
    bob.get("/connections/Orders/send?url=https://elsewhere.example/steal").ended(403);
    scene.api.send(Method::PATCH, "/connections/Orders", &json!({"version": 1, "name": "Sales"})).ended(200);
    bob.get("/connections/Sales/send?url=/me").ended(200);
    let (here, elsewhere) = (scene.upstream.origin(), "https://elsewhere.example".to_owned());
    let sent = records(&scene.api).split_off(before).into_iter().filter(|record| record["action"] == "connection.send");
    let rows: Vec<_> = sent
        .map(|record| json!([record["actor"], record["object"]["name"], record["origins"], record["status"]]))
        .collect();
    assert_eq!(
        rows,
        [
            json!(["ada", "Orders", [here], 200]),
            json!(["ada", "Orders", [here], 200]),
            json!(["bob", "Orders", [here], 200]),
            json!(["ada", "Orders", [here], 200]),
            json!(["bob", "Orders", [here], 404]),
            json!(["bob", "Orders", [elsewhere], null]),
            json!(["bob", "Sales", [here], 200]),
        ]
    );
    whole(&scene.api);
}

#[test]
fn a_command_lists_what_was_just_done_without_a_server() {
    let scene = Scene::http();
    scene.connected("Orders");
    let Scene { server, world, upstream, .. } = scene;
    server.stop();
    world.run(&["connection", "send", "Orders", "/me"]).done();
    let listed = world.json(&["audit", "list", "--action", "connection.send"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!(listed["items"][0]["origins"], json!([upstream.origin()]));
    let table = world.run(&["audit", "list", "--object", "orders", "--limit", "1"]).done();
    assert!(table.out.contains("connection.send") && table.out.contains("done (200)"), "{}", table.out);
    assert!(table.err.contains("--cursor"), "{}", table.err);
    world.run(&["audit", "list", "--action", "conection.send"]).ended(2).says("there is no such action");
    world.run(&["audit", "list", "--outcome", "perhaps"]).ended(2);
}
