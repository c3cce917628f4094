//! `tvtctl inventory label`, `note`, `verify` and `forget`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::query::EditDevices;

use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

use super::view::DeviceRow;

/// Arguments of `tvtctl inventory label`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All devices are labelled or, where one is not known, none. Labels select devices in
tvtctl inventory list --label and tvtctl scan --label. Options stand before the devices.

Examples:
  tvtctl inventory label nvr-1 10.20.0.5 +gold -old
  tvtctl inventory label --format json 58:5B:69:10:00:0B +replace-soon")]
pub(crate) struct LabelArgs {
    /// Devices by any of their names, labels to add as +LABEL, labels to remove as -LABEL
    #[arg(
        value_name = "DEVICE|+LABEL|-LABEL",
        required = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
    #[command(flatten)]
    how: HowArgs,
}

/// Arguments of `tvtctl inventory note`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The note is shown with the device, and searched.

Examples:
  tvtctl inventory note nvr-1 \"behind the bar, key at reception\"
  tvtctl inventory note nvr-1 \"\"")]
pub(crate) struct NoteArgs {
    /// The device by any of its names
    #[arg(value_name = "DEVICE")]
    device: String,
    /// The note; empty text removes it
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    how: HowArgs,
}

/// Arguments of `tvtctl inventory verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A device that merely answered a discovery gets no credential, unless its MAC address is one of
TVT's. Verify it once you know that it is yours.

Example:
  tvtctl inventory list --state unverified
  tvtctl inventory verify 10.20.0.5 58:5B:69:10:00:0B")]
pub(crate) struct VerifyArgs {
    /// Devices by any of their names
    #[arg(value_name = "DEVICE", required = true)]
    devices: Vec<String>,
    #[command(flatten)]
    how: HowArgs,
}

/// Arguments of `tvtctl inventory forget`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The devices are not asked and not listed any more. Their results and history stay, and they come
back with them when they are imported again.

Example:
  tvtctl inventory forget nvr-1 10.20.0.5")]
pub(crate) struct ForgetArgs {
    /// Devices by any of their names
    #[arg(value_name = "DEVICE", required = true)]
    devices: Vec<String>,
    #[command(flatten)]
    how: HowArgs,
}

/// What they have in common.
#[derive(Debug, clap::Args)]
struct HowArgs {
    /// How to write the devices afterwards: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl LabelArgs {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let mut request = EditDevices::default();
        for word in self.words {
            if word.starts_with("--") {
                let message = format!("{word:?} stands behind the devices");
                return Err(CliError::usage(message)
                    .hint("write options before the devices, and a label to remove as -LABEL")
                    .into());
            }
            if let Some(label) = word.strip_prefix('+') {
                request.add_labels.push(label.to_owned());
            } else if let Some(label) = word.strip_prefix('-') {
                request.remove_labels.push(label.to_owned());
            } else {
                request.devices.push(word);
            }
        }
        if request.devices.is_empty() {
            return Err(CliError::usage("no device is named").into());
        }
        if request.add_labels.is_empty() && request.remove_labels.is_empty() {
            return Err(CliError::usage("no label is named")
                .hint("write +LABEL to add one, -LABEL to remove one")
                .into());
        }
        self.how.run(request, io).await
    }
}

impl NoteArgs {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let request = EditDevices {
            devices: vec![self.device],
            note: Some(self.text),
            ..EditDevices::default()
        };
        self.how.run(request, io).await
    }
}

impl VerifyArgs {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let request = EditDevices {
            devices: self.devices,
            verify: true,
            ..EditDevices::default()
        };
        self.how.run(request, io).await
    }
}

impl ForgetArgs {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let request = EditDevices {
            devices: self.devices,
            forget: true,
            ..EditDevices::default()
        };
        self.how.run(request, io).await
    }
}

impl HowArgs {
    async fn run(self, request: EditDevices, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let devices = server.edit_devices(request).await?;
        let rows: Vec<DeviceRow> = devices.iter().map(DeviceRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
