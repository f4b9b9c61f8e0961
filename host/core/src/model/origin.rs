//! Scheme, host and port: the unit in which requests are allowed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;
use serde::{Deserialize, Serialize, Serializer};
use url::{Position, Url};

/// An http or https origin in the form that `url` normalises to, which is also the form that is dialled. Cloning is shallow.
///
/// It is kept as the URL of its root, which has nothing else in it and no dot at the end of its name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(Arc<Url>);

/// Why a text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("is not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// Neither http nor https.
    #[error("must begin with https:// or http://, not {scheme}:")]
    Scheme {
        /// The scheme it has.
        scheme: String,
    },
    /// Two dots beside each other, or one before the name.
    #[error("has an empty part between the dots of its name")]
    EmptyLabel,
    /// `user@`, a path, a query or a fragment.
    #[error("must be only scheme, domain and port, without {part}")]
    Extra {
        /// What it has too much.
        part: &'static str,
    },
    /// A domain that no resolver knows: a URL may hold it, a name may not.
    #[error("has a domain with `{found}`; letters, digits, hyphens and dots are what a domain is made of")]
    Host {
        /// The first character that does not fit.
        found: char,
    },
}

impl Origin {
    /// The origin of a URL that is dialled; `None` where it is neither http nor https, or has no host or one with an empty part
    /// between its dots.
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?;
        // A name may end in a dot, and is the same then. Of more dots resolvers and servers make each something of their own.
        let bare = host.strip_suffix('.').unwrap_or(host);
        if bare.split('.').any(str::is_empty) {
            return None;
        }
        let mut root = url.clone();
        if bare.len() < host.len() {
            root.set_host(Some(bare)).ok()?;
        }
        root.set_username("").ok()?;
        root.set_password(None).ok()?;
        root.set_fragment(None);
        root.set_query(None);
        root.set_path("/");
        Some(Self(Arc::new(root)))
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// Lower-case, in punycode where it is a name; IPv6 in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port that is dialled.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// As everywhere on the outside: without the port where the scheme says it.
    pub fn as_str(&self) -> &str {
        &self.0[..Position::BeforePath]
    }

    /// Whether this URI is written in the very words of the origin. One that is not may be of it all the same.
    pub(crate) fn is_written_in(&self, uri: &Uri) -> bool {
        let words = &self.0[Position::BeforeHost..Position::BeforePath];
        uri.authority().is_some_and(|authority| authority.as_str() == words) && uri.scheme_str() == Some(self.scheme())
    }

    /// Whether it is the one of this URL, as far as that shows without reading its name.
    pub(crate) fn begins(&self, url: &Url) -> bool {
        url[..Position::BeforePath] == *self.as_str()
    }

    /// The URL of what stands on it: what a parser makes of the whole, in a fraction of its time.
    pub(crate) fn with(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = Url::clone(&self.0);
        url.set_path(path);
        url.set_query(query);
        url
    }

