//! Private keys as people hold them: PEM in each of its forms, JWK (RFC 7517), or bytes.

use jsonwebtoken::{EncodingKey, errors::ErrorKind};
use serde_json::{Map, Value as Json};
use zeroize::{Zeroize as _, Zeroizing};

use super::der;
use super::keys::{base64, decode};
use super::pem::{self, Block};
use crate::model::authentication::{Algorithm, Encoding};

const RSA: &str = "an RSA private key is expected, in PEM (PKCS#8 or PKCS#1) or as a JWK";
const EC: &str = "a private key of the curve P-256 is expected, in PEM (PKCS#8 or SEC1) or as a JWK";
const BYTES: &str = "the key is not encoded as the connector says";
const EMPTY: &str = "the key is empty";
const WHOLE_RSA: &str = "the JWK lacks a part of a private RSA key: n, e, d, p, q, dp, dq and qi are expected";

type Bytes = Zeroizing<Vec<u8>>;

/// The key that an algorithm signs with. An error says what is expected and never what was given.
pub(super) fn signing_key(text: &str, encoding: Encoding, algorithm: Algorithm) -> Result<EncodingKey, &'static str> {
    let bytes = decode(text, encoding).ok_or(BYTES)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    if algorithm == Algorithm::Hs256 {
        let octets = match jwk(text) {
            Some(jwk) => part(&jwk, "k").ok_or("the JWK lacks `k`: a symmetric key is expected")?,
            None => bytes,
        };
        return if octets.is_empty() { Err(EMPTY) } else { Ok(EncodingKey::from_secret(&octets)) };
    }
    if text.is_empty() && bytes.is_empty() {
        return Err(EMPTY);
    }
    match algorithm {
        Algorithm::Hs256 | Algorithm::Rs256 | Algorithm::Ps256 => {
            let der = match (jwk(text), pem::private_key(text)?) {
                (Some(jwk), _) => rsa_of_jwk(&jwk)?,
                (None, Some(Block { label, der })) if label == "RSA PRIVATE KEY" => der,
                (None, Some(Block { der, .. })) => der::rsa_in_pkcs8(&der).ok_or(RSA)?,
                (None, None) => return Err(RSA),
            };
            Ok(EncodingKey::from_rsa_der(&der))
        }
        Algorithm::Es256 => {
            let der = match (jwk(text), pem::private_key(text)?) {
                (Some(jwk), _) => der::p256_in_pkcs8(&p256_of_jwk(&jwk)?),
                (None, Some(Block { label, der })) if label == "EC PRIVATE KEY" => der::p256_in_pkcs8(&der),
                (None, Some(Block { label, der })) if label == "PRIVATE KEY" => der,
                (None, _) => return Err(EC),
            };
            Ok(EncodingKey::from_ec_der(&der))
        }
    }
}

/// Signs, and gives the signature as a JWS holds it (RFC 7515). The key is only now seen to be one.
pub(super) fn sign(message: &str, key: &EncodingKey, algorithm: Algorithm) -> Result<String, &'static str> {
    let (name, expected) = match algorithm {
        Algorithm::Hs256 => (jsonwebtoken::Algorithm::HS256, EMPTY),
        Algorithm::Rs256 => (jsonwebtoken::Algorithm::RS256, "an RSA private key of 2048 bits or more is expected"),
        Algorithm::Ps256 => (jsonwebtoken::Algorithm::PS256, "an RSA private key of 2048 bits or more is expected"),
        Algorithm::Es256 => (jsonwebtoken::Algorithm::ES256, EC),
    };
    jsonwebtoken::crypto::sign(message.as_bytes(), key, name).map_err(|error| match error.kind() {
        ErrorKind::InvalidEcdsaKey => EC,
        _ => expected,
    })
}

/// A key as JSON; its texts are wiped when it is dropped.
struct Jwk(Map<String, Json>);

impl Drop for Jwk {
    fn drop(&mut self) {
        for member in self.0.values_mut() {
            if let Json::String(text) = member {
                text.zeroize();
            }
        }
    }
}

fn jwk(text: &str) -> Option<Jwk> {
    match serde_json::from_str(text) {
        Ok(Json::Object(members)) => Some(Jwk(members)),
        _ => None,
    }
}

fn part(jwk: &Jwk, name: &str) -> Option<Bytes> {
    jwk.0.get(name).and_then(Json::as_str).and_then(base64).filter(|bytes| !bytes.is_empty())
}

/// RFC 7518 section 6.3.
fn rsa_of_jwk(jwk: &Jwk) -> Result<Bytes, &'static str> {
    if jwk.0.get("kty").and_then(Json::as_str) != Some("RSA") {
        return Err(RSA);
    }
    let parts = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| part(jwk, name));
    if parts.iter().any(Option::is_none) {
        return Err(WHOLE_RSA);
    }
    Ok(der::rsa(&parts.map(Option::unwrap_or_default)))
}

/// RFC 7518 section 6.2.
fn p256_of_jwk(jwk: &Jwk) -> Result<Bytes, &'static str> {
    let text = |name: &str| jwk.0.get(name).and_then(Json::as_str);
    let number = part(jwk, "d").filter(|number| number.len() <= 32).ok_or(EC)?;
    if text("kty") != Some("EC") || text("crv") != Some("P-256") {
        return Err(EC);
    }
    let (x, y) = (part(jwk, "x"), part(jwk, "y"));
    let point = x.as_ref().zip(y.as_ref()).map(|(x, y)| (x.as_slice(), y.as_slice()));
    Ok(der::p256(&number, point))
}
