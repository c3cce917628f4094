//! The results of a scan: on stdout, and in the files that the user named.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tvt_coordinator::render::console::{self, Layout};
use tvt_coordinator::render::csv::{self, CsvOptions};
use tvt_coordinator::render::discovery::Find;
use tvt_coordinator::render::xlsx::{self, FleetReport, WorkbookOutcome, WorkbookWritten};
use tvt_coordinator::render::{failed, json};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::ResultRow;
use tvtfleet_proto::model::change::Change;

use crate::discovery::{FoundRow, save_found};
use crate::error::{CliError, Stop};
use crate::exit::{self, Outcome};
use crate::files::{self, FileFormat};
use crate::io::Io;
use crate::output::Format;

/// What results can be written as.
const RESULT_FILES: [FileFormat; 3] = [FileFormat::Json, FileFormat::Csv, FileFormat::Xlsx];

/// Options that say where results go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ReportArgs {
    /// Write the results to a file; .json, .csv or .xlsx says how. A workbook is that of the site, or
    /// of the fleet where there are several. May be repeated
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// Write one workbook per site into a folder; made where it does not exist
    #[arg(long, value_name = "DIR")]
    xlsx: Option<PathBuf>,
    /// Write the devices that failed as an inventory; an empty list where none did
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,
    /// How to write the results to stdout: table, summary, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: ReportFormat,
}

/// How results are written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A block per device with its channels
    #[default]
    Table,
    /// A line per site, then what failed
    Summary,
    /// JSON
    Json,
    /// Comma-separated values with a header row
    Csv,
}

/// Where results go, once it is known that they can.
#[derive(Debug)]
pub(crate) struct ReportPlan {
    files: Vec<(PathBuf, FileFormat)>,
    xlsx: Option<PathBuf>,
    failed: Option<PathBuf>,
    format: ReportFormat,
}

impl ReportArgs {
    /// Refuses the files that hold results of a scan and nothing that a discovery finds.
    ///
    /// # Errors
    ///
    /// `usage.invalid`.
    pub(crate) fn check_for_discovery(&self) -> Result<(), CliError> {
        if self.xlsx.is_none() && self.failed.is_none() {
            return Ok(());
        }
        let message = "nothing is scanned, so there are no results for --xlsx and --failed";
        Err(CliError::usage(message).hint("-o FILE.xlsx writes what is found as a workbook"))
    }

    /// Finds out whether every file can be written, before any work is done.
    ///
    /// # Errors
    ///
    /// `usage.invalid`, `output.unwritable` or `storage.full`.
    pub(crate) fn prepare(&self, io: &Io) -> Result<ReportPlan, CliError> {
        let mut files = Vec::new();
        for path in &self.output {
            files.push((path.clone(), FileFormat::of(path, &RESULT_FILES)?));
            files::check_writable(&io.resolve(path))?;
        }
        if let Some(folder) = &self.xlsx {
            files::prepare_folder(&io.resolve(folder))?;
        }
        if let Some(path) = &self.failed {
            files::check_writable(&io.resolve(path))?;
        }
        Ok(ReportPlan {
            files,
            xlsx: self.xlsx.clone(),
            failed: self.failed.clone(),
            format: self.format,
        })
    }
}

impl ReportPlan {
    /// Whether the changes that the results brought go into one of the files.
    #[must_use]
    pub(crate) fn takes_changes(&self, rows: &[ResultRow]) -> bool {
        let several = || {
            rows.windows(2)
                .any(|pair| matches!(pair, [a, b] if a.site_label != b.site_label))
        };
        self.files
            .iter()
            .any(|(_, format)| *format == FileFormat::Xlsx)
            && several()
    }

