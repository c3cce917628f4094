//! `tvtctl jobs results`.

use tvtfleet_proto::model::ask::Ask;

use crate::answers::{self, Asked};
use crate::commands::discover::{self, Save};
use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::report::ReportArgs;
use crate::server::Server;
use crate::watch;

use super::JobReference;

/// Arguments of `tvtctl jobs results`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Devices that have not been reported are among the results, with the reason. Of a discovery, the
devices that it found are shown, and -o writes them: .json an inventory to scan, .csv a list, .xlsx
a workbook.

Example:
  tvtctl jobs results last -o results.json --xlsx workbooks")]
pub(crate) struct Args {
    /// Id of the job, or "last"
    #[arg(value_name = "JOB")]
    job: JobReference,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let plan = self.report.prepare(io)?;
        let server = Server::connect(&self.server, io).await?;
        let status = self.job.show(&server).await?;
        if status.job.spec.work.ask == Ask::Discover {
            self.report.check_for_discovery()?;
            return discover::show(&server, &status, &Save::Plan(&plan), true, io).await;
        }
        let rows = server.results(status.job.id).await?;
        let ask = status.job.spec.work.ask;
        if !matches!(ask, Ask::Scan | Ask::Probe) {
            let asked: Vec<Asked> = rows.into_iter().map(Asked::from).collect();
            let written = answers::write(ask, &asked, plan.list_format(), io)?;
            watch::tell_offline(&status.job, io);
            watch::tell_troubled(&status.job, io);
            return Ok(written);
        }
        let changes = if plan.takes_changes(&rows) {
            Some(server.changes_of(&status.job).await?)
        } else {
            None
        };
        let written = plan.write(&rows, changes.as_deref(), io)?;
        watch::tell_offline(&status.job, io);
        watch::tell_troubled(&status.job, io);
        Ok(written)
    }
}
