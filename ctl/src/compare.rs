//! Comparing two scans and writing what differs.

use std::borrow::Cow;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tvt_coordinator::diff::pytvt::{self, PytvtScan};
use tvt_coordinator::diff::render::{self, Names};
use tvt_coordinator::diff::{Comparison, Diff, DigestKey, Kept, Outline, ReloadError, Scan, diff};
use tvt_coordinator::render::{json, xlsx};
use tvt_coordinator::results;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::ResultRow;

use crate::error::{CliError, Stop};
use crate::exit::{self, Outcome};
use crate::files::{self, FileFormat};
use crate::io::Io;
use crate::report;

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
    /// Write the differences to a file too; .json, .csv, .xlsx or .txt says how. May be repeated
    #[arg(short, long, value_name = "FILE", conflicts_with = "compat")]
    output: Vec<PathBuf>,
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
    File(PathBuf),
    Rows(Vec<ResultRow>),
}

impl Side {
    /// A result file, in pytvt's format or ours.
    ///
    /// # Errors
    ///
    /// `config.unreadable`.
    pub(crate) fn file(path: &Path, io: &Io) -> Result<Self, CliError> {
        let side = Self {
            name: path.display().to_string(),
            content: Content::File(io.resolve(path)),
        };
        if let Content::File(path) = &side.content {
            File::open(path).map_err(|error| side.unreadable(&error))?;
        }
        Ok(side)
    }

    /// The results of a job.
    #[must_use]
    pub(crate) const fn job(name: String, rows: Vec<ResultRow>) -> Self {
        Self {
            name,
            content: Content::Rows(rows),
        }
    }

