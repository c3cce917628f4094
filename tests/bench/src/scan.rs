//! `tvt-bench scan`: how fast a site's recorders are asked.
//!
//! The baseline is the ideal: all delays that the recorders make, spread evenly over the devices
//! that are asked at a time, and nothing else. The published pytvt does the same in the same run.

mod contender;
mod work;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tvtfleet_proto::device::tvt::limits;

pub use work::{Counted, WorkArguments};

use crate::figures::{Figures, Row, real, say};
use crate::programs::Programs;
use crate::simulator::{Simulator, Totals, generate};
use contender::{Contender, Outcome};
use xtask::pytvt::{self, Pytvt};

/// Devices that are asked one after the other, to see what one costs.
const ALONE: usize = 20;
/// One device in so many is silent, where some are.
const SILENT_EVERY: usize = 5;

/// Compare scans of simulated recorders with the ideal and with pytvt
#[derive(Debug, Args)]
pub struct Arguments {
    /// Recorders
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    devices: usize,
    /// Channels of each
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    channels: u32,
    /// Delay before each packet of a recorder, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    latency: u64,
    /// Devices asked at a time
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [16, 64, 256])]
    concurrency: Vec<u32>,
    /// What the recorders are like
    #[arg(long = "situation", value_enum, value_name = "NAME,…", value_delimiter = ',',
          default_values_t = [Situation::Heartbeat, Situation::NoHeartbeat, Situation::FifthSilent])]
    situations: Vec<Situation>,
    /// Who scans
    #[arg(long = "program", value_enum, value_name = "NAME,…", value_delimiter = ',',
          default_values_t = [Program::Pytvt, Program::Agent, Program::Tvtctl])]
    programs: Vec<Program>,
    /// Runs of each; the fastest counts
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    repeat: u32,
}

/// A program that scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Program {
    /// The published pytvt
    Pytvt,
    /// The agent's work without retries, as pytvt has none
    Agent,
    /// tvtctl local scan as it is shipped
    Tvtctl,
}

/// What the recorders of a fleet are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Situation {
    /// A heartbeat follows the greeting
    Heartbeat,
    /// No heartbeat follows the greeting
    NoHeartbeat,
    /// As heartbeat, but every fifth recorder accepts connections and stays silent
    FifthSilent,
}

impl Situation {
    const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat after init",
            Self::NoHeartbeat => "no heartbeat after init",
            Self::FifthSilent => "every fifth silent",
        }
    }

    fn apply(self, at: usize, device: &mut Value) {
        match self {
            Self::Heartbeat => {}
            Self::NoHeartbeat => put(device, "ack", json!(false)),
            Self::FifthSilent if self.is_silent(at) => put(device, "kind", json!("silent")),
            Self::FifthSilent => {}
        }
    }

    fn is_silent(self, at: usize) -> bool {
        self == Self::FifthSilent && at.is_multiple_of(SILENT_EVERY)
    }

    /// Packets that follow the greeting unasked, and delay what comes after them.
    const fn unasked(self) -> u64 {
        match self {
            Self::Heartbeat | Self::FifthSilent => 1,
            Self::NoHeartbeat => 0,
        }
    }
}

