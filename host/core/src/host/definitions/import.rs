//! One thing of an import after the other: compared with what is there, and made, changed or left alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::Host;
use crate::model::actor::{Actor, Permission};
use crate::model::connection::Visibility;
use crate::model::error::{Error, FieldProblem};
use crate::model::expected::Expected;
use crate::model::named::PrincipalKind;
use crate::model::origin::Origin;
use crate::model::secret::Secret;
use crate::model::view::{
    AccountOf, ConnectionDefinition, ConnectionView, ConnectorDefinition, Definitions, EditConnection,
    ExternalCredentialDefinition, IdentityProviderDefinition, IdentityView, ImportAction, ImportRow,
    NamedCredentialDefinition, NewConnection, PermissionSetDefinition, PrincipalDefinition, PutExternalCredential,
    PutIdentityProvider, PutNamedCredential, PutPermissionSet, PutPrincipal, PutUser, UserDefinition,
};

/// An import under way.
pub(super) struct Importing<'a> {
    pub(super) host: &'a Host,
    pub(super) actor: &'a Actor,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) dry_run: bool,
    pub(super) rows: Vec<ImportRow>,
}

/// One thing of it, before anything was done.
struct Thing {
    kind: &'static str,
    name: String,
    there: bool,
    fields: Vec<String>,
    /// Names of secrets without which it can't be made.
    needs: Vec<String>,
    permission: Permission,
}

impl Thing {
    /// Something that whoever looks after the host sets up.
    fn of_setup(kind: &'static str, name: &str, there: bool, fields: Vec<String>, needs: Vec<String>) -> Self {
        Self { kind, name: name.to_owned(), there, fields, needs, permission: Permission::ManageSetup }
    }
}

