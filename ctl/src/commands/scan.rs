//! `tvtctl scan`: a scan of the fleet.

use std::path::PathBuf;
use std::time::Duration;

use tvt_coordinator::inventory::file::ReadOptions;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::{JobStatus, ResultRow, SubmitJob};
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::backend::BackendChoice;
use tvtfleet_proto::model::discovery::DiscoverOptions;
use tvtfleet_proto::model::id::{CredentialLabel, SiteId, TenantId};
use tvtfleet_proto::model::job::{
    DEFAULT_DEVICE_DEADLINE, DEFAULT_JOB_DEADLINE, DEFAULT_PARALLEL, JobSpec, REBOOT_DEADLINE,
    SNAPSHOT_DEADLINE, Selector, WorkOptions,
};
use tvtfleet_proto::model::order::Order;

use crate::commands::discover::{self, Save};
use crate::commands::jobs::JobReference;
use crate::config::{self, ServerArgs};
use crate::discovery::{ScanSearchArgs, tell_searched};
use crate::error::{CliError, Stop};
use crate::exit::{self, Outcome};
use crate::id;
use crate::import::{self, Place};
use crate::inventory;
use crate::io::Io;
use crate::report::{ReportArgs, ReportPlan};
use crate::server::Server;
use crate::watch::{self, Ended, Until};

/// Arguments of `tvtctl scan`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "\
tvtctl scan <--all|--tenant|--site|--label|--inventory|--failed-of> [OPTIONS]",
    after_help = "\
The command waits for the sites that are connected. The others are named; they get the work when
they come back, until the job's deadline.

Examples:
  tvtctl scan --all -o results.json --format summary
  tvtctl scan --all -o fleet.xlsx --format summary
  tvtctl scan --tenant acme --label north --xlsx workbooks
  tvtctl scan --inventory devices.json --tenant acme --create-sites
  tvtctl scan --site acme/depot-1 --discover --subnet 10.20.0.0/24
  tvtctl scan --failed-of last"
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: SelectorArgs,
    #[command(flatten)]
    search: ScanSearchArgs,
    #[command(flatten)]
    how: WorkArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Which devices",
    group(clap::ArgGroup::new("which").required(true).multiple(true)
        .args(["all", "tenant", "site", "label", "inventory", "failed_of"]))
)]
pub(crate) struct SelectorArgs {
    /// Every device of every site
    #[arg(long, conflicts_with_all = ["tenant", "site", "label", "inventory", "failed_of"])]
    all: bool,
    /// Devices of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// Devices of this site; may be repeated
    #[arg(long, value_name = "TENANT/SITE")]
    site: Vec<SiteId>,
    /// Devices that carry this label, or whose site does; with --inventory, a label to put on its
    /// devices; may be repeated
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Import inventory files and ask their devices; --tenant or --site says where they belong
    #[arg(long, value_name = "FILE", conflicts_with = "failed_of")]
    inventory: Vec<PathBuf>,
    /// With --inventory, add sites that do not exist
    #[arg(long, requires = "inventory")]
    create_sites: bool,
    /// With --inventory, keep entries that name another maker than TVT
    #[arg(long, requires = "inventory")]
    all_makers: bool,
    /// Devices that failed in, or are missing from, an earlier job: its id, or "last"
    #[arg(long, value_name = "JOB", conflicts_with_all = ["tenant", "site", "label"])]
    failed_of: Option<JobReference>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How")]
pub(crate) struct WorkArgs {
    /// How to talk to the devices: auto, protocol, webapi, cgi, netsdk, sdk, sdk-local or both
    #[arg(short, long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendChoice,
    /// Credential to use, by its label in the agents' credentials files [default: each site's own default]
    #[arg(long, value_name = "LABEL")]
    credential: Option<CredentialLabel>,
    /// Devices asked at a time, per site
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PARALLEL, value_parser = config::parallel)]
    parallel: u32,
    /// Time allowed for one device [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = config::duration)]
    device_timeout: Option<Duration>,
    /// Time allowed for the whole job; sites that are offline may come back until then [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = config::duration)]
    deadline: Option<Duration>,
    /// Words to find the job by
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    note: String,
    /// Print the id of the job and do not wait for it
    #[arg(long, conflicts_with = "format")]
    detach: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let (detach, quiet) = (self.how.detach, self.how.quiet);
        if self.search.is_only() {
            self.report.check_for_discovery()?;
        }
        let plan = self.report.prepare(io)?;
        let discover = self.search.options(false)?;
        if discover.is_some() {
            self.which.check_for_sites()?;
        }
        let ask = if self.search.is_only() {
            Ask::Discover
        } else {
            Ask::Scan
        };
        let import = self.which.read_inventory(io)?;
        let server = Server::connect(&self.server, io).await?;
        let (selector, complete) = self.which.selector(&server, import, io).await?;
        let options = Asking {
            ask,
            scope: AskScope::default(),
            discover,
            order: None,
        };
        let submitted = submit(&server, selector, options, self.how, io).await?;
        let scanned = if detach {
            io.write_out(format!("{}\n", submitted.job.id).as_bytes())?;
            watch::tell_offline(&submitted.job, io);
            ExitStatus::Success
        } else if ask == Ask::Discover {
            let save = Save::Plan(&plan);
            discover::wait_and_show(&server, submitted, &save, quiet, io).await?
        } else {
            wait_and_report(&server, submitted, &plan, quiet, io).await?
        };
        let imported = if complete {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        };
        Ok(exit::first_failure([scanned, imported]))
    }
}

