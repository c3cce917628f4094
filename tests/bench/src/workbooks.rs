//! `tvt-bench workbooks`: how fast one workbook per site is written, new and over an old one, next to
//! pytvt's library.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use tvt_coordinator::render::xlsx::write_site_workbooks;
use tvt_coordinator::results;

use crate::figures::{Figures, Row, real, say};
use crate::measure::{Ended, Task};
use crate::programs;
use crate::results::{Fleet, Moment};
use xtask::pytvt::{self, Pytvt};

/// What pytvt's library is told to do: read a result file, and write its workbooks.
const PYTHON: &str = "\
import json, sys
from pytvt.models import CameraInfo, ScanResult
from pytvt.output import save_xlsx_per_site
rows = json.load(open(sys.argv[1], encoding='utf-8'))
for row in rows:
    row['cameras'] = [CameraInfo(**camera) for camera in row['cameras']]
save_xlsx_per_site([ScanResult(**row) for row in rows], sys.argv[2])
";

/// Compare the workbooks of all sites with those of pytvt's library
#[derive(Debug, Args)]
pub struct Arguments {
    /// Recorders
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    devices: u32,
    /// Cameras of each
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    cameras: u32,
    /// Sites
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    sites: u32,
    /// Runs of each; the fastest counts
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    repeat: u32,
}

/// Write the workbooks of a result file
#[derive(Debug, Args)]
pub struct BooksArguments {
    results: PathBuf,
    folder: PathBuf,
}

/// What was written.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Books {
    workbooks: usize,
    cameras: usize,
}

impl BooksArguments {
    /// Reads the results and writes the workbooks, as `tvtctl` does.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written.
    pub fn run(&self) -> Result<Books> {
        let bytes = std::fs::read(&self.results).context("cannot read the results")?;
        let records = results::read(&bytes).context("not results")?;
        let written = write_site_workbooks(records, &self.folder)?;
        Ok(Books {
            workbooks: written.len(),
            cameras: written.iter().map(|book| book.cameras).sum(),
        })
    }
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
enum Writer<'a> {
    Pytvt(&'a Path),
    Ours,
}

impl Writer<'_> {
    fn name(self) -> String {
        match self {
            Self::Pytvt(_) => format!("pytvt {}", pytvt::VERSION),
            Self::Ours => "tvtfleet".to_owned(),
        }
    }

    fn write(self, folder: &Path, results: &str) -> Result<Ended> {
        match self {
            Self::Pytvt(python) => Task::new(python, folder).args(["-c", PYTHON]),
            Self::Ours => Task::new(programs::own()?, folder).arg("books"),
        }
        .args([results, "books"])
        .run()
    }
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, or not every workbook was written.
pub fn run(arguments: &Arguments) -> Result<Figures> {
    let mut figures = Figures::new(
        "workbooks",
        format!(
            "{} workbooks of {} recorders with {} cameras from a result file; x_time and x_memory are \
             pytvt's wall time and peak memory to this program's",
            arguments.sites, arguments.devices, arguments.cameras,
        ),
    );
    let python = match Pytvt::find_or_fetch() {
        Ok(pytvt) => Some(pytvt.program("python")),
        Err(error) => {
            figures
                .notes
                .push(format!("without pytvt {}: {error:#}", pytvt::VERSION));
            None
        }
    };
    let theirs = match &python {
        Some(python) => Some(measure(arguments, Writer::Pytvt(python))?),
        None => None,
    };
    let ours = measure(arguments, Writer::Ours)?;
    for at in [0, 1] {
        for (writer, runs) in [("pytvt", theirs.as_ref()), ("tvtfleet", Some(&ours))] {
            let baseline = theirs.as_ref().and_then(|runs| runs.get(at));
            let Some((files, ended)) = runs.and_then(|runs| runs.get(at)) else {
                continue;
            };
            let mut row = Row::default()
                .text("files", *files)
                .text("program", writer)
                .number("wall_s", ended.cost.wall(), 2)
                .number("cpu_s", ended.cost.cpu(), 2)
                .mebibytes("peak_rss_mib", ended.cost.peak_rss);
            if let Some((_, baseline)) = baseline {
                row = row
                    .number("x_time", baseline.cost.wall() / ended.cost.wall(), 1)
                    .number(
                        "x_memory",
                        real(baseline.cost.peak_rss) / real(ended.cost.peak_rss),
                        1,
                    );
            }
            figures.rows.push(row);
        }
    }
    Ok(figures)
}

/// Writes new workbooks, then the same ones again with other results.
fn measure(arguments: &Arguments, writer: Writer<'_>) -> Result<[(&'static str, Ended); 2]> {
    let mut best: Option<[Ended; 2]> = None;
    let wall = |runs: &[Ended; 2]| runs.iter().map(|ended| ended.cost.wall_us).sum::<u64>();
    for _ in 0..arguments.repeat.max(1) {
        say(&format!("workbooks, {}", writer.name()));
        let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
        let &Arguments {
            devices,
            cameras,
            sites,
            ..
        } = arguments;
        let fleet = Fleet {
            devices,
            cameras,
            sites,
        };
        fleet.write(Moment::Old, &scratch.path().join("old.json"))?;
        fleet.write(Moment::New, &scratch.path().join("new.json"))?;
        let runs = [
            writer.write(scratch.path(), "old.json")?,
            writer.write(scratch.path(), "new.json")?,
        ];
        let books = std::fs::read_dir(scratch.path().join("books"))?.count();
        if books != usize::try_from(sites)? {
            bail!(
                "{} wrote {books} workbooks for {sites} sites",
                writer.name()
            );
        }
        if best.as_ref().is_none_or(|best| wall(&runs) < wall(best)) {
            best = Some(runs);
        }
    }
    let [new, over] = best.context("nothing was run")?;
    Ok([("new", new), ("over existing", over)])
}
