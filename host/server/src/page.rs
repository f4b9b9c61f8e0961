//! The one page that a person sees here: what became of a sign-in. It has no script and loads nothing.

use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

const STYLE: &str = "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.5rem;\
color:#1d2433;background:#fbfbfd}h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:0;overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body{color:#e8eaf0;background:#14171f}}";

/// A headline and a line of words.
pub(crate) fn told(status: StatusCode, headline: &str, words: &str) -> Response {
    let (headline, words) = (escaped(headline), escaped(words));
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{headline} · Turnbuckle</title><style>{STYLE}</style></head>\
         <body><main><h1>{headline}</h1><p>{words}</p></main></body></html>"
    );
    let mut response = (status, Html(page)).into_response();
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Text stays text, whoever wrote it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What changes the direction of a line could make a page say something else than it does.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_service_stay_words() {
        assert_eq!(escaped("<b onclick=\"x\">a & 'b'\u{202e}"), "&lt;b onclick=&quot;x&quot;&gt;a &amp; &#39;b&#39; ");
    }

    #[test]
    fn the_page_loads_nothing_and_runs_nothing() {
        let response = told(StatusCode::OK, "Connected", "It works.");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    }
}
