//! The bytes of the first release. A line of `frozen.txt` is never edited: agents and coordinators of
//! different releases talk to each other, and spools outlive upgrades.
//!
//! Each line is a message, a blank and its protobuf encoding in hexadecimal. A new message gets a new
//! line; the failing test prints it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message;

use super::{discovered, health, pushed, samples, searched};
use crate::model::api::{JobStatus, ListDevices, SignJob, SubmitJob};
use crate::model::job::Selector;
use crate::wire::v1;

fn encoded() -> BTreeMap<&'static str, Vec<u8>> {
    let submit = SubmitJob {
        idempotency_key: uuid::Uuid::from_u128(9),
        spec: samples::spec(Selector::FailedOf(samples::job())),
    };
    let status = JobStatus {
        job: samples::job_view(),
        progress: vec![(samples::site(), samples::progress())],
        next: None,
    };
    let mut all = BTreeMap::from([
        (
            "DeviceReport",
            v1::DeviceReport::from(samples::report()).encode_to_vec(),
        ),
        (
            "WantDoc",
            v1::WantDoc::from(samples::want()).encode_to_vec(),
        ),
        (
            "WantDocOrdered",
            v1::WantDoc::from(samples::ordered()).encode_to_vec(),
        ),
        (
            "UnsignedWork",
            v1::UnsignedWork::from(samples::unsigned()).encode_to_vec(),
        ),
        (
            "SignJob",
            v1::SignJob::from(SignJob {
                job: samples::job(),
                orders: vec![(samples::site(), samples::signed())],
            })
            .encode_to_vec(),
        ),
        (
            "OutBatch",
            v1::OutBatch::from(samples::batch()).encode_to_vec(),
        ),
        ("Hello", v1::Hello::from(samples::hello()).encode_to_vec()),
        (
            "Checkup",
            v1::Checkup::from(health::checkup()).encode_to_vec(),
        ),
        (
            "SpoolHealth",
            v1::SpoolHealth::from(health::spool_health()).encode_to_vec(),
        ),
        (
            "Heartbeat",
            v1::Heartbeat::from(samples::heartbeat()).encode_to_vec(),
        ),
        (
            "Watermark",
            v1::Watermark::from(samples::watermark()).encode_to_vec(),
        ),
        ("SubmitJob", v1::SubmitJob::from(submit).encode_to_vec()),
        ("JobStatus", v1::JobStatus::from(status).encode_to_vec()),
        (
            "ResultPage",
            v1::ResultPage::from(samples::rows()).encode_to_vec(),
        ),
        (
            "DevicePage",
            v1::DevicePage::from(samples::devices()).encode_to_vec(),
        ),
        (
            "ListDevices",
            v1::ListDevices::from(samples::list_devices()).encode_to_vec(),
        ),
        (
            "ImportDevices",
            v1::ImportDevices::from(samples::import()).encode_to_vec(),
        ),
        (
            "Imported",
            v1::Imported::from(samples::imported()).encode_to_vec(),
        ),
        (
            "SiteView",
            v1::SiteView::from(samples::site_view()).encode_to_vec(),
        ),
        (
            "DiscoverOptions",
            v1::DiscoverOptions::from(discovered::discover_options()).encode_to_vec(),
        ),
        (
            "DiscoverReport",
            v1::DiscoverReport::from(discovered::discover_report()).encode_to_vec(),
        ),
        (
            "ListDevicesAt",
            v1::ListDevices::from(ListDevices {
                at: Some(samples::at(1)),
                ..samples::list_devices()
            })
            .encode_to_vec(),
        ),
        (
            "DevicePageNoted",
            v1::DevicePage::from(samples::noted_devices()).encode_to_vec(),
        ),
        (
            "ListChanges",
            v1::ListChanges::from(samples::list_changes()).encode_to_vec(),
        ),
        (
            "ChangePage",
            v1::ChangePage::from(samples::changes()).encode_to_vec(),
        ),
        (
            "EditDevices",
            v1::EditDevices::from(samples::edit()).encode_to_vec(),
        ),
        (
            "ImportResults",
            v1::ImportResults::from(samples::past_results()).encode_to_vec(),
        ),
        (
            "RunQuery",
            v1::RunQuery::from(samples::query()).encode_to_vec(),
        ),
        (
            "QueryPage",
            v1::QueryPage::from(samples::answer()).encode_to_vec(),
        ),
        (
            "AgentView",
            v1::AgentView::from(samples::agent_view()).encode_to_vec(),
        ),
        (
            "SubmitDiscovery",
            v1::SubmitJob::from(searched::submit()).encode_to_vec(),
        ),
        (
            "OutBatchSearched",
            v1::OutBatch::from(searched::batch()).encode_to_vec(),
        ),
        (
            "SearchPage",
            v1::SearchPage::from(searched::searches()).encode_to_vec(),
        ),
    ]);
    all.extend(searched::additions());
    all.extend(pushed::additions());
    all
}

#[test]
fn released_messages_keep_their_bytes() {
    let frozen: BTreeMap<&str, &str> = include_str!("frozen.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let mut wrong = String::new();
    for (name, bytes) in encoded() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if frozen.get(name) != Some(&hex.as_str()) {
            writeln!(wrong, "{name} {hex}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as frozen:\n{wrong}");
    assert_eq!(
        frozen.len(),
        encoded().len(),
        "a frozen message is not checked any more"
    );
}
