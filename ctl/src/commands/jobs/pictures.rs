//! `tvtctl jobs pictures`.

use tvtfleet_proto::model::ask::Ask;

use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::pictures::{GatherArgs, gather};
use crate::server::Server;
use crate::watch;

use super::JobReference;

/// Arguments of `tvtctl jobs pictures`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without -o the pictures are only listed.

Examples:
  tvtctl jobs pictures last -o pictures --sheet pictures.html
  tvtctl jobs pictures last --format csv")]
pub(crate) struct Args {
    /// Id of the job, or "last"
    #[arg(value_name = "JOB")]
    job: JobReference,
    #[command(flatten)]
    gather: GatherArgs,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        self.gather.prepare(io)?;
        let server = Server::connect(&self.server, io).await?;
        let status = self.job.show(&server).await?;
        if status.job.spec.work.ask != Ask::Snapshot {
            let message = format!("job {} took no pictures", status.job.id);
            return Err(CliError::usage(message)
                .hint("tvtctl jobs results shows what it found")
                .into());
        }
        let rows = server.results(status.job.id).await?;
        let gathered = gather(&server, status.job.id, &rows, &self.gather, self.quiet, io).await;
        watch::tell_offline(&status.job, io);
        watch::tell_troubled(&status.job, io);
        gathered
    }
}
