//! `tvtctl jobs list`.

use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::{ListJobs, PAGE_MAX};

use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::JobRow;

/// Arguments of `tvtctl jobs list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl jobs list --limit 5 --format json")]
pub(crate) struct Args {
    /// The most jobs to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let mut rows: Vec<JobRow> = Vec::new();
        let mut before = None;
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        // Others' jobs are left out of a page, which may hold fewer than asked for, or none.
        let mut limit = self.limit.min(PAGE_MAX);
        while rows.len() < wanted {
            let page = server.list_jobs(ListJobs { before, limit }).await?;
            rows.extend(page.rows.iter().map(JobRow::from));
            let Some(next) = page.next else { break };
            before = Some(next.parse().map_err(|_| {
                CliError::new(
                    ErrorCode::MessageInvalid,
                    "the coordinator's next page is no job",
                )
            })?);
            limit = PAGE_MAX;
        }
        rows.truncate(wanted);
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
