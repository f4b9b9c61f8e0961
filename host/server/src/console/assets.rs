//! What pages load: the style sheet, the script, and icons of connectors.

use std::sync::OnceLock;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::answer::Failed;
use super::{Console, Entered};

const STYLE: &str = include_str!("../../assets/style.css");
const SCRIPT: &str = include_str!("../../assets/script.js");
const MARK: &str = include_str!("../../assets/mark.svg");

/// An icon may be drawn, and nothing else, even where somebody opens it by itself.
const ICON_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

/// Part of each asset's path, so that a browser may keep it for as long as it likes.
pub(crate) fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| hex::encode(&Sha256::digest([STYLE, SCRIPT, MARK].concat())[..8]))
}

pub(crate) async fn asset(Path((_hash, name)): Path<(String, String)>) -> Response {
    let (kind, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "script.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "mark.svg" => ("image/svg+xml", MARK),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], text)
        .into_response()
}

/// The icon of a connector, `github@1.2.0`. It was judged when it was installed; here it gets a policy of its own besides.
pub(crate) async fn icon(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    let view = console.host.connector(&entered.actor, &name)?;
    let Some(svg) = view.installed.descriptor.icon_svg else { return Ok(StatusCode::NOT_FOUND.into_response()) };
    let mut response = svg.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(ICON_POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    Ok(response)
}
