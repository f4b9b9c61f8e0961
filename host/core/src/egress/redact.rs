//! Secrets out of what comes back, in every form in which a server is likely to repeat them.
//!
//! Out of reach: a server that cooperates with the connector and encodes a secret in a way of its own. A secret of fewer than
//! [`SHORTEST`] bytes is not looked for: it would be found by chance in any text, and taking it out would break that text
//! while telling exactly what it is.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use bytes::Bytes;
use memchr::memmem::Finder;
use zeroize::Zeroizing;

/// What stands in a secret's place.
pub(crate) const REDACTED: &[u8] = b"[redacted]";

/// The shortest text that is looked for.
const SHORTEST: usize = 4;

/// Finds all forms of some secrets. Cloning is shallow.
#[derive(Clone)]
pub(super) struct Redactor {
    patterns: Arc<Patterns>,
}

struct Patterns {
    search: Search,
    /// Sorted, so that those with a given beginning stand together.
    sorted: Vec<Vec<u8>>,
    begins: [bool; 256],
    shortest: usize,
    longest: usize,
}

/// What finds the patterns in a text: one pass for each of them, until so much was scanned that an automaton, which takes one
/// pass however many there are, is worth building.
struct Search {
    finders: Vec<Finder<'static>>,
    scanned: AtomicUsize,
    worth: usize,
    automaton: OnceLock<AhoCorasick>,
}

/// What a scan costs besides the text's bytes, in bytes.
const SCAN: usize = 64;
/// Building an automaton takes longer than a few dozen answers of a usual size to scan: many connections see no more.
const WORTH: usize = 32 << 10;

impl Redactor {
    /// For many answers. `None` where there is nothing to look for.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Option<Self> {
        Self::with(secrets, WORTH)
    }

    /// For one answer only.
    pub(super) fn once<'a>(secrets: impl Iterator<Item = &'a str>) -> Option<Self> {
        Self::with(secrets, usize::MAX)
    }

    /// As it is after many answers.
    #[cfg(any(test, fuzzing))]
    pub(super) fn seasoned<'a>(secrets: impl Iterator<Item = &'a str>) -> Option<Self> {
        Self::with(secrets, 0)
    }

    fn with<'a>(secrets: impl Iterator<Item = &'a str>, worth: usize) -> Option<Self> {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            forms_of(secret, &mut forms);
            let bare = secret.trim();
            // Servers take blanks off a header's value.
            if bare.len() < secret.len() {
                forms_of(bare, &mut forms);
            }
            // CGI, WSGI and servlets read the bytes of a header as Latin-1.
            if !secret.is_ascii() {
                let misread = Zeroizing::new(bare.bytes().map(char::from).collect::<String>());
                forms_of(&misread, &mut forms);
            }
        }
        let sorted: Vec<Vec<u8>> = forms.into_iter().collect();
        let shortest = sorted.iter().map(Vec::len).min()?;
        let longest = sorted.iter().map(Vec::len).max()?;
        let search = Search::new(&sorted, worth);
        let mut begins = [false; 256];
        for form in &sorted {
            begins[usize::from(form[0])] = true;
        }
        Some(Self { patterns: Arc::new(Patterns { sorted, begins, shortest, longest, search }) })
    }

    /// The whole text without secrets, and whether there were any.
    pub(super) fn replace(&self, text: &[u8]) -> (Vec<u8>, bool) {
        let mut stream = self.stream();
        let clean = stream.end(&Bytes::copy_from_slice(text));
        (clean.into(), stream.found)
    }

    /// Whether there is a secret in it.
    pub(super) fn finds(&self, text: &[u8]) -> bool {
        self.patterns.find(text, 0).is_some()
    }

    /// Begins a text that arrives in pieces.
    pub(super) fn stream(&self) -> Stream {
        Stream { patterns: Arc::clone(&self.patterns), held: Vec::new(), found: false }
    }
}

/// A text that arrives in pieces.
pub(super) struct Stream {
    patterns: Arc<Patterns>,
    /// What may yet turn out to be the beginning of a secret; shorter than the longest one.
    held: Vec<u8>,
    /// Whether a secret was taken out so far.
    pub(super) found: bool,
}

