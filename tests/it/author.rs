//! A connector's author: from nothing to a component, as the command says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use turnbuckle_tests::tree;
use turnbuckle_tests::world::{Ran, target_of};

use crate::scene::{BINARY, developers, world};

#[test]
fn a_connector_that_was_just_begun_passes_its_tests_builds_and_checks() {
    let world = world();
    let folder = world.work().join("parcel-post");
    let begun = world.run(&["connector", "new", "parcel-post"]).done();
    for step in ["cargo test", "turnbuckle connector build", "turnbuckle connector install"] {
        assert!(begun.out.contains(step), "what comes next: {}", begun.out);
    }
    // The versions of this tree, which are on this machine: a test takes nothing from a registry.
    fs::copy(tree::top().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let mut tests = Command::new("cargo");
    tests.args(["test", "--offline", "--quiet"]).current_dir(&folder).env_clear();
    developers(&mut tests).env("CARGO_TARGET_DIR", target_of(Path::new(BINARY)).join("author"));
    let tested = Ran::of(&mut tests, "").done();
    assert!(tested.out.contains("1 passed; 0 failed"), "{}", tested.out);

    let mut building = world.bare(&["--output", "json", "connector", "build", "parcel-post", "--out", "."]);
    developers(&mut building).env("CARGO_TARGET_DIR", target_of(Path::new(BINARY)).join("author"));
    let built = Ran::of(building.env("CARGO_NET_OFFLINE", "true"), "").done().json();
    assert_eq!(built[0]["name"], "parcel-post", "{built:#}");
    let component = world.work().join("parcel-post.wasm");
    let checked = world.json(&["connector", "check", component.to_str().unwrap()]);
    assert_eq!(checked["descriptor"]["name"], "parcel-post", "{checked:#}");
    assert_eq!(checked["descriptor"]["label"], "Parcel Post");
    assert_eq!(checked["descriptor"]["origins"], json!(["{url}"]));
    assert_eq!(world.json(&["connector", "list"]), json!([]), "a check keeps nothing");
}
