//! Writes the want documents into the bucket, and looks after a bus that was lost.
//!
//! What a site should be doing is in the database; the bucket only carries it. A site whose document
//! is outdated is marked in the database, so that a crash in the middle loses nothing.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::want::{read_stored, write_want};
use tvtfleet_bus::{BusError, BusState, streams};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{SiteId, WantRevision};
use tvtfleet_proto::model::time::UtcMillis;

use crate::core::Core;
use crate::jobs::fanout;
use crate::jobs::pace::Pace;
use crate::run::CoordinatorError;
use crate::store::SiteRow;
use crate::store::site::{self, DirtyWant, Written};

/// Documents read from the database at a time.
const PORTION: usize = 256;
/// Documents on their way to the bucket at a time.
const IN_FLIGHT: usize = 32;
/// How often it looks without being told to.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// Makes sure that the streams are there, waiting for the server as long as it takes.
///
/// # Errors
///
/// What waiting does not mend: no JetStream, refused credentials, a stream of another kind.
pub(crate) async fn ensure_streams(core: &Core) -> Result<(), BusError> {
    let declarations = core.config.declarations();
    let mut attempt = 0_usize;
    loop {
        match streams::ensure(&core.bus, &declarations).await {
            Ok(_) => return Ok(()),
            Err(error) if may_pass(&error) => {
                attempt = attempt.saturating_add(1);
                tracing::warn!(error.type = error.code().as_str(), %error, "waiting for the streams");
                tokio::time::sleep(BACKOFF.delay(attempt)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Keeps the bucket up to date until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let work = async {
        verify(&core).await?;
        let mut state = core.bus.state();
        let mut attempt = 0_usize;
        let mut pace = Pace::new(core.clock.instant());
        loop {
            if write_outdated(&core, &mut pace).await? {
                attempt = 0;
            } else {
                attempt = attempt.saturating_add(1);
                tokio::time::sleep(BACKOFF.delay(attempt)).await;
                continue;
            }
            tokio::select! {
                () = core.wants_outdated.notified() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                changed = state.changed() => {
                    if changed.is_ok() && *state.borrow_and_update() == BusState::Connected {
                        // The server may have come back without what it had.
                        ensure_streams(&core).await?;
                        verify(&core).await?;
                    }
                }
            }
        }
    };
    tokio::select! {
        result = work => result,
        () = stop.cancelled() => Ok(()),
    }
}

/// Compares the bucket with the database, and marks what must be written again. Where the bus
/// fails, the rest is looked at when it is back.
async fn verify(core: &Core) -> Result<(), CoordinatorError> {
    let sites = core.store.read("list want documents", site::all).await?;
    let mut seen = futures_util::stream::iter(sites)
        .map(|(row, site, revision)| async move { compare(core, row, &site, revision).await })
        .buffer_unordered(IN_FLIGHT);
    let mut differ = Vec::new();
    let mut failed = 0_usize;
    while let Some(seen) = seen.next().await {
        match seen {
            Ok(written) => differ.push(written),
            Err(error) => {
                failed = failed.saturating_add(1);
                tracing::debug!(%error, "want document not compared");
            }
        }
    }
    if failed > 0 {
        tracing::warn!(sites = failed, "some want documents could not be compared");
    }
    core.store
        .write("note what the bucket holds", move |db| {
            site::written(db, &differ)
        })
        .await?;
    Ok(())
}

async fn compare(
    core: &Core,
    row: SiteRow,
    site: &SiteId,
    known: WantRevision,
) -> Result<Written, BusError> {
    let Some(stored) = read_stored(&core.bus, site).await? else {
        return Ok(Written {
            row,
            revision: WantRevision(0),
            bucket: None,
            at_least: known,
        });
    };
    let bucket = Some(stored.kv_revision);
    let doc = stored.doc.ok().flatten();
    let found = doc.map_or(WantRevision(0), |doc| doc.revision);
    if found > known {
        // The database is older than the bucket: agents ignore what is not newer.
        let at_least = fanout::next_revision(known, found);
        return Ok(Written {
            row,
            revision: found,
            bucket,
            at_least,
        });
    }
    Ok(Written {
        row,
        revision: found,
        bucket,
        at_least: known,
    })
}

/// Writes all outdated documents, in waves. Returns whether all were written.
async fn write_outdated(core: &Core, pace: &mut Pace) -> Result<bool, CoordinatorError> {
    loop {
        let wait = pace.wait(core.clock.instant());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let allowed = pace.take(core.clock.instant(), PORTION);
        let dirty = core
            .store
            .read("read outdated wants", move |db| site::dirty(db, allowed))
            .await?;
        pace.give_back(allowed.saturating_sub(dirty.len()));
        if dirty.is_empty() {
            return Ok(true);
        }
        let now = core.clock.now();
        let mut writes = futures_util::stream::iter(dirty)
            .map(|want| async move { write(core, want, now).await })
            .buffer_unordered(IN_FLIGHT);
        let mut done = Vec::new();
        let mut failure = None;
        while let Some(result) = writes.next().await {
            match result {
                Ok(written) => done.push(written),
                Err(error) => failure = Some(error),
            }
        }
        drop(writes);
        core.store
            .write("note written wants", move |db| site::written(db, &done))
            .await?;
        if let Some(error) = failure {
            tracing::warn!(error.type = error.code().as_str(), %error, "want documents not written");
            return Ok(false);
        }
    }
}

async fn write(core: &Core, want: DirtyWant, now: UtcMillis) -> Result<Written, BusError> {
    let DirtyWant {
        row,
        site,
        revision,
        bucket,
        jobs,
        credentials,
    } = want;
    let trust = core.trust.as_deref();
    let operators = trust.and_then(|trust| trust.operators_of(&site.tenant));
    let told = fanout::Told {
        operators: operators.map(Into::into),
        credentials,
    };
    let doc = fanout::document(&site, revision, now, jobs, told);
    match write_want(&core.bus, &doc, bucket).await {
        Ok(bucket) => {
            tracing::debug!(tvt.site.id = %site, revision = revision.0, jobs = doc.jobs.len(), "want document written");
            core.presence().want_written(&site, revision);
            Ok(Written {
                row,
                revision,
                bucket: Some(bucket),
                at_least: revision,
            })
        }
        Err(BusError::Conflict { .. }) => {
            // Lost acknowledgement, lost bucket or restored database: look, and write again.
            let found = compare(core, row, &site, revision).await?;
            let rewrite = fanout::next_revision(revision, found.revision);
            Ok(Written {
                at_least: rewrite,
                ..found
            })
        }
        Err(error) => Err(error),
    }
}

/// Whether trying again later may help.
fn may_pass(error: &BusError) -> bool {
    matches!(
        error.code(),
        ErrorCode::BusUnreachable | ErrorCode::BusTimeout
    )
}
