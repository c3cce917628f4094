//! Which devices a command lists.

use tvtfleet_proto::model::api::ListDevices;
use tvtfleet_proto::model::discovery::Standing;
use tvtfleet_proto::model::id::{SiteId, TenantId};

use crate::io::Io;
use crate::moment::Moment;

/// Options that narrow a list of devices. Kinds narrow together, repetitions widen.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which devices")]
pub(super) struct FilterArgs {
    /// Only devices of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// Only devices of this site; may be repeated
    #[arg(long, value_name = "TENANT/SITE")]
    site: Vec<SiteId>,
    /// Only devices that carry this label, or whose site does; may be repeated
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only devices in whose name, address, MAC, serial number or model this text stands
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    text: String,
    /// Only devices that stand so to what discoveries saw: new, gone, moved, unverified; may be
    /// repeated
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        conflicts_with = "at"
    )]
    state: Vec<Standing>,
    /// As it was known at this time: 2026-11-02, monday, 3d, or a moment
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
}

impl FilterArgs {
    /// The request for the first page.
    pub(super) fn request(self, io: &Io) -> ListDevices {
        ListDevices {
            tenants: self.tenant,
            sites: self.site,
            labels: self.label,
            text: self.text,
            with_channels: false,
            cursor: String::new(),
            limit: 0,
            at: self.at.map(|at| at.from(io.clock.now())),
            standings: self.state,
        }
    }
}
