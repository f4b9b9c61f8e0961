//! What the operator opened beyond the public internet. A connector can never write here.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::address;
use crate::model::origin::{Origin, OriginError};

/// The entries of `allow` in `[egress]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowList {
    entries: Vec<AllowEntry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowEntry {
    /// Exactly this origin, by http too, whatever its addresses.
    Origin(Origin),
    /// Every address in it, by http too.
    Network(IpNet),
}

/// Why an entry is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AllowEntryError {
    /// It looks like a URL and is no origin.
    #[error("`{entry}` {problem}")]
    Origin { entry: String, problem: OriginError },
    /// It is neither.
    #[error("`{entry}` is neither an origin such as http://127.0.0.1:5000 nor a network such as 10.1.0.0/16")]
    Neither { entry: String },
}

impl FromStr for AllowEntry {
    type Err = AllowEntryError;

    fn from_str(entry: &str) -> Result<Self, AllowEntryError> {
        if entry.contains("://") {
            return entry
                .parse()
                .map(Self::Origin)
                .map_err(|problem| AllowEntryError::Origin { entry: entry.to_owned(), problem });
        }
        entry
            .parse::<IpNet>()
            .ok()
            .or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))
            .map(|network| Self::Network(network.trunc()))
            .ok_or_else(|| AllowEntryError::Neither { entry: entry.to_owned() })
    }
}

impl AllowList {
    pub(crate) fn new(entries: Vec<AllowEntry>) -> Self {
        Self { entries }
    }

    /// Whether exactly this origin was opened.
    pub(crate) fn origin(&self, origin: &Origin) -> bool {
        self.entries.iter().any(|entry| matches!(entry, AllowEntry::Origin(opened) if opened == origin))
    }

    /// Whether the address stands in an opened network.
    pub(crate) fn address(&self, address: IpAddr) -> bool {
        let address = address::canonical(address);
        self.networks().any(|network| network.contains(&address))
    }

    /// Whether any network was opened, so that a name may turn out to stand in it.
    pub(crate) fn has_networks(&self) -> bool {
        self.networks().next().is_some()
    }

    fn networks(&self) -> impl Iterator<Item = &IpNet> {
        self.entries.iter().filter_map(|entry| match entry {
            AllowEntry::Network(network) => Some(network),
            AllowEntry::Origin(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        AllowList::new(entries.iter().map(|entry| entry.parse().unwrap()).collect())
    }

    #[test]
    fn an_origin_opens_itself_and_nothing_beside_it() {
        let list = list(&["http://127.0.0.1:5000"]);
        assert!(list.origin(&"http://127.0.0.1:5000".parse().unwrap()));
        for other in
            ["https://127.0.0.1:5000", "http://127.0.0.1:5001", "http://127.0.0.2:5000", "http://localhost:5000"]
        {
            assert!(!list.origin(&other.parse().unwrap()), "{other}");
        }
        assert!(!list.address("127.0.0.1".parse().unwrap()));
        assert!(!list.has_networks());
    }

    #[test]
    fn a_network_opens_its_addresses_in_both_spellings() {
        let list = list(&["10.1.2.3/16", "::1"]);
        for (address, open) in
            [("10.1.255.1", true), ("::ffff:10.1.0.1", true), ("10.2.0.0", false), ("::1", true), ("::2", false)]
        {
            assert_eq!(list.address(address.parse().unwrap()), open, "{address}");
        }
    }

    #[test]
    fn a_bad_entry_is_named() {
        for (entry, words) in [
            (
                "10.1.0.0/33",
                "`10.1.0.0/33` is neither an origin such as http://127.0.0.1:5000 nor a network such as 10.1.0.0/16",
            ),
            (
                "localhost",
                "`localhost` is neither an origin such as http://127.0.0.1:5000 nor a network such as 10.1.0.0/16",
            ),
            ("http://a/b", "`http://a/b` must be only scheme, domain and port, without a path"),
            ("ftp://a", "`ftp://a` must begin with https:// or http://, not ftp:"),
        ] {
            assert_eq!(entry.parse::<AllowEntry>().unwrap_err().to_string(), words);
        }
    }
}
