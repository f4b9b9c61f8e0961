//! Runs the requests of a grant one after the other, each with what those before it brought.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::answer::{self, Captured};
use super::named::is_holder;
use super::{Credentials, Pinned, Unusable, values};
use crate::egress::{self, Call, EgressError, ObtainError, Values};
use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::authentication::{Authentication, Request};
use crate::model::credential::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};
use crate::model::error::Error;
use crate::model::origin::Origin;
use crate::model::secret::Secret;
use crate::model::verdict::{Failure, FailureKind};

/// Where a service tells no lifetime, though its credential can be renewed: the usual one. A rejection renews it earlier.
const USUAL_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// What a grant brought, open: it is sealed in the moment in which it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Obtained {
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) visible: BTreeMap<String, String>,
    pub(super) expires_at: Option<Timestamp>,
    /// The origin that gave it.
    pub(super) from: Option<Origin>,
}

impl Obtained {
    /// What was obtained elsewhere and is brought along.
    pub(crate) fn imported(
        secrets: BTreeMap<String, Secret>,
        visible: BTreeMap<String, String>,
        expires_at: Option<Timestamp>,
    ) -> Self {
        Self { secrets, visible, expires_at, from: None }
    }

    pub(super) fn added_to(&self, mut values: Values) -> Values {
        for (name, text) in &self.visible {
            values = values.public(name, text);
        }
        for (name, secret) in &self.secrets {
            values = values.secret(name, secret.clone());
        }
        values
    }

    fn add(&mut self, captured: Captured) {
        self.secrets.extend(captured.secrets);
        self.visible.extend(captured.visible);
        // The last answer that says anything is about the last credential.
        self.expires_at = captured.expires_at.or(self.expires_at);
    }
}

/// A credential in the open, with the values that it was obtained with.
pub(crate) struct Opened {
    base: Values,
    obtained: Obtained,
}

/// Why a grant brought nothing.
#[derive(Debug)]
pub(super) struct Broke {
    pub(super) failure: Failure,
    /// Whether the service may have done what was asked although nobody knows its answer.
    pub(super) in_doubt: bool,
    /// What the host's policy refused, and what would open it.
    pub(super) hint: Option<String>,
}

impl From<Broke> for Unusable {
    fn from(broke: Broke) -> Self {
        let mut failure = broke.failure;
        if let Some(hint) = broke.hint {
            failure.message = format!("{}; {hint}", failure.message);
        }
        Self::Failed(failure)
    }
}

impl Credentials {
    /// The values of a connection before anything was obtained for it: its fields, and its client.
    pub(super) fn field_values(&self, pinned: Pinned<'_>, secrets: &BTreeMap<String, Secret>) -> Result<Values, Error> {
        let Pinned { connection, installed, .. } = pinned;
        let mut values = values(&installed.descriptor, &connection.protocol, &connection.settings, secrets);
        if is_holder(connection) {
            return Ok(match self.holders_client(connection)? {
                Some(secret) => values.secret(CLIENT_SECRET, secret),
                None => values,
            });
        }
        let client = self.client(pinned)?;
        if let Some(id) = client.id {
            values = values.public(CLIENT_ID, id);
        }
        if let Some(secret) = client.secret {
            values = values.secret(CLIENT_SECRET, secret);
        }
        Ok(values)
    }

    /// Runs requests of this plan. What they brought is added to `brought`, which the next request knows too. Each run is in
    /// the audit, and on the disk no later than what it brought.
    pub(super) async fn run(
        &self,
        pinned: Pinned<'_>,
        purpose: AuditAction,
        plan: &Authentication,
        requests: &[Request],
        base: &Values,
        brought: Obtained,
    ) -> Result<Obtained, Broke> {
        if requests.is_empty() {
            return Ok(brought);
        }
        let call = self.call();
        let event = AuditEvent::of(self.outside.now(), pinned.actor, purpose, pinned.connection);
        let using = self.store.noting(event);
        let outcome = self.run_with(&call, pinned, plan, requests, base, brought).await;
        using.ended(|event| match &outcome {
            Ok(_) => event.asked(&call.exchanges()),
            Err(broke) => event.asked(&call.exchanges()).failed(broke.failure.kind.name()),
        });
        outcome
    }

    async fn run_with(
        &self,
        call: &Arc<Call>,
        pinned: Pinned<'_>,
        plan: &Authentication,
        requests: &[Request],
        base: &Values,
        mut brought: Obtained,
    ) -> Result<Obtained, Broke> {
        let id = pinned.connection.id.to_string();
        let scope = egress::Scope {
            pool_key: &id,
            origins: &pinned.installed.descriptor.origins,
            derived: &plan.derived,
            outside: &self.outside,
        };
        for request in requests {
            let values = brought.added_to(base.clone());
            let answered = self.egress.obtain(&scope, request, &values, call).await;
            let answered = answered.map_err(|error| broke(request, &error))?;
            let read = answer::read(&answered, &request.captures, self.outside.now());
            let captured = read.map_err(|failure| {
                let message = egress::redact(&values, &failure.message);
                // A server that broke down may have broken down after it did what was asked; one that answers what is no
                // answer may have done it too.
                let in_doubt = answered.status.is_server_error() || answered.status.is_success();
                Broke { failure: Failure { message, ..failure }, in_doubt, hint: None }
            })?;
            brought.add(captured);
        }
        brought.from = call.exchanges().into_iter().filter_map(|exchange| exchange.origin).next_back();
        Ok(brought)
    }

