//! Samples of the audit.

use super::samples;
use crate::model::audit::{AuditEntry, AuditMark, AuditPage, AuditRow, ListAudit};

pub(super) fn list() -> ListAudit {
    ListAudit {
        tenants: vec!["acme".parse().unwrap()],
        sites: vec![samples::site()],
        who: vec!["anna".into()],
        kinds: vec!["job".into()],
        since: Some(samples::at(1)),
        until: Some(samples::at(2)),
        after: 7,
        limit: 8,
    }
}

pub(super) fn page() -> AuditPage {
    let entry = AuditEntry {
        at: samples::at(3),
        who: "anna".into(),
        key: "UABC".into(),
        kind: "job.submit".into(),
        decision: "admitted".into(),
        code: "x".into(),
        job: Some(samples::job()),
        devices: 4,
        detail: "d".into(),
        outcome: "o".into(),
        ..AuditEntry::default()
    };
    let row = AuditRow::following(AuditMark::default(), entry.for_sites([samples::site()]));
    AuditPage {
        next: Some(1),
        head: Some(row.mark()),
        witness: Some(AuditMark::default()),
        rows: vec![row],
    }
}
