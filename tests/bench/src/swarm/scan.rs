//! A scan of the whole fleet, applied completely, and the first report of a site that was idle.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::model::api::{JobStatus, SubmitJob, Submitted};
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::job::{
    DEFAULT_JOB_DEADLINE, JobSpec, JobState, JobView, Selector, WorkOptions,
};
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;
use uuid::Uuid;

use super::{LOOK_EVERY, PATIENCE, Stage};
use crate::figures::{Figures, Row, real, say};
use crate::fleet::Fleet;
use crate::process;
use crate::queries::{Latencies, ask_until};
use crate::service::ask;

/// Sites whose devices operators look at meanwhile.
const LOOKED_AT: u32 = 50;
/// Jobs for a single idle site, one after the other.
const SINGLE: usize = 20;
/// The pause before it is looked again whether the first report is there.
const SHORT: Duration = Duration::from_millis(1);

pub(super) async fn run(stage: &mut Stage<'_>, rounds: u32, figures: &mut Figures) -> Result<()> {
    say("connecting");
    stage.swarm.start(&stage.nats.url);
    stage.until_welcome().await?;
    for round in 1..=rounds {
        say(&format!("scan {round}"));
        let changed = round % 2 == 0;
        stage.swarm.books.changed.store(changed, Ordering::Relaxed);
        figures.rows.push(scan(stage, round).await?);
    }
    say("jobs for one site");
    let mut first = first_reports(stage).await?;
    figures.notes.push(format!(
        "from the submission of a job for one idle site to its first report in the database: p50 {:.1} ms, \
         p99 {:.1} ms, of {SINGLE} jobs",
        first.millis(50),
        first.millis(99),
    ));
    Ok(())
}

async fn scan(stage: &Stage<'_>, round: u32) -> Result<Row> {
    let (coordinator, nats, own) = (stage.coordinator.id(), stage.nats.id(), std::process::id());
    let cpu = || -> Result<[Duration; 3]> {
        Ok([
            process::cpu(coordinator)?,
            process::cpu(nats)?,
            process::cpu(own)?,
        ])
    };
    let (before, counted) = (cpu()?, stage.swarm.books.counted());
    let began = Instant::now();
    let job = submit(stage, Selector::All).await?;
    let submitted = began.elapsed();
    if job.devices.total != stage.fleet.devices() {
        bail!("the job is for {} devices", job.devices.total);
    }
    let stop = CancellationToken::new();
    let looked_at =
        (0..stage.fleet.sites.min(LOOKED_AT)).map(|site| Ok(Fleet::site(site)?.to_string()));
    let looked_at: Vec<String> = looked_at.collect::<Result<_>>()?;
    let watch = async {
        let watched = watch(stage, job.id).await;
        stop.cancel();
        watched
    };
    let (watched, latencies) = tokio::join!(watch, ask_until(&stage.bus, &looked_at, &stop));
    let (end, mut questions) = (watched?, latencies?);
    if end.state != JobState::Finished || end.devices.ok != stage.fleet.devices() {
        bail!("the job is {} with {:?}", end.state, end.devices);
    }
    let wall = began.elapsed();
    let after = cpu()?;
    let [coordinator_cpu, nats_cpu, own_cpu] = std::array::from_fn(|at| {
        let span = |all: &[Duration; 3]| all.get(at).copied().unwrap_or_default();
        span(&after).saturating_sub(span(&before))
    });
    let sent = stage.swarm.books.counted();
    let reports = real(u64::from(stage.fleet.devices()));
    Ok(Row::default()
        .count("round", u64::from(round))
        .number("submit_s", submitted.as_secs_f64(), 2)
        .number("wall_s", wall.as_secs_f64(), 2)
        .number("applied_per_s", reports / wall.as_secs_f64(), 0)
        .mebibytes("sent_mib", sent.bytes.saturating_sub(counted.bytes))
        .number("coordinator_cpu_s", coordinator_cpu.as_secs_f64(), 2)
        .number("nats_cpu_s", nats_cpu.as_secs_f64(), 2)
        .number("swarm_cpu_s", own_cpu.as_secs_f64(), 2)
        .mebibytes("coordinator_mib", process::memory(coordinator, "VmHWM")?)
        .mebibytes("nats_mib", process::memory(nats, "VmHWM")?)
        .mebibytes("database_mib", stage.database()?)
        .count("questions", u64::try_from(questions.count())?)
        .number("p50_ms", questions.millis(50), 1)
        .number("p99_ms", questions.millis(99), 1))
}

async fn watch(stage: &Stage<'_>, job: JobId) -> Result<JobView> {
    let until = Instant::now() + PATIENCE;
    loop {
        let view = show(stage, job).await?;
        if view.state != JobState::Open {
            return Ok(view);
        }
        if Instant::now() > until {
            bail!("the job does not end: {:?}", view.devices);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How long the first report of a site takes that has nothing else to do.
async fn first_reports(stage: &Stage<'_>) -> Result<Latencies> {
    let mut times = Vec::new();
    for number in (0..stage.fleet.sites).cycle().take(SINGLE) {
        let began = Instant::now();
        let job = submit(stage, one_site(number)?).await?;
        while show(stage, job.id).await?.devices.ok == 0 {
            if began.elapsed() > PATIENCE {
                bail!("no report comes");
            }
            tokio::time::sleep(SHORT).await;
        }
        times.push(began.elapsed());
        watch(stage, job.id).await?;
    }
    Ok(Latencies::of(times))
}

/// The devices of one site.
pub(super) fn one_site(number: u32) -> Result<Selector> {
    Ok(Selector::Match {
        tenants: Vec::new(),
        sites: vec![Fleet::site(number)?],
        labels: Vec::new(),
    })
}

pub(super) async fn submit(stage: &Stage<'_>, selector: Selector) -> Result<JobView> {
    let submit = SubmitJob {
        idempotency_key: Uuid::new_v4(),
        spec: JobSpec {
            selector,
            work: WorkOptions::default(),
            deadline: DEFAULT_JOB_DEADLINE,
            note: "bench".to_owned(),
        },
    };
    let query = v1::SubmitJob::from(submit);
    let reply: v1::Submitted = ask(&stage.bus, ApiOp::JobSubmit, &query).await?;
    Ok(Submitted::try_from(reply)?.job)
}

async fn show(stage: &Stage<'_>, job: JobId) -> Result<JobView> {
    let query = v1::ShowJob {
        job: job.uuid().as_bytes().to_vec(),
        ..v1::ShowJob::default()
    };
    let reply: v1::JobStatus = ask(&stage.bus, ApiOp::JobShow, &query).await?;
    Ok(JobStatus::try_from(reply)?.job)
}
