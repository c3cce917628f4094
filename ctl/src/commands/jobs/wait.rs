//! `tvtctl jobs wait`.

use std::time::Duration;

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::job::{JobState, JobView};

use crate::config::{self, ServerArgs};
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::Format;
use crate::server::Server;
use crate::watch::{self, Ended, Until};

use super::{JobReference, view};

/// Arguments of `tvtctl jobs wait`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is 0 where every device was asked with success, 1 where some were not, and 5 where the
time allowed ran out first.

Example:
  tvtctl jobs wait last --timeout 10m && tvtctl jobs results last -o results.json")]
pub(crate) struct Args {
    /// Id of the job, or "last"
    #[arg(value_name = "JOB")]
    job: JobReference,
    /// The longest time to wait [default: until the job's own deadline]
    #[arg(long, value_name = "TIME", value_parser = config::duration)]
    timeout: Option<Duration>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How to write the job as it stands then: table, json or csv (its sites)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let first = self.job.show(&server).await?;
        let (status, ended) = watch::watch(
            &server,
            first,
            Until::JobEnded,
            self.timeout,
            self.quiet,
            io,
        )
        .await?;
        view::write(io, self.format, &status)?;
        watch::tell_offline(&status.job, io);
        watch::tell_troubled(&status.job, io);
        match ended {
            Ended::Reached => Ok(verdict(&status.job)),
            Ended::OutOfTime => Err(watch::out_of_time(status.job.id).into()),
            Ended::Interrupted => Err(watch::interrupted(status.job.id).into()),
        }
    }
}

fn verdict(job: &JobView) -> ExitStatus {
    if job.state == JobState::Finished && job.devices.ok == job.devices.total {
        ExitStatus::Success
    } else {
        ExitStatus::SomeFailed
    }
}
