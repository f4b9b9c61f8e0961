//! A record in its three parts: what it is of, which for some happens again and again in the same words, when, and how it ended.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::{AuditAction, AuditEvent, AuditObject, AuditOutcome, ConnectorRef};

/// Who does what to what, and where. Of what happens all the time it is kept, and written out once.
#[derive(Debug)]
pub(crate) struct Deed {
    actor: String,
    origins: Vec<String>,
    object: AuditObject,
    written: String,
}

/// The deed that was done last.
#[derive(Debug, Default)]
pub(crate) struct LastDeed(Mutex<Option<Arc<Deed>>>);

/// A [`Deed`] that was done at one time, and ended somehow.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) at: Timestamp,
    deed: Arc<Deed>,
    outcome: AuditOutcome,
    status: Option<u16>,
    reason: Option<&'static str>,
    microseconds: Option<u64>,
}

/// When, and how it ended.
pub(super) struct Ending<'a> {
    pub(super) at: Timestamp,
    outcome: AuditOutcome,
    status: Option<u16>,
    reason: Option<&'a str>,
    microseconds: Option<u64>,
}

impl Deed {
    /// Of an event that has not ended.
    pub(crate) fn new(event: &AuditEvent) -> Result<Arc<Self>, serde_json::Error> {
        let (actor, origins, object) = (event.actor.clone(), event.origins.clone(), event.object.clone());
        Ok(Arc::new(Self { actor, origins, object, written: written(event)? }))
    }

    /// Whether it is by this actor and goes to these origins.
    pub(crate) fn is_of<'a>(&self, actor: &str, origins: impl Iterator<Item = &'a str>) -> bool {
        self.actor == actor && self.origins.iter().map(String::as_str).eq(origins)
    }
}

impl LastDeed {
    /// It, where it is the one in question.
    pub(crate) fn get(&self, is: impl FnOnce(&Deed) -> bool) -> Option<Arc<Deed>> {
        self.lock().as_ref().filter(|deed| is(deed)).cloned()
    }

    pub(crate) fn set(&self, deed: &Arc<Deed>) {
        *self.lock() = Some(Arc::clone(deed));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Deed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Done {
    /// Begun now.
    pub(crate) fn new(deed: Arc<Deed>, at: Timestamp) -> Self {
        Self { at, deed, outcome: AuditOutcome::Done, status: None, reason: None, microseconds: None }
    }

    pub(crate) fn answered(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// As an error says.
    pub(crate) fn ended(self, error: &super::Error) -> Self {
        let (outcome, reason) = super::ending(error);
        Self { outcome, reason: Some(reason), ..self }
    }

    pub(crate) fn failed(self, reason: &'static str) -> Self {
        Self { outcome: AuditOutcome::Failed, reason: Some(reason), ..self }
    }

    pub(crate) fn took(self, microseconds: u64) -> Self {
        Self { microseconds: Some(microseconds), ..self }
    }

    pub(crate) fn object(&self) -> &AuditObject {
        &self.deed.object
    }

    pub(super) fn written(&self) -> &str {
        &self.deed.written
    }

    pub(super) fn ending(&self) -> Ending<'_> {
        let Self { at, outcome, status, reason, microseconds, .. } = *self;
        Ending { at, outcome, status, reason, microseconds }
    }
}

/// The members of a record that say what was done, as they stand in its line.
pub(super) fn written(event: &AuditEvent) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Members<'a> {
        actor: &'a str,
        action: AuditAction,
        object: &'a AuditObject,
        #[serde(skip_serializing_if = "Option::is_none")]
        connector: &'a Option<ConnectorRef>,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        origins: &'a [String],
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        fields: &'a [String],
    }
    let AuditEvent { actor, action, object, connector, origins, fields, .. } = event;
    let mut text = serde_json::to_string(&Members { actor, action: *action, object, connector, origins, fields })?;
    // Without the braces: they stand among others.
    text.pop();
    text.remove(0);
    Ok(text)
}

impl<'a> Ending<'a> {
    pub(super) fn of(event: &'a AuditEvent) -> Self {
        let AuditEvent { at, outcome, status, ref reason, microseconds, .. } = *event;
        Self { at, outcome, status, reason: reason.as_deref(), microseconds }
    }

    /// Writes the members of a record that stand behind those that say what was done.
    pub(super) fn write(&self, line: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        write!(line, r#","outcome":"{}""#, self.outcome.name()).map_err(serde_json::Error::io)?;
        if let Some(status) = self.status {
            write!(line, r#","status":{status}"#).map_err(serde_json::Error::io)?;
        }
        if let Some(reason) = self.reason {
            line.extend_from_slice(br#","reason":"#);
            serde_json::to_writer(&mut *line, reason)?;
        }
        if let Some(microseconds) = self.microseconds {
            write!(line, r#","microseconds":{microseconds}"#).map_err(serde_json::Error::io)?;
        }
        Ok(())
    }
}
