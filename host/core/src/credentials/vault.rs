//! Secrets at rest: XChaCha20-Poly1305 under a master key, bound to the place where they stand.
//!
//! The associated data of a sealed value names table, record, field and key, so a value that somebody copies into another
//! row opens nowhere. What the vault does not stop: whoever holds both the file and the master key, and somebody who puts
//! back an older copy of the whole file.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::model::outside::Outside;
use crate::model::secret::{Sealed, Secret};

const NONCE: usize = 24;
const KEY: usize = 32;
const CHECK_PLACE: Place<'static> = Place { table: "meta", record: "master-key", field: "check" };

/// Where a sealed value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) record: &'a str,
    pub(crate) field: &'a str,
}

/// Where the master key comes from.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    /// A file of the host's own, made at the first start.
    Own(PathBuf),
    /// A file that an operator looks after.
    Given(PathBuf),
    /// An environment variable.
    Variable { name: &'static str, text: Secret },
}

/// Why there is no usable master key, or why a value does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("the master key file {} can't be read", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the master key file {} can't be written", .path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the master key file {} can be read by others: its mode is {mode:o}", .path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the master key file {} is missing", .path.display())]
    Missing { path: PathBuf },
    #[error("the master key in {from} is not 32 bytes in base64")]
    Malformed { from: String },
    #[error("a secret was sealed with the master key `{key}`, which {from} does not hold")]
    UnknownKey { key: String, from: String },
    #[error("the sealed value of `{field}` does not open: it was damaged, or stands in the wrong place")]
    Damaged { field: String },
}

struct MasterKey {
    id: String,
    bytes: Zeroizing<[u8; KEY]>,
}

impl MasterKey {
    fn new(bytes: [u8; KEY]) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"turnbuckle master key id\0");
        digest.update(bytes);
        Self { id: hex::encode(&digest.finalize()[..6]), bytes: Zeroizing::new(bytes) }
    }
}

/// Seals and opens. Cloning is cheap; all clones hold the same keys.
#[derive(Clone)]
pub(crate) struct Vault {
    /// Oldest first; the last one seals.
    keys: Arc<RwLock<Vec<MasterKey>>>,
    source: KeySource,
    outside: Outside,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Vault").field("current", &self.current()).field("from", &self.from()).finish()
    }
}

impl Vault {
    /// Reads the keys. `may_create` says whether nothing was sealed yet, so that a new key loses nothing.
    pub(crate) fn open(source: KeySource, may_create: bool, outside: Outside) -> Result<Self, VaultError> {
        let text = match &source {
            KeySource::Variable { text, .. } => Zeroizing::new(text.expose().to_owned()),
            KeySource::Given(path) => read_key_file(path)?,
            KeySource::Own(path) => {
                remove_leftover(path)?;
                if may_create && !path.exists() {
                    write_key_file(path, &[MasterKey::new(outside.random())])?;
                }
                read_key_file(path)?
            }
        };
        let vault = Self { keys: Arc::new(RwLock::new(Vec::new())), source, outside };
        let keys = parse_keys(&text).ok_or_else(|| VaultError::Malformed { from: vault.from() })?;
        *vault.keys.write().expect("no holder of this lock panics") = keys;
        Ok(vault)
    }

    /// Id of the key that seals.
    pub(crate) fn current(&self) -> String {
        self.keys.read().expect("no holder of this lock panics").last().map_or_else(String::new, |key| key.id.clone())
    }

    /// Where the keys come from, for people.
    pub(crate) fn from(&self) -> String {
        match &self.source {
            KeySource::Own(path) | KeySource::Given(path) => path.display().to_string(),
            KeySource::Variable { name, .. } => format!("the environment variable {name}"),
        }
    }

