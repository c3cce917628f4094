//! `tvt-bench swarm`: thousands of sites at once, each with a connection of its own to a real server.
//!
//! The agents decide with the agent's own code and keep real spools; their recorders answer at once.
//! They share this process, on a runtime of their own, so that questions are measured beside them.

mod agent;
mod books;
mod register;
mod scan;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::{Bus, ConnectOptions};

use crate::figures::{Figures, say};
use crate::fleet::Fleet;
use crate::process;
use crate::programs::Programs;
use crate::service::{Coordinator, Nats};
use agent::Agent;
use books::Books;

/// How long one step of a run may take.
const PATIENCE: Duration = Duration::from_secs(1800);
/// The pause between two looks at how far things are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Open files beside one for each agent.
const OTHER_FILES: u64 = 200;
/// Where spools lie, if it is there: one disk for all sites would be the only thing measured.
const MEMORY_DISK: &str = "/dev/shm";

/// Measure a server and a coordinator under thousands of sites at once
///
/// Without --register, every recorder of every site is scanned, --rounds times, while operators ask
/// questions. With it, so many sites connect, are welcomed and read what they should do, all at the
/// same moment; then the server is killed and started again, and all come back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tvt-bench swarm
  tvt-bench swarm --sites 50 --recorders 20 --channels 8
  tvt-bench swarm --register 10000")]
pub struct Arguments {
    /// Sites
    #[arg(long, value_name = "COUNT", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=30_000))]
    sites: u32,
    /// Recorders of each
    #[arg(long, value_name = "COUNT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    recorders: u32,
    /// Channels of each
    #[arg(long, value_name = "COUNT", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(0..=256))]
    channels: u32,
    /// Scans of the whole fleet, one after the other
    #[arg(long, value_name = "COUNT", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Only connect so many sites, with one recorder each
    #[arg(long, value_name = "SITES", conflicts_with_all = ["sites", "recorders", "rounds"],
          value_parser = clap::value_parser!(u32).range(1..=30_000))]
    register: Option<u32>,
    /// The time between two words of an agent that has nothing to do, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    heartbeat: u64,
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, there are too few open files, or a report or an agent is missing.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let fleet = Fleet {
        sites: arguments.register.unwrap_or(arguments.sites),
        devices_per_site: if arguments.register.is_some() {
            1
        } else {
            arguments.recorders
        },
        channels: arguments.channels,
    };
    allow_files(u64::from(fleet.sites).saturating_add(OTHER_FILES))?;
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let swarm = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("swarm")
        .enable_all()
        .build()
        .context("cannot start the runtime of the swarm")?;
    let about = if arguments.register.is_some() {
        format!(
            "{} sites connect at the same moment, say hello and read what they should do; then the \
             server is killed and started again; waits are those of single sites",
            fleet.sites
        )
    } else {
        format!(
            "{} recorders with {} channels at {} sites, an agent with a connection each; rates from \
             the submission to the last report; latencies of operators' questions meanwhile",
            fleet.devices(),
            fleet.channels,
            fleet.sites
        )
    };
    let mut figures = Figures::new("swarm", about);
    let heartbeat = Duration::from_secs(arguments.heartbeat);
    let swarm = Swarm::open(fleet, heartbeat, swarm.handle())?;
    let done = bench(arguments, programs, scratch.path(), swarm, &mut figures);
    runtime.block_on(done)?;
    Ok(figures)
}

