//! `tvt-bench apply`: how fast the coordinator stores what agents report.
//!
//! All batches lie in the stream before the coordinator starts, so that nothing but the coordinator
//! sets the pace. The baseline is reading and decoding the same batches from the same server, and
//! doing nothing with them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::Bus;
use tvtfleet_bus::consume::{OutConsumer, Position, stream_generation};
use tvtfleet_bus::publish::{OutPublisher, Outgoing, PendingAck};
use tvtfleet_proto::model::api::{JobStatus, SubmitJob, Submitted};
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::job::{DEFAULT_JOB_DEADLINE, JobSpec, JobState, Selector, WorkOptions};
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;
use uuid::Uuid;

use crate::figures::{Figures, Row, real, say};
use crate::fleet::{Fleet, Site};
use crate::process;
use crate::programs::Programs;
use crate::queries::{Latencies, ask_until};
use crate::service::{Coordinator, Nats, ask, info};

/// Batches that wait for their acknowledgement while publishing.
const WINDOW: usize = 32;
/// Messages of one portion when reading without applying: as the coordinator's.
const PORTION: usize = 32;
/// How often the coordinator is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long applying may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long questions are asked of a coordinator that has nothing else to do.
const AT_REST: Duration = Duration::from_secs(3);

/// Compare the coordinator's apply rate with the rate at which the stream can be read
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sites
    #[arg(long, value_name = "COUNT", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=250))]
    sites: u32,
    /// Recorders of each
    #[arg(long, value_name = "COUNT", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    devices_per_site: u32,
    /// Channels of each
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    channels: u32,
    /// Replicas: 0 is a coordinator without, 1 a leader alone, 2 a leader with a standby
    #[arg(long, value_name = "COUNT", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=2))]
    replicas: u8,
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, or not every report was applied.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let fleet = Fleet {
        sites: arguments.sites,
        devices_per_site: arguments.devices_per_site,
        channels: arguments.channels,
    };
    let mut figures = Figures::new(
        "apply",
        format!(
            "{} recorders with {} channels at {} sites, all reports in the stream before the \
             coordinator starts; read_per_s is reading and decoding them without storing, x_read is \
             applied to read; latencies of operators' questions while it applies and at rest; {} replicas",
            fleet.devices(),
            fleet.channels,
            fleet.sites,
            arguments.replicas,
        ),
    );
    let replicas = arguments.replicas;
    runtime.block_on(bench(
        programs,
        scratch.path(),
        fleet,
        replicas,
        &mut figures,
    ))?;
    Ok(figures)
}

async fn bench(
    programs: &Programs,
    folder: &Path,
    fleet: Fleet,
    replicas: u8,
    figures: &mut Figures,
) -> Result<()> {
    let nats = Nats::start(folder)?;
    let bus = nats.connect("tvt-bench").await?;
    let mut bench = Bench {
        program: programs.path("tvt-coordinator"),
        folder,
        nats,
        bus,
        fleet,
        replicated: replicas > 0,
        sites: Vec::new(),
        read_from: 0,
        read_to: 0,
    };
    let mut coordinator = bench.start().await?;
    let standby = (replicas > 1)
        .then(|| Coordinator::follow(&bench.program, &bench.nats, folder, "b"))
        .transpose()?;
    say("importing the inventory");
    bench.sites = fleet.introduce(&bench.bus).await?;
    for (name, changed) in [
        ("first scan", false),
        ("same again", false),
        ("some changes", true),
    ] {
        let (next, row) = bench.round(name, changed, coordinator).await?;
        coordinator = next;
        figures.rows.push(row);
    }
    if let Some(standby) = standby {
        standby.stop()?;
    }
    coordinator.stop()
}

struct Bench<'a> {
    program: PathBuf,
    folder: &'a Path,
    nats: Nats,
    bus: Bus,
    fleet: Fleet,
    replicated: bool,
    sites: Vec<Site>,
    /// The positions in the stream where the round began, and up to which it was read.
    read_from: u64,
    read_to: u64,
}

