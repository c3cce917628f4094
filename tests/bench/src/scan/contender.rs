//! Who scans.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::work::Counted;
use crate::measure::{Cost, Task};
use crate::programs;
use crate::simulator::{PASSWORD, USER};

/// Exit code of `tvtctl` when some devices failed.
const SOME_FAILED: i32 = 1;

/// A program that scans an inventory.
#[derive(Debug)]
pub(super) enum Contender {
    /// The agent's library, in a child process.
    Library { retries: u32 },
    /// `tvtctl local scan`, as it is shipped: with retries and files.
    Tvtctl(PathBuf),
    /// pytvt, as it is published.
    Pytvt(PathBuf),
}

/// What a scan cost and found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) cost: Cost,
    pub(super) counted: Counted,
}

impl Contender {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Library { retries: 0 } => "agent, no retries".to_owned(),
            Self::Library { retries } => format!("agent, {retries} retries"),
            Self::Tvtctl(_) => "tvtctl local scan".to_owned(),
            Self::Pytvt(_) => format!("pytvt {}", xtask::pytvt::VERSION),
        }
    }

    /// Scans the inventory, or its first devices.
    pub(super) fn scan(
        &self,
        inventory: &Path,
        concurrency: u32,
        first: Option<usize>,
        folder: &Path,
    ) -> Result<Outcome> {
        let concurrency = concurrency.to_string();
        let results = folder.join("results.json");
        match self {
            Self::Library { retries } => {
                let mut task = Task::new(programs::own()?, folder)
                    .args(["work", "--concurrency", &concurrency])
                    .args(["--retries", &retries.to_string(), "--inventory"])
                    .arg(inventory);
                if let Some(first) = first {
                    task = task.args(["--first", &first.to_string()]);
                }
                let ended = task.run()?;
                let counted = serde_json::from_slice(&ended.stdout).context("not counts")?;
                Ok(Outcome {
                    cost: ended.cost,
                    counted,
                })
            }
            Self::Tvtctl(program) => {
                let ended = Task::new(program, folder)
                    .args([
                        "local",
                        "scan",
                        "--quiet",
                        "--concurrency",
                        &concurrency,
                        "-o",
                    ])
                    .arg(&results)
                    .arg(inventory)
                    .env("TVT_USERNAME", USER)
                    .env("TVT_PASSWORD", PASSWORD)
                    .accept(SOME_FAILED)
                    .run()?;
                Ok(Outcome {
                    cost: ended.cost,
                    counted: count(&results)?,
                })
            }
            Self::Pytvt(program) => {
                let ended = Task::new(program, folder)
                    .arg(inventory)
                    .args([
                        "--concurrency",
                        &concurrency,
                        "--failed",
                        "failed.json",
                        "--output",
                    ])
                    .arg(&results)
                    .env("TVT_USERNAME", USER)
                    .env("TVT_PASSWORD", PASSWORD)
                    .run()?;
                Ok(Outcome {
                    cost: ended.cost,
                    counted: count(&results)?,
                })
            }
        }
    }
}

#[derive(Deserialize)]
struct Record {
    success: bool,
    cameras: Vec<IgnoredAny>,
}

fn count(results: &Path) -> Result<Counted> {
    let text = std::fs::read(results).context("no results")?;
    let records: Vec<Record> = serde_json::from_slice(&text).context("not results")?;
    let mut counted = Counted::default();
    for record in records {
        counted.ok += u64::from(record.success);
        counted.failed += u64::from(!record.success);
        counted.channels += u64::try_from(record.cameras.len())?;
    }
    Ok(counted)
}
