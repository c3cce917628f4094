//! `tvtctl run`: one question to devices of the fleet.

use tvtfleet_proto::model::ask::Ask;

use crate::answers::{self, Asked};
use crate::commands::asking::ScopeArgs;
use crate::commands::scan::{SelectorArgs, WorkArgs, finished, submit};
use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::Format;
use crate::server::Server;
use crate::watch;

/// Arguments of `tvtctl run`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "\
tvtctl run ASK <--all|--tenant|--site|--label|--inventory|--failed-of> [OPTIONS]",
    after_help = "\
The asks: info, channels, disks, clock, users, password-policy, ports, services, image, streams,
audio, osd, recording, recording-days, recording-segments, rtsp-url, platform, camera-logins, motion.
They read and change nothing. The answers are kept with the job.

Examples:
  tvtctl run clock --all --format csv
  tvtctl run disks --site acme/depot-1
  tvtctl run users --tenant acme --backend cgi --format json"
)]
pub(crate) struct Args {
    /// What to ask
    #[arg(value_name = "ASK", value_parser = ask)]
    ask: Ask,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    which: SelectorArgs,
    #[command(flatten)]
    how: WorkArgs,
    /// How to write the answers
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let scope = self.scope.check(self.ask)?;
        let (detach, quiet) = (self.how.detach(), self.how.quiet());
        if self.which.names_inventory() {
            let message = "run takes devices that the fleet knows";
            return Err(CliError::usage(message)
                .hint("tvtctl inventory import brings an inventory file in")
                .into());
        }
        let server = Server::connect(&self.server, io).await?;
        let (selector, _) = self.which.selector(&server, None, io).await?;
        let submitted = submit(&server, selector, (self.ask, scope, None), self.how, io).await?;
        if detach {
            io.write_out(format!("{}\n", submitted.job.id).as_bytes())?;
            watch::tell_offline(&submitted.job, io);
            return Ok(tvtfleet_proto::error::ExitStatus::Success);
        }
        let (status, rows) = finished(&server, submitted, quiet, io).await?;
        let asked: Vec<Asked> = rows.into_iter().map(Asked::from).collect();
        let written = answers::write(self.ask, &asked, self.format, io)?;
        watch::tell_offline(&status.job, io);
        watch::tell_troubled(&status.job, io);
        Ok(written)
    }
}

fn ask(text: &str) -> Result<Ask, String> {
    match text.parse() {
        Ok(Ask::Scan | Ask::Probe) => Err("use tvtctl scan".to_owned()),
        Ok(Ask::Discover) => Err("use tvtctl discover".to_owned()),
        Ok(ask) => Ok(ask),
        Err(error) => Err(format!("{error}")),
    }
}