impl Bench<'_> {
    async fn start(&self) -> Result<Coordinator> {
        let name = self.replicated.then_some("a");
        Coordinator::start(&self.program, &self.nats, &self.bus, self.folder, name).await
    }

    async fn round(
        &mut self,
        name: &str,
        changed: bool,
        coordinator: Coordinator,
    ) -> Result<(Coordinator, Row)> {
        let job = self.submit().await?;
        coordinator.stop()?;
        say(&format!("{name}: publishing"));
        let published = self.publish(job, changed).await?;
        say(&format!("{name}: reading"));
        let read = self.read(published.batches).await?;
        say(&format!("{name}: applying"));
        let coordinator = self.start().await?;
        let applied = self.apply(job, &coordinator).await?;
        let mut busy = applied.latencies;
        let mut rest = self.questions_at_rest().await?;
        let reports = real(u64::from(self.fleet.devices()));
        let share = applied.share;
        let apply_rate = reports * share / applied.wall.as_secs_f64();
        let read_rate = reports / read.as_secs_f64();
        let row = Row::default()
            .text("round", name)
            .count("batches", published.batches)
            .number(
                "batch_kib",
                real(published.bytes) / real(published.batches) / 1024.0,
                1,
            )
            .number("read_per_s", read_rate, 0)
            .number("applied_per_s", apply_rate, 0)
            .number("x_read", apply_rate / read_rate, 2)
            .number(
                "cpu_us_per_report",
                applied.cpu.as_secs_f64() * 1e6 / (reports * share),
                0,
            )
            .mebibytes("peak_rss_mib", process::memory(coordinator.id(), "VmHWM")?)
            .count("questions", u64::try_from(busy.count())?)
            .number("p50_ms", busy.millis(50), 1)
            .number("p99_ms", busy.millis(99), 1)
            .number("rest_p50_ms", rest.millis(50), 1)
            .number("rest_p99_ms", rest.millis(99), 1);
        Ok((coordinator, row))
    }

    async fn submit(&self) -> Result<JobId> {
        let submit = SubmitJob {
            idempotency_key: Uuid::new_v4(),
            spec: JobSpec {
                selector: Selector::All,
                work: WorkOptions::default(),
                deadline: DEFAULT_JOB_DEADLINE,
                note: "bench".to_owned(),
            },
        };
        let reply: v1::Submitted =
            ask(&self.bus, ApiOp::JobSubmit, &v1::SubmitJob::from(submit)).await?;
        let job = Submitted::try_from(reply)?.job;
        if job.devices.total != self.fleet.devices() {
            bail!("the job is for {} devices", job.devices.total);
        }
        Ok(job.id)
    }

    /// Publishes all batches, site by turns with site, and returns how many there were.
    async fn publish(&mut self, job: JobId, changed: bool) -> Result<Published> {
        let mut queues: Vec<_> = self
            .sites
            .iter_mut()
            .map(|site| self.fleet.batches(site, job, changed).into_iter())
            .collect();
        let publisher = OutPublisher::new(&self.bus);
        let mut published = Published::default();
        let mut waiting: VecDeque<PendingAck> = VecDeque::new();
        let mut more = true;
        while more {
            more = false;
            for queue in &mut queues {
                let Some(batch) = queue.next() else { continue };
                more = true;
                let outgoing = Outgoing::seal(&batch, String::new());
                published.batches += 1;
                published.bytes += u64::try_from(outgoing.body.len())?;
                if waiting.len() >= WINDOW
                    && let Some(oldest) = waiting.pop_front()
                {
                    oldest.await?;
                }
                waiting.push_back(publisher.publish(&outgoing).await?);
            }
        }
        for ack in waiting {
            ack.await?;
        }
        Ok(published)
    }

    /// Reads what was published last, without doing anything with it.
    async fn read(&mut self, batches: u64) -> Result<Duration> {
        let generation = stream_generation(&self.bus).await?;
        let position = Position {
            generation,
            after: self.read_to,
        };
        let mut consumer = OutConsumer::open(&self.bus, "bench", position).await?;
        let began = Instant::now();
        let mut left = batches;
        self.read_from = self.read_to;
        while left > 0 {
            let messages = consumer.next_batch(PORTION, Duration::from_secs(5)).await?;
            let Some(last) = messages.last() else {
                bail!("{left} batches are missing")
            };
            if messages.iter().any(|message| message.batch.is_err()) {
                bail!("a batch cannot be read");
            }
            self.read_to = last.stream_sequence;
            consumer.ack_through(last.stream_sequence).await?;
            left = left.saturating_sub(u64::try_from(messages.len())?);
        }
        Ok(began.elapsed())
    }

    /// Watches the coordinator apply everything up to where was read.
    async fn apply(&self, job: JobId, coordinator: &Coordinator) -> Result<Applied> {
        let (first, cpu) = (
            info(&self.bus).await?.applied,
            process::cpu(coordinator.id())?,
        );
        let began = Instant::now();
        let stop = CancellationToken::new();
        let names: Vec<String> = self.sites.iter().map(Site::name).collect();
        let watch = async {
            let outcome = self.watch(began).await;
            stop.cancel();
            outcome
        };
        let (watched, latencies) = tokio::join!(watch, ask_until(&self.bus, &names, &stop));
        let wall = watched?;
        let cpu = process::cpu(coordinator.id())?.saturating_sub(cpu);
        self.check(job).await?;
        let share = real(self.read_to.saturating_sub(first))
            / real(self.read_to.saturating_sub(self.read_from).max(1));
        Ok(Applied {
            wall,
            cpu,
            share,
            latencies: latencies?,
        })
    }

    async fn watch(&self, began: Instant) -> Result<Duration> {
        while info(&self.bus).await?.applied < self.read_to {
            if began.elapsed() > PATIENCE {
                bail!("the coordinator does not apply everything");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(began.elapsed())
    }

    /// Speed is worth nothing if reports are lost.
    async fn check(&self, job: JobId) -> Result<()> {
        let query = v1::ShowJob {
            job: job.uuid().as_bytes().to_vec(),
            ..v1::ShowJob::default()
        };
        let reply: v1::JobStatus = ask(&self.bus, ApiOp::JobShow, &query).await?;
        let job = JobStatus::try_from(reply)?.job;
        if job.state != JobState::Finished || job.devices.ok != self.fleet.devices() {
            bail!("the job is {} with {:?}", job.state, job.devices);
        }
        Ok(())
    }

    async fn questions_at_rest(&self) -> Result<Latencies> {
        let stop = CancellationToken::new();
        let names: Vec<String> = self.sites.iter().map(Site::name).collect();
        let alarm = async {
            tokio::time::sleep(AT_REST).await;
            stop.cancel();
        };
        let ((), latencies) = tokio::join!(alarm, ask_until(&self.bus, &names, &stop));
        latencies
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Published {
    batches: u64,
    bytes: u64,
}

/// What applying cost.
struct Applied {
    wall: Duration,
    cpu: Duration,
    /// The part of the round's batches that was applied while it was watched.
    share: f64,
    latencies: Latencies,
}
