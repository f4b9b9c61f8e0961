//! What sign-ins obtained, the OAuth clients of the operator, and sign-ins that wait for a person.

use jiff::Timestamp;

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::credential::{Credential, IdentityProvider, Pending};
use crate::model::id::ConnectionId;

impl Reader<'_> {
    /// What was obtained for a connection.
    pub(crate) fn credential(&self, id: ConnectionId) -> Result<Option<Credential>, StoreError> {
        self.record(Table::Credentials, id.as_bytes())
    }

    /// What was obtained for connections behind this one, by id: for work that walks all of them in pieces.
    pub(crate) fn credentials_after(
        &self,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Vec<(ConnectionId, Credential)>, StoreError> {
        let from = match &after {
            Some(id) => std::ops::Bound::Excluded(&id.as_bytes()[..]),
            None => std::ops::Bound::Unbounded,
        };
        let mut entries = self.range(Table::Credentials, from, std::ops::Bound::Unbounded)?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(entry) = entries.next()?
        {
            let id = codec::id(Table::Credentials, entry.key())?;
            found.push((id, codec::decode(Table::Credentials, entry.value())?));
        }
        Ok(found)
    }

    /// One OAuth client.
    pub(crate) fn identity_provider(&self, name: &str) -> Result<Option<IdentityProvider>, StoreError> {
        self.record(Table::IdentityProviders, name.as_bytes())
    }

    /// All of them, by name. There are as many as an operator registered by hand.
    pub(crate) fn identity_providers(&self) -> Result<Vec<IdentityProvider>, StoreError> {
        let mut found = Vec::new();
        let mut entries = self.prefixed(Table::IdentityProviders, b"", b"")?;
        while let Some(entry) = entries.next()? {
            found.push(codec::decode(Table::IdentityProviders, entry.value())?);
        }
        Ok(found)
    }

    /// Connections that take their OAuth client from this identity provider, up to `limit`.
    pub(crate) fn connections_by_provider(&self, name: &str, limit: usize) -> Result<Vec<ConnectionId>, StoreError> {
        let index = Table::ConnectionsByProvider;
        let mut found = Vec::new();
        let mut entries = self.prefixed(index, &codec::joined(&[name.as_bytes(), b"\0"]), b"")?;
        while found.len() < limit
            && let Some(entry) = entries.next()?
        {
            found.push(codec::id(index, entry.value())?);
        }
        Ok(found)
    }

    /// A sign-in that waits, by the hash of its state or of its receipt.
    pub(crate) fn pending(&self, hash: &str) -> Result<Option<Pending>, StoreError> {
        self.record(Table::Pending, hash.as_bytes())
    }

    /// Every sign-in that waits, for work that seals them anew. They are few, and gone after minutes.
    pub(crate) fn all_pending(&self) -> Result<Vec<(String, Pending)>, StoreError> {
        let mut found = Vec::new();
        let mut entries = self.prefixed(Table::Pending, b"", b"")?;
        while let Some(entry) = entries.next()? {
            let hash = String::from_utf8_lossy(entry.key()).into_owned();
            found.push((hash, codec::decode(Table::Pending, entry.value())?));
        }
        Ok(found)
    }
}

impl Writer<'_> {
    /// Adds or replaces what was obtained.
    pub(crate) fn put_credential(&mut self, id: ConnectionId, credential: &Credential) -> Result<(), StoreError> {
        self.insert_record(Table::Credentials, id.as_bytes(), credential)?;
        self.replan_by_id(id)
    }

    /// Forgets what was obtained.
    pub(crate) fn remove_credential(&mut self, id: ConnectionId) -> Result<bool, StoreError> {
        let there = self.remove(Table::Credentials, id.as_bytes())?;
        self.replan_by_id(id)?;
        Ok(there)
    }

    /// Adds or replaces an OAuth client.
    pub(crate) fn put_identity_provider(&mut self, provider: &IdentityProvider) -> Result<(), StoreError> {
        self.insert_record(Table::IdentityProviders, provider.name.as_bytes(), provider)
    }

    /// Removes an OAuth client. That no connection uses it is the caller's to check, in the same job.
    pub(crate) fn remove_identity_provider(&mut self, name: &str) -> Result<bool, StoreError> {
        self.remove(Table::IdentityProviders, name.as_bytes())
    }

    /// Adds a sign-in that waits.
    pub(crate) fn put_pending(&mut self, hash: &str, pending: &Pending) -> Result<(), StoreError> {
        self.insert_record(Table::Pending, hash.as_bytes(), pending)
    }

    /// Takes a sign-in out, so that nobody else finds it. What expired is cleared away on the way.
    pub(crate) fn take_pending(&mut self, hash: &str, now: Timestamp) -> Result<Option<Pending>, StoreError> {
        let found = self.pending(hash)?;
        if found.is_some() {
            self.remove(Table::Pending, hash.as_bytes())?;
        }
        self.clear_pending(now)?;
        Ok(found)
    }

    /// Forgets sign-ins that expired.
    pub(crate) fn clear_pending(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.forget_pending(|pending| pending.expires_at < now)
    }

    /// Forgets the sign-ins of a connection.
    pub(crate) fn remove_pending_of(&mut self, id: ConnectionId) -> Result<(), StoreError> {
        self.forget_pending(|pending| pending.connection == id)
    }

    /// Forgets the sign-ins that a user began.
    pub(super) fn remove_pending_by(&mut self, user: &str) -> Result<(), StoreError> {
        self.forget_pending(|pending| pending.actor == user)
    }

    fn forget_pending(&mut self, which: impl Fn(&Pending) -> bool) -> Result<(), StoreError> {
        for (hash, pending) in self.all_pending()? {
            if which(&pending) {
                self.remove(Table::Pending, hash.as_bytes())?;
            }
        }
        Ok(())
    }
}
