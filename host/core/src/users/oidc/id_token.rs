//! ID tokens, and when one is believed (OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::LASTS;
use crate::model::error::Error;

/// Clocks differ by that much.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Core section 2.
const SUBJECT: usize = 255;

/// What a token has to agree with.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a str,
    pub(super) now: Timestamp,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Bad {
    #[error("is not signed in a way that is taken here")]
    Algorithm,
    #[error("is a token for something else")]
    Type,
    #[error("is signed by a key that the provider does not publish")]
    UnknownKey,
    #[error("is not signed by the provider")]
    Signature,
    #[error("says nothing, or not as it should, in `{0}`")]
    Claim(&'static str),
    #[error("is of another provider")]
    Issuer,
    #[error("is for another application")]
    Audience,
    #[error("has expired")]
    Expired,
    #[error("is of another time; the clocks of this server and of the provider differ, or it was kept")]
    Time,
    #[error("is of another sign-in")]
    Nonce,
    #[error("does not belong to the access token that came with it")]
    AccessToken,
}

impl From<Bad> for Error {
    fn from(bad: Bad) -> Self {
        Self::Refused {
            rule: "id-token",
            message: format!("what the provider said of you is not believed: its ID token {bad}"),
            hint: Some("sign in again; if it happens once more, tell whoever runs this server".into()),
        }
    }
}

/// By what a token says that it is signed. Its own word for where a key could be had is not heard.
pub(super) fn head(token: &str, taken: &[Algorithm]) -> Result<(Algorithm, Option<String>), Bad> {
    // `none` and what nobody knows do not even parse.
    let head = jsonwebtoken::decode_header(token).map_err(|_no_header_of_a_known_algorithm| Bad::Algorithm)?;
    if !taken.contains(&head.alg) {
        return Err(Bad::Algorithm);
    }
    // RFC 7515 section 4.1.11: nothing that must be understood is understood here.
    if head.crit.is_some() || head.typ.is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
        return Err(Bad::Type);
    }
    Ok((head.alg, head.kid))
}

/// What it says, where this key signed it.
pub(super) fn verified(token: &str, key: &Jwk, algorithm: Algorithm) -> Result<Map<String, Json>, Bad> {
    let key = DecodingKey::from_jwk(key).map_err(|_unusable| Bad::UnknownKey)?;
    let mut validation = Validation::new(algorithm);
    // What it says is judged below, by the host's own clock.
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    let found = jsonwebtoken::decode::<Map<String, Json>>(token, &key, &validation);
    found.map(|found| found.claims).map_err(|_any_fault| Bad::Signature)
}

/// Whether it is of this provider, for this host, of now, and of this very sign-in. Gives its subject.
pub(super) fn judge(claims: &Map<String, Json>, algorithm: Algorithm, expected: &Expected<'_>) -> Result<String, Bad> {
    let text = |name: &'static str| claims.get(name).and_then(Json::as_str).ok_or(Bad::Claim(name));
    if text("iss")? != expected.issuer {
        return Err(Bad::Issuer);
    }
    audience(claims, expected.client_id)?;
    let Expected { now, .. } = *expected;
    if time(claims, "exp")?.saturating_add(SKEW).is_ok_and(|until| until <= now) {
        return Err(Bad::Expired);
    }
    let issued = time(claims, "iat")?;
    let (age, begins) =
        (now.duration_since(issued), if claims.contains_key("nbf") { time(claims, "nbf")? } else { issued });
    if age < -SKEW || age > LASTS + SKEW || now.duration_since(begins) < -SKEW {
        return Err(Bad::Time);
    }
    if !bool::from(text("nonce")?.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(Bad::Nonce);
    }
    if claims.contains_key("at_hash") && text("at_hash")? != half_hash(expected.access_token, algorithm) {
        return Err(Bad::AccessToken);
    }
    let subject = text("sub")?;
    let fits =
        !subject.is_empty() && subject.len() <= SUBJECT && subject.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if fits { Ok(subject.to_owned()) } else { Err(Bad::Claim("sub")) }
}

/// For this application and no other: nobody else is trusted not to pass it on.
fn audience(claims: &Map<String, Json>, client_id: &str) -> Result<(), Bad> {
    let only = match claims.get("aud").ok_or(Bad::Claim("aud"))? {
        Json::String(only) => only == client_id,
        Json::Array(several) => !several.is_empty() && several.iter().all(|one| one == client_id),
        _ => return Err(Bad::Claim("aud")),
    };
    let party = claims.get("azp").is_none_or(|party| party == client_id);
    if only && party { Ok(()) } else { Err(Bad::Audience) }
}

/// Seconds, or parts of one.
fn time(claims: &Map<String, Json>, name: &'static str) -> Result<Timestamp, Bad> {
    let seconds =
        claims.get(name).and_then(Json::as_f64).filter(|seconds| seconds.abs() < 1e12).ok_or(Bad::Claim(name))?;
    Timestamp::from_second(seconds.floor() as i64).map_err(|_out_of_range| Bad::Claim(name))
}

/// Core section 3.1.3.6.
fn half_hash(access_token: &str, algorithm: Algorithm) -> String {
    let whole = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(access_token).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => Sha512::digest(access_token).to_vec(),
        _ => Sha256::digest(access_token).to_vec(),
    };
    BASE64_URL_SAFE_NO_PAD.encode(&whole[..whole.len() / 2])
}
