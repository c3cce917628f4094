//! All sites come at the same moment, stay for a while, and come back after a crash of the server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::{Stage, scan};
use crate::figures::{Figures, Row, real, say};
use crate::fleet::Fleet;
use crate::process;
use crate::queries::{Latencies, ask_until};
use crate::service::info;

/// How long the bench's own connection may take to come back.
const BACK: Duration = Duration::from_secs(60);
/// The pause before the coordinator is asked again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn run(stage: &mut Stage<'_>, figures: &mut Figures) -> Result<()> {
    // Operators who ask for the newest job are to find one.
    scan::submit(stage, scan::one_site(0)?).await?;
    say("connecting");
    let began = Instant::now();
    stage.swarm.start(&stage.nats.url);
    figures.rows.push(storm(stage, "first time", began).await?);
    say("at rest");
    // As long as it takes until each has spoken once.
    let span = stage.swarm.heartbeat.saturating_mul(6) / 5;
    figures.rows.push(rest(stage, span).await?);
    say("the server is killed");
    stage.swarm.books.begin();
    stage.nats.crash()?;
    let began = Instant::now();
    stage.bus.connected(BACK).await?;
    while info(&stage.bus).await.is_err() {
        anyhow::ensure!(began.elapsed() < BACK, "the coordinator does not come back");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    figures
        .rows
        .push(storm(stage, "server restarted", began).await?);
    Ok(())
}

/// Waits until all are in, while operators ask.
async fn storm(stage: &Stage<'_>, name: &str, began: Instant) -> Result<Row> {
    let before = Load::of(stage)?;
    let stop = CancellationToken::new();
    let sites = [Fleet::site(0)?.to_string()];
    let waiting = async {
        let done = stage.until_welcome().await;
        stop.cancel();
        done.map(|()| began.elapsed())
    };
    let (wall, latencies) = tokio::join!(waiting, ask_until(&stage.bus, &sites, &stop));
    let (wall, mut questions) = (wall?, latencies?);
    let mut waits = Latencies::of(stage.swarm.books.waits(began));
    let sites = real(u64::from(stage.fleet.sites));
    let row = Row::default()
        .text("step", name)
        .number("wall_s", wall.as_secs_f64(), 2)
        .number("sites_per_s", sites / wall.as_secs_f64(), 0)
        .number("wait_p50_ms", waits.millis(50), 0)
        .number("wait_p99_ms", waits.millis(99), 0);
    let row = before.until_now(stage, row)?;
    Ok(row
        .number("p50_ms", questions.millis(50), 1)
        .number("p99_ms", questions.millis(99), 1))
}

/// What agents cost that only say that they are there.
async fn rest(stage: &Stage<'_>, span: Duration) -> Result<Row> {
    let before = Load::of(stage)?;
    let heard = stage.swarm.books.counted().heartbeats;
    tokio::time::sleep(span).await;
    let heard = stage.swarm.books.counted().heartbeats.saturating_sub(heard);
    let row = Row::default()
        .text("step", "at rest")
        .number("wall_s", span.as_secs_f64(), 2)
        .number("heartbeats_per_s", real(heard) / span.as_secs_f64(), 0);
    before.until_now(stage, row)
}

/// CPU time that was used before.
struct Load {
    coordinator: Duration,
    nats: Duration,
}

impl Load {
    fn of(stage: &Stage<'_>) -> Result<Self> {
        Ok(Self {
            coordinator: process::cpu(stage.coordinator.id())?,
            nats: process::cpu(stage.nats.id())?,
        })
    }

    fn until_now(&self, stage: &Stage<'_>, row: Row) -> Result<Row> {
        let now = Self::of(stage)?;
        let memory = |id| process::memory(id, "VmRSS").context("no memory");
        Ok(row
            .number(
                "coordinator_cpu_s",
                (now.coordinator.saturating_sub(self.coordinator)).as_secs_f64(),
                2,
            )
            .number(
                "nats_cpu_s",
                (now.nats.saturating_sub(self.nats)).as_secs_f64(),
                2,
            )
            .mebibytes("coordinator_mib", memory(stage.coordinator.id())?)
            .mebibytes("nats_mib", memory(stage.nats.id())?))
    }
}
