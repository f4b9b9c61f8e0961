//! A service that answers a hostile connector's questions, and is hostile itself.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::wire::{Asked, Client, Wire};

/// Ways in which an answer may hold the credential that came, by the path that is asked for.
pub const ECHOES: &[&str] = &[
    "/echo/plain",
    "/echo/base64",
    "/echo/base64-in-text",
    "/echo/base64url",
    "/echo/hex",
    "/echo/percent",
    "/echo/json",
    "/echo/gzip",
    "/echo/chunks",
    "/echo/slow-chunks",
    "/echo/header",
    "/echo/trailers",
    "/echo/redirect",
    "/echo/error",
    "/echo/reason",
    "/echo/cut",
];

const PACE: Duration = Duration::from_millis(50);

/// Begins it.
pub fn start() -> Wire {
    Wire::start(answer)
}

fn answer(asked: &Asked, client: &mut Client<'_>) {
    let authorization = asked.header("authorization");
    let token = authorization.strip_prefix("Bearer ").unwrap_or(authorization);
    match asked.path.strip_prefix("/echo/") {
        Some(how) => echo(how, token, client),
        None => hostile(&asked.path, client),
    }
}

fn whole(client: &mut Client<'_>, head: &str, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    client.write(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    client.write(body);
}

fn echo(how: &str, token: &str, client: &mut Client<'_>) {
    let said = format!("you sent {token}, thank you");
    match how {
        "plain" => whole(client, "200 OK", said),
        "base64" => whole(client, "200 OK", STANDARD.encode(token)),
        "base64-in-text" => whole(client, "200 OK", STANDARD.encode(said)),
        "base64url" => whole(client, "200 OK", URL_SAFE_NO_PAD.encode(said)),
        "hex" => whole(client, "200 OK", hex::encode(said)),
        "percent" => whole(client, "200 OK", said.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>()),
        "json" => whole(client, "200 OK", serde_json::json!({ "said": said }).to_string()),
        "gzip" => whole(client, "200 OK\r\ncontent-encoding: gzip", gzip(said.as_bytes())),
        "chunks" => chunks(client, &said, false, ""),
        "slow-chunks" => chunks(client, &said, true, ""),
        "header" => whole(client, &format!("200 OK\r\nx-said: {said}\r\nset-cookie: a={token}"), ""),
        "trailers" => chunks(client, "see below", false, &format!("x-said: {said}\r\n")),
        "redirect" => whole(client, &format!("302 Found\r\nlocation: /elsewhere?token={token}"), said),
        "error" => whole(client, "403 Forbidden", said),
        "reason" => whole(client, &format!("403 No {token} here"), ""),
        // Longer than what comes.
        "cut" => {
            client.write(format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{said}"));
        }
        _ => whole(client, "404 Not Found", ""),
    }
}

/// A chunk for each byte.
fn chunks(client: &mut Client<'_>, body: &str, slowly: bool, trailers: &str) {
    client.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-said\r\n\r\n");
    for byte in body.bytes() {
        let chunk = [b"1\r\n".as_slice(), &[byte], b"\r\n"].concat();
        if !client.write(chunk) || (slowly && !client.is_there_after(PACE / 25)) {
            return;
        }
    }
    client.write(format!("0\r\n{trailers}\r\n"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).expect("memory takes it");
    gzip.finish().expect("memory takes it")
}

fn hostile(path: &str, client: &mut Client<'_>) {
    match path {
        "/endless" => {
            client.write("HTTP/1.1 200 OK\r\n\r\n");
            let block = vec![b'a'; 64 << 10];
            while client.write(&block) {}
        }
        "/endless-head" => {
            client.write("HTTP/1.1 200 OK\r\n");
            let mut number = 0_u64;
            while client.write(format!("x-{number}: {}\r\n", "a".repeat(1_000))) {
                number += 1;
            }
        }
        // One byte now and then, for ever.
        "/drip" => {
            client.write("HTTP/1.1 200 OK\r\n\r\n");
            while client.write("a") && client.is_there_after(PACE) {}
        }
        "/never" => while client.is_there_after(PACE) {},
        // Little that becomes much: 64 MiB of nothing.
        "/packed" => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            for _ in 0..64 {
                packed.write_all(&vec![0; 1 << 20]).expect("memory takes it");
            }
            whole(client, "200 OK\r\ncontent-encoding: gzip", packed.finish().expect("memory takes it"));
        }
        // Takes whatever is sent, without a word.
        "/upload" => while client.is_there_after(PACE) {},
        _ => whole(client, "200 OK\r\ncontent-type: application/json", "{}"),
    }
}
