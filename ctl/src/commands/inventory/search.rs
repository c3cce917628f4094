//! `tvtctl inventory search`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::ListDevices;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::DeviceRow;

/// Arguments of `tvtctl inventory search`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Cameras are searched with tvtctl sql.

Examples:
  tvtctl inventory search N9K0042
  tvtctl inventory search \"behind the bar\"")]
pub(crate) struct Args {
    /// Text in the names, address, MAC, serial number, model or note, in any case
    #[arg(value_name = "TEXT")]
    text: String,
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let request = ListDevices {
            text: self.text,
            ..ListDevices::default()
        };
        let devices = server.devices(request).await?;
        let rows: Vec<DeviceRow> = devices.iter().map(DeviceRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
