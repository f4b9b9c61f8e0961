//! Whether a request may leave: a pure function of the URL that is dialled and of what was handed in.
//!
//! The URL is parsed once; what is judged here is the very value that the client dials, so no second parser can read it
//! otherwise. Decimal, octal and short IPv4 spellings are IP literals after that one parse, and a literal never meets a
//! resolver, so it is judged here. Names are judged by their addresses when they are resolved ([`Reach`] says how).

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Uri};
use url::{Host, Url};

use super::address;
use super::allow::AllowList;
use super::attach::Owned;
use super::error::{Denied, Rule};
use crate::model::origin::Origin;

/// A request that may leave: where to, and which addresses its name may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) origin: Origin,
    pub(super) reach: Reach,
}

/// Which addresses may be dialled for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Any: the operator opened this very origin.
    Opened,
    /// The public internet and opened networks.
    Public,
    /// Opened networks alone: plain http leaves only to where the operator said so.
    Networks,
}

/// What a connection's requests are judged by.
pub(super) struct Rules<'a> {
    pub(super) origins: &'a [Origin],
    pub(super) owned: &'a Owned,
    pub(super) allow: &'a AllowList,
}

/// The URL that will be dialled.
pub(super) fn parse(uri: &Uri, origins: &[Origin]) -> Result<Url, Denied> {
    let refuse = |rule, detail: &str| Err(Denied::new(rule, shown(uri), detail));
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return refuse(Rule::UserInfo, "a URL with user information is not sent; the host attaches credentials");
    }
    let parts = [uri.authority().map(Authority::as_str), uri.path_and_query().map(PathAndQuery::as_str)];
    if parts.into_iter().flatten().any(|part| part.contains('\\')) {
        return refuse(Rule::Url, "a URL has no backslash");
    }
    // Nearly every one is written in the words of an origin that was read before.
    let url = match origins.iter().find(|origin| origin.is_written_in(uri)) {
        Some(origin) => origin.with(uri.path(), uri.query()),
        None => read(uri)?,
    };
    match url.port() {
        Some(0) => refuse(Rule::Port, "nothing listens on port 0"),
        Some(_) | None => Ok(url),
    }
}

/// What a parser makes of it, with one spelling of its name, so that `Host`, SNI and the pool agree with what was judged.
fn read(uri: &Uri) -> Result<Url, Denied> {
    let refuse = |rule, detail: &str| Denied::new(rule, shown(uri), detail);
    let not_a_url = |problem| refuse(Rule::Url, &format!("not a URL: {problem}"));
    let mut url = Url::parse(&uri.to_string()).map_err(not_a_url)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse(Rule::Scheme, &format!("{}: is neither https nor http", url.scheme())));
    }
    url.set_fragment(None);
    if url.domain().is_some_and(|name| name.strip_suffix('.').unwrap_or(name).split('.').any(str::is_empty)) {
        return Err(refuse(Rule::Url, "a name has no empty part between its dots"));
    }
    if let Some(name) = url.domain().and_then(|name| name.strip_suffix('.')).map(str::to_owned) {
        // Without its dots it might be an address.
        if name.ends_with('.') {
            return Err(refuse(Rule::Url, "a name ends in one dot at most"));
        }
        url.set_host(Some(&name)).map_err(not_a_url)?;
    }
    Ok(url)
}

/// Where it was to go, in a message about a URL that has no origin yet.
fn shown(uri: &Uri) -> String {
    uri.host().unwrap_or("a URL without host").chars().take(253).collect()
}

/// The origin of a URL: of those that are known, or another.
pub(super) fn origin(known: &[Origin], url: &Url) -> Option<Origin> {
    known.iter().find(|origin| origin.begins(url)).cloned().or_else(|| Origin::of(url))
}

/// Judges a request as the guest wrote it, before anything is attached.
pub(super) fn decide(rules: &Rules<'_>, method: &Method, url: &Url, headers: &HeaderMap) -> Result<Route, Denied> {
    let origin = origin(rules.origins, url)
        .ok_or_else(|| Denied::new(Rule::Url, "a URL without host", "there is no host to dial"))?;
    if !permitted_method(method) {
        let detail = "only GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS and WebDAV's safe methods are sent";
        return Err(Denied::new(Rule::Method, &origin, detail));
    }
    if !rules.origins.contains(&origin) {
        return Err(Denied::new(Rule::Origin, &origin, outside(rules.origins)));
    }
    let reach = reach(rules.allow, &origin, url)?;
    check_headers(rules.owned, &origin, headers)?;
    rules.owned.check_query(&origin, url)?;
    Ok(Route { origin, reach })
}

