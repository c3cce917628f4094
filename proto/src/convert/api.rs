//! `api.proto`.

use std::time::Duration;

use crate::model::api::{
    ApiError, CancelJob, CoordinatorInfo, DeviceView, ImportDevices, Imported, JobStatus,
    ListDevices, ListJobs, Page, ShowDevice, ShowJob, SubmitJob, Submitted,
};
use crate::model::discovery::Sighting;
use crate::model::id::{ImportId, JobId};
use crate::model::job::JobView;
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{
    BadField, all, all_parsed, code, into_all, millis, optional_code, optional_uuid, parsed,
    required, text_of, texts, uuid,
};

impl From<v1::ApiError> for ApiError {
    fn from(wire: v1::ApiError) -> Self {
        Self {
            code: code(&wire.code),
            message: wire.message,
            hint: wire.hint,
        }
    }
}

impl From<ApiError> for v1::ApiError {
    fn from(model: ApiError) -> Self {
        Self {
            code: model.code.to_string(),
            message: model.message,
            hint: model.hint,
        }
    }
}

impl TryFrom<v1::SubmitJob> for SubmitJob {
    type Error = BadField;

    fn try_from(wire: v1::SubmitJob) -> Result<Self, BadField> {
        Ok(Self {
            idempotency_key: uuid("idempotency_key", &wire.idempotency_key)?,
            spec: required("spec", wire.spec)?.try_into()?,
        })
    }
}

impl From<SubmitJob> for v1::SubmitJob {
    fn from(model: SubmitJob) -> Self {
        Self {
            idempotency_key: model.idempotency_key.as_bytes().to_vec(),
            spec: Some(model.spec.into()),
        }
    }
}

impl TryFrom<v1::Submitted> for Submitted {
    type Error = BadField;

    fn try_from(wire: v1::Submitted) -> Result<Self, BadField> {
        Ok(Self {
            job: required("job", wire.job)?.try_into()?,
        })
    }
}

impl From<Submitted> for v1::Submitted {
    fn from(model: Submitted) -> Self {
        Self {
            job: Some(model.job.into()),
        }
    }
}

impl TryFrom<v1::ListJobs> for ListJobs {
    type Error = BadField;

    fn try_from(wire: v1::ListJobs) -> Result<Self, BadField> {
        Ok(Self {
            before: optional_uuid("before", &wire.before)?.map(JobId::new),
            limit: wire.limit,
        })
    }
}

impl From<ListJobs> for v1::ListJobs {
    fn from(model: ListJobs) -> Self {
        Self {
            before: optional_bytes(model.before),
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::ShowJob> for ShowJob {
    type Error = BadField;

    fn try_from(wire: v1::ShowJob) -> Result<Self, BadField> {
        Ok(Self {
            job: optional_uuid("job", &wire.job)?.map(JobId::new),
            after_version: wire.after_version,
            wait: Duration::from_millis(wire.wait_ms),
            cursor: wire.cursor,
        })
    }
}

impl From<ShowJob> for v1::ShowJob {
    fn from(model: ShowJob) -> Self {
        Self {
            job: optional_bytes(model.job),
            after_version: model.after_version,
            wait_ms: millis(model.wait),
            cursor: model.cursor,
        }
    }
}

impl TryFrom<v1::JobStatus> for JobStatus {
    type Error = BadField;

    fn try_from(wire: v1::JobStatus) -> Result<Self, BadField> {
        let progress = wire
            .progress
            .into_iter()
            .map(|one| {
                let progress = required("progress", one.progress)?.try_into()?;
                Ok((parsed("site", &one.site)?, progress))
            })
            .collect::<Result<_, BadField>>()?;
        Ok(Self {
            job: required("job", wire.job)?.try_into()?,
            progress,
            next: wire.next,
        })
    }
}

impl From<JobStatus> for v1::JobStatus {
    fn from(model: JobStatus) -> Self {
        let progress = model
            .progress
            .into_iter()
            .map(|(site, progress)| v1::SiteProgress {
                site: site.to_string(),
                progress: Some(progress.into()),
            })
            .collect();
        Self {
            job: Some(model.job.into()),
            progress,
            next: model.next,
        }
    }
}

impl TryFrom<v1::JobList> for Page<JobView> {
    type Error = BadField;

    fn try_from(wire: v1::JobList) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.jobs)?,
            next: wire.next,
        })
    }
}

impl From<Page<JobView>> for v1::JobList {
    fn from(model: Page<JobView>) -> Self {
        Self {
            jobs: into_all(model.rows),
            next: model.next,
        }
    }
}

impl TryFrom<v1::CancelJob> for CancelJob {
    type Error = BadField;

    fn try_from(wire: v1::CancelJob) -> Result<Self, BadField> {
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
        })
    }
}

impl From<CancelJob> for v1::CancelJob {
    fn from(model: CancelJob) -> Self {
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
        }
    }
}

impl TryFrom<v1::ListDevices> for ListDevices {
    type Error = BadField;

    fn try_from(wire: v1::ListDevices) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            sites: all_parsed("sites", &wire.sites)?,
            labels: wire.labels,
            text: wire.text,
            with_channels: wire.with_channels,
            cursor: wire.cursor,
            limit: wire.limit,
            at: wire.at_ms.map(UtcMillis::new),
            standings: all_parsed("standings", &wire.standings)?,
        })
    }
}

