//! The six tabs, in order.

use std::io::{Seek, Write};

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, XlsxError};
use tvtfleet_proto::model::change::Change;
use tvtfleet_proto::model::time::UtcMillis;

use super::lists::{self, CAMERAS, CHANGES, DEVICES, FAILURES};
use super::tally::Tally;
use super::{firmware, summary};
use crate::render::xlsx::list::{self, List, Value};
use crate::render::xlsx::style::Styles;
use crate::results::ResultRecord;

/// Excel's limit for the rows of a sheet.
const ROWS_MAX: u32 = 1_048_576;

/// What a fleet's workbook says beside the results.
#[derive(Clone, Copy, Debug)]
pub struct FleetReport<'a> {
    /// The title of the first page.
    pub title: &'a str,
    /// When the state was as reported.
    pub at: UtcMillis,
    /// Changes of the feed; `None` where there is no history to ask.
    pub changes: Option<&'a [Change]>,
}

/// Writes the workbook of a fleet.
///
/// The results are gone through once for each tab that needs them.
///
/// # Errors
/// Those of the writer, and of the temporary files that lists go through.
pub(in crate::render::xlsx) fn write<'a, R>(
    rows: &'a [R],
    report: &FleetReport<'_>,
    writer: impl Write + Seek + Send,
) -> Result<(), XlsxError>
where
    &'a R: Into<ResultRecord<'a>>,
{
    write_bounded(rows, report, ROWS_MAX, writer)
}

/// As [`write()`], with sheets of at most `rows_max` rows.
pub(super) fn write_bounded<'a, R>(
    rows: &'a [R],
    report: &FleetReport<'_>,
    rows_max: u32,
    writer: impl Write + Seek + Send,
) -> Result<(), XlsxError>
where
    &'a R: Into<ResultRecord<'a>>,
{
    let records = || rows.iter().map(Into::<ResultRecord<'a>>::into);
    let mut tally = Tally::default();
    for record in records() {
        tally.add(&record);
    }
    let mut workbook = Workbook::new();
    let mut properties = DocProperties::new()
        .set_title(report.title)
        .set_author("tvtfleet");
    if let Ok(at) = ExcelDateTime::from_timestamp(report.at.millis().div_euclid(1000)) {
        properties = properties.set_creation_datetime(&at);
    }
    workbook.set_properties(&properties);
    let styles = Styles::new();
    summary::write(&mut workbook, &styles, &tally, report)?;
    let mut list = |list: &List, rows: &mut dyn Iterator<Item = Vec<Value>>| {
        list::write(&mut workbook, &styles, list, rows, rows_max)
    };
    list(
        &DEVICES,
        &mut records().map(|record| lists::device(&record)),
    )?;
    let mut cameras = records().flat_map(|record| {
        let rows = record
            .cameras
            .iter()
            .map(|camera| lists::camera(&record, camera));
        rows.collect::<Vec<_>>()
    });
    list(&CAMERAS, &mut cameras)?;
    list(
        &FAILURES,
        &mut records().filter_map(|record| lists::failure(&record)),
    )?;
    match report.changes {
        Some(changes) => list(&CHANGES, &mut changes.iter().map(lists::change))?,
        None => {
            let without = List {
                empty: lists::NO_FEED,
                ..CHANGES
            };
            list(&without, &mut std::iter::empty())?;
        }
    }
    firmware::write(&mut workbook, &styles, &tally)?;
    workbook.save_to_writer(writer)
}

/// Whether a tab of this name is one that a fleet's workbook has.
pub(in crate::render::xlsx) fn is_ours(tab: &str) -> bool {
    let fixed = [summary::NAME, firmware::NAME];
    let lists = [&DEVICES, &CAMERAS, &FAILURES, &CHANGES];
    fixed.contains(&tab) || lists.iter().any(|list| list.has(tab))
}
