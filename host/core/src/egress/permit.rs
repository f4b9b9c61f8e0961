//! What the calls of one connection may reach, and what is attached on the way.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use super::attach::{Attachments, Proof};
use super::digest;
use super::error::PermitError;
use super::expand::{Computed, Values, expand_origins};
use super::keys::Keys;
use super::obtain::Scope;
use super::redact::Redactor;
use super::sign::Signer;
use crate::model::authentication::{Authentication, Placement};
use crate::model::origin::Origin;
use crate::model::outside::Outside;

/// Who reads the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A connector, or whoever sends through the connection: secrets are taken out.
    Guest,
    /// The host itself, which asked for the very secret that comes.
    Host,
}

/// The right of one connection to send. Making one scans for all forms of its secrets later, so keep it as long as the
/// connection and its credential stay as they are, and no longer than [`Permit::valid_until`].
pub(crate) struct Permit {
    pub(super) pool_key: Arc<str>,
    origins: Vec<Origin>,
    pub(super) attachments: Attachments,
    secrets: Vec<zeroize::Zeroizing<String>>,
    redactor: OnceLock<Option<Redactor>>,
    reader: Reader,
    /// What each server last challenged with, so that the next request need not be refused first.
    challenges: Mutex<HashMap<Origin, digest::Session>>,
    valid_until: Option<Timestamp>,
    /// Where signatures get their time and their nonces from.
    pub(super) outside: Outside,
    /// What a connector's own signature is made from; there only where the plan has one.
    pub(super) keys: Option<Arc<Keys>>,
    pub(super) signer: Option<Signer>,
}

impl Permit {
    /// Expands a connection's origins and its stored plan with its values. Requests of permits with one `pool_key` may share
    /// sockets: give each connection its own.
    pub(crate) fn resolve(
        pool_key: String,
        origins: &[String],
        plan: &Authentication,
        values: &Values,
        outside: &Outside,
    ) -> Result<Self, PermitError> {
        let origins = expand_origins(origins, values)?;
        // What only the grant's own requests need is made for them, when they are made.
        let needed = plan.needed_names();
        let derived: Vec<_> = plan.derived.iter().filter(|derived| needed.contains(&derived.name)).cloned().collect();
        let Computed { values, valid_until } = values.clone().derive(&derived, outside)?;
        Self::of(pool_key, origins, &plan.placements, values, valid_until, outside, Reader::Guest)
    }

    /// For one request by which the host obtains a credential: its answer is the host's alone.
    pub(super) fn of_request(
        scope: &Scope<'_>,
        placements: &[Placement],
        values: &Values,
    ) -> Result<Self, PermitError> {
        let origins = expand_origins(scope.origins, values)?;
        Self::of(scope.pool_key.to_owned(), origins, placements, values.clone(), None, scope.outside, Reader::Host)
    }

    fn of(
        pool_key: String,
        origins: Vec<Origin>,
        placements: &[Placement],
        values: Values,
        valid_until: Option<Timestamp>,
        outside: &Outside,
        reader: Reader,
    ) -> Result<Self, PermitError> {
        let attachments = Attachments::resolve(placements, &values)?;
        let secrets = values.secrets().map(|secret| zeroize::Zeroizing::new(secret.to_owned()));
        let secrets = secrets.chain(attachments.composed.iter().cloned()).collect();
        let keys = matches!(attachments.proof, Some(Proof::Signed)).then(|| Arc::new(Keys::new(values)));
        Ok(Self {
            pool_key: pool_key.into(),
            origins,
            attachments,
            secrets,
            redactor: OnceLock::new(),
            reader,
            challenges: Mutex::default(),
            valid_until,
            outside: outside.clone(),
            keys,
            signer: None,
        })
    }

    /// Whether its requests are signed by the connector's own code: without [`Self::with_signer`] none of them leaves.
    pub(crate) fn needs_signer(&self) -> bool {
        self.keys.is_some()
    }

    /// Gives it the connector's own code that signs.
    pub(crate) fn with_signer(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// When a new one must be made, because something that was computed for this one expires.
    pub(crate) fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// Everywhere that requests may go.
    pub(crate) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Takes this connection's secrets out of a text from elsewhere, such as a connector's log.
    pub(crate) fn redact(&self, text: &str) -> String {
        match self.redactor() {
            Some(redactor) if redactor.finds(text.as_bytes()) => {
                String::from_utf8_lossy(&redactor.replace(text.as_bytes()).0).into_owned()
            }
            Some(_) | None => text.to_owned(),
        }
    }

    /// What scans answers; none where there is no secret. Built once, by the first answer.
    pub(super) fn redactor(&self) -> Option<&Redactor> {
        self.redactor.get_or_init(|| Redactor::new(self.secrets.iter().map(|secret| secret.as_str()))).as_ref()
    }

    /// What scans the answers of its requests.
    pub(super) fn scanner(&self) -> Option<&Redactor> {
        match self.reader {
            Reader::Guest => self.redactor(),
            Reader::Host => None,
        }
    }

    /// About how much memory its scanner takes, once it is built.
    pub(crate) fn weight(&self) -> usize {
        /// Bytes for each byte of a secret: some fifty forms of it, each up to six times as long, as text and as states.
        const FORMS: usize = 1_500;
        self.secrets.iter().map(|secret| secret.len() * FORMS).sum()
    }

    /// The next use of what the server last challenged with.
    pub(super) fn challenge(&self, origin: &Origin) -> Option<digest::Session> {
        let mut challenges = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        challenges.get_mut(origin).map(digest::Session::next)
    }

    pub(super) fn remember(&self, origin: &Origin, session: digest::Session) {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(origin.clone(), session);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Permit").field("origins", &self.origins).finish_non_exhaustive()
    }
}
