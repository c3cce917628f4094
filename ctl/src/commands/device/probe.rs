//! `tvtctl device probe`: the greetings of devices. Nothing is sent and no password is needed.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tvt_agent::credentials::NoCredentials;
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvt_agent::{ProtocolSettings, RetrySettings};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::BackendChoice;
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::job::{DEFAULT_PARALLEL, WorkOptions};
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::config;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::id;
use crate::io::Io;
use crate::output::{self, Format, Row};
use crate::progress::Progress;

use super::address::{Address, address};

/// Events that wait to be shown; the work waits when there are more.
const EVENTS_MAX: usize = 256;
/// The time allowed for one device where nobody says otherwise. Devices greet within milliseconds.
const TIMEOUT: &str = "10s";

/// Arguments of `tvtctl device probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
TVT is yes where the hardware address belongs to the maker; OEM devices may have others.
The exit code is 1 where some devices did not answer as a TVT device does.

Examples:
  tvtctl device probe 10.0.0.9 10.0.0.10:9008
  tvtctl device probe --port 9008 --format csv camera-1 camera-2")]
pub(crate) struct Args {
    /// Address or name of a device, with its port where that is another
    #[arg(value_name = "HOST[:PORT]", required = true, value_parser = address)]
    devices: Vec<Address>,
    /// TCP port where an address names none
    #[arg(long, value_name = "PORT", value_parser = config::port, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Time allowed for one device in all
    #[arg(long, value_name = "TIME", value_parser = config::duration, default_value = TIMEOUT)]
    timeout: Duration,
    /// Devices asked at a time
    #[arg(short, long, value_name = "N", value_parser = config::parallel, default_value_t = DEFAULT_PARALLEL)]
    concurrency: u32,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How to write the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let endpoints: Vec<Endpoint> = self
            .devices
            .iter()
            .map(|device| device.endpoint(self.port))
            .collect();
        let total = u64::try_from(endpoints.len()).unwrap_or(u64::MAX);
        let progress = Progress::new(io, self.quiet, total);
        let rows = self.probe(&endpoints, &progress, io).await;
        progress.finish();
        output::list(io, self.format, &rows)?;
        if io.interrupt.is_cancelled() {
            let error = CliError::new(
                ErrorCode::Interrupted,
                "interrupted; some devices were not asked",
            );
            return Err(error.into());
        }
        let all_answered = rows.iter().all(|row| row.success);
        Ok(if all_answered {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        })
    }

    /// Asks all devices; the rows are in the order of `endpoints`, one for each.
    async fn probe(&self, endpoints: &[Endpoint], progress: &Progress, io: &Io) -> Vec<ProbeRow> {
        let mut rows: Vec<ProbeRow> = endpoints.iter().map(ProbeRow::unasked).collect();
        let job = JobId::new(id::fresh(&*io.clock));
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let cancel = io.interrupt.child_token();
        let work = run_work(
            job,
            self.work(endpoints),
            site(self.concurrency, io),
            cancel,
            sender,
        );
        let collect = async {
            let (mut done, mut failed) = (0_u64, 0_u64);
            while let Some(event) = events.recv().await {
                let WorkEvent::Finished(report) = event else {
                    continue;
                };
                let place = usize::try_from(report.target.0).unwrap_or(usize::MAX);
                let Some(row) = rows.get_mut(place) else {
                    continue;
                };
                row.fill(&report);
                done = done.saturating_add(1);
                failed = failed.saturating_add(u64::from(!row.success));
                progress.advance(done, failed);
            }
        };
        tokio::join!(work, collect);
        rows
    }

    fn work(&self, endpoints: &[Endpoint]) -> SiteWork {
        let target = |(number, endpoint): (u32, &Endpoint)| Target {
            number: TargetNo(number),
            endpoint: endpoint.clone(),
            known_mac: None,
            trusted: false,
            credential: None,
            settings: Default::default(),
        };
        SiteWork {
            options: WorkOptions {
                ask: Ask::Probe,
                backend: BackendChoice::Auto,
                credential: None,
                parallel: self.concurrency,
                device_deadline: self.timeout,
                scope: Default::default(),
                discover: None,
                order: None,
            },
            targets: (0..).zip(endpoints).map(target).collect(),
        }
    }
}

/// A site that holds no password and asks each device once: who probes wants to know how it is now.
fn site(concurrency: u32, io: &Io) -> Arc<SiteContext> {
    let clock = Arc::clone(&io.clock);
    let protocol = ProtocolSettings::default();
    let once = RetrySettings {
        retries: 0,
        ..RetrySettings::default()
    };
    let site = SiteContext::new(Box::new(NoCredentials), Policy::default(), protocol, clock)
        .with_retry(once)
        .with_parallel(usize::try_from(concurrency).unwrap_or(usize::MAX));
    Arc::new(site)
}

/// A device in the list.
#[derive(Debug, Default, Serialize)]
struct ProbeRow {
    address: String,
    success: bool,
    family: Option<&'static str>,
    mac: Option<String>,
    mac_is_tvt: Option<bool>,
    firmware: Option<String>,
    protocol_version: Option<u32>,
    device_type: Option<u32>,
    error_code: Option<&'static str>,
    error: Option<String>,
}

impl ProbeRow {
    /// The row of a device before its turn, and for ever where that never comes.
    fn unasked(endpoint: &Endpoint) -> Self {
        Self {
            address: endpoint.to_string(),
            error_code: Some(ErrorCode::DeviceCancelled.as_str()),
            error: Some("it was not asked".to_owned()),
            ..Self::default()
        }
    }

    fn fill(&mut self, report: &DeviceReport) {
        let facts = &report.facts;
        self.success = report.is_success();
        self.family = facts.family.map(|family| family.as_str());
        self.mac = facts.mac.map(|mac| mac.to_string());
        self.mac_is_tvt = facts.mac.map(|mac| mac.is_tvt());
        self.firmware = Some(facts.firmware.clone()).filter(|text| !text.is_empty());
        self.protocol_version = facts.protocol_version;
        self.device_type = facts.device_type;
        self.error_code = report.headline_code().map(ErrorCode::as_str);
        self.error = report.failure.as_ref().map(|failure| failure.text.clone());
    }
}

impl Row for ProbeRow {
    const NOUN: &'static str = "devices";
    const HEADS: &'static [&'static str] = &[
        "ADDRESS", "FAMILY", "MAC", "TVT", "FIRMWARE", "PROTOCOL", "TYPE", "ERROR",
    ];

    fn cells(&self) -> Vec<String> {
        let number =
            |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let tvt = match self.mac_is_tvt {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        vec![
            self.address.clone(),
            self.family.unwrap_or_default().to_owned(),
            self.mac.clone().unwrap_or_default(),
            tvt.to_owned(),
            self.firmware.clone().unwrap_or_default(),
            number(self.protocol_version),
            number(self.device_type),
            self.error_code.unwrap_or_default().to_owned(),
        ]
    }
}
