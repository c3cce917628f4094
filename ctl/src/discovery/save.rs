//! The files that a discovery is saved to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tvt_coordinator::render::discovery::{Find, PortRule, write_inventory};
use tvt_coordinator::render::xlsx;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};

use crate::error::{CliError, Stop};
use crate::files::{self, FileFormat};
use crate::io::Io;
use crate::output;

use super::rows::FoundRow;

/// Options of commands that do nothing but discover.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct SaveArgs {
    /// Write the devices as an inventory to scan
    #[arg(long, value_name = "FILE")]
    scanner_json: Option<PathBuf>,
    /// Port of every device in the inventory, instead of the one that answered
    #[arg(long, value_name = "PORT", requires = "scanner_json", value_parser = clap::value_parser!(u16).range(1..))]
    scan_port: Option<u16>,
    /// Write a workbook; one that is there keeps its other tabs
    #[arg(long, value_name = "FILE")]
    xlsx: Option<PathBuf>,
}

impl SaveArgs {
    /// Finds out whether every file can be written, before anything is sent.
    ///
    /// # Errors
    ///
    /// `output.unwritable` or `storage.full`.
    pub(crate) fn check(&self, io: &Io) -> Result<(), CliError> {
        for path in [&self.scanner_json, &self.xlsx].into_iter().flatten() {
            files::check_writable(&io.resolve(path))?;
        }
        Ok(())
    }

    /// Writes the files.
    ///
    /// # Errors
    ///
    /// Those of the first file that cannot be written.
    pub(crate) fn write(&self, finds: &[Find<'_>], io: &Io) -> Result<(), CliError> {
        if let Some(path) = &self.scanner_json {
            let rule = self.scan_port.map_or(PortRule::Answered, PortRule::Fixed);
            save_inventory(path, finds, rule, io)?;
        }
        if let Some(path) = &self.xlsx {
            save_workbook(path, finds, io)?;
        }
        Ok(())
    }
}

/// Writes what a scan that only discovers found, to the files that were named for its results.
///
/// # Errors
///
/// Those of the first file that cannot be written.
pub(crate) fn save_found(
    path: &Path,
    format: FileFormat,
    finds: &[Find<'_>],
    rows: &[FoundRow],
    io: &Io,
) -> Result<(), Stop> {
    match format {
        FileFormat::Json => save_inventory(path, finds, PortRule::Answered, io)?,
        FileFormat::Xlsx => save_workbook(path, finds, io)?,
        FileFormat::Csv | FileFormat::Text => {
            let text = output::csv_of(rows)?;
            files::write(&io.resolve(path), |out| {
                std::io::Write::write_all(out, &text)
            })?;
            saved(io, "CSV", finds.len(), path);
        }
    }
    Ok(())
}

/// What the files of a discovery call the sites of its rows.
#[derive(Debug)]
pub(crate) struct Sites(Vec<String>);

impl Sites {
    /// Names for the sites of these rows: without the tenant, where all belong to one.
    pub(crate) fn of(rows: &[ResultRow]) -> Self {
        let tenants: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| Some(row.site.as_ref()?.tenant.clone()))
            .collect();
        let name = |row: &ResultRow| match &row.site {
            Some(site) if tenants.len() < 2 => site.site.to_string(),
            Some(site) => site.to_string(),
            None => String::new(),
        };
        Self(rows.iter().map(name).collect())
    }

    /// The devices of the same rows, each with its site.
    pub(crate) fn finds<'a>(&'a self, rows: &'a [ResultRow]) -> Vec<Find<'a>> {
        let named = self.0.iter().zip(rows);
        named
            .filter_map(|(site, row)| match &row.outcome {
                RowOutcome::Reported(report) => Some(Find {
                    site,
                    device: report.found.as_deref()?,
                }),
                RowOutcome::Missing { .. } => None,
            })
            .collect()
    }
}

fn save_inventory(
    path: &Path,
    finds: &[Find<'_>],
    rule: PortRule,
    io: &Io,
) -> Result<(), CliError> {
    files::write(&io.resolve(path), |out| write_inventory(finds, rule, out))?;
    saved(io, "Scanner JSON", finds.len(), path);
    Ok(())
}

fn save_workbook(path: &Path, finds: &[Find<'_>], io: &Io) -> Result<(), CliError> {
    xlsx::write_discovered(finds, &io.resolve(path)).map_err(|message| {
        let text = format!("cannot write {}", path.display());
        CliError::new(ErrorCode::OutputUnwritable, text).cause(message)
    })?;
    saved(io, "Discovery results", finds.len(), path);
    Ok(())
}

fn saved(io: &Io, what: &str, devices: usize, path: &Path) {
    io.note(&format!(
        "{what} ({devices} devices) saved to: {}",
        path.display()
    ));
}
