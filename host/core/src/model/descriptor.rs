//! What a connector says of itself: everything that the catalog and the forms show.

use serde::{Deserialize, Serialize};

/// One input of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Field {
    /// Kebab-case, unique among the settings and the fields of one protocol.
    pub name: String,
    /// What a person reads.
    pub label: String,
    /// A sentence or two of help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// An example shown in the empty input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// What may be typed.
    pub kind: FieldKind,
    /// Whether it must be filled in.
    pub required: bool,
    /// What stands where nothing was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// A regular expression that the whole value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// What may be typed into a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// Free text.
    Text,
    /// Text that only the host sees.
    Secret,
    /// `http://<domain>` or `https://<domain>`.
    Url,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of these.
    Choice(Vec<Choice>),
}

/// One of the values of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Choice {
    /// What is kept.
    pub value: String,
    /// What a person reads.
    pub label: String,
}

/// What signing in takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SignIn {
    /// Nothing beyond the fields.
    None,
    /// Requests that the host makes alone.
    Unattended,
    /// A person in a browser.
    Browser,
}

/// One way to authenticate that a connector offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Protocol {
    /// Kebab-case, unique in the connector.
    pub name: String,
    /// What a person reads.
    pub label: String,
    /// A sentence or two of help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What signing in takes.
    pub sign_in: SignIn,
    /// What the form asks for besides the connector's settings.
    pub fields: Vec<Field>,
}

/// How ripe a connector is, in its publisher's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// May still change.
    Beta,
    /// For everyone.
    GenerallyAvailable,
    /// Do not begin anything new with it.
    Deprecated,
}

/// Everything that a connector says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Descriptor {
    /// Kebab-case, the same in every version.
    pub name: String,
    /// What a person reads.
    pub label: String,
    /// Semantic version.
    pub version: String,
    /// Who answers for it.
    pub publisher: String,
    /// One line.
    pub summary: String,
    /// Where Browse files it.
    pub categories: Vec<String>,
    /// An https link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
    /// An SVG without script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_svg: Option<String>,
    /// How ripe it is.
    pub lifecycle: Lifecycle,
    /// What every connection is asked, whatever the protocol.
    pub settings: Vec<Field>,
    /// Ways to authenticate.
    pub protocols: Vec<Protocol>,
    /// Everywhere that requests may go, as templates over the fields that are not secret.
    pub origins: Vec<String>,
}

impl Descriptor {
    /// The protocol of this name.
    pub fn protocol(&self, name: &str) -> Option<&Protocol> {
        self.protocols.iter().find(|protocol| protocol.name == name)
    }

    /// The field that says where its requests go: the address that stands alone in one of its origins, else the first one that
    /// it asks every connection for. A named credential takes its place.
    pub fn endpoint(&self) -> Option<&str> {
        let fields = || self.settings.iter().chain(self.protocols.iter().flat_map(|protocol| &protocol.fields));
        let address = |name: &str| fields().any(|field| field.kind == FieldKind::Url && field.name == name);
        let alone = self.origins.iter().filter_map(|origin| origin.strip_prefix('{')?.strip_suffix('}'));
        let first = self.settings.iter().find(|field| field.kind == FieldKind::Url);
        alone.into_iter().find(|name| address(name)).or(first.map(|field| field.name.as_str()))
    }

    /// The fields of a connection by this protocol: settings first, as the form shows them.
    pub fn fields<'a>(&'a self, protocol: &'a Protocol) -> impl Iterator<Item = &'a Field> {
        self.settings.iter().chain(&protocol.fields)
    }
}
