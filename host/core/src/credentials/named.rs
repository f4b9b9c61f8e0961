//! External credentials, principals and named credentials: set up, looked at and removed.
//!
//! All that one call sets up is judged and written in one job, so three objects made together are there together or not at
//! all, and nobody sees one without what it stands on.

mod holder;
mod remove;
mod states;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::seal::Shelf;
use super::{Credentials, native};
use crate::egress;
use crate::model::actor::{Actor, Permission};
use crate::model::audit::{AuditAction, AuditEvent, AuditObject};
use crate::model::descriptor::{Descriptor, Field, FieldKind, Lifecycle, Protocol, SignIn};
use crate::model::error::{Error, FieldProblem};
use crate::model::form::{self, Filled, Known};
use crate::model::named::{ExternalCredential, NamedCredential, Principal, PrincipalKind};
use crate::model::origin::Origin;
use crate::model::secret::Secret;
use crate::model::user;
use crate::model::view::{
    CredentialProtocol, ExternalCredentialView, NamedCredentialView, PrincipalView, PutCredential,
    PutExternalCredential, PutNamedCredential, PutPrincipal,
};
use crate::store::{Reader, StoreError, Writer};

pub(super) use holder::{is_holder, provider};
pub(crate) use states::{Endpoint, Footing, Hindrance};

const LABEL: usize = 80;

impl Credentials {
    /// Adds an external credential, or changes it.
    pub(crate) async fn put_external(
        &self,
        actor: &Actor,
        name: &str,
        put: PutExternalCredential,
    ) -> Result<ExternalCredentialView, Error> {
        let (credentials, actor, name) = (self.clone(), actor.clone(), name.to_owned());
        self.store
            .write(move |writer| {
                let external = credentials.set_external(writer, &actor, &name, put)?;
                external_view(writer, external)
            })
            .await
    }

    /// Adds a principal, or changes it; what it can obtain without a person is obtained at once, where it is not there yet.
    pub(crate) async fn put_principal(
        &self,
        actor: &Actor,
        name: &str,
        put: PutPrincipal,
    ) -> Result<PrincipalView, Error> {
        let (credentials, who, given) = (self.clone(), actor.clone(), name.to_owned());
        let principal = self.store.write(move |writer| credentials.set_principal(writer, &who, &given, put)).await?;
        if principal.kind == PrincipalKind::Named {
            self.obtain_lacking(actor, &principal).await?;
        }
        self.principal(actor, &principal.name)
    }

    /// Adds a named credential, or changes it; with what it stands on, where that is given.
    pub(crate) async fn put_named(
        &self,
        actor: &Actor,
        name: &str,
        put: PutNamedCredential,
    ) -> Result<NamedCredentialView, Error> {
        let (credentials, who, given) = (self.clone(), actor.clone(), name.to_owned());
        let (named, principal) = self
            .store
            .write(move |writer| {
                let principal = match &put.credential {
                    Some(_) => Some(credentials.set_credential(writer, &who, &given, &put)?),
                    None => None,
                };
                Ok::<_, Error>((credentials.set_named(writer, &who, &given, put)?, principal))
            })
            .await?;
        if let Some(principal) = principal.filter(|principal| principal.kind == PrincipalKind::Named) {
            self.obtain_lacking(actor, &principal).await?;
        }
        self.named(actor, &named.name)
    }

