//! A new master key: every secret is sealed anew while the host runs.
//!
//! The new key is added before the first secret is sealed with it, and the old one is forgotten only when none is left, so a
//! crash at any point leaves a store that opens; running it again takes up where it ended.

use std::collections::BTreeMap;

use super::seal::Shelf;
use super::vault::{Vault, VaultError};
use super::{CHECK, Credentials};
use crate::model::actor::Actor;
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::credential::CLIENT_SECRET;
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::secret::Sealed;
use crate::model::view::Rotation;
use crate::store::Store;

const BATCH: usize = 100;

/// What the store keeps to recognise the master key by.
pub(crate) fn parse_check(text: &str) -> Result<Sealed, VaultError> {
    serde_json::from_str(text).map_err(|_not_ours| VaultError::Damaged { field: CHECK.to_owned() })
}

pub(crate) fn check_text(vault: &Vault) -> String {
    serde_json::to_string(&vault.check_value()).expect("two texts always serialise")
}

impl Credentials {
    pub(crate) async fn rotate(&self, actor: &Actor, store: &Store) -> Result<Rotation, Error> {
        let vault = self.vault();
        // More than one key: a rotation was cut off, or the operator added a key. Either way the last one is the new one.
        if vault.key_count() < 2 && !vault.renew()? {
            return Err(Error::Refused {
                rule: "master-key-given",
                message: format!("the master key comes from {}, which this host does not write", vault.from()),
                hint: Some(
                    "add the new key as the last line, start again, rotate, and remove the old line then".into(),
                ),
            });
        }
        let check = check_text(vault);
        let event = AuditEvent::new(self.outside.now(), actor.name(), AuditAction::HostRotateKey, AuditObject::host());
        store
            .write(move |writer| {
                writer.set_meta(CHECK, &check)?;
                writer.audit(&event).map_err(Error::from)
            })
            .await?;
        let mut resealed = 0;
        let mut after = None;
        loop {
            let credentials = self.clone();
            let (last, count) = store.write(move |writer| credentials.reseal(writer, after)).await?;
            resealed += count;
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        let credentials = self.clone();
        store.write(move |writer| credentials.reseal_setup(writer)).await?;
        let mut after = None;
        loop {
            let credentials = self.clone();
            match store.write(move |writer| credentials.reseal_credentials(writer, after)).await? {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        vault.retire()?;
        Ok(Rotation { key: vault.current(), resealed })
    }

    /// Seals one batch anew; gives the last id of it, and how many were sealed with another key.
    fn reseal(
        &self,
        writer: &mut crate::store::Writer<'_>,
        after: Option<ConnectionId>,
    ) -> Result<(Option<ConnectionId>, u64), Error> {
        let batch = writer.connections_after(after, BATCH)?;
        let last = batch.last().map(|connection| connection.id);
        let mut count = 0;
        for mut connection in batch {
            let record = connection.id.to_string();
            if self.reseal_on(Shelf::Connections, &record, &mut connection.secrets)? {
                writer.put_connection(&connection)?;
                count += 1;
            }
        }
        Ok((last, count))
    }

    /// What sign-ins obtained, one batch; gives the last id of it.
    fn reseal_credentials(
        &self,
        writer: &mut crate::store::Writer<'_>,
        after: Option<ConnectionId>,
    ) -> Result<Option<ConnectionId>, Error> {
        let batch = writer.credentials_after(after, BATCH)?;
        let last = batch.last().map(|(id, _)| *id);
        for (id, mut credential) in batch {
            if self.reseal_on(Shelf::Credentials, &id.to_string(), &mut credential.secrets)? {
                writer.put_credential(id, &credential)?;
            }
        }
        Ok(last)
    }

    /// What the operator set up, and sign-ins that wait: all of it is few.
    fn reseal_setup(&self, writer: &mut crate::store::Writer<'_>) -> Result<(), Error> {
        for mut provider in writer.identity_providers()? {
            let Some(sealed) = provider.client_secret.take() else { continue };
            let mut secrets = BTreeMap::from([(CLIENT_SECRET.to_owned(), sealed)]);
            if self.reseal_on(Shelf::IdentityProviders, &provider.name, &mut secrets)? {
                provider.client_secret = secrets.remove(CLIENT_SECRET);
                writer.put_identity_provider(&provider)?;
            }
        }
        for mut external in writer.external_credentials()? {
            if self.reseal_on(Shelf::ExternalCredentials, &external.name, &mut external.secrets)? {
                writer.put_external_credential(&external)?;
            }
        }
        for mut holder in writer.holders()? {
            if self.reseal_on(Shelf::Connections, &holder.id.to_string(), &mut holder.secrets)? {
                writer.put_holder(&holder)?;
            }
        }
        for (hash, mut pending) in writer.all_pending()? {
            if self.reseal_on(Shelf::Pending, &hash, &mut pending.secrets)? {
                writer.put_pending(&hash, &pending)?;
            }
        }
        for mut webhook in writer.webhooks()? {
            if self.reseal_on(Shelf::Webhooks, &webhook.name, &mut webhook.secrets)? {
                writer.put_webhook(&webhook)?;
            }
        }
        Ok(())
    }
}
