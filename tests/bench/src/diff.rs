//! `tvt-bench diff`: how fast two result files are compared, next to `pytvt-diff`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::figures::{Figures, Row, say};
use crate::measure::{Ended, Task};
use crate::programs::Programs;
use crate::results::{Fleet, Moment};
use xtask::pytvt::{self, Pytvt};

/// Sites of each fleet.
const SITES: u32 = 100;
/// The reports that both programs have.
const REPORTS: [(&str, &[&str]); 3] = [
    ("text", &[]),
    ("json", &["--json"]),
    ("summary", &["--summary"]),
];

/// Compare tvtctl local diff with pytvt-diff on large result files
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sizes of the fleets, as devices x cameras
    #[arg(long = "size", value_name = "DxC,…", value_delimiter = ',', value_parser = size,
          default_values_t = [Size(2000, 32), Size(20_000, 16)])]
    sizes: Vec<Size>,
    /// Runs of each; the fastest counts
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    repeat: u32,
}

/// Devices and cameras of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(u32, u32);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0, self.1)
    }
}

fn size(text: &str) -> Result<Size, String> {
    text.split_once('x')
        .and_then(|(devices, cameras)| Some(Size(devices.parse().ok()?, cameras.parse().ok()?)))
        .ok_or_else(|| format!("{text:?} is no size; try 2000x32"))
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, or our compatible report is not pytvt's.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let tvtctl = programs.path("tvtctl");
    let mut figures = Figures::new(
        "diff",
        "two result files of one fleet; x_time and x_memory are pytvt-diff's wall time and peak \
         memory to this program's",
    );
    let pytvt = match Pytvt::find_or_fetch() {
        Ok(pytvt) => Some(pytvt.program("pytvt-diff")),
        Err(error) => {
            figures
                .notes
                .push(format!("without pytvt {}: {error:#}", pytvt::VERSION));
            None
        }
    };
    for Size(devices, cameras) in &arguments.sizes {
        let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
        let fleet = Fleet {
            devices: *devices,
            cameras: *cameras,
            sites: SITES,
        };
        fleet.write(Moment::Old, &scratch.path().join("old.json"))?;
        fleet.write(Moment::New, &scratch.path().join("new.json"))?;
        let files = fs::metadata(scratch.path().join("old.json"))?
            .len()
            .saturating_add(fs::metadata(scratch.path().join("new.json"))?.len());
        let fastest = |name: &str, program: &Path, before: &[&str], after: &[&str]| {
            say(&format!("{devices} x {cameras}, {name}"));
            let task = || {
                Task::new(program, scratch.path())
                    .args(before)
                    .args(["old.json", "new.json"])
                    .args(after)
            };
            fastest(arguments.repeat, || task().run())
        };
        for (report, flags) in REPORTS {
            let theirs = match &pytvt {
                Some(program) => Some(fastest("pytvt-diff", program, &[], flags)?),
                None => None,
            };
            let row = |name: &str, ended: &Ended| {
                let row = Row::default()
                    .text("fleet", format!("{devices} x {cameras}"))
                    .mebibytes("files_mib", files)
                    .text("report", report)
                    .text("program", name)
                    .number("wall_s", ended.cost.wall(), 3)
                    .mebibytes("peak_rss_mib", ended.cost.peak_rss);
                match &theirs {
                    Some(theirs) => row
                        .number("x_time", theirs.cost.wall() / ended.cost.wall(), 1)
                        .number(
                            "x_memory",
                            ratio(theirs.cost.peak_rss, ended.cost.peak_rss),
                            1,
                        ),
                    None => row,
                }
            };
            let own = fastest("tvtctl", &tvtctl, &["local", "diff"], flags)?;
            let compatible = [&["--compat", "pytvt"], flags].concat();
            let same = fastest(
                "tvtctl compatible",
                &tvtctl,
                &["local", "diff"],
                &compatible,
            )?;
            if let Some(theirs) = &theirs {
                figures
                    .rows
                    .push(row(&format!("pytvt-diff {}", pytvt::VERSION), theirs));
                if theirs.stdout != same.stdout {
                    bail!("the {report} of tvtctl --compat pytvt is not that of pytvt-diff");
                }
            }
            figures.rows.push(row("tvtctl local diff", &own));
            figures.rows.push(row("… --compat pytvt", &same));
        }
    }
    Ok(figures)
}

fn ratio(a: u64, b: u64) -> f64 {
    crate::figures::real(a) / crate::figures::real(b)
}

/// Runs something so often and returns the run with the shortest wall time.
pub(crate) fn fastest(times: u32, mut run: impl FnMut() -> Result<Ended>) -> Result<Ended> {
    let mut best = run()?;
    for _ in 1..times {
        let ended = run()?;
        if ended.cost.wall_us < best.cost.wall_us {
            best = ended;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_devices_by_cameras() {
        assert_eq!(size("2000x32"), Ok(Size(2000, 32)));
        for wrong in ["2000", "x32", "2000x", "a x b"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
