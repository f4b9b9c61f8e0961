//! Permission sets, users and tokens. There are as many as an operator set up, so lists of them are whole.

use serde::de::DeserializeOwned;

use super::codec;
use super::error::StoreError;
use super::tables::Table;
use super::transaction::{Reader, Writer};
use crate::model::id::ConnectionId;
use crate::model::user::{By, Identity, PermissionSet, Token, User};

/// The hash of a token's text.
pub(crate) type TokenHash = [u8; 32];

impl Reader<'_> {
    /// One permission set.
    pub(crate) fn permission_set(&self, name: &str) -> Result<Option<PermissionSet>, StoreError> {
        self.record(Table::PermissionSets, name.as_bytes())
    }

    /// All of them, by name.
    pub(crate) fn permission_sets(&self) -> Result<Vec<PermissionSet>, StoreError> {
        Ok(self.all(Table::PermissionSets)?.into_iter().map(|(_, set)| set).collect())
    }

    /// One user.
    pub(crate) fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.record(Table::Users, name.as_bytes())
    }

    /// All of them, by name.
    pub(crate) fn users(&self) -> Result<Vec<User>, StoreError> {
        Ok(self.all(Table::Users)?.into_iter().map(|(_, user)| user).collect())
    }

    /// The token whose text has this hash.
    pub(crate) fn token(&self, hash: &TokenHash) -> Result<Option<Token>, StoreError> {
        self.record(Table::Tokens, hash)
    }

    /// All of them with what they stand under, in no order.
    pub(crate) fn tokens(&self) -> Result<Vec<(Vec<u8>, Token)>, StoreError> {
        self.all(Table::Tokens)
    }

    /// Whose account this is.
    pub(crate) fn identity(&self, issuer: &str, by: By<'_>) -> Result<Option<Identity>, StoreError> {
        self.record(Table::Identities, &identity(issuer, by))
    }

    /// All of them, by issuer.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        Ok(self.all(Table::Identities)?.into_iter().map(|(_, identity)| identity).collect())
    }

    /// Private connections of this owner, by name, up to `limit`.
    pub(crate) fn private_connections_of(
        &self,
        owner: &str,
        limit: usize,
    ) -> Result<Vec<(ConnectionId, String)>, StoreError> {
        let index = Table::ConnectionsOwnedPrivately;
        let mut entries = self.prefixed(index, &codec::owner(owner), b"")?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(entry) = entries.next()?
        {
            let id = codec::id(index, entry.value())?;
            let connection = self.shared_connection(id)?.ok_or(StoreError::Dangling { index: index.name() })?;
            found.push((id, connection.name.clone()));
        }
        Ok(found)
    }

    /// A whole table, in the order of its keys.
    pub(super) fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let mut found = Vec::new();
        let mut entries = self.prefixed(table, b"", b"")?;
        while let Some(entry) = entries.next()? {
            found.push((entry.key().to_vec(), codec::decode(table, entry.value())?));
        }
        Ok(found)
    }
}

impl Writer<'_> {
    /// Adds or replaces a permission set.
    pub(crate) fn put_permission_set(&mut self, set: &PermissionSet) -> Result<(), StoreError> {
        self.insert_record(Table::PermissionSets, set.name.as_bytes(), set)
    }

    /// Removes a permission set. That no user holds it is the caller's to check, in the same job.
    pub(crate) fn remove_permission_set(&mut self, name: &str) -> Result<bool, StoreError> {
        self.remove(Table::PermissionSets, name.as_bytes())
    }

    /// Adds or replaces a user.
    pub(crate) fn put_user(&mut self, user: &User) -> Result<(), StoreError> {
        self.insert_record(Table::Users, user.name.as_bytes(), user)
    }

    /// Removes a user, its tokens, its accounts, the sign-ins that it began and what it holds of principals; its webhooks are
    /// switched off.
    pub(crate) fn remove_user(&mut self, name: &str) -> Result<bool, StoreError> {
        for (hash, token) in self.tokens()? {
            if token.user == name {
                self.remove(Table::Tokens, &hash)?;
            }
        }
        for bound in self.identities()?.into_iter().filter(|bound| bound.user == name) {
            self.remove_identity(&bound.issuer, bound.by())?;
        }
        self.remove_pending_by(name)?;
        for holder in self.holders()?.into_iter().filter(|holder| holder.user.as_deref() == Some(name)) {
            self.remove_holder(&holder)?;
        }
        // Whoever gets this name later must not have somebody else's told to them.
        for mut webhook in self.webhooks()?.into_iter().filter(|webhook| webhook.owner == name && webhook.enabled) {
            webhook.enabled = false;
            webhook.version = self.next_version()?;
            self.put_webhook(&webhook)?;
        }
        self.remove(Table::Users, name.as_bytes())
    }

    /// Binds an account to a user. That it is bound to nobody else is the caller's to check, in the same job.
    pub(crate) fn put_identity(&mut self, bound: &Identity) -> Result<(), StoreError> {
        self.insert_record(Table::Identities, &identity(&bound.issuer, bound.by()), bound)
    }

    /// Takes a binding away. Says whether it was there.
    pub(crate) fn remove_identity(&mut self, issuer: &str, by: By<'_>) -> Result<bool, StoreError> {
        self.remove(Table::Identities, &identity(issuer, by))
    }

    /// Adds a token.
    pub(crate) fn put_token(&mut self, hash: &TokenHash, token: &Token) -> Result<(), StoreError> {
        self.insert_record(Table::Tokens, hash, token)
    }

    /// Removes the token of this name. Says whether it was there.
    pub(crate) fn remove_token(&mut self, name: &str) -> Result<bool, StoreError> {
        let found = self.tokens()?.into_iter().find(|(_, token)| token.name == name);
        found.map_or(Ok(false), |(hash, _)| self.remove(Table::Tokens, &hash))
    }
}

/// URLs hold no NUL.
fn identity(issuer: &str, by: By<'_>) -> Vec<u8> {
    let (kind, value) = match by {
        By::Subject(subject) => (b"s", subject),
        By::Account(account) => (b"a", account),
    };
    codec::joined(&[issuer.as_bytes(), b"\0", kind, value.as_bytes()])
}
