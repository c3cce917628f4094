//! `tvtctl jobs show`.

use tvtfleet_proto::error::ExitStatus;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::Format;
use crate::server::Server;

use super::{JobReference, view};

/// Arguments of `tvtctl jobs show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl jobs show last")]
pub(crate) struct Args {
    /// Id of the job, or "last"
    #[arg(value_name = "JOB", default_value = "last")]
    job: JobReference,
    /// How to write it: table, json or csv (its sites)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let status = self.job.show(&server).await?;
        view::write(io, self.format, &status)?;
        Ok(ExitStatus::Success)
    }
}
