//! Connections by a named credential: where their requests go and what they carry is the operator's.

use std::collections::BTreeMap;

use super::{Connections, form};
use crate::credentials::Endpoint;
use crate::model::actor::Actor;
use crate::model::authentication::Authentication;
use crate::model::connection::Connection;
use crate::model::connector::Installed;
use crate::model::descriptor::{Descriptor, FieldKind, Protocol, SignIn};
use crate::model::error::{Error, FieldProblem};
use crate::model::id::ConnectionId;
use crate::model::named::PROTOCOL;
use crate::model::secret::Secret;
use crate::model::verdict::FailureKind;
use crate::model::view::{EditConnection, NewConnection};

/// A new connection, as far as its name and what it says of itself are judged already.
pub(super) struct Begun {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) problems: Vec<FieldProblem>,
}

impl Connections {
    /// Makes a connection on a named credential. That its maker has no right to the principal is no wrong field: the test says
    /// so, and passes as soon as the right is given.
    pub(super) async fn create_by_name(
        &self,
        actor: &Actor,
        installed: &Installed,
        new: &NewConnection,
        named: &str,
        begun: Begun,
    ) -> Result<ConnectionId, Error> {
        let Begun { name, description, mut problems } = begun;
        for (field, given) in [
            ("protocol", new.protocol.as_ref().is_some_and(|given| given != PROTOCOL)),
            ("identity-provider", new.identity_provider.as_ref().is_some_and(|given| !given.is_empty())),
            ("tokens", new.tokens.is_some()),
        ] {
            if given {
                problems.push(FieldProblem::new(field, "comes from the named credential: leave it out"));
            }
        }
        let Endpoint { named_credential, url, vouched } = match self.credentials.endpoint(actor, named)? {
            Ok(endpoint) => endpoint,
            Err(words) => {
                problems.push(FieldProblem::new("named-credential", words));
                return Err(Error::Invalid { problems });
            }
        };
        let settings = fill(&installed.descriptor, &new.settings, &new.secrets, &mut problems);
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let now = self.outside.now();
        let connection = Connection {
            id: self.outside.connection_id(),
            version: 1,
            name,
            description,
            connector: installed.reference.clone(),
            protocol: PROTOCOL.to_owned(),
            settings,
            secrets: BTreeMap::new(),
            authentication: Authentication::default(),
            identity_provider: None,
            named_credential: Some(named_credential),
            vouched,
            once_used: false,
            complete: true,
            enabled: true,
            verdict: None,
            account: None,
            discovered: BTreeMap::new(),
            owner: actor.name().to_owned(),
            visibility: new.visibility,
            created_at: now,
            updated_at: now,
            credential_at: now,
        };
        self.store_new(actor, connection, vec![url], None).await
    }
}

/// What is asked besides the named credential.
pub(super) fn fill(
    descriptor: &Descriptor,
    settings: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
    problems: &mut Vec<FieldProblem>,
) -> BTreeMap<String, String> {
    let endpoint = descriptor.endpoint();
    let mut settings = settings.clone();
    if let Some(endpoint) = endpoint
        && settings.remove(endpoint).is_some_and(|given| !given.trim().is_empty())
    {
        problems.push(FieldProblem::new(endpoint, "comes from the named credential: leave it out"));
    }
    let asked = Descriptor {
        settings: (descriptor.settings.iter())
            .filter(|field| field.kind != FieldKind::Secret && Some(field.name.as_str()) != endpoint)
            .cloned()
            .collect(),
        protocols: Vec::new(),
        ..descriptor.clone()
    };
    let protocol = Protocol {
        name: PROTOCOL.into(),
        label: "Named credential".into(),
        help: None,
        sign_in: SignIn::None,
        fields: Vec::new(),
    };
    let known = form::Known { stored: &|_| false, provider: None };
    form::fill(&asked, &protocol, &settings, secrets, &known, problems).settings
}

/// Only what is said for people can be changed; all else is the named credential's.
pub(super) fn judge_edit(old: &Connection, named: &str, edit: &EditConnection) -> Result<(), Error> {
    let other = edit.protocol.as_ref().filter(|protocol| **protocol != old.protocol).map(|_| "protocol".to_owned());
    let fields = other.into_iter().chain(edit.settings.keys().cloned()).chain(edit.secrets.keys().cloned());
    let words = format!("comes from the named credential `{named}`: only name and description can be edited here");
    let problems: Vec<_> = fields.map(|field| FieldProblem::new(field, &words)).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid { problems }) }
}

pub(super) fn no_reconnect(named: &str) -> Error {
    Error::Refused {
        rule: "named-credential",
        message: format!("the connection has no credential of its own: it goes by the named credential `{named}`"),
        hint: Some(format!("sign in as the principal of that: turnbuckle setup named-credential show {named}")),
    }
}

/// What to do where a test failed for what is not the connection's own.
pub(super) fn hint(named: &str, kind: &FailureKind) -> Option<String> {
    match kind {
        FailureKind::Unauthorized
        | FailureKind::Expired
        | FailureKind::Revoked
        | FailureKind::UnknownRotation
        | FailureKind::InsufficientScope => {
            Some(format!("sign in anew as the principal of the named credential `{named}`"))
        }
        FailureKind::MisconfiguredClient | FailureKind::Misconfigured { field: None } => {
            Some(format!("set up the named credential `{named}`: turnbuckle setup named-credential show {named}"))
        }
        FailureKind::Misconfigured { field: Some(_) }
        | FailureKind::Forbidden
        | FailureKind::RateLimited { .. }
        | FailureKind::Unavailable
        | FailureKind::Timeout
        | FailureKind::Budget
        | FailureKind::ConnectorFault
        | FailureKind::Other => None,
    }
}

/// What the host itself says to an owner without the right.
pub(super) fn no_right() -> Option<String> {
    Some("ask whoever looks after this host for a permission set that opens its principal".into())
}
