//! `tvtctl run`: one question to devices of the fleet.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{CredentialLabel, JobId};

use crate::answers::{self, Asked};
use crate::commands::asking::ScopeArgs;
use crate::commands::jobs::JobReference;
use crate::commands::ordering::OrderArgs;
use crate::commands::scan::{Asking, SelectorArgs, WorkArgs, finished, submit};
use crate::config::ServerArgs;
use crate::exit::{self, Outcome};
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

The asks that change devices: set-clock, set-services, set-image, set-streams, set-audio, set-osd,
set-platform, reboot, set-password. They take --dry-run or --yes, go through a site in waves, and are
refused by every site whose policy does not name them. Each setting is read back; what an
interrupted change came to is looked up and never sent again.

Examples:
  tvtctl run clock --all --format csv
  tvtctl run disks --site acme/depot-1
  tvtctl run users --tenant acme --backend cgi --format json
  tvtctl run set-clock --all --set sync=NTP --set ntp_server=10.0.0.1 --dry-run
  tvtctl run set-services --site acme/depot-1 --set rtsp=false --yes
  tvtctl run set-services --all --undo last --yes
  tvtctl run set-password --site acme/depot-1 --new-credential admin-2027 --yes"
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
    order: OrderArgs,
    /// With the set-asks for settings: put back what this job changed, its id or "last"
    #[arg(
        long,
        value_name = "JOB",
        help_heading = "Changes",
        conflicts_with = "set"
    )]
    undo: Option<JobReference>,
    /// With set-password: the label of the new password in the agents' credentials files
    #[arg(long, value_name = "LABEL", help_heading = "Changes")]
    new_credential: Option<CredentialLabel>,
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
        // Before anything is connected: a job that is undone is looked up only then.
        let undo = self.undo.map(|_| JobId::new(uuid::Uuid::nil()));
        let mut order = self.order.order(self.ask, undo, self.new_credential)?;
        let import = self.which.read_inventory(io)?;
        let server = Server::connect(&self.server, io).await?;
        let (selector, complete) = self.which.selector(&server, import, io).await?;
        let imported = if complete {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        };
        if let (Some(order), Some(job)) = (&mut order, self.undo) {
            order.undo = Some(job.id(&server).await?);
        }
        let asking = Asking {
            ask: self.ask,
            scope,
            discover: None,
            order,
        };
        let submitted = submit(&server, selector, asking, self.how, io).await?;
        if detach {
            io.write_out(format!("{}\n", submitted.job.id).as_bytes())?;
            watch::tell_offline(&submitted.job, io);
            return Ok(imported);
        }
        let (status, rows) = finished(&server, submitted, quiet, io).await?;
        let asked: Vec<Asked> = rows.into_iter().map(Asked::from).collect();
        let written = answers::write(self.ask, &asked, self.format, io)?;
        watch::tell_offline(&status.job, io);
        watch::tell_troubled(&status.job, io);
        Ok(exit::first_failure([written, imported]))
    }
}

fn ask(text: &str) -> Result<Ask, String> {
    match text.parse() {
        Ok(Ask::Scan | Ask::Probe) => Err("use tvtctl scan".to_owned()),
        Ok(Ask::Snapshot) => Err("use tvtctl snapshot".to_owned()),
        Ok(Ask::Discover) => Err("use tvtctl discover".to_owned()),
        Ok(ask) => Ok(ask),
        Err(error) => Err(format!("{error}")),
    }
}