    /// Everything, as the text of a result file.
    fn text(&self) -> Result<String, CliError> {
        match &self.content {
            Content::File(path) => {
                let bytes = files::read(path, RESULT_MAX).map_err(|error| {
                    error.about(ErrorCode::ConfigUnreadable, self.unreadable_text())
                })?;
                let mark = match results::decode(&bytes) {
                    Ok(Cow::Owned(text)) => return Ok(text),
                    Ok(Cow::Borrowed(text)) => bytes.len().saturating_sub(text.len()),
                    Err(error) => return Err(self.malformed(error.code(), &error)),
                };
                // A large file is not copied.
                let mut text = String::from_utf8(bytes)
                    .map_err(|error| self.malformed(ErrorCode::ResultMalformed, &error))?;
                text.drain(..mark);
                Ok(text)
            }
            Content::Rows(rows) => {
                let mut bytes = Vec::new();
                json::write_results(rows, &mut bytes).map_err(|error| {
                    CliError::new(ErrorCode::Internal, "cannot write the results").because(&error)
                })?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }

    /// The file, where it is one that can be read twice.
    fn reopened(&self) -> Result<Option<File>, CliError> {
        let Content::File(path) = &self.content else {
            return Ok(None);
        };
        let file = File::open(path).map_err(|error| self.unreadable(&error))?;
        let usable = file
            .metadata()
            .is_ok_and(|facts| facts.is_file() && facts.len() <= RESULT_MAX);
        Ok(usable.then_some(file))
    }

    fn unreadable(&self, error: &(dyn Error + 'static)) -> CliError {
        CliError::new(ErrorCode::ConfigUnreadable, self.unreadable_text()).because(error)
    }

    fn unreadable_text(&self) -> String {
        format!("cannot read the result file {}", self.name)
    }

    fn malformed(&self, code: ErrorCode, error: &(dyn Error + 'static)) -> CliError {
        CliError::new(code, format!("{} is no scan result", self.name)).because(error)
    }
}

/// What differences can be written as.
const DIFF_FILES: [FileFormat; 4] = [
    FileFormat::Json,
    FileFormat::Csv,
    FileFormat::Xlsx,
    FileFormat::Text,
];

impl CompareArgs {
    /// Finds out whether every file can be written, before anything is compared.
    ///
    /// # Errors
    ///
    /// `usage.invalid`, `output.unwritable` or `storage.full`.
    pub(crate) fn check(&self, io: &Io) -> Result<(), CliError> {
        for path in &self.output {
            FileFormat::of(path, &DIFF_FILES)?;
            files::check_writable(&io.resolve(path))?;
        }
        Ok(())
    }

    /// Writes the files that the user named; their statuses.
    fn save(&self, found: &Diff<'_>, names: &Names, io: &Io) -> Result<Vec<ExitStatus>, CliError> {
        let mut statuses = Vec::new();
        for path in &self.output {
            let resolved = io.resolve(path);
            let shown = path.display();
            let saved = match FileFormat::of(path, &DIFF_FILES)? {
                FileFormat::Json => files::write(&resolved, |out| render::json(found, names, out))
                    .map(|()| format!("JSON saved to: {shown}")),
                FileFormat::Csv => files::write(&resolved, |out| render::csv(found, out))
                    .map(|()| format!("CSV saved to: {shown}")),
                FileFormat::Text => files::write(&resolved, |out| render::text(found, names, out))
                    .map(|()| format!("Text saved to: {shown}")),
                FileFormat::Xlsx => {
                    let written = xlsx::write_compared(found, names, io.clock.now(), &resolved);
                    report::workbook_outcome(written).map(|path| format!("XLSX saved to: {path}"))
                }
            };
            statuses.push(report::tell(saved, io));
        }
        Ok(statuses)
    }

    /// Compares two scans and writes what differs to stdout, and to the files that the user named.
    ///
    /// # Errors
    ///
    /// `result.malformed`, or where stdout cannot be written.
    pub(crate) fn compare(&self, old: &Side, new: &Side, io: &mut Io) -> Outcome {
        if self.compat == Some(Compat::Pytvt) {
            return self.compare_as_pytvt(old, new, io);
        }
        if let (Some(mut old_file), Some(mut new_file)) = (old.reopened()?, new.reopened()?) {
            let key = DigestKey::default();
            let (old_outline, new_outline) = outlines(&mut old_file, &mut new_file, &key);
            let old_outline = old_outline.map_err(|error| old.unreadable(&error))?;
            let new_outline = new_outline.map_err(|error| new.unreadable(&error))?;
            if let (Some(old_outline), Some(new_outline)) = (old_outline, new_outline) {
                let comparison = Comparison::of(&old_outline, &new_outline);
                let mut kept = Kept::default();
                let old_again = |buffer: &mut [u8], at| old_file.read_exact_at(buffer, at);
                let new_again = |buffer: &mut [u8], at| new_file.read_exact_at(buffer, at);
                match comparison.diff(old_again, new_again, &mut kept) {
                    Ok(found) => return self.write(&found, &names(old, new), io),
                    Err(ReloadError::Io(error)) => {
                        return Err(CliError::new(
                            ErrorCode::ConfigUnreadable,
                            "cannot read a file again",
                        )
                        .because(&error)
                        .into());
                    }
                    // Reading the files as a whole says what is wrong, if anything.
                    Err(ReloadError::Changed) => {}
                }
            }
        }
        let text = |side: &Side| match side.content {
            Content::File(_) => side.text(),
            Content::Rows(_) => Ok(String::new()),
        };
        let (old_text, new_text) = (text(old)?, text(new)?);
        let (old_scan, new_scan) = (scan(old, &old_text)?, scan(new, &new_text)?);
        let found = diff(&old_scan, &new_scan);
        self.write(&found, &names(old, new), io)
    }

    fn write(&self, found: &Diff<'_>, names: &Names, io: &mut Io) -> Outcome {
        let mut statuses = self.save(found, names, io)?;
        let mut out = BufWriter::new(&mut io.stdout);
        let written = if self.json {
            render::json(found, names, &mut out)
        } else if self.csv {
            render::csv(found, &mut out)
        } else if self.summary {
            writeln!(out, "{}", render::summary(found))
        } else {
            render::text(found, names, &mut out)
        };
        written
            .and_then(|()| out.flush())
            .map_err(|error| Stop::from_stdout(&error))?;
        statuses.push(self.status(found.is_empty()));
        Ok(exit::first_failure(statuses))
    }

    fn compare_as_pytvt(&self, old: &Side, new: &Side, io: &mut Io) -> Outcome {
        let names = names(old, new);
        let (old_text, new_text) = (old.text()?, new.text()?);
        let read = |side: &Side, text| match PytvtScan::parse(text, &side.name) {
            Ok(scan) => Ok(scan),
            Err(error) => Err(side.malformed(ErrorCode::ResultMalformed, &error)),
        };
        let (old, new) = (read(old, &old_text)?, read(new, &new_text)?);
        let found = pytvt::compare(&old, &new);
        let mut out = BufWriter::new(&mut io.stdout);
        let written = if self.json {
            pytvt::json(&found, &names.old, &names.new, &mut out)
        } else if self.summary {
            writeln!(out, "{}", pytvt::summary(&found))
        } else {
            pytvt::text(&found, &names.old, &names.new, &mut out)
        };
        written
            .and_then(|()| out.flush())
            .map_err(|error| Stop::from_stdout(&error))?;
        Ok(self.status(found.is_empty()))
    }

    const fn status(&self, equal: bool) -> ExitStatus {
        if self.exit_code && !equal {
            ExitStatus::Differences
        } else {
            ExitStatus::Success
        }
    }
}

fn names(old: &Side, new: &Side) -> Names {
    Names {
        old: old.name.clone(),
        new: new.name.clone(),
    }
}

fn scan<'s>(side: &'s Side, text: &'s str) -> Result<Scan<'s>, CliError> {
    match &side.content {
        Content::Rows(rows) => Ok(Scan::from_rows(rows)),
        Content::File(_) => match results::parse(text) {
            Ok(records) => Ok(Scan::from_records(records)),
            Err(error) => Err(side.malformed(error.code(), &error)),
        },
    }
}

type OutlineRead = std::io::Result<Option<Outline>>;

/// Goes through both files at the same time.
fn outlines(old: &mut File, new: &mut File, key: &DigestKey) -> (OutlineRead, OutlineRead) {
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| Outline::read(old, key));
        let new = Outline::read(new, key);
        let old = beside
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("the reading thread ended early")));
        (old, new)
    })
}
