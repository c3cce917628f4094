//! `site.proto`.

use crate::model::id::{Epoch, JobId, Sequence, WantRevision};
use crate::model::signed::SignedStatement;
use crate::model::time::UtcMillis;
use crate::model::want::{JobWant, OutBatch, OutItem, SiteEvent, SiteOutcome, WantDoc, WantState};
use crate::wire::v1;
use crate::wire::v1::out_item::Item;

use super::field::{BadField, all, code, into_all, parsed, required, uuid};

/// The only version of want documents and batches so far.
const VERSION: u32 = 1;

fn check_version(version: u32) -> Result<(), BadField> {
    if version == VERSION {
        Ok(())
    } else {
        Err(BadField::new(
            "version",
            format!("{version}, but this program reads {VERSION}"),
        ))
    }
}

impl From<v1::SignedDocument> for SignedStatement {
    fn from(wire: v1::SignedDocument) -> Self {
        Self {
            statement: wire.statement,
            signature: wire.signature,
        }
    }
}

impl From<SignedStatement> for v1::SignedDocument {
    fn from(model: SignedStatement) -> Self {
        Self {
            statement: model.statement,
            signature: model.signature,
        }
    }
}

impl TryFrom<v1::JobWant> for JobWant {
    type Error = BadField;

    fn try_from(wire: v1::JobWant) -> Result<Self, BadField> {
        let state = match wire.state() {
            v1::WantState::Run => WantState::Run,
            v1::WantState::Cancel => WantState::Cancel,
            v1::WantState::Unspecified => {
                return Err(BadField::new(
                    "state",
                    format!("{} is not known", wire.state),
                ));
            }
        };
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            state,
            not_after: UtcMillis::new(wire.not_after_ms),
            traceparent: wire.traceparent,
            target_count: wire.target_count,
            work: wire.work.map(TryInto::try_into).transpose()?,
            order: wire.order.map(Into::into),
        })
    }
}

impl From<JobWant> for v1::JobWant {
    fn from(model: JobWant) -> Self {
        let state = match model.state {
            WantState::Run => v1::WantState::Run,
            WantState::Cancel => v1::WantState::Cancel,
        };
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            state: state.into(),
            not_after_ms: model.not_after.millis(),
            traceparent: model.traceparent,
            target_count: model.target_count,
            work: model.work.map(v1::SiteWork::from),
            order: model.order.map(Into::into),
        }
    }
}

impl TryFrom<v1::WantDoc> for WantDoc {
    type Error = BadField;

