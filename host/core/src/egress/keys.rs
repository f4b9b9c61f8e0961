//! Keyed hashing on a connection's secrets. A key gives hashes; its bytes stay in here.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use zeroize::Zeroizing;

use super::expand::{self, Values};
use crate::model::authentication::Encoding;

/// People copy base64 with and without its padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The hash inside an HMAC (RFC 2104).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// Bytes that are only hashed with.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<Vec<u8>>);

impl Key {
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The HMAC of a message.
    pub(crate) fn mac(&self, hash: Hash, message: &[u8]) -> Vec<u8> {
        macro_rules! mac {
            ($hash:ty) => {{
                let mut mac = Hmac::<$hash>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }};
        }
        match hash {
            Hash::Sha1 => mac!(sha1::Sha1),
            Hash::Sha256 => mac!(sha2::Sha256),
            Hash::Sha512 => mac!(sha2::Sha512),
        }
    }

    /// The HMAC of a message, as a key of its own: a signature made in steps stays in here until its last.
    pub(crate) fn derive(&self, hash: Hash, message: &[u8]) -> Self {
        Self(Zeroizing::new(self.mac(hash, message)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

/// What the keys of one connection are made from.
pub(crate) struct Keys {
    values: Values,
}

impl Keys {
    pub(crate) fn new(values: Values) -> Self {
        Self { values }
    }

    /// The key that a template expands to, read by its encoding. None where a value is missing or is not so encoded.
    pub(crate) fn open(&self, template: &str, encoding: Encoding) -> Option<Key> {
        let expanded = expand::whole(template, &self.values, "a key").ok().flatten()?;
        if !expanded.constant() {
            return None;
        }
        decode(&expanded.text, encoding).map(Key)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Keys").field(&self.values).finish()
    }
}

/// The bytes that a text stands for.
pub(super) fn decode(text: &str, encoding: Encoding) -> Option<Zeroizing<Vec<u8>>> {
    match encoding {
        Encoding::Text => Some(Zeroizing::new(text.as_bytes().to_vec())),
        Encoding::Base64 => base64(text),
        Encoding::Hex => hex::decode(text.trim()).ok().map(Zeroizing::new),
    }
}

/// Base64 in either alphabet, whatever its padding; line breaks in it are nothing.
pub(super) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn keys() -> Keys {
        Keys::new(
            Values::new()
                .secret("key", Secret::new("key"))
                .secret("coded", Secret::new("a2V5\n"))
                .secret("hex", Secret::new("6B6579"))
                .public("day", "20150830"),
        )
    }

    #[test]
    fn a_template_opens_as_its_encoding_says() {
        // RFC 2202's shape of test with the words that everyone knows: HMAC("key", the quick brown fox).
        let fox = b"The quick brown fox jumps over the lazy dog";
        for (template, encoding) in [("{key}", Encoding::Text), ("{coded}", Encoding::Base64), ("{hex}", Encoding::Hex)]
        {
            let key = keys().open(template, encoding).unwrap();
            assert_eq!(hex::encode(key.mac(Hash::Sha1, fox)), "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9", "{template}");
        }
        let key = keys().open("{key}", Encoding::Text).unwrap();
        assert_eq!(
            hex::encode(key.mac(Hash::Sha256, fox)),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
        assert_eq!(
            hex::encode(key.mac(Hash::Sha512, fox)),
            "b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb\
             82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a"
        );
    }

    #[test]
    fn a_key_in_steps_is_that_of_aws() {
        // The example of "Deriving the signing key" in AWS's General Reference.
        let keys = Keys::new(Values::new().secret("key", Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")));
        let key = keys
            .open("AWS4{key}", Encoding::Text)
            .unwrap()
            .derive(Hash::Sha256, b"20120215")
            .derive(Hash::Sha256, b"us-east-1")
            .derive(Hash::Sha256, b"iam");
        assert_eq!(
            hex::encode(key.mac(Hash::Sha256, b"aws4_request")),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    #[test]
    fn what_is_missing_fresh_or_not_so_encoded_opens_nothing() {
        for (template, encoding) in [
            ("{nothing}", Encoding::Text),
            ("{key", Encoding::Text),
            ("{key}{uuid}", Encoding::Text),
            ("{hex}!", Encoding::Hex),
            ("%{key}", Encoding::Base64),
        ] {
            assert!(keys().open(template, encoding).is_none(), "{template}");
        }
        let shown = format!("{:?} {:?}", keys(), keys().open("{key}", Encoding::Text));
        assert_eq!(shown, r#"Keys({"coded", "day", "hex", "key"}) Some(Key)"#);
    }
}
