//! Looks at the clock: ends jobs whose time is up, and stores when agents were last heard.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::run::CoordinatorError;
use crate::store::{job, site};

/// How often it looks: how late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(500);

/// Looks at the clock until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut saved = core.clock.instant();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        end_overdue(&core).await?;
        let now = core.clock.instant();
        if now.duration_since(saved) >= core.config.timing.presence_interval {
            saved = now;
            save_presence(&core).await?;
        }
    }
}

/// Stores when agents were last heard.
pub(crate) async fn save_presence(core: &Core) -> Result<(), CoordinatorError> {
    let unsaved = core.presence().take_unsaved();
    if !unsaved.is_empty() {
        core.store
            .write("store when agents were heard", move |db| {
                site::remember_seen(db, &unsaved)
            })
            .await?;
    }
    Ok(())
}

async fn end_overdue(core: &Core) -> Result<(), CoordinatorError> {
    let (grace, now) = (core.grace(), core.clock.now());
    let due = core
        .store
        .read("look for overdue jobs", move |db| job::due(db, &grace, now))
        .await?;
    for id in due {
        let ended = core
            .store
            .write("end an overdue job", move |db| {
                job::expire(db, id, &grace, now)
            })
            .await?;
        if ended > 0 {
            tracing::info!(tvt.job.id = %id, sites = ended, "sites ended by the clock");
            core.jobs_changed();
        }
    }
    Ok(())
}
