//! `tvtctl changes list`.

use tvtfleet_proto::error::ExitStatus;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::moment::{self, Moment};
use crate::output::{self, Format};
use crate::server::Server;

use super::filter::FilterArgs;
use super::view::ChangeRow;

/// Arguments of `tvtctl changes list`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
What a device says for the first time is no change. A device that does not answer is unreachable;
only tvtctl inventory forget takes it out of the inventory.

Kinds: added, forgotten, moved, displaced (another device answers there), unreachable, reachable,
fails_differently, field, channel_added, channel_removed, channel_renamed, channel_moved,
channel_status, channel_address, channel_field, many (more than are listed).

{}

Examples:
  tvtctl changes list --since yesterday --tenant acme
  tvtctl changes list --since 2h --kind channel_status --kind unreachable
  tvtctl changes list --device nvr-1 --format csv", moment::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only changes seen at or after this time
    #[arg(long, value_name = "TIME", help_heading = "Which changes")]
    since: Option<Moment>,
    /// Only changes seen before this time
    #[arg(long, value_name = "TIME", help_heading = "Which changes")]
    until: Option<Moment>,
    /// How to write the list: table, json or csv
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Options"
    )]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let now = io.clock.now();
        let mut request = self.filter.request();
        request.since = self.since.map(|since| since.from(now));
        request.until = self.until.map(|until| until.from(now));
        let server = Server::connect(&self.server, io).await?;
        let changes = server.changes(request).await?;
        let rows: Vec<ChangeRow> = changes.iter().map(ChangeRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