fn reach(allow: &AllowList, origin: &Origin, url: &Url) -> Result<Reach, Denied> {
    if allow.origin(origin) {
        return Ok(Reach::Opened);
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    if let Some(address) = literal {
        if allow.address(address) {
            return Ok(Reach::Networks);
        }
        check_address(address, origin)?;
    }
    match origin.scheme() {
        "https" => Ok(Reach::Public),
        _ if literal.is_none() && allow.has_networks() => Ok(Reach::Networks),
        _ => Err(plain_http(origin)),
    }
}

fn plain_http(origin: &Origin) -> Denied {
    Denied::new(Rule::Scheme, origin, "plain http leaves only to origins that the operator opened").opened_by(origin)
}

/// Judges one address by the table alone.
fn check_address(address: IpAddr, origin: &Origin) -> Result<(), Denied> {
    address::public(address).map_err(|problem| {
        Denied::new(Rule::Address, origin, format!("{address} is a {} address", problem.reason())).opened_by(origin)
    })
}

/// Judges every address that a name resolved to. One bad address refuses them all: the next attempt might dial it.
pub(super) fn check_resolved(
    allow: &AllowList,
    reach: Reach,
    name: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> Result<(), Denied> {
    for address in addresses {
        let refused = |detail: String| Err(Denied::new(Rule::Address, name, detail).opened_by(address.to_canonical()));
        match reach {
            Reach::Opened => {}
            _ if allow.address(address) => {}
            Reach::Networks => {
                return refused(format!(
                    "plain http leaves only to networks that the operator opened, and {address} is in none"
                ));
            }
            Reach::Public => {
                if let Err(problem) = address::public(address) {
                    return refused(format!("it resolves to {address}, a {} address", problem.reason()));
                }
            }
        }
    }
    Ok(())
}

fn outside(origins: &[Origin]) -> String {
    const SHOWN: usize = 5;
    let mut list: Vec<String> = origins.iter().take(SHOWN).map(Origin::to_string).collect();
    match origins.len() {
        0 => return "nothing may be reached in this call".to_owned(),
        count if count > SHOWN => list.push(format!("{} more", count - SHOWN)),
        _ => {}
    }
    format!("this connection may reach only {}", list.join(", "))
}

/// TRACE echoes what was attached, CONNECT opens a tunnel that nothing looks into.
pub(super) fn permitted_method(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS")
        // RFC 4918, RFC 3253, RFC 5323 and RFC 10008: plain requests with another verb.
        || matches!(method.as_str(), "PROPFIND" | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "REPORT" | "SEARCH" | "QUERY")
}

/// Headers about the connection itself (RFC 9110 section 7.6.1), which no one passes on, in either direction.
pub(super) fn hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Headers that only the host writes: framing, the dialled name, and what claims to come from a proxy.
pub(super) fn host_only(name: &HeaderName) -> bool {
    hop_by_hop(name)
        || *name == header::HOST
        || *name == header::EXPECT
        || *name == header::FORWARDED
        || name.as_str().starts_with("proxy-")
        || name.as_str().starts_with("x-forwarded-")
}

fn check_headers(owned: &Owned, origin: &Origin, headers: &HeaderMap) -> Result<(), Denied> {
    for name in headers.keys() {
        if host_only(name) {
            return Err(Denied::new(Rule::Header, origin, format!("the header {name} is written by the host alone")));
        }
        if owned.body && matches!(*name, header::RANGE | header::IF_RANGE) {
            let detail =
                format!("the header {name} could bring a part of the credential, which nobody would recognise");
            return Err(Denied::new(Rule::Header, origin, detail));
        }
        if owned.header(name) {
            let detail = format!("the header {name} is written by the connection's credential");
            return Err(Denied::new(Rule::Owned, origin, detail));
        }
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().count() > 1 {
        return Err(Denied::new(Rule::Header, origin, "content-length stands there more than once"));
    }
    owned.check_cookies(origin, headers)
}