/// An inventory that is to be imported, and where its devices belong.
pub(crate) struct Import {
    inventory: inventory::Inventory,
    place: Place,
}

impl WorkArgs {
    /// Whether nobody waits for the job.
    pub(crate) const fn detach(&self) -> bool {
        self.detach
    }

    /// Whether no progress is shown.
    pub(crate) const fn quiet(&self) -> bool {
        self.quiet
    }
}

impl SelectorArgs {
    /// A discovery is for sites: it cannot be for some of their devices.
    fn check_for_sites(&self) -> Result<(), CliError> {
        if self.inventory.is_empty() && self.failed_of.is_none() {
            return Ok(());
        }
        Err(
            CliError::usage("a discovery is for sites, and not for single devices")
                .hint("name sites, tenants or labels, or --all"),
        )
    }

    /// Reads the files that are to be imported.
    pub(crate) fn read_inventory(&self, io: &Io) -> Result<Option<Import>, CliError> {
        if self.inventory.is_empty() {
            return Ok(None);
        }
        let place = match (self.tenant.as_slice(), self.site.as_slice()) {
            ([tenant], []) => Place::Tenant(tenant.clone()),
            ([], [site]) => Place::Site(site.clone()),
            _ => {
                let message = "with --inventory, name one --tenant or one --site";
                return Err(CliError::usage(message)
                    .hint("--tenant looks for each entry's site, --site takes all to one"));
            }
        };
        let options = ReadOptions {
            include_all: self.all_makers,
            ..ReadOptions::default()
        };
        let inventory = inventory::read(&self.inventory, &options, io)?;
        Ok(Some(Import { inventory, place }))
    }

