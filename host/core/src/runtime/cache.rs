//! Compiled code on disk, by digest and engine, authenticated by the host's key.
//!
//! Loading compiled code runs native code, so only what this host's own compiler wrote may be loaded: every file has an
//! HMAC beside it. Files are written beside and renamed, never overwritten: a loaded one is mapped into memory.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::error::{CallError, CompileError, RuntimeError};
use crate::model::id::Digest;

pub(super) const MAC: usize = 32;

pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

/// Code and the MAC that its compiler gave it.
pub(super) struct Compiled {
    pub(super) mac: [u8; MAC],
    pub(super) code: Vec<u8>,
}

pub(super) fn mac(key: &[u8; 32], code: &[u8]) -> [u8; MAC] {
    let mut mac = keyed(key);
    mac.update(code);
    mac.finalize().into_bytes().into()
}

pub(super) fn authentic(key: &[u8; 32], code: &[u8], given: &[u8]) -> bool {
    let mut mac = keyed(key);
    mac.update(code);
    mac.verify_slice(given).is_ok()
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

impl Cache {
    pub(super) fn open(root: &Path, engine: &Engine, key: [u8; 32]) -> Result<Self, RuntimeError> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let folder = root.join(format!("{:016x}", hasher.finish()));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| RuntimeError::Folder { path: folder.clone(), source })?;
        Ok(Self { folder, key })
    }

    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(super) fn keep(&self, digest: &Digest, compiled: &Compiled) -> Result<(), CompileError> {
        let keep = || -> std::io::Result<()> {
            for (path, bytes) in [(self.mac_path(digest), &compiled.mac[..]), (self.path(digest), &compiled.code[..])] {
                let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
                file.write_all(bytes)?;
                file.as_file().sync_all()?;
                file.persist(path)?;
            }
            fs::File::open(&self.folder)?.sync_all()
        };
        keep().map_err(|source| CompileError::Keep { path: self.folder.clone(), source })
    }

    pub(super) fn remove(&self, digest: &Digest) {
        for path in [self.path(digest), self.mac_path(digest)] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "compiled code that is no longer needed stays behind");
            }
        }
    }

    #[expect(
        unsafe_code,
        reason = "loading compiled code is unsafe unless it comes from our own compiler, which the MAC proves"
    )]
    pub(super) fn load(&self, engine: &Engine, digest: &Digest) -> Result<Component, CallError> {
        let missing = || CallError::NotCompiled { digest: digest.clone() };
        let path = self.path(digest);
        let (Ok(code), Ok(mac)) = (fs::read(&path), fs::read(self.mac_path(digest))) else { return Err(missing()) };
        if !authentic(&self.key, &code, &mac) {
            tracing::warn!(path = %path.display(), "compiled code is not authentic; it is compiled anew");
            self.remove(digest);
            return Err(missing());
        }
        // SAFETY: the MAC was made by a compiling process that this host started, with a key that only this host holds, over
        // exactly these bytes; the folder belongs to this user alone, and files in it are replaced by renaming only.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        loaded.map_err(|error| {
            tracing::warn!(path = %path.display(), %error, "compiled code does not load; it is compiled anew");
            self.remove(digest);
            missing()
        })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }

    fn mac_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.mac"))
    }
}