async fn bench(
    arguments: &Arguments,
    programs: &Programs,
    folder: &Path,
    swarm: Swarm,
    figures: &mut Figures,
) -> Result<()> {
    let nats = Nats::start(folder)?;
    let bus = nats.connect("tvt-bench").await?;
    let program = programs.path("tvt-coordinator");
    let coordinator = Coordinator::start(&program, &nats, &bus, folder, None).await?;
    say("importing the inventory");
    swarm.fleet.import(&bus).await?;
    let mut stage = Stage {
        nats,
        bus,
        coordinator,
        folder,
        fleet: swarm.fleet,
        swarm,
    };
    match arguments.register {
        Some(_) => register::run(&mut stage, figures).await?,
        None => scan::run(&mut stage, arguments.rounds, figures).await?,
    }
    let counted = stage.swarm.books.counted();
    figures.notes.push(format!(
        "of {} batches {} were not acknowledged in time and sent again; {} hellos, heartbeats and \
         reads were not answered in time; the swarm itself had {} MiB at most",
        counted.batches,
        counted.unstored,
        counted.unanswered,
        process::memory(std::process::id(), "VmHWM")? >> 20,
    ));
    stage.swarm.stop.cancel();
    stage.coordinator.stop()
}

/// Everything that runs.
struct Stage<'a> {
    nats: Nats,
    bus: Bus,
    coordinator: Coordinator,
    folder: &'a Path,
    fleet: Fleet,
    swarm: Swarm,
}

impl Stage<'_> {
    /// Waits until all agents are let in. The moment from which their waits count is `began`.
    async fn until_welcome(&self) -> Result<()> {
        let sites = usize::try_from(self.fleet.sites)?;
        let until = Instant::now() + PATIENCE;
        while self.swarm.books.welcomed() < sites {
            if Instant::now() > until {
                bail!(
                    "{} of {sites} agents are let in",
                    self.swarm.books.welcomed()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The bytes of the coordinator's database, with what is not folded in yet.
    fn database(&self) -> Result<u64> {
        let folder = self.folder.join("coordinator");
        let mut bytes = 0_u64;
        for entry in std::fs::read_dir(&folder).context("no data folder")? {
            let entry = entry.context("no data folder")?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("coordinator.db")
            {
                bytes = bytes.saturating_add(entry.metadata().map_or(0, |data| data.len()));
            }
        }
        Ok(bytes)
    }
}

/// All agents, on a runtime of their own.
struct Swarm {
    books: Arc<Books>,
    fleet: Fleet,
    heartbeat: Duration,
    waiting: Vec<Agent>,
    runtime: Handle,
    stop: CancellationToken,
    /// Holds the spools.
    _folder: TempDir,
}

impl Swarm {
    fn open(fleet: Fleet, heartbeat: Duration, runtime: &Handle) -> Result<Self> {
        say("opening the spools");
        let memory = Path::new(MEMORY_DISK);
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.context("cannot create a folder for the spools")?;
        let books = Arc::new(Books::default());
        let waiting = (0..fleet.sites)
            .map(|number| Agent::open(fleet, number, folder.path(), heartbeat, Arc::clone(&books)))
            .collect::<Result<_>>()?;
        Ok(Self {
            books,
            fleet,
            heartbeat,
            waiting,
            runtime: runtime.clone(),
            stop: CancellationToken::new(),
            _folder: folder,
        })
    }

    /// Lets all agents connect, at the same moment.
    fn start(&mut self, url: &str) {
        self.books.begin();
        let mut agents = JoinSet::new();
        for (number, agent) in self.waiting.drain(..).enumerate() {
            let options = ConnectOptions {
                urls: vec![url.to_owned()],
                name: format!("swarm-{number}"),
                retry_initial: true,
                ..ConnectOptions::default()
            };
            let stop = self.stop.clone();
            agents.spawn_on(agent.run(options, stop), &self.runtime);
        }
        // An agent that ends by itself is missed when the sites are counted; this says why.
        self.runtime.spawn(async move {
            while let Some(ended) = agents.join_next().await {
                if let Ok(Err(error)) = ended {
                    say(&format!("an agent has ended: {error:#}"));
                }
            }
        });
    }
}

/// Lets this process and its children have so many open files.
fn allow_files(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("no limit of open files")?;
    if hard < wanted {
        bail!("{wanted} open files are needed and {hard} allowed: see `ulimit -Hn`");
    }
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("the limit cannot be raised")?;
    }
    Ok(())
}
