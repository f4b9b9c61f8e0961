//! A connection gets another owner.

use super::{Connections, need, visible};
use crate::model::actor::{Actor, Permission};
use crate::model::audit::AuditEvent;
use crate::model::connection::{Change, ChangeKind, Connection};
use crate::model::error::Error;
use crate::model::event::Telling;
use crate::model::user;
use crate::model::view::{Transfer, Transferred};

impl Connections {
    /// By its owner, or by whoever looks after the host. All of it is judged in one job: neither the owner nor the user can
    /// change in between.
    pub(crate) async fn transfer(&self, actor: &Actor, key: &str, transfer: Transfer) -> Result<Transferred, Error> {
        if !actor.may(Permission::ManageSetup) {
            need(actor, Permission::ManageConnections)?;
        }
        let Transfer { to, visibility } = transfer;
        let unknown = format!("no enabled user is named `{}`", to.trim());
        let to = user::user_name(&to).map_err(|words| Error::field("to", words))?;
        let (actor, key, now) = (actor.clone(), key.to_owned(), self.outside.now());
        let done = self
            .store
            .write(move |writer| {
                let administrator = actor.may(Permission::ManageSetup);
                let found = writer.connection_by_key(&key)?.filter(|found| administrator || visible(&actor, found));
                let old = found.ok_or_else(|| Error::not_found("connection", &key))?;
                if !administrator && old.owner != actor.name() {
                    return Err(Error::Forbidden { permission: Permission::ManageSetup });
                }
                if !writer.user(&to)?.is_some_and(|user| user.enabled) {
                    return Err(Error::field("to", unknown));
                }
                let old = Connection::clone(&old);
                // It would go by the right of somebody who never agreed to that.
                if old.named_credential.is_some() && !administrator {
                    return Err(Error::Forbidden { permission: Permission::ManageSetup });
                }
                let from = old.owner.clone();
                let visibility = visibility.unwrap_or(old.visibility);
                if from == to && visibility == old.visibility {
                    return Ok(Transferred { connection: old.id, name: old.name, version: old.version, from, to });
                }
                let new = Connection {
                    version: old.version + 1,
                    owner: to.clone(),
                    visibility,
                    // What somebody else answered for is not handed on.
                    vouched: old.vouched && from == to,
                    updated_at: now,
                    ..old.clone()
                };
                writer.put_connection(&new)?;
                let kind = if from == to { ChangeKind::Edited } else { ChangeKind::Transferred };
                let changed = [("owner", from != to), ("visibility", visibility != old.visibility)];
                let fields: Vec<_> =
                    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()).collect();
                writer.append_change(
                    new.id,
                    &Change {
                        version: new.version,
                        kind,
                        actor: actor.name().to_owned(),
                        at: now,
                        fields: fields.clone(),
                    },
                )?;
                let event = AuditEvent::of(now, actor.name(), kind.into(), &new);
                for telling in Telling::changed(now, actor.name(), (&old, &new), kind, fields.clone()) {
                    writer.tell(telling)?;
                }
                writer.audit(&event.with_fields(fields))?;
                Ok(Transferred { connection: new.id, name: new.name, version: new.version, from, to })
            })
            .await?;
        self.credentials.forget(done.connection);
        Ok(done)
    }
}
