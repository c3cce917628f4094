//! Sites, as users read and parse them.

use serde::Serialize;
use tvtfleet_proto::model::api::SiteView;

use crate::output::Row;

/// A site in a list.
#[derive(Default, Serialize)]
pub(super) struct SiteRow {
    site: String,
    display_name: String,
    labels: Vec<String>,
    online: bool,
    last_seen: Option<String>,
    devices: u32,
    failing: u32,
    open_jobs: u32,
}

impl From<&SiteView> for SiteRow {
    fn from(site: &SiteView) -> Self {
        Self {
            site: site.site.to_string(),
            display_name: site.display_name.clone(),
            labels: site.labels.clone(),
            online: site.online,
            last_seen: site.last_seen.map(|moment| moment.to_string()),
            devices: site.devices,
            failing: site.failing,
            open_jobs: site.open_jobs,
        }
    }
}

impl Row for SiteRow {
    const NOUN: &'static str = "sites";
    const HEADS: &'static [&'static str] = &[
        "SITE",
        "NAME",
        "ONLINE",
        "LAST SEEN",
        "DEVICES",
        "FAILING",
        "JOBS",
        "LABELS",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            self.display_name.clone(),
            if self.online { "yes" } else { "no" }.to_owned(),
            self.last_seen.clone().unwrap_or_else(|| "never".to_owned()),
            self.devices.to_string(),
            self.failing.to_string(),
            self.open_jobs.to_string(),
            self.labels.join(","),
        ]
    }
}
