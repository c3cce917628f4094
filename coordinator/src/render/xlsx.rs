//! Workbooks: one per site, with the tabs `NVR Info` and `NVR Config`.
//!
//! pytvt's columns come first, tvtfleet's at the right. A new workbook is written as a whole; in an
//! existing one only these two tabs change.

mod chart;
mod compared;
mod discovered;
mod fleet;
mod fresh;
mod graft;
mod list;
mod name;
mod single;
mod style;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tvtfleet_proto::error::ErrorCode;

use super::file;
use crate::results::ResultRecord;

pub use compared::write_compared;
pub use discovered::write_discovered;
pub use fleet::FleetReport;
pub use graft::Refusal;
pub use single::{write_fleet_workbook, write_workbook};

use name::Names;
use table::Table;

/// The largest existing workbook that is opened, in bytes.
const WORKBOOK_MAX: u64 = 256 * 1024 * 1024;
/// How many names beside a workbook that cannot be edited are tried.
const BESIDE_MAX: u32 = 9;

/// No workbook could be written at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the folder {}", folder.display())]
pub struct XlsxError {
    /// The folder asked for.
    pub folder: PathBuf,
    /// What the file system said.
    #[source]
    pub source: io::Error,
}

impl XlsxError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::OutputUnwritable
    }
}

/// What became of one site's workbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkbookWritten {
    /// The site; `Unknown Site` where it has no name.
    pub site: String,
    /// Its devices in the result.
    pub devices: usize,
    /// Their channels.
    pub cameras: usize,
    /// The file that holds them.
    pub path: PathBuf,
    /// How it came about.
    pub outcome: WorkbookOutcome,
}

/// How a workbook came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkbookOutcome {
    /// There was none.
    Created,
    /// The two tabs were replaced; everything else is as it was, byte for byte.
    Updated,
    /// No device of the site gave channels, so the channels of an earlier run stay; the devices were
    /// brought up to date.
    Kept {
        /// How many rows of channels stay.
        cameras: usize,
    },
    /// The workbook cannot be edited and is as it was; the result went to a file beside it.
    Beside {
        /// The workbook.
        original: PathBuf,
        /// Why it cannot be edited.
        refusal: Refusal,
    },
    /// Nothing could be written.
    Failed {
        /// Why, for people.
        message: String,
    },
}

/// Writes one workbook per site into a folder, which is created. Sites come in the order of their
/// names, and none that fails stops the next.
///
/// All rows are held until their site is written.
///
/// # Errors
/// `output.unwritable` where the folder cannot be created.
pub fn write_site_workbooks<'a, R: Into<ResultRecord<'a>>>(
    rows: impl IntoIterator<Item = R>,
    folder: &Path,
) -> Result<Vec<WorkbookWritten>, XlsxError> {
    fs::create_dir_all(folder).map_err(|source| XlsxError {
        folder: folder.to_owned(),
        source,
    })?;
    let mut sites: BTreeMap<String, Vec<ResultRecord<'a>>> = BTreeMap::new();
    for row in rows {
        let record: ResultRecord<'a> = row.into();
        sites
            .entry(record.site.clone().into_owned())
            .or_default()
            .push(record);
    }
    let mut names = Names::default();
    let written = sites.into_iter().map(|(site, records)| {
        let stem = names.stem(&site);
        let (path, outcome) = write_site(&records, folder, &stem);
        WorkbookWritten {
            site: name::shown_site(&site).to_owned(),
            devices: records.len(),
            cameras: records.iter().map(|record| record.cameras.len()).sum(),
            path,
            outcome,
        }
    });
    Ok(written.collect())
}

