//! `tvtctl inventory show`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::ShowDevice;
use tvtfleet_proto::model::picture::ListPictures;

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::moment::Moment;
use crate::output::Format;
use crate::server::Server;

use super::view;

/// Arguments of `tvtctl inventory show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tvtctl inventory show 10.20.0.5
  tvtctl inventory show 58:5B:69:10:00:0B --format json")]
pub(crate) struct Args {
    /// Device id, MAC, serial number or host name; or the address, where only one device has it
    #[arg(value_name = "DEVICE")]
    device: String,
    /// As it was known at this time: 2026-11-02, monday, 3d, or a moment
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// How to write it: table, json or csv (its channels)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let request = ShowDevice {
            name: self.device,
            at: self.at.map(|at| at.from(io.clock.now())),
        };
        // The last pictures are those of now.
        let now = request.at.is_none();
        let device = server.show_device(request).await?;
        let pictures = if now {
            let last = ListPictures {
                device: device.device_id.clone(),
                sites: vec![device.site.clone()],
                newest: true,
                ..ListPictures::default()
            };
            server.pictures(last).await?
        } else {
            Vec::new()
        };
        view::write(io, self.format, &device, &pictures)?;
        Ok(ExitStatus::Success)
    }
}
