//! Changes, as users read and parse them.

use serde::Serialize;
use tvtfleet_proto::model::change::Change;

use crate::output::Row;

/// A change in a list.
#[derive(Default, Serialize)]
pub(super) struct ChangeRow {
    id: String,
    at: String,
    site: String,
    device_id: String,
    hostname: String,
    address: String,
    kind: String,
    channel: String,
    channel_name: String,
    field: String,
    old: String,
    new: String,
    job: Option<String>,
}

impl From<&Change> for ChangeRow {
    fn from(change: &Change) -> Self {
        Self {
            id: change.id.to_string(),
            at: change.at.to_string(),
            site: change.site.to_string(),
            device_id: change.device_id.clone(),
            hostname: change.hostname.clone(),
            address: change.address.clone(),
            kind: change.kind.to_string(),
            channel: change.channel.clone(),
            channel_name: change.channel_name.clone(),
            field: change.field.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            job: change.job.map(|job| job.to_string()),
        }
    }
}

impl Row for ChangeRow {
    const NOUN: &'static str = "changes";
    const HEADS: &'static [&'static str] = &[
        "AT", "SITE", "DEVICE", "KIND", "CHANNEL", "FIELD", "OLD", "NEW",
    ];

    fn cells(&self) -> Vec<String> {
        let device = [&self.hostname, &self.address, &self.device_id];
        let channel = if self.channel_name.is_empty() {
            self.channel.clone()
        } else {
            format!("{} {}", self.channel, self.channel_name)
        };
        vec![
            self.at.clone(),
            self.site.clone(),
            device
                .into_iter()
                .find(|name| !name.is_empty())
                .cloned()
                .unwrap_or_default(),
            self.kind.clone(),
            channel,
            self.field.clone(),
            self.old.clone(),
            self.new.clone(),
        ]
    }
}
