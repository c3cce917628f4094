//! Which devices a command lists.

use tvtfleet_proto::model::api::ListDevices;
use tvtfleet_proto::model::id::{SiteId, TenantId};

/// Options that narrow a list of devices. Kinds narrow together, repetitions widen.
#[derive(Debug, clap::Args)]
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
}

impl FilterArgs {
    /// The request for the first page.
    pub(super) fn request(self) -> ListDevices {
        ListDevices {
            tenants: self.tenant,
            sites: self.site,
            labels: self.label,
            text: self.text,
            with_channels: false,
            cursor: String::new(),
            limit: 0,
        }
    }
}
