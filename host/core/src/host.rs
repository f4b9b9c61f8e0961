//! The host: a cheap handle that everything else is called on.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Config;
use crate::model::actor::Actor;
use crate::model::connection::Change;
use crate::model::error::Error;
use crate::model::flow::Flow;
use crate::model::view::{
    CheckReport, ConnectionFilter, ConnectionView, ConnectorFilter, ConnectorView, EditConnection, FlowReport, FlowRow,
    HostReport, InstallReport, NewConnection, Page, PutFlow, PutUse, Reconnect, Reconnected, Rotation, Upgrade,
    UpgradeReport,
};

/// Body of a request or an answer that streams.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Error>;

/// An open host. Cloning is cheap; all clones are one host.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {}

impl Host {
    /// Opens the data directory, making it where it is not there.
    pub async fn open(data: impl Into<PathBuf>, config: Config) -> Result<Self, Error> {
        todo!()
    }
}

/// Connectors. `name` is `github`, or `github@1.2.0` for one version.
impl Host {
    /// Installs a component: judged, compiled, asked to describe itself, and kept.
    pub async fn install_connector(&self, actor: &Actor, component: Bytes) -> Result<InstallReport, Error> {
        todo!()
    }
    /// Does what an install does, and keeps nothing.
    pub async fn check_connector(&self, actor: &Actor, component: Bytes) -> Result<CheckReport, Error> {
        todo!()
    }
    /// The newest version of each connector, by name.
    pub fn connectors(&self, actor: &Actor, filter: &ConnectorFilter) -> Result<Vec<ConnectorView>, Error> {
        todo!()
    }
    /// One connector.
    pub fn connector(&self, actor: &Actor, name: &str) -> Result<ConnectorView, Error> {
        todo!()
    }
    /// Lets new connections be made with it, or not.
    pub async fn enable_connector(&self, actor: &Actor, name: &str, enabled: bool) -> Result<ConnectorView, Error> {
        todo!()
    }
    /// Puts it under "Get started", or takes it away.
    pub async fn feature_connector(&self, actor: &Actor, name: &str, featured: bool) -> Result<ConnectorView, Error> {
        todo!()
    }
    /// Moves connections to another version.
    pub async fn upgrade_connector(&self, actor: &Actor, name: &str, upgrade: Upgrade) -> Result<UpgradeReport, Error> {
        todo!()
    }
    /// Removes it, or one version; refused while connections use it.
    pub async fn remove_connector(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        todo!()
    }
}

/// Connections. `key` is an id or a name.
impl Host {
    /// Makes a connection and tests it.
    pub async fn create_connection(&self, actor: &Actor, new: NewConnection) -> Result<ConnectionView, Error> {
        todo!()
    }
    /// A page of connections, by name.
    pub fn connections(&self, actor: &Actor, filter: &ConnectionFilter) -> Result<Page<ConnectionView>, Error> {
        todo!()
    }
    /// One connection.
    pub fn connection(&self, actor: &Actor, key: &str) -> Result<ConnectionView, Error> {
        todo!()
    }
    /// Tests it; the verdict stands in the answer.
    pub async fn test_connection(&self, actor: &Actor, key: &str) -> Result<ConnectionView, Error> {
        todo!()
    }
    /// Saves a change and tests it.
    pub async fn edit_connection(
        &self,
        actor: &Actor,
        key: &str,
        edit: EditConnection,
    ) -> Result<ConnectionView, Error> {
        todo!()
    }
    /// Tries a new credential; only one that passes replaces the old one.
    pub async fn reconnect_connection(&self, actor: &Actor, key: &str, new: Reconnect) -> Result<Reconnected, Error> {
        todo!()
    }
    /// Switches it on or off.
    pub async fn enable_connection(&self, actor: &Actor, key: &str, enabled: bool) -> Result<ConnectionView, Error> {
        todo!()
    }
    /// Deletes it; refused while a flow uses it.
    pub async fn delete_connection(&self, actor: &Actor, key: &str) -> Result<(), Error> {
        todo!()
    }
    /// The rows of "Flows using connection".
    pub fn connection_flows(&self, actor: &Actor, key: &str) -> Result<Vec<FlowRow>, Error> {
        todo!()
    }
    /// Who changed it, newest first.
    pub fn connection_history(
        &self,
        actor: &Actor,
        key: &str,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page<Change>, Error> {
        todo!()
    }
    /// Sends a request through it. The URI is a path on its first origin, or a URL within its origins.
    pub async fn send(
        &self,
        actor: &Actor,
        key: &str,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Error> {
        todo!()
    }
}

/// Flows. `id` is the embedder's.
impl Host {
    /// Registers a flow, or what changed of it.
    pub async fn put_flow(&self, actor: &Actor, id: &str, flow: PutFlow) -> Result<Flow, Error> {
        todo!()
    }
    /// A page of flows, by id.
    pub fn flows(&self, actor: &Actor, cursor: Option<&str>, limit: Option<usize>) -> Result<Page<Flow>, Error> {
        todo!()
    }
    /// One flow.
    pub fn flow(&self, actor: &Actor, id: &str) -> Result<Flow, Error> {
        todo!()
    }
    /// A person opened it: all its connections are tested.
    pub async fn open_flow(&self, actor: &Actor, id: &str) -> Result<FlowReport, Error> {
        todo!()
    }
    /// A person selected a connection in it: the use is added and tested.
    pub async fn select_connection(&self, actor: &Actor, id: &str, new: PutUse) -> Result<FlowReport, Error> {
        todo!()
    }
    /// Takes a use away; all uses of that connection where no step is given.
    pub async fn deselect_connection(
        &self,
        actor: &Actor,
        id: &str,
        connection: &str,
        step: Option<&str>,
    ) -> Result<Flow, Error> {
        todo!()
    }
    /// Forgets it.
    pub async fn remove_flow(&self, actor: &Actor, id: &str) -> Result<(), Error> {
        todo!()
    }
}

/// The host itself.
impl Host {
    /// How it stands.
    pub fn report(&self, actor: &Actor) -> Result<HostReport, Error> {
        todo!()
    }
    /// Copies the store while it runs. The master key is not in the copy.
    pub async fn backup(&self, actor: &Actor, to: PathBuf) -> Result<(), Error> {
        todo!()
    }
    /// Makes a new master key and seals every secret anew.
    pub async fn rotate_key(&self, actor: &Actor) -> Result<Rotation, Error> {
        todo!()
    }
}
