//! A service that answers a hostile connector's questions, and is hostile itself.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::wire::{Asked, Client, Wire};

const PACE: Duration = Duration::from_millis(50);

/// Begins it.
pub fn start() -> Wire {
    Wire::start(answer)
}

fn answer(asked: &Asked, client: &mut Client<'_>) {
    let authorization = asked.header("authorization");
    let token = authorization.strip_prefix("Bearer ").unwrap_or(authorization);
    match asked.path[1..].split_once('/') {
        Some(("echo", how)) => echo(how, token, client),
        Some(("answer", what)) => hostile(what, client),
        // Takes whatever is sent, without a word.
        None if asked.path == "/upload" => while client.is_there_after(PACE) {},
        _ => whole(client, "200 OK\r\ncontent-type: application/json", "{}"),
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

/// Answers that never end, that become more than they were, or that two readers would read differently.
fn hostile(what: &str, client: &mut Client<'_>) {
    match what {
        "endless" => {
            client.write("HTTP/1.1 200 OK\r\n\r\n");
            for_ever(client, &"a".repeat(64 << 10));
        }
        "endless-head" => {
            client.write("HTTP/1.1 200 OK\r\n");
            for_ever(client, &format!("x-note: {}\r\n", "a".repeat(1_000)));
        }
        "endless-trailers" => {
            client.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n");
            for_ever(client, &format!("x-note: {}\r\n", "a".repeat(1_000)));
        }
        "endless-extension" => {
            client.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;");
            for_ever(client, &"a".repeat(1_000));
        }
        "informational" => for_ever(client, "HTTP/1.1 103 Early Hints\r\n\r\n"),
        // One byte now and then.
        "drip" => {
            client.write("HTTP/1.1 200 OK\r\n\r\n");
            while client.write("a") && client.is_there_after(PACE) {}
        }
        "never" => while client.is_there_after(PACE) {},
        // Little that becomes much: 64 MiB of nothing.
        "packed" => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            for _ in 0..64 {
                packed.write_all(&vec![0; 1 << 20]).expect("memory takes it");
            }
            whole(client, "200 OK\r\ncontent-encoding: gzip", packed.finish().expect("memory takes it"));
        }
        "lengths" => once(client, "200 OK\r\ncontent-length: 2\r\ncontent-length: 4", "{}{}"),
        "negative-length" => once(client, "200 OK\r\ncontent-length: -1", "{}"),
        "length-and-chunks" => {
            once(client, "200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n");
        }
        "huge-chunk" => once(client, "200 OK\r\ntransfer-encoding: chunked", "10000000000000001\r\n{}\r\n0\r\n\r\n"),
        "zero-byte" => once(client, "200 OK\r\nx-note: a\0b\r\ncontent-length: 2", "{}"),
        "no-http" => {
            client.write("SSH-2.0-OpenSSH_9.9\r\n");
        }
        "switch" => once(client, "101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket", "{}"),
        _ => whole(client, "404 Not Found", ""),
    }
}

/// A head and what stands behind it, as they are.
fn once(client: &mut Client<'_>, head: &str, body: &str) {
    client.write(format!("HTTP/1.1 {head}\r\n\r\n{body}"));
}

fn for_ever(client: &mut Client<'_>, text: &str) {
    while client.write(text) {}
}
