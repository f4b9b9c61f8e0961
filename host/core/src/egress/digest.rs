//! Digest authentication (RFC 7616), as a client: challenge in, `authorization` out. No input, no output, no randomness.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use md5::Digest as _;
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use super::expand::{Expanded, RESERVED};

/// Who answers a challenge.
pub(super) struct Credentials {
    username: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The name as the server wrote it; absent where it wrote none, since old servers know no such parameter.
    algorithm_name: Option<String>,
    session: bool,
    qop: Qop,
    userhash: bool,
    /// The credentials were good and only the nonce was old.
    pub(super) stale: bool,
}

/// Quality of protection. `auth-int` would cover the body and is asked for by no one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Qop {
    Auth,
    /// RFC 2069's form, without counter.
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

/// The use of one challenge over several requests.
#[derive(Debug, Clone)]
pub(super) struct Session {
    challenge: Arc<Challenge>,
    cnonce: Arc<str>,
    count: u32,
}

impl Session {
    pub(super) fn new(challenge: Challenge, cnonce: &str) -> Self {
        Self { challenge: Arc::new(challenge), cnonce: cnonce.into(), count: 1 }
    }

    /// Counts one more request and answers what to send with it.
    pub(super) fn next(&mut self) -> Self {
        self.count = self.count.saturating_add(1);
        self.clone()
    }

    /// Whether a fresh challenge says no more than the one that was just answered.
    pub(super) fn answers(&self, challenge: &Challenge) -> bool {
        self.challenge.nonce == challenge.nonce
    }
}

impl Credentials {
    pub(super) fn new(username: Expanded, password: Expanded) -> Self {
        Self { username: username.text, password: password.text }
    }

    /// The header for one request; `target` is its path and query as they stand in the request line.
    pub(super) fn authorization(&self, session: &Session, method: &str, target: &str) -> Option<HeaderValue> {
        let Session { challenge, cnonce, count } = session;
        let hash = |text: &str| challenge.algorithm.hash(text);
        let (user, realm, nonce) = (self.username.as_str(), &challenge.realm, &challenge.nonce);
        let mut first = Zeroizing::new(hash(&Zeroizing::new(format!("{user}:{realm}:{}", self.password.as_str()))));
        if challenge.session {
            first = Zeroizing::new(hash(&Zeroizing::new(format!("{}:{nonce}:{cnonce}", *first))));
        }
        let second = hash(&format!("{method}:{target}"));
        let response = match challenge.qop {
            Qop::Auth => hash(&format!("{}:{nonce}:{count:08x}:{cnonce}:auth:{second}", *first)),
            Qop::Absent => hash(&format!("{}:{nonce}:{second}", *first)),
        };
        let mut value = String::from("Digest ");
        if challenge.userhash {
            quoted(&mut value, "username", &hash(&format!("{user}:{realm}")));
        } else if user.is_ascii() {
            quoted(&mut value, "username", user);
        } else {
            // RFC 7616 section 3.4: RFC 5987's form, where quotes cannot hold it.
            write!(value, "username*=UTF-8''{}, ", utf8_percent_encode(user, RESERVED)).ok()?;
        }
        quoted(&mut value, "realm", realm);
        quoted(&mut value, "uri", target);
        if let Some(name) = &challenge.algorithm_name {
            write!(value, "algorithm={name}, ").ok()?;
        }
        quoted(&mut value, "nonce", nonce);
        if challenge.qop == Qop::Auth {
            write!(value, "nc={count:08x}, ").ok()?;
            quoted(&mut value, "cnonce", cnonce);
            value.push_str("qop=auth, ");
        } else if challenge.session {
            quoted(&mut value, "cnonce", cnonce);
        }
        if let Some(opaque) = &challenge.opaque {
            quoted(&mut value, "opaque", opaque);
        }
        if challenge.userhash {
            value.push_str("userhash=true, ");
        }
        write!(value, "response=\"{response}\"").ok()?;
        let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Challenge {
    /// The strongest digest challenge that can be answered.
    pub(super) fn among(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("digest"))
            .filter_map(|(_, parameters)| Self::read(&parameters))
            .max_by_key(|challenge| challenge.algorithm)
    }

    fn read(parameters: &[(String, String)]) -> Option<Self> {
        let get = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let algorithm_name = get("algorithm");
        let upper = algorithm_name.as_deref().unwrap_or("MD5").to_ascii_uppercase();
        let (name, session) = match upper.strip_suffix("-SESS") {
            Some(name) => (name, true),
            None => (upper.as_str(), false),
        };
        let algorithm = match name {
            "MD5" => Algorithm::Md5,
            "SHA-256" => Algorithm::Sha256,
            "SHA-512-256" => Algorithm::Sha512_256,
            _ => return None,
        };
        let qop = match get("qop") {
            None => Qop::Absent,
            Some(list) if list.split(',').any(|item| item.trim().eq_ignore_ascii_case("auth")) => Qop::Auth,
            // `auth-int` alone: the answer would cover the body.
            Some(_) => return None,
        };
        let yes = |name| get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Some(Self {
            realm: get("realm")?,
            nonce: get("nonce")?,
            opaque: get("opaque"),
            algorithm,
            algorithm_name,
            session,
            qop,
            userhash: yes("userhash"),
            stale: yes("stale"),
        })
    }
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex::encode(md5::Md5::digest(text)),
            Self::Sha256 => hex::encode(sha2::Sha256::digest(text)),
            Self::Sha512_256 => hex::encode(sha2::Sha512_256::digest(text)),
        }
    }
}

