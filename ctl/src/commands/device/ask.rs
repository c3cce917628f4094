//! `tvtctl device ASK`: one question to single devices, from this computer.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tvt_agent::credentials::CredentialSource;
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvt_agent::{ProtocolSettings, RetrySettings, WebPort, WebSettings};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::BackendChoice;
use tvtfleet_proto::model::id::{CredentialLabel, JobId, TargetNo};
use tvtfleet_proto::model::job::{REBOOT_DEADLINE, WorkOptions};
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::answers::{self, Asked};
use crate::commands::asking::ScopeArgs;
use crate::commands::ordering::OrderArgs;
use crate::config::{self, LocalArgs, LocalSettings, Origin};
use crate::error::CliError;
use crate::exit::Outcome;
use crate::id;
use crate::io::Io;
use crate::output::Format;
use crate::progress::Progress;

use super::address::{Address, address};

/// Events that wait to be shown; the work waits when there are more.
const EVENTS_MAX: usize = 256;

/// Arguments of `tvtctl device ASK`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Web interfaces are looked for on 443 over TLS, then 80 and 8080; --web-port names others. A refused
password is not tried on another interface.

Examples:
  tvtctl device clock 10.0.0.9 10.0.0.10 --password-file secret
  tvtctl device set-clock 10.0.0.9 --set time=now --set sync=manually --dry-run
  tvtctl device info 10.0.0.9 --web-port 8443/tls --format json
  tvtctl device recording-segments 10.0.0.9 --channel 2 --from '2026-11-01 00:00:00' --to '2026-11-01 23:59:59'")]
pub(crate) struct Args {
    /// Address or name of a device, with the port of its binary protocol where that is another
    #[arg(value_name = "HOST[:PORT]", required = true, value_parser = address)]
    devices: Vec<Address>,
    /// How to talk to the devices: auto, protocol, webapi, cgi, netsdk or sdk
    #[arg(short, long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendChoice,
    /// Port of the web interfaces, with /tls for TLS; may be repeated
    #[arg(long, value_name = "PORT[/tls]", value_parser = web_port)]
    web_port: Vec<WebPort>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    order: OrderArgs,
    /// With set-password: a file with the new password, readable by you only
    #[arg(long, value_name = "FILE", help_heading = "Changes")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    local: LocalArgs,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How to write the answers
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Args {
    pub(super) async fn run(self, ask: Ask, io: &mut Io) -> Outcome {
        let scope = self.scope.check(ask)?;
        let new = self.new_password_file.as_ref();
        let new = new.map(|file| config::read_password(&io.resolve(file)));
        let new = new.transpose()?;
        let label = new.as_ref().map(|_| new_label()).transpose()?;
        let order = self.order.order(ask, None, label)?;
        let mut settings = self.local.settle(io)?;
        if ask == Ask::Reboot && settings.timeout.origin == Origin::Default {
            settings.timeout.value = REBOOT_DEADLINE;
        }
        let endpoints: Vec<Endpoint> = self
            .devices
            .iter()
            .map(|device| device.endpoint(settings.port.value))
            .collect();
        let total = u64::try_from(endpoints.len()).unwrap_or(u64::MAX);
        let progress = Progress::new(io, self.quiet, total);
        let work = SiteWork {
            options: WorkOptions {
                ask,
                backend: self.backend,
                credential: None,
                parallel: settings.concurrency.value,
                device_deadline: settings.timeout.value,
                scope,
                discover: None,
                order: order.map(Box::new),
            },
            targets: (0..).zip(&endpoints).map(target).collect(),
        };
        let site = site(&settings, ask, new, self.web_port, io);
        let asked = asked(work, site, &endpoints, &progress, io).await;
        progress.finish();
        let written = answers::write(ask, &asked, self.format, io)?;
        if io.interrupt.is_cancelled() {
            let text = "interrupted; some devices were not asked";
            return Err(CliError::new(ErrorCode::Interrupted, text).into());
        }
        Ok(written)
    }
}

/// Asks all devices; the answers are in the order of `endpoints`, one for each.
async fn asked(
    work: SiteWork,
    site: Arc<SiteContext>,
    endpoints: &[Endpoint],
    progress: &Progress,
    io: &Io,
) -> Vec<Asked> {
    let mut all: Vec<Asked> = endpoints
        .iter()
        .map(|endpoint| Asked {
            site: String::new(),
            address: endpoint.to_string(),
            outcome: Err(ErrorCode::DeviceCancelled),
        })
        .collect();
    let job = JobId::new(id::fresh(&*io.clock));
    let (sender, mut events) = mpsc::channel(EVENTS_MAX);
    let run = run_work(job, work, site, io.interrupt.child_token(), sender);
    let collect = async {
        let (mut done, mut failed) = (0_u64, 0_u64);
        while let Some(event) = events.recv().await {
            let WorkEvent::Finished(report) = event else {
                continue;
            };
            let place = usize::try_from(report.target.0).unwrap_or(usize::MAX);
            done = done.saturating_add(1);
            failed = failed.saturating_add(u64::from(!report.is_success()));
            progress.advance(done, failed);
            if let Some(one) = all.get_mut(place) {
                one.outcome = Ok(report);
            }
        }
    };
    tokio::join!(run, collect);
    all
}

fn target((number, endpoint): (u32, &Endpoint)) -> Target {
    Target {
        number: TargetNo(number),
        endpoint: endpoint.clone(),
        known_mac: None,
        // Somebody typed its address.
        trusted: true,
        credential: None,
        settings: Default::default(),
    }
}

fn site(
    settings: &LocalSettings,
    ask: Ask,
    new: Option<Secret>,
    ports: Vec<WebPort>,
    io: &Io,
) -> Arc<SiteContext> {
    let protocol = ProtocolSettings {
        allow_empty_password: settings.allow_empty_password,
        ..ProtocolSettings::default()
    };
    let retry = RetrySettings {
        retries: settings.retries,
        ..RetrySettings::default()
    };
    let usual = WebSettings::default();
    let web = WebSettings {
        ports: if ports.is_empty() { usual.ports } else { ports },
        ..WebSettings::default()
    };
    let credentials = Box::new(Passwords {
        used: settings.credential.clone(),
        new,
    });
    let clock = Arc::clone(&io.clock);
    // Whoever sits at the command line and confirms is the site's owner.
    let mut policy = Policy::default();
    policy.asks.insert(ask);
    let site = SiteContext::new(credentials, policy, protocol, clock);
    let site = site.with_retry(retry).with_vendor(settings.vendor.clone());
    Arc::new(site.with_web(web, Arc::default()))
}

/// The password that devices have, and the one that they get.
struct Passwords {
    used: Credential,
    new: Option<Secret>,
}

impl CredentialSource for Passwords {
    fn find(&self, label: Option<&CredentialLabel>) -> Option<Credential> {
        match label {
            None => Some(self.used.clone()),
            Some(_) => Some(Credential {
                username: self.used.username.clone(),
                password: self.new.clone()?,
            }),
        }
    }
}

/// The label of the new password, which is in no vault.
fn new_label() -> Result<CredentialLabel, CliError> {
    let text = "new-password";
    text.parse()
        .map_err(|_| CliError::new(ErrorCode::Internal, "the label of the new password"))
}

fn web_port(text: &str) -> Result<WebPort, String> {
    let (number, tls) = match text.split_once('/') {
        Some((number, "tls")) => (number, true),
        Some(_) => return Err("write PORT or PORT/tls".to_owned()),
        None => (text, false),
    };
    let port = config::port(number)?;
    Ok(WebPort { port, tls })
}
