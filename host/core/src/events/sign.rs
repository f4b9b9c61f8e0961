//! Signatures as the Standard Webhooks specification has them: `v1,` and the base64 of HMAC-SHA256 over id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::error::Error;
use crate::model::outside::Outside;
use crate::model::secret::Secret;

const PREFIX: &str = "whsec_";

/// A new secret: 256 random bits, as receivers write it.
pub(super) fn fresh(outside: &Outside) -> Secret {
    let bytes = Zeroizing::new(outside.random::<32>());
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes.as_slice())))
}

/// The value of `webhook-signature`: one signature for each secret.
pub(crate) fn signatures(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> Result<String, Error> {
    let signed: Result<Vec<_>, _> = secrets.iter().map(|secret| signature(secret, id, at, body)).collect();
    Ok(signed?.join(" "))
}

fn signature(secret: &Secret, id: &str, at: Timestamp, body: &[u8]) -> Result<String, Error> {
    let text = secret.expose();
    let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map(Zeroizing::new);
    let key = key.map_err(|error| Error::internal("reading the secret of a webhook")(Box::new(error)))?;
    let mac = Hmac::<Sha256>::new_from_slice(&key);
    let mut mac = mac.map_err(|error| Error::internal("signing for a webhook")(Box::new(error)))?;
    mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own test suite.
    #[test]
    fn a_message_is_signed_as_the_specification_signs_it() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signatures(std::slice::from_ref(&secret), id, at, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_new_secret_has_as_many_bits_as_the_specification_asks_for() {
        let secret = fresh(&Outside::new(|| Timestamp::UNIX_EPOCH, |bytes| bytes.fill(7)));
        let key = STANDARD.decode(secret.expose().strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(key, [7; 32]);
    }
}