fn quoted(line: &mut String, name: &str, value: &str) {
    line.push_str(name);
    line.push_str("=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push_str("\", ");
}

type Scheme = (String, Vec<(String, String)>);

/// Challenges as RFC 9110 section 11.6.1 lists them: several in one value, their parameters set apart by the same commas.
fn challenges(value: &str) -> Vec<Scheme> {
    let mut found: Vec<Scheme> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|c: char| !token(c));
        if rest.is_empty() {
            return found;
        }
        let (name, after) = rest.split_at(rest.find(|c| !token(c)).unwrap_or(rest.len()));
        let behind = after.trim_start();
        match (behind.strip_prefix('='), found.last_mut()) {
            (Some(behind), Some((_, parameters))) => {
                let (value, left) = parameter(behind.trim_start());
                parameters.push((name.to_owned(), value));
                rest = left;
            }
            _ => {
                found.push((name.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

fn parameter(text: &str) -> (String, &str) {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(|c| !token(c)).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &inside[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

fn token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// The hash in an `Authorization` header.
pub(super) fn response(value: &HeaderValue) -> Option<Zeroizing<String>> {
    let text = value.to_str().ok()?;
    let (_, rest) = text.rsplit_once("response=\"")?;
    Some(Zeroizing::new(rest.split('"').next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::expand::{self, Values};

    fn mufasa() -> Credentials {
        let text = |text| expand::whole(text, &Values::new(), "a test").unwrap().unwrap();
        Credentials::new(text("Mufasa"), text("Circle of Life"))
    }

    fn challenge(value: &str) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        Challenge::among(&headers)
    }

    fn response(value: &HeaderValue) -> String {
        let (_, parameters) = challenges(value.to_str().unwrap()).remove(0);
        parameters.into_iter().find(|(name, _)| name == "response").unwrap().1
    }

    const REST: &str = r#"realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    #[test]
    fn the_vectors_of_rfc_7616_section_3_9_1_come_out() {
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let session = Session::new(challenge(&format!("Digest {REST}, algorithm={algorithm}")).unwrap(), CNONCE);
            let value = mufasa().authorization(&session, "GET", "/dir/index.html").unwrap();
            assert_eq!(response(&value), expected);
            assert_eq!(
                value.to_str().unwrap(),
                format!(
                    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                     algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                     cnonce=\"{CNONCE}\", qop=auth, opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
                     response=\"{expected}\""
                )
            );
        }
    }

    #[test]
    fn a_hashed_user_name_is_not_told() {
        let session =
            Session::new(challenge(&format!("Digest {REST}, algorithm=SHA-256, userhash=true")).unwrap(), "x");
        let value = mufasa().authorization(&session, "GET", "/").unwrap();
        let value = value.to_str().unwrap();
        assert!(!value.contains("Mufasa") && value.contains("userhash=true"), "{value}");
    }

    #[test]
    fn each_further_request_counts_on() {
        let mut session = Session::new(challenge(&format!("Digest {REST}")).unwrap(), "x");
        assert_eq!(session.next().count, 2);
        let third = mufasa().authorization(&session.next(), "GET", "/").unwrap();
        assert!(third.to_str().unwrap().contains("nc=00000003"));
    }

    #[test]
    fn the_strongest_challenge_of_several_is_answered() {
        let both =
            format!("Basic realm=\"a, Digest b\", Digest {REST}, algorithm=MD5, Digest {REST}, algorithm=SHA-512-256");
        assert_eq!(challenge(&both).unwrap().algorithm, Algorithm::Sha512_256);
        let session = challenge(&format!("digest algorithm=md5-sess, stale=TRUE, {REST}")).unwrap();
        assert_eq!((session.session, session.stale, session.algorithm), (true, true, Algorithm::Md5));
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for value in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-1",
            "Digest",
            "Negotiate YWJj==, \"",
        ] {
            assert_eq!(challenge(value), None, "{value}");
        }
    }

    #[test]
    fn without_quality_of_protection_the_old_form_is_used() {
        // RFC 2069's example with RFC 2617's numbers.
        let session = Session::new(
            challenge("Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"").unwrap(),
            "x",
        );
        let text = |text| expand::whole(text, &Values::new(), "a test").unwrap().unwrap();
        let value = Credentials::new(text("Mufasa"), text("CircleOfLife"))
            .authorization(&session, "GET", "/dir/index.html")
            .unwrap();
        assert_eq!(response(&value), "1949323746fe6a43ef61f9606e7febea");
    }
}
