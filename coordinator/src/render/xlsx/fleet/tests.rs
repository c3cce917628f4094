use std::io::Cursor;
use std::path::Path;

use calamine::{Data, Reader as _, Xlsx};
use tvtfleet_proto::model::change::{Change, ChangeKind};
use tvtfleet_proto::model::time::UtcMillis;

use super::write::write_bounded;
use super::*;
use crate::render::sample;
use crate::render::xlsx::{Refusal, WorkbookOutcome, write_fleet_workbook, write_workbook};
use crate::results::{CameraRecord, ChannelKey, ResultRecord};

fn at() -> UtcMillis {
    UtcMillis::new(1_793_000_000_000)
}

fn report(changes: Option<&[Change]>) -> FleetReport<'_> {
    FleetReport {
        title: "Fleet of acme",
        at: at(),
        changes,
    }
}

fn change(kind: ChangeKind, old: &str, new: &str) -> Change {
    Change {
        id: uuid::Uuid::nil(),
        at: at(),
        site: "acme/depot".parse().unwrap(),
        device_id: "sn:N9K".to_owned(),
        hostname: "=HYPERLINK(\"http://evil\")".to_owned(),
        address: "10.0.0.1".to_owned(),
        kind,
        channel: "3".to_owned(),
        channel_name: "@cmd".to_owned(),
        field: "name".to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
        job: None,
    }
}

/// The tabs with their cells, as a reader that shares nothing with the writer sees them.
fn read_back(bytes: Vec<u8>) -> Vec<(String, Vec<Vec<Data>>)> {
    let mut workbook = Xlsx::new(Cursor::new(bytes)).unwrap();
    for name in workbook.sheet_names() {
        let formulas = workbook.worksheet_formula(&name).unwrap();
        assert!(formulas.used_cells().next().is_none(), "{name}");
    }
    let names = workbook.sheet_names();
    let rows = |name: &String| {
        let range = workbook.worksheet_range(name).unwrap();
        (
            name.clone(),
            range.rows().map(<[Data]>::to_vec).collect::<Vec<_>>(),
        )
    };
    names.iter().map(rows).collect()
}

fn written(records: &[ResultRecord<'_>], changes: Option<&[Change]>, rows_max: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    write_bounded(records, &report(changes), rows_max, &mut bytes).unwrap();
    bytes.into_inner()
}

fn text(row: &[Data], column: usize) -> String {
    row.get(column).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn an_independent_reader_finds_every_device_camera_failure_and_change() {
    let rows = sample::rows();
    let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let changes = [
        change(ChangeKind::ChannelRenamed, "+1", "-1"),
        change(ChangeKind::Unreachable, "", "device.connect_refused"),
    ];
    let tabs = read_back(written(&records, Some(&changes), 1_048_576));
    let names: Vec<&str> = tabs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Summary", "Devices", "Cameras", "Failures", "Changes", "Firmware"
        ]
    );
    assert!(names.iter().all(|name| is_ours(name)));
    let tab = |name: &str| &tabs.iter().find(|(tab, _)| tab == name).unwrap().1;

    let devices = tab("Devices");
    assert_eq!(devices.len(), 1 + 5);
    let states: Vec<String> = devices.iter().skip(1).map(|row| text(row, 4)).collect();
    assert_eq!(states, ["OK", "OK", "Failed", "Not reported", "OK"]);
    assert_eq!(devices[1][3], Data::Float(6036.0));
    // A moment is a date to a spreadsheet, not text.
    assert!(matches!(&devices[1][16], Data::DateTime(moment) if moment.is_datetime()));

    let cameras = tab("Cameras");
    assert_eq!(cameras.len(), 1 + 4);
    assert_eq!(text(&cameras[2], 4), "=1+1");
    assert_eq!(text(&cameras[1], 0), "Depot Süd");

    let failures = tab("Failures");
    assert_eq!(failures.len(), 1 + 2);
    assert_eq!(text(&failures[1], 5), "device.connect_refused");
    assert_eq!(text(&failures[2], 5), "site.offline");

    let listed = tab("Changes");
    assert_eq!(listed.len(), 1 + 2);
    assert_eq!(text(&listed[1], 2), "=HYPERLINK(\"http://evil\")");
    assert_eq!(
        (text(&listed[1], 8), text(&listed[1], 9)),
        ("+1".into(), "-1".into())
    );
    assert_eq!(listed[1][5], Data::Float(3.0));

    let summary = tab("Summary");
    let figure = |label: &str| {
        let row = summary.iter().find(|row| text(row, 0) == label).unwrap();
        row[1].clone()
    };
    assert_eq!(text(&summary[0], 0), "Fleet of acme");
    for (label, expected) in [
        ("Sites", 2.0),
        ("Devices", 5.0),
        ("Answering", 3.0),
        ("Failed", 1.0),
        ("Not reported", 1.0),
        ("Answering, of all", 0.6),
        ("Cameras", 4.0),
        ("Online", 4.0),
        ("Changes listed", 2.0),
        ("device.connect_refused", 1.0),
    ] {
        assert_eq!(figure(label), Data::Float(expected), "{label}");
    }
}

