//! The calls that only some connectors answer, on a guest written by hand.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, StatusCode};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;
use crate::egress::{Config, Hash, Values};
use crate::model::authentication::{Authentication, Encoding, Placement};
use crate::model::outside::Outside;
use crate::model::secret::Secret;
use crate::model::verdict::FailureKind;

/// Opens `{key}` when it is asked to authenticate and says what came of it; signs with a key in two steps; takes every 200
/// for a rejected credential, with the body as its words.
const GUEST: &str = r#"(module
  (import "turnbuckle:connector/keys@0.1.0" "open" (func $open (param i32 i32 i32 i32)))
  (import "turnbuckle:connector/keys@0.1.0" "[method]key.derive" (func $derive (param i32 i32 i32 i32) (result i32)))
  (import "turnbuckle:connector/keys@0.1.0" "[method]key.mac" (func $mac (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "{key}")
  (data (i32.const 32) "x-signature")
  (data (i32.const 64) "no key opens")
  (data (i32.const 96) "a key opens")
  (data (i32.const 128) "0123456789abcdef")
  (global $free (mut i32) (i32.const 8192))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $free)
    (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8))))
  (func $failure (param $at i32) (param $kind i32) (param $text i32) (param $length i32)
    (i32.store8 (local.get $at) (local.get $kind))
    (i32.store (i32.add (local.get $at) (i32.const 16)) (local.get $text))
    (i32.store (i32.add (local.get $at) (i32.const 20)) (local.get $length)))
  (func $opened (result i32)
    (call $open (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 1024))
    (i32.load8_u (i32.const 1024)))
  (func (export "turnbuckle:connector/connector@0.1.0#describe") (result i32) unreachable)
  (func (export "turnbuckle:connector/connector@0.1.0#test") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "turnbuckle:connector/connector@0.1.0#authenticate") (param i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 2048) (i32.const 1))
    (if (call $opened)
      (then (call $failure (i32.const 2052) (i32.const 5) (i32.const 96) (i32.const 11)))
      (else (call $failure (i32.const 2052) (i32.const 5) (i32.const 64) (i32.const 12))))
    (i32.const 2048))
  (func (export "turnbuckle:connector/signer@0.1.0#sign")
    (param i32 i32 i32 i32) (param $method i32) (param $method-length i32) (param $url i32) (param $url-length i32)
    (param i32 i32 i32 i32) (param $timestamp i64) (result i32)
    (local $key i32) (local $mac i32) (local $at i32) (local $byte i32)
    (if (i32.eqz (call $opened))
      (then
        (i32.store8 (i32.const 2048) (i32.const 1))
        (call $failure (i32.const 2052) (i32.const 5) (i32.const 64) (i32.const 12))
        (return (i32.const 2048))))
    (local.set $key
      (call $derive (i32.load (i32.const 1028)) (i32.const 1) (local.get $method) (local.get $method-length)))
    (call $mac (local.get $key) (i32.const 2) (local.get $url) (local.get $url-length) (i32.const 1024))
    (local.set $mac (i32.load (i32.const 1024)))
    (loop $hex
      (local.set $byte (i32.load8_u (i32.add (local.get $mac) (local.get $at))))
      (i32.store8 (i32.add (i32.const 4096) (i32.shl (local.get $at) (i32.const 1)))
        (i32.load8_u (i32.add (i32.const 128) (i32.shr_u (local.get $byte) (i32.const 4)))))
      (i32.store8 (i32.add (i32.const 4097) (i32.shl (local.get $at) (i32.const 1)))
        (i32.load8_u (i32.add (i32.const 128) (i32.and (local.get $byte) (i32.const 15)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $hex (i32.lt_u (local.get $at) (i32.const 64))))
    (i32.store (i32.const 3072) (i32.const 32))
    (i32.store (i32.const 3076) (i32.const 11))
    (i32.store (i32.const 3080) (i32.const 4096))
    (i32.store (i32.const 3084) (i32.const 128))
    (i32.store8 (i32.const 2048) (i32.const 0))
    (i32.store (i32.const 2052) (i32.const 3072))
    (i32.store (i32.const 2056) (i32.const 1))
    (i32.const 2048))
  (func (export "turnbuckle:connector/classifier@0.1.0#classify")
    (param i32 i32 i32 i32) (param $status i32) (param i32 i32) (param $body i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 2048) (i32.eq (local.get $status) (i32.const 200)))
    (call $failure (i32.const 2052) (i32.const 0) (local.get $body) (local.get $length))
    (i32.const 2048)))"#;

fn component(world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let package = resolve.push_str("guest.wit", &format!("package test:guest; world guest {{ {world} }}")).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = wat::parse_str(GUEST).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The same guest with forty modules more, as guests are that consist of libraries: one in Python has fourteen.
fn of_many_modules(mut component: Vec<u8>) -> Vec<u8> {
    let (mut depth, mut index) = (0, 0);
    for payload in wasmparser::Parser::new(0).parse_all(&component) {
        match payload.unwrap() {
            wasmparser::Payload::Version { .. } => depth += 1,
            wasmparser::Payload::End(_) => depth -= 1,
            wasmparser::Payload::ModuleSection { .. } if depth == 1 => index += 1,
            _ => {}
        }
    }
    // A section with an empty module, and one with instances of it that are given nothing.
    component.extend(b"\x01\x08\0asm\x01\0\0\0");
    component.extend([2, 1 + 40 * 3, 40]);
    component.extend([0, index, 0].repeat(40));
    component
}

const WHOLE: &str = "include turnbuckle:connector/signing-connector-plugin@0.1.0;
    export turnbuckle:connector/classifier@0.1.0;";

struct Scene {
    runtime: Runtime,
    digest: Digest,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(world: &str, limits: Limits) -> Self {
        Self::of(&component(world), limits).await
    }

    async fn of(bytes: &[u8], limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new(RuntimeOptions {
            limits,
            compiled: folder.path().to_owned(),
            host_key: [7; 32],
            compiler: Compiler::InProcess,
            egress: Egress::new(Config::default()).unwrap(),
        })
        .unwrap();
        runtime.inspect(bytes).unwrap();
        let digest = Digest::of(bytes);
        runtime.compile(bytes, &digest).await.unwrap();
        Self { runtime, digest, _folder: folder }
    }
}

fn few() -> Limits {
    Limits { calls: 2, ..Limits::default() }
}

fn connection() -> GuestConnection {
    GuestConnection { protocol: "signed".into(), settings: vec![("region".into(), "eu".into())] }
}

fn keys(name: &str) -> Arc<Keys> {
    Arc::new(Keys::new(Values::new().secret(name, Secret::new("hunter2"))))
}

fn request() -> SignRequest {
    SignRequest {
        method: "PUT".into(),
        url: "https://x.test/a".into(),
        headers: vec![("x-own".into(), "mine".into())],
        body_sha256: [3; 32],
        timestamp: 17,
    }
}

#[tokio::test]
async fn a_signature_is_made_with_keys_that_work_only_then() {
    let Scene { runtime, digest, _folder } = Scene::new(WHOLE, few()).await;
    assert!(runtime.signs(&digest));
    let expected = keys("key")
        .open("{key}", Encoding::Text)
        .unwrap()
        .derive(Hash::Sha256, b"PUT")
        .mac(Hash::Sha512, b"https://x.test/a");
    let expected = vec![("x-signature".to_owned(), hex::encode(expected))];
    for _ in 0..3 {
        let signed = runtime.sign(&digest, &connection(), request(), keys("key")).await.unwrap();
        assert_eq!(signed.unwrap(), expected);
        // The same component in another call, though an instance stood ready: it holds no key.
        let answer = runtime.authenticate(&digest, &connection()).await.unwrap().value;
        assert_eq!(answer.unwrap_err().message, "no key opens");
    }
    let failure = runtime.sign(&digest, &connection(), request(), keys("other")).await.unwrap().unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Other, "no key opens"));
}

