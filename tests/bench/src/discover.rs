//! `tvt-bench discover`: finding recorders in networks that the bench makes, next to
//! `pytvt-discover`.

mod rivals;
mod stage;

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::figures::{Figures, Row, say};
use crate::measure::Ended;
use crate::programs::Programs;
use rivals::Rivals;
use stage::{Population, Stage, Wiring};
use xtask::pytvt::{self, Pytvt};

/// The most that the pace may be exceeded in 100 ms.
const PEAK_TIMES: f64 = 1.5;

/// Find the recorders of networks behind a router, on a flat LAN and with loss
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave the large networks out: a few seconds instead of minutes
    #[arg(long)]
    short: bool,
    /// Leave pytvt-discover out
    #[arg(long)]
    no_pytvt: bool,
    /// Leave port scanners out
    #[arg(long)]
    no_scanners: bool,
}

/// One discovery to be measured.
struct Case {
    name: &'static str,
    wiring: Wiring,
    population: Population,
    network: &'static str,
    options: &'static [&'static str],
    /// Percent of the recorders that have to be found.
    least: u64,
    long: bool,
    /// Whether pytvt ends within minutes.
    pytvt: bool,
}

const CASES: [Case; 6] = [
    Case {
        name: "routed /24",
        wiring: Wiring::Routed,
        population: Population {
            searched: 10,
            greeting: 4,
            others: 2,
            loss: 0,
        },
        network: "10.50.0.0/24",
        options: &[],
        least: 100,
        long: false,
        pytvt: true,
    },
    Case {
        name: "routed /24, 10 % loss each way",
        wiring: Wiring::Routed,
        population: Population {
            searched: 114,
            greeting: 18,
            others: 0,
            loss: 19,
        },
        network: "10.50.0.0/24",
        options: &[],
        least: 99,
        long: false,
        pytvt: true,
    },
    Case {
        name: "routed /16, 2,000/s",
        wiring: Wiring::Routed,
        population: Population {
            searched: 309,
            greeting: 41,
            others: 50,
            loss: 0,
        },
        network: "10.50.0.0/16",
        options: &["--profile", "routed"],
        least: 100,
        long: true,
        pytvt: false,
    },
    Case {
        name: "routed /16, 10,000/s",
        wiring: Wiring::Routed,
        population: Population {
            searched: 309,
            greeting: 41,
            others: 50,
            loss: 0,
        },
        network: "10.50.0.0/16",
        options: &["--profile", "lab"],
        least: 100,
        long: true,
        pytvt: false,
    },
    Case {
        name: "flat /20, 2,000/s asked",
        wiring: Wiring::Flat,
        population: Population {
            searched: 19,
            greeting: 4,
            others: 9,
            loss: 0,
        },
        network: "10.50.0.0/20",
        options: &["--rate", "2000"],
        least: 100,
        long: true,
        pytvt: false,
    },
    Case {
        name: "/16 made local, 10,000/s",
        wiring: Wiring::Local,
        population: Population {
            searched: 309,
            greeting: 41,
            others: 50,
            loss: 0,
        },
        network: "10.50.0.0/16",
        options: &["--profile", "lab"],
        least: 100,
        long: true,
        pytvt: false,
    },
];

/// Runs the bench.
///
/// # Errors
///
/// Namespaces cannot be made, a program cannot be run, too few recorders are found, something else
/// is taken for one, or the pace is exceeded.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let mut figures = Figures::new(
        "discover",
        "recorders found by a sweep; peak is the most probes per second in any 100 ms, x_time \
         pytvt-discover's wall time to this program's",
    );
    let pytvt = if arguments.no_pytvt {
        None
    } else {
        pytvt(&mut figures)
    };
    let rivals = (!arguments.no_scanners).then(|| Rivals::installed(&mut figures.notes));
    for case in CASES.iter().filter(|case| !(arguments.short && case.long)) {
        let stage = Stage::new(&case.wiring, &case.population, case.network, programs)?;
        say(&format!("{}, tvtctl", case.name));
        let ours = discover(case, &stage, programs)?;
        let mut row = Row::default()
            .text("network", case.name)
            .count("recorders", stage.recorders())
            .count("found", ours.found)
            .number("s", ours.ended.cost.wall(), 1)
            .number("cpu_s", ours.ended.cost.cpu(), 2)
            .mebibytes("MiB", ours.ended.cost.peak_rss)
            .count("peak", ours.peak);
        if let Some(program) = pytvt.as_deref().filter(|_| case.pytvt) {
            say(&format!("{}, pytvt-discover", case.name));
            let theirs = stage
                .task(program)
                .args(["--subnet", case.network, "--json"])
                .run()?;
            row = row
                .count("pytvt_found", count(&theirs.stdout))
                .number("pytvt_s", theirs.cost.wall(), 1)
                .number("x_time", theirs.cost.wall() / ours.ended.cost.wall(), 1);
        }
        if let Some(rivals) = rivals.as_ref().filter(|_| case.pytvt) {
            row = rivals.measure(&stage, case.network, row);
        }
        figures.rows.push(row);
    }
    Ok(figures)
}

fn pytvt(figures: &mut Figures) -> Option<std::path::PathBuf> {
    match Pytvt::find_or_fetch() {
        Ok(pytvt) => Some(pytvt.program("pytvt-discover")),
        Err(error) => {
            figures
                .notes
                .push(format!("without pytvt {}: {error:#}", pytvt::VERSION));
            None
        }
    }
}

struct Ours {
    ended: Ended,
    found: u64,
    peak: u64,
}

fn discover(case: &Case, stage: &Stage, programs: &Programs) -> Result<Ours> {
    let record = stage.folder().join("record.json");
    let ended = stage
        .task(&programs.path("tvtctl"))
        .args([
            "local",
            "discover",
            "--json",
            "--subnet",
            case.network,
            "--record",
        ])
        .arg(record.as_os_str())
        .args(case.options.iter().copied())
        .run()?;
    let devices: Vec<Value> = serde_json::from_slice(&ended.stdout).context("not a list")?;
    let mut found = 0_u64;
    for device in &devices {
        let address = device.get("ip").and_then(Value::as_str).unwrap_or_default();
        if !stage.has_recorder(address) {
            bail!("{}: {address} is no recorder", case.name);
        }
        found += 1;
    }
    if found * 100 < stage.recorders() * case.least {
        bail!(
            "{}: {found} of {} recorders found",
            case.name,
            stage.recorders()
        );
    }
    let (rate, peak) = paces(&record)?;
    if crate::figures::real(peak) > crate::figures::real(rate) * PEAK_TIMES {
        bail!("{}: {peak} probes per second of {rate}", case.name);
    }
    Ok(Ours { ended, found, peak })
}

fn paces(record: &Path) -> Result<(u64, u64)> {
    let record: Value = serde_json::from_slice(&std::fs::read(record)?).context("not a record")?;
    let number = |key: &str| record.get(key).and_then(Value::as_u64).context("no pace");
    Ok((number("rate")?, number("peak_rate")?))
}

/// How many devices pytvt lists: its output may begin with a line that is no JSON.
fn count(stdout: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(stdout);
    let list = text
        .find("[\n")
        .and_then(|at| text.get(at..))
        .unwrap_or("[]");
    let devices: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
    u64::try_from(devices.len()).unwrap_or(u64::MAX)
}
