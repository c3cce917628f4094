//! The workbook of a comparison: a page of counts, a row per device, a row per difference.

use std::io;
use std::path::Path;

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, XlsxError};
use tvtfleet_proto::model::time::UtcMillis;

use super::chart;
use super::list::{self, Column, List, Mark, Value, column, numbers, real, wide};
use super::single::replace_report;
use super::style::{HEADER_FILL, Styles};
use super::{WorkbookOutcome, WorkbookWritten};
use crate::diff::render::{Names, for_each_row, reason};
use crate::diff::{DeviceChange, DeviceDiff, Diff};

const SUMMARY: &str = "Summary";
const ROWS_MAX: u32 = 1_048_576;
/// The first row of counts.
const COUNTS: u32 = 6;

const DEVICES: List = List {
    name: "Devices",
    columns: &[
        Column {
            head: "Change",
            width: 18,
            right: false,
            marks: MARKS,
        },
        column("Site", 24),
        column("Hostname", 22),
        column("Address", 18),
        numbers("Port", 8),
        column("Moved", 8),
        numbers("Fields", 8),
        numbers("Newly Known", 13),
        numbers("Channels Before", 16),
        numbers("Channels Now", 14),
        numbers("Channels Differ", 16),
        column("Error Before", 30),
        column("Error Now", 30),
        column("Device ID", 26),
    ],
    pinned: 1,
    empty: "The two sides agree",
};

const DIFFERENCES: List = List {
    name: "Differences",
    columns: &[
        Column {
            head: "Change",
            width: 18,
            right: false,
            marks: MARKS,
        },
        column("Site", 24),
        column("Hostname", 22),
        column("Address", 18),
        column("Device ID", 26),
        column("Scope", 9),
        numbers("Channel", 9),
        column("Channel Name", 26),
        column("Field", 18),
        column("Old", 30),
        column("New", 30),
    ],
    pinned: 1,
    empty: "The two sides agree",
};

const MARKS: &[(&str, Mark)] = &[
    ("added", Mark::Good),
    ("recovered", Mark::Good),
    ("removed", Mark::Bad),
    ("unreachable", Mark::Bad),
    ("replaced", Mark::Waiting),
    ("fails_differently", Mark::Waiting),
];

/// Writes a comparison to a workbook. One of an earlier run is replaced; any other workbook is left
/// alone, and the new one goes beside it.
pub fn write_compared(
    diff: &Diff<'_>,
    names: &Names,
    at: UtcMillis,
    path: &Path,
) -> WorkbookWritten {
    let (path, outcome): (_, WorkbookOutcome) = replace_report(path, is_ours, |file| {
        write(diff, names, at, file).map_err(io::Error::other)
    });
    WorkbookWritten {
        site: "Comparison".to_owned(),
        devices: diff.devices.len(),
        cameras: diff
            .devices
            .iter()
            .map(|device| device.channel_changes.len())
            .sum(),
        path,
        outcome,
    }
}

fn is_ours(tab: &str) -> bool {
    tab == SUMMARY || DEVICES.has(tab) || DIFFERENCES.has(tab)
}

fn write(
    diff: &Diff<'_>,
    names: &Names,
    at: UtcMillis,
    writer: impl io::Write + io::Seek + Send,
) -> Result<(), XlsxError> {
    let mut workbook = Workbook::new();
    let mut properties = DocProperties::new()
        .set_title("Comparison of two scans")
        .set_author("tvtfleet");
    if let Ok(at) = ExcelDateTime::from_timestamp(at.millis().div_euclid(1000)) {
        properties = properties.set_creation_datetime(&at);
    }
    workbook.set_properties(&properties);
    let styles = Styles::new();
    summary(&mut workbook, &styles, diff, names)?;
    let devices = diff.devices.iter().map(device);
    list::write(&mut workbook, &styles, &DEVICES, devices, ROWS_MAX)?;
    let mut rows = list::Rows::begin(&mut workbook, &styles, &DIFFERENCES, ROWS_MAX)?;
    for_each_row(diff, |cells| {
        rows.add(cells.iter().map(|cell| Value::text(cell)))
    })?;
    rows.finish()?;
    workbook.save_to_writer(writer)
}

