//! The first page: figures, charts, and a line per site.

use rust_xlsxwriter::{
    Color, ConditionalFormatCell, ConditionalFormatCellRule, ConditionalFormatDataBar,
    ConditionalFormatType, Workbook, Worksheet, XlsxError,
};

use super::tally::Tally;
use super::write::FleetReport;
use crate::render::xlsx::chart;
use crate::render::xlsx::list::{Value, cell, real, wide};
use crate::render::xlsx::style::{AMBER, GREEN, GREY, RED, Styles};

/// The tab's name.
pub(super) const NAME: &str = "Summary";
/// The first row of figures.
const FIGURES: u32 = 4;
/// Where the devices' three states begin, and the cameras'.
const DEVICE_STATES: u32 = FIGURES + 2;
const CAMERA_STATES: u32 = FIGURES + 8;
/// The head of the failures, and the most that are listed.
const FAILURES: u32 = 19;
const FAILURES_MAX: usize = 10;
/// The head of the sites.
const SITES: u32 = 33;
const SITE_HEADS: [&str; 9] = [
    "Site",
    "Devices",
    "Answering",
    "Failed",
    "Not reported",
    "Cameras",
    "Online",
    "Offline",
    "Online, of known",
];

/// Writes the page.
pub(super) fn write(
    workbook: &mut Workbook,
    styles: &Styles,
    tally: &Tally,
    report: &FleetReport<'_>,
) -> Result<(), XlsxError> {
    let sheet = workbook.add_worksheet();
    sheet.set_name(NAME)?;
    sheet.set_screen_gridlines(false);
    sheet.set_landscape();
    sheet.set_print_fit_to_pages(1, 0);
    sheet.set_column_width(0, 34)?;
    for column in 1..9 {
        sheet.set_column_width(column, 13)?;
    }
    sheet.set_column_width(8, 17)?;
    sheet.set_row_height(0, 32)?;
    sheet.write_string_with_format(0, 0, report.title, &styles.title)?;
    let at = report.at.to_string().replace('T', " ");
    let written = format!("As of {} UTC", at.get(..16).unwrap_or(&at));
    sheet.write_string_with_format(1, 0, written, &styles.remark)?;
    figures(sheet, styles, tally, report)?;
    failures(sheet, styles, tally)?;
    sites(sheet, styles, tally)
}

fn section(sheet: &mut Worksheet, styles: &Styles, row: u32, text: &str) -> Result<(), XlsxError> {
    for column in 0..9 {
        sheet.write_blank(row, column, &styles.section)?;
    }
    sheet.write_string_with_format(row, 0, text, &styles.section)?;
    Ok(())
}

fn figures(
    sheet: &mut Worksheet,
    styles: &Styles,
    tally: &Tally,
    report: &FleetReport<'_>,
) -> Result<(), XlsxError> {
    section(sheet, styles, FIGURES - 1, "Fleet")?;
    let mut devices = [0_u64; 3];
    for (_, site) in tally.devices.sites() {
        for (sum, count) in devices.iter_mut().zip([site.ok, site.failed, site.missing]) {
            *sum += wide(count);
        }
    }
    let [ok, failed, missing] = devices;
    let all = ok + failed + missing;
    let cameras = tally.cameras;
    let share = |part: u64| (all > 0).then(|| real(part) / real(all));
    let lines = [
        ("Sites", Some(Value::Count(wide(tally.sites.len())))),
        ("Devices", Some(Value::Count(all))),
        ("Answering", Some(Value::Count(ok))),
        ("Failed", Some(Value::Count(failed))),
        ("Not reported", Some(Value::Count(missing))),
        ("Answering, of all", share(ok).map(Value::Share)),
        ("Cameras", Some(Value::Count(cameras.all))),
        (
            "Cameras with an address",
            Some(Value::Count(cameras.addressed)),
        ),
        ("Online", Some(Value::Count(cameras.online))),
        ("Offline", Some(Value::Count(cameras.offline))),
        ("Status not known", Some(Value::Count(cameras.unclear()))),
        ("Online, of known", cameras.online_share().map(Value::Share)),
        (
            "Changes listed",
            report
                .changes
                .map(|changes| Value::Count(wide(changes.len()))),
        ),
    ];
    for (row, (label, value)) in (FIGURES..).zip(lines) {
        sheet.write_string_with_format(row, 0, label, &styles.label)?;
        match value {
            Some(Value::Count(count)) => {
                sheet.write_number_with_format(row, 1, real(count), &styles.figure)?
            }
            Some(Value::Share(share)) => {
                sheet.write_number_with_format(row, 1, share, &styles.figure_share)?
            }
            Some(_) | None => sheet.write_string_with_format(row, 1, "–", &styles.figure)?,
        };
    }
    let rings = [
        (all, "Devices by state", DEVICE_STATES, AMBER, 2, 20),
        (cameras.all, "Cameras by status", CAMERA_STATES, GREY, 5, 68),
    ];
    for (count, title, row, third, column, offset) in rings {
        if count > 0 {
            let (names, counts) = ((NAME, row, 0, row + 2, 0), (NAME, row, 1, row + 2, 1));
            let mut ring = chart::ring(title, names, counts, &[GREEN, RED, third]);
            ring.set_width(322).set_height(262);
            sheet.insert_chart_with_offset(FIGURES, column, &ring, offset, 4)?;
        }
    }
    Ok(())
}

