//! `tvtctl diff`.

use std::path::Path;

use crate::commands::jobs::JobReference;
use crate::compare::{CompareArgs, Side};
use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::server::Server;

/// Arguments of `tvtctl diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A scan is a result file, or a job by its id or \"last\". A file of that name counts first.

Examples:
  tvtctl diff monday.json last
  tvtctl diff monday.json tuesday.json --exit-code --summary")]
pub(crate) struct Args {
    /// The old scan: a result file, the id of a job, or "last"
    #[arg(value_name = "OLD")]
    old: String,
    /// The new scan: a result file, the id of a job, or "last"
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    how: CompareArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// A scan, as the user named it.
enum Named<'a> {
    File(&'a Path),
    Job(JobReference),
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let (old, new) = (named(&self.old, io), named(&self.new, io));
        // Two files need no server.
        let server = match (&old, &new) {
            (Named::File(_), Named::File(_)) => None,
            _ => Some(Server::connect(&self.server, io).await?),
        };
        let old = load(old, server.as_ref(), io).await?;
        let new = load(new, server.as_ref(), io).await?;
        self.how.compare(&old, &new, io)
    }
}

fn named<'a>(text: &'a str, io: &Io) -> Named<'a> {
    let path = Path::new(text);
    match text.parse() {
        Ok(job) if !io.resolve(path).exists() => Named::Job(job),
        Ok(_) | Err(_) => Named::File(path),
    }
}

async fn load(named: Named<'_>, server: Option<&Server>, io: &Io) -> Result<Side, CliError> {
    match (named, server) {
        (Named::Job(job), Some(server)) => {
            let job = job.id(server).await?;
            Ok(Side::job(format!("job {job}"), server.results(job).await?))
        }
        (Named::File(path), _) => Side::file(path, io),
        (Named::Job(_), None) => Err(CliError::usage("a job can be read from a server only")),
    }
}