    fn set_external(
        &self,
        writer: &mut Writer<'_>,
        actor: &Actor,
        given: &str,
        put: PutExternalCredential,
    ) -> Result<ExternalCredential, Error> {
        let mut problems = Vec::new();
        let name = named(given, &mut problems);
        label(put.label.as_deref(), &mut problems);
        let old = writer.external_credential(&name)?;
        if problems.is_empty() {
            put.expected.met("external credential", &name, old.as_ref().map(|old| old.version))?;
        }
        let protocol = match (put.protocol, &old) {
            (Some(given), Some(old)) if given != old.protocol => {
                let words = format!("`{name}` signs in by `{}`; set up another one for `{given}`", old.protocol);
                Err(FieldProblem::new("protocol", words))
            }
            (Some(given), _) => native::protocol(&given),
            (None, Some(old)) => native::protocol(&old.protocol),
            (None, None) => Err(FieldProblem::new("protocol", "is required")),
        };
        let protocol = match protocol {
            Ok(protocol) => protocol,
            Err(problem) => {
                problems.push(problem);
                return Err(Error::Invalid { problems });
            }
        };
        let mut settings = old.as_ref().map(|old| old.settings.clone()).unwrap_or_default();
        settings.extend(put.settings);
        let stored = |name: &str| old.as_ref().is_some_and(|old| old.secrets.contains_key(name));
        let given = (settings, &put.secrets);
        let filled = fill("An external credential", &protocol, &protocol.settings, given, &stored, &mut problems);
        let headers = put.headers.or_else(|| old.as_ref().map(|old| old.headers.clone())).unwrap_or_default();
        native::judge(&protocol, &filled.settings, &headers, &mut problems);
        let client_secret = filled.secrets.contains_key("client-secret") || stored("client-secret");
        let proves = filled.settings.get("client-authentication").is_some_and(|way| way != "none");
        if protocol.sign_in == SignIn::Browser && proves && !client_secret {
            let words = "is required, unless `client-authentication` is `none`";
            problems.push(FieldProblem::new("client-secret", words));
        }
        if problems.is_empty() {
            judge_plan(&protocol, &filled.settings, &headers, &mut problems);
        }
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        if let Some(old) = &old {
            stays_where_it_was(writer, old, &filled)?;
        }
        let mut fields: Vec<_> = filled.settings.keys().chain(filled.secrets.keys()).cloned().collect();
        fields.extend(headers.iter().map(|header| header.name.clone()));
        let mut secrets = old.as_ref().map(|old| old.secrets.clone()).unwrap_or_default();
        let known = self.unseal_from(Shelf::ExternalCredentials, &name, &secrets)?;
        let fresh = holder::unlike(filled.secrets, &known);
        secrets.extend(self.seal_on(Shelf::ExternalCredentials, &name, &fresh));
        let external = ExternalCredential {
            label: put.label.or(old.as_ref().map(|old| old.label.clone())).unwrap_or_else(|| name.clone()),
            name,
            protocol: protocol.name,
            settings: filled.settings,
            headers,
            secrets,
            addresses: old.as_ref().map(|old| old.addresses.clone()).unwrap_or_default(),
            version: writer.next_version()?,
            owner: actor.name().to_owned(),
            updated_at: self.outside.now(),
        };
        if let Some(old) = old {
            let same = old.settings == external.settings && old.headers == external.headers;
            if !same || old.secrets != external.secrets {
                self.forget_obtained(writer, &external.name)?;
            }
        }
        writer.put_external_credential(&external)?;
        let event = self.done(actor, AuditAction::ExternalCredentialPut, &external.name).with_fields(fields);
        writer.audit(&AuditEvent { origins: native::origins(&external.settings), ..event })?;
        Ok(external)
    }

    /// What was obtained in another way, or for another client, is of no use any more.
    fn forget_obtained(&self, writer: &mut Writer<'_>, external: &str) -> Result<(), Error> {
        for principal in writer.principals_of(external)? {
            for holder in writer.holders_of(&principal.name)? {
                let secrets = self.unseal(holder.id, &holder.secrets)?;
                self.put_anew(writer, holder, &secrets)?;
            }
        }
        Ok(())
    }

