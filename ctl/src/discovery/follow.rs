//! Following a discovery of the fleet: devices are told of as they are applied.

use std::collections::BTreeMap;

use tvt_coordinator::render::discovery::found_line;
use tvtfleet_proto::model::api::{JobStatus, RowOutcome};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{SiteId, TargetNo};

use crate::error::CliError;
use crate::progress::Progress;
use crate::server::Server;

/// Devices that are told of one by one, in all; the list at the end has the others.
const TOLD_MAX: usize = 2_000;

/// The devices of a job that have been told of.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    /// How many devices of each site, and the last of them.
    sites: BTreeMap<SiteId, (u32, Option<TargetNo>)>,
    told: usize,
}

impl Finds {
    /// Tells of the devices that are new since the last time, and how far the sites are.
    ///
    /// # Errors
    ///
    /// Those of the coordinator.
    pub(crate) async fn tell(
        &mut self,
        server: &Server,
        status: &JobStatus,
        progress: &Progress,
    ) -> Result<(), CliError> {
        let job = &status.job;
        if job.spec.work.ask != Ask::Discover || !progress.is_shown() {
            return Ok(());
        }
        for site in &job.sites {
            let count = site.devices.ok.saturating_add(site.devices.failed);
            let (known, last) = self.sites.entry(site.site.clone()).or_default();
            if count <= *known || self.told >= TOLD_MAX {
                continue;
            }
            for row in server.results_after(job.id, &site.site, *last).await? {
                let RowOutcome::Reported(report) = &row.outcome else {
                    continue;
                };
                if let Some(found) = &report.found {
                    progress.say(&format!("{}:{}", site.site, found_line(found)));
                    self.told = self.told.saturating_add(1);
                }
                *last = Some(report.target).max(*last);
            }
            *known = count;
        }
        let (mut done, mut total, mut found) = (0_u64, 0_u64, 0_u64);
        for (_, hint) in &status.progress {
            done = done.saturating_add(hint.probes_done);
            total = total.saturating_add(hint.probes_total);
            found = found.saturating_add(hint.found.into());
        }
        progress.search(done, total, found.max(job.devices.total.into()));
        Ok(())
    }
}
