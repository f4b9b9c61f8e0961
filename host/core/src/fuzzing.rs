//! Doors for the fuzz targets of `tests/fuzz`: what no face shows as it is. There with `--cfg fuzzing` alone, so nothing of it is
//! in the product.

use jiff::Timestamp;

use crate::catalog;
use crate::events;
use crate::model::audit::{AuditEvent, AuditLink};
use crate::model::descriptor::{Descriptor, Field};
use crate::model::error::FieldProblem;
use crate::model::field;
use crate::model::secret::Secret;

pub use crate::credentials::fuzzing::{Captured, answer};
pub use crate::egress::fuzzing::{
    Answer, Dialled, Kind, Redactor, Values, Way, check as check_plan, is_json_object, json, origins, path, url, whole,
};

/// Everything that is wrong with a descriptor.
pub fn judge(descriptor: &Descriptor) -> Vec<FieldProblem> {
    catalog::judge(descriptor)
}

/// Whether a value may stand in a field, and the spelling that is kept.
pub fn typed(field: &Field, value: &str) -> Result<String, String> {
    field::check(field, value).map(|()| field::normal(field, value))
}

/// The value of `webhook-signature`.
pub fn signatures(secrets: &[&str], id: &str, at: Timestamp, body: &[u8]) -> Option<String> {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    events::signatures(&secrets, id, at, body).ok()
}

/// The line of a record that continues this link, and its own link.
pub fn continued(link: &AuditLink, event: &AuditEvent) -> Option<(Vec<u8>, AuditLink)> {
    link.continued(event).ok()
}
