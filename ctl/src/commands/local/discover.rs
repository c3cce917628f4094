//! `tvtctl local discover`: the command that pytvt users know as `pytvt-discover`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tvt_coordinator::render::discovery::{self as render, PortRule};
use tvt_coordinator::render::xlsx;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::discovery::{
    DiscoverOptions, DiscoverReport, DiscoveredDevice, Politeness, SweepCursor,
};

use crate::discovery::LookArgs;
use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;

use super::run;

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
    /// Write the devices as an inventory to scan
    #[arg(long, value_name = "FILE")]
    scanner_json: Option<PathBuf>,
    /// Site of the devices in the inventory
    #[arg(long, value_name = "NAME", default_value = "Discovered")]
    site: String,
    /// Port of every device in the inventory, instead of the one that answered
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    scan_port: Option<u16>,
    /// Write a workbook; one that is there keeps its other tabs
    #[arg(long, value_name = "FILE")]
    xlsx: Option<PathBuf>,
    /// Write what was sent, at which pace, as JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        for path in [&self.scanner_json, &self.xlsx, &self.record]
            .into_iter()
            .flatten()
        {
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
        if let Some(path) = &self.scanner_json {
            let rule = self.scan_port.map_or(PortRule::Answered, PortRule::Fixed);
            files::write(&io.resolve(path), |out| {
                render::write_inventory(devices, &self.site, rule, out)
            })?;
            saved(io, "Scanner JSON", devices, path);
        }
        if let Some(path) = &self.xlsx {
            xlsx::write_discovered(devices, &io.resolve(path)).map_err(|message| {
                CliError::new(
                    ErrorCode::OutputUnwritable,
                    format!("cannot write {}", path.display()),
                )
                .cause(message)
            })?;
            saved(io, "Discovery results", devices, path);
        }
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

fn saved(io: &Io, what: &str, devices: &[DiscoveredDevice], path: &Path) {
    io.note(&format!(
        "{what} ({} devices) saved to: {}",
        devices.len(),
        path.display()
    ));
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

/// Shows what a discovery found as a table.
pub(super) fn show(report: &DiscoverReport, quiet: bool, io: &mut Io) -> Outcome {
    tell(report, quiet, io);
    let mut out = Vec::new();
    render::write_table(&report.devices, &mut out).map_err(|error| Stop::from_stdout(&error))?;
    io.write_out(&out)?;
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
