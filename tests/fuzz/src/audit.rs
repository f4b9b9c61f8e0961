//! Exports of the audit, checked by the host and by a second reading of what their documentation says.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use turnbuckle::{
    AuditAction, AuditEvent, AuditLink, AuditObject, AuditOutcome, AuditRecord, fuzzing, verify_audit_export,
};

use crate::lines::Lines;

/// First line: `raw`, and an export follows; or else: events, a line each; `--`; what is done to their export, a line each.
pub fn check(input: &[u8]) {
    let mut lines = Lines::of(input);
    if lines.line() == "raw" {
        agree(lines.rest(), None);
        return;
    }
    let events: Vec<_> = lines.until_break().iter().take(12).filter_map(|line| event(line)).collect();
    let (export, head) = exported(&events);
    let report = agree(&export, Some(&head)).expect("what was written is an export");
    assert!(report.whole && report.records == events.len() as u64 && report.head == head, "{report:?}");
    let mut altered = export.clone();
    for edit in lines.until_break().iter().take(8) {
        alter(&mut altered, edit);
    }
    let known = agree(&altered, Some(&head)).is_some_and(|report| report.whole);
    agree(&altered, None);
    let records = |export: &[u8]| {
        let mut lines: Vec<Vec<u8>> = export.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.retain(|line| line.starts_with(b"{\"seq\""));
        lines
    };
    assert!(!known || records(&altered) == records(&export), "an altered record passes, though its head is known");
}

/// `action|name|actor|reason`, as far as they are there.
fn event(line: &str) -> Option<AuditEvent> {
    let mut parts = line.split('|');
    let action: AuditAction = parts.next()?.parse().ok()?;
    let name = parts.next().unwrap_or_default().to_owned();
    Some(AuditEvent {
        at: jiff::Timestamp::from_second(line.len() as i64).ok()?,
        actor: parts.next().unwrap_or("ada").to_owned(),
        action,
        object: AuditObject { kind: action.kind(), id: None, name },
        connector: None,
        origins: Vec::new(),
        fields: Vec::new(),
        outcome: AuditOutcome::Done,
        status: Some(200),
        reason: parts.next().map(str::to_owned),
        microseconds: None,
    })
}

fn exported(events: &[AuditEvent]) -> (Vec<u8>, AuditLink) {
    let mut head = AuditLink::origin();
    let mut export = format!("{{\"format\":\"turnbuckle-audit-1\",\"after\":{}}}\n", place(&head)).into_bytes();
    for event in events {
        let (line, link) = fuzzing::continued(&head, event).expect("every event can be written");
        assert!(!line.contains(&b'\n'));
        let record: AuditRecord = serde_json::from_slice(&line).expect("a record reads back");
        let expected = AuditRecord { seq: link.seq, event: event.clone(), prev: head.hash, hash: link.hash.clone() };
        assert_eq!(record, expected);
        export.extend_from_slice(&line);
        export.push(b'\n');
        head = link;
    }
    export.extend_from_slice(format!("{{\"records\":{},\"head\":{}}}\n", events.len(), place(&head)).as_bytes());
    (export, head)
}

fn place(link: &AuditLink) -> String {
    format!("{{\"seq\":{},\"hash\":\"{}\"}}", link.seq, link.hash)
}

/// `x AT BY` changes a byte, `d LINE` drops a line, `w LINE` repeats it, `s LINE` swaps it with the next, `t AT` cuts off.
fn alter(export: &mut Vec<u8>, edit: &str) {
    let mut words = edit.split(' ');
    let kind = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
    let (first, second) = (number(), number());
    if export.is_empty() {
        return;
    }
    match kind {
        "x" => {
            let at = first % export.len();
            export[at] ^= second as u8;
        }
        "t" => export.truncate(first % export.len()),
        _ => {
            let mut lines: Vec<_> = export.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            let at = first % lines.len();
            match kind {
                "d" => drop(lines.remove(at)),
                "w" => lines.insert(at, lines[at].clone()),
                "s" => lines.swap(at, (at + 1) % export.split_inclusive(|&byte| byte == b'\n').count()),
                _ => {}
            }
            *export = lines.concat();
        }
    }
}

/// The host and the second reading come to the same; none where it is no export.
fn agree(export: &[u8], known: Option<&AuditLink>) -> Option<turnbuckle::AuditReport> {
    let second = read(export, known);
    let report = verify_audit_export(export, known.cloned()).expect("bytes can be read").ok();
    match (&report, &second) {
        (Some(report), Some((records, head))) => {
            assert!(report.whole, "it is whole, and the host says {report:?}");
            assert_eq!((report.records, &report.head), (*records, head));
        }
        (Some(report), None) => assert!(!report.whole, "it is not whole, and the host says {report:?}"),
        (None, second) => assert_eq!(*second, None, "the host takes it for no export"),
    }
    report
}

#[derive(Deserialize)]
struct Place {
    seq: u64,
    hash: String,
}

#[derive(Deserialize)]
struct First {
    format: String,
    after: Place,
}

#[derive(Deserialize)]
struct Last {
    records: u64,
    head: Place,
}

#[derive(Deserialize)]
struct Record {
    seq: u64,
    prev: String,
}

/// How many records there are and where they end, where everything is as the documentation of an export says.
fn read(export: &[u8], known: Option<&AuditLink>) -> Option<(u64, AuditLink)> {
    let export = export.strip_suffix(b"\n").unwrap_or(export);
    let mut lines = export.split(|&byte| byte == b'\n');
    let First { format, after } = serde_json::from_slice(lines.next()?).ok()?;
    if format != "turnbuckle-audit-1" {
        return None;
    }
    let mut head = AuditLink { seq: after.seq, hash: after.hash };
    let fits = |head: &AuditLink| known.is_none_or(|known| known.seq != head.seq || known.hash == head.hash);
    if !fits(&head) || known.is_some_and(|known| known.seq < head.seq) {
        return None;
    }
    let mut records = 0;
    while let Some(line) = lines.next() {
        if let Ok(Last { records: told, head: end }) = serde_json::from_slice(line) {
            let reached = known.is_none_or(|known| known.seq <= head.seq);
            let good = told == records && end.seq == head.seq && end.hash == head.hash && reached;
            return (good && lines.next().is_none()).then_some((records, head));
        }
        let (hashed, tail) = line.split_at_checked(line.len().checked_sub(75)?)?;
        let hash = hex::encode(Sha256::digest(hashed));
        if tail != format!(",\"hash\":\"{hash}\"}}").as_bytes() {
            return None;
        }
        let Record { seq, prev } = serde_json::from_slice(line).ok()?;
        if Some(seq) != head.seq.checked_add(1) || prev != head.hash {
            return None;
        }
        head = AuditLink { seq, hash };
        records += 1;
        if !fits(&head) {
            return None;
        }
    }
    None
}
