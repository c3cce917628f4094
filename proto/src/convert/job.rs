//! `job.proto`.

use std::time::Duration;

use super::order::{read_settings, settings};
use crate::model::ask::{Ask, AskScope};
use crate::model::id::{ImportId, JobId, TargetNo};
use crate::model::job::{
    DeviceCounts, JobSpec, JobState, JobView, MAX_PARALLEL, Selector, SiteJobState, SiteJobView,
    WorkOptions,
};
use crate::model::order::Order;
use crate::model::order::TARGET_SETTINGS_MAX;
use crate::model::time::UtcMillis;
use crate::model::want::{SiteWork, Target};
use crate::wire::v1;
use crate::wire::v1::selector::Kind;

use super::field::{
    BadField, all, all_parsed, credential, into_all, mac_bytes, millis, optional_code,
    optional_mac, parsed, required, text_of, texts, uuid,
};

impl TryFrom<v1::Selector> for Selector {
    type Error = BadField;

    fn try_from(wire: v1::Selector) -> Result<Self, BadField> {
        Ok(match required("selector.kind", wire.kind)? {
            Kind::All(v1::selector::All {}) => Self::All,
            Kind::Match(found) => Self::Match {
                tenants: all_parsed("tenants", &found.tenants)?,
                sites: all_parsed("sites", &found.sites)?,
                labels: found.labels,
            },
            Kind::Import(bytes) => Self::Import(ImportId::new(uuid("import", &bytes)?)),
            Kind::FailedOf(bytes) => Self::FailedOf(JobId::new(uuid("failed_of", &bytes)?)),
        })
    }
}

