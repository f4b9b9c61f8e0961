//! What is offered as a connector and is none, or asks for what this host does not give, is refused in words.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use turnbuckle_tests::upstream::Reply;
use turnbuckle_tests::{components, leaks};

use crate::scene::{BINARY, Scene, TOKEN, by_guest, offer, world, wrong_fields};

/// Code that was compiled for this very engine: the host compiles for itself and trusts nobody else's.
#[expect(clippy::disallowed_types, reason = "somebody else's engine is played here")]
fn precompiled() -> Vec<u8> {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model(true);
    wasmtime::Engine::new(&config).unwrap().precompile_component(&wat::parse_str("(component)").unwrap()).unwrap()
}

/// What is offered, and what is said of it.
fn offers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = |text: &str| wat::parse_str(text).unwrap();
    let import = |name: &str| text(&format!("(component (import \"{name}\" (instance)))"));
    let mut cut = components::read(BINARY, "echo").to_vec();
    cut.truncate(cut.len() / 2);
    vec![
        ("nothing", vec![], "is not a WebAssembly component: it does not begin like one"),
        ("text", b"hello".to_vec(), "is not a WebAssembly component: it does not begin like one"),
        ("cut", cut, "is not valid WebAssembly"),
        ("module", text("(module)"), "is a core module, not a component; build it for the target wasm32-wasip2"),
        ("cwasm", precompiled(), "is precompiled code; give the WebAssembly component itself"),
        ("elf", b"\x7fELF\x02\x01\x01\0".to_vec(), "is precompiled code; give the WebAssembly component itself"),
        (
            "import",
            import("acme:bank/vault@1.0.0"),
            "imports `acme:bank/vault@1.0.0`, which this host does not offer to connectors",
        ),
        (
            "wasi03",
            import("wasi:http/types@0.3.0"),
            "imports `wasi:http/types@0.3.0` of WASI 0.3; build it for WASI 0.2",
        ),
        ("export", text("(component)"), "does not export `turnbuckle:connector/connector@0.1`"),
    ]
}

#[test]
fn what_is_no_connector_is_refused_with_the_reason() {
    let scene = Scene::with(&[]);
    for (name, component, words) in offers() {
        let problem = offer(&scene.api, component).ended(422).json();
        assert_eq!(wrong_fields(&problem), ["component"], "{name}: {problem:#}");
        let message = problem["problems"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{name}: {message}");
    }
    assert_eq!(scene.api.get("/connectors").ended(200).json(), json!([]));
    assert_eq!(offer(&scene.api, components::read(BINARY, "echo")).ended(201).json()["new"], true, "the host lives");
}

#[test]
fn the_command_refuses_what_is_no_connector_with_the_same_words() {
    let world = world();
    // One host for all of them.
    let _server = world.serve();
    for (name, component, words) in offers() {
        let file = world.file(&format!("{name}.wasm"), component);
        for verb in ["install", "check"] {
            let ran = world.run(&["connector", verb, file.to_str().unwrap()]).ended(2).says(words);
            assert!(!ran.err.contains("panicked"), "{verb} {name}: {}", ran.err);
        }
    }
    assert_eq!(world.json(&["connector", "list"]), json!([]));
    world.run(&["connector", "install", components::path(BINARY, "echo").to_str().unwrap()]).done();
}

#[test]
fn a_version_that_is_taken_by_another_component_stays_as_it_is() {
    let scene = Scene::with(&["echo"]);
    let before = scene.api.get("/connectors/echo").ended(200).json();
    let mut other = components::read(BINARY, "echo").to_vec();
    // A custom section at the end: another component that says the same of itself.
    other.extend([0, 2, 1, b'x']);
    let problem = offer(&scene.api, other.clone()).ended(409).json();
    assert_eq!(problem["code"], "version-taken", "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().starts_with("connector `echo` 1.0.0 is installed already"));
    assert!(problem["hint"].as_str().unwrap().contains("raise the version"), "{problem:#}");
    assert_eq!(scene.api.get("/connectors/echo").ended(200).json(), before);
    let again = offer(&scene.api, components::read(BINARY, "echo"));
    assert_eq!((again.status.as_u16(), &again.json()["new"]), (200, &json!(false)), "the same one again is no fault");

    scene.api.send(Method::DELETE, "/connectors/echo", &Value::Null).ended(204);
    offer(&scene.api, other).ended(201);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the host signs with the time of now")]
fn a_connector_signs_requests_with_keys_that_it_never_sees() {
    let scene = Scene::with(&["signer"]);
    scene.upstream.echo("*");
    let made = by_guest(&scene, "Signed", "signer", "signed", &json!({}), &json!({"key": TOKEN})).ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    let arrived = &scene.upstream.arrived()[0];
    let signature = arrived.header("x-signature");
    let now = jiff::Timestamp::now().as_second();
    let url = format!("{}{}", scene.upstream.origin(), arrived.path);
    let signed = |at: i64| {
        let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
        mac.update(format!("{} {url} {at}", arrived.method).as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    assert!((now - 60..=now).any(|at| signed(at) == signature), "{signature}");
    // The service repeats it; nobody reads it back.
    assert!(!made.to_string().contains(signature), "{made:#}");
    assert_eq!(leaks::in_bytes(made.to_string().as_bytes(), TOKEN), Vec::<&str>::new());
}

#[test]
fn a_sign_in_without_a_browser_is_made_by_the_host_alone() {
    let scene = Scene::with(&["bad-plan"]);
    scene
        .upstream
        .on("POST", "/token", |_| Reply::json(200, &json!({"access_token": "fresh-token-8812", "expires_in": 60})));
    scene.upstream.on("GET", "/", |arrived| {
        Reply::status(if arrived.header("authorization") == "Bearer fresh-token-8812" { 200 } else { 401 })
    });
    let secrets = json!({"client-secret": TOKEN});
    let made = by_guest(&scene, "Unattended", "bad-plan", "unattended", &json!({"plan": "good-token"}), &secrets);
    let made = made.ended(201).json();
    assert_eq!(made["status"], "active", "{made:#}");
    assert_eq!(made["credential"]["secrets"], json!(["access-token"]), "names, never values");
    assert_eq!(leaks::in_folder(&scene.world.data(), "fresh-token-8812"), Vec::<String>::new());
}
