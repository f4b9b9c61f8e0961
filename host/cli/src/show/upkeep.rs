//! The host itself, as people read it.

use turnbuckle::{ImportAction, ImportReport, Rotation};

use super::{Rows, cell, count};

pub(crate) fn rotated(rotation: &Rotation) -> String {
    format!(
        "The master key is now {}. The secrets of {} were sealed anew.",
        rotation.key,
        count(rotation.resealed, "connection")
    )
}

pub(crate) fn imported(report: &ImportReport) -> String {
    if report.rows.is_empty() {
        return "There is nothing in it.".into();
    }
    let mut rows = Rows::new(&["", "what", "name", "differs", "why"]);
    for row in &report.rows {
        rows.row([
            cell(row.action.name()),
            cell(&row.kind),
            cell(&row.name),
            cell(row.fields.join(", ")),
            cell(row.why.as_deref().unwrap_or_default()),
        ]);
    }
    let counted = |action| report.rows.iter().filter(|row| row.action == action).count();
    let (make, change, keep, blocked) = (
        counted(ImportAction::Create),
        counted(ImportAction::Change),
        counted(ImportAction::Keep),
        counted(ImportAction::Blocked),
    );
    let sum = match report.dry_run {
        true => format!("{make} to create, {change} to change, {keep} to keep, {blocked} blocked. Nothing was done."),
        false => format!("{make} created, {change} changed, {keep} kept, {blocked} blocked."),
    };
    format!("{}\n\n{sum}", rows.text())
}
