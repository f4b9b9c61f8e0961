//! Eyes that find a secret in whatever was left behind.
//!
//! Tests give the host secrets that they share, [`CANARIES`]. Whatever any test gets to see is searched for them as it comes,
//! and all that its world holds on disk when that ends: each test shows, besides what it says, that nothing of them got out.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::tree;

/// What services take for a good token. Long enough, as all of these are, never to be found by chance.
pub const TOKEN: &str = "canary-7f3a91c2d4/+e5=b6";
/// The secret of an OAuth client.
pub const CLIENT_SECRET: &str = "canary-client-5d0be1f3a7";
/// An access token.
pub const ACCESS: &str = "canary-access-0b9d44e1c2";
/// A token that an attacker holds.
pub const STOLEN: &str = "canary-stolen-83bd0f61aa";

/// Secrets that are found nowhere, in no test.
pub const CANARIES: [&str; 4] = [TOKEN, CLIENT_SECRET, ACCESS, STOLEN];

/// Fails the test where one of the [`CANARIES`] stands in what the host said.
#[track_caller]
pub fn none_in(what: &str, bytes: &[u8]) {
    let found = canaries().find(bytes);
    // A test that fails already has said what matters.
    assert!(
        thread::panicking() || found.is_empty(),
        "{what} holds a secret ({found:?}): {}",
        String::from_utf8_lossy(bytes)
    );
}

/// Fails the test where one of the [`CANARIES`] stands in a file below.
#[track_caller]
pub fn none_below(folder: &Path) {
    if thread::panicking() {
        return;
    }
    let found = canaries().find_below(folder);
    assert!(found.is_empty(), "secrets were written: {found:?}");
}

fn canaries() -> &'static Finder {
    static FINDER: OnceLock<Finder> = OnceLock::new();
    FINDER.get_or_init(|| Finder::of(&CANARIES))
}

/// Every spelling of a secret that is looked for.
pub fn spellings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    assert!(bytes.len() >= 8, "a shorter secret is found by chance");
    let mut found = vec![
        ("raw", bytes.to_vec()),
        ("hex", hex::encode(bytes).into_bytes()),
        ("upper-case hex", hex::encode_upper(bytes).into_bytes()),
        ("percent-encoded", bytes.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect()),
        ("utf-16", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    // As queries and forms have it, and as a part of a path: what has a meaning there is encoded.
    for (upper, lower, kept) in [
        ("url-encoded", "url-encoded in lower case", "-._~"),
        ("in a path", "in a path in lower case", "-._~!$&'()*+,;=:@"),
    ] {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte);
        let spell = |encoded: &dyn Fn(u8) -> String| {
            let each = |byte: &u8| if plain(*byte) { vec![*byte] } else { encoded(*byte).into_bytes() };
            bytes.iter().flat_map(each).collect::<Vec<_>>()
        };
        found.push((upper, spell(&|byte| format!("%{byte:02X}"))));
        found.push((lower, spell(&|byte| format!("%{byte:02x}"))));
    }
    let json = serde_json::to_string(secret).expect("text is JSON");
    found.push(("json", json.as_bytes()[1..json.len() - 1].to_vec()));
    // Within other text a secret may begin at any of three places of a base64 group. Its first and last characters there
    // carry bits of the neighbours, so they are left out.
    for shift in 0..3 {
        let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
        let begin = (shift * 8).div_ceil(6);
        let end = shifted.len() * 8 / 6;
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            found.push((name, engine.encode(&shifted).as_bytes()[begin..end].to_vec()));
        }
    }
    found
}

/// How a secret stands in these bytes, if it does.
pub fn in_bytes(haystack: &[u8], secret: &str) -> Vec<&'static str> {
    Finder::of(&[secret]).find(haystack)
}

/// Files below that hold a secret, with how it stands there.
pub fn in_folder(folder: &Path, secret: &str) -> Vec<String> {
    Finder::of(&[secret]).find_below(folder)
}

/// A data directory has files of tens of megabytes: looking byte by byte for each spelling would take minutes.
struct Finder {
    spellings: Vec<(&'static str, Vec<u8>)>,
    automaton: aho_corasick::AhoCorasick,
}

impl Finder {
    fn of(secrets: &[&str]) -> Self {
        let spellings: Vec<_> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
        let automaton = aho_corasick::AhoCorasick::new(spellings.iter().map(|(_, needle)| needle))
            .expect("some dozens of short patterns make an automaton");
        Self { spellings, automaton }
    }

    fn find_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        tree::files(folder, &mut |path| {
            let Ok(bytes) = fs::read(path) else { return };
            for name in self.find(&bytes) {
                found.push(format!("{} ({name})", path.display()));
            }
        });
        found
    }

    fn find(&self, bytes: &[u8]) -> Vec<&'static str> {
        let mut found: Vec<_> =
            self.automaton.find_overlapping_iter(bytes).map(|hit| self.spellings[hit.pattern().as_usize()].0).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_spelled_and_wherever_it_begins() {
        let secret = "canary/+hunter2?";
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "x", "xy"] {
                let text = format!("{before}{secret}{after}");
                for (name, spelled) in [
                    ("raw", text.clone()),
                    ("hex", hex::encode(&text)),
                    ("base64", STANDARD_NO_PAD.encode(&text)),
                    ("base64url", URL_SAFE_NO_PAD.encode(&text)),
                ] {
                    let found = in_bytes(spelled.as_bytes(), secret);
                    assert!(found.contains(&name), "{name} of {text:?} as {spelled:?}: {found:?}");
                }
            }
        }
        assert_eq!(in_bytes(b"nothing of the kind", secret), Vec::<&str>::new());
    }
}
