//! `tvtctl local discover`: the command that pytvt users know as `pytvt-discover`.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;
use tvt_coordinator::render::discovery::{self as render, Find};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::discovery::{
    DiscoverOptions, DiscoverReport, DiscoveredDevice, Politeness, SweepCursor,
};

use crate::discovery::{FoundRow, LookArgs, SaveArgs};
use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;
use crate::output::{self, Format};
use crate::report::ReportPlan;

use super::run;

/// What inventories call the site of devices that were found.
pub(super) const DISCOVERED: &str = "Discovered";

/// Arguments of `tvtctl local discover`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --subnet, multicast goes out on every interface, and networks of this computer up to a /22
are swept. With --subnet, only those networks are. No credential is ever sent.

Examples:
  tvtctl local discover
  tvtctl local discover --subnet 10.20.0.0/24 --subnet 10.20.1.0/24 --exclude 10.20.0.1
  tvtctl local discover --subnet 10.20.0.0/16 --profile routed --scanner-json found.json
  tvtctl local discover --methods neighbours,announcements --json")]
pub(crate) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// Go on with an interrupted sweep, from the cursor that it printed
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    resume: Option<SweepCursor>,
    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Site of the devices in the inventory
    #[arg(long, value_name = "NAME", default_value = DISCOVERED)]
    site: String,
    #[command(flatten)]
    save: SaveArgs,
    /// Write what was sent, at which pace, as JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        self.save.check(io)?;
        if let Some(path) = &self.record {
            files::check_writable(&io.resolve(path))?;
        }
        let options = self.options()?;
        let report = run::discover(options, self.quiet, io).await?;
        tell(&report, self.quiet, io);
        self.write(&report, io)?;
        if !io.interrupt.is_cancelled() {
            return Ok(ExitStatus::Success);
        }
        let error = CliError::new(
            ErrorCode::Interrupted,
            "interrupted; devices found until then are reported",
        );
        Err(match report.cursor {
            Some(cursor) => error
                .hint(format!(
                    "--resume {}:{} goes on",
                    cursor.seed, cursor.position
                ))
                .into(),
            None => error.into(),
        })
    }

    fn options(&self) -> Result<DiscoverOptions, CliError> {
        Ok(DiscoverOptions {
            resume: self.resume,
            ..self.look.options()?
        })
    }

    fn write(&self, report: &DiscoverReport, io: &mut Io) -> Result<(), Stop> {
        let devices = &report.devices;
        let mut out = Vec::new();
        let written = if self.json {
            render::write_records(devices, &mut out).and_then(|()| out.write_all(b"\n"))
        } else {
            render::write_table(devices, &mut out)
        };
        written.map_err(|error| Stop::from_stdout(&error))?;
        io.write_out(&out)?;
        self.save.write(&finds(devices, &self.site), io)?;
        if let Some(path) = &self.record {
            let record = record(&report.politeness, &report.notes);
            files::write(&io.resolve(path), |out| {
                serde_json::to_writer_pretty(&mut *out, &record)?;
                out.write_all(b"\n")
            })?;
        }
        Ok(())
    }
}

fn finds<'a>(devices: &'a [DiscoveredDevice], site: &'a str) -> Vec<Find<'a>> {
    let find = |device| Find { site, device };
    devices.iter().map(find).collect()
}

/// Tells how a discovery went.
pub(super) fn tell(report: &DiscoverReport, quiet: bool, io: &Io) {
    for note in &report.notes {
        io.note(&format!("note: {note}"));
    }
    if !quiet {
        for line in render::politeness_lines(&report.politeness) {
            io.note(&line);
        }
    }
}

/// Shows and saves what a scan that only discovers found.
pub(super) fn show(
    report: &DiscoverReport,
    site: &str,
    plan: &ReportPlan,
    quiet: bool,
    io: &mut Io,
) -> Outcome {
    tell(report, quiet, io);
    let site = if site.is_empty() { DISCOVERED } else { site };
    let rows = FoundRow::local(&report.devices);
    match plan.list_format() {
        Format::Table => {
            let mut out = Vec::new();
            render::write_table(&report.devices, &mut out)
                .map_err(|error| Stop::from_stdout(&error))?;
            io.write_out(&out)?;
        }
        format @ (Format::Json | Format::Csv) => output::list(io, format, &rows)?,
    }
    plan.save_found(&finds(&report.devices, site), &rows, io)?;
    Ok(ExitStatus::Success)
}

/// The politeness record as a document.
fn record(politeness: &Politeness, notes: &[String]) -> serde_json::Value {
    let changes: Vec<serde_json::Value> = politeness
        .changes
        .iter()
        .map(|change| {
            json!({
                "after_ms": u64::try_from(change.after.as_millis()).unwrap_or(u64::MAX),
                "rate": change.rate,
                "reason": change.reason,
            })
        })
        .collect();
    json!({
        "schema": 1,
        "addresses": politeness.addresses,
        "duration_ms": u64::try_from(politeness.duration.as_millis()).unwrap_or(u64::MAX),
        "rate": politeness.rate,
        "peak_rate": politeness.peak_rate,
        "multicast": politeness.multicast,
        "unicast": politeness.unicast,
        "retries": politeness.retries,
        "echoes": politeness.echoes,
        "connects": politeness.connects,
        "overruns": politeness.overruns,
        "send_errors": politeness.send_errors,
        "dropped_answers": politeness.dropped,
        "rate_changes": changes,
        "notes": notes,
    })
}

fn cursor(text: &str) -> Result<SweepCursor, String> {
    let parts = text.split_once(':').and_then(|(seed, position)| {
        Some(SweepCursor {
            seed: seed.parse().ok()?,
            position: position.parse().ok()?,
        })
    });
    parts.ok_or_else(|| "not a cursor like 12345:678".to_owned())
}