#[tokio::test]
async fn a_permit_signs_by_the_connector_though_every_call_is_taken() {
    let Scene { runtime, digest, _folder } = Scene::new(WHOLE, Limits { calls: 1, ..Limits::default() }).await;
    let taken = runtime.load(&digest).unwrap().slots.calls.clone().acquire_owned().await.unwrap();
    let signer = runtime.signer(digest, connection());
    let signed = signer(request(), keys("key")).await.unwrap();
    assert_eq!(signed[0].0, "x-signature");
    assert_eq!(signer(request(), keys("other")).await.unwrap_err().message, "no key opens");
    let plan = Authentication { placements: vec![Placement::Signed], ..Authentication::default() };
    let permit = Permit::resolve("one".into(), &[], &plan, &Values::new(), &Outside::system()).unwrap();
    assert!(permit.needs_signer());
    permit.with_signer(signer);
    drop(taken);
}

#[tokio::test]
async fn a_classifier_reads_the_beginning_of_an_answer() {
    let Scene { runtime, digest, _folder } = Scene::new(WHOLE, few()).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap());
    let answer = |status, body| Answer { status, headers: &headers, body };
    let body = vec![b'x'; CLASSIFIED + 1];
    let failure = runtime.classify(&digest, &connection(), answer(StatusCode::OK, &body)).await.unwrap().unwrap();
    assert_eq!((failure.kind, failure.message.len()), (FailureKind::Unauthorized, CLASSIFIED));
    let none = runtime.classify(&digest, &connection(), answer(StatusCode::CREATED, b"")).await.unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn a_connector_that_exports_neither_signs_nothing_and_classifies_nothing() {
    let plain = "import turnbuckle:connector/keys@0.1.0; export turnbuckle:connector/connector@0.1.0;";
    let Scene { runtime, digest, _folder } = Scene::new(plain, few()).await;
    assert!(!runtime.signs(&digest));
    let error = runtime.sign(&digest, &connection(), request(), keys("key")).await.unwrap_err();
    assert!(error.to_string().contains("it exports no `signer`"), "{error}");
    let headers = HeaderMap::new();
    let answer = Answer { status: StatusCode::OK, headers: &headers, body: b"error" };
    assert_eq!(runtime.classify(&digest, &connection(), answer).await.unwrap(), None);
}

#[tokio::test]
async fn as_many_calls_as_may_run_find_room_though_their_guest_is_made_of_many_modules() {
    let limits = Limits { calls: 40, ..Limits::default() };
    let Scene { runtime, digest, _folder } = Scene::of(&of_many_modules(component(WHOLE)), limits).await;
    let stock = runtime.load(&digest).unwrap();
    let mut running = Vec::new();
    for _ in 0..40 {
        let mut store = stock.store();
        let guest = stock.instantiate(&mut store).await.unwrap();
        running.push((store, guest));
    }
}