impl From<ListDevices> for v1::ListDevices {
    fn from(model: ListDevices) -> Self {
        Self {
            tenants: texts(&model.tenants),
            sites: texts(&model.sites),
            labels: model.labels,
            text: model.text,
            with_channels: model.with_channels,
            cursor: model.cursor,
            limit: model.limit,
            at_ms: model.at.map(UtcMillis::millis),
            standings: texts(&model.standings),
        }
    }
}

impl From<v1::ShowDevice> for ShowDevice {
    fn from(wire: v1::ShowDevice) -> Self {
        Self {
            name: wire.name,
            at: wire.at_ms.map(UtcMillis::new),
        }
    }
}

impl From<ShowDevice> for v1::ShowDevice {
    fn from(model: ShowDevice) -> Self {
        Self {
            name: model.name,
            at_ms: model.at.map(UtcMillis::millis),
        }
    }
}

impl TryFrom<v1::DeviceView> for DeviceView {
    type Error = BadField;

    fn try_from(wire: v1::DeviceView) -> Result<Self, BadField> {
        Ok(Self {
            device_id: wire.device_id,
            site: parsed("site", &wire.site)?,
            site_display_name: wire.site_display_name,
            entry: required("entry", wire.entry)?.try_into()?,
            labels: wire.labels,
            facts: required("facts", wire.facts)?.try_into()?,
            channel_count: wire.channel_count,
            channels: all(wire.channels)?,
            first_known: UtcMillis::new(wire.first_known_ms),
            last_report: wire.last_report_ms.map(UtcMillis::new),
            last_success: wire.last_success_ms.map(UtcMillis::new),
            last_failure: optional_code(&wire.last_failure),
            note: wire.note,
            sighting: wire
                .sighting
                .map(TryInto::try_into)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

impl From<DeviceView> for v1::DeviceView {
    fn from(model: DeviceView) -> Self {
        Self {
            device_id: model.device_id,
            site: model.site.to_string(),
            site_display_name: model.site_display_name,
            entry: Some(model.entry.into()),
            labels: model.labels,
            facts: Some(model.facts.into()),
            channel_count: model.channel_count,
            channels: into_all(model.channels),
            first_known_ms: model.first_known.millis(),
            last_report_ms: model.last_report.map(UtcMillis::millis),
            last_success_ms: model.last_success.map(UtcMillis::millis),
            last_failure: text_of(model.last_failure.as_ref()),
            note: model.note,
            sighting: (model.sighting != Sighting::default()).then(|| model.sighting.into()),
        }
    }
}

impl TryFrom<v1::DevicePage> for Page<DeviceView> {
    type Error = BadField;

    fn try_from(wire: v1::DevicePage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
        })
    }
}

impl From<Page<DeviceView>> for v1::DevicePage {
    fn from(model: Page<DeviceView>) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
        }
    }
}

impl TryFrom<v1::ImportDevices> for ImportDevices {
    type Error = BadField;

    fn try_from(wire: v1::ImportDevices) -> Result<Self, BadField> {
        let entries = wire
            .entries
            .into_iter()
            .map(|one| {
                Ok((
                    parsed("site", &one.site)?,
                    required("entry", one.entry)?.try_into()?,
                ))
            })
            .collect::<Result<_, BadField>>()?;
        Ok(Self {
            import: ImportId::new(uuid("import", &wire.import)?),
            entries,
            labels: wire.labels,
            create_sites: wire.create_sites,
        })
    }
}

impl From<ImportDevices> for v1::ImportDevices {
    fn from(model: ImportDevices) -> Self {
        let entries = model
            .entries
            .into_iter()
            .map(|(site, entry)| v1::ImportEntry {
                site: site.to_string(),
                entry: Some(entry.into()),
            })
            .collect();
        Self {
            import: model.import.uuid().as_bytes().to_vec(),
            entries,
            labels: model.labels,
            create_sites: model.create_sites,
        }
    }
}

impl TryFrom<v1::Imported> for Imported {
    type Error = BadField;

    fn try_from(wire: v1::Imported) -> Result<Self, BadField> {
        Ok(Self {
            added: wire.added,
            updated: wire.updated,
            unchanged: wire.unchanged,
            sites_added: all_parsed("sites_added", &wire.sites_added)?,
            refused: wire
                .refused
                .into_iter()
                .map(|one| (one.position, code(&one.code), one.text))
                .collect(),
        })
    }
}

impl From<Imported> for v1::Imported {
    fn from(model: Imported) -> Self {
        let refused = model
            .refused
            .into_iter()
            .map(|(position, code, text)| v1::ImportRefusal {
                position,
                code: code.to_string(),
                text,
            })
            .collect();
        Self {
            added: model.added,
            updated: model.updated,
            unchanged: model.unchanged,
            sites_added: texts(&model.sites_added),
            refused,
        }
    }
}

impl From<v1::CoordinatorInfo> for CoordinatorInfo {
    fn from(wire: v1::CoordinatorInfo) -> Self {
        Self {
            version: wire.version,
            started_at: UtcMillis::new(wire.started_at_ms),
            applied: wire.applied,
            quarantined: wire.quarantined,
        }
    }
}

impl From<CoordinatorInfo> for v1::CoordinatorInfo {
    fn from(model: CoordinatorInfo) -> Self {
        Self {
            version: model.version,
            started_at_ms: model.started_at.millis(),
            applied: model.applied,
            quarantined: model.quarantined,
        }
    }
}

fn optional_bytes(job: Option<JobId>) -> Vec<u8> {
    job.map(|job| job.uuid().as_bytes().to_vec())
        .unwrap_or_default()
}