    /// What the job is for, and whether everything that the user named is among it.
    pub(crate) async fn selector(
        self,
        server: &Server,
        import: Option<Import>,
        io: &Io,
    ) -> Result<(Selector, bool), CliError> {
        if let Some(Import { inventory, place }) = import {
            let unusable = inventory.unusable;
            let entries = inventory.entries;
            let (id, summary) =
                import::import(server, entries, place, self.create_sites, &self.label, io).await?;
            if summary.devices() == 0 {
                let message = "no device of the inventory could be imported";
                return Err(CliError::new(ErrorCode::JobNoTargets, message)
                    .hint("--create-sites adds sites that do not exist"));
            }
            return Ok((Selector::Import(id), summary.refused == 0 && unusable == 0));
        }
        let selector = if self.all {
            Selector::All
        } else if let Some(job) = self.failed_of {
            Selector::FailedOf(job.id(server).await?)
        } else {
            // A site that does not exist would select nothing, and say nothing among others.
            for site in &self.site {
                server.site(site).await?;
            }
            Selector::Match {
                tenants: self.tenant,
                sites: self.site,
                labels: self.label,
            }
        };
        Ok((selector, true))
    }
}

/// What a job asks.
pub(crate) struct Asking {
    pub(crate) ask: Ask,
    pub(crate) scope: AskScope,
    pub(crate) discover: Option<DiscoverOptions>,
    pub(crate) order: Option<Order>,
}

/// Submits a job.
pub(crate) async fn submit(
    server: &Server,
    selector: Selector,
    asking: Asking,
    how: WorkArgs,
    io: &Io,
) -> Result<JobStatus, CliError> {
    let deadline = how.deadline.unwrap_or(DEFAULT_JOB_DEADLINE);
    let Asking {
        ask,
        scope,
        discover,
        order,
    } = asking;
    let usual = if ask == Ask::Reboot {
        REBOOT_DEADLINE
    } else if ask == Ask::Snapshot {
        SNAPSHOT_DEADLINE
    } else {
        DEFAULT_DEVICE_DEADLINE
    };
    let usual = usual.min(deadline);
    let spec = JobSpec {
        selector,
        work: WorkOptions {
            ask,
            backend: how.backend,
            credential: how.credential,
            parallel: how.parallel,
            device_deadline: how.device_timeout.unwrap_or(usual),
            scope,
            discover: discover.map(Box::new),
            order: order.map(Box::new),
        },
        deadline,
        note: how.note,
    };
    let request = SubmitJob {
        idempotency_key: id::fresh(&*io.clock),
        spec,
    };
    let job = server.submit_job(request).await?.job;
    Ok(JobStatus {
        job,
        progress: Vec::new(),
        next: None,
    })
}

async fn wait_and_report(
    server: &Server,
    submitted: JobStatus,
    plan: &ReportPlan,
    quiet: bool,
    io: &mut Io,
) -> Outcome {
    let (status, rows) = finished(server, submitted, quiet, io).await?;
    if status.job.spec.work.discover.is_some() {
        tell_searched(&server.searches(status.job.id).await?, quiet, io);
    }
    let changes = if plan.takes_changes(&rows) {
        Some(server.changes_of(&status.job).await?)
    } else {
        None
    };
    let written = plan.write(&rows, changes.as_deref(), io)?;
    watch::tell_offline(&status.job, io);
    watch::tell_troubled(&status.job, io);
    Ok(written)
}

/// Waits for the sites that are connected and reads what they found.
pub(crate) async fn finished(
    server: &Server,
    submitted: JobStatus,
    quiet: bool,
    io: &mut Io,
) -> Result<(JobStatus, Vec<ResultRow>), Stop> {
    if !quiet {
        let job = &submitted.job;
        io.note(&format!(
            "Job {}: {} at {}",
            job.id,
            counted(job.devices.total, "device"),
            counted(job.sites_total, "site")
        ));
    }
    let (status, ended) =
        watch::watch(server, submitted, Until::OnlineSitesEnded, None, quiet, io).await?;
    match ended {
        Ended::Reached => {}
        Ended::Interrupted => return Err(watch::interrupted(status.job.id).into()),
        Ended::OutOfTime => return Err(watch::out_of_time(status.job.id).into()),
    }
    let rows = server.results(status.job.id).await?;
    Ok((status, rows))
}

/// A number with its noun, which gets an s where it is not one.
pub(super) fn counted(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
