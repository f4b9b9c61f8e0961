//! Installed connectors, and small facts of the whole store.

use std::sync::Arc;

use semver::Version;

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::connector::Installed;
use crate::model::id::ConnectorName;

impl Reader<'_> {
    /// One installed version.
    pub(crate) fn connector(
        &self,
        name: &ConnectorName,
        version: &Version,
    ) -> Result<Option<Arc<Installed>>, StoreError> {
        let (table, key) = (Table::Connectors, codec::connector_version(name, version));
        self.get_with(table, &key, |bytes| self.known.connectors.of(table, &key, bytes))
    }

    /// All of them, by name, newest version first. A catalog is small: it is never paged.
    pub(crate) fn connectors(&self) -> Result<Vec<Arc<Installed>>, StoreError> {
        self.connectors_prefixed(b"")
    }

    /// The installed versions of one connector, newest first.
    pub(crate) fn connector_versions(&self, name: &ConnectorName) -> Result<Vec<Arc<Installed>>, StoreError> {
        self.connectors_prefixed(&codec::connector(name))
    }

    fn connectors_prefixed(&self, prefix: &[u8]) -> Result<Vec<Arc<Installed>>, StoreError> {
        let (table, mut found) = (Table::Connectors, Vec::<Arc<Installed>>::new());
        let mut entries = self.prefixed(table, prefix, b"")?;
        while let Some(entry) = entries.next()? {
            found.push(self.known.connectors.of(table, entry.key(), entry.value())?);
        }
        // Versions as text do not sort as versions.
        found.sort_by(|a, b| {
            let (a, b) = (&a.reference, &b.reference);
            a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version))
        });
        Ok(found)
    }

    /// Digests of the components that a backup brought along.
    pub(crate) fn components(&self) -> Result<Vec<String>, StoreError> {
        let mut digests = Vec::new();
        let mut entries = self.prefixed(Table::Components, b"", b"")?;
        while let Some(entry) = entries.next()? {
            digests.push(String::from_utf8_lossy(entry.key()).into_owned());
        }
        Ok(digests)
    }

    /// One of them.
    pub(crate) fn component(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get_with(Table::Components, digest.as_bytes(), |bytes| Ok(bytes.to_vec()))
    }

    /// A fact about the store itself.
    pub(crate) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.record(Table::Meta, key.as_bytes())
    }
}

impl Writer<'_> {
    /// Adds a version, or replaces its record.
    pub(crate) fn put_connector(&mut self, installed: &Installed) -> Result<(), StoreError> {
        let key = codec::connector_version(&installed.reference.name, &installed.reference.version);
        self.insert_record(Table::Connectors, &key, installed)
    }

    /// Says whether it was there. That no connection is pinned to it is the caller's to check, in the same job.
    pub(crate) fn remove_connector(&mut self, name: &ConnectorName, version: &Version) -> Result<bool, StoreError> {
        self.remove(Table::Connectors, &codec::connector_version(name, version))
    }

    /// Lets go of a component that a backup brought along.
    pub(crate) fn forget_component(&mut self, digest: &str) -> Result<bool, StoreError> {
        self.remove(Table::Components, digest.as_bytes())
    }

    /// Sets a fact about the store itself.
    pub(crate) fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.shown = true;
        self.insert_record(Table::Meta, key.as_bytes(), &value)
    }
}
