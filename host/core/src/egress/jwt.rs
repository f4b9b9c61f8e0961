//! Signed tokens (RFC 7519, RFC 7515) that the host makes of a plan's templates.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::error::PermitError;
use super::expand::{self, Values};
use super::key;
use crate::model::authentication::{Algorithm, Jwt};
use crate::model::outside::Outside;

/// A request may be under way while its token grows old.
const AHEAD: Duration = Duration::from_secs(30);

/// A token, and how long it may be sent.
pub(super) struct Token {
    pub(super) text: Zeroizing<String>,
    pub(super) valid_until: Timestamp,
}

/// Makes one; none where a value is missing.
pub(super) fn sign(plan: &Jwt, values: &Values, place: &str, outside: &Outside) -> Result<Option<Token>, PermitError> {
    let plan_error = |problem| PermitError::Plan { place: place.to_owned(), problem };
    let (Some(key), Some(header), Some(claims)) = (
        expand::whole(&plan.key, values, place)?,
        expand::json(&plan.header, values, place)?,
        expand::json(&plan.claims, values, place)?,
    ) else {
        return Ok(None);
    };
    if ![&key, &header, &claims].iter().all(|part| part.constant()) {
        return Err(plan_error("cannot hold {uuid}"));
    }
    let object = |text: &str, problem| match serde_json::from_str(text) {
        Ok(Json::Object(members)) => Ok(members),
        _ => Err(plan_error(problem)),
    };
    let written = object(&header.text, "has a header that is no JSON object")?;
    let mut claims = object(&claims.text, "has claims that are no JSON object")?;

    let (now, lifetime) = (outside.now().as_second(), i64::from(plan.lifetime_seconds));
    let issued = claims.entry("iat").or_insert_with(|| now.into()).as_i64();
    let expires = claims.entry("exp").or_insert_with(|| issued.unwrap_or(now).saturating_add(lifetime).into()).as_i64();
    let (Some(issued), Some(expires)) = (issued, expires) else {
        return Err(plan_error("has an `iat` or an `exp` that is no whole number"));
    };
    if !(1..=lifetime).contains(&expires.saturating_sub(issued)) {
        return Err(plan_error("has an `exp` that is not within its lifetime"));
    }
    claims
        .entry("jti")
        .or_insert_with(|| uuid::Builder::from_random_bytes(outside.random()).into_uuid().to_string().into());
    let mut header = Map::from_iter([("alg".to_owned(), Json::from(name(plan.algorithm)))]);
    header.extend(written.into_iter().filter(|(member, _)| member != "alg"));

    let bad_key = |problem| expand::blame(&plan.key, place, problem);
    let key = key::signing_key(&key.text, plan.key_encoding, plan.algorithm).map_err(bad_key)?;
    let part =
        |members: Map<String, Json>| URL_SAFE_NO_PAD.encode(Zeroizing::new(Json::from(members).to_string()).as_bytes());
    let message = Zeroizing::new(format!("{}.{}", part(header), part(claims)));
    let signature = key::sign(&message, &key, plan.algorithm).map_err(bad_key)?;
    let ahead = AHEAD.min(Duration::from_secs(plan.lifetime_seconds.into()) / 2);
    let valid_until = Timestamp::from_second(expires).ok().and_then(|expires| expires.checked_sub(ahead).ok());
    Ok(Some(Token {
        text: Zeroizing::new(format!("{}.{signature}", *message)),
        valid_until: valid_until.ok_or_else(|| plan_error("has an `exp` that is no time"))?,
    }))
}

/// RFC 7518 section 3.1.
fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Hs256 => "HS256",
        Algorithm::Rs256 => "RS256",
        Algorithm::Ps256 => "PS256",
        Algorithm::Es256 => "ES256",
    }
}

#[cfg(test)]
mod tests;
