//! What the comparison must tell apart.

use proptest::prelude::*;

use super::*;
use crate::results::{self, CameraRecord, ChannelKey, DeviceInfo, ResultRecord};

mod applied;

fn example(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/examples/");
    std::fs::read_to_string(format!("{root}{path}")).unwrap()
}

fn record(
    site: &'static str,
    address: &'static str,
    serial: &'static str,
) -> ResultRecord<'static> {
    ResultRecord {
        site: site.into(),
        nvr_ip: address.into(),
        nvr_port: 6036,
        success: true,
        serial_number: serial.into(),
        firmware: "1.0".into(),
        cameras: vec![camera(1, "Door", "10.9.0.1"), camera(2, "Yard", "10.9.0.2")],
        ..ResultRecord::default()
    }
}

fn camera(channel: i64, name: &'static str, address: &'static str) -> CameraRecord<'static> {
    CameraRecord {
        channel: ChannelKey::Number(channel),
        name: name.into(),
        address: address.into(),
        port: if address.is_empty() { 0 } else { 9008 },
        status: "Online".into(),
        ..CameraRecord::default()
    }
}

fn failed(record: ResultRecord<'static>, code: &'static str) -> ResultRecord<'static> {
    ResultRecord {
        success: false,
        cameras: Vec::new(),
        firmware: "".into(),
        serial_number: "".into(),
        error: Some("it failed".into()),
        error_code: Some(code.into()),
        ..record
    }
}

