//! Comparing two scans and writing what differs.

use std::borrow::Cow;
use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use tvt_coordinator::diff::pytvt::{self, PytvtScan};
use tvt_coordinator::diff::render::{self, Names};
use tvt_coordinator::diff::{Scan, diff};
use tvt_coordinator::render::json;
use tvt_coordinator::results;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::ResultRow;

use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;

/// The largest result file, in bytes.
const RESULT_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Options that say how differences are written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output", group(clap::ArgGroup::new("form").args(["json", "csv", "summary"])))]
pub(crate) struct CompareArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Write comma-separated values, a row per difference
    #[arg(long, conflicts_with = "compat")]
    csv: bool,
    /// Write one line
    #[arg(long)]
    summary: bool,
    /// End with exit code 6 where there are differences
    #[arg(long)]
    exit_code: bool,
    /// Compare and write as another program does, byte for byte: pytvt
    #[arg(long, value_enum, value_name = "PROGRAM", hide_possible_values = true)]
    compat: Option<Compat>,
}

/// A program whose comparison is reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Compat {
    /// pytvt-diff 0.5.1
    Pytvt,
}

/// One of the two scans.
pub(crate) struct Side {
    name: String,
    content: Content,
}

enum Content {
    File(Vec<u8>),
    Rows(Vec<ResultRow>),
}

impl Side {
    /// A result file, in pytvt's format or ours.
    ///
    /// # Errors
    ///
    /// `config.unreadable`.
    pub(crate) fn file(path: &Path, io: &Io) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let bytes = files::read(&io.resolve(path), RESULT_MAX).map_err(|error| {
            error.about(
                ErrorCode::ConfigUnreadable,
                format!("cannot read the result file {name}"),
            )
        })?;
        Ok(Self {
            name,
            content: Content::File(bytes),
        })
    }

    /// The results of a job.
    #[must_use]
    pub(crate) const fn job(name: String, rows: Vec<ResultRow>) -> Self {
        Self {
            name,
            content: Content::Rows(rows),
        }
    }

    fn text(&self) -> Result<Cow<'_, str>, CliError> {
        match &self.content {
            Content::File(bytes) => {
                results::decode(bytes).map_err(|error| self.malformed(error.code(), &error))
            }
            Content::Rows(rows) => {
                let mut bytes = Vec::new();
                json::write_results(rows, &mut bytes).map_err(|error| {
                    CliError::new(ErrorCode::Internal, "cannot write the results").because(&error)
                })?;
                Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }

    fn malformed(&self, code: ErrorCode, error: &(dyn Error + 'static)) -> CliError {
        CliError::new(code, format!("{} is no scan result", self.name)).because(error)
    }
}

impl CompareArgs {
    /// Compares two scans and writes what differs to stdout.
    ///
    /// # Errors
    ///
    /// `result.malformed`, or where stdout cannot be written.
    pub(crate) fn compare(&self, old: &Side, new: &Side, io: &mut Io) -> Outcome {
        let (old_text, new_text) = (old.text()?, new.text()?);
        let names = Names {
            old: old.name.clone(),
            new: new.name.clone(),
        };
        let mut out = BufWriter::new(&mut io.stdout);
        let (written, equal) = if self.compat == Some(Compat::Pytvt) {
            let read = |side: &Side, text| match PytvtScan::parse(text, &side.name) {
                Ok(scan) => Ok(scan),
                Err(error) => Err(side.malformed(ErrorCode::ResultMalformed, &error)),
            };
            let (old, new) = (read(old, &old_text)?, read(new, &new_text)?);
            let found = pytvt::compare(&old, &new);
            let written = if self.json {
                pytvt::json(&found, &names.old, &names.new, &mut out)
            } else if self.summary {
                writeln!(out, "{}", pytvt::summary(&found))
            } else {
                pytvt::text(&found, &names.old, &names.new, &mut out)
            };
            (written, found.is_empty())
        } else {
            let read = |side: &Side, text| match results::parse(text) {
                Ok(records) => Ok(Scan::from_records(records)),
                Err(error) => Err(side.malformed(error.code(), &error)),
            };
            let (old, new) = (read(old, &old_text)?, read(new, &new_text)?);
            let found = diff(&old, &new);
            let written = if self.json {
                render::json(&found, &names, &mut out)
            } else if self.csv {
                render::csv(&found, &mut out)
            } else if self.summary {
                writeln!(out, "{}", render::summary(&found))
            } else {
                render::text(&found, &names, &mut out)
            };
            (written, found.is_empty())
        };
        written
            .and_then(|()| out.flush())
            .map_err(|error| Stop::from_stdout(&error))?;
        Ok(if self.exit_code && !equal {
            ExitStatus::Differences
        } else {
            ExitStatus::Success
        })
    }
}
