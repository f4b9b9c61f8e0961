//! The host: a cheap handle that everything else is called on.

mod audit;
mod definitions;
mod events;
mod health;
mod named;
mod open;
mod preview;
mod removal;
mod sign_in;
#[cfg(feature = "otlp")]
mod telemetry;
mod users;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use semver::Version;
use url::Url;

use crate::catalog::Catalog;
use crate::connections::{Body, Connections, Returned, Signed, SignedIn as Who};
use crate::credentials::Credentials;
use crate::events::Outbox;
use crate::flows::Flows;
use crate::health::Health;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::connection::{Change, Connection};
use crate::model::connector::Installed;
use crate::model::error::Error;
use crate::model::flow::Flow;
use crate::model::id::ConnectionId;
use crate::model::outside::Outside;
use crate::model::verdict::Verdict;
use crate::model::view::{
    Authorization, Authorize, CheckReport, ConnectionFilter, ConnectionView, ConnectorFilter, ConnectorKey,
    ConnectorView, EditConnection, FlowReport, FlowRow, HostReport, IdentityProviderView, InstallReport, NewConnection,
    Page, PutFlow, PutIdentityProvider, PutUse, Reconnect, Reconnected, Rotation, SignedIn, Upgrade, UpgradeReport,
};
use crate::runtime::Runtime;
use crate::store::Store;
use crate::users::Users;

pub use audit::verify_audit_export;
pub use open::Builder;
pub use removal::Setup;
#[cfg(feature = "otlp")]
pub use telemetry::Telemetry;

/// What a browser that came back is answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallbackAnswer {
    /// It goes on to the command that began, on its own machine.
    GoOn(Url),
    /// The sign-in is over.
    Done {
        /// The connection whose it was; none where a principal signed in.
        connection: Option<ConnectionId>,
        /// Whether the new credential is in use.
        authorized: bool,
        /// What its test, or the service, said.
        verdict: Verdict,
    },
}

/// An open host. Cloning is cheap; all clones are one host.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    data: PathBuf,
    egress_allow: Vec<String>,
    integrations: bool,
    outside: Outside,
    store: Store,
    runtime: Runtime,
    catalog: Catalog,
    credentials: Credentials,
    connections: Connections,
    flows: Flows,
    health: Health,
    outbox: Outbox,
    users: Users,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever runs its health sees that it is gone.
        self.health.stirred().notify_one();
    }
}

impl Host {
    fn read(&self, actor: &Actor, connection: Connection) -> Result<ConnectionView, Error> {
        self.inner.connections.view(actor, connection)
    }

    fn find(&self, actor: &Actor, key: &str) -> Result<ConnectionView, Error> {
        self.read(actor, self.inner.connections.find(actor, key)?)
    }
}

/// `github`, or `github@1.2.0`.
fn connector_key(text: &str) -> Result<ConnectorKey, Error> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => {
            let version =
                Version::parse(version).map_err(|error| Error::field("version", format!("`{version}`: {error}")))?;
            (name, Some(version))
        }
        None => (text, None),
    };
    let name = name.parse().map_err(|_no_name_of_any_connector| Error::not_found("connector", text))?;
    Ok(ConnectorKey { name, version })
}

