//! `tvtctl changes follow`.

use std::time::Duration;

use clap::ValueEnum;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::change::ListChanges;

use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{Row as _, printable};
use crate::server::Server;

use super::filter::FilterArgs;
use super::view::ChangeRow;

/// How long a request is held where there is nothing: less than an answer may take.
const HELD: Duration = Duration::from_secs(5);

/// How each change is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
enum LineFormat {
    /// A line of text
    #[default]
    Text,
    /// A line of JSON
    Json,
}

/// Arguments of `tvtctl changes follow`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Begins with what is found from now on. Ctrl-C ends it.

Examples:
  tvtctl changes follow --kind unreachable --kind reachable
  tvtctl changes follow --tenant acme --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// End after so many changes
    #[arg(long, value_name = "N", help_heading = "Options", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How to write each change: text or json
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Options"
    )]
    format: LineFormat,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let mut request = ListChanges {
            after: Some(u64::MAX),
            ..self.filter.request()
        };
        request.after = Some(server.changes_page(request.clone()).await?.position);
        request.wait = HELD;
        io.note("following; Ctrl-C ends it");
        let mut left = self.count.unwrap_or(u64::MAX);
        loop {
            let interrupt = io.interrupt.clone();
            let page = tokio::select! {
                page = server.changes_page(request.clone()) => page?,
                () = interrupt.cancelled() => return Ok(ExitStatus::Success),
            };
            for change in &page.rows {
                let row = ChangeRow::from(change);
                let mut line = match self.format {
                    LineFormat::Text => printable(&row.cells().join("  ")).replace('\n', " "),
                    LineFormat::Json => serde_json::to_string(&row).map_err(|error| {
                        CliError::new(ErrorCode::Internal, "cannot write the output")
                            .because(&error)
                    })?,
                };
                line.push('\n');
                io.write_out(line.as_bytes())?;
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(ExitStatus::Success);
                }
            }
            if page.position < request.after.unwrap_or_default() {
                io.warn("the coordinator's record begins anew");
            }
            request.after = Some(page.position);
        }
    }
}
