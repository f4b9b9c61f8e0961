//! What the policy approved is what is dialled.
//!
//! A request goes the whole way that a guest's request goes, up to the client. What that is given is read here as text, by
//! `http::Uri`, which is what the client dials by, and by the standard library's addresses; each must name an origin that was
//! granted, letter for letter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderName, HeaderValue, Request, Uri};
use turnbuckle::fuzzing::{Answer, Dialled, Kind, Values, Way};
use url::Url;

use crate::lines::Lines;
use crate::run;

const SECRET: &str = "s3cret-of-the-connection";
const PLAN: &str = r#"{"derived":[],"grant":{"prepare":[],"token":[],"refresh":[],"revocation":[]},"placements":[
    {"header":{"name":"authorization","value":"Bearer {token}"}},{"query":{"name":"key","value":"{token}"}}]}"#;

/// Lines: `opened` or not; granted origins; method; URL; headers.
pub fn check(input: &[u8]) {
    let mut lines = Lines::of(input);
    let opened = lines.line() == "opened";
    let origins: Vec<String> = lines.line().split(' ').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    let (method, url) = (lines.line(), lines.line());
    let headers = lines.until_break();
    let values = Values::new([(Kind::Secret, "token", SECRET)].into_iter());
    let Ok(way) = Way::new(opened, &origins, PLAN, &values) else { return };
    let Ok(uri) = url.parse::<Uri>() else { return };
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = uri.clone();
    let Ok(method) = method.parse() else { return };
    *request.method_mut() = method;
    for header in &headers {
        let Some((name, value)) = header.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (name.trim().parse::<HeaderName>(), HeaderValue::from_str(value.trim())) {
            request.headers_mut().append(name, value);
        }
    }
    let plain = request.method() == "GET" && request.headers().is_empty() && is_plain(&uri, &origins);
    match run(way.send(request, Answer::default())) {
        Ok((dialled, ..)) => {
            is_granted(&dialled, &origins, opened);
            is_attached_once(&dialled, &uri);
        }
        Err(refused) => {
            // Where it was written into the input it is told what was written, escaped or not.
            let guessed = String::from_utf8_lossy(input).contains("s3cret");
            assert!(guessed || !refused.contains(SECRET), "a refusal repeats the secret");
            assert!(!plain, "a plain request to a granted origin is refused: {refused}");
        }
    }
}

/// Whether nobody could find anything wrong with it.
fn is_plain(uri: &Uri, origins: &[String]) -> bool {
    let text = uri.to_string();
    let Some((origin, path)) = text.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.starts_with(|c: char| c.is_ascii_lowercase())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let labels: Vec<_> = origin.split('.').collect();
    labels.len() > 1
        && origin.len() < 250
        && labels.iter().all(|text| label(text))
        && labels.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_lowercase()))
        && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '/')
        && origins.contains(&format!("https://{origin}"))
}

fn is_granted(dialled: &Dialled, origins: &[String], opened: bool) {
    let text = dialled.url.as_str();
    let (scheme, rest) = text.split_once("://").expect("a URL with an authority is dialled");
    let standard = match scheme {
        "https" => 443,
        "http" => 80,
        other => panic!("{other}: is dialled"),
    };
    let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    assert!(!authority.contains(['@', '%', ' ']) && authority.chars().all(|c| c.is_ascii_graphic()), "{text}");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, port.parse().expect("a port is a number"))
        }
        Some(_) | None => (authority, standard),
    };
    assert_ne!(port, 0, "{text}");
    // This is what the client parses and dials by.
    let uri: Uri = text.parse().expect("what is dialled is a URI");
    assert_eq!((uri.host(), uri.port_u16().unwrap_or(standard)), (Some(host), port), "{text}");
    let spelled = |granted: &String| {
        let url = Url::parse(granted).ok()?;
        Some((url.scheme().to_owned(), url.host_str()?.trim_end_matches('.').to_owned(), url.port_or_known_default()?))
    };
    let is_dialled = |granted: &String| spelled(granted) == Some((scheme.to_owned(), host.to_owned(), port));
    assert!(origins.iter().any(is_dialled), "{text} is dialled, and granted are {origins:?}");

    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let by_origin = opened
        && Way::OPENED
            .iter()
            .filter_map(|entry| spelled(&(*entry).to_owned()))
            .any(|(_, name, at)| scheme == "http" && name == host && at == port);
    let in_network = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(address) => opened && address.octets()[..2] == [10, 1],
        IpAddr::V6(_) => false,
    };
    if let Some(address) = address {
        assert!(by_origin || in_network(address) || is_public(address), "{text} is dialled");
    }
    if scheme == "http" {
        assert!(by_origin || address.map_or(opened, in_network), "{text} is dialled without TLS");
    }
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(matches!(a, 0 | 10 | 127 | 224..)
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && matches!(c, 0 | 2))
        || (a == 198 && matches!(b, 18 | 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let part = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match part {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        [0x2001, 0 | 0xdb8, ..] => false,
        [first, ..] => first >> 13 == 1,
    }
}

/// The guest's request is there as it was, and the credential beside it, once.
fn is_attached_once(dialled: &Dialled, uri: &Uri) {
    let asked = Url::parse(&uri.to_string()).expect("it was dialled");
    assert_eq!(dialled.url.path(), asked.path());
    let own = asked.query().unwrap_or_default();
    let key = format!("key={SECRET}");
    let expected = if own.is_empty() { key } else { format!("{own}&{key}") };
    assert_eq!(dialled.url.query(), Some(expected.as_str()));
    assert_eq!(dialled.url.query_pairs().filter(|(name, _)| name.eq_ignore_ascii_case("key")).count(), 1);
    let bearer: Vec<_> = dialled.headers.get_all("authorization").iter().collect();
    assert_eq!(bearer, [&format!("Bearer {SECRET}")]);
    for name in ["host", "connection", "transfer-encoding", "te", "upgrade", "content-length", "expect", "forwarded"] {
        assert!(!dialled.headers.contains_key(name), "the guest's {name} goes out");
    }
}
