//! What the host does for `keys`: templates of secrets, and HMACs on what they expand to.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::RUNNING;
use crate::Encoding;
use crate::keys::Hash;

pub(crate) struct Key {
    bytes: Vec<u8>,
}

pub(crate) fn open(template: &str, encoding: Encoding) -> Option<Key> {
    let text = RUNNING.with_borrow(|running| {
        let running = running.as_ref().unwrap_or_else(|| panic!("a key was opened outside of Script::run"));
        expand(template, &running.secrets)
    })?;
    let bytes = match encoding {
        Encoding::Text => Some(text.into_bytes()),
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex => hex::decode(text).ok(),
    };
    bytes.map(|bytes| Key { bytes })
}

impl Key {
    pub(crate) fn derive(&self, hash: Hash, message: &[u8]) -> Self {
        Self { bytes: self.mac(hash, message) }
    }

    pub(crate) fn mac(&self, hash: Hash, message: &[u8]) -> Vec<u8> {
        macro_rules! hmac {
            ($hash:ty) => {
                Hmac::<$hash>::new_from_slice(&self.bytes)
                    .expect("an HMAC takes a key of any length")
                    .chain_update(message)
                    .finalize()
                    .into_bytes()
                    .to_vec()
            };
        }
        match hash {
            Hash::Sha1 => hmac!(Sha1),
            Hash::Sha256 => hmac!(Sha256),
            Hash::Sha512 => hmac!(Sha512),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

fn expand(template: &str, secrets: &BTreeMap<String, String>) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let brace = &from[..1];
        if from[1..].starts_with(brace) {
            expanded.push_str(brace);
            rest = &from[2..];
            continue;
        }
        let named = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, after) = named.unwrap_or_else(|| panic!("`{template}` is no template"));
        expanded.push_str(secrets.get(name)?);
        rest = after;
    }
    expanded.push_str(rest);
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use crate::Encoding;
    use crate::keys::{Hash, open};
    use crate::testing::Script;

    fn script() -> Script {
        Script::new().secret("key", "Jefe").secret("base64", "SmVmZQ==").secret("hex", "4a656665")
    }

    fn mac(template: &str, encoding: Encoding, hash: Hash) -> Option<String> {
        let mac = || open(template, encoding).map(|key| key.mac(hash, b"what do ya want for nothing?"));
        script().run(mac).0.map(hex::encode)
    }

    #[test]
    fn macs_are_those_of_the_standards() {
        // RFC 2202 section 3 and RFC 4231 section 4.3, test case 2 of each.
        let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        assert_eq!(mac("{key}", Encoding::Text, Hash::Sha1).as_deref(), Some(sha1));
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(mac("{key}", Encoding::Text, Hash::Sha256).as_deref(), Some(sha256));
        let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                      9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
        assert_eq!(mac("{key}", Encoding::Text, Hash::Sha512).as_deref(), Some(sha512));
    }

    #[test]
    fn a_key_is_read_by_its_encoding() {
        let text = mac("{key}", Encoding::Text, Hash::Sha256);
        assert_eq!(mac("{base64}", Encoding::Base64, Hash::Sha256), text);
        assert_eq!(mac("{hex}", Encoding::Hex, Hash::Sha256), text);
        assert_eq!(mac("{key}", Encoding::Hex, Hash::Sha256), None);
        assert_eq!(mac("{missing}", Encoding::Text, Hash::Sha256), None);
    }

    #[test]
    fn a_key_in_steps_is_the_one_that_aws_derives() {
        // Derivation of a signing key, as AWS documents it.
        let script = Script::new().secret("secret-access-key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let (signature, _) = script.run(|| {
            let steps = ["20120215", "us-east-1", "iam"];
            let key = open("AWS4{secret-access-key}", Encoding::Text).unwrap();
            let key = steps.iter().fold(key, |key, step| key.derive(Hash::Sha256, step.as_bytes()));
            hex::encode(key.mac(Hash::Sha256, b"aws4_request"))
        });
        assert_eq!(signature, "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }

    #[test]
    #[should_panic(expected = "a key was opened outside of Script::run")]
    fn there_is_no_key_without_a_script() {
        drop(open("{key}", Encoding::Text));
    }
}
