//! Keeps the table of channels up to date while no results wait to be applied.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::run::CoordinatorError;
use crate::store::inventory;

/// How often it looks for devices whose channels have changed.
const TICK: Duration = Duration::from_secs(1);
/// Devices of one transaction: short enough that results which come meanwhile hardly wait.
const PORTION: u32 = 100;

/// Writes channels until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        while core.is_idle() && !stop.is_cancelled() {
            let pending = core
                .store
                .read("count channels", inventory::pending)
                .await?;
            if pending == 0 {
                break;
            }
            core.store
                .write("write channels", |db| inventory::refresh(db, PORTION))
                .await?;
        }
    }
}
