//! `rpc.proto`.

use crate::model::agent::{AgentFacts, Heartbeat, Hello, Progress, SpoolHealth, Watermark};
use crate::model::backend::BackendState;
use crate::model::id::{Epoch, JobId, Sequence, WantRevision};
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{BadField, all, into_all, optional_code, parsed, required, text_of, uuid};

impl From<v1::AgentFacts> for AgentFacts {
    fn from(wire: v1::AgentFacts) -> Self {
        Self {
            version: wire.version,
            hostname: wire.hostname,
            platform: wire.platform,
            backends: wire.backends.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<AgentFacts> for v1::AgentFacts {
    fn from(model: AgentFacts) -> Self {
        Self {
            version: model.version,
            hostname: model.hostname,
            platform: model.platform,
            backends: model.backends.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::BackendState> for BackendState {
    fn from(wire: v1::BackendState) -> Self {
        Self {
            backend: wire.backend,
            usable: wire.usable,
            configured: wire.configured,
            version: wire.version,
            detail: wire.detail,
        }
    }
}

impl From<BackendState> for v1::BackendState {
    fn from(model: BackendState) -> Self {
        Self {
            backend: model.backend,
            usable: model.usable,
            configured: model.configured,
            version: model.version,
            detail: model.detail,
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = BadField;

    fn try_from(wire: v1::Hello) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            epoch: Epoch::new(uuid("epoch", &wire.epoch)?),
            oldest: Sequence(wire.oldest),
            next: Sequence(wire.next),
            want_revision: WantRevision(wire.want_revision),
            facts: required("facts", wire.facts)?.into(),
            home: wire.home,
        })
    }
}

impl From<Hello> for v1::Hello {
    fn from(model: Hello) -> Self {
        Self {
            site: model.site.to_string(),
            epoch: model.epoch.uuid().as_bytes().to_vec(),
            oldest: model.oldest.0,
            next: model.next.0,
            want_revision: model.want_revision.0,
            facts: Some(model.facts.into()),
            home: model.home,
        }
    }
}

impl TryFrom<v1::Progress> for Progress {
    type Error = BadField;

    fn try_from(wire: v1::Progress) -> Result<Self, BadField> {
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            done: wire.done,
            failed: wire.failed,
            running: wire.running,
            total: wire.total,
            found: wire.found,
            probes_done: wire.probes_done,
            probes_total: wire.probes_total,
        })
    }
}

impl From<Progress> for v1::Progress {
    fn from(model: Progress) -> Self {
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            done: model.done,
            failed: model.failed,
            running: model.running,
            total: model.total,
            found: model.found,
            probes_done: model.probes_done,
            probes_total: model.probes_total,
        }
    }
}

impl TryFrom<v1::Heartbeat> for Heartbeat {
    type Error = BadField;

    fn try_from(wire: v1::Heartbeat) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            epoch: Epoch::new(uuid("epoch", &wire.epoch)?),
            next: Sequence(wire.next),
            want_revision: WantRevision(wire.want_revision),
            spool_bytes: wire.spool_bytes,
            agent_time: UtcMillis::new(wire.agent_time_ms),
            progress: all(wire.progress)?,
            health: wire.health.map(SpoolHealth::from),
            home: wire.home,
        })
    }
}

impl From<Heartbeat> for v1::Heartbeat {
    fn from(model: Heartbeat) -> Self {
        Self {
            site: model.site.to_string(),
            epoch: model.epoch.uuid().as_bytes().to_vec(),
            next: model.next.0,
            want_revision: model.want_revision.0,
            spool_bytes: model.spool_bytes,
            agent_time_ms: model.agent_time.millis(),
            progress: into_all(model.progress),
            health: model.health.map(v1::SpoolHealth::from),
            home: model.home,
        }
    }
}

impl From<v1::SpoolHealth> for SpoolHealth {
    fn from(wire: v1::SpoolHealth) -> Self {
        Self {
            kept_bytes: wire.kept_bytes,
            damaged: wire.damaged,
            disk_free: wire.disk_free,
        }
    }
}

impl From<SpoolHealth> for v1::SpoolHealth {
    fn from(model: SpoolHealth) -> Self {
        Self {
            kept_bytes: model.kept_bytes,
            damaged: model.damaged,
            disk_free: model.disk_free,
        }
    }
}

impl TryFrom<v1::Watermark> for Watermark {
    type Error = BadField;

    fn try_from(wire: v1::Watermark) -> Result<Self, BadField> {
        Ok(Self {
            epoch: Epoch::new(uuid("epoch", &wire.epoch)?),
            committed: Sequence(wire.committed),
            resend_from: wire.resend_from.map(Sequence),
            want_revision: WantRevision(wire.want_revision),
            server_time: UtcMillis::new(wire.server_time_ms),
            refused: optional_code(&wire.refused),
            watched: wire.watched,
            rotate: wire.rotate,
        })
    }
}

impl From<Watermark> for v1::Watermark {
    fn from(model: Watermark) -> Self {
        Self {
            epoch: model.epoch.uuid().as_bytes().to_vec(),
            committed: model.committed.0,
            resend_from: model.resend_from.map(|sequence| sequence.0),
            want_revision: model.want_revision.0,
            server_time_ms: model.server_time.millis(),
            refused: text_of(model.refused.as_ref()),
            watched: model.watched,
            rotate: model.rotate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_cross_the_wire_and_may_be_missing() {
        let facts = AgentFacts {
            backends: vec![BackendState {
                backend: "netsdk".into(),
                usable: false,
                configured: true,
                version: String::new(),
                detail: "no libdvrnetsdk.so under /opt".into(),
            }],
            ..AgentFacts::default()
        };
        assert_eq!(AgentFacts::from(v1::AgentFacts::from(facts.clone())), facts);
        let old = AgentFacts::from(v1::AgentFacts::default());
        assert_eq!(old.backends, []);
    }
}