fn put(device: &mut Value, key: &str, value: Value) {
    if let Some(device) = device.as_object_mut() {
        device.insert(key.to_owned(), value);
    }
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, or our scan's result is not right.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let mut wanted = arguments.programs.clone();
    // pytvt first, so that the others can be compared with it.
    wanted.sort_unstable();
    wanted.dedup();
    let mut figures = Figures::new(
        "scan",
        format!(
            "{} recorders with {} channels, {} ms before each packet; x_ideal is wall time to the sum \
             of all delays / concurrency, x_schedule to the same list worked off with what one device \
             alone takes, x_pytvt is pytvt's wall time to this one",
            arguments.devices, arguments.channels, arguments.latency,
        ),
    );
    let mut contenders = Vec::new();
    for program in wanted {
        match program {
            Program::Agent => contenders.push(Contender::Library { retries: 0 }),
            Program::Tvtctl => contenders.push(Contender::Tvtctl(programs.path("tvtctl"))),
            Program::Pytvt => match Pytvt::find_or_fetch() {
                Ok(pytvt) => contenders.push(Contender::Pytvt(pytvt.program("pytvt"))),
                Err(error) => figures
                    .notes
                    .push(format!("without pytvt {}: {error:#}", pytvt::VERSION)),
            },
        }
    }
    let simulator = programs.path("tvt-sim");
    for situation in &arguments.situations {
        let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut fleet = generate(
            &simulator,
            scratch.path(),
            arguments.devices,
            arguments.channels,
        )?;
        for (at, device) in fleet.iter_mut().enumerate() {
            situation.apply(at, device);
        }
        let path = scratch.path().join("fleet.json");
        std::fs::write(&path, serde_json::to_vec(&fleet)?).context("cannot write the fleet")?;
        let latency = Duration::from_millis(arguments.latency);
        let mut recorders = Simulator::serve(&simulator, &path, scratch.path(), latency)?;
        Bench {
            arguments,
            situation: *situation,
            folder: scratch.path(),
        }
        .fill(&contenders, &mut recorders, &mut figures)?;
    }
    Ok(figures)
}

struct Bench<'a> {
    arguments: &'a Arguments,
    situation: Situation,
    folder: &'a Path,
}

