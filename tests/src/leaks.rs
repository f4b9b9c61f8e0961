//! Eyes that find a secret in whatever was left behind.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::tree;

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
    Finder::of(secret).find(haystack)
}

/// Files below that hold a secret, with how it stands there.
pub fn in_folder(folder: &Path, secret: &str) -> Vec<String> {
    let finder = Finder::of(secret);
    let mut found = Vec::new();
    tree::files(folder, &mut |path| {
        let Ok(bytes) = fs::read(path) else { return };
        for name in finder.find(&bytes) {
            found.push(format!("{} ({name})", path.display()));
        }
    });
    found
}

/// A data directory has files of tens of megabytes: looking byte by byte for each spelling would take minutes.
struct Finder {
    spellings: Vec<(&'static str, Vec<u8>)>,
    automaton: aho_corasick::AhoCorasick,
}

impl Finder {
    fn of(secret: &str) -> Self {
        let spellings = spellings(secret);
        let automaton = aho_corasick::AhoCorasick::new(spellings.iter().map(|(_, needle)| needle))
            .expect("a dozen short patterns make an automaton");
        Self { spellings, automaton }
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