/// Connectors. `name` is `github`, or `github@1.2.0` for one version.
impl Host {
    /// Installs a component: judged, compiled, asked to describe itself, and kept.
    pub async fn install_connector(&self, actor: &Actor, component: Bytes) -> Result<InstallReport, Error> {
        let call = self.call(actor, AuditAction::ConnectorInstall, "")?;
        call.need(Permission::ManageConnectors)?;
        call.told(self.inner.catalog.install(actor, component).await)
    }
    /// Does what an install does, and keeps nothing.
    pub async fn check_connector(&self, actor: &Actor, component: Bytes) -> Result<CheckReport, Error> {
        let call = self.call(actor, AuditAction::ConnectorCheck, "")?;
        call.need(Permission::ManageConnectors)?;
        call.told(self.inner.catalog.check(component).await)
    }
    /// The newest version of each connector, by name.
    pub fn connectors(&self, actor: &Actor, filter: &ConnectorFilter) -> Result<Vec<ConnectorView>, Error> {
        self.call(actor, AuditAction::ConnectorView, "")?.need(Permission::ViewConnections)?;
        let mut views = self.inner.catalog.list(filter)?;
        self.count_seen(actor, &mut views)?;
        Ok(views)
    }
    /// One connector.
    pub fn connector(&self, actor: &Actor, name: &str) -> Result<ConnectorView, Error> {
        self.call(actor, AuditAction::ConnectorView, name)?.need(Permission::ViewConnections)?;
        let mut view = self.inner.catalog.view(&connector_key(name)?)?;
        self.count_seen(actor, std::slice::from_mut(&mut view))?;
        Ok(view)
    }
    /// Starts it in a fresh sandbox, compiled anew where that is needed, and checks that it still says of itself what it said
    /// when it was installed.
    pub async fn verify_connector(&self, actor: &Actor, name: &str) -> Result<ConnectorView, Error> {
        let call = self.call(actor, AuditAction::ConnectorVerify, name)?;
        call.need(Permission::ManageConnectors)?;
        call.told(self.inner.catalog.verify(&connector_key(name)?).await)
    }
    /// Lets new connections be made with it, or not.
    pub async fn enable_connector(&self, actor: &Actor, name: &str, enabled: bool) -> Result<ConnectorView, Error> {
        let action = if enabled { AuditAction::ConnectorEnable } else { AuditAction::ConnectorDisable };
        let call = self.call(actor, action, name)?;
        call.need(Permission::ManageConnectors)?;
        let change = move |installed: &mut Installed| installed.enabled = enabled;
        call.told(self.inner.catalog.change(actor, action, &connector_key(name)?, change).await)
    }
    /// Puts it under "Get started", or takes it away.
    pub async fn feature_connector(&self, actor: &Actor, name: &str, featured: bool) -> Result<ConnectorView, Error> {
        let action = if featured { AuditAction::ConnectorFeature } else { AuditAction::ConnectorUnfeature };
        let call = self.call(actor, action, name)?;
        call.need(Permission::ManageConnectors)?;
        let change = move |installed: &mut Installed| installed.featured = featured;
        call.told(self.inner.catalog.change(actor, action, &connector_key(name)?, change).await)
    }
    /// Moves connections to another version.
    pub async fn upgrade_connector(&self, actor: &Actor, name: &str, upgrade: Upgrade) -> Result<UpgradeReport, Error> {
        let call = self.call(actor, AuditAction::ConnectorUpgrade, name)?;
        call.need(Permission::ManageConnectors)?;
        call.told(self.inner.connections.upgrade(actor, &connector_key(name)?, upgrade).await)
    }
    /// Removes it, or one version; refused while connections use it.
    pub async fn remove_connector(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::ConnectorRemove, name)?;
        call.need(Permission::ManageConnectors)?;
        call.told(self.inner.catalog.remove(actor, &connector_key(name)?).await)
    }
}

