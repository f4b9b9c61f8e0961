//! Answers of token endpoints as fuzz targets see them.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::answer;
use crate::egress::Brought;
use crate::model::authentication::Capture;
use crate::model::verdict::Failure;

/// What an answer brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Captured {
    pub secrets: BTreeMap<String, String>,
    pub visible: BTreeMap<String, String>,
    pub expires_at: Option<Timestamp>,
}

/// Reads an answer with captures as they are stored; none where those are no captures.
pub fn answer(
    status: StatusCode,
    headers: HeaderMap,
    body: &[u8],
    captures: &str,
    now: Timestamp,
) -> Option<Result<Captured, Failure>> {
    let captures: Vec<Capture> = serde_json::from_str(captures).ok()?;
    let body = Zeroizing::new(body.to_vec());
    let brought = Brought { status, headers, body, asked: "POST https://login.example.com/token".to_owned() };
    Some(answer::read(&brought, &captures, now).map(|captured| Captured {
        secrets: captured.secrets.into_iter().map(|(name, secret)| (name, secret.expose().to_owned())).collect(),
        visible: captured.visible,
        expires_at: captured.expires_at,
    }))
}
