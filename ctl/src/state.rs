//! The inventory as a scan, so that it can be compared like one.

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{DeviceView, ResultRow, RowOutcome};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::report::{DeviceReport, Failure};

/// What is known of devices, as if one job had just found it.
#[must_use]
pub(crate) fn rows(devices: Vec<DeviceView>) -> Vec<ResultRow> {
    devices.into_iter().map(row).collect()
}

fn row(view: DeviceView) -> ResultRow {
    let failure = match (view.last_failure, view.last_report) {
        (Some(code), _) => Some(Failure::new(code, format!("failed with {code}"))),
        (None, Some(_)) => None,
        (None, None) => Some(Failure::new(ErrorCode::SiteMissing, "not reported yet")),
    };
    // A device that was only probed has no channel list to compare.
    let warnings = if failure.is_none() && view.channel_count.is_none() {
        vec![ErrorCode::NoChannels]
    } else {
        Vec::new()
    };
    let report = DeviceReport {
        job: JobId::new(uuid::Uuid::nil()),
        target: TargetNo(0),
        ask: Ask::Scan,
        observed_at: view.last_report.unwrap_or(view.first_known),
        backend: Backend::Protocol,
        facts: view.facts,
        channels: view.channels,
        failure,
        warnings,
        attempts: Vec::new(),
        answer: None,
        found: None,
    };
    let site_label = if !view.entry.site_label.is_empty() {
        view.entry.site_label.clone()
    } else if !view.site_display_name.is_empty() {
        view.site_display_name
    } else {
        view.site.to_string()
    };
    ResultRow {
        site: Some(view.site),
        site_label,
        port: view.entry.port.unwrap_or(DEFAULT_PORT),
        entry: view.entry,
        device_id: view.device_id,
        outcome: RowOutcome::Reported(Box::new(report)),
    }
}
