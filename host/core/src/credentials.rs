//! What a connection proves itself with: kept sealed, opened only to be attached.

pub(crate) mod rotation;
pub(crate) mod vault;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use lru::LruCache;

use crate::egress::{Permit, PermitError, Values};
use crate::model::authentication::Authentication;
use crate::model::connection::Connection;
use crate::model::descriptor::{Descriptor, FieldKind};
use crate::model::error::Error;
use crate::model::id::ConnectionId;
use crate::model::outside::Outside;
use crate::model::secret::{Sealed, Secret};
use vault::{Place, Vault, VaultError};

/// Where the store keeps what the master key is recognised by.
pub(crate) const CHECK: &str = "master-key-check";

/// Permits are kept for connections in use, so that a request costs neither a decryption nor a new scanner.
const KEPT_PERMITS: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");

/// By connection: the version that a permit is for, and the permit.
type Kept = LruCache<ConnectionId, (u64, Arc<Permit>)>;

/// The credentials of connections.
#[derive(Clone)]
pub(crate) struct Credentials {
    vault: Vault,
    permits: Arc<Mutex<Kept>>,
    outside: Outside,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn new(vault: Vault) -> Self {
        let permits = Arc::new(Mutex::new(LruCache::new(KEPT_PERMITS)));
        Self { vault, permits, outside: Outside::system() }
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn seal(
        &self,
        connection: ConnectionId,
        secrets: &BTreeMap<String, Secret>,
    ) -> BTreeMap<String, Sealed> {
        let record = connection.to_string();
        let place = |field| Place { table: "connections", record: &record, field };
        secrets.iter().map(|(field, secret)| (field.clone(), self.vault.seal(place(field), secret))).collect()
    }

    pub(crate) fn unseal(
        &self,
        connection: ConnectionId,
        sealed: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        let record = connection.to_string();
        sealed
            .iter()
            .map(|(field, sealed)| {
                let place = Place { table: "connections", record: &record, field };
                Ok((field.clone(), self.vault.unseal(place, sealed)?))
            })
            .collect()
    }

    /// What calls of this connection may reach, with its secrets ready to be attached.
    pub(crate) fn permit(&self, connection: &Connection, descriptor: &Descriptor) -> Result<Arc<Permit>, Error> {
        if let Some(permit) = self.kept(connection) {
            return Ok(permit);
        }
        let secrets = self.unseal(connection.id, &connection.secrets)?;
        let plan = &connection.authentication;
        let permit = Arc::new(resolve(connection.id, descriptor, plan, &connection.settings, &secrets)?);
        let mut kept = self.permits.lock().expect("no holder of this lock panics");
        kept.put(connection.id, (connection.version, permit.clone()));
        Ok(permit)
    }

    /// The permit of this very version, where it was made before and nothing in it has expired.
    pub(crate) fn kept(&self, connection: &Connection) -> Option<Arc<Permit>> {
        let mut kept = self.permits.lock().expect("no holder of this lock panics");
        let now = self.outside.now();
        kept.get(&connection.id)
            .filter(|(version, permit)| {
                *version == connection.version && permit.valid_until().is_none_or(|until| now < until)
            })
            .map(|(_, permit)| permit.clone())
    }

    /// Forgets what was opened for a connection that is gone.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.permits.lock().expect("no holder of this lock panics").pop(&connection);
    }
}

/// A permit from values that need not be stored yet.
pub(crate) fn resolve(
    connection: ConnectionId,
    descriptor: &Descriptor,
    plan: &Authentication,
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
) -> Result<Permit, PermitError> {
    let values = values(descriptor, settings, secrets);
    Permit::resolve(connection.to_string(), &descriptor.origins, plan, &values, &Outside::system())
}

/// The values of a connection, each by the kind of its field: a free text may be less in an origin than a choice.
pub(crate) fn values(
    descriptor: &Descriptor,
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
) -> Values {
    let fields = || descriptor.settings.iter().chain(descriptor.protocols.iter().flat_map(|protocol| &protocol.fields));
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
