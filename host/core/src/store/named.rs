//! External credentials, principals, what they hold, and named credentials.

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::id::ConnectionId;
use crate::model::named::{ExternalCredential, Holder, NamedCredential, Principal};

impl Reader<'_> {
    /// One external credential.
    pub(crate) fn external_credential(&self, name: &str) -> Result<Option<ExternalCredential>, StoreError> {
        self.record(Table::ExternalCredentials, name.as_bytes())
    }

    /// All of them, by name.
    pub(crate) fn external_credentials(&self) -> Result<Vec<ExternalCredential>, StoreError> {
        Ok(self.all(Table::ExternalCredentials)?.into_iter().map(|(_, found)| found).collect())
    }

    /// One principal.
    pub(crate) fn principal(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        self.record(Table::Principals, name.as_bytes())
    }

    /// All of them, by name.
    pub(crate) fn principals(&self) -> Result<Vec<Principal>, StoreError> {
        Ok(self.all(Table::Principals)?.into_iter().map(|(_, found)| found).collect())
    }

    /// The principals of an external credential, by name.
    pub(crate) fn principals_of(&self, external_credential: &str) -> Result<Vec<Principal>, StoreError> {
        let mut found = self.principals()?;
        found.retain(|principal| principal.external_credential == external_credential);
        Ok(found)
    }

    /// One named credential.
    pub(crate) fn named_credential(&self, name: &str) -> Result<Option<NamedCredential>, StoreError> {
        self.record(Table::NamedCredentials, name.as_bytes())
    }

    /// All of them, by name.
    pub(crate) fn named_credentials(&self) -> Result<Vec<NamedCredential>, StoreError> {
        Ok(self.all(Table::NamedCredentials)?.into_iter().map(|(_, found)| found).collect())
    }

    /// What this id holds.
    pub(crate) fn holder(&self, id: ConnectionId) -> Result<Option<Holder>, StoreError> {
        self.record(Table::Holders, id.as_bytes())
    }

    /// What a principal holds: for everybody, or for one user.
    pub(crate) fn holder_of(&self, principal: &str, user: Option<&str>) -> Result<Option<Holder>, StoreError> {
        let index = Table::HoldersByPrincipal;
        let id = self.get_with(index, &place(principal, user), |bytes| codec::id(index, bytes))?;
        id.map_or(Ok(None), |id| self.holder(id))
    }

    /// Everything that a principal holds.
    pub(crate) fn holders_of(&self, principal: &str) -> Result<Vec<Holder>, StoreError> {
        let index = Table::HoldersByPrincipal;
        let mut found = Vec::new();
        let mut entries = self.prefixed(index, &codec::joined(&[principal.as_bytes(), b"\0"]), b"")?;
        while let Some(entry) = entries.next()? {
            let id = codec::id(index, entry.value())?;
            found.push(self.holder(id)?.ok_or(StoreError::Dangling { index: index.name() })?);
        }
        Ok(found)
    }

    /// Everything that any principal holds, for work that walks all of it.
    pub(crate) fn holders(&self) -> Result<Vec<Holder>, StoreError> {
        Ok(self.all(Table::Holders)?.into_iter().map(|(_, found)| found).collect())
    }

    /// Connections by a named credential, up to `limit`.
    pub(crate) fn connections_by_named(&self, name: &str, limit: usize) -> Result<Vec<ConnectionId>, StoreError> {
        let index = Table::ConnectionsByNamed;
        let mut found = Vec::new();
        let mut entries = self.prefixed(index, &codec::joined(&[name.as_bytes(), b"\0"]), b"")?;
        while found.len() < limit
            && let Some(entry) = entries.next()?
        {
            found.push(codec::id(index, entry.value())?);
        }
        Ok(found)
    }
}

impl Writer<'_> {
    /// Adds or replaces an external credential.
    pub(crate) fn put_external_credential(&mut self, external: &ExternalCredential) -> Result<(), StoreError> {
        self.insert_record(Table::ExternalCredentials, external.name.as_bytes(), external)
    }

    /// Removes one. That nothing leans on it is the caller's to check, in the same job.
    pub(crate) fn remove_external_credential(&mut self, name: &str) -> Result<bool, StoreError> {
        self.remove(Table::ExternalCredentials, name.as_bytes())
    }

    /// Adds or replaces a principal.
    pub(crate) fn put_principal(&mut self, principal: &Principal) -> Result<(), StoreError> {
        self.insert_record(Table::Principals, principal.name.as_bytes(), principal)
    }

    /// Removes one with all that it holds. That nothing leans on it is the caller's to check, in the same job.
    pub(crate) fn remove_principal(&mut self, name: &str) -> Result<bool, StoreError> {
        for holder in self.holders_of(name)? {
            self.remove_holder(&holder)?;
        }
        self.remove(Table::Principals, name.as_bytes())
    }

    /// Adds or replaces a named credential.
    pub(crate) fn put_named_credential(&mut self, named: &NamedCredential) -> Result<(), StoreError> {
        self.insert_record(Table::NamedCredentials, named.name.as_bytes(), named)
    }

    /// Removes one. That no connection uses it is the caller's to check, in the same job.
    pub(crate) fn remove_named_credential(&mut self, name: &str) -> Result<bool, StoreError> {
        self.remove(Table::NamedCredentials, name.as_bytes())
    }

    /// Adds or replaces what a principal holds.
    pub(crate) fn put_holder(&mut self, holder: &Holder) -> Result<(), StoreError> {
        let place = place(&holder.principal, holder.user.as_deref());
        self.insert(Table::HoldersByPrincipal, &place, holder.id.as_bytes())?;
        self.insert_record(Table::Holders, holder.id.as_bytes(), holder)?;
        self.replan_holder(holder)
    }

    /// Forgets it, with what was obtained for it and the sign-ins that wait.
    pub(crate) fn remove_holder(&mut self, holder: &Holder) -> Result<(), StoreError> {
        self.remove_credential(holder.id)?;
        self.remove_pending_of(holder.id)?;
        self.remove(Table::HoldersByPrincipal, &place(&holder.principal, holder.user.as_deref()))?;
        self.remove(Table::Holders, holder.id.as_bytes())?;
        self.unplan(holder.id)
    }
}

/// The principal, NUL, the user or nothing. Neither holds a NUL.
fn place(principal: &str, user: Option<&str>) -> Vec<u8> {
    codec::joined(&[principal.as_bytes(), b"\0", user.unwrap_or_default().as_bytes()])
}
