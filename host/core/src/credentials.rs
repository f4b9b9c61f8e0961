//! What a connection proves itself with: kept sealed, opened only to be attached, renewed before it runs out.

mod answer;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod grant;
mod kept;
mod named;
mod native;
mod pace;
mod plan;
mod provider;
mod renew;
pub(crate) mod rotation;
mod seal;
mod sign_in;
mod usable;
pub(crate) mod vault;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::catalog::Catalog;
use crate::egress::{Egress, PermitError, Values};
use crate::model::connection::Connection;
use crate::model::connector::Installed;
use crate::model::descriptor::{Descriptor, FieldKind};
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::outside::Outside;
use crate::model::secret::Secret;
use crate::model::verdict::Failure;
use crate::runtime::{GuestConnection, Runtime};
use crate::store::Store;
use kept::Kept;
use vault::{Vault, VaultError};

pub(crate) use grant::{Obtained, Opened};
pub(crate) use named::{Endpoint, Footing, Hindrance};
pub(crate) use native::protocols;
pub(crate) use pace::{Pace, held, is_held};
pub use sign_in::sign_in_cookie;
pub(crate) use sign_in::{Begin, Callback, Finish, Return};
pub(crate) use usable::{Staged, Usable};

/// Where the store keeps what the master key is recognised by.
pub(crate) const CHECK: &str = "master-key-check";

/// What credentials are made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) vault: Vault,
    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) runtime: Runtime,
    pub(crate) egress: Egress,
    pub(crate) outside: Outside,
}

/// The credentials of connections. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Credentials {
    parts: Parts,
    kept: Arc<Mutex<Kept>>,
    /// Renewals under way: whoever needs the same one waits for it.
    renewing: Arc<Mutex<HashMap<ConnectionId, renew::Running>>>,
    /// Of work that nobody asked for.
    pace: Option<Pace>,
}

impl std::ops::Deref for Credentials {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("vault", &self.parts.vault).finish_non_exhaustive()
    }
}

/// Why there is nothing to send with.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The service, or the way to it, did not give a credential: a verdict on the connection.
    Failed(Failure),
    /// The host can't make one: an error of the call.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Unusable {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Credentials {
    pub(crate) fn new(parts: Parts) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        Self { parts, kept, renewing: Arc::default(), pace: None }
    }

    /// The same credentials over another handle of their store.
    pub(crate) fn over(&self, store: Store) -> Self {
        let parts = Parts { catalog: self.catalog.over(store.clone()), store, ..self.parts.clone() };
        Self { parts, ..self.clone() }
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.parts.vault
    }

    /// What a request of this very version of a connection is sent with, where it was made before and nothing in it is due.
    pub(crate) fn kept(&self, connection: &Connection) -> Option<Arc<Usable>> {
        let mut kept = self.kept.lock().expect("no holder of this lock panics");
        let now = self.outside.now();
        let setup = self.store.setup();
        kept.get(connection.id).filter(|usable| usable.is_for(connection.version, setup, now)).cloned()
    }

    fn keep(&self, id: ConnectionId, usable: &Arc<Usable>) {
        let mut kept = self.kept.lock().expect("no holder of this lock panics");
        kept.put(id, usable.clone());
    }

    /// Forgets what was opened for a connection that is gone, or whose credential is another one now.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.kept.lock().expect("no holder of this lock panics").forget(connection);
        self.forget_by(connection);
    }
}

/// The values of a connection's fields, each by the kind of its field: a free text may be less in an origin than a choice.
pub(crate) fn values(
    descriptor: &Descriptor,
    protocol: &str,
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
) -> Values {
    // Of this protocol alone: another one may call something else by the same name.
    let chosen = descriptor.protocol(protocol);
    let fields = || descriptor.settings.iter().chain(chosen.into_iter().flat_map(|protocol| &protocol.fields));
    let mut values = Values::new();
    for (name, value) in settings {
        let kind = fields().find(|field| field.name == *name).map(|field| &field.kind);
        values = match kind {
            Some(FieldKind::Url) => values.url(name, value),
            Some(FieldKind::Choice(_)) => values.choice(name, value),
            Some(FieldKind::Text | FieldKind::Secret | FieldKind::Integer | FieldKind::Boolean) | None => {
                values.public(name, value)
            }
        };
    }
    for (name, secret) in secrets {
        values = values.secret(name, secret.clone());
    }
    values
}

/// A connection beside the version of the connector that it is pinned to, in somebody's hands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinned<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) installed: &'a Arc<Installed>,
    /// Who uses it, for the audit.
    pub(crate) actor: &'a str,
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        let (rule, hint) = match &error {
            VaultError::Unreadable { .. } => {
                ("master-key-unreadable", Some("make the file readable for this user, and for nobody else"))
            }
            VaultError::Unwritable { .. } => ("master-key-unwritable", Some("make its folder writable for this user")),
            VaultError::Exposed { .. } => (
                "master-key-exposed",
                Some("chmod 600 the file; if others may have read it, run `turnbuckle rotate-key` then"),
            ),
            VaultError::Missing { .. } => (
                "master-key-missing",
                Some(
                    "put the key file back from its copy; without it the stored secrets can't be read, and nothing was overwritten",
                ),
            ),
            VaultError::Malformed { .. } => {
                ("master-key-malformed", Some("make one with: head -c 32 /dev/urandom | base64"))
            }
            VaultError::UnknownKey { .. } => (
                "master-key-wrong",
                Some("start with the key that this data directory was made with; nothing was overwritten"),
            ),
            VaultError::Damaged { .. } => {
                ("secret-damaged", Some("reconnect the connection with a new credential, or restore a backup"))
            }
        };
        Self::Data { rule, message: error.to_string(), hint: hint.map(str::to_owned), source: Some(Box::new(error)) }
    }
}

impl From<PermitError> for Error {
    fn from(error: PermitError) -> Self {
        match error.field() {
            Some(field) => Self::field(field, error.to_string()),
            None => Self::Refused { rule: "permit", message: error.to_string(), hint: None },
        }
    }
}

/// A connection as its connector sees it: fields that are not secret, and visible captures.
pub(crate) fn guest(connection: &Connection, visible: &BTreeMap<String, String>) -> GuestConnection {
    let settings = connection.settings.iter().chain(visible);
    GuestConnection {
        protocol: connection.protocol.clone(),
        settings: settings.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}
