//! `tvtctl jobs list`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::{ListJobs, PAGE_MAX};

use crate::config::ServerArgs;
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
        let mut left = self.limit;
        while left > 0 {
            let limit = left.min(PAGE_MAX);
            let page = server.list_jobs(ListJobs { before, limit }).await?;
            let count = u32::try_from(page.len()).unwrap_or(u32::MAX);
            before = page.last().map(|job| job.id);
            rows.extend(page.iter().map(JobRow::from));
            left = left.saturating_sub(count);
            if count == 0 {
                break;
            }
        }
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