    /// Writes what a discovery found to the files: an inventory as JSON, a list as CSV, a workbook.
    ///
    /// # Errors
    ///
    /// Those of the first file that cannot be written.
    pub(crate) fn save_found(
        &self,
        finds: &[Find<'_>],
        rows: &[FoundRow],
        io: &Io,
    ) -> Result<(), Stop> {
        self.files
            .iter()
            .try_for_each(|(path, format)| save_found(path, *format, finds, rows, io))
    }

    /// How a list is written to stdout instead.
    pub(crate) const fn list_format(&self) -> Format {
        match self.format {
            ReportFormat::Table | ReportFormat::Summary => Format::Table,
            ReportFormat::Json => Format::Json,
            ReportFormat::Csv => Format::Csv,
        }
    }

    /// Writes everything. A file that fails is told and does not stop the others.
    ///
    /// `changes` are those that the results brought, where there is a coordinator to ask.
    ///
    /// The exit code is that of the first file that failed, else tells whether all devices were
    /// asked with success.
    ///
    /// # Errors
    ///
    /// Where stdout cannot be written; the files are written by then.
    pub(crate) fn write(
        &self,
        rows: &[ResultRow],
        changes: Option<&[Change]>,
        io: &mut Io,
    ) -> Outcome {
        let mut statuses = Vec::new();
        for (path, format) in &self.files {
            let resolved = io.resolve(path);
            let saved = match format {
                FileFormat::Json => files::write(&resolved, |out| json::write_results(rows, out))
                    .map(|()| format!("JSON saved to: {}", path.display())),
                FileFormat::Csv | FileFormat::Text => files::write(&resolved, |out| {
                    csv::write_results(rows, &CsvOptions::default(), out)
                })
                .map(|()| format!("CSV saved to: {}", path.display())),
                FileFormat::Xlsx => {
                    let report = FleetReport {
                        title: "Fleet scan",
                        at: io.clock.now(),
                        changes,
                    };
                    workbook_line(xlsx::write_workbook(rows, &report, &resolved))
                        .map(|line| format!("XLSX saved to: {}\n{line}", path.display()))
                }
            };
            statuses.push(tell(saved, io));
        }
        if let Some(folder) = &self.xlsx {
            statuses.extend(write_workbooks(folder, rows, io));
        }
        if let Some(path) = &self.failed {
            let saved = files::write(&io.resolve(path), |out| failed::write(rows, out));
            let text = |count| {
                format!(
                    "{count} failed/missing device(s) saved to: {}",
                    path.display()
                )
            };
            statuses.push(tell(saved.map(text), io));
        }
        self.write_stdout(rows, io)?;
        if rows.iter().any(|row| !row.is_success()) {
            statuses.push(ExitStatus::SomeFailed);
        }
        Ok(exit::first_failure(statuses))
    }

    fn write_stdout(&self, rows: &[ResultRow], io: &mut Io) -> Result<(), Stop> {
        let mut out = std::io::BufWriter::new(&mut io.stdout);
        let written = match self.format {
            ReportFormat::Table => console::report(rows, Layout::Full, &mut out).map(drop),
            ReportFormat::Summary => console::fleet_summary(rows, &mut out).map(drop),
            ReportFormat::Json => {
                json::write_results(rows, &mut out).and_then(|()| out.write_all(b"\n"))
            }
            ReportFormat::Csv => csv::write_results(rows, &CsvOptions::default(), &mut out),
        };
        written
            .and_then(|()| out.flush())
            .map_err(|error| Stop::from_stdout(&error))
    }
}

/// Writes the workbooks and tells about each; their statuses.
fn write_workbooks(folder: &Path, rows: &[ResultRow], io: &Io) -> Vec<ExitStatus> {
    let written = match xlsx::write_site_workbooks(rows, &io.resolve(folder)) {
        Ok(written) => written,
        Err(error) => {
            let error = CliError::new(error.code(), error.to_string()).because(&error.source);
            return vec![tell(Err(error), io)];
        }
    };
    io.note(&format!("XLSX files saved to: {}", folder.display()));
    written
        .into_iter()
        .map(|workbook| tell(workbook_line(workbook), io))
        .collect()
}

/// Whether a workbook could be written, for one that needs no line of its own.
pub(crate) fn workbook_outcome(workbook: WorkbookWritten) -> Result<String, CliError> {
    let path = workbook.path.display().to_string();
    match workbook.outcome {
        WorkbookOutcome::Created | WorkbookOutcome::Updated | WorkbookOutcome::Kept { .. } => {
            Ok(path)
        }
        WorkbookOutcome::Beside { original, refusal } => Ok(format!(
            "{path} ({} is as it was: {refusal})",
            original.display()
        )),
        WorkbookOutcome::Failed { message } => {
            let text = format!("cannot write the workbook {path}");
            Err(CliError::new(ErrorCode::OutputUnwritable, text).cause(message))
        }
    }
}

/// One line about a workbook.
pub(crate) fn workbook_line(workbook: WorkbookWritten) -> Result<String, CliError> {
    let WorkbookWritten {
        site,
        devices,
        cameras,
        path,
        outcome,
    } = workbook;
    let path = path.display();
    let saved = format!("  {site}: {devices} NVR(s), {cameras} cameras -> {path}");
    match outcome {
        WorkbookOutcome::Created | WorkbookOutcome::Updated => Ok(saved),
        WorkbookOutcome::Kept { cameras } => Ok(format!(
            "  {site}: no channels came, the {cameras} of an earlier scan stay in {path}"
        )),
        WorkbookOutcome::Beside { original, refusal } => Ok(format!(
            "{saved}\n    ({} is as it was: {refusal})",
            original.display()
        )),
        WorkbookOutcome::Failed { message } => {
            let text = format!("cannot write the workbook of {site:?}");
            Err(CliError::new(ErrorCode::OutputUnwritable, text).cause(message))
        }
    }
}

/// Tells how writing a file went.
pub(crate) fn tell(written: Result<String, CliError>, io: &Io) -> ExitStatus {
    match written {
        Ok(text) => {
            io.note(&text);
            ExitStatus::Success
        }
        Err(error) => {
            exit::report(&error, io);
            error.exit_status()
        }
    }
}
