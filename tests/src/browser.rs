//! A person's browser: it keeps cookies, follows nothing by itself and posts the forms that it is told to.

use bytes::Bytes;
use http::Method;
use url::{Url, form_urlencoded};

use crate::api::{Answer, Api};

/// A browser with a profile of its own.
#[derive(Debug, Default)]
pub struct Browser {
    cookies: Vec<Cookie>,
}

/// As RFC 6265 keeps it. Ports do not part cookies; names of hosts and paths do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

impl Browser {
    /// One that was never used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a page. A redirect is an answer.
    pub fn get(&mut self, url: &str) -> Answer {
        self.call(Method::GET, url, &[], Bytes::new())
    }

    /// Opens a page with these headers besides.
    pub fn get_with(&mut self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.call(Method::GET, url, headers, Bytes::new())
    }

    /// Posts a form.
    pub fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.call(Method::POST, url, &[("content-type", "application/x-www-form-urlencoded")], body.into())
    }

    /// Keeps the cookies of an answer that came from this URL.
    pub fn keep(&mut self, url: &str, answer: &Answer) {
        let url = parsed(url);
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("a cookie is text");
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let attributes: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
            let of = |wanted: &str| attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            let cookie = Cookie {
                host: host(&url),
                path: of("path").map_or("/", |(_, path)| path).to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            };
            self.cookies
                .retain(|known| (&known.host, &known.path, &known.name) != (&cookie.host, &cookie.path, &cookie.name));
            let gone = of("max-age").is_some_and(|(_, seconds)| *seconds == "0")
                || of("expires").is_some_and(|(_, date)| date.contains("1970"));
            if !gone {
                self.cookies.push(cookie);
            }
        }
    }

    /// What it would send as `Cookie` to this URL.
    pub fn cookies(&self, url: &str) -> String {
        let url = parsed(url);
        let fits = |cookie: &&Cookie| {
            let below = url.path().strip_prefix(cookie.path.as_str());
            let below =
                below.is_some_and(|rest| rest.is_empty() || cookie.path.ends_with('/') || rest.starts_with('/'));
            cookie.host == host(&url) && below
        };
        let pairs = self.cookies.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn call(&mut self, method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let target = parsed(url);
        let cookies = self.cookies(url);
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let path = &target[url::Position::BeforePath..url::Position::AfterQuery];
        let answer = Api::new(&target.origin().ascii_serialization(), None).raw(method, path, &all, body);
        self.keep(url, &answer);
        answer
    }
}

/// Where an answer sends the browser.
pub fn location(from: &str, answer: &Answer) -> String {
    let to = answer.header("location");
    assert!(!to.is_empty(), "{from} sends nowhere: {} {}", answer.status, answer.text());
    parsed(from).join(to).unwrap_or_else(|error| panic!("{to}: {error}")).into()
}

/// The parameters of a URL's query, in their order.
pub fn parameters(url: &str) -> Vec<(String, String)> {
    parsed(url).query_pairs().into_owned().collect()
}

/// One parameter of a URL's query.
#[track_caller]
pub fn parameter(url: &str, name: &str) -> String {
    let found = parameters(url).into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{url} has no `{name}`")).1
}

/// The URL with these parameters in place of its own.
pub fn with_parameters<N: AsRef<str>, V: AsRef<str>>(url: &str, parameters: &[(N, V)]) -> String {
    let mut url = parsed(url);
    url.query_pairs_mut().clear().extend_pairs(parameters.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    url.into()
}

fn parsed(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn a_cookie_goes_where_it_belongs_until_it_is_taken_back() {
        let answer = |line| {
            let mut headers = HeaderMap::new();
            headers.append("set-cookie", HeaderValue::from_static(line));
            Answer { status: StatusCode::OK, headers, body: Bytes::new() }
        };
        let mut browser = Browser::new();
        browser.keep("http://127.0.0.1:1/a/b", &answer("id=1; Path=/a; HttpOnly"));
        assert_eq!(browser.cookies("http://127.0.0.1:2/a/c"), "id=1");
        for elsewhere in ["http://127.0.0.1:1/ab", "http://127.0.0.1:1/", "http://localhost:1/a"] {
            assert_eq!(browser.cookies(elsewhere), "", "{elsewhere}");
        }
        browser.keep("http://127.0.0.1:1/", &answer("id=; Path=/a; Max-Age=0"));
        assert_eq!(browser.cookies("http://127.0.0.1:1/a"), "");
    }
}
