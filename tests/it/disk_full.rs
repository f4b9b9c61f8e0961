//! A server whose disk is full: whoever changes something is told so, everything else goes on, and nothing is lost.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::thread;

use http::Method;
use rustix::thread::UnshareFlags;
use serde_json::json;
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::upstream::{Reply, Upstream};
use turnbuckle_tests::world::World;

use crate::audit::{records, whole};
use crate::netns::sh;
use crate::scene::{BINARY, TOKEN, install, left_out};

/// Runs a test in a thread that may mount what nobody else sees.
fn with_own_mounts(test: &'static str, body: impl FnOnce() + Send + 'static) {
    let outcome = thread::spawn(move || {
        #[expect(
            deprecated,
            reason = "its replacement is unsafe for the sake of file descriptors, which are not unshared"
        )]
        let left = rustix::thread::unshare(UnshareFlags::NEWNS);
        if let Err(error) = left {
            return left_out(test, &format!("mounts of its own take root ({error})"));
        }
        sh("mount --make-rprivate /");
        body();
    })
    .join();
    if let Err(panicked) = outcome {
        std::panic::resume_unwind(panicked);
    }
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        let piece = vec![7; size];
        let full = (0..1 << 20).find_map(|_| file.write_all(&piece).err()).unwrap();
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }
}

fn put_flow(api: &Api, number: usize) -> Answer {
    let flow = json!({"name": format!("{number} {}", "long ".repeat(30)), "status": "draft"});
    api.send(Method::PUT, &format!("/flows/f{number}"), &flow)
}

#[test]
fn a_server_on_a_full_disk_says_so_goes_on_reading_and_writes_again_once_there_is_room() {
    turnbuckle_tests::components::path(BINARY, "http");
    with_own_mounts("a server on a full disk", || {
        let upstream = Upstream::start();
        upstream.on("GET", "/me", |_| Reply::status(200));
        let world = World::new(BINARY);
        fs::create_dir(world.data()).unwrap();
        let data = world.data().display().to_string();
        sh(&format!("mount -t tmpfs -o size=32m,mode=0700 none {data}"));
        world.allow(&[upstream.origin()]);
        let server = world.serve();
        let api = server.api();
        install(&api, "http");
        let new = json!({
            "name": "Orders", "connector": "http", "protocol": "bearer",
            "settings": {"url": upstream.origin(), "test-path": "/me"}, "secrets": {"token": TOKEN},
        });
        api.post("/connections", &new).ended(201);
        let ballast = world.data().join("ballast");
        fill(&ballast);

        let mut kept = 0;
        let refused = (0..20_000).find_map(|number| {
            let answer = put_flow(&api, number);
            if answer.status == 200 {
                kept += 1;
                return None;
            }
            Some(answer)
        });
        let problem = refused.unwrap().ended(507).json();
        assert_eq!(problem["code"], "disk-full", "{problem:#}");
        let store = world.data().join("turnbuckle.redb");
        let words = format!("the disk that holds store `{}` is full", store.display());
        assert_eq!(problem["detail"], words, "{problem:#}");
        assert!(problem["hint"].as_str().unwrap().starts_with("make room on that disk"), "{problem:#}");

        for round in 0..20 {
            put_flow(&api, 100_000 + round).ended(507);
            assert_eq!(api.get("/connections/Orders").ended(200).json()["status"], "active");
            api.get("/connections/Orders/send?url=/me").ended(200);
        }
        let ran = world.run(&["flow", "put", "nightly", "--name", "Nightly"]).ended(1).says(&words);
        assert!(ran.err.contains("hint: make room"), "{}", ran.err);

        fs::remove_file(&ballast).unwrap();
        let again = (0..100_000).find(|_| put_flow(&api, kept).status == 200);
        assert!(again.is_some(), "it does not go on");
        let sent = |api: &Api| records(api).iter().filter(|record| record["action"] == "connection.send").count();
        assert_eq!(sent(&api), 20, "what was done meanwhile is in the audit");
        let said = server.stop();
        let times = said.matches("changes cannot be kept").count();
        assert!((1..5).contains(&times), "it is said, and not each time: {times}\n{said}");
        let server = world.serve();
        let api = server.api();
        whole(&api);
        for number in 0..=kept {
            api.get(&format!("/flows/f{number}")).ended(200);
        }
        assert_eq!(api.get("/flows/f100000").status, 404);
        assert_eq!(sent(&api), 20);
        server.stop();
        sh(&format!("umount {data}"));
    });
}

#[test]
fn a_first_start_on_a_full_disk_says_so_and_leaves_nothing_behind() {
    with_own_mounts("a first start on a full disk", || {
        let world = World::new(BINARY);
        fs::create_dir(world.data()).unwrap();
        let data = world.data().display().to_string();
        sh(&format!("mount -t tmpfs -o size=16k,mode=0700 none {data}"));
        let ran = world.run(&["connection", "list"]).ended(1).says("full").says("hint: make room");
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        let left: Vec<_> = fs::read_dir(world.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name == "turnbuckle.redb"), "{left:?}");
        sh(&format!("mount -o remount,size=64m {data}"));
        world.run(&["connection", "list"]).done();
        sh(&format!("umount {data}"));
    });
}
