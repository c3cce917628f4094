//! `tvtctl status`.

use serde::Serialize;
use tvtfleet_proto::error::ExitStatus;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};
use crate::server::Server;

/// Arguments of `tvtctl status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl status --server nats://nats.example:4222")]
pub(crate) struct Args {
    /// How to write it: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Default, Serialize)]
struct StatusRow {
    server: String,
    coordinator_version: String,
    coordinator_started_at: String,
    applied: u64,
    quarantined: u64,
    sites: usize,
    sites_online: usize,
}

impl Row for StatusRow {
    const NOUN: &'static str = "status";
    const HEADS: &'static [&'static str] = &[
        "SERVER",
        "COORDINATOR",
        "STARTED",
        "SITES ONLINE",
        "APPLIED",
        "QUARANTINED",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.clone(),
            self.coordinator_version.clone(),
            self.coordinator_started_at.clone(),
            format!("{}/{}", self.sites_online, self.sites),
            self.applied.to_string(),
            self.quarantined.to_string(),
        ]
    }
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let info = server.info().await?;
        let agents = server.list_agents().await?;
        let row = StatusRow {
            server: server.name().to_owned(),
            coordinator_version: info.version,
            coordinator_started_at: info.started_at.to_string(),
            applied: info.applied,
            quarantined: info.quarantined,
            sites: agents.len(),
            sites_online: agents.iter().filter(|agent| agent.online).count(),
        };
        output::list(io, self.format, &[row])?;
        Ok(ExitStatus::Success)
    }
}