fn failures(sheet: &mut Worksheet, styles: &Styles, tally: &Tally) -> Result<(), XlsxError> {
    section(sheet, styles, FAILURES - 1, "Failures")?;
    let mut found: Vec<(&str, u64)> = tally
        .devices
        .failures()
        .map(|(reason, count)| (reason, wide(count)))
        .collect();
    if found.is_empty() {
        let text = "Every device answered";
        sheet.write_string_with_format(FAILURES, 0, text, &styles.remark)?;
        return Ok(());
    }
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let rest: u64 = found
        .iter()
        .skip(FAILURES_MAX)
        .map(|(_, count)| count)
        .sum();
    found.truncate(FAILURES_MAX);
    sheet.write_string_with_format(FAILURES, 0, "Reason", &styles.header)?;
    sheet.write_string_with_format(FAILURES, 1, "Devices", &styles.header_right)?;
    let mut row = FAILURES;
    for (reason, count) in found {
        row += 1;
        cell(sheet, styles, row, 0, &Value::text(reason))?;
        cell(sheet, styles, row, 1, &Value::Count(count))?;
    }
    if rest > 0 {
        let text = format!("and {rest} devices for other reasons, see Failures");
        sheet.write_string_with_format(row + 1, 0, text, &styles.remark)?;
    }
    let mut chart = chart::bars(
        "Devices by failure",
        "Devices",
        (NAME, FAILURES + 1, 0, row, 0),
        (NAME, FAILURES + 1, 1, row, 1),
        RED,
    );
    chart.set_width(664).set_height(236);
    sheet.insert_chart_with_offset(FAILURES, 2, &chart, 20, 4)?;
    Ok(())
}

fn sites(sheet: &mut Worksheet, styles: &Styles, tally: &Tally) -> Result<(), XlsxError> {
    section(sheet, styles, SITES - 1, "Sites, those with trouble first")?;
    for (column, head) in (0_u16..).zip(SITE_HEADS) {
        let format = if column == 0 {
            &styles.header
        } else {
            &styles.header_right
        };
        sheet.write_string_with_format(SITES, column, head, format)?;
    }
    let mut sites: Vec<_> = tally.devices.sites().collect();
    sites.sort_by_key(|(_, site)| std::cmp::Reverse(site.failed + site.missing));
    let mut row = SITES;
    for (name, site) in sites {
        row += 1;
        let cameras = tally.sites.get(name).copied().unwrap_or_default();
        let shown = if name.is_empty() { "(no site)" } else { name };
        let devices = site.ok + site.failed + site.missing;
        let values = [
            Value::text(shown),
            Value::Count(wide(devices)),
            Value::Count(wide(site.ok)),
            some(site.failed),
            some(site.missing),
            Value::Count(cameras.all),
            Value::Count(cameras.online),
            Value::Count(cameras.offline),
            cameras.online_share().map_or(Value::Blank, Value::Share),
        ];
        for (column, value) in (0_u16..).zip(&values) {
            cell(sheet, styles, row, column, value)?;
        }
    }
    if row > SITES {
        sheet.autofilter(SITES, 0, row, 8)?;
        let bar = ConditionalFormatDataBar::new()
            .set_minimum(ConditionalFormatType::Number, 0)
            .set_maximum(ConditionalFormatType::Number, 1)
            .set_fill_color(Color::RGB(0x00A9_D08E))
            .set_solid_fill(true);
        sheet.add_conditional_format(SITES + 1, 8, row, 8, &bar)?;
        for (column, format) in [(3, &styles.bad), (4, &styles.waiting)] {
            let rule = ConditionalFormatCell::new()
                .set_rule(ConditionalFormatCellRule::GreaterThan(0))
                .set_format(format);
            sheet.add_conditional_format(SITES + 1, column, row, column, &rule)?;
        }
    }
    Ok(())
}

/// A count that is left out where there is nothing to tell.
fn some(count: usize) -> Value {
    if count == 0 {
        Value::Blank
    } else {
        Value::Count(wide(count))
    }
}