impl Importing<'_> {
    /// A secret that nothing in the text has a place for is a slip of the pen.
    pub(super) fn known_secrets(&self, definitions: &Definitions) -> Result<(), Error> {
        let of = |kind: &str, name: &str, secrets: &[String]| {
            secrets.iter().map(|field| format!("{kind}/{name}/{field}")).collect::<Vec<_>>()
        };
        let mut known = Vec::new();
        known.extend(definitions.identity_providers.iter().flat_map(|d| of("identity-provider", &d.name, &d.secrets)));
        known.extend(
            definitions.external_credentials.iter().flat_map(|d| of("external-credential", &d.name, &d.secrets)),
        );
        known.extend(definitions.principals.iter().flat_map(|d| of("principal", &d.name, &d.secrets)));
        known.extend(definitions.connections.iter().flat_map(|d| of("connection", &d.name, &d.secrets)));
        let unknown = self.secrets.keys().filter(|given| !known.contains(given));
        let words =
            "nothing in these definitions has such a secret; write kind/name/field, such as connection/Orders/token";
        let problems: Vec<_> = unknown.map(|given| FieldProblem::new(given, words)).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid { problems }) }
    }

    /// Of the secrets that one thing has and that are not stored: those that were given, and the names of those that were not.
    fn secrets_of(
        &self,
        kind: &str,
        name: &str,
        fields: &[String],
        stored: &[String],
    ) -> (BTreeMap<String, Secret>, Vec<String>) {
        let (mut given, mut needs) = (BTreeMap::new(), Vec::new());
        for field in fields.iter().filter(|field| !stored.contains(field)) {
            match self.secrets.get(&format!("{kind}/{name}/{field}")).filter(|secret| !secret.is_empty()) {
                Some(secret) => drop(given.insert(field.clone(), secret.clone())),
                None => needs.push(field.clone()),
            }
        }
        (given, needs)
    }

    /// Decides what is to be done, does it unless only asked, and puts it down.
    async fn settle(&mut self, thing: Thing, doing: impl Future<Output = Result<(), Error>>) {
        let Thing { kind, name, there, fields, needs, permission } = thing;
        let secrets = || {
            let each = needs.iter().map(|field| format!("--secret '{kind}/{name}/{field}=@FILE'"));
            format!("give its secrets: {}", each.collect::<Vec<_>>().join(" "))
        };
        let (action, why) = match (there, fields.is_empty()) {
            (true, true) => (ImportAction::Keep, (!needs.is_empty()).then(secrets)),
            _ if !self.actor.may(permission) => {
                (ImportAction::Blocked, Some(Error::Forbidden { permission }.to_string()))
            }
            (false, _) if !needs.is_empty() => (ImportAction::Blocked, Some(secrets())),
            (there, _) => {
                let action = if there { ImportAction::Change } else { ImportAction::Create };
                let done = if self.dry_run { Ok(()) } else { doing.await };
                match done {
                    Ok(()) => (action, None),
                    Err(error) => (ImportAction::Blocked, Some(told(&error))),
                }
            }
        };
        self.rows.push(ImportRow { kind: kind.into(), name, action, fields, why });
    }

    /// What this stands on, where it is neither there nor made by this import. Where it is there, `name` becomes what it is
    /// called: whoever writes a name in another case says nothing new.
    fn lacks(&self, kind: &str, name: &mut String, found: Result<String, Error>) -> Option<String> {
        let same = |other: &str| other.to_lowercase() == name.to_lowercase();
        let made = |row: &ImportRow| row.kind == kind && same(&row.name) && row.action != ImportAction::Blocked;
        match found {
            Err(Error::NotFound { .. }) if !self.rows.iter().any(made) => {
                Some(format!("it stands on the {} `{name}`, which is not there", kind.replace('-', " ")))
            }
            Err(_) => None,
            Ok(found) => {
                *name = found;
                None
            }
        }
    }

    /// The same of several.
    fn lacks_any(
        &self,
        kind: &str,
        names: &mut BTreeSet<String>,
        find: impl Fn(&str) -> Result<String, Error>,
    ) -> Option<String> {
        let mut given: Vec<_> = std::mem::take(names).into_iter().collect();
        let lacking = given.iter_mut().find_map(|name| self.lacks(kind, name, find(name)));
        names.extend(given);
        lacking
    }

    fn blocked(&mut self, kind: &str, name: String, why: String) {
        self.rows.push(ImportRow {
            kind: kind.into(),
            name,
            action: ImportAction::Blocked,
            fields: Vec::new(),
            why: Some(why),
        });
    }

    pub(super) async fn connector(&mut self, new: ConnectorDefinition) {
        let (host, actor) = (self.host, self.actor);
        let name = format!("{}@{}", new.name, new.version);
        let old = match host.connector(actor, &name) {
            Ok(view) => view.installed,
            Err(Error::NotFound { .. }) => {
                return self.blocked("connector", name, "install it first: turnbuckle connector install FILE".into());
            }
            Err(error) => return self.blocked("connector", name, told(&error)),
        };
        if new.digest.is_some_and(|digest| digest != old.reference.digest.to_string()) {
            return self.blocked("connector", name, "another component of this version is installed".into());
        }
        let fields = differing([("enabled", old.enabled != new.enabled), ("featured", old.featured != new.featured)]);
        let thing = Thing {
            kind: "connector",
            name: name.clone(),
            there: true,
            fields,
            needs: Vec::new(),
            permission: Permission::ManageConnectors,
        };
        let doing = async {
            if old.enabled != new.enabled {
                host.enable_connector(actor, &name, new.enabled).await?;
            }
            if old.featured != new.featured {
                host.feature_connector(actor, &name, new.featured).await?;
            }
            Ok(())
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn identity_provider(&mut self, new: IdentityProviderDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.identity_provider(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("identity-provider", new.name, told(&error)),
        };
        let mut fields = old.as_ref().map_or_else(Vec::new, |old| {
            differing([
                ("label", new.label.as_ref().is_some_and(|label| *label != old.label)),
                ("connector", new.connector != old.connector.as_str()),
                ("protocol", new.protocol != old.protocol),
                ("client-id", new.client_id.trim() != old.client_id),
                ("settings", differ(&new.settings, &old.settings)),
            ])
        });
        let stored: Vec<_> = old.iter().filter(|old| old.has_secret).map(|_| "client-secret".to_owned()).collect();
        let (mut secrets, needs) = self.secrets_of("identity-provider", &new.name, &new.secrets, &stored);
        fields.extend(given_anew(old.is_some(), &secrets));
        let thing = Thing::of_setup("identity-provider", &new.name, old.is_some(), fields, needs);
        let doing = async move {
            let put = PutIdentityProvider {
                label: new.label,
                connector: new.connector,
                protocol: new.protocol,
                client_id: new.client_id,
                client_secret: secrets.remove("client-secret"),
                settings: new.settings,
                expected: Expected::Any,
            };
            host.put_identity_provider(actor, &new.name, put).await.map(drop)
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn external_credential(&mut self, new: ExternalCredentialDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.external_credential(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("external-credential", new.name, told(&error)),
        };
        let mut fields = old.as_ref().map_or_else(Vec::new, |old| {
            differing([
                ("label", new.label.as_ref().is_some_and(|label| *label != old.label)),
                ("protocol", new.protocol != old.protocol),
                ("settings", differ(&new.settings, &old.settings)),
                ("headers", new.headers != old.headers),
            ])
        });
        let stored = old.as_ref().map_or(&[][..], |old| &old.secrets);
        let (secrets, needs) = self.secrets_of("external-credential", &new.name, &new.secrets, stored);
        fields.extend(given_anew(old.is_some(), &secrets));
        let thing = Thing::of_setup("external-credential", &new.name, old.is_some(), fields, needs);
        let doing = async move {
            let put = PutExternalCredential {
                label: new.label,
                protocol: Some(new.protocol),
                settings: new.settings,
                headers: Some(new.headers),
                secrets,
                expected: Expected::Any,
            };
            host.put_external_credential(actor, &new.name, put).await.map(drop)
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn principal(&mut self, mut new: PrincipalDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.principal(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("principal", new.name, told(&error)),
        };
        let external = &mut new.external_credential;
        let found = host.external_credential(actor, external).map(|view| view.name);
        if let Some(why) = self.lacks("external-credential", external, found) {
            return self.blocked("principal", new.name, why);
        }
        let shared = new.kind == PrincipalKind::Named;
        let mut fields = old.as_ref().map_or_else(Vec::new, |old| {
            differing([
                ("label", new.label.as_ref().is_some_and(|label| *label != old.label)),
                ("external-credential", new.external_credential != old.external_credential),
                ("kind", new.kind != old.kind),
                ("settings", shared && differ(&new.settings, &old.settings)),
            ])
        });
        let stored = old.as_ref().map_or(&[][..], |old| &old.secrets);
        let (secrets, needs) = self.secrets_of("principal", &new.name, &new.secrets, stored);
        fields.extend(given_anew(old.is_some(), &secrets));
        let thing = Thing::of_setup("principal", &new.name, old.is_some(), fields, needs);
        let doing = async move {
            let put = PutPrincipal {
                label: new.label,
                external_credential: Some(new.external_credential),
                kind: Some(new.kind),
                settings: new.settings,
                secrets,
                expected: Expected::Any,
            };
            host.put_principal(actor, &new.name, put).await.map(drop)
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn named_credential(&mut self, mut new: NamedCredentialDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.named_credential(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("named-credential", new.name, told(&error)),
        };
        let external = &mut new.external_credential;
        let found = host.external_credential(actor, external).map(|view| view.name);
        if let Some(why) = self.lacks("external-credential", external, found) {
            return self.blocked("named-credential", new.name, why);
        }
        let fields = old.as_ref().map_or_else(Vec::new, |old| {
            differing([
                ("label", new.label.as_ref().is_some_and(|label| *label != old.label)),
                ("url", !same(&new.url, &old.url)),
                ("external-credential", new.external_credential != old.external_credential),
                ("enabled", new.enabled != old.enabled),
            ])
        });
        let thing = Thing::of_setup("named-credential", &new.name, old.is_some(), fields, Vec::new());
        let doing = async move {
            let put = PutNamedCredential {
                label: new.label,
                url: Some(new.url),
                external_credential: Some(new.external_credential),
                enabled: Some(new.enabled),
                ..PutNamedCredential::default()
            };
            host.put_named_credential(actor, &new.name, put).await.map(drop)
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn permission_set(&mut self, mut new: PermissionSetDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.permission_set(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("permission-set", new.name, told(&error)),
        };
        let find = |name: &str| host.principal(actor, name).map(|view| view.name);
        if let Some(why) = self.lacks_any("principal", &mut new.principals, find) {
            return self.blocked("permission-set", new.name, why);
        }
        let fields = old.as_ref().map_or_else(Vec::new, |old| {
            differing([
                ("label", new.label.as_ref().is_some_and(|label| *label != old.label)),
                ("permissions", new.permissions != old.permissions),
                ("principals", new.principals != old.principals),
            ])
        });
        let thing = Thing::of_setup("permission-set", &new.name, old.is_some(), fields, Vec::new());
        let doing = async move {
            let put = PutPermissionSet {
                label: new.label,
                permissions: Some(new.permissions),
                principals: Some(new.principals),
                expected: Expected::Any,
            };
            host.put_permission_set(actor, &new.name, put).await.map(drop)
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn user(&mut self, mut new: UserDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.user(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("user", new.name, told(&error)),
        };
        let find = |name: &str| host.permission_set(actor, name).map(|view| view.name);
        if let Some(why) = self.lacks_any("permission-set", &mut new.permission_sets, find) {
            return self.blocked("user", new.name, why);
        }
        let mut missing = new.identities;
        missing.retain(|account| !old.iter().flat_map(|old| &old.identities).any(|bound| is(account, bound)));
        let fields = old.as_ref().map_or_else(Vec::new, |old| {
            differing([
                ("label", new.label.as_ref().is_some_and(|label| *label != old.label)),
                ("enabled", new.enabled != old.enabled),
                ("permission-sets", new.permission_sets != old.permission_sets),
                ("identities", !missing.is_empty()),
            ])
        });
        let thing = Thing::of_setup("user", &new.name, old.is_some(), fields, Vec::new());
        let doing = async move {
            let put = PutUser {
                label: new.label,
                permission_sets: Some(new.permission_sets),
                enabled: Some(new.enabled),
                expected: Expected::Any,
            };
            host.put_user(actor, &new.name, put).await?;
            for account in missing {
                host.bind_account(actor, &new.name, account).await?;
            }
            Ok(())
        };
        self.settle(thing, doing).await;
    }

    pub(super) async fn connection(&mut self, mut new: ConnectionDefinition) {
        let (host, actor) = (self.host, self.actor);
        let old = match there(host.connection(actor, &new.name)) {
            Ok(old) => old,
            Err(error) => return self.blocked("connection", new.name, told(&error)),
        };
        let stored = old.as_ref().map_or(&[][..], |old| &old.secrets);
        let (secrets, needs) = self.secrets_of("connection", &new.name, &new.secrets, stored);
        let anew = given_anew(old.is_some(), &secrets);
        let name = new.name.clone();
        let thing = |there, fields| Thing {
            kind: "connection",
            name: name.clone(),
            there,
            fields,
            needs,
            permission: Permission::ManageConnections,
        };
        let connector = host.connector(actor, &new.connector).map(|_there| new.connector.clone());
        let find_named = |name: &str| host.named_credential(actor, name).map(|view| view.name);
        let find_provider = |name: &str| host.identity_provider(actor, name).map(|view| view.name);
        let (named, provider) = (new.named_credential.as_mut(), new.identity_provider.as_mut());
        let lacking = [
            self.lacks("connector", &mut new.connector, connector),
            named.and_then(|name| self.lacks("named-credential", name, find_named(name))),
            provider.and_then(|name| self.lacks("identity-provider", name, find_provider(name))),
        ];
        if let Some(why) = lacking.into_iter().flatten().next() {
            return self.blocked("connection", new.name, why);
        }
        let named = new.named_credential.as_deref();
        let unfit = named.filter(|_| old.is_none()).and_then(|name| host.named_credential(actor, name).ok()?.problem);
        if let Some(why) = unfit {
            return self.blocked("connection", new.name, why);
        }
        let Some(old) = old else {
            return self.settle(thing(false, Vec::new()), made(host, actor, new, secrets)).await;
        };
        let provider = new.identity_provider.is_some() && new.identity_provider != old.identity_provider;
        if provider || new.connector != old.connector.name.as_str() || new.named_credential != old.named_credential {
            let why = "it is made with another connector, named credential or identity provider, and those stay: delete it first";
            return self.blocked("connection", new.name, why.into());
        }
        let mut fields = differing([
            ("description", new.description != old.description),
            ("protocol", new.protocol.as_ref().is_some_and(|protocol| *protocol != old.protocol)),
            ("visibility", new.visibility != old.visibility),
            ("settings", differ(&new.settings, &old.settings)),
        ]);
        fields.extend(anew);
        let edits = !fields.is_empty();
        fields.extend(differing([("enabled", new.enabled != old.enabled)]));
        let pinned = old.connector.version.to_string();
        let apart = new.connector_version.clone().filter(|version| *version != pinned);
        let doing = changed(host, actor, (new, old), secrets, edits);
        self.settle(thing(true, fields), doing).await;
        // Another version may ask for more: that is looked at, and accepted, by an upgrade.
        if let (Some(version), Some(row)) = (apart, self.rows.last_mut()) {
            row.why.get_or_insert(format!(
                "it is at version {pinned} of its connector rather than {version}: see turnbuckle connector upgrade"
            ));
        }
    }
}

async fn made(
    host: &Host,
    actor: &Actor,
    new: ConnectionDefinition,
    secrets: BTreeMap<String, Secret>,
) -> Result<(), Error> {
    let version = new.connector_version.map(|version| version.parse()).transpose();
    let version = version.map_err(|error| Error::field("connector-version", format!("{error}")))?;
    let view = host
        .create_connection(
            actor,
            NewConnection {
                name: new.name,
                description: new.description,
                connector: new.connector,
                connector_version: version,
                protocol: new.protocol,
                settings: new.settings,
                secrets,
                identity_provider: new.identity_provider,
                named_credential: new.named_credential,
                tokens: None,
                visibility: new.visibility,
            },
        )
        .await?;
    if !new.enabled {
        host.enable_connection(actor, &view.id.to_string(), false).await?;
    }
    Ok(())
}

async fn changed(
    host: &Host,
    actor: &Actor,
    (new, old): (ConnectionDefinition, ConnectionView),
    secrets: BTreeMap<String, Secret>,
    edits: bool,
) -> Result<(), Error> {
    let key = old.id.to_string();
    if edits {
        let visibility: Option<Visibility> = (new.visibility != old.visibility).then_some(new.visibility);
        let edit = EditConnection {
            version: old.version,
            name: None,
            description: Some(new.description),
            protocol: new.protocol,
            settings: match differ(&new.settings, &old.settings) {
                true => new.settings,
                false => BTreeMap::new(),
            },
            secrets,
            visibility,
        };
        host.edit_connection(actor, &key, edit).await?;
    }
    if new.enabled != old.enabled {
        host.enable_connection(actor, &key, new.enabled).await?;
    }
    Ok(())
}

/// What is there; nothing where it is not.
fn there<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

fn differing<const N: usize>(fields: [(&str, bool); N]) -> Vec<String> {
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

/// Whether anything that the text says is not so. What it leaves out stays, defaults above all; a blank value is to go.
fn differ(new: &BTreeMap<String, String>, old: &BTreeMap<String, String>) -> bool {
    new.iter().any(|(name, value)| !same(value, old.get(name).map_or("", String::as_str)))
}

/// Whether a text would be kept as what is there: without space around it, and an origin in its normal form.
fn same(new: &str, old: &str) -> bool {
    let origin = |text: &str| text.parse::<Origin>().ok();
    let new = new.trim();
    new == old || origin(new).is_some_and(|new| origin(old) == Some(new))
}

/// Whether an account of the text is this one, which may have got its subject since.
fn is(account: &AccountOf, bound: &IdentityView) -> bool {
    let name = |name: &Option<String>| name.as_deref().map(str::to_lowercase);
    let same = match &account.subject {
        Some(subject) => Some(subject) == bound.subject.as_ref(),
        None => account.account.is_some() && name(&account.account) == name(&bound.account),
    };
    same && account.issuer.as_ref().is_none_or(|issuer| *issuer == bound.issuer)
}

/// A secret that is given for what lacks it is a difference.
fn given_anew(there: bool, secrets: &BTreeMap<String, Secret>) -> Option<String> {
    (there && !secrets.is_empty()).then(|| "secrets".to_owned())
}

/// All that an error says, in one line.
fn told(error: &Error) -> String {
    match error {
        Error::Invalid { problems } => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        other => match other.hint() {
            Some(hint) => format!("{other} ({hint})"),
            None => other.to_string(),
        },
    }
}
