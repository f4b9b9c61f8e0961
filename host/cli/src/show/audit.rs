//! The audit, as people read it.

use comfy_table::{Cell, Color};
use turnbuckle::{AuditOutcome, AuditRecord, AuditReport, Page};

use super::{Facts, Rows, cell, count, time};

pub(crate) fn list(page: &Page<AuditRecord>) -> String {
    if page.items.is_empty() {
        return "Nothing that fits is recorded.".into();
    }
    let mut rows = Rows::new(&["record", "when", "who", "what", "to what", "where", "how it ended"]);
    for AuditRecord { seq, event, .. } in &page.items {
        let object = if event.object.name.is_empty() { event.object.kind.name() } else { &event.object.name };
        rows.row([
            Cell::new(seq),
            cell(time(event.at)),
            cell(&event.actor),
            cell(event.action.name()),
            cell(object),
            cell(event.origins.join(", ")),
            ended(event.outcome, event.status, event.reason.as_deref()),
        ]);
    }
    rows.text()
}

pub(super) fn ended(outcome: AuditOutcome, status: Option<u16>, reason: Option<&str>) -> Cell {
    let color = match outcome {
        AuditOutcome::Done => Color::Green,
        AuditOutcome::Failed => Color::Red,
        AuditOutcome::Refused => Color::Yellow,
    };
    let status = status.map(|status| status.to_string());
    let details: Vec<_> = status.as_deref().into_iter().chain(reason).collect();
    let words = match details.as_slice() {
        [] => outcome.name().to_owned(),
        details => format!("{} ({})", outcome.name(), details.join(", ")),
    };
    cell(words).fg(color)
}

pub(crate) fn report(report: &AuditReport) -> String {
    let mut facts = Facts::new();
    let good = count(report.records, "record");
    facts.text(
        "Good",
        &match report.records {
            0 => good,
            _ => format!("{good}, {} to {}", report.after.seq + 1, report.head.seq),
        },
    );
    if let Some(broken) = &report.broken {
        facts.text("First bad", &broken.to_string());
    } else {
        facts.text("Whole", "yes");
    }
    // Whoever notes it can tell later whether anything up to it was changed.
    facts.text("Head", &report.head.to_string());
    facts.into_text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_says_who_did_what_to_what_and_how_it_ended() {
        let record = |seq: u64, more: serde_json::Value| {
            let mut record = json!({
                "seq": seq, "at": "2026-05-04T03:02:01Z", "actor": "ada", "action": "connection.send",
                "object": {"kind": "connection", "id": "1", "name": "Orders"}, "outcome": "done",
                "prev": "00", "hash": "00",
            });
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            record
        };
        let page: Page<AuditRecord> = serde_json::from_value(json!({"items": [
            record(3, json!({"origins": ["https://api.example.com"], "status": 200})),
            record(2, json!({"outcome": "refused", "reason": "use-connections"})),
            record(1, json!({"action": "host.backup", "object": {"kind": "host"}})),
        ], "next": null}))
        .unwrap();
        insta::assert_snapshot!(list(&page), @r"
        RECORD  WHEN                     WHO  WHAT             TO WHAT  WHERE                    HOW IT ENDED
        3       2026-05-04 03:02:01 UTC  ada  connection.send  Orders   https://api.example.com  done (200)
        2       2026-05-04 03:02:01 UTC  ada  connection.send  Orders                            refused (use-connections)
        1       2026-05-04 03:02:01 UTC  ada  host.backup      host                              done
        ");
    }

    #[test]
    fn a_report_names_the_first_bad_record() {
        let zeros = "0".repeat(64);
        let whole: AuditReport = serde_json::from_value(json!({
            "whole": true, "records": 12, "after": {"seq": 0, "hash": zeros}, "head": {"seq": 12, "hash": zeros},
        }))
        .unwrap();
        insta::assert_snapshot!(report(&whole), @r"
        Good           12 records, 1 to 12
        Whole          yes
        Head           12:0000000000000000000000000000000000000000000000000000000000000000
        ");
        let broken: AuditReport = serde_json::from_value(json!({
            "whole": false, "records": 6, "after": {"seq": 0, "hash": zeros}, "head": {"seq": 6, "hash": zeros},
            "broken": {"seq": 7, "problem": "out-of-place", "found": 8},
        }))
        .unwrap();
        insta::assert_snapshot!(report(&broken), @r"
        Good           6 records, 1 to 6
        First bad      record 7 is not where it belongs: record 8 stands in its place
        Head           6:0000000000000000000000000000000000000000000000000000000000000000
        ");
    }
}
