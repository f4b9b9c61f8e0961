//! Removed, unless something leans on it.

use super::holder::Signing;
use crate::credentials::{Credentials, Opened};
use crate::model::actor::Actor;
use crate::model::audit::AuditAction;
use crate::model::connection::Visibility;
use crate::model::error::{Error, User};
use crate::model::named::{Holder, Principal};
use crate::store::{Reader, StoreError};

/// How much stands in the way of a removal is told up to here.
const TOLD: usize = 20;

impl Credentials {
    /// Removes an external credential that nothing stands on.
    pub(crate) async fn remove_external(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let name = self.external(name)?.name;
        let event = self.done(actor, AuditAction::ExternalCredentialRemove, &name);
        self.store
            .write(move |writer| {
                let users = on_external(writer, &name)?;
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "external credential", name, users });
                }
                match writer.remove_external_credential(&name)? {
                    true => Ok(writer.audit(&event)?),
                    false => Err(Error::not_found("external credential", name)),
                }
            })
            .await?;
        Ok(())
    }

    /// Removes a principal that no permission set opens and no connection goes by.
    pub(crate) async fn remove_principal(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let principal = self.principal_for(actor, name)?;
        let holders = self.store.read(|reader| reader.holders_of(&principal.name))?;
        let revoking = self.revoking(&principal, &holders)?;
        let (name, external) = (principal.name, principal.external_credential);
        let event = self.done(actor, AuditAction::PrincipalRemove, &name);
        let who = actor.name().to_owned();
        self.store
            .write(move |writer| {
                let users = on_principal(writer, &name, &external, &who)?;
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "principal", name, users });
                }
                match writer.remove_principal(&name)? {
                    true => Ok(writer.audit(&event)?),
                    false => Err(Error::not_found("principal", name)),
                }
            })
            .await?;
        let (credentials, who) = (self.clone(), actor.name().to_owned());
        // Nobody waits for it: that it fails does not undo the removal.
        tokio::spawn(async move {
            for (signing, opened) in revoking {
                credentials.revoke(signing.pinned(&who), opened).await;
            }
            for holder in holders {
                credentials.egress.close(&holder.id.to_string());
            }
        });
        Ok(())
    }

    /// What it takes to take back at its service what a principal obtained, read while it is still there.
    fn revoking(&self, principal: &Principal, holders: &[Holder]) -> Result<Vec<(Signing, Opened)>, Error> {
        let external = self.store.read(|reader| reader.external_credential(&principal.external_credential))?;
        let Some(external) = external else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for holder in holders {
            let signing = self.signing(&external, principal, holder)?;
            if signing.connection.authentication.grant.revocation.is_empty() {
                continue;
            }
            if let Some(opened) = self.opened(signing.pinned(&principal.owner))? {
                found.push((signing, opened));
            }
        }
        Ok(found)
    }

    /// Removes a named credential that no connection uses.
    pub(crate) async fn remove_named(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let name = self.named(actor, name)?.name;
        let event = self.done(actor, AuditAction::NamedCredentialRemove, &name);
        let who = actor.name().to_owned();
        self.store
            .write(move |writer| {
                let users = connections_by(writer, &name, &who)?;
                if !users.is_empty() {
                    return Err(Error::InUse { kind: "named credential", name, users });
                }
                match writer.remove_named_credential(&name)? {
                    true => Ok(writer.audit(&event)?),
                    false => Err(Error::not_found("named credential", name)),
                }
            })
            .await?;
        Ok(())
    }
}

/// What stands in the way of a removal, before anybody tries.
impl Credentials {
    /// Principals and named credentials that stand on an external credential.
    pub(crate) fn leaning_on_external(&self, name: &str) -> Result<Vec<User>, Error> {
        let name = self.external(name)?.name;
        Ok(self.store.read(|reader| on_external(reader, &name))?)
    }

    /// Permission sets that open a principal, and connections that go by it.
    pub(crate) fn leaning_on_principal(&self, actor: &Actor, name: &str) -> Result<Vec<User>, Error> {
        let principal = self.principal_for(actor, name)?;
        let external = &principal.external_credential;
        Ok(self.store.read(|reader| on_principal(reader, &principal.name, external, actor.name()))?)
    }

    /// Connections by a named credential.
    pub(crate) fn leaning_on_named(&self, actor: &Actor, name: &str) -> Result<Vec<User>, Error> {
        let name = self.named(actor, name)?.name;
        Ok(self.store.read(|reader| connections_by(reader, &name, actor.name()))?)
    }
}

fn on_external(reader: &Reader<'_>, name: &str) -> Result<Vec<User>, StoreError> {
    let principals = reader.principals_of(name)?.into_iter().map(|found| ("principal", found.name));
    let named = reader.named_credentials()?.into_iter().filter(|found| found.external_credential == name);
    let named = named.map(|found| ("named credential", found.name));
    Ok(principals.chain(named).map(|(kind, name)| in_the_way(kind, &name)).collect())
}

fn on_principal(reader: &Reader<'_>, name: &str, external: &str, who: &str) -> Result<Vec<User>, StoreError> {
    let sets = reader.permission_sets()?.into_iter().filter(|set| set.principals.contains(name));
    let mut users: Vec<_> = sets.map(|set| in_the_way("permission set", &set.name)).collect();
    // One too many can go.
    let only = reader.principals_of(external)?.len() == 1;
    for named in reader.named_credentials()? {
        if only && named.external_credential == external {
            users.extend(connections_by(reader, &named.name, who)?);
        }
    }
    Ok(users)
}

/// Connections by a named credential, as they may be told: a private one of somebody else by its id alone.
fn connections_by(reader: &Reader<'_>, named: &str, who: &str) -> Result<Vec<User>, StoreError> {
    let mut users = Vec::new();
    for id in reader.connections_by_named(named, TOLD)? {
        let Some(connection) = reader.shared_connection(id)? else { continue };
        let hidden = connection.visibility == Visibility::Private && connection.owner != who;
        let name = if hidden { id.to_string() } else { connection.name.clone() };
        users.push(User { kind: "connection".into(), id: id.to_string(), name });
    }
    Ok(users)
}

fn in_the_way(kind: &str, name: &str) -> User {
    User { kind: kind.into(), id: name.into(), name: name.into() }
}