fn write_site(
    records: &[ResultRecord<'_>],
    folder: &Path,
    stem: &str,
) -> (PathBuf, WorkbookOutcome) {
    write_tables(records, &folder.join(format!("{stem}.xlsx")))
}

/// Writes a site's two tabs to this workbook, or to one beside it.
fn write_tables(records: &[ResultRecord<'_>], path: &Path) -> (PathBuf, WorkbookOutcome) {
    let tables = [Table::info(records), Table::config(records)];
    if let Some(table) = tables.iter().find(|table| !table.fits()) {
        let message = format!(
            "`{}` would have more rows than a sheet can hold",
            table.name
        );
        return (path.to_owned(), WorkbookOutcome::Failed { message });
    }
    write_or_beside(path, |path| write_at(path, &tables))
}

/// Writes a workbook, or one beside it where it must be left alone.
fn write_or_beside(
    path: &Path,
    write: impl Fn(&Path) -> Result<WorkbookOutcome, Trouble>,
) -> (PathBuf, WorkbookOutcome) {
    match write(path) {
        Ok(outcome) => (path.to_owned(), outcome),
        Err(Trouble::Io(message)) => (path.to_owned(), WorkbookOutcome::Failed { message }),
        Err(Trouble::Refused(refusal)) => write_beside(path, refusal, write),
    }
}

/// Writes to the first file beside the workbook that is free, or that we may edit.
fn write_beside(
    original: &Path,
    refusal: Refusal,
    write: impl Fn(&Path) -> Result<WorkbookOutcome, Trouble>,
) -> (PathBuf, WorkbookOutcome) {
    let stem = original.file_stem().unwrap_or_default().to_string_lossy();
    let mut message = refusal.to_string();
    for number in 1..=BESIDE_MAX {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!(" {number}")
        };
        let path = original.with_file_name(format!("{stem} (tvtfleet{suffix}).xlsx"));
        match write(&path) {
            Ok(_) => {
                let original = original.to_owned();
                return (path, WorkbookOutcome::Beside { original, refusal });
            }
            Err(Trouble::Refused(_)) => {}
            Err(Trouble::Io(error)) => {
                message = format!(
                    "{message}; nor could {} be written: {error}",
                    path.display()
                );
                break;
            }
        }
    }
    (original.to_owned(), WorkbookOutcome::Failed { message })
}

enum Trouble {
    /// The workbook that is there must not be edited.
    Refused(Refusal),
    /// The file system or the writer failed.
    Io(String),
}

fn write_at(path: &Path, tables: &[Table]) -> Result<WorkbookOutcome, Trouble> {
    let io = |error: io::Error| Trouble::Io(format!("{}: {error}", path.display()));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file::replace(path, |file| {
                fresh::write(tables, file).map_err(io::Error::other)
            })
            .map_err(io)?;
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
    let grafted = graft::graft(&old, tables).map_err(Trouble::Refused)?;
    if grafted.bytes != old {
        file::replace(path, |file| io::Write::write_all(file, &grafted.bytes)).map_err(io)?;
    }
    Ok(match grafted.kept_rows {
        Some(cameras) => WorkbookOutcome::Kept { cameras },
        None => WorkbookOutcome::Updated,
    })
}

/// Whether Excel or LibreOffice left the mark of an open file beside it.
fn is_open_elsewhere(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return false;
    };
    [format!("~${name}"), format!(".~lock.{name}#")]
        .iter()
        .any(|mark| folder.join(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn outcomes(written: &[WorkbookWritten]) -> Vec<&WorkbookOutcome> {
        written.iter().map(|workbook| &workbook.outcome).collect()
    }

    #[test]
    fn each_site_has_its_workbook_and_a_second_run_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new").join("folder");
        let rows = sample::rows();
        let first = write_site_workbooks(&rows, &folder).unwrap();
        let names: Vec<_> = first
            .iter()
            .map(|w| w.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["Depot Süd.xlsx", "HQ _ Tower 1.xlsx"]);
        assert_eq!(
            first
                .iter()
                .map(|w| (w.devices, w.cameras))
                .collect::<Vec<_>>(),
            [(3, 4), (2, 0)]
        );
        assert!(
            outcomes(&first)
                .iter()
                .all(|outcome| **outcome == WorkbookOutcome::Created)
        );
        let second = write_site_workbooks(&rows, &folder).unwrap();
        assert!(
            outcomes(&second)
                .iter()
                .all(|outcome| **outcome == WorkbookOutcome::Updated)
        );
        let bytes = fs::read(&first[0].path).unwrap();
        write_site_workbooks(&rows, &folder).unwrap();
        assert_eq!(fs::read(&first[0].path).unwrap(), bytes);
    }

    #[test]
    fn a_workbook_that_cannot_be_edited_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let rows = sample::rows();
        let encrypted = folder.path().join("Depot Süd.xlsx");
        let bytes = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 encrypted".to_vec();
        fs::write(&encrypted, &bytes).unwrap();
        let open = folder.path().join("HQ _ Tower 1.xlsx");
        fs::write(&open, b"not looked at").unwrap();
        fs::write(folder.path().join("~$HQ _ Tower 1.xlsx"), b"").unwrap();
        for _ in 0..2 {
            let written = write_site_workbooks(&rows, folder.path()).unwrap();
            let expected = [
                (&encrypted, Refusal::Encrypted),
                (&open, Refusal::OpenElsewhere),
            ];
            for (workbook, (original, refusal)) in written.iter().zip(expected) {
                let original = original.clone();
                assert_eq!(
                    workbook.outcome,
                    WorkbookOutcome::Beside { original, refusal }
                );
                assert!(
                    workbook
                        .path
                        .to_str()
                        .unwrap()
                        .ends_with(" (tvtfleet).xlsx")
                );
                assert!(workbook.path.exists());
            }
            assert_eq!(fs::read(&encrypted).unwrap(), bytes);
            assert_eq!(fs::read(&open).unwrap(), b"not looked at");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn one_bad_site_stops_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("Depot Süd.xlsx")).unwrap();
        let written = write_site_workbooks(&sample::rows(), folder.path()).unwrap();
        assert!(matches!(written[0].outcome, WorkbookOutcome::Failed { .. }));
        assert_eq!(written[1].outcome, WorkbookOutcome::Created);
    }

    #[test]
    fn two_sites_of_one_name_have_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let rows = sample::rows();
        let records = ["A_B", "A/B"].map(|site| ResultRecord {
            site: site.into(),
            ..ResultRecord::from(&rows[0])
        });
        let written = write_site_workbooks(records, folder.path()).unwrap();
        let names: Vec<_> = written
            .iter()
            .map(|w| w.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["A_B.xlsx", "A_B (2).xlsx"]);
    }
}
