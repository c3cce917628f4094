//! `tvtctl jobs cancel`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::CancelJob;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::Format;
use crate::server::Server;

use super::{JobReference, view};

/// Arguments of `tvtctl jobs cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl jobs cancel last")]
pub(crate) struct Args {
    /// Id of the job, or "last"
    #[arg(value_name = "JOB")]
    job: JobReference,
    /// How to write the job as it stands then: table, json or csv (its sites)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let job = self.job.id(&server).await?;
        server.cancel_job(CancelJob { job }).await?;
        let status = JobReference::Id(job).show(&server).await?;
        view::write(io, self.format, &status)?;
        Ok(ExitStatus::Success)
    }
}