fn summary(
    workbook: &mut Workbook,
    styles: &Styles,
    diff: &Diff<'_>,
    names: &Names,
) -> Result<(), XlsxError> {
    let sheet = workbook.add_worksheet();
    sheet.set_name(SUMMARY)?;
    sheet.set_screen_gridlines(false);
    sheet.set_landscape();
    sheet.set_print_fit_to_pages(1, 0);
    sheet.set_column_width(0, 34)?;
    sheet.set_column_width(1, 13)?;
    sheet.set_row_height(0, 32)?;
    sheet.write_string_with_format(0, 0, "What changed", &styles.title)?;
    for (row, label, name, devices) in [
        (2, "Before", &names.old, diff.old_devices),
        (3, "Now", &names.new, diff.new_devices),
    ] {
        sheet.write_string_with_format(row, 0, label, &styles.label)?;
        sheet.write_number_with_format(row, 1, real(wide(devices)), &styles.figure)?;
        let name = format!("devices in {}", Value::shown(name));
        sheet.write_string_with_format(row, 2, name, &styles.remark)?;
    }
    let totals = diff.totals();
    let counts = [
        ("Added", totals.added),
        ("Removed", totals.removed),
        ("Replaced by another device", totals.replaced),
        ("Unreachable", totals.unreachable),
        ("Recovered", totals.recovered),
        ("Failing differently", totals.fails_differently),
        ("Changed", totals.changed),
        ("Channels added", totals.channels_added),
        ("Channels removed", totals.channels_removed),
        ("Channels changed", totals.channels_changed),
    ];
    let heads = ["Difference", "Count"];
    for (column, head) in (0_u16..).zip(heads) {
        sheet.write_string_with_format(COUNTS - 1, column, head, &styles.header)?;
    }
    let mut row = COUNTS;
    for (label, count) in counts {
        sheet.write_string_with_format(row, 0, label, &styles.label)?;
        sheet.write_number_with_format(row, 1, real(wide(count)), &styles.figure)?;
        row += 1;
    }
    for (label, count) in [
        ("Moved, among the devices above", totals.moved),
        ("Newly known, not changed", totals.newly_known),
        ("Unchanged", totals.unchanged),
    ] {
        sheet.write_string_with_format(row, 0, label, &styles.label)?;
        sheet.write_number_with_format(row, 1, real(wide(count)), &styles.figure)?;
        row += 1;
    }
    let last = COUNTS + u32::try_from(counts.len()).unwrap_or(1) - 1;
    let mut chart = chart::bars(
        "Differences by sort",
        "Devices or channels",
        (SUMMARY, COUNTS, 0, last, 0),
        (SUMMARY, COUNTS, 1, last, 1),
        HEADER_FILL,
    );
    chart.set_width(680).set_height(380);
    sheet.insert_chart_with_offset(COUNTS - 1, 2, &chart, 20, 4)?;
    Ok(())
}

fn device(device: &DeviceDiff<'_>) -> Vec<Value> {
    let count = |count: usize| match count {
        0 => Value::Blank,
        count => Value::Count(wide(count)),
    };
    let known = |channels: Option<usize>| {
        channels.map_or(Value::Blank, |channels| Value::Count(wide(channels)))
    };
    let why = |found: Option<&crate::diff::Reason<'_>>| {
        found.map_or(Value::Blank, |found| Value::text(&reason(found)))
    };
    let fields = if device.kind == DeviceChange::Added || device.kind == DeviceChange::Removed {
        Value::Blank
    } else {
        count(device.fields.len())
    };
    vec![
        Value::text(device.kind.as_str()),
        Value::text(device.site),
        Value::text(device.hostname),
        Value::text(device.address),
        match device.port {
            0 => Value::Blank,
            port => Value::Number(port),
        },
        Value::text(if device.moved { "yes" } else { "" }),
        fields,
        count(device.newly_known.len()),
        known(device.channels.old),
        known(device.channels.new),
        count(device.channel_changes.len()),
        why(device.old_reason.as_ref()),
        why(device.new_reason.as_ref()),
        Value::text(device.device_id.unwrap_or_default()),
    ]
}
