//! The agent's own work on an inventory, in a process of its own.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::policy::Policy;
use tvt_agent::{ProtocolSettings, RetrySettings, WebPort, WebSettings};

use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::model::address::{Endpoint, Host};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::{SiteWork, Target};
use uuid::Uuid;

use crate::simulator::{PASSWORD, USER};

/// Events that wait to be counted.
const EVENTS_MAX: usize = 64;

/// Ask the recorders of an inventory, as the agent does
#[derive(Debug, Args)]
pub struct WorkArguments {
    /// Inventory of simulated recorders
    #[arg(long)]
    inventory: PathBuf,
    /// Devices asked at a time
    #[arg(long)]
    concurrency: u32,
    /// Tries after the first that failed
    #[arg(long)]
    retries: u32,
    /// What to ask
    #[arg(long, default_value = "scan")]
    ask: Ask,
    /// Port of the web interfaces [default: the usual ones]
    #[arg(long)]
    web_port: Option<u16>,
    /// Only so many devices, from the first on
    #[arg(long)]
    first: Option<usize>,
}

/// What the work came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Devices asked with success.
    pub ok: u64,
    /// Devices that failed.
    pub failed: u64,
    /// Channels reported.
    pub channels: u64,
}

#[derive(Deserialize)]
struct Entry {
    ip: String,
    port: u16,
}

impl WorkArguments {
    /// Does the work and counts what came of it.
    ///
    /// # Errors
    ///
    /// The inventory cannot be read.
    pub fn run(&self) -> Result<Counted> {
        let text = std::fs::read(&self.inventory).context("cannot read the inventory")?;
        let entries: Vec<Entry> = serde_json::from_slice(&text).context("not an inventory")?;
        let targets = (0..)
            .zip(entries.iter().take(self.first.unwrap_or(usize::MAX)))
            .map(target)
            .collect::<Result<Vec<_>>>()?;
        let work = SiteWork {
            options: WorkOptions {
                ask: self.ask,
                backend: if self.ask == Ask::Scan {
                    // What the ideal counts: the binary protocol's packets.
                    BackendChoice::Only(Backend::Protocol)
                } else {
                    BackendChoice::Auto
                },
                parallel: self.concurrency,
                ..WorkOptions::default()
            },
            targets,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        Ok(runtime.block_on(self.count(work)))
    }

    fn web(&self) -> WebSettings {
        let ports = self.web_port.map(|port| WebPort { port, tls: false });
        match ports {
            Some(port) => WebSettings {
                ports: vec![port],
                ..WebSettings::default()
            },
            None => WebSettings::default(),
        }
    }

    async fn count(&self, work: SiteWork) -> Counted {
        let credential = Credential {
            username: USER.to_owned(),
            password: Secret::new(PASSWORD),
        };
        let site = SiteContext::new(
            Box::new(FixedCredential(credential)),
            Policy::default(),
            ProtocolSettings::default(),
            Arc::new(SystemClock),
        )
        .with_retry(RetrySettings {
            retries: self.retries,
            ..RetrySettings::default()
        })
        .with_web(self.web(), Arc::default());
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let work = run_work(
            JobId::new(Uuid::from_u128(1)),
            work,
            Arc::new(site),
            CancellationToken::new(),
            sender,
        );
        let count = async {
            let mut counted = Counted::default();
            while let Some(event) = events.recv().await {
                if let WorkEvent::Finished(report) = event {
                    let success = report.is_success();
                    counted.ok += u64::from(success);
                    counted.failed += u64::from(!success);
                    let channels = report.channels.len();
                    counted.channels += u64::try_from(channels).unwrap_or(0);
                }
            }
            counted
        };
        let (_, counted) = tokio::join!(work, count);
        counted
    }
}

fn target((number, entry): (u32, &Entry)) -> Result<Target> {
    Ok(Target {
        number: TargetNo(number),
        endpoint: Endpoint {
            host: entry.ip.parse::<Host>().context("not an address")?,
            port: entry.port,
        },
        known_mac: None,
        trusted: true,
        credential: None,
        settings: Default::default(),
    })
}
