//! Conversions of sites and agents, as operators list them.

use crate::model::agent::AgentView;
use crate::model::api::{AddSite, ListAgents, ListSites, Page, SiteView};
use crate::model::id::{Epoch, Sequence, WantRevision};
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{
    BadField, all, all_parsed, into_all, optional, optional_uuid, parsed, required, text_of, texts,
};

impl TryFrom<v1::ListSites> for ListSites {
    type Error = BadField;

    fn try_from(wire: v1::ListSites) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            site: optional("site", &wire.site)?,
            cursor: wire.cursor,
            limit: wire.limit,
        })
    }
}

impl From<ListSites> for v1::ListSites {
    fn from(model: ListSites) -> Self {
        Self {
            tenants: texts(&model.tenants),
            site: text_of(model.site.as_ref()),
            cursor: model.cursor,
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::SiteList> for Page<SiteView> {
    type Error = BadField;

    fn try_from(wire: v1::SiteList) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.sites)?,
            next: wire.next,
        })
    }
}

impl From<Page<SiteView>> for v1::SiteList {
    fn from(model: Page<SiteView>) -> Self {
        Self {
            sites: into_all(model.rows),
            next: model.next,
        }
    }
}

impl From<v1::ListAgents> for ListAgents {
    fn from(wire: v1::ListAgents) -> Self {
        Self {
            cursor: wire.cursor,
            limit: wire.limit,
        }
    }
}

impl From<ListAgents> for v1::ListAgents {
    fn from(model: ListAgents) -> Self {
        Self {
            cursor: model.cursor,
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::AgentList> for Page<AgentView> {
    type Error = BadField;

    fn try_from(wire: v1::AgentList) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.agents)?,
            next: wire.next,
        })
    }
}

impl From<Page<AgentView>> for v1::AgentList {
    fn from(model: Page<AgentView>) -> Self {
        Self {
            agents: into_all(model.rows),
            next: model.next,
        }
    }
}

impl TryFrom<v1::AddSite> for AddSite {
    type Error = BadField;

    fn try_from(wire: v1::AddSite) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            display_name: wire.display_name,
            labels: wire.labels,
        })
    }
}

impl From<AddSite> for v1::AddSite {
    fn from(model: AddSite) -> Self {
        Self {
            site: model.site.to_string(),
            display_name: model.display_name,
            labels: model.labels,
        }
    }
}

impl TryFrom<v1::SiteView> for SiteView {
    type Error = BadField;

    fn try_from(wire: v1::SiteView) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            display_name: wire.display_name,
            labels: wire.labels,
            online: wire.online,
            last_seen: wire.last_seen_ms.map(UtcMillis::new),
            devices: wire.devices,
            failing: wire.failing,
            open_jobs: wire.open_jobs,
        })
    }
}

impl From<SiteView> for v1::SiteView {
    fn from(model: SiteView) -> Self {
        Self {
            site: model.site.to_string(),
            display_name: model.display_name,
            labels: model.labels,
            online: model.online,
            last_seen_ms: model.last_seen.map(UtcMillis::millis),
            devices: model.devices,
            failing: model.failing,
            open_jobs: model.open_jobs,
        }
    }
}

impl TryFrom<v1::AgentView> for AgentView {
    type Error = BadField;

    fn try_from(wire: v1::AgentView) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            online: wire.online,
            last_seen: wire.last_seen_ms.map(UtcMillis::new),
            facts: required("facts", wire.facts)?.into(),
            epoch: optional_uuid("epoch", &wire.epoch)?.map(Epoch::new),
            committed: Sequence(wire.committed),
            next: Sequence(wire.next),
            spool_bytes: wire.spool_bytes,
            clock_skew_ms: wire.clock_skew_ms,
            want_taken: WantRevision(wire.want_taken),
            want_newest: WantRevision(wire.want_newest),
            health: wire.health.map(Into::into),
        })
    }
}

impl From<AgentView> for v1::AgentView {
    fn from(model: AgentView) -> Self {
        Self {
            site: model.site.to_string(),
            online: model.online,
            last_seen_ms: model.last_seen.map(UtcMillis::millis),
            facts: Some(model.facts.into()),
            epoch: model
                .epoch
                .map(|epoch| epoch.uuid().as_bytes().to_vec())
                .unwrap_or_default(),
            committed: model.committed.0,
            next: model.next.0,
            spool_bytes: model.spool_bytes,
            clock_skew_ms: model.clock_skew_ms,
            want_taken: model.want_taken.0,
            want_newest: model.want_newest.0,
            health: model.health.map(Into::into),
        }
    }
}
