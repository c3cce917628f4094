//! `tvtctl discover`: a discovery at sites of the fleet.

use std::time::Duration;

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::api::{JobStatus, ResultRow, SubmitJob};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::discovery::DiscoverOptions;
use tvtfleet_proto::model::id::{SiteId, TenantId};
use tvtfleet_proto::model::job::{DEFAULT_JOB_DEADLINE, JobSpec, Selector, WorkOptions};

use crate::commands::scan::counted;
use crate::config::{self, ServerArgs};
use crate::discovery::{FoundRow, LookArgs, SaveArgs, Sites, tell_searched};
use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::id;
use crate::io::Io;
use crate::output::{self, Format};
use crate::report::ReportPlan;
use crate::server::Server;
use crate::watch::{self, Ended, Until};

/// Arguments of `tvtctl discover`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "tvtctl discover <--all|--tenant|--site|--label> [OPTIONS]",
    after_help = "\
Each site's agent looks in its own networks, or in those named with --subnet, within what the
policy of the site allows. No credential is ever sent. What is found joins the inventory as
unverified: tvtctl inventory list --state new shows it, tvtctl inventory verify vouches for it.

In the files, a site is called by its name, or TENANT/SITE where there are several tenants.

The command waits for the sites that are connected. The others are named; they get the work when
they come back, until the job's deadline.

Examples:
  tvtctl discover --site acme/depot-1
  tvtctl discover --tenant acme --subnet 10.20.0.0/24 --exclude 10.20.0.1 --profile polite
  tvtctl discover --site acme/depot-1 --scanner-json found.json --xlsx found.xlsx
  tvtctl discover --all --detach"
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: SiteArgs,
    #[command(flatten)]
    look: LookArgs,
    #[command(flatten)]
    save: SaveArgs,
    /// Time allowed for the whole job; sites that are offline may come back until then [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = config::duration, help_heading = "Options")]
    deadline: Option<Duration>,
    /// Words to find the job by
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Options"
    )]
    note: String,
    /// Print the id of the job and do not wait for it
    #[arg(long, conflicts_with_all = ["scanner_json", "xlsx"], help_heading = "Options")]
    detach: bool,
    /// Show no progress
    #[arg(short, long, help_heading = "Options")]
    quiet: bool,
    /// How to write the devices: table, json or csv
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

#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Which sites",
    group(clap::ArgGroup::new("which").required(true).multiple(true)
        .args(["all", "tenant", "site", "label"]))
)]
struct SiteArgs {
    /// Every site
    #[arg(long, conflicts_with_all = ["tenant", "site", "label"])]
    all: bool,
    /// Sites of this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    /// This site; may be repeated
    #[arg(long, value_name = "TENANT/SITE")]
    site: Vec<SiteId>,
    /// Sites that carry this label; may be repeated
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let options = self.look.options()?;
        self.save.check(io)?;
        let server = Server::connect(&self.server, io).await?;
        let selector = self.which.selector(&server).await?;
        let deadline = self.deadline.unwrap_or(DEFAULT_JOB_DEADLINE);
        let submitted = submit(&server, selector, options, deadline, self.note, io).await?;
        if self.detach {
            io.write_out(format!("{}\n", submitted.job.id).as_bytes())?;
            watch::tell_offline(&submitted.job, io);
            return Ok(ExitStatus::Success);
        }
        let save = Save::Files(self.format, &self.save);
        wait_and_show(&server, submitted, &save, self.quiet, io).await
    }
}

impl SiteArgs {
    async fn selector(self, server: &Server) -> Result<Selector, CliError> {
        if self.all {
            return Ok(Selector::All);
        }
        // A site that does not exist would say nothing among others.
        for site in &self.site {
            server.site(site).await?;
        }
        Ok(Selector::Match {
            tenants: self.tenant,
            sites: self.site,
            labels: self.label,
        })
    }
}

/// Where what was found goes.
pub(super) enum Save<'a> {
    /// To stdout and the files of a discovery.
    Files(Format, &'a SaveArgs),
    /// To where the results of a scan would go.
    Plan(&'a ReportPlan),
}

impl Save<'_> {
    fn write(&self, rows: &[ResultRow], io: &mut Io) -> Result<(), Stop> {
        let (sites, found) = (Sites::of(rows), FoundRow::all(rows));
        let finds = sites.finds(rows);
        match self {
            Self::Files(format, files) => {
                output::list(io, *format, &found)?;
                files.write(&finds, io)?;
            }
            Self::Plan(plan) => {
                output::list(io, plan.list_format(), &found)?;
                plan.save_found(&finds, &found, io)?;
            }
        }
        Ok(())
    }
}

async fn submit(
    server: &Server,
    selector: Selector,
    options: DiscoverOptions,
    deadline: Duration,
    note: String,
    io: &Io,
) -> Result<JobStatus, CliError> {
    let usual = WorkOptions::default();
    let spec = JobSpec {
        selector,
        work: WorkOptions {
            ask: Ask::Discover,
            device_deadline: usual.device_deadline.min(deadline),
            discover: Some(Box::new(options)),
            ..usual
        },
        deadline,
        note,
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

/// Waits for a discovery and shows what it found.
pub(super) async fn wait_and_show(
    server: &Server,
    submitted: JobStatus,
    save: &Save<'_>,
    quiet: bool,
    io: &mut Io,
) -> Outcome {
    if !quiet {
        let job = &submitted.job;
        io.note(&format!(
            "Job {}: discovery at {}",
            job.id,
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
    show(server, &status, save, quiet, io).await
}

/// Shows what a discovery found, and how it went.
pub(super) async fn show(
    server: &Server,
    status: &JobStatus,
    save: &Save<'_>,
    quiet: bool,
    io: &mut Io,
) -> Outcome {
    let rows = server.results(status.job.id).await?;
    let searches = server.searches(status.job.id).await?;
    save.write(&rows, io)?;
    let failed = tell_searched(&searches, quiet, io);
    watch::tell_offline(&status.job, io);
    watch::tell_troubled(&status.job, io);
    let job = &status.job;
    let whole = job.sites.iter().all(|site| {
        site.state == tvtfleet_proto::model::job::SiteJobState::Done || !site.state.is_terminal()
    });
    Ok(if failed || !whole {
        ExitStatus::SomeFailed
    } else {
        ExitStatus::Success
    })
}