/// Connections. `key` is an id or a name.
impl Host {
    /// Makes a connection and tests it.
    pub async fn create_connection(&self, actor: &Actor, new: NewConnection) -> Result<ConnectionView, Error> {
        let name = new.name.clone();
        let id = self
            .call(actor, AuditAction::ConnectionCreate, &name)?
            .told(self.inner.connections.create(actor, new).await)?;
        self.find(actor, &id.to_string())
    }
    /// A page of connections, by name.
    pub fn connections(&self, actor: &Actor, filter: &ConnectionFilter) -> Result<Page<ConnectionView>, Error> {
        let call = self.call(actor, AuditAction::ConnectionView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.connections.list(actor, filter))
    }
    /// One connection.
    pub fn connection(&self, actor: &Actor, key: &str) -> Result<ConnectionView, Error> {
        self.call(actor, AuditAction::ConnectionView, key)?.need(Permission::ViewConnections)?;
        self.find(actor, key)
    }
    /// Tests it; the verdict stands in the answer.
    pub async fn test_connection(&self, actor: &Actor, key: &str) -> Result<ConnectionView, Error> {
        let tested =
            self.call(actor, AuditAction::ConnectionTest, key)?.told(self.inner.connections.test(actor, key).await)?;
        self.read(actor, tested)
    }
    /// Saves a change and tests it.
    pub async fn edit_connection(
        &self,
        actor: &Actor,
        key: &str,
        edit: EditConnection,
    ) -> Result<ConnectionView, Error> {
        let id = self
            .call(actor, AuditAction::ConnectionEdit, key)?
            .told(self.inner.connections.edit(actor, key, edit).await)?;
        self.find(actor, &id.to_string())
    }
    /// Tries a new credential; only one that passes replaces the old one.
    pub async fn reconnect_connection(&self, actor: &Actor, key: &str, new: Reconnect) -> Result<Reconnected, Error> {
        let (id, replaced, verdict) = self
            .call(actor, AuditAction::ConnectionReconnect, key)?
            .told(self.inner.connections.reconnect(actor, key, new).await)?;
        Ok(Reconnected { replaced, verdict, connection: self.find(actor, &id.to_string())? })
    }
    /// Switches it on or off.
    pub async fn enable_connection(&self, actor: &Actor, key: &str, enabled: bool) -> Result<ConnectionView, Error> {
        let action = if enabled { AuditAction::ConnectionEnable } else { AuditAction::ConnectionDisable };
        let id = self.call(actor, action, key)?.told(self.inner.connections.enable(actor, key, enabled).await)?;
        self.find(actor, &id.to_string())
    }
    /// Deletes it; refused while a flow uses it.
    pub async fn delete_connection(&self, actor: &Actor, key: &str) -> Result<(), Error> {
        self.call(actor, AuditAction::ConnectionDelete, key)?.told(self.inner.connections.delete(actor, key).await)
    }
    /// The rows of "Flows using connection".
    pub fn connection_flows(&self, actor: &Actor, key: &str) -> Result<Vec<FlowRow>, Error> {
        let call = self.call(actor, AuditAction::ConnectionView, key)?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.connections.flows(&self.inner.connections.find(actor, key)?))
    }
    /// Who changed it, newest first: of its newest thousand versions. The audit tells of what was before.
    pub fn connection_history(
        &self,
        actor: &Actor,
        key: &str,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page<Change>, Error> {
        self.call(actor, AuditAction::ConnectionView, key)?.need(Permission::ViewConnections)?;
        let connection = self.inner.connections.find(actor, key)?;
        self.inner.connections.history(&connection, cursor, limit)
    }
    /// Sends a request through it. The URI is a path on its first origin, or a URL within its origins.
    pub async fn send(
        &self,
        actor: &Actor,
        key: &str,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Error> {
        self.call(actor, AuditAction::ConnectionSend, key)?.told(self.inner.connections.send(actor, key, request).await)
    }
}

/// Signing in by a browser, and the OAuth clients that it takes.
impl Host {
    /// Begins a sign-in of a connection. `base` is where this host is reached: its redirect URIs stand below it.
    pub async fn authorize_connection(
        &self,
        actor: &Actor,
        key: &str,
        base: &Url,
        authorize: Authorize,
    ) -> Result<Authorization, Error> {
        self.call(actor, AuditAction::ConnectionAuthorize, key)?
            .told(self.inner.connections.authorize(actor, key, base, authorize).await)
    }
    /// A browser came back to `/oauth/callback/{provider}`; `cookie` is what it holds by the name that
    /// [`sign_in_cookie`](crate::sign_in_cookie) gives for the state it brings. Nobody need be signed in here: it is known by
    /// that state and by where it comes from.
    pub async fn authorization_callback(
        &self,
        provider: &str,
        parameters: &[(String, String)],
        cookie: Option<&str>,
    ) -> Result<CallbackAnswer, Error> {
        self.integrations()?;
        match self.inner.connections.callback(provider, parameters, cookie).await? {
            Returned::GoOn(url) => Ok(CallbackAnswer::GoOn(url)),
            Returned::Signed(signed) => {
                let Signed { who, replaced, verdict } = *signed;
                let connection = match who {
                    Who::Connection(id) => Some(id),
                    Who::Principal(_) => None,
                };
                Ok(CallbackAnswer::Done { connection, authorized: replaced, verdict })
            }
        }
    }
    /// Finishes a sign-in with the receipt that its browser brought.
    pub async fn complete_authorization(&self, actor: &Actor, receipt: &str) -> Result<SignedIn, Error> {
        let call = self.call(actor, AuditAction::ConnectionSignIn, "")?;
        let Signed { who, replaced, verdict } = call.told(self.inner.connections.complete(actor, receipt).await)?;
        let (connection, principal) = match who {
            Who::Connection(id) => (Some(self.find(actor, &id.to_string())?), None),
            Who::Principal(name) => (None, Some(self.inner.credentials.principal(actor, &name)?)),
        };
        Ok(SignedIn { replaced, verdict, connection, principal })
    }
    /// Registers an OAuth client for one protocol of one connector, or what changed of it.
    pub async fn put_identity_provider(
        &self,
        actor: &Actor,
        name: &str,
        put: PutIdentityProvider,
    ) -> Result<IdentityProviderView, Error> {
        let call = self.call(actor, AuditAction::IdentityProviderPut, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.put_provider(actor, name, put).await)
    }
    /// All of them, by name.
    pub fn identity_providers(&self, actor: &Actor) -> Result<Vec<IdentityProviderView>, Error> {
        let call = self.call(actor, AuditAction::IdentityProviderView, "")?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.credentials.providers())
    }
    /// One of them.
    pub fn identity_provider(&self, actor: &Actor, name: &str) -> Result<IdentityProviderView, Error> {
        let call = self.call(actor, AuditAction::IdentityProviderView, name)?;
        call.need(Permission::ViewConnections)?;
        call.told(self.inner.credentials.provider(name))
    }
    /// Removes one that no connection uses.
    pub async fn remove_identity_provider(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        let call = self.call(actor, AuditAction::IdentityProviderRemove, name)?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.remove_provider(actor, name).await)
    }
}

