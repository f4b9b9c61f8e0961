//! The audit proves that none of its records was touched: in the store, in an export, after a kill, and after the oldest are gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use http::Method;
use redb::ReadableTable as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::world::{Ran, World};

use crate::audit::{records, whole};
use crate::scene::{BINARY, left_out, world};

const AUDIT: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("audit");

/// A world with a chain in it that holds nothing but flows, for they are quickly put: no server ran here yet.
fn filled(flows: usize) -> World {
    let world = world();
    for number in 0..flows {
        let (id, name) = (format!("f{number}"), format!("Flow {number}"));
        world.run(&["flow", "put", &id, "--name", &name]).done();
    }
    world
}

fn put_flows(api: &Api, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let flow = json!({"name": format!("Flow {number}"), "status": "draft"});
        api.send(Method::PUT, &format!("/flows/f{number}"), &flow).ended(200);
    }
}

type Lines = Vec<(Vec<u8>, Vec<u8>)>;
type Change = Box<dyn Fn(&mut Lines)>;

/// Changes the records behind the program's back.
fn tamper(world: &World, change: impl FnOnce(&mut Lines)) {
    #[expect(clippy::disallowed_types, reason = "somebody is played here who may write the file")]
    let database = redb::Database::open(world.data().join("turnbuckle.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(AUDIT).unwrap();
        let entries = table.iter().unwrap().map(|entry| entry.unwrap());
        let mut lines: Lines = entries.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect();
        change(&mut lines);
        table.retain(|_, _| false).unwrap();
        for (key, value) in lines {
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Swaps the first of these bytes for another text of the same length.
fn swap(bytes: &mut [u8], old: &str, new: &str) {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
}

#[test]
fn whatever_is_done_to_the_store_behind_its_back_names_the_first_bad_record() {
    let changes: [(&str, &str, Change); 8] = [
        ("one byte", "record 3 was altered", Box::new(|lines| swap(&mut lines[2].1, "Flow 2", "Flow 7"))),
        (
            "the actor",
            "record 5 was altered",
            Box::new(|lines| swap(&mut lines[4].1, "administrator", "administratos")),
        ),
        (
            "the hash",
            "record 2 was altered",
            Box::new(|lines| {
                let at = lines[1].1.len() - 5;
                lines[1].1[at] ^= 1;
            }),
        ),
        ("no JSON", "record 4 is not readable", Box::new(|lines| lines[3].1 = b"\x01nothing".to_vec())),
        ("removed", "record 4 is not where it belongs: record 5", Box::new(|lines| drop(lines.remove(3)))),
        ("the first removed", "record 1 is not where it belongs: record 2", Box::new(|lines| drop(lines.remove(0)))),
        ("the last removed", "record 6 is missing", Box::new(|lines| drop(lines.pop()))),
        (
            "reordered",
            "record 2 is not where it belongs: record 3",
            Box::new(|lines| {
                let other = lines[2].1.clone();
                lines[2].1 = std::mem::replace(&mut lines[1].1, other);
            }),
        ),
    ];
    for (what, words, change) in changes {
        let world = filled(6);
        world.run(&["audit", "verify"]).done();
        tamper(&world, change);
        let ran = world.run(&["audit", "verify"]).ended(3).says(words);
        assert!(ran.out.contains("First bad"), "{what}: {}", ran.out);
        // What is recorded now neither heals it nor closes the gap.
        put_flows(&world.serve().api(), 10..12);
        world
            .run(&["audit", "verify"])
            .ended(3)
            .says(words.split([' ', ':']).take(2).collect::<Vec<_>>().join(" ").as_str());
    }
}

/// Somebody who may write the store makes the whole chain anew, without the third record.
fn forge(lines: &mut Lines) {
    lines.remove(2);
    let mut prev = "0".repeat(64);
    for (at, (key, value)) in lines.iter_mut().enumerate() {
        let mut record: serde_json::Map<String, Value> = serde_json::from_slice(&value[1..]).unwrap();
        record["seq"] = json!(at + 1);
        record["prev"] = json!(prev);
        record.remove("hash");
        let text = serde_json::to_string(&record).unwrap();
        prev = hex::encode(Sha256::digest(&text[..text.len() - 1]));
        *key = (at as u64 + 1).to_be_bytes().to_vec();
        *value = format!("\u{1}{},\"hash\":\"{prev}\"}}", &text[..text.len() - 1]).into_bytes();
    }
}

#[test]
fn a_damaged_record_is_told_and_stands_in_the_way_of_no_change() {
    let world = filled(6);
    tamper(&world, |lines| lines[0].1 = b"\x01nothing".to_vec());
    world.configure("[audit]\nkeep-records = 3\n");
    world.run(&["audit", "list"]).ended(1).says("audit verify");
    let server = world.serve();
    put_flows(&server.api(), 6..9);
    server.stop();
    world.run(&["audit", "verify"]).ended(3).says("record 1 is not readable");
}

#[test]
fn a_chain_that_was_made_anew_is_found_by_a_link_that_was_noted_before() {
    let world = filled(6);
    let report = world.json(&["audit", "verify"]);
    let noted = format!("{}:{}", report["head"]["seq"], report["head"]["hash"].as_str().unwrap());
    put_flows(&world.serve().api(), 6..9);
    world.run(&["audit", "verify", "--known", &noted]).done();
    tamper(&world, forge);
    world
        .run(&["audit", "verify", "--known", &noted])
        .ended(3)
        .says("record 6 is another one than the one that is known");
    world.run(&["audit", "verify", "--known", "6:xyz"]).ended(2);
    world.run(&["audit", "verify", "--known", &format!("400:{}", "0".repeat(64))]).ended(3).says("is missing");
}

/// An export of a chain, and where it lies.
fn exported(world: &World) -> (PathBuf, Vec<String>) {
    let path = world.work().join("audit.jsonl");
    if path.exists() {
        fs::remove_file(&path).unwrap();
    }
    world.run(&["audit", "export", path.to_str().unwrap()]).done();
    let lines = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    (path, lines)
}

#[test]
fn an_export_is_checked_without_a_host_and_names_the_first_bad_record() {
    let world = filled(6);
    let (path, lines) = exported(&world);
    assert_eq!(lines.len(), 8, "a first line, six records, a last line");
    let again = world.run(&["audit", "export", path.to_str().unwrap()]).ended(5);
    assert!(again.err.contains("already exists"), "{}", again.err);
    assert_eq!(world.run(&["audit", "export"]).done().out, fs::read_to_string(&path).unwrap());

    let elsewhere = World::new(BINARY);
    let verify = |lines: &[String]| {
        let file = elsewhere.file("export.jsonl", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        elsewhere.run(&["audit", "verify", file.to_str().unwrap()])
    };
    verify(&lines).done();
    assert!(!elsewhere.data().exists(), "no host was opened for it");
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        lines
    };
    for (words, lines) in [
        ("record 3 was altered", changed(&|lines| lines[3] = lines[3].replace("Flow 2", "Flow 9"))),
        ("record 4 is not where it belongs: record 5", changed(&|lines| drop(lines.remove(4)))),
        ("record 2 is not where it belongs: record 3", changed(&|lines| lines.swap(2, 3))),
        ("record 1 is not where it belongs: record 2", changed(&|lines| drop(lines.remove(1)))),
        ("record 6 is missing", changed(&|lines| drop(lines.remove(6)))),
        ("record 5 is missing", changed(&|lines| lines.truncate(5))),
        ("record 7 is missing", changed(&|lines| drop(lines.pop()))),
        ("record 7 is one too many", changed(&|lines| lines.push(lines[6].clone()))),
        ("record 1 does not continue", changed(&|lines| lines[0] = lines[0].replace("0000", "0001"))),
        ("record 4 is not readable", changed(&|lines| lines[4].clear())),
        ("record 7 is missing", changed(&|lines| lines[7] = lines[7].replace("\"records\":6", "\"records\":7"))),
        ("record 6 is one too many", changed(&|lines| lines[7] = lines[7].replace("\"records\":6", "\"records\":5"))),
        (
            "is one too many",
            changed(&|lines| lines[0] = lines[0].replace("\"seq\":0", &format!("\"seq\":{}", u64::MAX))),
        ),
    ] {
        verify(&lines).ended(3).says(words);
    }
    verify(&lines[1..]).ended(2).says("no export of the audit");
    verify(&["{}".to_owned()]).ended(2).says("no export of the audit");
    elsewhere.run(&["audit", "verify", "nowhere.jsonl"]).ended(2).says("nowhere.jsonl");
}

/// The whole of what another program needs to know of the format.
const PROGRAM: &str = r#"
import hashlib, json, sys
first, *records, last = open(sys.argv[1], "rb").read().splitlines()
after = json.loads(first)["after"]
seq, prev = after["seq"], after["hash"]
for line in records:
    seq += 1
    record = json.loads(line)
    if hashlib.sha256(line[:-75]).hexdigest() != record["hash"]: sys.exit(f"record {seq}: altered")
    if record["seq"] != seq or record["prev"] != prev: sys.exit(f"record {seq}: out of place")
    prev = record["hash"]
end = json.loads(last)
if end["head"] != {"seq": seq, "hash": prev} or end["records"] != len(records): sys.exit("cut off")
print(f"{len(records)} records, {seq}:{prev}")
"#;

fn independently(export: &Path) -> Ran {
    Ran::of(Command::new("python3").args(["-c", PROGRAM]).arg(export), "")
}

#[test]
fn an_independent_program_verifies_an_export() {
    if Command::new("python3").arg("--version").output().is_err() {
        return left_out("an independent program verifies an export", "there is no python3");
    }
    let world = filled(6);
    let (path, mut lines) = exported(&world);
    let report = world.json(&["audit", "verify"]);
    let head = format!("{}:{}", report["head"]["seq"], report["head"]["hash"].as_str().unwrap());
    assert_eq!(independently(&path).done().out, format!("6 records, {head}\n"));
    lines[3] = lines[3].replace("Flow 2", "Flow 9");
    fs::write(&path, lines.join("\n")).unwrap();
    independently(&path).ended(1).says("record 3: altered");
}

#[test]
fn what_is_dropped_for_its_age_leaves_a_chain_that_proves_itself() {
    let world = world();
    world.configure("[audit]\nkeep-records = 5\n");
    let server = world.serve();
    put_flows(&server.api(), 0..12);
    let kept = records(&server.api());
    let names: Vec<_> = kept.iter().map(|record| record["object"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Flow 7", "Flow 8", "Flow 9", "Flow 10", "Flow 11"]);
    let report = whole(&server.api());
    assert_eq!(report["after"], json!({"seq": 10, "hash": kept[0]["prev"]}), "where the first one goes on from");
    server.stop();

    world.run(&["audit", "verify"]).done();
    let (path, lines) = exported(&world);
    assert_eq!(serde_json::from_str::<Value>(&lines[0]).unwrap()["after"], report["after"]);
    world.run(&["audit", "verify", path.to_str().unwrap()]).done();
    let gone = format!("3:{}", "0".repeat(64));
    world.run(&["audit", "verify", "--known", &gone]).ended(2).says("no longer kept");

    tamper(&world, |lines| drop(lines.remove(0)));
    world.run(&["audit", "verify"]).ended(3).says("record 11 is not where it belongs: record 12");
    world.configure("[audit]\nkeep-records = 0\n");
    world.run(&["audit", "verify"]).ended(2).says("audit.keep-records");
}

#[test]
fn a_kill_leaves_a_whole_chain_with_every_change_that_was_acknowledged() {
    let world = world();
    let mut server = world.serve();
    let mut made = 0;
    for round in 0..5 {
        let (url, token) = (server.url.clone(), server.token.clone());
        let putting = std::thread::spawn(move || {
            let api = Api::new(&url, Some(&token));
            let mut done = Vec::new();
            for number in 0..200 {
                let id = format!("r{round}-{number}");
                let body = Bytes::from(json!({"name": id, "status": "draft"}).to_string());
                let path = format!("/api/v1/flows/{id}");
                let headers = [("content-type", "application/json")];
                match api.attempt(Method::PUT, &path, &headers, body) {
                    Some(answer) if answer.status == 200 => done.push(id),
                    Some(_) | None => break,
                }
            }
            done
        });
        // Killed in the middle of it: as soon as some of them are there.
        let api = server.api();
        let first = format!("/flows/r{round}-{}", 3 + round * 2);
        let there = (0..100_000).any(|_| {
            std::thread::yield_now();
            api.get(&first).status == 200
        });
        assert!(there, "nothing was put");
        server.crash(&world);
        let acknowledged = putting.join().unwrap();
        let api = server.api();
        whole(&api);
        let recorded: Vec<_> = records(&api);
        let there = |id: &str| recorded.iter().any(|record| record["object"]["id"] == id);
        assert!(acknowledged.iter().all(|id| there(id)), "no change without its record");
        let flows = api.get("/flows?limit=200").ended(200).json()["items"].as_array().unwrap().len();
        let next = recorded.iter().filter(|record| record["action"] == "flow.put").count();
        assert!(flows == next.min(200), "no record without its change: {flows} {next}");
        assert!(next > made, "the kill hit too early");
        made = next;
    }
}

#[test]
fn a_data_directory_from_before_the_audit_opens_and_begins_a_chain() {
    let world = filled(2);
    {
        #[expect(clippy::disallowed_types, reason = "an older program is played here")]
        let database = redb::Database::open(world.data().join("turnbuckle.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.delete_table(AUDIT).unwrap();
        let meta: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("meta");
        transaction.open_table(meta).unwrap().remove(b"audit-head".as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    assert_eq!(world.json(&["audit", "list"])["items"], json!([]));
    world.run(&["audit", "verify"]).done();
    put_flows(&world.serve().api(), 2..3);
    assert_eq!(world.json(&["audit", "verify"])["records"], 4, "with the administrator of a first start");
}