    pub(crate) fn seal(&self, place: Place<'_>, secret: &Secret) -> Sealed {
        let keys = self.keys.read().expect("no holder of this lock panics");
        let key = keys.last().expect("a vault that opened has a key");
        let nonce: [u8; NONCE] = self.outside.random();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &associated(place, &key.id) };
        let sealed = XChaCha20Poly1305::new((&*key.bytes).into())
            .encrypt(&XNonce::from(nonce), payload)
            .expect("sealing fails only beyond 256 GiB");
        Sealed { key: key.id.clone(), data: BASE64_STANDARD.encode([&nonce[..], &sealed].concat()) }
    }

    pub(crate) fn unseal(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, VaultError> {
        let damaged = || VaultError::Damaged { field: place.field.to_owned() };
        let keys = self.keys.read().expect("no holder of this lock panics");
        let key = keys
            .iter()
            .find(|key| key.id == sealed.key)
            .ok_or_else(|| VaultError::UnknownKey { key: sealed.key.clone(), from: self.from() })?;
        let data = BASE64_STANDARD.decode(&sealed.data).map_err(|_not_base64| damaged())?;
        let (nonce, ciphertext) = data.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let payload = Payload { msg: ciphertext, aad: &associated(place, &key.id) };
        let plain = XChaCha20Poly1305::new((&*key.bytes).into())
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_forged| damaged())?;
        String::from_utf8(plain).map(Secret::new).map_err(|_not_text| damaged())
    }

    /// Adds a new key that seals from now on, where the host looks after its key itself; otherwise `false`. The old keys
    /// stay until [`Vault::retire`], so a crash in between loses nothing.
    pub(crate) fn renew(&self) -> Result<bool, VaultError> {
        let KeySource::Own(path) = &self.source else { return Ok(false) };
        let mut keys = self.keys.write().expect("no holder of this lock panics");
        keys.push(MasterKey::new(self.outside.random()));
        if let Err(error) = write_key_file(path, &keys) {
            keys.pop();
            return Err(error);
        }
        Ok(true)
    }

    /// A key for another purpose.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; KEY] {
        let keys = self.keys.read().expect("no holder of this lock panics");
        let mut digest = Sha256::new();
        digest.update(b"turnbuckle derived key\0");
        digest.update(purpose.as_bytes());
        digest.update(b"\0");
        if let Some(key) = keys.last() {
            digest.update(*key.bytes);
        }
        digest.finalize().into()
    }

    /// Something to recognise the key by.
    pub(crate) fn check_value(&self) -> Sealed {
        self.seal(CHECK_PLACE, &Secret::new("turnbuckle"))
    }

    /// Whether what was sealed to recognise the key opens.
    pub(crate) fn check(&self, sealed: &Sealed) -> Result<(), VaultError> {
        self.unseal(CHECK_PLACE, sealed).map(drop)
    }

    /// How many keys it holds; more than one while a rotation is under way.
    pub(crate) fn key_count(&self) -> usize {
        self.keys.read().expect("no holder of this lock panics").len()
    }

    /// Forgets every key but the one that seals.
    pub(crate) fn retire(&self) -> Result<(), VaultError> {
        let mut keys = self.keys.write().expect("no holder of this lock panics");
        let last = keys.len().saturating_sub(1);
        if let KeySource::Own(path) = &self.source {
            write_key_file(path, &keys[last..])?;
        }
        keys.drain(..last);
        Ok(())
    }
}

/// Each part is preceded by its length, so no two places share a spelling.
fn associated(place: Place<'_>, key: &str) -> Vec<u8> {
    let mut data = b"turnbuckle sealed 1".to_vec();
    for part in [place.table, place.record, place.field, key] {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part.as_bytes());
    }
    data
}

/// One key in base64 on each line; the last one seals. `#` begins a comment.
fn parse_keys(text: &str) -> Option<Vec<MasterKey>> {
    let mut keys = Vec::new();
    for line in text.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(line).ok()?);
        keys.push(MasterKey::new(bytes.as_slice().try_into().ok()?));
    }
    if keys.is_empty() { None } else { Some(keys) }
}