impl Bench<'_> {
    fn fill(
        &self,
        contenders: &[Contender],
        recorders: &mut Simulator,
        figures: &mut Figures,
    ) -> Result<()> {
        let alone = match self.situation {
            // The first devices are not all alike.
            Situation::FifthSilent => 1.0,
            Situation::Heartbeat | Situation::NoHeartbeat => {
                let (factor, note) = self.alone(recorders)?;
                figures.notes.push(note);
                factor
            }
        };
        for concurrency in &self.arguments.concurrency {
            let mut pytvt = None;
            for contender in contenders {
                let run = self.fastest(contender, *concurrency, recorders)?;
                if matches!(contender, Contender::Pytvt(_)) {
                    pytvt = Some(run.outcome.cost.wall());
                }
                figures
                    .rows
                    .push(self.row(contender, *concurrency, &run, alone, pytvt));
            }
        }
        Ok(())
    }

    /// Measures how much longer than its delays one device takes with nothing beside it.
    fn alone(&self, recorders: &mut Simulator) -> Result<(f64, String)> {
        let before = recorders.totals()?;
        let outcome = Contender::Library { retries: 0 }.scan(
            recorders.inventory(),
            1,
            Some(ALONE),
            self.folder,
        )?;
        let ideal = self.ideal(recorders.totals()?.since(before), 1);
        let each = |seconds: f64| seconds * 1000.0 / real(outcome.counted.ok.max(1));
        let wall = outcome.cost.wall();
        let note = format!(
            "{}, one device at a time: {:.1} ms each, {:.1} ms of it the recorder's delays",
            self.situation.name(),
            each(wall),
            each(ideal),
        );
        Ok((wall / ideal, note))
    }

    fn fastest(
        &self,
        contender: &Contender,
        concurrency: u32,
        recorders: &mut Simulator,
    ) -> Result<Run> {
        let mut best: Option<Run> = None;
        for _ in 0..self.arguments.repeat.max(1) {
            say(&format!(
                "{}, {concurrency} at a time, {}",
                self.situation.name(),
                contender.name(),
            ));
            let (before, cpu) = (recorders.totals()?, recorders.cpu()?);
            let outcome = contender.scan(recorders.inventory(), concurrency, None, self.folder)?;
            let run = Run {
                outcome,
                totals: recorders.totals()?.since(before),
                simulator_cpu: recorders.cpu()?.saturating_sub(cpu),
            };
            self.check(contender, &run)?;
            if best
                .as_ref()
                .is_none_or(|best| run.outcome.cost.wall_us < best.outcome.cost.wall_us)
            {
                best = Some(run);
            }
        }
        best.context("nothing was run")
    }

    /// Speed is worth nothing if the result is wrong.
    fn check(&self, contender: &Contender, run: &Run) -> Result<()> {
        let devices = u64::try_from(self.arguments.devices)?;
        let silent = self.silent();
        let expected = Counted {
            ok: devices - silent,
            failed: silent,
            channels: (devices - silent) * u64::from(self.arguments.channels),
        };
        if !matches!(contender, Contender::Pytvt(_)) && run.outcome.counted != expected {
            bail!(
                "{} found {:?} instead of {expected:?}",
                contender.name(),
                run.outcome.counted
            );
        }
        Ok(())
    }

    /// The delays that no client can avoid, in seconds, spread evenly.
    fn ideal(&self, totals: Totals, concurrency: u32) -> f64 {
        let (answering, silent) = self.delays(totals);
        let all = answering * real(totals.logins_tried) + silent * real(self.silent());
        all / f64::from(concurrency.max(1))
    }

    /// How long the scan takes, in seconds, if each device takes exactly its own time, in the order of
    /// the inventory, and the next one begins the moment one ends.
    fn schedule(&self, totals: Totals, concurrency: u32, alone: f64) -> f64 {
        let (answering, silent) = self.delays(totals);
        let micros = |seconds| Duration::from_secs_f64(seconds).as_micros();
        let (answering, silent) = (micros(answering * alone), micros(silent));
        let mut ends: BinaryHeap<Reverse<u128>> = BinaryHeap::new();
        let mut last = 0;
        for at in 0..self.arguments.devices {
            let begin = match ends.len() < usize::try_from(concurrency).unwrap_or(usize::MAX) {
                true => 0,
                false => ends.pop().map_or(0, |Reverse(end)| end),
            };
            let end = begin
                + if self.situation.is_silent(at) {
                    silent
                } else {
                    answering
                };
            last = last.max(end);
            ends.push(Reverse(end));
        }
        Duration::from_micros(u64::try_from(last).unwrap_or(u64::MAX)).as_secs_f64()
    }

    /// The delays of one device that answers, and of one that does not, in seconds.
    fn delays(&self, totals: Totals) -> (f64, f64) {
        // Whoever is greeted logs in, once.
        let greeted = totals.logins_tried;
        let packets = greeted * (2 + self.situation.unasked()) + totals.tunnel_requests;
        let latency = Duration::from_millis(self.arguments.latency).as_secs_f64();
        let answering = latency * real(packets) / real(greeted.max(1));
        let tries = real(totals.connections.saturating_sub(greeted));
        (
            answering,
            limits::INIT.as_secs_f64() * tries / real(self.silent().max(1)),
        )
    }

    fn silent(&self) -> u64 {
        let silent = (0..self.arguments.devices).filter(|at| self.situation.is_silent(*at));
        u64::try_from(silent.count()).unwrap_or(u64::MAX)
    }

    fn row(
        &self,
        contender: &Contender,
        concurrency: u32,
        run: &Run,
        alone: f64,
        pytvt: Option<f64>,
    ) -> Row {
        let Outcome { cost, counted } = run.outcome;
        let wall = cost.wall();
        let ours = !matches!(contender, Contender::Pytvt(_));
        let mut row = Row::default()
            .text("situation", self.situation.name())
            .count("at_a_time", u64::from(concurrency))
            .text("program", contender.name())
            .number("wall_s", wall, 2);
        if ours {
            let ideal = self.ideal(run.totals, concurrency);
            row = row.number("x_ideal", wall / ideal, 2);
            let schedule = self.schedule(run.totals, concurrency, alone);
            row = row.number("x_schedule", wall / schedule, 2);
            if let Some(pytvt) = pytvt {
                row = row.number("x_pytvt", pytvt / wall, 1);
            }
        }
        row.number("devices_per_s", real(counted.ok + counted.failed) / wall, 0)
            .number("cpu_s", cost.cpu(), 2)
            .mebibytes("peak_rss_mib", cost.peak_rss)
            .count("ok", counted.ok)
            .count("channels", counted.channels)
            .number("simulator_cpu_s", run.simulator_cpu.as_secs_f64(), 2)
    }
}

struct Run {
    outcome: Outcome,
    totals: Totals,
    simulator_cpu: Duration,
}
