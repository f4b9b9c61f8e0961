//! What README says one can do, one can do.

use std::fs;

use serde_json::Value;
use turnbuckle_tests::tree;
use turnbuckle_tests::world::{Ran, Serving};

use crate::scene::{developers, world};

/// The lines of README's console blocks, in their order.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(tree::top().join("README.md")).unwrap();
    let blocks = text.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn readme_shows_these_commands_and_no_others() {
    assert_eq!(
        commands(),
        [
            "cargo run --release -- demo",
            "cargo run --release -- up",
            "cargo fmt --all --check",
            "cargo clippy --workspace --all-targets",
            "cargo test --workspace",
            "cargo bench --workspace --bench speed",
            "cargo bench --workspace --features turnbuckle-tests/callgrind --bench instructions",
            "cargo bench --workspace --bench peers",
            "cargo bench --workspace --bench memory",
            "cargo bench --workspace --bench soak -- --minutes 120",
            "cargo bench --workspace --bench zoo",
            "tests/fuzz/run 60",
        ]
    );
}

#[test]
fn the_check_of_a_fresh_machine_runs_what_readme_tells_developers_to_run() {
    let check = fs::read_to_string(tree::top().join(".ci/run")).unwrap();
    for command in ["cargo fmt --all --check", "cargo clippy --workspace --all-targets", "cargo test --workspace"] {
        assert!(check.lines().any(|line| line.starts_with(command)), "{command}");
    }
}

#[test]
fn the_tour_tells_its_story_and_leaves_nothing_behind() {
    let world = world();
    let ran = Ran::of(developers(&mut world.bare(&["--output", "json", "demo"])), "").done();
    let told = ran.json();
    let steps = told["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert!(steps.iter().all(|step| step["ok"] == Value::Bool(true)), "{told:#}");
    for word in ["install", "describe", "create", "wrong", "edit", "send", "delete"] {
        assert!(names.iter().any(|name| name.contains(word)), "no step about {word}: {names:?}");
    }
    let left: Vec<_> = fs::read_dir(world.work()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
    assert!(!world.data().exists());

    let told = Ran::of(developers(&mut world.bare(&["demo"])), "").done();
    assert!(told.out.lines().count() >= steps.len(), "{}", told.out);
}

#[test]
fn up_builds_installs_and_serves_the_bundled_connectors() {
    let world = world();
    let mut command = world.command(&["up", "--listen", "127.0.0.1:0"]);
    developers(&mut command).current_dir(tree::top());
    let server = Serving::start(command, &world.data());
    let connectors = server.api().get("/connectors").ended(200).json();
    let names: Vec<_> = connectors.as_array().unwrap().iter().map(|view| view["name"].as_str().unwrap()).collect();
    let bundled: Vec<_> = tree::folders(&tree::top().join("connectors"))
        .iter()
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, bundled);

    let listed = world.json(&["connector", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 13);
    let github = world.json(&["connector", "show", "github"]);
    assert_eq!(github["descriptor"]["protocols"][0]["name"], "token", "{github:#}");
    assert!(github["descriptor"]["origins"].is_array() && github["digest"].is_string(), "{github:#}");
    let imports = github["surface"]["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import.as_str().unwrap().starts_with("wasi:http/outgoing-handler@0.2")));
    let exports = github["surface"]["exports"].as_array().unwrap();
    assert!(exports.iter().any(|export| export.as_str().unwrap().starts_with("turnbuckle:connector/connector@0.1")));
}
