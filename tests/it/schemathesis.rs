//! The description of the API is true: a program that makes requests of it, good and bad ones, finds nothing else than it says.
//!
//! The requests name hosts of all kinds, so this runs in a network of its own, from which nothing can leave.

use std::process::Command;

use serde_json::json;
use turnbuckle_tests::{components, tree};

use crate::netns::in_own_network;
use crate::scene::{BINARY, Scene, left_out, peers};
use crate::users::put;

/// Looked for in every answer but these: the description can't say which names are taken, and which rules stand against what
/// fits it, so not all that fits is accepted; and whose connections are whose is what `private` tests.
const LEFT_OUT: &str = "positive_data_acceptance,object_level_authorization";

#[test]
fn the_server_answers_as_its_description_says() {
    let program = peers().join("schemathesis/bin/st");
    if !program.is_file() {
        return left_out("the_server_answers_as_its_description_says", "schemathesis in ~/.cache/turnbuckle-peers");
    }
    components::path(BINARY, "http");
    in_own_network("the_server_answers_as_its_description_says", move |_canary| {
        let scene = Scene::http();
        scene.connected("Orders");
        let uses = json!([{"connection": "Orders", "used-as": "action"}]);
        put(&scene.api, "/flows/nightly", &json!({"name": "Nightly", "status": "active", "uses": uses})).ended(200);
        let description = format!("{}/api/openapi.json", scene.server.url);
        let token = format!("Authorization: Bearer {}", scene.server.token);
        let mut command = Command::new(program);
        command.current_dir(scene.world.work()).env("HOME", scene.world.work());
        command.env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").env("PYTHONPATH", scene.world.work());
        let hooks = std::fs::read(tree::top().join("tests/peers/schemathesis.py")).unwrap();
        scene.world.file("schemathesis_hooks.py", hooks);
        command.args(["run", &description, "--header", &token, "--checks", "all", "--exclude-checks", LEFT_OUT]);
        // It writes a file of the host's wherever it is told to.
        command.args(["--exclude-operation-id", "host.backup"]);
        // The same requests each time, and so many that it ends in time on a slow machine.
        command.args(["--phases", "examples,coverage,fuzzing", "--seed", "1", "--max-examples", "4"]);
        command.args(["--max-time", "90", "--request-timeout", "30", "--no-shrink", "--warnings", "off"]);
        command.args(["--suppress-health-check", "all", "--no-color", "--output-sanitize", "true"]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let end = said.len().saturating_sub(20_000);
        let end = (end..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(said.len());
        assert!(output.status.success(), "{}\n{}", &said[end..], String::from_utf8_lossy(&output.stderr));
    });
}
