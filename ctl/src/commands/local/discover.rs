//! `tvtctl local discover`: the command that pytvt users know as `pytvt-discover`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde_json::json;
use tokio::sync::mpsc;
use tvt_agent::discover::{self, DiscoverContext, DiscoverError, DiscoverEvent};
use tvt_agent::policy::Policy;
use tvt_coordinator::render::discovery::{self as render, PortRule};
use tvt_coordinator::render::xlsx;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::discovery::{
    DiscoverOptions, DiscoverReport, DiscoveredDevice, Method, Politeness, Profile, SweepCursor,
};

use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;

/// Events that wait to be shown; more are left out.
const EVENTS_MAX: usize = 1024;

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
    /// Network to sweep, as 192.168.1.0/24; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = network)]
    subnet: Vec<Ipv4Net>,
    /// Network or address that nothing is sent to; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = network)]
    exclude: Vec<Ipv4Net>,
    /// Ways to use: neighbours, announcements, mhed, ssdp, onvif, sweep, tcp
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',')]
    methods: Vec<Method>,
    /// Probes per second
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// How fast to be: polite (100/s), standard (200/s), routed (2,000/s), lab (10,000/s)
    #[arg(long, value_name = "PROFILE", default_value = "standard")]
    profile: Profile,
    /// Interface to use; may be given several times
    #[arg(long, value_name = "NAME")]
    interface: Vec<String>,
    /// Local address to send from
    #[arg(long, value_name = "IP")]
    bind: Option<Ipv4Addr>,
    /// Seconds to listen after the last probe [default: 3.2]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// How often a silent address is asked
    #[arg(short, long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=3))]
    retries: u8,
    /// TCP connections open at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Leave hosts that answer no search alone
    #[arg(long)]
    no_tcp_fallback: bool,
    /// TCP port to expect a greeting on [default: 6036 and 9008]; may be given several times
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    tcp_port: Vec<u16>,
    /// Sweep more than a /12, or networks that are not private
    #[arg(short, long)]
    yes: bool,
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
        let report = self.discover(io).await.map_err(refused)?;
        for note in &report.notes {
            io.note(&format!("note: {note}"));
        }
        if !self.quiet {
            for line in render::politeness_lines(&report.politeness) {
                io.note(&line);
            }
        }
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

    fn options(&self) -> DiscoverOptions {
        let defaults = DiscoverOptions::default();
        let mut methods: BTreeSet<Method> = if self.methods.is_empty() {
            defaults.methods.clone()
        } else {
            self.methods.iter().copied().collect()
        };
        if self.no_tcp_fallback {
            methods.remove(&Method::Tcp);
        }
        DiscoverOptions {
            subnets: self.subnet.clone(),
            excludes: self.exclude.clone(),
            methods,
            profile: self.profile,
            rate: self.rate,
            tcp_ports: if self.tcp_port.is_empty() {
                defaults.tcp_ports
            } else {
                self.tcp_port.clone()
            },
            parallel: self.concurrency,
            interfaces: self.interface.clone(),
            bind: self.bind,
            wait: self.timeout.unwrap_or(defaults.wait),
            rounds: self.retries,
            known: Vec::new(),
            huge: self.yes,
            resume: self.resume,
        }
    }

    async fn discover(&self, io: &Io) -> Result<DiscoverReport, DiscoverError> {
        let context = DiscoverContext {
            policy: Policy::default(),
            // The person at this computer is the one who decides.
            rate_max: u32::MAX,
            clock: Arc::clone(&io.clock),
        };
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let cancel = io.interrupt.child_token();
        let work = discover::run(self.options(), context, sender, cancel);
        let mut live = Live {
            io,
            quiet: self.quiet,
            status: false,
        };
        let show = async {
            while let Some(event) = events.recv().await {
                live.show(event);
            }
            live.clear();
        };
        let (report, ()) = tokio::join!(work, show);
        report
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

/// What is shown while it runs: devices as they appear, and on a terminal how far it is.
struct Live<'a> {
    io: &'a Io,
    quiet: bool,
    status: bool,
}

impl Live<'_> {
    fn show(&mut self, event: DiscoverEvent) {
        if self.quiet {
            return;
        }
        match event {
            DiscoverEvent::Sweeping { addresses, rate } => {
                self.line(&format!("Sweeping {addresses} addresses at {rate} probes per second..."));
            }
            DiscoverEvent::Found(device) => self.line(&render::found_line(&device)),
            DiscoverEvent::Progress { done, total, found } if self.io.stderr_is_terminal => {
                let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
                let text = format!("\r\u{1b}[2K  {percent}% of {total} probes, {found} found");
                self.io.stderr.text(&text);
                self.status = true;
            }
            DiscoverEvent::Progress { .. }
            | DiscoverEvent::Updated(_)
            // Notes are printed at the end.
            | DiscoverEvent::Note(_) => {}
        }
    }

    fn line(&mut self, text: &str) {
        self.clear();
        self.io.note(text);
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.status) {
            self.io.stderr.text("\r\u{1b}[2K");
        }
    }
}

fn refused(error: DiscoverError) -> CliError {
    CliError::new(error.code, error.text).hint(error.hint)
}

/// A network in CIDR form, or one address.
fn network(text: &str) -> Result<Ipv4Net, String> {
    if text.contains(':') {
        return Err("IPv6 networks are not swept".to_owned());
    }
    let one = text.parse::<Ipv4Addr>().map(Ipv4Net::from);
    one.or_else(|_| text.parse())
        .map_err(|_| "not a network like 192.168.1.0/24".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|span| *span <= Duration::from_secs(600))
        .ok_or_else(|| "from 0 to 600 seconds".to_owned())
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