impl From<Selector> for v1::Selector {
    fn from(model: Selector) -> Self {
        let kind = match model {
            Selector::All => Kind::All(v1::selector::All {}),
            Selector::Match {
                tenants,
                sites,
                labels,
            } => Kind::Match(v1::selector::Match {
                tenants: texts(&tenants),
                sites: texts(&sites),
                labels,
            }),
            Selector::Import(import) => Kind::Import(import.uuid().as_bytes().to_vec()),
            Selector::FailedOf(job) => Kind::FailedOf(job.uuid().as_bytes().to_vec()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::WorkOptions> for WorkOptions {
    type Error = BadField;

    fn try_from(wire: v1::WorkOptions) -> Result<Self, BadField> {
        if wire.parallel == 0 || wire.parallel > MAX_PARALLEL {
            return Err(BadField::new(
                "parallel",
                format!("{} is not 1..{MAX_PARALLEL}", wire.parallel),
            ));
        }
        if wire.device_deadline_ms == 0 {
            return Err(BadField::new("device_deadline_ms", "0"));
        }
        let ask = parsed("ask", &wire.ask)?;
        if ask == Ask::Discover && wire.discover.is_none() {
            return Err(BadField::new("discover", "missing"));
        }
        let order: Option<Order> = wire.order.map(TryInto::try_into).transpose()?;
        match &order {
            Some(order) => order
                .check(ask)
                .map_err(|error| BadField::new("order", error.to_string()))?,
            None if ask.changes_device() => return Err(BadField::new("order", "missing")),
            None => {}
        }
        Ok(Self {
            ask,
            backend: parsed("backend", &wire.backend)?,
            credential: credential(&wire.credential)?,
            parallel: wire.parallel,
            device_deadline: Duration::from_millis(wire.device_deadline_ms),
            scope: AskScope {
                channel: Some(wire.channel).filter(|channel| *channel > 0),
                from: wire.from,
                to: wire.to,
                stream: (!wire.stream.is_empty())
                    .then(|| parsed("stream", &wire.stream))
                    .transpose()?,
                camera: credential(&wire.camera_credential)?,
            },
            discover: wire
                .discover
                .map(TryInto::try_into)
                .transpose()?
                .map(Box::new),
            order: order.map(Box::new),
        })
    }
}

impl From<WorkOptions> for v1::WorkOptions {
    fn from(model: WorkOptions) -> Self {
        Self {
            ask: model.ask.to_string(),
            backend: model.backend.to_string(),
            credential: text_of(model.credential.as_ref()),
            parallel: model.parallel,
            device_deadline_ms: millis(model.device_deadline),
            channel: model.scope.channel.unwrap_or(0),
            from: model.scope.from,
            to: model.scope.to,
            stream: text_of(model.scope.stream.as_ref()),
            camera_credential: text_of(model.scope.camera.as_ref()),
            discover: model.discover.map(|options| (*options).into()),
            order: model.order.map(|order| (*order).into()),
        }
    }
}

impl TryFrom<v1::JobSpec> for JobSpec {
    type Error = BadField;

    fn try_from(wire: v1::JobSpec) -> Result<Self, BadField> {
        if wire.deadline_ms == 0 {
            return Err(BadField::new("deadline_ms", "0"));
        }
        Ok(Self {
            selector: required("selector", wire.selector)?.try_into()?,
            work: required("work", wire.work)?.try_into()?,
            deadline: Duration::from_millis(wire.deadline_ms),
            note: wire.note,
        })
    }
}

impl From<JobSpec> for v1::JobSpec {
    fn from(model: JobSpec) -> Self {
        Self {
            selector: Some(model.selector.into()),
            work: Some(model.work.into()),
            deadline_ms: millis(model.deadline),
            note: model.note,
        }
    }
}

impl From<v1::DeviceCounts> for DeviceCounts {
    fn from(wire: v1::DeviceCounts) -> Self {
        Self {
            total: wire.total,
            ok: wire.ok,
            failed: wire.failed,
            channels: wire.channels,
        }
    }
}

impl From<DeviceCounts> for v1::DeviceCounts {
    fn from(model: DeviceCounts) -> Self {
        Self {
            total: model.total,
            ok: model.ok,
            failed: model.failed,
            channels: model.channels,
        }
    }
}

impl TryFrom<v1::SiteJobView> for SiteJobView {
    type Error = BadField;

    fn try_from(wire: v1::SiteJobView) -> Result<Self, BadField> {
        let state = SiteJobState::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == wire.state)
            .ok_or_else(|| BadField::new("state", format!("{:?} is not known", wire.state)))?;
        Ok(Self {
            site: parsed("site", &wire.site)?,
            display_name: wire.display_name,
            state,
            online: wire.online,
            last_seen: wire.last_seen_ms.map(UtcMillis::new),
            devices: required("devices", wire.devices)?.into(),
            reason: optional_code(&wire.reason),
        })
    }
}

impl From<SiteJobView> for v1::SiteJobView {
    fn from(model: SiteJobView) -> Self {
        Self {
            site: model.site.to_string(),
            display_name: model.display_name,
            state: model.state.to_string(),
            online: model.online,
            last_seen_ms: model.last_seen.map(UtcMillis::millis),
            devices: Some(model.devices.into()),
            reason: text_of(model.reason.as_ref()),
        }
    }
}

impl TryFrom<v1::JobView> for JobView {
    type Error = BadField;

    fn try_from(wire: v1::JobView) -> Result<Self, BadField> {
        let state = JobState::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == wire.state)
            .ok_or_else(|| BadField::new("state", format!("{:?} is not known", wire.state)))?;
        Ok(Self {
            id: JobId::new(uuid("id", &wire.id)?),
            spec: required("spec", wire.spec)?.try_into()?,
            submitted_by: wire.submitted_by,
            submitted_at: UtcMillis::new(wire.submitted_at_ms),
            deadline_at: UtcMillis::new(wire.deadline_at_ms),
            ended_at: wire.ended_at_ms.map(UtcMillis::new),
            state,
            devices: required("devices", wire.devices)?.into(),
            sites_total: wire.sites_total,
            sites_ended: wire.sites_ended,
            version: wire.version,
            reason: optional_code(&wire.reason),
            sites: all(wire.sites)?,
        })
    }
}

impl From<JobView> for v1::JobView {
    fn from(model: JobView) -> Self {
        Self {
            id: model.id.uuid().as_bytes().to_vec(),
            spec: Some(model.spec.into()),
            submitted_by: model.submitted_by,
            submitted_at_ms: model.submitted_at.millis(),
            deadline_at_ms: model.deadline_at.millis(),
            ended_at_ms: model.ended_at.map(UtcMillis::millis),
            state: model.state.to_string(),
            devices: Some(model.devices.into()),
            sites_total: model.sites_total,
            sites_ended: model.sites_ended,
            version: model.version,
            reason: text_of(model.reason.as_ref()),
            sites: into_all(model.sites),
        }
    }
}

impl TryFrom<v1::Target> for Target {
    type Error = BadField;

    fn try_from(wire: v1::Target) -> Result<Self, BadField> {
        Ok(Self {
            number: TargetNo(wire.number),
            endpoint: required("endpoint", wire.endpoint)?.try_into()?,
            known_mac: optional_mac("known_mac", &wire.known_mac)?,
            trusted: wire.trusted,
            credential: credential(&wire.credential)?,
            settings: read_settings(wire.settings, TARGET_SETTINGS_MAX)?,
        })
    }
}

impl From<Target> for v1::Target {
    fn from(model: Target) -> Self {
        Self {
            number: model.number.0,
            endpoint: Some(model.endpoint.into()),
            known_mac: mac_bytes(model.known_mac),
            trusted: model.trusted,
            credential: text_of(model.credential.as_ref()),
            settings: settings(model.settings),
        }
    }
}

impl TryFrom<v1::SiteWork> for SiteWork {
    type Error = BadField;

    fn try_from(wire: v1::SiteWork) -> Result<Self, BadField> {
        Ok(Self {
            options: required("options", wire.options)?.try_into()?,
            targets: all(wire.targets)?,
        })
    }
}

impl From<SiteWork> for v1::SiteWork {
    fn from(model: SiteWork) -> Self {
        Self {
            options: Some(model.options.into()),
            targets: into_all(model.targets),
        }
    }
}