impl Stream {
    /// What is certain after one more piece.
    pub(super) fn push(&mut self, piece: &Bytes) -> Bytes {
        if self.held.is_empty() && self.patterns.find(piece, 0).is_none() {
            // The common case copies nothing but the little that is held back.
            let keep = self.patterns.undecided(piece, 0, piece.len());
            self.held.extend_from_slice(&piece[keep..]);
            return piece.slice(..keep);
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        self.take(&text, false)
    }

    /// What is left with the last piece: nothing that is in it waits for what comes behind it.
    pub(super) fn end(&mut self, piece: &Bytes) -> Bytes {
        if self.held.is_empty() && self.patterns.find(piece, 0).is_none() {
            return piece.clone();
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        self.take(&text, true)
    }

    /// What is left when no more comes.
    pub(super) fn finish(&mut self) -> Bytes {
        self.end(&Bytes::new())
    }

    fn take(&mut self, text: &[u8], last: bool) -> Bytes {
        let mut clean = Vec::with_capacity(text.len());
        let mut from = 0;
        loop {
            let found = self.patterns.find(text, from);
            let until = found.as_ref().map_or(text.len(), |found| found.start);
            if !last {
                // A longer secret, or one that begins earlier, may still be on its way.
                let keep = self.patterns.undecided(text, from, (until + 1).min(text.len()));
                if keep <= until && keep < text.len() {
                    clean.extend_from_slice(&text[from..keep]);
                    self.held.extend_from_slice(&text[keep..]);
                    return clean.into();
                }
            }
            clean.extend_from_slice(&text[from..until]);
            let Some(found) = found else { return clean.into() };
            clean.extend_from_slice(REDACTED);
            self.found = true;
            from = found.end;
        }
    }
}

impl Search {
    fn new(patterns: &[Vec<u8>], worth: usize) -> Self {
        let finders = patterns.iter().map(|pattern| Finder::new(pattern).into_owned()).collect();
        Self { finders, scanned: AtomicUsize::new(0), worth, automaton: OnceLock::new() }
    }

    /// The automaton, once it is worth it.
    fn automaton(&self, patterns: &[Vec<u8>], length: usize) -> Option<&AhoCorasick> {
        let built = self.automaton.get();
        if built.is_some() || self.scanned.fetch_add(SCAN + length, Ordering::Relaxed) < self.worth {
            return built;
        }
        Some(self.automaton.get_or_init(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                // A table for each state would take ten times the memory and longer to build than most answers to scan.
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(patterns)
                .expect("some megabytes of patterns at most, and the automaton numbers billions")
        }))
    }
}

impl Patterns {
    /// The first pattern at or behind `from`, and of those that begin there the longest.
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        // Most names and values of headers are shorter than any credential.
        if text.len() - from < self.shortest {
            return None;
        }
        if let Some(automaton) = self.search.automaton(&self.sorted, text.len() - from) {
            return automaton.find(aho_corasick::Input::new(text).range(from..)).map(|found| found.range());
        }
        let found = self.search.finders.iter().filter_map(|finder| {
            let start = from + finder.find(&text[from..])?;
            Some(start..start + finder.needle().len())
        });
        found.min_by_key(|found| (found.start, Reverse(found.end)))
    }

    /// The first place in `from..to` from which the text, up to its end, is the beginning of a longer pattern. The text's
    /// length where there is none.
    fn undecided(&self, text: &[u8], from: usize, to: usize) -> usize {
        let first = from.max((text.len() + 1).saturating_sub(self.longest));
        (first..to)
            .find(|&at| self.begins[usize::from(text[at])] && self.begins_longer(&text[at..]))
            .unwrap_or(text.len())
    }

    fn begins_longer(&self, text: &[u8]) -> bool {
        // Among sorted patterns those that begin with the text follow it directly; the text itself is not longer.
        let at = self.sorted.partition_point(|pattern| pattern.as_slice() <= text);
        self.sorted.get(at).is_some_and(|pattern| pattern.starts_with(text))
    }
}

/// Every form of a secret that is looked for.
fn forms_of(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST {
            forms.insert(form);
        }
    };
    add(secret.as_bytes().to_vec());
    add(hex::encode(secret).into_bytes());
    add(hex::encode_upper(secret).into_bytes());
    base64_forms(secret.as_bytes(), &mut add);
    if secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        // What escapes anything of it escapes every character.
        for upper in [true, false] {
            add(percent_form(secret.as_bytes(), upper));
            add(json_form(secret, |_| true, "/", true, upper).into_bytes());
        }
        return;
    }
    percent_forms(secret.as_bytes(), &mut add);
    json_forms(secret, &mut add);
    for quote in ["&quot;", "&#34;"] {
        for apostrophe in ["&#39;", "&#x27;", "&apos;"] {
            add(html(secret, quote, apostrophe).into_bytes());
        }
    }
}

