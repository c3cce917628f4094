//! Which changes a command shows.

use tvtfleet_proto::model::change::{ChangeKind, ListChanges};
use tvtfleet_proto::model::id::{SiteId, TenantId};

/// Options that narrow changes. Kinds of options narrow together, repetitions widen.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which changes")]
pub(super) struct FilterArgs {
    /// Only changes of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// Only changes of this site; may be repeated
    #[arg(long, value_name = "TENANT/SITE")]
    site: Vec<SiteId>,
    /// Only changes of this device, by any of its names; may be repeated
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Only this sort of change, as moved or channel_status; may be repeated
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<ChangeKind>,
}

impl FilterArgs {
    /// The request for the first page.
    pub(super) fn request(self) -> ListChanges {
        ListChanges {
            tenants: self.tenant,
            sites: self.site,
            devices: self.device,
            kinds: self.kind,
            ..ListChanges::default()
        }
    }
}

fn kind(text: &str) -> Result<ChangeKind, String> {
    text.parse().map_err(|_| {
        let known: Vec<_> = ChangeKind::ALL
            .iter()
            .filter(|kind| !matches!(kind, ChangeKind::Other))
            .map(|kind| kind.as_str())
            .collect();
        format!("one of {}", known.join(", "))
    })
}
