//! `tvtctl doctor`.

mod monitor;

use serde::Serialize;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::checkup::{Finding, Level};

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};
use crate::server::Server;

/// Arguments of `tvtctl doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Looks at the server, the streams, the lag, the database, disks, certificates (those that the servers
show, too), the coordinator's credentials, replicas and agents, and says what to do. With --monitor it
also asks servers for what only they know: how often they sync to the disk, how full they are, and how
near their limits. The exit code is 1 where anything fails; warnings alone leave it at 0.

Examples:
  tvtctl doctor
  tvtctl doctor --monitor http://nats1:8222 --monitor http://nats2:8222
  tvtctl doctor --trouble --format json")]
pub(crate) struct Args {
    /// Only what is not as it should be
    #[arg(long)]
    trouble: bool,
    /// The HTTP monitoring address of a server; may be given for each
    #[arg(long, value_name = "URL")]
    monitor: Vec<String>,
    /// How to write the findings: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let mut checkup = server.checkup().await?;
        if !self.monitor.is_empty() {
            // What the coordinator could not see.
            checkup.findings.retain(|finding| {
                (finding.area.as_str(), finding.subject.as_str()) != ("server", "sync_interval")
            });
            for url in &self.monitor {
                checkup.findings.extend(monitor::look(url).await);
            }
        }
        let worst = checkup.findings.iter().map(|finding| finding.level).max();
        let rows: Vec<FindingRow> = checkup
            .findings
            .into_iter()
            .filter(|finding| !self.trouble || finding.level > Level::Ok)
            .map(FindingRow::from)
            .collect();
        output::list(io, self.format, &rows)?;
        Ok(match worst {
            Some(Level::Fail) => ExitStatus::SomeFailed,
            Some(Level::Ok | Level::Warn) | None => ExitStatus::Success,
        })
    }
}

#[derive(Default, Serialize)]
struct FindingRow {
    level: &'static str,
    area: String,
    subject: String,
    finding: String,
    advice: String,
}

impl From<Finding> for FindingRow {
    fn from(finding: Finding) -> Self {
        Self {
            level: finding.level.as_str(),
            area: finding.area,
            subject: finding.subject,
            finding: finding.text,
            advice: finding.advice,
        }
    }
}

impl Row for FindingRow {
    const NOUN: &'static str = "findings";
    const HEADS: &'static [&'static str] = &["STATE", "AREA", "WHICH", "FINDING", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.level.to_owned(),
            self.area.clone(),
            self.subject.clone(),
            self.finding.clone(),
            self.advice.clone(),
        ]
    }
}
