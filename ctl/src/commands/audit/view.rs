//! Rows of the audit, as users read and parse them, and as files keep them.

use serde::{Deserialize, Serialize};
use tvtfleet_proto::model::audit::{AuditEntry, AuditRow};
use tvtfleet_proto::model::id::JobId;

use crate::output::Row;

/// A row: of a list, and of a file that `tvtctl audit export` wrote. Files are kept for years: fields
/// are only ever added, and hashes cover those that are here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuditLine {
    number: u64,
    at: String,
    who: String,
    key: String,
    kind: String,
    decision: String,
    code: String,
    job: Option<String>,
    sites: Vec<String>,
    sites_total: u32,
    devices: u32,
    detail: String,
    outcome: String,
    prior: String,
    hash: String,
}

impl From<&AuditRow> for AuditLine {
    fn from(row: &AuditRow) -> Self {
        let entry = &row.entry;
        Self {
            number: row.number,
            at: entry.at.to_string(),
            who: entry.who.clone(),
            key: entry.key.clone(),
            kind: entry.kind.clone(),
            decision: entry.decision.clone(),
            code: entry.code.clone(),
            job: entry.job.map(|job| job.to_string()),
            sites: entry.sites.iter().map(ToString::to_string).collect(),
            sites_total: entry.sites_total,
            devices: entry.devices,
            detail: entry.detail.clone(),
            outcome: entry.outcome.clone(),
            prior: row.prior.to_string(),
            hash: row.hash.to_string(),
        }
    }
}

impl AuditLine {
    /// The row that the line was made of; the error names the field that cannot be read.
    pub(super) fn row(self) -> Result<AuditRow, &'static str> {
        let sites = self.sites.iter().map(|site| site.parse());
        let job = self.job.map(|job| job.parse::<JobId>());
        Ok(AuditRow {
            number: self.number,
            prior: self.prior.parse().map_err(|_| "prior")?,
            entry: AuditEntry {
                at: self.at.parse().map_err(|_| "at")?,
                who: self.who,
                key: self.key,
                kind: self.kind,
                decision: self.decision,
                code: self.code,
                job: job.transpose().map_err(|_| "job")?,
                sites: sites.collect::<Result<_, _>>().map_err(|_| "sites")?,
                sites_total: self.sites_total,
                devices: self.devices,
                detail: self.detail,
                outcome: self.outcome,
            },
            hash: self.hash.parse().map_err(|_| "hash")?,
        })
    }
}

impl Row for AuditLine {
    const NOUN: &'static str = "audit";
    const HEADS: &'static [&'static str] = &[
        "ROW", "AT", "WHO", "KIND", "DECISION", "SITES", "DEVICES", "DETAIL", "OUTCOME",
    ];

    fn cells(&self) -> Vec<String> {
        let sites = match self.sites.as_slice() {
            [] => String::new(),
            [site] => site.clone(),
            [site, ..] => format!("{site} and {} more", self.sites_total.saturating_sub(1)),
        };
        let decision = if self.code.is_empty() {
            self.decision.clone()
        } else {
            format!("{} ({})", self.decision, self.code)
        };
        vec![
            self.number.to_string(),
            self.at.clone(),
            self.who.clone(),
            self.kind.clone(),
            decision,
            sites,
            self.devices.to_string(),
            self.detail.clone(),
            self.outcome.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::audit::AuditMark;
    use tvtfleet_proto::model::time::UtcMillis;

    #[test]
    fn a_line_of_a_file_is_the_row_that_it_was_made_of() {
        let entry = AuditEntry {
            at: UtcMillis::new(1_793_000_000_123),
            who: "anna".into(),
            job: Some(JobId::new(uuid::Uuid::from_u128(5))),
            detail: "\"quoted\"\nlines".into(),
            ..AuditEntry::default()
        };
        let row = AuditRow::following(
            AuditMark::default(),
            entry.for_sites(["acme/depot".parse().unwrap()]),
        );
        let text = serde_json::to_string(&AuditLine::from(&row)).unwrap();
        let read: AuditLine = serde_json::from_str(&text).unwrap();
        assert_eq!(read.row(), Ok(row));
    }
}