    /// The budgets of one grant.
    fn call(&self) -> Arc<Call> {
        let limits = self.egress.limits().clone();
        let patience = limits.connect + limits.first_byte + limits.between_bytes;
        Arc::new(Call::new(limits, patience))
    }

    /// What is stored of a connection's credential, open: to take it back after it is gone from here.
    pub(crate) fn opened(&self, pinned: Pinned<'_>) -> Result<Option<Opened>, Error> {
        let id = pinned.connection.id;
        let Some(credential) = self.store.read(|reader| reader.credential(id))? else { return Ok(None) };
        let secrets = self.unseal(id, &pinned.connection.secrets)?;
        Ok(Some(Opened { base: self.field_values(pinned, &secrets)?, obtained: self.open(id, &credential)? }))
    }

    /// Takes a credential back at its service (RFC 7009). A request for a token that there is none of is left out.
    pub(crate) async fn revoke(&self, pinned: Pinned<'_>, opened: Opened) {
        let plan = &pinned.connection.authentication;
        for request in &plan.grant.revocation {
            let names = request.names();
            let there = |name: &str| !names.contains(name) || opened.obtained.secrets.contains_key(name);
            if !there(ACCESS_TOKEN) || !there(REFRESH_TOKEN) {
                continue;
            }
            let request = std::slice::from_ref(request);
            if let Err(broke) = self
                .run(pinned, AuditAction::ConnectionRevoke, plan, request, &opened.base, opened.obtained.clone())
                .await
            {
                let connection = pinned.connection.id;
                tracing::warn!(%connection, failure = broke.failure.message, "the credential may still be good at its service");
            }
        }
    }

    /// Whether all that requests take of what was obtained is there. Otherwise the name of the first thing that is not.
    pub(super) fn lacking(plan: &Authentication, obtained: &Obtained) -> Option<String> {
        let captured = plan.captured_names();
        plan.needed_names().into_iter().find(|name| {
            captured.contains(name) && !obtained.secrets.contains_key(name) && !obtained.visible.contains_key(name)
        })
    }

    /// A lifetime for what does not say how long it lasts.
    pub(super) fn expiry(&self, plan: &Authentication, obtained: &Obtained) -> Option<Timestamp> {
        obtained.expires_at.or_else(|| {
            let told = plan.grant.lifetime_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
            // One that can't be renewed lasts until its service says otherwise.
            let refreshes = !plan.grant.refresh.is_empty()
                && (obtained.secrets.contains_key(REFRESH_TOKEN) || !names_refresh_token(&plan.grant.refresh));
            let renewable = plan.grant.authorization.is_none() || refreshes;
            let lasts = told.or(renewable.then_some(USUAL_LIFETIME))?;
            self.outside.now().checked_add(lasts).ok()
        })
    }
}

pub(super) fn names_refresh_token(requests: &[Request]) -> bool {
    requests.iter().any(|request| request.names().contains(REFRESH_TOKEN))
}

/// An answer that holds no credential.
pub(super) fn nothing_brought(request: Option<&Request>, name: &str) -> Failure {
    let asked = request.map_or_else(String::new, |request| format!("{} {} ", request.method, request.url));
    let message = format!("{asked}answered without a credential: there is no `{}` in it", name.replace('-', "_"));
    Failure { kind: FailureKind::Other, message }
}

/// What a request that did not come through says of the way to the service.
fn broke(request: &Request, error: &ObtainError) -> Broke {
    let (kind, in_doubt, hint) = match error {
        ObtainError::Permit(error) => {
            let kind = FailureKind::Misconfigured { field: error.field().map(str::to_owned) };
            let message = format!("{} {} can't be asked: {error}", request.method, request.url);
            return Broke { failure: Failure { kind, message }, in_doubt: false, hint: None };
        }
        ObtainError::Egress { source, .. } => match source {
            EgressError::Denied(denied) => {
                (FailureKind::Misconfigured { field: None }, false, denied.allow_hint.clone())
            }
            EgressError::Dns { .. } | EgressError::Connect { .. } | EgressError::Tls { .. } => {
                (FailureKind::Unavailable, false, None)
            }
            EgressError::Timeout { .. } => (FailureKind::Timeout, true, None),
            EgressError::Response { .. } => (FailureKind::Unavailable, true, None),
            EgressError::Budget { .. } => (FailureKind::Budget, true, None),
            EgressError::RequestBody { .. } | EgressError::Attach { .. } => (FailureKind::ConnectorFault, false, None),
        },
    };
    Broke { failure: Failure { kind, message: error.to_string() }, in_doubt, hint }
}