fn scan(records: impl Into<Vec<ResultRecord<'static>>>) -> Scan<'static> {
    Scan::from_records(records.into())
}

fn kinds(diff: &Diff<'_>) -> Vec<(DeviceChange, String)> {
    diff.devices
        .iter()
        .map(|device| (device.kind, device.site.to_owned()))
        .collect()
}

fn field_names(device: &DeviceDiff<'_>) -> Vec<&'static str> {
    device.fields.iter().map(|field| field.field).collect()
}

#[test]
fn one_address_at_two_sites_is_two_devices() {
    let old = scan([record("A", "10.0.0.1", "S1"), record("B", "10.0.0.1", "S2")]);
    let mut newer = [record("A", "10.0.0.1", "S1"), record("B", "10.0.0.1", "S2")];
    newer[0].firmware = "2.0".into();
    let new = scan(newer);
    let found = diff(&old, &new);
    assert_eq!(kinds(&found), [(DeviceChange::Changed, "A".to_owned())]);
    assert_eq!(field_names(&found.devices[0]), ["firmware"]);
    assert_eq!(found.unchanged, 1);
    // The same without serial numbers.
    let old = scan([record("A", "10.0.0.1", ""), record("B", "10.0.0.1", "")]);
    let mut newer = [record("B", "10.0.0.1", ""), record("A", "10.0.0.1", "")];
    newer[1].firmware = "2.0".into();
    let new = scan(newer);
    assert_eq!(
        kinds(&diff(&old, &new)),
        [(DeviceChange::Changed, "A".to_owned())]
    );
}

#[test]
fn channels_without_address_are_compared() {
    let mut older = record("A", "10.0.0.1", "S1");
    older.cameras = vec![camera(1, "Channel 1", ""), camera(2, "Channel 2", "")];
    let mut newer = older.clone();
    newer.cameras[1].status = "Offline".into();
    let (old, new) = (scan([older]), scan([newer]));
    let found = diff(&old, &new);
    let [channel] = found.devices[0].channel_changes.as_slice() else {
        panic!()
    };
    assert_eq!(channel.channel, &ChannelKey::Number(2));
    assert_eq!(
        channel.fields,
        [FieldChange {
            field: "status",
            old: Value::Text("Online"),
            new: Value::Text("Offline")
        }]
    );
}

#[test]
fn a_swapped_recorder_is_a_replacement() {
    let (old, new) = (
        scan([record("A", "10.0.0.1", "S1")]),
        scan([record("A", "10.0.0.1", "S2")]),
    );
    let found = diff(&old, &new);
    assert_eq!(kinds(&found), [(DeviceChange::Replaced, "A".to_owned())]);
    assert_eq!(field_names(&found.devices[0]), ["serial_number"]);
    // Known by its MAC only.
    let with_mac = |mac: &'static str| ResultRecord {
        device_info: DeviceInfo {
            mac: Some(mac.into()),
            ..DeviceInfo::default()
        },
        ..record("A", "10.0.0.1", "")
    };
    let (old, new) = (
        scan([with_mac("58:5B:69:00:00:01")]),
        scan([with_mac("58:5B:69:00:00:02")]),
    );
    let found = diff(&old, &new);
    assert_eq!(kinds(&found), [(DeviceChange::Replaced, "A".to_owned())]);
    assert_eq!(field_names(&found.devices[0]), ["device_info.mac"]);
    // Another spelling is no other MAC.
    let (old, new) = (
        scan([with_mac("58:5B:69:00:00:01")]),
        scan([with_mac("585b.6900.0001")]),
    );
    assert!(diff(&old, &new).devices.is_empty());
}

#[test]
fn a_moved_device_is_neither_removed_nor_added() {
    let (old, new) = (
        scan([record("A", "10.0.0.1", "S1")]),
        scan([record("A", "10.0.0.7", "S1")]),
    );
    let found = diff(&old, &new);
    assert_eq!(kinds(&found), [(DeviceChange::Changed, "A".to_owned())]);
    assert!(found.devices[0].moved);
    assert_eq!(field_names(&found.devices[0]), ["nvr_ip"]);
    // Its old place is taken by a new device.
    let old = scan([record("A", "10.0.0.1", "S1")]);
    let new = scan([record("A", "10.0.0.1", "S2"), record("A", "10.0.0.7", "S1")]);
    let found = diff(&old, &new);
    let totals = found.totals();
    assert_eq!(
        (totals.added, totals.removed, totals.replaced, totals.moved),
        (1, 0, 0, 1)
    );
}

#[test]
fn a_device_that_fails_is_unreachable_and_loses_nothing() {
    let device = record("A", "10.0.0.1", "S1");
    let down = failed(device.clone(), "device.connect_refused");
    let (good, bad) = (scan([device.clone()]), scan([down.clone()]));
    let found = diff(&good, &bad);
    assert_eq!(kinds(&found), [(DeviceChange::Unreachable, "A".to_owned())]);
    assert_eq!(
        found.devices[0].new_reason.unwrap().code,
        Some("device.connect_refused")
    );
    assert!(found.devices[0].fields.is_empty() && found.devices[0].channel_changes.is_empty());
    let found = diff(&bad, &good);
    assert_eq!(kinds(&found), [(DeviceChange::Recovered, "A".to_owned())]);
    let locked = scan([failed(device.clone(), "device.locked")]);
    assert_eq!(
        kinds(&diff(&bad, &locked)),
        [(DeviceChange::FailsDifferently, "A".to_owned())]
    );
    assert!(diff(&bad, &bad).is_empty());
    let nobody = scan([]);
    assert_eq!(
        kinds(&diff(&good, &nobody)),
        [(DeviceChange::Removed, "A".to_owned())]
    );
    // The lasting name joins them where the address changed and the serial is not told any more.
    let named = ResultRecord {
        device_id: Some("sn:S1".into()),
        nvr_ip: "10.0.0.9".into(),
        ..down
    };
    let named = scan([named]);
    let found = diff(&good, &named);
    assert_eq!(kinds(&found), [(DeviceChange::Unreachable, "A".to_owned())]);
    assert!(found.devices[0].moved);
}

#[test]
fn what_was_never_known_is_no_change() {
    let mut older = record("A", "10.0.0.1", "");
    older.firmware = "".into();
    for camera in &mut older.cameras {
        camera.address = "".into();
        camera.port = 0;
    }
    let newer = record("A", "10.0.0.1", "S1");
    let (old, new) = (scan([older]), scan([newer]));
    let found = diff(&old, &new);
    assert!(found.is_empty());
    let known: Vec<_> = found.devices[0]
        .newly_known
        .iter()
        .map(|field| field.field)
        .collect();
    assert_eq!(
        known,
        [
            "serial_number",
            "firmware",
            "cameras.address",
            "cameras.port"
        ]
    );
    // Nor is what the next backend leaves out.
    assert!(diff(&new, &old).devices.is_empty());
}

#[test]
fn an_unread_channel_list_is_not_an_empty_one() {
    let older = record("A", "10.0.0.1", "S1");
    let newer = ResultRecord {
        cameras: Vec::new(),
        error: Some("Connected but could not retrieve camera details via HTTP tunnel".into()),
        ..older.clone()
    };
    let (old, new) = (scan([older]), scan([newer]));
    let found = diff(&old, &new);
    assert_eq!(
        found.devices[0].channels,
        ChannelCounts {
            old: Some(2),
            new: None
        }
    );
    assert!(found.devices[0].channel_changes.is_empty());
    assert_eq!(kinds(&found), [(DeviceChange::Changed, "A".to_owned())]);
}

#[test]
fn channels_are_followed() {
    let older = record("A", "10.0.0.1", "S1");
    let mut newer = older.clone();
    newer.cameras = vec![
        camera(2, "Door", "10.9.0.1"),
        camera(1, "Yard new", "10.9.0.2"),
        camera(3, "Roof", "10.9.0.3"),
    ];
    let (old, new) = (scan([older.clone()]), scan([newer]));
    let found = diff(&old, &new);
    let changes: Vec<_> = found.devices[0]
        .channel_changes
        .iter()
        .map(|change| {
            (
                change.kind,
                change.channel.to_string(),
                change.moved_from.is_some(),
            )
        })
        .collect();
    assert_eq!(
        changes,
        [
            (ChannelChange::Added, "3".to_owned(), false),
            (ChannelChange::Changed, "1".to_owned(), true),
            (ChannelChange::Changed, "2".to_owned(), true),
        ]
    );
    // A camera on the same channel with another address, and one gone.
    let mut newer = older.clone();
    newer.cameras = vec![camera(1, "Door", "10.9.0.77")];
    let (old, new) = (scan([older]), scan([newer]));
    let found = diff(&old, &new);
    let [removed, changed] = found.devices[0].channel_changes.as_slice() else {
        panic!()
    };
    assert_eq!(
        (removed.kind, changed.kind),
        (ChannelChange::Removed, ChannelChange::Changed)
    );
    assert_eq!(changed.fields.len(), 1);
}

#[test]
fn a_list_without_channel_numbers_is_compared_by_camera() {
    let zeros = |names: &[&'static str]| -> Vec<CameraRecord<'static>> {
        names.iter().map(|name| camera(0, name, "")).collect()
    };
    let mut older = record("A", "10.0.0.1", "S1");
    older.cameras = zeros(&["a", "b", "c"]);
    let mut newer = older.clone();
    newer.cameras = zeros(&["c", "a", "d"]);
    let (old, new) = (scan([older]), scan([newer]));
    let found = diff(&old, &new);
    let [changed] = found.devices[0].channel_changes.as_slice() else {
        panic!()
    };
    assert_eq!(
        changed.fields,
        [FieldChange {
            field: "name",
            old: Value::Text("b"),
            new: Value::Text("d")
        }]
    );
}

#[test]
fn the_example_files_of_pytvt_compare_as_expected() {
    let (old, new) = (example("diff/old.json"), example("diff/new.json"));
    let old = Scan::from_records(results::parse(&old).unwrap());
    let new = Scan::from_records(results::parse(&new).unwrap());
    let found = diff(&old, &new);
    let mut text = Vec::new();
    let names = render::Names {
        old: "old.json".to_owned(),
        new: "new.json".to_owned(),
    };
    render::text(&found, &names, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text, example("diff/tvtfleet.txt"), "{text}");
    let mut json = Vec::new();
    render::json(&found, &names, &mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(
        json["devices"].as_array().unwrap().len(),
        found.devices.len()
    );
    assert_eq!(json["totals"]["recovered"], 1);
    let mut csv = Vec::new();
    render::csv(&found, &mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert!(
        csv.contains(
            "changed,Harbour North,rec-3,10.1.0.3,,channel,2,Cam 2,status,Online,Offline\r\n"
        ),
        "{csv}"
    );
}

proptest! {
    #[test]
    fn a_scan_does_not_differ_from_itself_in_any_order(
        records in prop::collection::vec(any_record(), 0..12),
        order in any::<prop::sample::Index>(),
    ) {
        let same = scan(records.clone());
        let found = diff(&same, &same);
        prop_assert!(found.devices.is_empty(), "{:?}", found);
        prop_assert_eq!(found.unchanged, records.len());
        // Devices that stand once may come in any order.
        let mut turned = records.clone();
        if !turned.is_empty() {
            let at = order.index(turned.len());
            turned.rotate_left(at);
        }
        let mut places: Vec<_> = records.iter().map(|r| (r.site.clone(), r.nvr_ip.clone())).collect();
        places.sort();
        places.dedup();
        if places.len() == records.len() {
            let turned = scan(turned);
            prop_assert!(diff(&same, &turned).devices.is_empty());
        }
    }

    #[test]
    fn every_device_is_accounted_for(
        old in prop::collection::vec(any_record(), 0..12),
        new in prop::collection::vec(any_record(), 0..12),
    ) {
        let (old, new) = (scan(old), scan(new));
        let found = diff(&old, &new);
        let totals = found.totals();
        let both = found.devices.len() - totals.added - totals.removed + totals.unchanged;
        prop_assert_eq!(both + totals.removed, old.records().len());
        prop_assert_eq!(both + totals.added, new.records().len());
        let back = diff(&new, &old).totals();
        prop_assert_eq!((back.added, back.removed), (totals.removed, totals.added));
        let mut text = Vec::new();
        render::text(&found, &render::Names::default(), &mut text).unwrap();
        let raw = text.contains(&0x1B);
        prop_assert!(!raw, "an escape character");
    }
}

pub(super) fn any_record() -> impl Strategy<Value = ResultRecord<'static>> {
    let site = prop::sample::select(vec!["A", "B", ""]);
    let address = prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.10", "x\u{1b}"]);
    let serial = prop::sample::select(vec!["", "", "S1", "S2", "S3"]);
    let mac = prop::sample::select(vec!["", "58:5B:69:00:00:01", "585b69000002", "junk"]);
    let cameras = prop::collection::vec(
        (
            0_i64..4,
            prop::sample::select(vec!["a", "b"]),
            prop::sample::select(vec!["", "10.9.0.1", "10.9.0.2"]),
        ),
        0..5,
    );
    (
        site,
        address,
        serial,
        mac.clone(),
        mac,
        any::<bool>(),
        cameras,
    )
        .prop_map(
            |(site, address, serial, mac, reported, success, cameras)| ResultRecord {
                nvr_mac: mac.into(),
                device_info: DeviceInfo {
                    mac: Some(reported.into()),
                    ..DeviceInfo::default()
                },
                success,
                cameras: cameras
                    .into_iter()
                    .map(|(ch, name, at)| camera(ch, name, at))
                    .collect(),
                ..record(site, address, serial)
            },
        )
}
