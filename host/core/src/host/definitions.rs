//! What is set up, as one text: read out without secrets, and made so on another host.
//!
//! An import does nothing that its actor could not do by hand: each thing goes through the very call that makes or changes it,
//! with its permission, its judgement and its record of the audit. What is there already and agrees is left alone, so a second
//! run of the same text does nothing.

mod import;

use std::collections::BTreeMap;

use super::Host;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::error::Error;
use crate::model::named::PrincipalKind;
use crate::model::view::{
    AccountOf, ConnectionDefinition, ConnectionFilter, ConnectionView, ConnectorDefinition, ConnectorFilter,
    Definitions, ExternalCredentialDefinition, IdentityProviderDefinition, IdentityView, Import, ImportReport,
    NamedCredentialDefinition, PermissionSetDefinition, PrincipalDefinition, UserDefinition,
};
use import::Importing;

/// Another format has another name.
const FORMAT: &str = "turnbuckle-definitions-1";
const PAGE: usize = 200;

impl Host {
    /// Everything that is set up, as far as the actor may see it, without secrets.
    pub fn export_definitions(&self, actor: &Actor) -> Result<Definitions, Error> {
        self.call(actor, AuditAction::HostExport, "")?.need(Permission::ViewConnections)?;
        let mut definitions = Definitions { format: FORMAT.into(), ..Definitions::default() };
        for view in self.identity_providers(actor)? {
            definitions.identity_providers.push(IdentityProviderDefinition {
                name: view.name,
                label: Some(view.label),
                connector: view.connector.to_string(),
                protocol: view.protocol,
                client_id: view.client_id,
                secrets: view.has_secret.then(|| "client-secret".to_owned()).into_iter().collect(),
                settings: view.settings,
            });
        }
        if actor.may(Permission::ManageSetup) {
            self.export_setup(actor, &mut definitions)?;
        }
        // Where integrations are switched off, setup is all that there is.
        if self.inner.integrations {
            self.export_integrations(actor, &mut definitions)?;
        }
        let event =
            AuditEvent::new(self.inner.outside.now(), actor.name(), AuditAction::HostExport, AuditObject::host());
        self.inner.store.note(event);
        Ok(definitions)
    }

    fn export_integrations(&self, actor: &Actor, definitions: &mut Definitions) -> Result<(), Error> {
        for view in self.connectors(actor, &ConnectorFilter::default())? {
            for version in view.versions {
                let one = self.connector(actor, &format!("{}@{version}", view.installed.reference.name))?.installed;
                definitions.connectors.push(ConnectorDefinition {
                    name: one.reference.name.to_string(),
                    version: version.to_string(),
                    digest: Some(one.reference.digest.to_string()),
                    enabled: one.enabled,
                    featured: one.featured,
                });
            }
        }
        let mut filter = ConnectionFilter { limit: Some(PAGE), ..ConnectionFilter::default() };
        loop {
            let page = self.connections(actor, &filter)?;
            definitions.connections.extend(page.items.into_iter().map(connection));
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn export_setup(&self, actor: &Actor, definitions: &mut Definitions) -> Result<(), Error> {
        let externals = self.external_credentials(actor)?.into_iter();
        definitions.external_credentials.extend(externals.map(|view| ExternalCredentialDefinition {
            name: view.name,
            label: Some(view.label),
            protocol: view.protocol,
            secrets: view.secrets,
            settings: view.settings,
            headers: view.headers,
        }));
        for view in self.principals(actor)? {
            let shared = view.kind == PrincipalKind::Named;
            definitions.principals.push(PrincipalDefinition {
                name: view.name,
                label: Some(view.label),
                external_credential: view.external_credential,
                kind: view.kind,
                secrets: if shared { view.secrets } else { Vec::new() },
                settings: if shared { view.settings } else { BTreeMap::new() },
            });
        }
        let named = self.named_credentials(actor)?.into_iter();
        definitions.named_credentials.extend(named.map(|view| NamedCredentialDefinition {
            name: view.name,
            label: Some(view.label),
            url: view.url,
            external_credential: view.external_credential,
            enabled: view.enabled,
        }));
        let sets = self.permission_sets(actor)?.into_iter();
        definitions.permission_sets.extend(sets.map(|set| PermissionSetDefinition {
            name: set.name,
            label: Some(set.label),
            permissions: set.permissions,
            principals: set.principals,
        }));
        let users = self.users(actor)?.into_iter();
        definitions.users.extend(users.map(|view| UserDefinition {
            name: view.name,
            label: Some(view.label),
            enabled: view.enabled,
            permission_sets: view.permission_sets,
            identities: view.identities.into_iter().map(account).collect(),
        }));
        Ok(())
    }

    /// Makes what is not there and changes what differs; or, as a dry run, says what that would be. What stands in the way of one
    /// thing stops no other.
    pub async fn import_definitions(&self, actor: &Actor, import: Import) -> Result<ImportReport, Error> {
        self.call(actor, AuditAction::HostImport, "")?.need(Permission::ViewConnections)?;
        let Import { definitions, secrets, dry_run } = import;
        if definitions.format != FORMAT {
            return Err(Error::field("definitions.format", format!("must be `{FORMAT}`")));
        }
        let mut importing = Importing { host: self, actor, secrets, dry_run, rows: Vec::new() };
        importing.known_secrets(&definitions)?;
        for definition in definitions.connectors {
            importing.connector(definition).await;
        }
        for definition in definitions.identity_providers {
            importing.identity_provider(definition).await;
        }
        for definition in definitions.external_credentials {
            importing.external_credential(definition).await;
        }
        for definition in definitions.principals {
            importing.principal(definition).await;
        }
        for definition in definitions.named_credentials {
            importing.named_credential(definition).await;
        }
        for definition in definitions.permission_sets {
            importing.permission_set(definition).await;
        }
        for definition in definitions.users {
            importing.user(definition).await;
        }
        for definition in definitions.connections {
            importing.connection(definition).await;
        }
        Ok(ImportReport { dry_run, rows: importing.rows })
    }
}

/// By its subject, as soon as there is one.
fn account(bound: IdentityView) -> AccountOf {
    let IdentityView { issuer, subject, account, .. } = bound;
    let account = account.filter(|_| subject.is_none());
    AccountOf { issuer: Some(issuer), subject, account }
}

fn connection(view: ConnectionView) -> ConnectionDefinition {
    ConnectionDefinition {
        name: view.name,
        description: view.description,
        connector: view.connector.name.to_string(),
        connector_version: Some(view.connector.version.to_string()),
        protocol: view.named_credential.is_none().then_some(view.protocol),
        identity_provider: view.identity_provider,
        named_credential: view.named_credential,
        visibility: view.visibility,
        enabled: view.enabled,
        secrets: view.secrets,
        settings: view.settings,
    }
}
