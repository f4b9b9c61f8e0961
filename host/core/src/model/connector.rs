//! An installed connector, as the catalog keeps it.

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::descriptor::Descriptor;
use super::id::{ConnectorName, Digest};

/// One version of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectorRef {
    /// The connector.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: ConnectorName,
    /// Its version.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub version: Version,
    /// The component itself.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
}

/// What an installed component imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Surface {
    /// Interfaces that it calls, such as `wasi:http/outgoing-handler@0.2.12`.
    pub imports: Vec<String>,
    /// Interfaces that it offers.
    pub exports: Vec<String>,
    /// Languages and tools that made it, from its `producers` section.
    pub producers: Vec<String>,
}

impl Surface {
    /// Whether it exports this interface of the contract, whatever the patch version.
    pub fn exports_interface(&self, interface: &str) -> bool {
        let version = |export: &str| {
            export.strip_prefix("turnbuckle:connector/")?.strip_prefix(interface)?.strip_prefix('@').map(drop)
        };
        self.exports.iter().any(|export| version(export).is_some())
    }
}

/// One installed version of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Installed {
    /// Name, version and digest.
    #[serde(flatten)]
    pub reference: ConnectorRef,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// What it imports and exports.
    pub surface: Surface,
    /// Size of the component in bytes.
    pub size: u64,
    /// Whether new connections may be made with it.
    pub enabled: bool,
    /// Whether it stands under "Get started".
    pub featured: bool,
    /// When it was installed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub installed_at: Timestamp,
    /// Who installed it.
    pub installed_by: String,
}
