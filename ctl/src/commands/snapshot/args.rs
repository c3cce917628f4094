//! The command: what it takes, and the order in which things are done.

use tvtfleet_proto::device::picture::VideoStream;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::id::CredentialLabel;

use crate::commands::scan::{Asking, SelectorArgs, WorkArgs, finished, submit};
use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::{self, Outcome};
use crate::io::Io;
use crate::pictures::{GatherArgs, gather};
use crate::server::Server;
use crate::watch;

/// Arguments of `tvtctl snapshot`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "\
tvtctl snapshot <--all|--tenant|--site|--label|--inventory|--failed-of> -o DIR [OPTIONS]",
    after_help = "\
The agents take the pictures and send them when nothing else is to be sent; the coordinator keeps
them. DIR gets the pictures, manifest.json and manifest.csv. Flags are doubts: maybe_stale (the same
bytes as the last picture of this channel), maybe_swapped (the same bytes as another channel of the
site), black, uniform, frozen, degraded (smaller than asked for), raw (a key frame that is not
decoded). Channels whose camera is away are left out and counted. The exit code is 1 where a picture
failed or did not arrive. All pictures of one device together may take ten minutes, unless
--device-timeout says otherwise.

Examples:
  tvtctl snapshot --site acme/depot-1 --all-channels -o pictures --sheet pictures.html
  tvtctl snapshot --tenant acme --channel 1 -o pictures --format csv
  tvtctl snapshot --all --all-channels --detach
  tvtctl snapshot --site acme/depot-1 --all-channels --stream main --camera-credential cameras -o pictures
  tvtctl jobs pictures last -o pictures"
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: SelectorArgs,
    /// One channel, from 1, as the recorder shows it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    channel: u32,
    /// Every channel whose camera is there
    #[arg(long, conflicts_with = "channel")]
    all_channels: bool,
    /// Stream: main, sub, third or fourth, or pytvt's number from 0; else whatever is quickest
    #[arg(long, visible_alias = "stream-type", value_name = "STREAM")]
    stream: Option<VideoStream>,
    /// Ask the cameras themselves, with the credential that the agents have under this label
    #[arg(long, value_name = "LABEL")]
    camera_credential: Option<CredentialLabel>,
    #[command(flatten)]
    gather: GatherArgs,
    #[command(flatten)]
    how: WorkArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let (detach, quiet) = (self.how.detach(), self.how.quiet());
        if !detach && !self.gather.has_folder() {
            return Err(CliError::usage("the pictures need a folder")
                .hint("name one with -o DIR, or do not wait for them with --detach")
                .into());
        }
        self.gather.prepare(io)?;
        let import = self.which.read_inventory(io)?;
        let server = Server::connect(&self.server, io).await?;
        let (selector, complete) = self.which.selector(&server, import, io).await?;
        let imported = if complete {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        };
        let asking = Asking {
            ask: Ask::Snapshot,
            scope: AskScope {
                channel: (!self.all_channels).then_some(self.channel),
                stream: self.stream,
                camera: self.camera_credential,
                ..AskScope::default()
            },
            discover: None,
            order: None,
        };
        let submitted = submit(&server, selector, asking, self.how, io).await?;
        if detach {
            io.write_out(format!("{}\n", submitted.job.id).as_bytes())?;
            watch::tell_offline(&submitted.job, io);
            return Ok(imported);
        }
        let (status, rows) = finished(&server, submitted, quiet, io).await?;
        let gathered = gather(&server, status.job.id, &rows, &self.gather, quiet, io).await;
        watch::tell_offline(&status.job, io);
        watch::tell_troubled(&status.job, io);
        Ok(exit::first_failure([gathered?, imported]))
    }
}
