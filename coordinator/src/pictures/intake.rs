//! Takes pictures out of their stream.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tvtfleet_bus::BusError;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::picture::{ArrivedChunk, ChunkConsumer};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::picture::PictureChunk;

use super::folder::{Added, FolderError};
use crate::core::Core;
use crate::intake::chain;
use crate::run::CoordinatorError;
use crate::store::{StoreError, picture};

/// Chunks that are taken out at a time.
const PORTION: usize = 16;
/// The waits before the stream is opened again, and before a full disk is tried again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));

/// A chunk that could not be kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the work was broken off")]
    Broken,
}

/// Takes pictures in until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let work = async {
        let mut attempt = 0_usize;
        loop {
            let ended = take_in(&core, &mut attempt).await;
            attempt = attempt.saturating_add(1);
            tracing::debug!(error.type = ended.code().as_str(), error = chain(&ended), "opening the stream of pictures again");
            tokio::time::sleep(BACKOFF.delay(attempt)).await;
        }
    };
    tokio::select! {
        () = work => Ok(()),
        () = stop.cancelled() => Ok(()),
    }
}

/// Takes pictures in until the stream breaks.
async fn take_in(core: &Core, attempt: &mut usize) -> BusError {
    let mut consumer = match ChunkConsumer::open(&core.bus).await {
        Ok(consumer) => consumer,
        Err(error) => return error,
    };
    *attempt = 0;
    loop {
        let arrived = match consumer.next(PORTION).await {
            Ok(arrived) => arrived,
            Err(error) => return error,
        };
        for chunk in arrived {
            take(core, chunk).await;
        }
    }
}

/// Keeps a chunk, as long as it takes: what cannot be kept stays in the stream, which fills and holds
/// the sites back.
async fn take(core: &Core, arrived: ArrivedChunk) {
    match &arrived.chunk {
        Ok((site, chunk)) => {
            let mut attempt = 0_usize;
            while let Err(error) = keep(core, site, chunk).await {
                attempt = attempt.saturating_add(1);
                if attempt == 1 {
                    let code = match &error {
                        KeepError::Folder(error) => error.code(),
                        KeepError::Store(error) => error.code(),
                        KeepError::Broken => tvtfleet_proto::error::ErrorCode::Internal,
                    };
                    tracing::error!(error.type = code.as_str(), error = chain(&error), "pictures cannot be stored; they wait");
                }
                tokio::time::sleep(BACKOFF.delay(attempt)).await;
            }
            if attempt > 0 {
                tracing::info!("pictures are stored again");
            }
        }
        Err(error) => {
            tracing::warn!(error.type = error.code().as_str(), error = chain(error), "something that is no picture was thrown away");
        }
    }
    arrived.done().await;
}

async fn keep(core: &Core, site: &SiteId, chunk: &PictureChunk) -> Result<(), KeepError> {
    let (folder, own_site, own) = (Arc::clone(&core.pictures), site.clone(), chunk.clone());
    let added = tokio::task::spawn_blocking(move || folder.add(&own_site, &own)).await;
    match added.map_err(|_| KeepError::Broken)?? {
        Added::More => {}
        Added::Unwanted => {
            tracing::debug!(tvt.site.id = %site, digest = %chunk.digest, offset = chunk.offset, "a piece of a picture out of turn");
        }
        Added::Wrong => {
            tracing::warn!(tvt.site.id = %site, digest = %chunk.digest, "a picture is not what its digest says");
        }
        Added::Whole => {
            let (tenant, digest, size) = (site.tenant.clone(), chunk.digest, chunk.size);
            let now = core.clock.now();
            core.store
                .write("keep a picture", move |db| {
                    picture::keep(db, &tenant, digest, size, now)
                })
                .await?;
            tracing::debug!(tvt.site.id = %site, digest = %chunk.digest, size, "picture stored");
        }
    }
    Ok(())
}