    fn set_principal(
        &self,
        writer: &mut Writer<'_>,
        actor: &Actor,
        given: &str,
        put: PutPrincipal,
    ) -> Result<Principal, Error> {
        let mut problems = Vec::new();
        let name = named(given, &mut problems);
        label(put.label.as_deref(), &mut problems);
        let old = writer.principal(&name)?;
        if problems.is_empty() {
            put.expected.met("principal", &name, old.as_ref().map(|old| old.version))?;
        }
        let wanted = put.external_credential.as_deref().map(|given| given.trim().to_lowercase());
        let external = match (&old, wanted) {
            (Some(old), Some(wanted)) if wanted != old.external_credential => {
                let words = format!("`{name}` signs in to `{}`; set up another principal", old.external_credential);
                problems.push(FieldProblem::new("external-credential", words));
                old.external_credential.clone()
            }
            (Some(old), _) => old.external_credential.clone(),
            (None, wanted) => wanted.unwrap_or_else(|| name.clone()),
        };
        let kind = put.kind.or(old.as_ref().map(|old| old.kind)).unwrap_or_default();
        if old.as_ref().is_some_and(|old| old.kind != kind) {
            problems.push(FieldProblem::new("kind", format!("`{name}` is another; set up another principal")));
        }
        let gives = !put.settings.is_empty() || !put.secrets.is_empty();
        if kind == PrincipalKind::PerUser && gives {
            let field = put.settings.keys().chain(put.secrets.keys()).next().map_or("settings", String::as_str);
            problems.push(FieldProblem::new(field, "each user gives an own one, by authorizing the principal"));
        }
        let Some(external) = writer.external_credential(&external)? else {
            problems.push(FieldProblem::new(
                "external-credential",
                format!("there is no external credential `{external}`"),
            ));
            return Err(Error::Invalid { problems });
        };
        if old.is_none() && !writer.principals_of(&external.name)?.is_empty() && goes_by(writer, &external.name)? {
            let words = format!("connections go by `{}`, which takes exactly one principal then", external.name);
            problems.push(FieldProblem::new("external-credential", words));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        let principal = Principal {
            label: put.label.or(old.map(|old| old.label)).unwrap_or_else(|| name.clone()),
            name,
            external_credential: external.name.clone(),
            kind,
            version: writer.next_version()?,
            owner: actor.name().to_owned(),
            updated_at: self.outside.now(),
        };
        writer.put_principal(&principal)?;
        let mut fields = Vec::new();
        if kind == PrincipalKind::Named {
            fields = self.set_holder(writer, &external, &principal, None, (put.settings, &put.secrets))?.1;
        }
        let event = self.done(actor, AuditAction::PrincipalPut, &principal.name);
        writer.audit(&event.with_fields(fields))?;
        Ok(principal)
    }

    /// The external credential and the principal that a named credential is made with.
    fn set_credential(
        &self,
        writer: &mut Writer<'_>,
        actor: &Actor,
        name: &str,
        put: &PutNamedCredential,
    ) -> Result<Principal, Error> {
        let PutCredential { protocol, kind, headers, settings, secrets } = put.credential.clone().unwrap_or_default();
        let own = user::name(name).unwrap_or_default();
        if put.external_credential.as_ref().is_some_and(|given| given.trim().to_lowercase() != own) {
            let words = "is made with the named credential, by the same name: leave it out, or leave `credential` out";
            return Err(Error::field("external-credential", words));
        }
        // Each field goes to where it belongs; one that belongs nowhere is named with the nearest that does.
        let old = writer.external_credential(&own)?;
        let meant = protocol.clone().or(old.map(|old| old.protocol));
        let known = meant.as_deref().map(native::protocol).transpose();
        let known = known.map_err(|problem| Error::Invalid { problems: vec![problem] })?;
        // Of custom headers everything is the principal's: their templates say what there is.
        let shared = |name: &str| {
            let nearest = |fields: &[Field]| {
                fields.iter().map(|field| strsim::damerau_levenshtein(name, &field.name)).min().unwrap_or(usize::MAX)
            };
            known.as_ref().is_some_and(|known| nearest(&known.settings) < nearest(&known.parameters))
        };
        let (outer, inner) = settings.into_iter().partition::<BTreeMap<_, _>, _>(|(name, _)| shared(name));
        let (outer_secrets, inner_secrets) =
            secrets.into_iter().partition::<BTreeMap<_, _>, _>(|(name, _)| shared(name));
        let external = PutExternalCredential {
            label: put.label.clone(),
            protocol,
            settings: outer,
            headers,
            secrets: outer_secrets,
            expected: put.expected.along(),
        };
        self.set_external(writer, actor, name, external)?;
        let principal = PutPrincipal {
            label: put.label.clone(),
            external_credential: None,
            kind,
            settings: inner,
            secrets: inner_secrets,
            expected: put.expected.along(),
        };
        self.set_principal(writer, actor, name, principal)
    }

    fn set_named(
        &self,
        writer: &mut Writer<'_>,
        actor: &Actor,
        given: &str,
        put: PutNamedCredential,
    ) -> Result<NamedCredential, Error> {
        let mut problems = Vec::new();
        let name = named(given, &mut problems);
        label(put.label.as_deref(), &mut problems);
        let old = writer.named_credential(&name)?;
        if problems.is_empty() {
            put.expected.met("named credential", &name, old.as_ref().map(|old| old.version))?;
        }
        let url = match (put.url.as_deref().map(str::trim).filter(|url| !url.is_empty()), &old) {
            (Some(url), _) => match url.parse::<Origin>() {
                Ok(origin) => origin.to_string(),
                Err(error) => {
                    problems.push(FieldProblem::new("url", format!("{error}; write https://<domain>")));
                    String::new()
                }
            },
            (None, Some(old)) => old.url.clone(),
            (None, None) => {
                problems.push(FieldProblem::new("url", "is required; write https://<domain>"));
                String::new()
            }
        };
        let wanted = put.external_credential.map(|given| given.trim().to_lowercase());
        let external =
            wanted.or(old.as_ref().map(|old| old.external_credential.clone())).unwrap_or_else(|| name.clone());
        if writer.external_credential(&external)?.is_none() {
            let words = format!("there is no external credential `{external}`");
            problems.push(FieldProblem::new("external-credential", words));
        }
        if !problems.is_empty() {
            return Err(Error::Invalid { problems });
        }
        // Addresses that it was accepted for stay with what it holds: a named credential that is removed takes none along.
        let stands_on = writer.external_credential(&external)?;
        let mut stands_on = stands_on.ok_or_else(|| Error::not_found("external credential", &external))?;
        let known = stands_on.addresses.contains(&url) || stands_on.addresses.is_empty();
        if !known && !put.accept && self.holds(writer, &external)? {
            let before: Vec<_> = stands_on.addresses.into_iter().collect();
            let before = before.join(", ");
            return Err(Error::Refused {
                rule: "address-changed",
                message: format!("what `{external}` holds was given for {before}, and would be sent to {url} by this"),
                hint: Some("if that is right, do it again with --accept".into()),
            });
        }
        if stands_on.addresses.insert(url.clone()) {
            writer.put_external_credential(&stands_on)?;
        }
        let named = NamedCredential {
            label: put.label.or(old.as_ref().map(|old| old.label.clone())).unwrap_or_else(|| name.clone()),
            name,
            url,
            external_credential: external,
            enabled: put.enabled.or(old.map(|old| old.enabled)).unwrap_or(true),
            version: writer.next_version()?,
            owner: actor.name().to_owned(),
            updated_at: self.outside.now(),
        };
        writer.put_named_credential(&named)?;
        let event = self.done(actor, AuditAction::NamedCredentialPut, &named.name);
        writer.audit(&AuditEvent { origins: vec![named.url.clone()], ..event })?;
        Ok(named)
    }

    /// Whether anything is stored that somebody signs in with.
    fn holds(&self, reader: &Reader<'_>, external: &str) -> Result<bool, StoreError> {
        for principal in reader.principals_of(external)? {
            for holder in reader.holders_of(&principal.name)? {
                if !holder.secrets.is_empty() || reader.credential(holder.id)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What the audit is told of a change.
    fn done(&self, actor: &Actor, action: AuditAction, name: &str) -> AuditEvent {
        AuditEvent::new(self.outside.now(), actor.name(), action, AuditObject::named(action.kind(), name))
    }
}

/// Looked at.
impl Credentials {
    /// External credentials, by name.
    pub(crate) fn externals(&self) -> Result<Vec<ExternalCredentialView>, Error> {
        self.store.read(|reader| {
            let all = reader.external_credentials()?.into_iter();
            Ok::<_, StoreError>(all.map(|external| external_view(reader, external)).collect())
        })?
    }

    /// One of them.
    pub(crate) fn external(&self, name: &str) -> Result<ExternalCredentialView, Error> {
        let missing = || Error::not_found("external credential", name);
        let key = user::name(name).map_err(|_no_name_of_any| missing())?;
        let found = self.store.read(|reader| {
            let found = reader.external_credential(&key)?;
            Ok::<_, StoreError>(found.map(|external| external_view(reader, external)))
        })?;
        found.ok_or_else(missing)?
    }
}

/// Whether any connection goes by an external credential.
fn goes_by(reader: &Reader<'_>, external: &str) -> Result<bool, StoreError> {
    for named in reader.named_credentials()? {
        if named.external_credential == external && !reader.connections_by_named(&named.name, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stored secrets were given for the places that they go to now.
fn stays_where_it_was(reader: &Reader<'_>, old: &ExternalCredential, filled: &Filled) -> Result<(), Error> {
    let (before, after) = (native::origins(&old.settings), native::origins(&filled.settings));
    let Some(new) = after.iter().find(|origin| !before.contains(origin)) else { return Ok(()) };
    let kept: Vec<_> = old.secrets.keys().filter(|name| !filled.secrets.contains_key(*name)).collect();
    if !kept.is_empty() {
        let words = format!("give it again: it was given for another address, and would be sent to {new} now");
        return Err(Error::Invalid {
            problems: kept.into_iter().map(|name| FieldProblem::new(name, &words)).collect(),
        });
    }
    for principal in reader.principals_of(&old.name)? {
        if reader.holders_of(&principal.name)?.iter().any(|holder| !holder.secrets.is_empty()) {
            return Err(Error::Refused {
                rule: "address-changed",
                message: format!("what the principal `{}` holds would be sent to {new} now", principal.name),
                hint: Some("set up another external credential, with principals of its own".into()),
            });
        }
    }
    Ok(())
}

/// The plan is the host's own; the headers in it are the operator's.
fn judge_plan(
    protocol: &CredentialProtocol,
    settings: &BTreeMap<String, String>,
    headers: &[crate::model::named::HeaderTemplate],
    problems: &mut Vec<FieldProblem>,
) {
    let parameters = native::parameters(protocol, headers);
    let (secret, public): (Vec<_>, Vec<_>) =
        protocol.settings.iter().chain(&parameters).partition(|field| field.kind == FieldKind::Secret);
    let names = |fields: Vec<&Field>| fields.into_iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let plan = native::plan(&protocol.name, settings, headers, |_| true);
    let origins = native::origins(settings);
    let found = egress::check_plan(&plan, &origins, &names(public), &names(secret), protocol.sign_in);
    let field = if protocol.name == native::HEADERS { "headers" } else { "settings" };
    problems.extend(found.into_iter().map(|problem| FieldProblem::new(field, problem.to_string())));
}

/// Reads what was given for these fields.
fn fill(
    whose: &str,
    protocol: &CredentialProtocol,
    fields: &[Field],
    (settings, secrets): (BTreeMap<String, String>, &BTreeMap<String, Secret>),
    stored: &(dyn Fn(&str) -> bool + Sync),
    problems: &mut Vec<FieldProblem>,
) -> Filled {
    let (descriptor, form) = sheet(whose, protocol, fields.to_vec(), Vec::new());
    form::fill(&descriptor, &form, &settings, secrets, &Known { stored, provider: None }, problems)
}

/// What a connector would say of itself that offered this protocol alone.
fn sheet(
    whose: &str,
    protocol: &CredentialProtocol,
    fields: Vec<Field>,
    origins: Vec<String>,
) -> (Descriptor, Protocol) {
    let protocol = Protocol {
        name: protocol.name.clone(),
        label: protocol.label.clone(),
        help: None,
        sign_in: protocol.sign_in,
        fields,
    };
    let descriptor = Descriptor {
        name: crate::model::named::NATIVE.into(),
        label: whose.into(),
        version: "0.0.0".into(),
        publisher: String::new(),
        summary: String::new(),
        categories: Vec::new(),
        documentation: None,
        icon_svg: None,
        lifecycle: Lifecycle::GenerallyAvailable,
        settings: Vec::new(),
        protocols: vec![protocol.clone()],
        origins,
    };
    (descriptor, protocol)
}

fn external_view(reader: &Reader<'_>, external: ExternalCredential) -> Result<ExternalCredentialView, Error> {
    let protocol =
        native::protocol(&external.protocol).map_err(|problem| Error::Invalid { problems: vec![problem] })?;
    let named = reader.named_credentials()?.into_iter();
    let named = named.filter(|named| named.external_credential == external.name).map(|named| named.name);
    Ok(ExternalCredentialView {
        parameters: native::parameters(&protocol, &external.headers),
        principals: reader.principals_of(&external.name)?.into_iter().map(|principal| principal.name).collect(),
        named_credentials: named.collect(),
        callback: holder::callback(&external).map(|provider| format!("/oauth/callback/{provider}")),
        name: external.name,
        label: external.label,
        protocol: external.protocol,
        sign_in: protocol.sign_in,
        settings: external.settings,
        headers: external.headers,
        secrets: external.secrets.into_keys().collect(),
        version: external.version,
        owner: external.owner,
        updated_at: external.updated_at,
    })
}

/// A name, as it is kept: names that differ in case alone are one name.
fn named(given: &str, problems: &mut Vec<FieldProblem>) -> String {
    user::name(given).unwrap_or_else(|words| {
        problems.push(FieldProblem::new("name", words));
        String::new()
    })
}

fn label(given: Option<&str>, problems: &mut Vec<FieldProblem>) {
    let Some(label) = given else { return };
    let length = label.chars().count();
    if label.trim().is_empty() || length > LABEL || label.chars().any(char::is_control) {
        problems.push(FieldProblem::new("label", format!("must be one line of 1 to {LABEL} characters")));
    }
}

/// Used where two moments make one version.
fn later(a: Timestamp, b: Timestamp) -> u64 {
    u64::try_from(a.max(b).as_nanosecond()).unwrap_or(u64::MAX)
}

/// Whether somebody looks after the host, and so may know of all of this.
fn looks_after(actor: &Actor) -> bool {
    actor.may(Permission::ManageSetup)
}
