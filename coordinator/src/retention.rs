//! Takes out what is older than the settings keep, and folds the log into the database.
//!
//! Only while no results wait to be applied, and a few rows at a time: nothing waits for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::run::CoordinatorError;
use crate::store::{self, Cutoffs};

/// How often it looks for what is too old.
const TICK: Duration = Duration::from_secs(60);
/// Rows of one transaction: some milliseconds.
const PORTION: u32 = 500;
/// A log of this many bytes is folded into the database and begun anew.
const WAL_MAX: u64 = 64 * 1024 * 1024;

/// Prunes until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let mut gone = 0_usize;
        while core.is_idle() && !stop.is_cancelled() {
            let cutoffs = cutoffs(&core);
            let rows = core
                .store
                .write("take out what is old", move |db| {
                    store::prune(db, &cutoffs, PORTION)
                })
                .await?;
            if rows == 0 {
                break;
            }
            gone = gone.saturating_add(rows);
        }
        if gone > 0 {
            tracing::info!(rows = gone, "old rows taken out");
        }
        if core.is_idle() && core.store.wal_bytes() > WAL_MAX {
            core.store.fold_log().await?;
        }
    }
}

fn cutoffs(core: &Core) -> Cutoffs {
    let (keep, now) = (&core.config.retention, core.clock.now());
    let before = |keep: Option<Duration>| keep.map(|keep| now.before(keep));
    Cutoffs {
        jobs: before(keep.results),
        states: before(keep.states),
        changes: before(keep.changes),
        quarantine: before(keep.quarantine),
        audit: before(keep.audit),
        now,
    }
}
