//! Results in one file: a site's workbook, or the fleet's.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fleet::{self, FleetReport};
use super::graft::{self, Refusal};
use super::{
    Trouble, WORKBOOK_MAX, WorkbookOutcome, WorkbookWritten, file, is_open_elsewhere, name,
    write_or_beside, write_tables,
};
use crate::results::ResultRecord;

/// Writes the results to one workbook: the site's own where they are of one site, else the fleet's.
pub fn write_workbook<'a, R>(
    rows: &'a [R],
    report: &FleetReport<'_>,
    path: &Path,
) -> WorkbookWritten
where
    &'a R: Into<ResultRecord<'a>>,
{
    let mut sites = BTreeSet::new();
    for row in rows {
        let record: ResultRecord<'a> = row.into();
        sites.insert(record.site.into_owned());
        if sites.len() > 1 {
            return write_fleet_workbook(rows, report, path);
        }
    }
    let Some(site) = sites.first() else {
        return write_fleet_workbook(rows, report, path);
    };
    let records: Vec<ResultRecord<'a>> = rows.iter().map(Into::into).collect();
    let (path, outcome) = write_tables(&records, path);
    WorkbookWritten {
        site: name::shown_site(site).to_owned(),
        devices: records.len(),
        cameras: records.iter().map(|record| record.cameras.len()).sum(),
        path,
        outcome,
    }
}

/// Writes the results of a whole fleet to one workbook, with charts.
///
/// It is a report: one of an earlier run is replaced. A workbook that holds anything but the
/// report's tabs is left alone, and the new one goes beside it.
pub fn write_fleet_workbook<'a, R>(
    rows: &'a [R],
    report: &FleetReport<'_>,
    path: &Path,
) -> WorkbookWritten
where
    &'a R: Into<ResultRecord<'a>>,
{
    let cameras = rows
        .iter()
        .map(|row| Into::<ResultRecord<'a>>::into(row).cameras.len())
        .sum();
    let (path, outcome) = replace_report(path, fleet::is_ours, |file| {
        fleet::write(rows, report, file).map_err(io::Error::other)
    });
    WorkbookWritten {
        site: report.title.to_owned(),
        devices: rows.len(),
        cameras,
        path,
        outcome,
    }
}

/// Writes a report anew, over an earlier one of which every tab is ours, else beside what is there.
pub(super) fn replace_report(
    path: &Path,
    is_ours: fn(&str) -> bool,
    write: impl Fn(&mut io::BufWriter<fs::File>) -> io::Result<()>,
) -> (PathBuf, WorkbookOutcome) {
    write_or_beside(path, |path| {
        let outcome = check_replaceable(path, is_ours)?;
        file::replace(path, &write)
            .map_err(|error| Trouble::Io(format!("{}: {error}", path.display())))?;
        Ok(outcome)
    })
}

/// Whether nothing is lost where this workbook is written anew.
fn check_replaceable(path: &Path, is_ours: fn(&str) -> bool) -> Result<WorkbookOutcome, Trouble> {
    let io = |error: io::Error| Trouble::Io(format!("{}: {error}", path.display()));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(WorkbookOutcome::Created);
        }
        Err(error) => return Err(io(error)),
        Ok(metadata) if metadata.len() > WORKBOOK_MAX => {
            return Err(Trouble::Refused(Refusal::TooLarge));
        }
        Ok(_) if is_open_elsewhere(path) => return Err(Trouble::Refused(Refusal::OpenElsewhere)),
        Ok(_) => {}
    }
    let old = fs::read(path).map_err(io)?;
    let tabs = graft::tabs(&old).map_err(Trouble::Refused)?;
    match tabs.into_iter().find(|tab| !is_ours(tab)) {
        Some(name) => Err(Trouble::Refused(Refusal::OtherTab { name })),
        None => Ok(WorkbookOutcome::Updated),
    }
}
