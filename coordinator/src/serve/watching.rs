//! Shows jobs: where they stand, and once they move.

use std::time::Duration;

use tokio::sync::Semaphore;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ApiError, JobStatus, ShowJob, WATCH_MAX};
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::job::JobView;

use crate::core::Core;
use crate::store::job;

use super::{read, refuse, unknown_job};

/// Requests that are held until something changes; others are answered at once.
const HELD_MAX: usize = 64;
/// The shortest time between two looks at a held request's job.
pub(super) const LOOK_GAP: Duration = Duration::from_millis(100);
/// How long the sites of a job count as watched after somebody looked at it.
const WATCHED_FOR: Duration = Duration::from_secs(30);

/// Places for requests that are held.
pub(super) static HELD: Semaphore = Semaphore::const_new(HELD_MAX);

/// Shows a job and what its sites are doing, perhaps once it has changed.
pub(super) async fn show_job(core: &Core, request: ShowJob) -> Result<JobStatus, ApiError> {
    let id = match request.job {
        Some(id) => id,
        None => read(core, "find the newest job", job::newest)
            .await?
            .ok_or_else(|| {
                refuse(
                    ErrorCode::JobUnknown,
                    "no job was ever submitted",
                    "see `tvtctl scan --help`",
                )
            })?,
    };
    hold(core, id, request.after_version, request.wait.min(WATCH_MAX)).await?;
    let (job, next) = view(core, id, &request.cursor).await?;
    let now = core.now().instant;
    let mut presence = core.presence();
    if !job.state.is_terminal() && !request.wait.is_zero() {
        let open = job.sites.iter().filter(|site| !site.state.is_terminal());
        let until = now.checked_add(WATCHED_FOR).unwrap_or(now);
        presence.watch(open.map(|site| site.site.clone()), until, now);
    }
    let progress = job
        .sites
        .iter()
        .filter_map(|site| Some((site.site.clone(), presence.progress_of(&site.site, id)?)));
    Ok(JobStatus {
        progress: progress.collect(),
        job,
        next,
    })
}

/// Waits until a job is newer than `after`, `wait` at most.
async fn hold(core: &Core, id: JobId, after: u64, wait: Duration) -> Result<(), ApiError> {
    let mut changes = core.watch_jobs();
    let deadline = tokio::time::Instant::now().checked_add(wait);
    let mut place = None;
    loop {
        changes.mark_unchanged();
        let version = read(core, "read a job's version", move |db| job::version(db, id)).await?;
        let version = version.ok_or_else(|| unknown_job(id))?;
        let Some(deadline) = deadline.filter(|_| version <= after) else {
            return Ok(());
        };
        if place.is_none() {
            place = HELD.try_acquire().ok();
        }
        if place.is_none()
            || tokio::time::timeout_at(deadline, changes.changed())
                .await
                .is_err()
        {
            return Ok(());
        }
        // Many small changes are one.
        tokio::time::sleep(LOOK_GAP).await;
    }
}

/// A job with a page of its sites, who of them is there, and where the next page begins.
pub(super) async fn view(
    core: &Core,
    id: JobId,
    cursor: &str,
) -> Result<(JobView, Option<String>), ApiError> {
    let cursor = cursor.to_owned();
    let shown = read(core, "show a job", move |db| job::view(db, id, &cursor)).await?;
    let (mut job, next) = shown.ok_or_else(|| unknown_job(id))?;
    let now = core.now().instant;
    let presence = core.presence();
    for site in &mut job.sites {
        let (online, heard) = presence.seen(&site.site, now);
        site.online = online;
        site.last_seen = site.last_seen.max(heard);
    }
    Ok((job, next))
}
