//! `tvtctl doctor`.

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
Looks at the server, the streams, the lag, the database, disks, certificates, the coordinator's
credentials, replicas and agents, and says what to do. The exit code is 1 where anything fails;
warnings alone leave it at 0.

Examples:
  tvtctl doctor
  tvtctl doctor --trouble --format json")]
pub(crate) struct Args {
    /// Only what is not as it should be
    #[arg(long)]
    trouble: bool,
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
        let checkup = server.checkup().await?;
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
