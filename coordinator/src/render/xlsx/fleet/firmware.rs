//! The matrix of models and firmware versions.

use std::collections::BTreeMap;

use rust_xlsxwriter::{Color, ConditionalFormat2ColorScale, Workbook, XlsxError};

use super::tally::Tally;
use crate::render::xlsx::chart;
use crate::render::xlsx::list::{Value, real};
use crate::render::xlsx::style::{HEADER_FILL, Styles};

/// The tab's name.
pub(super) const NAME: &str = "Firmware";
/// The most versions that have a column; the rest share the last one.
const VERSIONS_MAX: usize = 60;
/// The most versions in the chart.
const CHARTED: u16 = 15;
/// The row of the matrix's head.
const HEAD: u32 = 2;

/// Writes the matrix: a row per model, a column per version, the most frequent first.
pub(super) fn write(
    workbook: &mut Workbook,
    styles: &Styles,
    tally: &Tally,
) -> Result<(), XlsxError> {
    let matrix = Matrix::of(tally);
    let sheet = workbook.add_worksheet();
    sheet.set_name(NAME)?;
    sheet.write_string_with_format(0, 0, "Devices by model and firmware", &styles.title)?;
    sheet.set_row_height(0, 30)?;
    let remark =
        "Devices that never said what they are do not count; a darker cell is more devices";
    sheet.write_string_with_format(1, 0, remark, &styles.remark)?;
    sheet.set_freeze_panes(HEAD + 1, 2)?;
    sheet.set_landscape();
    sheet.set_print_fit_to_pages(1, 0);
    sheet.write_string_with_format(HEAD, 0, "Model", &styles.header)?;
    sheet.write_string_with_format(HEAD, 1, "Devices", &styles.header_right)?;
    sheet.set_row_height(HEAD, 20)?;
    sheet.set_column_width(0, 24)?;
    sheet.set_column_width(1, 10)?;
    for (column, (version, _)) in (2_u16..).zip(&matrix.versions) {
        let width = version.chars().count().saturating_add(4).clamp(10, 28);
        sheet.set_column_width(column, u16::try_from(width).unwrap_or(28))?;
        sheet.write_string_with_format(HEAD, column, version, &styles.header_right)?;
    }
    if matrix.models.is_empty() {
        sheet.write_string_with_format(HEAD + 1, 0, "No device said what it is", &styles.remark)?;
        return Ok(());
    }
    let mut row = HEAD;
    for (model, total, counts) in &matrix.models {
        row += 1;
        sheet.write_string_with_format(row, 0, model, &styles.text)?;
        sheet.write_number_with_format(row, 1, real(*total), &styles.total)?;
        for (column, count) in (2_u16..).zip(counts) {
            if *count > 0 {
                sheet.write_number_with_format(row, column, real(*count), &styles.count)?;
            } else {
                sheet.write_blank(row, column, &styles.text)?;
            }
        }
    }
    let last_column = u16::try_from(matrix.versions.len().saturating_add(1)).unwrap_or(u16::MAX);
    let scale = ConditionalFormat2ColorScale::new()
        .set_minimum_color(Color::RGB(0x00DD_EBF7))
        .set_maximum_color(Color::RGB(0x005B_9BD5));
    sheet.add_conditional_format(HEAD + 1, 2, row, last_column, &scale)?;
    sheet.autofilter(HEAD, 0, row, last_column)?;
    row += 1;
    sheet.write_string_with_format(row, 0, "All models", &styles.total)?;
    let all: u64 = matrix.models.iter().map(|(_, total, _)| total).sum();
    sheet.write_number_with_format(row, 1, real(all), &styles.total)?;
    for (column, (_, count)) in (2_u16..).zip(&matrix.versions) {
        sheet.write_number_with_format(row, column, real(*count), &styles.total)?;
    }
    let charted = u16::try_from(matrix.versions.len())
        .unwrap_or(u16::MAX)
        .min(CHARTED);
    let mut chart = chart::bars(
        "Devices by firmware version",
        "Devices",
        (NAME, HEAD, 2, HEAD, charted + 1),
        (NAME, row, 2, row, charted + 1),
        HEADER_FILL,
    );
    chart
        .set_width(760)
        .set_height(120 + 28 * u32::from(charted));
    sheet.insert_chart(row + 2, 0, &chart)?;
    Ok(())
}

/// Counts, ready to be written.
struct Matrix {
    /// Versions and their devices, the most frequent first.
    versions: Vec<(String, u64)>,
    /// Models, their devices, and those by version; the most frequent first.
    models: Vec<(String, u64, Vec<u64>)>,
}

impl Matrix {
    fn of(tally: &Tally) -> Self {
        let mut by_version: BTreeMap<&str, u64> = BTreeMap::new();
        for versions in tally.firmware.values() {
            for (version, count) in versions {
                *by_version.entry(version).or_default() += count;
            }
        }
        let mut versions: Vec<(String, u64)> = by_version
            .into_iter()
            .map(|(version, count)| (version.to_owned(), count))
            .collect();
        versions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        if versions.len() > VERSIONS_MAX {
            let rest = versions.split_off(VERSIONS_MAX - 1);
            let name = format!("{} other versions", rest.len());
            versions.push((name, rest.iter().map(|(_, count)| count).sum()));
        }
        let places: BTreeMap<&str, usize> = versions
            .iter()
            .enumerate()
            .map(|(place, (version, _))| (version.as_str(), place))
            .collect();
        let last = versions.len().saturating_sub(1);
        let mut models: Vec<(String, u64, Vec<u64>)> = tally
            .firmware
            .iter()
            .map(|(model, found)| {
                let mut counts = vec![0; versions.len()];
                for (version, count) in found {
                    let place = places.get(version.as_str()).copied().unwrap_or(last);
                    if let Some(cell) = counts.get_mut(place) {
                        *cell += count;
                    }
                }
                (Value::shown(model), found.values().sum(), counts)
            })
            .collect();
        for (version, _) in &mut versions {
            *version = Value::shown(version);
        }
        models.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self { versions, models }
    }
}