/// Flows. `id` is the embedder's.
impl Host {
    /// Registers a flow, or what changed of it.
    pub async fn put_flow(&self, actor: &Actor, id: &str, flow: PutFlow) -> Result<Flow, Error> {
        self.call(actor, AuditAction::FlowPut, id)?.told(self.inner.flows.put(actor, id, flow).await)
    }
    /// A page of flows, by id.
    pub fn flows(&self, actor: &Actor, cursor: Option<&str>, limit: Option<usize>) -> Result<Page<Flow>, Error> {
        self.call(actor, AuditAction::FlowView, "")?.told(self.inner.flows.list(actor, cursor, limit))
    }
    /// One flow.
    pub fn flow(&self, actor: &Actor, id: &str) -> Result<Flow, Error> {
        self.call(actor, AuditAction::FlowView, id)?.told(self.inner.flows.get(actor, id))
    }
    /// A person opened it: all its connections are tested.
    pub async fn open_flow(&self, actor: &Actor, id: &str) -> Result<FlowReport, Error> {
        self.call(actor, AuditAction::FlowOpen, id)?.told(self.inner.flows.open(actor, id).await)
    }
    /// A person selected a connection in it: the use is added and tested.
    pub async fn select_connection(&self, actor: &Actor, id: &str, new: PutUse) -> Result<FlowReport, Error> {
        self.call(actor, AuditAction::FlowSelect, id)?.told(self.inner.flows.select(actor, id, new).await)
    }
    /// Takes a use away; all uses of that connection where no step is given.
    pub async fn deselect_connection(
        &self,
        actor: &Actor,
        id: &str,
        connection: &str,
        step: Option<&str>,
    ) -> Result<Flow, Error> {
        self.call(actor, AuditAction::FlowDeselect, id)?
            .told(self.inner.flows.deselect(actor, id, connection, step).await)
    }
    /// Forgets it.
    pub async fn remove_flow(&self, actor: &Actor, id: &str) -> Result<(), Error> {
        self.call(actor, AuditAction::FlowRemove, id)?.told(self.inner.flows.remove(actor, id).await)
    }
}

/// The host itself.
impl Host {
    /// What its clock says.
    pub fn now(&self) -> jiff::Timestamp {
        self.inner.outside.now()
    }
    /// How it stands.
    pub fn report(&self, actor: &Actor) -> Result<HostReport, Error> {
        self.call(actor, AuditAction::HostView, "")?.need(Permission::ViewConnections)?;
        let inner = &self.inner;
        let (connectors, connections) =
            inner.store.read(|reader| Ok((reader.connectors()?.len() as u64, reader.count_connections()?)))?;
        Ok(HostReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: inner.data.display().to_string(),
            connectors,
            connections: connections.saturating_sub(self.hidden(actor, None)?),
            pooling: inner.runtime.pooling(),
            master_key: inner.credentials.vault().current(),
            master_key_source: inner.credentials.vault().from(),
            egress_allow: inner.egress_allow.clone(),
        })
    }
    /// Copies the store while it runs, and the components of the connectors with it. The master key is not in the copy.
    pub async fn backup(&self, actor: &Actor, to: PathBuf) -> Result<(), Error> {
        self.call(actor, AuditAction::HostBackup, "")?.need(Permission::ManageSetup)?;
        let event =
            AuditEvent::new(self.inner.outside.now(), actor.name(), AuditAction::HostBackup, AuditObject::host());
        // Before the copy is made: it holds the record of itself.
        self.inner.store.note(event);
        self.settle_audit().await?;
        let store = self.inner.store.clone();
        let components = self.inner.catalog.components()?;
        let copied = tokio::task::spawn_blocking(move || store.backup(&to, components.into_iter())).await;
        copied.map_err(|panicked| Error::internal("copying the store")(Box::new(panicked)))?.map_err(Error::from)
    }
    /// Makes a new master key and seals every secret anew.
    pub async fn rotate_key(&self, actor: &Actor) -> Result<Rotation, Error> {
        let call = self.call(actor, AuditAction::HostRotateKey, "")?;
        call.need(Permission::ManageSetup)?;
        call.told(self.inner.credentials.rotate(actor, &self.inner.store).await)
    }
}