/// Inside a longer base64 text the secret begins at one of three places within a group of three bytes. What stands at its
/// edges depends on its neighbours, so only the characters that the secret alone decides are looked for.
fn base64_forms(secret: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(secret);
            let text = engine.encode(&padded).into_bytes();
            let first = (before * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            if first < last {
                add(text[first..last].to_vec());
            }
        }
    }
}

fn percent_forms(secret: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    // What encoders leave as it is, besides letters and digits: RFC 3986's unreserved; forms (WHATWG); `encodeURIComponent`;
    // path segments; paths; `encodeURI`; nothing; Go's segments and paths; .NET's `UrlEncode`; queries and paths as the URLs of
    // browsers have them.
    const KEPT: [&str; 15] = [
        "-._~",
        "-._*",
        "-._~!'()*",
        "-._~!'()*$&+,;=:@",
        "-._~/",
        "-._~!'()*$&+,;=:@/?#",
        "-_.",
        "-_.!*'(),",
        "",
        "-._~$&+=:@",
        "-._~$&+,/:;=@",
        "-_.!*()",
        "-._~!()*$&+,;=:@/?[]\\^`{|}%",
        "-._~!'()*$&+,;=:@/[]|%",
        "-._~!'()*$&+,;=:@/[]|^%",
    ];
    for kept in KEPT {
        for upper in [true, false] {
            for plus in [true, false] {
                let mut form = Vec::with_capacity(secret.len() * 3);
                for &byte in secret {
                    match byte {
                        b' ' if plus => form.push(b'+'),
                        _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => form.push(byte),
                        _ => percent(byte, upper, &mut form),
                    }
                }
                add(form);
            }
        }
    }
    for upper in [true, false] {
        add(percent_form(secret, upper));
    }
}

/// Every byte escaped.
fn percent_form(secret: &[u8], upper: bool) -> Vec<u8> {
    let mut form = Vec::with_capacity(secret.len() * 3);
    for &byte in secret {
        percent(byte, upper, &mut form);
    }
    form
}

fn percent(byte: u8, upper: bool, form: &mut Vec<u8>) {
    form.push(b'%');
    form.extend_from_slice(if upper { hex::encode_upper([byte]) } else { hex::encode([byte]) }.as_bytes());
}

fn json_forms(secret: &str, add: &mut impl FnMut(Vec<u8>)) {
    // Which printable characters an encoder writes as `\u` and a number: none; those with a meaning in HTML; .NET's; all but letters and
    // digits; every one.
    let hidden: [fn(char) -> bool; 5] = [
        |_| false,
        |c| matches!(c, '<' | '>' | '&' | '\''),
        |c| matches!(c, '<' | '>' | '&' | '\'' | '"' | '+' | '`'),
        |c| !c.is_ascii_alphanumeric(),
        |_| true,
    ];
    for hide in hidden {
        for slash in ["/", "\\/"] {
            for ascii in [true, false] {
                for upper in [true, false] {
                    add(json_form(secret, hide, slash, ascii, upper).into_bytes());
                }
            }
        }
    }
}

fn json_form(secret: &str, hide: fn(char) -> bool, slash: &str, ascii: bool, upper: bool) -> String {
    let mut form = String::with_capacity(secret.len());
    for c in secret.chars() {
        match c {
            _ if hide(c) || (ascii && !c.is_ascii()) => unicode(c, upper, &mut form),
            '"' => form.push_str("\\\""),
            '\\' => form.push_str("\\\\"),
            '/' => form.push_str(slash),
            '\n' => form.push_str("\\n"),
            '\r' => form.push_str("\\r"),
            '\t' => form.push_str("\\t"),
            '\u{8}' => form.push_str("\\b"),
            '\u{c}' => form.push_str("\\f"),
            _ if c < ' ' => unicode(c, upper, &mut form),
            _ => form.push(c),
        }
    }
    form
}

fn unicode(c: char, upper: bool, form: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        form.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
    }
}

