//! `tvtctl diff`.

use std::path::{Path, PathBuf};

use tvtfleet_proto::model::api::ListDevices;
use tvtfleet_proto::model::id::{SiteId, TenantId};

use crate::commands::jobs::JobReference;
use crate::compare::{CompareArgs, Side};
use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::moment::{self, Moment};
use crate::server::Server;
use crate::state;

/// Arguments of `tvtctl diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
A scan is a result file, or a job by its id or \"last\". A file of that name counts first. --from and
--to stand for what the fleet was known to be at a time, in place of the old or the new scan; with
--from alone the new side is the fleet now.

{}

Examples:
  tvtctl diff monday.json last
  tvtctl diff monday.json tuesday.json --exit-code --summary
  tvtctl diff --site acme/depot-1 --from monday
  tvtctl diff --from 2026-11-01 --summary -o november.xlsx
  tvtctl diff --tenant acme --from 2026-11-01 --to 2026-11-08 --json
  tvtctl diff monday.json --to now --site acme/depot-1", moment::HELP))]
pub(crate) struct Args {
    /// The old and the new scan: result files, ids of jobs, or "last"
    #[arg(value_name = "SCAN", num_args = 0..=2)]
    scans: Vec<String>,
    /// The old side is the fleet as it was known at this time
    #[arg(long, value_name = "TIME", help_heading = "Fleet at a time")]
    from: Option<Moment>,
    /// The new side is the fleet as it was known at this time
    #[arg(long, value_name = "TIME", help_heading = "Fleet at a time")]
    to: Option<Moment>,
    /// Only devices of this site, in the fleet at a time; may be repeated
    #[arg(long, value_name = "TENANT/SITE", help_heading = "Fleet at a time")]
    site: Vec<SiteId>,
    /// Only devices of this tenant, in the fleet at a time; may be repeated
    #[arg(long, value_name = "TENANT", help_heading = "Fleet at a time")]
    tenant: Vec<TenantId>,
    #[command(flatten)]
    how: CompareArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// A scan, as the user named it.
enum Named {
    File(PathBuf),
    Job(JobReference),
    Fleet(Moment),
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        self.how.check(io)?;
        let (old, new) = self.sides(io)?;
        let fleet = matches!(old, Named::Fleet(_)) || matches!(new, Named::Fleet(_));
        let names_sites = !self.site.is_empty() || !self.tenant.is_empty();
        if names_sites && !fleet {
            return Err(CliError::usage("--site and --tenant need --from or --to").into());
        }
        // Two files need no server.
        let server = match (&old, &new) {
            (Named::File(_), Named::File(_)) => None,
            _ => Some(Server::connect(&self.server, io).await?),
        };
        let old = self.load(old, server.as_ref(), io).await?;
        let new = self.load(new, server.as_ref(), io).await?;
        self.how.compare(&old, &new, io)
    }

    /// Which scans are compared.
    fn sides(&self, io: &Io) -> Result<(Named, Named), CliError> {
        let mut scans = self.scans.iter().map(|text| named(text, io));
        let (first, second) = (scans.next(), scans.next());
        let (from, to) = (self.from.map(Named::Fleet), self.to.map(Named::Fleet));
        match (first, second, from, to) {
            (Some(old), Some(new), None, None) => Ok((old, new)),
            (Some(new), None, Some(from), None) => Ok((from, new)),
            (Some(old), None, None, Some(to)) => Ok((old, to)),
            (None, None, Some(from), Some(to)) => Ok((from, to)),
            (None, None, Some(from), None) => {
                Ok((from, Named::Fleet(Moment::Ago(std::time::Duration::ZERO))))
            }
            (Some(_), Some(_), ..) => Err(CliError::usage(
                "two scans are named, so --from and --to have no place",
            )),
            (Some(_), None, Some(_), Some(_)) => Err(CliError::usage(
                "with --from and --to there is no place for a third scan",
            )),
            (Some(_), None, None, None) | (None, ..) => {
                Err(CliError::usage("the old and the new side are needed")
                    .hint("name two scans, or --from a time"))
            }
        }
    }

    async fn load(&self, named: Named, server: Option<&Server>, io: &Io) -> Result<Side, CliError> {
        match (named, server) {
            (Named::Job(job), Some(server)) => {
                let job = job.id(server).await?;
                Ok(Side::job(format!("job {job}"), server.results(job).await?))
            }
            (Named::Fleet(moment), Some(server)) => {
                let at = moment.from(io.clock.now());
                let request = ListDevices {
                    tenants: self.tenant.clone(),
                    sites: self.site.clone(),
                    with_channels: true,
                    at: Some(at),
                    ..ListDevices::default()
                };
                let devices = server.devices(request).await?;
                Ok(Side::job(format!("fleet at {at}"), state::rows(devices)))
            }
            (Named::File(path), _) => Side::file(&path, io),
            (Named::Job(_) | Named::Fleet(_), None) => {
                Err(CliError::usage("a job can be read from a server only"))
            }
        }
    }
}

fn named(text: &str, io: &Io) -> Named {
    let path = Path::new(text);
    match text.parse() {
        Ok(job) if !io.resolve(path).exists() => Named::Job(job),
        Ok(_) | Err(_) => Named::File(path.to_owned()),
    }
}
