//! Rows for tests: one of every outcome.

use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::{Attempt, DeviceFacts, DeviceFamily, DeviceReport, Failure};
use tvtfleet_proto::model::time::UtcMillis;

const JOB: &str = "01900000-0000-7000-8000-000000000001";

/// A standard recorder with two cameras, a head recorder with two channels, a refused one, one of
/// an offline site, and one that named no channel.
pub(crate) fn rows() -> Vec<ResultRow> {
    let mut standard = report();
    standard.facts = DeviceFacts {
        name: "NVR-1".to_owned(),
        family: Some(DeviceFamily::Standard),
        mac: Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, 1])),
        config_data_len: Some(4096),
        software_ver_hex: "05020300".to_owned(),
        build_date: Some(20_241_010),
        protocol_version: Some(3),
        ..DeviceFacts::default()
    };
    standard.channels = vec![
        channel(1, "Einfahrt Süd", "10.9.0.1"),
        channel(2, "=1+1", "10.9.0.2"),
    ];

    let mut head = report();
    head.facts = DeviceFacts {
        serial: "N9K0042".to_owned(),
        family: Some(DeviceFamily::Head),
        total_channels: Some(16),
        protocol_version: Some(11),
        ..DeviceFacts::default()
    };
    head.channels = vec![channel(1, "Channel 1", ""), channel(2, "Channel 2", "")];
    head.warnings = vec![ErrorCode::AddressesUnknown];

    let mut refused = report();
    refused.failure = Some(Failure::new(
        ErrorCode::ConnectRefused,
        "connection refused by 10.0.0.3",
    ));
    refused.attempts = vec![Attempt {
        backend: Backend::Protocol,
        started_at: UtcMillis::new(0),
        duration: Duration::from_millis(3),
        code: Some(ErrorCode::ConnectRefused),
    }];

    let mut empty = report();
    empty.facts.name = "KW-16".to_owned();
    empty.warnings = vec![ErrorCode::NoChannels];

    let missing = RowOutcome::Missing {
        job: JOB.parse().unwrap(),
        code: ErrorCode::SiteOffline,
    };
    vec![
        row(1, "Depot Süd", None, reported(standard)),
        row(2, "Depot Süd", None, reported(head)),
        row(3, "Depot Süd", Some(7036), reported(refused)),
        row(4, "HQ / Tower 1", None, missing),
        row(5, "HQ / Tower 1", None, reported(empty)),
    ]
}

fn reported(report: DeviceReport) -> RowOutcome {
    RowOutcome::Reported(Box::new(report))
}

fn row(number: u8, site: &str, port: Option<u16>, outcome: RowOutcome) -> ResultRow {
    ResultRow {
        site: None,
        site_label: site.to_owned(),
        entry: InventoryEntry {
            port,
            site_label: site.to_owned(),
            hostname: format!("rec-{number}"),
            mac_text: format!("58:5B:69:00:00:{number:02}"),
            manufacturer: "TVT".to_owned(),
            ..InventoryEntry::bare(format!("10.0.0.{number}").parse().unwrap())
        },
        port: port.unwrap_or(6036),
        device_id: format!("mac:58:5B:69:00:00:{number:02}"),
        outcome,
    }
}

fn report() -> DeviceReport {
    DeviceReport {
        job: JOB.parse().unwrap(),
        target: TargetNo(0),
        ask: Ask::Scan,
        observed_at: UtcMillis::new(1_793_000_000_123),
        backend: Backend::Protocol,
        facts: DeviceFacts::default(),
        channels: Vec::new(),
        failure: None,
        warnings: Vec::new(),
        attempts: Vec::new(),
        answer: None,
        found: None,
    }
}

fn channel(number: i64, name: &str, address: &str) -> Channel {
    Channel {
        label: ChannelLabel::Number(number),
        name: name.to_owned(),
        address: address.to_owned(),
        port: if address.is_empty() { 0 } else { 9008 },
        status: ChannelStatus::Online,
        status_source: StatusSource::ChannelList,
        protocol: if address.is_empty() {
            String::new()
        } else {
            "TVT".to_owned()
        },
        model: String::new(),
    }
}