#[test]
fn the_matrix_counts_devices_by_model_and_version() {
    let record = |model: &'static str, firmware: &'static str| ResultRecord {
        nvr_ip: "10.0.0.1".into(),
        success: true,
        device_model: model.into(),
        firmware: firmware.into(),
        ..ResultRecord::default()
    };
    let mut records = vec![
        record("A", "1.0"),
        record("A", "1.0"),
        record("A", "2.0"),
        record("B", "2.0"),
        record("", "2.0"),
        // Never said what it is: does not count.
        ResultRecord {
            success: false,
            ..record("", "")
        },
    ];
    let tabs = read_back(written(&records, None, 100));
    let matrix: Vec<Vec<String>> = tabs[5]
        .1
        .iter()
        .map(|row| row.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(matrix[2], ["Model", "Devices", "2.0", "1.0"]);
    assert_eq!(matrix[3], ["A", "3", "1", "2"]);
    assert_eq!(matrix[4], ["(unknown)", "1", "1", ""]);
    assert_eq!(matrix[5], ["B", "1", "1", ""]);
    assert_eq!(matrix[6], ["All models", "5", "3", "2"]);
    // More versions than columns: the rest share one, and no device is lost.
    records.extend((0..200).map(|number| ResultRecord {
        firmware: format!("9.{number}").into(),
        ..record("C", "")
    }));
    let tabs = read_back(written(&records, None, 1000));
    let head = &tabs[5].1[2];
    assert_eq!(head.len(), 2 + 60);
    assert_eq!(text(head, 61), "143 other versions");
    let all = tabs[5]
        .1
        .iter()
        .find(|row| text(row, 0) == "All models")
        .unwrap();
    assert_eq!(all[1], Data::Float(205.0));
    let sum: f64 = all
        .iter()
        .skip(2)
        .filter_map(calamine::DataType::as_f64)
        .sum();
    assert!((sum - 205.0).abs() < 0.5);
}

#[test]
fn a_list_longer_than_a_sheet_goes_on_on_the_next() {
    let cameras = (1..=25).map(|channel| CameraRecord {
        channel: ChannelKey::Number(channel),
        ..CameraRecord::default()
    });
    let records = [ResultRecord {
        nvr_ip: "10.0.0.1".into(),
        success: true,
        cameras: cameras.collect(),
        ..ResultRecord::default()
    }];
    let tabs = read_back(written(&records, None, 11));
    let lengths: Vec<(&str, usize)> = tabs
        .iter()
        .filter(|(name, _)| name.starts_with("Cameras"))
        .map(|(name, rows)| (name.as_str(), rows.len()))
        .collect();
    assert_eq!(
        lengths,
        [("Cameras", 11), ("Cameras 2", 11), ("Cameras 3", 6)]
    );
    assert!(is_ours("Cameras 3") && !is_ours("Cameras x") && !is_ours("My notes"));
    let last = &tabs.iter().find(|(name, _)| name == "Cameras 3").unwrap().1[5];
    assert_eq!(last[3], Data::Float(25.0));
}

#[test]
fn hostile_text_and_an_empty_fleet_make_a_workbook_too() {
    let long = "x".repeat(40_000);
    let record = ResultRecord {
        site: "a\u{0}\u{1b}[31mb\u{FFFE}".into(),
        hostname: "_x0041_".into(),
        nvr_ip: long.as_str().into(),
        device_model: "=cmd|' /C calc'!A0".into(),
        firmware: "</t><script>".into(),
        nvr_port: -5,
        success: true,
        observed_at: Some("yesterday".into()),
        ..ResultRecord::default()
    };
    let tabs = read_back(written(&[record], None, 100));
    let device = &tabs[1].1[1];
    assert_eq!(text(device, 0), "a[31mb");
    assert_eq!(text(device, 1), "_x0041_");
    assert_eq!(text(device, 2).len(), 32_767);
    assert_eq!(text(device, 16), "yesterday");
    assert_eq!(text(&tabs[5].1[3], 0), "=cmd|' /C calc'!A0");
    let empty = read_back(written(&[], Some(&[]), 100));
    assert_eq!(text(&empty[1].1[1], 0), "No devices");
    assert_eq!(text(&empty[4].1[1], 0), "No changes in this time");
}

fn outcome_at(path: &Path) -> (WorkbookOutcome, String) {
    let rows = sample::rows();
    let written = write_fleet_workbook(&rows, &report(None), path);
    let name = written
        .path
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    (written.outcome, name)
}

#[test]
fn a_report_replaces_a_report_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.xlsx");
    assert_eq!(
        outcome_at(&path),
        (WorkbookOutcome::Created, "fleet.xlsx".into())
    );
    assert_eq!(
        outcome_at(&path),
        (WorkbookOutcome::Updated, "fleet.xlsx".into())
    );
    let mut own = rust_xlsxwriter::Workbook::new();
    own.add_worksheet().set_name("Devices").unwrap();
    own.add_worksheet().set_name("My notes").unwrap();
    own.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let refusals = [
        (
            bytes,
            Refusal::OtherTab {
                name: "My notes".into(),
            },
        ),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 encrypted".to_vec(),
            Refusal::Encrypted,
        ),
    ];
    for (bytes, expected) in refusals {
        std::fs::write(&path, &bytes).unwrap();
        let (outcome, name) = outcome_at(&path);
        assert!(matches!(outcome, WorkbookOutcome::Beside { refusal, .. } if refusal == expected));
        assert_eq!(name, "fleet (tvtfleet).xlsx");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn one_site_in_one_file_is_the_sites_workbook() {
    let folder = tempfile::tempdir().unwrap();
    let rows = sample::rows();
    let one: Vec<_> = rows
        .iter()
        .filter(|row| row.site_label == "Depot Süd")
        .cloned()
        .collect();
    let path = folder.path().join("out.xlsx");
    let written = write_workbook(&one, &report(None), &path);
    assert_eq!(
        (written.site.as_str(), written.devices, written.cameras),
        ("Depot Süd", 3, 4)
    );
    let mut read: Xlsx<_> = calamine::open_workbook(&path).unwrap();
    assert_eq!(read.sheet_names(), ["NVR Info", "NVR Config"]);
    let config = read.worksheet_range("NVR Config").unwrap();
    assert_eq!(config.get_value((2, 0)), Some(&Data::String("=1+1".into())));
    // The file of one site is edited, not replaced: it is the user's too.
    assert_eq!(
        write_workbook(&one, &report(None), &path).outcome,
        WorkbookOutcome::Updated
    );
    let several = write_workbook(&rows, &report(None), &path);
    assert!(matches!(several.outcome, WorkbookOutcome::Beside { .. }));
}
