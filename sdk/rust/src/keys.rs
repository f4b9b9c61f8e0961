//! Keyed hashing on secrets that stay with the host. Works only while a [`Signer`](crate::Signer) signs.

use crate::Encoding;
pub use crate::bindings::signing::turnbuckle::connector::keys::Hash;

#[cfg(not(target_family = "wasm"))]
use crate::testing::keys as held;

/// A key that only the host holds.
#[derive(Debug)]
pub struct Key {
    held: held::Key,
}

/// The key that a template expands to, read by its encoding. None where a value is missing or is not so encoded.
pub fn open(template: &str, encoding: Encoding) -> Option<Key> {
    held::open(template, encoding).map(|held| Key { held })
}

impl Key {
    /// The HMAC of a message, as a key of its own: a signature made in steps never leaves the host half-made.
    #[must_use]
    pub fn derive(&self, hash: Hash, message: &[u8]) -> Self {
        Self { held: self.held.derive(hash, message) }
    }

    /// The HMAC of a message (RFC 2104).
    pub fn mac(&self, hash: Hash, message: &[u8]) -> Vec<u8> {
        self.held.mac(hash, message)
    }
}

#[cfg(target_family = "wasm")]
use crate::bindings::signing::turnbuckle::connector::keys as held;
