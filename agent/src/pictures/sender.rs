//! Sends pictures, while no report waits to be sent.
//!
//! The coordinator says how much of a picture it has, and the rest is sent from there: after a cut line,
//! a restart of either side, or where the stream lost a piece. A picture is let go once the coordinator
//! has stored it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::picture::publish_chunk;
use tvtfleet_bus::{Bus, rpc};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::picture::{CHUNK, PictureDigest, PictureState};
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1;

use super::shelf::{Shelf, Waiting};
use crate::chain::Chain;
use crate::outbox::SpoolShared;

/// Pictures that are asked about, and sent, at a time.
const PICTURES: usize = 8;
/// Chunks on their way at a time: what a report may have to wait for on a slow line.
const CHUNKS_IN_FLIGHT: usize = 2;
/// An acknowledgement that takes longer shows a slow line: then one chunk at a time.
const SLOW: Duration = Duration::from_secs(1);
/// The coordinator's time to say what it has.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// A picture that is in the stream and of which nothing arrives for as long is sent again.
const RESEND: Duration = Duration::from_secs(30);
/// A picture that the coordinator finds wrong as often is let go: this disk or this program is broken.
const PASSES_MAX: u32 = 5;
/// The waits between two questions while nothing changes.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(10));

/// The task that empties the shelf.
pub(crate) struct PictureSender {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) spool: Arc<SpoolShared>,
    pub(crate) bus: Bus,
}

/// What is known of a picture that was sent.
#[derive(Clone, Copy, Debug)]
struct Pass {
    have: u64,
    moved: Instant,
    count: u32,
}

impl PictureSender {
    /// Sends until it is told to stop; the next start goes on.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.send_all() => {}
        }
    }

    async fn send_all(&self) {
        let mut changes = self.shelf.changes();
        let mut passes: BTreeMap<PictureDigest, Pass> = BTreeMap::new();
        let mut attempt = 0_usize;
        let mut told = None;
        loop {
            changes.mark_unchanged();
            let waiting = self.shelf.oldest(PICTURES);
            passes.retain(|digest, _| waiting.iter().any(|one| one.digest == *digest));
            if waiting.is_empty() && self.shelf.dropped(1).is_empty() {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            self.spool.until_sent().await;
            let result = self.round(&waiting, &mut passes).await;
            let (moved, trouble) = match result {
                Ok(Round { moved, full: true }) => (moved, Some(ErrorCode::StorageFull)),
                Ok(Round { moved, full: false }) => (moved, None),
                Err(code) => (false, Some(code)),
            };
            if trouble != told {
                match trouble {
                    Some(code) => {
                        tracing::warn!(error.r#type = %code, "pictures wait to be sent");
                    }
                    None => tracing::info!("pictures are sent again"),
                }
                told = trouble;
            }
            if moved {
                attempt = 0;
            } else {
                attempt = attempt.saturating_add(1);
                tokio::time::sleep(BACKOFF.delay(attempt)).await;
            }
        }
    }

    /// Asks what the coordinator has, and sends what it has not.
    async fn round(
        &self,
        waiting: &[Waiting],
        passes: &mut BTreeMap<PictureDigest, Pass>,
    ) -> Result<Round, ErrorCode> {
        let site = self.spool.site();
        let dropped = self.shelf.dropped(PICTURES);
        let request = v1::AskPictures {
            site: site.to_string(),
            dropped: dropped.iter().map(|digest| digest.0.to_vec()).collect(),
            sha256: waiting.iter().map(|one| one.digest.0.to_vec()).collect(),
        };
        let subject = subject::rpc(site, RpcOp::Pictures);
        let reply =
            rpc::request::<_, v1::PictureStates>(&self.bus, &subject, &request, ASK_LIMIT).await;
        let reply = reply.map_err(|error| error.code())?;
        self.shelf.told_dropped(&dropped);
        let mut round = Round {
            moved: !dropped.is_empty(),
            full: reply.full,
        };
        for state in reply.states {
            let Ok(state) = PictureState::try_from(state) else {
                return Err(ErrorCode::MessageInvalid);
            };
            let Some(one) = waiting.iter().find(|one| one.digest == state.digest) else {
                continue;
            };
            if state.stored {
                self.shelf.let_go(one.digest);
                passes.remove(&one.digest);
                round.moved = true;
                continue;
            }
            let now = Instant::now();
            if let Some(pass) = passes.get_mut(&one.digest) {
                if state.have > pass.have {
                    (pass.have, pass.moved) = (state.have, now);
                }
                // It is in the stream, and the coordinator is busy or has no room.
                if round.full || now.duration_since(pass.moved) < RESEND {
                    continue;
                }
                if pass.count >= PASSES_MAX && state.have == 0 {
                    tracing::error!(digest = %one.digest, "a picture does not arrive whole, it is let go");
                    self.shelf.give_up(one.digest);
                    continue;
                }
            }
            let count = passes.get(&one.digest).map_or(0, |pass| pass.count);
            self.send(*one, state.have.min(one.size)).await?;
            let pass = Pass {
                have: state.have,
                moved: Instant::now(),
                count: count.saturating_add(1),
            };
            passes.insert(one.digest, pass);
            round.moved = true;
        }
        Ok(round)
    }

    /// Sends a picture from an offset on, until the stream has all of it.
    async fn send(&self, one: Waiting, from: u64) -> Result<(), ErrorCode> {
        let (mut offset, mut window) = (from, CHUNKS_IN_FLIGHT);
        // Ids are never used twice: the server drops what it has seen.
        let pass = u64::from(uuid::Uuid::new_v4().as_fields().0);
        let mut flights = FuturesUnordered::new();
        while offset < one.size || !flights.is_empty() {
            if offset < one.size && flights.len() < window {
                self.spool.until_sent().await;
                let Some(chunk) = self.read(one, offset).await else {
                    return Ok(());
                };
                flights.push(async move {
                    let began = Instant::now();
                    let stored = publish_chunk(&self.bus, self.spool.site(), chunk, pass).await;
                    stored.map(|()| began.elapsed())
                });
                offset = offset.saturating_add(CHUNK);
                continue;
            }
            match flights.next().await {
                Some(Ok(took)) => window = if took > SLOW { 1 } else { CHUNKS_IN_FLIGHT },
                Some(Err(error)) => {
                    tracing::debug!(error.r#type = %error.code(), error = %Chain(&error), "a piece of a picture was not taken");
                    return Err(error.code());
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Reads a chunk; what cannot be read is let go.
    async fn read(
        &self,
        one: Waiting,
        offset: u64,
    ) -> Option<tvtfleet_proto::model::picture::PictureChunk> {
        let shelf = Arc::clone(&self.shelf);
        let read = tokio::task::spawn_blocking(move || shelf.read(one, offset)).await;
        match read {
            Ok(Ok(chunk)) => Some(chunk),
            Ok(Err(error)) => {
                tracing::error!(%error, digest = %one.digest, "a picture cannot be read, it is let go");
                self.shelf.give_up(one.digest);
                None
            }
            Err(_) => None,
        }
    }
}

/// What came of a round.
struct Round {
    /// Whether anything was sent or stored.
    moved: bool,
    /// Whether the coordinator has no room.
    full: bool,
}