fn read_key_file(path: &Path) -> Result<Zeroizing<String>, VaultError> {
    let unreadable = |source| VaultError::Unreadable { path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(VaultError::Missing { path: path.to_owned() });
        }
        other => other.map_err(unreadable)?,
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(VaultError::Exposed { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(unreadable)
}

/// Where a key is written before it has its name.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// What a crash left of a key that never came to be in use is a secret that nobody looks after. Whoever opens the vault holds the
/// store, so nobody else writes it.
fn remove_leftover(path: &Path) -> Result<(), VaultError> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(VaultError::Unwritable { path: beside, source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Written beside and renamed, so that no crash leaves half a key.
fn write_key_file(path: &Path, keys: &[MasterKey]) -> Result<(), VaultError> {
    let unwritable = |source| VaultError::Unwritable { path: path.to_owned(), source };
    let beside = beside(path);
    let mut text = Zeroizing::new(String::from(
        "# Turnbuckle master key. Whoever has this file and the store can read every secret. Keep a copy elsewhere.\n",
    ));
    for key in keys {
        text.push_str(&Zeroizing::new(BASE64_STANDARD.encode(*key.bytes)));
        text.push('\n');
    }
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(folder: &Path) -> Vault {
        Vault::open(KeySource::Own(folder.join("master.key")), true, Outside::system()).unwrap()
    }

    const PLACE: Place<'_> = Place { table: "connections", record: "1", field: "token" };

    #[test]
    fn a_sealed_value_opens_only_where_it_was_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let sealed = vault.seal(PLACE, &Secret::new("hunter2"));
        assert_eq!(vault.unseal(PLACE, &sealed).unwrap().expose(), "hunter2");
        for elsewhere in [
            Place { record: "2", ..PLACE },
            Place { field: "other", ..PLACE },
            Place { table: "flows", ..PLACE },
            Place { table: "connections1", record: "", ..PLACE },
        ] {
            assert!(matches!(vault.unseal(elsewhere, &sealed), Err(VaultError::Damaged { .. })), "{elsewhere:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let sealed = vault.seal(PLACE, &Secret::new("a"));
        let data = BASE64_STANDARD.decode(&sealed.data).unwrap();
        for bit in 0..data.len() * 8 {
            let mut flipped = data.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = Sealed { data: BASE64_STANDARD.encode(flipped), ..sealed.clone() };
            assert!(vault.unseal(PLACE, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_rotation_that_was_cut_off_still_opens_old_and_new() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let old = vault.seal(PLACE, &Secret::new("old"));
        assert!(vault.renew().unwrap());
        let new = vault.seal(PLACE, &Secret::new("new"));
        let reopened = self::vault(folder.path());
        assert_eq!(reopened.unseal(PLACE, &old).unwrap().expose(), "old");
        assert_eq!(reopened.unseal(PLACE, &new).unwrap().expose(), "new");
        reopened.retire().unwrap();
        assert!(matches!(reopened.unseal(PLACE, &old), Err(VaultError::UnknownKey { .. })));
        assert_eq!(self::vault(folder.path()).unseal(PLACE, &new).unwrap().expose(), "new");
    }

    #[test]
    fn what_a_crash_left_of_a_key_is_removed_and_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = vault(folder.path()).seal(PLACE, &Secret::new("kept"));
        let leftover = folder.path().join("master.new");
        fs::write(&leftover, "half a k").unwrap();
        assert_eq!(vault(folder.path()).unseal(PLACE, &sealed).unwrap().expose(), "kept");
        assert!(!leftover.exists());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(vault(folder.path()));
        let path = folder.path().join("master.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Vault::open(KeySource::Own(path), true, Outside::system()).unwrap_err();
        assert!(matches!(error, VaultError::Exposed { mode: 0o644, .. }), "{error}");
    }

    #[test]
    fn a_lost_key_is_not_replaced_where_something_was_sealed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let error = Vault::open(KeySource::Own(path.clone()), false, Outside::system()).unwrap_err();
        assert!(matches!(error, VaultError::Missing { .. }), "{error}");
        assert!(!path.exists());
    }
}
