//! `tvtctl inventory list`.

use tvtfleet_proto::error::ExitStatus;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::filter::FilterArgs;
use super::view::DeviceRow;

/// Arguments of `tvtctl inventory list`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tvtctl inventory list --tenant acme --text TD-33\n  tvtctl inventory list --state new,gone,moved\n  tvtctl inventory list --site acme/depot-1 --at monday"
)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
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
        let server = Server::connect(&self.server, io).await?;
        let devices = server.devices(self.filter.request(io)).await?;
        let rows: Vec<DeviceRow> = devices.iter().map(DeviceRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
