//! Takes out pictures that are too old or too many, and the files that nothing refers to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::intake::chain;
use crate::run::CoordinatorError;
use crate::store::picture::{self, PictureBounds};

/// Rows and files of one step.
const PORTION: u32 = 200;
/// A file without a picture is kept for as long: the report that names it may still be on its way.
const UNANNOUNCED: Duration = Duration::from_secs(24 * 3600);
/// A picture that has not grown for as long is given up.
const ABANDONED: Duration = Duration::from_secs(48 * 3600);

/// Sweeps until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let mut tick = tokio::time::interval(core.config.pictures.sweep);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let mut gone = 0_usize;
        loop {
            let step = sweep(&core).await?;
            gone = gone.saturating_add(step);
            if step == 0 || stop.is_cancelled() {
                break;
            }
        }
        if gone > 0 {
            tracing::info!(pictures = gone, "old pictures taken out");
        }
        let folder = Arc::clone(&core.pictures);
        let swept = tokio::task::spawn_blocking(move || {
            let before = SystemTime::now().checked_sub(ABANDONED);
            before.map_or(Ok(0), |before| folder.delete_abandoned(before))
        });
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(error.type = error.code().as_str(), error = chain(&error), "the folder of pictures cannot be swept");
        }
    }
}

/// One step. Says how many pictures and files are gone.
async fn sweep(core: &Core) -> Result<usize, CoordinatorError> {
    let (settings, now) = (core.config.pictures, core.clock.now());
    let bounds = PictureBounds {
        before: settings.keep.map(|keep| now.before(keep)),
        per_channel: settings.per_channel,
        bytes: settings.max_bytes,
    };
    let rows = core
        .store
        .write("take out old pictures", move |db| {
            let rows = picture::forget(db, &bounds, PORTION)?;
            Ok(rows)
        })
        .await?;
    let unneeded = core
        .store
        .read("find files without pictures", move |db| {
            picture::unneeded(db, now.before(UNANNOUNCED), PORTION)
        })
        .await?;
    let count = unneeded.len();
    if count > 0 {
        let folder = Arc::clone(&core.pictures);
        // The file goes first: a row without a file is found again by the next sweep.
        let deleted = tokio::task::spawn_blocking(move || {
            let all = unneeded.iter();
            let done = all.map(|(tenant, digest)| folder.delete(tenant, *digest));
            let done = done.collect::<Result<(), _>>();
            done.map(|()| unneeded)
        });
        match deleted.await {
            Ok(Ok(files)) => {
                core.store
                    .write("forget files", move |db| picture::lose(db, &files))
                    .await?;
            }
            Ok(Err(error)) => {
                tracing::warn!(error.type = error.code().as_str(), error = chain(&error), "old pictures cannot be deleted");
                return Ok(0);
            }
            Err(_) => return Ok(0),
        }
    }
    Ok(rows.saturating_add(count))
}