    fn of_text(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OriginError::Scheme { scheme: url.scheme().chars().take(20).collect() });
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err(OriginError::Extra { part: "user information" });
        }
        if url.query().is_some() {
            return Err(OriginError::Extra { part: "a query" });
        }
        if url.fragment().is_some() {
            return Err(OriginError::Extra { part: "a fragment" });
        }
        if url.path() != "/" {
            return Err(OriginError::Extra { part: "a path" });
        }
        Self::of(&url).ok_or(OriginError::EmptyLabel)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let origin = Self::of_text(text)?;
        // What stands in brackets is an address of IPv6, which `url` has read as one.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        match origin.host().chars().find(|&c| !fits(c)) {
            Some(found) if !origin.host().starts_with('[') => Err(OriginError::Host { found }),
            Some(_) | None => Ok(origin),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Self, OriginError> {
        // Records also tell where somebody tried to go, whatever stood there.
        Self::of_text(&text)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Origin").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_origin_are_one_origin() {
        for text in ["https://Example.com", "https://example.com:443/", "https://example.com."] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), "https://example.com");
        }
        assert_eq!("http://0x7f.1".parse::<Origin>().unwrap().to_string(), "http://127.0.0.1");
    }

    #[test]
    fn of_a_url_an_origin_keeps_nothing_else() {
        let url = Url::parse("https://ada:secret@Example.com.:8443/x;y?key=secret#z").unwrap();
        let origin = Origin::of(&url).unwrap();
        assert_eq!(origin.to_string(), "https://example.com:8443");
        assert_eq!(Some(&origin), "https://example.com:8443".parse().ok().as_ref());
        assert!(!origin.begins(&url), "nor is it mistaken for another");
        assert_eq!((origin.host(), origin.port()), ("example.com", 8443));
    }

    #[test]
    fn whatever_is_more_than_an_origin_is_refused() {
        for (text, part) in [
            ("https://a@example.com", "user information"),
            ("https://@example.com", "user information"),
            ("https://example.com/x", "a path"),
            ("https://example.com?x", "a query"),
            ("https://example.com#x", "a fragment"),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError::Extra { part }), "{text}");
        }
        for (text, found) in
            [("https://{a}.example.com", '{'), ("https://*.example.com", '*'), ("https://a'b.example.com", '\'')]
        {
            assert_eq!(text.parse::<Origin>(), Err(OriginError::Host { found }), "{text}");
        }
        let tried = Origin::of(&Url::parse("https://{a}.example.com/x").unwrap()).unwrap();
        let kept = serde_json::to_string(&tried).unwrap();
        assert_eq!(serde_json::from_str::<Origin>(&kept).unwrap(), tried);
        assert_eq!("http://[::1]:80".parse::<Origin>().unwrap().to_string(), "http://[::1]");
        for dots in ["https://example.com..", "https://a..example.com", "https://.example.com", "https://127.0.0.1.."] {
            assert_eq!(dots.parse::<Origin>(), Err(OriginError::EmptyLabel), "{dots}");
        }
        assert_eq!("ftp://example.com".parse::<Origin>(), Err(OriginError::Scheme { scheme: "ftp".into() }));
    }

    #[test]
    fn a_uri_in_the_words_of_an_origin_is_known_without_being_parsed() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        for (of, uri, written) in [
            ("https://example.com", "https://example.com/x?y", true),
            ("https://example.com", "https://example.com:443/x", false),
            ("http://example.com:8080", "http://example.com:8080", true),
            ("http://[::1]:8080", "http://[::1]:8080/x", true),
            ("https://example.com", "/x", false),
            ("https://example.com", "http://example.com/x", false),
            ("https://example.com", "https://example.com:80/x", false),
            ("https://example.com", "https://example.com.evil.example/x", false),
            ("https://example.com", "https://example.com@evil.example/x", false),
            ("https://example.com", "https://example.com:443@evil.example/x", false),
        ] {
            assert_eq!(origin(of).is_written_in(&uri.parse().unwrap()), written, "{of} in {uri}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_in_a_uri_is_what_is_dialled(
            of in r"https?://(a|a\.b|127\.0\.0\.1|\[::1\])(:(80|443|8080))?",
            uri in r"https?://(x:y@|a:80@|a@)?(a|A|a\.|a\.b|127\.1|127\.0\.0\.1|\[::1\]|\[0::1\])(:(80|443|8080|080)?)?(/|/@b|\?b|/\.\.)?",
        ) {
            let origin: Origin = of.parse().unwrap();
            let Ok(parsed) = uri.parse::<Uri>() else { return Ok(()) };
            if origin.is_written_in(&parsed) {
                let url = Url::parse(&uri).unwrap();
                prop_assert!(origin.begins(&url));
                prop_assert_eq!(Origin::of(&url), Some(origin));
            }
        }

        #[test]
        fn what_stands_on_an_origin_is_what_a_parser_makes_of_the_whole(
            of in r"https?://(a|a\.b|127\.0\.0\.1|\[::1\])(:(80|443|8080))?",
            rest in r"(/[ -\[\]-~é]{0,12}|/[./%2eE@:a]{0,12})?(\?[ -\[\]-~é]{0,12})?",
        ) {
            let origin: Origin = of.parse().unwrap();
            let Ok(uri) = format!("{origin}{rest}").parse::<Uri>() else { return Ok(()) };
            prop_assert!(origin.is_written_in(&uri));
            let url = origin.with(uri.path(), uri.query());
            prop_assert_eq!(&url, &Url::parse(&uri.to_string()).unwrap());
            prop_assert_eq!(Origin::of(&url), Some(origin));
        }
    }
}
