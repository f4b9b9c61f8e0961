//! Secrets into the store and out of it, each bound to the place where it stands.

use std::collections::BTreeMap;

use super::Credentials;
use super::vault::{Place, VaultError};
use crate::model::connection::Connection;
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::secret::{Sealed, Secret};

/// Where secrets stand in the store. The names are part of what they are sealed with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shelf {
    Connections,
    Credentials,
    IdentityProviders,
    ExternalCredentials,
    Pending,
    Webhooks,
}

impl Shelf {
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Credentials => "credentials",
            Self::IdentityProviders => "identity-providers",
            Self::ExternalCredentials => "external-credentials",
            Self::Pending => "pending",
            Self::Webhooks => "webhooks",
        }
    }
}

impl Credentials {
    pub(super) fn seal_on(
        &self,
        shelf: Shelf,
        record: &str,
        secrets: &BTreeMap<String, Secret>,
    ) -> BTreeMap<String, Sealed> {
        let place = |field| Place { table: shelf.name(), record, field };
        secrets.iter().map(|(field, secret)| (field.clone(), self.vault.seal(place(field), secret))).collect()
    }

    pub(super) fn unseal_from(
        &self,
        shelf: Shelf,
        record: &str,
        sealed: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Secret>, VaultError> {
        sealed
            .iter()
            .map(|(field, sealed)| {
                let place = Place { table: shelf.name(), record, field };
                Ok((field.clone(), self.vault.unseal(place, sealed)?))
            })
            .collect()
    }

    /// Seals anew what was sealed with another key than the one in use. Says whether there was any.
    pub(super) fn reseal_on(
        &self,
        shelf: Shelf,
        record: &str,
        sealed: &mut BTreeMap<String, Sealed>,
    ) -> Result<bool, VaultError> {
        let current = self.vault.current();
        if sealed.values().all(|sealed| sealed.key == current) {
            return Ok(false);
        }
        *sealed = self.seal_on(shelf, record, &self.unseal_from(shelf, record, sealed)?);
        Ok(true)
    }

    pub(crate) fn seal(
        &self,
        connection: ConnectionId,
        secrets: &BTreeMap<String, Secret>,
    ) -> BTreeMap<String, Sealed> {
        self.seal_on(Shelf::Connections, &connection.to_string(), secrets)
    }

    pub(crate) fn unseal(
        &self,
        connection: ConnectionId,
        sealed: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        Ok(self.unseal_from(Shelf::Connections, &connection.to_string(), sealed)?)
    }

    /// The secrets of an endpoint for events.
    pub(crate) fn seal_webhook(&self, name: &str, secrets: &BTreeMap<String, Secret>) -> BTreeMap<String, Sealed> {
        self.seal_on(Shelf::Webhooks, name, secrets)
    }

    pub(crate) fn unseal_webhook(
        &self,
        name: &str,
        sealed: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        Ok(self.unseal_from(Shelf::Webhooks, name, sealed)?)
    }

    /// Seals its secrets with the key in use, where they were sealed with another one. What was read before a rotation of the
    /// master key and is written after it would open with a key that is forgotten by then.
    pub(crate) fn freshen(&self, connection: &mut Connection) -> Result<(), Error> {
        let record = connection.id.to_string();
        self.reseal_on(Shelf::Connections, &record, &mut connection.secrets).map(drop).map_err(|_forgotten| {
            Error::Refused {
                rule: "master-key-renewed",
                message: "the master key was renewed while the change was made".into(),
                hint: Some("make the change again".into()),
            }
        })
    }
}
