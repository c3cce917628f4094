//! `audit.proto`.

use crate::model::audit::{AuditEntry, AuditMark, AuditPage, AuditRow, ChainHash, ListAudit};
use crate::model::id::JobId;
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{BadField, all, all_parsed, into_all, optional_uuid, texts};

impl TryFrom<v1::AuditRow> for AuditRow {
    type Error = BadField;

    fn try_from(wire: v1::AuditRow) -> Result<Self, BadField> {
        Ok(Self {
            number: wire.number,
            prior: hash("prior", &wire.prior)?,
            entry: AuditEntry {
                at: UtcMillis::new(wire.at_ms),
                who: wire.who,
                key: wire.key,
                kind: wire.kind,
                decision: wire.decision,
                code: wire.code,
                job: optional_uuid("job", &wire.job)?.map(JobId::new),
                sites: all_parsed("sites", &wire.sites)?,
                sites_total: wire.sites_total,
                devices: wire.devices,
                detail: wire.detail,
                outcome: wire.outcome,
            },
            hash: hash("hash", &wire.hash)?,
        })
    }
}

impl From<AuditRow> for v1::AuditRow {
    fn from(model: AuditRow) -> Self {
        let entry = model.entry;
        Self {
            number: model.number,
            prior: model.prior.bytes().to_vec(),
            at_ms: entry.at.millis(),
            who: entry.who,
            key: entry.key,
            kind: entry.kind,
            decision: entry.decision,
            code: entry.code,
            job: entry
                .job
                .map(|job| job.uuid().as_bytes().to_vec())
                .unwrap_or_default(),
            sites: texts(&entry.sites),
            sites_total: entry.sites_total,
            devices: entry.devices,
            detail: entry.detail,
            outcome: entry.outcome,
            hash: model.hash.bytes().to_vec(),
        }
    }
}

impl TryFrom<v1::AuditMark> for AuditMark {
    type Error = BadField;

    fn try_from(wire: v1::AuditMark) -> Result<Self, BadField> {
        Ok(Self {
            number: wire.number,
            hash: hash("hash", &wire.hash)?,
        })
    }
}

impl From<AuditMark> for v1::AuditMark {
    fn from(model: AuditMark) -> Self {
        Self {
            number: model.number,
            hash: model.hash.bytes().to_vec(),
        }
    }
}

impl TryFrom<v1::ListAudit> for ListAudit {
    type Error = BadField;

    fn try_from(wire: v1::ListAudit) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            sites: all_parsed("sites", &wire.sites)?,
            who: wire.who,
            kinds: wire.kinds,
            since: wire.since_ms.map(UtcMillis::new),
            until: wire.until_ms.map(UtcMillis::new),
            after: wire.after,
            limit: wire.limit,
        })
    }
}

impl From<ListAudit> for v1::ListAudit {
    fn from(model: ListAudit) -> Self {
        Self {
            tenants: texts(&model.tenants),
            sites: texts(&model.sites),
            who: model.who,
            kinds: model.kinds,
            since_ms: model.since.map(UtcMillis::millis),
            until_ms: model.until.map(UtcMillis::millis),
            after: model.after,
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::AuditPage> for AuditPage {
    type Error = BadField;

    fn try_from(wire: v1::AuditPage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
            head: wire.head.map(AuditMark::try_from).transpose()?,
            witness: wire.witness.map(AuditMark::try_from).transpose()?,
        })
    }
}

impl From<AuditPage> for v1::AuditPage {
    fn from(model: AuditPage) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
            head: model.head.map(Into::into),
            witness: model.witness.map(Into::into),
        }
    }
}

fn hash(field: &'static str, bytes: &[u8]) -> Result<ChainHash, BadField> {
    bytes
        .try_into()
        .map(ChainHash::new)
        .map_err(|_| BadField::new(field, "not 32 bytes"))
}
