//! What simulated devices answer.

use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::id::{JobId, SiteId, TargetNo};
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};
use tvtfleet_proto::model::time::UtcMillis;

/// The report of a device that was asked; `count` tells answers apart.
pub(super) fn answer(
    (job, target): (JobId, TargetNo),
    site: &SiteId,
    count: impl std::fmt::Display,
    observed_at: UtcMillis,
) -> DeviceReport {
    DeviceReport {
        job,
        target,
        ask: Ask::Scan,
        observed_at,
        backend: Backend::Protocol,
        facts: DeviceFacts {
            serial: format!("{site}-{}", target.0),
            // No two answers are the same, so that each one that is applied is a change.
            firmware: format!("1.{count}"),
            ..DeviceFacts::default()
        },
        channels: Vec::new(),
        failure: None,
        warnings: Vec::new(),
        attempts: Vec::new(),
        found: None,
        answer: None,
    }
}