    fn try_from(wire: v1::WantDoc) -> Result<Self, BadField> {
        check_version(wire.version)?;
        Ok(Self {
            site: parsed("site", &wire.site)?,
            revision: WantRevision(wire.revision),
            issued_at: UtcMillis::new(wire.issued_at_ms),
            jobs: all(wire.jobs)?,
            operators: wire.operators.map(Into::into),
            credentials: wire.credentials.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<WantDoc> for v1::WantDoc {
    fn from(model: WantDoc) -> Self {
        Self {
            version: VERSION,
            site: model.site.to_string(),
            revision: model.revision.0,
            issued_at_ms: model.issued_at.millis(),
            jobs: into_all(model.jobs),
            operators: model.operators.map(Into::into),
            credentials: into_all(model.credentials),
        }
    }
}

impl TryFrom<v1::JobDone> for SiteEvent {
    type Error = BadField;

    fn try_from(wire: v1::JobDone) -> Result<Self, BadField> {
        let outcome = match wire.outcome() {
            v1::SiteOutcome::Complete => SiteOutcome::Complete,
            v1::SiteOutcome::Cancelled => SiteOutcome::Cancelled,
            v1::SiteOutcome::Expired => SiteOutcome::Expired,
            v1::SiteOutcome::Refused => SiteOutcome::Refused(code(&wire.reason)),
            v1::SiteOutcome::Unspecified => {
                return Err(BadField::new(
                    "outcome",
                    format!("{} is not known", wire.outcome),
                ));
            }
        };
        let range = match (wire.first_sequence, wire.last_sequence) {
            (None, None) => None,
            (Some(first), Some(last)) if first <= last => Some((Sequence(first), Sequence(last))),
            (first, last) => {
                return Err(BadField::new(
                    "first_sequence",
                    format!("no range: {first:?}..{last:?}"),
                ));
            }
        };
        Ok(Self::Done {
            job: JobId::new(uuid("job", &wire.job)?),
            at: UtcMillis::new(wire.at_ms),
            outcome,
            records: wire.records,
            range,
        })
    }
}

impl TryFrom<v1::OutItem> for OutItem {
    type Error = BadField;

    fn try_from(wire: v1::OutItem) -> Result<Self, BadField> {
        Ok(match required("item", wire.item)? {
            Item::Report(report) => Self::Report(Box::new(report.try_into()?)),
            Item::Accepted(accepted) => Self::Event(SiteEvent::Accepted {
                job: JobId::new(uuid("job", &accepted.job)?),
                at: UtcMillis::new(accepted.at_ms),
            }),
            Item::Done(done) => Self::Event(done.try_into()?),
            Item::Searched(searched) => Self::Searched(Box::new(searched.try_into()?)),
            Item::Credential(answer) => Self::Credential(answer.try_into()?),
        })
    }
}

impl From<SiteEvent> for Item {
    fn from(model: SiteEvent) -> Self {
        match model {
            SiteEvent::Accepted { job, at } => Self::Accepted(v1::JobAccepted {
                job: job.uuid().as_bytes().to_vec(),
                at_ms: at.millis(),
            }),
            SiteEvent::Done {
                job,
                at,
                outcome,
                records,
                range,
            } => {
                let (outcome, reason) = match outcome {
                    SiteOutcome::Complete => (v1::SiteOutcome::Complete, String::new()),
                    SiteOutcome::Cancelled => (v1::SiteOutcome::Cancelled, String::new()),
                    SiteOutcome::Expired => (v1::SiteOutcome::Expired, String::new()),
                    SiteOutcome::Refused(code) => (v1::SiteOutcome::Refused, code.to_string()),
                };
                Self::Done(v1::JobDone {
                    job: job.uuid().as_bytes().to_vec(),
                    at_ms: at.millis(),
                    outcome: outcome.into(),
                    reason,
                    records,
                    first_sequence: range.map(|(first, _)| first.0),
                    last_sequence: range.map(|(_, last)| last.0),
                })
            }
        }
    }
}

impl From<OutItem> for v1::OutItem {
    fn from(model: OutItem) -> Self {
        let item = match model {
            OutItem::Report(report) => Item::Report((*report).into()),
            OutItem::Event(event) => event.into(),
            OutItem::Searched(searched) => Item::Searched((*searched).into()),
            OutItem::Credential(answer) => Item::Credential(answer.into()),
        };
        Self { item: Some(item) }
    }
}

impl TryFrom<v1::OutBatch> for OutBatch {
    type Error = BadField;

    fn try_from(wire: v1::OutBatch) -> Result<Self, BadField> {
        check_version(wire.version)?;
        if wire.sequence == 0 {
            return Err(BadField::new("sequence", "0, but batches count from 1"));
        }
        Ok(Self {
            site: parsed("site", &wire.site)?,
            epoch: Epoch::new(uuid("epoch", &wire.epoch)?),
            sequence: Sequence(wire.sequence),
            items: all(wire.items)?,
        })
    }
}

impl From<OutBatch> for v1::OutBatch {
    fn from(model: OutBatch) -> Self {
        Self {
            version: VERSION,
            site: model.site.to_string(),
            epoch: model.epoch.uuid().as_bytes().to_vec(),
            sequence: model.sequence.0,
            items: into_all(model.items),
        }
    }
}
