//! Pages of a job's results, of `api.proto`.

use crate::model::api::{Page, ReadResults, ReadSearches, ResultRow, RowOutcome, SiteSearched};
use crate::model::id::{JobId, TargetNo};
use crate::wire::v1;

use super::field::{
    BadField, all, code, into_all, optional, parsed, port, required, text_of, uuid,
};

impl TryFrom<v1::ReadResults> for ReadResults {
    type Error = BadField;

    fn try_from(wire: v1::ReadResults) -> Result<Self, BadField> {
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            cursor: wire.cursor,
            limit: wire.limit,
            site: optional("site", &wire.site)?,
            after: wire.after.map(TargetNo),
        })
    }
}

impl From<ReadResults> for v1::ReadResults {
    fn from(model: ReadResults) -> Self {
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            cursor: model.cursor,
            limit: model.limit,
            site: text_of(model.site.as_ref()),
            after: model.after.map(|target| target.0),
        }
    }
}

impl TryFrom<v1::ResultRow> for ResultRow {
    type Error = BadField;

    fn try_from(wire: v1::ResultRow) -> Result<Self, BadField> {
        let outcome = match wire.report {
            Some(report) => RowOutcome::Reported(Box::new(report.try_into()?)),
            None => RowOutcome::Missing {
                job: JobId::new(uuid("missing_job", &wire.missing_job)?),
                code: code(&wire.missing_code),
            },
        };
        Ok(Self {
            site: optional("site", &wire.site)?,
            site_label: wire.site_label,
            entry: required("entry", wire.entry)?.try_into()?,
            port: port("port", wire.port)?,
            device_id: wire.device_id,
            outcome,
        })
    }
}

impl From<ResultRow> for v1::ResultRow {
    fn from(model: ResultRow) -> Self {
        let (report, missing_job, missing_code) = match model.outcome {
            RowOutcome::Reported(report) => (Some((*report).into()), Vec::new(), String::new()),
            RowOutcome::Missing { job, code } => {
                (None, job.uuid().as_bytes().to_vec(), code.to_string())
            }
        };
        Self {
            site: text_of(model.site.as_ref()),
            site_label: model.site_label,
            entry: Some(model.entry.into()),
            port: u32::from(model.port),
            device_id: model.device_id,
            report,
            missing_job,
            missing_code,
        }
    }
}

impl TryFrom<v1::ResultPage> for Page<ResultRow> {
    type Error = BadField;

    fn try_from(wire: v1::ResultPage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
        })
    }
}

impl From<Page<ResultRow>> for v1::ResultPage {
    fn from(model: Page<ResultRow>) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
        }
    }
}

impl TryFrom<v1::ReadSearches> for ReadSearches {
    type Error = BadField;

    fn try_from(wire: v1::ReadSearches) -> Result<Self, BadField> {
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            cursor: wire.cursor,
            limit: wire.limit,
        })
    }
}

impl From<ReadSearches> for v1::ReadSearches {
    fn from(model: ReadSearches) -> Self {
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            cursor: model.cursor,
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::SiteSearched> for SiteSearched {
    type Error = BadField;

    fn try_from(wire: v1::SiteSearched) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            searched: required("searched", wire.searched)?.try_into()?,
        })
    }
}

impl From<SiteSearched> for v1::SiteSearched {
    fn from(model: SiteSearched) -> Self {
        Self {
            site: model.site.to_string(),
            searched: Some(model.searched.into()),
        }
    }
}

impl TryFrom<v1::SearchPage> for Page<SiteSearched> {
    type Error = BadField;

    fn try_from(wire: v1::SearchPage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
        })
    }
}

impl From<Page<SiteSearched>> for v1::SearchPage {
    fn from(model: Page<SiteSearched>) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
        }
    }
}