/// Error pages repeat what they were sent in HTML, and XML answers likewise.
fn html(secret: &str, quote: &str, apostrophe: &str) -> String {
    let escaped = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', quote).replace('\'', apostrophe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(secret: &str, text: &str) -> String {
        let (clean, _) = Redactor::new([secret].into_iter()).unwrap().replace(text.as_bytes());
        String::from_utf8(clean).unwrap()
    }

    #[test]
    fn what_servers_do_to_the_value_of_a_header_hides_nothing() {
        assert_eq!(cleaned("hunter2-token ", "Bearer hunter2-token"), "Bearer [redacted]");
        assert_eq!(cleaned("pässwort-1", r#"{"x": "p\u00c3\u00a4sswort-1"}"#), r#"{"x": "[redacted]"}"#);
        for page in ["a&#34;b&#x27;c", "a&quot;b&#39;c", "a&quot;b&apos;c", "a&#34;b&apos;c"] {
            assert_eq!(cleaned("a\"b'c", page), "[redacted]", "{page}");
        }
    }

    const SECRET: &str = "s3cr/t+v@l \"é\\=&<";

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().copied()).unwrap()
    }

    fn split_at_every_byte(redactor: &Redactor, text: &[u8], expected: &[u8]) {
        for at in 0..=text.len() {
            let mut stream = redactor.stream();
            let mut clean = stream.push(&Bytes::copy_from_slice(&text[..at])).to_vec();
            clean.extend_from_slice(&stream.push(&Bytes::copy_from_slice(&text[at..])));
            clean.extend_from_slice(&stream.finish());
            assert_eq!(clean, expected, "split at {at}: {}", String::from_utf8_lossy(&clean));
            assert!(stream.found);
        }
        let mut stream = redactor.stream();
        let mut clean = Vec::new();
        for byte in text {
            clean.extend_from_slice(&stream.push(&Bytes::copy_from_slice(&[*byte])));
        }
        clean.extend_from_slice(&stream.finish());
        assert_eq!(clean, expected, "byte by byte");
    }

    #[test]
    fn every_form_is_taken_out_wherever_the_text_is_split() {
        let redactor = redactor(&[SECRET]);
        let escaped = "s3cr\\/t+v@l \\\"\\u00e9\\\\=&\\u003C";
        let every: String = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let full = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let html_like = escaped.replace("\\u003C", "<");
        for text in [
            SECRET.to_owned(),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            every.to_uppercase(),
            every,
            form.to_lowercase(),
            form,
            percent_encoding::utf8_percent_encode(SECRET, super::super::expand::RESERVED).to_string(),
            percent_encoding::utf8_percent_encode(SECRET, super::super::expand::SEGMENT).to_string(),
            serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned(),
            full,
            html_like,
        ] {
            let around = format!("before {text} after");
            split_at_every_byte(&redactor, around.as_bytes(), b"before [redacted] after");
        }
    }

    #[test]
    fn whatever_kind_of_url_it_was_put_into_it_is_taken_out() {
        let (secret, mut url) = ("a^b|c`d{e}f\"g h<i$j,k(l)m;n", url::Url::parse("https://x.example").unwrap());
        url.set_query(Some(secret));
        url.set_path(secret);
        // What Go's `url.PathEscape` and its paths leave, and .NET's `WebUtility.UrlEncode`.
        let keeping = |kept: &str| -> String {
            let escaped = |byte: u8| match byte {
                _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            secret.bytes().map(escaped).collect()
        };
        let (segment, path) = (keeping("-_.~$&+=:@"), keeping("-_.~$&+,/:;=@"));
        let net = keeping("-_.!*() ").replace(' ', "+");
        for text in [url.query().unwrap(), url.path().trim_start_matches('/'), &segment, &path, &net] {
            assert_eq!(cleaned(secret, text), "[redacted]", "{text}");
        }
    }

    #[test]
    fn base64_is_taken_out_at_every_alignment_in_both_alphabets() {
        let secret = "~~top??secret>>key~~";
        let redactor = redactor(&[secret]);
        for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
            let engine = GeneralPurpose::new(alphabet, base64::engine::general_purpose::PAD);
            for before in ["", "u", "us", "use", "user:"] {
                for after in ["", "x", "xy", "xyz"] {
                    let text = engine.encode(format!("{before}{secret}{after}"));
                    let (clean, found) = redactor.replace(text.as_bytes());
                    assert!(found, "{before:?} {after:?}");
                    // At most one character on each side knows anything of the secret, and none of it whole.
                    let left = String::from_utf8(clean).unwrap().replace("[redacted]", "");
                    let neighbours = engine.encode(before).len() + engine.encode(after).len() + 4;
                    assert!(left.len() <= neighbours, "{left}");
                }
            }
        }
    }

    #[test]
    fn text_that_cannot_begin_a_secret_is_not_held_back() {
        let redactor = redactor(&["token-1234"]);
        let mut stream = redactor.stream();
        assert_eq!(stream.push(&Bytes::from_static(b"data: hello\n")), &b"data: hello\n"[..]);
        assert_eq!(stream.push(&Bytes::from_static(b"data: tok")), &b"data: "[..]);
        assert_eq!(stream.push(&Bytes::from_static(b"yo")), &b"tokyo"[..]);
        assert_eq!(stream.finish(), &b""[..]);
        assert!(!stream.found);
    }

    #[test]
    fn the_longer_of_two_secrets_is_taken_out_whole() {
        let redactor = redactor(&["abcd", "abcdefgh"]);
        split_at_every_byte(&redactor, b"-abcdefgh-abcdefg-", b"-[redacted]-[redacted]efg-");
    }

    #[test]
    fn a_secret_too_short_to_be_one_is_not_looked_for() {
        assert!(Redactor::new(["abc", ""].into_iter()).is_none());
        assert!(Redactor::new(["abcd"].into_iter()).is_some());
    }

    #[test]
    fn letters_and_digits_have_the_forms_that_any_text_has() {
        let (secret, mut short, mut long) = ("Sig0123abcdef", BTreeSet::new(), BTreeSet::new());
        forms_of(secret, &mut short);
        let mut add = |form| {
            long.insert(form);
        };
        for form in [secret.to_owned(), hex::encode(secret), hex::encode_upper(secret)] {
            add(form.into_bytes());
        }
        base64_forms(secret.as_bytes(), &mut add);
        percent_forms(secret.as_bytes(), &mut add);
        json_forms(secret, &mut add);
        assert_eq!(short, long);
    }

    #[test]
    fn a_usual_credential_costs_little_to_look_for() {
        let secret = "github_pat_11ABCDEFG0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
        let redactor = Redactor::seasoned([secret].into_iter()).unwrap();
        let automaton = redactor.patterns.search.automaton(&redactor.patterns.sorted, 0).expect("it is worth it");
        let memory = automaton.memory_usage();
        assert!(memory < 128 << 10, "{memory} bytes, {} forms", redactor.patterns.sorted.len());
    }

    proptest! {
        #[test]
        fn pieces_are_redacted_as_the_whole_is(
            secrets in prop::collection::vec("[ab]{4,7}", 1..4),
            text in "[abc]{0,60}",
            cuts in prop::collection::vec(0usize..61, 0..8),
        ) {
            let redactor = redactor(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
            let seasoned = Redactor::seasoned(secrets.iter().map(String::as_str)).unwrap();
            let automaton = seasoned.patterns.search.automaton(&seasoned.patterns.sorted, 0).expect("it is worth it");
            let mut expected = Vec::new();
            automaton.replace_all_with_bytes(text.as_bytes(), &mut expected, |_, _, out| {
                out.extend_from_slice(REDACTED);
                true
            });
            let once = Redactor::once(secrets.iter().map(String::as_str)).unwrap();
            prop_assert_eq!(once.replace(text.as_bytes()).0, expected.clone());
            prop_assert_eq!(seasoned.replace(text.as_bytes()).0, expected.clone());
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> =
                cuts.windows(2).map(|pair| Bytes::copy_from_slice(&text.as_bytes()[pair[0]..pair[1]])).collect();
            let (last, before) = pieces.split_last().expect("two cuts at least");
            for redactor in [redactor, seasoned] {
                for known_as_the_last in [false, true] {
                    let mut stream = redactor.stream();
                    let mut clean: Vec<u8> = before.iter().flat_map(|piece| stream.push(piece)).collect();
                    if known_as_the_last {
                        clean.extend_from_slice(&stream.end(last));
                    } else {
                        clean.extend_from_slice(&stream.push(last));
                        clean.extend_from_slice(&stream.finish());
                    }
                    prop_assert_eq!(clean, expected.clone());
                }
            }
        }
    }
}
