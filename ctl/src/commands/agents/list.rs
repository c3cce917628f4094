//! `tvtctl agents list`.

use serde::Serialize;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::agent::AgentView;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};
use crate::server::Server;

/// Arguments of `tvtctl agents list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl agents list --offline")]
pub(crate) struct Args {
    /// Only agents that are not connected
    #[arg(long)]
    offline: bool,
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let agents = server.list_agents().await?;
        let wanted = agents.iter().filter(|agent| !self.offline || !agent.online);
        let rows: Vec<AgentRow> = wanted.map(AgentRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}

#[derive(Default, Serialize)]
struct AgentRow {
    site: String,
    online: bool,
    last_seen: Option<String>,
    version: String,
    hostname: String,
    platform: String,
    /// The backends that can be used.
    backends: Vec<String>,
    /// Batches made at the site that the coordinator has not applied yet.
    backlog: u64,
    spool_bytes: u64,
    clock_skew_ms: i64,
    want_taken: u64,
    want_newest: u64,
}

impl From<&AgentView> for AgentRow {
    fn from(agent: &AgentView) -> Self {
        Self {
            site: agent.site.to_string(),
            online: agent.online,
            last_seen: agent.last_seen.map(|moment| moment.to_string()),
            version: agent.facts.version.clone(),
            hostname: agent.facts.hostname.clone(),
            platform: agent.facts.platform.clone(),
            backends: agent
                .facts
                .backends
                .iter()
                .filter(|state| state.usable)
                .map(|state| state.backend.clone())
                .collect(),
            backlog: agent.next.0.saturating_sub(agent.committed.next().0),
            spool_bytes: agent.spool_bytes,
            clock_skew_ms: agent.clock_skew_ms,
            want_taken: agent.want_taken.0,
            want_newest: agent.want_newest.0,
        }
    }
}

impl Row for AgentRow {
    const NOUN: &'static str = "agents";
    const HEADS: &'static [&'static str] = &[
        "SITE",
        "ONLINE",
        "LAST SEEN",
        "VERSION",
        "HOST",
        "BACKLOG",
        "SPOOL",
        "CLOCK",
        "WORK",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            if self.online { "yes" } else { "no" }.to_owned(),
            self.last_seen.clone().unwrap_or_else(|| "never".to_owned()),
            self.version.clone(),
            self.hostname.clone(),
            self.backlog.to_string(),
            format!("{} B", self.spool_bytes),
            format!("{:+} ms", self.clock_skew_ms),
            if self.want_taken == self.want_newest {
                "taken"
            } else {
                "pending"
            }
            .to_owned(),
        ]
    }
}
